#include "net/origin.hpp"

#include <algorithm>
#include <boost/url/host_type.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <stdexcept>

namespace coupond::net {
namespace {

constexpr std::uint16_t usual_port(bool tls) {
    return tls ? 443 : 80;
}

std::uint16_t parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
        throw std::invalid_argument("must have a port from 1 to 65535");
    }
    return port;
}

}  // namespace

std::string host_field(const Origin& origin) {
    const bool is_ipv6 = origin.host.find(':') != std::string::npos;
    std::string text = is_ipv6 ? "[" + origin.host + "]" : origin.host;
    if (origin.port != usual_port(origin.tls)) text += ":" + std::to_string(origin.port);
    return text;
}

Url parse_url(std::string_view text) {
    const auto parsed = boost::urls::parse_uri(text);
    if (!parsed || (parsed->scheme_id() != boost::urls::scheme::http &&
                    parsed->scheme_id() != boost::urls::scheme::https)) {
        throw std::invalid_argument("must be a URL that begins with http:// or https://");
    }
    const boost::urls::url_view& url = *parsed;
    if (url.has_userinfo() || url.has_query() || url.has_fragment()) {
        throw std::invalid_argument("must have no user, no parameters and no fragment");
    }
    Url read;
    read.origin.tls = url.scheme_id() == boost::urls::scheme::https;
    read.origin.host = url.host_address();
    const bool fit =
        url.host_type() != boost::urls::host_type::ipvfuture &&
        std::ranges::all_of(read.origin.host, [](char c) { return c > ' ' && c < '\x7f'; });
    if (read.origin.host.empty() || !fit) {
        throw std::invalid_argument("must name a host or an address");
    }
    read.origin.port = usual_port(read.origin.tls);
    if (url.has_port() && !url.port().empty()) {
        read.origin.port = parse_port(std::string_view(url.port()));
    }
    read.path = url.path();
    while (read.path.ends_with('/')) read.path.pop_back();
    return read;
}

}  // namespace coupond::net
