#include "http/head.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "http/read_buffer.hpp"
#include "http/response.hpp"

namespace coupond::http::test {
namespace {

std::string chunk(const std::string& data) {
    char size[32];
    std::snprintf(size, sizeof size, "%zX\r\n", data.size());
    return size + data + "\r\n";
}

/// As a connection does for a sink.
std::size_t parse_pieces(RequestParser& parser, std::string_view bytes, std::string& parsed,
                         std::optional<Refusal>& refusal) {
    std::size_t taken = 0;
    while (taken < bytes.size() && !parser.is_done() && !refusal) {
        std::string_view piece;
        taken += parser.parse_piece(bytes.substr(taken), piece, refusal);
        if (piece.empty()) break;
        parsed += piece;
    }
    return taken;
}

/// Feeds `body` to a parser in pieces of the sizes given, over and over, as a connection does.
std::string parse_in_pieces(const std::string& body, const std::vector<std::size_t>& sizes,
                            bool& done, bool streamed = false) {
    Head head;
    std::string parsed;
    RequestParser parser(head, parsed, 16'384);
    EXPECT_FALSE(
        parser.parse_head("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    std::string waiting;
    std::size_t at = 0;
    for (std::size_t i = 0; at < body.size() && !parser.is_done(); ++i) {
        const std::size_t size = std::min(sizes[i % sizes.size()], body.size() - at);
        waiting += body.substr(at, size);
        at += size;
        std::optional<Refusal> refusal;
        waiting.erase(0, streamed ? parse_pieces(parser, waiting, parsed, refusal)
                                  : parser.parse_body(waiting, refusal));
        EXPECT_FALSE(refusal);
        if (refusal) break;
    }
    done = parser.is_done() && waiting.empty() && at == body.size();
    return parsed;
}

TEST(Head, ChunksMakeTheSameBodyHoweverTheyArrive) {
    EXPECT_TRUE(rc::check([](const std::vector<std::string>& parts, bool trailer) {
        std::string sent;
        std::string expected;
        for (const std::string& part : parts) {
            if (!part.empty()) sent += chunk(part);
            expected += part;
        }
        sent += "0\r\n" + std::string(trailer ? "X: y\r\n" : "") + "\r\n";
        const auto sizes = *rc::gen::nonEmpty(
            rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 9)));
        bool done = false;
        RC_ASSERT(parse_in_pieces(sent, sizes, done) == expected);
        RC_ASSERT(done);
        RC_ASSERT(parse_in_pieces(sent, sizes, done, true) == expected);
        RC_ASSERT(done);
    }));
}

TEST(Head, LastChunkInTwoPiecesIsFine) {
    // Four bytes of the last chunk are what an assertion of Beast 1.81 does not expect.
    bool done = false;
    for (const bool streamed : {false, true}) {
        EXPECT_EQ(parse_in_pieces("0\r\n\r\n", {3, 1, 1}, done, streamed), "");
        EXPECT_TRUE(done);
    }
}

TEST(Head, EndIsFoundHoweverItArrives) {
    const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const std::string bytes = head + "GET";
    HeadScanner scanner;
    for (std::size_t size = 0; size < head.size(); ++size) {
        ASSERT_EQ(scanner.scan(std::string_view(bytes).substr(0, size)),
                  HeadScanner::Found::nothing_yet);
    }
    EXPECT_EQ(scanner.scan(bytes), HeadScanner::Found::end);
    EXPECT_EQ(scanner.size(), head.size());
}

TEST(Head, KeepsWhatMatters) {
    Head head;
    std::string body;
    RequestParser parser(head, body, 16'384);
    EXPECT_FALSE(
        parser.parse_head("PUT /a?b HTTP/1.1\r\nhost: [::1]:80\r\nCONTENT-length: 7\r\n"
                          "Content-Type:\ttext/x \r\nExpect: 100-continue\r\n"
                          "X-Request-Id: me\r\nContent-Encoding: br\r\n"
                          "Connection: x, close\r\n\r\n"));
    EXPECT_EQ(head.method, "PUT");
    EXPECT_EQ(head.target, "/a?b");
    EXPECT_EQ(head.content_type, "text/x");
    EXPECT_EQ(head.request_id, "me");
    EXPECT_EQ(head.content_length, 7u);
    EXPECT_TRUE(head.is_http_1_1);
    EXPECT_TRUE(head.is_encoded);
    EXPECT_TRUE(head.expects_continue);
    EXPECT_FALSE(head.expects_otherwise);
    EXPECT_FALSE(head.keep_alive);
    EXPECT_FALSE(head.is_chunked);
}

TEST(Head, BufferKeepsItsBytes) {
    ReadBuffer buffer;
    std::string expected;
    std::size_t next = 0;
    for (int round = 0; round < 100; ++round) {
        if (!buffer.prepare()) {
            ASSERT_EQ(buffer.bytes().size(), ReadBuffer::max_bytes);
            buffer.consume(50'000);
            expected.erase(0, 50'000);
            ASSERT_TRUE(buffer.prepare());
        }
        const std::size_t size = buffer.room_bytes();
        for (std::size_t i = 0; i < size; ++i) buffer.room()[i] = static_cast<char>(next++ % 251);
        expected.append(buffer.room(), size);
        buffer.commit(size);
        buffer.consume(7);
        expected.erase(0, 7);
        ASSERT_TRUE(buffer.bytes() == expected);
    }
    buffer.consume(expected.size());
    buffer.shrink();
    ASSERT_TRUE(buffer.prepare());
    EXPECT_EQ(buffer.room_bytes(), ReadBuffer::initial_bytes);
}

TEST(Head, Dates) {
    EXPECT_EQ(http_date({0}), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(http_date({1'709'164'799'999}), "Wed, 28 Feb 2024 23:59:59 GMT");
    EXPECT_EQ(http_date({1'709'164'800'000}), "Thu, 29 Feb 2024 00:00:00 GMT");
}

}  // namespace
}  // namespace coupond::http::test
