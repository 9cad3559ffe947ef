#include "http/response.hpp"

#include <array>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "base/limits.hpp"

namespace coupond::http {
namespace {

void append_number(std::string& out, std::size_t number, int base = 10) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
    out.append(digits.data(), end);
}

void append_status_line(std::string& out, int status) {
    switch (status) {
        case 200: out += "HTTP/1.1 200 OK\r\n"; return;
        case 201: out += "HTTP/1.1 201 Created\r\n"; return;
        default: break;
    }
    const auto phrase =
        boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
    out += "HTTP/1.1 ";
    append_number(out, static_cast<std::size_t>(status));
    out += ' ';
    out.append(phrase.data(), phrase.size());
    out += "\r\n";
}

}  // namespace

std::string http_date(Timestamp at) {
    static constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed",
                                                        "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> months = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::time_t seconds = at.ms / 1000;
    std::tm utc = {};
    gmtime_r(&seconds, &utc);
    std::array<char, 64> text;
    const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                   days[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                                   months[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900,
                                   utc.tm_hour, utc.tm_min, utc.tm_sec);
    return std::string(text.data(), static_cast<std::size_t>(size));
}

void append_head(std::string& out, const wire::Answer& answer, const ResponseHead& head) {
    append_status_line(out, answer.status);
    out += head.common_fields;
    out += "Content-Type: ";
    out += answer.content_type;
    switch (head.framing) {
        case ResponseHead::Framing::length:
            out += "\r\nContent-Length: ";
            append_number(out, head.content_length);
            break;
        case ResponseHead::Framing::chunked: out += "\r\nTransfer-Encoding: chunked"; break;
        case ResponseHead::Framing::until_close:
        case ResponseHead::Framing::none: break;
    }
    out += "\r\nCache-Control: ";
    out += answer.cache_control;
    out += "\r\nX-Request-Id: ";
    out += head.request_id;
    if (!answer.link.empty()) {
        out += "\r\nLink: ";
        out += answer.link;
    }
    if (!answer.location.empty()) out.append("\r\nLocation: ").append(answer.location);
    if (!answer.guess_probability.empty()) {
        out.append("\r\nCoupond-Guess-Probability: ").append(answer.guess_probability);
    }
    if (answer.replayed) out += "\r\nIdempotent-Replayed: true";
    if (!answer.content_security_policy.empty()) {
        out += "\r\nContent-Security-Policy: ";
        out += answer.content_security_policy;
    }
    if (!answer.content_disposition.empty()) {
        out.append("\r\nContent-Disposition: ").append(answer.content_disposition);
    }
    if (!answer.content_encoding.empty()) {
        out.append("\r\nContent-Encoding: ").append(answer.content_encoding);
    }
    if (!answer.vary.empty()) out.append("\r\nVary: ").append(answer.vary);
    if (answer.unbuffered) out += "\r\nX-Accel-Buffering: no";
    if (answer.retry_after) {
        out += "\r\nRetry-After: ";
        append_number(out, static_cast<std::size_t>(limits::retry_after_seconds));
    }
    switch (head.persistence) {
        case ResponseHead::Persistence::keep_1_1: break;
        case ResponseHead::Persistence::keep_1_0: out += "\r\nConnection: keep-alive"; break;
        case ResponseHead::Persistence::close: out += "\r\nConnection: close"; break;
    }
    out += "\r\n\r\n";
}

void append_chunk_size(std::string& out, std::size_t size) {
    append_number(out, size, 16);
    out += "\r\n";
}

}  // namespace coupond::http
