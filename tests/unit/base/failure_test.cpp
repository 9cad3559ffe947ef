#include "base/failure.hpp"

#include <gtest/gtest.h>

#include <string>

namespace coupond {
namespace {

TEST(Failure, IsNamedAsItsEnumerator) {
    EXPECT_EQ(to_string(Failure::conflict), "conflict");
    EXPECT_EQ(to_string(Failure::refused), "refused");
    EXPECT_EQ(to_string(Failure::unavailable), "unavailable");
    EXPECT_EQ(to_string(Failure::indeterminate), "indeterminate");
    EXPECT_EQ(to_string(Failure::overloaded), "overloaded");
}

TEST(Failure, ThatNobodyExaminedIsNamedByTheException) {
    const Result<int> failed = Failure::indeterminate;
    try {
        (void)failed.value();
        FAIL() << "no exception";
    } catch (const std::logic_error& error) {
        EXPECT_NE(std::string(error.what()).find("indeterminate"), std::string::npos);
    }
}

TEST(Result, HoldsAValueOrAFailure) {
    EXPECT_EQ(Result<int>(5).value(), 5);
    EXPECT_EQ(Result<int>(Failure::conflict).error(), Failure::conflict);
    EXPECT_TRUE(Result<void>{}.has_value());
}

}  // namespace
}  // namespace coupond
