// Who is told of what, and when, while the lane goes on.
#include <atomic>

#include "unit/engine/support.hpp"

namespace coupond::test {
namespace {

/// An engine with a settler whose store takes its time, at the gate, to make things durable.
class SettlerTest : public EngineTest {
protected:
    void start_slow_disk() {
        prepare({"A", "B"});
        store_.before_settle = [this] {
            if (++settling_ == 1) gate_.wait();
        };
        settler_.emplace(store_);
        start({}, &*settler_);
    }

    ~SettlerTest() override {
        gate_.open();
        engine_.reset();  // before its settler
    }

    std::optional<Settler> settler_;
    std::atomic<int> settling_ = 0;
};

TEST_F(SettlerTest, TheLaneGoesOnButNobodyIsToldBeforeItIsDurable) {
    start_slow_disk();
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    gate_.await_waiting();
    ASSERT_TRUE(submit(AssignCode{"B", "ben"}));
    const auto reads = sqlite_.open_reads();
    while (!reads->find_code("B", 1).value()->code.assigned_to) std::this_thread::yield();
    EXPECT_TRUE(answers_.batches().empty());
    gate_.open();
    const std::vector<Answered> all = answers_.await(2);
    EXPECT_TRUE(all[0].is<CodeAssigned>());
    EXPECT_TRUE(all[1].is<CodeAssigned>());
    EXPECT_EQ(settling_, 2);
}

TEST_F(SettlerTest, ARefusalWaitsForWhatItRestsOn) {
    start_slow_disk();
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    gate_.await_waiting();
    ASSERT_TRUE(submit(AssignCode{"A", "ben"}));  // saves nothing
    while (engine_->totals().batches < 2) std::this_thread::yield();
    EXPECT_TRUE(answers_.batches().empty());
    gate_.open();
    EXPECT_TRUE(answers_.await(2)[1].is(Refusal::assigned_to_another_user));
}

TEST_F(SettlerTest, WhatIsReadWaitsForWhatItShows) {
    start_slow_disk();
    Reader reader(sqlite_.open_reads(), &*settler_);
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    gate_.await_waiting();
    Gate seen, told;
    std::atomic<bool> is_told = false;
    ASSERT_TRUE(reader.submit([&](ReadStore& store) {
        EXPECT_EQ(store.find_code("A", 1).value()->code.assigned_to, "ann");
        reader.when_settled([&] {
            is_told = true;
            told.open();
        });
        seen.open();
    }));
    seen.wait();
    EXPECT_FALSE(is_told);
    gate_.open();
    told.wait();
}

TEST_F(SettlerTest, WhatHasTimeIsAnsweredWhenItIsSaved) {
    start_slow_disk();
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    gate_.await_waiting();
    ASSERT_TRUE(submit_aside(AssignCode{"B", "ben"}));
    const std::vector<Answered> all = answers_.await(1);
    EXPECT_EQ(all[0].tag, 1);
    EXPECT_TRUE(all[0].is<CodeAssigned>());
    gate_.open();
    EXPECT_EQ(answers_.await(2)[1].tag, 0);
}

TEST_F(SettlerTest, DrainingTellsAll) {
    start_slow_disk();
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    gate_.await_waiting();
    for (int i = 0; i < 50; ++i) ASSERT_TRUE(submit(AssignCode{"B", "ben"}));
    std::thread opens([this] {
        while (engine_->totals().commands < 51) std::this_thread::yield();
        gate_.open();
    });
    engine_->drain();
    EXPECT_EQ(answers_.await(51).size(), 51u);
    opens.join();
}

TEST_F(SettlerTest, TellsAtOnceWhereAllIsDurable) {
    prepare({"A"});
    store_.settle();
    settler_.emplace(store_);
    const int before = store_.settles;
    std::optional<std::thread::id> thread;
    settler_->then([&] { thread = std::this_thread::get_id(); });
    EXPECT_EQ(thread, std::this_thread::get_id());
    EXPECT_EQ(store_.settles, before);
}

TEST_F(EngineTest, WithoutASettlerTheLaneWaitsItself) {
    prepare({"A"});
    start();
    const int before = store_.settles;
    ASSERT_TRUE(submit(AssignCode{"A", "ann"}));
    answers_.await(1);
    EXPECT_EQ(store_.settles, before + 1);
}

}  // namespace
}  // namespace coupond::test
