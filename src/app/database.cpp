#include "app/database.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/sqlite/sqlite.hpp"

namespace coupond {

void require_schema(Database& database) {
    const int version = database.schema_version();
    const auto latest = static_cast<int>(database.migrations().size());
    if (version == latest) return;
    if (version == 0) {
        throw OpenError(database.name() +
                        " has no schema yet: if it is the database that is meant, run coupond "
                        "migrate, or serve with --migrate");
    }
    const std::string has = " has schema version " + std::to_string(version) +
                            ", this coupond needs " + std::to_string(latest);
    throw OpenError(database.name() + has +
                    (version < latest ? ": run coupond migrate, or serve with --migrate"
                                      : ": run a newer coupond"));
}

std::unique_ptr<Database> open_database(const Config& config) {
    if (!config.postgres) {
        using enum Config::Subcommand;
        const auto access = config.subcommand == export_ledger ? sqlite::Access::share
                            : config.subcommand == serve || config.subcommand == migrate
                                ? sqlite::Access::own
                                : sqlite::Access::look;
        return std::make_unique<sqlite::Database>(config.data_dir, access);
    }
    try {
        return postgres::open(*config.postgres);
    } catch (const std::invalid_argument& error) {
        throw ConfigError(std::string("DATABASE_URL: ") + error.what());
    }
}

DatabaseWait::DatabaseWait(Database& database, bool migrate, Done done)
    : thread_([this, &database, migrate, done = std::move(done)](const std::stop_token& stop) {
          run(stop, database, migrate, done);
      }) {}

void DatabaseWait::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void DatabaseWait::run(const std::stop_token& stop, Database& database, bool migrate,
                       const Done& done) {
    using namespace std::chrono_literals;
    std::mutex mutex;
    std::condition_variable_any changed;
    std::string reason;
    std::chrono::milliseconds pause{limits::reconnect_first_ms};
    while (!stop.stop_requested()) {
        try {
            if (migrate) database.migrate();
            require_schema(database);
            if (!reason.empty()) log::info("the database answers now");
            return done(nullptr);
        } catch (const Unreachable& error) {
            if (reason != error.what()) {
                reason = error.what();
                log::warn("waiting for the database", {{"reason", std::string_view(reason)}});
            }
        } catch (const OpenError&) {
            return done(std::current_exception());
        }
        std::unique_lock lock(mutex);
        changed.wait_for(lock, stop, pause, [] { return false; });
        pause = std::min(2 * pause, std::chrono::milliseconds(limits::reconnect_most_ms));
    }
}

}  // namespace coupond
