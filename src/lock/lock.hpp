// The port to a place for coupon locks outside the database. Where there is none, locks are kept
// in the database, by the store. A lock only opens the door to redemption: losing all of them may
// cost a customer a second lock, never a second redemption.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "domain/types.hpp"

namespace coupond {

/// What becomes of a code's lock.
struct LockChange {
    std::string_view code;
    BookId book_id = 0;
    std::optional<Lock> lock;  ///< nothing: released
    bool extends = false;      ///< it is one that was there, and lasts longer
};

/// Locks of codes. Used by one thread at a time. Every call may block on I/O, but ends within
/// limits::locks_wait_ms.
class Locks {
public:
    virtual ~Locks() = default;

    /// The lock of each code, in the order asked; nothing where there is none. May be dead. What
    /// was loaded before is forgotten. Failures: unavailable.
    virtual Result<std::vector<std::optional<Lock>>> load(
        std::span<const std::string_view> codes) = 0;

    /// The same, but what the last `load` and these since have found of other codes still counts
    /// as loaded with it.
    virtual Result<std::vector<std::optional<Lock>>> load_more(
        std::span<const std::string_view> codes) = 0;

    /// The idempotency keys by which the locks of codes were taken that the last `load` has found,
    /// in the order asked; empty where there was none. Failures: unavailable.
    virtual Result<std::vector<std::string>> idempotency_keys(
        std::span<const std::string_view> codes) = 0;

    /// Takes the locks, all or none: each only if it has not been touched since the last `load`,
    /// which must have been asked for its code a few seconds ago at most. A change without a lock
    /// is none. `now`: locks dead by then may be forgotten. Failures: conflict, unavailable
    /// (nothing was taken), indeterminate (the answer was lost, and then what is there could not
    /// be read within as long a time again).
    virtual Result<void> acquire(std::span<const LockChange> changes, Timestamp now) = 0;

    /// Releases those of the locks that are as this object loaded or took them last; leaves
    /// others'. One that cannot be released ends by itself when its time has come.
    virtual void release(std::span<const LockChange> changes, Timestamp now) = 0;

    /// How many codes of each book are under a lock that is live at `now`. Failures: unavailable.
    virtual Result<std::vector<std::int64_t>> count(std::span<const BookId> books,
                                                    Timestamp now) = 0;

    /// Whether locks can be taken. Failures: unavailable.
    virtual Result<void> ping() = 0;
};

}  // namespace coupond
