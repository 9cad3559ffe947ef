// The things coupond keeps, as the rules see them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/digest.hpp"
#include "base/time.hpp"
#include "domain/money.hpp"

namespace coupond {

using BookId = std::int64_t;  ///< positive, in order of creation
using CodeId = std::int64_t;  ///< positive, in order of creation
/// Of a ledger entry: positive, in an order in which the changes could have been made one after the
/// other, however many processes made them at once. There may be gaps.
using EntryId = std::int64_t;
using JobId = std::int64_t;  ///< positive, in order of creation

/// What a limit is for: all times together, or each day, week or month of the book's zone.
enum class Per { ever, day, week, month };
inline constexpr std::array all_pers{Per::ever, Per::day, Per::week, Per::month};

/// How much of a book may be redeemed; nothing: no limit.
struct Limits {
    std::optional<std::int64_t> max_redemptions = {};
    std::optional<std::int64_t> max_redemptions_per_user = {};
    /// What all of it may be worth, in ten-thousandths of the currency of the book's discount.
    std::optional<std::int64_t> budget = {};

    friend bool operator==(const Limits&, const Limits&) = default;
};

/// Codes that are made by themselves: whenever a book has fewer than `below` to give away, `count`.
struct AutoGenerate {
    std::int64_t below = 0;
    std::int64_t count = 0;

    friend bool operator==(const AutoGenerate&, const AutoGenerate&) = default;
};

/// What clients set of a coupon book.
struct BookSettings {
    std::string name;
    std::string code_pattern;
    std::optional<std::int64_t> max_redemptions_per_user = {};  ///< nothing: no limit
    std::optional<std::int64_t> max_redemptions = {};
    std::optional<std::int64_t> budget = {};  ///< as Limits has it
    std::map<Per, Limits> limits = {};        ///< of each day, week or month
    /// How many of its codes a user may hold, redeemed ones too; nothing: no limit.
    std::optional<std::int64_t> max_assignments_per_user = {};
    /// How often each of its codes may be redeemed; nothing: no limit.
    std::optional<std::int64_t> max_redemptions_per_code = 1;
    /// Whether its codes are everybody's: any user may lock and redeem them, and none is assigned.
    bool open = false;
    bool case_sensitive = true;  ///< else its codes are found however spelled (domain/spelling.hpp)
    std::optional<Discount> discount = {};
    std::string description = {};
    bool active = true;
    std::optional<Timestamp> starts_at = {};         ///< its codes cannot be used before
    std::optional<Timestamp> ends_at = {};           ///< nor from then on
    std::string time_zone = "UTC";                   ///< one that TimeZone::find() knows
    std::optional<std::int64_t> lock_ttl_s = {};     ///< nothing: as the server is set up
    bool combinable = true;                          ///< with other codes, for one order
    std::optional<AutoGenerate> auto_generate = {};  ///< nothing: none are
    std::string metadata = "{}";  ///< a JSON object, as the client has written it

    Limits limits_per(Per per) const {
        if (per == Per::ever) return {max_redemptions, max_redemptions_per_user, budget};
        const auto found = limits.find(per);
        return found == limits.end() ? Limits() : found->second;
    }

    bool operator==(const BookSettings&) const = default;
};

/// A coupon book: a named set of codes that share their rules.
struct Book : BookSettings {
    BookId id = 0;
    std::optional<Timestamp> archived_at;
    std::int64_t counted = 0;  ///< of what it is counted how much is used (domain/usage.hpp)
    Timestamp created_at;
    Timestamp updated_at;
    EntryId last_entry = 0;  ///< of its creation or last change: what a guarded save compares

    bool operator==(const Book&) const = default;
};

/// Who may redeem a code, and until when nobody else may. Dead from `until` on.
struct Lock {
    std::string user_id;
    Timestamp until;
    /// What its holder goes on by with this lock and no other; empty: by being its holder.
    std::string key = {};
    /// Where locks are kept outside the database: the idempotency key by which it was taken, as far
    /// as it was asked for. A process may have ended between taking it and noting that it has.
    std::string idempotency_key = {};
};

/// What clients set of a code.
struct CodeSettings {
    bool active = true;
    std::optional<Timestamp> expires_at = {};  ///< it cannot be used from then on
    /// How often it may be redeemed; nothing: as its book says.
    std::optional<std::int64_t> max_redemptions = {};
    std::string metadata = "{}";  ///< a JSON object, as the client has written it

    /// Whether it is of use at `at`, for all that concerns it alone.
    bool works(Timestamp at) const { return active && !(expires_at && *expires_at <= at); }

