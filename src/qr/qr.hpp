// QR codes (ISO/IEC 18004) as images. Knows nothing of HTTP and of coupons.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/limits.hpp"

namespace coupond::qr {

/// How much of a code may be lost: about 7, 15, 25 and 30 %. L, M, Q and H outside.
enum class ErrorLevel { low, medium, quartile, high };

enum class Format {
    svg,  ///< fills the size to the edge, whatever it is
    png,  ///< each module is as many whole pixels as fit; what is left over is margin on all sides
};

struct Drawing {
    Format format = Format::svg;
    int size_px = limits::qr_size_px_default;                ///< of a side of the whole image
    int margin_modules = limits::qr_margin_modules_default;  ///< at least, on each side
    ErrorLevel error_level = ErrorLevel::medium;             ///< exactly this one
};

/// No code of this error level holds so much.
struct TextTooLong {};

/// A module would be less than a pixel.
struct SizeTooSmall {
    int least_px;  ///< that would do
};

/// An image's bytes, or why there is none.
using Drawn = std::variant<std::string, TextTooLong, SizeTooSmall>;

/// Draws `text`, UTF-8 without NUL, in the smallest code that holds it; what is not ASCII is marked
/// as UTF-8 (ECI 26). The same each time. Takes up to some tens of milliseconds. Throws nothing but
/// std::bad_alloc.
Drawn draw(const std::string& text, const Drawing& drawing);

/// A code without a margin, for screens of text.
struct Modules {
    int side;
    std::vector<bool> dark;  ///< side times side, row by row
};

/// The smallest code of this error level that holds `text`, as draw() has it.
std::variant<Modules, TextTooLong> modules_of(const std::string& text, ErrorLevel level);

}  // namespace coupond::qr
