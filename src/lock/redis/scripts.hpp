// What runs inside Redis: each script is one indivisible step there.
#pragma once

#include <string>
#include <string_view>

namespace coupond::redis {

struct Script {
    explicit Script(std::string_view lua);

    std::string_view text;
    std::string sha;  ///< its name in EVALSHA
};

/// What goes into them and comes out stands at their texts.
struct Scripts {
    Script load, acquire, release;
};

const Scripts& scripts();

/// What a lock's key holds for a while after its release: nobody's user id.
inline constexpr std::string_view tombstone;

inline constexpr std::string_view lock_prefix = "coupon:lock:";
inline constexpr std::string_view idempotency_prefix = "coupon:lock-idempotency-key:";
inline constexpr std::string_view book_prefix = "coupon:locked:";

}  // namespace coupond::redis
