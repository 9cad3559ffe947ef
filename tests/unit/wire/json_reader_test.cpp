// Objects that are kept as JSON.
#include "wire/json_reader.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <boost/json.hpp>

#include "base/limits.hpp"

namespace coupond::wire {
namespace {

constexpr std::array specs{MemberSpec{"a"}, MemberSpec{.name = "kept", .captured = true},
                           MemberSpec{"b"}};

Body read(const std::string& json) {
    return std::get<Body>(read_body(json, specs));
}

/// What is kept of `json`.
std::string kept(const std::string& json) {
    const Body body = read(R"({"a":"x","kept":)" + json + R"(,"b":[1]})");
    // What is around it does not mix with it.
    EXPECT_EQ(body.members[0].text, "x");
    EXPECT_EQ(body.members[2].kind, Member::Kind::array);
    EXPECT_EQ(body.unknown_count, 0U);
    EXPECT_EQ(body.members[1].kind, Member::Kind::object);
    return body.members[1].text;
}

TEST(JsonReader, KeepsObjectsWithoutWhiteSpace) {
    EXPECT_EQ(kept("{}"), "{}");
    EXPECT_EQ(kept(" \t\r\n{ \t\r\n} "), "{}");
    EXPECT_EQ(kept(R"({ "x" : 1 , "y" : [ 1 , 2 , [ ] , { } ] , "z" : { "x" : null } })"),
              R"({"x":1,"y":[1,2,[],{}],"z":{"x":null}})");
    EXPECT_EQ(kept(R"({"t":true,"f":false,"n":null})"), R"({"t":true,"f":false,"n":null})");
}

TEST(JsonReader, KeepsAStringThatStandsAlone) {
    EXPECT_EQ(read(R"( "a\u00e9" )").string, "aé");
    EXPECT_EQ(read("\"\"").string, "");
    const std::string text(100'000, 'x');
    EXPECT_EQ(read('"' + text + '"').string, text);
    for (const std::string json : {"1", "null", "[\"a\"]", R"({"a":"x"})"}) {
        EXPECT_EQ(read(json).string, std::nullopt) << json;
    }
    EXPECT_FALSE(read("\"a\"").is_object);
}

TEST(JsonReader, KeepsWhatIsInTexts) {
    EXPECT_EQ(kept(R"({" a  b ":" c  d "})"), R"({" a  b ":" c  d "})");
    EXPECT_EQ(kept(R"({"":""})"), R"({"":""})");
    EXPECT_EQ(kept(R"({"{":"[","]":"}",",":":"})"), R"({"{":"[","]":"}",",":":"})");
    EXPECT_EQ(kept(R"({"a":"x","kept":{"b":2}})"), R"({"a":"x","kept":{"b":2}})");
    EXPECT_EQ(kept(R"({"ä😀":"é€"})"), R"({"ä😀":"é€"})");
}

TEST(JsonReader, KeepsNumbersAsTheyAreWritten) {
    for (const std::string number :
         {"0", "-0", "1.50", "1e400", "-1E-400", "0.10", "1e+2", "123456789012345678901234567890",
          "9223372036854775808", "3.14159265358979323846264338327950288"}) {
        EXPECT_EQ(kept("{\"n\":" + number + ",\"l\":[" + number + "," + number + "]}"),
                  "{\"n\":" + number + ",\"l\":[" + number + "," + number + "]}");
    }
}

TEST(JsonReader, KeepsWhatEscapesMean) {
    EXPECT_EQ(kept(R"({"\u0061":"\u00e9\ud83d\ude00\/"})"), R"({"a":"é😀/"})");
    EXPECT_EQ(kept(R"({"q\"":"\\"})"), R"({"q\"":"\\"})");
    // Control characters, the line feed among them, stay escapes.
    for (const std::string text : {R"(\n)", R"(\u0000)", R"(\u001f)", R"(\r\t)"}) {
        const std::string json = kept("{\"x" + text + "\":\"" + text + "\"}");
        EXPECT_EQ(json.find_first_of(std::string("\n\r\t\0\x1F", 5)), std::string::npos) << json;
        EXPECT_TRUE(boost::json::parse(json) ==
                    boost::json::parse("{\"x" + text + "\":\"" + text + "\"}"));
    }
}

TEST(JsonReader, KeepsMembersInTheirOrderAlsoTwice) {
    EXPECT_EQ(kept(R"({"z":1,"a":2,"z":3})"), R"({"z":1,"a":2,"z":3})");
}

TEST(JsonReader, KeepsTheLastOfARepeatedMember) {
    const Body body = read(R"({"kept":{"x":1},"kept":{"y":2}})");
    EXPECT_TRUE(body.members[1].repeated);
    EXPECT_EQ(body.members[1].text, R"({"y":2})");
    const Body other = read(R"({"kept":{"x":1},"kept":5})");
    EXPECT_EQ(other.members[1].kind, Member::Kind::number);
    EXPECT_EQ(other.members[1].text, "5");
}

TEST(JsonReader, KeepsNothingElse) {
    EXPECT_EQ(read(R"({"kept":[{"x":1}]})").members[1].kind, Member::Kind::array);
    EXPECT_EQ(read(R"({"kept":[{"x":1}]})").members[1].text, "");
    const Body body = read(R"({"a":{"kept":{"x":1}},"other":{"kept":{"x":1}}})");
    EXPECT_EQ(body.members[0].kind, Member::Kind::object);
    EXPECT_EQ(body.members[0].text, "");
    EXPECT_EQ(body.members[1].kind, Member::Kind::absent);
    EXPECT_EQ(body.unknown, std::vector<std::string>{"other"});
}

TEST(JsonReader, KeepsObjectsAsDeepAsBodiesMayBe) {
    const auto nested = [](std::size_t depth) {
        std::string json = "1";
        for (std::size_t i = 0; i < depth; ++i) json = "{\"x\":" + json + "}";
        return json;
    };
    EXPECT_EQ(kept(nested(limits::json_depth - 1)), nested(limits::json_depth - 1));
    const auto deeper = read_body("{\"kept\":" + nested(limits::json_depth) + "}", specs);
    EXPECT_EQ(std::get<MalformedJson>(deeper).reason, MalformedJson::Reason::too_deep);
}

rc::Gen<boost::json::value> any_value(int depth) {
    using boost::json::value;
    const auto text = rc::gen::map(
        rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
            "a", " ", "\"", "\\", "/", "\n", "{", "]", ",", ":", "é", "😀", std::string(1, '\0'))),
        [](const std::vector<std::string>& parts) {
            std::string all;
            for (const std::string& part : parts) all += part;
            return all;
        });
    const auto leaf = rc::gen::oneOf(
        rc::gen::map(text, [](const std::string& it) { return value(it); }),
        rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](auto it) { return value(it); }),
        rc::gen::map(rc::gen::arbitrary<bool>(), [](bool it) { return value(it); }),
        rc::gen::just(value(nullptr)));
    if (depth == 0) return leaf;
    const auto below = rc::gen::container<std::vector<value>>(any_value(depth - 1));
    return rc::gen::oneOf(
        leaf,
        rc::gen::map(below,
                     [](const std::vector<value>& all) {
                         return value(boost::json::array(all.begin(), all.end()));
                     }),
        rc::gen::map(rc::gen::container<std::vector<std::pair<std::string, value>>>(
                         rc::gen::pair(text, any_value(depth - 1))),
                     [](const std::vector<std::pair<std::string, value>>& all) {
                         boost::json::object object;
                         for (const auto& [name, member] : all) object[name] = member;
                         return value(object);
                     }));
}

RC_GTEST_PROP(JsonReader, KeepsWhatAnObjectMeans, ()) {
    boost::json::object object;
    object["x"] = *rc::gen::resize(6, any_value(3));
    object["y"] = *rc::gen::resize(6, any_value(2));
    const std::string json = boost::json::serialize(object);
    const std::string text = kept(json);
    RC_ASSERT(boost::json::parse(text) == boost::json::value(object));
    RC_ASSERT(kept(text) == text);  // it stays as it is
}

}  // namespace
}  // namespace coupond::wire
