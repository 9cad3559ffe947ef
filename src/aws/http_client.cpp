#include "aws/http_client.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>

#include "base/limits.hpp"

namespace coupond::aws {
namespace {

namespace http = boost::beast::http;
using net::Lost;
using net::SteadyTime;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

using Parser = http::response_parser<http::string_body>;

/// Calls `go_on(until)`, which waits and may be called again, until it returns true; false where it
/// has not by `until`.
template <class GoOn>
bool wait(SteadyTime until, const std::stop_token& stop, const GoOn& go_on) {
    for (;;) {
        if (stop.stop_requested()) throw Stopped();
        const SteadyTime now = steady_clock::now();
        if (go_on(std::min(until, now + milliseconds(limits::aws_stop_ms)))) return true;
        if (now >= until) return false;
    }
}

std::string text_of(const HttpRequest& request) {
    std::string text = request.method + " " + request.target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : request.fields) {
        text.append(name).append(": ").append(value).append("\r\n");
    }
    if (request.method != "HEAD") {
        text.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
    }
    return text.append("\r\n").append(request.body);
}

void begin(std::optional<Parser>& parser, bool has_body) {
    parser.emplace();
    parser->header_limit(limits::header_bytes);
    parser->body_limit(limits::aws_answer_bytes);
    parser->eager(true);
    parser->skip(!has_body);
}

/// Takes what there is of `received`; whether the answer is whole.
bool parse(std::optional<Parser>& parser, bool has_body, std::string& received) {
    for (;;) {
        boost::beast::error_code error;
        const std::size_t size =
            received.empty() ? 0 : parser->put(boost::asio::buffer(received), error);
        received.erase(0, size);
        if (error && error != http::error::need_more) {
            throw Lost(error == http::error::body_limit ? "an answer that is too long"
                                                        : "an answer that is not HTTP");
        }
        if (parser->is_done() && parser->get().result_int() >= 200) return true;
        if (parser->is_done()) {
            begin(parser, has_body);  // what came before was not the answer yet
        } else if (size == 0 || received.empty()) {
            return false;
        }
    }
}

}  // namespace

HttpClient::HttpClient(const Origin& origin, const std::string& root_certificate, int connect_ms)
    : origin_(origin), connect_wait_(connect_ms), resolver_(origin.host, origin.port) {
    if (origin_.tls) tls_.emplace(root_certificate);
}

HttpResponse HttpClient::exchange(const HttpRequest& request, SteadyTime until,
                                  const std::stop_token& stop) {
    if (!is_usable()) connect(until, stop);
    try {
        stream_->send(text_of(request));
        if (!wait(until, stop,
                  [&](SteadyTime slice) { return stream_->flush(received_, slice); })) {
            throw Lost("cannot send in time");
        }
        return receive(request.method != "HEAD", until, stop);
    } catch (...) {
        stream_.reset();
        throw;
    }
}

/// Whether there is a connection, as far as is known.
bool HttpClient::is_usable() {
    if (!stream_) return false;
    try {
        if (!stream_->receive(received_, SteadyTime())) return true;
    } catch (const Lost&) {
        // Servers end connections that are not used for a while.
    }
    stream_.reset();
    return false;
}

void HttpClient::connect(SteadyTime until, const std::stop_token& stop) {
    until = std::min(until, steady_clock::now() + connect_wait_);
    resolver_.begin();
    std::vector<net::Address> addresses;
    wait(until, stop, [&](SteadyTime slice) {
        addresses = resolver_.wait(slice);
        return !addresses.empty();
    });
    std::string reason = addresses.empty() ? "looking up the host took too long" : "";
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const SteadyTime now = steady_clock::now();
        const auto share = (until - now) / static_cast<int>(addresses.size() - i);
        received_.clear();
        try {
            stream_.emplace(addresses[i], tls_ ? &*tls_ : nullptr, origin_.host);
            if (wait(now + share, stop,
                     [&](SteadyTime slice) { return stream_->connect(slice); })) {
                return;
            }
            reason = "cannot connect: no answer in time";
        } catch (const Lost& lost) {
            reason = lost.reason();
        } catch (const Stopped&) {
            stream_.reset();
            throw;
        }
        stream_.reset();
    }
    throw Lost(reason);
}

HttpResponse HttpClient::receive(bool has_body, SteadyTime until, const std::stop_token& stop) {
    std::optional<Parser> parser;
    begin(parser, has_body);
    bool open = true;
    while (!parse(parser, has_body, received_)) {
        try {
            if (!wait(until, stop,
                      [&](SteadyTime slice) { return stream_->receive(received_, slice); })) {
                throw Lost("no answer in time");
            }
        } catch (const Lost&) {
            // An answer may say that it ends where the connection does.
            boost::beast::error_code error;
            if (!parser->got_some() || steady_clock::now() >= until) throw;
            parser->put_eof(error);
            if (error || !parser->is_done()) throw;
            open = false;
            break;
        }
    }
    HttpResponse response{static_cast<int>(parser->get().result_int()), {}, {}};
    if (const auto length = parser->content_length()) response.content_length = *length;
    if (!open || !parser->keep_alive() || !received_.empty()) stream_.reset();
    response.body = std::move(parser->get().body());
    return response;
}

}  // namespace coupond::aws
