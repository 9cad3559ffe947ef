// Works on jobs, one after the other, a piece at a time beside everything else.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "app/image_store.hpp"
#include "app/job_queue.hpp"
#include "base/time.hpp"
#include "engine/engine.hpp"

namespace coupond {

/// Any number of them, in as many processes, may work at once on one database: each job is one's,
/// and what one that has ended left behind is taken over by the others. A piece is added in one
/// transaction with what tells how far the job is, so that no code is made twice.
class JobRunner {
public:
    /// Does nothing yet. `engine` and `clock` must outlive it; `store` is its own, and `images`,
    /// where those of codes go. `worker` is nobody else's name who works at the same time. Without
    /// a `queue` jobs are looked for in the database.
    JobRunner(Engine& engine, std::unique_ptr<ReadStore> store, const Clock& clock,
              std::string worker, std::unique_ptr<ImageStore> images,
              std::unique_ptr<JobQueue> queue);
    /// Stops.
    ~JobRunner();
    /// Begins. The schema must be there.
    void start();
    JobRunner(const JobRunner&) = delete;
    JobRunner& operator=(const JobRunner&) = delete;

    /// There is a new job. Else it is found within limits::job_poll_ms. Thread-safe.
    void wake();

    /// Begins no more; returns when the piece of the moment is drafted. Whether one that was handed
    /// over is still added depends on the engine.
    void stop();

private:
    struct Answer;
    /// What is done while the lane has a command.
    using Meanwhile = std::function<void()>;
    /// A job, as it was told last, and what its codes come from.
    struct Work {
        Job job;
        Generator generator;
        std::optional<CodeMaker> maker;
        bool expects_new = true;  ///< no code of its round was there already
    };

    void run(const std::stop_token& stop);
    void work(const std::stop_token& stop, const JobGenerator& next);
    AddGenerated piece_of(const Work& work, const JobRound& round) const;
    void add_round(const std::stop_token& stop, Work& work);
    void add_in_turn(const std::stop_token& stop, Work& work);
    bool gives_up(const Job& job) const;
    bool add(const std::stop_token& stop, AddGenerated piece, Work& work,
             const Meanwhile& meanwhile = {});
    Result<std::optional<JobGenerator>> next(const std::stop_token& stop, JobId after);
    bool import(const std::stop_token& stop, const Job& job);
    void draw_images(const std::stop_token& stop, const Job& job);
    void make_more(const std::stop_token& stop);
    void remove_parts(const std::stop_token& stop, JobId id);
    std::optional<Job> hand_over(const std::stop_token& stop, Command command, const Job& job,
                                 const Meanwhile& meanwhile = {});
    /// Nothing where it was stopped.
    std::optional<Result<Outcome>> wait(const std::stop_token& stop, Answer& answer);
    void adapt(std::size_t codes, const Engine::Totals& before);
    void pause(const std::stop_token& stop, std::chrono::milliseconds most);

    Engine& engine_;
    const std::unique_ptr<ReadStore> store_;
    const Clock& clock_;
    const std::string worker_;
    const std::unique_ptr<ImageStore> images_;
    const std::unique_ptr<JobQueue> queue_;  ///< or null
    std::size_t piece_codes_ = limits::piece_codes_first;
    std::chrono::steady_clock::time_point looked_at_;  ///< for books that run low
    std::map<JobId, std::int64_t> missed_;  ///< codes since the last one that was not there yet
    std::mutex mutex_;
    std::condition_variable_any woken_;
    bool is_woken_ = false;
    std::jthread thread_;
};

}  // namespace coupond
