// What goes wrong with Redis.
#pragma once

#include "net/lost.hpp"

namespace coupond::redis {

using net::Lost;
using net::SteadyTime;

}  // namespace coupond::redis
