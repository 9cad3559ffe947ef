#include "store/postgres/save.hpp"

#include <algorithm>
#include <set>

#include "base/limits.hpp"
#include "base/random.hpp"
#include "store/pool_draw.hpp"

namespace coupond::postgres {
namespace {

constexpr std::uint64_t slots = 16;
constexpr std::int64_t dead_locks_kept_ms = 3'600'000;  // so that a clock set back finds them again
constexpr std::int64_t sweep_every_ms = 50;
constexpr std::int64_t sweep_memories_every_ms = 1'000;

const Statement insert_books{
    "INSERT INTO coupon_book (id, name, code_pattern, max_redemptions_per_user, discount_cents, "
    "created_at, updated_at, last_entry_id, settings) SELECT * FROM unnest($1::bigint[], "
    "$2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], "
    "$8::bigint[], $9::text[])"};

const Statement update_book{
    "WITH changed AS (UPDATE coupon_book SET name = $3::text, code_pattern = $4::text, "
    "max_redemptions_per_user = $5::bigint, discount_cents = $6::bigint, updated_at = $7::bigint, "
    "last_entry_id = $8::bigint, settings = $9::text "
    "WHERE id = $1::bigint AND last_entry_id = $2::bigint RETURNING 1) "
    "SELECT CASE WHEN count(*) <> 1 THEN coupond_conflict() END FROM changed"};

const Statement insert_generators{
    "INSERT INTO code_generator (book_id, code_pattern, code_key, next, drafts) "
    "SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[])"};

const Statement update_generators{
    "WITH changed AS (UPDATE code_generator AS old SET code_key = new.code_key, next = new.next, "
    "drafts = new.drafts FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bigint[], "
    "$5::bigint[], $6::bytea[], $7::bigint[], $8::bigint[]) AS new (book_id, code_pattern, "
    "code_key, next, drafts, loaded_key, loaded_next, loaded_drafts) "
    "WHERE old.book_id = new.book_id AND old.code_pattern = new.code_pattern "
    "AND old.code_key = new.loaded_key AND old.next = new.loaded_next "
    "AND old.drafts = new.loaded_drafts RETURNING 1) "
    "SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) THEN coupond_conflict() END "
    "FROM changed"};

#define COUPOND_NEW_JOBS                                                                    \
    "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], "             \
    "$6::bigint[], $7::bigint[], $8::float8[], $9::bigint[], $10::bigint[], "               \
    "$11::bigint[], $12::text[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], "  \
    "$17::bigint[], $18::bigint[], $19::bigint[], $20::text[], $21::bigint[]) AS new (id, " \
    "book_id, status, code_pattern, settings, requested, created, guess_probability, "      \
    "created_at, started_at, finished_at, error, request_id, worker, claimed_until, "       \
    "version, round_first, round_end, round_done, details, adds_alone)"

const Statement insert_jobs{
    "INSERT INTO job (id, book_id, status, code_pattern, settings, requested, created, "
    "guess_probability, created_at, started_at, finished_at, error, request_id, worker, "
    "claimed_until, version, round_first, round_end, round_done, details, adds_alone) "
    "SELECT id, book_id, status::smallint, code_pattern, settings, "
    "requested, created, guess_probability, created_at, started_at, finished_at, error, "
    "request_id, worker, claimed_until, version, round_first, round_end, round_done, "
    "details, adds_alone FROM " COUPOND_NEW_JOBS};

// What was asked for stays.
const Statement update_jobs{
    "WITH changed AS (UPDATE job AS old SET status = new.status::smallint, "
    "requested = new.requested, "
    "created = new.created, started_at = new.started_at, finished_at = new.finished_at, "
    "error = new.error, worker = new.worker, claimed_until = new.claimed_until, "
    "version = new.version, round_first = new.round_first, round_end = new.round_end, "
    "round_done = new.round_done, details = new.details, adds_alone = new.adds_alone "
    "FROM (SELECT new.*, loaded_version FROM " COUPOND_NEW_JOBS
    " JOIN unnest($1::bigint[], $22::bigint[]) AS loaded (id, loaded_version) USING (id)) AS new "
    "WHERE old.id = new.id AND old.version = new.loaded_version "
    "RETURNING 1) SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) "
    "THEN coupond_conflict() END FROM changed"};

const Statement insert_parts{
    "INSERT INTO file_part (job_id, number, bytes) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[])"};

const Statement insert_rejections{
    "INSERT INTO rejected_row (job_id, line, reason, text) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) "
    "ON CONFLICT DO NOTHING"};

const Statement delete_parts{
    "DELETE FROM file_part WHERE job_id = $1::bigint AND number IN (SELECT number FROM file_part "
    "WHERE job_id = $1::bigint ORDER BY number DESC LIMIT $2::bigint)"};

const Statement count_alone{"UPDATE id_counter SET next = next + 1 WHERE \"of\" = 'alone'"};

// To be joined with `new`, which has a `user_id`.
#define COUPOND_NUMBER                                                                \
    " LEFT JOIN LATERAL (SELECT number FROM coupon_user WHERE user_id = new.user_id " \
    "OFFSET 0) AS known ON true"

// Those that are not there yet; in one order in every process.
const Statement insert_users{
    "INSERT INTO coupon_user (user_id) SELECT user_id "
    "FROM unnest($1::text[]) AS new (user_id)" COUPOND_NUMBER
    " WHERE known.number IS NULL ORDER BY user_id COLLATE \"C\" "
    "ON CONFLICT (user_id) DO NOTHING"};

// Users who have been given nothing of a limited book since, and will have been from then on.
const Statement expect_holders{
    "WITH changed AS (UPDATE coupon_user AS old SET version = pg_current_xact_id()::text::bigint "
    "FROM (SELECT known.number, loaded FROM unnest($1::text[], $2::bigint[]) "
    "AS new (user_id, loaded)" COUPOND_NUMBER
    ") AS new WHERE old.number = new.number AND old.version = coalesce(new.loaded, 0) RETURNING 1) "
    "SELECT CASE WHEN count(*) <> cardinality($1::text[]) THEN coupond_conflict() END "
    "FROM changed"};

const Statement insert_codes{
    "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, locked_until, redeemed_at, "
    "last_entry_id, assigned_to, code, settings, use_of, lock_key, folded) SELECT id, book_id, "
    "shuffle_key, created_at, locked_until, redeemed_at, last_entry_id, known.number, code, "
    "settings, use_of, lock_key, folded "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], "
    "$6::bigint[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::bigint[], "
    "$12::text[], $13::text[]) "
    "AS new (id, book_id, shuffle_key, created_at, locked_until, redeemed_at, last_entry_id, code, "
    "user_id, settings, use_of, lock_key, folded)" COUPOND_NUMBER};

// The same of those that are nobody's; the other columns are NULL.
constexpr const char* copy_codes =
    "COPY coupon_code (id, book_id, shuffle_key, created_at, last_entry_id, code, settings, "
    "folded) "
    "FROM STDIN (FORMAT binary)";
constexpr std::size_t copied_codes_least = 500;

// A code is changed where it was loaded, if it is still there and as it was: MERGE because it tells
// for each row which of the two it is, and by place because that needs no index.
#define COUPOND_IF_AS_LOADED(update)                                                              \
    "ON code.ctid = new.place "                                                                   \
    "WHEN MATCHED AND code.id = new.id AND code.last_entry_id = new.loaded_entry_id THEN " update \
    " WHEN MATCHED AND coupond_conflict() IS NULL THEN DO NOTHING "                               \
    "WHEN NOT MATCHED THEN INSERT (id) VALUES (coupond_conflict())"

// Apart from the one below, because only an assignment concerns the index of free codes. A user who
// has no number was forgotten just now.
const Statement assign_codes{
    "MERGE INTO coupon_code AS code USING (SELECT new.*, known.number FROM unnest($1::tid[], "
    "$2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], "
    "$8::text[]) AS new "
    "(place, id, loaded_entry_id, last_entry_id, locked_until, lock_key, redeemed_at, "
    "user_id)" COUPOND_NUMBER ") AS new " COUPOND_IF_AS_LOADED(
        "UPDATE SET last_entry_id = new.last_entry_id, locked_until = new.locked_until, "
        "lock_key = new.lock_key, "
        "redeemed_at = new.redeemed_at, "
        "assigned_to = coalesce(new.number, coupond_conflict()::bigint)")};

const Statement change_codes{
    "MERGE INTO coupon_code AS code USING unnest($1::tid[], $2::bigint[], $3::bigint[], "
    "$4::bigint[], $5::bigint[], $6::text[], $7::bigint[]) "
    "AS new (place, id, loaded_entry_id, last_entry_id, locked_until, lock_key, "
    "redeemed_at) " COUPOND_IF_AS_LOADED(
        "UPDATE SET last_entry_id = new.last_entry_id, locked_until = new.locked_until, "
        "lock_key = new.lock_key, "
        "redeemed_at = new.redeemed_at")};

const Statement expect_codes{
    "SELECT CASE WHEN count(*) <> cardinality($1::tid[]) THEN coupond_conflict() END "
    "FROM unnest($1::tid[], $2::bigint[], $3::bigint[]) AS need (place, id, loaded_entry_id) "
    "JOIN coupon_code AS code ON code.ctid = need.place "
    "WHERE code.id = need.id AND code.last_entry_id = need.loaded_entry_id"};

// All that can change of a code; the key is below 0 of those that are not to be given away, where
// nobody looks for them.
const Statement rewrite_codes{
    "MERGE INTO coupon_code AS code USING (SELECT new.*, known.number FROM unnest($1::tid[], "
    "$2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[], "
    "$8::text[], $9::text[], $10::bigint[]) "
    "AS new (place, id, loaded_entry_id, last_entry_id, locked_until, lock_key, redeemed_at, "
    "user_id, settings, is_kept_back)" COUPOND_NUMBER ") AS new " COUPOND_IF_AS_LOADED(
        "UPDATE SET last_entry_id = new.last_entry_id, locked_until = new.locked_until, "
        "lock_key = new.lock_key, "
        "redeemed_at = new.redeemed_at, settings = new.settings, "
        "shuffle_key = CASE WHEN (code.shuffle_key < 0) = (new.is_kept_back = 1) "
        "THEN code.shuffle_key ELSE -1 - code.shuffle_key END, "
        "assigned_to = CASE WHEN new.user_id IS NOT NULL "
        "THEN coalesce(new.number, coupond_conflict()::bigint) END")};

// Counts whose row, if there was one, is still of the version that was loaded; from now on it is of
// this transaction's.
const Statement save_usages{
    "WITH counted AS (INSERT INTO usage_count AS old (book_id, user_number, code_id, per, since, "
    "redeemed, amount, currency, locked, locked_amount, version) SELECT book_id, CASE WHEN user_id "
    "= '' THEN 0 "
    "ELSE known.number END, code_id, per, since, redeemed, amount, currency, locked, "
    "locked_amount, "
    "coalesce(loaded_version, pg_current_xact_id()::text::bigint) "
    "FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], "
    "$6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[]) "
    "AS new (book_id, user_id, per, since, redeemed, amount, currency, loaded_version, code_id, "
    "locked, locked_amount)" COUPOND_NUMBER
    " WHERE user_id = '' OR known.number IS NOT NULL "
    "ON CONFLICT (book_id, user_number, code_id, per) DO UPDATE SET since = excluded.since, "
    "redeemed = excluded.redeemed, amount = excluded.amount, currency = excluded.currency, "
    "locked = excluded.locked, locked_amount = excluded.locked_amount, version = "
    "pg_current_xact_id()::text::bigint "
    "WHERE old.version = excluded.version RETURNING 1) "
    "SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) THEN coupond_conflict() END "
    "FROM counted"};

const Statement delete_counted_locks{"DELETE FROM counted_lock WHERE code_id = ANY($1::bigint[])"};

const Statement save_counted_locks{
    "INSERT INTO counted_lock AS old (code_id, book_id, user_number, locked_until, amount, "
    "currency) SELECT code_id, book_id, known.number, locked_until, amount, currency "
    "FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]) "
    "AS new (code_id, book_id, user_id, locked_until, amount, currency)" COUPOND_NUMBER
    " WHERE known.number IS NOT NULL ORDER BY code_id ON CONFLICT (code_id) DO UPDATE SET "
    "book_id = excluded.book_id, user_number = excluded.user_number, "
    "locked_until = excluded.locked_until, amount = excluded.amount, "
    "currency = excluded.currency"};

// Those that are new, or replace what need not be kept any more.
const Statement insert_memories{
    "WITH kept AS (INSERT INTO idempotency_key AS old (key, at, fingerprint, request_id, outcome) "
    "SELECT key, $2::bigint, fingerprint, request_id, outcome "
    "FROM unnest($1::text[], $3::bytea[], $4::text[], $5::text[]) "
    "AS new (key, fingerprint, request_id, outcome) ON CONFLICT (key) DO UPDATE SET "
    "at = excluded.at, fingerprint = excluded.fingerprint, request_id = excluded.request_id, "
    "outcome = excluded.outcome WHERE old.at <= $6::bigint RETURNING 1) "
    "SELECT CASE WHEN count(*) <> cardinality($1::text[]) THEN coupond_conflict() END FROM kept"};

const Statement sweep_memories{
    "DELETE FROM idempotency_key WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_key "
    "WHERE at <= $1::bigint ORDER BY at LIMIT $2::bigint FOR UPDATE SKIP LOCKED))"};

const Statement insert_entries{
    "INSERT INTO ledger (id, at, book_id, code_id, codes, user_number, previous_id, locked_until, "
    "discount_cents, type, request_id, codes_digest, detail, currency, order_id, order_amount, "
    "redemption_id, use_of) SELECT id, $2::bigint, book_id, "
    "code_id, codes, coalesce(user_number, known.number), previous_id, locked_until, "
    "discount_cents, type::smallint, request_id, codes_digest, detail, currency, order_id, "
    "order_amount, redemption_id, use_of FROM unnest($1::bigint[], "
    "$3::bigint[], "
    "$4::bigint[], "
    "$5::bigint[], "
    "$6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], "
    "$12::text[], $13::bytea[], $14::text[], $15::text[], $16::text[], $17::bigint[], "
    "$18::bigint[], $19::bigint[]) AS new (id, book_id, code_id, codes, user_number, "
    "user_id, previous_id, locked_until, discount_cents, type, request_id, codes_digest, "
    "detail, currency, order_id, order_amount, redemption_id, use_of)" COUPOND_NUMBER};

const Statement add_counts{
    "INSERT INTO book_count AS old (book_id, slot, total, available, redeemed, ever_locked, "
    "kept_back, rolled_back, discount_cents) SELECT book_id, $2::bigint::smallint, total, "
    "available, redeemed, ever_locked, kept_back, rolled_back, discount_cents "
    "FROM unnest($1::bigint[], $3::bigint[], $4::bigint[], "
    "$5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) AS new (book_id, "
    "total, available, redeemed, ever_locked, kept_back, rolled_back, discount_cents) "
    "ON CONFLICT (book_id, slot) DO UPDATE SET total = old.total + excluded.total, "
    "available = old.available + excluded.available, redeemed = old.redeemed + excluded.redeemed, "
    "ever_locked = old.ever_locked + excluded.ever_locked, "
    "kept_back = old.kept_back + excluded.kept_back, "
    "rolled_back = old.rolled_back + excluded.rolled_back, "
    "discount_cents = old.discount_cents + excluded.discount_cents"};

const Statement add_activity{
    "INSERT INTO activity_count AS old (book_id, since, slot, uploaded, generated, assigned, "
    "locked, redeemed, rolled_back, discount_cents) SELECT book_id, $2::bigint, "
    "$3::bigint::smallint, uploaded, generated, assigned, locked, redeemed, rolled_back, "
    "discount_cents FROM unnest($1::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], "
    "$7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[]) AS new (book_id, uploaded, "
    "generated, assigned, locked, redeemed, rolled_back, discount_cents) "
    "ON CONFLICT (book_id, since, slot) DO UPDATE SET "
    "uploaded = old.uploaded + excluded.uploaded, "
    "generated = old.generated + excluded.generated, "
    "assigned = old.assigned + excluded.assigned, "
    "locked = old.locked + excluded.locked, redeemed = old.redeemed + excluded.redeemed, "
    "rolled_back = old.rolled_back + excluded.rolled_back, "
    "discount_cents = old.discount_cents + excluded.discount_cents"};

const Statement add_discounts{
    "INSERT INTO discount_count AS old (book_id, since, slot, currency, amount) "
    "SELECT book_id, since, $2::bigint::smallint, currency, amount "
    "FROM unnest($1::bigint[], $3::bigint[], $4::text[], $5::bigint[]) "
    "AS new (book_id, since, currency, amount) ON CONFLICT (book_id, since, slot, currency) "
    "DO UPDATE SET amount = old.amount + excluded.amount"};

const Statement add_standing{
    "INSERT INTO activity_count AS old (book_id, since, slot, uploaded, assigned, locked, "
    "redeemed, discount_cents, standing) SELECT book_id, since, $2::bigint::smallint, 0, 0, 0, 0, "
    "0, standing FROM unnest($1::bigint[], $3::bigint[], $4::bigint[]) "
    "AS new (book_id, since, standing) ON CONFLICT (book_id, since, slot) DO UPDATE SET "
    "standing = old.standing + excluded.standing"};

const Statement add_standing_discounts{
    "INSERT INTO discount_count AS old (book_id, since, slot, currency, amount, standing) "
    "SELECT book_id, since, $2::bigint::smallint, currency, 0, standing "
    "FROM unnest($1::bigint[], $3::bigint[], $4::text[], $5::bigint[]) "
    "AS new (book_id, since, currency, standing) ON CONFLICT (book_id, since, slot, currency) "
    "DO UPDATE SET standing = old.standing + excluded.standing"};

const Statement add_refusals{
    "INSERT INTO refusal_count AS old (book_id, since, slot, reason, refused) "
    "SELECT book_id, $2::bigint, $3::bigint::smallint, reason, refused "
    "FROM unnest($1::bigint[], $4::text[], $5::bigint[]) AS new (book_id, reason, refused) "
    "ON CONFLICT (book_id, since, slot, reason) DO UPDATE SET "
    "refused = old.refused + excluded.refused"};

// By their ids. Who meets a row that another process is changing waits, and finds it changed. Where
// that was the redemption of this very lock, it has counted the code already.
const Statement note_first_locks{
    "WITH noted AS (UPDATE coupon_code AS code "
    "SET locked_until = CASE WHEN code.redeemed_at IS NULL THEN $2::bigint END "
    "FROM (SELECT * FROM unnest($1::bigint[]) AS new (id) ORDER BY id) "
    "AS new WHERE code.id = new.id AND code.locked_until IS NULL "
    "RETURNING code.book_id, code.redeemed_at IS NOT NULL AS is_counted), "
    "counted AS (INSERT INTO book_count AS old (book_id, slot, total, available, redeemed, "
    "ever_locked, discount_cents) SELECT book.id, $3::bigint::smallint, 0, 0, 0, -count(*), 0 "
    "FROM noted CROSS JOIN LATERAL (VALUES (0), (book_id)) AS book (id) WHERE is_counted "
    "GROUP BY book.id ORDER BY book.id ON CONFLICT (book_id, slot) DO UPDATE SET "
    "ever_locked = old.ever_locked + excluded.ever_locked) "
    "SELECT CASE WHEN count(*) <> cardinality($1::bigint[]) THEN coupond_conflict() END FROM "
    "noted"};

const Statement add_locks{
    "INSERT INTO lock_count AS old (book_id, locked_until, codes) "
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) "
    "ON CONFLICT (book_id, locked_until) DO UPDATE SET codes = old.codes + excluded.codes"};

