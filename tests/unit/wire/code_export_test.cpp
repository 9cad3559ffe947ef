// Files of codes: which format is asked for, and how their metadata is read.
#include "wire/code_export.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "wire/media_type.hpp"
#include "wire/metadata.hpp"

namespace coupond::wire {
namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

Members members_of(std::string_view object) {
    Members members;
    MetadataReader reader(object);
    while (reader.next()) members.emplace_back(reader.name(), reader.value());
    return members;
}

TEST(Quality, IsOfWhatIsNamedMostClosely) {
    EXPECT_EQ(quality_of_type("", "text/csv"), 0);
    EXPECT_EQ(quality_of_type("text/csv", "text/csv"), 1000);
    EXPECT_EQ(quality_of_type("*/*;q=0.9, text/*;q=0.5, text/csv;q=0.1", "text/csv"), 100);
    EXPECT_EQ(quality_of_type("*/*;q=0.9, text/*;q=0.5", "text/csv"), 500);
    EXPECT_EQ(quality_of_type("text/csv;q=0, */*", "text/csv"), 0);
    EXPECT_EQ(quality_of_type("text/csv;a=1;q=0.2, TEXT/CSV ; Q=0.4", "text/csv"), 400);
    EXPECT_EQ(quality_of_type("a/b;c=\"d,text/csv\\\",\"", "text/csv"), 0);
    EXPECT_EQ(quality_of_coding("deflate, *;q=0.25", "gzip"), 250);
}

TEST(Quality, PassesOverWhatIsMalformed) {
    for (const char* const q :
         {"", "2", "1.001", "0.1234", ".5", "0,5", "-0.5", "0.x", "1.", "00"}) {
        const std::string accept = "text/csv;q=" + std::string(q);
        const bool fits = std::string_view(q) == "1.";
        EXPECT_EQ(quality_of_type(accept, "text/csv"), fits ? 1000 : 0) << q;
    }
    EXPECT_EQ(quality_of_type("text/csv;q=\"", "text/csv"), 0);
    EXPECT_EQ(quality_of_type("\"text/csv", "text/csv"), 0);
}

TEST(Metadata, IsReadMemberByMember) {
    EXPECT_EQ(members_of("{}"), Members());
    EXPECT_EQ(
        members_of(R"({"a":1,"b":"two","c":{"x":[1,"}"]},"d":[],"e":null})"),
        (Members{{"a", "1"}, {"b", "two"}, {"c", R"({"x":[1,"}"]})"}, {"d", "[]"}, {"e", "null"}}));
    EXPECT_EQ(members_of(R"({"\u0041\"":"\\\n","":""})"), (Members{{"A\"", "\\\n"}, {"", ""}}));
}

TEST(Metadata, OfWhatIsNoneEnds) {
    const std::string whole = R"({"a\"":"b\\","c":[{"d":"e"}]})";
    for (std::size_t size = 0; size <= whole.size(); ++size) members_of(whole.substr(0, size));
    EXPECT_EQ(members_of("{1,2}"), Members());
    EXPECT_EQ(members_of("\"\\"), Members());
}

TEST(CodeFileWriter, HasNoMoreColumnsThanItMay) {
    CodeFileWriter file(CodeFormat::csv, Timestamp{});
    Code code;
    code.metadata = "{";
    for (std::size_t i = 0; i < limits::export_columns; ++i) {
        code.metadata += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":0";
    }
    code.metadata += "}";
    EXPECT_TRUE(file.add_columns(code));
    EXPECT_TRUE(file.add_columns(code));
    code.metadata = R"({"another":0})";
    EXPECT_FALSE(file.add_columns(code));
}

}  // namespace
}  // namespace coupond::wire
