// Books and codes that are changed after they were made: what is saved is what is loaded and
// listed, and a save is guarded.
#include <gtest/gtest.h>

#include <set>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

/// With something else than by default in every member.
Book changed(Book book) {
    book.name = "N\u00e4me \"'";
    book.code_pattern = "P-{6}";
    book.max_redemptions_per_user = 3;
    book.max_redemptions = limits::redemptions;
    book.budget = limits::order_minor_units * 10'000;
    book.limits = {{Per::day, {1, 2, 3}}, {Per::week, {{}, 4, {}}}, {Per::month, {{}, {}, 5}}};
    book.discount = from_short_form(limits::discount_cents);
    book.description = "of \u20ac and  '\"\\%_ \U0001f39f";
    book.active = false;
    book.starts_at = noon + 1;
    book.ends_at = noon + 2;
    book.time_zone = "Europe/Berlin";
    book.lock_ttl_s = limits::lock_ttl_s;
    book.metadata = R"({"a":"\u0000 'b' \\","c":[1.50]})";
    book.archived_at = noon + 3;
    count_what_is_limited(book);
    book.updated_at = noon + 5;
    return book;
}

CodeSettings changed_settings() {
    return {false, noon + 6, 7, R"({"a":"\u20ac 'b' \\"})"};
}

class ChangesTest : public testing::Test {
protected:
    /// Book 1 with the free codes A, B and C, and D, which is ann's.
    void SetUp() override {
        Draft draft;
        draft.book(make_book(1));
        draft.code(make_code(1, 1, "A")).code(make_code(2, 1, "B")).code(make_code(3, 1, "C"));
        Code held = make_code(4, 1, "D");
        held.assigned_to = "ann";
        draft.code(held);
        ASSERT_TRUE(store().save(draft.delta));
    }

    void expect_book(const Book& wanted) {
        for (const bool reopened : {false, true}) {
            if (reopened) reopen();
            const std::optional<Book> book = load_book(store(), wanted.id);
            ASSERT_TRUE(book);
            EXPECT_EQ(change_text(nullptr, *book), change_text(nullptr, wanted));
            EXPECT_TRUE(*book == wanted);
        }
    }

    void expect_code(const Code& wanted) {
        const Code code = load_code(store(), wanted.code).value();
        EXPECT_EQ(code.assigned_to, wanted.assigned_to);
        EXPECT_EQ(code.lock.has_value(), wanted.lock.has_value());
        EXPECT_EQ(code.redeemed_at, wanted.redeemed_at);
        EXPECT_EQ(code.last_entry, wanted.last_entry);
        EXPECT_EQ(code.kept_back, wanted.kept_back);
        EXPECT_EQ(row_text(code), row_text(wanted));
    }

    std::int64_t shuffle_key(const std::string& code) {
        return tested_.connect().integer("SELECT shuffle_key FROM coupon_code WHERE code = '" +
                                         code + "'");
    }

    /// All free codes that random assignment would find at `at`.
    std::set<std::string> pool(PoolScope scope, Timestamp at = noon, std::size_t count = 100) {
        Needs needs;
        needs.pools[scope] = count;
        needs.at = at;
        Result<World> world = loaded(store(), needs);
        std::set<std::string> codes;
        for (const CodeRow* const row : world->pools.at(scope).codes) codes.insert(row->code.code);
        complete_ = world->pools.at(scope).complete;
        return codes;
    }

    void expect_conflict(const Delta& delta) {
        const std::vector<std::string> before = contents_behind(tested_.connect());
        const Result<void> saved = store().save(delta);
        ASSERT_FALSE(saved);
        EXPECT_EQ(saved.error(), Failure::conflict);
        EXPECT_EQ(contents_behind(tested_.connect()), before);
    }

    void reopen() {
        tested_.close();
        tested_.open();
    }

    Store& store() { return tested_.store(); }

    TestedStore tested_;
    bool complete_ = false;  ///< the last pool
};

