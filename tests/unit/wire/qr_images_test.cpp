// Jobs that draw QR codes: what is asked for, what is shown of them, and how images are named.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "base/limits.hpp"
#include "unit/wire/requests.hpp"

namespace coupond::wire {
namespace {

using Format = QrImages::Format;
using ErrorLevel = QrImages::ErrorLevel;

DrawImages drawn(std::string_view body, std::string_view id = "7") {
    return value(decode_draw_images(request(body), id));
}

Strings complaints_of(std::string_view body, std::string_view id = "7") {
    return complaints(decode_draw_images(request(body), id));
}

TEST(DecodeDrawImages, TakesAllMembersAndNone) {
    for (const char* const body :
         {"", "{}", R"({"format":null,"size":null,"margin":null,"errorLevel":null,"url":null})"}) {
        const DrawImages least = drawn(body);
        EXPECT_EQ(least.book_id, 7);
        QrImages usual;
        usual.size_px = limits::qr_size_px_default;
        usual.margin_modules = limits::qr_margin_modules_default;
        EXPECT_EQ(least.wish, usual) << body;
        EXPECT_EQ(least.wish.format, Format::svg);
        EXPECT_EQ(least.wish.error_level, ErrorLevel::medium);
    }
    const DrawImages all =
        drawn(R"({"format":"png","size":2000,"margin":0,"errorLevel":"H","url":"h:{code}#x"})",
              "9007199254740991");
    EXPECT_EQ(all.book_id, 9007199254740991);
    EXPECT_EQ(all.wish.format, Format::png);
    EXPECT_EQ(all.wish.size_px, 2000);
    EXPECT_EQ(all.wish.margin_modules, 0);
    EXPECT_EQ(all.wish.error_level, ErrorLevel::high);
    EXPECT_EQ(all.wish.url, "h:{code}#x");
    EXPECT_EQ(all.wish.location, "");
    EXPECT_EQ(drawn(R"({"errorLevel":"L"})").wish.error_level, ErrorLevel::low);
    EXPECT_EQ(drawn(R"({"errorLevel":"Q","size":1})").wish.error_level, ErrorLevel::quartile);
    // As a parameter of a request for one image says it.
    const ShowQr shown = value(decode_show_qr(
        "A.png", {{"size", "2000"}, {"margin", "0"}, {"errorLevel", "H"}, {"url", "h:{code}#x"}},
        "r-1"));
    EXPECT_EQ(shown.wish, all.wish);
}

TEST(DecodeDrawImages, RefusesByNameWhatDoesNotFit) {
    const Strings size{"size must be an integer from 1 to 2000"};
    for (const char* const value : {"0", "2001", "-1", "1.5", "\"1\"", "true", "{}", "1e9"}) {
        EXPECT_EQ(complaints_of(std::string(R"({"size":)") + value + "}"), size) << value;
    }
    const Strings margin{"margin must be an integer from 0 to 16"};
    for (const char* const value : {"-1", "17", "0.5", "\"\"", "[]"}) {
        EXPECT_EQ(complaints_of(std::string(R"({"margin":)") + value + "}"), margin) << value;
    }
    const Strings format{"format must be one of svg, png"};
    for (const char* const value : {"\"SVG\"", "\"\"", "1", "\"gif\""}) {
        EXPECT_EQ(complaints_of(std::string(R"({"format":)") + value + "}"), format) << value;
    }
    const Strings level{"errorLevel must be one of L, M, Q, H"};
    for (const char* const value : {"\"l\"", "\"\"", "2"}) {
        EXPECT_EQ(complaints_of(std::string(R"({"errorLevel":)") + value + "}"), level) << value;
    }
    const std::string long_url = "h:{code}" + std::string(1'017, 'x');
    for (const std::string& value :
         {std::string(), std::string("{code}"), std::string("h:"), long_url,
          std::string("h:{code}{code}"), std::string("h: {code}"), std::string("h:{code}\u00e9")}) {
        const Strings said = complaints_of(R"({"url":")" + value + R"("})");
        ASSERT_EQ(said.size(), 1u) << value;
        EXPECT_TRUE(said.front().starts_with("url must be an absolute URI")) << said.front();
    }
    EXPECT_EQ(complaints_of("{}", "x"), Strings{"id must be a positive integer"});
    EXPECT_EQ(complaints_of(R"({"Size":1})"), Strings{"property Size should not exist"});
    EXPECT_EQ(
        complaints_of(R"({"size":0,"margin":-1,"format":1,"errorLevel":1,"url":1,"x":1})", "0")
            .size(),
        7u);
}

Job a_job() {
    Job job;
    job.id = 6;
    job.book_id = 7;
    job.images.emplace();
    job.images->size_px = 400;
    job.images->margin_modules = 4;
    job.created_at = Timestamp{1'795'357'273'730};
    return job;
}

TEST(EncodeJob, OfImages) {
    EXPECT_EQ(text_of(encode(a_job())),
              R"({"id":6,"status":"queued","couponBookId":7,"type":"qr","format":"svg","size":400,)"
              R"("margin":4,"errorLevel":"M","url":null,"progress":0,"requested":0,"created":0,)"
              R"("failed":0,"rejected":0,"location":null,"error":null,)"
              R"("createdAt":"2026-11-22T14:21:13.730Z","startedAt":null,"finishedAt":null})");
    Job job = a_job();
    job.images = QrImages{Format::png, 10, 0, ErrorLevel::high, "h:{code}", "/a \"b\"", 9, 2};
    job.status = Job::Status::running;
    job.started_at = job.created_at;
    job.requested = 12;
    job.created = 4;
    EXPECT_EQ(text_of(encode(job)),
              R"({"id":6,"status":"running","couponBookId":7,"type":"qr","format":"png","size":10,)"
              R"("margin":0,"errorLevel":"H","url":"h:{code}","progress":0.5,"requested":12,)"
              R"("created":4,"failed":2,"rejected":2,"location":"/a \"b\"","error":null,)"
              R"("createdAt":"2026-11-22T14:21:13.730Z","startedAt":"2026-11-22T14:21:13.730Z",)"
              R"("finishedAt":null})");
    job.status = Job::Status::failed;
    job.error = "images_refused";
    job.finished_at = job.created_at;
    const boost::json::value failed = boost::json::parse(text_of(encode(job)));
    EXPECT_EQ(failed.at("failed"), 8);
    EXPECT_EQ(string_at(failed.at("error"), "code"), "images_refused");
    EXPECT_FALSE(string_at(failed.at("error"), "message").empty());
    job.status = Job::Status::completed;
    job.requested = 0;
    job.created = 0;
    EXPECT_EQ(boost::json::parse(text_of(encode(job))).at("progress"), 1);
}

TEST(EncodeRejectedRows, SaysWhyACodeHasNoImage) {
    const std::vector<RejectedRow> rows{{1, std::string(qr_text_too_long), "A"},
                                        {2, std::string(qr_size_too_small), "B"}};
    const boost::json::value body =
        boost::json::parse(text_of(encode(rows, RejectedQuery{5, 0, 9})));
    for (const boost::json::value& row : body.as_array()) {
        EXPECT_NE(string_at(row, "message"), string_at(row, "reason"));
    }
}

TEST(ImageName, IsTheCodeWhereItIsShort) {
    EXPECT_EQ(image_name("SUMMER-1_a.b~", Format::svg), "SUMMER-1_a.b~.svg");
    EXPECT_EQ(image_name("a b", Format::png), "a%20b.png");
    EXPECT_EQ(image_name("/", Format::svg), "%2F.svg");
    EXPECT_EQ(image_name("%2F", Format::svg), "%252F.svg");
    EXPECT_EQ(image_name(".", Format::svg), "%2E.svg");
    EXPECT_EQ(image_name("..", Format::svg), "%2E..svg");
    EXPECT_EQ(image_name("%2E", Format::svg), "%252E.svg");
    EXPECT_EQ(image_name("\u00e9", Format::svg), "%C3%A9.svg");
    EXPECT_EQ(image_name(std::string(128, 'x'), Format::svg), std::string(128, 'x') + ".svg");
    // 200 bytes, and one more.
    const std::string most = repeated("/", 66) + "xx";
    EXPECT_EQ(image_name(most, Format::svg), repeated("%2F", 66) + "xx.svg");
    const std::string longer = image_name(most + "x", Format::svg);
    EXPECT_TRUE(longer.starts_with(repeated("%2F", 66) + "x~")) << longer;
    EXPECT_EQ(longer.size(), 199u + 1 + 32 + 4);
    EXPECT_NE(longer, image_name(most + "y", Format::svg));
}

RC_GTEST_PROP(ImageName, IsEachCodesOwnAndSafe, ()) {
    // Few characters, so that codes are often alike; many, so that names are often long.
    const auto characters = rc::gen::element<std::string>(".", "/", "%", "2", "F", "E", "~", "a",
                                                          "\n", "\u00e9", "\U0001F39F");
    std::set<std::string> codes, names;
    for (int turn = 0; turn < 20; ++turn) {
        const std::size_t length = *rc::gen::element<std::size_t>(1, 2, 3, 20, 66, 67, 128);
        std::string code;
        for (std::size_t i = 0; i < length; ++i) code += *characters;
        codes.insert(code);
        const std::string name = image_name(code, Format::svg);
        names.insert(name);
        RC_ASSERT(name.size() <= 255u);
        RC_ASSERT(name.front() != '.');
        RC_ASSERT(name.ends_with(".svg"));
        RC_ASSERT(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-._~%") == std::string::npos);
    }
    RC_ASSERT(names.size() == codes.size());
}

}  // namespace
}  // namespace coupond::wire
