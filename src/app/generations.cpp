#include "app/generations.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "app/draft.hpp"
#include "base/limits.hpp"

namespace coupond {
namespace {

/// Fills in what the book's codes come from as it is now, and `count` of them. Where there is no
/// such book, or it makes no codes, nothing: the rules will tell.
Result<void> draft(ReadStore& store, AddGenerated& command, std::size_t count) {
    const Result<std::optional<BookGenerator>> found = store.find_generator(command.asked.book_id);
    if (!found) return found.error();
    if (!*found) return {};
    command.code_pattern = (*found)->book.code_pattern;
    auto maker = make_codes(command.code_pattern, (*found)->generator, command.generator);
    if (maker) command.draft = maker->draft(command.generator.next, count, draw);
    return {};
}

}  // namespace

void Generations::submit(Submission submission, Done done) {
    if (waiting_.size() >= limits::generations_waiting) return done(Failure::overloaded, {});
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::command_wait_ms);
    waiting_.push_back({std::move(submission), std::move(done), deadline});
    if (waiting_.size() == 1) draft_next();
}

void Generations::draft_next() {
    const Pending& pending = waiting_.front();
    const AddGenerated& asked = std::get<AddGenerated>(pending.submission.command);
    const std::size_t count =
        std::min(static_cast<std::size_t>(asked.asked.count) + pending.more, limits::upload_codes);
    const bool is_late = std::chrono::steady_clock::now() > pending.deadline;
    const bool queued =
        !is_late && reader_.submit([this, command = asked, count](ReadStore& store) mutable {
            const Result<void> drafted = draft(store, command, count);
            boost::asio::post(io_, [this, drafted, command = std::move(command)]() mutable {
                drafted ? add(std::move(command)) : answer(drafted.error(), {});
            });
        });
    if (!queued) answer(Failure::overloaded, {});
}

void Generations::add(AddGenerated drafted) {
    Submission submission = waiting_.front().submission;
    submission.command = std::move(drafted);
    const bool queued = engine_.submit(std::move(submission),
                                       [this](Result<Outcome>&& outcome, Timestamp decided_at) {
                                           take(std::move(outcome), decided_at);
                                       });
    if (!queued) answer(Failure::overloaded, {});
}

void Generations::take(Result<Outcome>&& outcome, Timestamp decided_at) {
    const auto* const outdated = outcome ? std::get_if<DraftOutdated>(&*outcome) : nullptr;
    if (outdated == nullptr) return answer(std::move(outcome), decided_at);
    Pending& pending = waiting_.front();
    const auto& asked = std::get<AddGenerated>(pending.submission.command).asked;
    const std::size_t drafted = static_cast<std::size_t>(asked.count) + pending.more;
    if (outdated->missing > 0 && drafted >= limits::upload_codes) {
        return answer(Outcome(Refusal::code_pattern_exhausted), decided_at);
    }
    // Twice as many: where so many are there already, as many of the next ones will be.
    if (outdated->missing > 0) pending.more = 2 * (pending.more + outdated->missing);
    draft_next();
}

void Generations::answer(Result<Outcome>&& outcome, Timestamp decided_at) {
    const Done done = std::move(waiting_.front().done);
    waiting_.pop_front();
    if (!waiting_.empty()) {
        boost::asio::post(io_, [this] { draft_next(); });
    }
    done(std::move(outcome), decided_at);
}

}  // namespace coupond
