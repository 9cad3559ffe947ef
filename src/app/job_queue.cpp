#include "app/job_queue.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/limits.hpp"
#include "base/log.hpp"

namespace coupond {
namespace {

constexpr std::string_view before_id = R"({"jobId":)";
constexpr std::string_view behind_id = "}";

constexpr std::chrono::seconds visible{limits::queued_job_visible_s};
constexpr std::chrono::seconds again{limits::queued_job_again_s};
static_assert(limits::queued_job_visible_s * 1'000 > 2 * limits::job_claim_ms,
              "a message is hidden again long before it comes to others");

std::string body_of(JobId id) {
    return std::string(before_id).append(std::to_string(id)).append(behind_id);
}

/// Nothing where it is none of ours.
std::optional<JobId> job_of(std::string_view body) {
    if (!body.starts_with(before_id) || !body.ends_with(behind_id)) return std::nullopt;
    body.remove_prefix(before_id.size());
    body.remove_suffix(std::min(behind_id.size(), body.size()));
    JobId id = 0;
    const auto read = std::from_chars(body.data(), body.data() + body.size(), id);
    const bool is_id = read.ec == std::errc() && read.ptr == body.data() + body.size() && id > 0;
    return is_id ? std::optional(id) : std::nullopt;
}

template <class T>
std::optional<aws::Error> error_of(aws::Result<T>&& result) {
    return result ? std::nullopt : std::optional(std::move(result).error());
}

}  // namespace

JobQueue::JobQueue(const aws::SqsOptions& options, const Clock& clock) : queue_(options, clock) {}

Result<std::optional<JobGenerator>> JobQueue::next(ReadStore& store, const std::string& worker,
                                                   Timestamp now, const std::stop_token& stop) {
    if (!send_new(store, worker, now, stop) || !receive(stop)) return Failure::unavailable;
    for (std::size_t looked_at = held_.size(); looked_at > 0; --looked_at) {
        Held held = std::move(held_.front());
        held_.pop_front();
        auto found = store.next_job(worker, now, held.job_id - 1);
        if (!found) {
            held_.push_back(std::move(held));
            return found.error();
        }
        const bool is_ours = *found && (*found)->job.id == held.job_id;
        if (!(is_ours ? keep(held, stop) : let_go(store, held, stop))) return Failure::unavailable;
        if (!is_ours) continue;
        held_.push_back(std::move(held));
        return found;
    }
    return std::nullopt;
}

/// Also those that a process had accepted that ended before it could tell of them.
bool JobQueue::send_new(ReadStore& store, const std::string& worker, Timestamp now,
                        const std::stop_token& stop) {
    const auto at = SteadyClock::now();
    if (looked_at_ && at - *looked_at_ < std::chrono::milliseconds(limits::job_poll_ms)) {
        return true;
    }
    std::map<JobId, SteadyClock::time_point> sent;
    for (JobId after = 0;;) {
        const auto found = store.next_job(worker, now, after);
        if (!found) return false;
        if (!*found) break;
        after = (*found)->job.id;
        const auto before = sent_.find(after);
        const bool is_told = holds(after) || (before != sent_.end() && at - before->second < again);
        sent[after] = is_told && before != sent_.end() ? before->second : at;
        if (is_told) continue;
        if (!worked(error_of(queue_.send(body_of(after), stop)))) return false;
        sent_[after] = at;  // whatever becomes of the others
    }
    sent_ = std::move(sent);
    looked_at_ = at;
    return true;
}

bool JobQueue::receive(const std::stop_token& stop) {
    const std::size_t room =
        limits::sqs_messages - std::min<std::size_t>(held_.size(), limits::sqs_messages);
    if (room == 0) return true;
    constexpr int second_ms = 1'000;
    auto received =
        queue_.receive(static_cast<int>(room), held_.empty() ? limits::job_poll_ms / second_ms : 0,
                       limits::queued_job_visible_s, stop);
    if (!received) return worked(std::move(received).error());
    worked({});
    for (aws::Message& message : *received) {
        const auto id = job_of(message.body);
        if (!id) {
            log::warn("a message in the queue of jobs is none of coupond's",
                      {{"message", message.id}, {"received", message.receive_count}});
        } else if (holds(*id)) {  // it was sent twice
            if (!worked(error_of(queue_.remove(message, stop)))) return false;
        } else {
            held_.push_back({std::move(message), *id, SteadyClock::now()});
        }
    }
    return true;
}

bool JobQueue::holds(JobId id) const {
    return std::ranges::find(held_, id, &Held::job_id) != held_.end();
}

/// Removes the message of a job that has ended; where another worker has it, that one's message is
/// enough: ours comes again later, should it end without a word.
bool JobQueue::let_go(ReadStore& store, const Held& held, const std::stop_token& stop) {
    const auto job = store.find_job(held.job_id);
    if (!job) return false;
    if (!*job) {
        log::warn("a message in the queue of jobs is of none in this database",
                  {{"message", held.message.id}, {"job", held.job_id}});
        return true;
    }
    return worked(error_of((*job)->is_finished()
                               ? queue_.remove(held.message, stop)
                               : queue_.hide(held.message, limits::queued_job_visible_s, stop)));
}

bool JobQueue::keep(Held& held, const std::stop_token& stop) {
    const auto now = SteadyClock::now();
    if (now - held.since < visible / 3) return true;
    const bool kept =
        worked(error_of(queue_.hide(held.message, limits::queued_job_visible_s, stop)));
    if (kept) held.since = now;
    // The message may be gone: without another one nobody would go on with the job for long.
    if (!kept) sent_.erase(held.job_id);
    return kept;
}

/// Whether the queue has done what it was asked for; logs where that has changed.
bool JobQueue::worked(const std::optional<aws::Error>& error) {
    if (!error) {
        if (std::exchange(is_down_, false)) {
            log::info("the queue of jobs answers again", {{"queue", queue_.name()}});
        }
        return true;
    }
    if (error->kind != aws::Error::Kind::stopped && !std::exchange(is_down_, true)) {
        log::warn("jobs wait for their queue", {{"reason", error->message}});
    }
    return false;
}

std::unique_ptr<JobQueue> open_job_queue(const Config& config, const Clock& clock) {
    if (!config.job_queue) return nullptr;
    try {
        return std::make_unique<JobQueue>(*config.job_queue, clock);
    } catch (const std::invalid_argument& error) {
        throw ConfigError(
            std::string("cannot use JOB_QUEUE_URL, with AWS_REGION and AWS_CA_BUNDLE: ") +
            error.what());
    }
}

}  // namespace coupond
