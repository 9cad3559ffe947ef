#include <sqlite3.h>

#include <algorithm>
#include <unordered_map>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "domain/spelling.hpp"
#include "store/sqlite/book_walk.hpp"
#include "store/sqlite/code_pages.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/stores.hpp"
#include "store/uses.hpp"

namespace coupond::sqlite {
namespace {

// Of what is looked at for a page, from ?1 down to ?2: the jobs that match.
#define COUPOND_LISTED_JOBS(those)                         \
    "SELECT " COUPOND_JOB_COLUMNS " FROM job WHERE " those \
    "id < ?1 AND id >= ?2 AND status = coalesce(?3, status) ORDER BY id DESC LIMIT ?4"
#define COUPOND_SCANNED_JOBS(those)                                  \
    "SELECT min(id), count(*) FROM (SELECT id FROM job WHERE " those \
    "id < ?1 ORDER BY id DESC LIMIT ?2)"
#define COUPOND_JOBS_OF_BOOK "book_id = ?5 AND "

// As the index has it: the name of a line in a book's text, or some metadata that has it too.
#define COUPOND_MAY_RUN_LOW "instr(book.settings, 'auto_generate ') > 0"

class SqliteReadStore final : public ReadStore {
public:
    SqliteReadStore(const std::string& path, int cache_kib)
        : connection_(path, Connection::Mode::read_only) {
        connection_.execute(("PRAGMA cache_size = -" + std::to_string(cache_kib)).c_str());
    }

    Result<BookPage> list_books(const BookQuery& query, Timestamp now) override {
        return of_one_moment([&] {
            BookPage page = read_page(query);
            for (BookListing& listing : page.books) listing.counts = read_counts(listing.book, now);
            if (query.with_codes) add_codes(page);
            return page;
        });
    }

    Result<EntryPage> list_entries(const EntryQuery& query) override {
        return of_one_moment([&] {
            EntryPage page = read_entries(query);
            const auto stored =
                query.code && page.entries.empty() ? code_spelled(*query.code) : std::nullopt;
            if (!stored) return page;
            EntryQuery of_stored = query;
            of_stored.code = stored;
            return read_entries(of_stored);
        });
    }

    Result<EntryId> last_entry() override {
        return of_one_moment([&] {
            last_.step();
            const EntryId last = last_.integer(0);
            last_.reset();
            return last;
        });
    }

    Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) override {
        return of_one_moment([&] { return code_pages_.read(query, now); });
    }

    Result<std::optional<CodeHistory>> find_code(const std::string& code,
                                                 std::size_t limit) override {
        return of_one_moment([&]() -> std::optional<CodeHistory> {
            if (!find_row(code)) return std::nullopt;
            CodeHistory found;
            found.code = read_code(code_);
            code_.reset();
            read_redemptions(found);
            EntryQuery history;
            history.limit = limit;
            history.code = found.code.code;
            found.history = read_entries(history);
            return found;
        });
    }

    Result<Statistics> load_statistics(const StatisticsQuery& query, Timestamp now) override {
        return of_one_moment([&] { return read_statistics(query, now); });
    }

    Result<std::vector<BookId>> book_ids() override {
        return of_one_moment([&] {
            std::vector<BookId> ids;
            while (book_ids_.step()) ids.push_back(book_ids_.integer(0));
            return ids;
        });
    }

    Result<UserPage> find_user(const UserQuery& query) override {
        return of_one_moment([&] { return read_user(query); });
    }

    Result<std::vector<std::optional<CodeForUser>>> find_codes(
        std::span<const ValidateCode* const> asked, Timestamp now) override {
        return of_one_moment([&] { return read_codes_for_users(asked, now); });
    }

    Result<std::optional<BookGenerator>> find_generator(BookId id) override {
        return of_one_moment([&]() -> std::optional<BookGenerator> {
            if (!generator_.bind(id).step()) return std::nullopt;
            BookGenerator found{read_book(generator_),
                                read_optional_generator(generator_, book_columns)};
            generator_.reset();
            return found;
        });
    }

