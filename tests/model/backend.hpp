// The backend that the model is held against: SQLite, or, where built for it, PostgreSQL; with
// COUPOND_BACKEND=redis and the locks in Redis.
#pragma once

#include "engine/engine.hpp"
#include "support/manual_clock.hpp"

#ifdef COUPOND_TEST_ON_POSTGRES
#include <cstdlib>
#include <string_view>

#include "support/postgres_store.hpp"
#include "unit/lock/support.hpp"
#else
#include "support/second_connection.hpp"
#include "support/sqlite_store.hpp"
#endif

namespace coupond::test {

#ifdef COUPOND_TEST_ON_POSTGRES

/// An empty one.
class Backend {
public:
    static constexpr int histories = 40;
    static constexpr bool ids_may_skip = true;

    Backend() {
        if (!with_redis()) return;
        redis().ask({"FLUSHALL"});
        static const std::unique_ptr<Locks> of_lane = redis::open(redis().options());
        locks_ = of_lane.get();
        locked_reads_ = with_locks(postgres_.open_reads(), redis::open(redis().options()));
    }

    Store& store() { return postgres_.store(); }
    Locks* locks() { return locks_; }
    ReadStore& reads() { return locked_reads_ ? *locked_reads_ : postgres_.reads(); }
    std::vector<std::string> rows(const std::string& sql) { return postgres_.connect().rows(sql); }
    /// Redis forgets locks by its own clock: not before the test's says so.
    static Timestamp start() {
        static const Timestamp once = SystemClock().now() + 3'600'000;
        return once;
    }

private:
    static bool with_redis() {
        const char* const backend = std::getenv("COUPOND_BACKEND");
        return backend != nullptr && std::string_view(backend) == "redis";
    }
    static RedisServer& redis() {
        static RedisServer server;
        return server;
    }

    PostgresStore postgres_;
    Locks* locks_ = nullptr;
    std::unique_ptr<ReadStore> locked_reads_;
};

#else

class Backend {
public:
    static constexpr int histories = 300;
    static constexpr bool ids_may_skip = false;

    Store& store() { return sqlite_.store(); }
    Locks* locks() { return nullptr; }
    ReadStore& reads() { return sqlite_.reads(); }
    std::vector<std::string> rows(const std::string& sql) {
        return SecondConnection(sqlite_.file()).rows(sql);
    }
    static Timestamp start() { return ManualClock().now(); }

private:
    SqliteStore sqlite_{TemporaryFolder::Disk::memory};
};

#endif

}  // namespace coupond::test
