// Files of codes. Whatever is read here is read whole, byte by byte and in pieces of several sizes,
// and comes to the same.
#include "wire/code_file.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "base/limits.hpp"
#include "base/text.hpp"

namespace coupond::wire {
namespace {

using Format = CodeFile::Format;
using Lines = std::vector<std::string>;

/// A row in a line: `3 CODE user=ann expires=2026-… most=2 off {"a":"b"}`, or `3 ! reason text`.
std::string text_of(const ImportedCode& row) {
    std::string text = std::to_string(row.line) + " " + row.code;
    if (!row.user_id.empty()) text += " user=" + row.user_id;
    if (row.settings.expires_at) text += " expires=" + format_iso8601(*row.settings.expires_at);
    if (!row.expires_on.empty()) text += " on=" + row.expires_on;
    if (row.settings.max_redemptions) {
        text += " most=" + std::to_string(*row.settings.max_redemptions);
    }
    if (!row.settings.active) text += " off";
    if (row.settings.metadata != "{}") text += " " + row.settings.metadata;
    return text;
}

struct Collected : CodeFile::Rows {
    std::vector<ImportedCode> codes;
    std::vector<RejectedRow> rejects;
    Lines lines;

    void row(ImportedCode&& row) override {
        lines.push_back(text_of(row));
        codes.push_back(std::move(row));
    }
    void rejected(RejectedRow&& row) override {
        lines.push_back(std::to_string(row.line) + " ! " + row.reason + " " + row.text);
        rejects.push_back(std::move(row));
    }
};

struct Result {
    Collected rows;
    CodeFile::Problem problem;
};

/// `next_size()`: of the next piece.
template <class NextSize>
Result read_in_pieces(Format format, std::string_view text, const NextSize& next_size) {
    Result result;
    CodeFile file(format, result.rows);
    bool fine = true;
    while (fine && !text.empty()) {
        const std::size_t size = std::min<std::size_t>(text.size(), next_size());
        // A copy of its own: nothing is read beyond it, or kept of it.
        fine = file.read(std::string(text.substr(0, size)));
        text.remove_prefix(size);
    }
    fine = fine && file.end();
    EXPECT_EQ(fine, file.problem().code.empty());
    EXPECT_TRUE(fine || result.rows.lines.empty());
    result.problem = file.problem();
    return result;
}

Result read(Format format, std::string_view text) {
    Result whole = read_in_pieces(format, text, [&] { return text.size(); });
    for (const std::size_t size : {1, 2, 3, 7, 1'000, 65'536, 65'537}) {
        const Result cut = read_in_pieces(format, text, [&] { return size; });
        EXPECT_EQ(cut.rows.lines, whole.rows.lines) << "in pieces of " << size;
        EXPECT_EQ(cut.problem.code, whole.problem.code) << "in pieces of " << size;
    }
    return whole;
}

Lines csv(std::string_view text) {
    const Result result = read(Format::csv, text);
    EXPECT_EQ(result.problem.code, "") << text;
    return result.rows.lines;
}

Lines ndjson(std::string_view text) {
    const Result result = read(Format::ndjson, text);
    EXPECT_EQ(result.problem.code, "") << text;
    return result.rows.lines;
}

std::string problem(std::string_view text, Format format = Format::csv) {
    return std::string(read(format, text).problem.code);
}

/// What comes of a single row below these columns.
std::string row(const std::string& columns, const std::string& cells) {
    const Lines lines = csv(columns + "\n" + cells + "\n");
    EXPECT_EQ(lines.size(), 1U) << cells;
    return lines.empty() ? "" : lines.front();
}

/// Why it is rejected; empty where it is not.
std::string reason(const std::string& columns, const std::string& cells) {
    const Result result = read(Format::csv, columns + "\n" + cells + "\n");
    return result.rows.rejects.empty() ? "" : result.rows.rejects.front().reason;
}

std::string line_reason(const std::string& line) {
    const Result result = read(Format::ndjson, line);
    return result.rows.rejects.empty() ? "" : result.rows.rejects.front().reason;
}

TEST(CodeFile, TakesOneColumnOfCodes) {
    EXPECT_EQ(csv("A\nB\nC\n"), (Lines{"1 A", "2 B", "3 C"}));
    EXPECT_EQ(csv("A\nB"), (Lines{"1 A", "2 B"}));
    EXPECT_EQ(csv("A"), (Lines{"1 A"}));
    EXPECT_EQ(csv("userId\nA\n"), (Lines{"1 userId", "2 A"}));
    EXPECT_EQ(csv("\"A\"\n\"code \"\n"), (Lines{"1 A", "2 code "}));
    EXPECT_EQ(csv("A;B\nC\n"), (Lines{"1 A;B", "2 C"}));
    EXPECT_EQ(csv("A\nB,C\nD\n"), (Lines{"1 A", "2 ! row_malformed B,C", "3 D"}));
    EXPECT_EQ(csv(std::string(129, 'x') + "\nA\n"),
              (Lines{"1 ! code_invalid " + std::string(129, 'x'), "2 A"}));
}

TEST(CodeFile, TakesNamedColumns) {
    EXPECT_EQ(csv("code\nA\n"), (Lines{"2 A"}));
    EXPECT_EQ(csv("code"), Lines());
    EXPECT_EQ(csv("Code,USERID\nA,ann\n"), (Lines{"2 A user=ann"}));
    EXPECT_EQ(csv("\"code\",\"userId\"\r\n\"A\",\"ann\"\r\n"), (Lines{"2 A user=ann"}));
    EXPECT_EQ(csv("userId,code\nann,A\n,B\n\"\",C\n"), (Lines{"2 A user=ann", "3 B", "4 C"}));
    EXPECT_EQ(csv("code,status,userId,expiresAt,maxRedemptions,active,metadata.a,metadata.b c\n"
                  "A,,,,,,,\n"
                  "B,free,,2026-11-22,3,false,x,\n"
                  "C,assigned,ann,2026-11-22T15:00:00+01:00,,true,,y\n"
                  "D,locked,bob,2026-11-22T14:00:00.5Z,1000000000,TRUE,x,\"y,\"\"\nz\"\n"
                  "E,redeemed,eve,,,,,\n"),
              (Lines{"2 A", R"(3 B on=2026-11-22 most=3 off {"a":"x"})",
                     R"(4 C user=ann expires=2026-11-22T14:00:00.000Z {"b c":"y"})",
                     "5 D user=bob expires=2026-11-22T14:00:00.500Z most=1000000000 "
                     R"({"a":"x","b c":"y,\"\nz"})",
                     "7 ! already_redeemed E,redeemed,eve,,,,,"}));
}

TEST(CodeFile, KeepsMetadataInTheColumnsOrder) {
    EXPECT_EQ(row("metadata.b,code,metadata.a,METADATA.B", "1,A,2,3"),
              R"(2 A {"b":"1","a":"2","B":"3"})");
    EXPECT_EQ(row("code,\"metadata.\"\"\"", "A,\\"), R"(2 A {"\"":"\\"})");
    EXPECT_EQ(row("code,metadata.metadata.", "A,ä😀"), R"(2 A {"metadata.":"ä😀"})");
    const std::string full(limits::metadata_bytes - std::string(R"({"a":""})").size(), 'x');
    EXPECT_EQ(row("code,metadata.a", "A," + full), R"(2 A {"a":")" + full + R"("})");
    EXPECT_EQ(reason("code,metadata.a", "A,x" + full), "metadata_too_large");
}

