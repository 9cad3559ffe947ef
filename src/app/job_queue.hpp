// Jobs by a queue outside the database: who receives a message works on its job.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "app/config.hpp"
#include "aws/sqs.hpp"
#include "base/time.hpp"
#include "store/store.hpp"

namespace coupond {

/// A message says no more than which job there is: what it is, how far it is and whose, the
/// database has. So nothing is lost or done twice where a message is, or comes late. Jobs that
/// nobody works on are sent by whoever sees them in the database; one that has waited is sent
/// again.
class JobQueue {
public:
    /// `clock` must outlive it, and agree with the queue's to some minutes. Throws
    /// std::invalid_argument with what is wrong of which option.
    JobQueue(const aws::SqsOptions& options, const Clock& clock);

    /// Sends word of jobs that nobody has told of, and waits up to limits::job_poll_ms for a
    /// message where it holds none. Then the next job in turn of those whose messages it holds, and
    /// that `worker` may work on at `now`; it holds them until the jobs have ended. Nothing where
    /// there is none. Where the queue does not answer, which is logged: unavailable, and at once.
    Result<std::optional<JobGenerator>> next(ReadStore& store, const std::string& worker,
                                             Timestamp now, const std::stop_token& stop);

private:
    using SteadyClock = std::chrono::steady_clock;
    struct Held {
        aws::Message message;
        JobId job_id = 0;
        SteadyClock::time_point since;  ///< others do not receive it for a while from then on
    };

    bool send_new(ReadStore& store, const std::string& worker, Timestamp now,
                  const std::stop_token& stop);
    bool receive(const std::stop_token& stop);
    bool holds(JobId id) const;
    bool worked(const std::optional<aws::Error>& error);
    bool let_go(ReadStore& store, const Held& held, const std::stop_token& stop);
    bool keep(Held& held, const std::stop_token& stop);

    aws::Sqs queue_;
    std::deque<Held> held_;  ///< the next one in turn first
    std::map<JobId, SteadyClock::time_point> sent_;
    std::optional<SteadyClock::time_point> looked_at_;
    bool is_down_ = false;
};

/// The one that the configuration means, or null. Throws ConfigError.
std::unique_ptr<JobQueue> open_job_queue(const Config& config, const Clock& clock);

}  // namespace coupond
