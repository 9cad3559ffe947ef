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

struct Calendar {
    const char* zone;
    CalendarUnit unit;
    const char* from;  ///< the first piece is the one that this lies in
    const char* to;    ///< the last one begins before this
    /// When they begin, without the seconds.
    std::vector<std::string> begins;
};

class CalendarPieces : public testing::TestWithParam<Calendar> {};

TEST_P(CalendarPieces, BeginWhenTheTableSays) {
    std::vector<std::string> begins;
    for (const std::string& begin :
         pieces(zone(GetParam().zone), GetParam().unit, GetParam().from, GetParam().to)) {
        ASSERT_TRUE(begin.ends_with(":00.000Z")) << begin;
        begins.push_back(begin.substr(0, 16));
    }
    EXPECT_EQ(begins, GetParam().begins);
}

constexpr CalendarUnit day = CalendarUnit::day, week = CalendarUnit::week,
                       month = CalendarUnit::month;

INSTANTIATE_TEST_SUITE_P(
    Days, CalendarPieces,
    testing::Values(
        // Of 23 hours, for midnight is left out; and of 25, for it comes an hour late.
        Calendar{"America/Sao_Paulo",
                 day,
                 "2018-11-03",
                 "2018-11-06",
                 {"2018-11-03T03:00", "2018-11-04T03:00", "2018-11-05T02:00"}},
        Calendar{"America/Sao_Paulo",
                 day,
                 "2018-02-16",
                 "2018-02-19",
                 {"2018-02-16T02:00", "2018-02-17T02:00", "2018-02-18T03:00"}},
        // Of 24 and a half hours, and of 23 and a half.
        Calendar{"Australia/Lord_Howe",
                 day,
                 "2026-04-05",
                 "2026-04-07",
                 {"2026-04-04T13:00", "2026-04-05T13:30"}},
        Calendar{"Australia/Lord_Howe",
                 day,
                 "2026-10-04",
                 "2026-10-06",
                 {"2026-10-03T13:30", "2026-10-04T13:00"}}));

INSTANTIATE_TEST_SUITE_P(
    Weeks, CalendarPieces,
    testing::Values(
        Calendar{"Europe/Berlin",
                 week,
                 "2026-03-29T00:59:59Z",
                 "2026-04-13",
                 {"2026-03-22T23:00", "2026-03-29T22:00", "2026-04-05T22:00"}},
        Calendar{"Europe/Berlin",
                 week,
                 "2026-10-25T23:59:59+01:00",
                 "2026-11-09",
                 {"2026-10-18T22:00", "2026-10-25T23:00", "2026-11-01T23:00"}},
        Calendar{"America/Sao_Paulo",
                 week,
                 "2018-11-04",
                 "2018-11-13",
                 {"2018-10-29T03:00", "2018-11-05T02:00", "2018-11-12T02:00"}},
        Calendar{"America/Sao_Paulo",
                 week,
                 "2018-02-17",
                 "2018-02-27",
                 {"2018-02-12T02:00", "2018-02-19T03:00", "2018-02-26T03:00"}},
        // Of six days.
        Calendar{"Pacific/Apia",
                 week,
                 "2011-12-31",
                 "2012-01-10",
                 {"2011-12-26T10:00", "2012-01-01T10:00", "2012-01-08T10:00"}},
        Calendar{"Australia/Lord_Howe",
                 week,
                 "2026-04-05",
                 "2026-04-14",
                 {"2026-03-29T13:00", "2026-04-05T13:30", "2026-04-12T13:30"}},
        Calendar{"Australia/Lord_Howe",
                 week,
                 "2026-10-04",
                 "2026-10-06",
                 {"2026-09-27T13:30", "2026-10-04T13:00"}},
        // A Monday whose midnight is left out, and one that comes an hour late.
        Calendar{"Asia/Tehran",
                 week,
                 "2021-03-21",
                 "2021-03-30",
                 {"2021-03-14T20:30", "2021-03-21T20:30", "2021-03-28T19:30"}},
        Calendar{"Asia/Tehran",
                 week,
                 "2020-09-20T20:29:59Z",
                 "2020-09-29",
                 {"2020-09-13T19:30", "2020-09-20T20:30", "2020-09-27T20:30"}},
        // A Sunday and a Monday; and across a new year, with a week 53 in 2020.
        Calendar{"UTC", week, "2026-11-22", "2026-11-23", {"2026-11-16T00:00"}},
        Calendar{"UTC", week, "2026-11-23", "2026-11-24", {"2026-11-23T00:00"}},
        Calendar{"UTC", week, "2024-12-31", "2025-01-07", {"2024-12-30T00:00", "2025-01-06T00:00"}},
        Calendar{
            "UTC", week, "2021-01-03", "2021-01-05", {"2020-12-28T00:00", "2021-01-04T00:00"}}));

