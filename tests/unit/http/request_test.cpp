// What a well-formed request gets: fields, ids, keep-alive, pipelining, HEAD, targets.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "support.hpp"

namespace coupond::http::test {
namespace {

class FixedClock final : public Clock {
public:
    Timestamp now() const override { return {784'111'777'000}; }
};

/// Whether an id reads like `9f86d081-42`.
bool is_made(std::string_view id) {
    return id.size() >= 10 && id[8] == '-' &&
           id.substr(0, 8).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           id.substr(9).find_first_not_of("0123456789") == std::string_view::npos;
}

TEST(Request, AnswersWithEveryField) {
    const FixedClock clock;
    TestServer server(usual_routes(), patient(), "127.0.0.1", &clock);
    Client client(server);
    const Response response = client.ask(post("/echo", "{\"a\":1}"));
    EXPECT_EQ(response.status, 201);
    EXPECT_EQ(response.body, "{\"a\":1}");
    EXPECT_EQ(response.field("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(response.field("content-type"), "application/json; charset=utf-8");
    EXPECT_EQ(response.field("content-length"), "7");
    EXPECT_EQ(response.field("cache-control"), "no-store");
    EXPECT_EQ(response.field("x-content-type-options"), "nosniff");
    EXPECT_FALSE(response.fields.contains("connection"));
    EXPECT_FALSE(response.fields.contains("link"));
    EXPECT_FALSE(response.fields.contains("retry-after"));
}

TEST(Request, CarriesWhatTheAnswerAsksFor) {
    Router router;
    router.add("GET", "/", [](const Request&, const Responder& to) {
        wire::Answer answer = text_answer("x", 503);
        answer.link = "</coupon?after=5>; rel=\"next\"";
        answer.retry_after = true;
        answer.content_type = "text/html";
        answer.cache_control = "max-age=60";
        to.send(answer);
    });
    TestServer server(std::move(router));
    Client client(server);
    const Response response = client.ask(get("/"));
    EXPECT_TRUE(response.head.starts_with("HTTP/1.1 503 Service Unavailable\n"));
    EXPECT_EQ(response.field("link"), "</coupon?after=5>; rel=\"next\"");
    EXPECT_EQ(response.field("retry-after"), "1");
    EXPECT_EQ(response.field("content-type"), "text/html");
    EXPECT_EQ(response.field("cache-control"), "max-age=60");
}

TEST(Request, IdIsTheClientsWhereFit) {
    TestServer server;
    Client client(server);
    const auto id_for = [&](const std::string& field) {
        return client.ask(get("/ping", field)).field("x-request-id");
    };
    EXPECT_EQ(id_for("X-Request-Id: aZ09._:-\r\n"), "aZ09._:-");
    EXPECT_EQ(id_for("x-REQUEST-id:  b \r\n"), "b");
    const std::string longest(limits::request_id_bytes, 'x');
    EXPECT_EQ(id_for("X-Request-Id: " + longest + "\r\n"), longest);

    for (const std::string& unfit :
         {std::string(), std::string("X-Request-Id: \r\n"), std::string("X-Request-Id: a b\r\n"),
          std::string("X-Request-Id: a\"b\r\n"), "X-Request-Id: " + longest + "x\r\n",
          std::string("X-Request-Id: a\r\nX-Request-Id: a\r\n")}) {
        EXPECT_TRUE(is_made(id_for(unfit))) << unfit;
    }
    EXPECT_NE(id_for(""), id_for(""));
}

TEST(Request, ErrorsCarryTheIdToo) {
    TestServer server;
    Client client(server);
    const Response response = client.ask(get("/nope", "X-Request-Id: mine\r\n"));
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.field("x-request-id"), "mine");
    EXPECT_NE(response.body.find("mine"), std::string::npos);
}

TEST(Request, UnknownRouteOrMethod) {
    TestServer server;
    Client client(server);
    Response response = client.ask(get("/nope?secret=1"));
    EXPECT_EQ(response.status, 404);
    EXPECT_NE(response.body.find("Cannot GET /nope\""), std::string::npos) << response.body;
    EXPECT_NE(response.body.find("route_not_found"), std::string::npos);
    EXPECT_FALSE(response.says_close());

    response = client.ask("PURGE /ping HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_NE(response.body.find("Cannot PURGE /ping"), std::string::npos) << response.body;
    EXPECT_EQ(client.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 404);
    EXPECT_EQ(client.ask(get("/ping/")).status, 404);
    EXPECT_EQ(client.ask(get("//ping")).status, 404);
    EXPECT_EQ(client.ask(get("/show/a/")).status, 404);
    EXPECT_EQ(client.ask(get("/show//b")).status, 404);
    EXPECT_EQ(client.ask(get("/echo")).status, 404);

    response = client.ask(get("/" + std::string(1000, 'x')));
    EXPECT_LT(response.body.size(), 500u);
    EXPECT_EQ(client.ask(get("/ping")).status, 200);
}

TEST(Request, HeadIsGetWithoutBody) {
    TestServer server;
    Client client(server);
    const Response response = client.ask("HEAD /ping HTTP/1.1\r\nHost: a\r\n\r\n", true);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.field("content-length"), "4");
    const Response missing = client.ask("HEAD /nope HTTP/1.1\r\nHost: a\r\n\r\n", true);
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");  // so no body was left in between
}

TEST(Request, DecodesPathAndQuery) {
    TestServer server;
    Client client(server);
    const auto shown = [&](std::string_view target) {
        return client.ask(get(target, "Content-Type: a/b; c=d\r\n")).body;
    };
    EXPECT_EQ(shown("/show/a/b"), "type=a/b; c=d|a|b");
    EXPECT_EQ(shown("/sh%6Fw/%2F/a%20b+c"), "type=a/b; c=d|/|a b+c");
    EXPECT_EQ(shown("/show/%C3%BC/..?x=1+2%2B3&&y&=z&x=%F0%9F%8E%81"),
              "type=a/b; c=d|ü|..?x=1 2+3?y=?=z?x=\xF0\x9F\x8E\x81");
    EXPECT_EQ(shown("/show/a|b/[c]?q={d}"), "type=a/b; c=d|a|b|[c]?q={d}");
    EXPECT_EQ(shown("http://user@[::1]:80/show/a/b?c=d"), "type=a/b; c=d|a|b?c=d");
    EXPECT_EQ(shown("HTTPS://example.com/show/a/b"), "type=a/b; c=d|a|b");
    EXPECT_EQ(client.ask(get("http://example.com?x=1")).status, 404);
}

TEST(Request, RefusesMalformedTargets) {
    TestServer server;
    for (const std::string_view target :
         {"/show/%/b", "/show/%4/b", "/show/%zz/b", "/show/%ff/b", "/show/%00/b", "/show/%C0%80/b",
          "/show/%ED%A0%80/b", "/ping?a=%f", "/ping?%00=1", "/ping?a=%80", "/ping#a", "/p\xC3\xBC",
          "ping", "ftp://a/ping", "http:///ping", "http://a b/ping", "a:80"}) {
        Client client(server);
        const Response response = client.ask(get(target));
        EXPECT_EQ(response.status, 400) << target;
        if (target == "http://a b/ping") continue;  // not even a request line
        EXPECT_NE(response.body.find("malformed_target"), std::string::npos) << target;
        EXPECT_EQ(client.ask(get("/ping")).status, 200) << target;
    }
}

TEST(Request, KeepsConnectionsAsAsked) {
    TestServer server;
    {
        Client client(server);
        const Response response = client.ask(get("/ping", "Connection: close\r\n"));
        EXPECT_TRUE(response.says_close());
        EXPECT_TRUE(client.sees_end());
    }
    {
        Client client(server);
        const Response response = client.ask("GET /ping HTTP/1.0\r\n\r\n");
        EXPECT_EQ(response.body, "pong");
        EXPECT_TRUE(response.says_close());
        EXPECT_TRUE(client.sees_end());
    }
    {
        Client client(server);
        for (int i = 0; i < 3; ++i) {
            const Response response =
                client.ask("GET /ping HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
            EXPECT_EQ(response.field("connection"), "keep-alive");
            EXPECT_EQ(response.body, "pong");
        }
    }
    {
        Client client(server);  // the answer reaches a client that has shut down its side
        client.send(get("/ping"));
        client.finish_sending();
        EXPECT_EQ(client.read().body, "pong");
        EXPECT_TRUE(client.sees_end());
    }
}

TEST(Request, OverlooksEmptyLinesBefore) {
    TestServer server;
    Client client(server);
    EXPECT_EQ(client.ask("\r\n\r\n" + get("/ping")).status, 200);
    client.send("\r");
    EXPECT_EQ(client.ask("\n" + get("/ping")).status, 200);
}

TEST(Request, ArrivesInAnyPieces) {
    TestServer server;
    Client client(server);
    const std::string requests =
        post("/echo", "hello") + get("/ping") +
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1;a=b;c=\"d\"\r\nx\r\n00a\r\n0123456789\r\n0\r\nTrailer: Content-Length\r\nHost: "
        "b\r\n\r\n" +
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n" +
        get("/ping");
    for (const char byte : requests) {
        client.send({&byte, 1});
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    EXPECT_EQ(client.read().body, "hello");
    EXPECT_EQ(client.read().body, "pong");
    EXPECT_EQ(client.read().body, "x0123456789");
    const Response empty = client.read();
    EXPECT_EQ(empty.status, 201);
    EXPECT_EQ(empty.body, "");
    EXPECT_EQ(client.read().body, "pong");
}

TEST(Request, PipelinedOnesAreAnsweredInOrder) {
    // The handler answers later, the last first where it can: yet each is only handed over after
    // the one before.
    std::vector<std::pair<std::string, Responder>> waiting;
    Router router = usual_routes();
    router.add("GET", "/wait/:name", [&](const Request& request, const Responder& to) {
        waiting.emplace_back(request.path_params[0], to);
    });
    TestServer server(std::move(router));
    Client first(server);
    Client second(server);
    first.send(get("/wait/1") + get("/ping") + get("/wait/2") + get("/ping"));
    EXPECT_TRUE(first.sees_nothing());
    second.send(get("/wait/3"));
    const auto answer_last = [&] {
        auto [name, to] = std::move(waiting.back());
        waiting.pop_back();
        to.send(text_answer(name));
    };
    const auto count = [&] {
        std::size_t size = 0;
        server.run([&] { size = waiting.size(); });
        return size;
    };
    ASSERT_TRUE(eventually([&] { return count() == 2; }));
    server.run(answer_last);
    EXPECT_EQ(second.read().body, "3");
    EXPECT_TRUE(first.sees_nothing());
    server.run(answer_last);
    EXPECT_EQ(first.read().body, "1");
    EXPECT_EQ(first.read().body, "pong");
    ASSERT_TRUE(eventually([&] { return count() == 1; }));
    EXPECT_TRUE(first.sees_nothing());
    server.run(answer_last);
    EXPECT_EQ(first.read().body, "2");
    EXPECT_EQ(first.read().body, "pong");
}

TEST(Request, HundredsPipelined) {
    TestServer server;
    Client client(server);
    std::string requests;
    for (int i = 0; i < 2000; ++i) requests += post("/echo", std::to_string(i));
    std::thread sender([&] { client.send(requests); });
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(client.read().body, std::to_string(i));
    sender.join();
}

TEST(Request, LargeBodiesBothWays) {
    TestServer server;
    Client client(server);
    std::string body(limits::body_bytes, 'x');
    for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 26);
    for (int i = 0; i < 2; ++i) {
        std::thread sender([&] { client.send(post("/echo", body)); });
        EXPECT_TRUE(client.read().body == body);
        sender.join();
    }
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
}

TEST(Request, IsLoggedAtDebug) {
    log::configure(log::Level::debug, log::Format::text);
    testing::internal::CaptureStderr();
    {
        TestServer server;
        Client client(server);
        client.ask(get("/ping?secret=1", "X-Request-Id: me\r\n"));
    }
    const std::string logged = testing::internal::GetCapturedStderr();
    log::configure(log::Level::info, log::Format::text);
    for (const std::string_view part :
         {"method=", "GET", "path=", "/ping", "status=200", "duration_ms=", "request_id=", "me"}) {
        EXPECT_NE(logged.find(part), std::string::npos) << logged;
    }
    EXPECT_EQ(logged.find("secret"), std::string::npos) << logged;
}

TEST(Request, ListensOnNamesAndOtherAddresses) {
    TestServer by_name(usual_routes(), patient(), "localhost");
    EXPECT_NE(by_name.port(), 0);
    TestServer everywhere(usual_routes(), patient(), "::");
    Client client(everywhere);  // by IPv4
    EXPECT_EQ(client.ask(get("/ping")).status, 200);

    boost::asio::io_context io;
    const Options taken = {.host = "127.0.0.1", .port = everywhere.port()};
    EXPECT_THROW(Server(io, taken, Router()), std::system_error);
    EXPECT_THROW(Server(io, {.host = "no.such.host.invalid"}, Router()), std::system_error);
}

}  // namespace
}  // namespace coupond::http::test
