#include "engine/engine.hpp"

#include <variant>

#include "engine/executor.hpp"

namespace coupond {
namespace {

/// How many codes a command brings along: what it weighs in the queue beyond being one command.
std::size_t codes_of(const Command& command) {
    const auto* const upload = std::get_if<UploadCodes>(&command);
    return upload == nullptr ? 0 : upload->codes.size();
}

}  // namespace

Engine::Engine(Store& store, const Clock& clock, Deliver deliver, EngineOptions options)
    : store_(store), clock_(clock), deliver_(std::move(deliver)), options_(options), lane_([this] {
          run_lane();
      }) {}

Engine::~Engine() {
    drain();
}

bool Engine::submit(Command command, Done done) {
    const auto deadline = std::chrono::steady_clock::now() + options_.command_wait;
    const std::size_t codes = codes_of(command);
    bool was_empty = false;
    {
        const std::lock_guard lock(mutex_);
        if (draining_ || queue_.size() >= options_.queued_commands ||
            queued_codes_ + codes > options_.queued_codes) {
            return false;
        }
        was_empty = queue_.empty();
        queued_codes_ += codes;
        queue_.push_back({std::move(command), std::move(done), deadline});
    }
    if (was_empty) wake_.notify_one();
    return true;
}

void Engine::drain() {
    {
        const std::lock_guard lock(mutex_);
        draining_ = true;
    }
    wake_.notify_one();
    if (lane_.joinable()) lane_.join();
}

Engine::Totals Engine::totals() const {
    const std::lock_guard lock(mutex_);
    return totals_;
}

void Engine::run_lane() {
    for (;;) {
        std::vector<Entry> batch = take_batch();
        if (batch.empty()) return;
        std::vector<Delivery> deliveries = run_batch(std::move(batch));
        const std::size_t commands = deliveries.size();
        deliver_(std::move(deliveries));
        const std::lock_guard lock(mutex_);
        totals_.commands += commands;
        ++totals_.batches;
    }
}

/// Waits for commands and takes as many as one batch holds; none when the engine has drained.
std::vector<Engine::Entry> Engine::take_batch() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return draining_ || !queue_.empty(); });
    std::vector<Entry> batch;
    batch.reserve(std::min(queue_.size(), options_.batch_commands));
    std::size_t codes = 0;
    while (!queue_.empty() && batch.size() < options_.batch_commands) {
        const std::size_t more = codes_of(queue_.front().command);
        if (codes > 0 && codes + more > limits::batch_codes) break;
        codes += more;
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    queued_codes_ -= codes;
    return batch;
}

std::vector<Delivery> Engine::run_batch(std::vector<Entry> batch) {
    const auto now = std::chrono::steady_clock::now();
    std::vector<Delivery> deliveries;
    deliveries.reserve(batch.size());
    std::vector<const Command*> commands;
    commands.reserve(batch.size());
    for (const Entry& entry : batch) {
        if (now <= entry.deadline) commands.push_back(&entry.command);
    }
    std::vector<Executed> results = execute(store_, clock_, commands);
    std::size_t next = 0;
    for (Entry& entry : batch) {
        if (now <= entry.deadline) {
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
