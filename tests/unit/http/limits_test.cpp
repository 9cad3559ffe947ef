// What is too much: heads, bodies, connections, descriptors, time.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "http/state.hpp"
#include "support.hpp"

namespace coupond::http::test {
namespace {

bool refused(const Response& response, int status, std::string_view code) {
    return response.status == status && response.body.find(code) != std::string::npos &&
           response.says_close();
}

TEST(Limits, HeadOfExactlyTheBoundFits) {
    TestServer server;
    const std::string bare = get("/ping", "X: \r\n");
    const std::string most(limits::header_bytes - bare.size(), 'x');
    {
        Client client(server);
        EXPECT_EQ(client.ask(get("/ping", "X: " + most + "\r\n")).status, 200);
        EXPECT_TRUE(
            refused(client.ask(get("/ping", "X: " + most + "x\r\n")), 431, "headers_too_large"));
        EXPECT_TRUE(client.sees_end());
    }
    Client client(server);
    client.send("GET /" + std::string(limits::header_bytes, 'x'));  // no end in sight
    EXPECT_TRUE(refused(client.read(), 431, "headers_too_large"));
}

TEST(Limits, DeclaredBodyBeyondTheBoundIsRefusedUnread) {
    TestServer server;
    for (const std::string& more : {std::string(), std::string("Expect: 100-continue\r\n")}) {
        Client client(server);
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " +
                    std::to_string(limits::body_bytes + 1) + "\r\n" + more + "\r\n");
        EXPECT_TRUE(refused(client.read(), 413, "payload_too_large"));
        EXPECT_TRUE(client.sees_end());
    }
}

TEST(Limits, ClientStillSendingSeesTheRefusal) {
    TestServer server;
    Client client(server);
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n");
    const std::string block(1024 * 1024, 'x');
    for (int i = 0; i < 32; ++i) client.send(block);
    EXPECT_TRUE(refused(client.read(), 413, "payload_too_large"));
}

TEST(Limits, ChunkedBodyBeyondTheBound) {
    Bounds bounds = patient();
    bounds.body_bytes = 10'000;
    TestServer server(usual_routes(), bounds);
    const std::string head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string chunk = "1388\r\n" + std::string(5'000, 'x') + "\r\n";
    Client client(server);
    EXPECT_EQ(client.ask(head + chunk + chunk + "0\r\n\r\n").body.size(), 10'000u);
    EXPECT_TRUE(refused(client.ask(head + chunk + chunk + "1\r\n"), 413, "payload_too_large"));
}

TEST(Limits, ExpectationsAreMet) {
    TestServer server;
    Client client(server);
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";
    EXPECT_EQ(client.ask(head).status, 100);
    EXPECT_EQ(client.ask("hello").body, "hello");
    EXPECT_EQ(client.ask(head + "early").body, "early");  // no 100 for what is there already
    EXPECT_EQ(client.ask(get("/ping", "Expect: 100-continue\r\n")).status, 200);
    EXPECT_EQ(client.ask(get("/ping", "Expect: wonders\r\n")).status, 417);
    EXPECT_EQ(client
                  .ask("POST /echo HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"
                       "Expect: 100-continue\r\n\r\nhello")
                  .body,
              "hello");
    const Response missing = client.ask(
        "POST /nope HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        "Expect: 100-continue\r\n\r\n");
    EXPECT_EQ(missing.status, 404);
    EXPECT_TRUE(missing.says_close());
}

TEST(Limits, BodiesOfAllConnectionsTogether) {
    Bounds bounds = patient();
    bounds.connections = 10;
    bounds.body_bytes = 50'000;
    bounds.bodies_in_flight_bytes = 10 * small_body_bytes + 120'000;
    TestServer server(usual_routes(), bounds);
    const auto head = [](std::size_t size) {
        return "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
               "\r\n\r\n";
    };
    auto first = std::make_unique<Client>(server);
    Client second(server);
    first->send(head(50'000));
    second.send(head(50'000));
    EXPECT_TRUE(second.sees_nothing());
    {
        Client third(server);
        const Response response = third.ask(head(50'000));
        EXPECT_TRUE(refused(response, 503, "overloaded"));
        EXPECT_EQ(response.field("retry-after"), "1");
    }
    {
        Client chunked(server);
        chunked.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        chunked.send("c350\r\n" + std::string(50'000, 'x'));
        EXPECT_TRUE(refused(chunked.read(), 503, "overloaded"));
    }
    {
        Client small(server);  // small ones are always let in
        EXPECT_EQ(small.ask(post("/echo", std::string(small_body_bytes, 'x'))).status, 201);
    }
    first.reset();  // gives back what it held, as does being answered
    Client fourth(server);
    Response response;
    EXPECT_TRUE(eventually([&] {
        Client again(server);
        return again.ask(post("/echo", std::string(50'000, 'x'))).status == 201;
    }));
    EXPECT_EQ(fourth.ask(post("/echo", std::string(50'000, 'x'))).status, 201);
    EXPECT_EQ(second.ask(std::string(50'000, 'x')).status, 201);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(second.ask(post("/echo", std::string(50'000, 'x'))).status, 201);
    }
}

TEST(Limits, LongAnswersThatNobodyReadsCountWithThem) {
    constexpr std::size_t large = 30'000'000;  // more than the system takes of a connection
    Bounds bounds = patient();
    bounds.connections = 10;
    bounds.bodies_in_flight_bytes = 10 * small_body_bytes + large + large / 2;
    Router router = usual_routes();
    for (const char* const method : {"GET", "POST"}) {
        router.add(method, "/large", [](const Request&, const Responder& to) {
            to.send(text_answer(std::string(large, 'x')));
        });
    }
    TestServer server(std::move(router), bounds);
    Client first(server);
    first.send(get("/large"));
    EXPECT_TRUE(eventually([&] {
        Client second(server);
        return second.ask(get("/large")).status == 503;
    }));
    {
        Client small(server);
        EXPECT_EQ(small.ask(get("/ping")).status, 200);
        EXPECT_EQ(small.ask(post("/large", "")).body.size(), large);  // what was done is told
    }
    EXPECT_EQ(first.read().body.size(), large);
    EXPECT_TRUE(eventually([&] {
        Client again(server);
        return again.ask(get("/large")).status == 200;
    }));
}

TEST(Limits, ConnectionsBeyondTheBoundAreTold) {
    Bounds bounds = patient();
    bounds.connections = 2;
    TestServer server(usual_routes(), bounds);
    auto first = std::make_unique<Client>(server);
    Client second(server);
    EXPECT_EQ(first->ask(get("/ping")).status, 200);
    EXPECT_EQ(second.ask(get("/ping")).status, 200);
    {
        Client third(server);
        third.send(get("/ping"));
        const Response response = third.read();
        EXPECT_TRUE(refused(response, 503, "overloaded"));
        EXPECT_EQ(response.field("retry-after"), "1");
        EXPECT_TRUE(third.sees_end());
    }
    std::list<Client> crowd;
    for (std::size_t i = 0; i < connections_turned_away + 20; ++i) crowd.emplace_back(server);
    std::size_t told = 0;
    for (Client& client : crowd) told += client.read().status == 503 ? 1 : 0;
    EXPECT_GE(told, connections_turned_away);
    crowd.clear();
    EXPECT_EQ(second.ask(get("/ping")).status, 200);
    first.reset();
    EXPECT_TRUE(eventually([&] { return Client(server).ask(get("/ping")).status == 200; }));
}

TEST(Limits, AcceptingResumesWhenThereAreDescriptorsAgain) {
    TestServer server;
    Client before(server);
    EXPECT_EQ(before.ask(get("/ping")).status, 200);
    // UBSan opens a pipe when it first sees a polymorphic type, as those of the log.
    log::warn("about to run out of descriptors", {{"error", std::string_view("none yet")}});
    rlimit old = {};
    getrlimit(RLIMIT_NOFILE, &old);
    const int spare = ::socket(AF_INET, SOCK_STREAM, 0);
    rlimit none_left = old;
    none_left.rlim_cur = static_cast<rlim_t>(spare) + 1;
    ::close(spare);
    setrlimit(RLIMIT_NOFILE, &none_left);
    auto starved = std::make_unique<Client>(server.port());  // takes the last one
    starved->send(get("/ping"));
    const bool nothing = starved->sees_nothing(100);
    const int still_served = before.ask(get("/ping")).status;
    setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_TRUE(nothing);
    EXPECT_EQ(still_served, 200);
    EXPECT_EQ(starved->read().status, 200);
    EXPECT_EQ(Client(server).ask(get("/ping")).status, 200);
}

TEST(Limits, IdleConnectionsEndSilently) {
    Bounds bounds = patient();
    bounds.idle_ms = 50;
    TestServer server(usual_routes(), bounds);
    Client fresh(server);
    EXPECT_TRUE(fresh.sees_end());
    Client used(server);
    EXPECT_EQ(used.ask(get("/ping")).status, 200);
    EXPECT_TRUE(used.sees_end());
    Client dripping(server);
    EXPECT_TRUE(eventually([&] { return !dripping.send("\r\n"); }));
}

TEST(Limits, RequestsThatDoNotArriveEndIn408) {
    Bounds bounds = patient();
    bounds.request_ms = 60;
    TestServer server(usual_routes(), bounds);
    for (const std::string_view part :
         {"G", "GET /ping HTTP/1.1\r\n",
          "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh",
          "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
        Client client(server);
        EXPECT_EQ(client.ask(get("/ping")).status, 200);
        EXPECT_TRUE(refused(client.ask(part), 408, "request_timeout")) << part;
        EXPECT_TRUE(client.sees_end());
    }
    Client dripping(server);
    dripping.send("GET /ping HTTP/1.1\r\nX: ");
    while (dripping.sees_nothing(5)) dripping.send("x");
    EXPECT_TRUE(refused(dripping.read(), 408, "request_timeout"));
}

TEST(Limits, ContinuedBodiesAreTimedToo) {
    Bounds bounds = patient();
    bounds.request_ms = 60;
    TestServer server(usual_routes(), bounds);
    Client client(server);
    EXPECT_EQ(client
                  .ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                       "Expect: 100-continue\r\n\r\n")
                  .status,
              100);
    EXPECT_TRUE(refused(client.read(), 408, "request_timeout"));
}

TEST(Limits, LingeringEnds) {
    Bounds bounds = patient();
    bounds.linger_ms = 50;
    TestServer server(usual_routes(), bounds);
    Client client(server);
    EXPECT_TRUE(client.ask(get("/ping", "Connection: close\r\n")).says_close());
    EXPECT_TRUE(eventually([&] { return !client.send("more"); }));
}

TEST(Limits, HandlersHaveTheirTime) {
    Bounds bounds = patient();
    bounds.idle_ms = bounds.request_ms = bounds.response_stall_ms = bounds.linger_ms = 20;
    std::vector<Responder> waiting;
    Router router;
    router.add("GET", "/", [&](const Request&, const Responder& to) { waiting.push_back(to); });
    TestServer server(std::move(router), bounds);
    Client client(server);
    client.send(get("/"));
    EXPECT_TRUE(client.sees_nothing(200));
    server.run([&] { waiting.at(0).send(text_answer("late")); });
    EXPECT_EQ(client.read().body, "late");
}

TEST(Limits, SlowClientsHoldNobodyUp) {
    TestServer server;
    std::list<Client> slow;
    for (int i = 0; i < 200; ++i) {
        slow.emplace_back(server).send(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx");
    }
    Client fast(server);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(fast.ask(get("/ping")).status, 200);
    for (Client& client : slow) ASSERT_EQ(client.ask("xxxxxxxx").body, "xxxxxxxxx");
}

}  // namespace
}  // namespace coupond::http::test
