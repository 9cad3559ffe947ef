#include "domain/money.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/check.hpp"
#include "base/limits.hpp"

namespace coupond {
namespace {

/// Holds every product of two amounts.
__extension__ using Wide = __int128;

struct Row {
    std::string_view code;
    int exponent;
};

/// ISO 4217, "List One: Current Currency & Funds Codes", as published on 2026-09-17 by its
/// maintenance agency, SIX: all entries of it whose minor unit is a number, by code.
/// https://www.six-group.com/dam/download/financial-information/data-center/iso-currrency/lists/list-one.xml
constexpr Row currencies[] = {
    {"AED", 2}, {"AFN", 2}, {"ALL", 2}, {"AMD", 2}, {"AOA", 2}, {"ARS", 2}, {"AUD", 2}, {"AWG", 2},
    {"AZN", 2}, {"BAM", 2}, {"BBD", 2}, {"BDT", 2}, {"BHD", 3}, {"BIF", 0}, {"BMD", 2}, {"BND", 2},
    {"BOB", 2}, {"BOV", 2}, {"BRL", 2}, {"BSD", 2}, {"BTN", 2}, {"BWP", 2}, {"BYN", 2}, {"BZD", 2},
    {"CAD", 2}, {"CDF", 2}, {"CHE", 2}, {"CHF", 2}, {"CHW", 2}, {"CLF", 4}, {"CLP", 0}, {"CNY", 2},
    {"COP", 2}, {"COU", 2}, {"CRC", 2}, {"CUP", 2}, {"CVE", 2}, {"CZK", 2}, {"DJF", 0}, {"DKK", 2},
    {"DOP", 2}, {"DZD", 2}, {"EGP", 2}, {"ERN", 2}, {"ETB", 2}, {"EUR", 2}, {"FJD", 2}, {"FKP", 2},
    {"GBP", 2}, {"GEL", 2}, {"GHS", 2}, {"GIP", 2}, {"GMD", 2}, {"GNF", 0}, {"GTQ", 2}, {"GYD", 2},
    {"HKD", 2}, {"HNL", 2}, {"HTG", 2}, {"HUF", 2}, {"IDR", 2}, {"ILS", 2}, {"INR", 2}, {"IQD", 3},
    {"IRR", 2}, {"ISK", 0}, {"JMD", 2}, {"JOD", 3}, {"JPY", 0}, {"KES", 2}, {"KGS", 2}, {"KHR", 2},
    {"KMF", 0}, {"KPW", 2}, {"KRW", 0}, {"KWD", 3}, {"KYD", 2}, {"KZT", 2}, {"LAK", 2}, {"LBP", 2},
    {"LKR", 2}, {"LRD", 2}, {"LSL", 2}, {"LYD", 3}, {"MAD", 2}, {"MDL", 2}, {"MGA", 2}, {"MKD", 2},
    {"MMK", 2}, {"MNT", 2}, {"MOP", 2}, {"MRU", 2}, {"MUR", 2}, {"MVR", 2}, {"MWK", 2}, {"MXN", 2},
    {"MXV", 2}, {"MYR", 2}, {"MZN", 2}, {"NAD", 2}, {"NGN", 2}, {"NIO", 2}, {"NOK", 2}, {"NPR", 2},
    {"NZD", 2}, {"OMR", 3}, {"PAB", 2}, {"PEN", 2}, {"PGK", 2}, {"PHP", 2}, {"PKR", 2}, {"PLN", 2},
    {"PYG", 0}, {"QAR", 2}, {"RON", 2}, {"RSD", 2}, {"RUB", 2}, {"RWF", 0}, {"SAR", 2}, {"SBD", 2},
    {"SCR", 2}, {"SDG", 2}, {"SEK", 2}, {"SGD", 2}, {"SHP", 2}, {"SLE", 2}, {"SOS", 2}, {"SRD", 2},
    {"SSP", 2}, {"STN", 2}, {"SVC", 2}, {"SYP", 2}, {"SZL", 2}, {"THB", 2}, {"TJS", 2}, {"TMT", 2},
    {"TND", 3}, {"TOP", 2}, {"TRY", 2}, {"TTD", 2}, {"TWD", 2}, {"TZS", 2}, {"UAH", 2}, {"UGX", 0},
    {"USD", 2}, {"USN", 2}, {"UYI", 0}, {"UYU", 2}, {"UYW", 4}, {"UZS", 2}, {"VED", 2}, {"VES", 2},
    {"VND", 0}, {"VUV", 0}, {"WST", 2}, {"XAD", 2}, {"XAF", 0}, {"XCD", 2}, {"XCG", 2}, {"XOF", 0},
    {"XPF", 0}, {"YER", 2}, {"ZAR", 2}, {"ZMW", 2}, {"ZWG", 2}};

constexpr int no_currency_exponent = 2;
constexpr std::array<std::int64_t, 5> powers_of_10{1, 10, 100, 1'000, 10'000};
constexpr std::int64_t whole_percent = 10'000;  ///< hundredths of a percent in an order

static_assert(std::is_sorted(std::begin(currencies), std::end(currencies),
                             [](const Row& a, const Row& b) { return a.code < b.code; }));
static_assert(std::size(currencies) <= 256, "a row fits into a Currency");

/// Not below 0.
Wide divide_half_up(Wide dividend, std::int64_t divisor) {
    return (std::max<Wide>(dividend, 0) + divisor / 2) / divisor;
}

/// An amount of `from`, or of no currency, in minor units of `to`.
Wide amount_in(Currency to, std::int64_t amount, const std::optional<Currency>& from) {
    if (from) return amount;
    const int more_decimals = to.exponent() - no_currency_exponent;
    if (more_decimals >= 0) {
        return Wide{amount} * powers_of_10[static_cast<std::size_t>(more_decimals)];
    }
    return divide_half_up(amount, powers_of_10[static_cast<std::size_t>(-more_decimals)]);
}

void check_order(const Discount& discount, std::int64_t order_amount, Currency order_currency) {
    COUPOND_CHECK(0 <= order_amount && order_amount <= limits::order_minor_units);
    COUPOND_CHECK(!discount.currency || *discount.currency == order_currency);
}

/// What `discount` takes off the `left` of an order that reaches its minimum.
std::int64_t taken_off(const Discount& discount, std::int64_t left, Currency currency) {
    const auto in_order = [&](std::int64_t amount) {
        return amount_in(currency, amount, discount.currency);
    };
    Wide off = 0;
    switch (discount.type) {
        case Discount::Type::amount: off = in_order(discount.value); break;
        case Discount::Type::percent:
            off = divide_half_up(Wide{left} * discount.value, whole_percent);
            break;
        case Discount::Type::fixed_price: off = left - in_order(discount.value); break;
        case Discount::Type::free_shipping: break;
    }
    if (discount.max_amount) off = std::min(off, in_order(*discount.max_amount));
    return static_cast<std::int64_t>(std::clamp<Wide>(off, 0, left));
}

}  // namespace

std::optional<Currency> Currency::find(std::string_view code) {
    const Row* const row =
        std::lower_bound(std::begin(currencies), std::end(currencies), code,
                         [](const Row& a, std::string_view b) { return a.code < b; });
    if (row == std::end(currencies) || row->code != code) return std::nullopt;
    return Currency(static_cast<std::uint8_t>(row - std::begin(currencies)));
}

std::string_view Currency::code() const {
    return currencies[row_].code;
}

int Currency::exponent() const {
    return currencies[row_].exponent;
}

int exponent_of(const std::optional<Currency>& currency) {
    return currency ? currency->exponent() : no_currency_exponent;
}

std::int64_t minor_units_in(std::int64_t ten_thousandths, const std::optional<Currency>& currency) {
    return ten_thousandths / powers_of_10[static_cast<std::size_t>(4 - exponent_of(currency))];
}

std::optional<std::int64_t> minor_units(std::int64_t ten_thousandths,
                                        const std::optional<Currency>& currency) {
    const std::int64_t amount = minor_units_in(ten_thousandths, currency);
    const std::int64_t unit = powers_of_10[static_cast<std::size_t>(4 - exponent_of(currency))];
    return amount * unit == ten_thousandths ? std::optional(amount) : std::nullopt;
}

std::int64_t from_hundredths(std::int64_t hundredths, Currency currency) {
    COUPOND_CHECK(0 <= hundredths && hundredths <= limits::order_minor_units);
    return static_cast<std::int64_t>(amount_in(currency, hundredths, std::nullopt));
}

bool reaches_minimum(const Discount& discount, std::int64_t order_amount, Currency order_currency) {
    check_order(discount, order_amount, order_currency);
    return !discount.min_order_amount ||
           order_amount >= amount_in(order_currency, *discount.min_order_amount, discount.currency);
}

std::int64_t missing_to_minimum(const Discount& discount, const Order& order) {
    check_order(discount, order.amount, order.currency);
    if (!discount.min_order_amount) return 0;
    const Wide least = amount_in(order.currency, *discount.min_order_amount, discount.currency);
    return static_cast<std::int64_t>(std::clamp<Wide>(least - order.amount, 0, INT64_MAX));
}

std::optional<Money> worth_of(const Discount& discount, const std::optional<Order>& order) {
    if (order) return Money{discount_on(discount, order->amount, order->currency), order->currency};
    if (discount.type != Discount::Type::amount) return std::nullopt;
    return Money{std::min(discount.value, discount.max_amount.value_or(discount.value)),
                 discount.currency};
}

std::int64_t discount_on(const Discount& discount, std::int64_t order_amount,
                         Currency order_currency) {
    if (!reaches_minimum(discount, order_amount, order_currency)) return 0;
    return taken_off(discount, order_amount, order_currency);
}

std::vector<std::int64_t> discounts_on(std::span<const Discount> discounts,
                                       std::int64_t order_amount, Currency order_currency) {
    using Type = Discount::Type;
    std::vector<std::int64_t> off(discounts.size());
    std::int64_t left = order_amount;
    for (const Type type : {Type::fixed_price, Type::percent, Type::amount, Type::free_shipping}) {
        for (std::size_t i = 0; i < discounts.size(); ++i) {
            if (discounts[i].type != type ||
                !reaches_minimum(discounts[i], order_amount, order_currency)) {
                continue;
            }
            off[i] = taken_off(discounts[i], left, order_currency);
            left -= off[i];
        }
    }
    return off;
}

}  // namespace coupond
