#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "domain/spelling.hpp"
#include "store/book_order.hpp"
#include "store/postgres/asker.hpp"
#include "store/postgres/code_pages.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"
#include "store/postgres/stores.hpp"
#include "store/uses.hpp"

namespace coupond::postgres {
namespace {

constexpr const char* begin_statement_by_statement =
    "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY";

#define COUPOND_PAGE_SCAN "20000"
static_assert(limits::page_scan == 20'000);

/// The statements of one order of books.
class BookStatements {
public:
    explicit BookStatements(BookOrder order)
        : scanned_(scanned(order)),
          page_text_(page(order)),
          end_text_("SELECT id, name, created_at " + scanned_ +
                    " OFFSET " COUPOND_PAGE_SCAN " - 1 LIMIT 1"),
          page_(page_text_.c_str()),
          end_(end_text_.c_str()) {}

    /// $1: the place's key; $2: its id; $3: how many; $4: now; $5: the name.
    const Statement& page() const { return page_; }
    /// The last book that is looked at for a page, where there are as many. $1 and $2 as above.
    const Statement& end() const { return end_; }

private:
    static std::string scanned(BookOrder order) {
        const std::string beyond(order.beyond());
        std::string place;
        switch (order.sort()) {
            case BookQuery::Sort::id:  // both are the id
                place = "id" + beyond + "$1::bigint AND $2::bigint IS NOT NULL";
                break;
            case BookQuery::Sort::name:
                place = "(name, id)" + beyond + "($1::text, $2::bigint)";
                break;
            case BookQuery::Sort::created:
                place = "(created_at, id)" + beyond + "($1::bigint, $2::bigint)";
                break;
        }
        return "FROM coupon_book WHERE " + place + " ORDER BY " + order.columns();
    }

    /// Where the collation is "C", lower() knows A to Z only.
    std::string page(BookOrder order) const {
        return "SELECT " COUPOND_BOOK_COLUMNS
               ", counts.total, counts.available, counts.redeemed, locks.locked "
               "FROM (SELECT * " +
               scanned_ +
               " LIMIT " COUPOND_PAGE_SCAN
               ") AS book "
               "CROSS JOIN LATERAL (SELECT coalesce(sum(total), 0)::bigint AS total, "
               "coalesce(sum(available), 0)::bigint AS available, "
               "coalesce(sum(redeemed), 0)::bigint AS redeemed FROM book_count "
               "WHERE book_count.book_id = book.id) AS counts "
               "CROSS JOIN LATERAL (SELECT coalesce(sum(codes), 0)::bigint AS locked "
               "FROM lock_count WHERE lock_count.book_id = book.id AND locked_until > $4::bigint "
               "AND codes > 0) AS locks "
               "WHERE $5::text IS NULL "
               "OR strpos(lower(name), lower($5::text COLLATE \"C\")) > 0 "
               "ORDER BY " +
               order.columns() + " LIMIT $3::bigint";
    }

    std::string scanned_, page_text_, end_text_;
    Statement page_, end_;
};

const BookStatements& statements_of(const BookQuery& query) {
    static const std::array<BookStatements, book_orders> orders{
        BookStatements({0}), BookStatements({1}), BookStatements({2}),
        BookStatements({3}), BookStatements({4}), BookStatements({5})};
    return orders[BookOrder::of(query).index];
}

// Of these books; none where there are more than $2 of them.
const Statement select_codes{"SELECT " COUPOND_CODE_COLUMNS
                             " FROM coupon_code AS code" COUPOND_HOLDER
                             "WHERE code.book_id = ANY($1::bigint[]) AND code.use_of IS NULL "
                             "AND (SELECT coalesce(sum(total), 0) FROM book_count "
                             "WHERE book_id = ANY($1::bigint[])) <= $2::bigint "
                             "ORDER BY code.book_id, code.id"};

// Finds the id below which no entry can come any more, for the statements after it in the
// transaction, each of which sees what has been committed until it begins. Whoever runs in this
// database now is asked after the snapshot was taken: a transaction that is older than that and not
// among them has ended, so its entries will be seen. Neither those of other databases, however
// long, nor those of no user (autovacuum) write entries. A replica does not know whose the
// transactions are: there it is the oldest one.
const Statement settle{
    "SELECT set_config('coupond.settled', ((CASE WHEN pg_is_in_recovery() "
    "THEN pg_snapshot_xmin(seen)::text::bigint ELSE least(next, (SELECT min(next - age) "
    "FROM (SELECT (next - backend_xid::text::bigint) & 4294967295 AS age "
    "FROM pg_stat_get_activity(NULL) WHERE backend_xid IS NOT NULL AND usesysid IS NOT NULL "
    "AND datid = (SELECT oid FROM pg_database WHERE datname = current_database())) AS running "
    "WHERE age < 2147483648)) END + transaction_offset) * " COUPOND_BATCH_ENTRIES
    ")::text, true) FROM ledger_origin, "
    "(SELECT pg_current_snapshot() AS seen, "
    "pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS snapshot"};

#define COUPOND_SETTLED "current_setting('coupond.settled')::bigint"
#define COUPOND_SCANNED \
    "FROM ledger WHERE id > $1::bigint AND id < " COUPOND_SETTLED " ORDER BY id LIMIT "
#define COUPOND_MATCHING                                         \
    "WHERE entry.book_id = coalesce($2::bigint, entry.book_id) " \
    "AND entry.type = coalesce($3::bigint, entry.type) "

const Statement select_entries{"SELECT " COUPOND_ENTRY_COLUMNS " FROM (SELECT * " COUPOND_SCANNED
                               "$5::bigint) AS entry" COUPOND_ENTRY_JOINS COUPOND_MATCHING
                               "ORDER BY entry.id LIMIT $4::bigint"};

const Statement select_scanned{"SELECT max(id), count(*) FROM (SELECT id " COUPOND_SCANNED
                               "$2::bigint) AS scanned"};

const Statement select_last{
    "SELECT coalesce(max(id), 0)::bigint FROM ledger WHERE id < " COUPOND_SETTLED};

// From the code's last change back to its upload, and its locks elsewhere.
#define COUPOND_ELSEWHERE(type)                                                              \
    "SELECT entry.id FROM code CROSS JOIN LATERAL (SELECT id FROM ledger WHERE type = " type \
    " AND previous_id IS NULL AND code_id = code.id OFFSET 0) AS entry"
#define COUPOND_CODE_ENTRIES \
    "WITH RECURSIVE code AS MATERIALIZED (SELECT id, last_entry_id FROM coupon_code "              \
    "WHERE code = $5::text), "                                                                     \
    "chain (id) AS (SELECT last_entry_id FROM code UNION ALL SELECT entry.previous_id "            \
    "FROM chain CROSS JOIN LATERAL (SELECT previous_id FROM ledger WHERE id = chain.id OFFSET 0) " \
    "AS entry WHERE entry.previous_id IS NOT NULL), "                                              \
    "member AS (SELECT id FROM chain UNION ALL " COUPOND_ELSEWHERE(                                \
        "4") " UNION ALL " COUPOND_ELSEWHERE(                                                     \
        "12") " UNION ALL (SELECT entry.id FROM code CROSS JOIN LATERAL (SELECT id FROM ledger "   \
              "WHERE use_of = code.id AND id > $1::bigint "                                        \
              "AND book_id = coalesce($2::bigint, book_id) "                                       \
              "AND type = coalesce($3::bigint, type) ORDER BY id LIMIT $4::bigint) AS entry)"      \
              ") SELECT " COUPOND_ENTRY_COLUMNS                                                    \
                                                   " FROM member CROSS JOIN LATERAL (SELECT * "    \
                                                   "FROM ledger WHERE id = member.id OFFSET 0) "   \
                                                   "AS "                                           \
                                                   "entry" COUPOND_ENTRY_JOINS COUPOND_MATCHING    \
                                                   "AND entry.id > $1::bigint "

const Statement select_code_entries{COUPOND_CODE_ENTRIES "AND entry.id < " COUPOND_SETTLED
                                                         " ORDER BY entry.id LIMIT $4::bigint"};

const Statement select_history{COUPOND_CODE_ENTRIES "ORDER BY entry.id LIMIT $4::bigint"};

// The redemptions of `held` codes, which are redeemed: behind one its code's settings may have been
// changed, or some of the discount given back.
#define COUPOND_REDEMPTIONS(held)                                                               \
    "WITH RECURSIVE change (of_code, id, type, previous_id) AS ("                               \
    "SELECT held.id, entry.id, entry.type, entry.previous_id FROM (" held                       \
    ") AS held CROSS JOIN LATERAL (SELECT * FROM ledger WHERE id = held.last_entry_id OFFSET 0" \
    ") AS entry WHERE held.redeemed_at IS NOT NULL UNION ALL "                                  \
    "SELECT change.of_code, entry.id, entry.type, entry.previous_id "                           \
    "FROM change CROSS JOIN LATERAL (SELECT * FROM ledger WHERE id = change.previous_id "       \
    "OFFSET 0) AS entry WHERE change.type IN (10, 14)) "                                        \
    "SELECT " COUPOND_REDEMPTION_COLUMNS                                                        \
    " FROM change CROSS JOIN LATERAL (SELECT * FROM ledger WHERE id = change.id OFFSET 0) "     \
    "AS entry" COUPOND_REDEMPTION_JOINS "WHERE change.type = 5 ORDER BY change.of_code"

// Of a code, and the last $2 of its uses.
const Statement select_redemptions_of_code{COUPOND_REDEMPTIONS(
    "SELECT id, redeemed_at, last_entry_id FROM coupon_code WHERE code = $1::text UNION ALL "
    "(SELECT id, redeemed_at, last_entry_id FROM coupon_code WHERE use_of = (SELECT id "
    "FROM coupon_code WHERE code = $1::text) AND redeemed_at IS NOT NULL "
    "ORDER BY redeemed_at DESC, id DESC LIMIT $2::bigint)")};

const Statement select_uses_of_code{
    "SELECT coalesce(sum(redeemed), 0)::bigint FROM coupon_code AS code JOIN usage_count AS count "
    "ON count.book_id = code.book_id AND user_number = 0 AND code_id = code.id AND per = 0 "
    "WHERE code = $1::text"};

const Statement select_code{"SELECT " COUPOND_CODE_COLUMNS
                            " FROM coupon_code AS code" COUPOND_HOLDER
                            "WHERE code.code = $1::text"};

const Statement select_spelled{COUPOND_SPELLED};

const Statement select_codes_named{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n FROM unnest($1::text[]) WITH ORDINALITY AS need (code, n) CROSS JOIN LATERAL "
    "(SELECT ctid, * FROM coupon_code WHERE code = need.code OFFSET 0) AS code " COUPOND_HOLDER};

const Statement select_books_of_codes{
    "SELECT " COUPOND_BOOK_COLUMNS
    " FROM coupon_book AS book WHERE id = ANY(ARRAY(SELECT DISTINCT book_id FROM "
    "unnest($1::text[]) AS need (code) CROSS JOIN LATERAL "
    "(SELECT book_id FROM coupon_code WHERE code = need.code OFFSET 0) AS code))"};

const Statement select_usages_of_users{COUPOND_USAGE_OF_USERS};

const Statement select_usages_of_books{COUPOND_USAGE_OF_BOOKS};

const Statement select_uses_of_codes{COUPOND_USES_OF_CODES};

const Statement select_counts{
    "SELECT coalesce(sum(total), 0)::bigint, coalesce(sum(available), 0)::bigint, "
    "coalesce(sum(redeemed), 0)::bigint, coalesce(sum(ever_locked), 0)::bigint, "
    "coalesce(sum(rolled_back), 0)::bigint, "
    "coalesce(sum(discount_cents), 0)::bigint FROM book_count WHERE book_id = $1::bigint"};
const Statement select_locked{
    "SELECT coalesce(sum(codes), 0)::bigint FROM lock_count "
    "WHERE book_id = $1::bigint AND locked_until > $2::bigint AND codes > 0"};
const Statement select_all_locked{
    "SELECT coalesce(sum(codes), 0)::bigint FROM lock_count "
    "WHERE locked_until > $1::bigint AND codes > 0"};
const Statement select_activity{
    "SELECT width_bucket(since, $2::bigint[]) AS piece, sum(uploaded)::bigint, "
    "sum(assigned)::bigint, sum(locked)::bigint, sum(redeemed)::bigint, "
    "sum(rolled_back)::bigint, sum(discount_cents)::bigint, sum(generated)::bigint "
    "FROM activity_count WHERE book_id = $1::bigint "
    "AND since >= $3::bigint AND since < $4::bigint GROUP BY piece"};
// With piece 0 for what was ever.
const Statement select_discounts{
    "SELECT CASE WHEN since < 0 THEN 0 ELSE width_bucket(since, $2::bigint[]) END AS piece, "
    "currency, sum(amount)::bigint FROM discount_count WHERE book_id = $1::bigint "
    "AND (since = -1 OR (since >= $3::bigint AND since < $4::bigint)) GROUP BY piece, currency"};
const Statement select_refusals{
    "SELECT width_bucket(since, $2::bigint[]) AS piece, reason, sum(refused)::bigint "
    "FROM refusal_count WHERE book_id = $1::bigint "
    "AND since >= $3::bigint AND since < $4::bigint GROUP BY piece, reason"};
const Statement select_book_ids{"SELECT id FROM coupon_book ORDER BY id"};

// What a user holds, and of those of them that are redeemed the last changes.
#define COUPOND_HELD                                                                       \
    "FROM coupon_code AS code WHERE " COUPOND_OF_USER                                      \
    " AND code.id > $2::bigint AND (code.use_of IS NULL OR code.redeemed_at IS NOT NULL) " \
    "ORDER BY code.id LIMIT $3::bigint"

const Statement select_held{"SELECT " COUPOND_CODE_COLUMNS " FROM (SELECT ctid, * " COUPOND_HELD
                            ") AS code" COUPOND_HOLDER "ORDER BY code.id"};

const Statement select_redemptions{
    COUPOND_REDEMPTIONS("SELECT id, redeemed_at, last_entry_id " COUPOND_HELD)};

const Statement select_generator{
    "SELECT " COUPOND_BOOK_COLUMNS ", " COUPOND_GENERATOR_COLUMNS
    " FROM coupon_book AS book" COUPOND_GENERATOR("book", "id") "WHERE book.id = $1::bigint"};

const Statement select_job{"SELECT " COUPOND_JOB_COLUMNS " FROM job WHERE job.id = $1::bigint"};

// Of jobs below $1, from the last one on: $2 that are looked at for a page, and those of them that
// match. Those of a book are ordered by the book as well, as no index but theirs is: else the
// server might rather go through all jobs, and hope to meet enough of the book soon.
#define COUPOND_SCANNED_JOBS(those, order) \
    "FROM job WHERE " those " ORDER BY " order " LIMIT $2::bigint"
#define COUPOND_LISTED_JOBS(those, order)                                                    \
    "SELECT " COUPOND_JOB_COLUMNS " FROM (SELECT * " COUPOND_SCANNED_JOBS(                   \
        those, order) ") AS job WHERE status = coalesce($3::bigint, status) ORDER BY " order \
                      " LIMIT $4::bigint"
#define COUPOND_END_OF_JOBS(those, order) \
    "SELECT min(id), count(*) FROM (SELECT id " COUPOND_SCANNED_JOBS(those, order) ") AS scanned"
#define COUPOND_JOBS_OF_BOOK(book) \
    "(book_id, id) < (" book "::bigint, $1::bigint) AND (book_id, id) > (" book "::bigint, 0)"
#define COUPOND_LAST_OF_BOOK "book_id DESC, id DESC"

const Statement select_jobs{COUPOND_LISTED_JOBS("id < $1::bigint", "id DESC")};
const Statement select_jobs_of_book{
    COUPOND_LISTED_JOBS(COUPOND_JOBS_OF_BOOK("$5"), COUPOND_LAST_OF_BOOK)};
const Statement scan_jobs{COUPOND_END_OF_JOBS("id < $1::bigint", "id DESC")};
const Statement scan_jobs_of_book{
    COUPOND_END_OF_JOBS(COUPOND_JOBS_OF_BOOK("$3"), COUPOND_LAST_OF_BOOK)};

// $1: who asks, $2: now.
const Statement select_next_job{
    "SELECT " COUPOND_JOB_COLUMNS ", " COUPOND_GENERATOR_COLUMNS
    " FROM (SELECT * FROM job WHERE status < 2 AND NOT (worker IS DISTINCT FROM $1::text "
    "AND coalesce(claimed_until, 0) > $2::bigint AND claimed_until <= $3::bigint) "
    "AND (details IS NOT NULL OR book_id <> ALL(ARRAY(SELECT book_id FROM job "
    "WHERE status < 2 AND details IS NULL AND worker IS DISTINCT FROM $1::text "
    "AND claimed_until > $2::bigint AND claimed_until <= $3::bigint))) "
    "AND id > $4::bigint ORDER BY id LIMIT 1) AS "
    "job" COUPOND_GENERATOR("job", "book_id")};

const Statement select_low{
    "SELECT " COUPOND_BOOK_COLUMNS
    ", free.codes FROM coupon_book AS book CROSS JOIN LATERAL (SELECT "
    "coalesce(sum(available - kept_back), 0)::bigint AS codes FROM book_count "
    "WHERE book_count.book_id = book.id) AS free "
    "WHERE position('auto_generate ' IN book.settings) > 0 AND NOT EXISTS (SELECT FROM job "
    "WHERE job.book_id = book.id AND details IS NULL "
    "AND (status < 2 OR (status = 3 AND job.created_at >= book.updated_at))) ORDER BY book.id"};

const Statement select_existing{COUPOND_EXISTING("code")};
const Statement select_existing_spellings{COUPOND_EXISTING("folded")};

const Statement select_parts{
    "SELECT bytes FROM file_part WHERE job_id = $1::bigint AND number >= $2::bigint "
    "AND number < $2::bigint + $3::bigint ORDER BY number"};

const Statement select_ended_file{
    "SELECT job_id FROM file_part JOIN job ON job.id = job_id "
    "WHERE number = 0 AND status >= 2 LIMIT 1"};

const Statement select_rejected{
    "SELECT line, reason, text FROM rejected_row WHERE job_id = $1::bigint "
    "AND line > $2::bigint ORDER BY line LIMIT $3::bigint"};

class PostgresReadStore final : public ReadStore {
public:
    PostgresReadStore(Servers& servers, Servers::Side side)
        : asker_(servers, side, log::side_lists) {}

    Result<BookPage> list_books(const BookQuery& query, Timestamp now) override {
        return answer([&](Connection& connection, Deadline deadline) {
            return list(connection, deadline, query, now);
        });
    }

    Result<EntryPage> list_entries(const EntryQuery& query) override {
        return answer([&](Connection& connection, Deadline deadline) {
            EntryPage page = list(connection, deadline, query);
            const auto stored = query.code && page.entries.empty()
                                    ? code_spelled(connection, deadline, *query.code)
                                    : std::nullopt;
            if (!stored) return page;
            EntryQuery of_stored = query;
            of_stored.code = stored;
            return list(connection, deadline, of_stored);
        });
    }

    Result<EntryId> last_entry() override {
        return answer([](Connection& connection, Deadline deadline) {
            connection.execute(begin_statement_by_statement);
            connection.execute(set_up);
            connection.execute(settle);
            connection.execute(select_last);
            connection.execute("COMMIT");
            connection.sync();
            return connection.receive_all(deadline).rows.at(3).integer(0, 0);
        });
    }

    Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) override {
        return answer([&](Connection& connection, Deadline deadline) {
            connection.execute(begin);
            connection.execute(set_up);
            return read_code_page(connection, deadline, query, now, 2);
        });
    }

    Result<std::optional<CodeHistory>> find_code(const std::string& code,
                                                 std::size_t limit) override {
        return answer([&](Connection& connection, Deadline deadline) {
            auto found = find(connection, deadline, code, limit);
            if (found) return found;
            const auto stored = code_spelled(connection, deadline, code);
            return stored ? find(connection, deadline, *stored, limit) : std::nullopt;
        });
    }

    Result<Statistics> load_statistics(const StatisticsQuery& query, Timestamp now) override {
        return answer([&](Connection& connection, Deadline deadline) {
            return count(connection, deadline, query, now);
        });
    }

    Result<std::vector<BookId>> book_ids() override {
        return answer([&](Connection& connection, Deadline deadline) {
            connection.execute(select_book_ids, Parameters());
            connection.sync();
            const Replies replies = connection.receive_all(deadline);
            std::vector<BookId> ids;
            for (int row = 0; row < replies.rows.at(0).size(); ++row) {
                ids.push_back(replies.rows.at(0).integer(row, 0));
            }
            return ids;
        });
    }

    Result<UserPage> find_user(const UserQuery& query) override {
        return answer([&](Connection& connection, Deadline deadline) {
            return find(connection, deadline, query);
        });
    }

    Result<std::vector<std::optional<CodeForUser>>> find_codes(
        std::span<const ValidateCode* const> asked, Timestamp now) override {
        return answer([&](Connection& connection, Deadline deadline) {
            auto found = find(connection, deadline, asked, now);
            std::vector<std::string_view> texts;
            std::vector<std::size_t> unknown;
            for (std::size_t i = 0; i < asked.size(); ++i) {
                if (found[i]) continue;
                texts.emplace_back(asked[i]->code);
                unknown.push_back(i);
            }
            const auto codes = codes_spelled(connection, deadline, texts);
            std::vector<ValidateCode> respelled;
            std::vector<std::size_t> places;
            for (std::size_t i = 0; i < codes.size(); ++i) {
                if (!codes[i]) continue;
                respelled.push_back(*asked[unknown[i]]);
                respelled.back().code = *codes[i];
                places.push_back(unknown[i]);
            }
            if (respelled.empty()) return found;
            std::vector<const ValidateCode*> again;
            for (const ValidateCode& one : respelled) again.push_back(&one);
            auto others = find(connection, deadline, again, now);
            for (std::size_t i = 0; i < places.size(); ++i) found[places[i]] = std::move(others[i]);
            return found;
        });
    }

    Result<std::optional<BookGenerator>> find_generator(BookId id) override {
        return answer(
            [&](Connection& connection, Deadline deadline) -> std::optional<BookGenerator> {
                const Rows rows = ask(connection, deadline, select_generator, Parameters(id));
                if (rows.size() == 0) return std::nullopt;
                return BookGenerator{read_book(rows, 0),
                                     read_optional_generator(rows, 0, book_columns)};
            });
    }

    Result<std::optional<Job>> find_job(JobId id) override {
        return answer([&](Connection& connection, Deadline deadline) -> std::optional<Job> {
            const Rows rows = ask(connection, deadline, select_job, Parameters(id));
            return rows.size() == 0 ? std::nullopt : std::optional(read_job(rows, 0));
        });
    }

    Result<JobPage> list_jobs(const JobQuery& query) override {
        return answer([&](Connection& connection, Deadline deadline) {
            return list(connection, deadline, query);
        });
    }

    Result<std::optional<JobGenerator>> next_job(const std::string& worker, Timestamp now,
                                                 JobId after) override {
        return answer([&](Connection& connection,
                          Deadline deadline) -> std::optional<JobGenerator> {
            const Rows rows =
                ask(connection, deadline, select_next_job,
                    Parameters(worker, now.ms, now.ms + limits::job_claim_most_ms, after));
            if (rows.size() == 0) return std::nullopt;
            return JobGenerator{read_job(rows, 0), read_optional_generator(rows, 0, job_columns)};
        });
    }

    Result<std::vector<BookId>> books_running_low() override {
        return answer([&](Connection& connection, Deadline deadline) {
            const Rows rows = ask(connection, deadline, select_low, Parameters());
            std::vector<BookId> books;
            for (int row = 0; row < rows.size(); ++row) {
                const Book book = read_book(rows, row);
                const std::int64_t free = rows.integer(row, book_columns);
                if (runs_low(book, free)) books.push_back(book.id);
            }
            return books;
        });
    }

    Result<std::vector<bool>> exist(std::span<const std::string> codes, bool folds) override {
        return answer([&](Connection& connection, Deadline deadline) {
            std::vector<bool> exist(codes.size());
            const auto take = [&exist](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    exist.at(static_cast<std::size_t>(rows.integer(row, 0)) - 1) = true;
                }
            };
            TextArray texts, spellings;
            for (const std::string& code : codes) texts.add(code);
            take(ask(connection, deadline, select_existing, Parameters(texts)));
            if (!folds) return exist;
            for (const std::string& code : codes) spellings.add(folded(code));
            take(ask(connection, deadline, select_existing_spellings, Parameters(spellings)));
            return exist;
        });
    }

