// Code patterns: literal text, and `{n}` for n random characters.
//
//     pattern = 1*( literal / random )
//     literal = any character but "{", "}" and "\"; or one of these three after a "\"
//     random  = "{" n "}"        ; n: a decimal number from 1 to 64 without a sign or leading zeros
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coupond {

struct CodePattern {
    struct Part {
        std::string literal;     ///< unescaped; empty where the part is random
        std::size_t random = 0;  ///< how many random characters; 0 where it is literal
    };
    std::vector<Part> parts;     ///< neighbouring literals are one part
    std::size_t characters = 0;  ///< of every code made from it: 1 to limits::code_characters
};

struct PatternError {
    std::size_t column = 0;  ///< the character, from 1
    std::string message;     ///< such as "a { without its }"
};

/// `text` must be valid UTF-8.
std::variant<CodePattern, PatternError> parse_code_pattern(std::string_view text);

}  // namespace coupond
