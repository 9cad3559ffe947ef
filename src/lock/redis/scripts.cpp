#include "lock/redis/scripts.hpp"

#include <openssl/evp.h>

#include <array>

#include "base/check.hpp"

namespace coupond::redis {
namespace {

// KEYS: locks, at most 1,000.
// Returns, flat: Redis' time in ms, and for each key that is there its index from 1, its value and
// its expiry in ms (-1: none).
constexpr std::string_view load_lua = R"lua(#!lua flags=no-writes,allow-oom
local time = redis.call('TIME')
local found = {time[1] * 1000 + math.floor(time[2] / 1000)}
local values = redis.call('MGET', unpack(KEYS))
for i = 1, #KEYS do
    if values[i] then
        local at = #found
        found[at + 1] = i
        found[at + 2] = values[i]
        found[at + 3] = redis.call('PEXPIRETIME', KEYS[i])
    end
end
return found
)lua";

// KEYS: n locks, at most 1,024, those of a book side by side; then the books' sets, in that order.
// ARGV: n; the time from which on locks are alive; Redis' time until which what was seen holds;
//       n times what was seen of a lock: nothing, or its expiry, a space and its value;
//       n times a lock's value; n times an expiry and a code;
//       for each set how many of the locks are its, and the last expiry among them;
//       and for each lock that has one: its index from 1, and its idempotency key.
// Returns 1, or 0 where a lock is no longer as it was seen and nothing was changed. Nothing that
// could fail comes after the first SET.
constexpr std::string_view acquire_lua = R"lua(#!lua
local call = redis.call
local n, now, seen_until = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
if n == 0 then return 1 end

local time = call('TIME')
if time[1] * 1000 + time[2] / 1000 > seen_until then return 0 end
local values = call('MGET', unpack(KEYS, 1, n))
for i = 1, n do
    local is = ''
    if values[i] then
        is = string.format('%.0f ', call('PEXPIRETIME', KEYS[i])) .. values[i]
    end
    if is ~= ARGV[3 + i] then return 0 end
end

local values_at, locks, sets = 3 + n, 3 + 2 * n, 3 + 4 * n
local keys = sets + 2 * (#KEYS - n)
for at = keys + 1, #ARGV, 2 do
    -- Whether they may be used at all.
    call('EXISTS', 'coupon:lock-idempotency-key:' .. ARGV[locks + 2 * tonumber(ARGV[at])])
end
for set = 1, #KEYS - n do
    -- The dead have the lowest ranks. Twice as many go as come, so that they never pile up.
    local key, size = KEYS[n + set], ARGV[sets + 2 * set - 1]
    local dead = math.min(call('ZCOUNT', key, '-inf', now), 2 * size)
    if dead > 0 then call('ZREMRANGEBYRANK', key, 0, dead - 1) end
end
for i = 1, n do
    call('SET', KEYS[i], ARGV[values_at + i], 'PXAT', ARGV[locks + 2 * i - 1])
end
local from = locks + 1
for set = 1, #KEYS - n do
    local key, size, last = KEYS[n + set], ARGV[sets + 2 * set - 1], ARGV[sets + 2 * set]
    call('ZADD', key, unpack(ARGV, from, from + 2 * size - 1))
    from = from + 2 * size
    if call('PEXPIRETIME', key) < tonumber(last) then call('PEXPIREAT', key, last) end
end
for at = keys + 1, #ARGV, 2 do
    local lock = locks + 2 * tonumber(ARGV[at])
    local code, last = ARGV[lock], ARGV[lock - 1]
    call('SET', 'coupon:lock-idempotency-key:' .. code, last .. ' ' .. ARGV[at + 1], 'PXAT', last)
end
return 1
)lua";

// KEYS: n locks, then the sets of their books.
// ARGV: n; for how long a tombstone stands, in ms; and for each lock how it is while it may be
//       released (its expiry, a space and its value), its code, and the index of its set among
//       KEYS.
// Returns how many were released.
constexpr std::string_view release_lua = R"lua(#!lua flags=allow-oom
local call = redis.call
local n, tombstone_ms = tonumber(ARGV[1]), ARGV[2]
local released = 0
for i = 1, n do
    local value = call('GET', KEYS[i])
    if value then
        local is = string.format('%.0f ', call('PEXPIRETIME', KEYS[i])) .. value
        if is == ARGV[3 * i] then
            call('SET', KEYS[i], '', 'PX', tombstone_ms)
            call('ZREM', KEYS[tonumber(ARGV[3 * i + 2])], ARGV[3 * i + 1])
            released = released + 1
        end
    end
end
return released
)lua";

}  // namespace

Script::Script(std::string_view lua) : text(lua) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    COUPOND_CHECK(EVP_Digest(lua.data(), lua.size(), digest.data(), &size, EVP_sha1(), nullptr) ==
                  1);
    for (unsigned int i = 0; i < size; ++i) {
        sha += "0123456789abcdef"[digest[i] >> 4];
        sha += "0123456789abcdef"[digest[i] & 15];
    }
}

const Scripts& scripts() {
    static const Scripts all{Script(load_lua), Script(acquire_lua), Script(release_lua)};
    return all;
}

}  // namespace coupond::redis
