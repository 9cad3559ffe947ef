#include "app/job_runner.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/draft.hpp"
#include "app/image_job.hpp"
#include "app/import_job.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

namespace coupond {
namespace {

constexpr std::int64_t permuted_at_once = 32'768;

/// CodeMaker::permuted(); soon something, where it is to stop: others may leave it little time.
std::vector<CodeSpace::Number> permuted(const std::stop_token& stop, CodeMaker& maker,
                                        const JobRound& round) {
    std::vector<CodeSpace::Number> numbers;
    numbers.reserve(static_cast<std::size_t>(round.size()));
    std::vector<std::ptrdiff_t> ends{0};  // of the parts that are in order
    for (std::int64_t first = round.first; first < round.end; first += permuted_at_once) {
        if (stop.stop_requested()) return {};
        const auto part = maker.permuted({first, std::min(round.end, first + permuted_at_once)});
        numbers.insert(numbers.end(), part.begin(), part.end());
        ends.push_back(std::ssize(numbers));
    }
    for (; ends.size() > 2; std::erase(ends, -1)) {
        for (std::size_t i = 2; i < ends.size() && !stop.stop_requested(); i += 2) {
            const auto begin = numbers.begin();
            std::inplace_merge(begin + ends[i - 2], begin + ends[i - 1], begin + ends[i]);
        }
        if (stop.stop_requested()) return {};
        for (std::size_t i = 1; i + 1 < ends.size(); i += 2) ends[i] = -1;
    }
    return numbers;
}

/// For what the other threads do somebody waits, so they go first where there are too few cores for
/// all. On Linux each thread has its own niceness, whatever POSIX says.
void give_way() {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), limits::job_niceness);
}

}  // namespace

/// Of the lane to the runner, which may be gone by then.
struct JobRunner::Answer {
    std::mutex mutex;
    std::condition_variable_any there;
    std::optional<Result<Outcome>> outcome;
};

JobRunner::JobRunner(Engine& engine, std::unique_ptr<ReadStore> store, const Clock& clock,
                     std::string worker, std::unique_ptr<ImageStore> images,
                     std::unique_ptr<JobQueue> queue)
    : engine_(engine),
      store_(std::move(store)),
      clock_(clock),
      worker_(std::move(worker)),
      images_(std::move(images)),
      queue_(std::move(queue)) {}

JobRunner::~JobRunner() {
    stop();
}

void JobRunner::start() {
    thread_ = std::jthread([this](const std::stop_token& stop) {
        give_way();
        run(stop);
    });
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

/// A round of each job, or a second of it, then one of the next.
void JobRunner::run(const std::stop_token& stop) {
    const std::chrono::milliseconds poll(limits::job_poll_ms);
    JobId after = 0;
    while (!stop.stop_requested()) {
        make_more(stop);
        const auto ended = store_->ended_file();
        if (ended && *ended) remove_parts(stop, **ended);
        const auto found = next(stop, after);
        const bool was_last = after == 0;
        after = found && *found ? (*found)->job.id : 0;
        if (after == 0) {
            if (was_last) pause(stop, poll);
        } else if ((*found)->job.import) {
            // One that keeps others from adding codes goes on until it has ended.
            if (import(stop, (*found)->job)) after = (*found)->job.id - 1;
        } else if ((*found)->job.images) {
            draw_images(stop, (*found)->job);
        } else {
            work(stop, **found);
        }
    }
}

/// The job to work on next: of those that the queue has told of; or, without one, with an id beyond
/// `after`.
Result<std::optional<JobGenerator>> JobRunner::next(const std::stop_token& stop, JobId after) {
    const Timestamp now = clock_.now();
    return queue_ ? queue_->next(*store_, worker_, now, stop)
                  : store_->next_job(worker_, now, after);
}

void JobRunner::pause(const std::stop_token& stop, std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, most, [this] { return is_woken_; });
    is_woken_ = false;
}