INSTANTIATE_TEST_SUITE_P(
    Months, CalendarPieces,
    testing::Values(
        Calendar{"Europe/Berlin",
                 month,
                 "2026-03-31T21:59:59Z",
                 "2026-05-02",
                 {"2026-02-28T23:00", "2026-03-31T22:00", "2026-04-30T22:00"}},
        Calendar{"Europe/Berlin",
                 month,
                 "2026-10-31T22:59:59Z",
                 "2026-12-02",
                 {"2026-09-30T22:00", "2026-10-31T23:00", "2026-11-30T23:00"}},
        Calendar{"America/Sao_Paulo",
                 month,
                 "2018-11-04",
                 "2018-12-02",
                 {"2018-11-01T03:00", "2018-12-01T02:00"}},
        Calendar{"America/Sao_Paulo",
                 month,
                 "2018-02-28",
                 "2018-03-02",
                 {"2018-02-01T02:00", "2018-03-01T03:00"}},
        Calendar{"Pacific/Apia",
                 month,
                 "2011-12-31",
                 "2012-02-02",
                 {"2011-12-01T10:00", "2011-12-31T10:00", "2012-01-31T10:00"}},
        Calendar{"Australia/Lord_Howe",
                 month,
                 "2026-04-30",
                 "2026-05-02",
                 {"2026-03-31T13:00", "2026-04-30T13:30"}},
        Calendar{"Australia/Lord_Howe",
                 month,
                 "2026-10-31",
                 "2026-11-02",
                 {"2026-09-30T13:30", "2026-10-31T13:00"}},
        // A first of the month whose midnight is left out.
        Calendar{"America/Asuncion",
                 month,
                 "2017-09-30",
                 "2017-11-02",
                 {"2017-09-01T04:00", "2017-10-01T04:00", "2017-11-01T03:00"}},
        // A minute after midnight it is an hour before it again; the month has begun all the same.
        Calendar{"America/St_Johns",
                 month,
                 "2009-11-01T02:29:59Z",
                 "2009-12-02",
                 {"2009-10-01T02:30", "2009-11-01T02:30", "2009-12-01T03:30"}},
        Calendar{"America/St_Johns",
                 month,
                 "2009-11-01T02:45:00Z",
                 "2009-11-01T03:45:00Z",
                 {"2009-11-01T02:30"}},
        // From its last day, whichever that is.
        Calendar{"UTC",
                 month,
                 "2026-02-28",
                 "2026-03-01T00:00:00.001Z",
                 {"2026-02-01T00:00", "2026-03-01T00:00"}},
        Calendar{
            "UTC", month, "2024-02-29", "2024-03-02", {"2024-02-01T00:00", "2024-03-01T00:00"}},
        Calendar{
            "UTC", month, "2100-02-28", "2100-03-02", {"2100-02-01T00:00", "2100-03-01T00:00"}},
        Calendar{
            "UTC", month, "2000-02-29", "2000-03-02", {"2000-02-01T00:00", "2000-03-01T00:00"}},
        Calendar{
            "UTC", month, "2025-12-31", "2026-01-02", {"2025-12-01T00:00", "2026-01-01T00:00"}}));

