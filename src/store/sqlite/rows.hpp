// How rows are read: column lists and what they become.
#pragma once

#include <algorithm>

#include "store/fault.hpp"
#include "store/sqlite/connection.hpp"
#include "store/store.hpp"

namespace coupond::sqlite {

/// What clients have set of a code; of a use, what they have set of its code.
#define COUPOND_SETTINGS_OF_CODE                             \
    "CASE WHEN code.use_of IS NULL THEN code.settings ELSE " \
    "(SELECT settings FROM coupon_code WHERE id = code.use_of) END"
#define COUPOND_CODE_COLUMNS                                                \
    "code.id, code.book_id, code.code, holder.user_id, code.locked_until, " \
    "code.redeemed_at, code.created_at, code.last_entry_id, "               \
    "code.assigned_to, " COUPOND_SETTINGS_OF_CODE                           \
    ", code.shuffle_key < 0, code.use_of, code.lock_key"
#define COUPOND_CODES \
    "coupon_code AS code LEFT JOIN coupon_user AS holder ON holder.number = code.assigned_to"
/// The code that a text is a spelling of, ?1: folded; none where there is a code of that text, ?2.
#define COUPOND_SPELLED                               \
    "SELECT code FROM coupon_code WHERE folded = ?1 " \
    "AND NOT EXISTS (SELECT 1 FROM coupon_code WHERE code = ?2)"
#define COUPOND_BOOK_COLUMNS                                                 \
    "book.id, book.name, book.code_pattern, book.max_redemptions_per_user, " \
    "book.discount_cents, book.created_at, book.updated_at, book.last_entry_id, book.settings"

// How much is used of a book (domain/usage.hpp): the row that there is, and what is counted of the
// time asked for. ?1: the book.

/// Uses of a code, ?2.
#define COUPOND_USES_OF_CODE                    \
    "SELECT redeemed, locked FROM usage_count " \
    "WHERE book_id = ?1 AND user_number = 0 AND code_id = ?2 AND per = 0"

/// By a user, ?2; ?3: per, ?4: since. None where there is no such user.
#define COUPOND_USAGE_OF_USER                                                                  \
    "SELECT old.since, old.redeemed, old.amount, old.currency, CASE WHEN old.since = ?4 "      \
    "THEN old.redeemed ELSE (SELECT count(*) FROM coupon_code WHERE assigned_to = who.number " \
    "AND book_id = ?1 AND redeemed_at >= ?4) END, 0, old.locked, 0 FROM coupon_user AS who "   \
    "LEFT JOIN usage_count AS old ON old.book_id = ?1 AND old.user_number = who.number "       \
    "AND old.code_id = 0 AND old.per = ?3 WHERE who.user_id = ?2"
#define COUPOND_IF_OF_THAT_TIME(count, else_sum)                      \
    "CASE WHEN old.since = ?3 AND old.currency IS ?4 THEN old." count \
    " ELSE (SELECT "                                                  \
    "coalesce(sum(standing), 0) FROM " else_sum " AND since >= max(?3, 0)) END"
/// By all; ?2: per, ?3: since, ?4: the currency.
#define COUPOND_USAGE_OF_BOOK \
    "SELECT old.since, old.redeemed, old.amount, old.currency, " COUPOND_IF_OF_THAT_TIME(    \
        "redeemed", "activity_count WHERE book_id = ?1") ", "                                \
    COUPOND_IF_OF_THAT_TIME("amount", "discount_count WHERE book_id = ?1 AND currency = ?4") \
    ", old.locked, old.locked_amount "                                                       \
    "FROM (SELECT 1) LEFT JOIN usage_count AS old ON old.book_id = ?1 "                      \
    "AND old.user_number = 0 AND old.code_id = 0 AND old.per = ?2"

inline std::optional<Timestamp> optional_time(const Statement& row, int column) {
    const auto ms = row.optional_integer(column);
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// `read` as it is; throws Error where nobody can be told of it.
template <class Read>
Read sound(Read read) {
    const char* const fault = fault_of(read);
    if (fault != nullptr) throw corrupt(fault);
    return read;
}

/// From a row of COUPOND_CODES that begins with COUPOND_CODE_COLUMNS.
inline Code read_code(const Statement& row) {
    Code code;
    code.id = row.integer(0);
    code.book_id = row.integer(1);
    code.code = shown_text(row.text(2));
    code.assigned_to = row.optional_text(3);
    if (!row.is_null(4)) {
        code.lock = Lock{row.text(3), {row.integer(4)}, row.optional_text(12).value_or("")};
    }
    code.redeemed_at = optional_time(row, 5);
    code.created_at = {row.integer(6)};
    code.last_entry = row.integer(7);
    code.ever_locked = code.lock || code.redeemed_at;
    code.kept_back = row.integer(10) != 0;
    code.use_of = row.optional_integer(11);
    if (!row.is_null(9) && !read_row_text(row.text(9), code)) {
        throw corrupt("a code of such settings");
    }
    return sound(std::move(code));
}

/// The number of the user it is assigned to. From a row that begins with COUPOND_CODE_COLUMNS.
inline std::optional<std::int64_t> read_holder(const Statement& row) {
    return row.optional_integer(8);
}

/// From a row with COUPOND_BOOK_COLUMNS from `column` on.
inline Book read_book(const Statement& row, int column = 0) {
    Book book;
    book.id = row.integer(column);
    book.name = row.text(column + 1);
    book.code_pattern = row.text(column + 2);
    book.max_redemptions_per_user = row.optional_integer(column + 3);
    book.discount = from_short_form(row.optional_integer(column + 4));
    book.created_at = {row.integer(column + 5)};
    book.updated_at = {row.integer(column + 6)};
    book.last_entry = row.integer(column + 7);
    if (!read_row_text(row.text(column + 8), book)) throw corrupt("a book of such settings");
    return sound(std::move(book));
}
inline constexpr int book_columns = 9;

#define COUPOND_GENERATOR_COLUMNS "generator.code_key, generator.next, generator.drafts"
/// From a row with COUPOND_GENERATOR_COLUMNS from `column` on.
inline Generator read_generator(const Statement& row, int column) {
    Generator generator;
    const std::string key = row.text(column);
    if (key.size() != generator.key.size()) throw corrupt("a generator with such a key");
    std::ranges::copy(key, generator.key.begin());
    generator.next = row.integer(column + 1);
    generator.drafts = row.integer(column + 2);
    return sound(std::move(generator));
}
/// The same where there may be none.
inline std::optional<Generator> read_optional_generator(const Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional(read_generator(row, column));
}

#define COUPOND_JOB_COLUMNS                                                                    \
    "job.id, job.book_id, job.status, job.code_pattern, job.settings, job.requested, "         \
    "job.created, job.guess_probability, job.created_at, job.started_at, "                     \
    "job.finished_at, job.error, job.request_id, job.worker, job.claimed_until, job.version, " \
    "job.round_first, job.round_end, job.round_done, job.details"
/// From a row that begins with COUPOND_JOB_COLUMNS.
inline Job read_job(const Statement& row) {
    Job job;
    job.id = row.integer(0);
    job.book_id = row.integer(1);
    const auto status = job_status_of(row.integer(2));
    if (!status) throw corrupt("a job of such a status");
    job.status = *status;
    job.code_pattern = row.text(3);
    if (!row.is_null(4) && !read_row_text(row.text(4), job.settings)) {
        throw corrupt("a job of such settings");
    }
    job.requested = row.integer(5);
    job.created = row.integer(6);
    job.guess_probability = row.real(7);
    job.created_at = {row.integer(8)};
    job.started_at = optional_time(row, 9);
    job.finished_at = optional_time(row, 10);
    job.error = row.text(11);
    job.request_id = row.text(12);
    job.worker = row.text(13);
    job.claimed_until = optional_time(row, 14);
    job.version = row.integer(15);
    job.round = {row.integer(16), row.integer(17)};
    job.done = row.integer(18);
    if (!row.is_null(19) && !read_details(row.text(19), job)) {
        throw corrupt("a job of such details");
    }
    return sound(std::move(job));
}
inline constexpr int job_columns = 20;

inline std::optional<Currency> read_currency(const Statement& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    const auto currency = Currency::find(row.text(column));
    if (!currency) throw corrupt("an entry in such a currency");
    return currency;
}

inline std::optional<Money> read_money(const Statement& row, int column,
                                       const std::optional<Currency>& currency) {
    const auto amount = row.optional_integer(column);
    return amount ? std::optional(Money{*amount, currency}) : std::nullopt;
}

/// From a column with its id, and the next one with its amount.
inline std::optional<Order> read_order(const Statement& row, int column,
                                       const std::optional<Currency>& currency) {
    const auto amount = row.optional_integer(column + 1);
    if (!amount) return std::nullopt;
    if (!currency) throw corrupt("an order of no currency");
    return Order{row.optional_text(column), *amount, *currency};
}

/// From a row of COUPOND_USAGE_OF_USER or COUPOND_USAGE_OF_BOOK.
inline World::UsageRow read_usage(const Statement& row, const UsageNeed& need) {
    World::UsageRow usage;
    if (!row.is_null(0)) {
        usage.loaded =
            Usage{{row.integer(0)}, row.integer(1), row.integer(2), read_currency(row, 3)};
    }
    usage.now = sound(Usage{need.since, row.integer(4), row.integer(5), need.currency});
    if (is_of_that_time(usage)) {
        usage.now.locked = row.integer(6);
        usage.now.locked_amount = row.integer(7);
    }
    return usage;
}

/// Locks that count in a book, ?1, beyond ?2; and what they are worth in a currency, ?3. Of a code
/// that is redeemed none does.
#define COUPOND_LOCKS_OF_BOOK                                                             \
    "SELECT count(*), coalesce(sum(CASE WHEN currency = ?3 THEN amount END), 0) "         \
    "FROM counted_lock AS held CROSS JOIN coupon_code AS code ON code.id = held.code_id " \
    "AND code.redeemed_at IS NULL WHERE held.book_id = ?1 AND held.locked_until > ?2"
/// Those of a user, ?3.
#define COUPOND_LOCKS_OF_USER                                                            \
    "SELECT count(*), 0 FROM coupon_user AS who CROSS JOIN counted_lock AS held "        \
    "ON held.user_number = who.number AND held.book_id = ?1 AND held.locked_until > ?2 " \
    "CROSS JOIN coupon_code AS code ON code.id = held.code_id "                          \
    "AND code.redeemed_at IS NULL WHERE who.user_id = ?3"

/// From a row of one of those, as the counts of `usage`.
inline void read_locks(const Statement& row, World::UsageRow& usage) {
    usage.now.locked = row.integer(0);
    usage.now.locked_amount = row.integer(1);
    sound(usage.now);
    usage.locks_counted = true;
}

/// From a row of COUPOND_USES_OF_CODE.
inline World::UsageRow read_uses(const Statement& row) {
    const Usage uses = sound(Usage{all_times, row.integer(0), 0, {}, row.integer(1)});
    return {uses, {}, uses};
}

// A redemption, from the `entry` of which it is the id.
#define COUPOND_REDEMPTION_COLUMNS                                                           \
    "entry.id, entry.code_id, code.code, entry.book_id, holder.user_id, entry.currency, "    \
    "entry.order_id, entry.order_amount, entry.discount_cents, "                             \
    "(SELECT coalesce(sum(discount_cents), 0) FROM ledger WHERE redemption_id = entry.id), " \
    "entry.at, (SELECT max(at) FROM ledger WHERE redemption_id = entry.id AND type = 13), "  \
    "entry.use_of"
#define COUPOND_REDEMPTION_JOINS                            \
    " JOIN coupon_code AS code ON code.id = entry.code_id " \
    "JOIN coupon_user AS holder ON holder.number = entry.user_number "

inline Redemption read_redemption(const Statement& row) {
    const std::optional<Currency> currency = read_currency(row, 5);
    return sound(Redemption{row.integer(0),
                            row.integer(1),
                            std::string(shown_text(row.text(2))),
                            row.integer(3),
                            std::string(row.text(4)),
                            read_order(row, 6, currency),
                            read_money(row, 8, currency),
                            row.integer(9),
                            {row.integer(10)},
                            optional_time(row, 11),
                            row.optional_integer(12)});
}

#define COUPOND_ENTRY_COLUMNS                                                                   \
    "entry.id, entry.at, entry.type, entry.book_id, coalesce(entry.code_id, 0), "               \
    "coalesce(entry.codes, 0), coupon_user.user_id, entry.locked_until, entry.discount_cents, " \
    "entry.previous_id, entry.request_id, code.code, coalesce(entry.detail, ''), "              \
    "entry.currency, entry.order_id, entry.order_amount, entry.redemption_id, entry.use_of"
/// To be joined with `entry`.
#define COUPOND_ENTRY_JOINS                                 \
    " LEFT JOIN coupon_user ON number = entry.user_number " \
    "LEFT JOIN coupon_code AS code ON entry.codes IS NULL AND code.id = entry.code_id "

/// From a row that begins with COUPOND_ENTRY_COLUMNS.
inline EntryListing read_entry(const Statement& row) {
    EntryListing listing;
    LedgerEntry& entry = listing.entry;
    entry.id = row.integer(0);
    entry.at = {row.integer(1)};
    entry.type = static_cast<LedgerEntry::Type>(row.integer(2));
    entry.book_id = row.integer(3);
    entry.code_id = row.integer(4);
    entry.codes = row.integer(5);
    entry.user_id = row.optional_text(6);
    entry.locked_until = optional_time(row, 7);
    const std::optional<Currency> currency = read_currency(row, 13);
    entry.discount = read_money(row, 8, currency);
    entry.order = read_order(row, 14, currency);
    entry.redemption_id = row.optional_integer(16);
    entry.use_of = row.optional_integer(17);
    entry.previous = row.optional_integer(9);
    entry.request_id = row.text(10);
    listing.code = shown_text(row.text(11));
    entry.detail = row.text(12);
    return sound(std::move(listing));
}

}  // namespace coupond::sqlite
