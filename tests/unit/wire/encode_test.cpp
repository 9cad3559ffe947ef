#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "unit/wire/answers.hpp"

namespace coupond::wire {
namespace {

constexpr Timestamp now{1'795'357'273'730};  // 2026-11-22T14:21:13.730Z
constexpr std::string_view request_id = "r-1";

/// What is written of settings that are all as by default.
const std::string usual_book =
    R"("description":"","active":true,"startsAt":null,"endsAt":null,"timeZone":"UTC",)"
    R"("maxRedemptions":null,"budget":null,"limits":{"day":null,"week":null,"month":null},)"
    R"("maxAssignmentsPerUser":null,"maxRedemptionsPerCode":1,"assignment":"required","caseSensitive":true,)"
    R"("lockTtlSeconds":null,"combinable":true,"autoGenerate":null,"metadata":{},"archivedAt":null,)";
/// Of discountAmount 19.99.
const std::string short_discount =
    R"("discount":{"type":"amount","value":19.99,"currency":null,"maxAmount":null,)"
    R"("minOrderAmount":null},)";
const std::string usual_code =
    R"("active":true,"expiresAt":null,"maxRedemptions":null,"metadata":{},)";

Book a_book() {
    Book book;
    book.id = 7;
    book.name = "Summer \"Sale\"";
    book.code_pattern = "SUMMER-{6}";
    book.created_at = now;
    book.updated_at = now + 1000;
    return book;
}

Currency currency(std::string_view code) {
    return Currency::find(code).value();
}

/// Of a_code().
Redemption a_redemption() {
    Redemption redemption;
    redemption.id = 4096;
    redemption.code_id = 42;
    redemption.code = "SUMMER-1";
    redemption.book_id = 7;
    redemption.user_id = "ann";
    redemption.at = now + 2;
    return redemption;
}

const std::string redemption_begin =
    R"({"id":4096,"code":"SUMMER-1","bookId":7,"userId":"ann","discountAmount":)";
const std::string redemption_end = R"("at":"2026-11-22T14:21:13.732Z","rolledBackAt":null})";

Code a_code() {
    Code code;
    code.id = 42;
    code.book_id = 7;
    code.code = "SUMMER-1";
    code.created_at = now;
    return code;
}

/// The answer to a command that went well: 201, never cached.
std::string encoded(Outcome outcome) {
    Answer answer = encode(std::move(outcome), now, request_id);
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.content_type, "application/json; charset=utf-8");
    EXPECT_EQ(answer.cache_control, "no-store");
    EXPECT_FALSE(answer.retry_after);
    EXPECT_EQ(answer.link, "");
    return text_of(answer);
}

TEST(Encode, Problem) {
    Answer answer = problem(404, "route_not_found", "Cannot GET /n\"ope", request_id);
    EXPECT_EQ(answer.status, 404);
    EXPECT_FALSE(answer.retry_after);
    EXPECT_EQ(text_of(answer),
              R"({"statusCode":404,"error":"Not Found","message":"Cannot GET /n\"ope",)"
              R"("code":"route_not_found","requestId":"r-1"})");
}

TEST(Encode, ProblemsHaveTheStatusesPhrase) {
    const std::vector<std::pair<int, std::string>> phrases = {
        {400, "Bad Request"},
        {404, "Not Found"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Payload Too Large"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Entity"},
        {431, "Request Header Fields Too Large"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (const auto& [status, phrase] : phrases) {
        Answer answer = problem(status, "x", "y", request_id);
        EXPECT_EQ(string_at(boost::json::parse(text_of(answer)), "error"), phrase);
        EXPECT_EQ(answer.retry_after, status == 503);
    }
}

TEST(Encode, Invalid) {
    Answer answer = invalid({"name must be a string", "codePattern should not be empty"}, "r-1");
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(
        text_of(answer),
        R"({"statusCode":400,"error":"Bad Request","message":["name must be a string",)"
        R"("codePattern should not be empty"],"code":"validation_failed","requestId":"r-1"})");
}

TEST(Encode, Failures) {
    struct Case {
        Failure failure;
        int status;
        std::string code;
        std::string message;
    };
    const std::string unavailable =
        "A database that this needs cannot be used now and nothing was changed; try again";
    const std::vector<Case> cases = {
        {Failure::overloaded, 503, "overloaded",
         "The server is at its limit now and has changed nothing; try again"},
        {Failure::unavailable, 503, "unavailable", unavailable},
        {Failure::conflict, 503, "unavailable", unavailable},
        {Failure::indeterminate, 503, "outcome_unknown",
         "The database failed while the change was being saved: it may or may not "
         "have been made, so look before trying again"},
        {Failure::refused, 422, "database_refused", "The database refuses this data"},
    };
    for (const Case& one : cases) {
        Answer answer = failed(one.failure, request_id);
        const boost::json::value body = boost::json::parse(text_of(answer));
        EXPECT_EQ(answer.status, one.status);
        EXPECT_EQ(answer.retry_after, one.status == 503);
        EXPECT_EQ(body.at("statusCode"), one.status);
        EXPECT_EQ(string_at(body, "code"), one.code);
        EXPECT_EQ(string_at(body, "message"), one.message);
        EXPECT_EQ(string_at(body, "requestId"), "r-1");
    }
}

TEST(Encode, Health) {
    Answer well = health(true, "ok");
    EXPECT_EQ(well.status, 200);
    EXPECT_FALSE(well.retry_after);
    EXPECT_EQ(text_of(well), R"({"status":"ok"})");
    Answer ill = health(false, "database unavailable");
    EXPECT_EQ(ill.status, 503);
    EXPECT_TRUE(ill.retry_after);
    EXPECT_EQ(text_of(ill), R"({"status":"database unavailable"})");
}

TEST(Encode, BookCreated) {
    Book book = a_book();
    EXPECT_EQ(
        encoded(BookCreated{book}),
        R"({"id":7,"name":"Summer \"Sale\"","codePattern":"SUMMER-{6}",)"
        R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
            usual_book +
            R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z"})");
    book.max_redemptions_per_user = 2;
    book.discount = from_short_form(1999);
    EXPECT_EQ(
        encoded(BookCreated{book}),
        R"({"id":7,"name":"Summer \"Sale\"","codePattern":"SUMMER-{6}",)"
        R"("maxRedemptionsPerUser":2,"discountAmount":19.99,)" +
            short_discount + usual_book +
            R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z"})");
}

