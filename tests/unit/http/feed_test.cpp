// Bodies whose pieces come when they come: waiting, waking, slow and vanished readers, and the
// drain.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support.hpp"

namespace coupond::http::test {
namespace {

/// GET /feed answers with what the test puts into it.
class Feed {
public:
    explicit Feed(Bounds bounds = patient()) {
        Router router = usual_routes();
        router.add("GET", "/feed", [this](const Request&, const Responder& to) {
            responders_.push_back(to);
            wire::Answer answer;
            answer.body = [this, alive = alive_](std::string& out) { return pull(out); };
            to.send(std::move(answer));
        });
        server_.emplace(std::move(router), bounds);
    }
    ~Feed() {
        server_->run([this] { responders_.clear(); });
        server_.reset();
    }
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;

    TestServer& server() { return *server_; }

    /// A client that has asked, and has the head of the answer.
    std::unique_ptr<Client> ask(int receive_buffer_bytes = 0) {
        auto client = std::make_unique<Client>(server_->port(), receive_buffer_bytes);
        client->send(get("/feed"));
        EXPECT_EQ(client->read(true).status, 200);
        return client;
    }

    void put(std::vector<std::string> pieces) {
        server_->run([&] {
            for (std::string& piece : pieces) pieces_.push_back(std::move(piece));
            wake();
        });
    }
    void end() {
        server_->run([&] {
            ended_ = true;
            wake();
        });
    }
    void wake_all() {
        server_->run([&] { wake(); });
    }

    /// What it says while it has nothing.
    void wait_with(wire::Rest rest) {
        server_->run([&] { waits_ = rest; });
    }

    long sources() const { return alive_.use_count() - 1; }
    int pulled() const { return pulled_; }

private:
    void wake() {
        for (const Responder& responder : responders_) responder.wake();
    }

    wire::Rest pull(std::string& out) {
        if (pieces_.empty()) return ended_ ? wire::Rest::none : waits_;
        out += pieces_.front();
        pieces_.pop_front();
        ++pulled_;
        return pieces_.empty() ? waits_ : wire::Rest::more;
    }