/// Returns where it is another one's turn, or the job is to be looked at again.
void JobRunner::work(const std::stop_token& stop, const JobGenerator& next) {
    Work work{next.job, {}, {}};
    work.maker = make_codes(work.job.code_pattern, next.generator, work.generator);
    const Job& job = work.job;
    if (!work.maker) work.generator = next.generator.value_or(Generator());
    if (!work.maker) {
        auto ends = piece_of(work, job.round);
        ends.piece->is_last = true;
        add(stop, std::move(ends), work);
    } else if (job.done < job.round.size()) {
        add_round(stop, work);
    } else if (job.requested - job.created >= limits::round_least &&
               work.maker->codes() >= limits::codes_without_end) {
        const std::int64_t most = std::min(job.requested - job.created, limits::round_codes);
        const JobRound round = work.maker->round(work.generator.next, gives_up(job) ? 0 : most);
        auto begins = piece_of(work, round);
        begins.piece->is_last = round.size() == 0;
        if (add(stop, std::move(begins), work) && !job.is_finished()) add_round(stop, work);
    } else {
        add_in_turn(stop, work);
    }
}

AddGenerated JobRunner::piece_of(const Work& work, const JobRound& round) const {
    AddGenerated command;
    command.asked.book_id = work.job.book_id;
    command.piece = {work.job.id, worker_, {}, round, work.job.done, work.job.done};
    command.code_pattern = work.job.code_pattern;
    command.generator = work.generator;
    return command;
}

/// While one piece is added, the next one is drafted.
void JobRunner::add_round(const std::stop_token& stop, Work& work) {
    const Job& job = work.job;
    const auto numbers = permuted(stop, *work.maker, job.round);
    if (stop.stop_requested()) return;
    const double turn = static_cast<double>(draw(1u << 31)) / static_cast<double>(1u << 31);
    const std::span all(numbers);
    std::size_t end = std::min(static_cast<std::size_t>(job.done), all.size());
    std::size_t count = 0;
    CodeDraft draft;
    const auto draft_next = [&] {
        count = std::min(all.size() - end, piece_codes_);
        draft = work.maker->draft(all.subspan(end, count), coupond::draw);
        end += count;
    };
    draft_next();
    while (!job.is_finished() && job.done < job.round.size()) {
        AddGenerated piece = piece_of(work, job.round);
        piece.piece->done_now =
            end == all.size() ? job.round.size() : static_cast<std::int64_t>(end);
        piece.piece->turn = turn;
        piece.expects_new = work.expects_new;
        piece.draft = std::move(draft);
        const std::size_t added = count;
        const Engine::Totals before = engine_.totals();
        if (!add(stop, std::move(piece), work, draft_next)) return;
        adapt(added, before);
    }
}

/// The last codes of a job, or all of a small one: where some are there already, more candidates
/// follow at once, of which no more are used up than it takes.
void JobRunner::add_in_turn(const std::stop_token& stop, Work& work) {
    const Job& job = work.job;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    auto count = static_cast<std::size_t>(job.requested - job.created);
    while (!job.is_finished() && std::chrono::steady_clock::now() < until) {
        AddGenerated piece = piece_of(work, job.round);
        piece.draft =
            work.maker->draft(work.generator.next, std::min(count, piece_codes_), coupond::draw);
        const std::int64_t candidates = std::ssize(piece.draft.candidates);
        piece.piece->is_last = piece.draft.exhausted || gives_up(job);
        const std::int64_t next = piece.draft.next;
        const Engine::Totals before = engine_.totals();
        if (!add(stop, std::move(piece), work)) return;
        adapt(static_cast<std::size_t>(candidates), before);
        work.generator.next = next;
        count = piece_codes_;
    }
}

/// Whether so many codes in a row were there already that it is not to be expected to find others.
bool JobRunner::gives_up(const Job& job) const {
    const auto missed = missed_.find(job.id);
    return missed != missed_.end() && missed->second >= limits::codes_missed;
}

/// Has a piece added. False where somebody else works on the job, or it is to be looked at again;
/// or we are to stop.
bool JobRunner::add(const std::stop_token& stop, AddGenerated piece, Work& work,
                    const Meanwhile& meanwhile) {
    Job& job = work.job;
    piece.piece->claimed_until = clock_.now() + limits::job_claim_ms;
    const std::int64_t created = job.created, candidates = std::ssize(piece.draft.candidates);
    auto changed = hand_over(stop, std::move(piece), job, meanwhile);
    if (!changed) return false;
    job = std::move(*changed);
    work.expects_new &= job.created == created + candidates;
    missed_[job.id] = job.created > created ? 0 : missed_[job.id] + candidates;
    if (job.is_finished()) missed_.erase(job.id);
    return true;
}