Book changed_book() {
    Book book = a_book();
    book.max_redemptions_per_user = 2;
    book.discount = from_short_form(1999);
    book.description = "For \"you\"";
    book.active = false;
    book.starts_at = now;
    book.ends_at = now + 1;
    book.time_zone = "Europe/Berlin";
    book.lock_ttl_s = 60;
    book.metadata = R"({"a":[1.50,null]})";
    book.archived_at = now + 2;
    book.max_redemptions = 1'000'000'000;
    book.budget = 1'0050;
    book.limits[Per::day] = {3, std::nullopt, std::nullopt};
    book.limits[Per::month] = {std::nullopt, 4, 1'000'000'000'000'0000};
    book.counted = 1;  // of which nobody is told
    book.max_assignments_per_user = 5;
    book.auto_generate = AutoGenerate{5, 7};
    book.max_redemptions_per_code = std::nullopt;
    book.open = true;
    book.case_sensitive = false;
    return book;
}

/// But for its closing brace.
const std::string changed_book_text =
    R"({"id":7,"name":"Summer \"Sale\"","codePattern":"SUMMER-{6}",)"
    R"("maxRedemptionsPerUser":2,"discountAmount":19.99,)" +
    short_discount +
    R"("description":"For \"you\"",)"
    R"("active":false,"startsAt":"2026-11-22T14:21:13.730Z",)"
    R"("endsAt":"2026-11-22T14:21:13.731Z","timeZone":"Europe/Berlin",)"
    R"("maxRedemptions":1000000000,"budget":1.005,)"
    R"("limits":{"day":{"maxRedemptions":3,"maxRedemptionsPerUser":null,"budget":null},"week":null,)"
    R"("month":{"maxRedemptions":null,"maxRedemptionsPerUser":4,"budget":1000000000000}},)"
    R"("maxAssignmentsPerUser":5,"maxRedemptionsPerCode":null,"assignment":"open","caseSensitive":false,)"
    R"("lockTtlSeconds":60,"combinable":true,"autoGenerate":{"below":5,"count":7},)"
    R"("metadata":{"a":[1.50,null]},"archivedAt":"2026-11-22T14:21:13.732Z",)"
    R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z")";

TEST(Encode, BooksWithAllTheirSettings) {
    EXPECT_EQ(encoded(BookCreated{changed_book()}), changed_book_text + "}");
    CodesUploaded uploaded;
    uploaded.book = changed_book();
    uploaded.codes = {"B"};
    EXPECT_NE(encoded(uploaded).find(R"("couponBook":)" + changed_book_text + "}}]"),
              std::string::npos);
    BookListing listing;
    listing.book = changed_book();
    EXPECT_TRUE(text_of(encode(listing)).starts_with(changed_book_text + R"(,"counts":{)"));
}

TEST(Encode, BookChanged) {
    for (const bool restored : {false, true}) {
        Answer answer = encode(BookChanged{changed_book(), restored}, now, request_id);
        EXPECT_EQ(answer.status, restored ? 201 : 200);
        EXPECT_EQ(answer.cache_control, "no-store");
        EXPECT_EQ(text_of(answer), changed_book_text + "}");
    }
}

TEST(Encode, Contradicted) {
    EXPECT_EQ(complaints(encode(Contradicted{{Fault::ends_before_start}}, now, request_id)),
              std::vector<std::string>{"endsAt must be after startsAt"});
    EXPECT_EQ(
        complaints(encode(Contradicted{{Fault::assignment_fixed}}, now, request_id)),
        std::vector<std::string>{"assignment cannot be changed once the coupon book is made"});
    EXPECT_EQ(
        complaints(encode(Contradicted{{Fault::case_fixed}}, now, request_id)),
        std::vector<std::string>{"caseSensitive cannot be changed once the coupon book is made"});
    EXPECT_EQ(complaints(encode(Contradicted{{Fault::blank_code}}, now, request_id)),
              std::vector<std::string>{"codes must have more than spaces and dashes, for the "
                                       "coupon book is not case sensitive"});
    EXPECT_EQ(complaints(encode(Contradicted{{Fault::code_named_twice}}, now, request_id)),
              std::vector<std::string>{"codes must not name the same code twice"});
    EXPECT_EQ(complaints(encode(Contradicted{{Fault::amount_too_fine}}, now, request_id)),
              std::vector<std::string>{"amount must have no more decimals than its currency"});
    const std::string moment =
        " must be a date or a time of the years 2000 to 9998, with its offset from UTC, such as "
        "2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00";
    EXPECT_EQ(
        complaints(
            encode(Contradicted{{Fault::no_such_start, Fault::no_such_end, Fault::no_such_expiry}},
                   now, request_id)),
        (std::vector<std::string>{"startsAt" + moment, "endsAt" + moment, "expiresAt" + moment}));
}

