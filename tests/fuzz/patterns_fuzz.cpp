// Code patterns: what is read from one, written again, is read as the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "domain/code_pattern.hpp"

namespace coupond {
namespace {

std::string written(const CodePattern& pattern) {
    std::string text;
    for (const CodePattern::Part& part : pattern.parts) {
        if (part.check) text += "{check}";
        if (part.random > 0) {
            text += "{" + std::to_string(part.random) + ":[";
            for (const std::string& symbol : part.alphabet) {
                if (symbol == "[" || symbol == "]" || symbol == "\\") text += '\\';
                text += symbol;
            }
            text += "]}";
        }
        for (const char c : part.literal) {
            if (c == '{' || c == '}' || c == '\\') text += '\\';
            text += c;
        }
    }
    return text;
}

void check(const CodePattern& pattern) {
    COUPOND_CHECK(!pattern.parts.empty());
    std::size_t characters = 0;
    bool after_literal = false;
    for (const CodePattern::Part& part : pattern.parts) {
        COUPOND_CHECK(part.literal.empty() == (part.random > 0 || part.check));
        COUPOND_CHECK(part.random <= 64 && !(part.random > 0 && part.check));
        COUPOND_CHECK(part.alphabet.empty() == (part.random == 0));
        COUPOND_CHECK(std::is_sorted(part.alphabet.begin(), part.alphabet.end()));
        COUPOND_CHECK(part.literal.empty() || !after_literal);
        after_literal = !part.literal.empty();
        const auto shape = examine_text(part.literal);
        COUPOND_CHECK(shape.has_value());
        characters += part.random + shape->characters + (part.check ? 1 : 0);
    }
    COUPOND_CHECK(pattern.characters == characters);
    COUPOND_CHECK(characters >= 1 && characters <= limits::code_characters);

    const auto again = parse_code_pattern(written(pattern));
    const auto* const same = std::get_if<CodePattern>(&again);
    COUPOND_CHECK(same != nullptr && same->characters == pattern.characters);
    COUPOND_CHECK(std::equal(same->parts.begin(), same->parts.end(), pattern.parts.begin(),
                             pattern.parts.end(), [](const auto& a, const auto& b) {
                                 return a.literal == b.literal && a.random == b.random &&
                                        a.alphabet == b.alphabet && a.check == b.check;
                             }));
}

void run(std::string_view text) {
    const auto shape = examine_text(text);
    if (!shape) return;  // wire lets nothing else through
    const auto parsed = parse_code_pattern(text);
    if (const auto* const pattern = std::get_if<CodePattern>(&parsed)) return check(*pattern);
    const auto& error = std::get<PatternError>(parsed);
    COUPOND_CHECK(!error.message.empty());
    COUPOND_CHECK(error.column >= 1);
    COUPOND_CHECK(error.column <= std::max<std::size_t>(shape->characters, 1));
}

}  // namespace
}  // namespace coupond

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    coupond::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
