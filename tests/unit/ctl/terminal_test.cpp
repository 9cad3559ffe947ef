#include "ctl/terminal.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <clocale>
#include <cstdio>
#include <thread>

namespace coupond::ctl {
namespace {

class TerminalTest : public testing::Test {
protected:
    void SetUp() override { std::setlocale(LC_CTYPE, "C.UTF-8"); }
};

TEST_F(TerminalTest, CountsColumnsNotBytes) {
    EXPECT_EQ(columns_of(""), 0);
    EXPECT_EQ(columns_of("abc"), 3);
    EXPECT_EQ(columns_of("é"), 1);
    EXPECT_EQ(columns_of("日本"), 4);
    EXPECT_EQ(columns_of("e\u0301"), 1);
    EXPECT_EQ(columns_of("😀"), 2);
}

TEST_F(TerminalTest, CutsWhereThereIsNoRoom) {
    EXPECT_EQ(cut("abc", 3), "abc");
    EXPECT_EQ(cut("abcd", 3), "ab…");
    EXPECT_EQ(cut("日本語", 5), "日本…");
    EXPECT_EQ(cut("日本語", 4), "日…");
    EXPECT_EQ(cut("abcd", 1), "…");
    EXPECT_EQ(cut("abcd", 0), "");
}

TEST_F(TerminalTest, HandsOnNothingThatIsObeyed) {
    EXPECT_EQ(harmless("a\x1B[31mb\x07"), "a\uFFFD[31mb\uFFFD");
    EXPECT_EQ(harmless("a\nb\r\t\x7F"), "a\uFFFDb\uFFFD\uFFFD\uFFFD");
    EXPECT_EQ(harmless("a\u202Eb\u2066"), "a\uFFFDb\uFFFD");
    EXPECT_EQ(harmless("\u009B31m"), "\uFFFD31m");
    EXPECT_EQ(harmless("a\xFF\xC3"), "a\uFFFD\uFFFD");
    EXPECT_EQ(harmless("é 日 😀"), "é 日 😀");
}

TEST_F(TerminalTest, DrawsWhateverHappenedAtAll) {
    EXPECT_EQ(sparkline({}), "");
    EXPECT_EQ(sparkline({0, 0}), "  ");
    EXPECT_EQ(sparkline({0, 1, 4, 8}), " ▁▄█");
    EXPECT_EQ(sparkline({1, 1'000'000}), "▁█");
}

TEST_F(TerminalTest, IsNoneInAFile) {
    std::FILE* const file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    const Terminal terminal(file);
    EXPECT_FALSE(terminal.is_terminal());
    EXPECT_FALSE(terminal.has_colour());
    EXPECT_EQ(terminal.width(), 80);
    {
        Progress progress(terminal, "codes");
        progress.show(0, 10);
        progress.show(5, 10);
    }
    EXPECT_EQ(std::ftell(file), 0);  // plain lines come every few seconds only
    std::fclose(file);
}

}  // namespace
}  // namespace coupond::ctl
