#include "base/time.hpp"

#include <gtest/gtest.h>

namespace coupond {
namespace {

TEST(Time, IsWrittenInUtcWithMilliseconds) {
    EXPECT_EQ(format_iso8601({0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(format_iso8601({1'795'357'273'730}), "2026-11-22T14:21:13.730Z");
    EXPECT_EQ(format_iso8601({951'782'400'000}), "2000-02-29T00:00:00.000Z");
    EXPECT_EQ(format_iso8601({-1}), "1969-12-31T23:59:59.999Z");
}

TEST(Time, SystemClockIsAfterThisWasWritten) {
    EXPECT_GT(SystemClock().now().ms, 1'790'000'000'000);
}

}  // namespace
}  // namespace coupond
