// One connection to Redis: made, introduced, and then questions and answers.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lock/redis/error.hpp"
#include "lock/redis/pipeline.hpp"
#include "lock/redis/redis.hpp"
#include "net/stream.hpp"

struct redisReader;
struct redisReply;

namespace coupond::redis {

struct FreeReply {
    void operator()(redisReply* reply) const;
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

/// The error in `reply`, such as `OOM command not allowed ...`, cut before what Redis may quote of
/// the command: codes or a password. Nothing where it is not an error.
std::optional<std::string> error_of(const redisReply& reply);

/// Everything throws Lost when it cannot be used any more. Never waits beyond the times given.
class Connection {
public:
    /// Begins to connect. `tls`: nothing for plain TCP. All of it must outlive this.
    Connection(const Options& options, const net::TlsContext* tls, net::Resolver& resolver);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Goes on connecting: name, TCP, TLS, password, database, scripts. Whether it is ready to be
    /// used. Lost also where it is not limits::connect_wait_ms after it was begun.
    bool advance(SteadyTime until);

    /// Throws where the connection is known to be broken already. To be called before `send` while
    /// no replies but those to `post` are due.
    void check();
    /// Sends what goes at once. The rest goes with `receive`, which must follow.
    void send(const Pipeline& pipeline);
    /// The next `count` replies.
    std::vector<Reply> receive(std::size_t count, SteadyTime until);
    /// Sends all of it. The replies remain to be received.
    void post(const Pipeline& pipeline, SteadyTime until);

    /// How many bytes were sent, more or less: grows with the first byte of a pipeline.
    std::size_t sent_bytes() const { return stream_ ? stream_->taken() : 0; }

private:
    enum class Stage { resolving, connecting, introducing, ready };

    bool advance_stage(SteadyTime until);
    bool connect(SteadyTime until);
    void introduce();
    void read_replies();

    const Options& options_;
    const net::TlsContext* const tls_;
    net::Resolver& resolver_;
    const SteadyTime deadline_;  // for being ready
    Stage stage_ = Stage::resolving;
    std::vector<net::Address> addresses_;  // left to be tried, the next one last
    SteadyTime address_deadline_;
    std::optional<net::Stream> stream_;
    std::string received_;
    std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
    std::deque<Reply> replies_;
    std::size_t due_ = 0;  // replies to what was sent that are not in replies_ yet
};

/// Appends the commands by which a server learns the scripts.
void load_scripts(Pipeline& pipeline);

}  // namespace coupond::redis