    Result<std::optional<Job>> find_job(JobId id) override {
        return of_one_moment([&]() -> std::optional<Job> {
            if (!job_.bind(id).step()) return std::nullopt;
            Job job = read_job(job_);
            job_.reset();
            return job;
        });
    }

    Result<JobPage> list_jobs(const JobQuery& query) override {
        return of_one_moment([&] { return read_jobs(query); });
    }

    Result<std::optional<JobGenerator>> next_job(const std::string& worker, Timestamp now,
                                                 JobId after) override {
        return of_one_moment([&]() -> std::optional<JobGenerator> {
            if (!next_job_.bind(worker, now, now + limits::job_claim_most_ms, after).step())
                return std::nullopt;
            JobGenerator found{read_job(next_job_),
                               read_optional_generator(next_job_, job_columns)};
            next_job_.reset();
            return found;
        });
    }

    Result<std::vector<BookId>> books_running_low() override {
        return of_one_moment([&] {
            std::vector<BookId> books;
            while (low_.step()) {
                const Book book = read_book(low_);
                const std::int64_t free = low_.integer(book_columns);
                if (runs_low(book, free)) books.push_back(book.id);
            }
            return books;
        });
    }

    Result<std::vector<bool>> exist(std::span<const std::string> codes, bool folds) override {
        return of_one_moment([&] {
            std::vector<bool> exist;
            std::optional<std::string> from;  // between this and `next` no code is there
            std::optional<std::string> next;  // nothing: up to the end
            for (const std::string& code : codes) {
                const bool is_between = from && *from <= code && (!next || code < *next);
                if (!is_between) {
                    from = code;
                    next.reset();
                    if (next_code_.bind(code).step()) {
                        next = next_code_.text(0);
                        next_code_.reset();
                    }
                }
                const bool is_there = next == code;
                const bool is_spelled = folds && spelled_.bind(folded(code), "").step();
                if (is_spelled) spelled_.reset();
                exist.push_back(is_there || is_spelled);
            }
            return exist;
        });
    }

    Result<std::vector<std::string>> read_file(JobId id, std::int64_t first,
                                               std::int64_t count) override {
        return of_one_moment([&] {
            std::vector<std::string> parts;
            parts_.bind(id, first, count);
            while (parts_.step()) parts.push_back(parts_.text(0));
            return parts;
        });
    }

    Result<std::optional<JobId>> ended_file() override {
        return of_one_moment([&]() -> std::optional<JobId> {
            if (!ended_file_.step()) return std::nullopt;
            const JobId id = ended_file_.integer(0);
            ended_file_.reset();
            return id;
        });
    }

    Result<std::vector<RejectedRow>> rejected_rows(JobId id, std::int64_t after,
                                                   std::size_t limit) override {
        return of_one_moment([&] {
            std::vector<RejectedRow> rows;
            rejected_.bind(id, after, static_cast<std::int64_t>(limit));
            while (rejected_.step()) {
                rows.push_back({rejected_.integer(0), rejected_.text(1), rejected_.text(2)});
            }
            return rows;
        });
    }

    Result<void> ping() override {
        try {
            connection_.integer("SELECT count(*) FROM (SELECT 1 FROM coupon_book LIMIT 1)");
            health_.worked();
            return {};
        } catch (const Error& error) {
            health_.failed(error);
            return Failure::unavailable;
        }
    }

private:
    /// What `read` returns, from one snapshot of the database.
    template <class Read>
    auto of_one_moment(const Read& read) -> Result<decltype(read())> {
        try {
            connection_.execute("BEGIN");
            auto answer = read();
            connection_.execute("COMMIT");
            health_.worked();
            return answer;
        } catch (const Error& error) {
            health_.failed(error);
            connection_.roll_back();
            return Failure::unavailable;
        }
    }

