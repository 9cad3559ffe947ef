// The rules of coupond, all of them and nothing else: no I/O, no clock, no randomness.
//
//     needs(submissions) → the rows they touch → a store loads them → World
//     decide(World, submissions, now) → what to answer, and the Delta that a store saves
//
// The shape follows TigerBeetle's state machine: load, decide, save; in each rule the refusals
// first, then a point from which nothing fails.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "domain/code_pattern.hpp"
#include "domain/command.hpp"
#include "domain/remember.hpp"
#include "domain/types.hpp"
#include "domain/usage.hpp"

namespace coupond {

/// Where a free code may come from: one book, or any (nothing).
using PoolScope = std::optional<BookId>;

/// What a batch of commands touches. Views point into the commands. May name a row twice.
struct Needs {
    /// A code, with its book; and, where `user` locks, unlocks or redeems it, all that is counted
    /// of that book, and of them there. Where there may be uses of it: how many, and the one of
    /// `user` that is not redeemed.
    struct CodeNeed {
        std::string_view code;
        std::string_view user = {};  ///< empty: whoever holds it
        bool uses = false;
    };

    /// Of a code, if it is redeemed: its redemptions for an order.
    struct OrderNeed {
        std::string_view code;
        std::string_view order_id;
    };

    /// What a user holds, if that is limited, of the book of a code, or of a book; or, where there
    /// is neither, of all books with free codes in the pool of any book.
    struct HoldingNeed {
        std::string_view user_id;
        std::string_view code = {};
        std::optional<BookId> book_id = {};
    };

    std::vector<CodeNeed> codes;
    std::vector<HoldingNeed> holdings;
    std::vector<OrderNeed> orders;     ///< of codes that are needed as well
    std::vector<EntryId> redemptions;  ///< with their codes, and how often who redeemed them has
    std::vector<std::string_view> new_codes;  ///< of uploads: which of them exist already
    std::vector<std::string_view> keys;       ///< idempotency keys
    std::vector<std::string_view> erased;     ///< users, with up to limits::erased_codes of theirs
    std::vector<BookId> books;
    /// Nobody else decides anything between this load and its save. For what is rare and everybody
    /// goes by: what books are like; and, where locks are kept outside the store, what takes_locks.
    bool alone = false;
    std::vector<BookId> generators;  ///< of these books, for all their patterns
    std::vector<JobId> jobs;
    std::vector<BookId> makers;  ///< books: how many codes jobs have still to make for them
    bool adds_codes = false;     ///< whether somebody else may not meanwhile
    std::size_t job_ids = 0;     ///< how many new ids to set aside
    bool takes_locks = false;    ///< from who has them, or what they rest on
    bool counts_locks = false;   ///< how many there are, where else `at most` would do
    bool only_book = false;      ///< whether there is exactly one book, and it
    std::map<PoolScope, std::size_t> pools;  ///< how many free codes, at random
    std::size_t book_ids = 0;                ///< how many new ids to set aside
    std::size_t code_ids = 0;
    Timestamp at;  ///< about when it will be decided: free codes are of books open then
};

/// What `submissions`, to be decided at about `at`, touch. `pool_factor` multiplies the free codes
/// asked for, after a Decision::shortage. `trusting`: leaves out of Needs::new_codes the codes of
/// commands that expect them to be new. Where one is there all the same, saving what was decided
/// ends in a conflict (Store::save), and needs() is to be asked again, not trusting.
Needs needs(std::span<const Submission* const> submissions, Timestamp at,
            std::size_t pool_factor = 1, bool trusting = false);

/// Whether codes of `book` may be given away at `at`.
bool gives_codes(const Book& book, Timestamp at);

/// A lock that counts for the limits of its code's book, for as long as it lives.
struct CountedLock {
    std::string user_id;
    Timestamp until;
    std::optional<Money> worth = {};  ///< of the redemption, where that was known

