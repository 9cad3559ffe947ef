// Whether what a database holds agrees with itself: every state, count and limit recomputed from
// the ledger. No I/O: a store yields its rows, in the orders that are named here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "domain/types.hpp"

namespace coupond {

/// Rows one after the other.
template <class Row>
class RowStream {
public:
    virtual ~RowStream() = default;
    /// Reads the next row into `row`; false, and `row` is what it was, where there is none.
    virtual bool next(Row& row) = 0;
};

/// All that a database holds, of one moment, as its rows have it: what they say may be wrong in any
/// way. Several streams may be read in turn; end them before the snapshot. Users are numbers. Every
/// function, and every RowStream::next(), may block on I/O and throw what the store throws.
class Snapshot {
public:
    struct BookRow {
        Book book;             ///< but for what is in `settings`
        std::string settings;  ///< as row_text() has it
    };
    struct CodeRow {
        CodeId id = 0;
        BookId book_id = 0;
        Timestamp created_at;
        std::optional<Timestamp> locked_until, redeemed_at;
        EntryId last_entry = 0;
        std::optional<std::int64_t> assigned_to;
        bool holder_known = false;  ///< where assigned: there is such a user
        std::string code;
        std::string settings;  ///< as row_text() has it
        bool kept_back = false;
        std::optional<CodeId> use_of;  ///< of a use: of which code,
        std::string used;              ///< and its text; empty where there is none in that book
        std::optional<std::string> folded;  ///< domain/spelling.hpp
    };
    /// Of the ledger; 0 and nothing for what it does not name.
    struct EntryRow {
        EntryId id = 0;
        Timestamp at;
        std::int64_t type = 0;
        BookId book_id = 0;
        CodeId code_id = 0;
        std::int64_t codes = 0;
        std::optional<std::int64_t> user;
        std::optional<EntryId> previous;
        std::optional<Timestamp> locked_until;
        std::int64_t discount_cents = 0;      ///< in minor units of `currency`
        std::optional<std::string> currency;  ///< of it and of the order
        std::optional<std::int64_t> order_amount;
        std::optional<EntryId> redemption_id;
        std::optional<std::string> codes_digest;
        std::string detail;
        bool migrated = false;  ///< made by a migration, for what had been there before the ledger
    };
    struct BookCountRow {
        BookId book_id = 0;
        std::int64_t total = 0, available = 0, redeemed = 0, ever_locked = 0, kept_back = 0,
                     rolled_back = 0, discount_cents = 0;
    };
    struct ActivityRow {
        BookId book_id = 0;
        Timestamp since;
        Activity activity;
    };
    struct DiscountCountRow {
        BookId book_id = 0;
        Timestamp since;  ///< or all_times
        std::string currency;
        std::int64_t amount = 0;
    };
    /// What was moved out of the ledger.
    struct MovedRow {
        BookId book_id = 0;
        Timestamp since;
        EntryId last_entry = 0;  ///< the greatest id
        Activity activity;
    };
    struct LockCountRow {
        BookId book_id = 0;
        Timestamp locked_until;
        std::int64_t codes = 0;
    };
    /// A user's redeemed codes in a book.
    struct UserCountRow {
        BookId book_id = 0;
        std::int64_t user = 0;
        std::int64_t redeemed = 0;
        EntryId last_entry = 0;  ///< the last change of one of them
        Timestamp last_redeemed_at = {};
    };
    /// How many codes of a book a user holds, but for those that files have brought as theirs: they
    /// may be more than the book allows.
    struct HoldingRow {
        BookId book_id = 0;
        std::int64_t user = 0;
        std::int64_t codes = 0;
        // The last entry by which they were given one otherwise, and when; of those that were not
        // moved out.
        EntryId last_entry = 0;
        Timestamp last_at = {};
    };
    struct UsageRow {
        BookId book_id = 0;
        std::int64_t user = 0;  ///< 0: all of them
        std::int64_t per = 0;
        Timestamp since;
        std::int64_t redeemed = 0, amount = 0;
        std::optional<std::string> currency;
        // Of a user: of their codes, those redeemed since then, with their last change and the last
        // of their redemptions.
        std::int64_t by_codes = 0;
        EntryId last_entry = 0;
        Timestamp last_redeemed_at = {};
        // At most how many locks count there, and what they are worth in `currency`, as it is
        // counted; and as it is.
        std::int64_t locked = 0, locked_amount = 0, are_locked = 0, are_locked_amount = 0;
    };
    /// A lock that counts for the limits of a book.
    struct CountedLockRow {
        CodeId code_id = 0;  ///< or that of a use
        BookId book_id = 0;
        Timestamp until;
        bool may_be = false;  ///< there is such a code in the book, which is somebody's
        std::optional<Timestamp> locked_until;  ///< of the code's own row, if it has such a lock
    };
    /// Of the uses of a code: how many are redeemed, and at most how many locked, as it is counted.
    struct UsesRow {
        CodeId code_id = 0;
        BookId book_id = 0;  ///< 0 where it is not counted
        std::int64_t redeemed = 0, locked = 0;
        // How many are, and of the redeemed ones the last change and the last redemption.
        std::int64_t are_redeemed = 0, are_locked = 0;
        EntryId last_entry = 0;
        Timestamp last_redeemed_at = {};
    };
    /// What stands of the redemptions made in a period: of no currency, how many; else what of them
    /// was not given back.
    struct StandingRow {
        BookId book_id = 0;
        Timestamp since;
        std::string currency;
        std::int64_t standing = 0;
    };
    /// Where new ids come from.
    struct IdSources {
        std::optional<std::int64_t> next_book, next_code;
        std::int64_t ledger_origins = 0;  ///< how many rows say how ids of entries are made
    };

