// How rows become things: column lists and what they are read into.
#pragma once

#include <algorithm>

#include "store/fault.hpp"
#include "store/postgres/connection.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// What clients have set of a code; of a use, what they have set of its code.
#define COUPOND_SETTINGS_OF_CODE                             \
    "CASE WHEN code.use_of IS NULL THEN code.settings ELSE " \
    "(SELECT settings FROM coupon_code WHERE id = code.use_of) END"
#define COUPOND_CODE_COLUMNS                                                           \
    "code.id, code.book_id, code.code, holder.user_id, code.locked_until, "            \
    "code.redeemed_at, code.created_at, code.last_entry_id, " COUPOND_SETTINGS_OF_CODE \
    ", code.shuffle_key < 0, code.use_of, code.lock_key, "                             \
    "code.assigned_to, code.ctid"
/// To be joined with `code`. OFFSET 0: each row on the left is looked up by itself, whatever else
/// the planner would think of.
#define COUPOND_HOLDER                                                                     \
    " LEFT JOIN LATERAL (SELECT user_id FROM coupon_user WHERE number = code.assigned_to " \
    "OFFSET 0) AS holder ON true "
#define COUPOND_BOOK_COLUMNS                                                 \
    "book.id, book.name, book.code_pattern, book.max_redemptions_per_user, " \
    "book.discount_cents, book.created_at, book.updated_at, book.last_entry_id, book.settings"

// How much is used of books (domain/usage.hpp): of each asked for its place, from 1, the row that
// there is, and what is counted of the time asked for.

/// By users who are there. $1: books, $2: user ids, $3: per, $4: since.
#define COUPOND_USAGE_OF_USERS                                                                   \
    "SELECT need.n, old.since, old.redeemed, old.amount, old.currency, "                         \
    "CASE WHEN old.since = need.since THEN old.redeemed ELSE (SELECT count(*) FROM coupon_code " \
    "WHERE assigned_to = who.number AND book_id = need.book_id AND redeemed_at >= need.since) "  \
    "END, 0::bigint, old.version, old.locked, 0::bigint FROM unnest($1::bigint[], $2::text[], "  \
    "$3::bigint[], $4::bigint[]) "                                                               \
    "WITH ORDINALITY AS need (book_id, user_id, per, since, n) "                                 \
    "CROSS JOIN LATERAL (SELECT number FROM coupon_user WHERE user_id = need.user_id OFFSET 0"   \
    ") AS who LEFT JOIN LATERAL (SELECT * FROM usage_count WHERE book_id = need.book_id "        \
    "AND user_number = who.number AND code_id = 0 AND per = need.per OFFSET 0) AS old ON true"
#define COUPOND_IF_OF_THAT_TIME(count, else_sum)                                            \
    "CASE WHEN old.since = need.since AND old.currency IS NOT DISTINCT FROM need.currency " \
    "THEN old." count " ELSE (SELECT coalesce(sum(standing), 0)::bigint FROM " else_sum     \
    " AND since >= greatest(need.since, 0)) END"
/// By all. $1: books, $2: per, $3: since, $4: currencies.
#define COUPOND_USAGE_OF_BOOKS \
    "SELECT need.n, old.since, old.redeemed, old.amount, old.currency, " COUPOND_IF_OF_THAT_TIME( \
        "redeemed", "activity_count WHERE book_id = need.book_id") ", "                           \
    COUPOND_IF_OF_THAT_TIME("amount",                                                             \
                            "discount_count WHERE book_id = need.book_id "                        \
                            "AND currency = need.currency")                                       \
    ", old.version, old.locked, old.locked_amount "                                               \
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) "                          \
    "WITH ORDINALITY AS need (book_id, per, since, currency, n) "                                 \
    "LEFT JOIN LATERAL (SELECT * FROM usage_count WHERE book_id = need.book_id "                  \
    "AND user_number = 0 AND code_id = 0 AND per = need.per OFFSET 0) AS old ON true"
/// Uses of codes that have a row. $1: books, $2: codes.
#define COUPOND_USES_OF_CODES                                                                \
    "SELECT need.n, old.redeemed, old.locked, old.version "                                  \
    "FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY AS need (book_id, code_id, n) " \
    "CROSS JOIN LATERAL (SELECT * FROM usage_count WHERE book_id = need.book_id "            \
    "AND user_number = 0 AND code_id = need.code_id AND per = 0 OFFSET 0) AS old"

