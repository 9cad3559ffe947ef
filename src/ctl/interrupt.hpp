// Ctrl-C, as a request to stop.
#pragma once

#include <stop_token>

namespace coupond::ctl {

/// From now on SIGINT and SIGTERM ask this token to stop; the second one ends the process at once.
/// To be called once, before there are other threads.
std::stop_token stop_on_interrupt();

}  // namespace coupond::ctl
