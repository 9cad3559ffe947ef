// What single things from outside may be, wherever they stand: in a body, a path, a query or a
// file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coupond::wire {

/// Whether it has 1 to `most_characters`, and no control characters.
bool fits(std::string_view text, std::size_t most_characters);
bool fits_code(std::string_view text);
bool fits_user_id(std::string_view text);

/// A number that is written with digits only.
std::optional<std::int64_t> read_digits(std::string_view text);

/// Reads a moment into `at`, or a date, which is for the book's time zone to tell, into `date`.
/// False where it is neither; then both stay as they are.
bool read_moment(std::string_view text, std::optional<Timestamp>& at, std::string& date);

/// A name from outside for a message: in quotes where it is not a plain word, without control
/// characters.
std::string shown(std::string_view name);

}  // namespace coupond::wire
