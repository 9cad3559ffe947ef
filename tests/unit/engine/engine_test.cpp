// The queue, the lane and its batches.
#include "engine/engine.hpp"

#include <algorithm>
#include <numeric>

#include "unit/engine/support.hpp"

namespace coupond::test {
namespace {

TEST_F(EngineTest, AnswersInTheOrderSubmittedOnTheLane) {
    prepare({});
    start();
    for (int i = 0; i < 300; ++i) {
        ASSERT_TRUE(submit(UploadCodes{1, {"C" + std::to_string(i)}}));
    }
    const std::vector<Answered> all = answers_.await(300);
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].tag, static_cast<int>(i));
        ASSERT_TRUE(all[i].is<CodesUploaded>());
        EXPECT_EQ(std::get<CodesUploaded>(*all[i].outcome).first_id, static_cast<CodeId>(i) + 1);
        EXPECT_NE(all[i].thread, std::this_thread::get_id());
        EXPECT_EQ(all[i].thread, all[0].thread);
        EXPECT_EQ(all[i].decided_at, clock_.now());
    }
}

TEST_F(EngineTest, RunsACommandAtOnceWhereNothingElseWaits) {
    start();
    for (std::size_t i = 1; i <= 3; ++i) {
        ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
        answers_.await(i);
    }
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 1, 1}));
}

TEST_F(EngineTest, RunsWhatCameInDuringACommitAsOneBatch) {
    start();
    hold_lane();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    answers_.await(101);
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 100}));
    EXPECT_EQ(store_.saves, 2);
    engine_->drain();
    EXPECT_EQ(engine_->totals().commands, 101u);
    EXPECT_EQ(engine_->totals().batches, 2u);
}

TEST_F(EngineTest, CutsBatchesAtTheirBound) {
    EngineOptions options;
    options.batch_commands = 30;
    start(options);
    hold_lane();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    answers_.await(101);
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 30, 30, 30, 10}));
}

TEST_F(EngineTest, CutsBatchesWhereTheStoreDoesBest) {
    store_.best = 40;
    start();
    hold_lane();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    answers_.await(101);
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 40, 40, 20}));
}

TEST_F(EngineTest, CutsBatchesAtTheirBoundOfCodes) {
    prepare({});
    EngineOptions options;
    options.command_wait = std::chrono::minutes(5);  // for whoever has to wait for large ones
    start(options);
    hold_lane();
    const std::size_t third = limits::batch_codes / 2 + 1;  // two of them are too many
    ASSERT_TRUE(submit(UploadCodes{1, numbered("A", third)}));
    ASSERT_TRUE(submit(AssignCode{"A0", "ann"}));
    ASSERT_TRUE(submit(UploadCodes{1, numbered("B", third)}));
    ASSERT_TRUE(submit(UploadCodes{1, {"C"}}));
    release_lane();
    const auto all = answers_.await(5);
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 2, 2}));
    for (const std::size_t i : {1u, 3u, 4u}) EXPECT_TRUE(all[i].is<CodesUploaded>()) << i;
}

TEST_F(EngineTest, TakesNoMoreThanItsQueueHolds) {
    EngineOptions options;
    options.queued_commands = 10;
    start(options);
    hold_lane();
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    EXPECT_FALSE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    answers_.await(11);
    EXPECT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    answers_.await(12);
    engine_->drain();
    EXPECT_EQ(answers_.await(12).size(), 12u);  // and none for the one that was not taken
}

TEST_F(EngineTest, TakesNoMoreCodesThanItsQueueHolds) {
    EngineOptions options;
    options.queued_codes = 10;
    prepare({});
    start(options);
    hold_lane();
    EXPECT_TRUE(submit(UploadCodes{1, numbered("A", 6)}));
    EXPECT_FALSE(submit(UploadCodes{1, numbered("B", 5)}));
    EXPECT_TRUE(submit(UploadCodes{1, numbered("C", 4)}));
    EXPECT_FALSE(submit(UploadCodes{1, {"D"}}));
    EXPECT_TRUE(submit(CreateBook{"n", "p", {}, {}}));  // brings no codes
    release_lane();
    answers_.await(4);
    EXPECT_TRUE(submit(UploadCodes{1, numbered("E", 10)}));
    EXPECT_TRUE(answers_.await(5).back().is<CodesUploaded>());
}