    bool operator==(const CodeSettings&) const = default;
};

/// Ids of uses (Code::use_of) are those of the entries by which they were made, beyond this: all
/// other codes have lower ones.
inline constexpr CodeId uses_from = CodeId{1} << 62;

/// One code of a book and what has become of it; or one use of a code that may be redeemed more
/// than once: what a user has locked or redeemed of it beside the code itself.
struct Code : CodeSettings {
    CodeId id = 0;
    BookId book_id = 0;
    std::string code;              ///< of a use: that of its code
    std::optional<CodeId> use_of;  ///< of which code this is a use, and has the settings
    bool counted = false;          ///< its uses are counted, also where its book counts none
    std::optional<std::string> assigned_to;  ///< a user id
    std::optional<Lock> lock;                ///< the last one taken, which may be dead
    /// Of the redemption that stands. Only an assigned code can be redeemed.
    std::optional<Timestamp> redeemed_at;
    Timestamp created_at;
    EntryId last_entry = 0;  ///< of its last change: what a guarded save compares
    /// Whether it has had a lock since it was assigned, or was redeemed.
    bool ever_locked = false;
    /// Whether it is kept back where free codes are given away: where it is free, it does not work,
    /// or is everybody's.
    bool kept_back = false;

    bool is_locked(Timestamp now) const { return lock && now < lock->until; }
    /// As which it is shown.
    CodeId shown_id() const { return use_of.value_or(id); }
};

/// How often `code` may be redeemed; nothing: no limit.
inline std::optional<std::int64_t> most_redemptions(const Book& book, const Code& code) {
    return code.max_redemptions ? code.max_redemptions : book.max_redemptions_per_code;
}

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
        book_changed = 7,
        book_archived = 8,
        book_restored = 9,
        code_changed = 10,
        code_unassigned = 11,
        code_unlocked = 12,
        redemption_rolled_back = 13,
        discount_given_back = 14,  ///< some of it; the use is not
        codes_generated = 15,
    };
    static constexpr Type last_type = Type::codes_generated;

    /// Whether it is what codes have begun with.
    static constexpr bool adds_codes(Type type) {
        return type == Type::codes_uploaded || type == Type::codes_generated;
    }

    EntryId id = 0;
    Timestamp at;
    Type type{};
    BookId book_id = 0;            ///< of an erasure: 0
    CodeId code_id = 0;            ///< where it adds codes: of the first; of none: 0
    std::optional<CodeId> use_of;  ///< where the code is a use: of which one
    std::int64_t codes = 0;        ///< where it adds some: how many, with ids one after the other
    std::optional<std::string> user_id;  ///< whom a code was assigned to, and so on; who was erased
    /// The lock that was taken; of a redemption, used; of an unlocking, given back.
    std::optional<Timestamp> locked_until;
    /// Of a redemption: what it was worth; of what takes back of that: how much. In the order's
    /// currency, where there is an order.
    std::optional<Money> discount;
    std::optional<Order> order;            ///< of a redemption
    std::optional<EntryId> redemption_id;  ///< of what takes back of one: of which
    /// The change of the same code before this one, which leads on to its upload; or that of the
    /// same book, which leads on to its creation. Nothing for locks that are not kept in the
    /// database, which do not change the code there.
    std::optional<EntryId> previous;
    /// Of a book or its creation, and of a code whose settings were changed: what it was before and
    /// is after; of codes that were generated: what they all have; of a lock that was extended:
    /// until when it was (domain/settings.hpp). Of a roll-back: its reason.
    std::string detail;
    std::string request_id;  ///< of the request that asked for it
    /// Where it adds codes: of their texts, in the order of their ids.
    std::optional<Digest> codes_digest;

    /// That its order and its discount are in, if one is named.
    std::optional<Currency> currency() const {
        if (order) return order->currency;
        return discount ? discount->currency : std::nullopt;
    }
};

/// A use of a code.
struct Redemption {
    EntryId id = 0;  ///< of its entry in the ledger
    CodeId code_id = 0;
    std::string code;
    BookId book_id = 0;
    std::string user_id;
    std::optional<Order> order;
    std::optional<Money> discount;  ///< what it was worth, where that is known
    std::int64_t given_back = 0;    ///< of the discount
    Timestamp at;
    std::optional<Timestamp> rolled_back_at;
    std::optional<CodeId> use_of = {};  ///< where the code is a use: of which one
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
    std::int64_t rolled_back = 0;
    /// What the redemptions were worth, less what was given back: of no named currency, and of
    /// others.
    std::int64_t discount_cents = 0;
    std::map<Currency, std::int64_t> discounts = {};
    std::int64_t generated = 0;  ///< codes

    bool operator==(const Activity&) const = default;

    void add_discount(const Money& discount) {
        if (discount.amount == 0) return;
        (discount.currency ? discounts[*discount.currency] : discount_cents) += discount.amount;
    }

    Activity& operator+=(const Activity& other) {
        uploaded += other.uploaded;
        generated += other.generated;
        assigned += other.assigned;
        locked += other.locked;
        redeemed += other.redeemed;
        rolled_back += other.rolled_back;
        discount_cents += other.discount_cents;
        for (const auto& [currency, amount] : other.discounts) discounts[currency] += amount;
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

/// The period in place of which is counted what was ever.
inline constexpr Timestamp all_times{-1};

/// The place of what is counted of all books together.
inline constexpr BookId all_books = 0;

}  // namespace coupond