using Codes = std::set<std::string>;

// Books.

TEST_F(ChangesTest, GivesBackABookAsItWasChanged) {
    const Draft first = std::move(Draft().change(changed(*load_book(store(), 1))));
    ASSERT_TRUE(store().save(first.delta));
    Book book = *first.delta.changed_books[0].book;
    EXPECT_GT(book.last_entry, 0);
    expect_book(book);
    Book usual = make_book(1, "Usual");
    usual.last_entry = book.last_entry;
    const Draft back = std::move(Draft().change(usual));
    ASSERT_TRUE(store().save(back.delta));
    expect_book(*back.delta.changed_books[0].book);
    EXPECT_EQ(tested_.connect().rows("SELECT settings FROM coupon_book"),
              std::vector<std::string>{""});
}

TEST_F(ChangesTest, GivesBackANewBookWithItsSettings) {
    Book book = changed(make_book(2));
    book.last_entry = 7;
    ASSERT_TRUE(store().save(Draft().book(book).delta));
    expect_book(book);
}

TEST_F(ChangesTest, LeavesOtherBooksAsTheyAre) {
    ASSERT_TRUE(store().save(Draft().book(make_book(2, "Winter")).delta));
    const Book winter = *load_book(store(), 2);
    ASSERT_TRUE(store().save(Draft().change(changed(*load_book(store(), 1))).delta));
    expect_book(winter);
}

TEST_F(ChangesTest, MeetsABookThatAnotherConnectionHasChanged) {
    const Draft draft = std::move(Draft()
                                      .change(changed(*load_book(store(), 1)))
                                      .code(make_code(9, 1, "N"))
                                      .usage({1, "ann"}, {all_times, 1}));
    tested_.connect().run("UPDATE coupon_book SET last_entry_id = 77");
    expect_conflict(draft.delta);
    // Also where nothing else than that tells of it.
    Book book = *load_book(store(), 1);
    book.last_entry = 76;
    expect_conflict(Draft().change(book).delta);
}

TEST_F(ChangesTest, MeetsABookThatAnotherConnectionHasRemoved) {
    ASSERT_TRUE(store().save(Draft().book(make_book(2)).delta));
    const Draft draft = std::move(Draft().change(changed(*load_book(store(), 2))));
    tested_.connect().run("DELETE FROM coupon_book WHERE id = 2");
    expect_conflict(draft.delta);
}

TEST_F(ChangesTest, OfABookAreAllSavedOrNone) {
    ASSERT_TRUE(store().save(Draft().book(make_book(2)).delta));
    Draft draft;
    draft.change(changed(*load_book(store(), 1))).change(changed(*load_book(store(), 2)));
    tested_.connect().run("UPDATE coupon_book SET last_entry_id = 77 WHERE id = 2");
    expect_conflict(draft.delta);
}

// Codes.

TEST_F(ChangesTest, GivesBackANewCodeWithItsSettings) {
    Code code = make_code(9, 1, "N");
    static_cast<CodeSettings&>(code) = changed_settings();
    code.kept_back = true;
    const Draft draft = std::move(Draft().code(code));
    ASSERT_TRUE(store().save(draft.delta));
    expect_code(draft.delta.new_codes[0]->code);
    EXPECT_LT(shuffle_key("N"), 0);
    EXPECT_GE(shuffle_key("A"), 0);
}

TEST_F(ChangesTest, GivesBackACodeAsItWasRewritten) {
    for (const char* const text : {"A", "D"}) {
        Code code = *load_code(store(), text);
        static_cast<CodeSettings&>(code) = changed_settings();
        code.kept_back = true;
        const Draft draft = std::move(Draft().rewrite(code));
        ASSERT_TRUE(store().save(draft.delta));
        code = draft.delta.changed_codes[0]->code;
        expect_code(code);

        static_cast<CodeSettings&>(code) = {};
        code.kept_back = false;
        const Draft back = std::move(Draft().rewrite(code));
        ASSERT_TRUE(store().save(back.delta));
        expect_code(back.delta.changed_codes[0]->code);
    }
    EXPECT_EQ(tested_.connect().rows("SELECT settings FROM coupon_code WHERE settings <> ''"),
              std::vector<std::string>{});
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM coupon_code WHERE settings IS NULL"),
              4);
}

