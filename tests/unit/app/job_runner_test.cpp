// Jobs worked on from end to end, on a real engine and a real store.
#include "app/job_runner.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "app/image_store.hpp"
#include "app/job_queue.hpp"
#include "domain/domain.hpp"
#include "support/sqlite_store.hpp"

namespace coupond::test {
namespace {

constexpr const char* pattern = "{16}";
constexpr std::int64_t requested = 60'000;

std::uint64_t never(std::uint64_t) {
    ADD_FAILURE() << "nothing of a code is drawn";
    return 0;
}

class JobRunnerTest : public testing::TestWithParam<bool> {
protected:
    /// Book 1, of which the generator is known and has made a code.
    JobRunnerTest() {
        CreateBook book;
        book.name = "n";
        book.code_pattern = pattern;
        book.case_sensitive = GetParam();
        run(book);
        key_.fill(7);
        AddGenerated first{{1, 1, {}}, {}, pattern, {key_, 0, 0}, maker().draft(0, 1, never)};
        run(first);
    }

    CodeMaker maker() const { return {std::get<CodePattern>(parse_code_pattern(pattern)), key_}; }

    void run(const Command& command) {
        const auto outcomes = test::run(store_.store(), command, clock_.now());
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
    }

    Job job() { return store_.reads().find_job(1)->value(); }

    /// Until `is_enough` of the job.
    template <class Condition>
    void work(const std::string& worker, const Condition& is_enough) {
        Engine engine(store_.store(), nullptr, clock_, [](std::vector<Delivery> deliveries) {
            for (Delivery& delivery : deliveries) delivery();
        });
        JobRunner runner(engine, store_.open_reads(), clock_, worker, nullptr, nullptr);
        runner.start();
        while (!is_enough(job())) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        runner.stop();
        engine.drain();
    }

    /// That the job has made what was asked for, and each code is there once.
    void expect_made(std::int64_t others) {
        EXPECT_EQ(job().status, Job::Status::completed);
        EXPECT_EQ(job().created, requested);
        auto sql = store_.connect();
        EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_code WHERE book_id = 1"), requested + 1);
        EXPECT_EQ(sql.integer("SELECT count(DISTINCT code) FROM coupon_code"),
                  requested + 1 + others);
        EXPECT_EQ(sql.integer("SELECT sum(codes) FROM ledger WHERE book_id = 1"), requested + 1);
        EXPECT_EQ(sql.integer("SELECT total FROM book_count WHERE book_id = 1"), requested + 1);
    }

    SystemClock clock_;
    SqliteStore store_;
    Permutation::Key key_{};
};

TEST_P(JobRunnerTest, PassesOverCodesThatTurnOutToBeThere) {
    // Of the round that will be made, in another book: to the letter, or spelled otherwise.
    auto making = maker();
    const auto numbers = making.permuted({1, requested + 1});
    std::vector<std::string> taken;
    for (const std::size_t place : {0, 7, 30'000, 59'999}) {
        std::string code =
            making.draft(std::span(numbers).subspan(place, 1), never).candidates.front().code;
        if (!GetParam()) code.insert(4, "-");
        taken.push_back(std::move(code));
    }
    CreateBook others;
    others.name = "o";
    others.code_pattern = "p";
    others.case_sensitive = GetParam();
    run(others);
    run(UploadCodes{2, taken});
    run(GenerateCodes{1, requested, {}});
    work("w", [](const Job& job) { return job.is_finished(); });
    EXPECT_EQ(store_.connect().integer("SELECT next FROM code_generator"), requested + 5);
    EXPECT_EQ(store_.connect().integer("SELECT drafts FROM code_generator"), requested + 5);
    expect_made(4);
}

TEST_P(JobRunnerTest, GoesOnWhereAnotherHasEnded) {
    run(GenerateCodes{1, requested, {}});
    int turns = 0;
    for (std::int64_t made = 0; !job().is_finished(); made = job().created) {
        work("w", [made](const Job& job) { return job.created > made || job.is_finished(); });
        ++turns;
    }
    EXPECT_GT(turns, 1);
    expect_made(0);
}

INSTANTIATE_TEST_SUITE_P(OfBooks, JobRunnerTest, testing::Bool(), [](const auto& of) {
    return of.param ? "ThatAreCaseSensitive" : "ThatAreNot";
});

}  // namespace
}  // namespace coupond::test
