// Numbers in the text that a row keeps of something.
#pragma once

#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace coupond {

/// Adds each, with a space before it.
inline void append_numbers(std::string& text, std::span<const std::int64_t> numbers) {
    for (const std::int64_t number : numbers) text.append(" ").append(std::to_string(number));
}

/// Takes as many off the front of `text`. False where they are not there, or one is negative.
inline bool take_numbers(std::string_view& text, std::span<std::int64_t> numbers) {
    for (std::int64_t& number : numbers) {
        if (!text.starts_with(' ')) return false;
        const auto read = std::from_chars(text.data() + 1, text.data() + text.size(), number);
        if (read.ec != std::errc() || number < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    }
    return true;
}

}  // namespace coupond
