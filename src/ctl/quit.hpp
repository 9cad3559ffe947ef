// Why a command cannot go on.
#pragma once

#include <stdexcept>
#include <string>

#include "ctl/ctl.hpp"

namespace coupond::ctl {

/// Ends the command. `what()` says what is wrong, `next` what to do about it: one line each, for
/// people; a `next` that is empty is not shown.
class Quit : public std::runtime_error {
public:
    Quit(int status, const std::string& message, std::string next)
        : std::runtime_error(message), status_(status), next_(std::move(next)) {}

    int status() const { return status_; }
    const std::string& next() const { return next_; }

private:
    int status_;
    std::string next_;
};

inline Quit wrong_usage(const std::string& message, std::string next) {
    return {exit_status::usage, message, std::move(next)};
}

/// Where what was answered cannot be coupond's.
inline Quit no_coupond(const std::string& message) {
    return {exit_status::unreachable, message, "see that it is coupond's address: couponctl ping"};
}

}  // namespace coupond::ctl
