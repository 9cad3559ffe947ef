// Code patterns: literal text, random characters, and a character that checks them.
//
//     pattern  = 1*( literal / random / check )
//     literal  = any character but "{", "}" and "\"; or one of these three after a "\"
//     random   = "{" n [ ":" alphabet ] "}"
//     n        = a decimal number from 1 to 64 without a sign or leading zeros
//     alphabet = "digits" / "letters" / "alnum" / "hex" / "[" 2*128symbol "]"
//     symbol   = any character but "[", "]" and "\"; or one of these three after a "\"
//     check    = "{check}" ; once, beside at least one random character
//
// in the ABNF of RFC 5234. Without an alphabet the characters are upper-case letters and digits but
// for those that look alike: 0, 1, I, L and O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coupond {

/// Characters, each of its own, in the order of their bytes.
using Alphabet = std::vector<std::string>;

struct CodePattern {
    struct Part {
        std::string literal;     ///< unescaped; empty where the part is none
        std::size_t random = 0;  ///< how many characters of `alphabet`
        Alphabet alphabet = {};
        bool check = false;  ///< one character that the random ones decide
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
