#include <algorithm>
#include <stdexcept>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/libpq.hpp"
#include "store/postgres/link.hpp"

namespace coupond::postgres {
namespace {

using std::chrono::steady_clock;

std::string* find(Settings& settings, std::string_view keyword) {
    for (auto& [word, value] : settings) {
        if (word == keyword) return &value;
    }
    return nullptr;
}

void set(Settings& settings, const char* keyword, std::string value) {
    std::string* const there = find(settings, keyword);
    if (there != nullptr) {
        *there = std::move(value);
    } else {
        settings.emplace_back(keyword, std::move(value));
    }
}

void set_default(Settings& settings, const char* keyword, const char* value) {
    if (find(settings, keyword) == nullptr) settings.emplace_back(keyword, value);
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts(1);
    for (const char c : list) {
        if (c == ',') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

/// The option of `url` that libpq's `reason` says it does not know; empty where it says something
/// else, or where what it says may be a part of a password: there are characters that no option
/// has, a password stands before it, or the end of the user's part behind it.
std::string unknown_option(const std::string& url, std::string_view reason) {
    for (const std::string_view said :
         {"invalid URI query parameter: \"", "invalid connection option \""}) {
        if (!reason.starts_with(said)) continue;
        reason.remove_prefix(said.size());
        const std::string name(reason.substr(0, reason.find('"')));
        if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_0123456789") != std::string::npos) {
            return {};
        }
        for (std::size_t at = 0; (at = url.find(name, at)) != std::string::npos; ++at) {
            const bool begins =
                at == 0 || std::string_view("?& \t\n").find(url[at - 1]) != std::string::npos;
            const std::size_t end = url.find_first_not_of(" \t\n", at + name.size());
            if (!begins || end == std::string::npos || url[end] != '=') continue;
            const bool secret = url.find("password") < at || url.find('@', at) != std::string::npos;
            return secret ? std::string() : name;
        }
    }
    return {};
}

Settings parse_url(const std::string& url) {
    const Libpq& pq = libpq();
    char* reason = nullptr;
    PQconninfoOption* const options = pq.PQconninfoParse(url.c_str(), &reason);
    if (options == nullptr) {  // libpq's reason may repeat the password
        const std::string unknown = unknown_option(url, reason == nullptr ? "" : reason);
        pq.PQfreemem(reason);
        if (!unknown.empty()) {
            throw std::invalid_argument("libpq does not know the option '" + unknown + "'");
        }
        throw std::invalid_argument(
            "it has to be like postgresql://user@host:5432/name, or key=value pairs, with options "
            "that libpq knows");
    }
    Settings settings;
    for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
        if (option->val != nullptr) settings.emplace_back(option->keyword, option->val);
    }
    pq.PQconninfoFree(options);
    // Where the password was not percent-encoded, a part of it stands in the wrong place by now,
    // and would be shown.
    for (const char* const keyword : {"host", "hostaddr", "port", "dbname"}) {
        const std::string* const value = find(settings, keyword);
        const bool port = std::string_view(keyword) == "port";
        if (value != nullptr &&
            (value->find('@') != std::string::npos ||
             (port && value->find_first_not_of("0123456789,") != std::string::npos))) {
            throw std::invalid_argument(
                "percent-encode special characters in the user and the password");
        }
    }
    return settings;
}

Settings parse(const Options& options) {
    if (!options.url.empty()) return parse_url(options.url);
    Settings settings;
    const std::pair<const char*, const std::string&> fields[] = {
        {"host", options.host},
        {"port", options.port},
        {"user", options.username},
        {"password", options.password},
        {"dbname", options.name},
        {"sslmode", options.ssl_mode},
        {"sslrootcert", options.ssl_root_certificate},
    };
    for (const auto& [keyword, value] : fields) {
        if (!value.empty()) settings.emplace_back(keyword, value);
    }
    return settings;
}

/// One Settings a host, where there are lists of hosts and ports that fit together.
std::vector<Settings> split_hosts(const Settings& settings) {
    Settings all = settings;
    std::vector<std::pair<const char*, std::vector<std::string>>> lists;
    std::size_t count = 1;
    for (const char* const keyword : {"host", "hostaddr", "port"}) {
        const std::string* const list = find(all, keyword);
        if (list == nullptr) continue;
        lists.emplace_back(keyword, split(*list));
        count = std::max(count, lists.back().second.size());
    }
    std::vector<Settings> each(count, settings);
    for (const auto& [keyword, parts] : lists) {
        if (parts.size() != 1 && parts.size() != count) return {settings};  // libpq says it
        for (std::size_t i = 0; i < count; ++i) {
            set(each[i], keyword, parts[parts.size() == 1 ? 0 : i]);
        }
    }
    return each;
}

std::string url_of(Settings settings) {
    const auto value = [&](const char* keyword) {
        const std::string* const found = find(settings, keyword);
        return found == nullptr ? std::string() : *found;
    };
    const std::vector<std::string> hosts =
        split(value("host").empty() ? value("hostaddr") : value("host"));
    const std::vector<std::string> ports = split(value("port"));
    std::string url = "postgresql://";
    for (std::size_t i = 0; i < hosts.size(); ++i) {
        if (hosts[i].starts_with('/')) continue;  // a folder with the server's socket
        const std::string& port = ports[ports.size() == hosts.size() ? i : 0];
        const bool v6 = hosts[i].find(':') != std::string::npos;
        url += (i > 0 ? "," : "") + (v6 ? "[" + hosts[i] + "]" : hosts[i]);
        if (!port.empty()) url += ":" + port;
    }
    return url + "/" + value("dbname");
}

constexpr const char* look_at_server =
    "SELECT current_setting('server_version_num')::integer, current_setting('server_version'), "
    "current_setting('server_encoding'), current_setting('synchronous_commit'), "
    "current_setting('fsync'), pg_backend_pid(), "
    "CASE WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
    " END, (SELECT system_identifier FROM pg_control_system())";

constexpr int oldest_version = 150000;

NoConnection unfit(std::string message) {
    return NoConnection{{{}, std::move(message), {}}};
}

}  // namespace

Servers::Servers(const Options& options) {
    Settings settings = parse(options);
    name_ = url_of(settings);
    set(settings, "client_encoding", "UTF8");
    set_default(settings, "fallback_application_name", "coupond");
    // An answer that does not come is our own deadlines' matter; these end idle connections.
    set_default(settings, "keepalives_idle", "30");
    set_default(settings, "keepalives_interval", "10");
    set_default(settings, "keepalives_count", "3");
    Settings reading = settings;
    if (!options.read_host.empty()) {
        std::erase_if(reading, [](const auto& setting) { return setting.first == "hostaddr"; });
        set(reading, "host", options.read_host);
        std::string* const ports = find(reading, "port");
        if (ports != nullptr && split(*ports).size() != split(options.read_host).size()) {
            *ports = split(*ports).front();
        }
    }
    set_default(settings, "target_session_attrs", "read-write");
    set(reading, "target_session_attrs", "any");
    write_ = split_hosts(settings);
    read_ = split_hosts(reading);
}

const std::vector<Settings>& Servers::of(Side side) const {
    return side == Side::write ? write_ : read_;
}

std::unique_ptr<Connection> Servers::connect(Side side, std::size_t& first, Deadline deadline) {
    const std::vector<Settings>& all = of(side);
    for (std::size_t i = 0;; ++i) {
        const std::size_t target = (first + i) % all.size();
        const auto now = steady_clock::now();
        const auto share = (deadline - now) / static_cast<std::int64_t>(all.size() - i);
        try {
            auto connection = std::make_unique<Connection>(
                all[target], prepares_, deadline == no_deadline ? deadline : now + share);
            first = target;
            return connection;
        } catch (const Lost&) {
            if (i + 1 == all.size()) throw;
        }
    }
}

Server Servers::check(Connection& connection, Deadline deadline) {
    connection.execute(look_at_server);
    connection.sync();
    const Replies replies = connection.receive_all(deadline);
    const Rows& rows = replies.rows.at(0);
    if (rows.integer(0, 0) < oldest_version) {
        throw unfit("the server is PostgreSQL " + std::string(rows.text(0, 1)) +
                    ", coupond needs version 15 or newer");
    }
    if (rows.text(0, 2) != "UTF8") {
        throw unfit("the database's encoding is " + std::string(rows.text(0, 2)) +
                    ", coupond needs UTF8");
    }
    const bool lossy = rows.text(0, 3) == "off" || rows.text(0, 4) == "off";
    if (lossy && !warned_.exchange(true)) {
        log::warn("the database may lose what was answered when its machine fails",
                  {{"synchronous_commit", rows.text(0, 3)}, {"fsync", rows.text(0, 4)}});
    }
    Server server;
    server.pid = static_cast<int>(rows.integer(0, 5));
    server.pooled = server.pid != connection.announced_pid();
    server.history = std::string(rows.text(0, 6)) + "/" + std::to_string(rows.integer(0, 7));
    return server;
}

int Servers::schema_version(Connection& connection, Deadline deadline) {
    // Not by to_regclass(), which within a transaction may not see what another one has just made.
    connection.execute(
        "SELECT count(*) > 0 FROM pg_class "
        "WHERE relname = 'schema_migration' AND pg_table_is_visible(oid)");
    connection.sync();
    if (!connection.receive_all(deadline).rows.at(0).boolean(0, 0)) return 0;
    connection.execute("SELECT coalesce(max(version), 0)::integer FROM schema_migration");
    connection.sync();
    return static_cast<int>(connection.receive_all(deadline).rows.at(0).integer(0, 0));
}

}  // namespace coupond::postgres
