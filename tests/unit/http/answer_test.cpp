// How answers go out: pieces, slow and vanished readers, handlers that fail, and the drain.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support.hpp"

namespace coupond::http::test {
namespace {

using Counter = std::shared_ptr<std::atomic<int>>;

struct Streaming {
    Counter pulled = std::make_shared<std::atomic<int>>(0);

    Router routes(int count, std::size_t size) {
        Router router = usual_routes();
        router.add("GET", "/stream", [=, this](const Request&, const Responder& to) {
            to.send(pieces_answer(count, size, pulled));
        });
        return router;
    }
};

TEST(Answer, PiecesAreChunked) {
    Streaming streaming;
    TestServer server(streaming.routes(5, 3));
    Client client(server);
    const Response response = client.ask(get("/stream"));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "aaabbbcccdddeee");
    EXPECT_EQ(response.field("transfer-encoding"), "chunked");
    EXPECT_FALSE(response.fields.contains("content-length"));
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
}

TEST(Answer, NoPiecesIsAnEmptyBody) {
    Streaming streaming;
    TestServer server(streaming.routes(0, 3));
    Client client(server);
    EXPECT_EQ(client.ask(get("/stream")).status, 200);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
}

TEST(Answer, PiecesToOldClientsEndWithTheConnection) {
    Streaming streaming;
    TestServer server(streaming.routes(5, 3));
    Client client(server);
    const Response response = client.ask("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(response.body, "aaabbbcccdddeee");
    EXPECT_FALSE(response.fields.contains("transfer-encoding"));
    EXPECT_TRUE(response.says_close());
}

TEST(Answer, HeadOfPiecesPullsNone) {
    Streaming streaming;
    TestServer server(streaming.routes(5, 3));
    Client client(server);
    EXPECT_EQ(client.ask("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", true).status, 200);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
    EXPECT_EQ(*streaming.pulled, 0);
}

TEST(Answer, PiecesWaitForTheReader) {
    constexpr int count = 1024;
    constexpr std::size_t size = 64 * 1024;
    Streaming streaming;
    TestServer server(streaming.routes(count, size));
    Client slow(server.port(), 16 * 1024);
    slow.send(get("/stream"));
    int before = -1;
    while (*streaming.pulled != before) {
        before = *streaming.pulled;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_GT(before, 0);
    EXPECT_LT(before, count / 2);  // what the kernel buffers, no more
    Client fast(server);
    EXPECT_EQ(fast.ask(get("/ping")).body, "pong");
    const Response response = slow.read();
    EXPECT_EQ(response.body.size(), count * size);
    EXPECT_EQ(*streaming.pulled, count);
    EXPECT_EQ(slow.ask(get("/ping")).body, "pong");
}

TEST(Answer, FastReaderOfPiecesLeavesOthersTheirTurn) {
    Streaming streaming;
    TestServer server(streaming.routes(20'000, 64 * 1024));
    Client greedy(server);
    greedy.send(get("/stream"));
    std::atomic<bool> stop = false;
    std::thread reader([&] {
        while (!stop && !greedy.read_bytes(1 << 20).empty()) {
        }
    });
    Client other(server);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(other.ask(get("/ping")).body, "pong");
    EXPECT_LT(*streaming.pulled, 20'000);
    stop = true;
    reader.join();
}

TEST(Answer, StalledReadersAreCutOff) {
    Bounds bounds = patient();
    bounds.response_stall_ms = 60;
    Streaming streaming;
    TestServer server(streaming.routes(100'000, 64 * 1024), bounds);
    Client stalled(server.port(), 16 * 1024);
    stalled.send(get("/stream"));
    EXPECT_TRUE(eventually([&] { return *streaming.pulled > 0; }));
    EXPECT_TRUE(eventually([&] { return streaming.pulled.use_count() == 1; }));  // source gone
    EXPECT_TRUE(stalled.is_cut());
}

TEST(Answer, VanishedClientsHarmNothing) {
    Streaming streaming;
    std::vector<Responder> waiting;
    Router router = streaming.routes(1'000, 64 * 1024);
    router.add("GET", "/wait", [&](const Request&, const Responder& to) { waiting.push_back(to); });
    TestServer server(std::move(router));
    const auto count = [&] {
        std::size_t size = 0;
        server.run([&] { size = waiting.size(); });
        return size;
    };
    for (const bool reset : {false, true}) {
        auto gone = std::make_unique<Client>(server);
        gone->send(get("/wait"));
        ASSERT_TRUE(eventually([&] { return count() == 1; }));
        const linger at_once = {.l_onoff = reset ? 1 : 0, .l_linger = 0};
        setsockopt(gone->descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        gone.reset();
        server.run([&] {
            waiting[0].send(text_answer(std::string(1 << 20, 'x')));
            waiting.clear();
        });
    }
    for (int i = 0; i < 10; ++i) {
        Client gone(server);
        gone.send(get("/stream"));
        gone.read_bytes(100);
    }
    Client client(server);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
}

TEST(Answer, DroppedResponderClosesTheConnection) {
    Router router;
    router.add("GET", "/", [](const Request&, const Responder&) {});
    TestServer server(std::move(router));
    Client client(server);
    client.send(get("/"));
    EXPECT_TRUE(client.sees_end());
}

TEST(Answer, ResponderMayOutliveTheServer) {
    std::vector<Responder> waiting;
    {
        Router router;
        router.add("GET", "/", [&](const Request& request, const Responder& to) {
            EXPECT_EQ(request.path_params.size(), 0u);
            waiting.push_back(to);
        });
        TestServer server(std::move(router));
        Client client(server);
        client.send(get("/"));
        EXPECT_TRUE(eventually([&] {
            bool came = false;
            server.run([&] { came = !waiting.empty(); });
            return came;
        }));
    }
    waiting.at(0).send(text_answer("nobody reads this"));
}

TEST(Answer, HandlersOutOfMemoryAnswer503) {
    std::vector<Responder> kept;
    Router router = usual_routes();
    router.add("GET", "/before", [](const Request&, const Responder&) { throw std::bad_alloc(); });
    router.add("GET", "/kept", [&](const Request&, const Responder& to) {
        kept.push_back(to);
        throw std::bad_alloc();
    });
    router.add("GET", "/after", [](const Request&, const Responder& to) {
        to.send(text_answer("sent"));
        throw std::bad_alloc();
    });
    TestServer server(std::move(router));
    for (const std::string_view target : {"/before", "/kept"}) {
        Client client(server);
        const Response response = client.ask(get(target));
        EXPECT_EQ(response.status, 503);
        EXPECT_EQ(response.field("retry-after"), "1");
        EXPECT_TRUE(response.says_close());
    }
    server.run([&] { kept.at(0).send(text_answer("too late")); });
    Client client(server);
    EXPECT_EQ(client.ask(get("/after")).body, "sent");
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
}

TEST(AnswerDeathTest, BugsEndTheProcess) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    const auto serve = [](Handler handler) {
        Router router;
        router.add("GET", "/", std::move(handler));
        TestServer server(std::move(router));
        Client client(server);
        client.ask(get("/"));
    };
    EXPECT_DEATH(serve([](const Request&, const Responder& to) {
                     to.send(text_answer("once"));
                     to.send(text_answer("twice"));
                 }),
                 "awaits_answer_");
    EXPECT_DEATH(
        serve([](const Request&, const Responder&) { throw std::logic_error("what a bug"); }),
        "terminate called");
}

TEST(Drain, ClosesIdleConnections) {
    TestServer server;
    Client fresh(server);
    Client used(server);
    EXPECT_EQ(used.ask(get("/ping")).status, 200);
    const auto done = server.drain(5'000);
    EXPECT_TRUE(used.sees_end());
    EXPECT_TRUE(fresh.is_cut());
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_ANY_THROW(Client(server.port()));
}

TEST(Drain, WithoutConnectionsIsDoneAtOnce) {
    TestServer server;
    const auto done = server.drain(60'000);
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Drain, AnswersWhatHasArrived) {
    std::vector<Responder> waiting;
    Router router = usual_routes();
    router.add("GET", "/wait", [&](const Request&, const Responder& to) { waiting.push_back(to); });
    TestServer server(std::move(router));
    Client client(server);
    client.send(get("/wait") + get("/ping"));
    Client idle(server);
    EXPECT_TRUE(eventually([&] {
        std::size_t size = 0;
        server.run([&] { size = waiting.size(); });
        return size == 1;
    }));
    const auto done = server.drain(60'000);
    EXPECT_TRUE(idle.is_cut());
    EXPECT_TRUE(client.sees_nothing());
    EXPECT_FALSE(*done);
    server.run([&] { waiting[0].send(text_answer("waited")); });
    EXPECT_EQ(client.read().body, "waited");
    const Response last = client.read();
    EXPECT_EQ(last.body, "pong");
    EXPECT_TRUE(last.says_close());
    EXPECT_TRUE(client.sees_end());
    client.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Drain, RequestsUnderWayMayStillArrive) {
    TestServer server;
    Client client(server);
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    EXPECT_TRUE(client.sees_nothing());
    const auto done = server.drain(60'000);
    const Response response = client.ask("llo");
    EXPECT_EQ(response.body, "hello");
    EXPECT_TRUE(response.says_close());
    client.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Drain, CutsOffAfterTheGrace) {
    Streaming streaming;
    std::vector<Responder> waiting;
    Router router = streaming.routes(100'000, 64 * 1024);
    router.add("GET", "/wait", [&](const Request&, const Responder& to) { waiting.push_back(to); });
    TestServer server(std::move(router));
    Client partial(server);
    partial.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe");
    Client handled(server);
    handled.send(get("/wait"));
    Client stalled(server.port(), 16 * 1024);
    stalled.send(get("/stream"));
    EXPECT_TRUE(eventually([&] { return *streaming.pulled > 0; }));
    EXPECT_TRUE(partial.sees_nothing());
    const auto done = server.drain(100);
    EXPECT_FALSE(*done);
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_TRUE(partial.is_cut());
    EXPECT_TRUE(handled.is_cut());
    EXPECT_TRUE(stalled.is_cut());
    server.run([&] { waiting.at(0).send(text_answer("too late")); });
}

}  // namespace
}  // namespace coupond::http::test