TEST(Encode, WhyBooksAndCodesDoNotWork) {
    const std::vector<std::tuple<Refusal, std::string, std::string>> refusals = {
        {Refusal::book_archived, "coupon_book_archived", "Coupon book has been archived"},
        {Refusal::book_inactive, "coupon_book_inactive", "Coupon book is not active"},
        {Refusal::book_not_started, "coupon_book_not_started", "Coupon book has not started yet"},
        {Refusal::book_ended, "coupon_book_ended", "Coupon book has ended"},
        {Refusal::code_disabled, "coupon_disabled", "Coupon has been disabled"},
        {Refusal::code_expired, "coupon_expired", "Coupon has expired"},
        {Refusal::order_required, "order_required", "An order is required to redeem this coupon"},
        {Refusal::order_currency_mismatch, "order_currency_mismatch",
         "The order is in another currency than the discount"},
        {Refusal::order_below_minimum, "order_below_minimum",
         "The order is below the minimum of this coupon"},
        {Refusal::already_rolled_back, "already_rolled_back",
         "Redemption has already been rolled back"},
        {Refusal::amount_exceeds_discount, "amount_exceeds_discount",
         "The amount is more than what is left of the discount"},
    };
    for (const auto& [refusal, code, message] : refusals) {
        const boost::json::value body =
            boost::json::parse(text_of(encode(Outcome(refusal), now, request_id)));
        EXPECT_EQ(body.at("statusCode"), 409);
        EXPECT_EQ(string_at(body, "code"), code);
        EXPECT_EQ(string_at(body, "message"), message);
    }
    const boost::json::value body = boost::json::parse(
        text_of(encode(Outcome(Refusal::redemption_not_found), now, request_id)));
    EXPECT_EQ(body.at("statusCode"), 404);
    EXPECT_EQ(string_at(body, "code"), "redemption_not_found");
    EXPECT_EQ(string_at(body, "message"), "Redemption not found");
}

TEST(Encode, CodesUploaded) {
    CodesUploaded uploaded;
    uploaded.book = a_book();
    uploaded.first_id = 99;
    uploaded.codes = {"B", "A\\"};
    uploaded.created_at = now + 7;
    const std::string rest =
        R"("isLocked":false,"isRedeemed":false,"assignedTo":null,"redeemedAt":null,)" + usual_code +
        R"("createdAt":"2026-11-22T14:21:13.737Z","couponBook":)"
        R"({"id":7,"name":"Summer \"Sale\"","codePattern":"SUMMER-{6}",)"
        R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
        usual_book +
        R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z"}})";
    EXPECT_EQ(encoded(uploaded),
              R"([{"id":99,"code":"B",)" + rest + R"(,{"id":100,"code":"A\\",)" + rest + "]");
}

TEST(Encode, ManyCodesComeInPieces) {
    CodesUploaded uploaded;
    uploaded.book = a_book();
    uploaded.first_id = 1;
    for (int i = 0; i < 5000; ++i) uploaded.codes.push_back("CODE-" + std::to_string(i));
    Answer answer = encode(Outcome(uploaded), now, request_id);
    auto& source = std::get<BodySource>(answer.body);
    std::string text;
    for (bool more = true; more;) {
        std::string piece;
        more = source(piece) == Rest::more;
        EXPECT_LT(piece.size(), 66 * 1024U);
        EXPECT_GE(piece.size(), more ? 64 * 1024U : 1U);
        text += piece;
    }
    const boost::json::value body = boost::json::parse(text);
    ASSERT_EQ(body.as_array().size(), 5000U);
    for (std::size_t i = 0; i < 5000; ++i) {
        const auto& code = body.as_array()[i];
        ASSERT_EQ(code.at("id"), i + 1);
        ASSERT_EQ(string_at(code, "code"), uploaded.codes[i]);
        ASSERT_EQ(code.at("couponBook").at("id"), 7);
    }
}

TEST(Encode, FewCodesComeWhole) {
    CodesUploaded uploaded;
    uploaded.codes.assign(500, "X");
    EXPECT_EQ(encode(Outcome(uploaded), now, request_id).body.index(), 0U);
    uploaded.codes.assign(501, "X");
    EXPECT_EQ(encode(Outcome(uploaded), now, request_id).body.index(), 1U);
}

TEST(Encode, CodeAssigned) {
    Code code = a_code();
    EXPECT_EQ(encoded(CodeAssigned{code}),
              R"({"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
              R"("assignedTo":null,"redeemedAt":null,)" +
                  usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"})");
    code.assigned_to = "ann";
    code.lock = Lock{"ann", now + 1};
    EXPECT_EQ(encoded(CodeAssigned{code}),
              R"({"id":42,"code":"SUMMER-1","isLocked":true,"isRedeemed":false,)"
              R"("assignedTo":"ann","redeemedAt":null,)" +
                  usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"})");
    code.lock = Lock{"ann", now};
    EXPECT_EQ(encoded(CodeAssigned{code}),
              R"({"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
              R"("assignedTo":"ann","redeemedAt":null,)" +
                  usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"})");
}