const Statement sweep_locks{
    "DELETE FROM lock_count WHERE ctid = ANY(ARRAY(SELECT old.ctid "
    "FROM unnest($1::bigint[]) AS book (id) CROSS JOIN LATERAL (SELECT ctid FROM lock_count "
    "WHERE book_id = book.id AND locked_until < $2::bigint ORDER BY locked_until LIMIT 100 "
    "FOR UPDATE SKIP LOCKED) AS old))"};

const Statement count_erasure{"UPDATE id_counter SET next = next + 1 WHERE \"of\" = 'erasure'"};

const Statement expect_erasures{
    "SELECT CASE WHEN next <> $1::bigint THEN coupond_conflict() END FROM id_counter "
    "WHERE \"of\" = 'erasure'"};

// Who must still be there.
const Statement erase_user{
    "WITH erased AS (UPDATE coupon_user SET user_id = $2::text WHERE user_id = $1::text "
    "RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN coupond_conflict() END FROM erased"};

std::optional<Timestamp> locked_until(const Code& code) {
    return code.lock ? std::optional(code.lock->until) : std::nullopt;
}

/// Users who get a code and may be new.
void send_users(Connection& connection, const Delta& delta) {
    std::set<std::string_view> users;
    for (const LedgerEntry& entry : delta.entries) {
        const bool may_be_new = entry.type == LedgerEntry::Type::code_assigned ||
                                (entry.type == LedgerEntry::Type::code_locked && entry.use_of);
        if (may_be_new) users.insert(*entry.user_id);
    }
    if (users.empty()) return;
    TextArray ids;
    for (const std::string_view user : users) ids.add(user);
    connection.execute(insert_users, Parameters(ids));
}

