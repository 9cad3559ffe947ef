// A store whose faults and delays a test decides on, around a real one; and what gathers answers.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "support/manual_clock.hpp"
#include "support/second_connection.hpp"
#include "support/sqlite_store.hpp"

namespace coupond::test {

/// Hands everything on to a real store, after asking the test's hooks. They run on the lane.
class HookedStore final : public Store {
public:
    explicit HookedStore(Store& real) : real_(real) {}

    Result<World> load(const Needs& needs) override {
        ++loads;
        alone = needs.alone;
        if (before_load) {
            if (const auto failure = before_load()) return *failure;
        }
        Result<World> world = real_.load(needs);
        open = open || world;
        if (world && after_load) after_load(*world);
        return world;
    }

    Result<void> save(const Delta& delta) override {
        open = false;
        if (delta.empty()) return real_.save(delta);
        ++saves;
        if (before_save) {
            if (const auto failure = before_save()) return *failure;
        }
        return real_.save(delta);
    }

    std::size_t best_batch() const override { return best; }

    bool is_settled() const override { return !before_settle && real_.is_settled(); }
    void settle() override {
        ++settles;
        if (before_settle) before_settle();
        real_.settle();
    }

    Result<void> ping() override { return real_.ping(); }

    using Hook = std::function<std::optional<Failure>()>;  ///< a failure is what is answered
    Hook before_load, before_save;
    std::function<void(World&)> after_load;
    std::function<void()>
        before_settle;  ///< where there is one, there is always something to settle
    std::size_t best = limits::batch_commands;
    int loads = 0, saves = 0;
    std::atomic<int> settles = 0;
    bool alone = false;  ///< whether the last load was to be
    bool open = false;  ///< the last load may have kept something open, which no save has let go of

private:
    Store& real_;
};

/// A door that a thread waits at until it is opened.
class Gate {
public:
    void wait() {
        std::unique_lock lock(mutex_);
        waiting_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
    }
    void await_waiting() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool waiting_ = false, open_ = false;
};

struct Answered {
    int tag = 0;
    Result<Outcome> outcome = Failure::unavailable;
    Timestamp decided_at;
    std::thread::id thread;

    bool is(Failure failure) const { return outcome.has_error() && outcome.error() == failure; }
    bool is(Refusal refusal) const {
        const Refusal* const found = outcome ? std::get_if<Refusal>(&*outcome) : nullptr;
        return found != nullptr && *found == refusal;
    }
    template <class T>
    bool is() const {
        return outcome && std::holds_alternative<T>(*outcome);
    }
};

/// All answers of an engine, in the order of their delivery.
class Answers {
public:
    Engine::Deliver deliver() {
        return [this](std::vector<Delivery> deliveries) {
            const std::size_t size = deliveries.size();
            for (Delivery& delivery : deliveries) delivery();
            const std::lock_guard lock(mutex_);
            batches_.push_back(size);
            changed_.notify_all();
        };
    }

    Done done(int tag) {
        return [this, tag](Result<Outcome>&& outcome, Timestamp decided_at) {
            const std::lock_guard lock(mutex_);
            all_.push_back({tag, std::move(outcome), decided_at, std::this_thread::get_id()});
        };
    }

    /// Waits until `count` answers have been delivered.
    std::vector<Answered> await(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] {
            std::size_t delivered = 0;
            for (const std::size_t size : batches_) delivered += size;
            return delivered >= count;
        });
        return all_;
    }

    std::vector<std::size_t> batches() {
        const std::lock_guard lock(mutex_);
        return batches_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Answered> all_;
    std::vector<std::size_t> batches_;
};

class EngineTest : public testing::Test {
protected:
    void start(EngineOptions options = {}, Settler* settler = nullptr) {
        engine_.emplace(store_, nullptr, clock_, answers_.deliver(), options, settler);
    }

    bool submit(Command command) {
        return engine_->submit({std::move(command), "request"}, answers_.done(submitted_++));
    }

    bool submit_aside(Command command) {
        return engine_->submit_aside({std::move(command), "request"}, answers_.done(submitted_++));
    }

    /// Blocks the lane in the save of what `submit` submits; what is submitted from now on waits.
    template <class Submit>
    void hold_lane_by(const Submit& submit) {
        store_.before_save = [this, held = false]() mutable -> std::optional<Failure> {
            if (!std::exchange(held, true)) gate_.wait();
            return std::nullopt;
        };
        ASSERT_TRUE(submit());
        gate_.await_waiting();
    }
    /// The same by the making of a book.
    void hold_lane() {
        hold_lane_by([this] {
            return submit(CreateBook{"the one that holds the lane", "p", {}, {}});
        });
    }
    void release_lane() { gate_.open(); }

    /// A book and its codes, not through the engine.
    void prepare(std::vector<std::string> codes, std::optional<std::int64_t> limit = {}) {
        ASSERT_TRUE(run(sqlite_.store(), CreateBook{"n", "p", limit, {}}, clock_.now()));
        if (codes.empty()) return;
        ASSERT_TRUE(run(sqlite_.store(), UploadCodes{{}, std::move(codes)}, clock_.now()));
    }

    /// Of book 1, not through the engine.
    void limit(std::optional<std::int64_t> of_user, std::optional<std::int64_t> of_all = {}) {
        EditBook edit{1, {}, {}};
        edit.wish.max_redemptions_per_user = of_user;
        edit.wish.max_redemptions = of_all;
        edit.wished.set(2).set(9);
        ASSERT_TRUE(run(sqlite_.store(), edit, clock_.now()));
    }

    SecondConnection second() { return SecondConnection(sqlite_.file()); }

    SqliteStore sqlite_;
    HookedStore store_{sqlite_.store()};
    ManualClock clock_;
    Answers answers_;
    Gate gate_;
    int submitted_ = 0;
    std::optional<Engine> engine_;
};

}  // namespace coupond::test