    std::deque<std::string> pieces_;
    bool ended_ = false;
    wire::Rest waits_ = wire::Rest::later;
    std::vector<Responder> responders_;
    std::atomic<int> pulled_ = 0;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
    std::optional<TestServer> server_;
};

TEST(Feed, GoesOnWhenItIsWoken) {
    Feed feed;
    const auto client = feed.ask();
    EXPECT_TRUE(client->sees_nothing());
    feed.put({"one"});
    EXPECT_EQ(client->read_chunk(), "one");
    feed.wake_all();
    EXPECT_TRUE(client->sees_nothing());
    feed.put({"two", "three"});
    EXPECT_EQ(client->read_chunk(), "two");
    EXPECT_EQ(client->read_chunk(), "three");
    EXPECT_EQ(feed.sources(), 1);
    feed.end();
    EXPECT_EQ(client->read_chunk(), "");
    EXPECT_EQ(feed.sources(), 0);
    feed.wake_all();  // too late, and harmless
    EXPECT_EQ(client->ask(get("/ping")).body, "pong");
}

TEST(Feed, SendsWhatIsThereAtOnce) {
    Feed feed;
    feed.put({"one", "two"});
    const auto client = feed.ask();
    EXPECT_EQ(client->read_chunk(), "one");
    EXPECT_EQ(client->read_chunk(), "two");
    EXPECT_TRUE(client->sees_nothing());
}

TEST(Feed, WaitsLongerThanAnyTimeOut) {
    Bounds bounds = patient();
    bounds.idle_ms = bounds.request_ms = bounds.response_stall_ms = bounds.linger_ms = 500;
    Feed feed(bounds);
    const auto client = feed.ask();
    EXPECT_TRUE(client->sees_nothing(1'500));
    feed.put({"late"});
    EXPECT_EQ(client->read_chunk(), "late");
    EXPECT_TRUE(client->sees_nothing(1'000));
}

TEST(Feed, LosesNoWakeWhileItWrites) {
    constexpr int count = 500;
    Feed feed;
    const auto client = feed.ask();
    std::thread writer([&] {
        for (int i = 0; i < count; ++i) feed.put({std::string(20'000, 'x')});
    });
    std::size_t got = 0;
    while (got < count * 20'000) {
        const auto chunk = client->read_chunk();
        ASSERT_TRUE(chunk && !chunk->empty());
        got += chunk->size();
    }
    writer.join();
    EXPECT_EQ(feed.pulled(), count);
}

TEST(Feed, WaitsForTheReader) {
    constexpr int count = 1024;
    Feed feed;
    const auto slow = feed.ask(16 * 1024);
    feed.put(std::vector<std::string>(count, std::string(64 * 1024, 'x')));
    int before = 0;
    for (int still = 0; before == 0 || still < 10; ++still) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        const int now = feed.pulled();
        if (now != std::exchange(before, now)) still = 0;
    }
    EXPECT_LT(before, count / 2);  // what the kernel buffers, no more
    for (int i = 0; i < 100; ++i) feed.wake_all();
    EXPECT_LE(feed.pulled(), before + 1);
    feed.end();
    std::size_t got = 0;
    for (;;) {
        const auto chunk = slow->read_chunk();
        ASSERT_TRUE(chunk);
        if (chunk->empty()) break;
        got += chunk->size();
    }
    EXPECT_EQ(got, count * 64 * 1024U);
}

TEST(Feed, StalledReadersAreCutOff) {
    Bounds bounds = patient();
    bounds.response_stall_ms = 60;
    Feed feed(bounds);
    const auto stalled = feed.ask(16 * 1024);
    feed.put(std::vector<std::string>(1024, std::string(64 * 1024, 'x')));
    EXPECT_TRUE(eventually([&] { return feed.sources() == 0; }));
    EXPECT_TRUE(stalled->is_cut());
}

TEST(Feed, EndsWithItsClient) {
    Feed feed;
    for (const bool reset : {false, true}) {
        auto gone = feed.ask();
        EXPECT_TRUE(eventually([&] { return feed.sources() == 1; }));
        const linger at_once = {.l_onoff = reset ? 1 : 0, .l_linger = 0};
        setsockopt(gone->descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        gone.reset();
        EXPECT_TRUE(eventually([&] { return feed.sources() == 0; }));
    }
    const auto half = feed.ask();
    half->finish_sending();
    EXPECT_TRUE(half->is_cut());
    EXPECT_TRUE(eventually([&] { return feed.sources() == 0; }));
    feed.put({"for nobody"});
    EXPECT_EQ(feed.pulled(), 0);
}

TEST(Feed, EndsWithItsClientWhileItWrites) {
    Feed feed;
    auto gone = feed.ask(16 * 1024);
    feed.put(std::vector<std::string>(1024, std::string(64 * 1024, 'x')));
    EXPECT_TRUE(eventually([&] { return feed.pulled() > 0; }));
    gone.reset();
    EXPECT_TRUE(eventually([&] { return feed.sources() == 0; }));
}

TEST(Feed, LeavesWhatIsPipelinedForLater) {
    Feed feed;
    const auto client = feed.ask();
    client->send(get("/ping") + get("/feed"));
    EXPECT_TRUE(client->sees_nothing());
    feed.put({"one"});
    EXPECT_EQ(client->read_chunk(), "one");
    feed.end();
    EXPECT_EQ(client->read_chunk(), "");
    EXPECT_EQ(client->read().body, "pong");
    EXPECT_EQ(client->read().body, "");
    EXPECT_EQ(client->ask(get("/ping")).body, "pong");
}

TEST(Feed, EndsWithTheConnectionForOldClients) {
    Feed feed;
    Client client(feed.server());
    client.send("GET /feed HTTP/1.0\r\n\r\n");
    const Response head = client.read(true);
    EXPECT_FALSE(head.fields.contains("transfer-encoding"));
    EXPECT_FALSE(head.fields.contains("content-length"));
    EXPECT_TRUE(head.says_close());
    feed.put({"one", "two"});
    EXPECT_EQ(client.read_bytes(6), "onetwo");
    EXPECT_TRUE(client.sees_nothing());
    feed.end();
    EXPECT_TRUE(client.sees_end());
}

TEST(Feed, HasNoBodyForHead) {
    Feed feed;
    feed.put({"one"});
    Client client(feed.server());
    EXPECT_EQ(client.ask("HEAD /feed HTTP/1.1\r\nHost: a\r\n\r\n", true).status, 200);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
    EXPECT_EQ(feed.sources(), 0);
    EXPECT_EQ(feed.pulled(), 0);
}

TEST(Feed, EndsAtADrain) {
    Feed feed;
    const auto waiting = feed.ask();
    const auto other = feed.ask();
    Client old(feed.server());
    old.send("GET /feed HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read(true).status, 200);
    EXPECT_TRUE(eventually([&] { return feed.sources() == 3; }));
    const auto done = feed.server().drain(60'000);
    EXPECT_EQ(waiting->read_chunk(), "");
    EXPECT_TRUE(waiting->sees_end());
    EXPECT_EQ(other->read_chunk(), "");
    EXPECT_TRUE(other->sees_end());
    EXPECT_TRUE(old.sees_end());
    old.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_EQ(feed.sources(), 0);
}

TEST(Feed, SaysAtADrainWhatItStillHas) {
    Feed feed;
    const auto slow = feed.ask(16 * 1024);
    feed.put(std::vector<std::string>(256, std::string(64 * 1024, 'x')));
    EXPECT_TRUE(eventually([&] { return feed.pulled() > 0; }));
    const auto done = feed.server().drain(60'000);
    std::size_t got = 0;
    for (;;) {
        const auto chunk = slow->read_chunk();
        ASSERT_TRUE(chunk);
        if (chunk->empty()) break;
        got += chunk->size();
    }
    EXPECT_EQ(got, 256 * 64 * 1024U);
    EXPECT_TRUE(slow->sees_end());
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Feed, ThatHasAnEndOfItsOwnIsWaitedForAtADrain) {
    Feed feed;
    feed.wait_with(wire::Rest::soon);
    const auto client = feed.ask();
    EXPECT_TRUE(eventually([&] { return feed.sources() == 1; }));
    const auto done = feed.server().drain(60'000);
    feed.put({"one"});
    EXPECT_EQ(client->read_chunk(), "one");
    feed.put({"two"});
    EXPECT_EQ(client->read_chunk(), "two");
    EXPECT_FALSE(done->load());
    feed.end();
    EXPECT_EQ(client->read_chunk(), "");
    EXPECT_TRUE(client->sees_end());
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Feed, ThatIsNotOverWhenADrainIsIsCutOff) {
    Feed feed;
    feed.wait_with(wire::Rest::soon);
    const auto client = feed.ask();
    Client old(feed.server());
    old.send("GET /feed HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read(true).status, 200);
    EXPECT_TRUE(eventually([&] { return feed.sources() == 2; }));
    const auto done = feed.server().drain(100);
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_EQ(client->read_chunk(), std::nullopt);
    EXPECT_FALSE(old.sees_end());  // but a reset
}

TEST(Feed, ThatFailsBreaksTheConnection) {
    Feed feed;
    const auto client = feed.ask();
    Client old(feed.server());
    old.send("GET /feed HTTP/1.0\r\n\r\n");
    EXPECT_EQ(old.read(true).status, 200);
    EXPECT_TRUE(eventually([&] { return feed.sources() == 2; }));
    feed.wait_with(wire::Rest::failed);
    feed.wake_all();
    EXPECT_EQ(client->read_chunk(), std::nullopt);
    EXPECT_FALSE(old.sees_end());
    EXPECT_TRUE(eventually([&] { return feed.sources() == 0; }));
    Client other(feed.server());
    EXPECT_EQ(other.ask(get("/ping")).body, "pong");
}

TEST(Feed, MayBeWokenWhenAllIsOver) {
    std::vector<Responder> responders;
    {
        Router router;
        router.add("GET", "/", [&](const Request&, const Responder& to) {
            responders.push_back(to);
            wire::Answer answer;
            answer.body = [](std::string&) { return wire::Rest::later; };
            to.send(std::move(answer));
        });
        TestServer server(std::move(router));
        Client client(server);
        EXPECT_EQ((client.send(get("/")), client.read(true).status), 200);
    }
    responders.at(0).wake();
}

}  // namespace
}  // namespace coupond::http::test