/// Whether nobody else may add codes until it goes on.
bool JobRunner::import(const std::stop_token& stop, const Job& job) {
    Engine::Totals before;
    const auto take = [&](AddImported step, const std::function<void()>& meanwhile) {
        step.worker = worker_;
        step.claimed_until = clock_.now() + limits::job_claim_ms;
        return hand_over(stop, std::move(step), job, meanwhile);
    };
    const ImportJob::Hands hands{
        take,
        [&] {
            before = engine_.totals();
            return piece_codes_;
        },
        [&](std::size_t codes) { adapt(codes, before); },
        [&] { return stop.stop_requested(); },
    };
    ImportJob importing(*store_, job, hands);
    importing.run();
    return importing.job().adds_alone();
}

void JobRunner::draw_images(const std::stop_token& stop, const Job& job) {
    const ImageJob::Take take = [&](AddImages step) {
        step.worker = worker_;
        step.claimed_until = clock_.now() + limits::job_claim_ms;
        return hand_over(stop, std::move(step), job);
    };
    const ImageJob::Settle settle = [this] { engine_.settle(); };
    if (!ImageJob(*store_, *images_, job, take, settle).run(stop)) {
        pause(stop, std::chrono::milliseconds(limits::job_poll_ms));
    }
}

/// Begins jobs for the books that run low.
void JobRunner::make_more(const std::stop_token& stop) {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked_at_ < std::chrono::milliseconds(limits::job_poll_ms)) return;
    looked_at_ = now;
    const auto books = store_->books_running_low();
    if (!books) return;
    for (const BookId id : *books) {
        GenerateCodes more;
        more.book_id = id;
        more.automatic = true;
        Job job;
        job.request_id = "auto-" + secure_random_base32(13);
        hand_over(stop, std::move(more), job);
    }
}

void JobRunner::remove_parts(const std::stop_token& stop, JobId id) {
    Job job;
    job.id = id;
    hand_over(stop, RemoveParts{id}, job);
}

/// Has a command about `job` run, and says what the job is then; does `meanwhile` while it waits
/// for that. Nothing where somebody else works on it, or it is to be looked at again; or we are to
/// stop.
std::optional<Job> JobRunner::hand_over(const std::stop_token& stop, Command command,
                                        const Job& job, const Meanwhile& meanwhile) {
    const auto answer = std::make_shared<Answer>();
    const bool queued = engine_.submit_aside({std::move(command), job.request_id},
                                             [answer](Result<Outcome>&& outcome, Timestamp) {
                                                 {
                                                     const std::lock_guard lock(answer->mutex);
                                                     answer->outcome = std::move(outcome);
                                                 }
                                                 answer->there.notify_one();
                                             });
    if (!queued) return pause(stop, std::chrono::milliseconds(limits::job_poll_ms)), std::nullopt;
    if (meanwhile) meanwhile();
    const auto outcome = wait(stop, *answer);
    if (!outcome) return std::nullopt;
    if (!*outcome) {
        log::warn("a job waits", {{"job", job.id}, {"reason", to_string(outcome->error())}});
        return pause(stop, std::chrono::milliseconds(limits::job_poll_ms)), std::nullopt;
    }
    const auto* const changed = std::get_if<JobChanged>(&**outcome);
    // Others were there in between; what is read may be a little behind.
    if (changed == nullptr) {
        const bool is_done = std::holds_alternative<PartsRemoved>(**outcome);
        if (!is_done) pause(stop, std::chrono::milliseconds(limits::job_gap_ms));
        return std::nullopt;
    }
    if (changed->job.is_finished()) {
        log::info("a job has ended", {{"job", changed->job.id},
                                      {"book", changed->job.book_id},
                                      {"created", changed->job.created},
                                      {"requested", changed->job.requested},
                                      {"error", changed->job.error}});
    }
    return changed->job;
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
    // Those who wait for a piece that is too large wait for no other one such.
    const double next = std::min(fitting, now * 2);
    piece_codes_ = std::clamp(static_cast<std::size_t>(next), limits::piece_codes_least,
                              limits::piece_codes_most);
}

}  // namespace coupond