    /// Has `code_` stand on the row of a code, whatever spelling of it that is.
    bool find_row(const std::string& code) {
        if (code_.bind(code).step()) return true;
        const auto stored = code_spelled(code);
        return stored && code_.bind(*stored).step();
    }

    /// The code that a text is another spelling of.
    std::optional<std::string> code_spelled(const std::string& text) {
        if (!spelled_.bind(folded(text), text).step()) return std::nullopt;
        std::string code(spelled_.text(0));
        spelled_.reset();
        return code;
    }

    std::vector<std::optional<CodeForUser>> read_codes_for_users(
        std::span<const ValidateCode* const> asked, Timestamp now) {
        std::vector<std::optional<CodeForUser>> found(asked.size());
        std::unordered_map<BookId, Book> books;
        for (std::size_t i = 0; i < asked.size(); ++i) {
            if (!find_row(asked[i]->code)) continue;
            CodeForUser& code = found[i].emplace();
            code.code = read_code(code_);
            code_.reset();
            const auto [book, unknown] = books.try_emplace(code.code.book_id);
            if (unknown) {
                if (!book_.bind(code.code.book_id).step()) throw corrupt("a code without its book");
                book->second = read_book(book_);
                book_.reset();
            }
            code.book = book->second;
            const auto at = moment_of(*asked[i], code.book, now);
            if (at) code.used = read_used(code.book, asked[i]->user_id, *at);
            code.used.uses = count_uses(code.book, code.code);
        }
        return found;
    }

    Used read_used(const Book& book, const std::string& user_id, Timestamp at) {
        Used used;
        for (const UsageNeed& need : usage_needs(book, "", at)) {
            const auto per = static_cast<std::int64_t>(need.key.per);
            const auto currency =
                need.currency ? std::optional(need.currency->code()) : std::nullopt;
            usage_of_book_.bind(book.id, per, need.since, currency).step();
            used.by_all[static_cast<std::size_t>(need.key.per)] =
                read_usage(usage_of_book_, need).now;
            usage_of_book_.reset();
        }
        for (const UsageNeed& need : usage_needs(book, user_id, at)) {
            const auto per = static_cast<std::int64_t>(need.key.per);
            if (!usage_of_user_.bind(book.id, user_id, per, need.since).step()) continue;
            used.by_user[static_cast<std::size_t>(need.key.per)] =
                read_usage(usage_of_user_, need).now;
            usage_of_user_.reset();
        }
        return used;
    }

    /// Those that are redeemed.
    std::int64_t count_uses(const Book& book, const Code& code) {
        if (!may_have_uses(book, code)) return 0;
        if (!uses_of_code_.bind(book.id, code.id).step()) return 0;
        const std::int64_t redeemed = read_uses(uses_of_code_).now.redeemed;
        uses_of_code_.reset();
        return redeemed;
    }

    BookPage read_page(const BookQuery& query) {
        BookPage page;
        std::size_t scanned = 0;
        books_.walk(query, [&](Book&& book, bool fits) {
            page.more = fits && page.books.size() == query.limit;
            if (page.more) return false;
            page.read_to = place_of(book);
            if (fits) page.books.emplace_back().book = std::move(book);
            page.more = ++scanned == limits::page_scan;
            return !page.more;
        });
        return page;
    }

    BookCounts read_counts(const Book& book, Timestamp now) {
        BookCounts counts;
        if (!counts_.bind(book.id).step()) throw corrupt("a book without its counts");
        counts.total = counts_.integer(0);
        counts.available = counts_.integer(1);
        counts.redeemed = counts_.integer(2);
        counts_.reset();
        locked_.bind(book.id, now);
        locked_.step();
        counts.locked = locked_.integer(0);
        locked_.reset();
        counts.assigned = counts.total - counts.available - counts.redeemed - counts.locked;
        return counts;
    }

