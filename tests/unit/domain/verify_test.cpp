// What must hold in a database: each rule, broken in rows made by hand.
#include "domain/verify.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "base/limits.hpp"
#include "domain/settings.hpp"
#include "domain/spelling.hpp"
#include "domain/usage.hpp"

namespace coupond {
namespace {

constexpr Timestamp noon{1'795'348'800'000};
constexpr std::int64_t minute = 60'000;

constexpr Timestamp at_minute(std::int64_t minutes) {
    return noon + minutes * minute;
}

std::int64_t wrapping_sum(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

template <class Row>
class ListStream final : public RowStream<Row> {
public:
    explicit ListStream(const std::vector<Row>& rows) : rows_(rows) {}

    bool next(Row& row) override {
        if (at_ == rows_.size()) return false;
        row = rows_[at_++];
        return true;
    }

private:
    const std::vector<Row>& rows_;
    std::size_t at_ = 0;
};

struct Rows : Snapshot {
    std::vector<BookRow> book_rows;
    std::vector<CodeRow> code_rows;
    std::vector<EntryId> ids;
    std::vector<EntryRow> creations, upload_rows, erasure_rows, entries;
    std::vector<BookCountRow> counts;
    std::vector<ActivityRow> activity;
    std::vector<DiscountCountRow> discounts;
    std::vector<MovedRow> moved_out;
    std::vector<LockCountRow> locks, locked;
    std::vector<UsageRow> used;
    std::vector<CountedLockRow> counted;
    std::vector<UsesRow> used_codes;
    std::vector<StandingRow> stands;
    std::vector<HoldingRow> held;
    std::vector<UserCountRow> redeemed;
    std::optional<IdSources> sources;
    std::vector<std::string> faults_found;

    template <class Row>
    static std::unique_ptr<RowStream<Row>> stream(const std::vector<Row>& rows) {
        return std::make_unique<ListStream<Row>>(rows);
    }
    std::vector<std::string> faults() override { return faults_found; }
    std::unique_ptr<RowStream<BookRow>> books() override { return stream(book_rows); }
    std::unique_ptr<RowStream<CodeRow>> codes() override { return stream(code_rows); }
    std::unique_ptr<RowStream<EntryId>> entry_ids() override { return stream(ids); }
    std::unique_ptr<RowStream<EntryRow>> book_entries() override { return stream(creations); }
    std::unique_ptr<RowStream<EntryRow>> uploads() override { return stream(upload_rows); }
    std::unique_ptr<RowStream<EntryRow>> erasures() override { return stream(erasure_rows); }
    std::unique_ptr<RowStream<EntryRow>> code_entries() override { return stream(entries); }
    std::unique_ptr<RowStream<BookCountRow>> book_counts() override { return stream(counts); }
    std::unique_ptr<RowStream<ActivityRow>> activity_counts() override { return stream(activity); }
    std::unique_ptr<RowStream<DiscountCountRow>> discount_counts() override {
        return stream(discounts);
    }
    std::unique_ptr<RowStream<MovedRow>> moved() override { return stream(moved_out); }
    std::unique_ptr<RowStream<LockCountRow>> lock_counts(Timestamp) override {
        return stream(locks);
    }
    std::unique_ptr<RowStream<LockCountRow>> locked_codes(Timestamp) override {
        return stream(locked);
    }
    std::unique_ptr<RowStream<UsageRow>> usages(Timestamp) override { return stream(used); }
    std::unique_ptr<RowStream<CountedLockRow>> counted_locks(Timestamp) override {
        return stream(counted);
    }
    std::unique_ptr<RowStream<UsesRow>> uses(Timestamp) override { return stream(used_codes); }
    std::unique_ptr<RowStream<StandingRow>> standing() override { return stream(stands); }
    std::unique_ptr<RowStream<UserCountRow>> redeemed_codes() override { return stream(redeemed); }
    std::unique_ptr<RowStream<HoldingRow>> holdings() override { return stream(held); }
    std::optional<IdSources> id_sources() override { return sources; }
};

using Lines = std::vector<std::string>;
using enum LedgerEntry::Type;

class Verify : public testing::Test {
protected:
    /// A book whose codes 1 to 4 are free, assigned, locked and redeemed; now is ten past.
    Verify() {
        Book book = a_book();
        book.max_redemptions_per_user = 2;
        count_what_is_limited(book);
        put_book(book);
        rows.upload_rows = {entry(2, 1, codes_uploaded, 1)};
        rows.upload_rows[0].codes = 4;
        rows.code_rows = {code(1, 2), code(2, 3), code(3, 5), code(4, 8)};
        for (const std::size_t held : {1, 2, 3}) {
            rows.code_rows[held].assigned_to = 7;
            rows.code_rows[held].holder_known = true;
        }
        rows.code_rows[2].locked_until = at_minute(13);
        rows.code_rows[3].redeemed_at = at_minute(9);
        rows.entries = {
            change(3, 2, code_assigned, 2, 2),   change(4, 3, code_assigned, 3, 2),
            change(5, 8, code_locked, 3, 4, 13), change(6, 4, code_assigned, 4, 2),
            change(7, 8, code_locked, 4, 6, 13), change(8, 9, code_redeemed, 4, 7, 13),
        };
        redemption().discount_cents = 250;
        rows.ids = {1, 2, 3, 4, 5, 6, 7, 8};
        rows.locks = rows.locked = {{1, at_minute(13), 1}};
        rows.used = {usage_of_user(1)};
        rows.redeemed = {{1, 7, 1, 8, at_minute(9)}};
        rows.sources = {{2, 5, 1}};
    }

    static Book a_book() {
        Book book;
        book.id = 1;
        book.name = "n";
        book.created_at = book.updated_at = noon;
        return book;
    }

    /// Of user 7 ever, as it is where so many of their codes are redeemed.
    static Snapshot::UsageRow usage_of_user(std::int64_t redeemed) {
        return {1, 7, 0, all_times, redeemed, 0, {}, redeemed, 8, at_minute(9)};
    }

    /// The row of `book` and its creation, entry 1.
    void put_book(Book book) {
        rows.creations = {entry(1, 0, book_created, 0)};
        rows.creations[0].detail = change_text(nullptr, book);
        book.last_entry = 1;
        rows.book_rows = {row_of(book)};
    }

    /// Its columns, and its settings.
    static Snapshot::BookRow row_of(const Book& book) {
        Book columns;
        set_members(columns, book, BookMembers(0b1111));
        columns.id = book.id;
        columns.created_at = book.created_at;
        columns.updated_at = book.updated_at;
        columns.last_entry = book.last_entry;
        return {columns, row_text(book)};
    }

    static Snapshot::EntryRow entry(EntryId id, std::int64_t minutes, LedgerEntry::Type type,
                                    CodeId code_id) {
        Snapshot::EntryRow row;
        row.id = id;
        row.at = at_minute(minutes);
        row.type = static_cast<std::int64_t>(type);
        row.book_id = 1;
        row.code_id = code_id;
        return row;
    }

    static Snapshot::EntryRow change(EntryId id, std::int64_t minutes, LedgerEntry::Type type,
                                     CodeId code_id, std::optional<EntryId> previous,
                                     std::optional<std::int64_t> until = {}) {
        Snapshot::EntryRow row = entry(id, minutes, type, code_id);
        row.user = 7;
        row.previous = previous;
        if (until) row.locked_until = at_minute(*until);
        return row;
    }

    static Snapshot::CodeRow code(CodeId id, EntryId last_entry) {
        Snapshot::CodeRow row;
        row.id = id;
        row.book_id = 1;
        row.created_at = at_minute(1);
        row.last_entry = last_entry;
        return row;
    }

    Book the_book() {
        Book book = rows.book_rows[0].book;
        EXPECT_TRUE(read_row_text(rows.book_rows[0].settings, book));
        return book;
    }
    Snapshot::CodeRow& free_code() { return rows.code_rows[0]; }
    Snapshot::CodeRow& assigned_code() { return rows.code_rows[1]; }
    Snapshot::CodeRow& locked_code() { return rows.code_rows[2]; }
    Snapshot::CodeRow& redeemed_code() { return rows.code_rows[3]; }
    Snapshot::EntryRow& lock_of_locked() { return rows.entries[2]; }
    Snapshot::EntryRow& assignment_of_redeemed() { return rows.entries[3]; }
    Snapshot::EntryRow& lock_of_redeemed() { return rows.entries[4]; }
    Snapshot::EntryRow& redemption() { return rows.entries[5]; }
    void erase_entry(std::size_t index) {
        rows.entries.erase(rows.entries.begin() + static_cast<std::ptrdiff_t>(index));
    }

    /// The book as it is, changed by entry `id`.
    Snapshot::EntryRow& change_book(EntryId id, LedgerEntry::Type type, const Book& to) {
        const Book before = the_book();
        Snapshot::EntryRow row = entry(id, 5, type, 0);
        row.previous = rows.book_rows[0].book.last_entry;
        row.detail = change_text(&before, to);
        rows.creations.push_back(row);
        rows.ids.push_back(id);
        Book book = to;
        book.id = 1;
        book.last_entry = id;
        rows.book_rows[0] = row_of(book);
        return rows.creations.back();
    }

    /// The free code is changed by entry 9, and by entry 10.
    void change_free_code() {
        CodeSettings usual, disabled, expiring;
        disabled.active = false;
        expiring.expires_at = at_minute(30);
        Snapshot::EntryRow first = entry(9, 3, code_changed, 1), second = first;
        first.previous = 2;
        first.detail = change_text(usual, disabled);
        second.id = 10;
        second.previous = 9;
        second.detail = change_text(disabled, expiring);
        rows.entries.insert(rows.entries.begin(), {first, second});
        free_code().last_entry = 10;
        free_code().settings = row_text(expiring);
        rows.ids.insert(rows.ids.end(), {9, 10});
    }
    Snapshot::EntryRow& second_change() { return rows.entries[1]; }

    /// The assigned code is taken from user 7 by entry 9 and given to user 8 by entry 10.
    void pass_on_assigned_code() {
        Snapshot::EntryRow given = change(10, 4, code_assigned, 2, 9);
        given.user = 8;
        rows.entries.insert(rows.entries.begin() + 1, {change(9, 3, code_unassigned, 2, 3), given});
        assigned_code().assigned_to = 8;
        assigned_code().last_entry = 10;
        rows.ids.insert(rows.ids.end(), {9, 10});
    }
    Snapshot::EntryRow& taking_back() { return rows.entries[1]; }

    /// The lock of the locked code is given back by entry 9.
    void unlock_locked_code() {
        rows.entries.insert(rows.entries.begin() + 3, change(9, 9, code_unlocked, 3, 5, 13));
        locked_code().locked_until = at_minute(9);
        locked_code().last_entry = 9;
        rows.locks.clear();
        rows.locked.clear();
        rows.ids.push_back(9);
    }
    Snapshot::EntryRow& unlocking() { return rows.entries[3]; }

    /// The lock of the locked code is extended by entry 9.
    void extend_lock() {
        rows.entries.insert(rows.entries.begin() + 3, change(9, 9, code_locked, 3, 5, 15));
        extension().detail = extension_text(at_minute(13));
        locked_code().locked_until = at_minute(15);
        locked_code().last_entry = 9;
        rows.locks = rows.locked = {{1, at_minute(15), 1}};
        rows.ids.push_back(9);
    }
    Snapshot::EntryRow& extension() { return rows.entries[3]; }

    /// Entry 9 takes the redemption back.
    void roll_back_redemption() {
        Snapshot::EntryRow taken = change(9, 9, redemption_rolled_back, 4, 8);
        taken.redemption_id = 8;
        taken.discount_cents = 250;
        taken.currency = redemption().currency;
        rows.entries.push_back(taken);
        redeemed_code().redeemed_at.reset();
        redeemed_code().locked_until = at_minute(9);
        redeemed_code().last_entry = 9;
        rows.used = {usage_of_user(0)};
        rows.redeemed.clear();
        rows.ids.push_back(9);
    }

    /// Entry 9 gives some of its discount back.
    void give_some_back(std::int64_t amount) {
        Snapshot::EntryRow given = change(9, 9, discount_given_back, 4, 8);
        given.redemption_id = 8;
        given.discount_cents = amount;
        given.currency = redemption().currency;
        rows.entries.push_back(given);
        redeemed_code().last_entry = 9;
        rows.redeemed[0].last_entry = 9;
        rows.ids.push_back(9);
    }
    /// And entry 10 the rest, with the use.
    void roll_back_the_rest(std::int64_t amount) {
        rows.ids.pop_back();
        const Snapshot::EntryRow given = rows.entries.back();
        rows.entries.pop_back();
        roll_back_redemption();
        rows.entries.insert(rows.entries.end() - 1, given);
        rows.entries.back().id = redeemed_code().last_entry = 10;
        rows.entries.back().previous = 9;
        rows.entries.back().discount_cents = amount;
        rows.ids.push_back(10);
    }
    Snapshot::EntryRow& last() { return rows.entries.back(); }

    /// The redeemed code may be redeemed twice, and is so: once more by entry 10, locked by
    /// entry 9.
    void redeem_again() {
        Book book = the_book();
        book.max_redemptions_per_code = 2;
        put_book(book);
        const CodeId id = uses_from + 9;
        Snapshot::CodeRow use = code(id, 10);
        use.assigned_to = 7;
        use.holder_known = true;
        use.redeemed_at = at_minute(9);
        use.use_of = 4;
        use.used = "SAVE";
        use.code = "SAVE\x1F" + std::to_string(id);
        rows.code_rows.push_back(use);
        rows.entries.push_back(change(9, 9, code_locked, id, 8, 13));
        rows.entries.push_back(change(10, 9, code_redeemed, id, 9, 13));
        rows.ids.insert(rows.ids.end(), {9, 10});
        rows.used_codes = {{4, 1, 1, 0, 1, 0, 10, at_minute(9)}};
    }
    Snapshot::CodeRow& use() { return rows.code_rows.back(); }

    /// Counts what there is, as the figures of a clean database would be kept.
    void keep_counts() {
        std::map<BookId, Snapshot::BookCountRow> counts;
        std::map<std::pair<BookId, Timestamp>, Activity> activity;
        std::map<std::tuple<BookId, Timestamp, std::string>, std::int64_t> discounts;
        counts[0] = {};
        for (const Snapshot::BookRow& book : rows.book_rows) {
            counts[book.book.id].book_id = book.book.id;
        }
        for (const Snapshot::CodeRow& row : rows.code_rows) {
            if (row.use_of) continue;
            for (const BookId book : {BookId{0}, row.book_id}) {
                if (!counts.contains(book)) continue;
                counts[book].total += 1;
                counts[book].available += row.assigned_to ? 0 : 1;
                counts[book].redeemed += row.redeemed_at ? 1 : 0;
                counts[book].ever_locked += row.redeemed_at || row.locked_until ? 1 : 0;
                counts[book].kept_back += row.kept_back && !row.assigned_to ? 1 : 0;
            }
        }
        for (const auto* const entries : {&rows.upload_rows, &rows.entries}) {
            for (const Snapshot::EntryRow& row : *entries) {
                for (const BookId book : {BookId{0}, row.book_id}) {
                    Activity& sum = activity[{book, noon}];
                    if (row.type == 2) sum.uploaded = wrapping_sum(sum.uploaded, row.codes);
                    if (row.type == 3) sum.assigned += 1;
                    if (row.type == 4 && row.detail.empty()) sum.locked += 1;
                    if (row.type != 5 && row.type != 13 && row.type != 14) continue;
                    if (row.type == 5) sum.redeemed += 1;
                    if (row.type == 13) sum.rolled_back += 1;
                    if (row.type == 13) counts[book].rolled_back += 1;
                    const std::int64_t given =
                        row.type == 5 ? row.discount_cents : -row.discount_cents;
                    if (!row.currency) {
                        sum.discount_cents += given;
                        if (counts.contains(book)) counts[book].discount_cents += given;
                        continue;
                    }
                    discounts[{book, noon, *row.currency}] += given;
                    discounts[{book, all_times, *row.currency}] += given;
                }
            }
        }
        rows.counts.clear();
        rows.activity.clear();
        rows.discounts.clear();
        for (const auto& [place, amount] : discounts) {
            const auto& [book, since, currency] = place;
            rows.discounts.push_back({book, since, currency, amount});
        }
        for (const auto& [_, row] : counts) rows.counts.push_back(row);
        for (const auto& [place, sum] : activity) {
            rows.activity.push_back({place.first, place.second, sum});
        }
    }

    /// Counts what stands of the redemptions that the ledger tells of.
    void keep_standing() {
        struct Standing {
            Timestamp since;
            std::optional<std::string> currency;
            std::int64_t left = 0;
        };
        std::map<CodeId, Standing> by_code;
        for (const Snapshot::EntryRow& row : rows.entries) {
            if (row.type == 5) {
                by_code[row.code_id] = {activity_period(row.at), row.currency, row.discount_cents};
            }
            if (row.type == 13) by_code.erase(row.code_id);
            const auto given_of = by_code.find(row.code_id);
            if (row.type == 14 && given_of != by_code.end()) {
                std::int64_t& left = given_of->second.left;
                left = wrapping_sum(left, wrapping_sum(~row.discount_cents, 1));
            }
        }
        rows.stands.clear();
        for (const auto& [_, standing] : by_code) {
            const auto& [since, currency, left] = standing;
            rows.stands.push_back({1, since, "", 1});
            if (currency) rows.stands.push_back({1, since, *currency, left});
        }
    }

    /// Of the rows, where counts are as they should be but for what a test says.
    Verification found() {
        if (!own_counts) keep_counts();
        if (!own_standing) keep_standing();
        return verify(rows, at_minute(10), [](std::int64_t, std::int64_t) {});
    }
    Lines lines() { return found().lines; }

    Rows rows;
    bool own_counts = false;  ///< the test has changed them
    bool own_standing = false;
};

TEST_F(Verify, knows_that_an_erasure_ends_locks) {
    rows.erasure_rows = {entry(9, 9, user_erased, 0)};
    rows.erasure_rows[0].book_id = 0;
    rows.erasure_rows[0].user = 7;
    rows.ids.push_back(9);
    locked_code().locked_until = at_minute(9);
    rows.locks = rows.locked = {};
    EXPECT_EQ(lines(), Lines{});
    // Of many codes some keep theirs, until its time is over.
    locked_code().locked_until = at_minute(13);
    EXPECT_EQ(lines(), Lines{});
    locked_code().locked_until = at_minute(10);
    EXPECT_EQ(lines().size(), 1u);
    locked_code().locked_until = at_minute(9);
    rows.erasure_rows[0].user = 8;
    EXPECT_EQ(lines().size(), 1u);
}

TEST_F(Verify, finds_nothing_where_nothing_differs) {
    const Verification clean = found();
    EXPECT_EQ(clean.lines, Lines{});
    EXPECT_EQ(clean.differences, 0);
    EXPECT_EQ(clean.books, 1);
    EXPECT_EQ(clean.codes, 4);
    EXPECT_EQ(clean.entries, 8);
}

TEST_F(Verify, finds_nothing_in_an_empty_database) {
    rows = Rows{};
    EXPECT_EQ(lines(), Lines{});
}

// What was moved out of the ledger.

TEST_F(Verify, adds_what_was_moved_out_to_what_is_left) {
    keep_counts();
    own_counts = true;
    // The assignment and the lock of the redeemed code.
    erase_entry(4);
    erase_entry(3);
    rows.moved_out = {{1, noon, 7, {0, 1, 1, 0, 0}}};
    EXPECT_EQ(lines(), Lines{});
    rows.moved_out[0].activity.locked = 2;
    EXPECT_EQ(lines(), (Lines{"activity_count since 2026-11-22T12:00:00.000Z of book 0: locked is "
                              "2, by the ledger it is 3",
                              "activity_count since 2026-11-22T12:00:00.000Z of book 1: locked is "
                              "2, by the ledger it is 3"}));
}

TEST_F(Verify, misses_entries_that_were_not_moved_out) {
    keep_counts();
    own_counts = true;
    erase_entry(4);
    erase_entry(3);
    rows.moved_out = {{1, noon, 6, {0, 1, 1, 0, 0}}};
    EXPECT_EQ(lines(), (Lines{"ledger 8 (code_redeemed, code 4): previous_id is 7, the entry "
                              "before it is 2",
                              "ledger 8 (code_redeemed, code 4): by user 7, the code is assigned "
                              "to nothing",
                              "coupon_code 4: assigned_to is 7, by the ledger it is nothing"}));
}

TEST_F(Verify, knows_the_holder_behind_what_was_moved_out) {
    keep_counts();
    own_counts = true;
    erase_entry(3);
    rows.moved_out = {{1, noon, 6, {0, 1, 0, 0, 0}}};
    EXPECT_EQ(lines(), Lines{});
    rows.entries.back().user = 8;
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): by user 8, the code is assigned "
                             "to 7"});
    rows.entries.back().user = 7;
    redeemed_code().assigned_to = 8;
    EXPECT_EQ(lines(), Lines{"coupon_code 4: assigned_to is 8, by the ledger it is 7"});
}

