#include "lock/redis/session.hpp"

#include <algorithm>
#include <array>
#include <thread>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

namespace coupond::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds call_wait{limits::locks_wait_ms};

/// For how long a call waits for a connection, begun by it, where there was none before. Others'
/// commands wait meanwhile. Enough for a Redis that is near; one that takes longer is there for a
/// later call.
constexpr milliseconds try_wait{200};
static_assert(try_wait <= call_wait);

/// The longest pause between two tries of a call that waits for a connection.
constexpr milliseconds waiting_pause{100};

/// Errors that Redis answers instead of doing anything.
constexpr std::array<std::string_view, 15> nothing_done{
    "ASK",        "BUSY",    "CLUSTERDOWN", "CROSSSLOT", "LOADING",
    "MASTERDOWN", "MISCONF", "MOVED",       "NOAUTH",    "NOREPLICAS",
    "NOSCRIPT",   "OOM",     "READONLY",    "TRYAGAIN",  "WRONGTYPE"};
/// Errors that another connection may not meet: to another server, or with another password.
constexpr std::array<std::string_view, 2> of_the_connection{"READONLY", "NOAUTH"};
constexpr std::array<std::string_view, 5> of_a_cluster{"ASK", "CLUSTERDOWN", "CROSSSLOT", "MOVED",
                                                       "TRYAGAIN"};

template <std::size_t n>
bool is_one_of(const std::array<std::string_view, n>& codes, std::string_view error) {
    return std::find(codes.begin(), codes.end(), error.substr(0, error.find(' '))) != codes.end();
}

bool misses_script(const std::vector<Reply>& replies) {
    return std::any_of(replies.begin(), replies.end(), [](const Reply& reply) {
        const auto error = error_of(*reply);
        return error && error->starts_with("NOSCRIPT");
    });
}

/// The pause before the next try to connect, where so many have failed.
milliseconds back_off(int tries) {
    if (tries == 0) return milliseconds(0);
    int wait_ms = limits::reconnect_first_ms;
    while (--tries > 0 && wait_ms < limits::reconnect_most_ms) wait_ms *= 2;
    wait_ms = std::min(wait_ms, limits::reconnect_most_ms);
    const auto half = static_cast<std::uint64_t>(wait_ms / 2);
    return milliseconds(half + secure_random_below(half + 1));
}

}  // namespace

Session::Session(const Options& options)
    : options_(options), resolver_(options.host, options.port) {
    if (options_.tls) tls_.emplace(options_.root_certificate);
}

Session::~Session() {
    settle(steady_clock::now() + call_wait);
}

/// Waits for the replies to what was posted.
void Session::settle(SteadyTime until) {
    if (!posted_) return;
    try {
        exchange(Pipeline(), std::nullopt, until);
    } catch (const Failed& failed) {
        log::debug("what was posted to Redis may be lost", {{"reason", failed.reason()}});
    }
}

std::vector<Reply> Session::ask(const Pipeline& pipeline) {
    return exchange(pipeline, std::nullopt, steady_clock::now() + call_wait);
}

std::vector<Reply> Session::ask_once(const Pipeline& pipeline, std::uint64_t epoch) {
    return exchange(pipeline, epoch, steady_clock::now() + call_wait);
}

void Session::post(Pipeline pipeline) {
    const SteadyTime until = steady_clock::now() + call_wait;
    settle(until);
    posted_ = Posted{std::move(pipeline)};
    if (!connected_) return;  // it goes with the next question
    try {
        posted_->due = true;
        ++posted_->times_sent;
        connection_->post(posted_->pipeline, until);
    } catch (const Lost& lost) {
        drop(lost);
    }
}

void Session::misunderstood(Failure failure) {
    drop(Lost("an answer that makes no sense"));
    throw Failed(failure, last_reason_);
}

std::vector<Reply> Session::exchange(const Pipeline& pipeline, std::optional<std::uint64_t> epoch,
                                     SteadyTime until) {
    for (;;) {
        connect(until);
        std::size_t sent_before = connection_->sent_bytes();
        try {
            connection_->check();
            if (epoch && *epoch != epoch_) {
                throw Failed(Failure::conflict, "it is another connection by now");
            }
            sent_before = connection_->sent_bytes();
            std::vector<Reply> replies = exchange_now(pipeline, until);
            failing_ = false;
            tries_ = 0;
            expect_no_errors(replies, epoch.has_value());
            return replies;
        } catch (const Lost& lost) {
            const bool sent = connection_->sent_bytes() != sent_before;
            drop(lost);
            const bool late = steady_clock::now() >= until;
            if (!late && !(sent && epoch)) continue;
            failing_ = failing_ || late;
            throw Failed(sent && epoch ? Failure::indeterminate : Failure::unavailable,
                         lost.reason());
        }
    }
}

