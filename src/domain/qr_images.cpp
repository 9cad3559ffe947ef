#include "domain/qr_images.hpp"

#include <array>

#include "domain/row_numbers.hpp"

namespace coupond {
namespace {

// `qr`, numbers in this order, then the texts: how long the first one is, and both.
constexpr std::string_view kind = "qr";
constexpr std::size_t number_count = 7;

}  // namespace

std::string row_text(const QrImages& images) {
    std::string text(kind);
    append_numbers(text, std::array<std::int64_t, number_count>{
                             static_cast<std::int64_t>(images.format), images.size_px,
                             images.margin_modules, static_cast<std::int64_t>(images.error_level),
                             images.after, images.rejected, std::ssize(images.url)});
    return text.append(" ").append(images.url).append(images.location);
}

bool read_row_text(std::string_view text, QrImages& images) {
    std::array<std::int64_t, number_count> numbers{};
    if (!text.starts_with(kind)) return false;
    text.remove_prefix(kind.size());
    if (!take_numbers(text, numbers) || !text.starts_with(' ')) return false;
    text.remove_prefix(1);
    const auto& [format, size_px, margin_modules, error_level, after, rejected, url_size] = numbers;
    if (format > static_cast<std::int64_t>(QrImages::Format::png) ||
        error_level > static_cast<std::int64_t>(QrImages::ErrorLevel::high) ||
        url_size > std::ssize(text)) {
        return false;
    }
    images.format = static_cast<QrImages::Format>(format);
    images.size_px = size_px;
    images.margin_modules = margin_modules;
    images.error_level = static_cast<QrImages::ErrorLevel>(error_level);
    images.after = after;
    images.rejected = rejected;
    images.url = text.substr(0, static_cast<std::size_t>(url_size));
    images.location = text.substr(static_cast<std::size_t>(url_size));
    return true;
}

}  // namespace coupond