/// By their ids.
void send_erasures(Connection& connection, const Delta& delta) {
    connection.execute(count_erasure, Parameters());
    auto erasures = delta.erasures;
    std::ranges::sort(erasures, {}, &Delta::Erasure::user_id);
    for (const auto& [user_id, erased_id] : erasures) {
        connection.execute(erase_user, Parameters(user_id, erased_id));
    }
}

void send_new_books(Connection& connection, const Delta& delta) {
    BigintArray ids, limits, discounts, created, updated, entries;
    TextArray names, patterns, settings;
    for (const Book* const book : delta.new_books) {
        ids.add(book->id);
        names.add(book->name);
        patterns.add(book->code_pattern);
        limits.add(book->max_redemptions_per_user);
        discounts.add(short_form(book->discount));
        created.add(book->created_at);
        updated.add(book->updated_at);
        entries.add(book->last_entry);
        settings.add(row_text(*book));
    }
    connection.execute(insert_books, Parameters(ids, names, patterns, limits, discounts, created,
                                                updated, entries, settings));
}

void send_changed_books(Connection& connection, const Delta& delta) {
    for (const auto& [book, loaded_entry] : delta.changed_books) {
        const std::string settings = row_text(*book);
        connection.execute(update_book,
                           Parameters(book->id, loaded_entry, book->name, book->code_pattern,
                                      book->max_redemptions_per_user, short_form(book->discount),
                                      book->updated_at.ms, book->last_entry, settings));
    }
}

