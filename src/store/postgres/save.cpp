#include "store/postgres/save.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "store/pool_draw.hpp"

namespace coupond::postgres {
namespace {

constexpr std::uint64_t slots = 16;
constexpr std::int64_t dead_locks_kept_ms = 3'600'000;  // so that a clock set back finds them again
constexpr std::int64_t sweep_every_ms = 100;

// Around a statement that changes a row for each element of $1: fails, and with it the
// transaction, where it has changed fewer.
#define COUPOND_ALL_OR_CONFLICT(statement)                                  \
    "WITH changed AS (" statement                                           \
    " RETURNING 1) SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) " \
    "THEN coupond_conflict() END FROM changed"

const Statement insert_books{
    "INSERT INTO coupon_book (id, name, code_pattern, max_redemptions_per_user, discount_cents, "
    "created_at, updated_at) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], "
    "$4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])"};

const Statement insert_codes{
    "INSERT INTO coupon_code (id, book_id, version, shuffle_key, created_at, locked_until, "
    "redeemed_at, code, assigned_to, locked_by) SELECT * FROM unnest($1::bigint[], $2::bigint[], "
    "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], "
    "$9::text[], $10::text[])"};

// Apart from the one below, because only an assignment concerns the index of free codes.
const Statement assign_codes{COUPOND_ALL_OR_CONFLICT(
    "UPDATE coupon_code AS code SET version = new.version, locked_until = new.locked_until, "
    "redeemed_at = new.redeemed_at, locked_by = new.locked_by, assigned_to = new.assigned_to "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[]) "
    "AS new (id, version, locked_until, redeemed_at, locked_by, assigned_to) "
    "WHERE code.id = new.id AND code.version = new.version - 1")};

const Statement change_codes{COUPOND_ALL_OR_CONFLICT(
    "UPDATE coupon_code AS code SET version = new.version, locked_until = new.locked_until, "
    "redeemed_at = new.redeemed_at, locked_by = new.locked_by "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) "
    "AS new (id, version, locked_until, redeemed_at, locked_by) "
    "WHERE code.id = new.id AND code.version = new.version - 1")};

const Statement insert_users{
    "INSERT INTO user_redemption_count (book_id, user_id, redeemed) "
    "SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[])"};

const Statement change_users{COUPOND_ALL_OR_CONFLICT(
    "UPDATE user_redemption_count AS used SET redeemed = new.redeemed "
    "FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) "
    "AS new (book_id, user_id, redeemed, loaded) WHERE used.book_id = new.book_id "
    "AND used.user_id = new.user_id AND used.redeemed = new.loaded")};

const Statement add_counts{
    "INSERT INTO book_count AS old (book_id, slot, total, available, redeemed) "
    "SELECT book_id, $2::bigint::smallint, total, available, redeemed "
    "FROM unnest($1::bigint[], $3::bigint[], $4::bigint[], $5::bigint[]) "
    "AS new (book_id, total, available, redeemed) "
    "ON CONFLICT (book_id, slot) DO UPDATE SET total = old.total + excluded.total, "
    "available = old.available + excluded.available, redeemed = old.redeemed + excluded.redeemed"};

const Statement add_locks{
    "INSERT INTO lock_count AS old (book_id, locked_until, codes) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) "
    "ON CONFLICT (book_id, locked_until) DO UPDATE SET codes = old.codes + excluded.codes"};

// A row that is not there any more was of a lock that has long been dead.
const Statement subtract_locks{
    "UPDATE lock_count AS old SET codes = old.codes + new.codes "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS new (book_id, locked_until, codes) "
    "WHERE old.book_id = new.book_id AND old.locked_until = new.locked_until"};

const Statement sweep_locks{
    "DELETE FROM lock_count WHERE (book_id, locked_until) IN (SELECT old.book_id, old.locked_until "
    "FROM unnest($1::bigint[]) AS book (id) CROSS JOIN LATERAL (SELECT book_id, locked_until "
    "FROM lock_count WHERE book_id = book.id AND locked_until < $2::bigint "
    "ORDER BY locked_until LIMIT 100 FOR UPDATE SKIP LOCKED) AS old)"};

std::optional<Timestamp> locked_until(const Code& code) {
    return code.lock ? std::optional(code.lock->until) : std::nullopt;
}

std::optional<std::string_view> locked_by(const Code& code) {
    return code.lock ? std::optional(std::string_view(code.lock->user_id)) : std::nullopt;
}

void send_new_books(Connection& connection, const Delta& delta) {
    BigintArray ids, limits, discounts, created, updated;
    TextArray names, patterns;
    for (const Book* const book : delta.new_books) {
        ids.add(book->id);
        names.add(book->name);
        patterns.add(book->code_pattern);
        limits.add(book->max_redemptions_per_user);
        discounts.add(book->discount_cents);
        created.add(book->created_at);
        updated.add(book->updated_at);
    }
    connection.execute(insert_books,
                       Parameters(ids, names, patterns, limits, discounts, created, updated));
}

