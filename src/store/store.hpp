// The port to a database. An adapter loads, saves and is atomic; it holds no rule.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "base/limits.hpp"
#include "domain/domain.hpp"
#include "domain/use_text.hpp"
#include "domain/validate.hpp"
#include "domain/verify.hpp"

namespace coupond {

/// The writing side. Used by one thread at a time, the engine's lane, but for is_settled() and
/// settle(), which any thread may call. Every call may block on I/O, but ends within
/// limits::database_wait_ms (a save of many rows takes longer by what they cost).
class Store {
public:
    virtual ~Store() = default;

    /// The rows that `needs` names, as one consistent snapshot. Rows that do not exist are left
    /// out. Failures: conflict (the connection was lost, or the like: load again), unavailable.
    virtual Result<World> load(const Needs& needs) = 0;

    /// Applies `delta`, which was decided on what the last `load` returned, in one transaction and
    /// returns after others can see it: it is durable once settle() has been there. Changes a row
    /// only if it is still as it was loaded, and adds a code only if there is none of its text, nor
    /// of its spelling where it has one (CodeRow::folded): else that is a conflict. To be called
    /// with an empty delta as well, which lets go of what the load may have kept open. Failures:
    /// conflict, refused, unavailable (nothing was changed), indeterminate.
    virtual Result<void> save(const Delta& delta) = 0;

    /// How many commands it does best with in one transaction.
    virtual std::size_t best_batch() const { return limits::batch_commands; }

    /// Whether all that can be seen of the database is durable.
    virtual bool is_settled() const { return true; }

    /// Returns when all is durable that could be seen of the database before. Nobody outside is
    /// told of anything before that.
    virtual void settle() {}

    /// Whether the database takes changes. Failures: unavailable.
    virtual Result<void> ping() = 0;
};

/// A book with what the lists show of it.
struct BookListing {
    Book book;
    BookCounts counts;
    std::vector<Code> codes;  ///< by id; only where asked for
};

/// Where a book stands in a list: what the orders go by.
struct BookPlace {
    BookId id = 0;
    std::string name;
    Timestamp created_at;

    bool operator==(const BookPlace&) const = default;
};

/// Which books a list shows, in which order.
struct BookQuery {
    enum class Sort { id, name, created };

    Sort sort = Sort::id;     ///< names by their bytes; what is equal, by id
    bool descending = false;  ///< the whole order the other way round
    std::optional<BookPlace> after =
        {};  ///< those behind it; of it only the id and what `sort` says
    std::size_t limit = 0;
    bool with_codes = false;
    std::optional<std::string> name = {};  ///< what their names contain, A to Z in either case
};

struct BookPage {
    std::vector<BookListing> books;  ///< in the order asked for
    BookPlace read_to;               ///< from here the next page goes on, where there are more
    /// The page has ended at its limit and there are others; or at limits::page_scan books looked
    /// at, and there may be.
    bool more = false;
    bool too_many_codes =
        false;  ///< codes were asked for, and these books hold more than page_codes: left out
};

/// Which entries of the ledger a list shows.
struct EntryQuery {
    EntryId after = 0;  ///< those with greater ids
    std::size_t limit = 0;
    std::optional<BookId> book_id;
    std::optional<std::string> code;  ///< what became of it, from its upload on
    std::optional<LedgerEntry::Type> type;

    bool operator==(const EntryQuery&) const = default;
};

/// An entry with what it is about.
struct EntryListing {
    LedgerEntry entry;
    std::string code;  ///< of an entry about one code
};

struct EntryPage {
    std::vector<EntryListing> entries;  ///< by id
    EntryId read_to = 0;                ///< from here the next page goes on
    /// The page has ended at its limit, or at limits::page_scan entries looked at: there may be
    /// others.
    bool more = false;
};

/// A code and what became of it.
struct CodeHistory {
    Code code;
    EntryPage history;  ///< from its upload on, as list_entries() has it, but up to now
    std::int64_t redemption_count = 0;  ///< those that stand,
    /// and of them its own, and the last limits::code_redemptions of its uses; by id.
    std::vector<Redemption> redemptions;
};

/// Which codes of a book a list shows.
struct CodeQuery {
    /// A status; or held, which is assigned or locked.
    enum class Filter { all, free, assigned, locked, redeemed, held };

    BookId book_id = 0;
    CodeId after = 0;  ///< those with greater ids
    std::size_t limit = 0;
    Filter filter = Filter::all;
    std::optional<std::string> user_id = {};  ///< who holds them
    std::optional<std::string> prefix = {};   ///< what they begin with, to the letter
    /// Of a CodeSnapshot by code: those behind this code and its uses, in the order of bytes.
    std::optional<std::string> after_code = {};
};

/// How many codes are looked at for a page of them.
inline std::size_t scanned_for_page(const CodeQuery& query) {
    const bool sifted = query.filter != CodeQuery::Filter::all || query.user_id || query.prefix;
    return sifted ? limits::page_scan : query.limit + 1;
}

struct CodePage {
    bool book_found = false;
    std::vector<Code> codes;  ///< by id
    CodeId read_to = 0;       ///< from here the next page goes on
    /// The page has ended at its limit, or at limits::page_scan codes looked at: there may be
    /// others.
    bool more = false;
};

/// Which figures are asked for.
struct StatisticsQuery {
    std::optional<BookId> book_id;  ///< nothing: of all books together
    /// Whole activity periods: where the pieces of the series begin, ascending, and where the last
    /// one ends; two or more.
    std::vector<Timestamp> bounds;
};

struct Statistics {
    /// What happened in one piece of the series.
    struct Piece {
        Activity activity;
        std::int64_t refused = 0;
    };

