#include "wire/json_writer.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>
#include <limits>

#include "base/text.hpp"
#include "wire/decimal.hpp"

namespace coupond::wire {
namespace {

std::string as_string(std::string_view text) {
    std::string out;
    JsonWriter(out).string(text);
    return out;
}

std::string hundredths(std::int64_t cents) {
    std::string out;
    JsonWriter(out).hundredths(cents);
    return out;
}

std::string parsed(const std::string& json) {
    const boost::json::value value = boost::json::parse(json);
    return {value.as_string().data(), value.as_string().size()};
}

/// A character in UTF-8.
std::string utf8(char32_t c) {
    const auto byte = [](char32_t value) { return static_cast<char>(value); };
    if (c < 0x80) return {byte(c)};
    if (c < 0x800) return {byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F))};
    if (c < 0x10000) {
        return {byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F))};
    }
    return {byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)),
            byte(0x80 | (c & 0x3F))};
}

TEST(JsonWriter, LeavesPlainTextAlone) {
    EXPECT_EQ(as_string(""), R"("")");
    EXPECT_EQ(as_string("SUMMER-7KQ2M9/?'\x7F"), "\"SUMMER-7KQ2M9/?'\x7F\"");
    EXPECT_EQ(as_string("é€😀"), "\"é€😀\"");
}

TEST(JsonWriter, EscapesWhatMustBe) {
    EXPECT_EQ(as_string("a\"b\\c"), R"("a\"b\\c")");
    EXPECT_EQ(as_string("\b\f\n\r\t"), R"("\b\f\n\r\t")");
    EXPECT_EQ(as_string(std::string_view("\0\x01\x1F", 3)), R"("\u0000\u0001\u001f")");
    EXPECT_EQ(as_string("é\n€"), "\"é\\n€\"");
}

TEST(JsonWriter, RepairsWhatIsNotUtf8) {
    EXPECT_EQ(as_string("a\xFF\"b"), "\"a\xEF\xBF\xBD\\\"b\"");
    EXPECT_EQ(as_string("é\xC3"), "\"é\xEF\xBF\xBD\"");
    EXPECT_EQ(as_string("\xED\xA0\x80|"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|\"");
    EXPECT_EQ(as_string("\xC0\x80😀\xFE"), "\"\xEF\xBF\xBD\xEF\xBF\xBD😀\xEF\xBF\xBD\"");
}

TEST(JsonWriter, WritesNumbersTimesAndConstants) {
    std::string out = "[";
    JsonWriter json(out);
    json.number(0).raw(",").number(std::numeric_limits<std::int64_t>::max()).raw(",");
    json.number(std::numeric_limits<std::int64_t>::min()).raw(",");
    json.boolean(true).raw(",").boolean(false).raw(",").null().raw(",");
    json.time({1'795'357'273'730}).raw("]");
    EXPECT_EQ(out,
              "[0,9223372036854775807,-9223372036854775808,true,false,null,"
              "\"2026-11-22T14:21:13.730Z\"]");
}

TEST(JsonWriter, WritesAmountsInTheirShortestForm) {
    EXPECT_EQ(hundredths(0), "0");
    EXPECT_EQ(hundredths(1), "0.01");
    EXPECT_EQ(hundredths(10), "0.1");
    EXPECT_EQ(hundredths(50), "0.5");
    EXPECT_EQ(hundredths(1999), "19.99");
    EXPECT_EQ(hundredths(2000), "20");
    EXPECT_EQ(hundredths(99'999'999'99), "99999999.99");
}

TEST(JsonWriter, WritesNegativeAmounts) {
    EXPECT_EQ(hundredths(-1), "-0.01");
    EXPECT_EQ(hundredths(-50), "-0.5");
    EXPECT_EQ(hundredths(-2000), "-20");
    EXPECT_EQ(hundredths(-1999), "-19.99");
    EXPECT_EQ(hundredths(std::numeric_limits<std::int64_t>::min()), "-92233720368547758.08");
    std::string out;
    JsonWriter(out).decimal(-5, 0).raw(" ").decimal(-5, 3).raw(" ").decimal(0, 4);
    EXPECT_EQ(out, "-5 -0.005 0");
    out.clear();
    JsonWriter(out).decimal(std::numeric_limits<std::int64_t>::min(), 18);
    EXPECT_EQ(out, "-9.223372036854775808");
}

RC_GTEST_PROP(JsonWriter, RoundTripsAnyText, ()) {
    std::string text;
    const auto characters = *rc::gen::container<std::vector<char32_t>>(rc::gen::oneOf(
        rc::gen::inRange<char32_t>(0, 0x80), rc::gen::inRange<char32_t>(0x80, 0xD800),
        rc::gen::inRange<char32_t>(0xE000, 0x110000)));
    for (const char32_t c : characters) text += utf8(c);
    RC_ASSERT(parsed(as_string(text)) == text);
}

RC_GTEST_PROP(JsonWriter, MakesValidJsonOfAnyBytes, (const std::string& bytes)) {
    const std::string text = parsed(as_string(bytes));
    RC_ASSERT(examine_text(text).has_value());
    RC_ASSERT(text == bytes || !examine_text(bytes));
}

RC_GTEST_PROP(JsonWriter, AmountsAreReadBackExactly, ()) {
    const auto cents =
        *rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-99'999'999'99, 99'999'999'99 + 1),
                        rc::gen::inRange<std::int64_t>(-1000, 1000));
    RC_ASSERT(scaled_decimal(hundredths(cents), 2) == cents);
}

}  // namespace
}  // namespace coupond::wire
