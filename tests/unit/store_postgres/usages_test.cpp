// How much of books' limits is used, where several processes count it at once.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

constexpr std::int64_t day_ms = 86'400'000;

class PostgresUsagesTest : public testing::Test {
protected:
    /// A book with at most three redemptions a day, one that limits those of each user, and one
    /// without limits; of each, four codes that ann has locked, before there were any.
    PostgresUsagesTest() {
        // Whatever holds this machine up, nobody goes on without their turn.
        sql_.run("ALTER FUNCTION coupond_take_turns SET lock_timeout = 60000");
        for (const char* const name : {"n", "m", "o"}) run_one(here(), CreateBook{name, "p"});
        for (const BookId id : {1, 2, 3}) {
            const std::vector<std::string> codes = numbered("ABC"[id - 1] + std::string(), 4);
            run_one(here(), UploadCodes{id, codes});
            for (const std::string& code : codes) {
                run_one(here(), AssignCode{code, "ann"});
                run_one(there(), LockCode{code, "ann", 2 * day_ms});
            }
        }
        EditBook limited{1, {}, {}}, of_users{2, {}, {}};
        limited.wish.limits = {{Per::day, {3, {}, {}}}};
        limited.wished.set(11);
        of_users.wish.max_redemptions_per_user = 9;
        of_users.wished.set(2);
        for (const EditBook& edit : {limited, of_users}) run_one(here(), edit);
    }

    static Outcome run_one(Store& store, const Command& command, Timestamp at = noon) {
        auto outcomes = run(store, command, at);
        EXPECT_TRUE(outcomes) << to_string(outcomes.error());
        return std::move(outcomes.value().front());
    }
    static EntryId redeem(Store& store, const std::string& code) {
        return std::get<CodeRedeemed>(run_one(store, RedeemCode{code, "ann"})).redemption.id;
    }

    /// A command that is decided and not saved yet.
    struct Open {
        Open(Store& store, Command command, Timestamp at = noon)
            : submissions(std::span(&command, 1)),
              world(loaded(store, needs(submissions.span(), at)).value()),
              decision(decide(world, submissions.span(), at)) {
            EXPECT_FALSE(std::holds_alternative<Refusal>(decision.outcomes.front()));
        }

        Submissions submissions;
        World world;
        Decision decision;
    };

