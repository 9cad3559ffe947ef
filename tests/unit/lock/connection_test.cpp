// The ways to a Redis: names, passwords, databases, TLS, and what is no Redis at all.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "base/limits.hpp"
#include "unit/lock/support.hpp"

namespace coupond::test {
namespace {

using testing::HasSubstr;

/// Takes a lock through a fresh object: `ok`, or the failure and why, as the log says it.
std::string tried(const redis::Options& options) {
    testing::internal::CaptureStderr();
    std::string answer;
    {
        const auto locks = redis::open(options);
        answer = load_and_acquire(*locks, {take("A", "ann", now() + 300'000)});
    }
    const std::string log = testing::internal::GetCapturedStderr();
    return answer == "ok" ? answer + log : answer + " " + log;
}

TEST(RedisConnection, IsMadeByNameToo) {
    const RedisServer server;
    redis::Options options = server.options();
    options.host = "localhost";  // the server does not listen on ::1, which may come first
    EXPECT_EQ(tried(options), "ok");
    options.host = "nowhere.invalid";
    std::string answer;
    EXPECT_LT(ms_of([&] { answer = tried(options); }), limits::locks_wait_ms + 500);
    EXPECT_THAT(answer, HasSubstr("unavailable"));
}

TEST(RedisConnection, IsMadeWithAPassword) {
    const RedisServer server(Words{"--requirepass", "p@ss \"word\""});
    redis::Options options = server.options();
    EXPECT_THAT(tried(options), HasSubstr("NOAUTH"));
    options.password = "wrong";
    EXPECT_THAT(tried(options), HasSubstr("WRONGPASS"));
    options.password = "p@ss \"word\"";
    EXPECT_EQ(tried(options), "ok");
    options.username = "default";
    EXPECT_EQ(tried(options), "ok");
    options.username = "nobody";
    EXPECT_THAT(tried(options), HasSubstr("WRONGPASS"));
}

TEST(RedisConnection, NeedsNoMoreRightsThanItsKeysTake) {
    const RedisServer server;
    server.ask({"ACL",       "SETUSER", "coupond", "on",           ">word",
                "~coupon:*", "-@all",   "+select", "+script|load", "+evalsha",
                "+get",      "+mget",   "+set",    "+pexpiretime", "+pexpireat",
                "+time",     "+zadd",   "+zcount", "+zrem",        "+zremrangebyrank"});
    redis::Options options = server.options();
    options.username = "coupond";
    options.password = "word";
    const auto locks = redis::open(options);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(load_and_acquire(*locks, {take("A", "ann", now() + 300'000)}), "ok");
        locks->release(std::vector{drop("A")}, now());
        EXPECT_EQ(locks->count(std::vector<BookId>{1}, now()).value(),
                  std::vector{std::int64_t(0)});
    }
}

TEST(RedisConnection, UsesTheDatabaseAskedFor) {
    const RedisServer server;
    redis::Options options = server.options();
    options.database = 3;
    EXPECT_EQ(tried(options), "ok");
    RedisClient client = server.client();
    EXPECT_EQ(client.integer({"DBSIZE"}), 0);
    client.ask({"SELECT", "3"});
    EXPECT_EQ(client.integer({"DBSIZE"}), 2);
    options.database = 99;
    EXPECT_THAT(tried(options), HasSubstr("DB index is out of range"));
}

TEST(RedisConnection, ToAClusterIsRefusedWithTheReason) {
    const RedisServer server(
        Words{"--cluster-enabled", "yes", "--cluster-port", std::to_string(free_port())});
    EXPECT_THAT(tried(server.options()), HasSubstr("Redis Cluster is not supported"));
}

TEST(RedisConnection, WhereThereAreTooManyIsRefusedWithTheReason) {
    const RedisServer server;
    server.ask({"CONFIG", "SET", "maxclients", "1"});
    const RedisClient only = server.client();
    EXPECT_THAT(tried(server.options()), HasSubstr("unavailable"));
}

/// Something else than Redis: each of its connections has its say, waits to hear something, has its
/// next say, and so on, and is closed or left alone after the last.
class OtherServer {
public:
    enum class End { closed, left_alone };

    OtherServer(Words says, End end) : says_(std::move(says)), end_(end) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        const bool listening =
            bind(fd_, any, size) == 0 && listen(fd_, 64) == 0 && getsockname(fd_, any, &size) == 0;
        if (!listening) throw std::runtime_error("cannot listen");
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~OtherServer() {
        shutdown(fd_, SHUT_RDWR);
        thread_.join();
        close(fd_);
    }

    redis::Options options() const {
        redis::Options options;
        options.host = "127.0.0.1";
        options.port = port_;
        return options;
    }

private:
    void serve() {
        std::vector<int> open;
        for (int one = 0; (one = accept(fd_, nullptr, nullptr)) >= 0;) {
            for (std::size_t i = 0; i < says_.size(); ++i) {
                std::array<char, 16 * 1024> heard;
                if (i > 0 && recv(one, heard.data(), heard.size(), 0) <= 0) break;
                static_cast<void>(send(one, says_[i].data(), says_[i].size(), MSG_NOSIGNAL));
            }
            if (end_ == End::closed) {
                close(one);
            } else {
                open.push_back(one);
            }
        }
        for (const int one : open) close(one);
    }

    const Words says_;
    const End end_;
    const int fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint16_t port_ = 0;
    std::thread thread_;
};

/// All calls of a fresh object on such a server.
void expect_nothing_works(const Words& says, OtherServer::End end) {
    const OtherServer server(says, end);
    const auto locks = redis::open(server.options());
    const std::vector changes{take("A", "ann", now() + 300'000)};
    std::string answers;
    const std::int64_t ms = ms_of([&] {
        answers = text_of(locks->load(std::vector<std::string_view>{"A", "B"})) + " " +
                  text_of(locks->count(std::vector<BookId>{1, 2}, now())) + " " +
                  text_of(locks->acquire(changes, now()));
        locks->release(changes, now());
    });
    EXPECT_THAT(answers, testing::MatchesRegex("unavailable unavailable (unavailable|conflict)"))
        << testing::PrintToString(says);
    EXPECT_LT(ms, limits::locks_wait_ms + 1'500) << testing::PrintToString(says);
}

TEST(RedisConnection, ToWhatIsNoRedisFailsInTime) {
    const std::string learned = "+OK\r\n+OK\r\n+OK\r\n";
    const std::vector<Words> all{
        {""},
        {"HTTP/1.1 400 Bad Request\r\n\r\n"},
        {"\r\n"},
        {"", "*-5\r\n"},
        {"", "$-7\r\n"},
        {"", ":x\r\n"},
        {"", "*1\r\n"},
        {"", "-ERR no\r\n"},
        {"", "+OK\r\n"},
        {"", std::string(100, '\0')},
        {learned},
        {"", learned},
        {"", learned + "+OK\r\n"},
        {"", learned, "+OK\r\n"},
        {"", learned, "+OK\r\n+OK\r\n"},
        {"", learned, "*0\r\n"},
        {"", learned, "*-1\r\n"},
        {"", learned, "$-1\r\n"},
        {"", learned, "*1\r\n+a\r\n"},
        {"", learned, "*1\r\n$-1\r\n"},
        {"", learned, "*2\r\n:1\r\n:2\r\n"},
        {"", learned, "*4\r\n:1\r\n:0\r\n$1\r\nx\r\n:3\r\n"},
        {"", learned, "*4\r\n:1\r\n:3\r\n$1\r\nx\r\n:3\r\n"},
        {"", learned, "*4\r\n:1\r\n:1\r\n:2\r\n:3\r\n"},
        {"", learned, "*4\r\n:1\r\n:1\r\n$1\r\nx\r\n$1\r\ny\r\n"},
        {"", learned, "*4\r\n:1\r\n:1\r\n$-1\r\n:3\r\n"},
        {"", learned, "-NOSCRIPT no\r\n", learned + "-NOSCRIPT no\r\n"},
        {"", learned, "-NOSCRIPT no\r\n", "-ERR\r\n-ERR\r\n-ERR\r\n-ERR\r\n"},
        {"", learned, "-\r\n"},
    };
    std::vector<std::thread> threads;
    for (const Words& says : all) {
        for (const auto end : {OtherServer::End::closed, OtherServer::End::left_alone}) {
            threads.emplace_back([&says, end] { expect_nothing_works(says, end); });
        }
    }
    for (std::thread& thread : threads) thread.join();
}

/// What becomes of taking a lock where that is answered so.
std::string acquired(const std::string& answer) {
    const OtherServer server({"", "+OK\r\n+OK\r\n+OK\r\n", "*1\r\n:1\r\n", answer},
                             OtherServer::End::left_alone);
    const auto locks = redis::open(server.options());
    return load_and_acquire(*locks, {take("A", "ann", now() + 300'000)});
}

TEST(RedisConnection, WithStrangeAnswersHasItLookedAtWhetherALockWasTaken) {
    EXPECT_EQ(acquired(":1\r\n"), "ok");
    EXPECT_EQ(acquired(":0\r\n"), "conflict");
    EXPECT_EQ(acquired("-OOM no\r\n"), "unavailable");
    EXPECT_EQ(acquired("-NOREPLICAS no\r\n"), "unavailable");
    EXPECT_EQ(acquired("-ERR what?\r\n"), "indeterminate");  // and then no answer any more
    // A second look, on another connection, finds no lock.
    EXPECT_EQ(acquired("+OK\r\n"), "conflict");
    EXPECT_EQ(acquired("*1\r\n:1\r\n"), "conflict");
    EXPECT_EQ(acquired("$-1\r\n"), "conflict");
    EXPECT_EQ(acquired("nonsense\r\n"), "conflict");
    EXPECT_EQ(acquired(""), "conflict");
}

class TlsTest : public testing::Test {
protected:
    static void SetUpTestSuite() {
        folder_ = std::make_unique<TemporaryFolder>(TemporaryFolder::Disk::memory);
        make_authority("ca");
        make_authority("other-ca");
        make_certificate("server", "IP:127.0.0.1,DNS:localhost");
        make_certificate("elsewhere", "DNS:redis.example.com");
        make_certificate("expired", "IP:127.0.0.1,DNS:localhost", "-1");
    }
    static void TearDownTestSuite() { folder_.reset(); }

    static std::string file(const std::string& name) { return (folder_->path() / name).string(); }

    static void make_authority(const std::string& name) {
        run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                     "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", file(name + ".key"),
                     "-out", file(name + ".crt"), "-days", "1", "-subj", "/CN=" + name, "-addext",
                     "keyUsage=critical,keyCertSign"});
    }

    static void make_certificate(const std::string& name, const std::string& names,
                                 const std::string& days = "1") {
        run_program({"openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                     "-noenc", "-keyout", file(name + ".key"), "-out", file(name + ".csr"), "-subj",
                     "/CN=" + name, "-addext", "subjectAltName=" + names});
        run_program({"openssl", "x509", "-req", "-in", file(name + ".csr"), "-out",
                     file(name + ".crt"), "-days", days, "-CA", file("ca.crt"), "-CAkey",
                     file("ca.key"), "-CAcreateserial", "-copy_extensions", "copy"});
    }

    /// A server with that certificate, which speaks TLS on its one port.
    static std::unique_ptr<RedisServer> start(const std::string& certificate,
                                              const Words& more = {}) {
        Words words{"--port",
                    "0",
                    "--tls-port",
                    "PORT",
                    "--tls-cert-file",
                    file(certificate + ".crt"),
                    "--tls-key-file",
                    file(certificate + ".key"),
                    "--tls-ca-cert-file",
                    file("ca.crt"),
                    "--tls-auth-clients",
                    "no"};
        words.insert(words.end(), more.begin(), more.end());
        return std::make_unique<RedisServer>(words);
    }

    static redis::Options options(const RedisServer& server, const std::string& root = "ca") {
        redis::Options options = server.options();
        options.tls = true;
        options.root_certificate = root.empty() ? "" : file(root + ".crt");
        return options;
    }

    static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(TlsTest, WorksWithAServerThatIsTrusted) {
    const auto server = start("server");
    redis::Options by_address = options(*server);
    EXPECT_EQ(tried(by_address), "ok");
    by_address.host = "localhost";
    EXPECT_EQ(tried(by_address), "ok");
}

TEST_F(TlsTest, WorksWithAnOldProtocol) {
    EXPECT_EQ(tried(options(*start("server", {"--tls-protocols", "TLSv1.2"}))), "ok");
}

TEST_F(TlsTest, WorksWithLargeBatchesAndAfterALoss) {
    const auto server = start("server");
    const auto locks = redis::open(options(*server));
    std::vector<std::string> codes;
    for (int i = 0; i < 1'000; ++i) codes.push_back("CODE-" + std::to_string(i));
    std::vector<LockChange> changes;
    for (const std::string& code : codes) {
        changes.push_back(take(code, std::string(900, 'u'), now() + 300'000));
    }
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(load_and_acquire(*locks, changes), "ok");
        EXPECT_EQ(locks->count(std::vector<BookId>{1}, now()).value(),
                  std::vector{std::int64_t(1'000)});
        locks->release(changes, now());
        EXPECT_EQ(locks->count(std::vector<BookId>{1}, now()).value(),
                  std::vector{std::int64_t(0)});
        server->restart();
    }
}

TEST_F(TlsTest, RefusesAServerThatIsNotTrusted) {
    const auto server = start("server");
    EXPECT_THAT(tried(options(*server, "other-ca")), HasSubstr("not trusted"));
    EXPECT_THAT(tried(options(*server, "")), HasSubstr("not trusted"));  // the system's
    EXPECT_THAT(tried(options(*start("expired"))), HasSubstr("certificate has expired"));
}

TEST_F(TlsTest, RefusesAServerOfAnotherName) {
    const auto server = start("elsewhere");
    EXPECT_THAT(tried(options(*server)), HasSubstr("IP address mismatch"));
    redis::Options by_name = options(*server);
    by_name.host = "localhost";
    EXPECT_THAT(tried(by_name), HasSubstr("ostname mismatch"));
}

TEST_F(TlsTest, IsNotMixedUpWithPlainTcp) {
    const RedisServer plain;
    EXPECT_THAT(tried(options(plain)), HasSubstr("unavailable"));
    const auto server = start("server");
    EXPECT_THAT(tried(server->options()), HasSubstr("unavailable"));
}

TEST_F(TlsTest, NeedsAReadableRootCertificate) {
    redis::Options options;
    options.host = "localhost";
    options.tls = true;
    options.root_certificate = file("missing.crt");
    EXPECT_THROW(redis::open(options), std::invalid_argument);
    options.root_certificate = file("empty.crt");
    std::ofstream(options.root_certificate) << "";
    EXPECT_THROW(redis::open(options), std::invalid_argument);
    options.tls = false;
    EXPECT_NO_THROW(redis::open(options));
}

}  // namespace
}  // namespace coupond::test
