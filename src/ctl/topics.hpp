// What `couponctl help TOPIC` and the manual explain besides the commands.
#pragma once

#include <array>

namespace coupond::ctl {

struct Topic {
    const char* name;
    const char* title;
    const char* text;  ///< lines
};

extern const std::array<Topic, 6> topics;

}  // namespace coupond::ctl
