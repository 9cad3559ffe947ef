// The texts of uses of codes (Code::use_of) in the database, where each text is there once: that of
// the code, what no code has in it, and the id of the use.
#pragma once

#include <string>
#include <string_view>

#include "domain/types.hpp"

namespace coupond {

inline constexpr char use_mark = '\x1F';

inline std::string stored_text(const Code& code) {
    return code.use_of ? code.code + use_mark + std::to_string(code.id) : code.code;
}

/// Of stored texts, the least that is behind this code and all its uses: no character that a code
/// may have is before a space.
inline std::string stored_behind(const std::string& code) {
    return code + ' ';
}

/// Of the code; `stored` as it is where it is not of a use.
inline std::string_view shown_text(std::string_view stored) {
    return stored.substr(0, stored.find(use_mark));
}

}  // namespace coupond