    virtual ~Snapshot() = default;

    /// What is wrong with how the rows are stored, up to limits::verify_lines lines for a person:
    /// pages or indexes that do not fit together, what must be there once and is not. Not told by
    /// the indexes that are to see to it.
    virtual std::vector<std::string> faults() = 0;

    virtual std::unique_ptr<RowStream<BookRow>> books() = 0;  ///< by id
    virtual std::unique_ptr<RowStream<CodeRow>> codes() = 0;  ///< by id

    virtual std::unique_ptr<RowStream<EntryId>> entry_ids() = 0;  ///< of all entries, ascending
    virtual std::unique_ptr<RowStream<EntryRow>>
    book_entries() = 0;  ///< of a book as such: by book, id
    virtual std::unique_ptr<RowStream<EntryRow>>
    uploads() = 0;  ///< what adds codes: by first code, id
    virtual std::unique_ptr<RowStream<EntryRow>> erasures() = 0;      ///< user_erased: by id
    virtual std::unique_ptr<RowStream<EntryRow>> code_entries() = 0;  ///< all others, by code, id

    /// What is counted, by book: a row for each book that is counted, and each that must be.
    virtual std::unique_ptr<RowStream<BookCountRow>> book_counts() = 0;
    /// What is counted by activity_period, by book and time.
    virtual std::unique_ptr<RowStream<ActivityRow>> activity_counts() = 0;
    /// The same of discounts in a currency, by book, time and currency.
    virtual std::unique_ptr<RowStream<DiscountCountRow>> discount_counts() = 0;
    virtual std::unique_ptr<RowStream<MovedRow>> moved() = 0;  ///< by book and time
    /// Of locks beyond `now`, by book and time.
    virtual std::unique_ptr<RowStream<LockCountRow>> lock_counts(Timestamp now) = 0;
    /// The same, counted from the codes that were locked last, or changed after that.
    virtual std::unique_ptr<RowStream<LockCountRow>> locked_codes(Timestamp now) = 0;
    /// With locks beyond `now`; by book, user and per.
    virtual std::unique_ptr<RowStream<UsageRow>> usages(Timestamp now) = 0;
    /// Of locks beyond `now`, of codes that are not redeemed; in no order.
    virtual std::unique_ptr<RowStream<CountedLockRow>> counted_locks(Timestamp now) = 0;
    /// Of each code that has uses, or is counted to have some, locked beyond `now`; by code.
    virtual std::unique_ptr<RowStream<UsesRow>> uses(Timestamp now) = 0;
    virtual std::unique_ptr<RowStream<StandingRow>> standing() = 0;  ///< in no order
    /// Of all books with a limit for each user, if not more; by book and user.
    virtual std::unique_ptr<RowStream<UserCountRow>> redeemed_codes() = 0;

    /// Of all books that limit it, if not more; in no order.
    virtual std::unique_ptr<RowStream<HoldingRow>> holdings() = 0;

    /// Nothing where ids follow from the rows that are there.
    virtual std::optional<IdSources> id_sources() = 0;
};

/// What was looked at, and what was found.
struct Verification {
    std::int64_t books = 0, codes = 0, entries = 0;
    std::int64_t differences = 0;
    std::vector<std::string> lines;  ///< of the first limits::verify_lines differences, one each
};

/// Told from time to time how many codes have been looked at, of how many that are counted.
using VerifyProgress = std::function<void(std::int64_t codes, std::int64_t counted)>;

/// Holds all of `snapshot`, which is of the moment `now`, against its ledger. Keeps in memory what
/// grows with the number of books, of periods of their activity and of erasures, nothing that grows
/// with codes, entries or users.
Verification verify(Snapshot& snapshot, Timestamp now, const VerifyProgress& progress);

}  // namespace coupond
