// QR codes of all codes of a book: what the row of a job keeps of them, and the rules by which they
// are drawn.
#include "domain/qr_images.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "base/limits.hpp"
#include "domain/domain.hpp"
#include "domain/remember.hpp"

namespace coupond {
namespace {

using Format = QrImages::Format;
using ErrorLevel = QrImages::ErrorLevel;

constexpr Timestamp noon{1'795'348'800'000};  // 2026-11-22T12:00:00Z

QrImages some_images() {
    QrImages images;
    images.format = Format::png;
    images.size_px = 300;
    images.margin_modules = 2;
    images.error_level = ErrorLevel::quartile;
    images.url = "https://shop.example/?c={code}";
    images.location = "/srv/qr/1/7";
    images.after = 5;
    images.rejected = 6;
    return images;
}

// What the row of a job keeps.

TEST(QrImagesText, IsReadAsItWasWritten) {
    for (const Format format : {Format::svg, Format::png}) {
        for (const ErrorLevel level :
             {ErrorLevel::low, ErrorLevel::medium, ErrorLevel::quartile, ErrorLevel::high}) {
            for (const char* const url : {"", "h:{code}", "h:{code} 1 2 3"}) {
                for (const char* const location : {"", "/a b/1 2", "s3://b/qr/1/7", " ", "9"}) {
                    QrImages written = some_images(), read;
                    written.format = format;
                    written.error_level = level;
                    written.url = url;
                    written.location = location;
                    ASSERT_TRUE(read_row_text(row_text(written), read)) << row_text(written);
                    EXPECT_EQ(read, written);
                }
            }
        }
    }
    EXPECT_EQ(row_text(some_images()),
              "qr 1 300 2 2 5 6 30 https://shop.example/?c={code}/srv/qr/1/7");
    QrImages most = some_images(), read;
    most.size_px = most.margin_modules = most.after = most.rejected = INT64_MAX;
    EXPECT_TRUE(read_row_text(row_text(most), read));
    EXPECT_EQ(read, most);
}

TEST(QrImagesText, IsNothingElse) {
    QrImages images;
    for (const char* const text :
         {"", "qr", "qr ", "qr 0 1 0 0 0 0", "qr 0 1 0 0 0 0 0", "qr 0 1 0 0 0 0 1 ",
          "qr 2 1 0 0 0 0 0 ", "qr 0 1 0 4 0 0 0 ", "qr -1 1 0 0 0 0 0 ", "qr 0 1 0 0 0 -1 0 ",
          "qr 0 1 0 0 0 0 -1 ", "qr 0 a 0 0 0 0 0 ", "qr 0  1 0 0 0 0 0 ", "qr0 1 0 0 0 0 0 ",
          "QR 0 1 0 0 0 0 0 ", " qr 0 1 0 0 0 0 0 ", "qr 0 1 0 0 9223372036854775808 0 0 ",
          "qr 0 1 0 0 0 0 9223372036854775807 ", "UTC 0 0 3 1 10 0 2 0 0"}) {
        EXPECT_FALSE(read_row_text(text, images)) << text;
    }
    EXPECT_TRUE(read_row_text("qr 0 1 0 0 0 0 0 ", images));
    // Whatever of it is missing, up to what is for people.
    const std::string text = row_text(some_images());
    for (std::size_t size = 0; size + some_images().location.size() < text.size(); ++size) {
        EXPECT_FALSE(read_row_text(std::string_view(text).substr(0, size), images)) << size;
    }
}

TEST(JobDetails, AreOfOneKind) {
    Job draws;
    draws.images = some_images();
    Job takes_in;
    takes_in.import = Import{Import::Format::csv, false, "UTC"};
    EXPECT_EQ(details_text(Job()), std::nullopt);
    for (const Job& job : {draws, takes_in}) {
        Job read;
        ASSERT_TRUE(read_details(details_text(job).value_or(""), read));
        EXPECT_EQ(read.images, job.images);
        EXPECT_EQ(read.import, job.import);
        EXPECT_FALSE(read.makes_codes());
    }
    for (const char* const text : {"", "qr", "qr 0", "UTC", "nonsense"}) {
        Job read;
        EXPECT_FALSE(read_details(text, read)) << text;
    }
}

// Rules.

/// A World of book 1.
class Drawing : public testing::Test {
protected:
    Drawing() {
        world_.next_book_id = 2;
        world_.next_code_id = 50;
        world_.next_entry_id = 100;
        world_.next_job_id = 7;
        Book book;
        book.id = 1;
        book.name = "n";
        book.code_pattern = "{2:digits}";
        book.created_at = book.updated_at = noon;
        book.last_entry = 10;
        world_.books.emplace(1, book);
    }