TEST_F(Verify, knows_no_settings_behind_what_was_moved_out) {
    change_free_code();
    keep_counts();
    own_counts = true;
    rows.entries.erase(rows.entries.begin());
    rows.moved_out = {{1, noon, 9, {}}};
    EXPECT_EQ(lines(), Lines{});
    free_code().settings = "active false\n";  // but those that the last change has left
    EXPECT_EQ(lines(), Lines{"coupon_code 1: settings are not what the ledger has left"});
    rows.moved_out[0].last_entry = 8;
    EXPECT_EQ(lines().size(), 3U);
}

TEST_F(Verify, knows_no_settings_of_a_code_whose_change_was_moved_out) {
    // The locked code was changed between its assignment and its lock.
    locked_code().settings = "active false\n";
    lock_of_locked().id = locked_code().last_entry = 9;
    lock_of_locked().previous = 5;
    rows.ids = {1, 2, 3, 4, 6, 7, 8, 9};
    EXPECT_EQ(lines().size(), 2U);
    rows.moved_out = {{1, noon, 5, {}}};
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, knows_who_has_a_code_whose_taking_back_was_moved_out) {
    pass_on_assigned_code();
    keep_counts();
    own_counts = true;
    rows.entries.erase(rows.entries.begin(), rows.entries.begin() + 2);
    rows.moved_out = {{1, noon, 9, {0, 1, 0, 0, 0}}};
    EXPECT_EQ(lines(), Lines{});
    // And of one that was taken back at last.
    rows.entries[0].type = static_cast<std::int64_t>(code_unassigned);
    assigned_code().assigned_to.reset();
    own_counts = false;
    rows.moved_out[0].activity = {};
    EXPECT_EQ(lines(), Lines{});
    assigned_code().assigned_to = 8;
    EXPECT_EQ(lines(), Lines{"coupon_code 2: assigned_to is 8, by the ledger it is nothing"});
}

