// The backend that the model is held against, an empty one: COUPOND_BACKEND=sqlite (also where it
// is not set), postgres or redis, which is PostgreSQL with the locks in Redis.
#pragma once

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.hpp"
#include "support/manual_clock.hpp"
#include "support/postgres_store.hpp"
#include "support/sqlite_store.hpp"
#include "unit/lock/support.hpp"

namespace coupond::test {

class Backend {
public:
    /// How many histories a property is checked with.
    static int histories() { return kind() == Kind::sqlite ? 300 : 40; }
    static bool ids_may_skip() { return kind() != Kind::sqlite; }

    Backend() {
        if (kind() == Kind::sqlite) {
            sqlite_ = std::make_unique<SqliteStore>(TemporaryFolder::Disk::memory);
            return;
        }
        postgres_ = std::make_unique<PostgresStore>();
        if (kind() != Kind::redis) return;
        redis().ask({"FLUSHALL"});
        static const std::unique_ptr<Locks> of_lane = redis::open(redis().options());
        locks_ = of_lane.get();
        locked_reads_ = with_locks(postgres_->open_reads(), redis::open(redis().options()));
    }

    Store& store() { return sqlite_ ? sqlite_->store() : postgres_->store(); }
    Locks* locks() { return locks_; }
    ReadStore& reads() {
        if (sqlite_) return sqlite_->reads();
        return locked_reads_ ? *locked_reads_ : postgres_->reads();
    }
    std::vector<std::string> rows(const std::string& sql) {
        return sqlite_ ? sqlite_->connect().rows(sql) : PostgresStore::connect().rows(sql);
    }
    /// Redis forgets locks by its own clock: not before the test's says so.
    static Timestamp start() {
        static const Timestamp once = SystemClock().now() + 3'600'000;
        return once;
    }

private:
    enum class Kind { sqlite, postgres, redis };

    static Kind kind() {
        const char* const variable = std::getenv("COUPOND_BACKEND");
        const std::string_view name = variable == nullptr ? "sqlite" : variable;
        if (name == "sqlite") return Kind::sqlite;
        if (name == "postgres") return Kind::postgres;
        if (name == "redis") return Kind::redis;
        throw std::runtime_error("COUPOND_BACKEND must be sqlite, postgres or redis");
    }
    static RedisServer& redis() {
        static RedisServer server;
        return server;
    }

    std::unique_ptr<SqliteStore> sqlite_;
    std::unique_ptr<PostgresStore> postgres_;
    Locks* locks_ = nullptr;
    std::unique_ptr<ReadStore> locked_reads_;
};

}  // namespace coupond::test
