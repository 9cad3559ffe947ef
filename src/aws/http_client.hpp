// An HTTP/1.1 client of one server.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/origin.hpp"
#include "net/lost.hpp"
#include "net/resolver.hpp"
#include "net/stream.hpp"
#include "net/tls.hpp"

namespace coupond::aws {

struct HttpRequest {
    std::string method;
    std::string target;  ///< as it is sent
    /// As they are sent, Host among them; Content-Length is added.
    std::vector<std::pair<std::string, std::string>> fields;
    std::string_view body;
};

struct HttpResponse {
    int status = 0;
    std::string body;
    std::optional<std::uint64_t> content_length;  ///< as the server has said it
};

/// Nobody waits for the answer any more.
class Stopped {};

/// On a connection that is kept for the next request, if the server wants that too. Follows no
/// redirects and repeats nothing.
class HttpClient {
public:
    /// Throws std::invalid_argument where the root certificate, a PEM file, or the system's where
    /// there is no name, cannot be read. `connect_ms`: for a connection, with TLS.
    HttpClient(const Origin& origin, const std::string& root_certificate, int connect_ms);

    /// Throws net::Lost where there is no answer, or none in HTTP of up to
    /// limits::aws_answer_bytes, by `until`, and Stopped soon after `stop` was asked for; the
    /// request may have been done all the same.
    HttpResponse exchange(const HttpRequest& request, net::SteadyTime until,
                          const std::stop_token& stop);

private:
    void connect(net::SteadyTime until, const std::stop_token& stop);
    bool is_usable();
    HttpResponse receive(bool has_body, net::SteadyTime until, const std::stop_token& stop);

    const Origin origin_;
    const std::chrono::milliseconds connect_wait_;
    std::optional<net::TlsContext> tls_;
    net::Resolver resolver_;
    std::optional<net::Stream> stream_;
    std::string received_;
};

}  // namespace coupond::aws