TEST_F(Verify, knows_no_lock_behind_what_was_moved_out) {
    // The locked code was changed after its lock.
    CodeSettings expiring;
    expiring.expires_at = at_minute(30);
    Snapshot::EntryRow changed = change(9, 9, code_changed, 3, 5);
    changed.detail = change_text(CodeSettings(), expiring);
    rows.entries.insert(rows.entries.begin() + 3, changed);
    locked_code().last_entry = 9;
    locked_code().settings = row_text(expiring);
    rows.ids.push_back(9);
    EXPECT_EQ(lines(), Lines{});
    rows.entries.erase(rows.entries.begin() + 1, rows.entries.begin() + 3);
    EXPECT_EQ(lines().size(), 3U);
    rows.moved_out = {{1, noon, 5, {}}};
    EXPECT_EQ(lines(), Lines{});
    // Until a lock of which is told.
    rows.entries.insert(rows.entries.begin() + 2, change(10, 9, code_unlocked, 3, 9, 13));
    locked_code().last_entry = 10;
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:13:00.000Z, by the "
                             "ledger it is 2026-11-22T12:09:00.000Z"});
    // It may also be extended, whatever it was.
    rows.entries[2] = change(10, 9, code_locked, 3, 9, 15);
    rows.entries[2].detail = extension_text(at_minute(13));
    locked_code().locked_until = at_minute(15);
    rows.locks = rows.locked = {{1, at_minute(15), 1}};
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, knows_who_has_a_code_whose_redemption_was_taken_back_before_what_was_moved_out) {
    roll_back_redemption();
    // Then it was given to user 8, who has locked it.
    Snapshot::EntryRow lock = change(12, 9, code_locked, 4, 11, 13);
    lock.user = 8;
    rows.entries.push_back(lock);
    redeemed_code().assigned_to = 8;
    redeemed_code().locked_until = at_minute(13);
    redeemed_code().last_entry = 12;
    rows.locks = rows.locked = {{1, at_minute(13), 2}};
    rows.ids.push_back(12);
    rows.moved_out = {{1, noon, 11, {}}};
    EXPECT_EQ(lines(), Lines{});
    redeemed_code().assigned_to = 7;
    EXPECT_EQ(lines(), Lines{"coupon_code 4: assigned_to is 7, by the ledger it is 8"});
    // Or taken from its user, and changed.
    last() = entry(12, 9, code_changed, 4);
    last().previous = 11;
    last().detail = change_text(CodeSettings(), CodeSettings());
    redeemed_code().assigned_to.reset();
    redeemed_code().locked_until.reset();
    rows.locks = rows.locked = {{1, at_minute(13), 1}};
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, what_was_moved_out_is_of_a_book) {
    rows.moved_out = {{5, noon, 6, {}}};
    EXPECT_EQ(lines(), Lines{"ledger_moved of book 5: the book is not there"});
}

TEST_F(Verify, tells_what_is_wrong_with_how_rows_are_stored) {
    rows.faults_found = {"row 5 missing from index coupon_code_code"};
    EXPECT_EQ(lines(), rows.faults_found);
}

// Books.

TEST_F(Verify, a_book_has_been_created_once_by_the_ledger) {
    rows.creations.push_back(rows.creations[0]);
    rows.creations[1].id = rows.book_rows[0].book.last_entry = 9;
    EXPECT_EQ(lines(), Lines{"ledger 9 (book_created, book 1): the book has been created before"});
    rows.creations.clear();
    EXPECT_EQ(lines(), Lines{"coupon_book 1: no entry in the ledger creates it"});
}

TEST_F(Verify, a_book_is_as_old_as_its_entry) {
    rows.book_rows[0].book.created_at = at_minute(2);
    EXPECT_EQ(lines(), Lines{"coupon_book 1: created_at is 2026-11-22T12:02:00.000Z, by the ledger "
                             "it is 2026-11-22T12:00:00.000Z"});
}

TEST_F(Verify, a_book_that_the_ledger_creates_is_there) {
    for (const BookId id : {-1, 5}) {
        Snapshot::EntryRow creation = entry(9, 3, book_created, 0);
        creation.book_id = id;
        put_book(the_book());
        rows.creations.insert(id < 1 ? rows.creations.begin() : rows.creations.end(), creation);
        const std::string book = std::to_string(id);
        EXPECT_EQ(lines(), Lines{"ledger 9 (book_created, book " + book + "): book " + book +
                                 " is not there"});
    }
}

TEST_F(Verify, what_happens_to_a_book_concerns_no_user_and_follows_nothing) {
    rows.upload_rows[0].user = 7;
    rows.creations[0].previous = 4;
    EXPECT_EQ(lines(),
              (Lines{"ledger 1 (book_created, book 1): previous_id is 4, nothing comes before it",
                     "ledger 2 (codes_uploaded): user_number is 7, it concerns no user"}));
}

// Changes of books.

TEST_F(Verify, a_book_is_as_its_last_change_has_left_it) {
    Book book = the_book();
    book.name = "m";
    book.updated_at = at_minute(5);
    change_book(9, book_changed, book);
    book.archived_at = book.updated_at = at_minute(6);
    change_book(10, book_archived, book);
    EXPECT_EQ(lines(), Lines{});
    const std::string different =
        "coupon_book 1: it is not as ledger 10 (book_archived, book 1) has left it";
    rows.book_rows[0].book.name = "n";
    EXPECT_EQ(lines(), Lines{different});
    rows.book_rows[0].book.name = "m";
    rows.book_rows[0].book.updated_at = noon;
    EXPECT_EQ(lines(), Lines{different});
    rows.book_rows[0].book.updated_at = at_minute(6);
    const std::string settings = std::exchange(rows.book_rows[0].settings, "");
    EXPECT_EQ(lines(), Lines{different});
    rows.book_rows[0].settings = settings + "active false\n";
    EXPECT_EQ(lines(), Lines{different});
    rows.book_rows[0].settings = settings + "colour red\n";
    EXPECT_EQ(lines(), Lines{"coupon_book 1: settings cannot be read"});
    rows.book_rows[0].settings = settings;
    rows.book_rows[0].book.last_entry = 9;
    EXPECT_EQ(lines(), Lines{"coupon_book 1: last_entry_id is 9, by the ledger it is 10"});
}

TEST_F(Verify, changes_of_a_book_lead_from_one_to_the_next) {
    Book book = the_book();
    book.archived_at = book.updated_at = at_minute(5);
    change_book(9, book_archived, book);
    book.archived_at.reset();
    change_book(10, book_restored, book);
    EXPECT_EQ(lines(), Lines{});
    rows.creations[2].previous = 1;
    EXPECT_EQ(lines(), Lines{"ledger 10 (book_restored, book 1): previous_id is 1, the entry "
                             "before it is 9"});
    rows.creations[2].previous.reset();
    EXPECT_EQ(lines(), Lines{"ledger 10 (book_restored, book 1): previous_id is nothing, the "
                             "entry before it is 9"});
    rows.creations.erase(rows.creations.begin() + 1);
    EXPECT_EQ(lines(), (Lines{"ledger 10 (book_restored, book 1): previous_id is nothing, the "
                              "entry before it is 1",
                              "ledger 10 (book_restored, book 1): what it tells of the book before "
                              "it is not what ledger 1 (book_created, book 1) has left"}));
    rows.creations.pop_back();
    rows.creations[0].type = static_cast<std::int64_t>(book_changed);
    EXPECT_EQ(lines(), (Lines{"coupon_book 1: no entry in the ledger creates it",
                              "coupon_book 1: last_entry_id is 10, by the ledger it is 1",
                              "coupon_book 1: it is not as ledger 1 (book_changed, book 1) has "
                              "left it"}));
}

TEST_F(Verify, entries_of_a_book_tell_of_it) {
    Book book = the_book();
    book.discount = from_short_form(5);
    Snapshot::EntryRow& changed = change_book(9, book_changed, book);
    const std::string detail = changed.detail;
    changed.detail = change_text(&book, book);
    EXPECT_EQ(lines(), Lines{"ledger 9 (book_changed, book 1): what it tells of the book before it "
                             "is not what ledger 1 (book_created, book 1) has left"});
    changed.detail = detail.substr(0, detail.size() - 1);
    EXPECT_EQ(lines(), Lines{"ledger 9 (book_changed, book 1): detail is not what it should tell"});
    // What is not known before, nobody can hold against what comes after.
    changed.detail = detail;
    rows.creations[0].detail = "";
    EXPECT_EQ(lines(), Lines{"ledger 1 (book_created, book 1): detail is not what it should tell"});
    changed.code_id = 2;
    changed.user = 7;
    rows.creations[0].detail = change_text(nullptr, read_book_change(detail)->before.value());
    EXPECT_EQ(lines(), (Lines{"ledger 9 (book_changed, book 1): user_number is 7, it concerns no "
                              "user",
                              "ledger 9 (book_changed, book 1): it is about no code"}));
}

// Uploads.

TEST_F(Verify, a_code_is_in_an_upload) {
    rows.upload_rows[0].codes = 2;
    rows.code_rows[2].id = 11;
    rows.code_rows[3].id = 12;
    for (std::size_t i = 1; i < 6; ++i) rows.entries[i].code_id = i < 3 ? 11 : 12;
    rows.sources->next_code = 13;
    EXPECT_EQ(lines(), Lines{"coupon_code: no entry in the ledger uploads codes 11 to 12"});
    rows.code_rows[3].id = 13;
    for (std::size_t i = 3; i < 6; ++i) rows.entries[i].code_id = 13;
    rows.sources->next_code = 14;
    EXPECT_EQ(lines(), (Lines{"coupon_code: no entry in the ledger uploads code 11",
                              "coupon_code: no entry in the ledger uploads code 13"}));
}