void add_key(ByteaArray& array, const Generator& generator) {
    array.add(std::string_view(reinterpret_cast<const char*>(generator.key.data()),
                               generator.key.size()));
}

/// By book and pattern. Where there was none, an insertion meets one that has come.
void send_generators(Connection& connection, const Delta& delta) {
    struct Columns {
        BigintArray books, nexts, drafts, loaded_nexts, loaded_drafts;
        TextArray patterns;
        ByteaArray keys, loaded_keys;
    } created, changed;
    for (const auto& [book_id, code_pattern, loaded, now] : delta.generators) {
        Columns& columns = loaded ? changed : created;
        columns.books.add(book_id);
        columns.patterns.add(code_pattern);
        add_key(columns.keys, now);
        columns.nexts.add(now.next);
        columns.drafts.add(now.drafts);
        if (!loaded) continue;
        add_key(columns.loaded_keys, *loaded);
        columns.loaded_nexts.add(loaded->next);
        columns.loaded_drafts.add(loaded->drafts);
    }
    if (created.books.size() > 0) {
        connection.execute(insert_generators,
                           Parameters(created.books, created.patterns, created.keys, created.nexts,
                                      created.drafts));
    }
    if (changed.books.size() > 0) {
        connection.execute(
            update_generators,
            Parameters(changed.books, changed.patterns, changed.keys, changed.nexts, changed.drafts,
                       changed.loaded_keys, changed.loaded_nexts, changed.loaded_drafts));
    }
}

