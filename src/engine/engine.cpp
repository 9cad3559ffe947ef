#include "engine/engine.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "engine/executor.hpp"

namespace coupond {
namespace {

/// How many codes a command brings along: what it weighs in the queue beyond being one command.
std::size_t codes_of(const Command& command) {
    if (const auto* const upload = std::get_if<UploadCodes>(&command)) return upload->codes.size();
    if (const auto* const file = std::get_if<AddImported>(&command)) return file->codes.size();
    const auto* const generated = std::get_if<AddGenerated>(&command);
    return generated == nullptr ? 0 : generated->draft.candidates.size();
}

/// How many entries in the ledger it makes at most.
std::int64_t entries_of(const Command& command) {
    if (const auto* const lock = std::get_if<LockCodes>(&command)) return std::ssize(lock->codes);
    const auto* const redemption = std::get_if<RedeemCodes>(&command);
    return redemption == nullptr ? 1 : std::ssize(redemption->codes);
}

}  // namespace

Engine::Engine(Store& store, Locks* locks, const Clock& clock, Deliver deliver,
               EngineOptions options, Settler* settler)
    : store_(store),
      locks_(locks),
      clock_(clock),
      deliver_(std::move(deliver)),
      options_(options),
      settler_(settler),
      lane_([this] { run_lane(); }) {}

Engine::~Engine() {
    drain();
}

bool Engine::submit(Submission submission, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + options_.command_wait;
    const std::size_t codes = codes_of(submission.command);
    bool was_empty = false;
    {
        const std::lock_guard lock(mutex_);
        if (draining_ || queue_.size() >= options_.queued_commands ||
            queued_codes_ + codes > options_.queued_codes) {
            return false;
        }
        was_empty = queue_.empty();
        queued_codes_ += codes;
        queue_.push_back({std::move(submission), std::move(done), deadline});
    }
    if (was_empty) wake_.notify_one();
    return true;
}

bool Engine::submit_aside(Submission submission, Done done) {
    {
        const std::lock_guard lock(mutex_);
        if (draining_ || aside_) return false;
        aside_ = {std::move(submission), std::move(done), {}};
    }
    wake_.notify_one();
    return true;
}

bool Engine::check(Checked checked) {
    {
        const std::lock_guard lock(mutex_);
        if (draining_) return false;
        checks_.push_back(std::move(checked));
    }
    wake_.notify_one();
    return true;
}

void Engine::drain() {
    {
        const std::lock_guard lock(mutex_);
        draining_ = true;
    }
    wake_.notify_one();
    if (lane_.joinable()) lane_.join();
    if (settler_ != nullptr) settler_->drain();
}

Engine::Totals Engine::totals() const {
    const std::lock_guard lock(mutex_);
    return totals_;
}

void Engine::run_lane() {
    for (;;) {
        Work work = take_work();
        if (!work.checks.empty()) {
            const Readiness readiness = look();
            for (const Checked& checked : work.checks) checked(readiness);
        }
        if (work.batch.empty()) {
            if (work.checks.empty()) return;
            continue;
        }
        const auto begun = std::chrono::steady_clock::now();
        std::vector<Delivery> deliveries = run_batch(std::move(work.batch));
        const auto ended = std::chrono::steady_clock::now();
        const auto taken = ended - begun;
        if (work.aside) {
            const std::chrono::milliseconds most(limits::lane_owed_ms);
            owed_until_ = ended + std::min<std::chrono::nanoseconds>(
                                      limits::lane_share_of_others * taken, most);
        } else {
            others_ran_ = ended;
        }
        {
            const std::lock_guard lock(mutex_);
            totals_.commands += deliveries.size();
            ++totals_.batches;
            if (work.aside) {
                ++totals_.aside;
                totals_.aside_time += taken;
            }
        }
        hand_back(std::move(deliveries), work.aside);
    }
}

void Engine::hand_back(std::vector<Delivery> deliveries, bool aside) {
    if (settler_ == nullptr) store_.settle();
    if (settler_ == nullptr || aside) return deliver_(std::move(deliveries));
    settler_->wait_for_room();
    // Shared, for it must be copyable.
    settler_->then([this, all = std::make_shared<std::vector<Delivery>>(std::move(deliveries))] {
        deliver_(std::move(*all));
    });
}

Readiness Engine::look() {
    if (!store_.ping()) return Readiness::database_unavailable;
    if (locks_ != nullptr && !locks_->ping()) return Readiness::locks_unavailable;
    return Readiness::ready;
}

/// Waits for something to do and takes as many commands as one batch holds; nothing at all when the
/// engine has drained.
Engine::Work Engine::take_work() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return draining_ || !queue_.empty() || !checks_.empty() || aside_; });
    // Those who were just answered may be back at once: a gap of a moment between other commands is
    // no reason for one that has time to step in.
    if (aside_) {
        const auto calm = others_ran_ + std::chrono::milliseconds(limits::lane_calm_ms);
        wake_.wait_until(lock, std::min(calm, owed_until_),
                         [this] { return draining_ || !queue_.empty() || !checks_.empty(); });
    }
    Work work;
    work.checks.swap(checks_);
    if (aside_ && (queue_.empty() || std::chrono::steady_clock::now() >= owed_until_)) {
        work.aside = true;
        work.batch.push_back(std::move(*aside_));
        aside_.reset();
        return work;
    }
    const std::size_t most = std::min(options_.batch_commands, store_.best_batch());
    work.batch.reserve(std::min(queue_.size(), most));
    std::size_t codes = 0;
    std::int64_t entries = 0;
    while (!queue_.empty() && work.batch.size() < most) {
        const std::size_t more = codes_of(queue_.front().submission.command);
        if (codes > 0 && codes + more > limits::batch_codes) break;
        entries += entries_of(queue_.front().submission.command);
        if (entries > limits::batch_entries) break;
        codes += more;
        work.batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    queued_codes_ -= codes;
    return work;
}

bool Engine::is_in_time(const Entry& entry, std::chrono::steady_clock::time_point now) {
    return !entry.deadline || now <= *entry.deadline;
}

std::vector<Delivery> Engine::run_batch(std::vector<Entry> batch) {
    const auto now = std::chrono::steady_clock::now();
    std::vector<Delivery> deliveries;
    deliveries.reserve(batch.size());
    std::vector<const Submission*> commands;
    commands.reserve(batch.size());
    for (const Entry& entry : batch) {
        if (is_in_time(entry, now)) commands.push_back(&entry.submission);
    }
    std::vector<Executed> results = execute(store_, locks_, clock_, commands);
    std::size_t next = 0;
    for (Entry& entry : batch) {
        if (is_in_time(entry, now)) {
            Executed& result = results[next++];
            deliveries.push_back(
                {std::move(entry.done), std::move(result.outcome), result.decided_at});
        } else {
            deliveries.push_back({std::move(entry.done), Failure::overloaded, clock_.now()});
        }
    }
    return deliveries;
}

}  // namespace coupond