    Book& book() { return world_.books.at(1); }
    Job& job(JobId id) { return world_.jobs.at(id).job; }

    /// As of jobs that were loaded anew.
    Decision decide(const Command& command, Timestamp now = noon,
                    const std::optional<Idempotency>& idempotency = {}) {
        for (auto& [id, row] : world_.jobs) {
            row.loaded_version = row.job.version;
            row.is_new = false;
        }
        const Submission* const submission =
            &submissions_.emplace_back(Submission{command, "step", idempotency});
        return coupond::decide(world_, std::span(&submission, 1), now);
    }

    Outcome run(const Command& command, Timestamp now = noon) {
        return decide(command, now).outcomes.front();
    }

    /// What a command makes of a job.
    Job changed(const Command& command, Timestamp now = noon) {
        const Outcome outcome = run(command, now);
        const auto* const changed = std::get_if<JobChanged>(&outcome);
        EXPECT_NE(changed, nullptr) << outcome.index();
        return changed == nullptr ? Job() : changed->job;
    }

    static DrawImages draw() {
        QrImages wish;
        wish.format = Format::png;
        wish.size_px = 300;
        wish.url = "h:{code}";
        return {1, wish};
    }

    /// A step of a job that leaves it as it is.
    AddImages step(JobId id, const std::string& worker = "w") {
        AddImages command;
        command.book_id = job(id).book_id;
        command.job_id = id;
        command.worker = worker;
        command.claimed_until = noon + 1'000;
        command.before = command.after = *job(id).images;
        return command;
    }

    /// A job that has begun, of a book of ten codes.
    JobId begin() {
        const JobId id = changed(draw()).id;
        AddImages first = step(id);
        first.codes = 10;
        first.is_anew = true;
        first.after.location = "/qr";
        changed(first);
        return id;
    }

    /// A step behind which so many are there.
    AddImages add(JobId id, std::int64_t drawn, std::vector<RejectedRow> rejected = {}) {
        AddImages command = step(id);
        command.drawn = drawn;
        command.after.after += drawn + std::ssize(rejected);
        command.rejected = std::move(rejected);
        return command;
    }

    template <class T>
    static bool is(const Outcome& outcome) {
        return std::holds_alternative<T>(outcome);
    }
    static bool is(const Outcome& outcome, Refusal refusal) {
        const auto* const found = std::get_if<Refusal>(&outcome);
        return found != nullptr && *found == refusal;
    }

