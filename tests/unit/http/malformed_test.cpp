// Requests that are not what they should be, above all those that a proxy in front might understand
// differently.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "support.hpp"

namespace coupond::http::test {
namespace {

struct Case {
    const char* name;
    std::string bytes;
    int status = 400;
    const char* code = "malformed_request";
};

const std::string smuggled = "GET /ping HTTP/1.1\r\nHost: a\r\n\r\n";

std::string with(std::string_view fields, std::string_view body = "") {
    return "POST /echo HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

using std::string_literals::operator""s;

const Case cases[] = {
    {"length and chunked",
     with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"chunked and length",
     with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")},
    {"two lengths", with("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")},
    {"two equal lengths", with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")},
    {"lengths in a list", with("Content-Length: 5, 5\r\n", "hello")},
    {"signed length", with("Content-Length: +5\r\n", "hello")},
    {"negative length", with("Content-Length: -5\r\n", "hello")},
    {"hexadecimal length", with("Content-Length: 0x5\r\n", "hello")},
    {"empty length", with("Content-Length: \r\n", "hello")},
    {"length beyond 64 bits", with("Content-Length: 18446744073709551621\r\n", "hello")},
    {"other coding", with("Transfer-Encoding: gzip\r\n")},
    {"identity coding", with("Transfer-Encoding: identity\r\n")},
    {"two codings", with("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")},
    {"chunked twice", with("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n")},
    {"chunked in two fields",
     with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")},
    {"chunked and other in two fields",
     with("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n")},
    {"misspelt coding", with("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n")},
    {"vertical tab before coding", with("Transfer-Encoding:\vchunked\r\n", "0\r\n\r\n")},
    {"chunked by 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {"space before colon", with("Content-Length : 5\r\n", "hello")},
    {"space before name", with(" Content-Length: 5\r\n", "hello")},
    {"folded field", with("X: a\r\n b\r\n")},
    {"folded by tab", with("X: a\r\n\tb\r\n")},
    {"bare LF", "GET /ping HTTP/1.1\nHost: a\n\n"},
    {"bare LF in a field", with("X: a\nContent-Length: 5\r\n")},
    {"bare CR in a field", with("X: a\rContent-Length: 5\r\n")},
    {"NUL in a field", with("X: a\0b\r\n"s)},
    {"NUL in a name", with("X\0: a\r\n"s)},
    {"control in a field", with("X: a\x01\r\n")},
    {"field without colon", with("Nonsense\r\n")},
    {"field without name", with(": x\r\n")},
    {"no Host", "GET /ping HTTP/1.1\r\n\r\n"},
    {"two Hosts", "GET /ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {"two Hosts by 1.0", "GET /ping HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
    {"unfit Host", "GET /ping HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {"path in Host", "GET /ping HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {"no version", "GET /ping\r\nHost: a\r\n\r\n"},
    {"two spaces", "GET  /ping HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"space in the target", "GET /pi ng HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"NUL in the target", "GET /pi\0ng HTTP/1.1\r\nHost: a\r\n\r\n"s},
    {"CR in the target", "GET /pi\rng HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"no method", " /ping HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"method in brackets", "(GET) /ping HTTP/1.1\r\nHost: a\r\n\r\n"},
    {"other protocol", "GET /ping HTTQ/1.1\r\nHost: a\r\n\r\n"},
    {"lower case protocol", "GET /ping http/1.1\r\nHost: a\r\n\r\n"},
    {"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "http_version_not_supported"},
    {"HTTP/1.2", "GET /ping HTTP/1.2\r\nHost: a\r\n\r\n", 505, "http_version_not_supported"},
    {"HTTP/0.9", "GET /ping HTTP/0.9\r\nHost: a\r\n\r\n", 505, "http_version_not_supported"},
    {"chunk without size", with("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n")},
    {"chunk with a bad size", with("Transfer-Encoding: chunked\r\n", "5x\r\nhello\r\n0\r\n\r\n")},
    {"chunk with 0x", with("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n")},
    {"chunk with a sign", with("Transfer-Encoding: chunked\r\n", "+5\r\nhello\r\n0\r\n\r\n")},
    {"chunk line with LF", with("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n")},
    {"chunk too short", with("Transfer-Encoding: chunked\r\n", "6\r\nhello\r\n0\r\n\r\n")},
    {"chunk too long", with("Transfer-Encoding: chunked\r\n", "4\r\nhello\r\n0\r\n\r\n")},
    {"chunk size beyond 64 bits",
     with("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n")},
    {"chunk size without end",
     with("Transfer-Encoding: chunked\r\n", "5;" + std::string(100'000, 'x'))},
    {"trailer without end",
     with("Transfer-Encoding: chunked\r\n", "0\r\nX: " + std::string(100'000, 'x'))},
    {"bad trailer", with("Transfer-Encoding: chunked\r\n", "0\r\nX\r\n\r\n")},
};

TEST(Malformed, IsRefusedAndTheConnectionClosed) {
    TestServer server;
    for (const Case& each : cases) {
        Client client(server);
        client.send(each.bytes);
        client.send(smuggled);
        const Response response = client.read();
        EXPECT_EQ(response.status, each.status) << each.name;
        EXPECT_NE(response.body.find(each.code), std::string::npos) << each.name << response.body;
        EXPECT_TRUE(response.says_close()) << each.name;
        EXPECT_FALSE(response.field("x-request-id").empty()) << each.name;
        client.finish_sending();
        EXPECT_TRUE(client.sees_end()) << each.name;
    }
}

TEST(Malformed, NoFlippedByteOfARequestHarms) {
    TestServer server;
    const std::string request =
        "POST /echo?a=%20 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for (std::size_t i = 0; i < request.size(); ++i) {
        for (const char flip : {'\x01', '\x20', '\x80'}) {
            std::string damaged = request;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            Client client(server);
            client.send(damaged);
            client.finish_sending();
            const Response response = client.read();  // or nothing, where it is only cut short
            EXPECT_TRUE(response.status < 500 || response.status == 505)
                << damaged << response.head;
        }
    }
    Client client(server);
    EXPECT_EQ(client.ask(get("/ping")).status, 200);
}

TEST(Malformed, ContentEncodingIsUnsupported) {
    TestServer server;
    {
        Client client(server);
        const Response response = client.ask(post("/echo", "hello", "Content-Encoding: gzip\r\n"));
        EXPECT_EQ(response.status, 415);
        EXPECT_NE(response.body.find("unsupported_media_type"), std::string::npos);
        EXPECT_TRUE(response.says_close());
    }
    Client client(server);
    EXPECT_EQ(client.ask(post("/echo", "hello", "Content-Encoding: Identity\r\n")).status, 201);
}

TEST(Malformed, RefusedByItsHeadTheBodyIsNotTakenForARequest) {
    TestServer server;
    Client client(server);
    const Response response = client.ask(post("/nope", smuggled));
    EXPECT_EQ(response.status, 404);
    EXPECT_TRUE(response.says_close());
    EXPECT_TRUE(client.sees_end());
}

}  // namespace
}  // namespace coupond::http::test
