// Conflicts, refused rows and pools that run out.
#include "engine/executor.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "unit/engine/support.hpp"

namespace coupond::test {
namespace {

class ExecutorTest : public EngineTest {
protected:
    std::vector<Answered> run_batch(const std::vector<Command>& commands, Locks* locks = nullptr) {
        const Submissions submissions(commands);
        std::vector<Answered> answers;
        for (Executed& executed : execute(store_, locks, clock_, submissions.span())) {
            answers.push_back({0, std::move(executed.outcome), executed.decided_at, {}});
        }
        EXPECT_EQ(answers.size(), commands.size());
        return answers;
    }

    /// A hook that lets `action` happen between the first load and its save.
    HookedStore::Hook once(std::function<void()> action) {
        return [action, done = false]() mutable -> std::optional<Failure> {
            if (!std::exchange(done, true)) action();
            return std::nullopt;
        };
    }
};

BookWish discount_of_5() {
    BookWish wish;
    wish.discount = from_short_form(500);
    return wish;
}

TEST_F(ExecutorTest, RunsAgainOnFreshRowsWhereAnotherHasTakenTheCodeMeanwhile) {
    prepare({"A", "B"});
    store_.before_save = once([this] {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "zoe"}, clock_.now()));
        clock_.advance(7);
    });
    const auto answers = run_batch({AssignCode{"A", "ann"}, AssignCode{"B", "ann"}});
    EXPECT_TRUE(answers[0].is(Refusal::assigned_to_another_user));
    EXPECT_TRUE(answers[1].is<CodeAssigned>());
    EXPECT_EQ(answers[1].decided_at, clock_.now());  // that of the run that counts
    EXPECT_EQ(store_.loads, 2);
    EXPECT_EQ(store_.saves, 2);
    EXPECT_EQ(second().rows("SELECT code, user_id FROM coupon_code JOIN coupon_user ON "
                            "number = assigned_to ORDER BY code"),
              (std::vector<std::string>{"A|zoe", "B|ann"}));
}

TEST_F(ExecutorTest, ErasesUsersAfterAllElseInAFewTransactions) {
    prepare({"A", "B", "C"});
    const auto answers =
        run_batch({EraseUser{"ann", "e1"}, AssignCode{"A", "ann"}, EraseUser{"ann", "e2"},
                   AssignCode{"B", "ann"}, LockCode{"A", "ann", 1000}, EraseUser{"zoe", "e3"},
                   AssignCode{"C", "zoe"}});
    EXPECT_TRUE(answers[0].is<UserErased>());
    EXPECT_TRUE(answers[1].is<CodeAssigned>());
    EXPECT_TRUE(answers[2].is(Refusal::user_not_found));
    EXPECT_TRUE(answers[3].is<CodeAssigned>());
    EXPECT_TRUE(answers[4].is<CodeLocked>());
    EXPECT_TRUE(answers[5].is<UserErased>());
    EXPECT_TRUE(answers[6].is<CodeAssigned>());
    EXPECT_EQ(store_.saves, 2);
    EXPECT_EQ(
        second().rows("SELECT code, user_id, locked_until FROM coupon_code JOIN coupon_user "
                      "ON number = assigned_to ORDER BY code"),
        (std::vector<std::string>{"A|e1|" + std::to_string(clock_.now().ms), "B|e1|", "C|e3|"}));
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is(Refusal::assigned_to_another_user));

    std::vector<Command> many(2 * limits::batch_erasures + 1, EraseUser{"nobody", "e"});
    store_.loads = 0;
    for (const Answered& answer : run_batch(many)) EXPECT_TRUE(answer.is(Refusal::user_not_found));
    EXPECT_EQ(store_.loads, 3);
}

TEST_F(ExecutorTest, FindsCodesThatAnotherHasUploadedMeanwhile) {
    prepare({"A"});
    store_.before_save = once([this] {
        ASSERT_TRUE(run(sqlite_.store(), UploadCodes{1, {"N"}}, clock_.now()));
    });
    const auto answers = run_batch({UploadCodes{1, {"N"}}, UploadCodes{1, {"M"}}});
    EXPECT_TRUE(answers[0].is(Refusal::codes_already_exist));
    ASSERT_TRUE(answers[1].is<CodesUploaded>());
    EXPECT_EQ(std::get<CodesUploaded>(*answers[1].outcome).first_id, 3);
}

TEST_F(ExecutorTest, LooksForCodesThatWereExpectedToBeNewOnceOneIsThere) {
    prepare({"A", "B"});
    CreateBook folding{"f", "{4}", {}, {}};
    folding.case_sensitive = false;
    ASSERT_TRUE(run(sqlite_.store(), folding, clock_.now()));
    AddGenerated added{{2, 2, {}}, {}, "{4}", {}, {}};
    added.expects_new = true;
    const auto add = [&](const std::vector<std::string>& codes) {
        added.draft = {};
        for (const std::string& code : codes) {
            added.draft.candidates.push_back({code, ++added.draft.next});
        }
        store_.loads = store_.saves = 0;
        const Answered answer = run_batch({added})[0];
        EXPECT_EQ(store_.loads, store_.saves);
        const auto* const made =
            answer.outcome ? std::get_if<CodesGenerated>(&*answer.outcome) : nullptr;
        if (made == nullptr) return std::vector<std::string>();
        const auto drafted = static_cast<std::int64_t>(made->added.codes.size());
        added.generator.next = second().integer("SELECT next FROM code_generator");
        EXPECT_EQ(drafted, 2);
        return made->added.codes;
    };
    using Codes = std::vector<std::string>;
    EXPECT_EQ(add({"k1", "k2"}), (Codes{"k1", "k2"}));
    EXPECT_EQ(store_.loads, 1);
    EXPECT_EQ(add({"l1", "A", "l2"}), (Codes{"l1", "l2"}));  // another book's
    EXPECT_EQ(store_.loads, 2);
    EXPECT_EQ(add({"K1", "m1", "m2"}), (Codes{"m1", "m2"}));  // another spelling
    EXPECT_EQ(store_.loads, 2);
    EXPECT_EQ(add({"n1", "N1", "n2"}), (Codes{"n1", "n2"}));  // of the draft itself
    EXPECT_EQ(store_.loads, 1);
    // One that has come between the load and the save.
    store_.before_save = once([this] {
        ASSERT_TRUE(run(sqlite_.store(), UploadCodes{1, {"o1"}}, clock_.now()));
    });
    EXPECT_EQ(add({"o1", "o2", "o3"}), (Codes{"o2", "o3"}));
    EXPECT_EQ(store_.loads, 2);
    EXPECT_EQ(second().integer("SELECT total FROM book_count WHERE book_id = 2"), 10);
    EXPECT_EQ(second().integer("SELECT count(*) FROM coupon_code"), 13);
}