    World world_;
    std::deque<Submission> submissions_;
};

TEST_F(Drawing, BeginsAJobOfABookThatIsThere) {
    const Decision decision = decide(draw());
    const auto& begun = std::get<JobChanged>(decision.outcomes.front());
    EXPECT_TRUE(begun.is_new);
    Job wanted;
    wanted.id = 7;
    wanted.book_id = 1;
    wanted.images = draw().wish;
    wanted.created_at = noon;
    wanted.request_id = "step";
    wanted.version = 1;
    EXPECT_EQ(begun.job, wanted);
    ASSERT_EQ(decision.delta.jobs.size(), 1u);
    EXPECT_TRUE(decision.delta.jobs[0]->is_new);
    EXPECT_EQ(decision.delta.jobs[0]->job, wanted);
    EXPECT_TRUE(decision.delta.entries.empty());

    DrawImages of_none = draw();
    of_none.book_id = 2;
    EXPECT_TRUE(is(run(of_none), Refusal::book_not_found));
    book().archived_at = noon;
    EXPECT_TRUE(is(run(draw()), Refusal::book_archived));
    EXPECT_EQ(world_.jobs.size(), 1u);
}

TEST_F(Drawing, BeginsNoMoreThanMayWait) {
    world_.unfinished_jobs = limits::unfinished_jobs - 1;
    changed(draw());
    EXPECT_TRUE(is<TooManyJobs>(run(draw())));
    EXPECT_EQ(world_.jobs.size(), 1u);
}

TEST_F(Drawing, IsToldAgainAsItWas) {
    const Idempotency key{"key", {}};
    const Decision first = decide(draw(), noon, key);
    ASSERT_EQ(first.delta.memories.size(), 1u);
    const Decision again = decide(draw(), noon + 1, key);
    const auto& told = std::get<Replayed>(again.outcomes.front());
    Job wanted = std::get<JobChanged>(first.outcomes.front()).job;
    wanted.request_id.clear();  // nobody is told of these
    wanted.version = 0;
    EXPECT_EQ(std::get<JobChanged>(told.outcome).job, wanted);
    EXPECT_TRUE(std::get<JobChanged>(told.outcome).is_new);
    EXPECT_EQ(world_.jobs.size(), 1u);

    Job job;
    job.images = some_images();
    job.status = Job::Status::cancelled;
    const auto recalled = recall(remember(JobChanged{job}), CancelJob{});
    ASSERT_TRUE(recalled);
    EXPECT_EQ(std::get<JobChanged>(*recalled).job, job);
    EXPECT_FALSE(std::get<JobChanged>(*recalled).is_new);
}

TEST_F(Drawing, CountsWhatIsThere) {
    const JobId id = changed(draw()).id;
    AddImages first = step(id);
    first.codes = 10;
    first.is_anew = true;
    first.after.location = "/qr";
    const Job begun = changed(first, noon + 5);
    EXPECT_EQ(begun.status, Job::Status::running);
    EXPECT_EQ(begun.started_at, noon + 5);
    EXPECT_EQ(begun.requested, 10);
    EXPECT_EQ(begun.created, 0);
    EXPECT_EQ(begun.images->location, "/qr");
    EXPECT_EQ(begun.version, 2);

    const Decision decision = decide(
        add(id, 3,
            {{2, std::string(qr_text_too_long), "B"}, {4, std::string(qr_size_too_small), "D"}}));
    const Job& some = std::get<JobChanged>(decision.outcomes.front()).job;
    EXPECT_EQ(some.created, 3);
    EXPECT_EQ(some.images->rejected, 2);
    EXPECT_EQ(some.images->after, 5);
    EXPECT_EQ(some.requested, 10);
    ASSERT_EQ(decision.delta.rejections.size(), 2u);
    EXPECT_EQ(decision.delta.rejections[1].job_id, id);
    EXPECT_EQ(decision.delta.rejections[1].row, (RejectedRow{4, "qr_size_too_small", "D"}));

    // More than there were when they were counted.
    const Job more = changed(add(id, 9));
    EXPECT_EQ(more.created, 12);
    EXPECT_EQ(more.requested, 14);
    EXPECT_EQ(more.status, Job::Status::running);

    AddImages last = add(id, 1);
    last.is_last = true;
    const Job done = changed(last, noon + 9);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, 13);
    EXPECT_EQ(done.requested, 15);
    EXPECT_EQ(done.finished_at, noon + 9);
    EXPECT_EQ(done.claimed_until, std::nullopt);
    EXPECT_TRUE(is<JobTaken>(run(step(id))));
}

TEST_F(Drawing, CompletesWithThoseThatWereThere) {
    const JobId id = begin();  // of ten, as was said
    AddImages last = add(id, 4, {{1, std::string(qr_text_too_long), "A"}});
    last.is_last = true;
    const Job done = changed(last);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.requested, 5);
}

TEST_F(Drawing, BeginsAnewWhereImagesAreElsewhere) {
    const JobId id = begin();
    changed(add(id, 3, {{4, std::string(qr_text_too_long), "D"}}));
    AddImages anew = step(id);
    anew.codes = 12;
    anew.is_anew = true;
    anew.after.location = "s3://b";
    anew.after.after = 0;
    const Job job = changed(anew);
    EXPECT_EQ(job.created, 0);
    EXPECT_EQ(job.images->rejected, 0);
    EXPECT_EQ(job.images->after, 0);
    EXPECT_EQ(job.requested, 12);
    EXPECT_EQ(job.images->location, "s3://b");
}