    void add_codes(BookPage& page) {
        std::int64_t total = 0;
        for (const BookListing& listing : page.books) total += listing.counts.total;
        page.too_many_codes = total > static_cast<std::int64_t>(limits::page_codes);
        if (page.too_many_codes) return;
        for (BookListing& listing : page.books) {
            codes_.bind(listing.book.id);
            while (codes_.step()) listing.codes.push_back(read_code(codes_));
        }
    }

    Statistics read_statistics(const StatisticsQuery& query, Timestamp now) {
        Statistics statistics;
        const BookId book_id = query.book_id.value_or(all_books);
        statistics.book_found = figures_.bind(book_id).step();
        if (!statistics.book_found) return statistics;
        BookCounts& counts = statistics.counts;
        counts.total = figures_.integer(0);
        counts.available = figures_.integer(1);
        counts.redeemed = figures_.integer(2);
        statistics.ever_locked = figures_.integer(3);
        statistics.rolled_back = figures_.integer(4);
        statistics.discount_cents = figures_.integer(5);
        figures_.reset();
        Statement& locked = query.book_id ? locked_.bind(book_id, now) : all_locked_.bind(now);
        locked.step();
        counts.locked = locked.integer(0);
        locked.reset();
        counts.assigned = counts.total - counts.available - counts.redeemed - counts.locked;

        statistics.series.resize(query.bounds.size() - 1);
        const auto piece_of = [&](std::int64_t since) -> Statistics::Piece& {
            const auto next =
                std::upper_bound(query.bounds.begin(), query.bounds.end(), Timestamp{since});
            return statistics.series[static_cast<std::size_t>(next - query.bounds.begin()) - 1];
        };
        activity_.bind(book_id, query.bounds.front(), query.bounds.back());
        while (activity_.step()) {
            piece_of(activity_.integer(0)).activity += {activity_.integer(1),
                                                        activity_.integer(2),
                                                        activity_.integer(3),
                                                        activity_.integer(4),
                                                        activity_.integer(5),
                                                        activity_.integer(6),
                                                        {},
                                                        activity_.integer(7)};
        }
        discounts_.bind(book_id, all_times, Timestamp{all_times.ms + 1});
        while (discounts_.step()) {
            statistics.discounts[*read_currency(discounts_, 1)] = discounts_.integer(2);
        }
        discounts_.bind(book_id, query.bounds.front(), query.bounds.back());
        while (discounts_.step()) {
            piece_of(discounts_.integer(0))
                .activity.add_discount({discounts_.integer(2), read_currency(discounts_, 1)});
        }
        refusals_.bind(book_id, query.bounds.front(), query.bounds.back());
        while (refusals_.step()) {
            piece_of(refusals_.integer(0)).refused += refusals_.integer(2);
            statistics.refusals[std::string(refusals_.text(1))] += refusals_.integer(2);
        }
        return sound(std::move(statistics));
    }

    UserPage read_user(const UserQuery& query) {
        UserPage page;
        held_.bind(query.user_id, query.after, static_cast<std::int64_t>(query.limit) + 1);
        while (held_.step()) {
            if (page.codes.size() == query.limit) {
                page.more = true;
                held_.reset();
                break;
            }
            page.codes.push_back(read_code(held_));
        }
        for (const Code& code : page.codes) {
            auto redemption = find_redemption(code);
            if (redemption) page.redemptions.push_back(std::move(*redemption));
        }
        return page;
    }

    void read_redemptions(CodeHistory& found) {
        const Code& code = found.code;
        if (!book_.bind(code.book_id).step()) throw corrupt("a code without its book");
        const Book book = read_book(book_);
        book_.reset();
        found.redemption_count = count_uses(book, code) + (code.redeemed_at ? 1 : 0);
        std::vector<Code> redeemed;
        redeemed_uses_.bind(code.id, static_cast<std::int64_t>(limits::code_redemptions));
        while (redeemed_uses_.step()) redeemed.push_back(read_code(redeemed_uses_));
        redeemed.push_back(code);
        for (const Code& use : redeemed) {
            auto redemption = find_redemption(use);
            if (redemption) found.redemptions.push_back(std::move(*redemption));
        }
        std::ranges::sort(found.redemptions, {}, &Redemption::id);
    }