TEST_F(ChangesTest, RewritesHolderLockAndRedemptionToo) {
    Code code = *load_code(store(), "D");
    code.assigned_to.reset();
    const Draft taken = std::move(Draft().rewrite(code));
    ASSERT_TRUE(store().save(taken.delta));
    expect_code(taken.delta.changed_codes[0]->code);
    EXPECT_EQ(tested_.connect().rows("SELECT user_id FROM coupon_user"),
              std::vector<std::string>{"ann"});  // who is remembered

    code = taken.delta.changed_codes[0]->code;
    code.active = false;
    Draft given;
    given.assign(code, "bob");
    CodeRow& row = *given.delta.changed_codes[0];
    row.rewritten = true;
    row.code.lock = Lock{"bob", noon + 5};
    ASSERT_TRUE(store().save(given.delta));
    expect_code(row.code);
    row.loaded_entry = row.code.last_entry;
    row.code.lock.reset();
    row.code.redeemed_at = noon;
    row.assigned = false;
    ASSERT_TRUE(store().save(Draft().rewrite(row.code).delta));
    EXPECT_EQ(load_code(store(), "D")->redeemed_at, noon);
    EXPECT_EQ(load_code(store(), "D")->assigned_to, "bob");
}

TEST_F(ChangesTest, ACodeTakenFromWhoWasErasedIsNobodys) {
    ASSERT_TRUE(run(store(), EraseUser{"ann", "e1"}, noon));
    const auto outcomes = run(store(), UnassignCode{"D", {}}, noon);
    ASSERT_TRUE(outcomes);
    EXPECT_TRUE(std::holds_alternative<CodeUnassigned>(outcomes->front()));
    EXPECT_EQ(load_code(store(), "D")->assigned_to, std::nullopt);
    EXPECT_EQ(tested_.connect().rows("SELECT user_id FROM ledger JOIN coupon_user ON number = "
                                     "user_number WHERE type = 11"),
              std::vector<std::string>{"e1"});
}

TEST_F(ChangesTest, MeetsARewrittenCodeThatAnotherConnectionHasChanged) {
    Code code = *load_code(store(), "A");
    static_cast<CodeSettings&>(code) = changed_settings();
    const Draft draft = std::move(Draft().rewrite(code).code(make_code(9, 1, "N")));
    tested_.connect().run("UPDATE coupon_code SET last_entry_id = 77 WHERE code = 'A'");
    expect_conflict(draft.delta);
    code = *load_code(store(), "B");
    const Draft removed = std::move(Draft().rewrite(code));
    tested_.connect().run("DELETE FROM coupon_code WHERE code = 'B'");
    expect_conflict(removed.delta);
}

// Codes that are kept back.

TEST_F(ChangesTest, KeepsACodeBackAndGivesItBackToItsPlace) {
    const std::int64_t key = shuffle_key("A");
    ASSERT_GE(key, 0);
    const auto rewrite = [&](bool kept_back) {
        Code code = *load_code(store(), "A");
        code.kept_back = kept_back;
        ASSERT_TRUE(store().save(Draft().rewrite(code).delta));
        EXPECT_EQ(load_code(store(), "A")->kept_back, kept_back);
    };
    for (const bool twice : {false, true}) {
        rewrite(true);
        if (twice) rewrite(true);
        EXPECT_EQ(shuffle_key("A"), -1 - key);
        for (int i = 0; i < 20; ++i) EXPECT_EQ(pool(1), (Codes{"B", "C"}));
        EXPECT_TRUE(complete_);
        rewrite(false);
        if (twice) rewrite(false);
        EXPECT_EQ(shuffle_key("A"), key);
        EXPECT_EQ(pool(1), (Codes{"A", "B", "C"}));
    }
}

