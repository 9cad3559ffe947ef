#include "app/config.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <span>
#include <string_view>

namespace coupond {
namespace {

constexpr std::int64_t longest_lock_ttl_seconds = 30 * 24 * 3600;

/// A setting as it was given, before it is understood.
struct Setting {
    const char* flag;
    const char* variable;  ///< empty: none
    std::string value;

    /// With the variable, where there is one.
    std::string name() const {
        return *variable == '\0' ? flag : std::string(flag) + " (" + variable + ")";
    }

    [[noreturn]] void refuse(std::string_view allowed) const {
        throw ConfigError(name() + ": '" + value + "' is not allowed; it must be " +
                          std::string(allowed));
    }

    std::int64_t integer(std::int64_t least, std::int64_t most, std::string_view allowed) const {
        std::int64_t number = 0;
        const char* const end = value.data() + value.size();
        const auto [stop, error] = std::from_chars(value.data(), end, number);
        if (error != std::errc() || stop != end || number < least || number > most) refuse(allowed);
        return number;
    }

    template <class T, std::size_t N>
    T one_of(const std::array<std::pair<std::string_view, T>, N>& values,
             std::string_view allowed) const {
        for (const auto& [name, meaning] : values) {
            if (name == value) return meaning;
        }
        refuse(allowed);
    }
};

/// A setting that may hold a secret has no flag: command lines are seen by others.
std::string from_environment(const char* variable) {
    const char* const value = std::getenv(variable);
    return value == nullptr ? std::string() : value;
}

struct Settings {
    Setting host{"--host", "HOST", "127.0.0.1"};
    Setting port{"--port", "PORT", "3000"};
    Setting data_dir{"--data-dir", "DATA_DIR", "./data"};
    Setting lock_ttl{"--lock-ttl-seconds", "LOCK_TTL_SECONDS", "300"};
    Setting log_level{"--log-level", "LOG_LEVEL", "info"};
    Setting log_format{"--log-format", "LOG_FORMAT", "text"};

    Setting db_host{"--db-host", "DB_HOST", ""};
    Setting db_port{"--db-port", "DB_PORT", ""};
    Setting db_username{"--db-username", "DB_USERNAME", ""};
    Setting db_name{"--db-name", "DB_NAME", ""};
    Setting db_sslmode{"--db-sslmode", "DB_SSLMODE", ""};
    Setting db_sslrootcert{"--db-sslrootcert", "DB_SSLROOTCERT", ""};
    Setting db_read_host{"--db-read-host", "DB_READ_HOST", ""};
    Setting redis_host{"--redis-host", "REDIS_HOST", ""};
    Setting redis_port{"--redis-port", "REDIS_PORT", ""};
    Setting redis_tls{"--redis-tls", "REDIS_TLS", ""};
    Setting redis_sslrootcert{"--redis-sslrootcert", "REDIS_SSLROOTCERT", ""};

    Setting qr_dir{"--qr-dir", "QR_DIR", ""};
    Setting s3_bucket{"--s3-bucket", "S3_BUCKET", ""};
    Setting s3_endpoint{"--s3-endpoint", "S3_ENDPOINT", ""};
    Setting job_queue_url{"--job-queue-url", "JOB_QUEUE_URL", ""};

    Setting after{"--after", "", "0"};
    Setting retention_days{"--retention-days", "LEDGER_RETENTION_DAYS", ""};
    Setting archive{"--archive", "", ""};

