// Points in time and where they come from. Nothing below app/ reads a wall clock of its own.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace coupond {

/// Milliseconds since 1970-01-01T00:00:00Z. The resolution in which coupond stores and answers
/// times.
struct Timestamp {
    std::int64_t ms = 0;

    friend auto operator<=>(Timestamp, Timestamp) = default;
    friend constexpr Timestamp operator+(Timestamp at, std::int64_t add_ms) {
        return {at.ms + add_ms};
    }
};

/// Whether `at` lies in the years 0000 to 9999.
inline bool has_iso8601(Timestamp at) {
    return at.ms >= -62'167'219'200'000 && at.ms < 253'402'300'800'000;
}

/// ISO 8601 in UTC with milliseconds, always 24 characters: `2026-11-22T14:21:13.730Z`.
/// `at` must be one that has_iso8601().
std::string format_iso8601(Timestamp at);

/// Appends what `format_iso8601` returns.
void append_iso8601(std::string& out, Timestamp at);

/// A source of the current time. Implementations may be called from any thread.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Timestamp now() const = 0;
};

/// The machine's wall clock.
class SystemClock final : public Clock {
public:
    Timestamp now() const override;
};

}  // namespace coupond