TEST_F(Verify, a_code_below_all_uploads_is_in_none) {
    rows.upload_rows[0].code_id = 2;
    rows.upload_rows[0].codes = 3;
    EXPECT_EQ(lines(), Lines{"coupon_code: no entry in the ledger uploads code 1"});
}

TEST_F(Verify, codes_that_an_upload_names_are_there) {
    rows.upload_rows[0].codes = 7;
    EXPECT_EQ(lines(), Lines{"ledger 2 (codes_uploaded): it uploads codes 5 to 7, not there"});
    rows.upload_rows[0].codes = 4;
    rows.code_rows.erase(rows.code_rows.begin());
    EXPECT_EQ(lines(), Lines{"ledger 2 (codes_uploaded): it uploads code 1, not there"});
}

TEST_F(Verify, only_uploads_bring_codes) {
    rows.entries[0].codes = 3;
    rows.creations[0].code_id = 2;
    EXPECT_EQ(lines(), (Lines{"ledger 1 (book_created, book 1): it is about no code",
                              "ledger 3 (code_assigned, code 2): codes is 3, it uploads none"}));
}

TEST_F(Verify, codes_are_those_that_were_uploaded) {
    for (Snapshot::CodeRow& row : rows.code_rows) row.code = "C" + std::to_string(row.id);
    const Digest digest = digest_of({"C1", "C2", "C3", "C4"});
    rows.upload_rows[0].codes_digest = std::string(digest.data(), digest.size());
    EXPECT_EQ(lines(), Lines{});
    free_code().code = "C9";
    const Lines changed{
        "coupon_code: codes 1 to 4 are not those that ledger 2 (codes_uploaded) "
        "has brought: a code was changed, or the entry"};
    EXPECT_EQ(lines(), changed);
    free_code().code = "C1";
    rows.upload_rows[0].codes_digest->pop_back();
    EXPECT_EQ(lines(), changed);
    // One that is missing is told of, and no more.
    rows.code_rows.erase(rows.code_rows.begin());
    EXPECT_EQ(lines(), Lines{"ledger 2 (codes_uploaded): it uploads code 1, not there"});
}

TEST_F(Verify, codes_are_uploaded_once) {
    rows.upload_rows.push_back(entry(9, 2, codes_uploaded, 3));
    rows.upload_rows[1].codes = 3;
    EXPECT_EQ(lines(), (Lines{"ledger 9 (codes_uploaded): code 3 has been uploaded before",
                              "ledger 9 (codes_uploaded): it uploads code 5, not there"}));
    rows.upload_rows[1].codes = 1;
    EXPECT_EQ(lines(), Lines{"ledger 9 (codes_uploaded): code 3 has been uploaded before"});
}

TEST_F(Verify, an_upload_is_of_some_codes_and_a_book) {
    for (const auto& [first, codes] : {std::pair<CodeId, std::int64_t>{9, 0},
                                       {9, -3},
                                       {9, std::numeric_limits<std::int64_t>::max()}}) {
        rows.upload_rows.resize(1);
        rows.upload_rows.push_back(entry(9, 2, codes_uploaded, first));
        rows.upload_rows[1].codes = codes;
        EXPECT_EQ(lines(), Lines{"ledger 9 (codes_uploaded): it uploads " + std::to_string(codes) +
                                 " codes from code 9 on"});
    }
    rows.upload_rows.resize(1);
    rows.upload_rows.insert(rows.upload_rows.begin(), entry(9, 2, codes_uploaded, 0));
    rows.upload_rows[0].codes = 2;
    EXPECT_EQ(lines(), Lines{"ledger 9 (codes_uploaded): it uploads 2 codes from code 0 on"});
    rows.upload_rows.erase(rows.upload_rows.begin());
    rows.upload_rows[0].book_id = 6;
    EXPECT_EQ(lines().at(0), "ledger 2 (codes_uploaded): book 6 is not there");
}

TEST_F(Verify, a_code_is_of_the_book_and_the_time_of_its_upload) {
    free_code().book_id = 2;
    free_code().created_at = at_minute(2);
    EXPECT_EQ(lines(),
              (Lines{"coupon_code 1: book 2 is not there",
                     "coupon_code 1: book_id is 2, by its upload it is 1",
                     "coupon_code 1: created_at is 2026-11-22T12:02:00.000Z, by its upload it is "
                     "2026-11-22T12:01:00.000Z"}));
}

// What entries make of a code.

TEST_F(Verify, the_holder_is_who_it_was_assigned_to) {
    redeemed_code().assigned_to = 8;
    EXPECT_EQ(lines(), Lines{"coupon_code 4: assigned_to is 8, by the ledger it is 7"});
    redeemed_code().assigned_to.reset();
    EXPECT_EQ(lines().at(0), "coupon_code 4: assigned_to is nothing, by the ledger it is 7");
}

TEST_F(Verify, a_holder_is_a_user) {
    redeemed_code().holder_known = false;
    EXPECT_EQ(lines(), Lines{"coupon_code 4: assigned_to is 7, no such coupon_user"});
}

TEST_F(Verify, a_code_is_locked_as_its_last_lock_says) {
    locked_code().locked_until = at_minute(14);
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:14:00.000Z, by the "
                             "ledger it is 2026-11-22T12:13:00.000Z"});
    locked_code().locked_until = at_minute(13);
    redeemed_code().locked_until = at_minute(13);
    EXPECT_EQ(lines(), Lines{"coupon_code 4: locked_until is 2026-11-22T12:13:00.000Z, by the "
                             "ledger it is nothing"});
}

TEST_F(Verify, a_code_is_redeemed_as_its_entry_says) {
    redeemed_code().redeemed_at = at_minute(8);
    EXPECT_EQ(lines(), Lines{"coupon_code 4: redeemed_at is 2026-11-22T12:08:00.000Z, by the "
                             "ledger it is 2026-11-22T12:09:00.000Z"});
    redeemed_code().redeemed_at = Timestamp{std::numeric_limits<std::int64_t>::max()};
    EXPECT_EQ(lines(), Lines{"coupon_code 4: redeemed_at is 9223372036854775807 ms, by the ledger "
                             "it is 2026-11-22T12:09:00.000Z"});
}

TEST_F(Verify, a_code_leads_to_its_last_entry) {
    locked_code().last_entry = 4;
    EXPECT_EQ(lines(), Lines{"coupon_code 3: last_entry_id is 4, by the ledger it is 5"});
}

TEST_F(Verify, an_entry_leads_to_the_one_before) {
    redemption().previous = 6;
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): previous_id is 6, the entry before "
                             "it is 7"});
    redemption().previous = 7;
    assignment_of_redeemed().previous.reset();
    EXPECT_EQ(lines(), Lines{"ledger 6 (code_assigned, code 4): previous_id is nothing, the entry "
                             "before it is 2"});
}

TEST_F(Verify, a_missing_entry_leaves_a_gap) {
    erase_entry(4);
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): previous_id is 7, the entry before "
                             "it is 6"});
    erase_entry(4);
    EXPECT_EQ(lines(), (Lines{"coupon_code 4: redeemed_at is 2026-11-22T12:09:00.000Z, by the "
                              "ledger it is nothing",
                              "coupon_code 4: last_entry_id is 8, by the ledger it is 6"}));
}

TEST_F(Verify, a_code_is_assigned_once_and_to_somebody) {
    lock_of_locked().type = static_cast<std::int64_t>(code_assigned);
    EXPECT_EQ(lines(), (Lines{"ledger 5 (code_assigned, code 3): the code is user 7's already",
                              "coupon_code 3: locked_until is 2026-11-22T12:13:00.000Z, by the "
                              "ledger it is nothing"}));
    lock_of_locked().type = static_cast<std::int64_t>(code_locked);
    rows.entries[0].user.reset();
    EXPECT_EQ(lines(), (Lines{"ledger 3 (code_assigned, code 2): it assigns to nobody",
                              "coupon_code 2: assigned_to is 7, by the ledger it is nothing"}));
}

TEST_F(Verify, only_the_holder_locks_and_redeems) {
    lock_of_locked().user = 8;
    redemption().user = 9;
    EXPECT_EQ(lines(),
              (Lines{"ledger 5 (code_locked, code 3): by user 8, the code is assigned to 7",
                     "ledger 8 (code_redeemed, code 4): by user 9, the code is assigned to 7"}));
}

TEST_F(Verify, a_lock_has_an_end) {
    lock_of_redeemed().locked_until.reset();
    EXPECT_EQ(lines(), Lines{"ledger 7 (code_locked, code 4): it has no locked_until"});
}

TEST_F(Verify, a_lock_may_be_extended_while_it_lives) {
    extend_lock();
    EXPECT_EQ(lines(), Lines{});
    const std::string entry = "ledger 9 (code_locked, code 3): ";
    extension().detail = extension_text(at_minute(12));
    EXPECT_EQ(lines(), Lines{entry + "it extends a lock until 2026-11-22T12:12:00.000Z, the one "
                                     "before it is until 2026-11-22T12:13:00.000Z"});
    extension().detail = "13";
    EXPECT_EQ(lines().size(), 2U);
    extension().detail = "so";
    EXPECT_EQ(lines(), (Lines{entry + "detail is not what it should tell",
                              entry + "the code is still locked until 2026-11-22T12:13:00.000Z"}));
    extension().detail = "";
    EXPECT_EQ(lines().back(), entry + "the code is still locked until 2026-11-22T12:13:00.000Z");
    extension().detail = extension_text(at_minute(13));
    extension().locked_until = locked_code().locked_until = at_minute(12);
    rows.locks = rows.locked = {{1, at_minute(12), 1}};
    EXPECT_EQ(lines(), Lines{entry + "it extends a lock until 2026-11-22T12:13:00.000Z to "
                                     "2026-11-22T12:12:00.000Z"});
    lock_of_locked().locked_until = at_minute(9);
    extension().detail = extension_text(at_minute(9));
    EXPECT_EQ(lines(), Lines{entry + "it extends a lock until 2026-11-22T12:09:00.000Z to "
                                     "2026-11-22T12:12:00.000Z"});
}

TEST_F(Verify, codes_are_found_by_their_spellings_where_their_book_says_so) {
    free_code().folded = "X";
    EXPECT_EQ(lines(), Lines{"coupon_code 1: folded is X, by its code and book it is nothing"});
    free_code().folded.reset();
    Book book = the_book();
    book.case_sensitive = false;
    put_book(book);
    EXPECT_EQ(lines().size(), 4U);
    for (Snapshot::CodeRow& row : rows.code_rows) row.folded = folded(row.code);
    EXPECT_EQ(lines(), Lines{});
    free_code().folded = "x";
    EXPECT_EQ(lines().size(), 1U);
}