TEST_F(Drawing, IsOfOneWorkerUntilItsClaimIsOver) {
    const JobId id = changed(draw()).id;
    const Job mine = changed(step(id, "one"), noon + 5);
    EXPECT_EQ(mine.worker, "one");
    EXPECT_EQ(mine.claimed_until, noon + 1'000);
    EXPECT_TRUE(is<JobTaken>(run(step(id, "two"), noon + 999)));
    EXPECT_EQ(job(id), mine);
    const Job theirs = changed(step(id, "two"), noon + 1'000);
    EXPECT_EQ(theirs.worker, "two");
    EXPECT_EQ(theirs.started_at, noon + 5);
    EXPECT_EQ(theirs.version, mine.version + 1);
}

TEST_F(Drawing, AStepIsFromWhatTheJobHas) {
    const JobId id = begin();
    const AddImages first = add(id, 3);
    changed(first);
    const Job after = job(id);
    const Decision again = decide(first);
    EXPECT_TRUE(is<DraftOutdated>(again.outcomes.front()));
    EXPECT_TRUE(again.delta.empty());
    EXPECT_EQ(job(id), after);
    // Nor of another book, of no job, or of one that does something else.
    AddImages other = step(id);
    other.book_id = 2;
    EXPECT_TRUE(is<JobTaken>(run(other)));
    other = step(id);
    other.job_id = 99;
    EXPECT_TRUE(is<JobTaken>(run(other)));
    for (const Command& command : std::vector<Command>{GenerateCodes{1, 1, {}}, [] {
                                                           ReceiveFile file;
                                                           file.book_id = 1;
                                                           file.ends = true;
                                                           return file;
                                                       }()}) {
        other.job_id = changed(command).id;
        EXPECT_TRUE(is<JobTaken>(run(other)));
    }
    changed(CancelJob{id});
    EXPECT_TRUE(is<JobTaken>(run(step(id))));
}

TEST_F(Drawing, FailsWhereImagesAreRefused) {
    const JobId id = begin();
    changed(add(id, 3));
    AddImages refused = step(id);
    refused.is_refused = true;
    const Job job = changed(refused, noon + 2);
    EXPECT_EQ(job.status, Job::Status::failed);
    EXPECT_EQ(job.error, "images_refused");
    EXPECT_EQ(job.created, 3);
    EXPECT_EQ(job.requested, 10);
    EXPECT_EQ(job.finished_at, noon + 2);
}

TEST_F(Drawing, FailsWhereItsBookIsGone) {
    const JobId id = begin();
    const AddImages next = add(id, 3);
    book().archived_at = noon;
    const Job job = changed(next);
    EXPECT_EQ(job.status, Job::Status::failed);
    EXPECT_EQ(job.error, "book_archived");
    EXPECT_EQ(job.created, 0);
}

TEST_F(Drawing, StopsWhereItIsCancelled) {
    const JobId id = begin();
    changed(add(id, 3));
    const AddImages late = add(id, 2);
    const Job cancelled = changed(CancelJob{id});
    EXPECT_EQ(cancelled.status, Job::Status::cancelled);
    EXPECT_EQ(cancelled.created, 3);
    EXPECT_EQ(cancelled.images->location, "/qr");
    EXPECT_TRUE(is<JobTaken>(run(late)));
    EXPECT_EQ(job(id), cancelled);
}

TEST_F(Drawing, KeepsNoMoreReasonsThanAreToBe) {
    const JobId id = begin();
    job(id).images->rejected = limits::rejected_rows - 1;
    const std::string reason(qr_text_too_long);
    const Decision decision = decide(add(id, 0, {{1, reason, "A"}, {2, reason, "B"}}));
    ASSERT_EQ(decision.delta.rejections.size(), 1u);
    EXPECT_EQ(decision.delta.rejections[0].row.text, "A");
    EXPECT_EQ(job(id).images->rejected, limits::rejected_rows + 1);
}

TEST_F(Drawing, HindersNoCodesFromBeingMade) {
    begin();
    const Outcome begun = run(GenerateCodes{1, 5, {}});
    EXPECT_TRUE(is<JobChanged>(begun));
    EXPECT_TRUE(is<CodesUploaded>(run(UploadCodes{1, {"UP"}})));
    EXPECT_FALSE(job(7).adds_alone());
}

}  // namespace
}  // namespace coupond