    bool book_found = false;
    BookCounts counts;
    std::int64_t ever_locked = 0;  ///< codes that have had a lock
    std::int64_t rolled_back = 0;  ///< redemptions
    std::int64_t discount_cents = 0;
    std::map<Currency, std::int64_t> discounts;
    std::vector<Piece> series;
    std::map<std::string, std::int64_t> refusals;  ///< in all of it, by reason
};

/// Which codes of a user a list shows: those they hold, of all books.
struct UserQuery {
    std::string user_id;
    CodeId after = 0;  ///< those with greater ids
    std::size_t limit = 0;
};

struct UserPage {
    std::vector<Code> codes;              ///< by id
    std::vector<Redemption> redemptions;  ///< of those of `codes` that are redeemed, in their order
    bool more = false;                    ///< the user holds codes after the last one
};

/// A book and what its codes come from.
struct BookGenerator {
    Book book;
    std::optional<Generator> generator;  ///< of the book's pattern as it is; nothing: none yet
};

/// A job and what its codes come from.
struct JobGenerator {
    Job job;
    std::optional<Generator> generator;  ///< of the job's book and pattern; nothing: none yet
};

/// Which jobs a list shows.
struct JobQuery {
    std::optional<JobId> before = {};  ///< those with lower ids
    std::size_t limit = 0;
    std::optional<BookId> book_id = {};
    std::optional<Job::Status> status = {};
};

struct JobPage {
    std::vector<Job> jobs;  ///< by id, the last one first
    JobId read_to = 0;      ///< from here the next page goes on
    /// The page has ended at its limit, or at limits::page_scan jobs looked at: there may be
    /// others.
    bool more = false;
};

/// The reading side, on a connection of its own: sees what was committed before the call, never
/// waits for the lane. An object is used by one thread at a time.
class ReadStore {
public:
    virtual ~ReadStore() = default;

    /// The books that match, their counts as of `now`. Failures: unavailable.
    virtual Result<BookPage> list_books(const BookQuery& query, Timestamp now) = 0;

    /// The entries that match, of those before which none can come any more. Failures: unavailable.
    virtual Result<EntryPage> list_entries(const EntryQuery& query) = 0;

    /// The codes that match, by id, in their state at `now`. Failures: unavailable.
    virtual Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) = 0;

    /// The last entry of those before which none can come any more; 0 where there is none.
    /// Failures: unavailable.
    virtual Result<EntryId> last_entry() = 0;

    /// A code with up to `limit` entries of its history, of one moment; nothing where there is no
    /// such code. Failures: unavailable.
    virtual Result<std::optional<CodeHistory>> find_code(const std::string& code,
                                                         std::size_t limit) = 0;

    /// Figures of one moment, codes locked as of `now`. Read from counters: takes no longer for
    /// more codes. Failures: unavailable.
    virtual Result<Statistics> load_statistics(const StatisticsQuery& query, Timestamp now) = 0;

    /// The ids of all books, ascending. Failures: unavailable.
    virtual Result<std::vector<BookId>> book_ids() = 0;

    /// What a user holds; nothing where there is no such user. Failures: unavailable.
    virtual Result<UserPage> find_user(const UserQuery& query) = 0;

    /// Codes with what it depends on whether users may redeem them, in the order asked, of one
    /// moment; nothing for a code that is not there. Locks are left out. Failures: unavailable.
    virtual Result<std::vector<std::optional<CodeForUser>>> find_codes(
        std::span<const ValidateCode* const> asked, Timestamp now) = 0;

    /// Nothing where there is no such book. Failures: unavailable.
    virtual Result<std::optional<BookGenerator>> find_generator(BookId id) = 0;

    /// Nothing where there is no such job. Failures: unavailable.
    virtual Result<std::optional<Job>> find_job(JobId id) = 0;

    /// The jobs that match. Failures: unavailable.
    virtual Result<JobPage> list_jobs(const JobQuery& query) = 0;

    /// The job to work on next, as `worker`: of those that are not finished, that nobody else has
    /// claimed at `now` (Job::is_claimed), and of whose books nobody else has claimed another one,
    /// the first with an id beyond `after`. Nothing where there is none. Failures: unavailable.
    virtual Result<std::optional<JobGenerator>> next_job(const std::string& worker, Timestamp now,
                                                         JobId after) = 0;

    /// The books that are to have more codes made by themselves (BookSettings::auto_generate), with
    /// no job that makes any, nor one that has failed since the book was changed last. By id.
    /// Failures: unavailable.
    virtual Result<std::vector<BookId>> books_running_low() = 0;