TEST_F(ExecutorTest, KeepsToAUsersLimitThatAnotherHasUsedUpMeanwhile) {
    prepare({"A", "B"});
    for (const char* const code : {"A", "B"}) {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{code, "ann"}, clock_.now()));
        ASSERT_TRUE(run(sqlite_.store(), LockCode{code, "ann", 1000}, clock_.now()));
    }
    limit(1);
    store_.before_save = once([this] {
        ASSERT_TRUE(run(sqlite_.store(), RedeemCode{"A", "ann"}, clock_.now()));
    });
    EXPECT_TRUE(run_batch({RedeemCode{"B", "ann"}})[0].is(Refusal::user_redemption_limit_reached));
    EXPECT_EQ(second().integer("SELECT redeemed FROM usage_count"), 1);
}

TEST_F(ExecutorTest, GivesUpOnABatchThatAlwaysMeetsAConflict) {
    prepare({"A"});
    store_.before_save = [] { return Failure::conflict; };
    const auto answers = run_batch({AssignCode{"A", "ann"}, AssignCode{"A", "bob"}});
    for (const Answered& answer : answers) EXPECT_TRUE(answer.is(Failure::unavailable));
    EXPECT_GE(store_.saves, limits::batch_reruns);
    store_.before_save = nullptr;
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is<CodeAssigned>());
}

TEST_F(ExecutorTest, GetsThroughAsManyConflictsAsItMay) {
    prepare({"A"});
    store_.before_save = [left = limits::batch_reruns]() mutable -> std::optional<Failure> {
        if (left-- > 0) return Failure::conflict;
        return std::nullopt;
    };
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is<CodeAssigned>());
}

TEST_F(ExecutorTest, LeavesARefusedRowAloneAndLetsItsNeighboursThrough) {
    prepare(numbered("C", 20));
    sqlite_.refuse("bob");
    for (const std::size_t bad : {0u, 7u, 12u}) {
        std::vector<Command> commands;
        for (int i = 0; i < 13; ++i) {
            const bool is_bad = commands.size() == bad;
            commands.push_back(
                AssignCode{is_bad ? "C19" : "C" + std::to_string(i), is_bad ? "bob" : "ann"});
        }
        const auto answers = run_batch(commands);
        for (std::size_t i = 0; i < answers.size(); ++i) {
            if (i == bad) {
                EXPECT_TRUE(answers[i].is(Failure::refused)) << bad;
            } else {
                EXPECT_TRUE(answers[i].is<CodeAssigned>()) << bad << ' ' << i;
            }
        }
    }
    EXPECT_EQ(second().rows("SELECT user_id, count(*) FROM coupon_code JOIN coupon_user ON "
                            "number = assigned_to GROUP BY user_id"),
              (std::vector<std::string>{"ann|13"}));
    EXPECT_EQ(second().integer("SELECT available FROM book_count WHERE book_id = 1"), 7);
}

/// Locks that can be read, and are taken as often as `acquire_fails` says nothing.
class FailingLocks final : public Locks {
public:
    std::optional<Failure> load_fails, acquire_fails;

    Result<std::vector<std::optional<Lock>>> load(
        std::span<const std::string_view> codes) override {
        if (before_load) before_load();
        if (load_fails) return *load_fails;
        std::vector<std::optional<Lock>> found;
        for (const std::string_view code : codes) {
            const auto lock = held.find(std::string(code));
            found.push_back(lock == held.end() ? std::nullopt : std::optional(lock->second));
            if (found.back()) found.back()->idempotency_key.clear();
        }
        return found;
    }
    Result<std::vector<std::optional<Lock>>> load_more(
        std::span<const std::string_view> codes) override {
        return load(codes);
    }
    Result<std::vector<std::string>> idempotency_keys(
        std::span<const std::string_view> codes) override {
        std::vector<std::string> keys;
        for (const std::string_view code : codes)
            keys.push_back(held.at(std::string(code)).idempotency_key);
        return keys;
    }
    Result<void> acquire(std::span<const LockChange> changes, Timestamp) override {
        if (acquire_fails) return *acquire_fails;
        acquired += changes.size();
        for (const LockChange& change : changes) held[std::string(change.code)] = *change.lock;
        return {};
    }
    void release(std::span<const LockChange> changes, Timestamp) override {
        for (const LockChange& change : changes) held.erase(std::string(change.code));
    }
    Result<std::vector<std::int64_t>> count(std::span<const BookId> books, Timestamp) override {
        return std::vector<std::int64_t>(books.size());
    }
    Result<void> ping() override { return {}; }

    std::function<void()> before_load;
    std::map<std::string, Lock> held;
    std::size_t acquired = 0;
};

TEST_F(ExecutorTest, FailsOnlyWhoWantsALockWhereNoneCanBeTaken) {
    prepare({"U1", "U2", "U3", "I1", "I2", "I3"});
    for (const Failure failure : {Failure::unavailable, Failure::indeterminate}) {
        const std::string tag = failure == Failure::unavailable ? "U" : "I";
        FailingLocks locks;
        locks.acquire_fails = failure;
        locks.held[tag + "1"] = {"ann", clock_.now() + 1000};
        for (const char* const number : {"1", "2"}) {
            ASSERT_TRUE(run(sqlite_.store(), AssignCode{tag + number, "ann"}, clock_.now()));
        }
        const auto answers =
            run_batch({RedeemCode{tag + "1", "ann"}, LockCode{tag + "2", "ann", 1000},
                       AssignCode{tag + "3", "bob"}, CreateBook{"n", "p", {}, {}}},
                      &locks);
        EXPECT_TRUE(answers[0].is<CodeRedeemed>());
        EXPECT_TRUE(answers[1].is(failure));
        EXPECT_TRUE(answers[2].is<CodeAssigned>());
        EXPECT_TRUE(answers[3].is<BookCreated>());
    }
}

