// What changes of books and codes leave to be saved; of the rules about them tests/cases tells.
#include <gtest/gtest.h>

#include <deque>

#include "domain/domain.hpp"

namespace coupond {
namespace {

constexpr Timestamp noon{1'795'348'800'000};  // 2026-11-22T12:00:00Z
constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr Timestamp november_22{1'795'305'600'000};

/// A World of book 1, whose last entry is 10, and of codes in it whose last entry is 20.
class Changes : public testing::Test {
protected:
    Changes() {
        world_.next_book_id = 2;
        world_.next_code_id = 1;
        world_.next_entry_id = 100;
        Book book;
        book.id = 1;
        book.name = "n";
        book.code_pattern = "p";
        book.created_at = book.updated_at = noon + -day_ms;
        book.last_entry = 10;
        world_.books.emplace(1, book);
    }

    CodeRow& add(const std::string& text, const std::optional<std::string>& holder = {},
                 const CodeSettings& settings = {}, bool kept_back = false) {
        Code code;
        static_cast<CodeSettings&>(code) = settings;
        code.id = world_.next_code_id++;
        code.book_id = 1;
        code.code = text;
        code.assigned_to = holder;
        code.last_entry = 20;
        code.kept_back = kept_back;
        return world_.add(std::move(code));
    }

    /// Decides them as one batch; the submissions live as long as the test.
    Decision decide(const std::vector<Command>& commands) {
        std::vector<const Submission*> pointers;
        for (const Command& command : commands) {
            pointers.push_back(&submissions_.emplace_back(Submission{command, "r"}));
        }
        return coupond::decide(world_, pointers, noon);
    }

    static EditBook edit(std::initializer_list<std::size_t> wished, const BookWish& wish) {
        EditBook command{1, wish, {}};
        for (const std::size_t place : wished) command.wished.set(place);
        return command;
    }
    static EditCode disable(const std::string& code, bool active = false) {
        EditCode command{code, {}, {}, {}};
        command.wish.active = active;
        command.wished.set(0);
        return command;
    }

    Book& book() { return world_.books.at(1); }

    static std::int64_t counted_by(const BookWish& wish) {
        Book limited;
        static_cast<BookSettings&>(limited) = wish;
        count_what_is_limited(limited);
        return limited.counted;
    }