TEST_F(Verify, a_locked_code_is_locked_again_when_its_lock_is_dead) {
    Snapshot::EntryRow again = change(6, 12, code_locked, 3, 5, 18);
    rows.entries.insert(rows.entries.begin() + 3, again);
    locked_code().last_entry = 6;
    locked_code().locked_until = at_minute(18);
    EXPECT_EQ(lines(), Lines{"ledger 6 (code_locked, code 3): the code is still locked until "
                             "2026-11-22T12:13:00.000Z"});
    rows.entries[3].at = at_minute(13);
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, nothing_follows_a_redemption) {
    rows.entries.push_back(change(9, 9, code_locked, 4, 8, 14));
    redeemed_code().last_entry = 9;
    redeemed_code().locked_until = at_minute(14);
    EXPECT_EQ(lines(), Lines{"ledger 9 (code_locked, code 4): the code has been redeemed before"});
    rows.entries[6] = change(9, 9, code_redeemed, 4, 8, 13);
    redeemed_code().locked_until.reset();
    EXPECT_EQ(lines(),
              Lines{"ledger 9 (code_redeemed, code 4): the code has been redeemed before"});
}

TEST_F(Verify, a_redemption_uses_a_lock_that_lives) {
    redemption().locked_until.reset();
    lock_of_redeemed().locked_until = at_minute(9);
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): at 2026-11-22T12:09:00.000Z, under "
                             "a lock until nothing"});
    redemption().locked_until = at_minute(9);
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): at 2026-11-22T12:09:00.000Z, under "
                             "a lock until 2026-11-22T12:09:00.000Z"});
}

TEST_F(Verify, a_redemption_uses_the_lock_before_it) {
    redemption().locked_until = at_minute(14);
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): locked_until is "
                             "2026-11-22T12:14:00.000Z, the lock before it is until "
                             "2026-11-22T12:13:00.000Z"});
}

TEST_F(Verify, locks_in_redis_are_in_no_chain) {
    lock_of_redeemed().previous.reset();
    redemption().previous = 6;
    redemption().locked_until = at_minute(14);
    rows.entries.push_back(change(9, 10, code_locked, 4, {}, 15));
    EXPECT_EQ(lines(), Lines{});
    lock_of_redeemed().user = 8;
    EXPECT_EQ(lines(),
              Lines{"ledger 7 (code_locked, code 4): by user 8, the code is assigned to 7"});
    erase_entry(4);  // its process ended before it entered it
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, the_time_of_the_first_lock_in_redis_is_noted) {
    lock_of_locked().previous.reset();
    locked_code().last_entry = 4;
    locked_code().locked_until = at_minute(8);
    rows.locks.clear();
    rows.locked.clear();
    EXPECT_EQ(lines(), Lines{});
    locked_code().locked_until.reset();
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is nothing, by the ledger it is "
                             "2026-11-22T12:08:00.000Z"});
    locked_code().locked_until = at_minute(9);
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:09:00.000Z, by the "
                             "ledger it is 2026-11-22T12:08:00.000Z"});
    // Redis has lost one meanwhile, whose change came after the other one's.
    rows.entries.insert(rows.entries.begin() + 3, change(9, 9, code_locked, 3, {}, 12));
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, a_migration_tells_what_was_there_before_the_ledger) {
    redeemed_code().redeemed_at = noon;  // before its upload, by another clock
    redemption().at = at_minute(1);
    redemption().locked_until.reset();
    lock_of_redeemed().at = at_minute(1);
    lock_of_redeemed().locked_until = at_minute(3);
    EXPECT_EQ(lines().size(), 3U);
    redemption().migrated = lock_of_redeemed().migrated = true;
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, a_code_is_as_its_last_change_has_left_it) {
    change_free_code();
    EXPECT_EQ(lines(), Lines{});
    const std::string different = "coupon_code 1: settings are not what the ledger has left";
    const std::string settings = std::exchange(free_code().settings, "");
    EXPECT_EQ(lines(), Lines{different});
    free_code().settings = settings + "active false\n";
    EXPECT_EQ(lines(), Lines{different});
    free_code().settings = settings + "active";
    EXPECT_EQ(lines(), Lines{"coupon_code 1: settings cannot be read"});
    free_code().settings = settings;
    locked_code().settings = "active false\n";
    EXPECT_EQ(lines(), Lines{"coupon_code 3: settings are not what the ledger has left"});
    locked_code().settings = "active true\n";  // as by default, in more words
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, changes_of_a_code_tell_of_it) {
    change_free_code();
    const std::string detail = second_change().detail;
    second_change().detail = "\n" + row_text(read_code_change(detail)->after);
    EXPECT_EQ(lines(), Lines{"ledger 10 (code_changed, code 1): what it tells of the code before "
                             "it is not what the entries before it have left"});
    for (const std::string broken : {"", "active false\n\nactive"}) {
        second_change().detail = broken;
        EXPECT_EQ(lines(),
                  Lines{"ledger 10 (code_changed, code 1): detail is not what it should tell"});
    }
    second_change().detail = detail;
    rows.entries.erase(rows.entries.begin());
    EXPECT_EQ(lines(), (Lines{"ledger 10 (code_changed, code 1): previous_id is 9, the entry "
                              "before it is 2",
                              "ledger 10 (code_changed, code 1): what it tells of the code before "
                              "it is not what the entries before it have left"}));
}

TEST_F(Verify, a_code_that_was_taken_back_is_nobodys_or_anothers) {
    pass_on_assigned_code();
    EXPECT_EQ(lines(), Lines{});
    taking_back().user = 8;
    EXPECT_EQ(lines(),
              Lines{"ledger 9 (code_unassigned, code 2): by user 8, the code is assigned to 7"});
    taking_back().user.reset();
    EXPECT_EQ(lines(), Lines{"ledger 9 (code_unassigned, code 2): by user nothing, the code is "
                             "assigned to 7"});
    taking_back().user = 7;
    rows.entries.erase(rows.entries.begin() + 2);
    assigned_code().last_entry = 9;
    EXPECT_EQ(lines(), Lines{"coupon_code 2: assigned_to is 8, by the ledger it is nothing"});
    assigned_code().assigned_to.reset();
    EXPECT_EQ(lines(), Lines{});
    rows.entries.insert(rows.entries.begin() + 2, change(10, 9, code_locked, 2, 9, 10));
    assigned_code().last_entry = 10;
    assigned_code().locked_until = at_minute(10);
    EXPECT_EQ(lines(), Lines{"ledger 10 (code_locked, code 2): by user 7, the code is assigned to "
                             "nothing"});
}

TEST_F(Verify, a_code_is_taken_back_neither_locked_nor_redeemed) {
    rows.entries.insert(rows.entries.begin() + 3, change(9, 12, code_unassigned, 3, 5));
    rows.entries.push_back(change(10, 12, code_unassigned, 4, 8));
    locked_code() = code(3, 9);
    redeemed_code().last_entry = 10;
    redeemed_code().assigned_to.reset();
    rows.locks.clear();
    rows.locked.clear();
    EXPECT_EQ(lines(), (Lines{"ledger 9 (code_unassigned, code 3): the code is still locked until "
                              "2026-11-22T12:13:00.000Z",
                              "ledger 10 (code_unassigned, code 4): the code has been redeemed "
                              "before"}));
    rows.entries.pop_back();
    redeemed_code().last_entry = 8;
    redeemed_code().assigned_to = 7;
    rows.entries[3].at = at_minute(13);
    EXPECT_EQ(lines(), Lines{});
    locked_code().locked_until = at_minute(13);  // which goes with its holder
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:13:00.000Z, by the "
                             "ledger it is nothing"});
}

TEST_F(Verify, a_lock_that_was_given_back_has_ended_then) {
    unlock_locked_code();
    EXPECT_EQ(lines(), Lines{});
    locked_code().locked_until = at_minute(13);
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:13:00.000Z, by the "
                             "ledger it is 2026-11-22T12:09:00.000Z"});
    locked_code().locked_until = at_minute(9);
    unlocking().locked_until = at_minute(14);
    EXPECT_EQ(lines(), Lines{"ledger 9 (code_unlocked, code 3): locked_until is "
                             "2026-11-22T12:14:00.000Z, the lock before it is until "
                             "2026-11-22T12:13:00.000Z"});
    unlocking().locked_until = at_minute(13);
    unlocking().user = 8;
    EXPECT_EQ(lines(),
              Lines{"ledger 9 (code_unlocked, code 3): by user 8, the code is assigned to 7"});
    unlocking().user = 7;
    // And the next one may be taken, and be used.
    rows.entries.insert(rows.entries.begin() + 4, {change(10, 9, code_locked, 3, 9, 14),
                                                   change(11, 10, code_redeemed, 3, 10, 14)});
    locked_code().last_entry = 11;
    locked_code().locked_until.reset();
    locked_code().redeemed_at = at_minute(10);
    rows.used = {usage_of_user(2)};
    rows.redeemed[0].redeemed = 2;
    EXPECT_EQ(lines(), Lines{});
    rows.entries.erase(rows.entries.begin() + 4);
    rows.entries[4].previous = 9;
    rows.entries[4].locked_until = at_minute(9);
    EXPECT_EQ(lines(), Lines{"ledger 11 (code_redeemed, code 3): at 2026-11-22T12:10:00.000Z, "
                             "under a lock until 2026-11-22T12:09:00.000Z"});
}

