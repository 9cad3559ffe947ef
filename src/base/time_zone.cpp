#include "base/time_zone.hpp"

#include <absl/time/civil_time.h>
#include <absl/time/time.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace coupond {
namespace {

constexpr std::string_view name_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
constexpr std::size_t most_name_characters = 64;
constexpr std::int64_t quarter_hour_ms = 15 * 60'000;
constexpr std::int64_t hour_ms = 60 * 60'000;
/// How many quarters an hour may have on the wall: clocks are set by half an hour somewhere. Where
/// one is not shown full by then (some were off by odd minutes until the 1980s), it is one of UTC.
constexpr int most_quarters = 8;
constexpr std::int64_t begin_of_2000_ms = 946'684'800'000;
constexpr std::int64_t end_of_9998_ms = 253'370'764'800'000;

absl::Time to_absl(Timestamp at) {
    return absl::FromUnixMillis(at.ms);
}

Timestamp from_absl(absl::Time time) {
    return {absl::ToUnixMillis(time)};
}

/// The first moment at which a clock in `zone` shows `date`, or, where the date is left out there,
/// a later one.
Timestamp first_moment(const absl::TimeZone& zone, absl::CivilDay date) {
    const absl::TimeZone::TimeInfo info = zone.At(absl::CivilSecond(date));
    return from_absl(info.kind == absl::TimeZone::TimeInfo::SKIPPED ? info.trans : info.pre);
}

/// On which date the day, week or month begins that `date` lies in.
absl::CivilDay first_date(CalendarUnit unit, absl::CivilDay date) {
    if (unit == CalendarUnit::month) return absl::CivilDay(absl::CivilMonth(date));
    if (unit == CalendarUnit::week) return absl::PrevWeekday(date + 1, absl::Weekday::monday);
    return date;
}

/// And the one after that, whose first date is `first`.
absl::CivilDay next_first_date(CalendarUnit unit, absl::CivilDay first) {
    if (unit == CalendarUnit::month) return absl::CivilDay(absl::CivilMonth(first) + 1);
    return first + (unit == CalendarUnit::week ? 7 : 1);
}

bool shows_full_hour(const absl::TimeZone& zone, Timestamp at) {
    const absl::CivilSecond shown = zone.At(to_absl(at)).cs;
    return shown.minute() == 0 && shown.second() == 0;
}

/// Whether `text` looks like 2026-11-22, or like 2026-11-22T14:21:13.730Z, with any number of
/// decimals or none and perhaps an offset such as +01:00 (RFC 3339).
bool has_shape(std::string_view text) {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto begins_like = [&](std::string_view shape) {
        return text.size() >= shape.size() &&
               std::equal(shape.begin(), shape.end(), text.begin(),
                          [&](char s, char c) { return s == '0' ? is_digit(c) : s == c; });
    };
    constexpr std::string_view date = "0000-00-00", time = "0000-00-00T00:00:00", offset = "+00:00";
    if (!begins_like(date)) return false;
    if (text.size() == date.size()) return true;
    if (!begins_like(time)) return false;
    text.remove_prefix(time.size());
    if (begins_like(".0")) {
        text.remove_prefix(1);
        text.remove_prefix(std::min(text.size(), text.find_first_not_of("0123456789")));
    }
    return text == "Z" ||
           (text.size() == offset.size() && (begins_like(offset) || begins_like("-00:00")));
}

/// Files are read by their names, and what was once asked for is kept: so nothing but the
/// database's own files is asked for, each by one name. Some of them are no zones of their own:
/// those below `posix` are the same ones again, those below `right` count leap seconds, and the
/// last three depend on the machine.
bool is_in_database(std::string_view name) {
    if (name.empty() || name.size() > most_name_characters || name.front() == '/' ||
        name.find("//") != std::string_view::npos || name.starts_with("posix/") ||
        name.starts_with("right/") || name == "localtime" || name == "posixrules" ||
        name == "Factory" || name.find_first_not_of(name_characters) != std::string_view::npos) {
        return false;
    }
    const char* const folder = std::getenv("TZDIR");
    std::error_code error;
    return std::filesystem::is_regular_file(
        std::filesystem::path(folder == nullptr ? "/usr/share/zoneinfo" : folder) / name, error);
}

}  // namespace

struct TimeZone::Zone {
    std::string name;
    absl::TimeZone rules;
};

TimeZone::TimeZone(std::shared_ptr<const Zone> zone) : zone_(std::move(zone)) {}

std::optional<TimeZone> TimeZone::find(std::string_view name) {
    absl::TimeZone rules = absl::UTCTimeZone();
    if (name != "UTC" &&
        (!is_in_database(name) ||
         !absl::LoadTimeZone(absl::string_view(name.data(), name.size()), &rules))) {
        return std::nullopt;
    }
    return TimeZone(std::make_shared<const Zone>(Zone{std::string(name), rules}));
}

const std::string& TimeZone::name() const {
    return zone_->name;
}

Timestamp TimeZone::begin(CalendarUnit unit, Timestamp at) const {
    const absl::TimeZone& rules = zone_->rules;
    if (unit == CalendarUnit::hour) {
        const Timestamp quarter{at.ms - at.ms % quarter_hour_ms};
        for (int back = 0; back < most_quarters; ++back) {
            const Timestamp begin = quarter + -back * quarter_hour_ms;
            if (shows_full_hour(rules, begin)) return begin;
        }
        return {at.ms - at.ms % hour_ms};
    }
    // Where clocks are set back over midnight, a date is shown again after the next one has begun.
    const absl::CivilDay first = first_date(unit, absl::CivilDay(rules.At(to_absl(at)).cs));
    const Timestamp next = first_moment(rules, next_first_date(unit, first));
    return next <= at ? next : first_moment(rules, first);
}

Timestamp TimeZone::next(CalendarUnit unit, Timestamp at) const {
    const absl::TimeZone& rules = zone_->rules;
    if (unit == CalendarUnit::hour) {
        const Timestamp begun = begin(unit, at);
        for (int on = 1; on < most_quarters; ++on) {
            const Timestamp next = begun + on * quarter_hour_ms;
            if (shows_full_hour(rules, next)) return next;
        }
        return begun + hour_ms;
    }
    absl::CivilDay first = first_date(unit, absl::CivilDay(rules.At(to_absl(at)).cs));
    Timestamp next = at;
    while (next <= at) {
        first = next_first_date(unit, first);
        next = first_moment(rules, first);
    }
    return next;
}

std::optional<Timestamp> TimeZone::parse(std::string_view text) const {
    return parse(text, 0);
}

std::optional<Timestamp> TimeZone::parse_end(std::string_view text) const {
    return parse(text, 1);
}

std::optional<Timestamp> TimeZone::parse(std::string_view text, int days_later) const {
    // The parsers below take much more.
    if (!has_shape(text)) return std::nullopt;
    const absl::string_view view(text.data(), text.size());
    std::optional<Timestamp> begin, at;
    absl::CivilDay date;
    absl::Time time;
    if (text.size() == 10 && absl::ParseCivilTime(view, &date)) {
        begin = first_moment(zone_->rules, date);
        at = first_moment(zone_->rules, date + days_later);
    } else if (absl::ParseTime(absl::RFC3339_full, view, &time, nullptr)) {
        begin = at = from_absl(time);
    }
    const bool fits =
        begin && Timestamp{begin_of_2000_ms} <= *begin && *begin < Timestamp{end_of_9998_ms};
    return fits ? at : std::nullopt;
}

}  // namespace coupond