TEST(CodeFile, TakesAnyLineEnd) {
    for (const std::string end : {"\n", "\r\n", "\r"}) {
        EXPECT_EQ(csv("code" + end + "A" + end + "B" + end), (Lines{"2 A", "3 B"}));
        EXPECT_EQ(csv(end + end + "A" + end + end + "B"), (Lines{"3 A", "5 B"}));
        EXPECT_EQ(csv("code,metadata.a" + end + "A,\"x" + end + end + "y\"" + end + "B,"),
                  (Lines{"2 A {\"a\":\"x" +
                             std::string(end == "\n"   ? R"(\n\n)"
                                         : end == "\r" ? R"(\r\r)"
                                                       : R"(\r\n\r\n)") +
                             "y\"}",
                         "5 B"}));
        EXPECT_EQ(ndjson("\"A\"" + end + end + " " + end + "\"B\""), (Lines{"1 A", "4 B"}));
    }
    EXPECT_EQ(csv("A\rB\nC\r\nD\n\rE"), (Lines{"1 A", "2 B", "3 C", "4 D", "6 E"}));
}

TEST(CodeFile, TakesAByteOrderMark) {
    EXPECT_EQ(csv("\xEF\xBB\xBF"
                  "code\nA"),
              (Lines{"2 A"}));
    EXPECT_EQ(csv("\xEF\xBB\xBF\"A\"\n"), (Lines{"1 A"}));
    EXPECT_EQ(ndjson("\xEF\xBB\xBF\"A\"\n"), (Lines{"1 A"}));
    EXPECT_EQ(problem("\xEF\xBB\xBF"), "file_empty");
    EXPECT_EQ(problem("\xEF\xBB"), "first_row_not_utf8");
    EXPECT_EQ(csv("\xEF\xBC\xA1\n"), (Lines{"1 Ａ"}));
}