    Result<std::vector<std::string>> read_file(JobId id, std::int64_t first,
                                               std::int64_t count) override {
        return answer([&](Connection& connection, Deadline deadline) {
            const Rows rows = ask(connection, deadline, select_parts, Parameters(id, first, count));
            std::vector<std::string> parts;
            for (int row = 0; row < rows.size(); ++row) parts.emplace_back(rows.text(row, 0));
            return parts;
        });
    }

    Result<std::optional<JobId>> ended_file() override {
        return answer([&](Connection& connection, Deadline deadline) {
            const Rows rows = ask(connection, deadline, select_ended_file, Parameters());
            return rows.size() == 0 ? std::nullopt : std::optional(rows.integer(0, 0));
        });
    }

    Result<std::vector<RejectedRow>> rejected_rows(JobId id, std::int64_t after,
                                                   std::size_t limit) override {
        return answer([&](Connection& connection, Deadline deadline) {
            const Rows found = ask(connection, deadline, select_rejected,
                                   Parameters(id, after, static_cast<std::int64_t>(limit)));
            std::vector<RejectedRow> rows;
            for (int row = 0; row < found.size(); ++row) {
                rows.push_back({found.integer(row, 0), std::string(found.text(row, 1)),
                                std::string(found.text(row, 2))});
            }
            return rows;
        });
    }