TEST_F(ExecutorTest, FailsOnlyWhatNamesACodeWhereNoLockCanBeRead) {
    prepare({"A", "B"});
    FailingLocks locks;
    locks.load_fails = Failure::unavailable;
    const auto answers = run_batch({AssignCode{"A", "ann"}, AssignAny{"bob", {}}}, &locks);
    EXPECT_TRUE(answers[0].is(Failure::unavailable));
    EXPECT_TRUE(answers[1].is<CodeAssigned>());
}

TEST_F(ExecutorTest, EntersALockThatIsKeptElsewhereWithoutAChangeOfTheCode) {
    prepare({"A"});
    FailingLocks locks;
    for (const Answered& answer :
         run_batch({AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann"}},
                   &locks)) {
        EXPECT_TRUE(answer.outcome && !answer.is<Refusal>());
    }
    EXPECT_EQ(second().rows("SELECT id, type, previous_id FROM ledger WHERE id > 2 ORDER BY id"),
              (std::vector<std::string>{"3|3|2", "4|4|", "5|5|3"}));
    EXPECT_EQ(second().rows("SELECT last_entry_id, locked_until FROM coupon_code"),
              std::vector<std::string>{"5|"});
    EXPECT_TRUE(locks.held.empty());
}

TEST_F(ExecutorTest, UnlocksAsIfItTookALockThatEndsNow) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    EXPECT_TRUE(run_batch({UnlockCode{"A", "ann"}}, &locks)[0].is<CodeUnlocked>());
    EXPECT_EQ(store_.saves, 0);  // there is none
    const Timestamp first = clock_.now();
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is<CodeLocked>());
    clock_.advance(5);
    for (const Answered& answer : run_batch(
             {UnlockCode{"A", "bob"}, UnlockCode{"A", "ann"}, UnlockCode{"A", "ann"}}, &locks)) {
        EXPECT_TRUE(answer.is<CodeUnlocked>() || answer.is(Refusal::not_assigned_to_user));
    }
    EXPECT_EQ(locks.acquired, 2U);
    EXPECT_EQ(locks.held.at("A").until, clock_.now());
    EXPECT_EQ(locks.held.at("A").user_id, "ann");
    EXPECT_TRUE(run_batch({RedeemCode{"A", "ann"}}, &locks)[0].is(Refusal::not_locked));
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is<CodeLocked>());
    EXPECT_EQ(second().rows("SELECT type, previous_id, locked_until FROM ledger WHERE type > 3 "
                            "ORDER BY id"),
              (std::vector<std::string>{"4||" + std::to_string(first.ms + 1000),
                                        "12||" + std::to_string(first.ms + 1000),
                                        "4||" + std::to_string(clock_.now().ms + 1000)}));
    EXPECT_EQ(second().rows("SELECT last_entry_id, locked_until FROM coupon_code"),
              std::vector<std::string>{"3|" + std::to_string(first.ms)});
    EXPECT_EQ(second().integer("SELECT count(*) FROM lock_count"), 0);
}

TEST_F(ExecutorTest, UnlocksAndLocksInTheOrderAsked) {
    prepare({"A", "B"});
    FailingLocks locks;
    const auto answers =
        run_batch({AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, UnlockCode{"A", "ann"},
                   RedeemCode{"A", "ann"}, LockCode{"A", "ann", 2000}, UnlockCode{"B", "ann"},
                   RedeemCode{"A", "ann"}, UnlockCode{"A", "ann"}},
                  &locks);
    EXPECT_TRUE(answers[1].is<CodeLocked>());
    EXPECT_TRUE(answers[2].is<CodeUnlocked>());
    EXPECT_TRUE(answers[3].is(Refusal::not_locked));
    EXPECT_TRUE(answers[4].is<CodeLocked>());
    EXPECT_TRUE(answers[5].is(Refusal::not_assigned_to_user));
    EXPECT_TRUE(answers[6].is<CodeRedeemed>());
    EXPECT_TRUE(answers[7].is(Refusal::already_redeemed));
    EXPECT_TRUE(locks.held.empty());
}

