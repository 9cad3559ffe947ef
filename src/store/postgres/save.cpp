#include "store/postgres/save.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "store/pool_draw.hpp"

namespace coupond::postgres {
namespace {

constexpr std::uint64_t slots = 16;
constexpr std::int64_t dead_locks_kept_ms = 3'600'000;  // so that a clock set back finds them again
constexpr std::int64_t sweep_every_ms = 50;

const Statement insert_books{
    "INSERT INTO coupon_book (id, name, code_pattern, max_redemptions_per_user, discount_cents, "
    "created_at, updated_at) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], "
    "$4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])"};

const Statement insert_codes{
    "INSERT INTO coupon_code (id, book_id, version, shuffle_key, created_at, locked_until, "
    "redeemed_at, code, assigned_to, locked_by) SELECT * FROM unnest($1::bigint[], $2::bigint[], "
    "$3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], "
    "$9::text[], $10::text[])"};

// A code is changed where it was loaded, if it is still there and of that version: MERGE because it
// tells for each row which of the two it is, and by place because that needs no index.
#define COUPOND_IF_AS_LOADED(update)                                                    \
    "ON code.ctid = new.place "                                                         \
    "WHEN MATCHED AND code.id = new.id AND code.version = new.version - 1 THEN " update \
    " WHEN MATCHED AND coupond_conflict() IS NULL THEN DO NOTHING "                     \
    "WHEN NOT MATCHED THEN INSERT (id) VALUES (coupond_conflict())"

// Apart from the one below, because only an assignment concerns the index of free codes.
const Statement assign_codes{
    "MERGE INTO coupon_code AS code USING unnest($1::tid[], $2::bigint[], $3::bigint[], "
    "$4::bigint[], $5::bigint[], $6::text[], $7::text[]) "
    "AS new (place, id, version, locked_until, redeemed_at, locked_by, "
    "assigned_to) " COUPOND_IF_AS_LOADED(
        "UPDATE SET version = new.version, locked_until = new.locked_until, "
        "redeemed_at = new.redeemed_at, locked_by = new.locked_by, "
        "assigned_to = new.assigned_to")};

const Statement change_codes{
    "MERGE INTO coupon_code AS code USING unnest($1::tid[], $2::bigint[], $3::bigint[], "
    "$4::bigint[], $5::bigint[], $6::text[]) "
    "AS new (place, id, version, locked_until, redeemed_at, locked_by) " COUPOND_IF_AS_LOADED(
        "UPDATE SET version = new.version, locked_until = new.locked_until, "
        "redeemed_at = new.redeemed_at, locked_by = new.locked_by")};

// Users whose count has grown by $4; there is no row yet where it was 0.
const Statement count_users{
    "WITH counted AS (INSERT INTO user_redemption_count AS old (book_id, user_id, redeemed) "
    "SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) "
    "ON CONFLICT (book_id, user_id) DO UPDATE SET redeemed = excluded.redeemed "
    "WHERE old.redeemed = excluded.redeemed - $4::bigint RETURNING 1) "
    "SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) THEN coupond_conflict() END "
    "FROM counted"};

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

const Statement sweep_locks{
    "DELETE FROM lock_count WHERE ctid = ANY(ARRAY(SELECT old.ctid "
    "FROM unnest($1::bigint[]) AS book (id) CROSS JOIN LATERAL (SELECT ctid FROM lock_count "
    "WHERE book_id = book.id AND locked_until < $2::bigint ORDER BY locked_until LIMIT 100 "
    "FOR UPDATE SKIP LOCKED) AS old))"};

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

/// By their texts: whoever brings the same one waits for it.
void send_new_codes(Connection& connection, const Delta& delta) {
    std::vector<const CodeRow*> rows(delta.new_codes.begin(), delta.new_codes.end());
    std::sort(rows.begin(), rows.end(),
              [](const CodeRow* a, const CodeRow* b) { return a->code.code < b->code.code; });
    BigintArray ids, books, versions, shuffle_keys, created, until, redeemed;
    TextArray codes, holders, lockers;
    for (const CodeRow* const row : rows) {
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

/// By their ids. A row that one process assigns and another one changes otherwise does not count:
/// who holds it has found it as it was loaded, so the other one's is older and meets a conflict
/// there.
void send_changed_codes(Connection& connection, const Delta& delta, const Places& places,
                        bool assigned) {
    std::vector<const CodeRow*> rows;
    for (const CodeRow* const row : delta.changed_codes) {
        if (row->assigned == assigned) rows.push_back(row);
    }
    if (rows.empty()) return;
    std::sort(rows.begin(), rows.end(),
              [](const CodeRow* a, const CodeRow* b) { return a->code.id < b->code.id; });
    PlaceArray loaded;
    BigintArray ids, versions, until, redeemed;
    TextArray lockers, holders;
    for (const CodeRow* const row : rows) {
        loaded.add(places.at(row->code.id));
        ids.add(row->code.id);
        versions.add(row->code.version);
        until.add(locked_until(row->code));
        redeemed.add(row->code.redeemed_at);
        lockers.add(locked_by(row->code));
        if (assigned) holders.add(row->code.assigned_to);
    }
    if (assigned) {
        connection.execute(assign_codes,
                           Parameters(loaded, ids, versions, until, redeemed, lockers, holders));
    } else {
        connection.execute(change_codes,
                           Parameters(loaded, ids, versions, until, redeemed, lockers));
    }
}

/// By book and user; a statement for each run of those that have grown by the same.
void send_users(Connection& connection, const Delta& delta) {
    auto users = delta.user_redemptions;
    std::sort(users.begin(), users.end(),
              [](const auto& a, const auto& b) { return *a.key < *b.key; });
    for (auto user = users.begin(); user != users.end();) {
        const std::int64_t growth = user->now - user->loaded;
        BigintArray books, counts;
        TextArray names;
        for (; user != users.end() && user->now - user->loaded == growth; ++user) {
            books.add(user->key->first);
            names.add(user->key->second);
            counts.add(user->now);
        }
        connection.execute(count_users, Parameters(books, names, counts, growth));
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

/// Every process sends the same tables in this order, and the rows of each by a key: so they lock
/// rows in one order, and none waits for another one that waits for it.
void Saver::send(Connection& connection, const Delta& delta, const Places& places) {
    if (!delta.new_books.empty()) send_new_books(connection, delta);
    if (!delta.new_codes.empty()) send_new_codes(connection, delta);
    for (const bool assigned : {true, false}) {
        send_changed_codes(connection, delta, places, assigned);
    }
    if (!delta.user_redemptions.empty()) send_users(connection, delta);
    send_counts(connection, delta, slot_);
    if (!delta.locks.empty()) send_locks(connection, delta);
    connection.execute("COMMIT");
    connection.sync();
}

void Saver::send_locks(Connection& connection, const Delta& delta) {
    BigintArray books, until, codes, touched;
    BookId last = 0;
    for (const auto& [lock, change] : delta.locks) {
        books.add(lock.first);
        until.add(lock.second);
        codes.add(change);
        if (lock.first != last) touched.add(lock.first);
        last = lock.first;
    }
    connection.execute(add_locks, Parameters(books, until, codes));
    if (delta.at < swept_at_ + sweep_every_ms && swept_at_ <= delta.at) return;
    swept_at_ = delta.at;
    connection.execute(sweep_locks, Parameters(touched, (delta.at + -dead_locks_kept_ms).ms));
}

}  // namespace coupond::postgres
