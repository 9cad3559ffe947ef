#include "base/text.hpp"

namespace coupond {

std::optional<TextShape> examine_text(std::string_view text) {
    TextShape shape;
    const auto* p = reinterpret_cast<const unsigned char*>(text.data());
    const auto* const end = p + text.size();
    while (p != end) {
        const unsigned char lead = *p;
        std::size_t more = 0;                   // continuation bytes
        unsigned char low = 0x80, high = 0xBF;  // bounds of the first of them, RFC 3629 section 4
        if (lead < 0x80) {
            shape.has_control |= lead < 0x20 || lead == 0x7F;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            more = 1;
        } else if (lead >= 0xE0 && lead <= 0xEF) {
            more = 2;
            if (lead == 0xE0) low = 0xA0;
            if (lead == 0xED) high = 0x9F;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            more = 3;
            if (lead == 0xF0) low = 0x90;
            if (lead == 0xF4) high = 0x8F;
        } else {
            return std::nullopt;
        }
        if (static_cast<std::size_t>(end - p) <= more) return std::nullopt;
        for (std::size_t i = 1; i <= more; ++i) {
            if (p[i] < low || p[i] > high) return std::nullopt;
            low = 0x80;
            high = 0xBF;
        }
        shape.has_control |= lead == 0xC2 && p[1] < 0xA0;
        p += more + 1;
        ++shape.characters;
    }
    return shape;
}

}  // namespace coupond
