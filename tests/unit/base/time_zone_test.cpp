#include "base/time_zone.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace coupond::test {
namespace {

constexpr std::int64_t hour_ms = 3'600'000;

TimeZone zone(std::string_view name) {
    return TimeZone::find(name).value();
}

/// The pieces from the one of `from` on, as they begin, up to `to`.
std::vector<std::string> pieces(const TimeZone& of, CalendarUnit unit, std::string_view from,
                                std::string_view to) {
    std::vector<std::string> all;
    const Timestamp end = of.parse(to).value();
    for (Timestamp at = of.begin(unit, of.parse(from).value()); at < end; at = of.next(unit, at)) {
        all.push_back(format_iso8601(at));
    }
    return all;
}

TEST(TimeZoneTest, IsFoundByItsNameOnly) {
    EXPECT_EQ(zone("Europe/Berlin").name(), "Europe/Berlin");
    EXPECT_EQ(zone("UTC").name(), "UTC");
    for (const char* const name :
         {"", "Mars/Olympus", "/usr/share/zoneinfo/Europe/Berlin", "../zoneinfo/Europe/Berlin",
          "Europe", "right/Europe/Berlin", "Europe/Berlin ", "localtime\n", "libc:localtime",
          "tzdata.zi", "zone.tab", "Europe/../../../../etc/passwd"}) {
        EXPECT_FALSE(TimeZone::find(name)) << name;
    }
    EXPECT_FALSE(TimeZone::find(std::string(10'000, 'a')));
}

TEST(TimeZoneTest, ReadsTimesAndDates) {
    const TimeZone berlin = zone("Europe/Berlin");
    const auto parsed = [&](std::string_view text) {
        return format_iso8601(berlin.parse(text).value());
    };
    EXPECT_EQ(parsed("2026-11-22"), "2026-11-21T23:00:00.000Z");
    EXPECT_EQ(parsed("2026-06-22"), "2026-06-21T22:00:00.000Z");
    EXPECT_EQ(parsed("2026-11-22T14:21:13.730Z"), "2026-11-22T14:21:13.730Z");
    EXPECT_EQ(parsed("2026-11-22T14:21:13+01:00"), "2026-11-22T13:21:13.000Z");
    for (const char* const text :
         {"", "2026", "2026-13-01", "2026-02-29", "2026-11-22 ", " 2026-11-22", "2026-11-22T14:00",
          "2026-11-22T14:00:00", "infinite-future", "2026-11-22T25:00:00Z", "1999-12-31T23:59:59Z",
          "12026-11-22", "-026-11-22", "9999-01-02", "9999-12-31T23:59:59Z",
          "2026-11-2200000000"}) {
        EXPECT_FALSE(berlin.parse(text)) << text;
    }
}

TEST(TimeZoneTest, HasDaysOf23And25Hours) {
    const TimeZone berlin = zone("Europe/Berlin");
    EXPECT_EQ(pieces(berlin, CalendarUnit::day, "2026-03-28T12:00:00Z", "2026-03-31"),
              (std::vector<std::string>{"2026-03-27T23:00:00.000Z", "2026-03-28T23:00:00.000Z",
                                        "2026-03-29T22:00:00.000Z"}));
    EXPECT_EQ(pieces(berlin, CalendarUnit::day, "2026-10-24", "2026-10-27"),
              (std::vector<std::string>{"2026-10-23T22:00:00.000Z", "2026-10-24T22:00:00.000Z",
                                        "2026-10-25T23:00:00.000Z"}));
    EXPECT_EQ(pieces(berlin, CalendarUnit::hour, "2026-03-29", "2026-03-30").size(), 23u);
    EXPECT_EQ(pieces(berlin, CalendarUnit::hour, "2026-10-25", "2026-10-26").size(), 25u);
}

TEST(TimeZoneTest, HasHoursOfZonesThatAreOffByQuarters) {
    EXPECT_EQ(pieces(zone("Asia/Kathmandu"), CalendarUnit::hour, "2026-11-22T10:00:00Z",
                     "2026-11-22T12:00:00Z"),
              (std::vector<std::string>{"2026-11-22T09:15:00.000Z", "2026-11-22T10:15:00.000Z",
                                        "2026-11-22T11:15:00.000Z"}));
    // Clocks go back by half an hour: at 02:00 it is 01:30 once more.
    EXPECT_EQ(pieces(zone("Australia/Lord_Howe"), CalendarUnit::hour, "2026-04-04T13:59:00Z",
                     "2026-04-04T16:00:00Z"),
              (std::vector<std::string>{"2026-04-04T13:00:00.000Z", "2026-04-04T14:00:00.000Z",
                                        "2026-04-04T15:30:00.000Z"}));
}

TEST(TimeZoneTest, LeavesOutADateThatNeverWas) {
    EXPECT_EQ(pieces(zone("Pacific/Apia"), CalendarUnit::day, "2011-12-29", "2012-01-01"),
              (std::vector<std::string>{"2011-12-29T10:00:00.000Z", "2011-12-30T10:00:00.000Z"}));
}

TEST(TimeZoneTest, PiecesFollowOneAnother) {
    for (const char* const name :
         {"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo",
          "America/Paramaribo", "Africa/Monrovia", "Pacific/Chatham", "Asia/Beirut"}) {
        const TimeZone of = zone(name);
        for (const CalendarUnit unit : {CalendarUnit::hour, CalendarUnit::day}) {
            for (std::int64_t year = 0; year < 58; year += 1) {
                Timestamp at = of.begin(unit, {year * 8766 * hour_ms});
                for (int i = 0; i < 400; ++i) {
                    const Timestamp next = of.next(unit, at);
                    ASSERT_LT(at, next) << name;
                    ASSERT_LE(next, at + 49 * hour_ms) << name;
                    ASSERT_EQ(of.begin(unit, next), next) << name << ' ' << format_iso8601(next);
                    ASSERT_EQ(of.begin(unit, next + -1), at) << name << ' ' << format_iso8601(at);
                    at = next;
                }
            }
        }
    }
}

}  // namespace
}  // namespace coupond::test
