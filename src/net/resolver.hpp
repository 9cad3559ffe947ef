// The addresses of a host name, within a time: getaddrinfo(3) knows no time-out.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "net/lost.hpp"

namespace coupond::net {

struct Address {
    sockaddr_storage socket_address{};
    socklen_t size = 0;
};

/// Asks on a thread of its own, at most one at a time, which goes on when nobody waits any more,
/// even beyond this object's life.
class Resolver {
public:
    Resolver(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    /// Begins to ask, unless an earlier question is still open. Numeric addresses are read at once.
    void begin();
    /// Waits for the answer: at least one address, or none when it has not come by `until`. Throws
    /// Lost when there are none.
    std::vector<Address> wait(SteadyTime until);

private:
    struct Question;

    const std::string host_;
    const std::uint16_t port_;
    std::shared_ptr<Question> open_;
};

}  // namespace coupond::net
