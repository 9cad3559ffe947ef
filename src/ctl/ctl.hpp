// couponctl, the command line client: everything that the HTTP API can do.
#pragma once

namespace coupond {

/// What couponctl ends with.
namespace exit_status {
inline constexpr int done = 0;
inline constexpr int refused = 1;      ///< by the server, whose reason code is on stderr
inline constexpr int usage = 2;        ///< nothing was asked of a server
inline constexpr int unreachable = 3;  ///< no answer that can be understood, or none in time
inline constexpr int interrupted = 130;
}  // namespace exit_status

/// Runs one command; what it returns is what the process is to end with.
int run_ctl(int argc, char** argv);

}  // namespace coupond