    std::optional<Redemption> find_redemption(const Code& code) {
        if (!code.redeemed_at || !redemption_.bind(code.last_entry).step()) return std::nullopt;
        Redemption redemption = read_redemption(redemption_);
        redemption_.reset();
        return redemption;
    }

    JobPage read_jobs(const JobQuery& query) {
        const auto limit = static_cast<std::int64_t>(query.limit);
        const JobId before = query.before.value_or(INT64_MAX);
        const auto status =
            query.status ? std::optional(static_cast<std::int64_t>(*query.status)) : std::nullopt;
        const auto scan = status ? static_cast<std::int64_t>(limits::page_scan) : limit + 1;
        Statement& scanned = query.book_id ? scanned_jobs_of_book_ : scanned_jobs_;
        scanned.bind_all(before, scan, status, limit + 1, query.book_id).step();
        const auto scanned_to = scanned.optional_integer(0);
        const bool scanned_all = scanned.integer(1) < scan;
        scanned.reset();
        JobPage page;
        page.read_to = query.before.value_or(0);
        if (!scanned_to) return page;
        Statement& select = query.book_id ? jobs_of_book_ : jobs_;
        select.bind_all(before, *scanned_to, status, limit + 1, query.book_id);
        while (select.step()) {
            if (page.jobs.size() == query.limit) {
                page.more = true;
                select.reset();
                return page;
            }
            page.jobs.push_back(read_job(select));
            page.read_to = page.jobs.back().id;
        }
        page.read_to = *scanned_to;
        page.more = !scanned_all;
        return page;
    }

    EntryPage read_entries(const EntryQuery& query) {
        const auto limit = static_cast<std::int64_t>(query.limit);
        const auto type =
            query.type ? std::optional(static_cast<std::int64_t>(*query.type)) : std::nullopt;
        const bool sifted = query.book_id || type;
        const auto scan = sifted ? static_cast<std::int64_t>(limits::page_scan) : limit + 1;
        EntryPage page{{}, query.after, false};
        EntryId scanned_to = query.after;
        bool scanned_all = true;
        if (!query.code) {
            scanned_.bind(query.after, scan).step();
            scanned_to = scanned_.optional_integer(0).value_or(query.after);
            scanned_all = scanned_.integer(1) < scan;
            scanned_.reset();
        }
        Statement& select = query.code ? code_entries_ : entries_;
        if (query.code) {
            select.bind(query.after, query.book_id, type, limit + 1, *query.code);
        } else {
            select.bind(query.after, query.book_id, type, limit + 1, scanned_to);
        }
        while (select.step()) {
            if (page.entries.size() == query.limit) {
                page.more = true;
                select.reset();
                return page;
            }
            page.entries.push_back(read_entry(select));
            page.read_to = page.entries.back().entry.id;
        }
        if (query.code) return page;
        page.read_to = scanned_to;
        page.more = !scanned_all;
        return page;
    }