    static constexpr std::size_t name = 0, limit = 2, discount = 3, active = 5, starts = 6,
                                 ends = 7, zone = 8, limits = 11;
    static inline const CodeSettings disabled{false};
    World world_;
    std::deque<Submission> submissions_;
};

// Dates.

TEST_F(Changes, ADateIsADayOfTheBooksTimeZone) {
    BookWish wish;
    wish.starts_on = wish.ends_on = "2026-11-22";
    decide({edit({starts, ends}, wish)});
    EXPECT_EQ(book().starts_at, november_22);
    EXPECT_EQ(book().ends_at, november_22 + day_ms);

    wish.time_zone = "Europe/Berlin";
    decide({edit({starts, ends, zone}, wish)});
    EXPECT_EQ(book().starts_at, november_22 + -hour_ms);
    EXPECT_EQ(book().ends_at, november_22 + (day_ms - hour_ms));

    // By the time zone that it has already; a day of 23 hours.
    wish = {};
    wish.starts_on = wish.ends_on = "2026-03-29";
    decide({edit({starts, ends}, wish)});
    EXPECT_EQ(book().ends_at->ms - book().starts_at->ms, 23 * hour_ms);

    CreateBook created;
    created.time_zone = "Asia/Tokyo";
    created.starts_on = "2026-11-22";
    decide({created});
    EXPECT_EQ(world_.books.at(2).starts_at, november_22 + -9 * hour_ms);
    EXPECT_EQ(world_.books.at(2).ends_at, std::nullopt);
}

TEST_F(Changes, ALaterChangeOfTheTimeZoneMovesNothing) {
    BookWish wish;
    wish.starts_on = wish.ends_on = "2026-11-22";
    decide({edit({starts, ends}, wish)});
    wish = {};
    wish.time_zone = "Europe/Berlin";
    decide({edit({zone}, wish)});
    EXPECT_EQ(book().time_zone, "Europe/Berlin");
    EXPECT_EQ(book().starts_at, november_22);
    EXPECT_EQ(book().ends_at, november_22 + day_ms);
}

TEST_F(Changes, ACodeExpiresAtTheEndOfADayOfItsBooksTimeZone) {
    const CodeRow& row = add("A");
    EditCode command{"A", {}, "2026-11-22", {}};
    command.wished.set(1);
    decide({command});
    EXPECT_EQ(row.code.expires_at, november_22 + day_ms);
    BookWish wish;
    wish.time_zone = "America/New_York";
    decide({edit({zone}, wish), command});
    EXPECT_EQ(row.code.expires_at, november_22 + (day_ms + 5 * hour_ms));
}

TEST_F(Changes, AWishThatContradictsItselfChangesNothing) {
    BookWish wish;
    wish.name = "other";
    wish.starts_at = wish.ends_at = noon;
    const Decision decision = decide({edit({name, starts, ends}, wish)});
    EXPECT_EQ(std::get<Contradicted>(decision.outcomes[0]).faults,
              std::vector<Fault>{Fault::ends_before_start});
    EXPECT_TRUE(decision.delta.empty());
    EXPECT_EQ(book().name, "n");

    CreateBook created;
    created.starts_at = created.ends_at = noon;
    EXPECT_TRUE(decide({created}).delta.empty());
    EXPECT_EQ(world_.next_book_id, 2);
}

// Books.

TEST_F(Changes, OfABookAreSavedOnceAndGuardedByWhatWasLoaded) {
    BookWish first, second;
    first.name = "a";
    second.max_redemptions_per_user = 2;
    const Book before = book();
    const Decision decision =
        decide({edit({name}, first), edit({limit}, second), ArchiveBook{1}, RestoreBook{1}});
    const Delta& delta = decision.delta;
    ASSERT_EQ(delta.changed_books.size(), 1U);
    EXPECT_EQ(delta.changed_books[0].book, &book());
    EXPECT_EQ(delta.changed_books[0].loaded_entry, 10);
    EXPECT_TRUE(delta.new_books.empty());
    EXPECT_TRUE(delta.counts.empty() && delta.activity.empty());

    ASSERT_EQ(delta.entries.size(), 4U);
    using enum LedgerEntry::Type;
    const std::vector types{book_changed, book_changed, book_archived, book_restored};
    Book left = before;
    EntryId last = 10;
    for (std::size_t i = 0; i < 4; ++i) {
        const LedgerEntry& entry = delta.entries[i];
        EXPECT_EQ(entry.type, types[i]);
        EXPECT_EQ(entry.id, 100 + static_cast<EntryId>(i));
        EXPECT_EQ(entry.previous, last);
        EXPECT_EQ(entry.book_id, 1);
        EXPECT_EQ(entry.code_id, 0);
        EXPECT_EQ(entry.user_id, std::nullopt);
        const auto change = read_book_change(entry.detail);
        ASSERT_TRUE(change && change->before);
        EXPECT_EQ(change_text(nullptr, *change->before), change_text(nullptr, left));
        EXPECT_EQ(change->after.updated_at, noon);
        left = change->after;
        last = entry.id;
    }
    EXPECT_EQ(change_text(nullptr, left), change_text(nullptr, book()));
    EXPECT_EQ(book().last_entry, 103);
    EXPECT_EQ(book().name, "a");
    EXPECT_EQ(book().counted, counted_by(second));
    EXPECT_EQ(book().archived_at, std::nullopt);
}

TEST_F(Changes, OfABookThatIsNewAreSavedWithIt) {
    BookWish wish;
    wish.name = "b";
    EditBook renamed = edit({name}, wish);
    renamed.book_id = 2;
    const Decision decision = decide({CreateBook{"a", "p", {}, {}}, renamed});
    EXPECT_TRUE(decision.delta.changed_books.empty());
    ASSERT_EQ(decision.delta.new_books.size(), 1U);
    EXPECT_EQ(decision.delta.new_books[0]->name, "b");
    EXPECT_EQ(decision.delta.new_books[0]->last_entry, 101);
    EXPECT_EQ(decision.delta.entries[0].previous, std::nullopt);
    EXPECT_EQ(decision.delta.entries[1].previous, 100);
    EXPECT_EQ(std::get<BookCreated>(decision.outcomes[0]).book.name, "a");
    EXPECT_EQ(std::get<BookChanged>(decision.outcomes[1]).book.name, "b");
}

TEST_F(Changes, ThatChangeNothingAreNone) {
    add("A", "ann");
    BookWish same;
    same.name = "n";
    const Decision decision = decide({edit({name, limit, active, starts, zone}, same),
                                      RestoreBook{1}, disable("A", true), UnlockCode{"A", "ann"}});
    EXPECT_TRUE(decision.delta.empty());
    EXPECT_EQ(std::get<BookChanged>(decision.outcomes[0]).book.updated_at, noon + -day_ms);
    EXPECT_TRUE(std::get<BookChanged>(decision.outcomes[1]).restored);
    EXPECT_TRUE(std::holds_alternative<CodeChanged>(decision.outcomes[2]));
    EXPECT_TRUE(std::holds_alternative<CodeUnlocked>(decision.outcomes[3]));
    add("B");
    EXPECT_TRUE(decide({UnassignCode{"B", {}}}).delta.empty());
}

TEST_F(Changes, WhatHasOnceBeenLimitedIsCountedFromThenOn) {
    BookWish of_users, of_days;
    of_users.max_redemptions_per_user = 2;
    of_days.limits[Per::day] = {5, std::nullopt, std::nullopt};
    EXPECT_EQ(book().counted, 0);
    decide({edit({limit}, of_users)});
    EXPECT_EQ(book().counted, counted_by(of_users));
    decide({edit({limit}, {})});
    EXPECT_EQ(book().max_redemptions_per_user, std::nullopt);
    EXPECT_EQ(book().counted, counted_by(of_users));
    decide({edit({limits}, of_days)});
    EXPECT_EQ(book().counted, counted_by(of_users) | counted_by(of_days));
    decide({edit({limits}, {})});
    EXPECT_EQ(book().limits, (std::map<Per, Limits>()));
    EXPECT_EQ(book().counted, counted_by(of_users) | counted_by(of_days));
}

TEST_F(Changes, WhatIsUsedOfABookIsCountedAnewBehindAChangeOfItsDaysOrItsCurrency) {
    book().limits[Per::day] = {5, std::nullopt, std::nullopt};
    book().discount = Discount{Discount::Type::amount, 500, Currency::find("EUR"), {}, {}};
    count_what_is_limited(book());
    const Book before = book();
    char code = 'A';
    const auto is_unforeseen = [&](const EditBook& change) {
        book() = before;
        const std::string text(1, code++);
        add(text, "ann").code.lock = Lock{"ann", noon + hour_ms};
        world_.usages.clear();
        for (const UsageNeed& need : usage_needs(before, "", noon)) {
            world_.usages[need.key].now = {need.since, 0, 0, need.currency};
        }
        const Decision decision = decide({change, RedeemCode{text, "ann"}});
        EXPECT_TRUE(std::holds_alternative<CodeRedeemed>(decision.outcomes[1]));
        return decision.unforeseen;
    };
    BookWish wish;
    EXPECT_FALSE(is_unforeseen(edit({name}, wish)));
    wish.time_zone = "Asia/Tokyo";
    EXPECT_TRUE(is_unforeseen(edit({zone}, wish)));
    wish.discount = Discount{Discount::Type::amount, 500, Currency::find("USD"), {}, {}};
    EXPECT_TRUE(is_unforeseen(edit({discount}, wish)));
}

TEST_F(Changes, RefusalsAreCountedForTheBookAndContradictionsNowhere) {
    add("A", "ann");
    book().archived_at = noon;
    EditBook other = edit({active}, {});
    other.book_id = 9;
    BookWish contradiction;
    contradiction.starts_at = contradiction.ends_at = noon;
    const Delta delta = decide({UploadCodes{1, {"X"}}, AssignAny{"ann", 1}, LockCode{"A", "ann", 5},
                                other, UnassignCode{"A", "bob"}, UnlockCode{"X", "ann"},
                                edit({starts, ends}, contradiction)})
                            .delta;
    const std::map<std::pair<BookId, Refusal>, std::int64_t> wanted{
        {{all_books, Refusal::book_archived}, 3},  {{1, Refusal::book_archived}, 3},
        {{all_books, Refusal::book_not_found}, 1}, {{all_books, Refusal::not_assigned_to_user}, 1},
        {{1, Refusal::not_assigned_to_user}, 1},   {{all_books, Refusal::code_not_found}, 1}};
    EXPECT_EQ(delta.refusals, wanted);
}

// Codes that are kept back.

TEST_F(Changes, AFreeCodeThatDoesNotWorkIsKeptBack) {
    CodeRow& row = add("A");
    const Delta delta = decide({disable("A")}).delta;
    ASSERT_EQ(delta.changed_codes, std::vector<CodeRow*>{&row});
    EXPECT_TRUE(row.rewritten && row.code.kept_back);
    EXPECT_FALSE(row.assigned || row.unassigned || row.redeemed || row.lock_changed);
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(all_books).kept_back, 1);
    EXPECT_EQ(delta.counts.at(1).available, 0);
    ASSERT_EQ(delta.entries.size(), 1U);
    EXPECT_EQ(delta.entries[0].previous, 20);
    EXPECT_EQ(delta.entries[0].detail, "\nactive false\n");
    EXPECT_TRUE(delta.activity.empty());
}

TEST_F(Changes, ACodeThatWorksAgainIsNotKeptBackAnyMore) {
    CodeRow& row = add("A", {}, disabled, true);
    EXPECT_TRUE(row.loaded_kept_back);
    const Delta delta = decide({disable("A", true)}).delta;
    EXPECT_TRUE(row.rewritten);
    EXPECT_FALSE(row.code.kept_back);
    EXPECT_EQ(delta.counts.at(1).kept_back, -1);
}

TEST_F(Changes, OnlyFreeCodesCountAsKeptBack) {
    add("A", "ann");
    EXPECT_TRUE(decide({disable("A")}).delta.counts.empty());
    CodeRow& held = add("B", "ann", disabled, true);
    EXPECT_FALSE(held.loaded_kept_back);
    Delta delta = decide({UnassignCode{"B", "ann"}}).delta;
    EXPECT_TRUE(held.rewritten && held.unassigned && held.code.kept_back);
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(1).available, 1);
    // One that works when it is taken back, whatever it was when it was given away.
    CodeRow& works = add("C", "ann", {}, true);
    delta = decide({UnassignCode{"C", "ann"}}).delta;
    EXPECT_FALSE(works.code.kept_back);
    EXPECT_EQ(delta.counts.at(1).kept_back, 0);
}

