// REDIS_URL.
#include <gtest/gtest.h>

#include "lock/redis/redis.hpp"

namespace coupond::test {
namespace {

/// All that was understood, as text, or what is said against it.
std::string understood(const std::string& url) {
    try {
        const redis::Options options = redis::parse_url(url);
        return (options.tls ? "tls " : "") + options.username + "|" + options.password + "|" +
               options.host + "|" + std::to_string(options.port) + "|" +
               std::to_string(options.database);
    } catch (const std::invalid_argument& error) {
        return std::string("! ") + error.what();
    }
}

TEST(RedisUrl, IsUnderstood) {
    EXPECT_EQ(understood("redis://localhost"), "||localhost|6379|0");
    EXPECT_EQ(understood("redis://localhost/"), "||localhost|6379|0");
    EXPECT_EQ(understood("redis://localhost:7000/3"), "||localhost|7000|3");
    EXPECT_EQ(understood("redis://localhost:/3"), "||localhost|6379|3");
    EXPECT_EQ(understood("REDIS://localhost"), "||localhost|6379|0");
    EXPECT_EQ(understood("rediss://cache.example.com"), "tls ||cache.example.com|6379|0");
    EXPECT_EQ(understood("Rediss://cache.example.com:6380"), "tls ||cache.example.com|6380|0");
    EXPECT_EQ(understood("redis://:secret@localhost"), "|secret|localhost|6379|0");
    EXPECT_EQ(understood("redis://ann:secret@localhost"), "ann|secret|localhost|6379|0");
    EXPECT_EQ(understood("redis://a%40b:p%3As%2Fs%20%C3%A9%25@localhost"),
              "a@b|p:s/s \xC3\xA9%|localhost|6379|0");
    EXPECT_EQ(understood("redis://:a:b@localhost"), "|a:b|localhost|6379|0");
    EXPECT_EQ(understood("redis://127.0.0.1:6379"), "||127.0.0.1|6379|0");
    EXPECT_EQ(understood("redis://[::1]:6379/1"), "||::1|6379|1");
    EXPECT_EQ(understood("redis://:x@[2001:db8::1]"), "|x|2001:db8::1|6379|0");
    EXPECT_EQ(understood("redis://localhost:65535/0"), "||localhost|65535|0");
}

TEST(RedisUrl, IsRefusedWithAReasonThatQuotesNothingOfIt) {
    for (const char* const url : {"",
                                  "localhost",
                                  "localhost:6379",
                                  "redis:",
                                  "redis://",
                                  "redis:///1",
                                  "redis://:s3cret@",
                                  "http://s3cret@localhost",
                                  "redisss://:s3cret@localhost",
                                  "redis://:s3cret@localhost:0",
                                  "redis://:s3cret@localhost:65536",
                                  "redis://:s3cret@localhost:99999999999999999999",
                                  "redis://:s3cret@localhost:s3cret",
                                  "redis://:s3cret@localhost/s3cret",
                                  "redis://:s3cret@localhost/-1",
                                  "redis://:s3cret@localhost/1/2",
                                  "redis://:s3cret@localhost/1 ",
                                  "redis://:s3cret@localhost/99999999999",
                                  "redis://:s3cret@localhost?db=1",
                                  "redis://:s3cret@localhost#1",
                                  "redis://:s3cret%@localhost",
                                  "redis://:s3cret%zz@localhost",
                                  "redis://s3cret@localhost",
                                  "redis://:s3cret@[::1",
                                  "redis://:s3cret@[v1.s3cret]",
                                  "redis://:s3cret@local host",
                                  "redis://:s3cret@a%00b",
                                  "redis://:s3cret@a%20b",
                                  "unix:///s3cret"}) {
        const std::string text = understood(url);
        EXPECT_EQ(text.substr(0, 2), "! ") << url;
        EXPECT_EQ(text.find("s3cret"), std::string::npos) << url;
        EXPECT_GT(text.size(), 10U) << url;
    }
}

TEST(RedisUrl, HasANameWithoutSecrets) {
    EXPECT_EQ(redis::name(redis::parse_url("redis://ann:secret@cache.internal")),
              "Redis at cache.internal:6379");
    EXPECT_EQ(redis::name(redis::parse_url("rediss://[::1]:7000/2")), "Redis at [::1]:7000");
}

}  // namespace
}  // namespace coupond::test
