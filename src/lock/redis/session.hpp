// The connection to Redis as something that is always there, as far as possible: made again when it
// is lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/failure.hpp"
#include "lock/redis/connection.hpp"

namespace coupond::redis {

/// What a call of the port fails with, and why.
class Failed {
public:
    Failed(Failure failure, std::string reason) : failure_(failure), reason_(std::move(reason)) {}
    Failure failure() const { return failure_; }
    const std::string& reason() const { return reason_; }

private:
    Failure failure_;
    std::string reason_;
};

class Session {
public:
    /// Throws std::invalid_argument where the root certificate cannot be read.
    explicit Session(const Options& options);
    /// Waits, within limits::locks_wait_ms, until Redis has taken what was posted.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Sends commands that may run twice and waits for their replies, none of which is an error.
    /// Ends within limits::locks_wait_ms: waits and connects again where all was well until now,
    /// and fails at once where it has not been and it is not time for the next try. Throws Failed:
    /// unavailable.
    std::vector<Reply> ask(const Pipeline& pipeline);

    /// The same for commands that must not run twice, nor on another connection than the one that
    /// had this `epoch`. Throws Failed: conflict (it is another connection by now; nothing was
    /// sent), unavailable (nothing was done), indeterminate.
    std::vector<Reply> ask_once(const Pipeline& pipeline, std::uint64_t epoch);

    /// Sends commands that may run twice and does not wait for the replies. Tries a second time
    /// where the connection is lost meanwhile.
    void post(Pipeline pipeline);

    /// Gives up the connection because an answer made no sense. Throws Failed.
    [[noreturn]] void misunderstood(Failure failure = Failure::unavailable);

    /// Counts the connections, from 1.
    std::uint64_t epoch() const { return epoch_; }

private:
    struct Posted {
        Pipeline pipeline;
        int times_sent = 0;
        bool due = false;  ///< its replies come next
    };

    void settle(SteadyTime until);
    std::vector<Reply> exchange(const Pipeline& pipeline, std::optional<std::uint64_t> epoch,
                                SteadyTime until);
    std::vector<Reply> exchange_now(const Pipeline& pipeline, SteadyTime until);
    std::vector<Reply> receive_posted_and(std::size_t count, SteadyTime until);
    void send_posted();
    void connect(SteadyTime until);
    void begin_connecting(SteadyTime until);
    void drop(const Lost& lost);
    void expect_no_errors(const std::vector<Reply>& replies, bool once);

    const Options options_;
    std::optional<net::TlsContext> tls_;
    net::Resolver resolver_;
    std::optional<Connection> connection_;
    bool connected_ = false;  // connection_ is ready
    std::uint64_t epoch_ = 0;
    bool failing_ = false;  // the last call had no connection to the end
    int tries_ = 0;         // to connect, since an exchange worked
    SteadyTime next_try_;
    std::string last_reason_;
    std::optional<Posted> posted_;
};

}  // namespace coupond::redis