    Result<void> ping() override {
        return answer([](Connection& connection, Deadline deadline) {
            connection.execute("SELECT count(*) FROM (SELECT 1 FROM coupon_book LIMIT 1) AS book");
            connection.sync();
            connection.receive_all(deadline);
        });
    }

private:
    template <class Ask>
    auto answer(const Ask& ask) -> Result<decltype(ask(std::declval<Connection&>(), Deadline()))> {
        return asker_.answer(ask);
    }

    static BookPage list(Connection& connection, Deadline deadline, const BookQuery& query,
                         Timestamp now) {
        connection.execute(begin);
        connection.execute(set_up);
        const BookPlace place = beginning_of(query);
        switch (query.sort) {
            case BookQuery::Sort::id: ask_books(connection, query, place.id, place, now); break;
            case BookQuery::Sort::name: ask_books(connection, query, place.name, place, now); break;
            case BookQuery::Sort::created:
                ask_books(connection, query, place.created_at.ms, place, now);
                break;
        }
        if (!query.with_codes) connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        BookPage page = read_page(replies.rows.at(2), query.limit);
        if (query.name && !page.more && replies.rows.at(3).size() == 1) {
            const Rows& end = replies.rows.at(3);
            page.more = true;
            page.read_to = {end.integer(0, 0), std::string(end.text(0, 1)), {end.integer(0, 2)}};
        }
        if (!query.with_codes) return page;
        BigintArray ids;
        for (const BookListing& listing : page.books) ids.add(listing.book.id);
        connection.execute(select_codes,
                           Parameters(ids, static_cast<std::int64_t>(limits::page_codes)));
        connection.execute("COMMIT");
        connection.sync();
        add_codes(page, connection.receive_all(deadline).rows.at(0));
        return page;
    }