TEST_F(ChangesTest, RandomAssignmentOfAnyBookDoesNotCountWhatIsKeptBack) {
    ASSERT_TRUE(store().save(Draft().book(make_book(2)).code(make_code(9, 2, "X")).delta));
    for (const char* const text : {"A", "B", "C"}) {
        Code code = *load_code(store(), text);
        code.kept_back = true;
        Draft draft;
        draft.rewrite(code);
        draft.delta.counts[1].kept_back = 1;
        draft.delta.counts[all_books].kept_back = 1;
        ASSERT_TRUE(store().save(draft.delta));
    }
    EXPECT_EQ(tested_.connect().rows("SELECT book_id, sum(kept_back), sum(available) FROM "
                                     "book_count GROUP BY book_id ORDER BY book_id"),
              (std::vector<std::string>{"0|3|4", "1|3|3", "2|0|1"}));
    for (int i = 0; i < 20; ++i) {
        // Were book 1 drawn by its free codes, most of the draws would be in vain.
        EXPECT_EQ(pool({}, noon, 1), Codes{"X"});
    }
    EXPECT_EQ(pool({}), Codes{"X"});
    EXPECT_TRUE(complete_);
}

TEST_F(ChangesTest, RandomAssignmentOfAnyBookPassesOverClosedOnes) {
    ASSERT_TRUE(store().save(Draft().book(make_book(2)).code(make_code(9, 2, "X")).delta));
    const Codes all{"A", "B", "C", "X"}, without{"X"};
    EXPECT_EQ(pool({}), all);
    const auto pools_with = [&](const auto& set, Timestamp at) {
        Book book = *load_book(store(), 1);
        static_cast<BookSettings&>(book) = make_book(1);
        book.archived_at.reset();
        set(book);
        EXPECT_TRUE(store().save(Draft().change(book).delta));
        EXPECT_EQ(pool(1, at).size(), 3U);  // of it alone the rules tell
        const Codes found = pool({}, at);
        EXPECT_TRUE(complete_);
        return found;
    };
    EXPECT_EQ(pools_with([](Book& book) { book.archived_at = noon; }, noon), without);
    EXPECT_EQ(pools_with([](Book& book) { book.active = false; }, noon), without);
    const auto ends = [](Book& book) { book.ends_at = noon; };
    EXPECT_EQ(pools_with(ends, noon), without);
    EXPECT_EQ(pools_with(ends, noon + -1), all);
    EXPECT_EQ(pools_with([](Book& book) { book.starts_at = noon + 1; }, noon), all);
    EXPECT_EQ(pools_with([](Book& book) { book.description = "d"; }, noon), all);
    EXPECT_EQ(pools_with([](Book&) {}, noon), all);
}

// Users who are counted since there is a limit.

