// How people spell codes that are not case sensitive.
#pragma once

#include <string>
#include <string_view>

namespace coupond {

/// What all spellings of a code have in common: ASCII letters in upper case, without spaces,
/// without dashes, and without what word processors put in their place (U+00A0, U+2010 to U+2015).
/// May be empty. `code` is UTF-8.
std::string folded(std::string_view code);

}  // namespace coupond
