#include "wire/json_writer.hpp"

#include <array>
#include <charconv>
#include <cstddef>

#include "base/check.hpp"
#include "base/text.hpp"

namespace coupond::wire {
namespace {

enum class ByteKind : unsigned char { plain, escape, beyond_ascii };

constexpr std::array<ByteKind, 256> byte_kinds = [] {
    std::array<ByteKind, 256> kinds{};
    for (std::size_t i = 0; i < 0x20; ++i) kinds[i] = ByteKind::escape;
    kinds['"'] = ByteKind::escape;
    kinds['\\'] = ByteKind::escape;
    for (std::size_t i = 0x80; i < kinds.size(); ++i) kinds[i] = ByteKind::beyond_ascii;
    return kinds;
}();

ByteKind kind_of(char byte) {
    return byte_kinds[static_cast<unsigned char>(byte)];
}

void append_escaped(std::string& out, char byte) {
    switch (byte) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\b': out += "\\b"; return;
        case '\f': out += "\\f"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    const auto value = static_cast<unsigned char>(byte);
    out += "\\u00";
    out += digits[value >> 4];
    out += digits[value & 15];
}

/// How many bytes the UTF-8 character that `text` begins with has; 0 where it is none.
std::size_t character_bytes(std::string_view text) {
    for (std::size_t bytes = 2; bytes <= 4 && bytes <= text.size(); ++bytes) {
        if (examine_text(text.substr(0, bytes))) return bytes;
    }
    return 0;
}

/// The content of a string that holds something that is not UTF-8.
void append_repaired(std::string& out, std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        if (kind_of(text[i]) != ByteKind::beyond_ascii) {
            if (kind_of(text[i]) == ByteKind::escape) {
                append_escaped(out, text[i]);
            } else {
                out += text[i];
            }
            ++i;
        } else if (const std::size_t bytes = character_bytes(text.substr(i)); bytes != 0) {
            out += text.substr(i, bytes);
            i += bytes;
        } else {
            out += "\xEF\xBF\xBD";
            ++i;
        }
    }
}

}  // namespace

JsonWriter& JsonWriter::string(std::string_view text) {
    out_ += '"';
    bool known_valid = false;
    std::size_t written = 0;
    std::size_t i = 0;
    for (; i < text.size(); ++i) {
        const ByteKind kind = kind_of(text[i]);
        if (kind == ByteKind::plain || (kind == ByteKind::beyond_ascii && known_valid)) continue;
        if (kind == ByteKind::beyond_ascii) {
            known_valid = examine_text(text.substr(i)).has_value();
            if (known_valid) continue;
            break;
        }
        out_ += text.substr(written, i - written);
        append_escaped(out_, text[i]);
        written = i + 1;
    }
    out_ += text.substr(written, i - written);
    append_repaired(out_, text.substr(i));
    out_ += '"';
    return *this;
}

JsonWriter& JsonWriter::number(std::int64_t value) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out_.append(digits.data(), end);
    return *this;
}

JsonWriter& JsonWriter::time(Timestamp at) {
    out_ += '"';
    append_iso8601(out_, at);
    out_ += '"';
    return *this;
}

JsonWriter& JsonWriter::decimal(std::int64_t value, int decimals) {
    COUPOND_CHECK(decimals >= 0 && decimals <= 18);
    std::uint64_t unit = 1;
    for (int i = 0; i < decimals; ++i) unit *= 10;
    const auto bits = static_cast<std::uint64_t>(value);
    const std::uint64_t size = value < 0 ? 0 - bits : bits;
    if (value < 0) out_ += '-';
    raw(std::to_string(size / unit));
    std::uint64_t rest = size % unit;
    if (rest > 0) out_ += '.';
    while (rest > 0) {
        unit /= 10;
        out_ += static_cast<char>('0' + rest / unit);
        rest %= unit;
    }
    return *this;
}

}  // namespace coupond::wire