    Connection connection_;
    BookWalk books_{connection_};
    CodePages code_pages_{connection_};
    Statement spelled_{connection_, COUPOND_SPELLED};
    Statement counts_{connection_,
                      "SELECT total, available, redeemed FROM book_count WHERE book_id = ?"};
    Statement locked_{connection_,
                      "SELECT coalesce(sum(codes), 0) FROM lock_count "
                      "WHERE book_id = ? AND locked_until > ?"};
    Statement all_locked_{connection_,
                          "SELECT coalesce(sum(codes), 0) FROM lock_count WHERE locked_until > ?"};
    Statement figures_{
        connection_,
        "SELECT total, available, redeemed, ever_locked, rolled_back, discount_cents "
        "FROM book_count WHERE book_id = ?"};
    Statement activity_{connection_,
                        "SELECT since, uploaded, assigned, locked, redeemed, rolled_back, "
                        "discount_cents, generated FROM activity_count "
                        "WHERE book_id = ? AND since >= ? AND since < ?"};
    Statement discounts_{connection_,
                         "SELECT since, currency, amount FROM discount_count "
                         "WHERE book_id = ? AND since >= ? AND since < ?"};
    Statement refusals_{connection_,
                        "SELECT since, reason, refused FROM refusal_count "
                        "WHERE book_id = ? AND since >= ? AND since < ?"};
    Statement book_ids_{connection_, "SELECT id FROM coupon_book ORDER BY id"};
    Statement codes_{connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                                  " WHERE " COUPOND_OF_BOOK " ORDER BY code.id"};
    Statement book_{connection_,
                    "SELECT " COUPOND_BOOK_COLUMNS " FROM coupon_book AS book WHERE id = ?"};
    Statement usage_of_user_{connection_, COUPOND_USAGE_OF_USER};
    Statement usage_of_book_{connection_, COUPOND_USAGE_OF_BOOK};
    Statement uses_of_code_{connection_, COUPOND_USES_OF_CODE};
    Statement redeemed_uses_{connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                                          " WHERE code.use_of = ? AND code.redeemed_at IS NOT NULL "
                                          "ORDER BY code.redeemed_at DESC, code.id DESC LIMIT ?"};
    Statement held_{connection_,
                    "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                    " WHERE code.assigned_to = (SELECT number FROM coupon_user WHERE user_id = ?) "
                    "AND code.id > ? AND (code.use_of IS NULL OR code.redeemed_at IS NOT NULL) "
                    "ORDER BY code.id LIMIT ?"};
    Statement code_{connection_,
                    "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES " WHERE code.code = ?"};
    Statement entries_{connection_,
                       "SELECT " COUPOND_ENTRY_COLUMNS " FROM ledger AS entry" COUPOND_ENTRY_JOINS
                       "WHERE entry.id > ?1 AND entry.id <= ?5 "
                       "AND entry.book_id = coalesce(?2, entry.book_id) "
                       "AND entry.type = coalesce(?3, entry.type) ORDER BY entry.id LIMIT ?4"};
    // Behind it its settings may have been changed, or some of the discount given back.
    Statement redemption_{
        connection_,
        "WITH RECURSIVE change (id, type, previous_id) AS (SELECT id, type, previous_id "
        "FROM ledger WHERE id = ? UNION ALL SELECT before.id, before.type, before.previous_id "
        "FROM change JOIN ledger AS before ON before.id = change.previous_id "
        "WHERE change.type IN (10, 14)) SELECT " COUPOND_REDEMPTION_COLUMNS
        " FROM change JOIN ledger AS entry ON entry.id = change.id" COUPOND_REDEMPTION_JOINS
        "WHERE change.type = 5"};
    Statement scanned_{connection_,
                       "SELECT max(id), count(*) FROM "
                       "(SELECT id FROM ledger WHERE id > ? ORDER BY id LIMIT ?)"};
    Statement last_{connection_, "SELECT coalesce(max(id), 0) FROM ledger"};
    // From the code's last change back to its upload, and those of its uses.
    Statement code_entries_{
        connection_,
        "WITH RECURSIVE chain (id) AS (SELECT last_entry_id FROM coupon_code WHERE code = ?5 "
        "UNION ALL SELECT previous_id FROM chain JOIN ledger USING (id) "
        "WHERE previous_id IS NOT NULL) "
        "SELECT " COUPOND_ENTRY_COLUMNS
        " FROM (SELECT id FROM chain UNION ALL SELECT id FROM (SELECT id FROM ledger "
        "WHERE use_of = (SELECT id FROM coupon_code WHERE code = ?5) AND id > ?1 "
        "AND book_id = coalesce(?2, book_id) AND type = coalesce(?3, type) "
        "ORDER BY id LIMIT ?4)) AS chain JOIN ledger AS entry ON entry.id = "
        "chain.id" COUPOND_ENTRY_JOINS
        "WHERE entry.id > ?1 AND entry.book_id = coalesce(?2, entry.book_id) "
        "AND entry.type = coalesce(?3, entry.type) ORDER BY entry.id LIMIT ?4"};
    Statement generator_{
        connection_,
        "SELECT " COUPOND_BOOK_COLUMNS ", " COUPOND_GENERATOR_COLUMNS
        " FROM coupon_book AS book LEFT JOIN code_generator AS generator "
        "ON generator.book_id = book.id AND generator.code_pattern = book.code_pattern "
        "WHERE book.id = ?"};
    Statement job_{connection_, "SELECT " COUPOND_JOB_COLUMNS " FROM job WHERE id = ?"};
    Statement jobs_{connection_, COUPOND_LISTED_JOBS("")};
    Statement jobs_of_book_{connection_, COUPOND_LISTED_JOBS(COUPOND_JOBS_OF_BOOK)};
    Statement scanned_jobs_{connection_, COUPOND_SCANNED_JOBS("")};
    Statement scanned_jobs_of_book_{connection_, COUPOND_SCANNED_JOBS(COUPOND_JOBS_OF_BOOK)};
    // ?1: who asks, ?2: now.
    Statement next_job_{
        connection_,
        "SELECT " COUPOND_JOB_COLUMNS ", " COUPOND_GENERATOR_COLUMNS
        " FROM job LEFT JOIN code_generator AS generator "
        "ON generator.book_id = job.book_id AND generator.code_pattern = job.code_pattern "
        "WHERE job.status < 2 AND NOT (job.worker IS NOT ?1 "
        "AND coalesce(job.claimed_until, 0) > ?2 AND job.claimed_until <= ?3) AND (job.details IS "
        "NOT NULL OR job.book_id NOT IN (SELECT "
        "book_id FROM job WHERE status < 2 AND details IS NULL AND worker IS NOT ?1 "
        "AND claimed_until > ?2 AND claimed_until <= ?3)) AND job.id > ?4 "
        "ORDER BY job.id LIMIT 1"};
    Statement low_{
        connection_,
        "SELECT " COUPOND_BOOK_COLUMNS
        ", available - kept_back FROM coupon_book AS book "
        "JOIN book_count ON book_count.book_id = book.id WHERE " COUPOND_MAY_RUN_LOW
        " AND NOT EXISTS (SELECT 1 FROM job WHERE job.book_id = book.id AND details IS NULL "
        "AND (status < 2 OR (status = 3 AND job.created_at >= book.updated_at))) "
        "ORDER BY book.id"};
    Statement next_code_{connection_,
                         "SELECT code FROM coupon_code WHERE code >= ? ORDER BY code LIMIT 1"};
    Statement parts_{connection_,
                     "SELECT bytes FROM file_part WHERE job_id = ?1 AND number >= ?2 "
                     "AND number < ?2 + ?3 ORDER BY number"};
    Statement ended_file_{connection_,
                          "SELECT job_id FROM file_part JOIN job ON job.id = job_id "
                          "WHERE number = 0 AND status >= 2 LIMIT 1"};
    Statement rejected_{connection_,
                        "SELECT line, reason, text FROM rejected_row WHERE job_id = ? "
                        "AND line > ? ORDER BY line LIMIT ?"};
    Health health_{log::side_lists};
};

}  // namespace

std::unique_ptr<ReadStore> make_read_store(const std::string& path, int cache_kib) {
    return std::make_unique<SqliteReadStore>(path, cache_kib);
}

}  // namespace coupond::sqlite
