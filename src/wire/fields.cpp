#include "wire/fields.hpp"

#include <charconv>

#include "base/limits.hpp"
#include "base/text.hpp"
#include "base/time_zone.hpp"

namespace coupond::wire {

bool fits(std::string_view text, std::size_t most_characters) {
    const auto shape = examine_text(text);
    return shape && !shape->has_control && shape->characters >= 1 &&
           shape->characters <= most_characters;
}

bool fits_code(std::string_view text) {
    return fits(text, limits::code_characters);
}

bool fits_user_id(std::string_view text) {
    return fits(text, limits::user_id_characters);
}

std::optional<std::int64_t> read_digits(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) {
        return std::nullopt;
    }
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{}) return std::nullopt;
    return value;
}

bool read_moment(std::string_view text, std::optional<Timestamp>& at, std::string& date) {
    static const auto utc = TimeZone::find("UTC");
    const auto parsed = utc->parse(text);
    if (!parsed) return false;
    const bool is_date = text.size() == std::string_view("2026-11-22").size();
    if (is_date) {
        date = text;
    } else {
        at = parsed;
    }
    return true;
}

std::string shown(std::string_view name) {
    constexpr std::string_view word_characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    if (!name.empty() && name.find_first_not_of(word_characters) == std::string_view::npos) {
        return std::string(name);
    }
    std::string text = "\"";
    const auto shape = examine_text(name);
    for (const char c : name) {
        // Control characters beyond ASCII are rare enough to lose their neighbours as well.
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = byte >= 0x20 && byte != 0x7F && byte < 0x80;
        const bool plain_beyond_ascii = byte >= 0x80 && shape && !shape->has_control;
        text += plain || plain_beyond_ascii ? c : '?';
    }
    return text + '"';
}

}  // namespace coupond::wire
