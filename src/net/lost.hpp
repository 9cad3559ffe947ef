// What goes wrong with connections.
#pragma once

#include <chrono>
#include <string>
#include <utility>

namespace coupond::net {

using SteadyTime = std::chrono::steady_clock::time_point;

/// The connection cannot be used (any more): it cannot be made, was lost, did not answer in time or
/// not in the protocol that was expected.
class Lost {
public:
    explicit Lost(std::string reason) : reason_(std::move(reason)) {}
    const std::string& reason() const { return reason_; }

private:
    std::string reason_;
};

/// The other end has closed the connection in order: there is nothing more to come.
class Closed : public Lost {
public:
    using Lost::Lost;
};

}  // namespace coupond::net
