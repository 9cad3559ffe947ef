// What everybody goes by is changed by one process while no other one decides anything: books,
// which each process keeps in memory, and who holds a code.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class AloneTest : public testing::Test {
protected:
    AloneTest() {
        CreateBook book{"n", "p", {}, {}};
        book.lock_ttl_s = 1;
        run_one(here(), book);
        run_one(here(), UploadCodes{1, {"A", "B", "C"}});
        run_one(here(), AssignCode{"A", "ann"});
        run_one(there(), AssignCode{"B", "ann"});  // both know the book
    }

    static Outcome run_one(Store& store, const Command& command) {
        auto outcomes = run(store, command, noon);
        EXPECT_TRUE(outcomes);
        return std::move(outcomes.value().front());
    }

    static EditBook with_ttl(std::int64_t seconds) {
        EditBook edit{1, {}, {}};
        edit.wish.lock_ttl_s = seconds;
        edit.wished.set(16);
        return edit;
    }

    static Needs needs_of(const Command& command) {
        const Submission submission{command, "request"};
        const Submission* const one[] = {&submission};
        Needs needed = needs(one, noon);
        needed.codes.clear();  // views into what is gone by then
        return needed;
    }
    static Needs needs_alone() { return needs_of(ArchiveBook{1}); }
    static Needs needs_a_code() {
        Needs needed;
        needed.codes = {{"A", {}}};
        return needed;
    }

    /// How many wait for a lock of the database.
    std::int64_t waiting() {
        return sql_.integer("SELECT count(*) FROM pg_locks WHERE NOT granted");
    }
    void wait_for_one_that_waits() {
        while (waiting() == 0) std::this_thread::sleep_for(milliseconds(1));
    }

    Store& here() { return tested_.store(); }
    Store& there() { return *second_; }

    PostgresStore tested_;
    std::unique_ptr<Store> second_ = tested_.database().open_store();
    PostgresConnection sql_ = tested_.connect();
};