TEST_F(Changes, AreCountedByWhatIsLeftOfThemAtTheEnd) {
    add("A");
    add("B");
    Delta delta = decide({disable("A"), disable("A", true)}).delta;
    EXPECT_TRUE(delta.counts.empty());
    EXPECT_EQ(delta.entries.size(), 2U);
    delta = decide({AssignCode{"B", "ann"}, disable("B"), UnassignCode{"B", {}}}).delta;
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(1).available, 0);
    delta = decide({UploadCodes{1, {"N"}}, disable("N")}).delta;
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(1).available, 1);
    EXPECT_TRUE(delta.new_codes.at(0)->code.kept_back);
    EXPECT_TRUE(delta.changed_codes.empty());
}

TEST_F(Changes, RandomAssignmentKeepsBackWhatItMeetsExpired) {
    CodeRow& expired = add("A", {}, {true, noon});
    CodeRow& works = add("B", {}, {true, noon + 1});
    Pool& pool = world_.pools[PoolScope{1}];
    pool.codes = {&expired, &works};
    const Decision decision = decide({AssignAny{"ann", 1}});
    EXPECT_EQ(std::get<CodeAssigned>(decision.outcomes[0]).code.code, "B");
    const Delta& delta = decision.delta;
    EXPECT_EQ(delta.changed_codes, (std::vector<CodeRow*>{&expired, &works}));
    EXPECT_TRUE(expired.rewritten && expired.code.kept_back);
    EXPECT_EQ(expired.code.last_entry, 20);  // nothing was done to it
    EXPECT_EQ(delta.entries.size(), 1U);
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(1).available, -1);
}