TEST_F(ChangesTest, CountsWhatUsersHaveRedeemedBeforeThereWasALimit) {
    Draft draft;
    for (const CodeId id : {11, 12, 13}) {
        Code code = make_code(id, 1, "R" + std::to_string(id));
        code.assigned_to = id == 13 ? "bob" : "ann";
        code.redeemed_at = noon;
        draft.code(code);
    }
    draft.book(make_book(2));
    Code elsewhere = make_code(14, 2, "R14");
    elsewhere.assigned_to = "ann";
    elsewhere.redeemed_at = noon;
    ASSERT_TRUE(store().save(draft.code(elsewhere).delta));

    Needs needs;
    needs.codes = {{"D", "ann", true},
                   {"D", "bob", true},
                   {"D", "zoe", true},
                   {"A", "ann", true},
                   {"R14", "ann", true}};
    EXPECT_TRUE(loaded(store(), needs)->usages.empty());
    Book limited = *load_book(store(), 1);
    limited.max_redemptions_per_user = 5;
    count_what_is_limited(limited);
    ASSERT_TRUE(store().save(Draft().change(limited).delta));

    const auto used = [&] {
        Result<World> world = loaded(store(), needs);
        EXPECT_TRUE(world);
        EXPECT_EQ(world->usages.size(), 3U);
        std::vector<std::int64_t> counts;
        for (const char* const user : {"ann", "bob", "zoe"}) {
            counts.push_back(world->usages[{1, user}].now.redeemed);
        }
        return counts;
    };
    using Counts = std::vector<std::int64_t>;
    EXPECT_EQ(used(), (Counts{2, 1, 0}));
    // From the first redemption on by what is counted then.
    const UsageKey ann{1, "ann"}, bob{1, "bob"};
    ASSERT_TRUE(store().save(Draft().usage(ann, {all_times, 3}).delta));
    EXPECT_EQ(used(), (Counts{3, 1, 0}));
    const auto three = usages_of(store(), "A", "ann").at(ann);
    ASSERT_TRUE(
        store().save(Draft().usage(ann, {all_times, 4}, three).usage(bob, {all_times, 3}).delta));
    EXPECT_EQ(used(), (Counts{4, 3, 0}));
    // Also without a limit.
    limited = *load_book(store(), 1);
    limited.max_redemptions_per_user.reset();
    ASSERT_TRUE(store().save(Draft().change(limited).delta));
    EXPECT_EQ(used(), (Counts{4, 3, 0}));
}

// Rows that cannot be.

TEST_F(ChangesTest, SettingsThatNobodyCanHaveWrittenAreNotLoaded) {
    auto sql = tested_.connect();
    for (const std::string settings :
         {"x", "active maybe", "lock_ttl_s 0", "lock_ttl_s 86401", "starts_at 9999999999999999",
          "archived_at -99999999999999999", "budget x", "limits year 1 - -", "limits day 1 2",
          "counted x", "budget 0", "max_redemptions -1", "limits month - 1000000001 -"}) {
        sql.run("UPDATE coupon_book SET settings = '" + settings + "\n'");
        reopen();
        Needs needs;
        needs.books = {1};
        EXPECT_EQ(store().load(needs).error(), Failure::unavailable) << settings;
        EXPECT_EQ(tested_.reads().list_books({.limit = 1}, noon).error(), Failure::unavailable);
    }
    sql.run("UPDATE coupon_book SET settings = ''");
    ASSERT_TRUE(load_book(store(), 1));
    for (const std::string settings : {"x", "expires_at 9999999999999999", "ends_at 1"}) {
        sql.run("UPDATE coupon_code SET settings = '" + settings + "\n' WHERE code = 'A'");
        Needs needs;
        needs.codes = {{"A"}};
        EXPECT_EQ(loaded(store(), needs).error(), Failure::unavailable) << settings;
        EXPECT_EQ(tested_.reads().find_code("A", 1).error(), Failure::unavailable);
    }
}

// What is listed of them.

TEST_F(ChangesTest, ListsBooksAndCodesWithTheirSettings) {
    const Draft book = std::move(Draft().change(changed(*load_book(store(), 1))));
    ASSERT_TRUE(store().save(book.delta));
    Code code = *load_code(store(), "D");
    static_cast<CodeSettings&>(code) = changed_settings();
    const Draft draft = std::move(Draft().rewrite(code));
    ASSERT_TRUE(store().save(draft.delta));
    const auto page = tested_.reads().list_books({.limit = 1, .with_codes = true}, noon);
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->books[0].book == *book.delta.changed_books[0].book);
    ASSERT_EQ(page->books[0].codes.size(), 4U);
    const std::string text = row_text(changed_settings());
    EXPECT_EQ(row_text(page->books[0].codes[3]), text);
    EXPECT_EQ(row_text(page->books[0].codes[0]), "");
    EXPECT_EQ(row_text(tested_.reads().find_code("D", 1)->value().code), text);
    EXPECT_EQ(row_text(tested_.reads().find_user({"ann", 0, 5})->codes.at(0)), text);
    CodeQuery held;
    held.book_id = 1;
    held.limit = 5;
    held.filter = CodeQuery::Filter::held;
    EXPECT_EQ(row_text(tested_.reads().list_codes(held, noon)->codes.at(0)), text);
}