TEST_F(Verify, nothing_is_unlocked_after_a_redemption) {
    rows.entries.push_back(change(9, 9, code_unlocked, 4, 8, 13));
    redeemed_code().last_entry = 9;
    redeemed_code().locked_until = at_minute(9);
    EXPECT_EQ(lines(),
              Lines{"ledger 9 (code_unlocked, code 4): the code has been redeemed before"});
    rows.entries.back().previous.reset();  // but in Redis, whose entry may come late
    redeemed_code().last_entry = 8;
    redeemed_code().locked_until.reset();
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, locks_in_redis_are_given_back_in_no_chain) {
    lock_of_locked().previous.reset();
    locked_code().last_entry = 4;
    locked_code().locked_until = at_minute(8);  // when it had the first one
    rows.locks.clear();
    rows.locked.clear();
    rows.entries.insert(rows.entries.begin() + 3, change(9, 9, code_unlocked, 3, {}, 13));
    EXPECT_EQ(lines(), Lines{});
    unlocking().user = 8;
    EXPECT_EQ(lines(),
              Lines{"ledger 9 (code_unlocked, code 3): by user 8, the code is assigned to 7"});
    unlocking().user = 7;
    // Whoever has the code next has a first lock of their own.
    Snapshot::EntryRow given = change(11, 9, code_assigned, 3, 10);
    Snapshot::EntryRow locked = change(12, 10, code_locked, 3, {}, 15);
    given.user = locked.user = 8;
    rows.entries.insert(rows.entries.begin() + 4,
                        {change(10, 9, code_unassigned, 3, 4), given, locked});
    locked_code().last_entry = 11;
    locked_code().assigned_to = 8;
    EXPECT_EQ(lines(), Lines{"coupon_code 3: locked_until is 2026-11-22T12:08:00.000Z, by the "
                             "ledger it is 2026-11-22T12:10:00.000Z"});
    locked_code().locked_until = at_minute(10);
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, an_erasure_ends_no_lock_that_was_given_back_before) {
    unlock_locked_code();
    rows.erasure_rows = {entry(10, 10, user_erased, 0)};
    rows.erasure_rows[0].book_id = 0;
    rows.erasure_rows[0].user = 7;
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, entries_are_about_codes_that_are_there) {
    rows.entries.insert(rows.entries.begin(), change(9, 2, code_assigned, 0, 2));
    rows.entries.insert(rows.entries.begin() + 1, change(10, 2, code_assigned, 1, 2));
    rows.entries.push_back(change(11, 2, code_assigned, 6, 2));
    rows.code_rows.erase(rows.code_rows.begin());
    rows.upload_rows[0].code_id = 2;
    rows.upload_rows[0].codes = 3;
    EXPECT_EQ(lines(), (Lines{"ledger 9 (code_assigned, code 0): it is about no code",
                              "ledger 10 (code_assigned, code 1): code 1 is not there",
                              "ledger 11 (code_assigned, code 6): code 6 is not there"}));
}

TEST_F(Verify, entries_are_of_the_book_of_their_code) {
    rows.entries[0].book_id = 3;
    EXPECT_EQ(lines(), Lines{"ledger 3 (code_assigned, code 2): it is of book 3, the code of book "
                             "1"});
}

