#include "domain/spelling.hpp"

namespace coupond {
namespace {

/// How many bytes at the beginning of `text` do not count; 0: none.
std::size_t ignored(std::string_view text) {
    if (text.front() == ' ' || text.front() == '-') return 1;
    if (text.starts_with("\xC2\xA0")) return 2;
    const bool is_dash =
        text.size() > 2 && text.starts_with("\xE2\x80") && text[2] >= '\x90' && text[2] <= '\x95';
    return is_dash ? 3 : 0;
}

}  // namespace

std::string folded(std::string_view code) {
    std::string text;
    text.reserve(code.size());
    while (!code.empty()) {
        const std::size_t skipped = ignored(code);
        if (skipped == 0) {
            const char c = code.front();
            text += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        }
        code.remove_prefix(skipped == 0 ? 1 : skipped);
    }
    return text;
}

}  // namespace coupond
