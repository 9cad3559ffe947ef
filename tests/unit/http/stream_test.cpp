// Request bodies that are taken as they arrive: pauses, answers before the end, bounds, time-outs,
// vanished clients, sinks that fail, and the drain.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "http/read_buffer.hpp"
#include "http/state.hpp"
#include "support.hpp"

namespace coupond::http::test {
namespace {

constexpr std::uint64_t bound_bytes = std::uint64_t{1} << 30;

/// What a test looks at and tells its sinks. On the network thread only.
struct Told {
    std::string body;
    std::size_t bytes = 0;
    std::size_t largest = 0;  ///< piece
    int pieces = 0;
    int made = 0;
    int alive = 0;
    int ended = 0;
    int lost = 0;
    bool keeps = true;         ///< what it takes, in `body`
    bool wants_more = true;    ///< what take() returns
    bool keeps_quiet = false;  ///< at the end, too
    std::function<void(const Responder&)> in_make;
    std::function<void(const Responder&)> in_take;
    std::function<void(const Responder&)> in_end;
    std::function<void(const Responder&)> in_lose;
    std::vector<Responder> responders;  ///< of all that were made, where the test wants them
    bool hands_out = true;              ///< them
};

class Sink final : public BodySink {
public:
    Sink(Told& told, Responder to) : told_(told), to_(std::move(to)) { ++told_.alive; }
    ~Sink() override { --told_.alive; }

    bool take(std::string_view piece) override {
        ++told_.pieces;
        told_.bytes += piece.size();
        told_.largest = std::max(told_.largest, piece.size());
        if (told_.keeps) told_.body += piece;
        if (told_.in_take) told_.in_take(to_);
        return told_.wants_more;
    }
    void end() override {
        ++told_.ended;
        if (told_.in_end) return told_.in_end(to_);
        if (!told_.keeps_quiet) to_.send(text_answer(std::to_string(told_.bytes), 201));
    }
    void lose() noexcept override {
        ++told_.lost;
        if (told_.in_lose) told_.in_lose(to_);
    }

private:
    Told& told_;
    Responder to_;
};

/// POST /up hands its body to a Sink; PUT /up/:id does, too, if its content type is text/csv.
class Upload {
public:
    explicit Upload(Bounds bounds = patient(), std::uint64_t bound = bound_bytes) {
        Router router = usual_routes();
        router.add_stream(
            "POST", "/up", [this](const Request&, const Responder& to) { return make(to); }, bound);
        router.add("PUT", "/up/:id", [](const Request& request, const Responder& to) {
            to.send(text_answer(request.path_params.at(0) + "=" + std::string(request.body)));
        });
        router.add_stream(
            "PUT", "/up/:name",
            [this](const Request& request, const Responder& to) -> std::unique_ptr<BodySink> {
                EXPECT_EQ(request.path_params.at(0), "me");
                EXPECT_EQ(request.body, "");
                if (request.content_type != "text/csv") return nullptr;
                return make(to);
            },
            bound);
        server_.emplace(std::move(router), bounds);
    }
    ~Upload() {
        if (!server_) return;
        tell([](Told& told) { told.responders.clear(); });
        server_.reset();
    }
    Upload(const Upload&) = delete;
    Upload& operator=(const Upload&) = delete;

    TestServer& server() { return *server_; }
    void stop() { server_.reset(); }

    void tell(const std::function<void(Told&)>& what) {
        server_->run([&] { what(told_); });
    }
    template <class Value>
    Value told(Value Told::*member) {
        Value value;
        tell([&](const Told& told) { value = told.*member; });
        return value;
    }
    template <class Value>
    bool becomes(Value Told::*member, const Value& value) {
        return eventually([&] { return told(member) == value; });
    }
    /// Calls the last responder, which may destroy the sink.
    void respond(const std::function<void(const Responder&)>& what) {
        tell([&](const Told& told) { what(told.responders.back()); });
    }
    void read_on() {
        respond([](const Responder& to) { to.read_on(); });
    }
    /// Once the server is stopped.
    const Told& left() const { return told_; }

private:
    std::unique_ptr<BodySink> make(const Responder& to) {
        ++told_.made;
        if (told_.hands_out) told_.responders.push_back(to);
        if (told_.in_make) told_.in_make(to);
        return std::make_unique<Sink>(told_, to);
    }

