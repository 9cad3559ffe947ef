#include <string>
#include <utility>

#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

std::string text_of(const std::string& code, const std::string& url) {
    if (url.empty()) return code;
    std::string text = url;
    return text.replace(text.find(code_place), code_place.size(), escaped(code));
}

}  // namespace

Answer encode(const Code& code, const ShowQr& asked, std::string_view request_id) {
    qr::Drawn drawn = qr::draw(text_of(code.code, asked.url), asked.drawing);
    if (std::holds_alternative<qr::TextTooLong>(drawn)) {
        return problem(400, "qr_text_too_long",
                       "No QR code of this errorLevel holds this code and url; "
                       "a lower errorLevel or a shorter url may do",
                       request_id);
    }
    if (const auto* const small = std::get_if<qr::SizeTooSmall>(&drawn)) {
        return problem(400, "qr_size_too_small",
                       "size must be at least " + std::to_string(small->least_px) +
                           " for this code, url, errorLevel and margin",
                       request_id);
    }
    const bool svg = asked.drawing.format == qr::Format::svg;
    Answer answer;
    answer.body = std::get<std::string>(std::move(drawn));
    answer.content_type = svg ? "image/svg+xml" : "image/png";
    if (svg) answer.content_security_policy = "default-src 'none'";
    return answer;
}

}  // namespace coupond::wire
