// The backend that the model is held against, an empty one: COUPOND_BACKEND=sqlite (also where it
// is not set), postgres or redis, which is PostgreSQL with the locks in Redis. On PostgreSQL two
// processes share it: what each has in memory is not all that the other one has done.
#pragma once

#include <array>
#include <cstdlib>
#include <memory>
#include <span>
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
        second_ = postgres_->database().open_store();
        for (std::size_t process = 0; process < processes; ++process) {
            // A first load that finds no book is run again, and takes other ids than these tests
            // would like to name.
            if (store(process).load({})) store(process).save({});
        }
        if (kind() != Kind::redis) return;
        redis().ask({"FLUSHALL"});
        static const std::array of_lanes{redis::open(redis().options()),
                                         redis::open(redis().options())};
        for (std::size_t i = 0; i < processes; ++i) locks_[i] = of_lanes[i].get();
        locked_reads_ = with_locks(postgres_->open_reads(), redis::open(redis().options()));
    }

    static constexpr std::size_t processes = 2;

    Store& store(std::size_t process) {
        if (sqlite_) return sqlite_->store();
        return process == 0 ? postgres_->store() : *second_;
    }
    Locks* locks(std::size_t process = 0) { return locks_[process]; }
    /// From here on nothing can be run, but what is there be verified.
    void end() {
        if (sqlite_) sqlite_->close();
    }
    /// What verify() finds.
    std::vector<std::string> differences(Timestamp now) {
        const auto database = sqlite_database(sqlite::Access::look);
        const auto snapshot = (database ? *database : postgres_->database()).open_snapshot();
        return verify(*snapshot, now, [](std::int64_t, std::int64_t) {}).lines;
    }
    /// Moves entries out of the ledger, as far as nothing rests on them; returns how many.
    std::int64_t move_out(std::span<const EntryId> ids) {
        const auto database = sqlite_database(sqlite::Access::share);
        const auto retention =
            (database ? *database : postgres_->database()).open_ledger_retention();
        return retention->remove(retention->superseded(ids));
    }
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
    std::unique_ptr<Database> sqlite_database(sqlite::Access access) {
        if (!sqlite_) return nullptr;
        return std::make_unique<sqlite::Database>(sqlite_->folder(), access);
    }
    static RedisServer& redis() {
        static RedisServer server;
        return server;
    }

    std::unique_ptr<SqliteStore> sqlite_;
    std::unique_ptr<PostgresStore> postgres_;
    std::unique_ptr<Store> second_;
    std::array<Locks*, processes> locks_{};
    std::unique_ptr<ReadStore> locked_reads_;
};

}  // namespace coupond::test