/// The codes that texts are spellings of, but that none of them is: with the place of the text,
/// from
/// 1. $1: the texts folded, $2: the texts.
#define COUPOND_SPELLED                                                                       \
    "SELECT need.n, code.code FROM unnest($1::text[], $2::text[]) WITH ORDINALITY "           \
    "AS need (folded, code, n) CROSS JOIN LATERAL (SELECT code FROM coupon_code "             \
    "WHERE folded = need.folded OFFSET 0) AS code WHERE NOT EXISTS (SELECT FROM coupon_code " \
    "AS same WHERE same.code = need.code)"

inline constexpr int code_columns = 14;
inline constexpr int book_columns = 9;

inline std::optional<Timestamp> optional_time(const Rows& rows, int row, int column) {
    const auto ms = rows.optional_integer(row, column);
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// `read` as it is; throws Rejected where nobody can be told of it.
template <class Read>
Read sound(Read read) {
    const char* const fault = fault_of(read);
    if (fault != nullptr) throw Rejected{{data_corrupted, fault, ""}};
    return read;
}

/// From a row that begins with COUPOND_CODE_COLUMNS.
inline Code read_code(const Rows& rows, int row) {
    Code code;
    code.id = rows.integer(row, 0);
    code.book_id = rows.integer(row, 1);
    code.code = shown_text(rows.text(row, 2));
    code.assigned_to = rows.optional_text(row, 3);
    if (!rows.is_null(row, 4)) {
        code.lock = Lock{std::string(rows.text(row, 3)),
                         {rows.integer(row, 4)},
                         rows.optional_text(row, 11).value_or("")};
    }
    code.redeemed_at = optional_time(rows, row, 5);
    code.created_at = {rows.integer(row, 6)};
    code.last_entry = rows.integer(row, 7);
    code.ever_locked = code.lock || code.redeemed_at;
    code.kept_back = rows.boolean(row, 9);
    code.use_of = rows.optional_integer(row, 10);
    if (!rows.is_null(row, 8) && !read_row_text(rows.text(row, 8), code)) {
        throw Rejected{{data_corrupted, "a code of such settings", ""}};
    }
    return sound(std::move(code));
}

/// How a code was stored when it was loaded.
struct Stored {
    Place place{};
    std::optional<std::int64_t> holder;  ///< the number of the user it is assigned to,
    std::string user_id;                 ///< and their id
};

/// From a row that begins with COUPOND_CODE_COLUMNS.
inline Stored read_stored(const Rows& rows, int row) {
    Stored stored;
    stored.holder = rows.optional_integer(row, code_columns - 2);
    if (stored.holder) stored.user_id = rows.text(row, 3);
    rows.text(row, code_columns - 1).copy(stored.place.data(), stored.place.size());
    return stored;
}

/// From a row with COUPOND_BOOK_COLUMNS from `column` on.
inline Book read_book(const Rows& rows, int row, int column = 0) {
    Book book;
    book.id = rows.integer(row, column);
    book.name = rows.text(row, column + 1);
    book.code_pattern = rows.text(row, column + 2);
    book.max_redemptions_per_user = rows.optional_integer(row, column + 3);
    book.discount = from_short_form(rows.optional_integer(row, column + 4));
    book.created_at = {rows.integer(row, column + 5)};
    book.updated_at = {rows.integer(row, column + 6)};
    book.last_entry = rows.integer(row, column + 7);
    if (!read_row_text(rows.text(row, column + 8), book)) {
        throw Rejected{{data_corrupted, "a book of such settings", ""}};
    }
    return sound(std::move(book));
}

#define COUPOND_GENERATOR_COLUMNS "generator.code_key, generator.next, generator.drafts"
/// Of the generators of books' patterns: to be joined with what has a `book_id` and a
/// `code_pattern`.
#define COUPOND_GENERATOR(of, book_id)                                                    \
    " LEFT JOIN LATERAL (SELECT * FROM code_generator WHERE code_generator.book_id = " of \
    "." book_id " AND code_generator.code_pattern = " of                                  \
    ".code_pattern OFFSET 0) AS generator "                                               \
    "ON true "

/// From a row with COUPOND_GENERATOR_COLUMNS from `column` on.
inline Generator read_generator(const Rows& rows, int row, int column) {
    Generator generator;
    const std::string_view key = rows.text(row, column);
    if (key.size() != generator.key.size()) {
        throw Rejected{{data_corrupted, "a generator with such a key", ""}};
    }
    std::ranges::copy(key, generator.key.begin());
    generator.next = rows.integer(row, column + 1);
    generator.drafts = rows.integer(row, column + 2);
    return sound(std::move(generator));
}
/// The same where there may be none.
inline std::optional<Generator> read_optional_generator(const Rows& rows, int row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    return read_generator(rows, row, column);
}

/// The places, from 1 on, of those of $1 that are in that column of some code.
#define COUPOND_EXISTING(column)                                               \
    "SELECT need.n FROM unnest($1::text[]) WITH ORDINALITY AS need (text, n) " \
    "CROSS JOIN LATERAL (SELECT FROM coupon_code WHERE " column " = need.text OFFSET 0) AS code"

#define COUPOND_JOB_COLUMNS                                                                    \
    "job.id, job.book_id, job.status, job.code_pattern, job.settings, job.requested, "         \
    "job.created, job.guess_probability, job.created_at, job.started_at, "                     \
    "job.finished_at, job.error, job.request_id, job.worker, job.claimed_until, job.version, " \
    "job.round_first, job.round_end, job.round_done, job.details"
inline constexpr int job_columns = 20;

/// From a row that begins with COUPOND_JOB_COLUMNS.
inline Job read_job(const Rows& rows, int row) {
    Job job;
    job.id = rows.integer(row, 0);
    job.book_id = rows.integer(row, 1);
    const auto status = job_status_of(rows.integer(row, 2));
    if (!status) throw Rejected{{data_corrupted, "a job of such a status", ""}};
    job.status = *status;
    job.code_pattern = rows.text(row, 3);
    if (!rows.is_null(row, 4) && !read_row_text(rows.text(row, 4), job.settings)) {
        throw Rejected{{data_corrupted, "a job of such settings", ""}};
    }
    job.requested = rows.integer(row, 5);
    job.created = rows.integer(row, 6);
    job.guess_probability = rows.real(row, 7);
    job.created_at = {rows.integer(row, 8)};
    job.started_at = optional_time(rows, row, 9);
    job.finished_at = optional_time(rows, row, 10);
    job.error = rows.optional_text(row, 11).value_or("");
    job.request_id = rows.text(row, 12);
    job.worker = rows.optional_text(row, 13).value_or("");
    job.claimed_until = optional_time(rows, row, 14);
    job.version = rows.integer(row, 15);
    job.round = {rows.integer(row, 16), rows.integer(row, 17)};
    job.done = rows.integer(row, 18);
    if (!rows.is_null(row, 19) && !read_details(rows.text(row, 19), job)) {
        throw Rejected{{data_corrupted, "a job of such details", ""}};
    }
    return sound(std::move(job));
}

inline std::optional<Currency> read_currency(const Rows& rows, int row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    const auto currency = Currency::find(rows.text(row, column));
    if (!currency) throw Rejected{{data_corrupted, "an entry in such a currency", ""}};
    return currency;
}

inline std::optional<Money> read_money(const Rows& rows, int row, int column,
                                       const std::optional<Currency>& currency) {
    const auto amount = rows.optional_integer(row, column);
    return amount ? std::optional(Money{*amount, currency}) : std::nullopt;
}

/// From a column with its id, and the next one with its amount.
inline std::optional<Order> read_order(const Rows& rows, int row, int column,
                                       const std::optional<Currency>& currency) {
    const auto amount = rows.optional_integer(row, column + 1);
    if (!amount) return std::nullopt;
    if (!currency) throw Rejected{{data_corrupted, "an order of no currency", ""}};
    return Order{rows.optional_text(row, column), *amount, *currency};
}

/// From a row of COUPOND_USES_OF_CODES.
inline World::UsageRow read_uses(const Rows& rows, int row) {
    const Usage uses = sound(Usage{all_times, rows.integer(row, 1), 0, {}, rows.integer(row, 2)});
    return {uses, rows.integer(row, 3), uses};
}

/// From a row of COUPOND_USAGE_OF_USERS or COUPOND_USAGE_OF_BOOKS.
inline World::UsageRow read_usage(const Rows& rows, int row, const UsageNeed& need) {
    World::UsageRow usage;
    if (!rows.is_null(row, 1)) {
        usage.loaded = Usage{{rows.integer(row, 1)},
                             rows.integer(row, 2),
                             rows.integer(row, 3),
                             read_currency(rows, row, 4)};
        usage.loaded_version = rows.integer(row, 7);
    }
    usage.now = sound(Usage{need.since, rows.integer(row, 5), rows.integer(row, 6), need.currency});
    if (is_of_that_time(usage)) {
        usage.now.locked = rows.integer(row, 8);
        usage.now.locked_amount = rows.integer(row, 9);
    }
    return usage;
}

/// What COUPOND_USAGE_OF_USERS, COUPOND_USAGE_OF_BOOKS or COUPOND_USES_OF_CODES ask for.
struct UsagesAsked {
    explicit UsagesAsked(std::span<const UsageNeed> asked) {
        for (const UsageNeed& need : asked) {
            books.add(need.key.book_id);
            users.add(need.key.user_id);
            codes.add(need.key.code_id);
            pers.add(static_cast<std::int64_t>(need.key.per));
            since.add(need.since);
            need.currency ? currencies.add(need.currency->code()) : currencies.add_null();
        }
    }

    BigintArray books, codes, pers, since;
    TextArray users, currencies;
};

// A redemption, from the `entry` of which it is the id.
#define COUPOND_REDEMPTION_COLUMNS                                                               \
    "entry.id, entry.code_id, code.code, entry.book_id, holder.user_id, entry.currency, "        \
    "entry.order_id, entry.order_amount, entry.discount_cents, taken.back, entry.at, taken.at, " \
    "entry.use_of"
#define COUPOND_REDEMPTION_JOINS                                                                 \
    " CROSS JOIN LATERAL (SELECT code FROM coupon_code WHERE id = entry.code_id OFFSET 0"        \
    ") AS code CROSS JOIN LATERAL (SELECT user_id FROM coupon_user "                             \
    "WHERE number = entry.user_number OFFSET 0) AS holder "                                      \
    "CROSS JOIN LATERAL (SELECT coalesce(sum(discount_cents), 0)::bigint AS back, "              \
    "max(at) FILTER (WHERE type = 13) AS at FROM ledger WHERE redemption_id = entry.id OFFSET 0" \
    ") AS taken "

inline Redemption read_redemption(const Rows& rows, int row) {
    const std::optional<Currency> currency = read_currency(rows, row, 5);
    return sound(Redemption{rows.integer(row, 0),
                            rows.integer(row, 1),
                            std::string(shown_text(rows.text(row, 2))),
                            rows.integer(row, 3),
                            std::string(rows.text(row, 4)),
                            read_order(rows, row, 6, currency),
                            read_money(rows, row, 8, currency),
                            rows.integer(row, 9),
                            {rows.integer(row, 10)},
                            optional_time(rows, row, 11),
                            rows.optional_integer(row, 12)});
}

#define COUPOND_ENTRY_COLUMNS                                                                    \
    "entry.id, entry.at, entry.type, entry.book_id, coalesce(entry.code_id, 0), "                \
    "coalesce(entry.codes, 0), holder.user_id, entry.locked_until, entry.discount_cents, "       \
    "entry.previous_id, entry.request_id, coalesce(code.code, ''), coalesce(entry.detail, ''), " \
    "entry.currency, entry.order_id, entry.order_amount, entry.redemption_id, entry.use_of"
/// To be joined with `entry`.
#define COUPOND_ENTRY_JOINS                                                                 \
    " LEFT JOIN LATERAL (SELECT user_id FROM coupon_user WHERE number = entry.user_number " \
    "OFFSET 0) AS holder ON true LEFT JOIN LATERAL (SELECT code FROM coupon_code "          \
    "WHERE id = CASE WHEN entry.codes IS NULL THEN entry.code_id END OFFSET 0) AS code ON true "

/// From a row that begins with COUPOND_ENTRY_COLUMNS.
inline EntryListing read_entry(const Rows& rows, int row) {
    EntryListing listing;
    LedgerEntry& entry = listing.entry;
    entry.id = rows.integer(row, 0);
    entry.at = {rows.integer(row, 1)};
    entry.type = static_cast<LedgerEntry::Type>(rows.integer(row, 2));
    entry.book_id = rows.integer(row, 3);
    entry.code_id = rows.integer(row, 4);
    entry.codes = rows.integer(row, 5);
    entry.user_id = rows.optional_text(row, 6);
    entry.locked_until = optional_time(rows, row, 7);
    const std::optional<Currency> currency = read_currency(rows, row, 13);
    entry.discount = read_money(rows, row, 8, currency);
    entry.order = read_order(rows, row, 14, currency);
    entry.redemption_id = rows.optional_integer(row, 16);
    entry.use_of = rows.optional_integer(row, 17);
    entry.previous = rows.optional_integer(row, 9);
    entry.request_id = rows.text(row, 10);
    listing.code = shown_text(rows.text(row, 11));
    entry.detail = rows.text(row, 12);
    return sound(std::move(listing));
}

}  // namespace coupond::postgres
