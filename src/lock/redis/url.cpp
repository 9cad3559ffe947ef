#include <algorithm>
#include <boost/url/host_type.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>

#include "lock/redis/redis.hpp"

namespace coupond::redis {
namespace {

constexpr int database_most = 1'000'000;  ///< well beyond what servers are configured with

[[noreturn]] void refuse(const char* why) {
    throw std::invalid_argument(why);
}

bool is_tls(std::string scheme) {
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](char c) { return 'A' <= c && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (scheme != "redis" && scheme != "rediss") refuse("must begin with redis:// or rediss://");
    return scheme == "rediss";
}

std::string parse_host(const boost::urls::url_view& url) {
    const bool known = url.host_type() != boost::urls::host_type::none &&
                       url.host_type() != boost::urls::host_type::ipvfuture;
    std::string host = known ? url.host_address() : std::string();
    const bool fit = std::none_of(host.begin(), host.end(), [](char c) {
        return (static_cast<unsigned char>(c) <= ' ') || c == '\x7f';
    });
    if (host.empty() || !fit) refuse("must name a host or an address");
    return host;
}

int parse_database(std::string_view path) {
    if (!path.empty()) path.remove_prefix(1);
    if (path.empty()) return 0;
    int database = 0;
    const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), database);
    const bool whole = error == std::errc() && end == path.data() + path.size();
    if (!whole || path.front() == '-' || database > database_most) {
        refuse("what follows the host and a / must be the number of a database");
    }
    return database;
}

}  // namespace

Options parse_url(std::string_view text) {
    const auto parsed = boost::urls::parse_uri(text);
    if (!parsed) {
        refuse(
            "must be a URL such as redis://user:password@host:6379/0, with special characters in "
            "the user and the password percent-encoded");
    }
    const boost::urls::url_view& url = *parsed;
    Options options;
    options.tls = is_tls(url.scheme());
    options.host = parse_host(url);
    if (url.has_port() && !url.port().empty()) {
        options.port = url.port_number();
        if (options.port == 0) refuse("the port must be a whole number from 1 to 65535");
    }
    options.username = url.user();
    options.password = url.password();
    if (!options.username.empty() && options.password.empty()) {
        refuse("a user needs a password; a password alone is written :password@host");
    }
    options.database = parse_database(url.encoded_path());
    if (url.has_query() || url.has_fragment()) refuse("must not have parameters after the path");
    return options;
}

std::string name(const Options& options) {
    const bool is_ipv6 = options.host.find(':') != std::string::npos;
    return "Redis at " + (is_ipv6 ? "[" + options.host + "]" : options.host) + ":" +
           std::to_string(options.port);
}

}  // namespace coupond::redis
