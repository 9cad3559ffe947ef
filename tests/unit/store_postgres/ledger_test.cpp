// In which order entries get their ids, and when they are listed.
#include <gtest/gtest.h>

#include <barrier>
#include <future>
#include <thread>

#include "base/limits.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class PostgresLedgerTest : public testing::Test {
protected:
    PostgresLedgerTest() {
        run(tested_.store(), CreateBook{"n", "p", {}, {}});
        run(tested_.store(), UploadCodes{1, {"A", "B", "C", "D", "E", "F"}});
    }

    static void run(Store& store, const Command& command) {
        const auto outcomes = test::run(store, command, noon);
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
    }

    /// Of the entries that are listed; of one code, where it is named.
    std::vector<EntryId> listed(const std::optional<std::string>& code = {}) {
        EntryQuery query;
        query.limit = limits::page_entries;
        query.code = code;
        const Result<EntryPage> page = tested_.reads().list_entries(query);
        EXPECT_TRUE(page);
        std::vector<EntryId> ids;
        for (const EntryListing& listing : page->entries) ids.push_back(listing.entry.id);
        if (!code) {
            EXPECT_EQ(page->read_to, ids.back());
        }
        EXPECT_FALSE(page->more);
        EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
        return ids;
    }

    EntryId last_entry() { return sql_.integer("SELECT max(id) FROM ledger"); }

    PostgresStore tested_;
    PostgresConnection sql_ = tested_.connect();
};

TEST_F(PostgresLedgerTest, ListsWhatIsCommittedWhenNoOlderTransactionRunsAnyMore) {
    std::size_t entries = 2;
    for (const char* const end : {"COMMIT", "ROLLBACK"}) {
        const std::string code = entries == 2 ? "A" : "B";
        auto older = tested_.connect();
        older.run("BEGIN; SELECT pg_current_xact_id()");
        run(tested_.store(), AssignCode{code, "ann"});
        run(tested_.store(), LockCode{code, "ann", 1000});
        EXPECT_EQ(tested_.reads().list_books({.limit = 1}, noon)->books[0].counts.locked,
                  static_cast<std::int64_t>(entries) / 2);
        EXPECT_EQ(listed().size(), entries);
        EXPECT_EQ(listed(code).size(), 1u);
        older.run(end);
        entries += 2;
        EXPECT_EQ(listed().size(), entries);
        EXPECT_EQ(listed(code).size(), 3u);
        EXPECT_EQ(listed().back(), last_entry());
    }
}

TEST_F(PostgresLedgerTest, DoesNotWaitForTransactionsThatOnlyRead) {
    auto older = tested_.connect();
    older.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM coupon_book");
    run(tested_.store(), AssignCode{"A", "ann"});
    EXPECT_EQ(listed().size(), 3u);
}

TEST_F(PostgresLedgerTest, DoesNotWaitForTransactionsOfOtherDatabases) {
    const PostgresDatabase other("other");
    auto older = other.connect();
    older.run("BEGIN; SELECT pg_current_xact_id()");
    run(tested_.store(), AssignCode{"A", "ann"});
    EXPECT_EQ(listed().size(), 3u);
    EXPECT_EQ(listed().back(), last_entry());
}

