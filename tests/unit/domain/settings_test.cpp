// The texts in which a database keeps what clients set of books and codes: what is written is what
// is read, and nothing else is.
#include "domain/settings.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <tuple>
#include <vector>

#include "domain/usage.hpp"

namespace coupond {
namespace {

/// Something else than by default in one member of a book; `columns`: in one that has a column.
struct BookCase {
    const char* text;  ///< the line that it makes
    std::function<void(Book&)> set;
    bool column = false;
};

const std::vector<BookCase> book_cases = {
    {"name N \u00e4", [](Book& book) { book.name = "N \u00e4"; }, true},
    {"code_pattern P-{6}", [](Book& book) { book.code_pattern = "P-{6}"; }, true},
    {"max_redemptions_per_user 3", [](Book& book) { book.max_redemptions_per_user = 3; }, true},
    {"discount_cents 0", [](Book& book) { book.discount = from_short_form(0); }, true},
    {"created_at 1000", [](Book& book) { book.created_at = {1000}; }, true},
    {"updated_at -1", [](Book& book) { book.updated_at = {-1}; }, true},
    {"description  two  spaces ", [](Book& book) { book.description = " two  spaces "; }},
    {"active false", [](Book& book) { book.active = false; }},
    {"starts_at 0", [](Book& book) { book.starts_at = Timestamp{0}; }},
    {"ends_at 1795348800000", [](Book& book) { book.ends_at = Timestamp{1'795'348'800'000}; }},
    {"time_zone Europe/Berlin", [](Book& book) { book.time_zone = "Europe/Berlin"; }},
    {"max_redemptions 1000000000", [](Book& book) { book.max_redemptions = 1'000'000'000; }},
    {"budget 1", [](Book& book) { book.budget = 1; }},
    {"limits day 1 2 3",
     [](Book& book) {
         book.limits[Per::day] = {1, 2, 3};
     }},
    {"max_assignments_per_user 1", [](Book& book) { book.max_assignments_per_user = 1; }},
    {"max_redemptions_per_code -",
     [](Book& book) { book.max_redemptions_per_code = std::nullopt; }},
    {"open true", [](Book& book) { book.open = true; }},
    {"case_sensitive false", [](Book& book) { book.case_sensitive = false; }},
    {"lock_ttl_s 86400", [](Book& book) { book.lock_ttl_s = 86'400; }},
    {"combinable false", [](Book& book) { book.combinable = false; }},
    {"auto_generate 5 7",
     [](Book& book) {
         book.auto_generate = AutoGenerate{5, 7};
     }},
    {R"(metadata {"a":"b c","d":[1.50,null]})",
     [](Book& book) { book.metadata = R"({"a":"b c","d":[1.50,null]})"; }},
    {"archived_at 5", [](Book& book) { book.archived_at = Timestamp{5}; }},
    {"counted 129", [](Book& book) { book.counted = 129; }},
};

struct CodeCase {
    const char* text;
    std::function<void(CodeSettings&)> set;
};

const std::vector<CodeCase> code_cases = {
    {"active false", [](CodeSettings& code) { code.active = false; }},
    {"expires_at 7", [](CodeSettings& code) { code.expires_at = Timestamp{7}; }},
    {"max_redemptions 2", [](CodeSettings& code) { code.max_redemptions = 2; }},
    {R"(metadata {"x":"y"})", [](CodeSettings& code) { code.metadata = R"({"x":"y"})"; }},
};

Book full_book() {
    Book book;
    for (const BookCase& one : book_cases) one.set(book);
    return book;
}

std::string lines_of(bool columns) {
    std::string text;
    for (const BookCase& one : book_cases) {
        if (one.column == columns) text += std::string(one.text) + "\n";
    }
    return text;
}

TEST(Settings, OfABookAreALineForEachMemberThatIsNotAsByDefault) {
    EXPECT_EQ(row_text(Book()), "");
    for (const BookCase& one : book_cases) {
        Book book;
        one.set(book);
        EXPECT_EQ(row_text(book), one.column ? "" : std::string(one.text) + "\n");
        EXPECT_EQ(change_text(nullptr, book), "\n" + std::string(one.text) + "\n");
    }
    EXPECT_EQ(row_text(full_book()), lines_of(false));
    EXPECT_EQ(change_text(nullptr, full_book()), "\n" + lines_of(true) + lines_of(false));
}

TEST(Settings, OfABookAreReadAsTheyWereWritten) {
    for (const BookCase& one : book_cases) {
        Book book;
        one.set(book);
        Book read;
        ASSERT_TRUE(read_row_text(row_text(book), read)) << one.text;
        EXPECT_TRUE(read == (one.column ? Book() : book)) << one.text;
    }
    // What has columns stays as it was read from them.
    Book read;
    for (const BookCase& one : book_cases) {
        if (one.column) one.set(read);
    }
    ASSERT_TRUE(read_row_text(row_text(full_book()), read));
    EXPECT_TRUE(read == full_book());
}

/// The lines of discounts that are more than an amount of no named currency.
struct DiscountCase {
    const char* text;
    Discount discount;
};

const std::vector<DiscountCase> discount_cases = {
    {"discount amount 500 EUR - -",
     {Discount::Type::amount, 500, Currency::find("EUR"), std::nullopt, std::nullopt}},
    {"discount amount 500 - 0 -", {Discount::Type::amount, 500, {}, 0, std::nullopt}},
    {"discount amount 500 - - 0", {Discount::Type::amount, 500, {}, std::nullopt, 0}},
    {"discount percent 1250 JPY 500 2000",
     {Discount::Type::percent, 1250, Currency::find("JPY"), 500, 2000}},
    {"discount percent 0 - - -", {Discount::Type::percent, 0, {}, std::nullopt, std::nullopt}},
    {"discount fixed_price 1000000000000 KWD - 7",
     {Discount::Type::fixed_price, 1'000'000'000'000, Currency::find("KWD"), std::nullopt, 7}},
    {"discount free_shipping 0 - - 5", {Discount::Type::free_shipping, 0, {}, std::nullopt, 5}},
};

TEST(Settings, OfADiscountAreALineWhereItHasNoShortForm) {
    for (const DiscountCase& one : discount_cases) {
        Book book;
        book.discount = one.discount;
        EXPECT_EQ(short_form(book.discount), std::nullopt) << one.text;
        EXPECT_EQ(row_text(book), std::string(one.text) + "\n");
        EXPECT_EQ(change_text(nullptr, book), "\n" + std::string(one.text) + "\n");
        Book read;
        ASSERT_TRUE(read_row_text(row_text(book), read)) << one.text;
        EXPECT_TRUE(read == book) << one.text;
        Book usual;
        const auto change = read_book_change(change_text(&usual, book));
        ASSERT_TRUE(change) << one.text;
        EXPECT_TRUE(change->after == book) << one.text;
        const auto back = read_book_change(change_text(&book, usual));
        ASSERT_TRUE(back && back->before) << one.text;
        EXPECT_TRUE(*back->before == book && back->after == usual) << one.text;
    }
}

TEST(Settings, OfADiscountHaveAShortForm) {
    EXPECT_EQ(from_short_form(std::nullopt), std::nullopt);
    EXPECT_EQ(short_form(std::nullopt), std::nullopt);
    for (const std::int64_t hundredths : {0, 1, 999'999'999}) {
        const auto discount = from_short_form(hundredths);
        ASSERT_TRUE(discount);
        EXPECT_EQ(discount->type, Discount::Type::amount);
        EXPECT_EQ(discount->value, hundredths);
        EXPECT_EQ(short_form(discount), hundredths);
        Book book;
        book.discount = discount;
        EXPECT_EQ(row_text(book), "");
        EXPECT_EQ(change_text(nullptr, book),
                  "\ndiscount_cents " + std::to_string(hundredths) + "\n");
    }
}

TEST(Settings, OfADiscountThatIsDamagedAreNotRead) {
    for (const std::string text : {"discount",
                                   "discount ",
                                   "discount amount",
                                   "discount amount 5",
                                   "discount amount 5 -",
                                   "discount amount 5 - -",
                                   "discount amount 5 EUR - - -",
                                   "discount amount 5 EUR - - 1",
                                   "discount Amount 5 EUR - -",
                                   "discount amount x EUR - -",
                                   "discount amount - EUR - -",
                                   "discount amount 5 XXQ - -",
                                   "discount amount 5 eur - -",
                                   "discount amount 5 EUR x -",
                                   "discount amount 5 EUR - x",
                                   "discount amount  5 EUR - -",
                                   "discount  amount 5 EUR - -",
                                   "discount 5 EUR - -",
                                   "discount amount 5.0 EUR - -",
                                   "discount amount +5 EUR - -",
                                   "discount amount 99999999999999999999 EUR - -",
                                   "discount percent 5 EUR 1"}) {
        Book book;
        EXPECT_FALSE(read_row_text(text + "\n", book)) << text;
        EXPECT_FALSE(read_book_change("\n" + text + "\n")) << text;
    }
    Book book;
    EXPECT_FALSE(read_row_text("discount amount 5 EUR - -", book));  // cut
}

TEST(Settings, OfACodeAreReadAsTheyWereWritten) {
    EXPECT_EQ(row_text(CodeSettings()), "");
    CodeSettings all;
    std::string text;
    for (const CodeCase& one : code_cases) {
        CodeSettings settings;
        one.set(settings);
        one.set(all);
        text += std::string(one.text) + "\n";
        EXPECT_EQ(row_text(settings), std::string(one.text) + "\n");
        CodeSettings read;
        ASSERT_TRUE(read_row_text(row_text(settings), read));
        EXPECT_EQ(read, settings);
    }
    EXPECT_EQ(row_text(all), text);
    CodeSettings read;
    ASSERT_TRUE(read_row_text(text, read));
    EXPECT_EQ(read, all);
    Code code;  // it is one
    ASSERT_TRUE(read_row_text(text, code));
    EXPECT_EQ(row_text(code), text);
    code.counted = true;
    EXPECT_EQ(row_text(code), text + "counted true\n");
    Code again;
    ASSERT_TRUE(read_row_text(row_text(code), again));
    EXPECT_TRUE(again.counted);
    EXPECT_EQ(row_text(again), row_text(code));
    EXPECT_FALSE(read_row_text("counted true\n", read));
}

TEST(Settings, ThatAreOfNoMemberOrNoValueOrCutAreNotRead) {
    for (const std::string text : {"active",
                                   "active\n",
                                   "active \n",
                                   "active yes\n",
                                   "active true",
                                   "active false\nx",
                                   "\n",
                                   "\nactive false\n",
                                   "unknown 1\n",
                                   " active false\n",
                                   "starts_at \n",
                                   "starts_at 1 \n",
                                   "starts_at  1\n",
                                   "starts_at +1\n",
                                   "starts_at 1.0\n",
                                   "starts_at 99999999999999999999\n",
                                   "starts_at null\n",
                                   "lock_ttl_s x\n",
                                   "ACTIVE false\n",
                                   "active false\r\n"}) {
        Book book;
        EXPECT_FALSE(read_row_text(text, book)) << text;
    }
    for (const std::string column :
         {"name n\n", "created_at 1\n", "max_redemptions_per_user 1\n"}) {
        Book book;
        EXPECT_FALSE(read_row_text(column, book)) << column;
        EXPECT_TRUE(read_book_change("\n" + column)) << column;
    }
    for (const std::string text : {"active", "expires_at\n", "expires_at x\n", "ends_at 1\n"}) {
        CodeSettings settings;
        EXPECT_FALSE(read_row_text(text, settings)) << text;
    }
}

TEST(Settings, OfLimitsAreALineWithTheDaysFirst) {
    Book book;
    book.limits[Per::month] = {std::nullopt, 7, std::nullopt};
    book.limits[Per::day] = {1, std::nullopt, 1'000'000'000'000'0000};
    book.limits[Per::week] = {};
    const std::string text = "limits day 1 - 10000000000000000 week - - - month - 7 -\n";
    EXPECT_EQ(row_text(book), text);
    Book read;
    ASSERT_TRUE(read_row_text(text, read));
    EXPECT_TRUE(read == book);
}

TEST(Settings, OfDamagedLimitsAreNotRead) {
    for (const std::string limits :
         {"day", "day 1", "day 1 2", "day 1 2 x", "day 1 2 3 4", "day 1 2 3 day 1 2 3",
          "year 1 2 3", "ever 1 2 3", "DAY 1 2 3", "day 1  2 3", " day 1 2 3"}) {
        Book book;
        EXPECT_FALSE(read_row_text("limits " + limits + "\n", book)) << limits;
    }
}

TEST(Settings, OfABookThatCountedUsersBeforeThereWereOtherLimitsCountThemStill) {
    Book book, limited;
    limited.max_redemptions_per_user = 5;
    count_what_is_limited(limited);
    ASSERT_TRUE(read_row_text("counts_users_since 6\n", book));
    EXPECT_EQ(book.counted, limited.counted);
    EXPECT_EQ(row_text(book), row_text(limited));
    EXPECT_FALSE(read_row_text("counts_users_since x\n", book));
}

TEST(Settings, TextsMayNameWhatIsAsByDefault) {
    Book book;
    book.active = false;
    EXPECT_TRUE(read_row_text("active true\ndescription \n", book));
    EXPECT_TRUE(book.active);
    EXPECT_EQ(book.description, "");
}

TEST(ChangeTexts, OfABookTellWhatItWasAndIs) {
    Book before;
    before.name = "a";
    before.created_at = before.updated_at = {1};
    Book after = full_book();
    after.created_at = before.created_at;
    const auto made = read_book_change(change_text(nullptr, before));
    ASSERT_TRUE(made);
    EXPECT_FALSE(made->before);
    EXPECT_TRUE(made->after == before);
    const auto change = read_book_change(change_text(&before, after));
    ASSERT_TRUE(change && change->before);
    EXPECT_TRUE(*change->before == before);
    EXPECT_TRUE(change->after == after);
    // Neither its id nor its last entry are told of.
    after.id = 7;
    after.last_entry = 8;
    EXPECT_EQ(change_text(&before, after), [&] {
        Book same = after;
        same.id = same.last_entry = 9;
        return change_text(&before, same);
    }());
}

TEST(ChangeTexts, OfABookToWhatIsAllAsByDefaultAreRead) {
    const auto change = read_book_change("\n");
    ASSERT_TRUE(change);
    EXPECT_FALSE(change->before);
    EXPECT_TRUE(change->after == Book());
    const auto back = read_book_change("name a\n\n");
    ASSERT_TRUE(back && back->before);
    EXPECT_EQ(back->before->name, "a");
    EXPECT_TRUE(back->after == Book());
}

TEST(ChangeTexts, ThatAreDamagedAreNotRead) {
    for (const std::string text :
         {"", "name a\n", "name a", "\nname a", "\nname a\n\nname b\n", "x 1\n\nname a\n",
          "name a\n\nx 1\n", "name a\n\nstarts_at \n", "name a\n\n\n"}) {
        EXPECT_FALSE(read_book_change(text)) << text;
    }
    for (const std::string text : {"", "active false\n", "active false", "\nactive", "active x\n\n",
                                   "\nends_at 1\n", "\nactive false\n\n", "name a\n\n"}) {
        EXPECT_FALSE(read_code_change(text)) << text;
    }
}

TEST(ChangeTexts, OfACodeTellWhatItsSettingsWereAndAre) {
    for (const CodeCase& one : code_cases) {
        CodeSettings set;
        one.set(set);
        for (const auto& [before, after] : {std::pair(CodeSettings(), set),
                                            std::pair(set, CodeSettings()), std::pair(set, set)}) {
            const auto change = read_code_change(change_text(before, after));
            ASSERT_TRUE(change) << one.text;
            EXPECT_EQ(change->before, before);
            EXPECT_EQ(change->after, after);
        }
    }
    EXPECT_EQ(change_text(CodeSettings(), CodeSettings()), "\n");
}

TEST(Members, AreSetByTheirPlaces) {
    const BookSettings from = full_book();
    ASSERT_EQ(BookMembers().size(), 20U);
    for (std::size_t place = 0; place < BookMembers().size(); ++place) {
        BookSettings to;
        set_members(to, from, BookMembers().set(place));
        std::vector<std::size_t> changed, taken;
        const auto compare = [&](auto member, std::size_t at) {
            if (to.*member != BookSettings().*member) changed.push_back(at);
            if (to.*member == from.*member) taken.push_back(at);
        };
        std::apply(
            [&](auto... members) {
                std::size_t at = 0;
                (compare(members, at++), ...);
            },
            book_members);
        EXPECT_EQ(changed, std::vector<std::size_t>{place});
        EXPECT_EQ(taken, std::vector<std::size_t>{place});
    }
    BookSettings all, none;
    set_members(all, from, BookMembers().set());
    EXPECT_EQ(all, from);
    set_members(none, from, BookMembers());
    EXPECT_EQ(none, BookSettings());

    CodeSettings code_from;
    for (const CodeCase& one : code_cases) one.set(code_from);
    ASSERT_EQ(CodeMembers().size(), code_cases.size());
    for (std::size_t place = 0; place < code_cases.size(); ++place) {
        CodeSettings to, wanted;
        set_members(to, code_from, CodeMembers().set(place));
        code_cases[place].set(wanted);
        EXPECT_EQ(to, wanted);
    }
}

RC_GTEST_PROP(Settings, OfRandomBooksAreReadAsTheyWereWritten, ()) {
    const auto text = [] {
        return *rc::gen::container<std::string>(
            rc::gen::elementOf(std::string("ab {}\"\\:,0\xC3\xA4\t\r")));
    };
    const auto moment = [] {
        return *rc::gen::maybe(
            rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](auto ms) { return ms; }));
    };
    const auto number = [&]() -> std::optional<std::int64_t> {
        const auto any = moment();
        return any ? std::optional(*any) : std::nullopt;
    };
    const auto discount = [&]() -> std::optional<Discount> {
        if (*rc::gen::arbitrary<bool>()) return std::nullopt;
        Discount any;
        any.type = static_cast<Discount::Type>(*rc::gen::inRange(0, 4));
        any.value = *rc::gen::arbitrary<std::int64_t>();
        if (*rc::gen::arbitrary<bool>()) {
            any.currency = Currency::find(*rc::gen::element<std::string>("EUR", "JPY", "CLF"));
        }
        if (const auto amount = moment()) any.max_amount = *amount;
        if (const auto amount = moment()) any.min_order_amount = *amount;
        return any;
    };
    Book books[2];
    for (Book& book : books) {
        book.name = text();
        book.code_pattern = text();
        book.description = text();
        book.metadata = text();
        book.time_zone = text();
        book.active = *rc::gen::arbitrary<bool>();
        book.max_redemptions_per_user = moment() ? std::optional<std::int64_t>(5) : std::nullopt;
        if (const auto at = moment()) book.starts_at = Timestamp{*at};
        if (const auto at = moment()) book.archived_at = Timestamp{*at};
        book.max_redemptions = number();
        book.budget = number();
        book.max_assignments_per_user = number();
        book.max_redemptions_per_code = number();
        book.open = *rc::gen::arbitrary<bool>();
        for (const Per per : {Per::day, Per::week, Per::month}) {
            if (*rc::gen::arbitrary<bool>()) book.limits[per] = {number(), number(), number()};
        }
        book.counted = *rc::gen::arbitrary<std::int64_t>();
        book.created_at = {*rc::gen::arbitrary<std::int64_t>()};
        book.discount = discount();
    }
    const auto change = read_book_change(change_text(&books[0], books[1]));
    RC_ASSERT(change.has_value());
    // What is all as by default is as if it had not been there.
    RC_ASSERT(change->before.value_or(Book()) == books[0]);
    RC_ASSERT(change->after == books[1]);
}

RC_GTEST_PROP(Settings, OfAnyBytesAreReadOrNotAndWrittenAsTheyMean, (std::string bytes)) {
    Book book;
    if (read_row_text(bytes, book)) {
        Book again;
        RC_ASSERT(read_row_text(row_text(book), again));
        RC_ASSERT(again == book);
    }
    read_book_change(bytes);
    read_code_change(bytes);
}

}  // namespace
}  // namespace coupond
