// What is saved is what is loaded, and a save is guarded.
#include "store/store.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

/// The members that are told apart where they differ; then all the others.
void expect_equal(const Book& a, const Book& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(change_text(nullptr, a), change_text(nullptr, b));
    EXPECT_EQ(a.last_entry, b.last_entry);
    EXPECT_TRUE(a == b);
}

void expect_equal(const Code& a, const Code& b) {
    EXPECT_EQ(a.id, b.id);
    EXPECT_EQ(a.book_id, b.book_id);
    EXPECT_EQ(a.code, b.code);
    EXPECT_EQ(a.assigned_to, b.assigned_to);
    ASSERT_EQ(a.lock.has_value(), b.lock.has_value());
    if (a.lock) {
        EXPECT_EQ(a.lock->user_id, b.lock->user_id);
    }
    if (a.lock) {
        EXPECT_EQ(a.lock->until, b.lock->until);
    }
    EXPECT_EQ(a.redeemed_at, b.redeemed_at);
    EXPECT_EQ(a.created_at, b.created_at);
    EXPECT_EQ(a.last_entry, b.last_entry);
    EXPECT_EQ(row_text(a), row_text(b));
    EXPECT_EQ(a.kept_back, b.kept_back);
}

class StoreTest : public testing::Test {
protected:
    /// Two books, and in the first the codes A and B.
    void save_basics() {
        Draft draft;
        draft.book(make_book(1)).book(make_book(2, "Winter"));
        draft.code(make_code(1, 1, "A")).code(make_code(2, 1, "B"));
        ASSERT_TRUE(store().save(draft.delta));
    }

    Store& store() { return tested_.store(); }

    TestedStore tested_;
};

TEST_F(StoreTest, GivesBackBooksAsTheyWereSaved) {
    Book full = make_book(1, "N\u00e4me \"'; DROP TABLE\u20ac\U0001f39f");
    full.max_redemptions_per_user = limits::redemptions;
    full.discount = from_short_form(limits::discount_cents);
    full.updated_at = noon + 1;
    Book zero = make_book(2, std::string(255, 'n'));
    zero.discount = from_short_form(0);
    const Book bare = make_book(7);
    Draft draft;
    draft.book(full).book(zero).book(bare);
    ASSERT_TRUE(store().save(draft.delta));

    for (const bool reopened : {false, true}) {
        if (reopened) {
            tested_.close();
            tested_.open();
        }
        Needs needs;
        needs.books = {1, 2, 7, 8, 1};
        needs.book_ids = 1;
        Result<World> world = loaded(store(), needs);
        ASSERT_TRUE(world);
        EXPECT_EQ(world->books.size(), 3u);
        for (const Book& book : {full, zero, bare}) {
            ASSERT_NE(world->find_book(book.id), nullptr);
            expect_equal(*world->find_book(book.id), book);
        }
        EXPECT_GE(world->next_book_id, 8);
    }
}

