#include "domain/spelling.hpp"

#include <gtest/gtest.h>

namespace coupond {
namespace {

TEST(Folded, IsTheSameForWhatIsSpelledAlike) {
    for (const char* const code :
         {"SUMMER2026AB", "summer2026ab", "Summer 2026-AB", " summer--2026  ab ",
          "SUMMER\u00a02026\u2010ab", "summer\u20112026\u2012a\u2013b\u2014\u2015"}) {
        EXPECT_EQ(folded(code), "SUMMER2026AB") << code;
    }
}

TEST(Folded, LeavesAllElse) {
    for (const char* const code : {"A_B", "A.B", "A/B", "\u00c9\u00e9\u00df", "A\u200fB",
                                   "A\u2016B", "A\u00a1B", "A\u00ad", "0O1IL", "\U0001f600"}) {
        EXPECT_EQ(folded(code), code);
    }
    EXPECT_EQ(folded("\u00e9a"), "\u00e9A");
    EXPECT_EQ(folded("[`{@az"), "[`{@AZ");
}

TEST(Folded, MayBeNothing) {
    EXPECT_EQ(folded(""), "");
    EXPECT_EQ(folded(" -\u2014\u00a0"), "");
}

}  // namespace
}  // namespace coupond