TEST(ChangesInTheLedger, AreListedWithWhatTheyTell) {
    TestedStore tested;
    ManualClock clock{noon};
    const auto run_one = [&](const Command& command) {
        const auto outcomes = run(tested.store(), command, clock.now());
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
        clock.advance(1);
    };
    EditBook rename{1, {}, BookMembers(1)};
    rename.wish.name = "m";
    EditCode disable{"A", {}, {}, CodeMembers(1)};
    disable.wish.active = false;
    run_one(CreateBook{"n", "p", {}, {}});
    run_one(UploadCodes{1, {"A"}});
    run_one(rename);
    run_one(AssignCode{"A", "ann"});
    run_one(LockCode{"A", "ann", 1000});
    run_one(UnlockCode{"A", "ann"});
    run_one(disable);
    run_one(UnassignCode{"A", "ann"});
    run_one(ArchiveBook{1});
    run_one(RestoreBook{1});

    using enum LedgerEntry::Type;
    const std::vector types{book_created,  codes_uploaded, book_changed, code_assigned,
                            code_locked,   code_unlocked,  code_changed, code_unassigned,
                            book_archived, book_restored};
    EntryQuery query;
    query.limit = 100;
    const EntryPage page = tested.reads().list_entries(query).value();
    ASSERT_EQ(page.entries.size(), types.size());
    for (std::size_t i = 0; i < types.size(); ++i) {
        const auto& [entry, code] = page.entries[i];
        EXPECT_EQ(entry.type, types[i]);
        EXPECT_EQ(entry.at, noon + static_cast<std::int64_t>(i));
        const bool of_code = types[i] == code_assigned || types[i] == code_locked ||
                             types[i] == code_unlocked || types[i] == code_changed ||
                             types[i] == code_unassigned;
        EXPECT_EQ(code, of_code ? "A" : "");
        EXPECT_EQ(entry.user_id, of_code ? std::optional<std::string>("ann") : std::nullopt);
        query.type = types[i];
        EXPECT_EQ(tested.reads().list_entries(query)->entries.size(), 1U);
    }
    EXPECT_EQ(page.entries[2].entry.previous, page.entries[0].entry.id);
    EXPECT_EQ(page.entries[8].entry.previous, page.entries[2].entry.id);
    EXPECT_EQ(page.entries[9].entry.previous, page.entries[8].entry.id);
    EXPECT_EQ(page.entries[5].entry.locked_until, noon + 1004);
    const auto renamed = read_book_change(page.entries[2].entry.detail);
    ASSERT_TRUE(renamed && renamed->before);
    EXPECT_EQ(renamed->before->name, "n");
    EXPECT_EQ(renamed->after.name, "m");
    EXPECT_EQ(renamed->after.updated_at, noon + 2);
    EXPECT_EQ(page.entries[6].entry.detail, "\nactive false\n");
    EXPECT_EQ(page.entries[7].entry.detail, "");

    query.type.reset();
    query.code = "A";
    const EntryPage of_code = tested.reads().list_entries(query).value();
    ASSERT_EQ(of_code.entries.size(), 6U);
    EXPECT_EQ(of_code.entries.back().entry.type, code_unassigned);
    EXPECT_EQ(tested.reads().find_code("A", 100)->value().history.entries.size(), 6U);
    query.code.reset();
    query.book_id = 1;
    EXPECT_EQ(tested.reads().list_entries(query)->entries.size(), types.size());
}

}  // namespace
}  // namespace coupond::test
