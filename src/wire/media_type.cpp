#include "wire/media_type.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace coupond::wire {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blank = " \t";
    const auto first = text.find_first_not_of(blank);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

/// The text up to the next `separator`, which is taken off `text` with it.
std::string_view next_piece(std::string_view& text, char separator) {
    const auto end = text.find(separator);
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    return trimmed(piece);
}

bool is_utf8(std::string_view charset) {
    if (charset.size() >= 2 && charset.starts_with('"') && charset.ends_with('"')) {
        charset = charset.substr(1, charset.size() - 2);
    }
    return same(charset, "utf-8") || same(charset, "utf8");
}

constexpr std::array<std::pair<std::string_view, MediaType>, 3> types{{
    {"application/json", MediaType::json},
    {"text/csv", MediaType::csv},
    {"application/x-ndjson", MediaType::ndjson},
}};

}  // namespace

MediaType classify_media_type(std::string_view content_type) {
    if (trimmed(content_type).empty()) return MediaType::json;
    const std::string_view name_of_type = next_piece(content_type, ';');
    const auto known = std::ranges::find_if(
        types, [&](const auto& type) { return same(name_of_type, type.first); });
    if (known == types.end()) return MediaType::another;
    while (!content_type.empty()) {
        std::string_view value = next_piece(content_type, ';');
        const std::string_view name = next_piece(value, '=');
        if (same(name, "charset") && !is_utf8(trimmed(value))) {
            return MediaType::another_charset;
        }
    }
    return known->second;
}

}  // namespace coupond::wire
