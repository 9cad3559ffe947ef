// The things coupond keeps, as the rules see them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/time.hpp"

namespace coupond {

using BookId = std::int64_t;  ///< positive, in order of creation
using CodeId = std::int64_t;  ///< positive, in order of creation
/// Of a ledger entry: positive, in an order in which the changes could have been made one after the
/// other, however many processes made them at once. There may be gaps.
using EntryId = std::int64_t;

/// A coupon book: a named set of codes that share their rules.
struct Book {
    BookId id = 0;
    std::string name;
    std::string code_pattern;
    std::optional<std::int64_t> max_redemptions_per_user;  ///< nothing: no limit
    std::optional<std::int64_t> discount_cents;
    Timestamp created_at;
    Timestamp updated_at;
};

/// Who may redeem a code, and until when nobody else may. Dead from `until` on.
struct Lock {
    std::string user_id;
    Timestamp until;
    /// Where locks are kept outside the database: the idempotency key by which it was taken, as far
    /// as it was asked for. A process may have ended between taking it and noting that it has.
    std::string key = {};
};

/// One code of a book and what has become of it.
struct Code {
    CodeId id = 0;
    BookId book_id = 0;
    std::string code;
    std::optional<std::string> assigned_to;  ///< a user id; never changes once set
    std::optional<Lock> lock;                ///< the last one taken, which may be dead
    std::optional<Timestamp>
        redeemed_at;  ///< set at most once; only an assigned code can be redeemed
    Timestamp created_at;
    EntryId last_entry = 0;    ///< of its last change: what a guarded save compares
    bool ever_locked = false;  ///< whether it has had a lock, or was redeemed

    bool is_locked(Timestamp now) const { return lock && now < lock->until; }
};

/// What a code is at a moment: exactly one of these.
enum class CodeStatus { free, assigned, locked, redeemed };

/// `assigned` where its lock is dead.
inline CodeStatus status_of(const Code& code, Timestamp now) {
    if (code.redeemed_at) return CodeStatus::redeemed;
    if (code.is_locked(now)) return CodeStatus::locked;
    return code.assigned_to ? CodeStatus::assigned : CodeStatus::free;
}

/// What the ledger keeps of one change.
struct LedgerEntry {
    enum class Type : std::int16_t {
        book_created = 1,
        codes_uploaded = 2,
        code_assigned = 3,
        code_locked = 4,
        code_redeemed = 5,
        user_erased = 6,
    };

    EntryId id = 0;
    Timestamp at;
    Type type{};
    BookId book_id = 0;                  ///< of an erasure: 0
    CodeId code_id = 0;                  ///< of an upload: of its first code; of none: 0
    std::int64_t codes = 0;              ///< of an upload: how many, with ids one after the other
    std::optional<std::string> user_id;  ///< whom a code was assigned to, and so on; who was erased
    /// The lock that was taken, or, of a redemption, used.
    std::optional<Timestamp> locked_until;
    std::optional<std::int64_t> discount_cents;  ///< of a redemption: what it was worth
    /// The change of the same code before this one, which leads on to its upload. Nothing for locks
    /// that are not kept in the database, which do not change the code there.
    std::optional<EntryId> previous;
    std::string request_id;  ///< of the request that asked for it
    /// Of an upload: of its codes' texts, in the order of their ids.
    std::optional<Digest> codes_digest;
};

/// How many codes of a book are in which state. Every code is in exactly one:
/// total = available + assigned + locked + redeemed.
struct BookCounts {
    std::int64_t total = 0;
    std::int64_t available = 0;  ///< assigned to nobody
    std::int64_t assigned = 0;   ///< assigned, neither locked now nor redeemed
    std::int64_t locked = 0;     ///< under a live lock
    std::int64_t redeemed = 0;
};

/// How often something happened in some time.
struct Activity {
    std::int64_t uploaded = 0;  ///< codes
    std::int64_t assigned = 0;
    std::int64_t locked = 0;
    std::int64_t redeemed = 0;
    std::int64_t discount_cents = 0;  ///< what the redemptions were worth

    Activity& operator+=(const Activity& other) {
        uploaded += other.uploaded;
        assigned += other.assigned;
        locked += other.locked;
        redeemed += other.redeemed;
        discount_cents += other.discount_cents;
        return *this;
    }
};

/// What activity is counted by: every time zone's hours and days consist of whole ones.
inline constexpr std::int64_t activity_period_ms = 15 * 60'000;

/// When the period began that `at` lies in.
inline Timestamp activity_period(Timestamp at) {
    const std::int64_t into = at.ms % activity_period_ms;
    const std::int64_t since_then = into < 0 ? into + activity_period_ms : into;
    // What is read from a damaged database may be anything.
    return {static_cast<std::int64_t>(static_cast<std::uint64_t>(at.ms) -
                                      static_cast<std::uint64_t>(since_then))};
}

/// The place of what is counted of all books together.
inline constexpr BookId all_books = 0;

}  // namespace coupond