TEST(Encode, CodeLocked) {
    EXPECT_EQ(
        encoded(CodeLocked{now + 300'000}),
        R"({"message":"Coupon locked successfully","lockedUntil":"2026-11-22T14:26:13.730Z"})");
}

TEST(Encode, CodeRedeemed) {
    Code code = a_code();
    code.assigned_to = "ann";
    code.redeemed_at = now + 2;
    const std::string begin =
        R"({"message":"Coupon redeemed successfully","coupon":)"
        R"({"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":true,)"
        R"("assignedTo":"ann","redeemedAt":"2026-11-22T14:21:13.732Z",)" +
        usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"},"redemption":)" + redemption_begin;
    Redemption redemption = a_redemption();
    EXPECT_EQ(encoded(CodeRedeemed{code, redemption, false}),
              begin + R"(null,"order":null,"discount":null,"givenBack":0,)" + redemption_end +
                  R"(,"replayed":false})");
    redemption.discount = Money{1999};
    redemption.given_back = 50;
    EXPECT_EQ(encoded(CodeRedeemed{code, redemption, true}),
              begin +
                  R"(19.99,"order":null,"discount":{"amount":19.99,"currency":null},)"
                  R"("givenBack":0.5,)" +
                  redemption_end + R"(,"replayed":true})");
}

TEST(Encode, Redemptions) {
    Redemption redemption = a_redemption();
    redemption.order = Order{"o-\"1\"", limits::order_minor_units, currency("EUR")};
    const auto text = [&] { return encoded(RolledBack{redemption}); };
    const std::string begin =
        R"({"message":"Redemption rolled back","redemption":)" + redemption_begin;
    // Of a book without a discount.
    EXPECT_EQ(text(), begin +
                          R"(null,"order":{"id":"o-\"1\"","amount":10000000000,"currency":"EUR"},)"
                          R"("discount":null,"givenBack":0,)" +
                          redemption_end + "}");
    redemption.order = Order{"o", 50'001, currency("KWD")};
    redemption.discount = Money{12'340, currency("KWD")};
    redemption.given_back = 5;
    EXPECT_EQ(text(), begin +
                          R"(12.34,"order":{"id":"o","amount":50.001,"currency":"KWD"},)"
                          R"("discount":{"amount":12.34,"currency":"KWD"},"givenBack":0.005,)" +
                          redemption_end + "}");
    redemption.order = Order{"o", 50'001, currency("JPY")};
    redemption.discount = Money{0, currency("JPY")};
    redemption.given_back = 0;
    redemption.rolled_back_at = now + 5;
    EXPECT_EQ(text(), begin + R"(0,"order":{"id":"o","amount":50001,"currency":"JPY"},)"
                              R"("discount":{"amount":0,"currency":"JPY"},"givenBack":0,)"
                              R"("at":"2026-11-22T14:21:13.732Z",)"
                              R"("rolledBackAt":"2026-11-22T14:21:13.735Z"}})");
    UserPage page;
    page.codes = {a_code()};
    page.redemptions = {a_redemption(), a_redemption()};
    const std::string one =
        redemption_begin + R"(null,"order":null,"discount":null,"givenBack":0,)" + redemption_end;
    EXPECT_TRUE(text_of(encode(page, UserQuery{"ann", 0, 9}, now))
                    .ends_with(R"(,"redemptions":[)" + one + "," + one + "]}"));
    CodeHistory history;
    history.code = a_code();
    history.redemption_count = 2;
    history.redemptions = {a_redemption()};
    EXPECT_NE(
        text_of(encode(history, now)).find(R"("redemptionCount":2,"redemptions":[)" + one + "]"),
        std::string::npos);
}

TEST(Encode, DiscountsOfBooks) {
    const auto text = [](const Discount& discount) {
        Book book = a_book();
        book.discount = discount;
        const std::string all = encoded(BookCreated{book});
        const std::size_t begin = all.find(R"("discountAmount")");
        return all.substr(begin, all.find(R"(,"description")") - begin);
    };
    using Type = Discount::Type;
    EXPECT_EQ(text({Type::amount, 0, {}, {}, {}}),
              R"("discountAmount":0,"discount":{"type":"amount","value":0,"currency":null,)"
              R"("maxAmount":null,"minOrderAmount":null})");
    EXPECT_EQ(text({Type::amount, 12'345, currency("KWD"), 5, 10'000}),
              R"("discountAmount":12.345,"discount":{"type":"amount","value":12.345,)"
              R"("currency":"KWD","maxAmount":0.005,"minOrderAmount":10})");
    EXPECT_EQ(text({Type::percent, 1'250, currency("JPY"), 1'500, {}}),
              R"("discountAmount":null,"discount":{"type":"percent","value":12.5,)"
              R"("currency":"JPY","maxAmount":1500,"minOrderAmount":null})");
    EXPECT_EQ(text({Type::fixed_price, limits::order_minor_units, currency("EUR"), {}, 0}),
              R"("discountAmount":null,"discount":{"type":"fixed_price","value":10000000000,)"
              R"("currency":"EUR","maxAmount":null,"minOrderAmount":0})");
    EXPECT_EQ(text({Type::free_shipping, 0, {}, {}, 2'050}),
              R"("discountAmount":null,"discount":{"type":"free_shipping","value":null,)"
              R"("currency":null,"maxAmount":null,"minOrderAmount":20.5})");
}

TEST(Encode, WhatCuresAnOrder) {
    const auto reasons = [](CodeValidated validated, const std::optional<Order>& order) {
        ValidateCode asked{"SUMMER-1", "ann", order};
        return string_at(
            boost::json::parse(text_of(encode(std::optional(validated), asked, request_id)))
                .at("reasons")
                .at(0),
            "cure");
    };
    CodeValidated validated;
    validated.reasons = {Refusal::order_required};
    EXPECT_EQ(reasons(validated, {}), "Send the order");
    validated.reasons = {Refusal::order_currency_mismatch};
    validated.currency = currency("EUR");
    EXPECT_EQ(reasons(validated, Order{"o", 1, currency("USD")}), "Use an order in EUR");
    validated.reasons = {Refusal::order_below_minimum};
    for (const auto& [amount, code, cure] :
         {std::tuple(800, "EUR", "Add 8.00 to the order"),
          std::tuple(1, "EUR", "Add 0.01 to the order"),
          std::tuple(800, "JPY", "Add 800 to the order"),
          std::tuple(10'050, "KWD", "Add 10.050 to the order")}) {
        validated.missing = Money{amount, currency(code)};
        EXPECT_EQ(reasons(validated, Order{"o", 1, currency(code)}), cure);
    }
}

TEST(Encode, DiscountsOfStatistics) {
    Statistics statistics;
    statistics.book_found = true;
    statistics.rolled_back = 3;
    statistics.discount_cents = 0;
    statistics.discounts = {{currency("USD"), 1}, {currency("EUR"), 0}, {currency("JPY"), 50}};
    statistics.series.resize(2);
    statistics.series[0].activity.rolled_back = 2;
    statistics.series[0].activity.discount_cents = -1'050;
    statistics.series[0].activity.discounts = {{currency("KWD"), -5}};
    ShowStatistics query{{}, CalendarUnit::day, TimeZone::find("UTC").value()};
    query.query.bounds = {now, now + 1000, now + 2000};
    const std::string text = text_of(encode(statistics, query, request_id));
    EXPECT_NE(text.find(R"("rolledBack":3,"discount":0,"discounts":[{"amount":0,"currency":"EUR"},)"
                        R"({"amount":50,"currency":"JPY"},{"amount":0.01,"currency":"USD"}]})"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("rolledBack":2,"discount":-10.5,)"
                        R"("discounts":[{"amount":-0.005,"currency":"KWD"}],)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find(R"("rolledBack":0,"discount":0,"discounts":[],)"), std::string::npos)
        << text;
}

TEST(Encode, CodeChanged) {
    Code code = a_code();
    code.assigned_to = "ann";
    code.active = false;
    code.expires_at = now + 3;
    code.max_redemptions = 6;
    code.metadata = R"({"a":"b"})";
    const std::string text = R"({"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
                             R"("assignedTo":"ann","redeemedAt":null,"active":false,)"
                             R"("expiresAt":"2026-11-22T14:21:13.733Z","maxRedemptions":6,)"
                             R"("metadata":{"a":"b"},)"
                             R"("createdAt":"2026-11-22T14:21:13.730Z"})";
    Answer answer = encode(CodeChanged{code}, now, request_id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(text_of(answer), text);
    EXPECT_EQ(encoded(CodeAssigned{code}), text);
}

TEST(Encode, CodeUnlockedAndUnassigned) {
    EXPECT_EQ(encoded(CodeUnlocked{}), R"({"message":"Coupon unlocked successfully"})");
    EXPECT_EQ(encoded(CodeUnassigned{a_code()}),
              R"({"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
              R"("assignedTo":null,"redeemedAt":null,)" +
                  usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"})");
}

TEST(Encode, ReplaysOfChangesAreAsTheyWereAnswered) {
    Answer answer =
        encode(Replayed{BookChanged{changed_book(), true}, now, "r-0"}, now + 5, request_id);
    EXPECT_EQ(answer.status, 201);
    EXPECT_TRUE(answer.replayed);
    EXPECT_EQ(text_of(answer), changed_book_text + "}");
    Code locked = a_code();
    locked.lock = Lock{"ann", now + 1};
    answer = encode(Replayed{CodeUnassigned{locked}, now, "r-0"}, now + 5, request_id);
    EXPECT_NE(text_of(answer).find(R"("isLocked":true)"), std::string::npos);
}

BookPage a_page() {
    BookPage page;
    page.books.resize(2);
    page.books[0].book = a_book();
    page.books[0].book.name = "A";
    page.books[0].counts = {10, 4, 3, 2, 1};
    page.books[1].book = a_book();
    page.books[1].book.id = 8;
    page.books[1].book.name = "B";
    return page;
}

const std::string head_a =
    R"({"id":7,"name":"A","codePattern":"SUMMER-{6}",)"
    R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
    usual_book +
    R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z",)"
    R"("counts":{"total":10,"available":4,"assigned":3,"locked":2,"redeemed":1})";
const std::string head_b =
    R"({"id":8,"name":"B","codePattern":"SUMMER-{6}",)"
    R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
    usual_book +
    R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z",)"
    R"("counts":{"total":0,"available":0,"assigned":0,"locked":0,"redeemed":0})";

TEST(Encode, Page) {
    Answer answer = encode(a_page(), {.limit = 100}, now, request_id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.link, "");
    EXPECT_EQ(answer.cache_control, "no-store");
    EXPECT_EQ(text_of(answer), "[" + head_a + "}," + head_b + "}]");
    EXPECT_EQ(text_of(encode(BookPage{}, {.limit = 100}, now, request_id)), "[]");
}

TEST(Encode, PageWithCodes) {
    BookPage page = a_page();
    page.books[0].codes = {a_code(), a_code()};
    page.books[0].codes[1].id = 43;
    page.books[0].codes[1].assigned_to = "ann";
    Answer answer = encode(page, {.limit = 100, .with_codes = true}, now, request_id);
    EXPECT_EQ(text_of(answer),
              "[" + head_a +
                  R"(,"codes":[{"id":42,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
                  R"("assignedTo":null,"redeemedAt":null,)" +
                  usual_code +
                  R"("createdAt":"2026-11-22T14:21:13.730Z"},)"
                  R"({"id":43,"code":"SUMMER-1","isLocked":false,"isRedeemed":false,)"
                  R"("assignedTo":"ann","redeemedAt":null,)" +
                  usual_code + R"("createdAt":"2026-11-22T14:21:13.730Z"}]},)" + head_b +
                  R"(,"codes":[]}])");
}

TEST(Encode, User) {
    UserPage page;
    UserQuery query{"a/b", 0, 2};
    EXPECT_EQ(text_of(encode(page, query, now)), R"({"userId":"a/b","codes":[],"redemptions":[]})");
    page.codes = {a_code(), a_code()};
    page.codes[1].id = 43;
    page.more = true;
    EXPECT_EQ(encode(page, query, now).link,
              R"(</coupon/users/a%2Fb?limit=2&after=43>; rel="next")");
}

TEST(Encode, UserErased) {
    const Answer answer = encode(UserErased{}, now, request_id);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(std::get<std::string>(answer.body), R"({"message":"User erased"})");
}

TEST(Encode, LinksToTheNextPage) {
    BookPage page = a_page();
    page.more = true;
    page.read_to = {8, "B\xC3\xA4", {-5}};
    EXPECT_EQ(encode(page, {.limit = 2}, now, request_id).link,
              R"(</coupon?limit=2&after=8>; rel="next")");
    EXPECT_EQ(encode(page, {.limit = 2, .with_codes = true}, now, request_id).link,
              R"(</coupon?limit=2&after=8&include=codes>; rel="next")");
    BookQuery query{.descending = true, .limit = 2, .name = "a&b"};
    EXPECT_EQ(encode(page, query, now, request_id).link,
              R"(</coupon?limit=2&after=-id.8&name=a%26b&sort=-id>; rel="next")");
    query.sort = BookQuery::Sort::name;
    EXPECT_EQ(encode(BookPage{{}, page.read_to, true}, query, now, request_id).link,
              R"(</coupon?limit=2&after=-name.8.42c3a4&name=a%26b&sort=-name>; rel="next")");
    query = {.sort = BookQuery::Sort::created, .limit = 2};
    EXPECT_EQ(encode(page, query, now, request_id).link,
              R"(</coupon?limit=2&after=created.8.-5&sort=created>; rel="next")");
}

/// An entry about the code of a_code().
EntryListing an_entry(LedgerEntry::Type type) {
    EntryListing listing;
    listing.code = "SUMMER-1";
    listing.entry.id = 4096;
    listing.entry.at = now;
    listing.entry.type = type;
    listing.entry.book_id = 7;
    listing.entry.code_id = 42;
    listing.entry.user_id = "ann";
    listing.entry.previous = 4095;
    listing.entry.request_id = "r-9";
    return listing;
}

std::string encoded(const EntryListing& listing) {
    EntryPage page;
    page.entries.push_back(listing);
    Answer answer = encode(page, EntryQuery());
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.link, "");
    EXPECT_EQ(answer.cache_control, "no-store");
    return text_of(answer);
}

constexpr std::string_view assigned_to_ann =
    R"({"status":"assigned","assignedTo":"ann","lockedUntil":null,"redeemedAt":null})";
constexpr std::string_view locked_by_ann =
    R"({"status":"locked","assignedTo":"ann","lockedUntil":"2026-11-22T14:21:14.730Z",)"
    R"("redeemedAt":null})";

TEST(Encode, EntriesOfBooksAndUploads) {
    EntryListing listing = an_entry(LedgerEntry::Type::book_created);
    listing.code.clear();
    listing.entry.user_id.reset();
    Book book = a_book();
    book.name = "A";
    listing.entry.detail = change_text(nullptr, book);
    EXPECT_EQ(
        encoded(listing),
        R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"book_created","bookId":7,)"
        R"("code":null,"userId":null,"requestId":"r-9","before":null,"after":)"
        R"({"id":7,"name":"A","codePattern":"SUMMER-{6}",)"
        R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
            usual_book +
            R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z"}}])");
    listing.entry.type = LedgerEntry::Type::codes_uploaded;
    listing.entry.codes = 3;
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"codes_uploaded","bookId":7,)"
              R"("code":null,"userId":null,"codes":3,"requestId":"r-9","before":null,"after":)"
              R"({"status":"free","assignedTo":null,"lockedUntil":null,"redeemedAt":null}}])");
}

TEST(Encode, EntriesOfACode) {
    EntryListing listing = an_entry(LedgerEntry::Type::code_assigned);
    EXPECT_EQ(
        encoded(listing),
        R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_assigned","bookId":7,)"
        R"("code":"SUMMER-1","userId":"ann","requestId":"r-9","before":)"
        R"({"status":"free","assignedTo":null,"lockedUntil":null,"redeemedAt":null},"after":)" +
            std::string(assigned_to_ann) + "}]");
    listing.entry.type = LedgerEntry::Type::code_locked;
    listing.entry.locked_until = now + 1000;
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_locked","bookId":7,)"
              R"("code":"SUMMER-1","userId":"ann","requestId":"r-9","before":)" +
                  std::string(assigned_to_ann) + R"(,"after":)" + std::string(locked_by_ann) +
                  "}]");
    listing.entry.type = LedgerEntry::Type::code_redeemed;
    const std::string redeemed =
        R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_redeemed","bookId":7,)"
        R"("code":"SUMMER-1","userId":"ann","redemptionId":4096,"order":null,"discount":null,)"
        R"("requestId":"r-9","before":)";
    const std::string after =
        R"(,"after":{"status":"redeemed","assignedTo":"ann","lockedUntil":null,)"
        R"("redeemedAt":"2026-11-22T14:21:13.730Z"}}])";
    EXPECT_EQ(encoded(listing), redeemed + std::string(locked_by_ann) + after);
    listing.entry.locked_until.reset();  // not known of redemptions before there was a ledger
    EXPECT_EQ(encoded(listing), redeemed + std::string(assigned_to_ann) + after);
}

TEST(Encode, EntriesOfRedemptionsForOrdersAndOfWhatTakesThemBack) {
    EntryListing listing = an_entry(LedgerEntry::Type::code_redeemed);
    listing.entry.order = Order{"o", 2'000, currency("EUR")};
    listing.entry.discount = Money{250, currency("EUR")};
    EXPECT_NE(encoded(listing).find(
                  R"("redemptionId":4096,"order":{"id":"o","amount":20,"currency":"EUR"},)"
                  R"("discount":{"amount":2.5,"currency":"EUR"},"requestId":"r-9",)"),
              std::string::npos);
    listing = an_entry(LedgerEntry::Type::redemption_rolled_back);
    listing.entry.redemption_id = 4000;
    listing.entry.discount = Money{250, currency("EUR")};
    listing.entry.detail = "It \"broke\"";
    const std::string redeemed =
        R"({"status":"redeemed","assignedTo":"ann","lockedUntil":null,"redeemedAt":null})";
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"redemption_rolled_back",)"
              R"("bookId":7,"code":"SUMMER-1","userId":"ann","redemptionId":4000,)"
              R"("discount":{"amount":2.5,"currency":"EUR"},"reason":"It \"broke\"",)"
              R"("requestId":"r-9","before":)" +
                  redeemed + R"(,"after":)" + std::string(assigned_to_ann) + "}]");
    listing.entry.type = LedgerEntry::Type::discount_given_back;
    listing.entry.discount = Money{5};
    listing.entry.detail.clear();
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"discount_given_back",)"
              R"("bookId":7,"code":"SUMMER-1","userId":"ann","redemptionId":4000,)"
              R"("discount":{"amount":0.05,"currency":null},"reason":null,)"
              R"("requestId":"r-9","before":)" +
                  redeemed + R"(,"after":)" + redeemed + "}]");
    listing.entry.type = LedgerEntry::Type::redemption_rolled_back;
    listing.entry.discount.reset();
    EXPECT_NE(encoded(listing).find(R"("redemptionId":4000,"discount":null,"reason":null,)"),
              std::string::npos);
}

TEST(Encode, EntriesOfChangesOfABook) {
    EntryListing listing = an_entry(LedgerEntry::Type::book_changed);
    listing.code.clear();
    listing.entry.code_id = 0;
    listing.entry.user_id.reset();
    const Book before = a_book(), after = changed_book();
    listing.entry.detail = change_text(&before, after);
    const std::string before_text =
        R"({"id":7,"name":"Summer \"Sale\"","codePattern":"SUMMER-{6}",)"
        R"("maxRedemptionsPerUser":null,"discountAmount":null,"discount":null,)" +
        usual_book +
        R"("createdAt":"2026-11-22T14:21:13.730Z","updatedAt":"2026-11-22T14:21:14.730Z"})";
    for (const auto& [type, name] :
         {std::pair(LedgerEntry::Type::book_changed, "book_changed"),
          std::pair(LedgerEntry::Type::book_archived, "book_archived"),
          std::pair(LedgerEntry::Type::book_restored, "book_restored")}) {
        listing.entry.type = type;
        EXPECT_EQ(encoded(listing),
                  R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":")" + std::string(name) +
                      R"(","bookId":7,"code":null,"userId":null,"requestId":"r-9","before":)" +
                      before_text + R"(,"after":)" + changed_book_text + "}}]");
    }
}

