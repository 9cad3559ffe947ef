#include "domain/money.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <string>

#include "base/limits.hpp"

namespace coupond {

void showValue(const Discount& discount, std::ostream& out) {
    constexpr std::string_view names[] = {"amount", "percent", "fixed_price", "free_shipping"};
    out << names[static_cast<std::size_t>(discount.type)] << ' ' << discount.value;
    if (discount.currency) out << ' ' << discount.currency->code();
    if (discount.max_amount) out << " max " << *discount.max_amount;
    if (discount.min_order_amount) out << " min " << *discount.min_order_amount;
}

namespace {

using Type = Discount::Type;
using Amounts = std::vector<std::int64_t>;
__extension__ using Wide = __int128;

constexpr std::int64_t most = limits::order_minor_units;

Currency currency(std::string_view code) {
    return Currency::find(code).value();
}

std::set<std::string> words(const std::string& text) {
    std::istringstream in(text);
    return {std::istream_iterator<std::string>(in), {}};
}

TEST(Currency, HasTheExponentThatIsoGivesIt) {
    std::map<int, std::set<std::string>> found;
    std::string code = "AAA";
    for (code[0] = 'A'; code[0] <= 'Z'; ++code[0]) {
        for (code[1] = 'A'; code[1] <= 'Z'; ++code[1]) {
            for (code[2] = 'A'; code[2] <= 'Z'; ++code[2]) {
                const auto one = Currency::find(code);
                if (!one) continue;
                EXPECT_EQ(one->code(), code);
                EXPECT_EQ(exponent_of(one), one->exponent());
                found[one->exponent()].insert(code);
            }
        }
    }
    EXPECT_EQ(found[0], words("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF "
                              "XPF"));
    EXPECT_EQ(found[2].size(), 139u);
    EXPECT_EQ(found[3], words("BHD IQD JOD KWD LYD OMR TND"));
    EXPECT_EQ(found[4], words("CLF UYW"));
    EXPECT_EQ(found.size(), 4u);
    // What Unicode's tables give fewer decimals than ISO, what is new, and funds.
    for (const char* const two : {"AFN", "ALL", "COP", "HUF", "IDR", "IRR", "LAK", "MGA", "MRU",
                                  "PKR", "RSD", "TWD", "UZS", "XAD", "XCG", "ZWG", "CHE", "USN"}) {
        EXPECT_EQ(currency(two).exponent(), 2) << two;
    }
}

TEST(Currency, IsFoundByItsUpperCaseCodeOnly) {
    for (const char* const text : {"", "E", "EU", "EURO", "eur", "Eur", " EUR", "EUR ", "978", "€",
                                   "AAA", "ZZZ", "XAU", "XDR", "XTS", "XXX", "BGN", "HRK", "DEM"}) {
        EXPECT_FALSE(Currency::find(text)) << text;
    }
    EXPECT_FALSE(Currency::find(std::string_view("EUR\0", 4)));
    EXPECT_EQ(currency("EUR"), currency("EUR"));
    EXPECT_NE(currency("EUR"), currency("USD"));
}

TEST(Money, OfNoCurrencyIsInHundredths) {
    EXPECT_EQ(exponent_of(std::nullopt), 2);
    struct Row {
        std::int64_t hundredths;
        const char* currency;
        std::int64_t amount;
    };
    for (const auto& [hundredths, code, amount] : {
             Row{0, "JPY", 0},
             Row{49, "JPY", 0},
             Row{50, "JPY", 1},
             Row{149, "JPY", 1},
             Row{150, "JPY", 2},
             Row{199, "JPY", 2},
             Row{1050, "EUR", 1050},
             Row{1050, "KWD", 10500},
             Row{1050, "CLF", 105000},
             Row{0, "CLF", 0},
             Row{most, "JPY", most / 100},
             Row{most, "EUR", most},
             Row{most, "KWD", most * 10},
             Row{most, "CLF", most * 100},
         }) {
        EXPECT_EQ(from_hundredths(hundredths, currency(code)), amount) << hundredths << code;
    }
    EXPECT_DEATH(from_hundredths(-1, currency("EUR")), "bug");
    EXPECT_DEATH(from_hundredths(most + 1, currency("EUR")), "bug");
}

RC_GTEST_PROP(Money, IsConvertedHalfUp, ()) {
    const auto hundredths = *rc::gen::inRange<std::int64_t>(0, most + 1);
    const auto yen = from_hundredths(hundredths, currency("JPY"));
    // yen - 1/2 <= hundredths / 100 < yen + 1/2
    RC_ASSERT(yen * 100 - 50 <= hundredths);
    RC_ASSERT(hundredths < yen * 100 + 50);
}

struct Case {
    Discount discount;
    std::int64_t order;
    const char* currency;
    std::int64_t off;
};

Discount discount(Type type, std::int64_t value, const char* code = nullptr,
                  std::optional<std::int64_t> max = {}, std::optional<std::int64_t> min = {}) {
    return {type, value, code != nullptr ? Currency::find(code) : std::nullopt, max, min};
}

class DiscountTakesOff : public testing::TestWithParam<Case> {};

TEST_P(DiscountTakesOff, WhatTheTableSays) {
    const auto& [discount, order, code, off] = GetParam();
    EXPECT_EQ(discount_on(discount, order, currency(code)), off);
    EXPECT_EQ(discounts_on({&discount, 1}, order, currency(code)), Amounts{off});
}

INSTANTIATE_TEST_SUITE_P(
    Amounts, DiscountTakesOff,
    testing::Values(Case{discount(Type::amount, 500, "EUR"), 2000, "EUR", 500},
                    Case{discount(Type::amount, 500, "EUR"), 500, "EUR", 500},
                    Case{discount(Type::amount, 500, "EUR"), 499, "EUR", 499},
                    Case{discount(Type::amount, 500, "EUR"), 0, "EUR", 0},
                    Case{discount(Type::amount, 0, "EUR"), 2000, "EUR", 0},
                    Case{discount(Type::amount, 500, "EUR", 300), 2000, "EUR", 300},
                    Case{discount(Type::amount, 500, "JPY"), 2000, "JPY", 500},
                    Case{discount(Type::amount, 500, "KWD"), 2000, "KWD", 500},
                    Case{discount(Type::amount, 500, "CLF"), 2000, "CLF", 500},
                    // Of no currency: 5.00 or 5.50 of the order's.
                    Case{discount(Type::amount, 500), 2000, "EUR", 500},
                    Case{discount(Type::amount, 549), 2000, "JPY", 5},
                    Case{discount(Type::amount, 550), 2000, "JPY", 6},
                    Case{discount(Type::amount, 550), 20000, "KWD", 5500},
                    Case{discount(Type::amount, 550), 200000, "CLF", 55000},
                    Case{discount(Type::amount, 550), 2000, "CLF", 2000},
                    Case{discount(Type::amount, 550, nullptr, 250), 2000, "JPY", 3},
                    Case{discount(Type::amount, most), most, "CLF", most},
                    Case{discount(Type::amount, most, "EUR"), most, "EUR", most}));

INSTANTIATE_TEST_SUITE_P(
    Percents, DiscountTakesOff,
    testing::Values(Case{discount(Type::percent, 1000), 2000, "EUR", 200},
                    Case{discount(Type::percent, 1000, "EUR"), 2000, "EUR", 200},
                    Case{discount(Type::percent, 1000), 2004, "EUR", 200},
                    Case{discount(Type::percent, 1000), 2005, "EUR", 201},
                    Case{discount(Type::percent, 1000), 2005, "JPY", 201},
                    Case{discount(Type::percent, 1000), 2005, "KWD", 201},
                    Case{discount(Type::percent, 1000), 2005, "CLF", 201},
                    Case{discount(Type::percent, 1250), 20, "JPY", 3},  // 12.5 % of 20 are 2.5
                    Case{discount(Type::percent, 1), 4999, "EUR", 0},
                    Case{discount(Type::percent, 1), 5000, "EUR", 1},
                    Case{discount(Type::percent, 0), 2000, "EUR", 0},
                    Case{discount(Type::percent, 10'000), 1999, "EUR", 1999},
                    Case{discount(Type::percent, 9'999), 1, "EUR", 1},
                    Case{discount(Type::percent, 5000), 1, "EUR", 1},
                    Case{discount(Type::percent, 5000), 0, "EUR", 0},
                    Case{discount(Type::percent, 5000, "EUR", 300), 2000, "EUR", 300},
                    Case{discount(Type::percent, 5000, nullptr, 300), 2000, "JPY", 3},
                    Case{discount(Type::percent, 5000, nullptr, 300), 20000, "KWD", 3000},
                    Case{discount(Type::percent, 5000, nullptr, 0), 2000, "EUR", 0},
                    Case{discount(Type::percent, 10'000), most, "EUR", most},
                    Case{discount(Type::percent, 9'999), most, "EUR", most / 10'000 * 9'999},
                    Case{discount(Type::percent, 3333), most - 1, "EUR", 333'300'000'000}));

INSTANTIATE_TEST_SUITE_P(
    FixedPrices, DiscountTakesOff,
    testing::Values(Case{discount(Type::fixed_price, 1500, "EUR"), 2000, "EUR", 500},
                    Case{discount(Type::fixed_price, 1500, "EUR"), 1500, "EUR", 0},
                    Case{discount(Type::fixed_price, 1500, "EUR"), 1499, "EUR", 0},
                    Case{discount(Type::fixed_price, 0, "EUR"), 2000, "EUR", 2000},
                    Case{discount(Type::fixed_price, 1500, "EUR", 100), 2000, "EUR", 100},
                    Case{discount(Type::fixed_price, 1500), 2000, "JPY", 1985},
                    Case{discount(Type::fixed_price, 1500), 20000, "KWD", 5000},
                    Case{discount(Type::fixed_price, 1500), 200000, "CLF", 50000},
                    Case{discount(Type::fixed_price, 1500), 2000, "CLF", 0},
                    Case{discount(Type::fixed_price, most), most, "CLF", 0}));

INSTANTIATE_TEST_SUITE_P(FreeShipping, DiscountTakesOff,
                         testing::Values(Case{discount(Type::free_shipping, 0), 2000, "EUR", 0},
                                         Case{discount(Type::free_shipping, 0, "EUR", 500), most,
                                              "EUR", 0}));

INSTANTIATE_TEST_SUITE_P(
    Minimums, DiscountTakesOff,
    testing::Values(Case{discount(Type::amount, 500, "EUR", {}, 2000), 2000, "EUR", 500},
                    Case{discount(Type::amount, 500, "EUR", {}, 2000), 1999, "EUR", 0},
                    Case{discount(Type::percent, 1000, nullptr, {}, 2050), 21, "JPY", 2},
                    Case{discount(Type::percent, 1000, nullptr, {}, 2050), 20, "JPY", 0},
                    Case{discount(Type::percent, 1000, nullptr, {}, 2000), 20000, "KWD", 2000},
                    Case{discount(Type::percent, 1000, nullptr, {}, 2000), 19999, "KWD", 0},
                    Case{discount(Type::fixed_price, 10, "EUR", {}, 2000), 1999, "EUR", 0}));

// What a damaged database may hold: no overflow, and still between nothing and the whole order.
constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();
INSTANTIATE_TEST_SUITE_P(
    OutOfBounds, DiscountTakesOff,
    testing::Values(Case{discount(Type::amount, lowest), most, "CLF", 0},
                    Case{discount(Type::amount, highest), most, "CLF", most},
                    Case{discount(Type::percent, lowest), most, "EUR", 0},
                    Case{discount(Type::percent, highest), most, "EUR", most},
                    Case{discount(Type::fixed_price, lowest), most, "CLF", most},
                    Case{discount(Type::fixed_price, highest), most, "CLF", 0},
                    Case{discount(Type::amount, 500, "EUR", lowest), most, "EUR", 0},
                    Case{discount(Type::amount, 500, "EUR", highest), most, "EUR", 500},
                    Case{discount(Type::amount, 500, "EUR", {}, lowest), most, "EUR", 500},
                    Case{discount(Type::amount, 500, nullptr, {}, highest), most, "CLF", 0},
                    Case{discount(static_cast<Type>(99), 500), most, "EUR", 0}));

TEST(Discounts, SayWhetherAnOrderReachesTheirMinimum) {
    const Discount yen = discount(Type::free_shipping, 0, nullptr, {}, 2050);
    EXPECT_TRUE(reaches_minimum(yen, 21, currency("JPY")));
    EXPECT_FALSE(reaches_minimum(yen, 20, currency("JPY")));
    EXPECT_TRUE(reaches_minimum(discount(Type::amount, 500), 0, currency("EUR")));
}

TEST(Discounts, AreOfTheOrdersCurrency) {
    const Discount euros = discount(Type::amount, 500, "EUR");
    EXPECT_DEATH(discount_on(euros, 2000, currency("USD")), "bug");
    EXPECT_DEATH(discounts_on({&euros, 1}, 2000, currency("USD")), "bug");
    EXPECT_DEATH(discount_on(euros, -1, currency("EUR")), "bug");
    EXPECT_DEATH(discount_on(euros, most + 1, currency("EUR")), "bug");
}

TEST(Discounts, AreAppliedInOneOrderAndToldInTheirs) {
    const auto on = [](std::int64_t order, std::vector<Discount> discounts) {
        return discounts_on(discounts, order, currency("EUR"));
    };
    const Discount less = discount(Type::amount, 500), half = discount(Type::percent, 5000),
                   price = discount(Type::fixed_price, 3000),
                   shipping = discount(Type::free_shipping, 0);
    EXPECT_EQ(on(4000, {}), Amounts{});
    EXPECT_EQ(on(4000, {price, half, less, shipping}), (Amounts{1000, 1500, 500, 0}));
    EXPECT_EQ(on(4000, {shipping, less, half, price}), (Amounts{0, 500, 1500, 1000}));
    EXPECT_EQ(on(4000, {less, half}), (Amounts{500, 2000}));
    // Of one type, the first comes first.
    const Discount tenth = discount(Type::percent, 1000);
    EXPECT_EQ(on(4000, {tenth, half}), (Amounts{400, 1800}));
    EXPECT_EQ(on(4000, {half, tenth}), (Amounts{2000, 200}));
    EXPECT_EQ(on(4000, {price, discount(Type::fixed_price, 2500)}), (Amounts{1000, 500}));
    EXPECT_EQ(on(4000, {discount(Type::fixed_price, 2500), price}), (Amounts{1500, 0}));
    // Nothing is left for the last ones.
    EXPECT_EQ(on(800, {less, less, less}), (Amounts{500, 300, 0}));
    EXPECT_EQ(on(800, {less, discount(Type::percent, 10'000)}), (Amounts{0, 800}));
    // What counts for a minimum is the order, not what is left of it.
    const Discount less_from_4000 = discount(Type::amount, 500, "EUR", {}, 4000);
    EXPECT_EQ(on(4000, {half, less_from_4000}), (Amounts{2000, 500}));
    EXPECT_EQ(on(3999, {half, less_from_4000}), (Amounts{2000, 0}));
}

/// Few small numbers, so that they meet, and any.
rc::Gen<std::int64_t> any_amount() {
    return rc::gen::oneOf(rc::gen::inRange<std::int64_t>(0, 200),
                          rc::gen::inRange<std::int64_t>(0, 100'000),
                          rc::gen::inRange<std::int64_t>(0, most + 1),
                          rc::gen::inRange<std::int64_t>(most - 100, most + 1));
}

rc::Gen<std::int64_t> any_percent() {
    return rc::gen::oneOf(rc::gen::element<std::int64_t>(1, 1250, 2500, 5000, 7500, 10'000),
                          rc::gen::inRange<std::int64_t>(0, 10'001));
}

Currency any_currency() {
    return currency(*rc::gen::element("JPY", "EUR", "KWD", "CLF"));
}

std::optional<std::int64_t> seldom_amount() {
    if (*rc::gen::inRange(0, 4) > 0) return std::nullopt;
    return *any_amount();
}

Discount any_discount(Currency order_currency) {
    Discount one;
    one.type =
        *rc::gen::element(Type::amount, Type::percent, Type::fixed_price, Type::free_shipping);
    if (one.type == Type::percent) {
        one.value = *any_percent();
    } else if (one.type != Type::free_shipping) {
        one.value = *any_amount();
    }
    if (*rc::gen::arbitrary<bool>()) one.currency = order_currency;
    one.max_amount = seldom_amount();
    one.min_order_amount = seldom_amount();
    return one;
}

std::vector<Discount> any_discounts(Currency order_currency) {
    std::vector<Discount> all;
    for (int count = *rc::gen::inRange(0, 9); count > 0; --count) {
        all.push_back(any_discount(order_currency));
    }
    return all;
}

/// When it is applied: the smaller, the earlier.
int turn(Type type) {
    switch (type) {
        case Type::fixed_price: return 0;
        case Type::percent: return 1;
        case Type::amount: return 2;
        case Type::free_shipping: return 3;
    }
    return 4;
}

RC_GTEST_PROP(Percent, IsRoundedHalfUp, ()) {
    const auto order = *any_amount(), percent = *any_percent();
    const auto off = discount_on(discount(Type::percent, percent), order, any_currency());
    // off - 1/2 <= order * percent / 10'000 < off + 1/2
    const Wide exact = Wide{order} * percent;
    RC_ASSERT(Wide{off} * 10'000 - 5'000 <= exact);
    RC_ASSERT(exact < Wide{off} * 10'000 + 5'000);
}

RC_GTEST_PROP(Discounts, TakeOffNoMoreThanTheOrder, ()) {
    const Currency in = any_currency();
    const auto order = *any_amount();
    const auto discounts = any_discounts(in);
    const Amounts off = discounts_on(discounts, order, in);
    RC_ASSERT(off.size() == discounts.size());
    std::int64_t left = order;
    for (const std::int64_t one : off) {
        RC_ASSERT(one >= 0);
        RC_ASSERT(one <= left);
        left -= one;
    }
}

RC_GTEST_PROP(Discounts, ApplyToWhatTheOnesBeforeHaveLeft, ()) {
    const Currency in = any_currency();
    const auto order = *any_amount();
    const auto discounts = any_discounts(in);
    std::vector<std::size_t> places(discounts.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
        return turn(discounts[a].type) < turn(discounts[b].type);
    });
    Amounts expected(discounts.size());
    std::int64_t left = order;
    for (const std::size_t place : places) {
        Discount one = discounts[place];
        if (!reaches_minimum(one, order, in)) continue;
        one.min_order_amount.reset();
        left -= expected[place] = discount_on(one, left, in);
    }
    RC_ASSERT(discounts_on(discounts, order, in) == expected);
}

RC_GTEST_PROP(Discounts, ChangePlacesWithTheirShares, ()) {
    const Currency in = any_currency();
    const auto order = *any_amount();
    const auto discounts = any_discounts(in);
    // Any shuffle that leaves those of one type in their order.
    std::vector<Type> types;
    for (const Discount& one : discounts) types.push_back(one.type);
    for (std::size_t i = types.size(); i > 1; --i) {
        std::swap(types[i - 1], types[*rc::gen::inRange<std::size_t>(0, i)]);
    }
    std::map<Type, std::vector<std::size_t>> by_type;
    for (std::size_t i = 0; i < discounts.size(); ++i) by_type[discounts[i].type].push_back(i);
    std::map<Type, std::size_t> taken;
    std::vector<Discount> shuffled;
    std::vector<std::size_t> from;
    for (const Type type : types) {
        from.push_back(by_type[type][taken[type]++]);
        shuffled.push_back(discounts[from.back()]);
    }
    const Amounts before = discounts_on(discounts, order, in);
    const Amounts after = discounts_on(shuffled, order, in);
    for (std::size_t i = 0; i < from.size(); ++i) RC_ASSERT(after[i] == before[from[i]]);
}

RC_GTEST_PROP(Discounts, OfNoCurrencyAreThoseOfTheOrders, ()) {
    const Currency in = any_currency();
    const auto order = *any_amount();
    Discount none = any_discount(in);
    none.currency.reset();
    Discount same = none;
    same.currency = in;
    const auto convert = [&](std::int64_t& amount) { amount = from_hundredths(amount, in); };
    if (same.type != Type::percent) convert(same.value);
    if (same.max_amount) convert(*same.max_amount);
    if (same.min_order_amount) convert(*same.min_order_amount);
    RC_ASSERT(discount_on(none, order, in) == discount_on(same, order, in));
}

}  // namespace
}  // namespace coupond