    friend bool operator==(const CountedLock&, const CountedLock&) = default;
};

/// A code in the World.
struct CodeRow {
    Code code;
    EntryId loaded_entry = 0;       ///< `code.last_entry` as it was loaded
    bool loaded_kept_back = false;  ///< whether it was free and kept back
    // What commands of this batch have done to it.
    bool is_new = false;  ///< made it
    /// Where that is so, and it is found however it is spelled: what all spellings have in common.
    std::string folded = {};
    /// Where it is new: its place, from 0 up to 1, in the order in which free codes are given away;
    /// nothing: anywhere.
    std::optional<double> order = {};
    bool changed = false;   ///< changed it in some way
    bool assigned = false;  ///< given it to a user
    /// Changed its settings, or taken it from its holder; or found that, free as it is, it cannot
    /// be given away any more. All that can change of it is to be saved.
    bool rewritten = false;
    bool unassigned = false;  ///< taken it from whoever held it
    bool redeemed = false;
    bool rolled_back = false;    ///< taken back a redemption of it, or some of one
    bool lock_changed = false;   ///< taken, replaced or released its lock
    bool lock_extended = false;  ///< made the lock it had last longer, nothing else
    bool first_locked = false;   ///< given it the first lock that it has had
    bool lock_ended = false;     ///< let its lock end before its time
    /// Of a code that is used in a book that counts_redemptions(); once it is redeemed, of no use.
    std::optional<CountedLock> counted_lock = {};
    bool counted_lock_changed = false;
    /// Where locks are kept outside the store: the end of the one that the row has all the same,
    /// from a time when they were kept there.
    std::optional<Timestamp> stored_lock = {};
};

/// What came of a request with an idempotency key.
struct Remembered {
    Digest fingerprint{};  ///< of the request
    Timestamp decided_at;
    std::string request_id;
    std::string outcome;  ///< as remember() has written it
};

/// Free codes to give away, in the order to give them.
struct Pool {
    std::vector<CodeRow*> codes;
    std::size_t given = 0;  ///< those before this place are used up
    bool complete = false;  ///< `codes` are all the free codes there are in the scope
};

/// The rows that a batch touches: filled by a store, worked on by `decide`. Rows stay where they
/// are.
class World {
public:
    World() = default;
    World(World&&) = default;
    World& operator=(World&&) = default;

    /// Adds a row that is not there yet.
    CodeRow& add(Code code);

    /// The row of a code, or null. Not of a use of one. Where there is none of that text, the one
    /// of another spelling of it, if that is in `spellings`, or the row is new.
    CodeRow* find(std::string_view code);

    /// Whether there is a row of exactly that code; or a new one with that CodeRow::folded.
    bool contains(std::string_view code) const { return by_code_.contains(code); }
    bool contains_spelling(const std::string& spelling) const {
        return new_spellings_.contains(spelling);
    }

    /// Has find() find a row, which is new, by CodeRow::folded.
    void add_spellings(CodeRow& row);

    /// The row of a use, by its own id, or null.
    CodeRow* find_use(CodeId id);

    Book* find_book(BookId id);

    /// Adds one that stands, or was rolled back; not one that is there already.
    void add(Redemption redemption);

    /// Of Needs::redemptions, or made by this batch for an order; or null.
    Redemption* find_redemption(EntryId id);

    /// The one that a user has made of a code, or by a use of it, for an order, and that stands; or
    /// null.
    const Redemption* find_redemption(CodeId code_id, std::string_view order_id,
                                      std::string_view user_id);

    /// What is counted of a book or a user there.
    struct UsageRow {
        std::optional<Usage> loaded;  ///< the row as it was; nothing: there was none
        /// What a store may tell by that it has been another one in between.
        std::optional<std::int64_t> loaded_version = {};
        Usage now;
        bool changed = false;        ///< by this batch
        bool locks_counted = false;  ///< there are just so many locks as `now` has
    };

    /// What a user holds of a book that limits it.
    struct Holding {
        std::int64_t codes = 0;
        CodeRow* first = nullptr;  ///< of those codes, the one with the lowest id
    };

