// Exact reading of JSON numbers, which a double cannot give.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace coupond::wire {

/// `number` times ten to the power of `decimals`, where that is an integer that fits: with 2
/// decimals, 19.99 and 1999e-2 are 1999, and 19.999 is nothing. `number` must be a number as JSON's
/// grammar has it, of any length.
std::optional<std::int64_t> scaled_decimal(std::string_view number, int decimals);

}  // namespace coupond::wire