TEST_F(ExecutorTest, TakesBackAndRedeemsAgainWhereLocksAreKeptElsewhere) {
    prepare({"A"});
    const Order order{"o", 1000, Currency::find("EUR").value()};
    FailingLocks locks;
    const auto first = run_batch(
        {AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann", order}},
        &locks);
    ASSERT_TRUE(first[2].is<CodeRedeemed>());
    const EntryId id = std::get<CodeRedeemed>(*first[2].outcome).redemption.id;
    EXPECT_TRUE(locks.held.empty());
    clock_.advance(5);
    const Timestamp back = clock_.now();
    EXPECT_TRUE(run_batch({RollBack{id, ""}}, &locks)[0].is<RolledBack>());
    EXPECT_TRUE(locks.held.empty());
    // As of a lock that has ended with that, as far as the row tells of it.
    EXPECT_EQ(second().rows("SELECT locked_until, redeemed_at FROM coupon_code"),
              std::vector<std::string>{std::to_string(back.ms) + "|"});
    EXPECT_EQ(second().integer("SELECT count(*) FROM lock_count"), 0);
    EXPECT_TRUE(run_batch({RedeemCode{"A", "ann", order}}, &locks)[0].is(Refusal::not_locked));
    clock_.advance(5);
    const auto second_time = run_batch(
        {LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann", order}, RedeemCode{"A", "ann", order}},
        &locks);
    EXPECT_TRUE(second_time[0].is<CodeLocked>());
    ASSERT_TRUE(second_time[1].is<CodeRedeemed>());
    EXPECT_FALSE(std::get<CodeRedeemed>(*second_time[1].outcome).replayed);
    EXPECT_TRUE(std::get<CodeRedeemed>(*second_time[2].outcome).replayed);
    EXPECT_TRUE(locks.held.empty());
    EXPECT_EQ(second().integer("SELECT ever_locked FROM book_count WHERE book_id = 1"), 1);
    EXPECT_EQ(second().rows("SELECT locked_until FROM coupon_code"), std::vector<std::string>{""});
}

TEST_F(ExecutorTest, TakesBackInPartAndChangesACodeInOneBatchWhereLocksAreKeptElsewhere) {
    prepare({"A"});
    ASSERT_TRUE(
        run(sqlite_.store(), EditBook{1, discount_of_5(), BookMembers().set(3)}, clock_.now()));
    FailingLocks locks;
    const auto first = run_batch(
        {AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann"}}, &locks);
    ASSERT_TRUE(first[2].is<CodeRedeemed>());
    const EntryId id = std::get<CodeRedeemed>(*first[2].outcome).redemption.id;
    EditCode edit{"A", {}, {}, {}};
    edit.wish.active = false;
    edit.wished.set(0);
    clock_.advance(5);
    for (const Answered& answer :
         run_batch({RollBack{id, "", 1'0000}, edit, RollBack{id, "", 1'0000}}, &locks)) {
        EXPECT_TRUE(answer.is<RolledBack>() || answer.is<CodeChanged>());
    }
    EXPECT_EQ(second().rows("SELECT locked_until, redeemed_at IS NULL FROM coupon_code"),
              std::vector<std::string>{"|0"});
    const Timestamp back = clock_.now();
    edit.wish.active = true;
    for (const Answered& answer : run_batch({RollBack{id, ""}, edit}, &locks)) {
        EXPECT_TRUE(answer.is<RolledBack>() || answer.is<CodeChanged>());
    }
    const auto rows = [&] {
        return second().rows("SELECT locked_until, redeemed_at FROM coupon_code");
    };
    EXPECT_EQ(rows(), std::vector<std::string>{std::to_string(back.ms) + "|"});
    // What is changed later leaves that as it is.
    clock_.advance(5);
    edit.wish.active = false;
    EXPECT_TRUE(run_batch({edit}, &locks)[0].is<CodeChanged>());
    EXPECT_EQ(rows(), std::vector<std::string>{std::to_string(back.ms) + "|"});
    EXPECT_TRUE(run_batch({UnassignCode{"A", {}}}, &locks)[0].is<CodeUnassigned>());
    EXPECT_EQ(rows(), std::vector<std::string>{"|"});
}

TEST_F(ExecutorTest, TakesBackBehindAllThatGoesByLocksWhereTheyAreKeptElsewhere) {
    prepare({"A"});
    FailingLocks locks;
    const auto first = run_batch(
        {AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann"}}, &locks);
    ASSERT_TRUE(first[2].is<CodeRedeemed>());
    const EntryId id = std::get<CodeRedeemed>(*first[2].outcome).redemption.id;
    // What goes by locks comes first.
    const auto early = run_batch({RollBack{id, ""}, UnassignCode{"A", "ann"}}, &locks);
    EXPECT_TRUE(early[0].is<RolledBack>());
    EXPECT_TRUE(early[1].is(Refusal::already_redeemed));
    const auto answers = run_batch(
        {UnlockCode{"A", "ann"}, UnassignCode{"A", "ann"}, AssignCode{"A", "bob"}}, &locks);
    EXPECT_TRUE(answers[0].is<CodeUnlocked>());
    EXPECT_TRUE(answers[2].is<CodeAssigned>());
    EXPECT_TRUE(locks.held.empty());
    EXPECT_EQ(second().rows("SELECT locked_until, redeemed_at, user_id FROM coupon_code "
                            "JOIN coupon_user ON number = assigned_to"),
              std::vector<std::string>{"||bob"});
    EXPECT_EQ(second().integer("SELECT ever_locked FROM book_count WHERE book_id = 1"), 0);
}

TEST_F(ExecutorTest, TakesBackWhatWasRedeemedByALockThatWasLeftBehind) {
    prepare({"A"});
    FailingLocks locks;
    const auto first = run_batch(
        {AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann"}}, &locks);
    ASSERT_TRUE(first[2].is<CodeRedeemed>());
    // By a process that has ended between its commit and the release of the lock.
    locks.held["A"] = {"ann", clock_.now() + 1000};
    const EntryId id = std::get<CodeRedeemed>(*first[2].outcome).redemption.id;
    EXPECT_TRUE(run_batch({RollBack{id, ""}}, &locks)[0].is<RolledBack>());
    EXPECT_TRUE(locks.held.empty());
    EXPECT_TRUE(run_batch({RedeemCode{"A", "ann"}}, &locks)[0].is(Refusal::not_locked));
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is<CodeLocked>());
}

TEST_F(ExecutorTest, RunsAgainOnFreshRowsWhereAnotherHasTakenBackTheRedemptionMeanwhile) {
    prepare({"A"}, 1);
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), LockCode{"A", "ann", 1000}, clock_.now()));
    const auto redeemed = run(sqlite_.store(), RedeemCode{"A", "ann"}, clock_.now());
    const EntryId id = std::get<CodeRedeemed>(redeemed->front()).redemption.id;
    store_.before_save = once([&] {
        ASSERT_TRUE(run(sqlite_.store(), RollBack{id, ""}, clock_.now()));
    });
    EXPECT_TRUE(run_batch({RollBack{id, ""}})[0].is(Refusal::already_rolled_back));
    EXPECT_EQ(store_.loads, 2);
    EXPECT_EQ(second().integer("SELECT redeemed FROM usage_count"), 0);
    EXPECT_EQ(second().integer("SELECT count(*) FROM ledger WHERE type = 13"), 1);
}

TEST_F(ExecutorTest, LeavesTheLockOfWhoeverHasTakenItSinceAnotherTookTheRedemptionBack) {
    prepare({"A"});
    FailingLocks locks;
    run_batch({AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}}, &locks);
    const auto redeemed = run_batch({RedeemCode{"A", "ann"}}, &locks);
    const EntryId id = std::get<CodeRedeemed>(*redeemed[0].outcome).redemption.id;
    locks.before_load = [&, done = false]() mutable {
        if (std::exchange(done, true)) return;
        ASSERT_TRUE(run(sqlite_.store(), RollBack{id, ""}, clock_.now()));
        locks.held["A"] = {"ann", clock_.now() + 2000};
    };
    EXPECT_TRUE(run_batch({RollBack{id, ""}}, &locks)[0].is(Refusal::already_rolled_back));
    EXPECT_TRUE(locks.held.contains("A"));
}

TEST_F(ExecutorTest, RedeemsByNoLockByWhichARedemptionWasMadeThatWasTakenBackMeanwhile) {
    prepare({"A"});
    FailingLocks locks;
    run_batch({AssignCode{"A", "ann"}, LockCode{"A", "ann", 1000}}, &locks);
    store_.before_load = once([&] {
        const auto redeemed = run_batch({RedeemCode{"A", "ann"}}, &locks);
        const EntryId id = std::get<CodeRedeemed>(*redeemed[0].outcome).redemption.id;
        run_batch({RollBack{id, ""}}, &locks);
    });
    EXPECT_TRUE(run_batch({RedeemCode{"A", "ann"}}, &locks)[0].is(Refusal::not_locked));
}

TEST_F(ExecutorTest, FailsToUnlockWhereNoLockCanBeTaken) {
    prepare({"A", "B"});
    FailingLocks locks;
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    locks.held["A"] = {"ann", clock_.now() + 1000};
    locks.acquire_fails = Failure::unavailable;
    const auto answers = run_batch({UnlockCode{"A", "ann"}, AssignCode{"B", "bob"}}, &locks);
    EXPECT_TRUE(answers[0].is(Failure::unavailable));
    EXPECT_TRUE(answers[1].is<CodeAssigned>());
    EXPECT_EQ(locks.held.at("A").until, clock_.now() + 1000);
}

TEST_F(ExecutorTest, ShowsNoLockOfACodeThatWasNobodysWhenTheDatabaseWasRead) {
    prepare({"A", "B"});
    FailingLocks locks;
    run_batch({AssignCode{"A", "ann"}}, &locks);
    auto of_reads = std::make_unique<FailingLocks>();
    FailingLocks& read = *of_reads;
    read.before_load = [&] {
        run_batch({AssignCode{"B", "ann"}}, &locks);
        run_batch({LockCode{"A", "ann", 60'000}, LockCode{"B", "ann", 60'000}}, &locks);
        read.held = locks.held;
    };
    const auto reads = with_locks(sqlite_.open_reads(), std::move(of_reads));
    BookQuery query;
    query.limit = 1;
    query.with_codes = true;
    const Result<BookPage> page = reads->list_books(query, clock_.now());
    ASSERT_TRUE(page);
    const BookListing& book = page->books.at(0);
    EXPECT_TRUE(book.codes.at(0).is_locked(clock_.now()));
    EXPECT_FALSE(book.codes.at(1).is_locked(clock_.now()));
    EXPECT_EQ(book.counts.available, 1);
    EXPECT_EQ(book.counts.locked, 1);
    EXPECT_EQ(book.counts.assigned, 0);
}

TEST_F(ExecutorTest, ReadsLocksBehindTheRowsWhereNobodyElseTakesOneFromThenOn) {
    prepare({"A", "B"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    std::string order;
    locks.before_load = [&order] { order += " locks"; };
    store_.before_load = [&order]() -> std::optional<Failure> {
        order += " rows";
        return std::nullopt;
    };
    const auto order_of = [&](const Command& command) {
        order.clear();
        run_batch({command}, &locks);
        return order + (store_.alone ? " alone" : "");
    };
    EXPECT_EQ(order_of(LockCode{"A", "ann", 1}), " locks rows");
    // And behind them, whether those there were are there still.
    EXPECT_EQ(order_of(RedeemCode{"A", "ann"}), " locks rows locks");
    EXPECT_EQ(order_of(EditCode{"A", {}, {}, {}}), " locks rows");
    EXPECT_EQ(order_of(UnassignCode{"B", "ann"}), " rows locks alone");
    EXPECT_EQ(order_of(UnlockCode{"A", "ann"}), " rows locks alone");
    EXPECT_EQ(order_of(ArchiveBook{2}), " rows alone");
    // Where the store keeps them, nothing is read elsewhere.
    order.clear();
    run_batch({UnassignCode{"B", "ann"}});
    EXPECT_EQ(order + (store_.alone ? " alone" : ""), " rows");
}

TEST_F(ExecutorTest, ReadsLocksAgainWhereSomebodyWasAloneInBetween) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    locks.held["A"] = {"ann", clock_.now() + 1000};
    store_.after_load = [&, done = false](World& world) mutable {
        if (std::exchange(done, true)) return;
        world.others_were_alone = true;
        locks.held.clear();
    };
    EXPECT_TRUE(run_batch({RedeemCode{"A", "ann"}}, &locks)[0].is(Refusal::not_locked));
    EXPECT_EQ(store_.loads, 2);
    // Of no code there is a lock to read.
    store_.after_load = [](World& world) { world.others_were_alone = true; };
    EXPECT_TRUE(run_batch({CreateBook{"n", "p", {}, {}}}, &locks)[0].is<BookCreated>());
    EXPECT_EQ(store_.loads, 3);
}

TEST_F(ExecutorTest, TakesNoCodeThatIsLockedElsewhere) {
    prepare({"A", "B"});
    for (const char* const code : {"A", "B"}) {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{code, "ann"}, clock_.now()));
    }
    FailingLocks locks;
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 10}}, &locks)[0].is<CodeLocked>());
    EXPECT_TRUE(run_batch({UnassignCode{"A", {}}}, &locks)[0].is(Refusal::already_locked));
    clock_.advance(10);
    locks.load_fails = Failure::unavailable;
    EXPECT_TRUE(run_batch({UnassignCode{"A", {}}}, &locks)[0].is(Failure::unavailable));
    locks.load_fails.reset();
    EXPECT_TRUE(run_batch({UnassignCode{"A", {}}}, &locks)[0].is<CodeUnassigned>());
    EXPECT_TRUE(locks.held.empty());  // nor is a dead one left for who comes next
    EXPECT_EQ(second().rows("SELECT code, assigned_to IS NULL, locked_until FROM coupon_code "
                            "ORDER BY code"),
              (std::vector<std::string>{"A|1|", "B|0|"}));
    EXPECT_EQ(second().rows("SELECT available, ever_locked FROM book_count"),
              (std::vector<std::string>{"1|0", "1|0"}));
}

