// That the API's description and the code say the same.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "base/limits.hpp"
#include "unit/wire/answers.hpp"

namespace coupond::wire {
namespace {

using boost::json::value;

const value& document() {
    static const value parsed = boost::json::parse(text_of(api_document()));
    return parsed;
}

const value& at(std::string_view pointer) {
    return document().at_pointer(pointer);
}

/// Calls `see(status, example)` with each example of an error.
void for_each_problem(const value& node, const std::function<void(const value&)>& see) {
    if (const auto* const object = node.if_object()) {
        if (object->contains("statusCode") && object->contains("requestId") &&
            object->at("statusCode").is_int64()) {
            see(node);
        }
        for (const auto& member : *object) for_each_problem(member.value(), see);
    } else if (const auto* const array = node.if_array()) {
        for (const value& element : *array) for_each_problem(element, see);
    }
}

/// Whether the description has an example of this answer, but for its request id.
bool is_described(Answer answer) {
    const value wanted = boost::json::parse(text_of(answer));
    bool found = false;
    for_each_problem(document(), [&](const value& example) {
        found |= example.at("statusCode") == wanted.at("statusCode") &&
                 example.at("error") == wanted.at("error") &&
                 example.at("message") == wanted.at("message") &&
                 example.at("code") == wanted.at("code");
    });
    return found;
}

TEST(Document, IsServedAsJson) {
    const Answer answer = api_document();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "application/json; charset=utf-8");
    EXPECT_EQ(answer.cache_control, "no-cache");
    EXPECT_EQ(string_at(document(), "openapi"), "3.1.0");
}

TEST(Document, DescribesEveryRefusal) {
    for (int i = 0; i <= static_cast<int>(Refusal::amount_exceeds_discount); ++i) {
        const auto refusal = static_cast<Refusal>(i);
        // Only a job says so, which has failed.
        if (refusal == Refusal::rows_rejected || refusal == Refusal::images_refused) continue;
        EXPECT_TRUE(is_described(encode(Outcome(refusal), {}, "r-1"))) << to_string(refusal);
    }
}

TEST(Document, DescribesEveryFailure) {
    for (const Failure failure : {Failure::conflict, Failure::refused, Failure::unavailable,
                                  Failure::indeterminate, Failure::overloaded}) {
        EXPECT_TRUE(is_described(failed(failure, "r-1"))) << to_string(failure);
    }
}

TEST(Document, DescribesWhatDecodersRefuse) {
    BookPage page;
    page.too_many_codes = true;
    EXPECT_TRUE(is_described(encode(page, {.limit = 1, .with_codes = true}, {}, "r-1")));
    const auto book = [](std::string_view type, std::string_view body) {
        return std::get<Answer>(decode_create_book({type, body, "r-1"}));
    };
    EXPECT_TRUE(is_described(book("text/plain", "{}")));
    EXPECT_TRUE(is_described(book("application/json; charset=latin1", "{}")));
    EXPECT_TRUE(is_described(book("", R"({"name": x})")));
    EXPECT_TRUE(is_described(book("", R"({"name": 5})")));
    EXPECT_TRUE(is_described(
        std::get<Answer>(decode_upload_codes({"", R"({"codes":["A",1]})", "r-1"}, std::nullopt))));
    EXPECT_TRUE(
        is_described(std::get<Answer>(decode_list_books({{"limit", "0"}, {"page", "1"}}, "r-1"))));
}

TEST(Document, HasTheBoundsOfTheCode) {
    const auto schema = [](const std::string& rest) { return at("/components/schemas/" + rest); };
    EXPECT_EQ(schema("CodeText/maxLength"), limits::code_characters);
    EXPECT_EQ(schema("UserId/maxLength"), limits::user_id_characters);
    EXPECT_EQ(schema("BookName/maxLength"), limits::name_characters);
    EXPECT_EQ(schema("CodePattern/maxLength"), limits::pattern_characters);
    EXPECT_EQ(schema("MaxRedemptionsPerUser/maximum"), limits::redemptions);
    EXPECT_EQ(schema("MaxRedemptions/maximum"), limits::redemptions);
    EXPECT_EQ(schema("Budget/maximum"), limits::order_minor_units);
    EXPECT_EQ(schema("MaxAssignmentsPerUser/maximum"), limits::redemptions);
    EXPECT_EQ(schema("GivenDiscountAmount/maximum"),
              static_cast<double>(limits::discount_cents) / 100);
    EXPECT_EQ(schema("DiscountAmount/maximum"), limits::order_minor_units);
    EXPECT_EQ(schema("BookDescription/maxLength"), limits::description_characters);
    EXPECT_EQ(schema("LockTtlSeconds/maximum"), limits::lock_ttl_s);
    EXPECT_NE(string_at(schema("GivenMetadata"), "description")
                  .find(std::to_string(limits::metadata_bytes) + " bytes"),
              std::string::npos);
    EXPECT_EQ(schema("CodeUpload/properties/codes/maxItems"), limits::upload_codes);
    EXPECT_EQ(schema("ListedCouponBook/properties/codes/maxItems"), limits::page_codes);
    const value& limit = at("/paths/~1coupon/get/parameters/0/schema");
    EXPECT_EQ(limit.at("maximum"), limits::page_books);
    EXPECT_EQ(limit.at("default"), limits::page_books_default);
}

TEST(Page, ServesItsFiles) {
    auto page = api_page("");
    ASSERT_TRUE(page.has_value());
    EXPECT_EQ(page->content_type, "text/html; charset=utf-8");
    EXPECT_EQ(page->cache_control, "no-cache");
    EXPECT_NE(page->content_security_policy.find("default-src 'none'"), std::string_view::npos);
    const std::string html = text_of(*page);
    int files = 0;
    for (std::size_t i = html.find("\"/api/"); i != std::string::npos;
         i = html.find("\"/api/", i + 1)) {
        const std::string name = html.substr(i + 6, html.find('"', i + 6) - i - 6);
        auto file = api_page(name);
        ASSERT_TRUE(file.has_value()) << name;
        EXPECT_EQ(file->cache_control, "public, max-age=3600");
        EXPECT_FALSE(text_of(*file).empty()) << name;
        ++files;
    }
    EXPECT_EQ(files, 6);
    EXPECT_EQ(html.find("http"), std::string::npos) << "the page needs another host";
    EXPECT_FALSE(api_page("nope").has_value());
    EXPECT_FALSE(api_page("../wire").has_value());
}

TEST(Page, SendsLongFilesWholeInPieces) {
    auto bundle = api_page("swagger-ui-bundle.js");
    ASSERT_TRUE(bundle.has_value());
    EXPECT_EQ(bundle->content_type, "text/javascript; charset=utf-8");
    ASSERT_EQ(bundle->body.index(), 1U);
    const std::string text = text_of(*bundle);
    EXPECT_GT(text.size(), 1'000'000U);
    EXPECT_NE(text.find("SwaggerUIBundle"), std::string::npos);
    EXPECT_EQ(text.find('\0'), std::string::npos);
    EXPECT_EQ(api_page("favicon-32x32.png")->content_type, "image/png");
    EXPECT_EQ(text_of(*api_page("favicon-32x32.png")).substr(1, 3), "PNG");
}

}  // namespace
}  // namespace coupond::wire
