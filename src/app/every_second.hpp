// How often a subcommand tells how far it is.
#pragma once

#include <chrono>

namespace coupond {

class EverySecond {
public:
    /// Whether a second has gone by since it last said so, or since it was made.
    bool due() {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::seconds(1)) return false;
        last_ = now;
        return true;
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace coupond
