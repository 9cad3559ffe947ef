// The way of every command: a bounded queue, one lane that runs whatever has queued up as one
// batch, and the answers handed back one call a batch. Also the threads on which reads run, beside
// the lane.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "domain/domain.hpp"
#include "lock/lock.hpp"
#include "store/store.hpp"

namespace coupond {

/// Has people told of what can be seen of a database once it is durable, while the lane goes on.
class Settler {
public:
    /// `store` must outlive it.
    explicit Settler(Store& store);
    /// Tells all.
    ~Settler();
    Settler(const Settler&) = delete;
    Settler& operator=(const Settler&) = delete;

    /// Calls `told` when all is durable that could be seen before: at once, if it is, else on a
    /// thread of its own, one after the other. It is not to throw. Thread-safe.
    void then(std::function<void()> told);

    /// Waits while limits::unsettled_answers wait already.
    void wait_for_room();

    /// Returns when nobody waits to be told.
    void drain();

private:
    void run();

    Store& store_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::function<void()>> told_;  ///< to be
    bool telling_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

/// Takes the answer to a command, and the time at which it was decided. Called once, wherever
/// `Engine::Deliver` says.
using Done = std::function<void(Result<Outcome>&&, Timestamp decided_at)>;

/// An answer on its way back.
struct Delivery {
    Done done;
    Result<Outcome> outcome;
    Timestamp decided_at;

    void operator()() { done(std::move(outcome), decided_at); }
};

/// Whether commands can be run now.
enum class Readiness { ready, database_unavailable, locks_unavailable };

struct EngineOptions {
    std::size_t queued_commands = limits::queued_commands;
    std::size_t queued_codes = limits::queued_codes;
    std::size_t batch_commands = limits::batch_commands;
    std::chrono::milliseconds command_wait{limits::command_wait_ms};
};

/// Runs commands exactly once, in the order submitted but for those that wait together, of which
/// some may come before others (executor.hpp). There is no timer in it: an idle engine runs
/// a command at once in a batch of one, a busy one runs what came in during the last commit, as
/// much of it as the store does best with (Store::best_batch).
class Engine {
public:
    /// Called with all answers of a batch, once they are durable (but see submit_aside()), on the
    /// lane's thread or the settler's.
    using Deliver = std::function<void(std::vector<Delivery>)>;

    /// `store`, `locks` and `clock` must outlive the engine and are used by the lane alone.
    /// `locks`: where codes are locked; null: in the store. `settler`: of `store`; it must outlive
    /// the engine; null: the lane waits itself until a batch is durable.
    Engine(Store& store, Locks* locks, const Clock& clock, Deliver deliver,
           EngineOptions options = {}, Settler* settler = nullptr);
    /// Drains.
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Queues a command. False, and nothing of it is kept, where the queue is full or the engine
    /// drains. A command that has waited longer than `command_wait` is not run: it is answered
    /// Failure::overloaded. Thread-safe.
    bool submit(Submission submission, Done done);

    /// Hands over a command that has time: it is run where no other one waits or did just now, or
    /// others have had their share of the lane since the last of its kind. Alone in its batch,
    /// however long it has waited. With a settler it is answered when it is saved, before that is
    /// durable: whoever hands it over tells nobody. False where one is there already, or the engine
    /// drains; one that is there when it drains is still run. Thread-safe.
    bool submit_aside(Submission submission, Done done);

    using Checked = std::function<void(Readiness)>;

    /// Has the lane look, before its next batch, whether store and locks work, and call `checked`
    /// on its thread. False where the engine drains. Thread-safe.
    bool check(Checked checked);

    /// Returns when all is durable that could be seen of the store before. Thread-safe.
    void settle() { store_.settle(); }

    /// Answers what is queued, takes no more and stops the lane; returns when all answers have been
    /// delivered.
    void drain();

    struct Totals {
        std::uint64_t commands = 0;  ///< decided and saved, or to be answered with a failure
        std::uint64_t batches = 0;   ///< they came in
        std::uint64_t aside = 0;     ///< of them those that had time,
        std::chrono::steady_clock::duration aside_time{};  ///< and how long they took
    };
    Totals totals() const;

private:
    struct Entry {
        Submission submission;
        Done done;
        std::optional<std::chrono::steady_clock::time_point> deadline;
    };

    struct Work {
        std::vector<Checked> checks;
        std::vector<Entry> batch;
        bool aside = false;  ///< it is the one that has time
    };

    void run_lane();
    Work take_work();
    Readiness look();
    static bool is_in_time(const Entry& entry, std::chrono::steady_clock::time_point now);
    std::vector<Delivery> run_batch(std::vector<Entry> batch);
    void hand_back(std::vector<Delivery> deliveries, bool aside);

    Store& store_;
    Locks* const locks_;
    const Clock& clock_;
    const Deliver deliver_;
    const EngineOptions options_;
    Settler* const settler_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Entry> queue_;
    std::optional<Entry> aside_;
    std::vector<Checked> checks_;
    std::size_t queued_codes_ = 0;
    bool draining_ = false;
    Totals totals_;

    // The lane's own.
    std::chrono::steady_clock::time_point owed_until_{};  ///< to others, where they wait
    std::chrono::steady_clock::time_point others_ran_{};

    std::thread lane_;
};

/// `store`, with the codes' locks from where they are kept: in what it lists and in what it counts.
std::unique_ptr<ReadStore> with_locks(std::unique_ptr<ReadStore> store,
                                      std::unique_ptr<Locks> locks);
std::unique_ptr<CodeSnapshot> with_locks(std::unique_ptr<CodeSnapshot> codes,
                                         std::unique_ptr<Locks> locks);

/// Runs reads on a thread of its own, in the order submitted.
class Reader {
public:
    using Job = std::function<void(ReadStore&)>;

    /// `settler`: of the same database; it must outlive the reader; null: all that is read is
    /// durable.
    explicit Reader(std::unique_ptr<ReadStore> store, Settler* settler = nullptr);
    /// Stops.
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    /// False where limits::queued_queries jobs wait already, or it has stopped. Thread-safe.
    bool submit(Job job);
    /// As `submit`, but before all that wait.
    bool submit_first(Job job);

    /// For jobs: calls `tell` when all that they have read is durable. As Settler::then().
    void when_settled(std::function<void()> tell);

    /// Finishes the job that runs and drops those that wait.
    void stop();

private:
    bool enqueue(Job job, bool first);
    void run();

    std::unique_ptr<ReadStore> store_;
    Settler* const settler_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Job> queue_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace coupond
