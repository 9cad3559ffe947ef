#include "app/job_runner.hpp"

#include <algorithm>
#include <utility>

#include "app/draft.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"

namespace coupond {

/// Of the lane to the runner, which may be gone by then.
struct JobRunner::Answer {
    std::mutex mutex;
    std::condition_variable_any there;
    std::optional<Result<Outcome>> outcome;
};

JobRunner::JobRunner(Engine& engine, std::unique_ptr<ReadStore> store, const Clock& clock,
                     std::string worker)
    : engine_(engine), store_(std::move(store)), clock_(clock), worker_(std::move(worker)) {}

JobRunner::~JobRunner() {
    stop();
}

void JobRunner::start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void JobRunner::wake() {
    {
        const std::lock_guard lock(mutex_);
        is_woken_ = true;
    }
    woken_.notify_one();
}

void JobRunner::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void JobRunner::run(const std::stop_token& stop) {
    const std::chrono::milliseconds poll(limits::job_poll_ms);
    while (!stop.stop_requested()) {
        const Result<std::optional<JobGenerator>> next = store_->next_job(worker_, clock_.now());
        next&&* next ? work(stop, **next) : pause(stop, poll);
    }
}

void JobRunner::pause(const std::stop_token& stop, std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, most, [this] { return is_woken_; });
    is_woken_ = false;
}

/// While a piece is added, the next one is drafted. Returns where the job is to be looked at again,
/// or is nothing for us any more.
void JobRunner::work(const std::stop_token& stop, const JobGenerator& next) {
    Job job = next.job;
    AddGenerated piece;
    piece.asked.book_id = job.book_id;
    piece.code_pattern = job.code_pattern;
    auto maker = make_codes(job.code_pattern, next.generator, piece.generator);
    if (!maker) piece.generator = next.generator.value_or(Generator());
    const auto draft = [&](std::int64_t from, std::int64_t left) {
        if (!maker) return CodeDraft{{}, from, true};
        const auto most = static_cast<std::int64_t>(piece_codes_);
        const auto count = static_cast<std::size_t>(std::clamp(left, std::int64_t{0}, most));
        return maker->draft(from, count, coupond::draw);
    };
    const bool is_new = !job.started_at;
    CodeDraft drafted = draft(piece.generator.next, job.requested - job.created);
    while (!stop.stop_requested()) {
        const std::int64_t candidates = std::ssize(drafted.candidates);
        const Generator behind{piece.generator.key, drafted.next,
                               piece.generator.drafts + candidates};
        piece.piece = {job.id, worker_, clock_.now() + limits::job_claim_ms};
        piece.draft = std::move(drafted);
        const auto answer = std::make_shared<Answer>();
        const Engine::Totals before = engine_.totals();
        const bool queued = engine_.submit_aside({piece, job.request_id},
                                                 [answer](Result<Outcome>&& outcome, Timestamp) {
                                                     {
                                                         const std::lock_guard lock(answer->mutex);
                                                         answer->outcome = std::move(outcome);
                                                     }
                                                     answer->there.notify_one();
                                                 });
        if (!queued) return pause(stop, std::chrono::milliseconds(limits::job_poll_ms));
        drafted = draft(behind.next, job.requested - job.created - candidates);
        const auto outcome = wait(stop, *answer);
        if (!outcome) return;
        if (!*outcome) {
            log::warn("a job waits", {{"job", job.id}, {"reason", to_string(outcome->error())}});
            return pause(stop, std::chrono::milliseconds(limits::job_poll_ms));
        }
        const auto* const changed = std::get_if<JobChanged>(&**outcome);
        // Others were there in between; what is read may be a little behind.
        if (changed == nullptr) return pause(stop, std::chrono::milliseconds(limits::job_gap_ms));
        job = changed->job;
        if (job.is_finished()) break;
        adapt(static_cast<std::size_t>(candidates), before);
        // Where some of the candidates were there already, the next ones are too few: so be it.
        piece.generator = behind;
    }
    if (!job.is_finished()) return;
    log::info(is_new ? "a job has ended" : "a job that was begun before has ended",
              {{"job", job.id},
               {"book", job.book_id},
               {"created", job.created},
               {"requested", job.requested},
               {"error", job.error}});
}

std::optional<Result<Outcome>> JobRunner::wait(const std::stop_token& stop, Answer& answer) {
    std::unique_lock lock(answer.mutex);
    answer.there.wait(lock, stop, [&] { return answer.outcome.has_value(); });
    return std::move(answer.outcome);
}

/// Has the next piece take its time in the lane: little where others wait for it.
void JobRunner::adapt(std::size_t codes, const Engine::Totals& before) {
    const Engine::Totals after = engine_.totals();
    const bool alone = after.commands - before.commands <= after.aside - before.aside;
    const auto taken =
        std::chrono::duration<double, std::milli>(after.aside_time - before.aside_time);
    if (codes == 0 || taken.count() <= 0) return;
    const double wanted = alone ? limits::piece_alone_ms : limits::piece_ms;
    const double fitting = static_cast<double>(codes) * wanted / taken.count();
    const auto now = static_cast<double>(piece_codes_);
    const double next = std::clamp(fitting, now / 2, now * 2);
    piece_codes_ = std::clamp(static_cast<std::size_t>(next), limits::piece_codes_least,
                              limits::piece_codes_most);
}

}  // namespace coupond
