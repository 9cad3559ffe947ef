// Coupon locks in Redis 7 (one server or one with replicas, no cluster). The keys, which other
// programs may read:
//   coupon:lock:<code>
//       the user id, and behind a line break the lockKey where it has one, until the lock's end;
//       for ten seconds after a release it is empty, which is no lock
//   coupon:lock-idempotency-key:<code>
//       the end of a lock in ms, a space, and the idempotency key of the request that took it, if
//       it had one
//   coupon:locked:<book id>
//       the book's locked codes, sorted by the end of their locks in ms
// Redis' clock and this machine's must agree: a lock ends by the one that is ahead.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "lock/lock.hpp"

namespace coupond::redis {

struct Options {
    std::string host;
    std::uint16_t port = 6379;
    std::string username;  ///< empty: Redis' default user
    std::string password;  ///< empty: none is asked for
    int database = 0;
    bool tls = false;
    std::string root_certificate;  ///< a PEM file to trust; empty: the system's
};

/// Reads redis://[user][:password]@host[:port][/database] or rediss://, which is the same with
/// TLS. Throws std::invalid_argument with what is wrong, without the URL itself: it may hold a
/// password.
Options parse_url(std::string_view url);

/// Where it is, for messages; without secrets: `Redis at cache.internal:6379`.
std::string name(const Options& options);

/// Locks on a connection of their own, which is made when they are first used and again when it is
/// lost; `side` is what the log calls it by. Throws std::invalid_argument where the root
/// certificate cannot be read.
std::unique_ptr<Locks> open(const Options& options, std::string_view side = log::side_changes);

}  // namespace coupond::redis
