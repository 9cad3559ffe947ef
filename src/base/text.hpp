// Text from outside: UTF-8 and what may stand in a code, a name, a user id.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace coupond {

/// What `examine_text` found.
struct TextShape {
    std::size_t characters = 0;  ///< Unicode scalar values
    bool has_control = false;    ///< any of U+0000..U+001F, U+007F..U+009F
};

/// Reads `text` as UTF-8 (RFC 3629: no overlong forms, no surrogates); nothing if it is not.
std::optional<TextShape> examine_text(std::string_view text);

}  // namespace coupond
