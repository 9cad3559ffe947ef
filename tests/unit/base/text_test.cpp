#include "base/text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace coupond {
namespace {

using namespace std::string_view_literals;

/// The UTF-8 of a code point by RFC 3629's table, without asking whether it may be written.
std::string encode(char32_t point) {
    const auto byte = [](char32_t bits) { return static_cast<char>(bits); };
    if (point < 0x80) return {byte(point)};
    if (point < 0x800) return {byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F))};
    if (point < 0x10000) {
        return {byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)),
                byte(0x80 | (point & 0x3F))};
    }
    return {byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)),
            byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F))};
}

/// RFC 3629, section 4: what may follow each lead byte. The rows are those of its grammar.
struct Sequence {
    int lead_low, lead_high;
    int second_low, second_high;
    int more;  // bytes 80..BF after the second
};
constexpr Sequence sequences[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 0},                               // UTF8-2
    {0xE0, 0xE0, 0xA0, 0xBF, 1},                               // UTF8-3, no overlong forms
    {0xE1, 0xEC, 0x80, 0xBF, 1}, {0xED, 0xED, 0x80, 0x9F, 1},  // no surrogates
    {0xEE, 0xEF, 0x80, 0xBF, 1}, {0xF0, 0xF0, 0x90, 0xBF, 2},  // UTF8-4, no overlong forms
    {0xF1, 0xF3, 0x80, 0xBF, 2}, {0xF4, 0xF4, 0x80, 0x8F, 2},  // nothing beyond U+10FFFF
};

TEST(Text, OfEveryLeadAndSecondByteIsUtf8WhereTheGrammarHasThem) {
    for (int lead = 0x80; lead <= 0xFF; ++lead) {
        for (int second = 0; second <= 0xFF; ++second) {
            bool allowed = false;
            int more = lead >= 0xF0 ? 2 : lead >= 0xE0 ? 1 : 0;
            for (const Sequence& row : sequences) {
                if (lead < row.lead_low || lead > row.lead_high) continue;
                allowed = second >= row.second_low && second <= row.second_high;
                more = row.more;
            }
            std::string text{static_cast<char>(lead), static_cast<char>(second)};
            text.append(static_cast<std::size_t>(more), '\x80');
            const auto shape = examine_text(text);
            ASSERT_EQ(shape.has_value(), allowed) << std::hex << lead << ' ' << second;
            if (shape) {
                ASSERT_EQ(shape->characters, 1u);
            }
        }
    }
}

TEST(Text, HasContinuationBytesOnlyFrom80ToBf) {
    for (int byte = 0; byte <= 0xFF; ++byte) {
        const bool continues = byte >= 0x80 && byte <= 0xBF;
        const char c = static_cast<char>(byte);
        EXPECT_EQ(examine_text(std::string("\xE2\x82") + c).has_value(), continues) << byte;
        EXPECT_EQ(examine_text(std::string("\xF1\x80") + c + '\x80').has_value(), continues);
        EXPECT_EQ(examine_text(std::string("\xF1\x80\x80") + c).has_value(), continues) << byte;
    }
}

TEST(Text, CountsEachScalarValueAsOneCharacter) {
    for (char32_t point = 0; point <= 0x10FFFF; ++point) {
        const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        const auto shape = examine_text(encode(point));
        if (surrogate) {
            ASSERT_FALSE(shape.has_value()) << std::hex << static_cast<unsigned>(point);
        } else {
            ASSERT_TRUE(shape.has_value()) << std::hex << static_cast<unsigned>(point);
            ASSERT_EQ(shape->characters, 1u);
        }
    }
    for (const char32_t beyond : {0x110000, 0x13FFFF, 0x1FFFFF}) {
        EXPECT_FALSE(examine_text(encode(beyond)).has_value());
    }
    EXPECT_EQ(examine_text("")->characters, 0u);
    EXPECT_EQ(examine_text("a\u00e9\u20ac\U0001f39f")->characters, 4u);
}

TEST(Text, HasControlsInTwoRangesAndNowhereElse) {
    for (char32_t point = 0; point <= 0xD7FF; ++point) {
        const bool control = point < 0x20 || (point >= 0x7F && point <= 0x9F);
        ASSERT_EQ(examine_text("a" + encode(point) + "b")->has_control, control)
            << std::hex << static_cast<unsigned>(point);
    }
    EXPECT_TRUE(examine_text("a\0b"sv)->has_control);
    EXPECT_FALSE(examine_text("")->has_control);
}

TEST(Text, CutWithinACharacterIsNotUtf8) {
    for (const std::string& whole : {encode(0x80), encode(0x7FF), encode(0x800), encode(0xFFFF),
                                     encode(0x10000), encode(0x10FFFF)}) {
        ASSERT_TRUE(examine_text(whole));
        for (std::size_t size = 1; size < whole.size(); ++size) {
            EXPECT_FALSE(examine_text(whole.substr(0, size)));
            EXPECT_FALSE(examine_text(whole.substr(0, size) + "abc"));
            EXPECT_FALSE(examine_text("abc" + whole.substr(size)));
        }
    }
}

TEST(Text, OverlongFormsAreNotUtf8) {
    const std::vector<std::string> overlong = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",         "\xE0\x9F\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF8\x88\x80\x80\x80", "\xFC\x84\x80\x80\x80\x80"};
    for (const std::string& text : overlong) EXPECT_FALSE(examine_text(text)) << text;
}

}  // namespace
}  // namespace coupond