TEST(CodeFile, TellsWhyAFileCannotBeRead) {
    for (const Format format : {Format::csv, Format::ndjson}) {
        for (const std::string_view text : {"", "\n", "\r\n\r\n"}) {
            EXPECT_EQ(problem(text, format), "file_empty");
        }
    }
    EXPECT_EQ(problem("A,B\nC,D\n"), "code_column_missing");
    EXPECT_EQ(problem("userId,expiresAt\n"), "code_column_missing");
    EXPECT_EQ(problem(",\n"), "code_column_missing");
    EXPECT_EQ(problem("code,code\n"), "column_repeated");
    EXPECT_EQ(problem("code,userId,USERID\n"), "column_repeated");
    EXPECT_EQ(problem("code,metadata.a,metadata.a\n"), "column_repeated");
    EXPECT_EQ(problem("code,\n"), "column_unknown");
    EXPECT_EQ(problem("code, userId\n"), "column_unknown");
    EXPECT_EQ(problem("code;userId\nA;ann\n"), "not_separated_by_commas");
    EXPECT_EQ(problem("userId\tCode\n"), "not_separated_by_commas");
    EXPECT_EQ(problem("\"code\";\"userId\"\n"), "first_row_malformed");
    EXPECT_EQ(problem("code,\"userId\nA\nB\n"), "first_row_malformed");
    EXPECT_EQ(problem("A\"\n"), "first_row_malformed");
    EXPECT_EQ(problem("code,\xE4\n"), "first_row_not_utf8");
    EXPECT_EQ(problem(std::string("\xFF\xFE"
                                  "c\0o\0d\0e\0\n\0",
                                  12)),
              "first_row_not_utf8");
    EXPECT_EQ(problem("code," + std::string(limits::import_row_bytes, 'x')), "first_row_too_long");
    EXPECT_EQ(problem("code,\"" + std::string(limits::import_row_bytes, '\n')),
              "first_row_too_long");
    std::string columns = "code";
    for (std::size_t i = 1; i < limits::import_columns; ++i) {
        columns += ",metadata." + std::to_string(i);
    }
    EXPECT_EQ(csv(columns), Lines());
    EXPECT_EQ(problem(columns + ",userId"), "too_many_columns");

    const CodeFile::Problem unknown = read(Format::csv, "code,Value\n").problem;
    EXPECT_EQ(unknown.message,
              "The file has a column Value; known are code, userId, expiresAt, maxRedemptions, "
              "active, status and metadata.NAME, separated by commas");
    EXPECT_EQ(read(Format::csv, "code,metadata.a b,metadata.a b").problem.message,
              "The file has two columns \"metadata.a b\"");
}

