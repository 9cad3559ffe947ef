#include "http/head.hpp"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <cstring>

#include "base/limits.hpp"

namespace coupond::http {
namespace {

namespace beast = boost::beast;
using beast::http::error;

bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/// Whether only what may stand in a host, IPv6 brackets and a port included, stands there.
bool is_fit_host(std::string_view host) {
    return std::all_of(host.begin(), host.end(), [](char c) {
        return is_alphanumeric(c) ||
               std::string_view("-._~%!$&'()*+,;=:[]").find(c) != std::string_view::npos;
    });
}

bool is_fit_request_id(std::string_view id) {
    return !id.empty() && id.size() <= limits::request_id_bytes &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return is_alphanumeric(c) || c == '.' || c == '_' || c == ':' || c == '-';
           });
}

/// Several fields of a name are as one with commas between their values.
void add_value(std::optional<std::string>& field, std::string_view value) {
    if (field) {
        field->append(", ").append(value);
    } else {
        field.emplace(value);
    }
}

/// Whether the request line is a proper one of a version that coupond does not speak.
bool is_other_version(std::string_view head) {
    const std::string_view line = head.substr(0, head.find('\r'));
    const std::size_t at = line.rfind(" HTTP/");
    if (at == std::string_view::npos || std::count(line.begin(), line.end(), ' ') != 2) {
        return false;
    }
    const std::string_view version = line.substr(at + 6);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return version.size() == 3 && is_digit(version[0]) && version[1] == '.' && is_digit(version[2]);
}

}  // namespace

HeadScanner::Found HeadScanner::scan(std::string_view bytes) {
    while (searched_ < bytes.size()) {
        const void* const found =
            std::memchr(bytes.data() + searched_, '\n', bytes.size() - searched_);
        if (found == nullptr) {
            searched_ = bytes.size();
            break;
        }
        const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        const std::string_view line = bytes.substr(line_, end - line_);
        searched_ = line_ = end + 1;
        if (!line.ends_with('\r')) return Found::malformed;
        if (line.size() == 1) return Found::end;
        if (line.front() == ' ' || line.front() == '\t') return Found::malformed;
    }
    return Found::nothing_yet;
}

void Head::clear() {
    method.clear();
    target.clear();
    content_type.clear();
    request_id.clear();
    idempotency_key.reset();
    last_event_id.reset();
    accept.reset();
    accept_encoding.reset();
    is_http_1_1 = false;
    keep_alive = false;
    is_chunked = false;
    content_length = 0;
    is_encoded = false;
    expects_continue = false;
    expects_otherwise = false;
}

RequestParser::RequestParser(Head& head, std::string& body, std::size_t header_bytes)
    : head_(head), body_(body) {
    header_limit(static_cast<std::uint32_t>(header_bytes));
    body_limit(boost::none);  // of the head: what is too much, its route tells
}

std::optional<Refusal> RequestParser::parse_head(std::string_view bytes) {
    Error failure;
    put(boost::asio::buffer(bytes), failure);
    if (failure == error::bad_version && is_other_version(bytes)) {
        return Refusal{505, "http_version_not_supported", "Only HTTP/1.1 and HTTP/1.0 are spoken"};
    }
    if (failure) return malformed_request;
    if (hosts_ > 1 || !host_is_fit_ || (hosts_ == 0 && head_.is_http_1_1)) {
        return Refusal{400, "malformed_request", "The request needs one valid Host header"};
    }
    // Announced by the older version, a chunked body may pass a proxy as something else.
    if (head_.is_chunked && !head_.is_http_1_1) return malformed_request;
    head_.keep_alive = keep_alive();
    return {};
}

std::size_t RequestParser::parse_body(std::string_view bytes, std::optional<Refusal>& refusal) {
    eager(true);
    return parse_some(bytes, refusal);
}

std::size_t RequestParser::parse_piece(std::string_view bytes, std::string_view& piece,
                                       std::optional<Refusal>& refusal) {
    eager(false);  // stops behind each chunk's header and each piece
    piece_ = {};
    std::size_t taken = 0;
    while (piece_.empty() && taken < bytes.size() && !is_done() && !refusal) {
        const std::size_t more = parse_some(bytes.substr(taken), refusal);
        if (more == 0) break;
        taken += more;
    }
    piece = piece_;
    return taken;
}

std::size_t RequestParser::parse_some(std::string_view bytes, std::optional<Refusal>& refusal) {
    Error failure;
    const std::size_t taken = put(boost::asio::buffer(bytes), failure);
    if (failure == error::body_limit) {
        refusal = payload_too_large;
    } else if (failure && failure != error::need_more) {
        refusal = malformed_request;
    }
    return taken;
}

void RequestParser::on_request_impl(beast::http::verb, Text method, Text target, int version,
                                    Error&) {
    head_.method.assign(method.data(), method.size());
    head_.target.assign(target.data(), target.size());
    head_.is_http_1_1 = version == 11;
}

void RequestParser::on_field_impl(Field field, Text name, Text value, Error& failure) {
    if (in_trailer_) return;
    const std::string_view text(value.data(), value.size());
    if (field == Field::content_length || field == Field::transfer_encoding) {
        on_framing_field(field, text, failure);
    } else {
        on_other_field(field, std::string_view(name.data(), name.size()), text);
    }
}

void RequestParser::on_framing_field(Field field, std::string_view value, Error& failure) {
    if (field == Field::transfer_encoding) {
        // Beast lets other codings pass and then sees no body.
        if (!beast::iequals(value, "chunked")) failure = error::bad_transfer_encoding;
        head_.is_chunked = true;
        return;
    }
    // Beast lets equal ones pass, in one field or two.
    if (++lengths_ > 1) failure = error::multiple_content_length;
    if (value.find_first_not_of("0123456789") != std::string_view::npos) {
        failure = error::bad_content_length;
    }
}

void RequestParser::on_other_field(Field field, std::string_view name, std::string_view value) {
    switch (field) {
        case Field::host:
            ++hosts_;
            host_is_fit_ = is_fit_host(value);
            break;
        case Field::content_type:
            if (head_.content_type.empty()) head_.content_type = value;
            break;
        case Field::accept: add_value(head_.accept, value); break;
        case Field::accept_encoding: add_value(head_.accept_encoding, value); break;
        case Field::content_encoding:
            if (!beast::iequals(value, "identity")) head_.is_encoded = true;
            break;
        case Field::expect:
            if (beast::iequals(value, "100-continue")) {
                head_.expects_continue = true;
            } else {
                head_.expects_otherwise = true;
            }
            break;
        case Field::unknown:
            if (beast::iequals(name, "X-Request-Id")) {
                head_.request_id.clear();
                if (++request_ids_ == 1 && is_fit_request_id(value)) head_.request_id = value;
            } else if (beast::iequals(name, "Idempotency-Key")) {
                add_value(head_.idempotency_key, value);
            } else if (beast::iequals(name, "Last-Event-ID")) {
                add_value(head_.last_event_id, value);
            }
            break;
        default: break;
    }
}

void RequestParser::on_header_impl(Error&) {
    in_trailer_ = true;
    head_.content_length = content_length().value_or(0);
}

std::size_t RequestParser::on_body_impl(Text bytes, Error&) {
    on_body_bytes(bytes);
    return bytes.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, Text bytes, Error&) {
    on_body_bytes(bytes);
    return bytes.size();
}

void RequestParser::on_body_bytes(Text bytes) {
    if (eager()) {
        body_.append(bytes.data(), bytes.size());
    } else {
        piece_ = {bytes.data(), bytes.size()};
    }
}

}  // namespace coupond::http
