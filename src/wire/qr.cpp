#include <array>
#include <span>
#include <string>
#include <utility>

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

std::string text_of(const std::string& code, const std::string& url) {
    if (url.empty()) return code;
    std::string text = url;
    return text.replace(text.find(code_place), code_place.size(), escaped(code));
}

qr::ErrorLevel drawn_at(QrImages::ErrorLevel level) {
    switch (level) {
        case QrImages::ErrorLevel::low: return qr::ErrorLevel::low;
        case QrImages::ErrorLevel::quartile: return qr::ErrorLevel::quartile;
        case QrImages::ErrorLevel::high: return qr::ErrorLevel::high;
        case QrImages::ErrorLevel::medium: break;
    }
    return qr::ErrorLevel::medium;
}

}  // namespace

std::string_view name_of(QrImages::ErrorLevel level) {
    static constexpr std::array<std::string_view, 4> names{"L", "M", "Q", "H"};
    return names.at(static_cast<std::size_t>(level));
}

std::string_view content_type_of(QrImages::Format format) {
    return format == QrImages::Format::svg ? "image/svg+xml" : "image/png";
}

qr::Drawn draw_qr(const std::string& code, const QrImages& wish) {
    qr::Drawing drawing;
    drawing.format = wish.format == QrImages::Format::svg ? qr::Format::svg : qr::Format::png;
    drawing.size_px = static_cast<int>(wish.size_px);
    drawing.margin_modules = static_cast<int>(wish.margin_modules);
    drawing.error_level = drawn_at(wish.error_level);
    return qr::draw(text_of(code, wish.url), drawing);
}

std::string image_name(std::string_view code, QrImages::Format format) {
    constexpr std::string_view digits = "0123456789abcdef";
    constexpr std::size_t most_bytes = 255;  // of a name, in most file systems
    static_assert(limits::image_name_bytes + sizeof(Digest) + 4 <= most_bytes);
    std::string name = escaped(code);
    if (name.starts_with('.')) name.replace(0, 1, "%2E");
    if (name.size() > limits::image_name_bytes) {
        name.resize(limits::image_name_bytes - 1);
        name += '~';
        // Half of it, 128 bits, so that the name fits any file system.
        const Digest digest = digest_of({code});
        for (const char c : std::span(digest).first<16>()) {
            const auto byte = static_cast<unsigned char>(c);
            name += {digits[byte >> 4], digits[byte & 15]};
        }
    }
    return name + (format == QrImages::Format::svg ? ".svg" : ".png");
}

Answer encode(const Code& code, const ShowQr& asked, std::string_view request_id) {
    qr::Drawn drawn = draw_qr(code.code, asked.wish);
    if (std::holds_alternative<qr::TextTooLong>(drawn)) {
        return problem(400, qr_text_too_long,
                       "No QR code of this errorLevel holds this code and url; "
                       "a lower errorLevel or a shorter url may do",
                       request_id);
    }
    if (const auto* const small = std::get_if<qr::SizeTooSmall>(&drawn)) {
        return problem(400, qr_size_too_small,
                       "size must be at least " + std::to_string(small->least_px) +
                           " for this code, url, errorLevel and margin",
                       request_id);
    }
    Answer answer;
    answer.body = std::get<std::string>(std::move(drawn));
    answer.content_type = content_type_of(asked.wish.format);
    if (asked.wish.format == QrImages::Format::svg) {
        answer.content_security_policy = "default-src 'none'";
    }
    return answer;
}

}  // namespace coupond::wire
