#include "wire/decimal.hpp"

#include <algorithm>
#include <charconv>
#include <string>

namespace coupond::wire {
namespace {

/// The exponent after an "e", or a far one of the same sign where it does not fit.
std::int64_t read_exponent(std::string_view digits) {
    constexpr std::int64_t far = 1'000'000'000'000;  // beyond what any body's digits make up for
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::int64_t exponent = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    if (read.ec != std::errc{}) return digits.starts_with('-') ? -far : far;
    return std::clamp(exponent, -far, far);
}

/// `digits` times ten to the power of `zeros`, negated where `negative`; nothing where it is too
/// large.
std::optional<std::int64_t> integer_of(std::string_view digits, std::int64_t zeros, bool negative) {
    constexpr std::int64_t most_digits = 19;
    if (static_cast<std::int64_t>(digits.size()) + zeros > most_digits) return std::nullopt;
    std::string text(negative ? "-" : "");
    text += digits;
    text.append(static_cast<std::size_t>(zeros), '0');
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{}) return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::int64_t> scaled_decimal(std::string_view number, int decimals) {
    const bool negative = number.starts_with('-');
    if (negative) number.remove_prefix(1);
    std::int64_t shift = decimals;
    if (const auto e = number.find_first_of("eE"); e != std::string_view::npos) {
        shift += read_exponent(number.substr(e + 1));
        number = number.substr(0, e);
    }
    std::string digits(number);
    if (const auto point = digits.find('.'); point != std::string::npos) {
        shift -= static_cast<std::int64_t>(digits.size() - point - 1);
        digits.erase(point, 1);
    }
    const auto first = digits.find_first_not_of('0');
    if (first == std::string::npos) return 0;
    const auto last = digits.find_last_not_of('0');
    shift += static_cast<std::int64_t>(digits.size() - last - 1);
    if (shift < 0) return std::nullopt;
    return integer_of(std::string_view(digits).substr(first, last - first + 1), shift, negative);
}

}  // namespace coupond::wire