    template <class Key>
    static void ask_books(Connection& connection, const BookQuery& query, const Key& key,
                          const BookPlace& place, Timestamp now) {
        const BookStatements& statements = statements_of(query);
        connection.execute(statements.page(),
                           Parameters(key, place.id, static_cast<std::int64_t>(query.limit) + 1,
                                      now.ms, query.name));
        if (query.name) connection.execute(statements.end(), Parameters(key, place.id));
    }

    /// What one statement answers, planned as all are.
    static Rows ask(Connection& connection, Deadline deadline, const Statement& statement,
                    const Parameters& parameters) {
        connection.execute(begin);
        connection.execute(set_up);
        connection.execute(statement, parameters);
        connection.execute("COMMIT");
        connection.sync();
        return std::move(connection.receive_all(deadline).rows.at(2));
    }

    static JobPage list(Connection& connection, Deadline deadline, const JobQuery& query) {
        const auto limit = static_cast<std::int64_t>(query.limit);
        const JobId before = query.before.value_or(INT64_MAX);
        const auto status =
            query.status ? std::optional(static_cast<std::int64_t>(*query.status)) : std::nullopt;
        const auto scan = status ? static_cast<std::int64_t>(limits::page_scan) : limit + 1;
        connection.execute(begin);
        connection.execute(set_up);
        if (query.book_id) {
            connection.execute(select_jobs_of_book,
                               Parameters(before, scan, status, limit + 1, *query.book_id));
            connection.execute(scan_jobs_of_book, Parameters(before, scan, *query.book_id));
        } else {
            connection.execute(select_jobs, Parameters(before, scan, status, limit + 1));
            connection.execute(scan_jobs, Parameters(before, scan));
        }
        connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        const Rows& rows = replies.rows.at(2);
        JobPage page;
        page.read_to = query.before.value_or(0);
        page.more = static_cast<std::size_t>(rows.size()) > query.limit;
        for (int row = 0; row < std::min(rows.size(), static_cast<int>(query.limit)); ++row) {
            page.jobs.push_back(read_job(rows, row));
            page.read_to = page.jobs.back().id;
        }
        if (page.more) return page;
        const Rows& scanned = replies.rows.at(3);
        page.read_to = scanned.optional_integer(0, 0).value_or(page.read_to);
        page.more = scanned.integer(0, 1) == scan;
        return page;
    }

