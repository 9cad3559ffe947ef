#include "app/image_job.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "wire/wire.hpp"

namespace coupond {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// A folder of its own for as many images as people can look at.
std::string folder_of(std::int64_t number) {
    std::string text = std::to_string((number - 1) / limits::images_in_folder + 1);
    return text.insert(0, 5 - std::min<std::size_t>(text.size(), 5), '0');
}

}  // namespace

ImageJob::ImageJob(ReadStore& store, ImageStore& images, Job job, const Take& take,
                   const Settle& settle)
    : store_(store), images_(images), job_(std::move(job)), take_(take), settle_(settle) {
    COUPOND_CHECK(job_.images);
}

bool ImageJob::run(const std::stop_token& stop) {
    const auto until = SteadyClock::now() + std::chrono::seconds(1);
    if (job_.images->location != images_.location(job_)) {
        const auto step = first_step();
        if (!step) return false;
        if (!take(*step)) return true;
    }
    while (!job_.is_finished() && SteadyClock::now() < until && !stop.stop_requested()) {
        CodeQuery query;
        query.book_id = job_.book_id;
        query.after = job_.images->after;
        query.limit = limits::images_at_once;
        const auto page = store_.list_codes(query, {});
        if (!page) return false;
        settle_();
        const Outcome outcome = put(page->codes, stop);
        if (outcome.is_lost) return true;
        if (outcome.error) return is_told(*outcome.error);

        AddImages step = next();
        std::int64_t line = job_.created + job_.images->rejected;
        for (std::size_t i = 0; i < page->codes.size(); ++i, ++line) {
            if (outcome.reasons[i].empty()) {
                ++step.drawn;
            } else {
                step.rejected.push_back(
                    {line + 1, std::string(outcome.reasons[i]), page->codes[i].code});
            }
        }
        step.after.after = page->read_to;
        step.is_last = !page->more;
        if (!take(std::move(step))) return true;
    }
    return true;
}

/// A step that leaves everything as it is.
AddImages ImageJob::next() const {
    AddImages command;
    command.book_id = job_.book_id;
    command.job_id = job_.id;
    command.before = *job_.images;
    command.after = *job_.images;
    return command;
}

bool ImageJob::take(AddImages step) {
    auto job = take_(std::move(step));
    if (job) job_ = std::move(*job);
    return job.has_value();
}

/// Counts the codes. Images that are elsewhere, where another worker has put them that was told to,
/// are drawn anew: all are to be in one place. Nothing where the codes cannot be counted.
std::optional<AddImages> ImageJob::first_step() {
    BookQuery query;
    query.after = BookPlace{job_.book_id - 1, {}, {}};
    query.limit = 1;
    const auto page = store_.list_books(query, {});
    if (!page) return std::nullopt;
    AddImages step = next();
    if (!page->books.empty()) step.codes = page->books.front().counts.total;
    step.is_anew = true;
    step.after.location = images_.location(job_);
    step.after.after = 0;
    return step;
}

/// Keeps the job meanwhile.
ImageJob::Outcome ImageJob::put(std::span<const Code> codes, const std::stop_token& stop) {
    Outcome outcome;
    outcome.reasons.resize(codes.size());
    const Job job = job_;  // which others change meanwhile
    const std::int64_t first = job.created + job.images->rejected + 1;
    std::stop_source ends;
    const std::stop_callback ends_too(stop, [&ends] { ends.request_stop(); });
    std::mutex mutex;
    std::condition_variable changed;
    int at_work = images_.writers();
    std::atomic<std::size_t> begun = 0;
    const auto write = [&](int writer) {
        std::size_t i = 0;
        while (!ends.stop_requested() && (i = begun++) < codes.size()) {
            auto done =
                put(job, codes[i], first + static_cast<std::int64_t>(i), writer, ends.get_token());
            if (done) {
                outcome.reasons[i] = *done;
                continue;
            }
            const std::lock_guard lock(mutex);
            if (!outcome.error) outcome.error = std::move(done).error();
            ends.request_stop();
        }
        const std::lock_guard lock(mutex);
        --at_work;
        changed.notify_one();
    };
    std::vector<std::jthread> writers;
    for (int writer = 0; writer < images_.writers(); ++writer) writers.emplace_back(write, writer);
    std::unique_lock lock(mutex);
    const std::chrono::milliseconds most(limits::job_claim_ms / 3);
    while (!changed.wait_for(lock, most, [&] { return at_work == 0; })) {
        lock.unlock();
        outcome.is_lost = !take(next());
        if (outcome.is_lost) ends.request_stop();
        lock.lock();
    }
    lock.unlock();
    writers.clear();
    if (stop.stop_requested()) outcome.is_lost = true;
    const bool any = std::ranges::any_of(outcome.reasons, &std::string_view::empty);
    if (outcome.is_lost || outcome.error || !any) return outcome;
    if (auto settled = images_.settle(); !settled) outcome.error = std::move(settled).error();
    return outcome;
}

/// Why the code has no image; empty: it has one.
aws::Result<std::string_view> ImageJob::put(const Job& job, const Code& code, std::int64_t number,
                                            int writer, const std::stop_token& stop) {
    const QrImages& wish = *job.images;
    const qr::Drawn drawn = wire::draw_qr(code.code, wish);
    if (std::holds_alternative<qr::TextTooLong>(drawn)) return qr_text_too_long;
    if (std::holds_alternative<qr::SizeTooSmall>(drawn)) return qr_size_too_small;
    const ImageStore::Image image{
        folder_of(number) + "/" + wire::image_name(code.code, wish.format),
        wire::content_type_of(wish.format), std::get<std::string>(drawn)};
    auto done = images_.put(job, writer, image, stop);
    if (!done) return std::move(done).error();
    return std::string_view();
}

/// Ends the job where images will not be taken. False where they may be later.
bool ImageJob::is_told(const aws::Error& error) {
    if (error.kind == aws::Error::Kind::stopped) return true;
    log::warn("images of codes are not put where they are to be",
              {{"job", job_.id}, {"location", job_.images->location}, {"reason", error.message}});
    if (error.kind == aws::Error::Kind::unavailable) return false;
    AddImages step = next();
    step.is_refused = true;
    take(std::move(step));
    return true;
}

}  // namespace coupond