TEST_F(EngineTest, DoesNotRunWhatHasWaitedTooLong) {
    EngineOptions options;
    options.command_wait = std::chrono::milliseconds(-1);  // over before it begins
    start(options);
    ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    EXPECT_TRUE(answers_.await(1)[0].is(Failure::overloaded));
    EXPECT_EQ(store_.saves, 0);
    EXPECT_TRUE(sqlite_.reads().list_books({.limit = 1}, clock_.now())->books.empty());
}

TEST_F(EngineTest, RunsWhatHasNotWaitedTooLongBesideWhatHas) {
    EngineOptions options;
    options.command_wait = std::chrono::milliseconds(1000);
    start(options);
    hold_lane();
    ASSERT_TRUE(submit(CreateBook{"late", "p", {}, {}}));
    const auto over = std::chrono::steady_clock::now() + options.command_wait;
    std::this_thread::sleep_until(over + std::chrono::milliseconds(1));  // the event is the time
    ASSERT_TRUE(submit(CreateBook{"in time", "p", {}, {}}));
    release_lane();
    const auto all = answers_.await(3);
    EXPECT_EQ(answers_.batches(), (std::vector<std::size_t>{1, 2}));
    EXPECT_TRUE(all[1].is(Failure::overloaded));
    ASSERT_TRUE(all[2].is<BookCreated>());
    EXPECT_EQ(std::get<BookCreated>(*all[2].outcome).book.name, "in time");
    EXPECT_EQ(sqlite_.reads().list_books({.limit = 9}, clock_.now())->books.size(), 2u);
}

TEST_F(EngineTest, AnswersTheWholeBatchUnavailableAndGoesOnWithTheNext) {
    prepare({"A"});
    start();
    hold_lane();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    store_.before_load = [this, failed = 0]() mutable -> std::optional<Failure> {
        if (failed++ == 0) return Failure::unavailable;
        return std::nullopt;
    };
    release_lane();
    const auto all = answers_.await(6);
    for (std::size_t i = 1; i < 6; ++i) EXPECT_TRUE(all[i].is(Failure::unavailable));
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    EXPECT_TRUE(answers_.await(7).back().is<CodeAssigned>());
}

TEST_F(EngineTest, AnswersAllThatIsQueuedWhenItDrainsAndThenTakesNoMore) {
    start();
    hold_lane();
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    std::thread drain([this] { engine_->drain(); });
    while (engine_->submit({CreateBook{"n", "p", {}, {}}, "request"},
                           [](Result<Outcome>&&, Timestamp) {})) {
        std::this_thread::yield();
    }
    release_lane();
    drain.join();
    const auto batches = answers_.batches();
    EXPECT_GE(std::accumulate(batches.begin(), batches.end(), std::size_t{0}), 51u);
    EXPECT_FALSE(submit(CreateBook{"n", "p", {}, {}}));
    EXPECT_EQ(engine_->totals().batches, batches.size());
    engine_->drain();  // again is nothing
}

TEST_F(EngineTest, DrainsWhenItIsDestroyed) {
    start();
    hold_lane();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    engine_.reset();
    const auto batches = answers_.batches();
    EXPECT_EQ(std::accumulate(batches.begin(), batches.end(), std::size_t{0}), 6u);
}

TEST_F(EngineTest, RunsWhatHasTimeAloneAndOnlyOneOfThemWaits) {
    start();
    hold_lane();
    ASSERT_TRUE(submit_aside(CreateBook{"has time", "p", {}, {}}));
    EXPECT_FALSE(submit_aside(CreateBook{"one too many", "p", {}, {}}));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    release_lane();
    answers_.await(5);
    auto batches = answers_.batches();
    std::ranges::sort(batches);
    EXPECT_EQ(batches, (std::vector<std::size_t>{1, 1, 3}));
    EXPECT_EQ(engine_->totals().aside, 1u);
    EXPECT_GT(engine_->totals().aside_time.count(), 0);
}