    static EntryPage list(Connection& connection, Deadline deadline, const EntryQuery& query) {
        const auto limit = static_cast<std::int64_t>(query.limit);
        const auto type =
            query.type ? std::optional(static_cast<std::int64_t>(*query.type)) : std::nullopt;
        const bool sifted = query.book_id || type;
        const auto scan = sifted ? static_cast<std::int64_t>(limits::page_scan) : limit + 1;
        connection.execute(begin_statement_by_statement);
        connection.execute(set_up);
        connection.execute(settle);
        if (query.code) {
            connection.execute(select_code_entries, Parameters(query.after, query.book_id, type,
                                                               limit + 1, *query.code));
        } else {
            connection.execute(select_entries,
                               Parameters(query.after, query.book_id, type, limit + 1, scan));
        }
        connection.execute(select_scanned, Parameters(query.after, scan));
        connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        EntryPage page = read_entries(replies.rows.at(3), query.after, query.limit);
        if (query.code || page.more) return page;
        const Rows& scanned = replies.rows.at(4);
        page.read_to = scanned.optional_integer(0, 0).value_or(query.after);
        page.more = scanned.integer(0, 1) == scan;
        return page;
    }

    static Statistics count(Connection& connection, Deadline deadline, const StatisticsQuery& query,
                            Timestamp now) {
        const BookId book_id = query.book_id.value_or(all_books);
        BigintArray bounds;
        for (const Timestamp bound : query.bounds) bounds.add(bound);
        const std::int64_t from = query.bounds.front().ms;
        const std::int64_t to = query.bounds.back().ms;
        connection.execute(begin);
        connection.execute(set_up);
        connection.execute(select_book, Parameters(book_id));
        connection.execute(select_counts, Parameters(book_id));
        if (query.book_id) {
            connection.execute(select_locked, Parameters(book_id, now.ms));
        } else {
            connection.execute(select_all_locked, Parameters(now.ms));
        }
        connection.execute(select_activity, Parameters(book_id, bounds, from, to));
        connection.execute(select_refusals, Parameters(book_id, bounds, from, to));
        connection.execute(select_discounts, Parameters(book_id, bounds, from, to));
        connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);