void add_or_null(TextArray& array, std::string_view text) {
    text.empty() ? array.add_null() : array.add(text);
}

/// Of jobs, by their ids.
struct JobColumns {
    BigintArray ids, loaded, books, statuses, requested, created, created_at, started_at,
        finished_at, claimed, versions, round_first, round_end, round_done, adds_alone;
    TextArray patterns, settings, errors, requests, workers, details;
    RealArray probabilities;

    void add(const World::JobRow& row) {
        const Job& job = row.job;
        ids.add(job.id);
        loaded.add(row.loaded_version);
        books.add(job.book_id);
        statuses.add(static_cast<std::int64_t>(job.status));
        patterns.add(job.code_pattern);
        add_or_null(settings, row_text(job.settings));
        requested.add(job.requested);
        created.add(job.created);
        probabilities.add(job.guess_probability);
        created_at.add(job.created_at);
        started_at.add(job.started_at);
        finished_at.add(job.finished_at);
        add_or_null(errors, job.error);
        requests.add(job.request_id);
        add_or_null(workers, job.worker);
        claimed.add(job.claimed_until);
        versions.add(job.version);
        round_first.add(job.round.first);
        round_end.add(job.round.end);
        round_done.add(job.done);
        add_or_null(details, details_text(job).value_or(std::string()));
        adds_alone.add(static_cast<std::int64_t>(job.adds_alone()));
    }
};

/// `more`: what the statement has beyond the columns of all jobs.
template <class... More>
void send_jobs(Connection& connection, const Statement& statement, JobColumns& of, More&... more) {
    if (of.ids.size() == 0) return;
    connection.execute(
        statement,
        Parameters(of.ids, of.books, of.statuses, of.patterns, of.settings, of.requested,
                   of.created, of.probabilities, of.created_at, of.started_at, of.finished_at,
                   of.errors, of.requests, of.workers, of.claimed, of.versions, of.round_first,
                   of.round_end, of.round_done, of.details, of.adds_alone, more...));
}

void send_jobs(Connection& connection, const Delta& delta) {
    JobColumns made, changed;
    for (const World::JobRow* const row : delta.jobs) (row->is_new ? made : changed).add(*row);
    send_jobs(connection, insert_jobs, made);
    send_jobs(connection, update_jobs, changed, changed.loaded);
}

void send_files(Connection& connection, const Delta& delta) {
    BigintArray jobs, numbers, of_jobs, lines;
    ByteaArray parts;
    TextArray reasons, texts;
    for (const auto& [job_id, number, bytes] : delta.file_parts) {
        jobs.add(job_id);
        numbers.add(number);
        parts.add(bytes);
    }
    if (jobs.size() > 0) connection.execute(insert_parts, Parameters(jobs, numbers, parts));
    for (const auto& [job_id, row] : delta.rejections) {
        of_jobs.add(job_id);
        lines.add(row.line);
        reasons.add(row.reason);
        texts.add(row.text);
    }
    if (of_jobs.size() > 0) {
        connection.execute(insert_rejections, Parameters(of_jobs, lines, reasons, texts));
    }
    for (const JobId job_id : delta.parts_to_remove) {
        connection.execute(delete_parts, Parameters(job_id, limits::parts_removed));
    }
}

void add_lock_key(TextArray& array, const Code& code) {
    const bool has_key = code.lock && !code.lock->key.empty();
    has_key ? array.add(code.lock->key) : array.add_null();
}

void add_settings(TextArray& array, const Code& code) {
    const std::string text = code.use_of ? "" : row_text(code);
    text.empty() ? array.add_null() : array.add(text);
}

/// By their texts: whoever brings the same one waits for it.
std::vector<const CodeRow*> new_codes(const Delta& delta) {
    std::vector<const CodeRow*> rows(delta.new_codes.begin(), delta.new_codes.end());
    const auto is_before = [](const CodeRow* a, const CodeRow* b) {
        return std::tie(a->code.code, a->code.id) < std::tie(b->code.code, b->code.id);
    };
    if (!std::ranges::is_sorted(rows, is_before)) std::ranges::sort(rows, is_before);
    return rows;
}

/// Whether they are so many that it is worth some messages more to copy them, and nobody's yet.
bool can_be_copied(const Delta& delta) {
    return delta.new_codes.size() >= copied_codes_least &&
           std::ranges::none_of(delta.new_codes, [](const CodeRow* row) {
               const Code& code = row->code;
               return code.assigned_to || code.lock || code.redeemed_at || code.use_of;
           });
}

