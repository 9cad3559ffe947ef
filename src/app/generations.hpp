// Answers to POST /coupon/generate/:id where the codes are waited for.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <deque>

#include "base/time.hpp"
#include "engine/engine.hpp"

namespace coupond {

/// Drafts codes on a thread of their own and has them added, for one client after the other, and
/// again where somebody else has moved the generator meanwhile. Of the network thread. What it
/// refers to must outlive it.
class Generations {
public:
    Generations(boost::asio::io_context& io, Engine& engine, Reader& reader)
        : io_(io), engine_(engine), reader_(reader) {}

    /// Takes an AddGenerated without a draft. Calls `done` on the network thread: at once, with
    /// Failure::overloaded, where limits::generations_waiting wait already.
    void submit(Submission submission, Done done);

private:
    struct Pending {
        Submission submission;
        Done done;
        std::chrono::steady_clock::time_point deadline;
        std::size_t more = 0;  ///< candidates than codes asked for: some are there already
    };

    void draft_next();
    void add(AddGenerated drafted);
    void take(Result<Outcome>&& outcome, Timestamp decided_at);
    void answer(Result<Outcome>&& outcome, Timestamp decided_at);

    boost::asio::io_context& io_;
    Engine& engine_;
    Reader& reader_;
    std::deque<Pending> waiting_;  ///< the first one is being worked on
};

}  // namespace coupond
