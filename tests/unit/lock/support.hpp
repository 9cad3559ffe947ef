// A real Redis for the tests, another client of it, and shorthands for locks.
#pragma once

#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "lock/redis/redis.hpp"
#include "support/temporary_folder.hpp"

namespace coupond::test {

using Words = std::vector<std::string>;

/// Another program that uses the same Redis.
class RedisClient {
public:
    /// Throws where nothing listens there.
    RedisClient(const std::string& host, int port);

    /// What Redis answers, as text: integers in decimal, nil as `(nil)`, the elements of arrays
    /// joined by spaces. Throws an error as its message.
    std::string ask(const Words& words);
    std::int64_t integer(const Words& words) { return std::stoll(ask(words)); }

private:
    std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

/// A redis-server of this test's own on a free port of 127.0.0.1, without anything on the disk. It
/// ends with this object, and with the process.
class RedisServer {
public:
    /// `settings`: further words of its command line. Throws where it cannot be started.
    explicit RedisServer(Words settings = {});
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    void start();
    void send_signal(int number) const;
    /// kill -9, unless it is gone already.
    void kill();
    void restart() {
        kill();
        start();
    }

    /// Another client's view, without password.
    RedisClient client() const { return {"127.0.0.1", port_}; }
    std::string ask(const Words& words) const { return client().ask(words); }

    redis::Options options() const;
    int port() const { return port_; }
    const std::filesystem::path& folder() const { return folder_.path(); }

private:
    void wait_until_ready() const;
    std::string log_file() const { return (folder_.path() / "redis.log").string(); }

    TemporaryFolder folder_{TemporaryFolder::Disk::memory};
    const Words settings_;
    const int port_;
    pid_t process_ = 0;
};

/// A port of 127.0.0.1 that nobody listens on, below those that outgoing connections get.
int free_port();

/// Runs a program and waits for it. Throws where it does not succeed.
void run_program(const Words& words);

/// The machine's time, which Redis shares.
inline Timestamp now() {
    return SystemClock().now();
}

inline LockChange take(std::string_view code, std::string user, Timestamp until, BookId book = 1) {
    return {code, book, Lock{std::move(user), until}};
}

inline LockChange drop(std::string_view code, BookId book = 1) {
    return {code, book, std::nullopt};
}

/// Each code's lock as `user until`, `-` where there is none; or the failure's name.
std::vector<std::string> loaded(Locks& locks, const std::vector<std::string_view>& codes);

/// `ok`, or the failure's name.
template <class T>
std::string text_of(const Result<T>& result) {
    return result ? "ok" : std::string(to_string(result.error()));
}

/// Loads the codes and takes those locks.
std::string load_and_acquire(Locks& locks, const std::vector<LockChange>& changes);

/// How long something takes.
template <class Call>
std::int64_t ms_of(Call call) {
    const auto start = std::chrono::steady_clock::now();
    call();
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 start)
        .count();
}

}  // namespace coupond::test
