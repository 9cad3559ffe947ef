#include "base/check.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace coupond {
namespace {

TEST(CheckDeathTest, AbortsAndSaysWhatDoesNotHoldAndWhere) {
    const int one = 1;
    EXPECT_EXIT(COUPOND_CHECK(one == 2), testing::KilledBySignal(SIGABRT),
                "coupond: bug: one == 2 does not hold at .*check_test\\.cpp:12");
}

TEST(Check, OfSomethingTrueDoesNothingAndEvaluatesItOnce) {
    int evaluated = 0;
    COUPOND_CHECK(++evaluated == 1);
    EXPECT_EQ(evaluated, 1);
}

TEST(Check, IsOneStatementWhereverOneMayStand) {
    bool other_branch = false;
    if (other_branch)
        COUPOND_CHECK(false);
    else
        other_branch = true;
    EXPECT_TRUE(other_branch);
}

}  // namespace
}  // namespace coupond
