// QR codes of all codes of a book, drawn by a job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/types.hpp"

namespace coupond {

/// Why a code has no image: RejectedRow::reason.
inline constexpr std::string_view qr_text_too_long = "qr_text_too_long";
inline constexpr std::string_view qr_size_too_small = "qr_size_too_small";

/// What a job that draws them has of it.
struct QrImages {
    enum class Format : std::int16_t { svg, png };
    /// How much of an image may be lost: about 7, 15, 25 and 30 %.
    enum class ErrorLevel : std::int16_t { low, medium, quartile, high };

    // As they were asked for.
    Format format = Format::svg;
    std::int64_t size_px = 0;
    std::int64_t margin_modules = 0;
    ErrorLevel error_level = ErrorLevel::medium;
    std::string url;  ///< what is drawn, with the code in place of `{code}`; empty: the code alone

    std::string location;       ///< where they are, for people; empty: nothing was begun yet
    CodeId after = 0;           ///< the last code of those that are done
    std::int64_t rejected = 0;  ///< of them, those that have no image

    bool operator==(const QrImages&) const = default;
};

/// What the row of a job keeps of it, as text without a line break.
std::string row_text(const QrImages& images);
/// False where `text` is not of it.
bool read_row_text(std::string_view text, QrImages& images);

}  // namespace coupond