    std::unordered_map<BookId, Book> books;  ///< with that of each code but of an erased user's
    std::optional<BookId> only_book;         ///< where Needs::only_book, and there is exactly one
    std::size_t book_count = 0;              ///< where Needs::only_book: 0, 1 or, for more, 2
    std::unordered_set<std::string_view> existing_codes;  ///< of Needs::new_codes; views into Needs
    std::unordered_set<std::string_view> existing_spellings;  ///< those that are found by another
    /// Of texts that no code has: those that they are spellings of. A load names those of
    /// Needs::codes, without their rows; who then loads these rows leaves it to find().
    std::map<std::string, std::string, std::less<>> spellings;
    /// Of usage_needs() at Needs::at, of each who uses a code, and of its book, with how many locks
    /// count at that time where Needs::counts_locks, or may_be_locked_up(), or that was not kept;
    /// and uses_need() of codes that may have uses, with how many are locked at that time where
    /// is_nearly_used_up().
    std::map<UsageKey, UsageRow> usages;
    /// Of those codes and Needs::CodeNeed::user: the use that is not redeemed, of several the one
    /// that is locked longest; null where there is none.
    std::map<std::pair<CodeId, std::string>, CodeRow*> unredeemed_uses;
    std::map<std::pair<BookId, std::string>, Holding> holdings;  ///< of Needs::holdings
    /// Of those users: what a store may tell by that they have been given something of a limited
    /// book since; nothing: there was no such user.
    std::map<std::string, std::optional<std::int64_t>> holder_versions;
    std::map<PoolScope, Pool> pools;
    /// Of Needs::erased, those who are there: the last of their codes that are not redeemed.
    std::unordered_map<std::string, std::vector<CodeRow*>> users;
    std::unordered_map<std::string, Remembered> remembered;  ///< of Needs::keys
    struct GeneratorRow {
        std::optional<Generator> loaded;  ///< the row as it was; nothing: there was none
        Generator now;
        bool changed = false;  ///< by this batch
    };
    std::map<std::pair<BookId, std::string>, GeneratorRow> generators;  ///< by book and pattern

    struct JobRow {
        Job job;
        std::int64_t loaded_version = 0;  ///< `job.version` as it was loaded
        bool is_new = false;              ///< this batch made it
    };
    std::map<JobId, JobRow> jobs;
    /// Of Needs::makers those for which there are jobs that make codes: how many these have still
    /// to make, by book and pattern.
    std::map<std::pair<BookId, std::string>, std::int64_t> being_made;
    std::size_t unfinished_jobs = 0;  ///< where Needs::job_ids; up to limits::unfinished_jobs
    /// Where Needs::adds_codes: the job that alone may add codes, if there is one.
    std::optional<JobId> adds_alone;
    JobId next_job_id = 0;      ///< the first of Needs::job_ids consecutive free ids
    BookId next_book_id = 0;    ///< the first of Needs::book_ids consecutive free ids
    CodeId next_code_id = 0;    ///< the first of Needs::code_ids consecutive free ids
    EntryId next_entry_id = 0;  ///< the first of limits::batch_entries consecutive free ids
    /// Somebody may have been alone (Needs::alone) since the load before this one: what has been
    /// read elsewhere in between may be no longer so.
    bool others_were_alone = false;

private:
    std::deque<CodeRow> rows_;
    std::unordered_map<std::string_view, CodeRow*> by_code_;  ///< keys are views into rows_
    std::unordered_map<std::string, CodeRow*> new_spellings_;
    std::unordered_map<CodeId, CodeRow*> uses_;
    std::unordered_map<EntryId, Redemption> redemptions_;
    std::unordered_multimap<CodeId, EntryId> redemptions_of_codes_;
};

/// Whether locks were counted with it: it is of the time, and in the currency, that is asked for.
bool is_of_that_time(const World::UsageRow& usage);

/// Whether a store has to count the locks of what `key` is about; else what it kept will do.
bool must_count_locks(const Book& book, const UsageKey& key, const World::UsageRow& usage,
                      bool asked);

/// What a batch changes. Points into the World it was decided on.
struct Delta {
    struct Counts {
        std::int64_t total = 0;
        std::int64_t available = 0;
        std::int64_t redeemed = 0;
        std::int64_t ever_locked = 0;
        std::int64_t kept_back = 0;    ///< free codes that are
        std::int64_t rolled_back = 0;  ///< redemptions
        std::int64_t discount_cents = 0;

        Counts& operator+=(const Counts& other) {
            total += other.total;
            available += other.available;
            redeemed += other.redeemed;
            ever_locked += other.ever_locked;
            kept_back += other.kept_back;
            rolled_back += other.rolled_back;
            discount_cents += other.discount_cents;
            return *this;
        }
    };
    struct UsageChange {
        const UsageKey* key = nullptr;
        std::optional<Usage> loaded;  ///< what it must still be; nothing: there must be no row yet
        std::optional<std::int64_t> loaded_version;  ///< as World has it
        Usage now;
    };
    /// What stands of the redemptions made in a period.
    struct Standing {
        std::int64_t redemptions = 0;
        std::map<Currency, std::int64_t> discounts;  ///< what of them was not given back
    };

    Timestamp at;
    struct BookChange {
        const Book* book = nullptr;  ///< in the state to store
        EntryId loaded_entry = 0;    ///< its last one as it was loaded
    };

