#include "wire/media_type.hpp"

#include <algorithm>
#include <array>
#include <optional>
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

/// The next of the elements between commas, which is taken off `list` with the comma.
std::string_view next_element(std::string_view& list) {
    bool quoted = false;
    std::size_t end = 0;
    for (; end < list.size() && (quoted || list[end] != ','); ++end) {
        if (list[end] == '"') quoted = !quoted;
        if (list[end] == '\\' && quoted) ++end;
    }
    end = std::min(end, list.size());
    const std::string_view element = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    return trimmed(element);
}

/// A weight such as `0.5`, in thousandths.
std::optional<int> read_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
    if (text.size() > 1 && text[1] != '.') return std::nullopt;
    int weight = 0;
    for (std::size_t i = 0; i < 5; ++i) {
        if (i == 1) continue;
        const char digit = i < text.size() ? text[i] : '0';
        if (digit < '0' || digit > '9') return std::nullopt;
        weight = weight * 10 + (digit - '0');
    }
    return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

/// The weight of an element with its name before it; nothing where it is malformed.
std::optional<int> weight_of(std::string_view parameters) {
    std::optional<int> weight = 1000;
    while (!parameters.empty()) {
        std::string_view value = next_piece(parameters, ';');
        if (same(next_piece(value, '='), "q")) weight = read_weight(trimmed(value));
    }
    return weight;
}

/// The weight of what is named most closely, as `closeness(name)` tells, 0 being not at all.
template <class Closeness>
int quality_by(std::string_view list, const Closeness& closeness) {
    int closest = 0;
    int quality = 0;
    while (!list.empty()) {
        std::string_view parameters = next_element(list);
        const int close = closeness(next_piece(parameters, ';'));
        const std::optional<int> weight = weight_of(parameters);
        if (close == 0 || close < closest || !weight) continue;
        quality = close > closest ? *weight : std::max(quality, *weight);
        closest = close;
    }
    return quality;
}

}  // namespace

int quality_of_type(std::string_view accept, std::string_view type) {
    const std::string_view kind = type.substr(0, type.find('/'));
    return quality_by(accept, [&](std::string_view range) {
        if (same(range, type)) return 3;
        const bool any_of_kind =
            range.ends_with("/*") && same(range.substr(0, range.size() - 2), kind);
        return any_of_kind ? 2 : range == "*/*" ? 1 : 0;
    });
}

int quality_of_coding(std::string_view accept_encoding, std::string_view coding) {
    return quality_by(accept_encoding, [&](std::string_view name) {
        return same(name, coding) ? 2 : name == "*" ? 1 : 0;
    });
}

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
