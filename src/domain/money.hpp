// Money: currencies, amounts in their minor units, and what discounts take off an order.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coupond {

/// A currency or fund that ISO 4217 lists as current, and says how many decimals it has: there is
/// JPY, with none, but not XAU, gold, for which that is not applicable.
class Currency {
public:
    /// By its three upper-case letters, such as `EUR`. Nothing for any other text.
    static std::optional<Currency> find(std::string_view code);

    /// Stays valid for as long as the program runs.
    std::string_view code() const;

    /// How many decimals an amount has, 0 to 4: a minor unit is 10^-exponent of the currency.
    int exponent() const;

    friend auto operator<=>(Currency, Currency) = default;  ///< by their letters

private:
    explicit Currency(std::uint8_t row) : row_(row) {}

    std::uint8_t row_;  ///< of the table
};

// Amounts are std::int64_t in minor units of a currency. An amount may be of no named currency:
// then it is in hundredths of whatever currency it meets.

/// How many decimals an amount of `currency`, or of none, has.
int exponent_of(const std::optional<Currency>& currency);

/// So much of a currency, or of none that is named.
struct Money {
    std::int64_t amount = 0;  ///< in minor units
    std::optional<Currency> currency = {};

    friend bool operator==(const Money&, const Money&) = default;
};

/// An amount in ten-thousandths of `currency`, or of none, in its minor units; nothing where it has
/// more decimals.
std::optional<std::int64_t> minor_units(std::int64_t ten_thousandths,
                                        const std::optional<Currency>& currency);

/// How many whole minor units are in it.
std::int64_t minor_units_in(std::int64_t ten_thousandths, const std::optional<Currency>& currency);

/// An amount of no named currency in minor units of `currency`, rounded half up. `hundredths` must
/// be 0 to limits::order_minor_units.
std::int64_t from_hundredths(std::int64_t hundredths, Currency currency);

/// What a coupon is worth.
struct Discount {
    enum class Type {
        amount,         ///< `value` less
        percent,        ///< so much of the order less, rounded half up
        fixed_price,    ///< the order costs `value`
        free_shipping,  ///< nothing off the order itself
    };

    Type type = Type::amount;
    /// Of an amount or a fixed price: in minor units, 0 to limits::order_minor_units. Percent: in
    /// hundredths of a percent, 0 to 10'000. Free shipping: 0.
    std::int64_t value = 0;
    std::optional<Currency> currency;              ///< nothing: amounts of it are of no named one
    std::optional<std::int64_t> max_amount;        ///< more than this it never takes off an order
    std::optional<std::int64_t> min_order_amount;  ///< orders below get nothing off

    friend bool operator==(const Discount&, const Discount&) = default;
};

/// What somebody wants to pay for.
struct Order {
    std::optional<std::string> id;  ///< the shop's
    std::int64_t amount = 0;        ///< in minor units, 0 to limits::order_minor_units
    Currency currency;

    friend bool operator==(const Order&, const Order&) = default;
};

// Of all that follows: an order's amount must be 0 to limits::order_minor_units, and a discount's
// currency, if it has one, the order's. A discount that breaks the bounds above, as one from a
// damaged database may, breaks no promise made here.

/// Whether an order comes up to the discount's `min_order_amount`.
bool reaches_minimum(const Discount& discount, std::int64_t order_amount, Currency order_currency);

/// What the order gets cheaper: 0 to `order_amount`. A fixed price makes no order dearer.
std::int64_t discount_on(const Discount& discount, std::int64_t order_amount,
                         Currency order_currency);

/// What a discount is worth on `order`; without one, what it is on any that is dear enough, where
/// that is the same on all. Of money, so nothing for free shipping without an order.
std::optional<Money> worth_of(const Discount& discount, const std::optional<Order>& order);

/// By how much `order` misses the discount's `min_order_amount`, in its minor units; 0 where it
/// does not.
std::int64_t missing_to_minimum(const Discount& discount, const Order& order);

/// What each of several discounts takes off one order, in the order in which they are given; their
/// sum is 0 to `order_amount`. Whatever that order is, they are applied one after the other, fixed
/// prices first, then percents, amounts and free shipping, and of one type as they are given. Each
/// applies to what those before it have left; only its `min_order_amount` is about the whole order.
std::vector<std::int64_t> discounts_on(std::span<const Discount> discounts,
                                       std::int64_t order_amount, Currency order_currency);

}  // namespace coupond
