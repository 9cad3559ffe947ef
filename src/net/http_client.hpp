// An HTTP/1.1 client of one server (RFC 9110, RFC 9112).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/lost.hpp"
#include "net/origin.hpp"
#include "net/resolver.hpp"
#include "net/stream.hpp"
#include "net/tls.hpp"

namespace coupond::net {

struct HttpRequest {
    std::string method;
    std::string target;  ///< as it is sent
    /// As they are sent, Host among them; how long the body is is added.
    std::vector<std::pair<std::string, std::string>> fields;
    std::string_view body;
    /// Instead of `body`, of any length: appends the next piece; nothing at its end. What it throws
    /// is thrown by the exchange.
    std::function<void(std::string& to)> next_piece = {};
};

struct HttpResponse {
    int status = 0;
    std::string body;
    std::optional<std::uint64_t> content_length;  ///< as the server has said it
    std::vector<std::pair<std::string, std::string>> fields;

    /// The value of the first field of this name, in any case; nothing where there is none.
    std::optional<std::string_view> field(std::string_view name) const;
};

/// Nobody waits for the answer any more.
class Stopped {};

/// What came is no answer in HTTP, or none as long as is allowed: it will be the next time too.
class Garbled : public Lost {
public:
    using Lost::Lost;
};

/// How long an exchange may take.
struct Patience {
    SteadyTime until = SteadyTime::max();
    /// Without a byte that was sent or received.
    std::chrono::milliseconds silence = std::chrono::hours(24);
};

/// Takes the body of an answer as it comes, a piece at a time.
using BodySink = std::function<void(const HttpResponse& head, std::string_view piece)>;

/// On a connection that is kept for the next request, if the server wants that too. Follows no
/// redirects and repeats nothing.
class HttpClient {
public:
    /// `root_certificate`: a PEM file, or the system's where there is no name; throws
    /// std::invalid_argument where it cannot be read. `connect_ms`: for a connection, with TLS.
    /// `answer_bytes`: how long the body of an answer may be that no sink takes.
    HttpClient(const Origin& origin, const std::string& root_certificate, int connect_ms,
               std::size_t answer_bytes);

    /// An answer that comes before the request has been sent ends the sending. With a `sink` the
    /// body goes there and not into the answer. Throws Lost where there is no answer within
    /// `patience`, Garbled where there is none that can be read, and Stopped soon after `stop` was
    /// asked for; the request may have been done all the same. What the sink throws is thrown.
    HttpResponse exchange(const HttpRequest& request, const Patience& patience,
                          const std::stop_token& stop, const BodySink& sink = {});

    /// Whether the last exchange that threw had sent any of its request.
    bool has_sent() const { return has_sent_; }

private:
    class Answer;
    class Watch;

    void connect(const Patience& patience, const std::stop_token& stop);
    bool is_usable();
    bool send(const HttpRequest& request, Answer& answer, Watch& watch);

    const Origin origin_;
    const std::chrono::milliseconds connect_wait_;
    const std::size_t answer_bytes_;
    std::optional<TlsContext> tls_;
    Resolver resolver_;
    std::optional<Stream> stream_;
    std::string received_;
    bool has_sent_ = false;
};

}  // namespace coupond::net
