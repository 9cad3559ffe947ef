#include "ctl/json_text.hpp"

#include <gtest/gtest.h>

namespace coupond::ctl {
namespace {

TEST(JsonNumber, IsWhatJsonWrites) {
    for (const char* const text : {"0", "-0", "7", "-12", "1.50", "0.001", "1e3", "1E-3", "2.5e+10",
                                   "123456789012345678901234567890"}) {
        EXPECT_TRUE(is_json_number(text)) << text;
    }
    for (const char* const text : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", " 1", "1 ", "1,5",
                                   "NaN", "Infinity", "0x1", "1_000", "--1"}) {
        EXPECT_FALSE(is_json_number(text)) << text;
    }
}

TEST(JsonElements, AreAsTheyStand) {
    using Elements = std::vector<std::string_view>;
    EXPECT_EQ(json_elements("[]"), Elements());
    EXPECT_EQ(json_elements(" [ ] \n"), Elements());
    EXPECT_EQ(json_elements("[1]"), (Elements{"1"}));
    EXPECT_EQ(json_elements("[1.50, \"a,]\" ,null]"), (Elements{"1.50", "\"a,]\"", "null"}));
    EXPECT_EQ(json_elements(R"([{"a":[1,{"b":"}"}]},["x","\"]"]])"),
              (Elements{R"({"a":[1,{"b":"}"}]})", R"(["x","\"]"])"}));
    EXPECT_EQ(json_elements(R"(["\\","\\\""])"), (Elements{R"("\\")", R"("\\\"")"}));
}

TEST(JsonObject, KeepsTheOrderAndTheNumbersThatWereTyped) {
    JsonObject object;
    object.set("name", json_string("a \"b\"\n"));
    object.set("discount.value", "12.50");
    object.set("limits.day.budget", "20");
    object.set("discount.currency", "\"EUR\"");
    object.set_member("a.b", "null");
    object.set("name", "\"c\"");
    EXPECT_EQ(object.text(), R"({"name":"c","discount":{"value":12.50,"currency":"EUR"},)"
                             R"("limits":{"day":{"budget":20}},"a.b":null})");
    EXPECT_EQ(JsonObject().text(), "{}");
}

}  // namespace
}  // namespace coupond::ctl