TEST(TimeZoneTest, BeginsAMonthWhereTheLastDateOfTheOneBeforeNeverWas) {
    const TimeZone of = zone("Pacific/Kiritimati");
    const Timestamp left_out{788'868'000'000};  // 1994-12-31
    EXPECT_EQ(format_iso8601(of.begin(month, left_out + -1)), "1994-12-01T10:00:00.000Z");
    EXPECT_EQ(of.next(month, left_out + -1), left_out);
    EXPECT_EQ(of.begin(month, left_out), left_out);
    EXPECT_EQ(format_iso8601(of.next(month, left_out)), "1995-01-31T10:00:00.000Z");
}

struct Ending {
    const char* zone;
    const char* date;
    const char* begin;  ///< without the seconds, as are all below
    const char* end;
};

class DateEnds : public testing::TestWithParam<Ending> {};

TEST_P(DateEnds, WhenTheNextOneBegins) {
    const TimeZone of = zone(GetParam().zone);
    const Timestamp begin = of.parse(GetParam().date).value();
    const Timestamp end = of.parse_end(GetParam().date).value();
    EXPECT_EQ(format_iso8601(begin), std::string(GetParam().begin) + ":00.000Z");
    EXPECT_EQ(format_iso8601(end), std::string(GetParam().end) + ":00.000Z");
    if (begin < end) {
        EXPECT_EQ(of.next(CalendarUnit::day, begin), end);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Tables, DateEnds,
    testing::Values(
        Ending{"UTC", "2026-11-22", "2026-11-22T00:00", "2026-11-23T00:00"},
        Ending{"UTC", "2024-02-28", "2024-02-28T00:00", "2024-02-29T00:00"},
        Ending{"UTC", "2024-02-29", "2024-02-29T00:00", "2024-03-01T00:00"},
        Ending{"UTC", "2026-02-28", "2026-02-28T00:00", "2026-03-01T00:00"},
        Ending{"UTC", "2100-02-28", "2100-02-28T00:00", "2100-03-01T00:00"},
        Ending{"UTC", "2026-12-31", "2026-12-31T00:00", "2027-01-01T00:00"},
        Ending{"UTC", "9998-12-30", "9998-12-30T00:00", "9998-12-31T00:00"},
        Ending{"Europe/Berlin", "2026-03-29", "2026-03-28T23:00", "2026-03-29T22:00"},
        Ending{"Europe/Berlin", "2026-10-25", "2026-10-24T22:00", "2026-10-25T23:00"},
        Ending{"Europe/Berlin", "2026-10-31", "2026-10-30T23:00", "2026-10-31T23:00"},
        Ending{"America/Sao_Paulo", "2018-11-03", "2018-11-03T03:00", "2018-11-04T03:00"},
        Ending{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00", "2018-11-05T02:00"},
        Ending{"America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00", "2018-02-18T03:00"},
        Ending{"Pacific/Apia", "2011-12-29", "2011-12-29T10:00", "2011-12-30T10:00"},
        Ending{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00", "2011-12-30T10:00"},
        Ending{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00", "2011-12-31T10:00"},
        Ending{"Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", "2026-04-05T13:30"},
        Ending{"Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", "2026-10-04T13:00"},
        Ending{"America/St_Johns", "2009-10-31", "2009-10-31T02:30", "2009-11-01T02:30"}));

TEST(TimeZoneTest, ReadsEndsOfMomentsAsThemselves) {
    const TimeZone berlin = zone("Europe/Berlin");
    for (const char* const text :
         {"2026-11-22T14:21:13.730Z", "2026-11-22T14:21:13+01:00", "2026-11-22T00:00:00+01:00"}) {
        EXPECT_EQ(berlin.parse_end(text), berlin.parse(text)) << text;
    }
    for (const char* const text :
         {"", "2026", "2026-13-01", "2026-02-29", "2100-02-29", "2026-11-22 ", "2026-11-22T14:00",
          "2026-11-22T14:00:00", "1999-12-30", "9999-01-02", "12026-11-22", "infinite-future"}) {
        EXPECT_FALSE(berlin.parse_end(text)) << text;
    }
    // It is the day that must lie in the years 2000 to 9998.
    EXPECT_FALSE(zone("UTC").parse_end("1999-12-31"));
    EXPECT_EQ(zone("UTC").parse_end("9998-12-31"), *zone("UTC").parse("9998-12-31") + 86'400'000);
}

TEST(TimeZoneTest, PiecesFollowOneAnother) {
    struct Length {
        CalendarUnit unit;
        std::int64_t most_hours;
        int pieces;
    };
    constexpr Length lengths[] = {
        {CalendarUnit::hour, 2, 400},
        {day, 49, 400},
        {week, 7 * 24 + 25, 60},
        {month, 31 * 24 + 25, 14},
    };
    for (const char* const name :
         {"UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo",
          "America/Paramaribo", "Africa/Monrovia", "Pacific/Chatham", "Asia/Beirut", "Pacific/Apia",
          "Pacific/Kiritimati", "America/Sao_Paulo", "Asia/Tehran"}) {
        const TimeZone of = zone(name);
        for (const auto& [unit, most_hours, pieces] : lengths) {
            for (std::int64_t year = 0; year < 58; year += 1) {
                Timestamp at = of.begin(unit, {year * 8766 * hour_ms});
                for (int i = 0; i < pieces; ++i) {
                    const Timestamp next = of.next(unit, at);
                    ASSERT_LT(at, next) << name;
                    ASSERT_LE(next, at + most_hours * hour_ms) << name;
                    ASSERT_EQ(of.begin(unit, next), next) << name << ' ' << format_iso8601(next);
                    ASSERT_EQ(of.begin(unit, next + -1), at) << name << ' ' << format_iso8601(at);
                    if (unit != CalendarUnit::hour) {
                        ASSERT_EQ(of.begin(day, at), at) << name << ' ' << format_iso8601(at);
                    }
                    at = next;
                }
            }
        }
    }
}

}  // namespace
}  // namespace coupond::test
