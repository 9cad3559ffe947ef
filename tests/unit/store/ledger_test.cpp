// The ledger: what is entered is what is listed.
#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using Type = LedgerEntry::Type;

/// An EntryQuery of which each test names what it is about.
struct Asked {
    EntryId after = 0;
    std::size_t limit = 100;
    std::optional<BookId> book_id = {};
    std::optional<std::string> code = {};
    std::optional<Type> type = {};
};

class LedgerTest : public testing::Test {
protected:
    /// Runs commands as one batch by the rules.
    void run(const std::vector<Command>& commands, const std::string& request_id = "request") {
        const auto outcomes = test::run(tested_.store(), commands, clock_.now(), request_id);
        ASSERT_TRUE(outcomes);
        for (const Outcome& outcome : *outcomes) {
            ASSERT_FALSE(std::holds_alternative<Refusal>(outcome));
        }
    }

    /// Two books with two codes each, of which A is redeemed and X locked: ten entries.
    void prepare() {
        run({with_discount({"n", "p"}, from_short_form(2050)), CreateBook{"m", "p", {}, {}}});
        run({UploadCodes{1, {"A", "B"}}, UploadCodes{2, {"X", "Y"}}});
        run({AssignCode{"A", "ann"}, AssignCode{"X", "bob"}, LockCode{"A", "ann", 1000}});
        run({LockCode{"X", "bob", 2000}, RedeemCode{"A", "ann"}, AssignCode{"B", "bob"}});
    }

    Result<EntryPage> try_to_list(const Asked& asked) {
        return tested_.reads().list_entries(
            {asked.after, asked.limit, asked.book_id, asked.code, asked.type});
    }
    EntryPage list(const Asked& asked) {
        Result<EntryPage> page = try_to_list(asked);
        EXPECT_TRUE(page);
        return page ? std::move(*page) : EntryPage{};
    }
    EntryPage list_all() { return list({.limit = limits::page_entries}); }

    /// Where the entries listed are among all.
    std::vector<std::size_t> places(const Asked& asked) { return places_of(list(asked)); }
    std::vector<std::size_t> places_of(const EntryPage& page) {
        const std::vector<EntryId> all = ids(list_all());
        std::vector<std::size_t> places;
        for (const EntryId id : ids(page)) {
            places.push_back(
                static_cast<std::size_t>(std::find(all.begin(), all.end(), id) - all.begin()));
        }
        return places;
    }

    static std::vector<EntryId> ids(const EntryPage& page) {
        std::vector<EntryId> ids;
        for (const EntryListing& listing : page.entries) ids.push_back(listing.entry.id);
        return ids;
    }

    TestedStore tested_;
    ManualClock clock_;
};

using Places = std::vector<std::size_t>;

TEST_F(LedgerTest, OfNoEntriesIsEmpty) {
    const EntryPage page = list({.after = 7, .limit = 100});
    EXPECT_TRUE(page.entries.empty());
    EXPECT_FALSE(page.more);
    EXPECT_EQ(page.read_to, 7);
    EXPECT_TRUE(list({.limit = 100, .code = "none"}).entries.empty());
}

TEST_F(LedgerTest, KnowsItsLastEntry) {
    EXPECT_EQ(tested_.reads().last_entry().value(), 0);
    prepare();
    const EntryId last = list_all().entries.back().entry.id;
    EXPECT_EQ(tested_.reads().last_entry().value(), last);
    run({CreateBook{"o", "p", {}, {}}});
    EXPECT_EQ(tested_.reads().last_entry().value(), list_all().entries.back().entry.id);
    EXPECT_GT(tested_.reads().last_entry().value(), last);
}