TEST_F(ExecutorTest, KeepsTheNoteOfAFirstLockElsewhereWhenACodeIsChanged) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    const Timestamp first = clock_.now();
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is<CodeLocked>());
    clock_.advance(5);
    EditCode edit{"A", {}, {}, CodeMembers(1)};
    for (const bool active : {false, true}) {
        edit.wish.active = active;
        // Twice, so that two commands are about the code.
        for (const Answered& answer : run_batch({edit, edit}, &locks)) {
            EXPECT_TRUE(answer.is<CodeChanged>());
        }
        EXPECT_EQ(second().rows("SELECT locked_until FROM coupon_code"),
                  std::vector<std::string>{std::to_string(first.ms)});
    }
    EXPECT_EQ(locks.held.at("A").until, first + 1000);
    edit.wish.active = false;
    const auto answers = run_batch({RedeemCode{"A", "ann"}, edit}, &locks);
    EXPECT_TRUE(answers[0].is<CodeRedeemed>());
    EXPECT_TRUE(answers[1].is<CodeChanged>());
    EXPECT_EQ(second().rows("SELECT locked_until FROM coupon_code"), std::vector<std::string>{""});
    EXPECT_EQ(second().integer("SELECT count(*) FROM lock_count"), 0);
    EXPECT_EQ(second().rows("SELECT ever_locked, redeemed FROM book_count"),
              (std::vector<std::string>{"1|1", "1|1"}));
}

