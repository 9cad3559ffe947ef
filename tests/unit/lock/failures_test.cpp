// Locks in a Redis that does not work, and when it works again.
#include <gmock/gmock.h>

#include <functional>
#include <thread>

#include "base/limits.hpp"
#include "unit/lock/support.hpp"

namespace coupond::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

/// What a call may take at most, on a machine that has other things to do.
constexpr std::int64_t bound_ms = limits::locks_wait_ms + 500;
/// And where it is known that there is no connection.
constexpr std::int64_t at_once_ms = 400;

class LockFailuresTest : public testing::Test {
protected:
    static Timestamp until() { return now() + 300'000; }

    std::string load() { return text_of(locks_->load(std::vector<std::string_view>{"A"})); }
    std::string load_and_acquire() {
        return test::load_and_acquire(*locks_, {take("A", "ann", until())});
    }
    std::string acquire() {
        return text_of(locks_->acquire(std::vector{take("A", "ann", until())}, now()));
    }

    /// Calls until it is answered with `wanted`, for at most three seconds.
    static std::string eventually(const std::string& wanted,
                                  const std::function<std::string()>& call) {
        std::string answer;
        for (int i = 0; i < 300 && answer != wanted; ++i) {
            std::this_thread::sleep_for(milliseconds(10));
            answer = call();
        }
        return answer;
    }

    void kill_connections() { server_.ask({"CLIENT", "KILL", "TYPE", "normal"}); }

    RedisServer server_;
    std::unique_ptr<Locks> locks_ = redis::open(server_.options());
};

TEST_F(LockFailuresTest, ScriptsThatTheServerHasLostAreLoadedAgain) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(load(), "ok");
        server_.ask({"SCRIPT", "FLUSH"});
        EXPECT_EQ(acquire(), "ok");
        server_.ask({"SCRIPT", "FLUSH"});
        EXPECT_EQ(load(), "ok");
        server_.ask({"SCRIPT", "FLUSH"});
        locks_->release(std::vector{drop("A")}, now());
        server_.ask({"SCRIPT", "FLUSH"});
        EXPECT_EQ(text_of(locks_->ping()), "ok");
        EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");
    }
}

TEST_F(LockFailuresTest, ScriptsThatAreLostBeforeTheObjectEndsAreLoadedAgain) {
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.ask({"SCRIPT", "FLUSH"});
    locks_->release(std::vector{drop("A")}, now());
    locks_.reset();
    EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");
}

TEST_F(LockFailuresTest, ARestartCostsTimeOnly) {
    EXPECT_EQ(load(), "ok");
    server_.restart();
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.kill();
    std::string meanwhile;
    std::thread calling([&] { meanwhile = load(); });
    std::this_thread::sleep_for(milliseconds(150));
    server_.start();
    calling.join();
    EXPECT_EQ(meanwhile, "ok");
    server_.restart();
    EXPECT_EQ(text_of(locks_->count(std::vector<BookId>{1}, now())), "ok");
    server_.restart();
    EXPECT_EQ(text_of(locks_->ping()), "ok");
}

TEST_F(LockFailuresTest, WhatWasLoadedBeforeAReconnectionIsNoLongerTrusted) {
    EXPECT_EQ(load(), "ok");
    kill_connections();
    EXPECT_EQ(acquire(), "conflict");
    EXPECT_EQ(load_and_acquire(), "ok");
    EXPECT_EQ(load(), "ok");
    server_.restart();
    EXPECT_EQ(acquire(), "conflict");
    EXPECT_EQ(server_.ask({"DBSIZE"}), "0");
}

TEST_F(LockFailuresTest, AReleaseOutlivesItsConnection) {
    EXPECT_EQ(load_and_acquire(), "ok");
    kill_connections();
    locks_->release(std::vector{drop("A")}, now());
    EXPECT_EQ(text_of(locks_->ping()), "ok");
    EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");

    EXPECT_EQ(load_and_acquire(), "ok");
    kill_connections();
    locks_->release(std::vector{drop("A")}, now());
    locks_.reset();
    EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");
}