    Config understand(bool serving) const {
        using enum log::Level;
        Config config;
        if (host.value.empty()) host.refuse("an address or a host name");
        config.host = host.value;
        config.port = static_cast<std::uint16_t>(
            port.integer(0, 65535, "a whole number from 0 to 65535; 0 takes any free port"));
        if (data_dir.value.empty()) data_dir.refuse("the path of a folder");
        config.data_dir = data_dir.value;
        config.lock_ttl_ms = 1000 * lock_ttl.integer(1, longest_lock_ttl_seconds,
                                                     "a whole number of seconds from 1 to 2592000");
        understand_export(config);
        config.log_level = log_level.one_of<log::Level>(
            std::array<std::pair<std::string_view, log::Level>, 5>{
                {{"debug", debug}, {"info", info}, {"warn", warn}, {"error", error}, {"off", off}}},
            "debug, info, warn, error or off");
        config.log_format = log_format.one_of<log::Format>(
            std::array<std::pair<std::string_view, log::Format>, 2>{
                {{"text", log::Format::text}, {"json", log::Format::json}}},
            "text or json");
        config.postgres = understand_postgres();
        config.qr_dir =
            qr_dir.value.empty() ? config.data_dir / "qr" : std::filesystem::path(qr_dir.value);
        config.bucket = understand_bucket();
        config.job_queue = understand_job_queue();
        if (serving) config.redis = understand_redis();
        if (config.redis && !config.postgres) {
            throw ConfigError(
                "Redis is configured but PostgreSQL is not: with SQLite locks are kept in its "
                "file; set DB_HOST or DATABASE_URL too, or remove REDIS_HOST and REDIS_URL");
        }
        return config;
    }

private:
    void understand_export(Config& config) const {
        constexpr std::int64_t most_days = 36'500;
        config.export_after =
            after.integer(0, std::numeric_limits<std::int64_t>::max(), "the id of an entry");
        if (!retention_days.value.empty()) {
            config.retention_days =
                retention_days.integer(0, most_days, "a whole number of days from 0 to 36500");
        }
        // Without a file to move them to, all of them are printed, however long they are kept.
        if (archive.value.empty()) return;
        if (archive.value == "-") archive.refuse("the path of a file");
        if (retention_days.value.empty()) {
            throw ConfigError(archive.name() + " is set but " + retention_days.name() +
                              " is not: say how many days entries stay in the ledger");
        }
        config.archive = archive.value;
        if (config.export_after != 0) {
            throw ConfigError("--after does not go with " + archive.name() +
                              ": what is moved is told by its age");
        }
    }