TEST(CodeFile, RejectsWhatDoesNotFit) {
    EXPECT_EQ(reason("code,userId", ",ann"), "code_missing");
    EXPECT_EQ(reason("code,userId", "\"\",ann"), "code_missing");
    EXPECT_EQ(reason("code", "\"\""), "code_missing");
    EXPECT_EQ(reason("code", std::string(128, 'x')), "");
    EXPECT_EQ(reason("code", std::string(129, 'x')), "code_invalid");
    EXPECT_EQ(reason("code", "\"A\nB\""), "code_invalid");
    EXPECT_EQ(reason("code", "A\tB"), "code_invalid");
    EXPECT_EQ(row("code", " A B "), "2  A B ");
    EXPECT_EQ(reason("code", "\xE4"), "not_utf8");
    EXPECT_EQ(reason("code,metadata.a", "A,\xE4"), "not_utf8");
    EXPECT_EQ(reason("code,userId", "A," + std::string(255, 'x')), "");
    EXPECT_EQ(reason("code,userId", "A," + std::string(256, 'x')), "user_id_invalid");
    EXPECT_EQ(reason("code,userId", "A,a\x7F"), "user_id_invalid");
    for (const std::string time : {"22.11.2026", "2026-11-22T14:00:00", "2026-13-01", "1999-12-31",
                                   "tomorrow", " 2026-11-22", "9999-01-01"}) {
        EXPECT_EQ(reason("code,expiresAt", "A," + time), "expires_at_invalid") << time;
    }
    for (const std::string number :
         {"0", "1000000001", "1.5", "-1", "+1", "x", " 1", "1e2", "99999999999999999999"}) {
        EXPECT_EQ(reason("code,maxRedemptions", "A," + number), "max_redemptions_invalid")
            << number;
    }
    for (const std::string active : {"yes", "1", "0", "wahr", "true "}) {
        EXPECT_EQ(reason("code,active", "A," + active), "active_invalid") << active;
    }
    for (const std::string status : {"held", "all", "Free", "x"}) {
        EXPECT_EQ(reason("code,status", "A," + status), "status_invalid") << status;
    }
    EXPECT_EQ(reason("code,status", "A,redeemed"), "already_redeemed");
    EXPECT_EQ(reason("code,status,userId", "A,free,ann"), "status_contradictory");
    EXPECT_EQ(reason("code,status,userId", "A,assigned,"), "status_contradictory");
    EXPECT_EQ(reason("code,status,userId", "A,locked,"), "status_contradictory");
    EXPECT_EQ(reason("code,status,userId", "A,assigned,ann"), "");
    EXPECT_EQ(reason("code,status,userId", "A,free,"), "");
    // The first of row_reasons().
    EXPECT_EQ(reason("active,status,code", "x,x,"), "code_missing");
    EXPECT_EQ(reason("active,expiresAt,code", "x,x,A"), "expires_at_invalid");
}

