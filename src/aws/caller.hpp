// Signed requests, repeated as long as that may help.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "aws/aws.hpp"
#include "aws/sigv4.hpp"
#include "base/time.hpp"
#include "net/http_client.hpp"

namespace coupond::aws {

/// A request before it is signed.
struct Call {
    std::string what;  ///< for messages: `put an object into S3 bucket coupons at …`
    std::string method;
    std::string path;  ///< percent-encoded
    NamesAndValues fields;
    std::string_view body;
    int wait_ms = 0;  ///< that the service may wait before it answers
};

class Caller {
public:
    struct Options {
        net::Origin origin;
        std::string root_certificate;
        Scope scope;
        Credentials credentials;
        Bounds bounds;
        /// The service's code of what is wrong, such as `AccessDenied`; empty where there is none.
        std::function<std::string(const net::HttpResponse& response)> code_of;
    };

    /// Throws std::invalid_argument with what is wrong, without secrets.
    Caller(Options options, const Clock& clock);

    /// The answer, whatever its status, unless that may change when it is asked for again.
    Result<net::HttpResponse> call(const Call& call, const std::stop_token& stop);

    /// What an answer is that was not hoped for.
    Error refused(const Call& call, const net::HttpResponse& response) const;
    /// An answer that makes no sense.
    static Error misunderstood(const Call& call);

private:
    net::HttpRequest sign(const Call& call) const;
    bool may_pass(const net::HttpResponse& response) const;
    std::string describe(const net::HttpResponse& response) const;

    const Options options_;
    const Clock& clock_;
    net::HttpClient client_;
};

/// Whether all of `text` may stand in a field's value: visible ASCII.
bool is_visible_ascii(std::string_view text);

}  // namespace coupond::aws