TEST(Encode, EntriesOfChangesOfACode) {
    EntryListing listing = an_entry(LedgerEntry::Type::code_changed);
    listing.entry.detail = change_text(CodeSettings(), {false, now, 5, R"({"a":"b"})"});
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_changed","bookId":7,)"
              R"("code":"SUMMER-1","userId":"ann","requestId":"r-9",)"
              R"("before":{"active":true,"expiresAt":null,"maxRedemptions":null,"metadata":{}},)"
              R"("after":{"active":false,"expiresAt":"2026-11-22T14:21:13.730Z",)"
              R"("maxRedemptions":5,"metadata":{"a":"b"}}}])");
    listing.entry.user_id.reset();  // of a free one
    EXPECT_NE(encoded(listing).find(R"("userId":null)"), std::string::npos);

    listing = an_entry(LedgerEntry::Type::code_unassigned);
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_unassigned","bookId":7,)"
              R"("code":"SUMMER-1","userId":"ann","requestId":"r-9","before":)" +
                  std::string(assigned_to_ann) +
                  R"(,"after":{"status":"free","assignedTo":null,"lockedUntil":null,)"
                  R"("redeemedAt":null}}])");
    listing.entry.type = LedgerEntry::Type::code_unlocked;
    listing.entry.locked_until = now + 1000;
    EXPECT_EQ(encoded(listing),
              R"([{"id":4096,"at":"2026-11-22T14:21:13.730Z","type":"code_unlocked","bookId":7,)"
              R"("code":"SUMMER-1","userId":"ann","requestId":"r-9","before":)" +
                  std::string(locked_by_ann) + R"(,"after":)" + std::string(assigned_to_ann) +
                  "}]");
}