TEST_F(AloneTest, WhoWantsToBeAloneGivesUpWhereAnotherBatchStaysOpen) {
    ASSERT_TRUE(here().load(needs_a_code()));
    for (const Command& command :
         {Command(with_ttl(5)), Command(ArchiveBook{1}), Command(RestoreBook{1})}) {
        const auto begin = steady_clock::now();
        const Result<World> world = there().load(needs_of(command));
        const auto waited = steady_clock::now() - begin;
        ASSERT_TRUE(world.has_error());
        EXPECT_EQ(world.error(), Failure::conflict);
        EXPECT_GE(waited, milliseconds(190));
        EXPECT_LT(waited, milliseconds(2'000));
        EXPECT_EQ(waiting(), 0);
    }
    EXPECT_TRUE(there().ping());  // that is none of the database's fault
    ASSERT_TRUE(here().save({}));
    EXPECT_TRUE(there().load(needs_alone()));
}

TEST_F(AloneTest, WhoWantsToBeAloneWaitsForABatchThatEndsSoon) {
    ASSERT_TRUE(here().load(needs_a_code()));
    auto alone = std::async([&] { return there().load(needs_alone()).has_value(); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save({}));
    EXPECT_TRUE(alone.get());
}

TEST_F(AloneTest, OthersWaitForWhoIsAloneAndSeeWhatTheyHaveDone) {
    const Command edit = with_ttl(5);
    const Submissions submissions({&edit, 1});
    Result<World> world = there().load(needs(submissions.span(), noon));
    ASSERT_TRUE(world);
    auto locked = std::async([&] { return run_one(here(), LockCode{"A", "ann", 1000}); });
    wait_for_one_that_waits();
    EXPECT_EQ(locked.wait_for(milliseconds(300)), std::future_status::timeout);
    ASSERT_TRUE(there().save(decide(*world, submissions.span(), noon).delta));
    EXPECT_EQ(std::get<CodeLocked>(locked.get()).until, noon + 5'000);
}

TEST_F(AloneTest, TwoAreNeverAloneAtOnce) {
    ASSERT_TRUE(here().load(needs_alone()));
    EXPECT_EQ(there().load(needs_alone()).error(), Failure::conflict);
    ASSERT_TRUE(here().save({}));
    EXPECT_TRUE(there().load(needs_alone()));
    EXPECT_EQ(here().load(needs_alone()).error(), Failure::conflict);
}

TEST_F(AloneTest, ManyBatchesAreOpenAtOnce) {
    ASSERT_TRUE(here().load(needs_a_code()));
    EXPECT_TRUE(there().load(needs_a_code()));
}

TEST_F(AloneTest, ABookThatAnotherProcessHasChangedIsReadAgain) {
    for (const std::int64_t seconds : {5, 7, 9}) {
        run_one(there(), with_ttl(seconds));
        // The code's book is no longer known: its load is to be run again.
        EXPECT_EQ(here().load(needs_a_code()).error(), Failure::conflict);
        const auto code = load_code(here(), "A");
        ASSERT_TRUE(code);
        EXPECT_EQ(load_book(here(), 1)->lock_ttl_s, seconds);
        Result<World> world = here().load(needs_a_code());
        ASSERT_TRUE(world);  // and then is
        EXPECT_EQ(world->find_book(1)->lock_ttl_s, seconds);
        ASSERT_TRUE(here().save({}));
    }
    // Who has changed it knows it as it is.
    EXPECT_EQ(load_book(there(), 1)->lock_ttl_s, 9);
}

TEST_F(AloneTest, OthersAreToldThatSomebodyWasAlone) {
    const auto told = [&](Store& store) {
        Result<World> world = loaded(store, needs_a_code());
        EXPECT_TRUE(store.save({}));
        return world->others_were_alone;
    };
    told(here());
    told(there());
    EXPECT_FALSE(told(here()));
    // Whoever has changed nothing was as if not there.
    ASSERT_TRUE(there().load(needs_alone()));
    ASSERT_TRUE(there().save({}));
    EXPECT_FALSE(told(here()));
    ASSERT_TRUE(there().load(needs_alone()));
    Draft draft;
    draft.delta.counts[1].total = 0;
    ASSERT_TRUE(there().save(draft.delta));
    EXPECT_FALSE(told(there()));  // it was itself
    Result<World> world = here().load(needs_a_code());
    EXPECT_TRUE(!world || world->others_were_alone);
    ASSERT_TRUE(here().save({}));
    EXPECT_FALSE(told(here()));
}

TEST_F(AloneTest, ABookThatAnotherProcessHasMadeNeedNotBeReadAgain) {
    ASSERT_TRUE(here().load(needs_a_code()));
    ASSERT_TRUE(here().save({}));
    run_one(there(), CreateBook{"m", "p", {}, {}});
    EXPECT_TRUE(here().load(needs_a_code()));
    ASSERT_TRUE(here().save({}));
    EXPECT_EQ(load_book(here(), 2)->name, "m");
}

TEST_F(AloneTest, ASaveAfterItsLoadWasGivenUpMeetsAChangedBook) {
    const Command lock = LockCode{"A", "ann", 1000};
    const Submissions submissions({&lock, 1});
    Result<World> world = here().load(needs(submissions.span(), noon));
    ASSERT_TRUE(world);
    const Decision decision = decide(*world, submissions.span(), noon);
    ASSERT_TRUE(here().save({}));
    run_one(there(), with_ttl(5));
    EXPECT_EQ(here().save(decision.delta).error(), Failure::conflict);
    EXPECT_EQ(load_code(here(), "A")->lock.has_value(), false);
    EXPECT_EQ(std::get<CodeLocked>(run_one(here(), lock)).until, noon + 5'000);
}

TEST_F(AloneTest, AFirstLimitCountsWhatAnotherProcessHasRedeemed) {
    run_one(here(), LockCode{"A", "ann", 1000});
    run_one(here(), LockCode{"B", "ann", 1000});
    run_one(here(), RedeemCode{"A", "ann"});
    EditBook limit{1, {}, {}};
    limit.wish.max_redemptions_per_user = 1;
    limit.wished.set(2);
    run_one(there(), limit);
    EXPECT_EQ(std::get<Refusal>(run_one(here(), RedeemCode{"B", "ann"})),
              Refusal::user_redemption_limit_reached);
}

TEST_F(AloneTest, ACodeThatTwoProcessesHaveFoundExpiredIsKeptBackOnce) {
    EditCode expire{"C", {}, {}, {}};
    expire.wish.expires_at = noon + 1;
    expire.wished.set(1);
    run_one(here(), expire);
    const Command any = AssignAny{"bob", 1};
    const Submissions submissions({&any, 1});
    std::vector<World> worlds;
    std::vector<Decision> decisions;
    for (Store* const store : {&here(), &there()}) {
        Needs needed = needs(submissions.span(), noon + 1, 4);  // more than there is
        Result<World> world = loaded(*store, needed);
        ASSERT_TRUE(world);
        worlds.push_back(std::move(*world));
    }
    for (World& world : worlds) {
        decisions.push_back(decide(world, submissions.span(), noon + 1));
        ASSERT_FALSE(decisions.back().shortage);
        EXPECT_EQ(std::get<Refusal>(decisions.back().outcomes[0]), Refusal::no_available_coupons);
    }
    EXPECT_TRUE(here().save(decisions[0].delta));
    EXPECT_EQ(there().save(decisions[1].delta).error(), Failure::conflict);
    EXPECT_EQ(sql_.rows("SELECT book_id, sum(kept_back) FROM book_count GROUP BY book_id "
                        "ORDER BY book_id"),
              (std::vector<std::string>{"0|1", "1|1"}));
    EXPECT_EQ(sql_.integer("SELECT count(*) FROM coupon_code WHERE shuffle_key < 0"), 1);
}

}  // namespace
}  // namespace coupond::test
