#include "net/http_client.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>

#include "base/limits.hpp"

namespace coupond::net {
namespace {

namespace http = boost::beast::http;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int interim_most = 16;  // answers that are none yet (RFC 9110, 15.2)

std::string head_of(const HttpRequest& request) {
    std::string text = request.method + " " + request.target + " HTTP/1.1\r\n";
    for (const auto& [name, value] : request.fields) {
        text.append(name).append(": ").append(value).append("\r\n");
    }
    if (request.next_piece) {
        text.append("Transfer-Encoding: chunked\r\n");
    } else if (request.method != "HEAD" && request.method != "GET") {
        text.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
    }
    return text.append("\r\n");
}

/// RFC 9112, section 7.1.
std::string chunk_of(std::string_view piece) {
    std::array<char, 16> size;
    const auto end = std::to_chars(size.data(), size.data() + size.size(), piece.size(), 16).ptr;
    std::string text(size.data(), end);
    return text.append("\r\n").append(piece).append("\r\n");
}

}  // namespace

/// Waits in short steps, to notice that nobody waits any more and that nothing comes.
class HttpClient::Watch {
public:
    Watch(const Patience& patience, const std::stop_token& stop)
        : patience_(patience), stop_(stop) {}

    /// Calls `go_on(until)`, which waits and may be called again, until it returns true; false
    /// where that takes too long. `progress()` is a number that changes with every byte.
    template <class Progress, class GoOn>
    bool wait(const Progress& progress, const GoOn& go_on) {
        for (;;) {
            if (stop_.stop_requested()) throw Stopped();
            const SteadyTime now = steady_clock::now();
            if (const std::size_t bytes = progress(); bytes != bytes_) {
                bytes_ = bytes;
                heard_ = now;
            }
            if (now >= patience_.until || now - heard_ >= patience_.silence) return false;
            if (go_on(std::min(patience_.until, now + milliseconds(limits::client_stop_ms)))) {
                return true;
            }
        }
    }

private:
    const Patience patience_;
    const std::stop_token stop_;
    std::size_t bytes_ = 0;
    SteadyTime heard_ = steady_clock::now();
};

/// Reads one answer from what is received.
class HttpClient::Answer {
public:
    Answer(bool has_body, std::size_t most_bytes, const BodySink& sink)
        : has_body_(has_body), most_bytes_(most_bytes), sink_(sink) {
        begin();
    }

    /// Takes what there is of `received`; whether the answer is whole.
    bool take(std::string& received) {
        for (;;) {
            const std::size_t before = received.size();
            if (before > 0) put(received);
            if (is_whole()) return true;
            if (parser_->is_done()) {
                if (++interim_ > interim_most) {
                    throw Garbled("no end of answers that are none yet");
                }
                begin();  // what came before was not the answer yet
            } else if (received.empty() || received.size() == before) {
                return false;
            }
        }
    }

    /// Where the connection has ended: whether the answer may end so.
    bool ends_here() {
        boost::beast::error_code error;
        if (!parser_->got_some()) return false;
        parser_->put_eof(error);
        return !error && is_whole();
    }

    bool keep_alive() const { return parser_->keep_alive(); }
    HttpResponse response() && { return std::move(response_); }

private:
    using Parser = http::response_parser<http::buffer_body>;

    void begin() {
        parser_.emplace();
        parser_->header_limit(limits::header_bytes);
        parser_->body_limit(boost::none);
        parser_->skip(!has_body_);
        response_ = {};
    }

    bool is_whole() const { return parser_->is_done() && parser_->get().result_int() >= 200; }

    void put(std::string& received) {
        std::array<char, 32 * 1024> piece;
        auto& body = parser_->get().body();
        body.data = piece.data();
        body.size = piece.size();
        body.more = true;
        boost::beast::error_code error;
        const bool had_head = parser_->is_header_done();
        const std::size_t size = parser_->put(boost::asio::buffer(received), error);
        received.erase(0, size);
        if (error && error != http::error::need_more && error != http::error::need_buffer) {
            throw Garbled("an answer that is not HTTP");
        }
        if (!had_head && parser_->is_header_done()) take_head();
        const std::string_view text(piece.data(), piece.size() - body.size);
        if (text.empty() || parser_->get().result_int() < 200) return;
        if (sink_) return sink_(response_, text);
        if (response_.body.size() + text.size() > most_bytes_) {
            throw Garbled("an answer that is too long");
        }
        response_.body += text;
    }