    Told told_;
    std::optional<TestServer> server_;
};

std::string chunk(std::string_view data) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + std::string(data) + "\r\n";
}

std::string head(std::size_t size, std::string_view more_fields = "") {
    return "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n" +
           std::string(more_fields) + "\r\n";
}

const std::string chunked_head =
    "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string put_up(std::string_view type, std::string_view body) {
    return "PUT /up/me HTTP/1.1\r\nHost: a\r\nContent-Type: " + std::string(type) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

std::string varied(std::size_t size) {
    std::string text(size, 'x');
    for (std::size_t i = 0; i < size; i += 7) text[i] = static_cast<char>('a' + i % 26);
    return text;
}

bool refused(const Response& response, int status, std::string_view code) {
    return response.status == status && response.body.find(code) != std::string::npos &&
           response.says_close();
}

void reset_at_close(const Client& client) {
    const linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(client.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

TEST(Stream, TakesBodiesHoweverTheyAreFramed) {
    Upload upload;
    Client client(upload.server());
    std::string expected;
    const auto took = [&](const Response& response, std::string_view more) {
        expected += more;
        EXPECT_EQ(response.status, 201);
        EXPECT_EQ(response.body, std::to_string(expected.size()));
        EXPECT_FALSE(response.says_close());
        EXPECT_TRUE(upload.told(&Told::body) == expected);
    };
    took(client.ask(head(5) + "hello"), "hello");
    took(client.ask(chunked_head + chunk("one") + chunk("two") + "0\r\n\r\n"), "onetwo");
    took(client.ask(chunked_head + "1;x=y\r\na\r\n0\r\nTrailer: yes\r\n\r\n"), "a");
    took(client.ask("POST /up HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"),
         "old");
    const std::string large = varied(3'000'000);
    client.send(head(large.size()));
    client.send(large);
    took(client.read(), large);
    client.send(chunked_head);
    for (std::size_t at = 0; at < large.size(); at += 250'000) {
        client.send(chunk(std::string_view(large).substr(at, 250'000)));
    }
    took(client.ask("0\r\n\r\n"), large);
    EXPECT_EQ(client.ask(get("/ping")).body, "pong");
    EXPECT_EQ(upload.told(&Told::ended), 6);
    EXPECT_EQ(upload.told(&Told::lost), 0);
    EXPECT_EQ(upload.told(&Told::alive), 0);
    EXPECT_LE(upload.told(&Told::largest), ReadBuffer::max_bytes);

    Client old(upload.server());
    const Response response = old.ask("POST /up HTTP/1.0\r\nContent-Length: 3\r\n\r\nold");
    EXPECT_EQ(response.status, 201);
    EXPECT_TRUE(response.says_close());
}

TEST(Stream, TakesEveryByteAsItComes) {
    Upload upload;
    Client client(upload.server());
    client.send(chunked_head);
    const std::string body = chunk("hello") + chunk("x") + "0\r\nA: b\r\n\r\n";
    std::size_t taken = 0;
    for (const char byte : body) {
        ASSERT_TRUE(client.send(std::string_view(&byte, 1)));
        if (byte >= 'e' && byte <= 'z') {
            EXPECT_TRUE(upload.becomes(&Told::bytes, ++taken));
        }
    }
    EXPECT_EQ(client.read().body, "6");
    EXPECT_EQ(upload.told(&Told::body), "hellox");
}

TEST(Stream, EndsEmptyBodiesAtOnce) {
    Upload upload;
    Client client(upload.server());
    for (const std::string& request :
         {head(0), chunked_head + "0\r\n\r\n", head(0, "Expect: 100-continue\r\n"),
          std::string("POST /up HTTP/1.1\r\nHost: a\r\n\r\n")}) {
        const Response response = client.ask(request);
        EXPECT_EQ(response.status, 201) << request;
        EXPECT_EQ(response.body, "0");
    }
    EXPECT_EQ(upload.told(&Told::ended), 4);
    EXPECT_EQ(upload.told(&Told::pieces), 0);
}

TEST(Stream, IsAsAnyOtherBodyWhereNobodyTakesIt) {
    Bounds bounds = patient();
    bounds.body_bytes = 10'000;
    Upload upload(bounds);
    Client client(upload.server());
    EXPECT_EQ(client.ask(put_up("text/plain", "whole")).body, "me=whole");
    EXPECT_EQ(client.ask(put_up("text/csv", "taken")).body, "5");
    EXPECT_EQ(client.ask(put_up("text/plain", "")).body, "me=");
    EXPECT_EQ(client.ask(put_up("text/csv", std::string(20'000, 'x'))).body, "20005");
    const std::string chunked =
        "PUT /up/me HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(client.ask(chunked + chunk("whole") + "0\r\n\r\n").body, "me=whole");
    EXPECT_EQ(upload.told(&Told::made), 2);
    {
        Client large(upload.server());
        EXPECT_TRUE(refused(large.ask(put_up("text/plain", std::string(10'001, 'x'))), 413,
                            "payload_too_large"));
        EXPECT_TRUE(large.sees_end());
    }
    EXPECT_TRUE(
        refused(client.ask(chunked + chunk(std::string(10'001, 'x'))), 413, "payload_too_large"));
}

TEST(Stream, HasNoRouteWhereNobodyTakesIt) {
    Router router;
    router.add_stream(
        "POST", "/up", [](const Request&, const Responder&) { return nullptr; }, 100);
    TestServer server(std::move(router));
    Client client(server);
    const Response response = client.ask("POST /up HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(response.status, 404);
    EXPECT_NE(response.body.find("route_not_found"), std::string::npos);
    EXPECT_TRUE(refused(client.ask(post("/up", "body")), 404, "route_not_found"));
}

TEST(Stream, InvitesTheBodyOnceThereIsASink) {
    Upload upload;
    Client client(upload.server());
    EXPECT_EQ(client.ask(head(5, "Expect: 100-continue\r\n")).status, 100);
    EXPECT_EQ(upload.told(&Told::alive), 1);
    EXPECT_EQ(client.ask("hello").body, "5");
    EXPECT_EQ(client.ask(head(5, "Expect: 100-continue\r\n") + "early").body, "10");
    upload.tell([](Told& told) {
        told.in_make = [](const Responder& to) { to.send(text_answer("no", 403)); };
    });
    const Response response = client.ask(head(5, "Expect: 100-continue\r\n"));
    EXPECT_EQ(response.status, 403);
    EXPECT_TRUE(response.says_close());
    EXPECT_TRUE(client.sees_end());
    EXPECT_EQ(upload.told(&Told::lost), 0);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, KeepsTheOrderOfWhatIsPipelined) {
    Upload upload;
    Client client(upload.server());
    client.send(head(3) + "one" + get("/ping") + chunked_head + chunk("two") + "0\r\n\r\n" +
                post("/echo", "echo") + head(0) + get("/ping"));
    for (const std::string_view body : {"3", "pong", "6", "echo", "6", "pong"}) {
        EXPECT_EQ(client.read().body, body);
    }
}

TEST(Stream, LosesNothingPipelinedWhileItIsPaused) {
    constexpr int count = 3'000;
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = told.keeps = false; });
    Client client(upload.server());
    std::thread sender([&] {
        client.send(head(200'000) + varied(200'000));
        std::string rest;
        for (int i = 0; i < count; ++i) rest += post("/echo", std::to_string(i));
        client.send(rest);
    });
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    EXPECT_TRUE(client.sees_nothing());
    while (upload.told(&Told::ended) == 0) upload.read_on();
    EXPECT_EQ(client.read().body, "200000");
    for (int i = 0; i < count; ++i) ASSERT_EQ(client.read().body, std::to_string(i));
    sender.join();
}

TEST(Stream, ReadsNoMoreThanTheSinkWants) {
    constexpr std::size_t size = 64 * 1024 * 1024;
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = told.keeps = false; });
    Client client(upload.server());
    std::thread sender([&] {
        client.send(head(size));
        const std::string block(1024 * 1024, 'x');
        for (std::size_t sent = 0; sent < size; sent += block.size()) client.send(block);
    });
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    for (int pieces = 1; pieces < 20; ++pieces) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        EXPECT_EQ(upload.told(&Told::pieces), pieces);
        upload.read_on();
        EXPECT_TRUE(upload.becomes(&Told::pieces, pieces + 1));
    }
    EXPECT_LE(upload.told(&Told::bytes), 20 * ReadBuffer::max_bytes);
    EXPECT_EQ(upload.told(&Told::ended), 0);
    upload.tell([](Told& told) { told.wants_more = true; });
    upload.read_on();
    EXPECT_EQ(client.read().body, std::to_string(size));
    EXPECT_LE(upload.told(&Told::largest), ReadBuffer::max_bytes);
    sender.join();
}

TEST(Stream, EndsOnlyOnceTheSinkWantsMore) {
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = false; });
    Client client(upload.server());
    for (const std::string& request :
         {head(3) + "one", chunked_head + chunk("one") + "0\r\n\r\n"}) {
        upload.tell([](Told& told) { told.ended = 0; });
        client.send(request);
        EXPECT_TRUE(client.sees_nothing());
        EXPECT_EQ(upload.told(&Told::ended), 0);
        upload.read_on();
        EXPECT_EQ(client.read().status, 201);
        upload.read_on();  // too late, and harmless
    }
}

TEST(Stream, CountsAWishThatComesWhileItTakes) {
    Upload upload;
    upload.tell([](Told& told) {
        told.wants_more = false;
        told.in_take = [](const Responder& to) { to.read_on(); };
    });
    Client client(upload.server());
    EXPECT_EQ(client.ask(chunked_head + chunk("one") + chunk("two") + "0\r\n\r\n").body, "6");
    EXPECT_EQ(client.ask(head(3) + "one").body, "9");
    upload.tell([](Told& told) { told.in_take = nullptr; });
    client.send(chunked_head);
    ASSERT_TRUE(upload.becomes(&Told::made, 3));
    upload.read_on();  // nothing has been refused yet
    client.send(chunk("one") + chunk("two"));
    ASSERT_TRUE(upload.becomes(&Told::pieces, 4));
    EXPECT_TRUE(client.sees_nothing());
    EXPECT_EQ(upload.told(&Told::pieces), 4);
}

TEST(Stream, CountsInNoBodiesInFlight) {
    Bounds bounds = patient();
    bounds.connections = 10;
    bounds.body_bytes = 50'000;
    bounds.bodies_in_flight_bytes = 10 * small_body_bytes + 50'000;
    Upload upload(bounds);
    upload.tell([](Told& told) { told.keeps = false; });
    Client first(upload.server());
    Client second(upload.server());
    first.send(head(10'000'000) + std::string(200'000, 'x'));
    second.send(head(10'000'000) + std::string(200'000, 'x'));
    ASSERT_TRUE(upload.becomes(&Told::bytes, std::size_t{400'000}));
    Client other(upload.server());
    EXPECT_EQ(other.ask(post("/echo", std::string(50'000, 'x'))).status, 201);
    EXPECT_EQ(first.ask(std::string(9'800'000, 'x')).status, 201);
    EXPECT_EQ(second.ask(std::string(9'800'000, 'x')).status, 201);
}

TEST(Stream, RefusesLengthsBeyondTheBoundUnasked) {
    Upload upload(patient(), 20'000);
    for (const std::string_view more : {"", "Expect: 100-continue\r\n"}) {
        Client client(upload.server());
        EXPECT_EQ(client.ask(head(20'000) + std::string(20'000, 'x')).status, 201);
        EXPECT_TRUE(refused(client.ask(head(20'001, more)), 413, "payload_too_large"));
        EXPECT_TRUE(client.sees_end());
    }
    EXPECT_EQ(upload.told(&Told::made), 2);
}

TEST(Stream, RefusesChunksBeyondTheBound) {
    Upload upload(patient(), 20'000);
    const std::string part = chunk(std::string(10'000, 'x'));
    Client client(upload.server());
    EXPECT_EQ(client.ask(chunked_head + part + part + "0\r\n\r\n").status, 201);
    EXPECT_TRUE(
        refused(client.ask(chunked_head + part + part + "1\r\n"), 413, "payload_too_large"));
    EXPECT_EQ(upload.told(&Told::bytes), 40'000u);  // what came before is taken
    EXPECT_EQ(upload.told(&Told::lost), 1);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, LosesWhatIsMalformed) {
    Upload upload;
    int lost = 0;
    for (const std::string& end :
         {std::string("nonsense\r\n"), std::string("1\r\naXXXX"), std::string("-1\r\n"),
          "1;" + std::string(ReadBuffer::max_bytes, 'x')}) {
        Client client(upload.server());
        EXPECT_TRUE(refused(client.ask(chunked_head + chunk("a") + end), 400, "malformed_request"));
        EXPECT_EQ(upload.told(&Told::lost), ++lost) << end.substr(0, 20);
        EXPECT_TRUE(client.sees_end());
    }
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

/// Whether a client that goes on sending sees the answer 409 and then the end.
bool is_told_early(Client& client) {
    const std::string block(1024 * 1024, 'x');
    for (int i = 0; i < 16; ++i) client.send(block);
    return refused(client.read(), 409, "enough") && client.sees_end();
}

const wire::Answer enough = text_answer("enough", 409);

TEST(Stream, MayBeAnsweredByItsHead) {
    Upload upload;
    upload.tell([](Told& told) { told.in_make = [](const Responder& to) { to.send(enough); }; });
    Client client(upload.server());
    client.send(head(100'000'000));
    EXPECT_TRUE(is_told_early(client));
    EXPECT_EQ(upload.told(&Told::pieces), 0);
    EXPECT_EQ(upload.told(&Told::lost), 0);
    EXPECT_EQ(upload.told(&Told::alive), 0);

    Client empty(upload.server());  // there is nothing to be left out of its body
    const Response response = empty.ask(head(0));
    EXPECT_EQ(response.status, 409);
    EXPECT_FALSE(response.says_close());
    EXPECT_EQ(empty.ask(get("/ping")).body, "pong");
}

TEST(Stream, MayBeAnsweredByItsHeadWithoutASink) {
    Router router = usual_routes();
    bool handled = false;
    router.add("POST", "/up", [&](const Request&, const Responder&) { handled = true; });
    router.add_stream(
        "POST", "/up",
        [](const Request&, const Responder& to) {
            to.send(enough);
            return nullptr;
        },
        bound_bytes);
    TestServer server(std::move(router));
    Client client(server);
    client.send(head(100'000'000));
    EXPECT_TRUE(is_told_early(client));
    EXPECT_FALSE(handled);
}

TEST(Stream, MayBeAnsweredWhileItTakes) {
    for (const bool wants_more : {true, false}) {
        Upload upload;
        upload.tell([&](Told& told) {
            told.wants_more = wants_more;
            told.in_take = [](const Responder& to) { to.send(enough); };
        });
        Client client(upload.server());
        client.send(head(100'000'000));
        EXPECT_TRUE(is_told_early(client));
        EXPECT_EQ(upload.told(&Told::pieces), 1);
        EXPECT_EQ(upload.told(&Told::lost), 0);
        EXPECT_EQ(upload.told(&Told::alive), 0);
        Client chunked(upload.server());
        EXPECT_TRUE(
            refused(chunked.ask(chunked_head + chunk("one") + chunk("two")), 409, "enough"));
        EXPECT_EQ(upload.told(&Told::pieces), 2);

        Client whole(upload.server());  // with its last piece
        const Response response = whole.ask(head(3) + "all" + get("/ping"));
        EXPECT_EQ(response.status, 409);
        EXPECT_FALSE(response.says_close());
        EXPECT_EQ(whole.read().body, "pong");
        EXPECT_EQ(upload.told(&Told::ended), 0);
    }
}

TEST(Stream, MayBeAnsweredWhileItReadsOrIsPaused) {
    for (const bool wants_more : {true, false}) {
        Upload upload;
        upload.tell([&](Told& told) { told.wants_more = wants_more; });
        Client client(upload.server());
        client.send(head(100'000'000) + "part");
        ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
        EXPECT_TRUE(client.sees_nothing());
        upload.respond([](const Responder& to) {
            to.send(enough);
            to.read_on();  // to no effect
        });
        EXPECT_TRUE(is_told_early(client));
        EXPECT_EQ(upload.told(&Told::pieces), 1);
        EXPECT_EQ(upload.told(&Told::lost), 0);
        EXPECT_EQ(upload.told(&Told::alive), 0);
    }
}

TEST(Stream, MayBeAnsweredWhileTheNextBytesArrive) {
    for (int i = 0; i < 30; ++i) {
        Upload upload;
        upload.tell([](Told& told) { told.keeps = false; });
        Client client(upload.server());
        std::thread sender([&] {
            client.send(head(1'000'000'000));
            const std::string block(1024 * 1024, 'x');
            for (int sent = 0; sent < 64; ++sent) client.send(block);
        });
        ASSERT_TRUE(eventually([&] { return upload.told(&Told::pieces) > i; }));
        upload.respond([](const Responder& to) { to.send(enough); });
        const int pieces = upload.told(&Told::pieces);
        EXPECT_TRUE(refused(client.read(), 409, "enough"));
        sender.join();
        EXPECT_EQ(upload.told(&Told::pieces), pieces);
        EXPECT_EQ(upload.told(&Told::lost), 0);
        EXPECT_EQ(upload.told(&Told::alive), 0);
    }
}

TEST(Stream, MayBeAnsweredInPieces) {
    Upload upload;
    const auto pulled = std::make_shared<std::atomic<int>>(0);
    upload.tell([&](Told& told) {
        told.in_take = [&](const Responder& to) { to.send(pieces_answer(100, 64 * 1024, pulled)); };
    });
    Client client(upload.server());
    client.send(head(1'000'000) + "part");
    const Response response = client.read();
    EXPECT_EQ(response.body.size(), 100u * 64 * 1024);
    EXPECT_TRUE(response.says_close());
}

TEST(Stream, IsAnsweredLongAfterItsEnd) {
    Bounds bounds = patient();
    bounds.idle_ms = bounds.request_ms = bounds.response_stall_ms = bounds.linger_ms = 50;
    Upload upload(bounds);
    upload.tell([](Told& told) { told.keeps_quiet = true; });
    Client client(upload.server());
    client.send(head(3) + "one" + get("/ping"));
    ASSERT_TRUE(upload.becomes(&Told::ended, 1));
    EXPECT_EQ(upload.told(&Told::alive), 0);
    EXPECT_TRUE(client.sees_nothing(200));
    upload.respond([](const Responder& to) { to.send(text_answer("late")); });
    EXPECT_EQ(client.read().body, "late");
    EXPECT_EQ(client.read().body, "pong");
}

TEST(Stream, StallsEndIn408) {
    Bounds bounds = patient();
    bounds.request_ms = 100;
    Upload upload(bounds);
    int lost = 0;
    for (const std::string& part :
         {head(5), head(5) + "h", chunked_head, chunked_head + "5\r\nhel",
          chunked_head + chunk("hello"), chunked_head + chunk("hello") + "0\r\nA: "}) {
        Client client(upload.server());
        EXPECT_TRUE(refused(client.ask(part), 408, "request_timeout")) << part;
        EXPECT_EQ(upload.told(&Told::lost), ++lost);
        EXPECT_TRUE(client.sees_end());
    }
    Client invited(upload.server());
    EXPECT_EQ(invited.ask(head(5, "Expect: 100-continue\r\n")).status, 100);
    EXPECT_TRUE(refused(invited.read(), 408, "request_timeout"));
    EXPECT_EQ(upload.told(&Told::lost), lost + 1);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, MayTakeLongerThanAnyTimeOut) {
    Bounds bounds = patient();
    bounds.idle_ms = bounds.request_ms = bounds.response_stall_ms = bounds.linger_ms = 400;
    Upload upload(bounds);
    Client client(upload.server());
    client.send(head(20));
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(client.sees_nothing(50));
        client.send("x");
    }
    EXPECT_EQ(client.read().body, "20");
}

TEST(Stream, BlamesNobodyForItsSinksPauses) {
    Bounds bounds = patient();
    bounds.idle_ms = bounds.request_ms = bounds.response_stall_ms = bounds.linger_ms = 300;
    Upload upload(bounds);
    upload.tell([](Told& told) { told.wants_more = false; });
    Client client(upload.server());
    client.send(head(6) + "one");
    EXPECT_TRUE(client.sees_nothing(600));
    upload.read_on();
    client.send("two");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 2));
    EXPECT_TRUE(client.sees_nothing(600));
    upload.read_on();
    EXPECT_EQ(client.read().body, "6");

    client.send(head(6) + "one");
    EXPECT_TRUE(client.sees_nothing(600));
    upload.read_on();  // from here on it is the client again
    EXPECT_TRUE(refused(client.read(), 408, "request_timeout"));
    EXPECT_EQ(upload.told(&Told::lost), 1);
}

TEST(Stream, IsLostWithItsClient) {
    Upload upload;
    int lost = 0;
    for (const std::string& part : {head(5), head(5) + "hel", chunked_head + chunk("hello")}) {
        for (const bool reset : {false, true}) {
            auto gone = std::make_unique<Client>(upload.server());
            gone->send(part);
            ASSERT_TRUE(upload.becomes(&Told::made, lost + 1));
            EXPECT_EQ(upload.told(&Told::lost), lost);
            if (reset) reset_at_close(*gone);
            gone.reset();
            EXPECT_TRUE(upload.becomes(&Told::lost, ++lost));
        }
    }
    Client half(upload.server());
    half.send(head(5) + "hel");
    half.finish_sending();
    EXPECT_TRUE(half.is_cut());
    EXPECT_TRUE(upload.becomes(&Told::lost, lost + 1));
    EXPECT_EQ(upload.told(&Told::alive), 0);
    EXPECT_EQ(upload.told(&Told::ended), 0);
}

TEST(Stream, NoticesALostClientAfterThePause) {
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = false; });
    for (int lost = 1; lost <= 2; ++lost) {
        auto gone = std::make_unique<Client>(upload.server());
        gone->send(head(10) + "part");
        ASSERT_TRUE(upload.becomes(&Told::pieces, lost));
        if (lost == 2) reset_at_close(*gone);
        gone.reset();
        upload.read_on();
        EXPECT_TRUE(upload.becomes(&Told::lost, lost));
        EXPECT_EQ(upload.told(&Told::alive), 0);
        upload.read_on();
    }
}

TEST(Stream, DropsAnswersOnceItIsLost) {
    Upload upload(patient(), 10);
    upload.tell([](Told& told) {
        told.in_lose = [](const Responder& to) {
            to.send(enough);
            to.read_on();
        };
    });
    Client client(upload.server());
    client.send(chunked_head + chunk("01234567890"));
    EXPECT_TRUE(refused(client.read(), 413, "payload_too_large"));
    EXPECT_TRUE(client.sees_end());
    upload.respond([](const Responder& to) {
        to.send(enough);
        to.read_on();
    });
    auto gone = std::make_unique<Client>(upload.server());
    gone->send(head(10) + "part");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    gone.reset();
    ASSERT_TRUE(upload.becomes(&Told::lost, 2));
    upload.respond([](const Responder& to) { to.send(enough); });
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, DropsAnswersToClientsThatAreGone) {
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = false; });
    auto gone = std::make_unique<Client>(upload.server());
    gone->send(head(10) + "part");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    reset_at_close(*gone);
    gone.reset();
    upload.respond([](const Responder& to) { to.send(enough); });
    EXPECT_EQ(upload.told(&Told::alive), 0);
    EXPECT_EQ(upload.told(&Told::lost), 0);
    EXPECT_EQ(Client(upload.server()).ask(get("/ping")).body, "pong");
}

TEST(Stream, SinksOutOfMemoryAnswer503) {
    const auto fail = [](const Responder&) { throw std::bad_alloc(); };
    const auto is_refused = [](Upload& upload) {
        Client client(upload.server());
        const Response response = client.ask(head(10) + "0123456789");
        EXPECT_TRUE(refused(response, 503, "overloaded"));
        EXPECT_EQ(response.field("retry-after"), "1");
        EXPECT_TRUE(client.sees_end());
        upload.respond([](const Responder& to) { to.send(enough); });  // dropped
        EXPECT_EQ(upload.told(&Told::alive), 0);
        EXPECT_EQ(Client(upload.server()).ask(get("/ping")).body, "pong");
    };
    Upload upload;
    upload.tell([&](Told& told) { told.in_make = fail; });
    is_refused(upload);
    upload.tell([&](Told& told) { told.in_make = nullptr, told.in_take = fail; });
    is_refused(upload);
    EXPECT_EQ(upload.told(&Told::lost), 1);
    upload.tell([&](Told& told) { told.in_take = nullptr, told.in_end = fail; });
    is_refused(upload);
    EXPECT_EQ(upload.told(&Told::lost), 1);
    // Once it has answered, that is what counts.
    const auto answer_and_fail = [&](const Responder& to) {
        to.send(enough);
        throw std::bad_alloc();
    };
    upload.tell([&](Told& told) { told.in_make = answer_and_fail, told.in_end = nullptr; });
    EXPECT_EQ(Client(upload.server()).ask(head(9) + "x").status, 409);
    upload.tell([&](Told& told) { told.in_make = nullptr, told.in_take = answer_and_fail; });
    EXPECT_EQ(Client(upload.server()).ask(head(9) + "x").status, 409);
    upload.tell([&](Told& told) { told.in_take = nullptr, told.in_end = answer_and_fail; });
    EXPECT_EQ(Client(upload.server()).ask(head(1) + "x").status, 409);
    EXPECT_EQ(upload.told(&Told::lost), 1);
}

TEST(Stream, HasAWhileToArriveAtADrain) {
    Bounds bounds = patient();
    bounds.linger_ms = 500;
    Upload upload(bounds);
    Client in_time(upload.server());
    Client slow(upload.server());
    Client invited(upload.server());
    in_time.send(head(6) + "one");
    slow.send(head(1'000) + "one");
    EXPECT_EQ(invited.ask(head(6, "Expect: 100-continue\r\n")).status, 100);
    ASSERT_TRUE(upload.becomes(&Told::made, 3));
    ASSERT_TRUE(upload.becomes(&Told::pieces, 2));
    const auto done = upload.server().drain(60'000);
    const Response response = in_time.ask("two");
    EXPECT_EQ(response.status, 201);
    EXPECT_TRUE(response.says_close());
    EXPECT_TRUE(refused(invited.read(), 408, "request_timeout"));
    while (slow.sees_nothing(10)) slow.send("x");  // more bytes gain no more time
    EXPECT_TRUE(refused(slow.read(), 408, "request_timeout"));
    slow.finish_sending();
    invited.finish_sending();
    in_time.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_EQ(upload.told(&Told::lost), 2);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, IsLostAtADrainWhilePaused) {
    Bounds bounds = patient();
    bounds.linger_ms = 100;
    Upload upload(bounds);
    upload.tell([](Told& told) { told.wants_more = false; });
    Client before(upload.server());
    before.send(head(6) + "one");
    Client during(upload.server());
    during.send(head(6));
    ASSERT_TRUE(upload.becomes(&Told::made, 2));
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    const auto done = upload.server().drain(60'000);
    during.send("one");
    EXPECT_TRUE(refused(before.read(), 408, "request_timeout"));
    EXPECT_TRUE(refused(during.read(), 408, "request_timeout"));
    before.finish_sending();
    during.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_EQ(upload.told(&Told::lost), 2);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, IsAnsweredAtADrainOnceItHasCome) {
    Bounds bounds = patient();
    bounds.linger_ms = 50;
    Upload upload(bounds);
    upload.tell([](Told& told) { told.wants_more = false; });
    Client paused(upload.server());
    paused.send(head(3) + "one");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    const auto done = upload.server().drain(60'000);
    EXPECT_TRUE(paused.sees_nothing(200));
    upload.tell([](Told& told) { told.keeps_quiet = true; });
    upload.read_on();
    EXPECT_TRUE(paused.sees_nothing(200));
    upload.respond([](const Responder& to) { to.send(text_answer("done")); });
    const Response response = paused.read();
    EXPECT_EQ(response.body, "done");
    EXPECT_TRUE(response.says_close());
    paused.finish_sending();
    EXPECT_TRUE(eventually([&] { return done->load(); }));
}

TEST(Stream, IsLostWhenTheGraceIsOver) {
    Upload upload;
    upload.tell([](Told& told) { told.wants_more = false; });
    Client paused(upload.server());
    paused.send(head(6) + "one");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    const auto done = upload.server().drain(30);
    EXPECT_TRUE(eventually([&] { return done->load(); }));
    EXPECT_EQ(upload.told(&Told::lost), 1);
    EXPECT_EQ(upload.told(&Told::alive), 0);
}

TEST(Stream, IsLostWhenTheServerStops) {
    Upload upload;
    upload.tell([](Told& told) { told.hands_out = false; });  // a sink has the only Responder
    Client reading(upload.server());
    reading.send(head(6) + "one");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 1));
    upload.tell([](Told& told) { told.wants_more = false; });
    Client paused(upload.server());
    paused.send(head(6) + "one");
    ASSERT_TRUE(upload.becomes(&Told::pieces, 2));
    upload.stop();
    EXPECT_EQ(upload.left().lost, 2);
    EXPECT_EQ(upload.left().alive, 0);
}

TEST(Stream, MayBeStoppedByItsSink) {
    Router router;
    Told told;
    boost::asio::io_context io{1};
    std::unique_ptr<Server> server;
    router.add_stream(
        "POST", "/up",
        [&](const Request&, const Responder& to) { return std::make_unique<Sink>(told, to); },
        bound_bytes);
    told.in_take = [&](const Responder&) { server.reset(); };
    server = std::make_unique<Server>(io, Options{.host = "127.0.0.1"}, std::move(router));
    server->start();
    Client client(server->port());
    client.send(head(6) + "one");
    io.run();
    EXPECT_TRUE(client.is_cut());
    EXPECT_EQ(told.pieces, 1);
    EXPECT_EQ(told.lost, 1);
    EXPECT_EQ(told.alive, 0);
}

TEST(Stream, FastClientLeavesOthersTheirTurn) {
    Upload upload;
    upload.tell([](Told& told) { told.keeps = false; });
    Client greedy(upload.server());
    std::atomic<bool> stop = false;
    std::thread sender([&] {
        greedy.send(head(bound_bytes));
        const std::string block(1024 * 1024, 'x');
        for (int i = 0; i < 1024 && !stop; ++i) greedy.send(block);
    });
    ASSERT_TRUE(eventually([&] { return upload.told(&Told::pieces) > 0; }));
    Client other(upload.server());
    for (int i = 0; i < 20; ++i) EXPECT_EQ(other.ask(get("/ping")).body, "pong");
    EXPECT_EQ(upload.told(&Told::ended), 0);
    stop = true;
    sender.join();
}

}  // namespace
}  // namespace coupond::http::test