TEST_F(PostgresLedgerTest, WaitsForTransactionsOfOtherRoles) {
    sql_.run(
        "DROP ROLE IF EXISTS coupond_other; CREATE ROLE coupond_other; "
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO coupond_other");
    auto older = tested_.connect();
    older.run("BEGIN; SELECT pg_current_xact_id()");
    run(tested_.store(), AssignCode{"A", "ann"});
    // What a reader without rights of its own would see.
    sql_.run("SET ROLE coupond_other");
    EXPECT_EQ(
        sql_.integer("SELECT count(*) FROM pg_stat_get_activity(NULL) "
                     "WHERE backend_xid = (SELECT pg_snapshot_xmin(pg_current_snapshot()))::xid"),
        1);
    sql_.run("RESET ROLE; DROP OWNED BY coupond_other; DROP ROLE coupond_other");
    EXPECT_EQ(listed().size(), 2u);
}

TEST_F(PostgresLedgerTest, ListsEntriesByTheIdsOfTheirTransactionsWhicheverEndsFirst) {
    const Command command = AssignCode{"A", "ann"};
    const Submissions submissions({&command, 1});
    Result<World> world = tested_.store().load(needs(submissions.span(), noon));
    ASSERT_TRUE(world);
    Decision decision = decide(*world, submissions.span(), noon);
    const auto second = tested_.database().open_store();
    run(*second, AssignCode{"B", "bob"});
    const EntryId later = last_entry();
    EXPECT_EQ(listed().size(), 2u);
    ASSERT_TRUE(tested_.store().save(decision.delta));
    const std::vector<EntryId> all = listed();
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all[2], decision.delta.entries.front().id);
    EXPECT_EQ(all[3], later);
}

TEST_F(PostgresLedgerTest, GivesGreaterIdsThanThoseOfAllThatWasSeen) {
    // The load has begun, but has not read the code yet, when another transaction changes it.
    ASSERT_TRUE(tested_.store().ping());
    auto blocking = tested_.connect();
    blocking.run("BEGIN; LOCK TABLE id_counter");
    const Command command = AssignCode{"A", "ann"};
    const Submissions submissions({&command, 1});
    auto loading =
        std::async([&] { return tested_.store().load(needs(submissions.span(), noon)); });
    while (sql_.integer("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    sql_.run(
        "UPDATE coupon_code SET last_entry_id = 4096 * "
        "(pg_current_xact_id()::text::bigint + transaction_offset) FROM ledger_origin "
        "WHERE code = 'A'");
    const EntryId seen = sql_.integer("SELECT last_entry_id FROM coupon_code WHERE code = 'A'");
    blocking.run("COMMIT");
    Result<World> world = loading.get();
    ASSERT_TRUE(world);
    EXPECT_EQ(world->find("A")->loaded_entry, seen);
    EXPECT_GT(world->next_entry_id, seen);
    EXPECT_EQ(world->next_entry_id % limits::batch_entries, 0);
    EXPECT_TRUE(tested_.store().save(decide(*world, submissions.span(), noon).delta));
}

TEST_F(PostgresLedgerTest, GoesOnAfterTheLastEntryInAnotherCluster) {
    const auto cluster = sql_.text("SELECT system_identifier FROM pg_control_system()");
    std::size_t entries = 2;
    // As if the numbers of transactions there were smaller than here, or greater.
    for (const char* const offset : {"-1000000000", "1000000000"}) {
        tested_.close();
        sql_.run("UPDATE ledger_origin SET system_identifier = 1, transaction_offset = " +
                 std::string(offset));
        const EntryId last = last_entry();
        tested_.open();
        std::barrier start(3);
        {
            std::vector<std::jthread> threads;
            for (const char* const code : {"A", "B", "C"}) {
                threads.emplace_back([&, code, again = entries > 2] {
                    const auto store = tested_.database().open_store();
                    start.arrive_and_wait();
                    run(*store, again ? Command(LockCode{code, "ann", 1000})
                                      : Command(AssignCode{code, "ann"}));
                });
            }
        }
        EXPECT_EQ(sql_.text("SELECT system_identifier FROM ledger_origin"), cluster);
        const std::vector<EntryId> all = listed();
        entries += 3;
        ASSERT_EQ(all.size(), entries);
        EXPECT_EQ(all[entries - 4], last);
        EXPECT_LT(all.back(), last + 1'000 * limits::batch_entries);
    }
}

TEST_F(PostgresLedgerTest, KeepsItsPlaceInTheSameCluster) {
    const std::string origin = "SELECT * FROM ledger_origin";
    const auto before = sql_.rows(origin);
    tested_.close();
    tested_.open();
    run(tested_.store(), AssignCode{"A", "ann"});
    EXPECT_EQ(sql_.rows(origin), before);
}

}  // namespace
}  // namespace coupond::test