TEST_F(LedgerTest, GivesBackEntriesAsTheyWereEntered) {
    const Timestamp start = clock_.now();
    run({with_discount({"n", "p-{6}", 3}, from_short_form(2050))}, "r1");
    clock_.advance(1);
    run({UploadCodes{1, {"A", "B\u00e9"}}}, "r2");
    run({AssignCode{"B\u00e9", "ann \u20ac"}}, "r3");
    run({LockCode{"B\u00e9", "ann \u20ac", 1000}}, "r4 \u00e9");
    clock_.advance(1);
    run({RedeemCode{"B\u00e9", "ann \u20ac"}}, "r5");
    const EntryPage page = list_all();
    ASSERT_EQ(page.entries.size(), 5u);
    EXPECT_FALSE(page.more);
    const CodeId first = page.entries[1].entry.code_id;
    const Type types[] = {Type::book_created, Type::codes_uploaded, Type::code_assigned,
                          Type::code_locked, Type::code_redeemed};
    for (std::size_t i = 0; i < 5; ++i) {
        const auto& [entry, code] = page.entries[i];
        EXPECT_EQ(entry.type, types[i]);
        EXPECT_EQ(entry.at, start + (i == 0 ? 0 : i == 4 ? 2 : 1));
        EXPECT_EQ(entry.book_id, 1);
        EXPECT_EQ(entry.request_id, i == 3 ? "r4 \u00e9" : "r" + std::to_string(i + 1));
        EXPECT_EQ(entry.codes, i == 1 ? 2 : 0);
        EXPECT_EQ(entry.detail.empty(), i != 0);
        if (i > 0) {
            EXPECT_GT(entry.id, page.entries[i - 1].entry.id);
        }
        if (i < 2) {
            EXPECT_EQ(entry.user_id, std::nullopt);
            EXPECT_EQ(entry.previous, std::nullopt);
            EXPECT_EQ(code, "");
        } else {
            EXPECT_EQ(entry.code_id, first + 1);
            EXPECT_EQ(entry.user_id, "ann \u20ac");
            EXPECT_EQ(entry.previous, page.entries[i - 1].entry.id);
            EXPECT_EQ(code, "B\u00e9");
        }
        EXPECT_EQ(entry.locked_until, i < 3 ? std::nullopt : std::optional(start + 1001));
        EXPECT_EQ(entry.discount, i < 4 ? std::nullopt : std::optional(Money{2050}));
    }
    EXPECT_EQ(page.entries[0].entry.code_id, 0);
    const auto made = read_book_change(page.entries[0].entry.detail);
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->before);
    EXPECT_EQ(made->after.name, "n");
    EXPECT_EQ(made->after.code_pattern, "p-{6}");
    EXPECT_EQ(made->after.max_redemptions_per_user, 3);
    EXPECT_EQ(short_form(made->after.discount), 2050);
    EXPECT_EQ(made->after.created_at, start);
    EXPECT_EQ(load_code(tested_.store(), "B\u00e9")->last_entry, page.read_to);
    EXPECT_EQ(load_code(tested_.store(), "A")->last_entry, page.entries[1].entry.id);
}

