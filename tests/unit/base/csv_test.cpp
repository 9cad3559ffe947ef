#include "base/csv.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace coupond {
namespace {

std::string cell(std::string_view text) {
    std::string out = "before,";
    append_csv_cell(out, text);
    return out.substr(7);
}

/// As RFC 4180 reads it.
std::string unquoted(const std::string& written) {
    if (!written.starts_with('"')) return written;
    std::string text;
    for (std::size_t i = 1; i + 1 < written.size(); ++i) {
        text += written[i];
        if (written[i] == '"') ++i;
    }
    return text;
}

/// Whether a spreadsheet would run it, or what is behind apostrophes.
bool would_run(std::string_view text) {
    while (text.starts_with('\'')) text.remove_prefix(1);
    return !text.empty() && std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos;
}

TEST(CsvCell, IsAsItIsWhereItCanBe) {
    for (const char* const text :
         {"", "a", "SUMMER-1", " a ", "a=b", "é😀", "'", "'a", "1.5", "a\tb", ";"}) {
        EXPECT_EQ(cell(text), text);
    }
}

TEST(CsvCell, IsQuotedWhereItNeedsTo) {
    EXPECT_EQ(cell("a,b"), "\"a,b\"");
    EXPECT_EQ(cell("a\nb"), "\"a\nb\"");
    EXPECT_EQ(cell("a\r\nb"), "\"a\r\nb\"");
    EXPECT_EQ(cell("\""), "\"\"\"\"");
    EXPECT_EQ(cell("say \"no\""), "\"say \"\"no\"\"\"");
    EXPECT_EQ(cell("\"\"a"), "\"\"\"\"\"a\"");
}

TEST(CsvCell, IsNotRun) {
    EXPECT_EQ(cell("=1+1"), "'=1+1");
    EXPECT_EQ(cell("+1"), "'+1");
    EXPECT_EQ(cell("-1"), "'-1");
    EXPECT_EQ(cell("@a"), "'@a");
    EXPECT_EQ(cell("\ta"), "'\ta");
    EXPECT_EQ(cell("\ra"), "\"'\ra\"");
    EXPECT_EQ(cell("=a,\"b\""), "\"'=a,\"\"b\"\"\"");
}

TEST(CsvCell, TellsAnApostropheOfItsOwnFromOneThatWasThere) {
    EXPECT_EQ(cell("'=1"), "''=1");
    EXPECT_EQ(cell("''-1"), "'''-1");
    EXPECT_EQ(cell("'\r"), "\"''\r\"");
}

RC_GTEST_PROP(CsvCell, CanBeReadBack, ()) {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::element('\'', '=', '-', '\t', '\r', '\n', '"', ',', 'a', ' '));
    const std::string written = cell(text);
    const std::string read = unquoted(written);
    RC_ASSERT(read.empty() || std::string_view("=+-@\t\r").find(read[0]) == std::string::npos);
    RC_ASSERT((would_run(read) ? read.substr(1) : read) == text);
    RC_ASSERT(csv_text(read) == text);
}

}  // namespace
}  // namespace coupond