// What the pools were loaded by.

TEST_F(Changes, RandomAssignmentCannotForeseeWhatTheBatchHasMadeFree) {
    add("A", "ann");
    add("B", {}, disabled, true);
    book().active = false;
    world_.pools[PoolScope{}].complete = true;
    const AssignAny any{"bob", {}};
    EXPECT_FALSE(decide({any}).unforeseen);
    BookWish open;
    for (const Command& command : {Command(UnassignCode{"A", {}}), Command(disable("B", true)),
                                   Command(edit({active}, open))}) {
        EXPECT_TRUE(decide({command, any}).unforeseen);
    }
}

TEST_F(Changes, APoolThatABatchHasClosedIsNotLoadedToItsEnd) {
    CodeRow& row = add("A");
    world_.pools[PoolScope{}].codes = {&row};
    BookWish close;
    close.active = false;
    const Decision decision = decide({edit({active}, close), AssignAny{"bob", {}}});
    EXPECT_TRUE(decision.unforeseen);
    EXPECT_FALSE(decision.shortage);
}

TEST_F(Changes, APoolOfCodesThatHaveExpiredIsLoadedAgain) {
    CodeRow& row = add("A", {}, {true, noon});
    world_.pools[PoolScope{}].codes = {&row};
    const Decision decision = decide({AssignAny{"bob", {}}});
    EXPECT_TRUE(decision.shortage);
    EXPECT_FALSE(decision.unforeseen);
}

