// Where requests go.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace coupond::net {

struct Origin {
    bool tls = true;
    std::string host;  ///< a name or an address, an IPv6 one without brackets
    std::uint16_t port = 443;
};

/// The value of the Host field: with the port where it is not the usual one.
std::string host_field(const Origin& origin);

struct Url {
    Origin origin;
    std::string path;  ///< not percent-encoded, without a slash at its end
};

/// Reads http://host[:port][/path] or https://. Throws std::invalid_argument with what is wrong,
/// without the URL itself: it may hold a password.
Url parse_url(std::string_view url);

}  // namespace coupond::net
