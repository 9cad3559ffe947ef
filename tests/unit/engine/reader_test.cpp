#include <algorithm>

#include "unit/engine/support.hpp"

namespace coupond::test {
namespace {

class ReaderTest : public EngineTest {
protected:
    /// A reader whose thread waits at the gate.
    void start_held() {
        reader_.emplace(sqlite_.open_reads());
        ASSERT_TRUE(reader_->submit([this](ReadStore&) { gate_.wait(); }));
        gate_.await_waiting();
    }

    std::optional<Reader> reader_;
};

TEST_F(ReaderTest, RunsReadsInTheOrderSubmittedOnAThreadOfItsOwn) {
    start_held();
    std::vector<int> ran;
    std::thread::id thread;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(reader_->submit([&, i](ReadStore& store) {
            EXPECT_TRUE(store.ping());
            ran.push_back(i);
            thread = std::this_thread::get_id();
        }));
    }
    EXPECT_TRUE(ran.empty());
    Gate last;
    ASSERT_TRUE(reader_->submit([&](ReadStore&) { last.open(); }));
    gate_.open();
    last.wait();
    ASSERT_EQ(ran.size(), 100u);
    EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
    EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(ReaderTest, RunsWhatIsUrgentBeforeWhatWaits) {
    start_held();
    std::vector<std::string> ran;
    Gate last;
    ASSERT_TRUE(reader_->submit([&](ReadStore&) {
        ran.push_back("waiting");
        last.open();
    }));
    ASSERT_TRUE(reader_->submit_first([&](ReadStore&) { ran.push_back("urgent"); }));
    gate_.open();
    last.wait();
    EXPECT_EQ(ran, (std::vector<std::string>{"urgent", "waiting"}));
}

TEST_F(ReaderTest, TakesNoMoreThanItsQueueHoldsAndDropsItWhenItStops) {
    start_held();
    std::size_t ran = 0;
    // The running job goes on only when a waiting one has been dropped.
    const auto opens_gate = [this](int* token) {
        delete token;
        gate_.open();
    };
    std::shared_ptr<int> dropped(new int, opens_gate);
    for (std::size_t i = 0; i < limits::queued_queries; ++i) {
        ASSERT_TRUE(reader_->submit([&ran, dropped](ReadStore&) { ++ran; }));
    }
    dropped.reset();
    EXPECT_FALSE(reader_->submit([&](ReadStore&) { ++ran; }));
    reader_->stop();
    EXPECT_EQ(ran, 0u);
    EXPECT_FALSE(reader_->submit([&](ReadStore&) { ++ran; }));
}

TEST_F(ReaderTest, SeesWhatTheEngineHasAnswered) {
    reader_.emplace(sqlite_.open_reads());
    start();
    for (std::size_t i = 1; i <= 20; ++i) {
        ASSERT_TRUE(submit(CreateBook{"n", "p", {}, {}}));
        answers_.await(i);
        Gate read;
        std::size_t books = 0;
        ASSERT_TRUE(reader_->submit([&](ReadStore& store) {
            books = store.list_books({.limit = 100}, clock_.now())->books.size();
            read.open();
        }));
        read.wait();
        EXPECT_EQ(books, i);
    }
}

TEST_F(ReaderTest, WithNothingToDoEndsAtOnce) {
    reader_.emplace(sqlite_.open_reads());
    reader_.reset();
    SUCCEED();
}

}  // namespace
}  // namespace coupond::test