TEST_F(LockFailuresTest, AReleaseOutlivesItsObject) {
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.send_signal(SIGSTOP);
    std::thread waking([&] {
        std::this_thread::sleep_for(milliseconds(300));
        server_.send_signal(SIGCONT);
    });
    EXPECT_LT(ms_of([&] { locks_->release(std::vector{drop("A")}, now()); }), 100);
    EXPECT_GT(ms_of([&] { locks_.reset(); }), 100);
    waking.join();
    EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");
}

TEST_F(LockFailuresTest, OfAStoppedRedisAreBoundedAndGoAwayWithIt) {
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.kill();
    EXPECT_LT(ms_of([&] { EXPECT_EQ(load(), "unavailable"); }), bound_ms);
    for (int i = 0; i < 20; ++i) {
        EXPECT_LT(ms_of([&] { EXPECT_EQ(load(), "unavailable"); }), at_once_ms);
        EXPECT_LT(ms_of([&] { EXPECT_EQ(acquire(), "unavailable"); }), at_once_ms);
        EXPECT_LT(ms_of([&] { EXPECT_EQ(text_of(locks_->ping()), "unavailable"); }), at_once_ms);
        EXPECT_LT(ms_of([&] {
                      EXPECT_EQ(text_of(locks_->count(std::vector<BookId>{1}, now())),
                                "unavailable");
                  }),
                  at_once_ms);
        locks_->release(std::vector{drop("A")}, now());
    }
    EXPECT_LT(ms_of([&] {
                  for (int i = 0; i < 10'000; ++i) load();
              }),
              3'000);
    server_.start();
    EXPECT_EQ(eventually("ok", [&] { return load_and_acquire(); }), "ok");
    server_.kill();
    EXPECT_LT(ms_of([&] { locks_.reset(); }), bound_ms);
}

TEST_F(LockFailuresTest, OfARedisThatStandsStillAreBoundedAndGoAwayWithIt) {
    EXPECT_EQ(load_and_acquire(), "ok");
    EXPECT_EQ(load(), "ok");
    server_.send_signal(SIGSTOP);
    EXPECT_LT(ms_of([&] { EXPECT_EQ(acquire(), "indeterminate"); }), bound_ms);
    std::int64_t all_ms = 0;
    constexpr int calls = 30;
    for (int i = 0; i < calls; ++i) {
        const std::int64_t one_ms = ms_of([&] { EXPECT_EQ(load(), "unavailable"); });
        EXPECT_LT(one_ms, at_once_ms);
        all_ms += one_ms;
        std::this_thread::sleep_for(milliseconds(10));
    }
    EXPECT_LT(all_ms, 1'000);
    server_.send_signal(SIGCONT);
    EXPECT_EQ(eventually("ok", [&] { return load(); }), "ok");

    server_.ask({"CLIENT", "PAUSE", "60000", "ALL"});
    EXPECT_LT(ms_of([&] { EXPECT_EQ(load(), "unavailable"); }), bound_ms);
    EXPECT_LT(ms_of([&] { EXPECT_EQ(load(), "unavailable"); }), at_once_ms);
    server_.restart();
    EXPECT_EQ(eventually("ok", [&] { return load_and_acquire(); }), "ok");
}

TEST_F(LockFailuresTest, ALostAnswerIsNoAnswer) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(eventually("ok", [&] { return load(); }), "ok");
        server_.send_signal(SIGSTOP);
        std::thread killing([&] {
            std::this_thread::sleep_for(milliseconds(100));
            server_.kill();
        });
        // Nor can be looked at what is there.
        EXPECT_LT(ms_of([&] { EXPECT_EQ(acquire(), "indeterminate"); }),
                  600 + limits::locks_wait_ms);
        killing.join();
        server_.start();
    }
}

TEST_F(LockFailuresTest, AReplicaTakesNoLocks) {
    EXPECT_EQ(load(), "ok");
    server_.ask({"REPLICAOF", "127.0.0.1", std::to_string(free_port())});
    EXPECT_EQ(acquire(), "unavailable");
    EXPECT_EQ(load_and_acquire(), "unavailable");
    EXPECT_EQ(text_of(locks_->ping()), "unavailable");
    const std::int64_t before = std::stoll(server_.ask({"CLIENT", "ID"}));
    EXPECT_EQ(text_of(locks_->ping()), "unavailable");
    EXPECT_EQ(load(), "ok");
    // The ping and the load each made a connection, which might have reached another server.
    EXPECT_THAT(server_.ask({"CLIENT", "LIST", "ID", std::to_string(before + 2)}),
                HasSubstr("id="));
    server_.ask({"REPLICAOF", "NO", "ONE"});
    EXPECT_EQ(load_and_acquire(), "ok");
}

TEST_F(LockFailuresTest, AReplicaWithoutDataIsOfNoUse) {
    EXPECT_EQ(load(), "ok");
    server_.ask({"CONFIG", "SET", "replica-serve-stale-data", "no"});
    server_.ask({"REPLICAOF", "127.0.0.1", std::to_string(free_port())});
    EXPECT_EQ(load(), "unavailable");
    EXPECT_EQ(text_of(locks_->ping()), "unavailable");
    server_.ask({"REPLICAOF", "NO", "ONE"});
    EXPECT_EQ(eventually("ok", [&] { return load_and_acquire(); }), "ok");
}

TEST_F(LockFailuresTest, AFullRedisTakesNoLocksButLosesThem) {
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"});
    EXPECT_EQ(load(), "ok");
    EXPECT_EQ(acquire(), "unavailable");
    EXPECT_EQ(text_of(locks_->ping()), "unavailable");
    EXPECT_EQ(text_of(locks_->count(std::vector<BookId>{1}, now())), "ok");
    locks_->release(std::vector{drop("A")}, now());
    EXPECT_EQ(load(), "ok");
    EXPECT_EQ(server_.ask({"GET", "coupon:lock:A"}), "");
    kill_connections();
    EXPECT_EQ(load(), "ok");
    server_.ask({"CONFIG", "SET", "maxmemory", "0"});
    EXPECT_EQ(load_and_acquire(), "ok");
}

TEST_F(LockFailuresTest, AreSaidOnceAndWithoutSecrets) {
    redis::Options options = server_.options();
    options.password = "s3cret";
    const auto refused = redis::open(options);
    testing::internal::CaptureStderr();
    for (int i = 0; i < 5; ++i) EXPECT_EQ(text_of(refused->ping()), "unavailable");
    EXPECT_EQ(load_and_acquire(), "ok");
    server_.ask({"CONFIG", "SET", "maxmemory-policy", "noeviction", "maxmemory", "1mb"});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(load_and_acquire(), "unavailable");
    server_.ask({"CONFIG", "SET", "maxmemory", "0"});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(load_and_acquire(), "ok");
    const std::string log = testing::internal::GetCapturedStderr();
    const auto times = [&](const std::string& text) {
        int found = 0;
        for (std::size_t at = 0; (at = log.find(text, at)) != std::string::npos; ++at) ++found;
        return found;
    };
    EXPECT_EQ(times("\n"), 3) << log;
    EXPECT_EQ(times("the locks do not work"), 2) << log;
    EXPECT_EQ(times("the locks work again"), 1) << log;
    EXPECT_EQ(times("ERR AUTH"), 1) << log;
    EXPECT_EQ(times("OOM "), 1) << log;
    EXPECT_THAT(log, Not(HasSubstr("s3cret")));
}

TEST_F(LockFailuresTest, AWrongKindOfSetSpoilsNothing) {
    server_.ask({"SET", "coupon:locked:2", "no set"});
    EXPECT_EQ(test::load_and_acquire(*locks_,
                                     {take("A", "ann", until(), 1), take("B", "ann", until(), 2)}),
              "unavailable");
    EXPECT_EQ(server_.ask({"DBSIZE"}), "1");
    EXPECT_EQ(test::load_and_acquire(*locks_, {take("A", "ann", until(), 1)}), "ok");
}

TEST_F(LockFailuresTest, BeforeTheFirstConnectionAreTheSame) {
    server_.kill();
    EXPECT_LT(ms_of([&] { EXPECT_EQ(load(), "unavailable"); }), bound_ms);
    server_.start();
    EXPECT_EQ(eventually("ok", [&] { return load(); }), "ok");
}

}  // namespace
}  // namespace coupond::test