/// Rows in the binary form of COPY.
class CopiedCodes {
public:
    explicit CopiedCodes(std::vector<const CodeRow*> rows) : rows_(std::move(rows)) {}

    /// Appends the next ones, or the end; after that nothing.
    void next(std::string& bytes) {
        if (ended_) return;
        if (at_ == 0) bytes.append(copy_header);
        while (at_ < rows_.size() && bytes.size() < copied_bytes) append(bytes, *rows_[at_++]);
        ended_ = at_ == rows_.size();
        if (ended_) append(bytes, std::int16_t{-1});
    }

private:
    template <class Integer>
    static void append(std::string& bytes, Integer value) {
        for (int shift = 8 * (static_cast<int>(sizeof value) - 1); shift >= 0; shift -= 8) {
            bytes += static_cast<char>(value >> shift);
        }
    }

    static void add(std::string& bytes, std::int64_t value) {
        append(bytes, static_cast<std::int32_t>(sizeof value));
        append(bytes, value);
    }

    static void add(std::string& bytes, std::string_view text) {
        append(bytes, static_cast<std::int32_t>(text.size()));
        bytes.append(text);
    }

    static void add_or_null(std::string& bytes, std::string_view text) {
        text.empty() ? append(bytes, std::int32_t{-1}) : add(bytes, text);
    }

    /// As copy_codes has them.
    static void append(std::string& bytes, const CodeRow& row) {
        const Code& code = row.code;
        append(bytes, std::int16_t{8});
        add(bytes, code.id);
        add(bytes, code.book_id);
        add(bytes, shuffle_key_of(row));
        add(bytes, code.created_at.ms);
        add(bytes, code.last_entry);
        add(bytes, code.code);
        add_or_null(bytes, row_text(code));
        add_or_null(bytes, row.folded);
    }

    static constexpr std::string_view copy_header{"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0", 19};
    static constexpr std::size_t copied_bytes = 64 * 1024;  // at once

    std::vector<const CodeRow*> rows_;
    std::size_t at_ = 0;
    bool ended_ = false;
};

void send_new_codes(Connection& connection, const Delta& delta) {
    const std::vector<const CodeRow*> rows = new_codes(delta);
    BigintArray ids, books, shuffle_keys, created, until, redeemed, entries, uses;
    TextArray codes, holders, settings, lock_keys, spellings;
    for (const CodeRow* const row : rows) {
        const Code& code = row->code;
        ids.add(code.id);
        books.add(code.book_id);
        shuffle_keys.add(shuffle_key_of(*row));
        created.add(code.created_at);
        until.add(locked_until(code));
        redeemed.add(code.redeemed_at);
        entries.add(code.last_entry);
        codes.add(stored_text(code));
        holders.add(code.assigned_to);
        add_settings(settings, code);
        uses.add(code.use_of);
        add_lock_key(lock_keys, code);
        row->folded.empty() ? spellings.add_null() : spellings.add(row->folded);
    }
    connection.execute(
        insert_codes, Parameters(ids, books, shuffle_keys, created, until, redeemed, entries, codes,
                                 holders, settings, uses, lock_keys, spellings));
}

/// How much of a code's row has changed.
enum class Changed { all, holder, rest };

Changed changed(const CodeRow& row) {
    if (row.rewritten) return Changed::all;
    return row.assigned ? Changed::holder : Changed::rest;
}

/// Before any is changed.
void send_relied_on(Connection& connection, const Delta& delta, const StoredCodes& stored) {
    PlaceArray places;
    BigintArray ids, loaded;
    std::set<CodeId> asked;
    for (const CodeRow* const row : delta.relied_on) {
        const auto code = stored.find(row->code.id);
        if (code == stored.end() || !asked.insert(row->code.id).second) continue;
        places.add(code->second.place);
        ids.add(row->code.id);
        loaded.add(row->loaded_entry);
    }
    if (places.size() > 0) connection.execute(expect_codes, Parameters(places, ids, loaded));
}

/// By their ids.
void send_holders(Connection& connection, const Delta& delta) {
    if (delta.holders.empty()) return;
    TextArray users;
    BigintArray versions;
    for (const auto* const holder : delta.holders) {
        users.add(holder->first);
        versions.add(holder->second);
    }
    connection.execute(expect_holders, Parameters(users, versions));
}

/// By their ids. A row that one process assigns and another one changes otherwise does not count:
/// who holds it has found it as it was loaded, so the other one's is older and meets a conflict
/// there.
void send_changed_codes(Connection& connection, const Delta& delta, const StoredCodes& stored,
                        Changed those) {
    std::vector<const CodeRow*> rows;
    for (const CodeRow* const row : delta.changed_codes) {
        if (changed(*row) == those) rows.push_back(row);
    }
    if (rows.empty()) return;
    std::sort(rows.begin(), rows.end(),
              [](const CodeRow* a, const CodeRow* b) { return a->code.id < b->code.id; });
    PlaceArray places;
    BigintArray ids, loaded, entries, until, redeemed, kept_back;
    TextArray holders, settings, lock_keys;
    for (const CodeRow* const row : rows) {
        places.add(stored.at(row->code.id).place);
        ids.add(row->code.id);
        loaded.add(row->loaded_entry);
        entries.add(row->code.last_entry);
        until.add(locked_until(row->code));
        add_lock_key(lock_keys, row->code);
        redeemed.add(row->code.redeemed_at);
        if (those != Changed::rest) holders.add(row->code.assigned_to);
        if (those != Changed::all) continue;
        add_settings(settings, row->code);
        kept_back.add(static_cast<std::int64_t>(row->code.kept_back));
    }
    switch (those) {
        case Changed::all:
            return connection.execute(
                rewrite_codes, Parameters(places, ids, loaded, entries, until, lock_keys, redeemed,
                                          holders, settings, kept_back));
        case Changed::holder:
            return connection.execute(assign_codes, Parameters(places, ids, loaded, entries, until,
                                                               lock_keys, redeemed, holders));
        case Changed::rest:
            return connection.execute(
                change_codes, Parameters(places, ids, loaded, entries, until, lock_keys, redeemed));
    }
}