        Statistics statistics;
        statistics.book_found = !query.book_id || replies.rows.at(2).size() == 1;
        const Rows& counted = replies.rows.at(3);
        BookCounts& counts = statistics.counts;
        counts.total = counted.integer(0, 0);
        counts.available = counted.integer(0, 1);
        counts.redeemed = counted.integer(0, 2);
        statistics.ever_locked = counted.integer(0, 3);
        statistics.rolled_back = counted.integer(0, 4);
        statistics.discount_cents = counted.integer(0, 5);
        counts.locked = replies.rows.at(4).integer(0, 0);
        counts.assigned = counts.total - counts.available - counts.redeemed - counts.locked;
        statistics.series.resize(query.bounds.size() - 1);
        const Rows& activity = replies.rows.at(5);
        for (int row = 0; row < activity.size(); ++row) {
            const auto piece = static_cast<std::size_t>(activity.integer(row, 0)) - 1;
            statistics.series.at(piece).activity = {activity.integer(row, 1),
                                                    activity.integer(row, 2),
                                                    activity.integer(row, 3),
                                                    activity.integer(row, 4),
                                                    activity.integer(row, 5),
                                                    activity.integer(row, 6),
                                                    {},
                                                    activity.integer(row, 7)};
        }
        const Rows& discounts = replies.rows.at(7);
        for (int row = 0; row < discounts.size(); ++row) {
            const auto piece = static_cast<std::size_t>(discounts.integer(row, 0));
            const Money discount{discounts.integer(row, 2), read_currency(discounts, row, 1)};
            if (piece == 0) {
                statistics.discounts[*discount.currency] = discount.amount;
            } else {
                statistics.series.at(piece - 1).activity.add_discount(discount);
            }
        }
        const Rows& refusals = replies.rows.at(6);
        for (int row = 0; row < refusals.size(); ++row) {
            const auto piece = static_cast<std::size_t>(refusals.integer(row, 0)) - 1;
            statistics.series.at(piece).refused += refusals.integer(row, 2);
            statistics.refusals[std::string(refusals.text(row, 1))] += refusals.integer(row, 2);
        }
        return sound(std::move(statistics));
    }