    /// Of each text whether there is such a code; or, where `folds`, one that is found by it.
    /// Failures: unavailable.
    virtual Result<std::vector<bool>> exist(std::span<const std::string> codes, bool folds) = 0;

    /// The parts of a job's file from number `first` on, up to `count`. Failures: unavailable.
    virtual Result<std::vector<std::string>> read_file(JobId id, std::int64_t first,
                                                       std::int64_t count) = 0;

    /// A job that has ended while there are parts of its file. Failures: unavailable.
    virtual Result<std::optional<JobId>> ended_file() = 0;

    /// What was kept of a job's rejected rows in lines beyond `after`, by line, up to `limit`.
    /// Failures: unavailable.
    virtual Result<std::vector<RejectedRow>> rejected_rows(JobId id, std::int64_t after,
                                                           std::size_t limit) = 0;

    /// Whether the database answers. Failures: unavailable.
    virtual Result<void> ping() = 0;
};

/// Whether what is being read is still wanted.
using Wanted = std::function<bool()>;

/// All codes of a book that match, as they were when they were first looked for. As long as it
/// lives, the database keeps what it has seen. Where a function has failed, so do all others. An
/// object is used by one thread at a time.
class CodeSnapshot {
public:
    virtual ~CodeSnapshot() = default;

    enum class Pass {
        by_code,        ///< by the bytes of their texts, however they came in
        with_settings,  ///< those of which clients have set something, and some others; as they lie
    };

    /// Begins a pass through the codes that match `query`, whose `after` has no meaning, in their
    /// state at `now`. False where there is no such book. Failures: unavailable.
    virtual Result<bool> begin(const CodeQuery& query, Pass pass, Timestamp now) = 0;

    /// The next ones, up to the query's `limit`, as lists show them; none behind the last one. May
    /// take long, for what has no index is sorted first; but not when it is no longer wanted.
    /// Failures: unavailable, also where it is not wanted.
    virtual Result<std::vector<Code>> next() = 0;
};

/// Moves entries out of the ledger, beside whoever changes the database. Every function may block
/// on I/O and throws OpenError.
class LedgerRetention {
public:
    virtual ~LedgerRetention() = default;

    /// Those of `ids` that nothing in the database rests on, in their order: of one code, neither
    /// its last change, nor a redemption or what takes back of one, nor a change behind the
    /// redemption that stands, nor the lock elsewhere that its row notes. It stays so.
    virtual std::vector<EntryId> superseded(std::span<const EntryId> ids) = 0;

    /// Removes entries that superseded() has named, in one transaction, which keeps the sums of
    /// what they told for verify(). Returns how many were still there.
    virtual std::int64_t remove(std::span<const EntryId> ids) = 0;
};

/// Why a database cannot be used; `what()` is a sentence for the person who started coupond.
class OpenError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// It cannot be reached now: trying again later may help.
class Unreachable : public OpenError {
public:
    using OpenError::OpenError;
};

/// A step of the schema. Step N brings it from version N-1 to N.
struct Migration {
    const char* title;
    const char* sql;
};

/// A database with coupond's schema. Make stores from it while it lives; end them before it.
class Database {
public:
    virtual ~Database() = default;

    /// Which database it is, for messages; without secrets.
    virtual std::string name() const = 0;

    /// All steps that this program knows, in order.
    virtual const std::vector<Migration>& migrations() const = 0;

    /// What version the schema has; 0: no schema yet; beyond `migrations().size()`: a newer program
    /// made it. Throws OpenError.
    virtual int schema_version() = 0;

    /// The SQL by which migrate() takes the schema from `version` to the next: the migration's, and
    /// what notes that it was run. Where a transaction is not a part of it, it needs one around it.
    virtual std::string step_sql(int version) const = 0;

    /// Brings the schema to the latest version, each migration in a transaction of its own, and
    /// returns how many were run; several processes at once run each once. Throws OpenError, also
    /// where the schema is a newer program's.
    virtual int migrate() = 0;

    /// All need the latest schema. Throw OpenError, but not Unreachable: they reach for the
    /// database when they are used.
    virtual std::unique_ptr<Store> open_store() = 0;
    virtual std::unique_ptr<ReadStore> open_read_store() = 0;
    /// The same, of the server that takes changes: it is never behind what was saved.
    virtual std::unique_ptr<ReadStore> open_current_read_store() = 0;
    /// `wanted` is asked by whoever uses it, before and while it reads.
    virtual std::unique_ptr<CodeSnapshot> open_code_snapshot(Wanted wanted) = 0;

    /// Needs the latest schema. Throws OpenError.
    virtual std::unique_ptr<LedgerRetention> open_ledger_retention() = 0;

    /// All that is there now, beside whoever changes it; nothing is changed. Needs the latest
    /// schema. It, and its functions and streams, throw OpenError.
    virtual std::unique_ptr<Snapshot> open_snapshot() = 0;

protected:
    Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
};

}  // namespace coupond