/// By book, user, time and code.
void send_usages(Connection& connection, const Delta& delta) {
    if (delta.usages.empty()) return;
    BigintArray books, codes, pers, since, redeemed, amounts, locked, locked_amounts, versions;
    TextArray users, currencies;
    for (const auto& [key, loaded, version, now] : delta.usages) {
        books.add(key->book_id);
        users.add(key->user_id);
        codes.add(key->code_id);
        pers.add(static_cast<std::int64_t>(key->per));
        since.add(now.since);
        redeemed.add(now.redeemed);
        amounts.add(now.amount);
        locked.add(now.locked);
        locked_amounts.add(now.locked_amount);
        now.currency ? currencies.add(now.currency->code()) : currencies.add_null();
        versions.add(version);
    }
    connection.execute(
        save_usages, Parameters(books, users, pers, since, redeemed, amounts, currencies, versions,
                                codes, locked, locked_amounts));
}

/// After what is counted of their books, by which processes take turns.
void send_counted_locks(Connection& connection, const Delta& delta) {
    BigintArray ended, codes, books, until, amounts;
    TextArray users, currencies;
    for (const CodeRow* const row : delta.counted_locks) {
        if (!row->counted_lock) {
            ended.add(row->code.id);
            continue;
        }
        const auto& [user_id, locked_until, worth] = *row->counted_lock;
        codes.add(row->code.id);
        books.add(row->code.book_id);
        users.add(user_id);
        until.add(locked_until);
        amounts.add(worth ? std::optional(worth->amount) : std::nullopt);
        const bool has_currency = worth && worth->currency;
        has_currency ? currencies.add(worth->currency->code()) : currencies.add_null();
    }
    if (ended.size() > 0) connection.execute(delete_counted_locks, Parameters(ended));
    if (codes.size() == 0) return;
    connection.execute(save_counted_locks,
                       Parameters(codes, books, users, until, amounts, currencies));
}

void send_counts(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, totals, available, redeemed, ever_locked, kept_back, rolled_back, discounts;
    for (const auto& [book_id, counts] : delta.counts) {
        books.add(book_id);
        totals.add(counts.total);
        available.add(counts.available);
        redeemed.add(counts.redeemed);
        ever_locked.add(counts.ever_locked);
        kept_back.add(counts.kept_back);
        rolled_back.add(counts.rolled_back);
        discounts.add(counts.discount_cents);
    }
    connection.execute(add_counts, Parameters(books, slot, totals, available, redeemed, ever_locked,
                                              kept_back, rolled_back, discounts));
}

void send_first_locks(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray ids;
    for (const CodeId code_id : delta.first_locks) ids.add(code_id);
    connection.execute(note_first_locks, Parameters(ids, delta.at.ms, slot));
}

void send_activity(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, uploaded, generated, assigned, locked, redeemed, rolled_back, discounts;
    for (const auto& [book_id, activity] : delta.activity) {
        books.add(book_id);
        uploaded.add(activity.uploaded);
        generated.add(activity.generated);
        assigned.add(activity.assigned);
        locked.add(activity.locked);
        redeemed.add(activity.redeemed);
        rolled_back.add(activity.rolled_back);
        discounts.add(activity.discount_cents);
    }
    connection.execute(add_activity,
                       Parameters(books, activity_period(delta.at).ms, slot, uploaded, generated,
                                  assigned, locked, redeemed, rolled_back, discounts));
}

/// By book, time and currency.
void send_discounts(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, since, amounts;
    TextArray currencies;
    for (const auto& [book_id, activity] : delta.activity) {
        for (const Timestamp in : {all_times, activity_period(delta.at)}) {
            for (const auto& [currency, amount] : activity.discounts) {
                books.add(book_id);
                since.add(in);
                currencies.add(currency.code());
                amounts.add(amount);
            }
        }
    }
    if (books.size() == 0) return;
    connection.execute(add_discounts, Parameters(books, slot, since, currencies, amounts));
}

/// By book and time, and currency.
void send_standing(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, since, redemptions, discount_books, discount_since, amounts;
    TextArray currencies;
    for (const auto& [place, standing] : delta.standing) {
        books.add(place.first);
        since.add(place.second);
        redemptions.add(standing.redemptions);
        for (const auto& [currency, amount] : standing.discounts) {
            discount_books.add(place.first);
            discount_since.add(place.second);
            currencies.add(currency.code());
            amounts.add(amount);
        }
    }
    if (books.size() > 0) {
        connection.execute(add_standing, Parameters(books, slot, since, redemptions));
    }
    if (amounts.size() > 0) {
        connection.execute(add_standing_discounts,
                           Parameters(discount_books, slot, discount_since, currencies, amounts));
    }
}

void send_refusals(Connection& connection, const Delta& delta, std::int64_t slot) {
    BigintArray books, times;
    TextArray reasons;
    for (const auto& [refused, count] : delta.refusals) {
        books.add(refused.first);
        reasons.add(to_string(refused.second));
        times.add(count);
    }
    connection.execute(add_refusals,
                       Parameters(books, activity_period(delta.at).ms, slot, reasons, times));
}

