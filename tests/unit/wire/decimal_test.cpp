#include "wire/decimal.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <string>

namespace coupond::wire {
namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();

TEST(Decimal, ReadsWhatHasFewEnoughDecimals) {
    EXPECT_EQ(scaled_decimal("20", 2), 2000);
    EXPECT_EQ(scaled_decimal("19.99", 2), 1999);
    EXPECT_EQ(scaled_decimal("0.5", 2), 50);
    EXPECT_EQ(scaled_decimal("1e2", 2), 10000);
    EXPECT_EQ(scaled_decimal("1E+2", 2), 10000);
    EXPECT_EQ(scaled_decimal("1999e-2", 2), 1999);
    EXPECT_EQ(scaled_decimal("19.9900000", 2), 1999);
    EXPECT_EQ(scaled_decimal("1990e-3", 2), 199);
    EXPECT_EQ(scaled_decimal("0.00019990e5", 2), 1999);
    EXPECT_EQ(scaled_decimal("5.0", 0), 5);
    EXPECT_EQ(scaled_decimal("-7", 0), -7);
    EXPECT_EQ(scaled_decimal("-0", 0), 0);
    EXPECT_EQ(scaled_decimal("0e999999999999999999999999", 2), 0);
    EXPECT_EQ(scaled_decimal("0." + std::string(1'000'000, '0') + "1e1000001", 0), 1);
    EXPECT_EQ(scaled_decimal("1" + std::string(1'000'000, '0') + "e-1000000", 0), 1);
}

TEST(Decimal, RefusesWhatHasMore) {
    EXPECT_EQ(scaled_decimal("19.999", 2), std::nullopt);
    EXPECT_EQ(scaled_decimal("19.990000000000000000000000001", 2), std::nullopt);
    EXPECT_EQ(scaled_decimal("1e-3", 2), std::nullopt);
    EXPECT_EQ(scaled_decimal("1e-99999999999999999999", 2), std::nullopt);
    EXPECT_EQ(scaled_decimal("0.5", 0), std::nullopt);
}

TEST(Decimal, RefusesWhatDoesNotFit) {
    EXPECT_EQ(scaled_decimal("9223372036854775807", 0), largest);
    EXPECT_EQ(scaled_decimal("9223372036854775808", 0), std::nullopt);
    EXPECT_EQ(scaled_decimal("-9223372036854775808", 0), smallest);
    EXPECT_EQ(scaled_decimal("-9223372036854775809", 0), std::nullopt);
    EXPECT_EQ(scaled_decimal("9223372036854775807", 2), std::nullopt);
    EXPECT_EQ(scaled_decimal("1e18", 0), 1'000'000'000'000'000'000);
    EXPECT_EQ(scaled_decimal("1e19", 0), std::nullopt);
    EXPECT_EQ(scaled_decimal("1e400", 0), std::nullopt);
    EXPECT_EQ(scaled_decimal("1e99999999999999999999", 0), std::nullopt);
    EXPECT_EQ(scaled_decimal(std::string(1'000'000, '9'), 0), std::nullopt);
}

RC_GTEST_PROP(Decimal, ReadsAnyIntegerInAnyForm, (std::int64_t value)) {
    const auto decimals = *rc::gen::inRange(0, 40);
    const std::string digits = std::to_string(value);
    RC_ASSERT(scaled_decimal(digits, 0) == value);
    RC_ASSERT(scaled_decimal(digits + "." + std::string(1 + decimals, '0'), 0) == value);
    RC_ASSERT(scaled_decimal(digits + "e-" + std::to_string(decimals), decimals) == value);
}

}  // namespace
}  // namespace coupond::wire
