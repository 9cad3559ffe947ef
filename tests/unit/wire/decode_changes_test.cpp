// What clients set of books and codes, at first and later.
#include <gtest/gtest.h>

#include "unit/wire/requests.hpp"

namespace coupond::wire {
namespace {

constexpr std::string_view a_moment =
    " must be a date or a time of the years 2000 to 9998, with its offset from UTC, such as "
    "2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00";

constexpr Timestamp two_o_clock{1'795'356'000'000};  // 2026-11-22T14:00:00Z

/// The members of a book, in the order of the description, with values that are not as by default,
/// and what is said of values that cannot be.
struct BookMember {
    std::string name;
    std::string good;
    std::string wrong;
    std::string said;
};
const std::vector<BookMember> book_members_of_json = {
    {"name", R"("Summer")", "5", "name must be a string"},
    {"codePattern", R"("S-{6}")", "5", "codePattern must be a string"},
    {"maxRedemptionsPerUser", "2", "0",
     "maxRedemptionsPerUser must be an integer from 1 to 1000000000"},
    {"discountAmount", "19.99", "-1",
     "discountAmount must be a number from 0 to 99999999.99 with at most 2 decimals"},
    {"description", R"("Words")", "[]", "description must be a string"},
    {"active", "false", "0", "active must be a boolean"},
    {"startsAt", R"("2026-11-22T14:00:00Z")", R"("now")", "startsAt" + std::string(a_moment)},
    {"endsAt", R"("2026-11-22T14:00:01Z")", "7", "endsAt" + std::string(a_moment)},
    {"timeZone", R"("Europe/Berlin")", R"("Mars")",
     "timeZone must be one of the IANA database, such as Europe/Berlin, or UTC"},
    {"maxRedemptions", "1000000000", "1000000001",
     "maxRedemptions must be an integer from 1 to 1000000000"},
    {"budget", "0.0001", "0",
     "budget must be a number greater than 0, up to 1000000000000, with at most 4 decimals"},
    {"limits", R"({"week":{"maxRedemptionsPerUser":3,"budget":20},"day":{},"month":null})",
     R"({"day":{"maxRedemptions":0}})",
     "limits.day.maxRedemptions must be an integer from 1 to 1000000000"},
    {"maxAssignmentsPerUser", "1", "1.5",
     "maxAssignmentsPerUser must be an integer from 1 to 1000000000"},
    {"maxRedemptionsPerCode", "7", R"("7")",
     "maxRedemptionsPerCode must be an integer from 1 to 1000000000"},
    {"assignment", R"("open")", R"("everybody")", "assignment must be one of required, open"},
    {"caseSensitive", "false", R"("no")", "caseSensitive must be a boolean"},
    {"lockTtlSeconds", "60", "86401", "lockTtlSeconds must be an integer from 1 to 86400"},
    {"combinable", "false", "1", "combinable must be a boolean"},
    {"autoGenerate", R"({"below":5,"count":10000000})", R"({"below":5,"count":10000001})",
     "autoGenerate.count must be an integer from 1 to 10000000"},
    {"metadata", R"({"a":1})", "[]", "metadata must be an object"},
};

BookSettings all_good() {
    BookSettings book;
    book.name = "Summer";
    book.code_pattern = "S-{6}";
    book.max_redemptions_per_user = 2;
    book.discount = from_short_form(1999);
    book.description = "Words";
    book.active = false;
    book.starts_at = two_o_clock;
    book.ends_at = two_o_clock + 1000;
    book.time_zone = "Europe/Berlin";
    book.max_redemptions = 1'000'000'000;
    book.budget = 1;
    book.limits[Per::week] = {std::nullopt, 3, 20'0000};
    book.max_assignments_per_user = 1;
    book.max_redemptions_per_code = 7;
    book.open = true;
    book.case_sensitive = false;
    book.lock_ttl_s = 60;
    book.combinable = false;
    book.auto_generate = AutoGenerate{5, 10'000'000};
    book.metadata = R"({"a":1})";
    return book;
}

/// A body with these members, of `which` value; backwards, for the order in it does not matter.
std::string body_of(std::string BookMember::*which) {
    std::string body;
    for (const BookMember& member : book_members_of_json) {
        body = "\"" + member.name + "\":" + member.*which + (body.empty() ? "" : ",") + body;
    }
    return "{" + body + "}";
}

BookWish create(const std::string& members) {
    return value(decode_create_book(request(R"({"name":"n","codePattern":"p")" +
                                            (members.empty() ? "" : "," + members) + "}")));
}

Strings said_of(const std::string& members) {
    return complaints(
        decode_create_book(request(R"({"name":"n","codePattern":"p",)" + members + "}")));
}

EditBook edit(const std::string& body) {
    return value(decode_edit_book(request(body), "7"));
}

TEST(DecodeBookSettings, AreAsByDefaultWhereTheyAreLeftOutOrNull) {
    BookSettings usual;
    usual.name = "n";
    usual.code_pattern = "p";
    EXPECT_EQ(static_cast<const BookSettings&>(create("")), usual);
    std::string nulls;
    for (std::size_t i = 2; i < book_members_of_json.size(); ++i) {
        nulls += (nulls.empty() ? "\"" : ",\"") + book_members_of_json[i].name + "\":null";
    }
    const BookWish wish = create(nulls);
    usual.max_redemptions_per_code = std::nullopt;  // no limit
    EXPECT_EQ(static_cast<const BookSettings&>(wish), usual);
    EXPECT_EQ(wish.starts_on + wish.ends_on, "");
}

TEST(DecodeBookSettings, AreTakenAllAtOnce) {
    const auto created = value(decode_create_book(request(body_of(&BookMember::good))));
    EXPECT_EQ(static_cast<const BookSettings&>(created), all_good());
    const EditBook edited = edit(body_of(&BookMember::good));
    EXPECT_EQ(edited.book_id, 7);
    EXPECT_EQ(static_cast<const BookSettings&>(edited.wish), all_good());
    EXPECT_TRUE(edited.wished.all());
}

TEST(DecodeBookSettings, AreComplainedOfInTheirOrder) {
    Strings all;
    for (const BookMember& member : book_members_of_json) all.push_back(member.said);
    EXPECT_EQ(complaints(decode_create_book(request(body_of(&BookMember::wrong)))), all);
    EXPECT_EQ(complaints(decode_edit_book(request(body_of(&BookMember::wrong)), "7")), all);
    all.insert(all.begin(), "id must be a positive integer");
    EXPECT_EQ(complaints(decode_edit_book(request(body_of(&BookMember::wrong)), "0")), all);
}

TEST(DecodeBookSettings, ThatAreGivenTwiceAreRefused) {
    for (const BookMember& member : book_members_of_json) {
        const std::string once = "\"" + member.name + "\":" + member.good;
        EXPECT_EQ(complaints(decode_edit_book(request("{" + once + "," + once + "}"), "7")),
                  Strings{"property " + member.name + " is given twice"});
    }
}

TEST(DecodeBookSettings, Description) {
    const auto description = [](const std::string& text) {
        return said_of(R"("description":")" + text + "\"");
    };
    EXPECT_EQ(create(R"("description":"")").description, "");
    EXPECT_EQ(create(R"("description":" \"a\" ")").description, " \"a\" ");
    EXPECT_EQ(create(R"("description":")" + repeated("😀", 2000) + "\"").description,
              repeated("😀", 2000));
    EXPECT_EQ(description(std::string(2001, 'x')),
              Strings{"description must be shorter than or equal to 2000 characters"});
    for (const char* const control : {R"(a\nb)", R"(\u0000)", "\x7F", R"(\u0085)"}) {
        EXPECT_EQ(description(control), Strings{"description must not contain control characters"});
    }
    for (const char* const other : {"5", "true", "{}", "[\"a\"]"}) {
        EXPECT_EQ(said_of("\"description\":" + std::string(other)),
                  Strings{"description must be a string"});
    }
}

TEST(DecodeBookSettings, Active) {
    EXPECT_TRUE(create(R"("active":true)").active);
    EXPECT_FALSE(create(R"("active":false)").active);
    for (const char* const other : {"0", "1", "\"true\"", "\"\"", "[]", "{}"}) {
        EXPECT_EQ(said_of("\"active\":" + std::string(other)), Strings{"active must be a boolean"});
    }
}

TEST(DecodeBookSettings, StartsAtAndEndsAt) {
    const BookWish times =
        create(R"("startsAt":"2026-11-22T14:00:00Z","endsAt":"2026-11-22T15:00:00.250+01:00")");
    EXPECT_EQ(times.starts_at, two_o_clock);
    EXPECT_EQ(times.ends_at, two_o_clock + 250);
    EXPECT_EQ(times.starts_on + times.ends_on, "");
    // What a date stands for, its book's time zone tells.
    const BookWish dates = create(R"("startsAt":"2026-11-22","endsAt":"9998-12-31")");
    EXPECT_EQ(dates.starts_on, "2026-11-22");
    EXPECT_EQ(dates.ends_on, "9998-12-31");
    EXPECT_FALSE(dates.starts_at || dates.ends_at);
    for (const std::string name : {"startsAt", "endsAt"}) {
        for (const char* const other : {"\"\"",
                                        "\"now\"",
                                        "\"2026-11-22T14:00:00\"",
                                        "\"2026-11-22T14:00Z\"",
                                        "\"2026-11-22 14:00:00Z\"",
                                        "\"2026-02-30\"",
                                        "\"2026-13-01\"",
                                        "\"26-11-22\"",
                                        "\"1999-12-31\"",
                                        "\"9999-01-01\"",
                                        "\"1999-12-31T23:59:59Z\"",
                                        "\"9999-01-01T00:00:00Z\"",
                                        "\"2026-11-22T24:00:00Z\"",
                                        "\" 2026-11-22\"",
                                        "\"2026-11-22 \"",
                                        "\"2026-11-22T14:00:00+99:00\"",
                                        "1795356000000",
                                        "true",
                                        "[]",
                                        "{}"}) {
            EXPECT_EQ(said_of("\"" + name + "\":" + other), Strings{name + std::string(a_moment)})
                << other;
        }
    }
}

TEST(DecodeBookSettings, TimeZone) {
    for (const char* const zone : {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"}) {
        EXPECT_EQ(create(R"("timeZone":")" + std::string(zone) + "\"").time_zone, zone);
    }
    for (const char* const other : {"\"\"", "\"Mars/Olympus\"", "\"+01:00\"", "\"../UTC\"", "5",
                                    "\"Europe/Berlin \"", "[]", "false", "\"a\\u0000\""}) {
        EXPECT_EQ(said_of("\"timeZone\":" + std::string(other)),
                  Strings{"timeZone must be one of the IANA database, such as Europe/Berlin, or "
                          "UTC"})
            << other;
    }
}

TEST(DecodeBookSettings, LockTtlSeconds) {
    EXPECT_EQ(create(R"("lockTtlSeconds":1)").lock_ttl_s, 1);
    EXPECT_EQ(create(R"("lockTtlSeconds":8.64e4)").lock_ttl_s, 86'400);
    for (const char* const other : {"0", "-1", "86401", "1.5", "\"60\"", "true", "1e400", "[]"}) {
        EXPECT_EQ(said_of("\"lockTtlSeconds\":" + std::string(other)),
                  Strings{"lockTtlSeconds must be an integer from 1 to 86400"});
    }
}

TEST(DecodeBookSettings, Metadata) {
    EXPECT_EQ(create(R"("metadata":{})").metadata, "{}");
    EXPECT_EQ(create(R"("metadata": { "a" : [ 1 , { } ] , "b" : "c d" } )").metadata,
              R"({"a":[1,{}],"b":"c d"})");
    for (const char* const other : {"[]", "\"{}\"", "5", "true", "[{}]"}) {
        EXPECT_EQ(said_of("\"metadata\":" + std::string(other)),
                  Strings{"metadata must be an object"});
    }
    // 16,384 bytes as they are kept, white space or not.
    const auto of_bytes = [](std::size_t bytes) {
        return R"("metadata":{ "a" : ")" + std::string(bytes - 8, 'x') + "\" \n }";
    };
    EXPECT_EQ(create(of_bytes(16'384)).metadata.size(), 16'384U);
    EXPECT_EQ(said_of(of_bytes(16'385)),
              Strings{"metadata must take no more than 16384 bytes as JSON"});
    EXPECT_EQ(
        create(R"("metadata":{"a":")" + repeated(R"(\u0041)", 16'376) + "\"}").metadata.size(),
        16'384U);
}

TEST(DecodeEditBook, TakesTheMembersThatAreGivenAndNoOthers) {
    for (std::size_t place = 0; place < book_members_of_json.size(); ++place) {
        const BookMember& member = book_members_of_json[place];
        const EditBook edited = edit("{\"" + member.name + "\":" + member.good + "}");
        EXPECT_EQ(edited.wished, BookMembers().set(place)) << member.name;
        BookSettings taken, wanted;
        set_members(taken, edited.wish, edited.wished);
        set_members(wanted, all_good(), BookMembers().set(place));
        EXPECT_EQ(taken, wanted) << member.name;
    }
}

TEST(DecodeEditBook, SetsBackWhatIsNull) {
    for (std::size_t place = 0; place < book_members_of_json.size(); ++place) {
        const std::string name = book_members_of_json[place].name;
        const auto decoded = decode_edit_book(request("{\"" + name + "\":null}"), "7");
        if (place < 2) {
            EXPECT_EQ(complaints(decoded), Strings{name + " should not be empty"});
            EXPECT_EQ(complaints(decode_edit_book(request("{\"" + name + "\":\"\"}"), "7")),
                      Strings{name + " should not be empty"});
            continue;
        }
        EXPECT_EQ(value(decoded).wished, BookMembers().set(place));
        BookSettings taken = all_good(), wanted = all_good();
        set_members(taken, value(decoded).wish, value(decoded).wished);
        set_members(wanted, BookSettings(), BookMembers().set(place));
        if (name == "maxRedemptionsPerCode") wanted.max_redemptions_per_code.reset();  // no limit
        EXPECT_EQ(taken, wanted) << name;
    }
}

TEST(DecodeEditBook, WantsAtLeastOneMember) {
    const auto said = [](std::string_view body, std::string_view id = "7") {
        return complaints(decode_edit_book(request(body), id));
    };
    EXPECT_EQ(said("{}"), Strings{"body must have at least one member"});
    EXPECT_EQ(said("{}", "x"),
              (Strings{"id must be a positive integer", "body must have at least one member"}));
    EXPECT_EQ(said(""), Strings{"body must be an object, but is empty"});
    EXPECT_EQ(said("[]"), Strings{"body must be an object"});
    EXPECT_EQ(said(R"({"x":null})"), Strings{"property x should not exist"});
    EXPECT_EQ(said(R"({"x":1,"active":"no","id":7,"archivedAt":null})"),
              (Strings{"active must be a boolean", "property x should not exist",
                       "property id should not exist", "property archivedAt should not exist"}));
    for (const char* const id : {"", "0", "-1", "7x", "9223372036854775808"}) {
        EXPECT_EQ(said(R"({"active":true})", id), Strings{"id must be a positive integer"}) << id;
    }
}

TEST(DecodeArchiveBook, TakesAnIdAndNothingElse) {
    EXPECT_EQ(value(decode_archive_book("7", {}, "r-1")).book_id, 7);
    EXPECT_EQ(complaints(decode_archive_book("0", {{"force", "1"}}, "r-1")),
              (Strings{"id must be a positive integer", "property force should not exist"}));
}

TEST(DecodeRestoreBook, TakesAnIdAndNoBodyOrAnEmptyOne) {
    for (const char* const body : {"", "{}", " { } "}) {
        EXPECT_EQ(value(decode_restore_book(request(body), "7")).book_id, 7) << body;
    }
    EXPECT_EQ(value(decode_restore_book(request("", ""), "7")).book_id, 7);
    const auto said = [](std::string_view body, std::string_view id = "7") {
        return complaints(decode_restore_book(request(body), id));
    };
    EXPECT_EQ(said(R"({"active":true})"), Strings{"property active should not exist"});
    EXPECT_EQ(said("[]"), Strings{"body must be an object"});
    EXPECT_EQ(said(" "), Strings{"body must be an object, but is empty"});
    EXPECT_EQ(said("", "0"), Strings{"id must be a positive integer"});
}

// Codes.

EditCode edit_code(const std::string& body) {
    return value(decode_edit_code(request(body), "A"));
}

Strings said_of_code(std::string_view body, std::string_view code = "A") {
    return complaints(decode_edit_code(request(body), code));
}

TEST(DecodeEditCode, TakesAllMembersAndEachByItself) {
    const EditCode all =
        edit_code(R"({"metadata":{"a":1},"expiresAt":"2026-11-22T14:00:00Z","active":false,)"
                  R"("maxRedemptions":3})");
    EXPECT_EQ(all.code, "A");
    EXPECT_EQ(all.wish, (CodeSettings{false, two_o_clock, 3, R"({"a":1})"}));
    EXPECT_TRUE(all.wished.all());
    const std::vector<std::string> members{R"("active":false)", R"("expiresAt":"2026-11-22")",
                                           R"("maxRedemptions":3)", R"("metadata":{"b":2})"};
    for (std::size_t place = 0; place < members.size(); ++place) {
        EXPECT_EQ(edit_code("{" + members[place] + "}").wished, CodeMembers().set(place));
    }
    const EditCode date = edit_code("{" + members[1] + "}");
    EXPECT_EQ(date.expires_on, "2026-11-22");
    EXPECT_FALSE(date.wish.expires_at);
}

TEST(DecodeEditCode, SetsBackWhatIsNull) {
    const EditCode all =
        edit_code(R"({"active":null,"expiresAt":null,"maxRedemptions":null,"metadata":null})");
    EXPECT_TRUE(all.wished.all());
    EXPECT_EQ(all.wish, CodeSettings());
    EXPECT_EQ(all.expires_on, "");
}

TEST(DecodeEditCode, SaysWhatIsWrong) {
    const std::string unfit = "code must be 1 to 128 characters without control characters";
    EXPECT_EQ(said_of_code("{}"), Strings{"body must have at least one member"});
    EXPECT_EQ(said_of_code("{}", "a\tb"), (Strings{unfit, "body must have at least one member"}));
    EXPECT_EQ(
        said_of_code(R"({"metadata":[],"maxRedemptions":0,"expiresAt":5,"active":1,"code":"B"})"),
        (Strings{"active must be a boolean", "expiresAt" + std::string(a_moment),
                 "maxRedemptions must be an integer from 1 to 1000000000",
                 "metadata must be an object", "property code should not exist"}));
    EXPECT_EQ(said_of_code(R"({"expiresAt":"2026-11-22T14:00:00"})"),
              Strings{"expiresAt" + std::string(a_moment)});
    EXPECT_EQ(said_of_code(R"({"metadata":{"a":")" + std::string(16'384, 'x') + "\"}}"),
              Strings{"metadata must take no more than 16384 bytes as JSON"});
    EXPECT_EQ(said_of_code(R"({"active":true,"active":true})"),
              Strings{"property active is given twice"});
    EXPECT_EQ(said_of_code(R"({"active":true})", std::string(129, 'x')), Strings{unfit});
}

TEST(DecodeUnlockCode, TakesACodeAndAUser) {
    const auto unlock = value(decode_unlock_code(request(R"({"userId":"ann"})"), "10% OFF/😀"));
    EXPECT_EQ(unlock.code, "10% OFF/😀");
    EXPECT_EQ(unlock.user_id, "ann");
    EXPECT_EQ(unlock.lock_key, "");
    EXPECT_EQ(complaints(decode_unlock_code(request("{}"), "")),
              (Strings{"code must be 1 to 128 characters without control characters",
                       "userId should not be empty"}));
    EXPECT_EQ(complaints(decode_unlock_code(request(""), "A")),
              Strings{"body must be an object, but is empty"});
}

TEST(DecodeLockKeys, AreTakenWhereLocksAreTakenUsedAndGivenBack) {
    const auto body = [](const std::string& key) {
        return R"({"userId":"ann","codes":["A"],"order":{"id":"o","amount":1,"currency":"EUR"})" +
               key + "}";
    };
    const auto of_one = [](const std::string& key) { return R"({"userId":"ann")" + key + "}"; };
    const auto keys = [&](const std::string& member) {
        const std::string one = of_one(member), several = body(member);
        return Strings{value(decode_lock_code(request(one), "A", 5)).lock_key,
                       value(decode_redeem_code(request(one), "A")).lock_key,
                       value(decode_unlock_code(request(one), "A")).lock_key,
                       value(decode_lock_codes(request(several), 5)).lock_key,
                       value(decode_redeem_codes(request(several))).lock_key};
    };
    EXPECT_EQ(keys(R"(,"lockKey":"käse 1")"), Strings(5, "käse 1"));
    EXPECT_EQ(keys(R"(,"lockKey":null)"), Strings(5, ""));
    EXPECT_EQ(keys(""), Strings(5, ""));
    const std::string longest(128, 'k');
    EXPECT_EQ(keys(R"(,"lockKey":")" + longest + "\""), Strings(5, longest));

    for (const auto& [member, said] : std::vector<std::pair<std::string, std::string>>{
             {R"("")", "lockKey should not be empty"},
             {"1", "lockKey must be a string"},
             {R"("a\n")", "lockKey must not contain control characters"},
             {"\"k" + longest + "\"", "lockKey must be shorter than or equal to 128 characters"}}) {
        const std::string key = R"(,"lockKey":)" + member;
        const std::string one = of_one(key), several = body(key);
        EXPECT_EQ(complaints(decode_lock_code(request(one), "A", 5)), Strings{said});
        EXPECT_EQ(complaints(decode_redeem_code(request(one), "A")), Strings{said});
        EXPECT_EQ(complaints(decode_unlock_code(request(one), "A")), Strings{said});
        EXPECT_EQ(complaints(decode_lock_codes(request(several), 5)), Strings{said});
        EXPECT_EQ(complaints(decode_redeem_codes(request(several))), Strings{said});
    }
}

TEST(DecodeUnassignCode, TakesACodeAndMayBeAUser) {
    for (const char* const body : {"", "{}", R"({"userId":null})"}) {
        const auto unassign = value(decode_unassign_code(request(body), "A"));
        EXPECT_EQ(unassign.code, "A");
        EXPECT_EQ(unassign.user_id, std::nullopt) << body;
    }
    EXPECT_EQ(value(decode_unassign_code(request("", ""), "A")).user_id, std::nullopt);
    EXPECT_EQ(value(decode_unassign_code(request(R"({"userId":"ann"})"), "A")).user_id, "ann");
    const auto said = [](std::string_view body) {
        return complaints(decode_unassign_code(request(body), "A"));
    };
    EXPECT_EQ(said(R"({"userId":""})"), Strings{"userId should not be empty"});
    EXPECT_EQ(said(R"({"userId":5,"x":1})"),
              (Strings{"userId must be a string", "property x should not exist"}));
    EXPECT_EQ(said(R"({"userId":"ann","userId":null})"), Strings{"property userId is given twice"});
    EXPECT_EQ(said("[]"), Strings{"body must be an object"});
    EXPECT_EQ(complaints(decode_unassign_code(request(""), "\n")),
              Strings{"code must be 1 to 128 characters without control characters"});
}

// The discount of a book.

Strings said_of_discount(const std::string& members) {
    return said_of(R"("discount":{)" + members + "}");
}

Discount discount_of(const std::string& members) {
    return create(R"("discount":{)" + members + "}").discount.value();
}

std::optional<Currency> currency(std::string_view code) {
    return Currency::find(code);
}

TEST(DecodeDiscount, TakesEveryTypeWithAllAndWithTheLeast) {
    using Type = Discount::Type;
    EXPECT_EQ(discount_of(R"("type":"amount","value":5)"),
              (Discount{Type::amount, 500, {}, {}, {}}));
    EXPECT_EQ(discount_of(R"("minOrderAmount":20,"maxAmount":1.5,"currency":"KWD","value":0.005,)"
                          R"("type":"amount")"),
              (Discount{Type::amount, 5, currency("KWD"), 1'500, 20'000}));
    EXPECT_EQ(discount_of(R"("type":"percent","value":12.5,"currency":null,"maxAmount":null,)"
                          R"("minOrderAmount":null)"),
              (Discount{Type::percent, 1'250, {}, {}, {}}));
    EXPECT_EQ(discount_of(R"("type":"percent","value":100,"currency":"JPY","maxAmount":5)"),
              (Discount{Type::percent, 10'000, currency("JPY"), 5, {}}));
    EXPECT_EQ(discount_of(R"("type":"fixed_price","value":0,"currency":"EUR")"),
              (Discount{Type::fixed_price, 0, currency("EUR"), {}, {}}));
    for (const char* const value : {"", R"(,"value":null)"}) {
        EXPECT_EQ(
            discount_of(R"("type":"free_shipping","minOrderAmount":9.99)" + std::string(value)),
            (Discount{Type::free_shipping, 0, {}, {}, 999}));
    }
    EXPECT_EQ(create(R"("discount":null)").discount, std::nullopt);
    EXPECT_EQ(create(R"("discount":null,"discountAmount":5)").discount, from_short_form(500));
    EXPECT_EQ(create(R"("discountAmount":null,"discount":{"type":"amount","value":5})").discount,
              from_short_form(500));
}

TEST(DecodeDiscount, IsAnObjectOfAType) {
    for (const char* const other : {"5", "true", "\"amount\"", "[]"}) {
        EXPECT_EQ(said_of("\"discount\":" + std::string(other)),
                  Strings{"discount must be an object"});
    }
    const Strings of_type{
        "discount.type must be one of amount, percent, fixed_price, free_shipping"};
    for (const char* const type :
         {"", R"("type":null)", R"("type":5)", R"("type":"")", R"("type":"Amount","value":5)",
          R"("value":"x")", R"("type":[])"}) {
        EXPECT_EQ(said_of_discount(type), of_type) << type;
    }
}

TEST(DecodeDiscount, HasACurrencyOrNone) {
    const Strings wrong{"discount.currency must be a currency of ISO 4217, such as EUR"};
    for (const char* const code : {R"("eur")", R"("XXQ")", R"("")", "5", "[]", R"("EURO")"}) {
        EXPECT_EQ(said_of_discount(R"("type":"percent","value":5,"currency":)" + std::string(code)),
                  wrong)
            << code;
    }
}

TEST(DecodeDiscount, AmountsAreOfTheDecimalsOfTheCurrency) {
    struct Case {
        const char* currency;
        const char* most;
        const char* least;
        const char* more;
        const char* finer;
        std::int64_t least_units;
        const char* bounds;
    };
    for (const Case& one : {Case{"null", "10000000000", "0.01", "10000000000.01", "0.001", 1,
                                 "0 to 10000000000 with at most 2 decimals"},
                            Case{R"("EUR")", "10000000000", "0.01", "10000000000.01", "0.001", 1,
                                 "0 to 10000000000 with at most 2 decimals"},
                            Case{R"("JPY")", "1000000000000", "1", "1000000000001", "0.1", 1,
                                 "0 to 1000000000000 with at most 0 decimals"},
                            Case{R"("KWD")", "1000000000", "0.001", "1000000000.001", "0.0001", 1,
                                 "0 to 1000000000 with at most 3 decimals"},
                            Case{R"("CLF")", "100000000", "0.0001", "100000000.0001", "0.00001", 1,
                                 "0 to 100000000 with at most 4 decimals"}}) {
        const auto with = [&](const std::string& value, const std::string& most,
                              const std::string& least) {
            return R"("type":"amount","currency":)" + std::string(one.currency) + R"(,"value":)" +
                   value + R"(,"maxAmount":)" + most + R"(,"minOrderAmount":)" + least;
        };
        const Discount read = discount_of(with(one.most, one.least, "0"));
        EXPECT_EQ(read.value, 1'000'000'000'000);
        EXPECT_EQ(read.max_amount, one.least_units);
        EXPECT_EQ(read.min_order_amount, 0);
        const std::string rule = " must be a number from " + std::string(one.bounds);
        for (const std::string wrong : {one.more, one.finer, "-1", "\"1\"", "[]", "true"}) {
            EXPECT_EQ(said_of_discount(with(wrong, wrong, wrong)),
                      (Strings{"discount.value" + rule, "discount.maxAmount" + rule,
                               "discount.minOrderAmount" + rule}))
                << wrong;
        }
        EXPECT_EQ(
            said_of_discount(R"("type":"fixed_price","currency":)" + std::string(one.currency)),
            (Strings{"discount.value" + rule}));
    }
}

TEST(DecodeDiscount, PercentsAreOfAHundred) {
    for (const char* const value :
         {"-0.01", "100.01", "1.001", "\"5\"", "null", "{}", "1e3", "false"}) {
        EXPECT_EQ(said_of_discount(R"("type":"percent","value":)" + std::string(value)),
                  Strings{"discount.value must be a number from 0 to 100 with at most 2 decimals"})
            << value;
    }
    EXPECT_EQ(said_of_discount(R"("type":"percent","currency":"JPY")"),
              Strings{"discount.value must be a number from 0 to 100 with at most 2 decimals"});
    EXPECT_EQ(discount_of(R"("type":"percent","value":0.01,"currency":"JPY")").value, 1);
}

TEST(DecodeDiscount, FreeShippingHasNoValue) {
    for (const char* const value : {"0", "5", "\"\"", "[]"}) {
        EXPECT_EQ(said_of_discount(R"("type":"free_shipping","value":)" + std::string(value)),
                  Strings{"discount.value should not exist for free_shipping"})
            << value;
    }
}

TEST(DecodeDiscount, SaysAllThatIsWrong) {
    EXPECT_EQ(
        said_of(R"("discount":{"foo":1,"type":"percent","value":101,"maxAmount":-1,"a b":2})"),
        (Strings{"discount.value must be a number from 0 to 100 with at most 2 decimals",
                 "discount.maxAmount must be a number from 0 to 10000000000 with at most 2 "
                 "decimals",
                 "property discount.foo should not exist",
                 R"(property discount."a b" should not exist)"}));
    EXPECT_EQ(said_of_discount(R"("type":"percent","value":1,"value":2)"),
              Strings{"property discount.value is given twice"});
    EXPECT_EQ(said_of(R"("maxRedemptionsPerUser":0,"description":5,"discount":[])"),
              (Strings{"maxRedemptionsPerUser must be an integer from 1 to 1000000000",
                       "discount must be an object", "description must be a string"}));
}

TEST(DecodeDiscount, IsGivenInOneFormOnly) {
    const std::string good = R"({"type":"percent","value":5})";
    const Strings both{"discountAmount and discount must not both be given"};
    EXPECT_EQ(said_of(R"("discountAmount":5,"discount":)" + good), both);
    EXPECT_EQ(said_of(R"("discount":)" + good + R"(,"discountAmount":0)"), both);
    EXPECT_EQ(complaints(decode_edit_book(
                  request(R"({"discountAmount":5,"discount":)" + good + "}"), "7")),
              both);
}

TEST(DecodeDiscount, IsChangedWhereEitherFormIsGiven) {
    BookMembers discount_only;
    discount_only.set(3);
    for (const auto& [body, to] :
         {std::pair(R"({"discountAmount":5})", from_short_form(500)),
          std::pair(R"({"discountAmount":null})", from_short_form({})),
          std::pair(R"({"discount":null})", from_short_form({})),
          std::pair(R"({"discount":null,"discountAmount":null})", from_short_form({})),
          std::pair(R"({"discount":{"type":"amount","value":7}})", from_short_form(700)),
          std::pair(R"({"discount":{"type":"amount","value":7},"discountAmount":null})",
                    from_short_form(700))}) {
        const EditBook edited = edit(body);
        EXPECT_EQ(edited.wished, discount_only) << body;
        EXPECT_EQ(edited.wish.discount, to) << body;
    }
    EXPECT_FALSE(edit(R"({"name":"n"})").wished[3]);
    EXPECT_EQ(edit(R"({"name":"n"})").wished.count(), 1U);
    EXPECT_TRUE(edit(R"({"discount":null,"metadata":{}})").wished[19]);
}

// Orders.

template <class T>
Strings said_of_order(T decode, const std::string& order) {
    return complaints(decode(request(R"({"userId":"ann","order":)" + order + "}")));
}

TEST(DecodeOrders, AreTakenWhereCodesAreLockedAndRedeemed) {
    const auto body = [](const std::string& order) {
        return R"({"userId":"ann","order":)" + order + "}";
    };
    const std::string order = R"({"currency":"EUR","amount":20.5,"id":"o \"1\""})";
    const Order read{"o \"1\"", 2'050, currency("EUR").value()};
    const auto redeemed = value(decode_redeem_code(request(body(order)), "A"));
    EXPECT_EQ(redeemed.code, "A");
    EXPECT_EQ(redeemed.user_id, "ann");
    EXPECT_EQ(redeemed.order, read);
    const auto locked = value(decode_lock_code(request(body(order)), "A", 5));
    EXPECT_EQ(locked.code, "A");
    EXPECT_EQ(locked.user_id, "ann");
    EXPECT_EQ(locked.order, read);
    EXPECT_EQ(locked.ttl_ms, 5);
    EXPECT_EQ(value(decode_validate_code(request(body(order)), "A", {})).order, read);
    for (const char* const none : {R"({"userId":"ann"})", R"({"userId":"ann","order":null})"}) {
        EXPECT_EQ(value(decode_redeem_code(request(none), "A")).order, std::nullopt);
        EXPECT_EQ(value(decode_lock_code(request(none), "A", 5)).order, std::nullopt);
        EXPECT_EQ(value(decode_validate_code(request(none), "A", {})).order, std::nullopt);
    }
}

TEST(DecodeOrders, HaveAnIdWhereTheyAreNotOnlyAskedAbout) {
    const auto redeem = [](const Request& request) { return decode_redeem_code(request, "A"); };
    const auto lock = [](const Request& request) { return decode_lock_code(request, "A", 5); };
    const auto validate = [](const Request& request) {
        return decode_validate_code(request, "A", {});
    };
    const auto order = [](const std::string& id) {
        return R"({"amount":1,"currency":"EUR")" + id + "}";
    };
    for (const char* const id : {"", R"(,"id":null)", R"(,"id":"")"}) {
        EXPECT_EQ(said_of_order(redeem, order(id)), Strings{"order.id should not be empty"}) << id;
        EXPECT_EQ(said_of_order(lock, order(id)), Strings{"order.id should not be empty"}) << id;
    }
    for (const char* const id : {"", R"(,"id":null)"}) {
        EXPECT_EQ(value(validate(request(R"({"userId":"ann","order":)" + order(id) + "}"))).order,
                  (Order{{}, 100, currency("EUR").value()}));
    }
    for (const auto& [id, said] :
         {std::pair(std::string("5"), "order.id must be a string"),
          std::pair("\"" + std::string(256, 'x') + "\"",
                    "order.id must be shorter than or equal to 255 characters"),
          std::pair(std::string(R"("a\nb")"), "order.id must not contain control characters")}) {
        EXPECT_EQ(said_of_order(redeem, order(",\"id\":" + id)), Strings{said});
        EXPECT_EQ(said_of_order(validate, order(",\"id\":" + id)), Strings{said});
    }
    EXPECT_EQ(said_of_order(redeem, order(",\"id\":\"" + repeated("😀", 255) + "\"")),
              Strings{"nothing is wrong"});
}

TEST(DecodeOrders, AmountsAreOfTheDecimalsOfTheCurrency) {
    const auto redeem = [](const Request& request) { return decode_redeem_code(request, "A"); };
    const auto order = [](const std::string& amount, const std::string& code) {
        return R"({"id":"o","amount":)" + amount + R"(,"currency":")" + code + "\"}";
    };
    for (const auto& [code, most, more, finer, bounds] :
         {std::tuple("EUR", "10000000000", "10000000000.01", "0.001", "10000000000 with at most 2"),
          std::tuple("JPY", "1000000000000", "1000000000001", "0.5",
                     "1000000000000 with at most 0"),
          std::tuple("KWD", "1000000000", "1000000000.001", "0.0001", "1000000000 with at most 3"),
          std::tuple("CLF", "100000000", "100000000.0001", "0.00001",
                     "100000000 with at most 4")}) {
        EXPECT_EQ(said_of_order(redeem, order(most, code)), Strings{"nothing is wrong"});
        EXPECT_EQ(said_of_order(redeem, order("0", code)), Strings{"nothing is wrong"});
        const Strings wrong{"order.amount must be a number from 0 to " + std::string(bounds) +
                            " decimals"};
        for (const char* const amount : {more, finer, "-1", "\"1\"", "null", "[1]"}) {
            EXPECT_EQ(said_of_order(redeem, order(amount, code)), wrong) << amount;
        }
        EXPECT_EQ(said_of_order(redeem, R"({"id":"o","currency":")" + std::string(code) + "\"}"),
                  wrong);
    }
}

TEST(DecodeOrders, SayAllThatIsWrongTheAmountFirst) {
    const auto redeem = [](const Request& request) { return decode_redeem_code(request, "A"); };
    EXPECT_EQ(
        said_of_order(redeem, R"({"foo":1,"amount":-1})"),
        (Strings{"order.amount must be a number from 0 to 10000000000 with at most 2 decimals",
                 "order.currency must be a currency of ISO 4217, such as EUR",
                 "order.id should not be empty", "property order.foo should not exist"}));
    for (const char* const other : {"5", "\"o\"", "[]", "true"}) {
        EXPECT_EQ(said_of_order(redeem, other), Strings{"order must be an object"});
    }
    EXPECT_EQ(
        complaints(decode_redeem_code(request(R"({"order":5,"x":1})"), std::string(129, 'x'))),
        (Strings{"code must be 1 to 128 characters without control characters",
                 "userId should not be empty", "order must be an object",
                 "property x should not exist"}));
}

// Roll-backs.

TEST(DecodeRollBack, TakesAllAndNothing) {
    const auto all =
        value(decode_roll_back(request(R"({"amount":2.5001,"reason":"It \"broke\""})"), "4096"));
    EXPECT_EQ(all.redemption_id, 4'096);
    EXPECT_EQ(all.reason, "It \"broke\"");
    EXPECT_EQ(all.ten_thousandths, 25'001);
    for (const char* const body :
         {"", "{}", R"({"reason":null,"amount":null})", R"({"reason":""})"}) {
        const auto least = value(decode_roll_back(request(body), "9223372036854775807"));
        EXPECT_EQ(least.redemption_id, std::numeric_limits<std::int64_t>::max());
        EXPECT_EQ(least.reason, "");
        EXPECT_EQ(least.ten_thousandths, std::nullopt);
    }
    EXPECT_EQ(value(decode_roll_back(request(R"({"amount":1e12})"), "1")).ten_thousandths,
              10'000'000'000'000'000);
}

TEST(DecodeRollBack, OfARedemption) {
    for (const std::string id : {"0", "-1", "x", "", "1.5", "9223372036854775808", "1 ", "%31"}) {
        EXPECT_EQ(complaints(decode_roll_back(request("{}"), id)),
                  Strings{"redemptionId must be a positive integer"})
            << id;
    }
}

TEST(DecodeRollBack, OfAnAmount) {
    for (const char* const amount :
         {"0", "-1", "0.00001", "1.00001", "\"1\"", "true", "[]", "1e13", "1000000000000.0001"}) {
        EXPECT_EQ(
            complaints(decode_roll_back(request(R"({"amount":)" + std::string(amount) + "}"), "1")),
            Strings{"amount must be a number greater than 0, up to 1000000000000, with at most 4 "
                    "decimals"})
            << amount;
    }
}

TEST(DecodeRollBack, ForAReason) {
    const auto said = [](const std::string& reason) {
        return complaints(decode_roll_back(request(R"({"reason":)" + reason + "}"), "1"));
    };
    EXPECT_EQ(value(decode_roll_back(request(R"({"reason":")" + repeated("😀", 1024) + "\"}"), "1"))
                  .reason,
              repeated("😀", 1024));
    EXPECT_EQ(said("\"" + std::string(1025, 'x') + "\""),
              Strings{"reason must be shorter than or equal to 1024 characters"});
    EXPECT_EQ(said(R"("a\nb")"), Strings{"reason must not contain control characters"});
    EXPECT_EQ(said("5"), Strings{"reason must be a string"});
    EXPECT_EQ(
        complaints(decode_roll_back(request(R"({"x":1,"amount":0,"reason":5})"), "0")),
        (Strings{
            "redemptionId must be a positive integer", "reason must be a string",
            "amount must be a number greater than 0, up to 1000000000000, with at most 4 decimals",
            "property x should not exist"}));
}

}  // namespace
}  // namespace coupond::wire
