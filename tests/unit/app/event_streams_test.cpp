// Streams of the ledger on a real store, without HTTP around them.
#include "app/event_streams.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "support/sqlite_store.hpp"

namespace coupond::test {
namespace {

using std::chrono::milliseconds;

constexpr Timestamp now{1'700'000'000'000};

/// Takes all that a body has to say whenever it is woken, as a fast client does.
struct Follower {
    std::optional<wire::BodySource> body;
    std::string text;
    int wakes = 0;

    void pull() {
        while (body && (*body)(text) == wire::Rest::more) {
        }
    }
};

class EventStreamsTest : public testing::Test {
protected:
    ~EventStreamsTest() override {
        reader_.stop();
        followers_.clear();
    }

    void create_book(const std::string& name) {
        ASSERT_TRUE(run(store_.store(), CreateBook{name, "B-{6}", {}, {}}, now));
    }

    EventStreams& open_streams(EventStreamBounds bounds) {
        return streams_.emplace(io_, reader_, bounds);
    }

    /// Null where it is refused.
    Follower* follow(EntryId after = 0, std::size_t limit = 100) {
        Follower& follower = followers_.emplace_back();
        EntryQuery query;
        query.after = after;
        query.limit = limit;
        follower.body = streams_->open(query, [&follower] {
            ++follower.wakes;
            follower.pull();
        });
        if (!follower.body) {
            followers_.pop_back();
            return nullptr;
        }
        follower.pull();
        return &follower;
    }

    /// Runs the network's thread until `done`, for up to ten seconds.
    template <class Done>
    bool run_until(Done done) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done()) {
            if (std::chrono::steady_clock::now() > until) return false;
            io_.restart();
            io_.run_one_for(milliseconds(50));
        }
        return true;
    }

    /// Waits until what the reader has been asked is done, and told.
    void reader_idles() {
        bool idle = false;
        ASSERT_TRUE(
            reader_.submit([&](ReadStore&) { boost::asio::post(io_, [&] { idle = true; }); }));
        EXPECT_TRUE(run_until([&] { return idle; }));
    }

    static int count(const std::string& text, const std::string& what) {
        int times = 0;
        for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
            ++times;
        return times;
    }

    boost::asio::io_context io_;
    SqliteStore store_;
    Reader reader_{store_.open_reads()};
    std::optional<EventStreams> streams_;
    std::deque<Follower> followers_;
};

constexpr EventStreamBounds no_poll{.poll = std::chrono::hours(1)};

TEST_F(EventStreamsTest, TellsWhatIsThereAndWhatComesWhenItIsTold) {
    open_streams(no_poll);
    create_book("one");
    Follower& follower = *follow();
    EXPECT_EQ(follower.text, "retry: 1000\nid: 0\n\n");
    EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == 1; }));
    create_book("two");
    streams_->look_soon();
    EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == 2; }));
    EXPECT_EQ(count(follower.text, "\"name\":\"one\""), 1);
    EXPECT_EQ(count(follower.text, "\"name\":\"two\""), 1);
}

TEST_F(EventStreamsTest, FindsWhatOthersCommit) {
    open_streams({.poll = milliseconds(5), .poll_gap = milliseconds(1)});
    Follower& follower = *follow();
    for (int i = 1; i <= 5; ++i) {
        create_book("by another process");
        EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == i; }));
    }
}

TEST_F(EventStreamsTest, GoesThroughManyPages) {
    open_streams(no_poll);
    for (int i = 0; i < 25; ++i) create_book("book");
    Follower& all = *follow(0, 2);
    Follower& same = *follow(0, 2);
    Follower& rest = *follow(20, 100);
    EXPECT_TRUE(run_until(
        [&] { return count(all.text, "data: ") == 25 && count(rest.text, "data: ") == 5; }));
    EXPECT_TRUE(run_until([&] { return same.text == all.text; }));
    EXPECT_NE(all.text.find("id: 25\nevent: book_created\ndata: {\"id\":25,"), std::string::npos);
}

TEST_F(EventStreamsTest, WakesNobodyWhereNothingIsNew) {
    open_streams({.poll = milliseconds(1), .poll_gap = milliseconds(1)});
    create_book("one");
    Follower& follower = *follow(1);
    run_until([begin = std::chrono::steady_clock::now()] {
        return std::chrono::steady_clock::now() > begin + milliseconds(100);
    });
    EXPECT_EQ(follower.wakes, 0);
    EXPECT_EQ(follower.text, "retry: 1000\nid: 1\n\n");
}