/// Where a code had its holder already, by the number that was loaded with it: their id may have
/// been forgotten since.
void send_entries(Connection& connection, const Delta& delta, const StoredCodes& stored) {
    const auto or_null = [](std::int64_t value) {
        return value == 0 ? std::nullopt : std::optional(value);
    };
    BigintArray ids, books, codes, counts, numbers, previous, until, discounts, types,
        order_amounts, redemptions, uses;
    TextArray users, requests, details, currencies, orders;
    ByteaArray digests;
    for (const LedgerEntry& entry : delta.entries) {
        const auto code = stored.find(entry.code_id);
        const bool held = code != stored.end() && code->second.user_id == entry.user_id;
        const auto number = held ? code->second.holder : std::nullopt;
        ids.add(entry.id);
        books.add(entry.book_id);
        codes.add(or_null(entry.code_id));
        counts.add(or_null(entry.codes));
        numbers.add(number);
        number ? users.add_null() : users.add(entry.user_id);
        previous.add(entry.previous);
        until.add(entry.locked_until);
        discounts.add(entry.discount ? std::optional(entry.discount->amount) : std::nullopt);
        const auto currency = entry.currency();
        currency ? currencies.add(currency->code()) : currencies.add_null();
        orders.add(entry.order ? entry.order->id : std::nullopt);
        order_amounts.add(entry.order ? std::optional(entry.order->amount) : std::nullopt);
        redemptions.add(entry.redemption_id);
        uses.add(entry.use_of);
        types.add(static_cast<std::int64_t>(entry.type));
        requests.add(entry.request_id);
        const auto& digest = entry.codes_digest;
        digest ? digests.add(std::string_view(digest->data(), digest->size())) : digests.add_null();
        entry.detail.empty() ? details.add_null() : details.add(entry.detail);
    }
    connection.execute(insert_entries,
                       Parameters(ids, delta.at.ms, books, codes, counts, numbers, users, previous,
                                  until, discounts, types, requests, digests, details, currencies,
                                  orders, order_amounts, redemptions, uses));
}

/// Whether what was sent has looked up users by their ids, which may have meant others by then than
/// when they were loaded. An erasure looks after its own.
bool is_about_users(const Delta& delta) {
    return delta.erasures.empty() && std::ranges::any_of(delta.entries, [](const auto& entry) {
               return entry.user_id.has_value();
           });
}

/// By their keys.
void send_memories(Connection& connection, const Delta& delta, Timestamp kept_from) {
    std::vector<const Delta::Memory*> memories;
    for (const Delta::Memory& memory : delta.memories) memories.push_back(&memory);
    std::sort(memories.begin(), memories.end(),
              [](const auto* a, const auto* b) { return a->key < b->key; });
    TextArray keys, requests, outcomes;
    ByteaArray fingerprints;
    for (const Delta::Memory* const memory : memories) {
        const Remembered& remembered = memory->remembered;
        keys.add(memory->key);
        fingerprints.add(
            std::string_view(remembered.fingerprint.data(), remembered.fingerprint.size()));
        requests.add(remembered.request_id);
        outcomes.add(remembered.outcome);
    }
    connection.execute(insert_memories, Parameters(keys, delta.at.ms, fingerprints, requests,
                                                   outcomes, kept_from.ms));
}

}  // namespace

Saver::Saver() : slot_(static_cast<std::int64_t>(secure_random_below(slots))) {}

/// Every process sends the same tables in this order, and the rows of each by a key: so they lock
/// rows in one order, and none waits for another one that waits for it.
Replies Saver::save(Connection& connection, const Delta& delta, const StoredCodes& stored,
                    const Transaction& transaction, std::int64_t erasures, Deadline deadline) {
    send_relied_on(connection, delta, stored);
    send_users(connection, delta);
    send_holders(connection, delta);
    if (!delta.erasures.empty()) send_erasures(connection, delta);
    if (!delta.new_books.empty()) send_new_books(connection, delta);
    if (!delta.changed_books.empty()) send_changed_books(connection, delta);
    if (transaction.alone) connection.execute(count_alone, Parameters());
    send_generators(connection, delta);
    send_jobs(connection, delta);
    send_files(connection, delta);
    if (can_be_copied(delta)) {
        connection.sync();
        Replies replies = connection.receive(deadline);
        if (replies.error) return replies;
        CopiedCodes codes(new_codes(delta));
        replies.error = connection.copy(
            copy_codes, [&codes](std::string& bytes) { codes.next(bytes); }, deadline);
        if (replies.error) return replies;
    } else if (!delta.new_codes.empty()) {
        send_new_codes(connection, delta);
    }
    send_rest(connection, delta, stored, erasures);
    return connection.receive(deadline);
}

/// What comes behind new codes.
void Saver::send_rest(Connection& connection, const Delta& delta, const StoredCodes& stored,
                      std::int64_t erasures) {
    for (const Changed those : {Changed::all, Changed::holder, Changed::rest}) {
        send_changed_codes(connection, delta, stored, those);
    }
    send_usages(connection, delta);
    send_counted_locks(connection, delta);
    if (!delta.first_locks.empty()) send_first_locks(connection, delta, slot_);
    if (!delta.counts.empty()) send_counts(connection, delta, slot_);
    if (!delta.activity.empty()) send_activity(connection, delta, slot_);
    send_discounts(connection, delta, slot_);
    send_standing(connection, delta, slot_);
    if (!delta.refusals.empty()) send_refusals(connection, delta, slot_);
    if (!delta.locks.empty()) send_locks(connection, delta);
    if (!delta.entries.empty()) send_entries(connection, delta, stored);
    if (is_about_users(delta)) connection.execute(expect_erasures, Parameters(erasures));
    const Timestamp kept_from = delta.at + -limits::idempotency_ms;
    if (!delta.memories.empty()) send_memories(connection, delta, kept_from);
    sweep(connection, delta, kept_from);
    connection.execute("COMMIT");
    connection.sync();
}

void Saver::sweep(Connection& connection, const Delta& delta, Timestamp kept_from) {
    memories_to_sweep_ += 2 * delta.memories.size() + 1;
    if (delta.at < memories_swept_at_ + sweep_memories_every_ms && memories_swept_at_ <= delta.at) {
        return;
    }
    memories_swept_at_ = delta.at;
    connection.execute(
        sweep_memories,
        Parameters(kept_from.ms, static_cast<std::int64_t>(std::exchange(memories_to_sweep_, 0))));
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
