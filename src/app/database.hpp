// Which database the configuration means, and its way to a schema that can be served.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <thread>

#include "app/config.hpp"
#include "store/store.hpp"

namespace coupond {

/// For the subcommands that work beside a server, one that can be shared or looked at. Throws
/// OpenError, and ConfigError where DATABASE_URL is not understood.
std::unique_ptr<Database> open_database(const Config& config);

/// Throws OpenError where `database` does not have the schema that this program needs.
void require_schema(Database& database);

/// On a thread of its own: waits until the database answers, says so in the log where that takes
/// longer, and sees to its schema.
class DatabaseWait {
public:
    /// Called once, on that thread, unless stopped before: with nothing when the database can be
    /// served from; with an OpenError where its schema is another and `migrate` was not asked for.
    using Done = std::function<void(std::exception_ptr)>;

    DatabaseWait(Database& database, bool migrate, Done done);
    /// Gives up waiting; returns when the thread has ended.
    void stop();

private:
    void run(const std::stop_token& stop, Database& database, bool migrate, const Done& done);

    std::jthread thread_;
};

}  // namespace coupond