TEST(Encode, LinksToTheNextPageOfEntries) {
    EntryPage page;
    page.read_to = 8;
    page.more = true;
    EntryQuery query;
    query.limit = 2;
    query.after = 5;
    EXPECT_EQ(encode(page, query).link, R"(</coupon/events?limit=2&after=8>; rel="next")");
    query.book_id = 7;
    query.code = "A/b \u20ac&";
    query.type = LedgerEntry::Type::code_locked;
    EXPECT_EQ(encode(page, query).link,
              R"(</coupon/events?limit=2&after=8&bookId=7&code=A%2Fb%20%E2%82%AC%26)"
              R"(&type=code_locked>; rel="next")");
    EXPECT_EQ(text_of(encode(page, query)), "[]");
}

TEST(Encode, EntriesAsEvents) {
    EntryPage page;
    std::string text;
    append_stream_begin(text, 17);
    EXPECT_EQ(text, "retry: 1000\nid: 17\n\n");
    text.clear();
    append_events(text, page);
    EXPECT_EQ(text, "");
    page.read_to = 20'017;
    page.more = true;
    append_events(text, page);
    EXPECT_EQ(text, "id: 20017\n\n");
    text.clear();

    page.entries = {an_entry(LedgerEntry::Type::code_assigned)};
    page.entries[0].code = "line\nnext\rnext\u2028";
    append_events(text, page);
    page.entries.push_back(an_entry(LedgerEntry::Type::code_locked));
    const std::size_t one = text.size();
    append_events(text, page);
    const std::string list = text_of(encode(page, {}));
    const std::string first = list.substr(1, list.find("},{"));
    EXPECT_EQ(text.substr(0, one), "id: 4096\nevent: code_assigned\ndata: " + first + "\n\n");
    EXPECT_EQ(text.substr(one), text.substr(0, one) + "id: 4096\nevent: code_locked\ndata: " +
                                    list.substr(first.size() + 2, list.size() - first.size() - 3) +
                                    "\n\n");
    EXPECT_EQ(text.find('\r'), std::string::npos);

    text.clear();
    append_keep_alive(text, std::nullopt);
    EXPECT_EQ(text, ":\n\n");
    text.clear();
    append_keep_alive(text, 18);
    EXPECT_EQ(text, ":\nid: 18\n\n");
}