TEST_F(EngineTest, GivesOthersTheirShareBeforeTheNextThatHasTime) {
    EngineOptions options;
    options.batch_commands = 1;
    start(options);
    constexpr int others = 2'000;
    // The first that has time is in the lane until the others wait, and so does the second.
    hold_lane_by([this] { return submit_aside(CreateBook{"has time", "p", {}, {}}); });
    for (int i = 0; i < others; ++i) ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // several times as much is owed
    ASSERT_TRUE(submit_aside(CreateBook{"has time too", "p", {}, {}}));
    release_lane();
    const auto all = answers_.await(others + 2);
    const auto second =
        std::ranges::find_if(all, [](const Answered& one) { return one.tag == others + 1; });
    const auto place = second - all.begin();
    EXPECT_GT(place, 1);           // the others had to be first,
    EXPECT_LT(place, others + 1);  // but not all of them
}

TEST_F(EngineTest, StillRunsWhatHasTimeWhenItDrains) {
    start();
    hold_lane();
    ASSERT_TRUE(submit_aside(CreateBook{"has time", "p", {}, {}}));
    std::jthread drain([this] { engine_->drain(); });
    release_lane();
    drain.join();
    EXPECT_TRUE(answers_.await(2)[1].is<BookCreated>());
    EXPECT_FALSE(submit_aside(CreateBook{"late", "p", {}, {}}));
}

TEST_F(EngineTest, KeepsTheOrderOfEachOfManyThreads) {
    constexpr int threads = 4, commands = 250;
    start();
    std::vector<std::thread> clients;
    for (int thread = 0; thread < threads; ++thread) {
        clients.emplace_back([this, thread] {
            for (int i = 0; i < commands; ++i) {
                EXPECT_TRUE(engine_->submit({CreateBook{"n", "p", {}, {}}, "request"},
                                            answers_.done(thread * commands + i)));
            }
        });
    }
    for (std::thread& client : clients) client.join();
    const auto all = answers_.await(threads * commands);
    std::vector<int> next(threads, 0);
    for (const Answered& answer : all) {
        EXPECT_EQ(answer.tag % commands, next[static_cast<std::size_t>(answer.tag / commands)]++);
        EXPECT_TRUE(answer.is<BookCreated>());
    }
}

TEST_F(EngineTest, KeepsLocksAndTheirEndsOverARestart) {
    prepare({"A", "B"});
    const auto one = [this](Command command) {
        Answers answers;
        Engine engine(sqlite_.store(), nullptr, clock_, answers.deliver());
        EXPECT_TRUE(engine.submit({std::move(command), "request"}, answers.done(0)));
        return answers.await(1)[0];
    };
    const Timestamp start = clock_.now();
    for (const char* const code : {"A", "B"}) {
        EXPECT_TRUE(one(AssignCode{code, "ann"}).is<CodeAssigned>());
        const Answered locked = one(LockCode{code, "ann", 300'000});
        ASSERT_TRUE(locked.is<CodeLocked>());
        EXPECT_EQ(std::get<CodeLocked>(*locked.outcome).until, start + 300'000);
    }
    clock_.advance(299'999);
    sqlite_.close();
    sqlite_.open();
    EXPECT_EQ(sqlite_.reads().list_books({.limit = 1}, clock_.now())->books[0].counts.locked, 2);
    EXPECT_TRUE(one(LockCode{"A", "ann", 300'000}).is(Refusal::already_locked));
    EXPECT_TRUE(one(RedeemCode{"B", "ann"}).is<CodeRedeemed>());  // in its last millisecond
    clock_.advance(1);
    EXPECT_TRUE(one(RedeemCode{"A", "ann"}).is(Refusal::not_locked));
    EXPECT_EQ(sqlite_.reads().list_books({.limit = 1}, clock_.now())->books[0].counts.locked, 0);
    EXPECT_TRUE(one(LockCode{"A", "ann", 300'000}).is<CodeLocked>());
    EXPECT_TRUE(one(RedeemCode{"A", "ann"}).is<CodeRedeemed>());
}

}  // namespace
}  // namespace coupond::test
