// Jobs that draw QR codes: what is saved is what is loaded and read.
#include <gtest/gtest.h>

#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using Texts = std::vector<std::string>;

Job make_images(JobId id, BookId book_id) {
    Job job = test::make_job(id, book_id);
    job.code_pattern.clear();
    job.images.emplace();
    job.images->size_px = 400;
    job.images->margin_modules = 4;
    return job;
}

class QrImagesTest : public testing::Test {
protected:
    /// Books 1 and 2, of which 1 has two codes.
    void SetUp() override {
        run(CreateBook{"Summer", "SUMMER-{6}", {}, {}});
        run(CreateBook{"Winter", "WINTER-{6}", {}, {}});
        run(UploadCodes{1, {"A", "B"}});
    }

    Outcome run(const Command& command) {
        auto outcomes = test::run(store(), command, clock_.now());
        EXPECT_TRUE(outcomes);
        return outcomes ? std::move(outcomes->front()) : Outcome(Refusal::job_not_found);
    }

    Job changed(const Command& command) {
        const Outcome outcome = run(command);
        const auto* const changed = std::get_if<JobChanged>(&outcome);
        EXPECT_NE(changed, nullptr);
        return changed == nullptr ? Job() : changed->job;
    }

    std::optional<Job> load_job(JobId id) {
        Needs needs;
        needs.jobs = {id};
        const Result<World> world = loaded(store(), needs);
        EXPECT_TRUE(world);
        if (!world || world->jobs.empty()) return std::nullopt;
        return world->jobs.at(id).job;
    }

    Job find(JobId id) { return tested_.reads().find_job(id)->value(); }

    AddImages step(JobId id) {
        const Job job = find(id);
        AddImages command;
        command.book_id = job.book_id;
        command.job_id = id;
        command.worker = "w";
        command.claimed_until = clock_.now() + 1'000;
        command.before = command.after = *job.images;
        return command;
    }

    void save(const Draft& draft) { ASSERT_TRUE(store().save(draft.delta)); }

    Store& store() { return tested_.store(); }

    TestedStore tested_;
    ManualClock clock_;
};

TEST_F(QrImagesTest, GivesBackJobsAsTheyWereSaved) {
    Job all = make_images(1, 1);
    all.images = QrImages{QrImages::Format::png,
                          2'000,
                          16,
                          QrImages::ErrorLevel::high,
                          "https://shop.example/?c={code}",
                          "/srv/\u00e9 'x\" \\{}, NULL",
                          5'000'000'000,
                          7};
    all.requested = 5'000'000'000;
    all.created = 9;
    all.worker = "w";
    const Job plain = make_images(2, 1);
    const Job makes = test::make_job(3, 1);
    save(Draft().job(all).job(plain).job(makes));
    for (const bool reopened : {false, true}) {
        if (reopened) {
            tested_.close();
            tested_.open();
        }
        EXPECT_EQ(load_job(1), all);
        EXPECT_EQ(load_job(2), plain);
        EXPECT_EQ(load_job(3), makes);
        EXPECT_EQ(find(1), all);
        EXPECT_EQ(find(2), plain);
        EXPECT_EQ(tested_.reads().list_jobs({.limit = 9})->jobs, (std::vector{makes, plain, all}));
        EXPECT_EQ(tested_.reads().next_job("w", noon, 0)->value().job, all);
        EXPECT_EQ(tested_.reads().next_job("w", noon, 1)->value().job, plain);
    }
    EXPECT_EQ(tested_.connect().rows("SELECT id FROM job WHERE details IS NULL"), Texts{"3"});
    Job further = all;
    further.images->after = 5'000'000'010;
    further.images->location = "s3://b/qr/1/1";
    further.created = 20;
    save(Draft().change(further));
    ++further.version;
    EXPECT_EQ(load_job(1), further);
    EXPECT_EQ(load_job(2), plain);
}

TEST_F(QrImagesTest, GoThroughAllOfIt) {
    const JobId id = changed(DrawImages{1, *make_images(0, 1).images}).id;
    // Beside one that makes codes for the book, whoever works on that.
    const JobId makes = changed(GenerateCodes{1, 5, {}}).id;
    EXPECT_EQ(tested_.reads().next_job("w", clock_.now(), 0)->value().job.id, id);
    EXPECT_EQ(tested_.reads().next_job("w", clock_.now(), id)->value().job.id, makes);
    AddImages first = step(id);
    first.codes = 2;
    first.is_anew = true;
    first.after.location = "/qr/1";
    changed(first);
    EXPECT_EQ(tested_.reads().next_job("other", clock_.now(), 0)->value().job.id, makes);
    EXPECT_EQ(tested_.reads().next_job("other", clock_.now() + 1'000, 0)->value().job.id, id);
    AddImages last = step(id);
    last.drawn = 1;
    last.rejected = {{2, std::string(qr_text_too_long), "B"}};
    last.after.after = 2;
    last.is_last = true;
    const Job done = changed(last);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(find(id), done);
    EXPECT_EQ(*tested_.reads().rejected_rows(id, 0, 9),
              (std::vector<RejectedRow>{{2, "qr_text_too_long", "B"}}));
    EXPECT_EQ(tested_.reads().next_job("w", clock_.now(), 0)->value().job.id, makes);
}

TEST_F(QrImagesTest, TellTheSameReasonsOnceWhereTheyBeginAnew) {
    const JobId id = changed(DrawImages{1, *make_images(0, 1).images}).id;
    for (const char* const place : {"/a", "/b"}) {
        AddImages first = step(id);
        first.is_anew = true;
        first.after.location = place;
        first.after.after = 0;
        changed(first);
        AddImages some = step(id);
        some.rejected = {{1, std::string(qr_text_too_long), "A"}};
        some.after.after = 1;
        EXPECT_EQ(changed(some).images->rejected, 1);
    }
    EXPECT_EQ(*tested_.reads().rejected_rows(id, 0, 9),
              (std::vector<RejectedRow>{{1, "qr_text_too_long", "A"}}));
}

TEST_F(QrImagesTest, DoNotUseAJobThatCannotBe) {
    save(Draft().job(make_images(1, 1)));
    auto sql = tested_.connect();
    for (const std::string details :
         {"qr", "qr 0 400 4 1 0 0", "qr 0 400 4 1 0 0 1 ", "qr 2 400 4 1 0 0 0 ",
          "qr 0 400 4 4 0 0 0 ", "qr 0 0 4 1 0 0 0 ", "qr 0 2001 4 1 0 0 0 ",
          "qr 0 400 17 1 0 0 0 ", "qr 0 400 4 1 -1 0 0 ", "qr 0 400 4 1 0 9223372036854775807 0 ",
          "UTC", "images"}) {
        sql.run("UPDATE job SET details = '" + details + "'");
        Needs needs;
        needs.jobs = {1};
        EXPECT_EQ(store().load(needs).error(), Failure::unavailable) << details;
        EXPECT_EQ(tested_.reads().find_job(1).error(), Failure::unavailable) << details;
        EXPECT_EQ(tested_.reads().next_job("w", noon, 0).error(), Failure::unavailable) << details;
    }
    sql.run("UPDATE job SET details = 'qr 0 400 4 1 0 0 0 '");
    EXPECT_EQ(load_job(1), make_images(1, 1));
}

}  // namespace
}  // namespace coupond::test