    void wait_for_one_that_waits() {
        const std::string waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        while (sql_.integer(waiting) == 0)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    std::vector<std::string> rows() {
        return sql_.rows(
            "SELECT book_id, user_number, per, redeemed FROM usage_count ORDER BY 1, 2");
    }

    Store& here() { return tested_.store(); }
    Store& there() { return *second_; }

    PostgresStore tested_;
    std::unique_ptr<Store> second_ = tested_.database().open_store();
    PostgresConnection sql_ = tested_.connect();
};

using Rows = std::vector<std::string>;

TEST_F(PostgresUsagesTest, OfABookAreWaitedForByWhoeverRedeemsInIt) {
    redeem(here(), "A0");
    const Open first(here(), RedeemCode{"A1", "ann"});
    auto second = std::async([&] { return redeem(there(), "A2"); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(first.decision.delta));
    EXPECT_GT(second.get(), 0);  // without a conflict
    EXPECT_EQ(rows(), Rows{"1|0|1|3"});
}

TEST_F(PostgresUsagesTest, OfABookAreWaitedForByWhoeverFindsItsLimitReached) {
    redeem(here(), "A0");
    redeem(here(), "A1");
    const Open last(here(), RedeemCode{"A2", "ann"});
    auto refused = std::async([&] { return run_one(there(), RedeemCode{"A3", "ann"}); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(last.decision.delta));
    EXPECT_EQ(std::get<Refusal>(refused.get()), Refusal::redemption_limit_reached);
}

TEST_F(PostgresUsagesTest, OfABookAreWaitedForByWhoeverLocksInIt) {
    redeem(here(), "A0");
    run_one(here(), UnlockCode{"A2", "ann"});
    const Open first(here(), RedeemCode{"A1", "ann"});
    auto second = std::async([&] { return run_one(there(), LockCode{"A2", "ann", 1000}); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(first.decision.delta));
    EXPECT_TRUE(std::holds_alternative<CodeLocked>(second.get()));
    EXPECT_EQ(sql_.rows("SELECT redeemed, locked FROM usage_count"),
              std::vector<std::string>{"2|1"});
}

TEST_F(PostgresUsagesTest, OfABookAreWaitedForByWhoeverRollsBack) {
    const EntryId made = redeem(here(), "A0");
    const Open second(here(), RedeemCode{"A1", "ann"});
    auto rolled_back = std::async([&] { return run_one(there(), RollBack{made, ""}); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(second.decision.delta));
    EXPECT_TRUE(std::holds_alternative<RolledBack>(rolled_back.get()));
    EXPECT_EQ(rows(), Rows{"1|0|1|1"});
}

// Whoever has waited does not go by the row of yesterday, which it has found first.
TEST_F(PostgresUsagesTest, OfABookAreWaitedForAlsoWhereTheyAreCountedAnew) {
    redeem(here(), "A0");
    const Timestamp tomorrow = noon + day_ms;
    const Open first(here(), RedeemCode{"A1", "ann"}, tomorrow);
    auto second = std::async([&] { return run_one(there(), RedeemCode{"A2", "ann"}, tomorrow); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(first.decision.delta));
    EXPECT_TRUE(std::holds_alternative<CodeRedeemed>(second.get()));
    EXPECT_EQ(rows(), Rows{"1|0|1|2"});
}

TEST_F(PostgresUsagesTest, AreNotWaitedForByOthers) {
    const EntryId made = redeem(here(), "B0");
    redeem(here(), "A0");
    const Open first(here(), RedeemCode{"A1", "ann"});
    run_one(there(), UnlockCode{"B2", "ann"});
    run_one(there(), LockCode{"B2", "ann", 1000});
    redeem(there(), "B1");
    run_one(there(), RollBack{made, ""});
    redeem(there(), "C0");
    const ValidateCode validate{"A2", "ann"};
    const ValidateCode* const asked[] = {&validate};
    EXPECT_EQ(tested_.reads().find_codes(asked, noon)->at(0)->used.by_all[1].redeemed, 1);
    EXPECT_TRUE(here().save(first.decision.delta));
}

TEST_F(PostgresUsagesTest, OfABookAreWaitedForAlsoWhereThereAreNoneYet) {
    const Open first(here(), RedeemCode{"A0", "ann"});
    auto second = std::async([&] { return redeem(there(), "A1"); });
    wait_for_one_that_waits();
    ASSERT_TRUE(here().save(first.decision.delta));
    EXPECT_GT(second.get(), 0);
    EXPECT_EQ(rows(), Rows{"1|0|1|2"});
}

TEST_F(PostgresUsagesTest, OfABookAreNotWaitedForLongWhereSomebodyStandsStill) {
    sql_.run("ALTER FUNCTION coupond_take_turns SET lock_timeout = 1");
    const Open first(here(), RedeemCode{"A0", "ann"});
    redeem(there(), "A1");
    EXPECT_EQ(here().save(first.decision.delta).error(), Failure::conflict);
    EXPECT_EQ(rows(), Rows{"1|0|1|1"});
}

TEST_F(PostgresUsagesTest, OfAUserAreBegunByOneOfThoseWhoRedeemFirst) {
    const Open first(here(), RedeemCode{"B0", "ann"});
    redeem(there(), "B1");
    EXPECT_EQ(here().save(first.decision.delta).error(), Failure::conflict);
    redeem(here(), "B0");
    EXPECT_EQ(rows(), Rows{"2|1|0|2"});
}

TEST_F(PostgresUsagesTest, ThatAreTheSameAgainHaveBeenOthersInBetween) {
    for (const std::string book : {"A", "B"}) {
        redeem(here(), book + "0");
        const Open open(here(), RedeemCode{book + "1", "ann"});
        ASSERT_TRUE(here().save({}));
        const Rows before = rows();
        run_one(there(), RollBack{redeem(there(), book + "2"), ""});
        EXPECT_EQ(rows(), before);
        EXPECT_EQ(here().save(open.decision.delta).error(), Failure::conflict);
        EXPECT_EQ(rows(), before);
        redeem(here(), book + "1");
    }
    EXPECT_EQ(rows(), (Rows{"1|0|1|2", "2|1|0|2"}));
}

TEST_F(PostgresUsagesTest, StandWhicheverProcessHasCountedThem) {
    const EntryId made = redeem(here(), "A0");
    run_one(there(), RollBack{made, ""}, noon + day_ms);
    redeem(there(), "A1");
    EXPECT_EQ(sql_.rows("SELECT since, sum(standing) FROM activity_count WHERE book_id = 1 "
                        "GROUP BY since HAVING sum(standing) <> 0"),
              Rows{std::to_string(noon.ms) + "|1"});
    sql_.run("DELETE FROM usage_count");
    EXPECT_EQ(usages_of(here(), "A2", "ann").at({1, "", Per::day}).now.redeemed, 1);
}

}  // namespace
}  // namespace coupond::test