    std::optional<postgres::Options> understand_postgres() const {
        postgres::Options options;
        options.url = from_environment("DATABASE_URL");
        const bool has_url = !options.url.empty();
        if (has_url && !db_host.value.empty()) refuse_both("DATABASE_URL", db_host.variable);
        const std::string password = from_environment("DB_PASSWORD");
        if (!has_url && db_host.value.empty()) {
            for (const Setting* const other :
                 {&db_port, &db_username, &db_name, &db_sslmode, &db_sslrootcert, &db_read_host}) {
                if (!other->value.empty()) refuse_alone(other->variable, "DB_HOST", "PostgreSQL");
            }
            if (!password.empty()) refuse_alone("DB_PASSWORD", "DB_HOST", "PostgreSQL");
            return std::nullopt;
        }
        if (has_url) {
            for (const Setting* const other :
                 {&db_port, &db_username, &db_name, &db_sslmode, &db_sslrootcert}) {
                if (!other->value.empty()) refuse_both("DATABASE_URL", other->variable);
            }
            if (!password.empty()) refuse_both("DATABASE_URL", "DB_PASSWORD");
        }
        for (std::string_view ports = db_port.value; !ports.empty();) {
            const std::size_t comma = std::min(ports.find(','), ports.size());
            Setting one = db_port;
            one.value = ports.substr(0, comma);
            one.integer(1, 65535, "a whole number from 1 to 65535, or one for each of DB_HOST");
            ports.remove_prefix(std::min(comma + 1, ports.size()));
        }
        static constexpr std::array<std::string_view, 7> ssl_modes{
            "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
        if (std::find(ssl_modes.begin(), ssl_modes.end(), db_sslmode.value) == ssl_modes.end()) {
            db_sslmode.refuse("disable, allow, prefer, require, verify-ca or verify-full");
        }
        options.host = db_host.value;
        options.port = db_port.value;
        options.username = db_username.value;
        options.password = password;
        options.name = db_name.value;
        options.ssl_mode = db_sslmode.value;
        options.ssl_root_certificate = db_sslrootcert.value;
        options.read_host = db_read_host.value;
        return options;
    }

    std::optional<aws::S3Options> understand_bucket() const {
        if (s3_bucket.value.empty()) {
            if (!s3_endpoint.value.empty()) {
                refuse_alone(s3_endpoint.variable, s3_bucket.variable, "a bucket");
            }
            return std::nullopt;
        }
        if (!qr_dir.value.empty()) refuse_both(s3_bucket.variable, qr_dir.variable);
        aws::S3Options options;
        options.endpoint = s3_endpoint.value;
        options.bucket = s3_bucket.value;
        options.region = aws_region();
        if (options.region.empty()) refuse_without("AWS_REGION", s3_bucket.variable);
        options.credentials = aws_credentials(s3_bucket.variable);
        options.root_certificate = from_environment("AWS_CA_BUNDLE");
        return options;
    }

    std::optional<aws::SqsOptions> understand_job_queue() const {
        if (job_queue_url.value.empty()) return std::nullopt;
        aws::SqsOptions options;
        options.queue_url = job_queue_url.value;
        options.region = aws_region();
        options.credentials = aws_credentials(job_queue_url.variable);
        options.root_certificate = from_environment("AWS_CA_BUNDLE");
        // Less than a claim, so that jobs that are held meanwhile stay so.
        options.bounds.call_ms = limits::job_claim_ms / 2;
        options.bounds.answer_ms = options.bounds.call_ms / 2;
        options.bounds.connect_ms = options.bounds.answer_ms / 2;
        return options;
    }

    static std::string aws_region() {
        const std::string region = from_environment("AWS_REGION");
        return region.empty() ? from_environment("AWS_DEFAULT_REGION") : region;
    }

    /// `reason`: the setting for which they are needed.
    static aws::Credentials aws_credentials(const std::string& reason) {
        aws::Credentials credentials{from_environment("AWS_ACCESS_KEY_ID"),
                                     from_environment("AWS_SECRET_ACCESS_KEY"),
                                     from_environment("AWS_SESSION_TOKEN")};
        if (credentials.access_key_id.empty()) refuse_without("AWS_ACCESS_KEY_ID", reason);
        if (credentials.secret_access_key.empty()) refuse_without("AWS_SECRET_ACCESS_KEY", reason);
        return credentials;
    }

    [[noreturn]] static void refuse_without(const std::string& missing,
                                            const std::string& variable) {
        throw ConfigError(variable + " is set but " + missing + " is not: set it too, or remove " +
                          variable);
    }

    std::optional<redis::Options> understand_redis() const {
        const std::string url = from_environment("REDIS_URL");
        const std::string password = from_environment("REDIS_PASSWORD");
        if (!url.empty()) {
            for (const Setting* const other : {&redis_host, &redis_port, &redis_tls}) {
                if (!other->value.empty()) refuse_both("REDIS_URL", other->variable);
            }
            if (!password.empty()) refuse_both("REDIS_URL", "REDIS_PASSWORD");
            try {
                return with_root_certificate(redis::parse_url(url), "make REDIS_URL rediss://");
            } catch (const std::invalid_argument& error) {
                throw ConfigError(std::string("REDIS_URL: ") + error.what());
            }
        }
        if (redis_host.value.empty()) {
            for (const Setting* const other : {&redis_port, &redis_tls, &redis_sslrootcert}) {
                if (!other->value.empty()) refuse_alone(other->variable, "REDIS_HOST", "Redis");
            }
            if (!password.empty()) refuse_alone("REDIS_PASSWORD", "REDIS_HOST", "Redis");
            return std::nullopt;
        }
        redis::Options options;
        options.host = redis_host.value;
        if (!redis_port.value.empty()) {
            options.port = static_cast<std::uint16_t>(
                redis_port.integer(1, 65535, "a whole number from 1 to 65535"));
        }
        options.password = password;
        options.tls = redis_tls.one_of<bool>(
            std::array<std::pair<std::string_view, bool>, 5>{
                {{"", false}, {"false", false}, {"0", false}, {"true", true}, {"1", true}}},
            "true or false");
        return with_root_certificate(std::move(options), "set REDIS_TLS=true");
    }

    /// `how` to have TLS: without it, certificates that are to be trusted would mean nothing.
    redis::Options with_root_certificate(redis::Options options, const std::string& how) const {
        if (!redis_sslrootcert.value.empty() && !options.tls) {
            throw ConfigError("REDIS_SSLROOTCERT is set but TLS with Redis is not: " + how +
                              ", or remove REDIS_SSLROOTCERT");
        }
        options.root_certificate = redis_sslrootcert.value;
        return options;
    }

    [[noreturn]] static void refuse_both(const std::string& url, const std::string& other) {
        throw ConfigError(url + " and " + other + " are both set; " + url +
                          " says it all, so remove one of them");
    }

    [[noreturn]] static void refuse_alone(const std::string& variable, const std::string& host,
                                          const std::string& what) {
        throw ConfigError(variable + " is set but " + host + " is not: set " + host + " to use " +
                          what + ", or remove " + variable);
    }
};

void add(CLI::App& command, Setting& setting, const char* type, const char* help) {
    CLI::Option* const option = command.add_option(setting.flag, setting.value, help);
    if (*setting.variable != '\0') option->envname(setting.variable);
    option->type_name(type);
    if (!setting.value.empty()) option->capture_default_str();
}

void add_storage(CLI::App& command, Settings& settings) {
    add(command, settings.data_dir, "FOLDER", "Where coupond.db lives");
    add(command, settings.log_level, "LEVEL", "debug, info, warn, error or off; to stderr");
    add(command, settings.log_format, "FORMAT", "text or json");
    add(command, settings.db_host, "HOST",
        "PostgreSQL's host, instead of SQLite; several with ','");
    add(command, settings.db_port, "PORT", "PostgreSQL's port; 5432 where it is not given");
    add(command, settings.db_username, "NAME", "Whom to connect as");
    add(command, settings.db_name, "NAME", "The database; the user's name where it is not given");
    add(command, settings.db_sslmode, "MODE",
        "disable, allow, prefer, require, verify-ca, verify-full");
    add(command, settings.db_sslrootcert, "FILE", "Certificates to trust, for the verify- modes");
}

/// What whoever works on jobs needs.
void add_jobs(CLI::App& command, Settings& settings) {
    add(command, settings.qr_dir, "FOLDER",
        "Where jobs put images of QR codes; qr in --data-dir where it is not given");
    add(command, settings.s3_bucket, "NAME", "A bucket of S3 to put them into instead");
    add(command, settings.s3_endpoint, "URL",
        "Where that is, where it is not Amazon's: https://host[:port][/path]");
    add(command, settings.job_queue_url, "URL",
        "A queue of SQS that tells workers of jobs; else they look in the database");
}

void add_serving(CLI::App& command, Settings& settings) {
    add(command, settings.host, "ADDRESS", "Address or host name to listen on; 0.0.0.0 for all");
    add(command, settings.port, "PORT", "Port to listen on; 0 takes any free one");
    add(command, settings.lock_ttl, "SECONDS",
        "How long a coupon stays locked while somebody pays");
    add_storage(command, settings);
    add(command, settings.db_read_host, "HOST", "A replica of PostgreSQL to read lists from");
    add(command, settings.redis_host, "HOST", "Keep locks in Redis there, not in PostgreSQL");
    add(command, settings.redis_port, "PORT", "Redis' port; 6379 where it is not given");
    add(command, settings.redis_tls, "BOOL", "true: speak TLS with Redis");
    add(command, settings.redis_sslrootcert, "FILE", "Certificates to trust, for Redis' TLS");
    add_jobs(command, settings);
}

constexpr const char* sources =
    "A setting comes from its flag, else from its environment variable, else from a NAME=value\n"
    "line in the file .env of the current folder, else it is the default behind the =.\n"
    "DB_PASSWORD, REDIS_PASSWORD, DATABASE_URL (postgresql://user:password@host/name) and\n"
    "REDIS_URL (redis://:password@host:port, rediss:// for TLS) have no flags, because\n"
    "command lines are seen by others; nor have those that AWS' own tools read, for a bucket or a\n"
    "queue: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, "
    "AWS_CA_BUNDLE.";

constexpr const char* exit_statuses =
    "Exit status: 0 done, or stopped by SIGTERM or SIGINT; 1 it could not be done, and why is\n"
    "said on stderr; 2 the settings or the arguments are wrong.";

constexpr const char* verify_help =
    "Recompute every state, count and limit from the ledger, and print what differs, a line each\n"
    "(up to 100). Changes nothing, works beside running servers, reads what is there at one "
    "moment\n"
    "(on PostgreSQL from the server that takes changes; Redis is not looked at)";

constexpr const char* verify_statuses =
    "Exit status: 0 nothing differs; 1 something does, as stdout says, or it could not be looked\n"
    "at, and why is said on stderr; 2 the settings or the arguments are wrong.";

constexpr const char* work_help =
    "Work on jobs, such as making codes, beside the servers of the same PostgreSQL database, "
    "until\n"
    "SIGTERM or SIGINT. A server does that itself; this is for more of them, or for another "
    "machine.\n"
    "Any number may run: each job is one worker's, and one that ends, however it does, leaves it "
    "to\n"
    "the others where it was";

constexpr const char* export_help =
    "Print the ledger, an entry a line, as /coupon/events lists it, beside running servers; it\n"
    "changes nothing. With --archive: move entries older than --retention-days out of the\n"
    "database, to the end of that file, in small batches, each on disk before it is removed; what\n"
    "was interrupted is taken up again. Only what later changes have superseded moves: books'\n"
    "creations, uploads, erasures and the last change of each code stay";

std::string_view trim(std::string_view text) {
    constexpr std::string_view blank = " \t\r";
    const std::size_t first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// What stands behind the `=`, without its quotes, or without the comment behind it.
std::string_view unquote(std::string_view rest) {
    const std::string_view value = trim(rest);
    if (!value.empty() && (value.front() == '"' || value.front() == '\'')) {
        const std::size_t close = value.find(value.front(), 1);
        if (close != std::string_view::npos) return value.substr(1, close - 1);
    }
    return trim(rest.substr(0, rest.find(" #")));
}

}  // namespace

void load_env_file(const std::filesystem::path& path) {
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return;
    std::ifstream file(path);
    if (!file) throw ConfigError("cannot read " + path.string());
    std::string raw;
    for (int number = 1; std::getline(file, raw); ++number) {
        std::string_view line = trim(raw);
        if (line.empty() || line.front() == '#') continue;
        if (line.starts_with("export ")) line = trim(line.substr(7));
        const std::size_t equals = line.find('=');
        const std::string name(trim(line.substr(0, equals)));
        if (equals == std::string_view::npos || name.empty()) {
            throw ConfigError(path.string() + ", line " + std::to_string(number) +
                              ": expected NAME=value");
        }
        const std::string value(unquote(line.substr(equals + 1)));
        setenv(name.c_str(), value.c_str(), 0);
    }
}

std::variant<Config, Information> read_config(int argc, char** argv) {
    // Whoever asks for help gets it, whatever stands in the file.
    const std::span arguments(argv, static_cast<std::size_t>(argc));
    const bool asks = std::any_of(arguments.begin(), arguments.end(), [](std::string_view word) {
        return word == "--help" || word == "-h" || word == "--version";
    });
    if (!asks) load_env_file(".env");

    CLI::App app{
        "coupond " COUPOND_VERSION
        ", a coupon engine: creates coupon books, makes codes or takes them in, assigns them to\n"
        "users, locks them while somebody pays and redeems them exactly once. Everything is kept "
        "in\n"
        "one SQLite file, or in PostgreSQL where DB_HOST or DATABASE_URL is set.\n\n"
        "  coupond serve                  serve http://127.0.0.1:3000, keep everything in ./data\n"
        "  coupond serve --port 8080      the same on another port (or PORT=8080)\n"
        "  DB_HOST=db DB_NAME=coupons coupond serve --migrate\n"
        "                                 keep everything in PostgreSQL\n"
        "  coupond migrate --status       which steps of the schema the database has\n"
        "  coupond verify                 whether all of it agrees with its ledger\n"
        "  coupond export-ledger          the ledger of all changes, as lines of JSON\n"
        "  coupond work                   more hands for jobs, such as making codes\n"
        "  coupond serve --help           every setting"};
    app.footer(exit_statuses);
    app.name("coupond");
    app.set_version_flag("--version", "coupond " COUPOND_VERSION, "Print the version and exit");
    app.set_help_flag("--help,-h", "Print this help and exit");
    app.require_subcommand(0, 1);
    app.allow_extras();

    // Apart, for CLI11 reads the environment for each of them.
    Settings of_serve, of_migrate, of_verify, of_export, of_work;
    bool migrate_first = false, status = false, dry_run = false;
    CLI::App& serve = *app.add_subcommand("serve", "Serve the HTTP API until SIGTERM or SIGINT");
    serve.footer(std::string(sources) + "\n\n" + exit_statuses);
    serve.allow_extras();
    add_serving(serve, of_serve);
    serve.add_flag("--migrate", migrate_first,
                   "Bring PostgreSQL's schema up to date first (SQLite's always is)");

    CLI::App& migrate = *app.add_subcommand(
        "migrate", "Create the database's schema or bring it up to date, and exit");
    migrate.footer(std::string(sources) + "\n\n" + exit_statuses);
    migrate.allow_extras();
    add_storage(migrate, of_migrate);
    CLI::Option* const status_flag =
        migrate.add_flag("--status", status, "Print which steps have been taken; change nothing");
    migrate.add_flag("--dry-run", dry_run, "Print the SQL that would be run; change nothing")
        ->excludes(status_flag);

    CLI::App& verify = *app.add_subcommand("verify", verify_help);
    verify.footer(std::string(verify_statuses) + "\n\n" + sources);
    verify.allow_extras();
    add_storage(verify, of_verify);

    CLI::App& export_ledger = *app.add_subcommand("export-ledger", export_help);
    export_ledger.footer(std::string(sources) + "\n\n" + exit_statuses);
    export_ledger.allow_extras();
    add(export_ledger, of_export.after, "ID", "Print entries with greater ids only");
    add(export_ledger, of_export.retention_days, "DAYS",
        "With --archive: how long entries stay in any case");
    add(export_ledger, of_export.archive, "FILE",
        "Where to move older ones; made where it is missing");
    add_storage(export_ledger, of_export);

    CLI::App& work = *app.add_subcommand("work", work_help);
    work.footer(std::string(sources) + "\n\n" + exit_statuses);
    work.allow_extras();
    add_storage(work, of_work);
    add_jobs(work, of_work);

    const auto see_help = [&app] {
        const std::vector<CLI::App*> found = app.get_subcommands();
        return "; see coupond " + (found.empty() ? "" : found.front()->get_name() + ' ') + "--help";
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Information{app.help()};
    } catch (const CLI::CallForVersion&) {
        return Information{"coupond " COUPOND_VERSION "\n"};
    } catch (const CLI::ParseError& error) {
        throw ConfigError(error.what() + see_help());
    }
    const std::vector<std::string> unknown = app.remaining(true);
    if (!unknown.empty()) {
        throw ConfigError("unknown argument '" + unknown.front() + '\'' + see_help());
    }
    if (app.get_subcommands().empty()) {
        throw ConfigError("say what to do, such as: coupond serve" + see_help());
    }
    const Settings& settings = migrate.parsed()         ? of_migrate
                               : verify.parsed()        ? of_verify
                               : export_ledger.parsed() ? of_export
                               : work.parsed()          ? of_work
                                                        : of_serve;
    Config config = settings.understand(serve.parsed());
    if (verify.parsed()) config.subcommand = Config::Subcommand::verify;
    if (export_ledger.parsed()) config.subcommand = Config::Subcommand::export_ledger;
    if (work.parsed()) {
        config.subcommand = Config::Subcommand::work;
        if (!config.postgres) {
            throw ConfigError(
                "coupond work is for PostgreSQL: with SQLite the server alone has the file, and "
                "works on the jobs; set DB_HOST or DATABASE_URL");
        }
    }
    config.migrate_first = migrate_first;
    if (migrate.parsed()) {
        config.subcommand = status    ? Config::Subcommand::migration_status
                            : dry_run ? Config::Subcommand::migration_dry_run
                                      : Config::Subcommand::migrate;
    }
    return config;
}

}  // namespace coupond
