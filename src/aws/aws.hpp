// What S3 and SQS have in common: whose requests they are, and what goes wrong.
#pragma once

#include <boost/system/result.hpp>
#include <stop_token>
#include <string>

#include "base/limits.hpp"

namespace coupond::aws {

struct Credentials {
    std::string access_key_id;
    std::string secret_access_key;
    std::string session_token;  ///< empty: they are no temporary ones
};

/// What is put up with. Others than these defaults are for tests.
struct Bounds {
    int connect_ms = limits::aws_connect_ms;
    int answer_ms = limits::aws_answer_ms;
    int call_ms = limits::aws_call_ms;
    int tries = limits::aws_tries;
    int pause_first_ms = limits::aws_pause_first_ms;
};

/// Why something was not done.
struct Error {
    enum class Kind {
        unavailable,  ///< tried until it took too long: no connection, no answer, or try again
                      ///< later
        refused,      ///< the service will not do it, and would not another time either
        stopped,      ///< nobody waits any more
    };
    Kind kind;
    /// For logs: what was asked of whom, and the answer. Without secrets, keys of objects and
    /// bodies.
    std::string message;
};

/// What `value()` throws; whoever calls asks `has_value()` first, so only a bug gets here.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Error>;

// Every call may be made on any one thread at a time. It waits for the network, on one connection
// that is kept and made again when it is lost; it repeats what has failed in a way that may pass
// (no connection, status 429 or 5xx, throttling), with growing pauses, up to limits::aws_call_ms
// in all, and notices within a quarter of a second that `stop` was asked for. So what it asks for
// may be done more than once. Redirects are not followed.

}  // namespace coupond::aws