/// Of the file of a_book() that leaves rows out.
Job a_file_job() {
    Job job;
    job.id = 5;
    job.book_id = 7;
    job.import = Import{Import::Format::ndjson, true, "UTC", Import::Stage::adding, 1, 10, 2};
    job.status = Job::Status::running;
    job.requested = 8;
    job.created = 2;
    job.created_at = now;
    job.started_at = now + 1;
    return job;
}

TEST(Encode, JobOfAFile) {
    EXPECT_EQ(text_of(encode(a_file_job())),
              R"({"id":5,"status":"running","couponBookId":7,"type":"import","format":"ndjson",)"
              R"("onConflict":"skip","progress":0.5,"requested":8,"created":2,"failed":2,)"
              R"("rejected":2,"error":null,"createdAt":"2026-11-22T14:21:13.730Z",)"
              R"("startedAt":"2026-11-22T14:21:13.731Z","finishedAt":null})");
    Job failed = a_file_job();
    failed.import->format = Import::Format::csv;
    failed.import->skips = false;
    failed.status = Job::Status::failed;
    failed.created = 0;
    failed.error = "rows_rejected";
    failed.finished_at = now + 2;
    const boost::json::value body = boost::json::parse(text_of(encode(failed)));
    EXPECT_EQ(string_at(body, "format"), "csv");
    EXPECT_EQ(string_at(body, "onConflict"), "fail");
    EXPECT_EQ(string_at(body.at("error"), "code"), "rows_rejected");
    EXPECT_EQ(body.at("failed"), 8);
    EXPECT_EQ(body.at("rejected"), 2);
    Job makes = a_file_job();
    makes.import.reset();
    EXPECT_EQ(string_at(boost::json::parse(text_of(encode(makes))), "type"), "generate");
}