    static EntryPage read_entries(const Rows& rows, EntryId after, std::size_t limit) {
        EntryPage page{{}, after, static_cast<std::size_t>(rows.size()) > limit};
        for (int row = 0; row < std::min(rows.size(), static_cast<int>(limit)); ++row) {
            page.entries.push_back(read_entry(rows, row));
            page.read_to = page.entries.back().entry.id;
        }
        return page;
    }

    /// The codes that texts are other spellings of.
    static std::vector<std::optional<std::string>> codes_spelled(
        Connection& connection, Deadline deadline, std::span<const std::string_view> texts) {
        std::vector<std::optional<std::string>> codes(texts.size());
        if (texts.empty()) return codes;
        TextArray spellings, asked;
        for (const std::string_view text : texts) {
            spellings.add(folded(text));
            asked.add(text);
        }
        connection.execute(select_spelled, Parameters(spellings, asked));
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        const Rows& rows = replies.rows.at(0);
        for (int row = 0; row < rows.size(); ++row) {
            codes.at(static_cast<std::size_t>(rows.integer(row, 0)) - 1) = rows.text(row, 1);
        }
        return codes;
    }

    static std::optional<std::string> code_spelled(Connection& connection, Deadline deadline,
                                                   const std::string& text) {
        const std::string_view one[] = {text};
        return codes_spelled(connection, deadline, one).front();
    }

    static std::optional<CodeHistory> find(Connection& connection, Deadline deadline,
                                           const std::string& code, std::size_t limit) {
        constexpr std::optional<std::int64_t> any;
        connection.execute(begin);
        connection.execute(set_up);
        connection.execute(select_code, Parameters(code));
        connection.execute(select_history, Parameters(std::int64_t{0}, any, any,
                                                      static_cast<std::int64_t>(limit) + 1, code));
        connection.execute(select_uses_of_code, Parameters(code));
        connection.execute(select_redemptions_of_code,
                           Parameters(code, static_cast<std::int64_t>(limits::code_redemptions)));
        connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        const Rows& found = replies.rows.at(2);
        if (found.size() == 0) return std::nullopt;
        CodeHistory history{read_code(found, 0), read_entries(replies.rows.at(3), 0, limit), 0, {}};
        history.redemption_count =
            replies.rows.at(4).integer(0, 0) + (history.code.redeemed_at ? 1 : 0);
        const Rows& redemptions = replies.rows.at(5);
        for (int row = 0; row < redemptions.size(); ++row) {
            history.redemptions.push_back(read_redemption(redemptions, row));
        }
        std::ranges::sort(history.redemptions, {}, &Redemption::id);
        return history;
    }