TEST_F(ExecutorTest, CountsALockOfBeforeOnceThatTwoCommandsAreAbout) {
    // The row has a lock from a time when the store kept them.
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), LockCode{"A", "ann", 1000}, clock_.now()));
    FailingLocks locks;
    locks.held["A"] = {"ann", clock_.now() + 700};
    const auto answers = run_batch({RedeemCode{"A", "ann"}, RedeemCode{"A", "ann"}}, &locks);
    EXPECT_TRUE(answers[0].is<CodeRedeemed>());
    EXPECT_TRUE(answers[1].is(Refusal::already_redeemed));
    EXPECT_EQ(second().rows("SELECT locked_until, codes FROM lock_count"),
              std::vector<std::string>{std::to_string(clock_.now().ms + 1000) + "|0"});
}

TEST_F(ExecutorTest, GivesAwayWhatTheSameBatchHasMadeFree) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    auto answers = run_batch({UnassignCode{"A", {}}, AssignAny{"bob", {}}});
    EXPECT_TRUE(answers[0].is<CodeUnassigned>());
    EXPECT_TRUE(answers[1].is<CodeAssigned>());
    EditCode edit{"A", {}, {}, CodeMembers(1)};
    edit.wish.active = false;
    EditCode enable = edit;
    enable.wish.active = true;
    answers =
        run_batch({edit, UnassignCode{"A", {}}, AssignAny{"ann", 1}, enable, AssignAny{"ann", 1}});
    EXPECT_TRUE(answers[2].is(Refusal::no_available_coupons));
    EXPECT_TRUE(answers[4].is<CodeAssigned>());
    answers = run_batch({UnassignCode{"A", {}}, ArchiveBook{1}, AssignAny{"bob", {}},
                         RestoreBook{1}, AssignAny{"bob", {}}, AssignAny{"bob", {}}});
    EXPECT_TRUE(answers[2].is(Refusal::no_available_coupons));
    EXPECT_TRUE(answers[4].is<CodeAssigned>());
    EXPECT_TRUE(answers[5].is(Refusal::no_available_coupons));
}

TEST_F(ExecutorTest, LoadsNoWholeBookThatTheSameBatchHasClosed) {
    prepare(numbered("A", 2'000));
    ASSERT_TRUE(run(sqlite_.store(), CreateBook{"m", "p", {}, {}}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), UploadCodes{2, {"B"}}, clock_.now()));
    std::size_t most = 0;
    store_.after_load = [&](World& world) {
        for (const auto& [scope, pool] : world.pools) most = std::max(most, pool.codes.size());
    };
    const auto answers = run_batch({ArchiveBook{1}, AssignAny{"ann", {}}, AssignAny{"ann", {}}});
    EXPECT_EQ(std::get<CodeAssigned>(*answers[1].outcome).code.code, "B");
    EXPECT_TRUE(answers[2].is(Refusal::no_available_coupons));
    EXPECT_LT(most, 100U);
}

TEST_F(ExecutorTest, FindsTheCodesThatWorkAmongManyThatHaveExpired) {
    prepare(numbered("A", 300));
    ASSERT_TRUE(run(sqlite_.store(), UploadCodes{1, {"B"}}, clock_.now()));
    second().run("UPDATE coupon_code SET settings = 'expires_at 1' || char(10) WHERE code <> 'B'");
    EXPECT_EQ(std::get<CodeAssigned>(*run_batch({AssignAny{"ann", 1}})[0].outcome).code.code, "B");
    EXPECT_TRUE(run_batch({AssignAny{"ann", 1}})[0].is(Refusal::no_available_coupons));
    EXPECT_EQ(second().integer("SELECT kept_back FROM book_count WHERE book_id = 1"), 300);
    store_.loads = 0;
    EXPECT_TRUE(run_batch({AssignAny{"ann", {}}})[0].is(Refusal::no_available_coupons));
    EXPECT_EQ(store_.loads, 1);  // nobody looks at them again
}

TEST_F(ExecutorTest, CountsWhatWasRedeemedBeforeALimitOfTheSameBatch) {
    prepare({"A", "B"});
    for (const char* const code : {"A", "B"}) {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{code, "ann"}, clock_.now()));
        ASSERT_TRUE(run(sqlite_.store(), LockCode{code, "ann", 1000}, clock_.now()));
    }
    ASSERT_TRUE(run(sqlite_.store(), RedeemCode{"A", "ann"}, clock_.now()));
    EditBook limit{1, {}, BookMembers(1 << 2)};
    limit.wish.max_redemptions_per_user = 1;
    const auto answers = run_batch({limit, RedeemCode{"B", "ann"}});
    EXPECT_TRUE(answers[0].is<BookChanged>());
    EXPECT_TRUE(answers[1].is(Refusal::user_redemption_limit_reached));
}

TEST_F(ExecutorTest, RunsAgainWhereAnotherHasChangedTheBookMeanwhile) {
    prepare({"A"});
    EditBook rename{1, {}, BookMembers(1)};
    rename.wish.name = "ours";
    store_.before_save = once([this] {
        EditBook other{1, {}, BookMembers(1 << 4)};
        other.wish.description = "theirs";
        ASSERT_TRUE(run(sqlite_.store(), other, clock_.now()));
    });
    const auto answers = run_batch({rename});
    const Book& book = std::get<BookChanged>(*answers[0].outcome).book;
    EXPECT_EQ(book.name, "ours");
    EXPECT_EQ(book.description, "theirs");
    EXPECT_EQ(store_.saves, 2);
}