TEST(CodeFile, RejectsRowsOfMoreOrFewerCells) {
    EXPECT_EQ(csv("code,userId\nA,a\nB\nC,c,\nD,d,d\n,\nE,e\n"),
              (Lines{"2 A user=a", "3 ! row_malformed B", "4 ! row_malformed C,c,",
                     "5 ! row_malformed D,d,d", "6 ! code_missing ,", "7 E user=e"}));
    const std::string commas(1'000, ',');
    EXPECT_EQ(csv("code\n" + commas + "\nA\n"),
              (Lines{"2 ! row_malformed " + commas.substr(0, limits::rejected_text_bytes), "3 A"}));
}

TEST(CodeFile, GoesOnBehindTheLineOfABrokenRow) {
    EXPECT_EQ(csv("code\nA\"B\"\nC\n"), (Lines{"2 ! row_malformed A\"B\"", "3 C"}));
    EXPECT_EQ(csv("code\n\"A\"B,\"\nC\n"), (Lines{"2 ! row_malformed \"A\"B,\"", "3 C"}));
    EXPECT_EQ(csv("code\n\"A\" \nC\n"), (Lines{"2 ! row_malformed \"A\" ", "3 C"}));
    // What a quote that is not closed has swallowed is read again.
    EXPECT_EQ(csv("code\r\n\"A\r\nB\r\n\r\nC\r\n"), (Lines{"2 ! row_malformed \"A", "3 B", "5 C"}));
    EXPECT_EQ(csv("code\n\"A\nB\n\"C\nD\nE\"F\nG\n"),
              (Lines{"2 ! row_malformed \"A", "3 B", "4 ! row_malformed \"C", "5 D",
                     "6 ! row_malformed E\"F", "7 G"}));
    EXPECT_EQ(csv("code\n\"\"\"\nA\n\"\"\"\"\n\"B\"\n"),
              (Lines{"2 ! row_malformed \"\"\"", "3 A", "4 \"", "5 B"}));
    EXPECT_EQ(csv("code\n\""), (Lines{"2 ! row_malformed \""}));
    EXPECT_EQ(csv("code\nA\n\"\n"), (Lines{"2 A", "3 ! row_malformed \""}));
}

TEST(CodeFile, RejectsRowsThatAreTooLong) {
    const std::size_t most = limits::import_row_bytes;
    const std::string full = "A," + std::string(most - 2, ',');
    const std::string begin = full.substr(0, limits::rejected_text_bytes);
    for (const std::string end : {"\n", "\r\n", ""}) {
        EXPECT_EQ(csv("code\n" + full + end), (Lines{"2 ! row_malformed " + begin}));
        EXPECT_EQ(csv("code\n" + full + "," + end), (Lines{"2 ! row_too_long " + begin}));
    }
    const std::string json = "\"A\"" + std::string(most - 3, ' ');
    EXPECT_EQ(
        ndjson(json + "\n" + json + " \n\"B\""),
        (Lines{"1 A", "2 ! row_too_long " + json.substr(0, limits::rejected_text_bytes), "3 B"}));
    EXPECT_EQ(csv("code\n" + std::string(5 * most, 'x') + "\nB\n"),
              (Lines{"2 ! row_too_long " + std::string(limits::rejected_text_bytes, 'x'), "3 B"}));
}

TEST(CodeFile, GoesOnBehindTheLineOfAQuoteThatIsNeverClosed) {
    // Also where what is behind it are doubled quotes, as seen from it.
    for (const std::string cell : {"", "x", "\"\""}) {
        std::string text = "code,metadata.a\n\"A,\n";
        Lines lines{"2 ! row_too_long \"A,"};
        for (int i = 3; text.size() < 3 * limits::import_row_bytes; ++i) {
            const std::string code = "C" + std::to_string(i);
            text += code + "," + cell + "\n";
            lines.push_back(std::to_string(i) + " " + code + (cell == "x" ? R"( {"a":"x"})" : ""));
        }
        EXPECT_EQ(csv(text), lines);
    }
}

TEST(CodeFile, ShowsWhatARejectedRowBeginsWith) {
    const auto shown = [](const std::string& line) {
        const Result result = read(Format::ndjson, line + "\n\"A\"");
        EXPECT_EQ(result.rows.rejects.size(), 1U);
        return result.rows.rejects.at(0).text;
    };
    const std::size_t most = limits::rejected_text_bytes;
    EXPECT_EQ(shown("x"), "x");
    EXPECT_EQ(shown(std::string(most, 'x')), std::string(most, 'x'));
    EXPECT_EQ(shown(std::string(most + 1, 'x')), std::string(most, 'x'));
    const std::string before(most - 1, 'x');
    EXPECT_EQ(shown(before + "ä"), before);
    EXPECT_EQ(shown(before.substr(1) + "äx"), before.substr(1) + "ä");
    EXPECT_EQ(shown(before.substr(2) + "😀"), before.substr(2));
    EXPECT_EQ(shown("a\xE4"
                    "b\xF0\x9F"),
              "a\uFFFDb\uFFFD\uFFFD");
    EXPECT_EQ(shown(std::string("a\0b😀", 7)), "a\uFFFDb😀");
    EXPECT_EQ(shown(std::string(most, '\xFF')).size(), most / 3 * 3);
    // Also of a line that is much longer.
    EXPECT_EQ(shown(before + "ä" + std::string(limits::import_row_bytes, 'x')), before);
}

TEST(CodeFile, TakesOffTheQuoteThatKeepsACellFromBeingAFormula) {
    for (const std::string text : {"=A", "+A", "-A", "@A", "'=A", "''-A"}) {
        EXPECT_EQ(csv("'" + text + "\n"), (Lines{"1 " + text}));
        EXPECT_EQ(csv("\"'" + text + "\"\n"), (Lines{"1 " + text}));
        EXPECT_EQ(row("code,userId", "'" + text + ",'" + text), "2 " + text + " user=" + text);
    }
    for (const std::string text : {"=A", "'A", "''A", "'", "''", "A'=", "' =A"}) {
        EXPECT_EQ(csv(text + "\n"), (Lines{"1 " + text}));
    }
    EXPECT_EQ(row("code,metadata.a", "A,\"'\tx\""), R"(2 A {"a":"\tx"})");
    EXPECT_EQ(row("code,metadata.a", "A,\"'\rx\""), R"(2 A {"a":"\rx"})");
    EXPECT_EQ(row("code,metadata.a", "A,\"'=\"\"\""), R"(2 A {"a":"=\""})");
    EXPECT_EQ(ndjson("\"'=A\""), (Lines{"1 '=A"}));
}

