// Time zones by their names in the IANA Time Zone Database (https://www.iana.org/time-zones).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coupond {

/// A piece of a calendar in some zone. Weeks are those of ISO 8601: they begin on Mondays.
enum class CalendarUnit { hour, day, week, month };

/// A zone, as the machine's database describes it (/usr/share/zoneinfo, or where TZDIR says). Cheap
/// to copy; may be used by any thread.
class TimeZone {
public:
    /// Such as `Europe/Berlin`. Nothing where the database has none of that name; `UTC` is always
    /// there.
    static std::optional<TimeZone> find(std::string_view name);

    const std::string& name() const;

    /// When the hour, day, week or month began that `at` lies in: the last moment not after `at`
    /// that some clock on a wall there shows the first time as a full hour, or a new date, of a new
    /// week or month. An hour that is shown twice where clocks are set back is two; a day there may
    /// have 23 hours, or 25. `at` must lie in the years 1970 to 9999.
    Timestamp begin(CalendarUnit unit, Timestamp at) const;

    /// When the one after that begins.
    Timestamp next(CalendarUnit unit, Timestamp at) const;

    /// A moment in ISO 8601 (RFC 3339), such as `2026-11-22T14:21:13.730Z` or with `+01:00`; or a
    /// date, `2026-11-22`, which stands for its first moment in this zone. Nothing for any other
    /// text, and for what does not lie in the years 2000 to 9998 of UTC.
    std::optional<Timestamp> parse(std::string_view text) const;

    /// The same, of when something ends: a date stands for the end of that day in this zone, which
    /// is when the next one begins, be that in 9999. So `2026-11-22` is a day from parse() to
    /// parse_end(); a date that was left out there has no time between them.
    std::optional<Timestamp> parse_end(std::string_view text) const;

private:
    struct Zone;
    explicit TimeZone(std::shared_ptr<const Zone> zone);

    /// parse(), but a date stands for the first moment of the one so many days later.
    std::optional<Timestamp> parse(std::string_view text, int days_later) const;

    std::shared_ptr<const Zone> zone_;
};

}  // namespace coupond