    void take_head() {
        response_.status = static_cast<int>(parser_->get().result_int());
        for (const auto& field : parser_->get()) {
            response_.fields.emplace_back(field.name_string(), field.value());
        }
        if (const auto length = parser_->content_length()) response_.content_length = *length;
        if (has_body_ && !sink_ && response_.content_length.value_or(0) > most_bytes_) {
            throw Garbled("an answer that is too long");
        }
    }

    const bool has_body_;
    const std::size_t most_bytes_;
    const BodySink& sink_;
    std::optional<Parser> parser_;
    HttpResponse response_;
    int interim_ = 0;
};

std::optional<std::string_view> HttpResponse::field(std::string_view name) const {
    for (const auto& [each, value] : fields) {
        if (boost::beast::iequals(each, name)) return value;
    }
    return std::nullopt;
}

HttpClient::HttpClient(const Origin& origin, const std::string& root_certificate, int connect_ms,
                       std::size_t answer_bytes)
    : origin_(origin),
      connect_wait_(connect_ms),
      answer_bytes_(answer_bytes),
      resolver_(origin.host, origin.port) {
    if (origin_.tls) tls_.emplace(root_certificate);
}

HttpResponse HttpClient::exchange(const HttpRequest& request, const Patience& patience,
                                  const std::stop_token& stop, const BodySink& sink) {
    has_sent_ = false;
    if (!is_usable()) connect(patience, stop);
    try {
        Watch watch(patience, stop);
        Answer answer(request.method != "HEAD", answer_bytes_, sink);
        bool all_sent = false, open = true;
        try {
            all_sent = send(request, answer, watch);
        } catch (const Garbled&) {
            throw;
        } catch (const Closed&) {
            if (!answer.take(received_) && !answer.ends_here()) throw;
            open = false;
        } catch (const Lost&) {
            // Who refuses a request may do so before all of it has come, and go: what was said is
            // still to be had.
        }
        std::size_t bytes = 0;
        while (open && !answer.take(received_)) {
            try {
                const bool came = watch.wait(
                    [&] { return stream_->taken() + bytes; },
                    [&](SteadyTime slice) { return stream_->receive(received_, slice); });
                if (!came) throw Lost("no answer in time");
                bytes += received_.size();
            } catch (const Closed&) {
                // An answer may say that it ends where the connection does (RFC 9112, 6.3).
                if (!answer.ends_here()) throw;
                open = false;
                break;
            }
        }
        if (!open || !all_sent || !answer.keep_alive() || !received_.empty()) stream_.reset();
        return std::move(answer).response();
    } catch (...) {
        stream_.reset();
        throw;
    }
}

/// Sends until there is nothing left, or the answer is there; whether all was sent.
bool HttpClient::send(const HttpRequest& request, Answer& answer, Watch& watch) {
    const auto flush = [&] {
        const std::size_t before = received_.size();
        const bool done =
            watch.wait([&] { return stream_->taken(); },
                       [&](SteadyTime slice) {
                           return stream_->flush(received_, slice) || received_.size() > before;
                       });
        if (!done) throw Lost("cannot send in time");
    };
    has_sent_ = true;
    stream_->send(head_of(request) + std::string(request.next_piece ? "" : request.body));
    flush();
    if (!request.next_piece) return true;
    for (std::string piece;; piece.clear()) {
        stream_->receive(received_, SteadyTime());  // what there is: a refusal, perhaps
        if (answer.take(received_)) return false;
        request.next_piece(piece);
        stream_->send(piece.empty() ? "0\r\n\r\n" : chunk_of(piece));
        flush();
        if (piece.empty()) return true;
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

void HttpClient::connect(const Patience& patience, const std::stop_token& stop) {
    const SteadyTime until = std::min(patience.until, steady_clock::now() + connect_wait_);
    const auto wait = [&](SteadyTime most, const auto& go_on) {
        return Watch({most}, stop).wait([] { return std::size_t{0}; }, go_on);
    };
    resolver_.begin();
    std::vector<Address> addresses;
    wait(until, [&](SteadyTime slice) {
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
            if (wait(now + share, [&](SteadyTime slice) { return stream_->connect(slice); })) {
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

}  // namespace coupond::net