TEST(CodeFile, TakesAJsonValueALine) {
    EXPECT_EQ(
        ndjson(R"({"code":"A"}
"B"
  { "userId" : "ann" , "code" : "C\u00e4" }

{"code":"D","userId":null,"expiresAt":null,"maxRedemptions":null,"active":null,"status":null,"metadata":null}
{"code":"E","expiresAt":"2026-11-22","maxRedemptions":2e0,"active":false,"metadata":{ "a" : [ 1.50 ] }}
{"code":"F","status":"locked","userId":"bob","expiresAt":"2026-11-22T14:00:00Z","active":true}
)"),
        (Lines{"1 A", "2 B", "3 Cä user=ann", "5 D", R"(6 E on=2026-11-22 most=2 off {"a":[1.50]})",
               "7 F user=bob expires=2026-11-22T14:00:00.000Z"}));
}

TEST(CodeFile, TakesListedCodesBack) {
    const std::string begin = R"({"id":7,"code":"A","isLocked":false,"isRedeemed":)";
    const std::string end = R"("active":true,"expiresAt":null,"maxRedemptions":1,)"
                            R"("metadata":{"a":1},"createdAt":"2026-11-22T14:21:13.730Z",)";
    EXPECT_EQ(ndjson(begin + R"(false,"assignedTo":null,"redeemedAt":null,)" + end +
                     R"("status":"free","lockedUntil":null})"),
              (Lines{R"(1 A most=1 {"a":1})"}));
    EXPECT_EQ(ndjson(begin + R"(false,"assignedTo":"ann","redeemedAt":null,)" + end +
                     R"("status":"locked","lockedUntil":"2026-11-22T14:21:13.730Z"})"),
              (Lines{R"(1 A user=ann most=1 {"a":1})"}));
    EXPECT_EQ(line_reason(begin + R"(true,"assignedTo":"ann","redeemedAt":null,)" + end +
                          R"("lockedUntil":null})"),
              "already_redeemed");
    EXPECT_EQ(line_reason(R"({"code":"A","redeemedAt":"2026-11-22T14:21:13.730Z"})"),
              "already_redeemed");
    EXPECT_EQ(line_reason(R"({"code":"A","userId":"ann","assignedTo":"ann"})"), "");
    EXPECT_EQ(line_reason(R"({"code":"A","userId":"ann","assignedTo":"bob"})"),
              "status_contradictory");
}

TEST(CodeFile, RejectsLinesThatDoNotFit) {
    for (const std::string line :
         {"{", "A", "1", "null", "true", "[\"A\"]", R"({"code":"A"} x)", R"("A","B")", "\"A",
          R"({"code":"A","code":"B"})", R"({"code":"A",})", R"({"code":'A'})"}) {
        EXPECT_EQ(line_reason(line), "row_malformed") << line;
    }
    const std::string deep = std::string(40, '[') + std::string(40, ']');
    EXPECT_EQ(line_reason(R"({"code":"A","metadata":{"a":)" + deep + "}}"), "row_malformed");
    EXPECT_EQ(line_reason("\"\xE4\""), "not_utf8");
    EXPECT_EQ(line_reason(R"({"code":"A","value":1})"), "unknown_member");
    EXPECT_EQ(line_reason(R"({"code":"A","Code":"A"})"), "unknown_member");
    for (const std::string line : {"{}", R"({"code":null})", R"({"code":""})", "\"\""}) {
        EXPECT_EQ(line_reason(line), "code_missing") << line;
    }
    const std::vector<std::pair<std::string, Lines>> wrong{
        {"code_invalid", {R"("code":1)", R"("code":"a\nb")", R"("code":"\u0000")"}},
        {"user_id_invalid", {R"("userId":1)", R"("userId":"")", R"("assignedTo":[])"}},
        {"expires_at_invalid", {R"("expiresAt":1)", R"("expiresAt":"")", R"("expiresAt":"x")"}},
        {"max_redemptions_invalid",
         {R"("maxRedemptions":0)", R"("maxRedemptions":"1")", R"("maxRedemptions":1.5)"}},
        {"active_invalid", {R"("active":"true")", R"("active":1)"}},
        {"status_invalid", {R"("status":"")", R"("status":1)", R"("status":"held")"}},
        {"already_redeemed", {R"("status":"redeemed")"}},
        {"status_contradictory", {R"("status":"assigned")", R"("status":"free","userId":"ann")"}},
        {"metadata_invalid", {R"("metadata":[])", R"("metadata":"x")"}},
        {"metadata_too_large",
         {R"("metadata":{"a":")" + std::string(limits::metadata_bytes, 'x') + "\"}"}}};
    for (const auto& [expected, members] : wrong) {
        for (const std::string& member : members) {
            const std::string code = member.starts_with(R"("code")") ? "" : R"("code":"A",)";
            EXPECT_EQ(line_reason("{" + code + member + "}"), expected) << member;
        }
    }
}