TEST(Encode, AnswerToAFile) {
    const Answer begun = encode(JobChanged{a_file_job(), true}, now, request_id);
    EXPECT_EQ(begun.status, 202);
    Answer elsewhere = encode(AddingElsewhere{}, now, request_id);
    EXPECT_EQ(elsewhere.status, 503);
    EXPECT_FALSE(string_at(boost::json::parse(text_of(elsewhere)), "code").empty());
}

TEST(Encode, RejectedRows) {
    const std::vector<RejectedRow> rows{{2, "code_repeated", "A\"\u00e9"}, {5, "code_missing", ""}};
    Answer answer = encode(rows, RejectedQuery{5, 1, 2});
    EXPECT_EQ(answer.link, R"(</coupon/jobs/5/rejected?limit=2&after=5>; rel="next")");
    EXPECT_EQ(text_of(answer),
              R"([{"line":2,"reason":"code_repeated","message":"An earlier row of the file has )"
              "this code\",\"text\":\"A\\\"\u00e9\"},"
              R"({"line":5,"reason":"code_missing","message":"There is no code","text":""}])");
    answer = encode(rows, RejectedQuery{5, 1, 3});
    EXPECT_EQ(answer.link, "");
    EXPECT_EQ(text_of(encode(std::span<const RejectedRow>(), RejectedQuery{5, 9, 3})), "[]");
}

TEST(Encode, StreamOfEvents) {
    const Answer answer = event_stream([](std::string&) { return Rest::none; });
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.content_type, "text/event-stream");
    EXPECT_EQ(answer.cache_control, "no-store");
    EXPECT_TRUE(answer.unbuffered);
}

TEST(Encode, LongPagesComeInPieces) {
    BookPage page = a_page();
    page.books[1].codes.assign(9'000, a_code());
    Answer answer = encode(page, {.limit = 100, .with_codes = true}, now, request_id);
    ASSERT_EQ(answer.body.index(), 1U);
    const boost::json::value body = boost::json::parse(text_of(answer));
    EXPECT_EQ(body.as_array().at(1).at("codes").as_array().size(), 9'000U);
}

TEST(Encode, TooManyCodes) {
    BookPage page = a_page();
    page.too_many_codes = true;
    Answer answer = encode(page, {.limit = 100, .with_codes = true}, now, request_id);
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(text_of(answer),
              R"({"statusCode":400,"error":"Bad Request","message":"These coupon books hold more )"
              R"(than 10000 codes together: ask for fewer books with limit",)"
              R"("code":"too_many_codes","requestId":"r-1"})");
}

}  // namespace
}  // namespace coupond::wire