// Locks and holders.

TEST_F(Changes, UnlockingEndsALockNow) {
    CodeRow& row = add("A", "ann");
    row.code.lock = Lock{"ann", noon + 5};
    row.code.ever_locked = true;
    const Delta delta = decide({UnlockCode{"A", "ann"}}).delta;
    EXPECT_EQ(row.code.lock->until, noon);
    EXPECT_TRUE(row.lock_changed);
    EXPECT_FALSE(row.rewritten || row.lock_ended);
    const std::map<std::pair<BookId, Timestamp>, std::int64_t> locks{{{1, noon}, 1},
                                                                     {{1, noon + 5}, -1}};
    EXPECT_EQ(delta.locks, locks);
    EXPECT_TRUE(delta.counts.empty());
    ASSERT_EQ(delta.entries.size(), 1U);
    EXPECT_EQ(delta.entries[0].type, LedgerEntry::Type::code_unlocked);
    EXPECT_EQ(delta.entries[0].user_id, "ann");
    EXPECT_EQ(delta.entries[0].locked_until, noon + 5);
    EXPECT_EQ(delta.entries[0].previous, 20);
}

TEST_F(Changes, OfACodeShowInARedemptionByAUseOfIt) {
    book().open = true;
    book().max_redemptions_per_code.reset();
    count_what_is_limited(book());
    const CodeRow& row = add("A");
    world_.usages[uses_need(1, row.code.id).key];
    world_.unredeemed_uses[{row.code.id, "ann"}] = nullptr;
    EditCode edit{"A", {}, {}, {}};
    edit.wish.max_redemptions = 7;
    edit.wished.set();
    const Decision decision = decide({LockCode{"A", "ann", hour_ms}, edit, RedeemCode{"A", "ann"}});
    EXPECT_FALSE(decision.unforeseen);
    const auto& redeemed = std::get<CodeRedeemed>(decision.outcomes.at(2));
    EXPECT_TRUE(redeemed.redemption.use_of);
    EXPECT_EQ(redeemed.code.max_redemptions, 7);
}