TEST_F(ExecutorTest, GivesALockBackWhoseEntryIsNotSaved) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    store_.before_save = [] { return Failure::unavailable; };
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is(Failure::unavailable));
    EXPECT_TRUE(locks.held.empty());
    store_.before_save = [] { return Failure::indeterminate; };  // it may have been
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is(Failure::indeterminate));
    EXPECT_EQ(locks.held.size(), 1u);
}

TEST_F(ExecutorTest, LeavesALockToTheRequestThatIsRepeatedWithItsKey) {
    prepare({"A"});
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    FailingLocks locks;
    const auto lock_with = [&](const std::string& key, const std::string& user) {
        const Submission submission{LockCode{"A", user, 60'000}, "request", {{key, {}}}};
        const Submission* const one[] = {&submission};
        return execute(store_, &locks, clock_, one).front().outcome;
    };
    store_.before_save = [] { return Failure::unavailable; };
    EXPECT_EQ(lock_with("k1", "ann").error(), Failure::unavailable);
    ASSERT_EQ(locks.held.size(), 1u);
    const Timestamp until = locks.held["A"].until;
    store_.before_save = nullptr;
    clock_.advance(10);
    // Whoever comes in between is told so, and harms nothing.
    EXPECT_EQ(std::get<Refusal>(*lock_with("k2", "ann")), Refusal::already_locked);
    EXPECT_EQ(std::get<Refusal>(*lock_with("k3", "bob")), Refusal::not_assigned_to_user);
    EXPECT_EQ(std::get<CodeLocked>(*lock_with("k1", "ann")).until, until);
    EXPECT_EQ(std::get<CodeLocked>(std::get<Replayed>(*lock_with("k1", "ann")).outcome).until,
              until);
    EXPECT_EQ(second().rows("SELECT type, locked_until FROM ledger WHERE type = 4"),
              std::vector<std::string>{"4|" + std::to_string(until.ms)});
}

TEST_F(ExecutorTest, LetsGoOfWhatItHasLoadedHoweverATryEnds) {
    prepare({"A", "B"}, 1);
    // The pool runs out, and then no lock can be read; what needs none is run after that.
    bool kept_open = false;
    FailingLocks locks;
    store_.before_load = [&]() -> std::optional<Failure> {
        kept_open = kept_open || store_.open;
        locks.load_fails = Failure::unavailable;
        return std::nullopt;
    };
    const std::vector<Command> all_taken = {AssignCode{"A", "ann"}, AssignCode{"B", "ann"},
                                            AssignAny{"bob", 1}};
    EXPECT_TRUE(run_batch(all_taken, &locks)[0].is(Failure::unavailable));
    EXPECT_EQ(store_.loads, 2);
    EXPECT_FALSE(kept_open);
    EXPECT_FALSE(store_.open);

    // The pool runs out when it is too late to load more.
    store_.before_load = []() -> std::optional<Failure> {
        std::this_thread::sleep_for(std::chrono::milliseconds(limits::batch_ms + 1));
        return std::nullopt;
    };
    EXPECT_TRUE(run_batch(all_taken)[2].is(Failure::unavailable));
    EXPECT_FALSE(store_.open);

    // A row is needed that nobody could name, in a batch that was loaded for nothing.
    store_.before_load = [&]() -> std::optional<Failure> {
        kept_open = kept_open || store_.open;
        return std::nullopt;
    };
    EXPECT_TRUE(run_batch({UploadCodes{1, {"N"}}, AssignCode{"N", "ann"}, LockCode{"N", "ann", 9},
                           RedeemCode{"N", "ann"}})[3]
                    .is<CodeRedeemed>());
    EXPECT_FALSE(kept_open);
    EXPECT_FALSE(store_.open);
}

TEST_F(ExecutorTest, KeepsTheOrderOfCommandsWhenItSplits) {
    prepare({"A", "B"});
    sqlite_.refuse("bob");
    const auto answers =
        run_batch({AssignCode{"A", "ann"}, AssignCode{"B", "bob"}, AssignCode{"B", "ann"},
                   LockCode{"A", "ann", 9}, LockCode{"B", "ann", 9}, RedeemCode{"A", "ann"},
                   RedeemCode{"B", "bob"}});
    EXPECT_TRUE(answers[0].is<CodeAssigned>());
    EXPECT_TRUE(answers[1].is(Failure::refused));
    EXPECT_TRUE(answers[2].is<CodeAssigned>());
    EXPECT_TRUE(answers[3].is<CodeLocked>());
    EXPECT_TRUE(answers[4].is<CodeLocked>());
    EXPECT_TRUE(answers[5].is<CodeRedeemed>());
    EXPECT_TRUE(answers[6].is(Refusal::not_assigned_to_user));
}

TEST_F(ExecutorTest, HandsOnEveryFailureToAllOfTheBatch) {
    prepare({"A", "B"});
    for (const Failure failure : {Failure::unavailable, Failure::indeterminate}) {
        store_.before_save = [failure] { return failure; };
        for (const Answered& answer : run_batch({AssignCode{"A", "ann"}, AssignCode{"B", "bob"}})) {
            EXPECT_TRUE(answer.is(failure));
        }
    }
    store_.before_load = [] { return Failure::unavailable; };
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is(Failure::unavailable));
}

TEST_F(ExecutorTest, SavesNothingWhereNothingChanges) {
    prepare({"A"});
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is<CodeAssigned>());
    EXPECT_EQ(store_.saves, 1);
    EXPECT_TRUE(run_batch({AssignCode{"A", "ann"}})[0].is<CodeAssigned>());
    EXPECT_EQ(store_.saves, 1);
    EXPECT_TRUE(run_batch({}).empty());
}

TEST_F(ExecutorTest, CountsWhatIsRefused) {
    prepare({"A"});
    for (int times = 0; times < 2; ++times) {
        EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1}})[0].is(Refusal::not_assigned_to_user));
    }
    EXPECT_EQ(store_.saves, 2);
    EXPECT_EQ(second().rows("SELECT book_id, reason, refused FROM refusal_count"),
              (std::vector<std::string>{"0|not_assigned_to_user|2", "1|not_assigned_to_user|2"}));
}

