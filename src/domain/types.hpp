// The things coupond keeps, as the rules see them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.hpp"

namespace coupond {

using BookId = std::int64_t;  ///< positive, in order of creation
using CodeId = std::int64_t;  ///< positive, in order of creation

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
    std::int64_t version = 0;  ///< grows with every change: what a guarded save compares

    bool is_locked(Timestamp now) const { return lock && now < lock->until; }
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

}  // namespace coupond