/// Sends and receives, after what was posted. Teaches the server the scripts where it has lost them
/// and repeats what has missed them, once.
std::vector<Reply> Session::exchange_now(const Pipeline& pipeline, SteadyTime until) {
    send_posted();
    connection_->send(pipeline);
    std::vector<Reply> replies = receive_posted_and(pipeline.commands(), until);
    const bool again = misses_script(replies);
    if (!again && !posted_) return replies;

    Pipeline teaching;
    load_scripts(teaching);
    connection_->send(teaching);
    send_posted();
    if (again) connection_->send(pipeline);
    const std::vector<Reply> taught = connection_->receive(teaching.commands(), until);
    for (const Reply& reply : taught) {
        if (const auto error = error_of(*reply)) throw Lost("Redis: " + *error);
    }
    std::vector<Reply> second = receive_posted_and(again ? pipeline.commands() : 0, until);
    posted_.reset();
    return again ? std::move(second) : std::move(replies);
}

/// Unless it was sent on this connection already.
void Session::send_posted() {
    if (!posted_ || posted_->due) return;
    posted_->due = true;
    ++posted_->times_sent;
    connection_->send(posted_->pipeline);
}

/// The next `count` replies after those to what was posted; that is kept only where the server did
/// not know its scripts.
std::vector<Reply> Session::receive_posted_and(std::size_t count, SteadyTime until) {
    if (posted_ && posted_->due) {
        const auto to_posted = connection_->receive(posted_->pipeline.commands(), until);
        posted_->due = false;
        if (!misses_script(to_posted)) posted_.reset();
        for (const Reply& reply : to_posted) {
            if (const auto error = error_of(*reply)) {
                log::debug("Redis refused what was posted", {{"reason", *error}});
            }
        }
    }
    return connection_->receive(count, until);
}

/// Afterwards there is a connection. Throws Failed, unavailable.
void Session::connect(SteadyTime until) {
    while (!connected_) {
        const bool begun = !connection_;
        try {
            if (begun) begin_connecting(until);
            const SteadyTime now = steady_clock::now();
            const SteadyTime wait_until =
                !failing_ ? until : (begun ? std::min(until, now + try_wait) : now);
            connected_ = connection_->advance(wait_until);
            if (!connected_) {
                failing_ = true;
                // What an earlier try met says more.
                throw Failed(Failure::unavailable,
                             tries_ > 1 ? last_reason_ : "no connection in time");
            }
            ++epoch_;
        } catch (const Lost& lost) {
            drop(lost);
            if (!failing_ && steady_clock::now() < until) continue;
            failing_ = true;
            throw Failed(Failure::unavailable, lost.reason());
        }
    }
}

/// Where a try is due, or will be while it can be waited for.
void Session::begin_connecting(SteadyTime until) {
    const SteadyTime now = steady_clock::now();
    if (now < next_try_) {
        if (failing_ || now >= until) {
            failing_ = true;
            throw Failed(Failure::unavailable, last_reason_);
        }
        std::this_thread::sleep_until(std::min({next_try_, now + waiting_pause, until}));
    }
    ++tries_;
    connection_.emplace(options_, tls_ ? &*tls_ : nullptr, resolver_);
}

void Session::drop(const Lost& lost) {
    connection_.reset();
    connected_ = false;
    last_reason_ = lost.reason();
    next_try_ = steady_clock::now() + back_off(tries_);
    if (posted_) {
        posted_->due = false;
        if (posted_->times_sent > 1) posted_.reset();
    }
}

void Session::expect_no_errors(const std::vector<Reply>& replies, bool once) {
    for (const Reply& reply : replies) {
        const auto error = error_of(*reply);
        if (!error) continue;
        if (is_one_of(of_the_connection, *error)) drop(Lost(*error));
        const bool done = once && !is_one_of(nothing_done, *error);
        throw Failed(
            done ? Failure::indeterminate : Failure::unavailable,
            is_one_of(of_a_cluster, *error) ? "Redis Cluster is not supported: " + *error : *error);
    }
}

}  // namespace coupond::redis