TEST_F(StoreTest, GivesBackCodesInEveryStateAsTheyWereSaved) {
    Code assigned = make_code(2, 1, "assigned");
    assigned.assigned_to = "ann";
    Code locked = make_code(3, 1, "locked \u00e9\u20ac\U0001f39f");
    locked.assigned_to = "\u00e9";
    locked.lock = Lock{"\u00e9", noon + 300'000};
    Code redeemed = make_code(4, 1, "redeemed '\"%_\\");
    redeemed.assigned_to = "bob";
    redeemed.redeemed_at = noon + 5;
    Draft draft;
    draft.book(make_book(1));
    for (const Code& code : {make_code(1, 1, "free"), assigned, locked, redeemed,
                             make_code(9, 1, std::string(128, 'x'))}) {
        draft.code(code);
    }
    ASSERT_TRUE(store().save(draft.delta));

    for (const bool reopened : {false, true}) {
        if (reopened) {
            tested_.close();
            tested_.open();
        }
        for (const CodeRow* const row : draft.delta.new_codes) {
            const auto loaded = load_code(store(), row->code.code);
            ASSERT_TRUE(loaded) << row->code.code;
            expect_equal(*loaded, row->code);
        }
        Needs needs;
        needs.code_ids = 1;
        EXPECT_GE(loaded(store(), needs)->next_code_id, 10);
    }
    expect_counted(tested_.connect());
}

TEST_F(StoreTest, GivesBackAChangedCodeWithItsLastEntry) {
    save_basics();
    std::vector<Code> codes = load_codes(store(), {"A", "B"});
    Code& code = codes[0];
    const auto expect_saved = [&](const Draft& draft) {
        ASSERT_TRUE(store().save(draft.delta));
        code = draft.delta.changed_codes.front()->code;
        expect_equal(*load_code(store(), "A"), code);
    };
    expect_saved(std::move(Draft().assign(code, "ann")));
    code.lock = Lock{"ann", noon + 300'000};
    expect_saved(std::move(Draft().change(code)));
    code.lock = Lock{"ann", noon + 900'000};
    expect_saved(std::move(Draft().change(code)));
    code.lock.reset();
    code.redeemed_at = noon + 600'000;
    expect_saved(std::move(Draft().change(code)));
    expect_equal(*load_code(store(), "B"), codes[1]);
}

TEST_F(StoreTest, GivesBackACodeThatGoesThroughItsWholeLifeInOneBatch) {
    save_basics();
    for (const bool redeemed : {false, true}) {
        Code code = *load_code(store(), redeemed ? "B" : "A");
        if (redeemed) {
            code.redeemed_at = noon + 7;
        } else {
            code.lock = Lock{"ann", noon + 300'000};
        }
        const Draft draft = std::move(Draft().assign(code, "ann"));
        ASSERT_TRUE(store().save(draft.delta));
        code = draft.delta.changed_codes.front()->code;
        EXPECT_EQ(code.last_entry, draft.delta.entries.back().id);
        expect_equal(*load_code(store(), code.code), code);
    }
}

TEST_F(StoreTest, LoadsTheBookOfACodeAndWhatIsCountedThere) {
    Book limited = make_book(1);
    limited.max_redemptions_per_user = 5;
    count_what_is_limited(limited);
    Draft draft;
    draft.book(limited).book(make_book(2));
    Code of_ann = make_code(3, 2, "C");
    of_ann.assigned_to = "ann";
    draft.code(make_code(1, 1, "A")).code(make_code(2, 1, "B")).code(of_ann);
    draft.usage({1, "ann"}, {all_times, 3}).usage({2, "ann"}, {all_times, 8});
    ASSERT_TRUE(store().save(draft.delta));

    Needs needs;
    needs.codes = {{"A", "ann", true},
                   {"A", "bob", true},
                   {"B", "ann", true},
                   {"C", "ann", true},
                   {"none", "ann", true}};
    Result<World> world = loaded(store(), needs);
    ASSERT_TRUE(world);
    EXPECT_EQ(world->books.size(), 2u);
    EXPECT_EQ(world->find("none"), nullptr);
    EXPECT_EQ(world->usages.size(), 2u);
    const World::UsageRow ann = world->usages.at({1, "ann"});
    EXPECT_EQ(ann.loaded, (Usage{all_times, 3}));
    EXPECT_EQ(ann.now, (Usage{all_times, 3}));
    const World::UsageRow bob = world->usages.at({1, "bob"});
    EXPECT_EQ(bob.loaded, std::nullopt);
    EXPECT_EQ(bob.now, Usage());
}

TEST_F(StoreTest, ForgetsTheIdOfAUserWhoIsErasedAndKeepsAllElse) {
    save_basics();
    const auto run_one = [&](const Command& command) {
        return std::move(run(store(), command, noon).value().front());
    };
    for (const char* const code : {"A", "B"}) run_one(AssignCode{code, "ann"});
    run_one(LockCode{"A", "ann", 1000});
    run_one(RedeemCode{"A", "ann"});
    run_one(LockCode{"B", "ann", 1000});
    auto sql = tested_.connect();
    const auto numbers = sql.rows("SELECT number FROM coupon_user");
    ASSERT_EQ(numbers.size(), 1U);

    EXPECT_TRUE(std::holds_alternative<UserErased>(run_one(EraseUser{"ann", "e1"})));
    EXPECT_EQ(sql.rows("SELECT number, user_id FROM coupon_user"),
              std::vector<std::string>{numbers[0] + "|e1"});
    EXPECT_EQ(sql.rows("SELECT DISTINCT user_number FROM ledger WHERE user_number IS NOT NULL"),
              numbers);
    EXPECT_EQ(sql.rows("SELECT book_id, user_number, type FROM ledger WHERE type = 6"),
              std::vector<std::string>{"0|" + numbers[0] + "|6"});
    EXPECT_EQ(load_code(store(), "A")->assigned_to, "e1");
    EXPECT_EQ(load_code(store(), "B")->assigned_to, "e1");
    EXPECT_EQ(load_code(store(), "B")->lock->until, noon);
    EXPECT_EQ(sql.rows("SELECT coalesce(sum(codes), 0) FROM lock_count WHERE locked_until > " +
                       std::to_string(noon.ms)),
              std::vector<std::string>{"0"});
    EXPECT_EQ(sql.rows("SELECT sum(total), sum(available), sum(redeemed) FROM book_count "
                       "WHERE book_id = 1"),
              std::vector<std::string>{"2|0|1"});

    EXPECT_EQ(std::get<Refusal>(run_one(EraseUser{"ann", "e2"})), Refusal::user_not_found);
    EXPECT_EQ(std::get<Refusal>(run_one(LockCode{"B", "ann", 1000})),
              Refusal::not_assigned_to_user);
}

TEST_F(StoreTest, LoadsSoManyCodesOfAUserWhoIsErased) {
    Draft draft;
    draft.book(make_book(1));
    for (CodeId id = 1; id <= static_cast<CodeId>(limits::erased_codes) + 2; ++id) {
        Code code = make_code(id, 1, "C" + std::to_string(id));
        code.assigned_to = "ann";
        if (id == 1002) code.redeemed_at = noon;
        draft.code(std::move(code));
    }
    static_assert(limits::erased_codes == 1000);
    ASSERT_TRUE(store().save(draft.delta));
    Needs needs;
    needs.erased = {"ann", "bob", "ann"};
    const World world = loaded(store(), needs).value();
    ASSERT_EQ(world.users.size(), 1U);
    const auto& held = world.users.at("ann");
    ASSERT_EQ(held.size(), limits::erased_codes);
    EXPECT_EQ(held.front()->code.id, 1001);  // the last that is not redeemed
    EXPECT_EQ(held.back()->code.id, 2);
}

TEST_F(StoreTest, KnowsWhichNewCodesExist) {
    save_basics();
    Needs needs;
    needs.new_codes = {"A", "a", "C", "B", "A"};
    const Result<World> world = loaded(store(), needs);
    EXPECT_EQ(world->existing_codes, (std::unordered_set<std::string_view>{"A", "B"}));
}

TEST_F(StoreTest, KnowsTheOnlyBookWhereThereIsOne) {
    Needs needs;
    needs.only_book = true;
    Result<World> none = loaded(store(), needs);
    EXPECT_EQ(none->book_count, 0u);
    EXPECT_EQ(none->only_book, std::nullopt);

    ASSERT_TRUE(store().save(Draft().book(make_book(5)).delta));
    Result<World> one = loaded(store(), needs);
    EXPECT_EQ(one->book_count, 1u);
    EXPECT_EQ(one->only_book, 5);
    EXPECT_NE(one->find_book(5), nullptr);

    ASSERT_TRUE(store().save(Draft().book(make_book(6)).book(make_book(7)).delta));
    Result<World> more = loaded(store(), needs);
    EXPECT_EQ(more->book_count, 2u);
    EXPECT_EQ(more->only_book, std::nullopt);
}

TEST_F(StoreTest, AddsUpCounts) {
    save_basics();
    Draft draft;
    draft.delta.counts[1] = {0, -1, 0};
    draft.delta.locks[{1, noon + 5}] = 2;
    draft.delta.locks[{1, noon + 6}] = 1;
    ASSERT_TRUE(store().save(draft.delta));
    draft.delta.counts[1] = {0, -1, 1};
    draft.delta.locks = {{{1, noon + 5}, -1}, {{1, noon + 6}, 1}};
    ASSERT_TRUE(store().save(draft.delta));
    auto second = tested_.connect();
    EXPECT_EQ(second.text("SELECT sum(total), sum(available), sum(redeemed) FROM book_count "
                          "WHERE book_id = 1"),
              "2|0|1");
    EXPECT_EQ(second.rows("SELECT locked_until - " + std::to_string(noon.ms) +
                          ", codes FROM lock_count ORDER BY 1"),
              (std::vector<std::string>{"5|1", "6|2"}));
}

TEST_F(StoreTest, ForgetsTheCountsOfLocksThatHaveLongExpired) {
    save_basics();
    Draft draft;
    draft.delta.locks[{1, noon + 1}] = 1;
    draft.delta.locks[{2, noon + 1}] = 1;
    ASSERT_TRUE(store().save(draft.delta));
    Draft later;
    later.delta.at = noon + 3'600'002;  // an hour is kept, for a clock that was set back
    later.delta.locks[{1, later.delta.at + 1}] = 1;
    ASSERT_TRUE(store().save(later.delta));
    EXPECT_EQ(tested_.connect().rows("SELECT book_id, locked_until - " + std::to_string(noon.ms) +
                                     " FROM lock_count ORDER BY 1"),
              (std::vector<std::string>{"1|3600003", "2|1"}));
}

// What another connection does between a load and its save, and that the save then changes nothing.
class Guard : public StoreTest {
protected:
    void expect_conflict(const Delta& delta) {
        const std::vector<std::string> before = contents_behind(tested_.connect());
        const Result<void> saved = store().save(delta);
        ASSERT_FALSE(saved);
        EXPECT_EQ(saved.error(), Failure::conflict);
        EXPECT_EQ(contents_behind(tested_.connect()), before);
    }

    /// A delta of every kind of change, of which only that of code A can be in conflict.
    Draft everything() {
        Draft draft;
        draft.book(make_book(3)).code(make_code(3, 3, "C"));
        const std::vector<Code> codes = load_codes(store(), {"A", "B"});
        draft.assign(codes[1], "bob").assign(codes[0], "ann");
        draft.usage({1, "ann"}, {all_times, 1});
        draft.delta.standing[{1, activity_period(noon)}] = {1, {}};
        draft.delta.counts[1].available = -2;
        draft.delta.locks[{1, noon + 5}] = 1;
        return draft;
    }
};

TEST_F(Guard, OfNothingChangedLetsTheSaveThrough) {
    save_basics();
    EXPECT_TRUE(store().save(everything().delta));
}

TEST_F(Guard, MeetsARowThatAnotherConnectionHasChanged) {
    save_basics();
    const Draft draft = everything();
    tested_.connect().run(
        "INSERT INTO coupon_user (user_id) VALUES ('zoe'); UPDATE coupon_code SET "
        "assigned_to = (SELECT number FROM coupon_user), last_entry_id = 1 WHERE code = 'A'");
    expect_conflict(draft.delta);
    EXPECT_EQ(load_code(store(), "A")->assigned_to, "zoe");
    EXPECT_EQ(load_code(store(), "B")->assigned_to, std::nullopt);
}

TEST_F(Guard, MeetsAnAssignedRowThatAnotherConnectionHasChanged) {
    save_basics();
    ASSERT_TRUE(store().save(Draft().assign(*load_code(store(), "A"), "ann").delta));
    Code code = *load_code(store(), "A");
    code.lock = Lock{"ann", noon + 5};
    const Draft draft = std::move(Draft().change(code));
    tested_.connect().run(
        "UPDATE coupon_code SET redeemed_at = 5, last_entry_id = 1 WHERE code = 'A'");
    expect_conflict(draft.delta);
}

TEST_F(Guard, MeetsARowThatAnotherConnectionHasRemoved) {
    save_basics();
    const Draft draft = everything();
    tested_.connect().run("DELETE FROM coupon_code WHERE code = 'A'");
    expect_conflict(draft.delta);
}

TEST_F(Guard, MeetsCountsThatHaveChangedMeanwhile) {
    save_basics();
    ASSERT_TRUE(store().save(Draft().assign(*load_code(store(), "A"), "ann").delta));
    Book limited = *load_book(store(), 1);
    limited.max_redemptions = limited.max_redemptions_per_user = 5;
    count_what_is_limited(limited);
    ASSERT_TRUE(store().save(Draft().change(limited).delta));
    const Usage one{all_times, 1, 5}, two{all_times, 2, 5}, more{all_times, 2, 6},
        later{noon, 2, 6};
    for (const UsageKey& key : {UsageKey{1, ""}, UsageKey{1, "ann"}}) {
        World::UsageRow was = usages_of(store(), "A", "ann").at(key);
        EXPECT_EQ(was.loaded, std::nullopt);
        for (const Usage& now : {one, two, more, later}) {
            ASSERT_TRUE(store().save(Draft().usage(key, now, was).delta));
            expect_conflict(Draft().usage(key, one, was).delta);
            was = usages_of(store(), "A", "ann").at(key);
            EXPECT_EQ(was.loaded, now);
        }
    }
}

TEST_F(Guard, MeetsAUserWhoHasBeenErasedMeanwhile) {
    save_basics();
    ASSERT_TRUE(run(store(), AssignCode{"A", "ann"}, noon));
    const Command command = EraseUser{"ann", "e1"};
    const Submissions submissions(std::span(&command, 1));
    Result<World> world = store().load(needs(submissions.span(), noon));
    ASSERT_TRUE(world);
    const Decision decision = decide(*world, submissions.span(), noon);
    tested_.connect().run("UPDATE coupon_user SET user_id = 'e2'");
    EXPECT_EQ(store().save(decision.delta).error(), Failure::conflict);
    EXPECT_EQ(tested_.connect().rows("SELECT user_id FROM coupon_user"),
              std::vector<std::string>{"e2"});
}

TEST_F(Guard, MeetsACodeThatAnotherConnectionHasUploaded) {
    save_basics();
    const Draft draft = everything();
    tested_.connect().run(
        "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, last_entry_id, code) "
        "VALUES (9, 2, 0, 0, 1, 'C')");
    expect_conflict(draft.delta);
}

TEST_F(Guard, MeetsIdsThatAnotherConnectionHasTaken) {
    save_basics();
    auto second = tested_.connect();
    const Draft codes = everything();
    second.run(
        "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, last_entry_id, code) "
        "VALUES (3, 2, 0, 0, 1, 'another')");
    expect_conflict(codes.delta);

    second.run("DELETE FROM coupon_code WHERE id = 3");
    const Draft books = everything();
    second.run(
        "INSERT INTO coupon_book (id, name, code_pattern, created_at, updated_at) "
        "VALUES (3, 'n', 'p', 0, 0)");
    expect_conflict(books.delta);
}

TEST_F(StoreTest, TellsDataThatTheDatabaseRefusesFromTheRest) {
    save_basics();
    tested_.refuse("bob");
    const auto before = contents_behind(tested_.connect());
    const std::vector<Code> codes = load_codes(store(), {"A", "B"});
    const Result<void> saved =
        store().save(Draft().assign(codes[0], "ann").assign(codes[1], "bob").delta);
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error(), Failure::refused);
    EXPECT_EQ(contents_behind(tested_.connect()), before);
    EXPECT_TRUE(store().save(Draft().assign(codes[0], "ann").delta));
}

TEST_F(StoreTest, LoadsOneMomentOfTheDatabase) {
    save_basics();
    // The pool and the code of a load are from the same snapshot: row by row the same object.
    Needs needs;
    needs.codes = {{"A"}};
    needs.pools[PoolScope{1}] = 5;
    Result<World> world = loaded(store(), needs);
    ASSERT_TRUE(world);
    const Pool& pool = world->pools.at(PoolScope{1});
    ASSERT_EQ(pool.codes.size(), 2u);
    EXPECT_EQ(std::count(pool.codes.begin(), pool.codes.end(), world->find("A")), 1);
}

}  // namespace
}  // namespace coupond::test
