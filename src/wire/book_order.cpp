#include "wire/book_order.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"

namespace coupond::wire {
namespace {

using Sort = BookQuery::Sort;

constexpr std::array<std::pair<Sort, std::string_view>, 3> sorts{{
    {Sort::id, "id"},
    {Sort::name, "name"},
    {Sort::created, "created"},
}};

constexpr std::string_view hex_digits = "0123456789abcdef";

std::string hex_of(std::string_view bytes) {
    std::string text;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text += {hex_digits[byte >> 4], hex_digits[byte & 15]};
    }
    return text;
}

/// What hex_of() has made `text` from; nothing where it has not.
std::optional<std::string> bytes_of(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const std::size_t high = hex_digits.find(text[i]);
        const std::size_t low = hex_digits.find(text[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        bytes += static_cast<char>(high << 4 | low);
    }
    return bytes;
}

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

bool is_name(std::string_view text) {
    const auto shape = examine_text(text);
    return shape && !shape->has_control && shape->characters >= 1 &&
           shape->characters <= limits::name_characters;
}

/// What comes before the next dot, which is taken off `text` with it.
std::string_view take_field(std::string_view& text) {
    const std::size_t end = std::min(text.find('.'), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return field;
}

}  // namespace

std::optional<BookSort> book_sort(std::string_view name) {
    const bool descending = name.starts_with('-');
    if (descending) name.remove_prefix(1);
    for (const auto& [sort, known] : sorts) {
        if (known == name) return BookSort{sort, descending};
    }
    return std::nullopt;
}

std::string name_of(const BookQuery& query) {
    for (const auto& [sort, name] : sorts) {
        if (sort == query.sort) return (query.descending ? "-" : "") + std::string(name);
    }
    check_failed("a sort is one of those above", __FILE__, __LINE__);
}

std::string text_of(const BookPlace& place, const BookQuery& query) {
    std::string id = std::to_string(place.id);
    if (query.sort == Sort::id && !query.descending) return id;
    std::string text = name_of(query) + "." + std::move(id);
    if (query.sort == Sort::name) text += "." + hex_of(place.name);
    if (query.sort == Sort::created) text += "." + std::to_string(place.created_at.ms);
    return text;
}

std::optional<BookPlace> book_place(std::string_view text, const BookQuery& query) {
    std::string_view left = text;
    if (take_field(left) != name_of(query)) return std::nullopt;
    BookPlace place;
    place.id = number_of(take_field(left)).value_or(0);
    if (place.id < 1) return std::nullopt;
    if (query.sort == Sort::name) {
        auto name = bytes_of(take_field(left));
        if (!name || !is_name(*name)) return std::nullopt;
        place.name = std::move(*name);
    }
    if (query.sort == Sort::created) {
        const auto ms = number_of(take_field(left));
        if (!ms) return std::nullopt;
        place.created_at = {*ms};
    }
    // There is one way to write it.
    return text_of(place, query) == text ? std::optional(std::move(place)) : std::nullopt;
}

}  // namespace coupond::wire