void send_new_codes(Connection& connection, const Delta& delta) {
    BigintArray ids, books, versions, shuffle_keys, created, until, redeemed;
    TextArray codes, holders, lockers;
    for (const CodeRow* const row : delta.new_codes) {
        const Code& code = row->code;
        ids.add(code.id);
        books.add(code.book_id);
        versions.add(code.version);
        shuffle_keys.add(random_shuffle_key());
        created.add(code.created_at);
        until.add(locked_until(code));
        redeemed.add(code.redeemed_at);
        codes.add(code.code);
        holders.add(code.assigned_to);
        lockers.add(locked_by(code));
    }
    connection.execute(insert_codes, Parameters(ids, books, versions, shuffle_keys, created, until,
                                                redeemed, codes, holders, lockers));
}

/// In the order of their ids, so that two processes lock rows in the same order.
void send_changed_codes(Connection& connection, const Delta& delta, bool assigned) {
    std::vector<const CodeRow*> rows;
    for (const CodeRow* const row : delta.changed_codes) {
        if (row->assigned == assigned) rows.push_back(row);
    }
    if (rows.empty()) return;
    std::sort(rows.begin(), rows.end(),
              [](const CodeRow* a, const CodeRow* b) { return a->code.id < b->code.id; });
    BigintArray ids, versions, until, redeemed;
    TextArray lockers, holders;
    for (const CodeRow* const row : rows) {
        ids.add(row->code.id);
        versions.add(row->code.version);
        until.add(locked_until(row->code));
        redeemed.add(row->code.redeemed_at);
        lockers.add(locked_by(row->code));
        if (assigned) holders.add(row->code.assigned_to);
    }
    if (assigned) {
        connection.execute(assign_codes,
                           Parameters(ids, versions, until, redeemed, lockers, holders));
    } else {
        connection.execute(change_codes, Parameters(ids, versions, until, redeemed, lockers));
    }
}

void send_users(Connection& connection, const Delta& delta) {
    auto users = delta.user_redemptions;
    std::sort(users.begin(), users.end(),
              [](const auto& a, const auto& b) { return *a.key < *b.key; });
    BigintArray new_books, new_counts, books, counts, loaded;
    TextArray new_names, names;
    for (const Delta::UserRedemptions& user : users) {
        const bool is_new = user.loaded == 0;
        (is_new ? new_books : books).add(user.key->first);
        (is_new ? new_names : names).add(user.key->second);
        (is_new ? new_counts : counts).add(user.now);
        if (!is_new) loaded.add(user.loaded);
    }
    if (new_books.size() > 0) {
        connection.execute(insert_users, Parameters(new_books, new_names, new_counts));
    }
    if (books.size() > 0) {
        connection.execute(change_users, Parameters(books, names, counts, loaded));
    }
}

void send_counts(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, totals, available, redeemed;
    for (const auto& [book_id, counts] : delta.counts) {
        if (counts.total == 0 && counts.available == 0 && counts.redeemed == 0) continue;
        books.add(book_id);
        totals.add(counts.total);
        available.add(counts.available);
        redeemed.add(counts.redeemed);
    }
    if (books.size() == 0) return;
    connection.execute(add_counts, Parameters(books, slot, totals, available, redeemed));
}

}  // namespace

Saver::Saver() : slot_(static_cast<std::int64_t>(secure_random_below(slots))) {}

void Saver::send(Connection& connection, const Delta& delta) {
    if (!delta.new_books.empty()) send_new_books(connection, delta);
    if (!delta.new_codes.empty()) send_new_codes(connection, delta);
    for (const bool assigned : {true, false}) send_changed_codes(connection, delta, assigned);
    if (!delta.user_redemptions.empty()) send_users(connection, delta);
    send_counts(connection, delta, slot_);
    if (!delta.locks.empty()) send_locks(connection, delta);
    connection.execute("COMMIT");
    connection.sync();
}

void Saver::send_locks(Connection& connection, const Delta& delta) {
    BigintArray books, until, codes;                  // to be added
    BigintArray less_books, less_until, fewer_codes;  // to be subtracted
    BigintArray touched;
    BookId last = 0;
    for (const auto& [lock, change] : delta.locks) {
        const auto& [book_id, time] = lock;
        (change > 0 ? books : less_books).add(book_id);
        (change > 0 ? until : less_until).add(time);
        (change > 0 ? codes : fewer_codes).add(change);
        if (book_id != last) touched.add(book_id);
        last = book_id;
    }
    if (books.size() > 0) connection.execute(add_locks, Parameters(books, until, codes));
    if (less_books.size() > 0) {
        connection.execute(subtract_locks, Parameters(less_books, less_until, fewer_codes));
    }
    if (delta.at < swept_at_ + sweep_every_ms && swept_at_ <= delta.at) return;
    swept_at_ = delta.at;
    connection.execute(sweep_locks, Parameters(touched, (delta.at + -dead_locks_kept_ms).ms));
}

}  // namespace coupond::postgres