    std::vector<const Book*> new_books;  ///< by id
    std::vector<BookChange> changed_books;
    struct GeneratorChange {
        BookId book_id = 0;
        std::string_view code_pattern;
        std::optional<Generator> loaded;  ///< what it must still be; nothing: there must be no row
        Generator now;
    };
    std::vector<GeneratorChange> generators;  ///< by book and pattern
    std::vector<const World::JobRow*> jobs;   ///< new or changed; by id, in the state to store
    struct FilePart {
        JobId job_id = 0;
        std::int64_t number = 0;  ///< from 0
        std::string_view bytes;   ///< of the command
    };
    std::vector<FilePart> file_parts;  ///< to be added
    struct Rejection {
        JobId job_id = 0;
        RejectedRow row;
    };
    std::vector<Rejection> rejections;    ///< to be added
    std::vector<JobId> parts_to_remove;   ///< the last parts of each's file: limits::parts_removed
    std::vector<CodeRow*> new_codes;      ///< by id, in the state to store
    std::vector<CodeRow*> changed_codes;  ///< in the state to store; loaded as of `loaded_entry`
    /// Codes that were refused for what was read of others, in a store that reads one after the
    /// other: they must still be as they were loaded. May be among those above.
    std::vector<const CodeRow*> relied_on;
    /// Who was given codes of books that limit how many a user holds: nobody else may have given
    /// them any of such a book since World::holder_versions were loaded. Point into the World.
    std::vector<const std::pair<const std::string, std::optional<std::int64_t>>*> holders;
    /// Where locks are kept outside the store: codes that never had one before. Their rows note
    /// `at`, as if a lock had ended then, and must not have had one; in no other way are they
    /// changed. One that another process has redeemed meanwhile, under this lock, notes nothing
    /// and is in `ever_locked` already: the store does not count it there again.
    std::vector<CodeId> first_locks;
    std::vector<LedgerEntry> entries;           ///< by id
    std::vector<UsageChange> usages;            ///< by key
    std::vector<const CodeRow*> counted_locks;  ///< whose CodeRow::counted_lock has changed
    std::map<std::pair<BookId, Timestamp>, Standing> standing;  ///< to be added; by period
    struct Erasure {
        std::string user_id;    ///< there must still be somebody of that id,
        std::string erased_id;  ///< who has this one from then on
    };
    std::vector<Erasure> erasures;
    struct Memory {
        std::string key;
        Remembered remembered;
    };
    /// To be kept for limits::idempotency_hours; one of that key that is there must be older.
    std::vector<Memory> memories;
    std::map<BookId, Counts> counts;      ///< to be added; with all_books
    std::map<BookId, Activity> activity;  ///< to be added in the period of `at`; with all_books
    std::map<std::pair<BookId, Refusal>, std::int64_t> refusals;  ///< the same
    std::map<std::pair<BookId, Timestamp>, std::int64_t>
        locks;  ///< to be added: codes locked until then

    bool empty() const {
        return new_books.empty() && changed_books.empty() && new_codes.empty() &&
               generators.empty() && jobs.empty() && file_parts.empty() && rejections.empty() &&
               parts_to_remove.empty() && changed_codes.empty() && entries.empty() &&
               memories.empty() && erasures.empty() && usages.empty() && counted_locks.empty() &&
               standing.empty() && counts.empty() && locks.empty() && activity.empty() &&
               refusals.empty();
    }
};

struct Decision {
    std::vector<Outcome> outcomes;  ///< one a command, in order
    Delta delta;
    /// A pool ran out although the database may hold more free codes: load more and decide again.
    bool shortage = false;
    /// A command needed a row that nobody could name before another one of the batch had run: how
    /// much is used of the book of a code that the batch itself takes in, or that came into a pool
    /// while the batch was loaded, or whose time zone the batch changes. Decide in smaller batches;
    /// a batch of one never says so.
    bool unforeseen = false;
    /// A lock was refused for others of which there may be fewer: load how many, and decide again.
    bool locks_uncounted = false;
};

/// What an entry of the ledger counts as.
Activity activity_of(const LedgerEntry& entry);

/// Decides `submissions` in order, each seeing what those before it did, all at the time `now`.
/// `world` holds what `needs(submissions)` names; it is used up. Erasures come in batches of their
/// own: what is loaded goes by the ids that they take away.
Decision decide(World& world, std::span<const Submission* const> submissions, Timestamp now);

}  // namespace coupond
