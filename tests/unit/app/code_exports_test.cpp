// Exports of codes that never end, over HTTP: how many there are at once, and for how long.
#include "app/code_exports.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace coupond::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

std::atomic<int> alive = 0;

/// A book that has codes without end.
class EndlessCodes final : public CodeSnapshot {
public:
    explicit EndlessCodes(Wanted wanted) : wanted_(std::move(wanted)) { ++alive; }
    ~EndlessCodes() override { --alive; }

    Result<bool> begin(const CodeQuery& query, Pass, Timestamp) override {
        limit_ = query.limit;
        return true;
    }

    Result<std::vector<Code>> next() override {
        if (!wanted_()) return Failure::unavailable;
        std::vector<Code> codes(limit_);
        for (Code& code : codes) code.code = "CODE-" + std::to_string(++last_);
        return codes;
    }

private:
    const Wanted wanted_;
    std::size_t limit_ = 0;
    CodeId last_ = 0;
};

class CodeExportsTest : public testing::Test {
protected:
    explicit CodeExportsTest(CodeExportBounds bounds = {2, milliseconds(60'000)})
        : exports_(
              io_, [](Wanted wanted) { return std::make_unique<EndlessCodes>(std::move(wanted)); },
              clock_, bounds),
          server_(io_, {"127.0.0.1", 0}, router()),
          thread_([this] {
              server_.start();
              io_.run();
          }) {}

    ~CodeExportsTest() override {
        exports_.stop();
        io_.stop();
        thread_.join();
    }

    http::Router router() {
        http::Router router;
        router.add("GET", "/codes",
                   [this](const http::Request& request, const http::Responder& to) {
                       CodeExport asked;
                       asked.query.book_id = 1;
                       asked.query.limit = 1'000;
                       asked.format = wire::CodeFormat::ndjson;
                       exports_.begin(asked, request, to);
                   });
        return router;
    }

    /// A connection that has asked for the codes.
    int ask() const {
        const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(server_.port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        const std::string request = "GET /codes HTTP/1.1\r\nHost: a\r\n\r\n";
        EXPECT_EQ(send(client, request.data(), request.size(), 0),
                  static_cast<ssize_t>(request.size()));
        return client;
    }

    /// The status that a connection's answer has.
    static std::string status(int client) {
        std::string line(12, ' ');
        EXPECT_EQ(recv(client, line.data(), line.size(), MSG_WAITALL), 12);
        return line.substr(9);
    }

    /// Reads all that comes: its last bytes.
    static std::string end_of(int client) {
        std::string end;
        std::string bytes(65'536, ' ');
        for (ssize_t got; (got = recv(client, bytes.data(), bytes.size(), 0)) > 0;) {
            end.append(bytes, 0, static_cast<std::size_t>(got));
            if (end.size() > 100) end.erase(0, end.size() - 100);
        }
        return end;
    }

    static bool eventually(int count) {
        const auto until = steady_clock::now() + milliseconds(10'000);
        while (alive != count && steady_clock::now() < until) {
            std::this_thread::sleep_for(milliseconds(1));
        }
        return alive == count;
    }

    SystemClock clock_;
    boost::asio::io_context io_{1};
    CodeExports exports_;
    http::Server server_;
    std::thread thread_;
};

TEST_F(CodeExportsTest, AreAsManyAtOnceAsTheyMay) {
    const int first = ask();
    EXPECT_EQ(status(first), "200");
    const int second = ask();
    EXPECT_EQ(status(second), "200");
    const int third = ask();
    EXPECT_EQ(status(third), "503");
    EXPECT_EQ(alive, 2);
    close(first);
    EXPECT_TRUE(eventually(1));
    // The slot is free a moment later.
    std::string answer;
    for (int tries = 0; tries < 1'000 && answer != "200"; ++tries) {
        const int again = ask();
        answer = status(again);
        if (answer != "200") std::this_thread::sleep_for(milliseconds(1));
        close(again);
    }
    EXPECT_EQ(answer, "200");
    close(second);
    close(third);
    EXPECT_TRUE(eventually(0));
}

class ShortCodeExportsTest : public CodeExportsTest {
protected:
    ShortCodeExportsTest() : CodeExportsTest({2, milliseconds(300)}) {}
};

TEST_F(ShortCodeExportsTest, BreakOffWhenTheirTimeIsOver) {
    const int reading = ask();
    const int slow = ask();
    EXPECT_EQ(status(reading), "200");
    EXPECT_EQ(status(slow), "200");
    const std::string end = end_of(reading);
    EXPECT_FALSE(end.ends_with("0\r\n\r\n"));
    EXPECT_TRUE(eventually(0));  // also where nobody reads
    EXPECT_FALSE(end_of(slow).ends_with("0\r\n\r\n"));
    close(reading);
    close(slow);
}

TEST_F(CodeExportsTest, EndWithTheServer) {
    const int client = ask();
    EXPECT_EQ(status(client), "200");
    exports_.stop();
    EXPECT_EQ(alive, 0);
    close(client);
}

}  // namespace
}  // namespace coupond::test
