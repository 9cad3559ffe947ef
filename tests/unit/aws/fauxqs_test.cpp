// S3 and SQS as fauxqs speaks them; support/with_fauxqs.js starts it.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "aws/s3.hpp"
#include "aws/sqs.hpp"

namespace coupond::aws {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const SystemClock wall_clock;

/// Of the environment; a test program that was started without it is a mistake.
std::string setting(const char* name) {
    const char* const value = std::getenv(name);
    if (value == nullptr) throw std::runtime_error(std::string(name) + " is not set");
    return value;
}

Bounds few_tries() {
    Bounds bounds;
    bounds.tries = 2;
    bounds.pause_first_ms = 1;
    return bounds;
}

S3Options s3_options(const std::string& endpoint = setting("COUPOND_TEST_AWS"),
                     const std::string& root_certificate = "") {
    return {endpoint,         "coupons",  "eu-central-1", {"test", "secret", ""},
            root_certificate, few_tries()};
}

SqsOptions sqs_options(const std::string& queue = "jobs") {
    return {setting("COUPOND_TEST_AWS") + "/000000000000/" + queue,
            "us-east-1",
            {"test", "secret", "token"},
            "",
            few_tries()};
}

std::string port_of(const std::string& url) {
    return url.substr(url.rfind(':') + 1);
}

TEST(S3, StoresWhatItIsGivenAndFindsIt) {
    S3 s3(s3_options(), wall_clock);
    EXPECT_EQ(s3.name(), "S3 bucket coupons at 127.0.0.1:" + port_of(setting("COUPOND_TEST_AWS")));
    for (const std::string key : {"a", "qr/1/SUMMER 10%.png", "qr/1/Größe+&?#=😀.svg", "a/./b"}) {
        const std::string bytes(key.size(), '\0');
        ASSERT_TRUE(s3.put(key, "image/png", bytes)) << key;
        const auto found = s3.find(key);
        ASSERT_TRUE(found) << found.error().message;
        ASSERT_TRUE(found->has_value()) << key;
        EXPECT_EQ((*found)->bytes, static_cast<std::int64_t>(bytes.size()));
    }
    ASSERT_TRUE(s3.put("a", "text/plain", ""));
    EXPECT_EQ(s3.find("a").value()->bytes, 0);
    EXPECT_EQ(s3.find("A").value(), std::nullopt);
    EXPECT_EQ(s3.find("qr/1/SUMMER%2010%25.png").value(), std::nullopt);
    const std::string large(3 * 1024 * 1024, 'x');
    ASSERT_TRUE(s3.put("large", "text/plain", large));
    EXPECT_EQ(s3.find("large").value()->bytes, static_cast<std::int64_t>(large.size()));
}

TEST(S3, TellsWhatItIsRefused) {
    S3Options options = s3_options();
    options.bucket = "another";
    S3 s3(options, wall_clock);
    const auto put = s3.put("a", "text/plain", "b");
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().kind, Error::Kind::refused);
    EXPECT_EQ(put.error().message,
              "cannot put an object into " + s3.name() + ": status 404, NoSuchBucket");
    EXPECT_EQ(s3.find("a").value(), std::nullopt);
}

TEST(S3, SpeaksTlsWithWhomItTrusts) {
    const std::string endpoint = setting("COUPOND_TEST_AWS_TLS");
    const std::string authority = setting("COUPOND_TEST_AWS_AUTHORITY");
    S3 s3(s3_options(endpoint, authority), wall_clock);
    for (const std::string& bytes : {std::string("first"), std::string(1024 * 1024, 'x')}) {
        const auto put = s3.put("tls", "text/plain", bytes);
        ASSERT_TRUE(put) << put.error().message;
        EXPECT_EQ(s3.find("tls").value()->bytes, static_cast<std::int64_t>(bytes.size()));
    }
    S3 by_name(s3_options("https://localhost:" + port_of(endpoint), authority), wall_clock);
    EXPECT_TRUE(by_name.find("tls").value());

    S3 unknown(s3_options(endpoint), wall_clock);  // to the system
    const auto found = unknown.find("tls");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().kind, Error::Kind::unavailable);
    EXPECT_NE(found.error().message.find("the server's certificate is not trusted"),
              std::string::npos)
        << found.error().message;

    S3 misnamed(s3_options("https://127.0.0.2:" + port_of(endpoint), authority), wall_clock);
    EXPECT_FALSE(misnamed.find("tls"));
}

TEST(Sqs, SendsReceivesAndRemoves) {
    Sqs sqs(sqs_options(), wall_clock);
    EXPECT_EQ(sqs.name(), "SQS queue jobs at 127.0.0.1:" + port_of(setting("COUPOND_TEST_AWS")));
    EXPECT_TRUE(sqs.receive(10, 0, 30).value().empty());
    const std::string body = "{\"job\":1,\"text\":\"\\\"Größe\\\" クーポン\\n\"}";
    const auto id = sqs.send(body);
    ASSERT_TRUE(id) << id.error().message;
    const auto received = sqs.receive(10, 0, 30);
    ASSERT_TRUE(received) << received.error().message;
    ASSERT_EQ(received->size(), 1U);
    const Message& message = received->front();
    EXPECT_EQ(message.id, *id);
    EXPECT_EQ(message.body, body);
    EXPECT_EQ(message.receive_count, 1);
    EXPECT_TRUE(sqs.receive(10, 0, 30).value().empty());

    ASSERT_TRUE(sqs.hide(message, 0));
    const auto again = sqs.receive(10, 2, 30);
    ASSERT_TRUE(again);
    ASSERT_EQ(again->size(), 1U);
    EXPECT_EQ(again->front().id, *id);
    EXPECT_EQ(again->front().receive_count, 2);
    ASSERT_TRUE(sqs.remove(again->front()));
    EXPECT_TRUE(sqs.receive(10, 0, 30).value().empty());
}

TEST(Sqs, WaitsForAMessage) {
    Sqs waiting(sqs_options(), wall_clock);
    auto begin = steady_clock::now();
    EXPECT_TRUE(waiting.receive(1, 1, 30).value().empty());
    EXPECT_GE(steady_clock::now() - begin, milliseconds(900));

    const std::jthread sender([] {
        std::this_thread::sleep_for(milliseconds(300));
        Sqs sqs(sqs_options(), wall_clock);
        EXPECT_TRUE(sqs.send("late"));
    });
    begin = steady_clock::now();
    const auto received = waiting.receive(1, 20, 30);
    ASSERT_TRUE(received);
    ASSERT_EQ(received->size(), 1U);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(10'000));
    EXPECT_TRUE(waiting.remove(received->front()));
}

TEST(Sqs, StopsWaitingWhenNobodyWaits) {
    Sqs sqs(sqs_options(), wall_clock);
    std::stop_source stop;
    const std::jthread stopper([&stop] {
        std::this_thread::sleep_for(milliseconds(200));
        stop.request_stop();
    });
    const auto begin = steady_clock::now();
    const auto received = sqs.receive(1, 20, 30, stop.get_token());
    ASSERT_FALSE(received);
    EXPECT_EQ(received.error().kind, Error::Kind::stopped);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(2'000));
    EXPECT_TRUE(sqs.receive(1, 0, 30)) << "and can be used all the same";
}

TEST(Sqs, TellsWhatItIsRefused) {
    Sqs sqs(sqs_options("another"), wall_clock);
    const auto sent = sqs.send("x");
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().kind, Error::Kind::refused);
    EXPECT_EQ(sent.error().message,
              "cannot send to " + sqs.name() + ": status 400, QueueDoesNotExist");
}

}  // namespace
}  // namespace coupond::aws