    static std::vector<std::optional<CodeForUser>> find(Connection& connection, Deadline deadline,
                                                        std::span<const ValidateCode* const> asked,
                                                        Timestamp now) {
        TextArray codes;
        for (const ValidateCode* const one : asked) codes.add(one->code);
        connection.execute(begin);
        connection.execute(set_up);
        connection.execute(select_codes_named, Parameters(codes));
        connection.execute(select_books_of_codes, Parameters(codes));
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        std::unordered_map<BookId, Book> books;
        const Rows& of_books = replies.rows.at(3);
        for (int row = 0; row < of_books.size(); ++row) {
            Book book = read_book(of_books, row);
            books.emplace(book.id, std::move(book));
        }
        std::vector<std::optional<CodeForUser>> found(asked.size());
        std::vector<UsageNeed> need_of_books, need_of_users, need_of_codes;
        std::vector<Usage*> used_of_books, used_of_users;
        std::vector<Used*> used_of_codes;
        const Rows& of_codes = replies.rows.at(2);
        for (int row = 0; row < of_codes.size(); ++row) {
            const auto n = static_cast<std::size_t>(of_codes.integer(row, code_columns)) - 1;
            CodeForUser& code = found.at(n).emplace();
            code.code = read_code(of_codes, row);
            code.book = books.at(code.code.book_id);
            if (may_have_uses(code.book, code.code)) {
                need_of_codes.push_back(uses_need(code.book.id, code.code.id));
                used_of_codes.push_back(&code.used);
            }
            const auto at = moment_of(*asked[n], code.book, now);
            if (!at) continue;
            for (UsageNeed& need : usage_needs(code.book, "", *at)) {
                used_of_books.push_back(&code.used.by_all[static_cast<std::size_t>(need.key.per)]);
                need_of_books.push_back(std::move(need));
            }
            for (UsageNeed& need : usage_needs(code.book, asked[n]->user_id, *at)) {
                used_of_users.push_back(&code.used.by_user[static_cast<std::size_t>(need.key.per)]);
                need_of_users.push_back(std::move(need));
            }
        }
        UsagesAsked books_asked(need_of_books), users_asked(need_of_users),
            codes_asked(need_of_codes);
        connection.execute(select_usages_of_books,
                           Parameters(books_asked.books, books_asked.pers, books_asked.since,
                                      books_asked.currencies));
        connection.execute(select_usages_of_users, Parameters(users_asked.books, users_asked.users,
                                                              users_asked.pers, users_asked.since));
        connection.execute(select_uses_of_codes, Parameters(codes_asked.books, codes_asked.codes));
        connection.execute("COMMIT");
        connection.sync();
        const Replies usages = connection.receive_all(deadline);
        take_usages(usages.rows.at(0), need_of_books, used_of_books);
        take_usages(usages.rows.at(1), need_of_users, used_of_users);
        const Rows& uses = usages.rows.at(2);
        for (int row = 0; row < uses.size(); ++row) {
            const auto n = static_cast<std::size_t>(uses.integer(row, 0)) - 1;
            used_of_codes.at(n)->uses = read_uses(uses, row).now.redeemed;
        }
        return found;
    }

    static void take_usages(const Rows& rows, const std::vector<UsageNeed>& asked,
                            const std::vector<Usage*>& used) {
        for (int row = 0; row < rows.size(); ++row) {
            const auto n = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
            *used.at(n) = read_usage(rows, row, asked.at(n)).now;
        }
    }

    static UserPage find(Connection& connection, Deadline deadline, const UserQuery& query) {
        const auto limit = static_cast<std::int64_t>(query.limit);
        connection.execute(begin);
        connection.execute(set_up);
        connection.execute(select_held, Parameters(query.user_id, query.after, limit + 1));
        connection.execute(select_redemptions, Parameters(query.user_id, query.after, limit));
        connection.execute("COMMIT");
        connection.sync();
        const Replies replies = connection.receive_all(deadline);
        const Rows& held = replies.rows.at(2);
        UserPage page;
        page.more = held.size() > limit;
        for (int row = 0; row < std::min(held.size(), static_cast<int>(limit)); ++row) {
            page.codes.push_back(read_code(held, row));
        }
        const Rows& redeemed = replies.rows.at(3);
        for (int row = 0; row < redeemed.size(); ++row) {
            page.redemptions.push_back(read_redemption(redeemed, row));
        }
        return page;
    }

    static BookPage read_page(const Rows& rows, std::size_t limit) {
        BookPage page;
        for (int row = 0; row < rows.size(); ++row) {
            if (page.books.size() == limit) {
                page.more = true;
                break;
            }
            BookListing& listing = page.books.emplace_back();
            listing.book = read_book(rows, row);
            page.read_to = place_of(listing.book);
            BookCounts& counts = listing.counts;
            counts.total = rows.integer(row, book_columns);
            counts.available = rows.integer(row, book_columns + 1);
            counts.redeemed = rows.integer(row, book_columns + 2);
            counts.locked = rows.integer(row, book_columns + 3);
            counts.assigned = counts.total - counts.available - counts.redeemed - counts.locked;
        }
        return page;
    }

    static void add_codes(BookPage& page, const Rows& rows) {
        std::int64_t total = 0;
        for (const BookListing& listing : page.books) total += listing.counts.total;
        page.too_many_codes = total > static_cast<std::int64_t>(limits::page_codes);
        std::unordered_map<BookId, BookListing*> listings;
        for (BookListing& listing : page.books) listings.emplace(listing.book.id, &listing);
        for (int row = 0; row < rows.size(); ++row) {
            listings.at(rows.integer(row, 1))->codes.push_back(read_code(rows, row));
        }
    }

    Asker asker_;
};

}  // namespace

std::unique_ptr<ReadStore> make_read_store(Servers& servers, Servers::Side side) {
    return std::make_unique<PostgresReadStore>(servers, side);
}

}  // namespace coupond::postgres