TEST_F(LedgerTest, ListsThoseOfABookOfATypeAndOfACode) {
    prepare();
    EXPECT_EQ(places({}), (Places{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    EXPECT_EQ(places({.book_id = 1}), (Places{0, 2, 4, 6, 8, 9}));
    EXPECT_EQ(places({.book_id = 2}), (Places{1, 3, 5, 7}));
    EXPECT_EQ(places({.book_id = 3}), Places());
    EXPECT_EQ(places({.type = Type::book_created}), (Places{0, 1}));
    EXPECT_EQ(places({.type = Type::codes_uploaded}), (Places{2, 3}));
    EXPECT_EQ(places({.type = Type::code_assigned}), (Places{4, 5, 9}));
    EXPECT_EQ(places({.type = Type::code_locked}), (Places{6, 7}));
    EXPECT_EQ(places({.type = Type::code_redeemed}), (Places{8}));
    EXPECT_EQ(places({.book_id = 2, .type = Type::code_locked}), (Places{7}));
    EXPECT_EQ(places({.book_id = 2, .type = Type::code_redeemed}), Places());
    EXPECT_EQ(places({.code = "A"}), (Places{2, 4, 6, 8}));
    EXPECT_EQ(places({.code = "B"}), (Places{2, 9}));
    EXPECT_EQ(places({.code = "X"}), (Places{3, 5, 7}));
    EXPECT_EQ(places({.code = "Y"}), (Places{3}));
    EXPECT_EQ(places({.code = "a"}), Places());
    EXPECT_EQ(places({.book_id = 1, .code = "A"}), (Places{2, 4, 6, 8}));
    EXPECT_EQ(places({.book_id = 2, .code = "A"}), Places());
    EXPECT_EQ(places({.code = "A", .type = Type::code_locked}), (Places{6}));
}

TEST_F(LedgerTest, GoesThroughThemPageByPage) {
    prepare();
    const std::vector<EntryId> all = ids(list_all());
    const EntryPage first = list({.limit = 4});
    EXPECT_EQ(places_of(first), (Places{0, 1, 2, 3}));
    EXPECT_TRUE(first.more);
    EXPECT_EQ(first.read_to, all[3]);
    const EntryPage second = list({.after = first.read_to, .limit = 4});
    EXPECT_EQ(places_of(second), (Places{4, 5, 6, 7}));
    EXPECT_TRUE(second.more);
    const EntryPage last = list({.after = second.read_to, .limit = 4});
    EXPECT_EQ(places_of(last), (Places{8, 9}));
    EXPECT_FALSE(last.more);
    EXPECT_EQ(last.read_to, all[9]);

    EXPECT_FALSE(list({.limit = 10}).more);
    EXPECT_TRUE(list({.limit = 9}).more);
    EXPECT_EQ(places_of(list({.after = all[4] - 1, .limit = 1})), (Places{4}));
    for (const EntryId after : {all[9], INT64_MAX}) {
        const EntryPage none = list({.after = after, .limit = 4});
        EXPECT_TRUE(none.entries.empty());
        EXPECT_FALSE(none.more);
        EXPECT_EQ(none.read_to, after);
    }
}

TEST_F(LedgerTest, GoesThroughThoseThatMatchPageByPage) {
    prepare();
    const std::vector<EntryId> all = ids(list_all());
    const EntryPage first = list({.limit = 2, .book_id = 2});
    EXPECT_EQ(places_of(first), (Places{1, 3}));
    EXPECT_TRUE(first.more);
    EXPECT_EQ(first.read_to, all[3]);
    const EntryPage last = list({.after = first.read_to, .limit = 2, .book_id = 2});
    EXPECT_EQ(places_of(last), (Places{5, 7}));
    EXPECT_FALSE(last.more);
    EXPECT_EQ(last.read_to, all[9]);  // whatever else is there was looked at

    const EntryPage of_code = list({.limit = 3, .code = "A"});
    EXPECT_EQ(places_of(of_code), (Places{2, 4, 6}));
    EXPECT_TRUE(of_code.more);
    EXPECT_EQ(of_code.read_to, all[6]);
    const EntryPage rest = list({.after = of_code.read_to, .limit = 3, .code = "A"});
    EXPECT_EQ(places_of(rest), (Places{8}));
    EXPECT_FALSE(rest.more);
}

TEST_F(LedgerTest, EndsAPageWhereItHasLookedAtEnough) {
    run({CreateBook{"n", "p", {}, {}}});
    // Before it, as many as are looked at for a page.
    constexpr auto before = -static_cast<EntryId>(limits::page_scan) - 1;
    tested_.connect().run(
        "INSERT INTO ledger (id, at, type, book_id, code_id, codes, request_id) "
        "WITH RECURSIVE n (i) AS (SELECT -1 UNION ALL SELECT i - 1 FROM n "
        "WHERE i - 1 > " +
        std::to_string(before) + ") SELECT i, 0, 2, 1, 1, 1, 'r' FROM n");
    const EntryPage none = list({.after = before, .limit = 1, .type = Type::book_created});
    EXPECT_TRUE(none.entries.empty());
    EXPECT_TRUE(none.more);
    EXPECT_EQ(none.read_to, -1);
    const EntryPage found = list({.after = none.read_to, .limit = 1, .type = Type::book_created});
    ASSERT_EQ(found.entries.size(), 1u);
    EXPECT_FALSE(found.more);
    const EntryPage one_less = list({.after = before + 1, .limit = 1, .type = Type::book_created});
    EXPECT_EQ(ids(one_less), ids(found));
    EXPECT_TRUE(one_less.more);  // it has not looked whether that was the last one
    EXPECT_EQ(one_less.read_to, found.entries[0].entry.id);
    EXPECT_FALSE(list({.after = one_less.read_to, .limit = 1}).more);

    const EntryPage some = list({.after = before, .limit = 2, .book_id = 1});
    EXPECT_EQ(ids(some), (std::vector<EntryId>{before + 1, before + 2}));
    EXPECT_TRUE(some.more);
    EXPECT_EQ(some.read_to, before + 2);
    const EntryPage all = list({.after = before, .limit = limits::page_entries});
    EXPECT_EQ(all.entries.size(), limits::page_entries);
    EXPECT_TRUE(all.more);
}

TEST_F(LedgerTest, IsUnavailableWhereTheDatabaseDoesNotWorkAndRecovers) {
    prepare();
    auto second = tested_.connect();
    second.run("ALTER TABLE ledger RENAME TO gone");
    EXPECT_EQ(try_to_list({.limit = 1}).error(), Failure::unavailable);
    EXPECT_EQ(try_to_list({.limit = 1, .code = "A"}).error(), Failure::unavailable);
    second.run("ALTER TABLE gone RENAME TO ledger");
    EXPECT_EQ(list_all().entries.size(), 10u);
}

TEST_F(LedgerTest, GoesOnFromTheLastEntryAfterAReopening) {
    prepare();
    const std::vector<EntryId> before = ids(list_all());
    tested_.close();
    tested_.open();
    run({AssignCode{"Y", "ann"}});
    std::vector<EntryId> after = ids(list_all());
    ASSERT_EQ(after.size(), 11u);
    EXPECT_GT(after.back(), before.back());
    after.pop_back();
    EXPECT_EQ(after, before);
}

TEST_F(LedgerTest, HasNothingOfABatchThatWasNotSaved) {
    prepare();
    tested_.refuse("zoe");
    EXPECT_EQ(test::run(tested_.store(), AssignCode{"Y", "zoe"}, clock_.now()).error(),
              Failure::refused);
    EXPECT_EQ(list_all().entries.size(), 10u);
}

}  // namespace
}  // namespace coupond::test