TEST_F(EventStreamsTest, BreaksLongSilence) {
    open_streams(
        {.poll = milliseconds(2), .poll_gap = milliseconds(1), .keep_alive = milliseconds(4)});
    Follower& follower = *follow();
    EXPECT_TRUE(run_until([&] { return count(follower.text, "\n:\n\n") == 3; }));
    EXPECT_EQ(count(follower.text, "id: "), 1);
}

TEST_F(EventStreamsTest, MovesTheLastIdOnInSilence) {
    open_streams(
        {.poll = milliseconds(2), .poll_gap = milliseconds(1), .keep_alive = milliseconds(4)});
    Follower& follower = followers_.emplace_back();
    EntryQuery query;
    query.limit = 100;
    query.type = LedgerEntry::Type::code_redeemed;
    follower.body = streams_->open(query, [&] { follower.pull(); });
    follower.pull();
    for (int i = 0; i < 3; ++i) create_book("no redemption");
    EXPECT_TRUE(run_until([&] { return count(follower.text, "\n:\nid: 3\n\n") == 1; }));
    EXPECT_TRUE(run_until([&] { return follower.text.ends_with("\n:\n\n"); }));
    EXPECT_EQ(count(follower.text, "data"), 0);
}

TEST_F(EventStreamsTest, RefusesMoreThanItMayHave) {
    open_streams({.streams = 2});
    ASSERT_NE(follow(), nullptr);
    ASSERT_NE(follow(), nullptr);
    EXPECT_EQ(follow(), nullptr);
    followers_.front().body.reset();
    EXPECT_NE(follow(), nullptr);
}

TEST_F(EventStreamsTest, ReadsNoFurtherThanItIsTaken) {
    open_streams({.poll = milliseconds(1), .poll_gap = milliseconds(1)});
    for (int i = 0; i < 10; ++i) create_book("book");
    EntryQuery query;
    query.limit = 2;
    int wakes = 0;
    auto body = streams_->open(query, [&] { ++wakes; });
    std::string text;
    EXPECT_EQ((*body)(text), wire::Rest::more);
    EXPECT_EQ((*body)(text), wire::Rest::later);
    EXPECT_TRUE(run_until([&] { return wakes == 1; }));  // there is something
    EXPECT_EQ((*body)(text), wire::Rest::later);
    EXPECT_TRUE(run_until([&] { return wakes == 2; }));  // and here it is
    EXPECT_TRUE(run_until([&] {
        // Looked for time and again, meanwhile.
        create_book("another");
        streams_->look_soon();
        return count(follow()->text, "retry") == 1 && followers_.size() > 20;
    }));
    EXPECT_EQ(wakes, 2);
    EXPECT_EQ((*body)(text), wire::Rest::more);
    EXPECT_EQ(count(text, "data: "), 2);
    EXPECT_EQ((*body)(text), wire::Rest::later);
}

TEST_F(EventStreamsTest, GoesOnWhenReadingFails) {
    open_streams({.poll = milliseconds(2), .poll_gap = milliseconds(1)});
    create_book("one");
    Follower& follower = *follow();
    EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == 1; }));
    store_.connect().run("ALTER TABLE ledger RENAME TO gone");
    const auto failed_at = std::chrono::steady_clock::now();
    Follower& late = *follow();
    run_until([&] { return std::chrono::steady_clock::now() > failed_at + milliseconds(200); });
    EXPECT_EQ(count(late.text, "data: "), 0);
    store_.connect().run("ALTER TABLE gone RENAME TO ledger");
    EXPECT_TRUE(run_until([&] { return count(late.text, "data: ") == 1; }));
    create_book("two");
    EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == 2; }));
    EXPECT_TRUE(run_until([&] { return count(late.text, "data: ") == 2; }));
}

TEST_F(EventStreamsTest, ForgetsTheFailuresOfThoseWhoAreGone) {
    open_streams(no_poll);
    create_book("one");
    store_.connect().run("ALTER TABLE ledger RENAME TO gone");
    follow();
    followers_.clear();
    reader_idles();
    store_.connect().run("ALTER TABLE gone RENAME TO ledger");
    Follower& follower = *follow();
    EXPECT_TRUE(run_until([&] { return count(follower.text, "data: ") == 1; }));
}

TEST_F(EventStreamsTest, MayEndBeforeItsBodies) {
    open_streams(no_poll);
    create_book("one");
    Follower& follower = *follow();
    streams_.reset();
    io_.run_for(milliseconds(20));
    EXPECT_EQ((*follower.body)(follower.text), wire::Rest::later);
    EXPECT_EQ(count(follower.text, "data: "), 0);
}

}  // namespace
}  // namespace coupond::test