TEST_F(Changes, ACodeThatIsTakenBackIsAsIfNobodyHadHadIt) {
    CodeRow& row = add("A", "ann");
    row.code.lock = Lock{"ann", noon};
    row.code.ever_locked = true;
    const Decision decision = decide({UnassignCode{"A", {}}});
    const Delta& delta = decision.delta;
    EXPECT_TRUE(row.rewritten && row.unassigned && row.lock_changed);
    EXPECT_EQ(row.code.assigned_to, std::nullopt);
    EXPECT_FALSE(row.code.lock || row.code.ever_locked);
    EXPECT_EQ(delta.counts.at(1).available, 1);
    EXPECT_EQ(delta.counts.at(1).ever_locked, -1);
    const std::map<std::pair<BookId, Timestamp>, std::int64_t> locks{{{1, noon}, -1}};
    EXPECT_EQ(delta.locks, locks);
    EXPECT_EQ(delta.entries.at(0).type, LedgerEntry::Type::code_unassigned);
    EXPECT_EQ(delta.entries[0].user_id, "ann");
    EXPECT_TRUE(delta.activity.empty());
    EXPECT_EQ(std::get<CodeUnassigned>(decision.outcomes[0]).code.assigned_to, std::nullopt);
}

TEST_F(Changes, ACodeIsTakenBackAndGivenAwayInOneBatch) {
    CodeRow& row = add("A", "ann");
    const Delta delta = decide({UnassignCode{"A", "ann"}, AssignCode{"A", "bob"}}).delta;
    EXPECT_TRUE(row.rewritten && row.unassigned && row.assigned);
    EXPECT_EQ(row.code.assigned_to, "bob");
    EXPECT_EQ(delta.counts.at(1).available, 0);
    EXPECT_EQ(delta.changed_codes.size(), 1U);
    EXPECT_EQ(delta.entries.size(), 2U);
    EXPECT_EQ(row.loaded_entry, 20);
    EXPECT_EQ(row.code.last_entry, 101);
}

// What is loaded for them.

TEST(NeedsOfChanges, AreTheirBooksAndCodesAndSomeAreAloneForThem) {
    const auto needs_of = [](const Command& command) {
        const Submission submission{command, "r"};
        const Submission* const one[] = {&submission};
        const Needs needed = needs(one, noon);
        EXPECT_EQ(needed.at, noon);
        EXPECT_EQ(needed.book_ids + needed.code_ids, 0U);
        EXPECT_FALSE(needed.only_book);
        std::string text;
        for (const BookId book : needed.books) text += "book " + std::to_string(book);
        for (const Needs::CodeNeed& need : needed.codes) {
            text += "code " + std::string(need.code);
            if (need.uses) text += " used";
        }
        return text + (needed.alone ? " alone" : "") + (needed.takes_locks ? " takes locks" : "");
    };
    EXPECT_EQ(needs_of(EditBook{7, {}, {}}), "book 7 alone");
    EXPECT_EQ(needs_of(ArchiveBook{7}), "book 7 alone");
    EXPECT_EQ(needs_of(RestoreBook{7}), "book 7 alone");
    EXPECT_EQ(needs_of(EditCode{"A", {}, {}, {}}), "code A");
    EXPECT_EQ(needs_of(UnlockCode{"A", "ann"}), "code A used takes locks");
    EXPECT_EQ(needs_of(UnassignCode{"A", {}}), "code A takes locks");
}

}  // namespace
}  // namespace coupond