TEST_F(ExecutorTest, LoadsMoreFreeCodesWhereABatchHasTakenThoseItHad) {
    // All but one code are named and taken in the batch; the random one must be found.
    std::vector<std::string> codes = numbered("C", 40);
    prepare(codes);
    for (int round = 0; round < 5; ++round) {
        SqliteStore fresh;
        HookedStore store(fresh.store());
        ASSERT_TRUE(run(fresh.store(), CreateBook{"n", "p", {}, {}}, clock_.now()));
        ASSERT_TRUE(run(fresh.store(), UploadCodes{1, codes}, clock_.now()));
        std::vector<Command> commands;
        for (std::size_t i = 0; i < 39; ++i) commands.push_back(AssignCode{codes[i], "ann"});
        commands.push_back(AssignAny{"bob", round % 2 ? PoolScope{1} : PoolScope{}});
        commands.push_back(AssignAny{"zoe", {}});
        const auto results = execute(store, nullptr, clock_, Submissions(commands).span());
        ASSERT_TRUE(results[39].outcome);
        ASSERT_TRUE(std::holds_alternative<CodeAssigned>(*results[39].outcome));
        EXPECT_EQ(std::get<CodeAssigned>(*results[39].outcome).code.code, "C39");
        EXPECT_EQ(std::get<Refusal>(*results[40].outcome), Refusal::no_available_coupons);
    }
}

TEST_F(ExecutorTest, GivesEachFreeCodeOnceWithOverlappingPools) {
    prepare(numbered("A", 30));
    ASSERT_TRUE(run(sqlite_.store(), CreateBook{"m", "p", {}, {}}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), UploadCodes{2, numbered("B", 30)}, clock_.now()));
    std::vector<Command> commands;
    for (int i = 0; i < 25; ++i) {
        for (const PoolScope scope : {PoolScope{}, PoolScope{1}, PoolScope{2}}) {
            commands.push_back(AssignAny{"u" + std::to_string(i), scope});
        }
    }
    std::set<std::string> given;
    for (const Answered& answer : run_batch(commands)) {
        ASSERT_TRUE(answer.outcome);
        if (answer.is<CodeAssigned>()) {
            EXPECT_TRUE(given.insert(std::get<CodeAssigned>(*answer.outcome).code.code).second);
        }
    }
    EXPECT_EQ(given.size(), 60u);
    EXPECT_EQ(second().rows("SELECT available FROM book_count"),
              (std::vector<std::string>{"0", "0", "0"}));
}

TEST_F(ExecutorTest, CountsEarlierRedemptionsOfAUserForACodeUploadedInTheSameBatch) {
    prepare({"A"}, 1);
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), LockCode{"A", "ann", 1000}, clock_.now()));
    ASSERT_TRUE(run(sqlite_.store(), RedeemCode{"A", "ann"}, clock_.now()));
    const auto answers = run_batch({UploadCodes{1, {"B"}}, AssignCode{"B", "ann"},
                                    LockCode{"B", "ann", 1000}, RedeemCode{"B", "ann"}});
    EXPECT_TRUE(answers[0].is<CodesUploaded>());
    EXPECT_TRUE(answers[2].is(Refusal::user_redemption_limit_reached));
    EXPECT_TRUE(answers[3].is(Refusal::not_locked));
}

TEST_F(ExecutorTest, CountsLocksBeforeItRefusesForThem) {
    prepare({"A", "B", "C", "D"});
    limit({}, 2);
    const auto lock = [](const char* code) { return LockCode{code, "ann", 1000}; };
    for (const char* const code : {"A", "B", "C", "D"}) {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{code, "ann"}, clock_.now()));
    }
    EXPECT_TRUE(run_batch({lock("A")})[0].is<CodeLocked>());
    clock_.advance(1000);
    // As far as is kept, that lock might live.
    store_.loads = 0;
    const auto two = run_batch({lock("B"), lock("C")});
    EXPECT_TRUE(two[0].is<CodeLocked>() && two[1].is<CodeLocked>());
    EXPECT_EQ(store_.loads, 2);
    // So many are kept as there may be: they are counted at once.
    store_.loads = 0;
    EXPECT_TRUE(run_batch({lock("D")})[0].is(Refusal::redemption_limit_reached));
    EXPECT_EQ(store_.loads, 1);
    clock_.advance(1000);
    EXPECT_TRUE(run_batch({lock("D"), RedeemCode{"D", "ann"}})[1].is<CodeRedeemed>());
    EXPECT_EQ(second().integer("SELECT locked FROM usage_count"), 0);
}

TEST_F(ExecutorTest, RefusesForLocksThatThereAreAlsoWhereAnotherLimitIsReached) {
    prepare({"A", "B", "C", "D"});
    limit(1, 3);
    for (const auto& [code, user] : {std::pair("A", "ann"), std::pair("B", "bob"),
                                     std::pair("C", "cid"), std::pair("D", "ann")}) {
        ASSERT_TRUE(run(sqlite_.store(), AssignCode{code, user}, clock_.now()));
    }
    EXPECT_TRUE(
        run_batch({LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann"}})[1].is<CodeRedeemed>());
    EXPECT_TRUE(run_batch({LockCode{"B", "bob", 1000}})[0].is<CodeLocked>());
    clock_.advance(1000);
    const auto last = run_batch({LockCode{"C", "cid", 1000}, LockCode{"D", "ann", 1000}});
    EXPECT_TRUE(last[0].is<CodeLocked>());
    EXPECT_TRUE(last[1].is(Refusal::user_redemption_limit_reached));
}

TEST_F(ExecutorTest, LeavesLocksOfOthersWhereRedisHasLostThem) {
    prepare({"A"});
    limit(1, 5);
    FailingLocks locks;
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "ann"}, clock_.now()));
    EXPECT_TRUE(run_batch({LockCode{"A", "ann", 1000}}, &locks)[0].is<CodeLocked>());
    locks.held.clear();
    EXPECT_TRUE(run_batch({UnassignCode{"A", {}}}, &locks)[0].is<CodeUnassigned>());
    ASSERT_TRUE(run(sqlite_.store(), AssignCode{"A", "bob"}, clock_.now()));
    EXPECT_TRUE(run_batch({LockCode{"A", "bob", 1000}}, &locks)[0].is<CodeLocked>());
    EXPECT_EQ(second().rows("SELECT user_id FROM counted_lock "
                            "JOIN coupon_user ON number = user_number"),
              std::vector<std::string>{"bob"});
}

}  // namespace
}  // namespace coupond::test
