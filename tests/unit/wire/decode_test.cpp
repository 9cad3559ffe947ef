#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "unit/wire/requests.hpp"

namespace coupond::wire {
namespace {

/// What is said of a book with these members, and of nothing else.
Strings book_complaints(std::string_view body) {
    return complaints(decode_create_book(request(body)));
}

Strings with_member(const std::string& member) {
    return book_complaints(R"({"name":"a","codePattern":"b",)" + member + "}");
}

Strings upload_complaints(std::string_view body,
                          std::optional<std::string_view> id = std::nullopt) {
    return complaints(decode_upload_codes(request(body), id));
}

/// The code and the message of an answer that is no `validation_failed`.
std::string refused(std::string_view body, std::string_view content_type = "application/json") {
    auto decoded = decode_assign_any(request(body, content_type));
    auto* const answer = std::get_if<Answer>(&decoded);
    if (answer == nullptr) return "nothing is wrong";
    const boost::json::value json = boost::json::parse(text_of(*answer));
    if (json.at("message").is_array()) return text_of(*answer);
    return std::to_string(answer->status) + " " + string_at(json, "code") + ": " +
           string_at(json, "message");
}

TEST(DecodeCreateBook, TakesAllMembersAndTheLeast) {
    const auto all = decode_create_book(
        request(R"({"discountAmount":19.99,"name":"Summer Sale","codePattern":"SUMMER-{6}",)"
                R"("maxRedemptionsPerUser":2})"));
    EXPECT_EQ(value(all).name, "Summer Sale");
    EXPECT_EQ(value(all).code_pattern, "SUMMER-{6}");
    EXPECT_EQ(value(all).max_redemptions_per_user, 2);
    EXPECT_EQ(short_form(value(all).discount), 1999);

    for (const std::string_view rest :
         {"", R"(,"discountAmount":null,"maxRedemptionsPerUser":null)"}) {
        const auto least = decode_create_book(request(
            R"({"name":"Sommerschlußverkauf 😀","codePattern":"S")" + std::string(rest) + "}"));
        EXPECT_EQ(value(least).name, "Sommerschlußverkauf 😀");
        EXPECT_EQ(value(least).max_redemptions_per_user, std::nullopt);
        EXPECT_EQ(value(least).discount, std::nullopt);
    }
}

TEST(DecodeCreateBook, DecodesEscapes) {
    const auto book = decode_create_book(
        request(R"({"na\u006de":"a\"\\\/\u00e9\ud83d\ude00","codePattern":"x"})"));
    EXPECT_EQ(value(book).name, "a\"\\/é😀");
}

TEST(DecodeCreateBook, SaysWhatIsWrongInTheOrderOfTheDescription) {
    EXPECT_EQ(book_complaints("{}"),
              (Strings{"name should not be empty", "codePattern should not be empty"}));
    EXPECT_EQ(book_complaints(R"({"codePattern":"","name":null})"),
              (Strings{"name should not be empty", "codePattern should not be empty"}));
    EXPECT_EQ(
        book_complaints(R"({"x":1,"discountAmount":"1","maxRedemptionsPerUser":0,)"
                        R"("codePattern":[],"name":5,"a b":{}})"),
        (Strings{"name must be a string", "codePattern must be a string",
                 "maxRedemptionsPerUser must be an integer from 1 to 1000000000",
                 "discountAmount must be a number from 0 to 99999999.99 with at most 2 decimals",
                 "property x should not exist", R"(property "a b" should not exist)"}));
}

TEST(DecodeCreateBook, HoldsTextsToTheirBounds) {
    const auto name = [](const std::string& text) {
        return book_complaints(R"({"name":")" + text + R"(","codePattern":"b"})");
    };
    EXPECT_EQ(name(std::string(255, 'x')), (Strings{"nothing is wrong"}));
    EXPECT_EQ(name(repeated("😀", 255)), (Strings{"nothing is wrong"}));
    EXPECT_EQ(name(std::string(256, 'x')),
              (Strings{"name must be shorter than or equal to 255 characters"}));
    for (const std::string_view control :
         {R"(a\u0000)", R"(\n)", "\x7F", R"(\u0085)", "\xC2\x9F"}) {
        EXPECT_EQ(name(std::string(control)),
                  (Strings{"name must not contain control characters"}));
    }
    EXPECT_EQ(book_complaints(R"({"name":"n","codePattern":")" + std::string(256, 'x') + R"("})"),
              (Strings{"codePattern must be shorter than or equal to 255 characters"}));
}

TEST(DecodeCreateBook, WantsAPattern) {
    const Strings said = book_complaints(R"({"name":"n","codePattern":"SUMMER-{6"})");
    const auto error = std::get<PatternError>(parse_code_pattern("SUMMER-{6"));
    EXPECT_EQ(said, (Strings{"codePattern is not a pattern: " + error.message + " at column " +
                             std::to_string(error.column)}));
}

TEST(DecodeCreateBook, MaxRedemptionsPerUser) {
    const Strings wrong{"maxRedemptionsPerUser must be an integer from 1 to 1000000000"};
    for (const std::string_view number :
         {"0", "-1", "-0", "1.5", "1000000001", "1e10", "9223372036854775808",
          "18446744073709551616", "1e400", "1e-400", "\"2\"", "true", "[]", "{}", "\"\""}) {
        EXPECT_EQ(with_member("\"maxRedemptionsPerUser\":" + std::string(number)), wrong) << number;
    }
    const auto read = [](const std::string& number) {
        return value(
                   decode_create_book(request(
                       R"({"name":"a","codePattern":"b","maxRedemptionsPerUser":)" + number + "}")))
            .max_redemptions_per_user;
    };
    EXPECT_EQ(read("1"), 1);
    EXPECT_EQ(read("1000000000"), 1'000'000'000);
    EXPECT_EQ(read("1e9"), 1'000'000'000);
    EXPECT_EQ(read("2.0"), 2);
}

TEST(DecodeCreateBook, DiscountAmount) {
    const Strings wrong{
        "discountAmount must be a number from 0 to 99999999.99 with at most 2 decimals"};
    for (const std::string_view number :
         {"-0.01", "-1", "19.999", "0.001", "100000000", "99999999.991", "1e8", "1e400", "\"20\"",
          "false", "[20]"}) {
        EXPECT_EQ(with_member("\"discountAmount\":" + std::string(number)), wrong) << number;
    }
    const auto read = [](const std::string& number) {
        return short_form(
            value(decode_create_book(
                      request(R"({"name":"a","codePattern":"b","discountAmount":)" + number + "}")))
                .discount);
    };
    EXPECT_EQ(read("0"), 0);
    EXPECT_EQ(read("-0"), 0);
    EXPECT_EQ(read("-0.0e5"), 0);
    EXPECT_EQ(read("1e2"), 10000);
    EXPECT_EQ(read("0.1"), 10);
    EXPECT_EQ(read("19.990"), 1999);
    EXPECT_EQ(read("99999999.99"), 99'999'999'99);
}

TEST(DecodeCreateBook, RefusesRepeatedMembers) {
    EXPECT_EQ(book_complaints(R"({"name":"a","name":"b","codePattern":"c"})"),
              (Strings{"property name is given twice"}));
    EXPECT_EQ(book_complaints(R"({"name":5,"codePattern":"c","n\u0061me":null,"name":1})"),
              (Strings{"property name is given twice"}));
    EXPECT_EQ(book_complaints(R"({"name":"a","codePattern":"c","x":1,"x":2})"),
              (Strings{"property x should not exist"}));
}

TEST(DecodeCreateBook, ReportsTenUnknownMembersAndTheNumberOfTheRest) {
    std::string body = R"({"name":"a","codePattern":"b")";
    for (int i = 0; i < 25; ++i) body += ",\"p" + std::to_string(i) + "\":[{\"name\":1}]";
    Strings expected;
    for (int i = 0; i < 10; ++i)
        expected.push_back("property p" + std::to_string(i) + " should not exist");
    expected.emplace_back("and 15 more");
    EXPECT_EQ(book_complaints(body + "}"), expected);
}

TEST(DecodeCreateBook, ShowsUnknownNamesSafely) {
    EXPECT_EQ(with_member(R"("":1)"), (Strings{R"(property "" should not exist)"}));
    EXPECT_EQ(with_member(R"("a\n\u0000b":1)"), (Strings{R"(property "a??b" should not exist)"}));
    EXPECT_EQ(with_member(R"("größe":1)"), (Strings{R"(property "größe" should not exist)"}));
    EXPECT_EQ(with_member("\"" + std::string(100'000, 'x') + "\":1"),
              (Strings{"property " + std::string(60, 'x') + " should not exist"}));
    EXPECT_EQ(with_member("\"" + repeated("€", 50) + "\":1"),
              (Strings{"property \"" + repeated("€", 20) + "\" should not exist"}));
    EXPECT_EQ(with_member("\"x" + repeated("€", 50) + "\":1"),
              (Strings{"property \"x" + repeated("€", 19) + "\" should not exist"}));
}

TEST(DecodeBody, WantsAnObject) {
    const auto body = [](std::string_view text) {
        return complaints(decode_assign_any(request(text)));
    };
    for (const std::string_view text : {"[]", "5", "null", "\"userId\"", R"([{"userId":"ann"}])"}) {
        EXPECT_EQ(body(text), (Strings{"body must be an object"}));
    }
    for (const std::string_view text : {"", "  \r\n\t", "\xEF\xBB\xBF"}) {
        EXPECT_EQ(body(text), (Strings{"body must be an object, but is empty"}));
    }
}

TEST(DecodeBody, WantsJson) {
    EXPECT_EQ(refused(R"({"userId":)"),
              "400 malformed_json: The body is not JSON: incomplete JSON at byte 10");
    EXPECT_EQ(refused(R"({"userId":x})"),
              "400 malformed_json: The body is not JSON: syntax error at byte 10");
    EXPECT_EQ(refused("\xEF\xBB\xBF{\"userId\":x}"),
              "400 malformed_json: The body is not JSON: syntax error at byte 13");
    EXPECT_EQ(refused(R"({"userId":"ann"} {})"),
              "400 malformed_json: The body is not JSON: extra data at byte 17");
    for (const std::string_view body :
         {R"({"userId":"ann",})", "{'userId':1}", R"({"userId":01})", R"({"userId":+1})",
          R"({"userId":.5})", R"({"userId":1.})", R"({"userId":NaN})", R"({userId:"ann"})", "}",
          R"({"userId":"\ud800"})", R"({"userId":"\udc00\ud800"})", R"({"userId":"\x"})",
          "{\"userId\":\"a\nb\"}", "{\"userId\":\"\xFF\"}", "{\"userId\":\"\xED\xA0\x80\"}",
          "{\"userId\":\"\xC0\x80\"}", "{\"\xC3\":1}", "{\"userId\":\"ann\"}//", "\xFF\xFE{"}) {
        EXPECT_EQ(refused(body).substr(0, 41), "400 malformed_json: The body is not JSON:") << body;
    }
}

TEST(DecodeBody, BoundsTheDepth) {
    const auto nested = [](std::size_t depth) {
        return R"({"x":)" + repeated("[", depth - 1) + repeated("]", depth - 1) + "}";
    };
    EXPECT_EQ(complaints(decode_assign_any(request(nested(32)))),
              (Strings{"userId should not be empty", "property x should not exist"}));
    EXPECT_EQ(refused(nested(33)), "400 malformed_json: The body is nested deeper than 32 levels");
    EXPECT_EQ(refused(std::string(8'000'000, '[')),
              "400 malformed_json: The body is nested deeper than 32 levels");
}

TEST(DecodeBody, TakesAByteOrderMark) {
    EXPECT_EQ(value(decode_assign_any(request("\xEF\xBB\xBF {\"userId\":\"ann\"}\n"))).user_id,
              "ann");
}

TEST(DecodeBody, WantsJsonsMediaType) {
    const std::string_view good = R"({"userId":"ann"})";
    for (const std::string_view type :
         {"", "application/json", "Application/JSON", "application/json;charset=utf-8",
          "application/json ; Charset=\"UTF-8\"", "application/json; charset=utf8; x=y",
          "application/json;", " application/json ", "application/json; profile=\"a\""}) {
        EXPECT_EQ(refused(good, type), "nothing is wrong") << type;
    }
    for (const std::string_view type :
         {"text/plain", "application/x-www-form-urlencoded", "application/jsonp",
          "application/merge-patch+json", "json", "application", ";charset=utf-8", "*/*"}) {
        EXPECT_EQ(refused(good, type),
                  "415 unsupported_media_type: Content-Type must be application/json")
            << type;
    }
    for (const std::string_view type :
         {"application/json; charset=iso-8859-1", "application/json; charset=utf-16",
          "application/json; charset=", "application/json;x=y;CHARSET=\"latin1\""}) {
        EXPECT_EQ(refused(good, type),
                  "415 unsupported_media_type: Content-Type must be application/json; "
                  "charset=utf-8")
            << type;
    }
}

TEST(DecodeUploadCodes, TakesCodesAndABook) {
    const auto neither = decode_upload_codes(request(R"({"codes":["B","A","B"]})"), std::nullopt);
    EXPECT_EQ(value(neither).codes, (Strings{"B", "A", "B"}));
    EXPECT_EQ(value(neither).book_id, std::nullopt);
    const std::string_view with_book = R"({"couponBookId":5,"codes":["A"]})";
    EXPECT_EQ(value(decode_upload_codes(request(with_book), std::nullopt)).book_id, 5);
    EXPECT_EQ(value(decode_upload_codes(request(with_book), "5")).book_id, 5);
    EXPECT_EQ(value(decode_upload_codes(request(R"({"codes":["A"],"couponBookId":null})"),
                                        "9223372036854775807"))
                  .book_id,
              9'223'372'036'854'775'807);
}

TEST(DecodeUploadCodes, WantsIdsThatAgree) {
    const std::string_view good = R"({"codes":["A"]})";
    for (const std::string_view id :
         {"0", "-1", "+1", "1.0", "1e1", "x", " 1", "9223372036854775808"}) {
        EXPECT_EQ(upload_complaints(good, id), (Strings{"id must be a positive integer"})) << id;
    }
    for (const std::string_view id :
         {"0", "-1", "1.5", "\"1\"", "\"\"", "9223372036854775808", "[1]"}) {
        EXPECT_EQ(upload_complaints(R"({"codes":["A"],"couponBookId":)" + std::string(id) + "}"),
                  (Strings{"couponBookId must be a positive integer"}))
            << id;
    }
    EXPECT_EQ(upload_complaints(R"({"codes":["A"],"couponBookId":6})", "5"),
              (Strings{"couponBookId must equal the id in the path"}));
    EXPECT_EQ(upload_complaints(R"({"codes":[],"couponBookId":-6})", "x"),
              (Strings{"id must be a positive integer", "codes must contain at least 1 element",
                       "couponBookId must be a positive integer"}));
}

TEST(DecodeUploadCodes, WantsAnArrayOfCodes) {
    for (const std::string_view codes : {"null", "\"A\"", "5", "{}", "true"}) {
        EXPECT_EQ(upload_complaints(R"({"codes":)" + std::string(codes) + "}"),
                  (Strings{"codes must be an array"}));
    }
    EXPECT_EQ(upload_complaints("{}"), (Strings{"codes must be an array"}));
    EXPECT_EQ(upload_complaints(R"({"codes":[]})"),
              (Strings{"codes must contain at least 1 element"}));
    EXPECT_EQ(upload_complaints(R"({"codes":["A"],"codes":["B"]})"),
              (Strings{"property codes is given twice"}));
    EXPECT_EQ(upload_complaints(R"({"codes":["A"],"more":["B"]})"),
              (Strings{"property more should not exist"}));
}

TEST(DecodeUploadCodes, NamesElementsThatAreNoCodes) {
    const auto sentence = [](int place) {
        return "codes[" + std::to_string(place) +
               "] must be a string of 1 to 128 characters without control characters";
    };
    EXPECT_EQ(upload_complaints(R"({"codes":["A","",5,"B",null,["C"],{"codes":["D"]},"\n","E",)"
                                "\"" +
                                std::string(129, 'x') + "\",\"" + repeated("😀", 128) + "\"]}"),
              (Strings{sentence(1), sentence(2), sentence(4), sentence(5), sentence(6), sentence(7),
                       sentence(9)}));
    Strings expected;
    for (int place = 0; place < 10; ++place) expected.push_back(sentence(place));
    expected.emplace_back("and 90 more");
    EXPECT_EQ(upload_complaints(R"({"codes":[1)" + repeated(",1", 99) + "]}"), expected);
}

TEST(DecodeUploadCodes, BoundsTheNumberOfCodes) {
    const auto codes = [](std::size_t count) {
        return R"({"codes":["A")" + repeated(R"(,"A")", count - 1) + "]}";
    };
    EXPECT_EQ(value(decode_upload_codes(request(codes(100'000)), std::nullopt)).codes.size(),
              100'000U);
    EXPECT_EQ(upload_complaints(codes(100'001)),
              (Strings{"codes must contain no more than 100000 elements"}));
    EXPECT_EQ(upload_complaints(codes(2'000'000)),
              (Strings{"codes must contain no more than 100000 elements"}));
}

TEST(DecodeAssignAny, TakesAUserAndABook) {
    const auto any = decode_assign_any(request(R"({"userId":"ann"})"));
    EXPECT_EQ(value(any).user_id, "ann");
    EXPECT_EQ(value(any).book_id, std::nullopt);
    EXPECT_EQ(value(decode_assign_any(request(R"({"userId":"ann","couponBookId":3})"))).book_id, 3);
    EXPECT_EQ(complaints(decode_assign_any(request(R"({"couponBookId":"3","code":"A"})"))),
              (Strings{"userId should not be empty", "couponBookId must be a positive integer",
                       "property code should not exist"}));
    EXPECT_EQ(complaints(decode_assign_any(request(R"({"userId":7})"))),
              (Strings{"userId must be a string"}));
}

TEST(DecodeOfACode, TakesTheCodeOfThePathAndAUser) {
    const Request good = request(R"({"userId":"ann"})");
    const auto assign = decode_assign_code(good, "10% OFF/😀");
    EXPECT_EQ(value(assign).code, "10% OFF/😀");
    EXPECT_EQ(value(assign).user_id, "ann");
    const auto lock = decode_lock_code(good, "A", 300'000);
    EXPECT_EQ(value(lock).code, "A");
    EXPECT_EQ(value(lock).user_id, "ann");
    EXPECT_EQ(value(lock).ttl_ms, 300'000);
    const auto redeem = decode_redeem_code(good, "A");
    EXPECT_EQ(value(redeem).code, "A");
    EXPECT_EQ(value(redeem).user_id, "ann");
}

TEST(DecodeOfACode, WantsBoth) {
    const std::string sentence = "code must be 1 to 128 characters without control characters";
    const std::string too_long(129, 'x');
    for (const std::string_view code :
         {std::string_view(""), std::string_view("a\0", 2), std::string_view("a\n"),
          std::string_view("\xFF"), std::string_view(too_long)}) {
        EXPECT_EQ(complaints(decode_redeem_code(request("{}"), code)),
                  (Strings{sentence, "userId should not be empty"}));
    }
    EXPECT_EQ(
        complaints(decode_lock_code(request(R"({"userId":"a\tb","x":1})"), "A", 1)),
        (Strings{"userId must not contain control characters", "property x should not exist"}));
    EXPECT_EQ(complaints(decode_assign_code(
                  request(R"({"userId":")" + std::string(256, 'x') + R"("})"), "A")),
              (Strings{"userId must be shorter than or equal to 255 characters"}));
}

TEST(DecodeListBooks, TakesItsParameters) {
    const auto list = value(decode_list_books({}, "r-1"));
    EXPECT_FALSE(list.after);
    EXPECT_EQ(list.limit, 100U);
    EXPECT_FALSE(list.with_codes);
    EXPECT_EQ(list.sort, BookQuery::Sort::id);
    EXPECT_FALSE(list.descending);
    EXPECT_FALSE(list.name);
    const auto all =
        value(decode_list_books({{"include", "codes"}, {"limit", "1000"}, {"after", "5"}}, "r-1"));
    EXPECT_EQ(all.after, (BookPlace{5, "", {}}));
    EXPECT_EQ(all.limit, 1000U);
    EXPECT_TRUE(all.with_codes);
    const auto sorted = value(decode_list_books(
        {{"after", "-name.5.42c3a4"}, {"name", "Sale"}, {"sort", "-name"}}, "r-1"));
    EXPECT_EQ(sorted.sort, BookQuery::Sort::name);
    EXPECT_TRUE(sorted.descending);
    EXPECT_EQ(sorted.after, (BookPlace{5, "B\xC3\xA4", {}}));
    EXPECT_EQ(sorted.name, "Sale");
}

TEST(DecodeListBooks, TakesAPlaceOnlyInItsOwnOrder) {
    const std::vector<std::string> sorts{"id", "-id", "name", "-name", "created", "-created"};
    const std::vector<std::string> places{"5",          "-id.5",         "name.5.42",
                                          "-name.5.42", "created.5.-70", "-created.5.70"};
    for (std::size_t i = 0; i < sorts.size(); ++i) {
        for (std::size_t j = 0; j < places.size(); ++j) {
            const Query query{{"sort", sorts[i]}, {"after", places[j]}};
            if (i == j) {
                EXPECT_EQ(value(decode_list_books(query, "r-1")).after->id, 5);
            } else {
                const std::string wanted = i == 0 ? "after must be a positive integer"
                                                  : "after must be from a Link of a list with "
                                                    "sort=" +
                                                        sorts[i];
                EXPECT_EQ(complaints(decode_list_books(query, "r-1")), Strings{wanted});
            }
        }
    }
    for (const char* const after :
         {"", "name", "name.", "name.5", "name.5.", "name.0.42", "name.-5.42", "name.x.42",
          "name.05.42", "name.+5.42", "name.5.4", "name.5.4x", "name.5.4A", "name.5.00",
          "name.5.ff", "name.5.42.", "name.5.42.43", "name.9223372036854775808.42", "Name.5.42"}) {
        EXPECT_EQ(complaints(decode_list_books({{"sort", "name"}, {"after", after}}, "r-1")),
                  Strings{"after must be from a Link of a list with sort=name"})
            << after;
    }
    const std::string longest = "name.5." + std::string(2 * 255, '4');
    EXPECT_TRUE(value(decode_list_books({{"sort", "name"}, {"after", longest}}, "r-1")).after);
    EXPECT_EQ(complaints(decode_list_books({{"sort", "name"}, {"after", longest + "44"}}, "r-1")),
              Strings{"after must be from a Link of a list with sort=name"});
    for (const char* const after : {"created.5", "created.5.", "created.5.x", "created.5.-0",
                                    "created.5.007", "created.5.9223372036854775808"}) {
        EXPECT_EQ(complaints(decode_list_books({{"sort", "created"}, {"after", after}}, "r-1")),
                  Strings{"after must be from a Link of a list with sort=created"})
            << after;
    }
}

TEST(DecodeListBooks, SaysWhatIsWrong) {
    const auto said = [](const Query& query) {
        return complaints(decode_list_books(query, "r-1"));
    };
    for (const char* const limit : {"", "0", "1001", "-1", "1.0", "x", "99999999999999999999"}) {
        EXPECT_EQ(said({{"limit", limit}}), (Strings{"limit must be an integer from 1 to 1000"}));
    }
    for (const char* const after : {"", "0", "-1", "x", "9223372036854775808"}) {
        EXPECT_EQ(said({{"after", after}}), (Strings{"after must be a positive integer"}));
    }
    for (const char* const include : {"", "Codes", "codes,books"}) {
        EXPECT_EQ(said({{"include", include}}), (Strings{"include must be codes"}));
    }
    for (const char* const sort : {"", "Id", "--id", "+id", "id,name", "price"}) {
        EXPECT_EQ(said({{"sort", sort}}),
                  (Strings{"sort must be one of id, -id, name, -name, created, -created"}));
    }
    for (const std::string& name :
         {std::string(), std::string("a\nb"), std::string("\xFF"), std::string(256, 'x')}) {
        EXPECT_EQ(said({{"name", name}}),
                  (Strings{"name must be 1 to 255 characters without control characters"}));
    }
    EXPECT_EQ(said({{"page", "2"},
                    {"limit", "1"},
                    {"page", "3"},
                    {"", ""},
                    {"limit", "1"},
                    {"include", "x"},
                    {"Limit", "1"}}),
              (Strings{"limit must be given once", "include must be codes",
                       "property page should not exist", R"(property "" should not exist)",
                       "property Limit should not exist"}));
    Query many;
    for (int i = 0; i < 12; ++i) many.push_back({"q" + std::to_string(i), ""});
    EXPECT_EQ(said(many).back(), "and 2 more");
    EXPECT_EQ(said(many).size(), 11U);
}

TEST(DecodeUser, TakesAnIdAndAPage) {
    const auto user = value(decode_show_user("a/b", {}, "r-1"));
    EXPECT_EQ(user.user_id, "a/b");
    EXPECT_EQ(user.after, 0);
    EXPECT_EQ(user.limit, 100U);
    const auto page = value(decode_show_user("a", {{"after", "7"}, {"limit", "1"}}, "r-1"));
    EXPECT_EQ(page.after, 7);
    EXPECT_EQ(page.limit, 1U);
    const auto erasure = value(decode_erase_user("a/b", {}, "r-1", "erased-x"));
    EXPECT_EQ(erasure.user_id, "a/b");
    EXPECT_EQ(erasure.erased_id, "erased-x");
}

TEST(DecodeUser, SaysWhatIsWrong) {
    const std::string unfit = "userId must be 1 to 255 characters without control characters";
    for (const std::string& id :
         {std::string(), std::string("a\nb"), std::string("\xC3"), std::string(256, 'x')}) {
        EXPECT_EQ(complaints(decode_show_user(id, {}, "r-1")), Strings{unfit});
        EXPECT_EQ(complaints(decode_erase_user(id, {}, "r-1", "e")), Strings{unfit});
    }
    EXPECT_EQ(complaints(
                  decode_show_user("a", {{"limit", "1001"}, {"after", "x"}, {"page", "1"}}, "r-1")),
              (Strings{"limit must be an integer from 1 to 1000",
                       "after must be an integer of 0 or more", "property page should not exist"}));
    EXPECT_EQ(complaints(decode_erase_user("a", {{"limit", "1"}}, "r-1", "e")),
              (Strings{"property limit should not exist"}));
}

TEST(DecodeListEntries, TakesItsParameters) {
    const auto list = value(decode_list_entries({}, "r-1"));
    EXPECT_EQ(list.after, 0);
    EXPECT_EQ(list.limit, 100U);
    EXPECT_EQ(list.book_id, std::nullopt);
    EXPECT_EQ(list.code, std::nullopt);
    EXPECT_EQ(list.type, std::nullopt);
    const auto all = value(decode_list_entries({{"type", "code_redeemed"},
                                                {"code", "A \u20ac"},
                                                {"limit", "1000"},
                                                {"bookId", "7"},
                                                {"after", "9223372036854775807"}},
                                               "r-1"));
    EXPECT_EQ(all.after, INT64_MAX);
    EXPECT_EQ(all.limit, 1000U);
    EXPECT_EQ(all.book_id, 7);
    EXPECT_EQ(all.code, "A \u20ac");
    EXPECT_EQ(all.type, LedgerEntry::Type::code_redeemed);
    EXPECT_EQ(value(decode_list_entries({{"after", "0"}}, "r-1")).after, 0);
}

TEST(DecodeStreamEntries, BeginsWhereItIsAskedTo) {
    const auto now = value(decode_stream_entries({}, std::nullopt, "r-1"));
    EXPECT_TRUE(now.from_now);
    EXPECT_EQ(now.query.limit, 100U);
    const auto after = value(decode_stream_entries({{"after", "7"}}, std::nullopt, "r-1"));
    EXPECT_FALSE(after.from_now);
    EXPECT_EQ(after.query.after, 7);
    const auto last = value(decode_stream_entries({{"after", "7"}}, "0", "r-1"));
    EXPECT_FALSE(last.from_now);
    EXPECT_EQ(last.query.after, 0);
    const auto all = value(decode_stream_entries(
        {{"type", "code_redeemed"}, {"code", "A"}, {"bookId", "7"}}, "9223372036854775807", "r-1"));
    EXPECT_EQ(all.query.after, INT64_MAX);
    EXPECT_EQ(all.query.book_id, 7);
    EXPECT_EQ(all.query.code, "A");
    EXPECT_EQ(all.query.type, LedgerEntry::Type::code_redeemed);
}

TEST(DecodeStreamEntries, SaysWhatIsWrong) {
    for (const char* const id : {"", "-1", "x", "1, 2", " 1", "9223372036854775808"}) {
        EXPECT_EQ(complaints(decode_stream_entries({{"limit", "1"}}, id, "r-1")),
                  (Strings{"Last-Event-ID must be an integer of 0 or more",
                           "property limit should not exist"}));
    }
    EXPECT_EQ(complaints(decode_stream_entries({{"after", "x"}}, "1", "r-1")),
              (Strings{"after must be an integer of 0 or more"}));
}

TEST(DecodeListEntries, SaysWhatIsWrong) {
    const auto said = [](const Query& query) {
        return complaints(decode_list_entries(query, "r-1"));
    };
    for (const char* const limit : {"", "0", "1001", "-1", "x"}) {
        EXPECT_EQ(said({{"limit", limit}}), (Strings{"limit must be an integer from 1 to 1000"}));
    }
    for (const char* const after : {"", "-1", "x", "9223372036854775808"}) {
        EXPECT_EQ(said({{"after", after}}), (Strings{"after must be an integer of 0 or more"}));
    }
    for (const char* const book : {"", "0", "-1", "x"}) {
        EXPECT_EQ(said({{"bookId", book}}), (Strings{"bookId must be a positive integer"}));
    }
    for (const std::string& code : {std::string(), std::string("a\tb"), std::string(129, 'x')}) {
        EXPECT_EQ(said({{"code", code}}),
                  (Strings{"code must be 1 to 128 characters without control characters"}));
    }
    for (const char* const type : {"", "redeemed", "5", "Code_redeemed"}) {
        EXPECT_EQ(said({{"type", type}}),
                  (Strings{"type must be one of book_created, codes_uploaded, codes_generated, "
                           "code_assigned, code_locked, code_redeemed, user_erased, book_changed, "
                           "book_archived, book_restored, code_changed, code_unassigned, "
                           "code_unlocked, redemption_rolled_back, discount_given_back"}));
    }
    EXPECT_EQ(said({{"include", "codes"}, {"code", "A"}, {"code", "B"}, {"limit", "0"}}),
              (Strings{"limit must be an integer from 1 to 1000", "code must be given once",
                       "property include should not exist"}));
}

std::string joined(const Strings& parts) {
    std::string all;
    for (const std::string& part : parts) all += part;
    return all;
}

/// Bytes like those of a body: JSON's own characters often.
rc::Gen<std::string> body_like() {
    return rc::gen::map(rc::gen::container<Strings>(rc::gen::element<std::string>(
                            "{", "}", "[", "]", ",", ":", "\"codes\"", "\"userId\"", "\"name\"",
                            "\"metadata\":{", "\"active\":", "\"startsAt\":\"2026-11-22\"", "\"\"",
                            "\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\xFF\"", "1e400", "-0",
                            "9223372036854775808", "null", "true", " ", "\"", "\\", "\x01")),
                        joined);
}

/// Whatever comes in, an answer is one, and says so in JSON.
template <class T>
void expect_sane(const Decoded<T>& decoded) {
    const auto* const answer = std::get_if<Answer>(&decoded);
    if (answer == nullptr) return;
    const boost::json::value body = boost::json::parse(text_of(Answer(*answer)));
    RC_ASSERT(body.at("statusCode") == answer->status);
    RC_ASSERT(answer->status == 400);
}

RC_GTEST_PROP(Decode, AnswersAnything, ()) {
    const std::string body = *rc::gen::oneOf(body_like(), rc::gen::arbitrary<std::string>());
    expect_sane(decode_create_book(request(body)));
    expect_sane(decode_edit_book(request(body), "7"));
    expect_sane(decode_edit_code(request(body), "A"));
    expect_sane(decode_restore_book(request(body), body));
    expect_sane(decode_unlock_code(request(body), body));
    expect_sane(decode_unassign_code(request(body), body));
    expect_sane(decode_archive_book(body, {{body, body}}, "r-1"));
    expect_sane(decode_upload_codes(request(body), body));
    expect_sane(decode_upload_codes(request(body), std::nullopt));
    expect_sane(decode_assign_any(request(body)));
    expect_sane(decode_redeem_code(request(body), body));
    expect_sane(decode_list_books({{body, body}, {"limit", body}}, "r-1"));
    expect_sane(decode_list_entries({{body, body}, {"code", body}, {"type", body}}, "r-1"));
    expect_sane(decode_stream_entries({{"after", body}, {"code", body}}, body, "r-1"));
}

RC_GTEST_PROP(Decode, AgreesWithBoostOnWhatIsJson, ()) {
    const std::string body = *body_like();
    boost::json::error_code error;
    boost::json::parse(body, error);
    const bool blank = body.find_first_not_of(" \t\r\n") == std::string::npos;
    RC_PRE(!blank);
    const auto decoded = decode_assign_any(request(body));
    const auto* const answer = std::get_if<Answer>(&decoded);
    const bool malformed =
        answer != nullptr &&
        string_at(boost::json::parse(text_of(Answer(*answer))), "code") == "malformed_json";
    RC_ASSERT(malformed == static_cast<bool>(error));
}

RC_GTEST_PROP(Decode, CodesComeOutAsTheyWentIn, ()) {
    const auto character =
        rc::gen::element<std::string>("A", "7", " ", "\"", "\\", "/", "é", "€", "😀", "\u2028");
    const auto code =
        rc::gen::map(rc::gen::nonEmpty(rc::gen::container<Strings>(character)), joined);
    const auto codes = *rc::gen::nonEmpty(rc::gen::container<Strings>(code));
    const std::string body =
        boost::json::serialize(boost::json::object{{"codes", boost::json::value_from(codes)}});
    RC_ASSERT(value(decode_upload_codes(request(body), std::nullopt)).codes == codes);
}

TEST(DecodeShowQr, TakesAllParametersAndNone) {
    const ShowQr least = value(decode_show_qr("a.png.svg", {}, "r-1"));
    EXPECT_EQ(least.code, "a.png");
    EXPECT_EQ(least.wish.url, "");
    EXPECT_EQ(least.wish.format, QrImages::Format::svg);
    EXPECT_EQ(least.wish.size_px, 400);
    EXPECT_EQ(least.wish.margin_modules, 4);
    EXPECT_EQ(least.wish.error_level, QrImages::ErrorLevel::medium);

    const ShowQr all = value(decode_show_qr(
        "a/b .png", {{"url", "h:{code}"}, {"errorLevel", "H"}, {"margin", "0"}, {"size", "2000"}},
        "r-1"));
    EXPECT_EQ(all.code, "a/b ");
    EXPECT_EQ(all.wish.url, "h:{code}");
    EXPECT_EQ(all.wish.format, QrImages::Format::png);
    EXPECT_EQ(all.wish.size_px, 2000);
    EXPECT_EQ(all.wish.margin_modules, 0);
    EXPECT_EQ(all.wish.error_level, QrImages::ErrorLevel::high);
}

TEST(DecodeShowQr, HasNoOtherPictures) {
    for (const std::string_view file :
         {"", "a", "svg", ".svg", ".png", "a.gif", "a.SVG", "a.svg "}) {
        const auto decoded = decode_show_qr(file, {{"x", "1"}}, "r-1");
        const auto* const answer = std::get_if<Answer>(&decoded);
        ASSERT_NE(answer, nullptr) << file;
        EXPECT_EQ(answer->status, 404);
    }
}

TEST(DecodeShowQr, TakesUrlsOfAnySchemeWithOnePlaceForTheCode) {
    const auto fits = [](std::string_view url) {
        const auto decoded = decode_show_qr("a.svg", {{"url", std::string(url)}}, "r-1");
        return std::holds_alternative<ShowQr>(decoded);
    };
    for (const std::string_view url : {"https://shop.example/?c={code}", "a:{code}",
                                       "Z+1-.:x{code}#y", "h://[::1]:8/%7B{code}"}) {
        EXPECT_TRUE(fits(url)) << url;
    }
    EXPECT_TRUE(fits("h:{code}" + repeated("x", 1016)));
    EXPECT_FALSE(fits("h:{code}" + repeated("x", 1017)));
    for (const std::string_view url :
         {"", "{code}", ":{code}", "/{code}", "1:{code}", "a{code}:", "h:", "h:{code}{code}",
          "h:{CODE}", "h:{code} ", "h:{code}%", "h:%{code}", "h:{code}%4", "h:{code}%4g",
          "h:{code}é", "h\x01:{code}"}) {
        EXPECT_FALSE(fits(url)) << url;
    }
}

}  // namespace
}  // namespace coupond::wire