TEST(CodeFile, NamesItsReasonsOnce) {
    std::set<std::string_view> codes;
    for (const auto reasons : {row_reasons(), file_reasons()}) {
        for (const FileReason& reason : reasons) {
            EXPECT_TRUE(codes.insert(reason.code).second) << reason.code;
            EXPECT_FALSE(reason.message.empty());
            EXPECT_NE(reason.message.back(), '.');
        }
    }
}

rc::Gen<std::string> any_file() {
    return rc::gen::map(
        rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
            "\"", "\"", ",", ",", "\n", "\n", "\r", "\r\n", "A", "code", "code,userId\n",
            "'=", "\xEF\xBB\xBF", "\xE4", "ä", std::string(1, '\0'), "{\"code\":\"A\"}", " ",
            std::string(250, 'x'), std::string(40'000, 'y'), std::string(30'000, '\n'))),
        [](const std::vector<std::string>& parts) {
            std::string text;
            for (const std::string& part : parts) text += part;
            return text;
        });
}

RC_GTEST_PROP(CodeFile, ReadsTheSameHoweverItIsCut, (bool is_csv)) {
    const Format format = is_csv ? Format::csv : Format::ndjson;
    const std::string text = (*rc::gen::arbitrary<bool>() ? "code\n" : "") + *any_file();
    const auto sizes = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 50'000)));
    std::size_t next = 0;
    const Result whole = read_in_pieces(format, text, [&] { return text.size(); });
    const Result cut = read_in_pieces(format, text, [&] { return sizes[next++ % sizes.size()]; });
    RC_ASSERT(cut.rows.codes == whole.rows.codes);
    RC_ASSERT(cut.rows.rejects == whole.rows.rejects);
    RC_ASSERT(cut.rows.lines == whole.rows.lines);
    RC_ASSERT(cut.problem.code == whole.problem.code);
    RC_ASSERT(cut.problem.message == whole.problem.message);
    for (const RejectedRow& row : whole.rows.rejects) {
        RC_ASSERT(row.text.size() <= limits::rejected_text_bytes);
        RC_ASSERT(examine_text(row.text).has_value());
    }
    RC_ASSERT(std::ranges::is_sorted(whole.rows.rejects, {}, &RejectedRow::line));
}

/// A cell as an export writes it.
std::string written(std::string cell) {
    const std::size_t first = cell.find_first_not_of('\'');
    const bool guarded = first != std::string::npos &&
                         std::string("=+-@\t\r").find(cell[first]) != std::string::npos;
    std::string text = guarded ? "\"'" : "\"";
    for (const char c : cell) text += c == '"' ? "\"\"" : std::string(1, c);
    return text + '"';
}

RC_GTEST_PROP(CodeFile, TakesBackWhatCellsSay, ()) {
    const auto cell = rc::gen::container<std::string>(
        rc::gen::element('"', ',', '\n', '\r', '\'', '=', '-', '@', '\t', 'a', ' '));
    const auto cells = *rc::gen::container<std::vector<std::string>>(10, cell);
    const std::string end = *rc::gen::element<std::string>("\n", "\r\n", "\r");
    std::string text = "metadata.a,code" + end;
    for (const std::string& one : cells) text += written(one) + ",A" + end;
    const Result result = read_in_pieces(Format::csv, text, [] { return 5; });
    RC_ASSERT(result.rows.codes.size() == cells.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const boost::json::value read = boost::json::parse(result.rows.codes[i].settings.metadata);
        const auto* const member = read.as_object().if_contains("a");
        const std::string kept = member == nullptr ? "" : std::string(member->as_string());
        RC_ASSERT(kept == cells[i]);
    }
}

}  // namespace
}  // namespace coupond::wire
