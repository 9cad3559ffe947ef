#include "app/config.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string_view>

namespace coupond {
namespace {

constexpr std::int64_t longest_lock_ttl_seconds = 30 * 24 * 3600;

/// A setting as it was given, before it is understood.
struct Setting {
    const char* flag;
    const char* variable;
    std::string value;

    [[noreturn]] void refuse(std::string_view allowed) const {
        throw ConfigError(std::string(flag) + " (" + variable + "): '" + value +
                          "' is not allowed; it must be " + std::string(allowed));
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

struct Settings {
    Setting host{"--host", "HOST", "127.0.0.1"};
    Setting port{"--port", "PORT", "3000"};
    Setting data_dir{"--data-dir", "DATA_DIR", "./data"};
    Setting lock_ttl{"--lock-ttl-seconds", "LOCK_TTL_SECONDS", "300"};
    Setting log_level{"--log-level", "LOG_LEVEL", "info"};
    Setting log_format{"--log-format", "LOG_FORMAT", "text"};

    Config understand() const {
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
        config.log_level = log_level.one_of<log::Level>(
            std::array<std::pair<std::string_view, log::Level>, 5>{
                {{"debug", debug}, {"info", info}, {"warn", warn}, {"error", error}, {"off", off}}},
            "debug, info, warn, error or off");
        config.log_format = log_format.one_of<log::Format>(
            std::array<std::pair<std::string_view, log::Format>, 2>{
                {{"text", log::Format::text}, {"json", log::Format::json}}},
            "text or json");
        return config;
    }
};

void add(CLI::App& command, Setting& setting, const char* type, const char* help) {
    command.add_option(setting.flag, setting.value, help)
        ->envname(setting.variable)
        ->type_name(type)
        ->capture_default_str();
}

void add_storage(CLI::App& command, Settings& settings) {
    add(command, settings.data_dir, "FOLDER", "Where coupond.db lives; made where it is missing");
    add(command, settings.log_level, "LEVEL", "debug, info, warn, error or off; to stderr");
    add(command, settings.log_format, "FORMAT", "text or json");
}

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
        ", a coupon engine: creates coupon books, takes in codes, assigns them to users, locks\n"
        "them while somebody pays and redeems them exactly once. Everything is kept in one SQLite\n"
        "file.\n\n"
        "  coupond serve                  serve http://127.0.0.1:3000, keep everything in ./data\n"
        "  coupond serve --port 8080      the same on another port (or PORT=8080)\n"
        "  coupond serve --help           every setting"};
    app.name("coupond");
    app.set_version_flag("--version", "coupond " COUPOND_VERSION, "Print the version and exit");
    app.set_help_flag("--help,-h", "Print this help and exit");
    app.require_subcommand(0, 1);
    app.allow_extras();
    constexpr const char* sources =
        "A setting comes from its flag, else from its environment variable, else from a "
        "NAME=value\n"
        "line in the file .env of the current folder, else it is the default behind the =.";

    Settings of_serve, of_migrate;  // apart, for CLI11 reads the environment for both of them
    CLI::App& serve = *app.add_subcommand("serve", "Serve the HTTP API until SIGTERM or SIGINT");
    serve.footer(sources);
    serve.allow_extras();
    add(serve, of_serve.host, "ADDRESS", "Address or host name to listen on; 0.0.0.0 for all");
    add(serve, of_serve.port, "PORT", "Port to listen on; 0 takes any free one");
    add(serve, of_serve.lock_ttl, "SECONDS", "How long a coupon stays locked while somebody pays");
    add_storage(serve, of_serve);

    CLI::App& migrate = *app.add_subcommand(
        "migrate", "Create the database or bring its schema up to date, and exit");
    migrate.footer(sources);
    migrate.allow_extras();
    add_storage(migrate, of_migrate);

    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        return Information{app.help()};
    } catch (const CLI::CallForVersion&) {
        return Information{"coupond " COUPOND_VERSION "\n"};
    } catch (const CLI::ParseError& error) {
        throw ConfigError(std::string(error.what()) + "; see coupond --help");
    }
    const std::vector<std::string> unknown = app.remaining(true);
    if (!unknown.empty()) {
        throw ConfigError("unknown argument '" + unknown.front() + "'; see coupond --help");
    }
    if (app.get_subcommands().empty()) {
        throw ConfigError("say what to do, such as: coupond serve; see coupond --help");
    }
    Config config = (migrate.parsed() ? of_migrate : of_serve).understand();
    config.subcommand = migrate.parsed() ? Config::Subcommand::migrate : Config::Subcommand::serve;
    return config;
}

}  // namespace coupond