TEST_F(Verify, an_entry_has_a_type) {
    for (const std::int64_t type : {std::int64_t{0}, std::int64_t{16}, std::int64_t{65'539}}) {
        lock_of_redeemed().type = type;
        EXPECT_EQ(lines(), Lines{"ledger 7 (type " + std::to_string(type) +
                                 "): there is no such type of an entry about a code"});
    }
    lock_of_redeemed().type = static_cast<std::int64_t>(book_changed);
    EXPECT_EQ(lines(), Lines{"ledger 7 (book_changed, book 1): there is no such type of an entry "
                             "about a code"});
}

// Redemptions for orders, and what is taken back.

TEST_F(Verify, a_redemption_may_be_taken_back) {
    roll_back_redemption();
    EXPECT_EQ(lines(), Lines{});
    EXPECT_EQ(rows.counts[1].rolled_back, 1);
    EXPECT_EQ(rows.counts[1].discount_cents, 0);
    rows.used.clear();  // who was counted by their codes
    EXPECT_EQ(lines(), Lines{});
    redeemed_code().locked_until = at_minute(8);
    EXPECT_EQ(lines(), Lines{"coupon_code 4: locked_until is 2026-11-22T12:08:00.000Z, by the "
                             "ledger it is 2026-11-22T12:09:00.000Z"});
    redeemed_code().locked_until = at_minute(9);
    redeemed_code().redeemed_at = at_minute(9);
    EXPECT_EQ(lines().at(0),
              "coupon_code 4: redeemed_at is 2026-11-22T12:09:00.000Z, by the "
              "ledger it is nothing");
}

TEST_F(Verify, a_code_may_be_redeemed_again_once_its_redemption_is_taken_back) {
    roll_back_redemption();
    rows.entries.push_back(change(10, 9, code_locked, 4, 9, 13));
    rows.entries.push_back(change(11, 9, code_redeemed, 4, 10, 13));
    redeemed_code().redeemed_at = at_minute(9);
    redeemed_code().locked_until.reset();
    redeemed_code().last_entry = 11;
    rows.used = {usage_of_user(1)};
    rows.redeemed = {{1, 7, 1, 11, at_minute(9)}};
    rows.ids.insert(rows.ids.end(), {10, 11});
    EXPECT_EQ(lines(), Lines{});
    // And be taken back once more.
    Snapshot::EntryRow taken = change(12, 9, redemption_rolled_back, 4, 11);
    taken.redemption_id = 11;
    rows.entries.push_back(taken);
    redeemed_code().redeemed_at.reset();
    redeemed_code().locked_until = at_minute(9);
    redeemed_code().last_entry = 12;
    rows.used = {usage_of_user(0)};
    rows.redeemed.clear();
    rows.ids.push_back(12);
    EXPECT_EQ(lines(), Lines{});
    last().redemption_id = 8;
    EXPECT_EQ(lines(), Lines{"ledger 12 (redemption_rolled_back, code 4): redemption_id is 8, the "
                             "redemption that stands is 11"});
}

TEST_F(Verify, what_is_taken_back_is_of_the_redemption_that_stands) {
    roll_back_redemption();
    last().redemption_id = 7;
    EXPECT_EQ(lines(), Lines{"ledger 9 (redemption_rolled_back, code 4): redemption_id is 7, the "
                             "redemption that stands is 8"});
    last().redemption_id.reset();
    EXPECT_EQ(lines(), Lines{"ledger 9 (redemption_rolled_back, code 4): redemption_id is nothing, "
                             "the redemption that stands is 8"});
    last().redemption_id = 8;
    last().user = 8;
    EXPECT_EQ(lines(), Lines{"ledger 9 (redemption_rolled_back, code 4): by user 8, the code is "
                             "assigned to 7"});
    last().user = 7;
    rows.entries.push_back(change(10, 9, discount_given_back, 4, 9));
    last().redemption_id = 8;
    redeemed_code().last_entry = 10;
    rows.ids.push_back(10);
    EXPECT_EQ(lines(), Lines{"ledger 10 (discount_given_back, code 4): redemption_id is 8, the "
                             "redemption that stands is nothing"});
}

TEST_F(Verify, no_more_of_a_discount_is_given_back_than_there_was) {
    give_some_back(250);
    EXPECT_EQ(lines(), Lines{});
    last().discount_cents = 251;
    EXPECT_EQ(lines(), Lines{"ledger 9 (discount_given_back, code 4): discount_cents is 251, of "
                             "the discount 250 was left"});
    last().discount_cents = -1;
    EXPECT_EQ(lines(), Lines{"ledger 9 (discount_given_back, code 4): discount_cents is -1, of the "
                             "discount 250 was left"});
    last().discount_cents = 100;
    EXPECT_EQ(lines(), Lines{});
    roll_back_the_rest(150);
    EXPECT_EQ(lines(), Lines{});
    last().discount_cents = 151;
    EXPECT_EQ(lines().at(0),
              "ledger 10 (redemption_rolled_back, code 4): discount_cents is 151, "
              "of the discount 150 was left");
}

TEST_F(Verify, all_that_is_left_is_given_back_with_the_use) {
    roll_back_redemption();
    last().discount_cents = 100;
    EXPECT_EQ(lines(), Lines{"ledger 9 (redemption_rolled_back, code 4): it leaves 150 of the "
                             "discount"});
    last().discount_cents = 250;
    redemption().discount_cents = 251;
    EXPECT_EQ(lines(), Lines{"ledger 9 (redemption_rolled_back, code 4): it leaves 1 of the "
                             "discount"});
}

TEST_F(Verify, sums_of_what_is_given_back_do_not_overflow) {
    give_some_back(5);
    keep_counts();
    own_counts = true;
    last().discount_cents = std::numeric_limits<std::int64_t>::max();
    redemption().discount_cents = std::numeric_limits<std::int64_t>::min();
    EXPECT_FALSE(lines().empty());
}

// An overflow in activity_of() and in give_back() as yet.
TEST_F(Verify, the_least_number_can_be_given_back) {
    give_some_back(5);
    keep_counts();
    own_counts = true;
    last().discount_cents = std::numeric_limits<std::int64_t>::min();
    EXPECT_FALSE(lines().empty());
}

TEST_F(Verify, what_is_given_back_is_in_the_currency_of_the_discount) {
    redemption().currency = "EUR";
    redemption().order_amount = 1000;
    give_some_back(50);
    EXPECT_EQ(lines(), Lines{});
    last().currency = "USD";
    EXPECT_EQ(lines(), Lines{"ledger 9 (discount_given_back, code 4): currency is USD, the "
                             "discount's is EUR"});
    last().currency.reset();
    EXPECT_EQ(lines(), Lines{"ledger 9 (discount_given_back, code 4): currency is nothing, the "
                             "discount's is EUR"});
}

TEST_F(Verify, of_a_redemption_that_was_worth_nothing_nothing_is_given_back_in_no_currency) {
    redemption().discount_cents = 0;
    redemption().currency = "KWD";  // its order's
    redemption().order_amount = 1000;
    roll_back_redemption();
    last().discount_cents = 0;
    last().currency.reset();
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, currencies_are_those_that_there_are) {
    redemption().currency = "XXQ";
    keep_counts();
    own_counts = true;
    rows.discounts.clear();
    EXPECT_EQ(lines().at(0),
              "ledger 8 (code_redeemed, code 4): currency is XXQ, there is none of "
              "that name");
    own_counts = false;
    redemption().currency.reset();
    redemption().order_amount = 1000;
    EXPECT_EQ(lines(), Lines{"ledger 8 (code_redeemed, code 4): its order has no currency"});
}

TEST_F(Verify, discounts_in_currencies_are_counted) {
    redemption().currency = "EUR";
    give_some_back(50);
    EXPECT_EQ(lines(), Lines{});
    ASSERT_EQ(rows.discounts.size(), 4U);
    EXPECT_EQ(rows.counts[1].discount_cents, 0);
    own_counts = true;
    rows.discounts[3].amount = 199;
    EXPECT_EQ(lines(), Lines{"discount_count since 2026-11-22T12:00:00.000Z of book 1 in EUR: "
                             "amount is 199, by the ledger it is 200"});
    rows.discounts[3].amount = 200;
    rows.discounts[2].amount = 201;
    EXPECT_EQ(lines(), Lines{"discount_count of book 1 in EUR: amount is 201, by the ledger it is "
                             "200"});
    rows.discounts[2].amount = 200;
    rows.discounts.push_back({1, noon, "USD", 1});
    EXPECT_EQ(lines(), Lines{"discount_count since 2026-11-22T12:00:00.000Z of book 1 in USD: "
                             "amount is 1, by the ledger it is 0"});
    rows.discounts[4].amount = 0;
    EXPECT_EQ(lines(), Lines{});
    rows.discounts[4].currency = "XXQ";
    EXPECT_EQ(lines(), Lines{});
    rows.discounts.erase(rows.discounts.begin());
    EXPECT_EQ(lines(), Lines{"discount_count of book 0 in EUR: amount is 0, by the ledger it is "
                             "200"});
    rows.discounts.clear();
    EXPECT_EQ(lines().size(), 4U);
}

TEST_F(Verify, what_is_taken_back_is_counted) {
    roll_back_redemption();
    keep_counts();
    own_counts = true;
    rows.counts[1].rolled_back = 0;
    rows.counts[0].rolled_back = 2;
    EXPECT_EQ(lines(), (Lines{"book_count of book 0: rolled_back is 2, by the ledger it is 1",
                              "book_count of book 1: rolled_back is 0, by the ledger it is 1"}));
    keep_counts();
    rows.activity[1].activity.rolled_back = 0;
    rows.activity[1].activity.discount_cents = 250;
    EXPECT_EQ(lines(), (Lines{"activity_count since 2026-11-22T12:00:00.000Z of book 1: "
                              "rolled_back is 0, by the ledger it is 1",
                              "activity_count since 2026-11-22T12:00:00.000Z of book 1: "
                              "discount_cents is 250, by the ledger it is 0"}));
}

TEST_F(Verify, who_has_taken_all_back_counts_as_none) {
    roll_back_redemption();
    rows.used[0].redeemed = 1;
    EXPECT_EQ(lines(),
              Lines{"usage_count of book 1, user 7: redeemed is 1, by their codes it is 0"});
}

// Counts and limits.

TEST_F(Verify, the_counts_of_a_book_are_those_of_its_codes) {
    keep_counts();
    own_counts = true;
    EXPECT_EQ(lines(), Lines{});
    EXPECT_EQ(rows.counts[1].discount_cents, 250);
    rows.counts[1] = {1, 5, 2, 3, 4, 2, 7, 6};
    EXPECT_EQ(lines(),
              (Lines{"book_count of book 1: total is 5, by its codes it is 4",
                     "book_count of book 1: available is 2, by its codes it is 1",
                     "book_count of book 1: redeemed is 3, by its codes it is 1",
                     "book_count of book 1: ever_locked is 4, by its codes it is 2",
                     "book_count of book 1: kept_back is 2, by its codes it is 0",
                     "book_count of book 1: rolled_back is 7, by the ledger it is 0",
                     "book_count of book 1: discount_cents is 6, by the ledger it is 250"}));
    rows.counts[1].book_id = 2;
    EXPECT_EQ(lines(), (Lines{"book_count of book 2: the book is not there",
                              "book_count of book 1: it is not there"}));
    keep_counts();
    rows.counts[0].available = 7;
    EXPECT_EQ(lines(), Lines{"book_count of book 0: available is 7, by its codes it is 1"});
    rows.counts.erase(rows.counts.begin());
    EXPECT_EQ(lines(), Lines{"book_count of book 0: it is not there"});
}

TEST_F(Verify, free_codes_that_are_kept_back_are_counted) {
    free_code().kept_back = true;
    EXPECT_EQ(lines(), Lines{});
    assigned_code().kept_back = true;  // which does not count: it is not free
    keep_counts();
    own_counts = true;
    EXPECT_EQ(rows.counts[1].kept_back, 1);
    EXPECT_EQ(lines(), Lines{});
    rows.counts[0].kept_back = rows.counts[1].kept_back = 2;
    EXPECT_EQ(lines(), (Lines{"book_count of book 0: kept_back is 2, by its codes it is 1",
                              "book_count of book 1: kept_back is 2, by its codes it is 1"}));
}

TEST_F(Verify, activity_is_counted_by_quarters_of_an_hour) {
    redemption().at = lock_of_redeemed().at = at_minute(15);
    redemption().locked_until = lock_of_redeemed().locked_until = at_minute(16);
    redeemed_code().redeemed_at = at_minute(15);
    keep_counts();
    own_counts = true;
    EXPECT_EQ(rows.activity.size(), 2U);
    for (const BookId book : {0, 1}) {
        rows.activity[static_cast<std::size_t>(book)].activity = {4, 3, 1, 0, 0};
        rows.activity.push_back({book, at_minute(15), {0, 0, 1, 1, 0, 250}});
        rows.activity.push_back({book, at_minute(30), {}});
    }
    EXPECT_EQ(lines(), Lines{});
    rows.activity[1].activity = {5, 4, 2, 1, 7, 10};
    EXPECT_EQ(lines(),
              (Lines{"activity_count since 2026-11-22T12:00:00.000Z of book 1: uploaded is 5, by "
                     "the ledger it is 4",
                     "activity_count since 2026-11-22T12:00:00.000Z of book 1: assigned is 4, by "
                     "the ledger it is 3",
                     "activity_count since 2026-11-22T12:00:00.000Z of book 1: locked is 2, by the "
                     "ledger it is 1",
                     "activity_count since 2026-11-22T12:00:00.000Z of book 1: redeemed is 1, by "
                     "the ledger it is 0",
                     "activity_count since 2026-11-22T12:00:00.000Z of book 1: rolled_back is 7, "
                     "by the ledger it is 0",
                     "activity_count since 2026-11-22T12:00:00.000Z of book 1: discount_cents is "
                     "10, by the ledger it is 0"}));
    rows.activity.resize(1);
    EXPECT_EQ(lines().size(), 9U);
}

TEST_F(Verify, live_locks_are_counted) {
    rows.locks[0].codes = 2;
    EXPECT_EQ(lines(), Lines{"lock_count of book 1 until 2026-11-22T12:13:00.000Z: codes is 2, by "
                             "its codes it is 1"});
    rows.locks.clear();
    EXPECT_EQ(lines(), Lines{"lock_count of book 1 until 2026-11-22T12:13:00.000Z: codes is 0, by "
                             "its codes it is 1"});
    rows.locks = {{1, at_minute(12), 0}, {1, at_minute(13), 1}, {2, at_minute(11), 1}};
    EXPECT_EQ(lines(), Lines{"lock_count of book 2 until 2026-11-22T12:11:00.000Z: codes is 1, by "
                             "its codes it is 0"});
}

TEST_F(Verify, redemptions_of_users_are_counted_where_they_are_limited) {
    rows.used[0].redeemed = 2;
    EXPECT_EQ(lines(),
              Lines{"usage_count of book 1, user 7: redeemed is 2, by their codes it is 1"});
    rows.used = {usage_of_user(1), usage_of_user(0), usage_of_user(1), usage_of_user(1)};
    rows.used[0].user = 6;
    rows.used[0].by_codes = 0;
    rows.used[1].per = 3;
    rows.used[1].by_codes = 1;
    rows.used[2].per = 4;
    rows.used[2].redeemed = 3;
    rows.used[3].book_id = 2;
    EXPECT_EQ(
        lines(),
        (Lines{"usage_count of book 1, user 6: redeemed is 1, by their codes it is 0",
               "usage_count of book 1, user 7 per month: redeemed is 0, by their codes it is 1",
               "usage_count of book 1, user 7 per 4: redeemed is 3, by their codes it is 1",
               "usage_count of book 2, user 7: the book is not there"}));
    // Where there is none, it is counted when it is needed.
    rows.used.clear();
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, nobody_has_redeemed_more_than_they_may) {
    rows.used = {usage_of_user(3)};
    rows.redeemed[0].redeemed = 3;
    EXPECT_EQ(lines(), Lines{"coupon_book 1: user 7 has redeemed 3 of its codes, "
                             "max_redemptions_per_user is 2"});
}

TEST_F(Verify, nobody_has_redeemed_more_in_some_time_than_they_may) {
    Book book = the_book();
    book.limits[Per::week] = {std::nullopt, 2, std::nullopt};
    put_book(book);
    rows.used.push_back(usage_of_user(3));
    rows.used[1].per = 2;
    rows.used[1].since = at_minute(-60);
    EXPECT_EQ(lines(), Lines{"coupon_book 1: user 7 has redeemed 3 of its codes since "
                             "2026-11-22T11:00:00.000Z, max_redemptions_per_user is 2"});
    rows.used[1].last_redeemed_at = noon;  // before the limit
    EXPECT_EQ(lines(), Lines{});
    rows.used[1] = usage_of_user(3);
    rows.used[1].per = 3;  // that nothing limits
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, whoever_had_redeemed_more_before_a_limit_may) {
    rows.used = {usage_of_user(3)};
    rows.redeemed[0].redeemed = 3;
    EXPECT_EQ(lines().size(), 1U);
    Book book = the_book();
    book.updated_at = at_minute(9);
    change_book(9, book_changed, book);
    EXPECT_EQ(lines(), Lines{});
    rows.redeemed[0].last_entry = 10;  // by another code's redemption at the same time
    EXPECT_EQ(lines(), Lines{});
    rows.redeemed[0].last_redeemed_at = at_minute(10);
    EXPECT_EQ(lines(), Lines{"coupon_book 1: user 7 has redeemed 3 of its codes, "
                             "max_redemptions_per_user is 2"});
}

/// A row of book 1 for all its users, as it is where the one redemption counts.
Snapshot::UsageRow usage_of_book(Per per, Timestamp since) {
    return {1, 0, static_cast<std::int64_t>(per), since, 1, 250, "EUR"};
}

TEST_F(Verify, redemptions_and_discounts_of_books_are_counted) {
    redemption().currency = "EUR";
    rows.used = {usage_of_book(Per::ever, all_times), usage_of_book(Per::day, noon)};
    EXPECT_EQ(lines(), Lines{});
    rows.used[0].redeemed = 2;
    rows.used[1].amount = 0;
    EXPECT_EQ(lines(),
              (Lines{"usage_count of book 1: redeemed is 2, by their codes it is 1",
                     "usage_count of book 1 per day: amount is 0, by the ledger it is 250"}));
    // What was redeemed before, or is worth something in another currency, does not count.
    rows.used = {usage_of_book(Per::week, at_minute(9) + 1), usage_of_book(Per::month, noon)};
    rows.used[1].currency = "USD";
    EXPECT_EQ(lines(),
              (Lines{"usage_count of book 1 per week: redeemed is 1, by their codes it is 0",
                     "usage_count of book 1 per week: amount is 250, by the ledger it is 0",
                     "usage_count of book 1 per month: amount is 250, by the ledger it is 0"}));
    give_some_back(100);
    rows.used = {usage_of_book(Per::ever, all_times)};
    EXPECT_EQ(lines(), Lines{"usage_count of book 1: amount is 250, by the ledger it is 150"});
    rows.used[0].amount = 150;
    rows.used[0].book_id = 2;
    EXPECT_EQ(lines(), (Lines{"usage_count of book 2: the book is not there",
                              "usage_count of book 2: redeemed is 1, by their codes it is 0",
                              "usage_count of book 2: amount is 150, by the ledger it is 0"}));
}

TEST_F(Verify, locks_that_count_are_no_more_than_is_counted) {
    redemption().currency = "EUR";
    rows.used = {usage_of_book(Per::ever, all_times)};
    rows.used[0].locked = rows.used[0].are_locked = 3;
    rows.used[0].locked_amount = rows.used[0].are_locked_amount = 500;
    EXPECT_EQ(lines(), Lines{});
    rows.used[0].are_locked = 2;
    rows.used[0].are_locked_amount = 0;
    EXPECT_EQ(lines(), Lines{});
    rows.used[0].are_locked = 4;
    rows.used[0].are_locked_amount = 501;
    EXPECT_EQ(lines(),
              (Lines{"usage_count of book 1: locked is 3, by counted_lock it is 4",
                     "usage_count of book 1: locked_amount is 500, by counted_lock it is 501"}));
}

TEST_F(Verify, locks_that_count_are_those_of_codes) {
    rows.counted = {{4, 1, at_minute(20), true, {}}, {5, 1, at_minute(20), true, at_minute(20)}};
    EXPECT_EQ(lines(), Lines{});
    rows.counted[0].may_be = false;
    rows.counted[1].locked_until = at_minute(21);
    EXPECT_EQ(lines(), (Lines{"counted_lock of code 4 until 2026-11-22T12:20:00.000Z: there is no "
                              "such code in book 1 that could be locked",
                              "counted_lock of code 5 until 2026-11-22T12:20:00.000Z: the code is "
                              "locked until 2026-11-22T12:21:00.000Z"}));
}

TEST_F(Verify, no_more_of_a_book_is_redeemed_than_may_be) {
    Book book = the_book();
    book.max_redemptions = 0;
    book.limits[Per::day] = {0, std::nullopt, std::nullopt};
    book.limits[Per::week] = {std::nullopt, std::nullopt, 2'0000};
    book.budget = 2'4900;
    put_book(book);
    redemption().currency = "EUR";
    rows.used = {usage_of_book(Per::ever, all_times), usage_of_book(Per::day, noon),
                 usage_of_book(Per::week, at_minute(-60))};
    // Without a discount there is no budget.
    const Lines redemptions{
        "coupon_book 1: 1 of its codes were redeemed since "
        "2026-11-22T12:00:00.000Z, max_redemptions is 0",
        "coupon_book 1: 1 of its codes are redeemed, max_redemptions is 0"};
    EXPECT_EQ(lines(), redemptions);
    book.discount = Discount{Discount::Type::percent, 10'00, Currency::find("EUR"), {}, {}};
    put_book(book);
    EXPECT_EQ(lines(),
              (Lines{"coupon_book 1: discounts of 250 minor units, budget is 249", redemptions[0],
                     "coupon_book 1: discounts of 250 minor units since "
                     "2026-11-22T11:00:00.000Z, budget is 200",
                     redemptions[1]}));
    // Budgets of another currency's discounts are not touched.
    book.discount->currency = Currency::find("USD");
    put_book(book);
    EXPECT_EQ(lines(), redemptions);
    // Whatever was redeemed before the limits were set may be more.
    book.discount->currency = Currency::find("EUR");
    put_book(book);
    book.updated_at = at_minute(9);
    change_book(9, book_changed, book);
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, what_stands_is_counted_by_quarters_of_an_hour) {
    redemption().currency = "EUR";
    rows.stands = {{1, noon, "", 1}, {1, noon, "EUR", 250}};
    own_standing = true;
    EXPECT_EQ(lines(), Lines{});
    rows.stands[0].standing = 2;
    rows.stands[1].since = noon + activity_period_ms;
    EXPECT_EQ(lines(),
              (Lines{"activity_count since 2026-11-22T12:00:00.000Z of book 1: standing is "
                     "2, by the ledger it is 1",
                     "discount_count since 2026-11-22T12:00:00.000Z of book 1 in EUR: "
                     "standing is 0, by the ledger it is 250",
                     "discount_count since 2026-11-22T12:15:00.000Z of book 1 in EUR: "
                     "standing is 250, by the ledger it is 0"}));
    give_some_back(100);
    rows.stands = {{1, noon, "", 1}, {1, noon, "EUR", 150}};
    EXPECT_EQ(lines(), Lines{});
    roll_back_the_rest(150);
    EXPECT_EQ(lines().size(), 2U);
    rows.stands.clear();
    EXPECT_EQ(lines(), Lines{});
}

TEST_F(Verify, nobody_holds_more_than_they_may) {
    Book book = the_book();
    book.max_assignments_per_user = 2;
    put_book(book);
    rows.held = {{1, 6, 2, 6, at_minute(4)}, {1, 7, 3, 6, at_minute(4)}, {2, 7, 9}};
    EXPECT_EQ(lines(), Lines{"coupon_book 1: user 7 holds 3 of its codes, "
                             "max_assignments_per_user is 2"});
    // Whoever had more before may, and nobody knows where it was moved out.
    book.updated_at = at_minute(5);
    change_book(9, book_changed, book);
    EXPECT_EQ(lines(), Lines{});
    rows.held[1].last_entry = 10;
    rows.held[1].last_at = at_minute(6);
    EXPECT_EQ(lines().size(), 1U);
    rows.held[1] = {1, 7, 3};
    EXPECT_EQ(lines(), Lines{});
}

// Uses of codes.

TEST_F(Verify, uses_are_of_codes_and_made_of_their_texts) {
    redeem_again();
    EXPECT_EQ(lines(), Lines{});
    use().code = "SAVE";
    EXPECT_EQ(lines(),
              Lines{"coupon_code 4611686018427387913: code is not made of that of code 4"});
    use().used.clear();
    EXPECT_EQ(lines(),
              Lines{"coupon_code 4611686018427387913: use_of is 4, not there in its book"});
}

TEST_F(Verify, ids_of_uses_are_greater_than_those_of_codes) {
    redeem_again();
    use().id = uses_from;
    use().code = "SAVE\x1F" + std::to_string(uses_from);
    for (const std::size_t of_use : {6, 7}) rows.entries[of_use].code_id = uses_from;
    EXPECT_EQ(lines(), Lines{"coupon_code 4611686018427387904: ids of uses are greater"});
}

TEST_F(Verify, uses_are_what_their_entries_have_made_of_them) {
    redeem_again();
    last().previous = 8;
    EXPECT_EQ(lines(), Lines{"ledger 10 (code_redeemed, code 4611686018427387913): previous_id is "
                             "8, the entry before it is 9"});
    last().previous = 9;
    last().user = 8;
    EXPECT_EQ(lines(), Lines{"ledger 10 (code_redeemed, code 4611686018427387913): by user 8, the "
                             "code is assigned to 7"});
}

TEST_F(Verify, redeemed_uses_are_counted_by_code) {
    redeem_again();
    rows.used_codes[0].redeemed = 2;
    EXPECT_EQ(lines(), Lines{"usage_count of code 4: redeemed is 2, by its uses it is 1"});
    rows.used_codes[0].redeemed = 1;
    rows.used_codes[0].book_id = 2;
    EXPECT_EQ(lines(), Lines{"usage_count of code 4: book_id is 2, by the code it is 1"});
    rows.used_codes[0] = {4, 0, 0, 0, 1};
    EXPECT_EQ(lines(), Lines{"usage_count of code 4: redeemed is 0, by its uses it is 1"});
    rows.used_codes[0] = {5, 1};
    EXPECT_EQ(lines(), Lines{"usage_count of code 5: the code is not there"});
}

TEST_F(Verify, no_more_uses_are_locked_than_is_known) {
    redeem_again();
    for (const std::int64_t known : {2, 3}) {  // some of those may have ended
        rows.used_codes[0].locked = known;
        rows.used_codes[0].are_locked = 2;
        EXPECT_EQ(lines(), Lines{});
    }
    rows.used_codes[0].locked = 1;
    EXPECT_EQ(lines(), Lines{"usage_count of code 4: locked is 1, of its uses 2 are"});
}

TEST_F(Verify, no_code_is_redeemed_more_often_than_it_may_be) {
    redeem_again();
    Book book = the_book();
    book.max_redemptions_per_code = 1;
    put_book(book);
    const Lines once_too_often{"coupon_code 4: it is redeemed 2 times, max_redemptions is 1"};
    EXPECT_EQ(lines(), once_too_often);
    CodeSettings twice, usual;
    twice.max_redemptions = 2;
    redeemed_code().settings = row_text(twice);
    EXPECT_EQ(std::ranges::count(lines(), once_too_often[0]), 0);
    redeemed_code().settings = row_text(usual);
    // Whoever lowers the limit takes back nothing.
    book.updated_at = at_minute(9);
    change_book(11, book_changed, book);
    EXPECT_EQ(lines(), Lines{});
}

// Ids.

TEST_F(Verify, ids_of_entries_are_positive_and_their_own) {
    rows.ids = {-1, 0, 1, 2, 2, 3};
    EXPECT_EQ(lines(), (Lines{"ledger -1: ids are positive", "ledger 0: ids are positive",
                              "ledger 2: there are several"}));
}

TEST_F(Verify, new_ids_are_beyond_those_that_are_there) {
    rows.sources = {{1, 4, 2}};
    EXPECT_EQ(lines(),
              (Lines{"id_counter of coupon_book: next is 1, the last id that is there is 1",
                     "id_counter of coupon_code: next is 4, the last id that is there is 4",
                     "ledger_origin: 2 rows, there has to be one"}));
    rows.sources = Snapshot::IdSources{};
    EXPECT_EQ(lines(),
              (Lines{"id_counter of coupon_book: next is nothing, the last id that is there is 1",
                     "id_counter of coupon_code: next is nothing, the last id that is there is 4",
                     "ledger_origin: 0 rows, there has to be one"}));
    rows.sources.reset();
    EXPECT_EQ(lines(), Lines{});
}

// What is said.

TEST_F(Verify, says_no_more_lines_than_a_person_reads) {
    rows.ids.assign(limits::verify_lines + 50, 0);
    const Verification many = found();
    EXPECT_EQ(many.lines.size(), limits::verify_lines);
    EXPECT_EQ(many.differences, static_cast<std::int64_t>(limits::verify_lines) + 50);
}

TEST_F(Verify, tells_how_far_it_is) {
    rows = Rows{};
    put_book(a_book());
    rows.upload_rows = {entry(2, 1, codes_uploaded, 1)};
    rows.upload_rows[0].codes = 10'000;
    for (CodeId id = 1; id <= 10'000; ++id) rows.code_rows.push_back(code(id, 2));
    keep_counts();
    std::vector<std::pair<std::int64_t, std::int64_t>> told;
    const Verification clean = verify(rows, noon, [&](std::int64_t codes, std::int64_t counted) {
        told.emplace_back(codes, counted);
    });
    EXPECT_EQ(clean.lines, Lines{});
    ASSERT_FALSE(told.empty());
    EXPECT_GT(told.front().first, 0);
    EXPECT_LT(told.front().first, 10'000);
    EXPECT_EQ(told.front().second, 10'000);
}

}  // namespace
}  // namespace coupond
