#include "base/log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"

namespace coupond {
namespace {

using log::Format;
using log::Level;
using namespace std::string_literals;
using namespace std::string_view_literals;

/// Runs `body` with stderr going into a file, and returns what came into it.
template <class Body>
std::string captured(Body body) {
    const test::TemporaryFolder folder;
    const std::string path = folder.path() / "stderr";
    const int before = dup(STDERR_FILENO);
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(file, STDERR_FILENO);
    body();
    std::fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(file);
    close(before);
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

boost::json::object parsed(const std::string& line) {
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse(line, error);
    EXPECT_FALSE(error) << error.message() << ": " << line;
    return value.is_object() ? value.as_object() : boost::json::object{};
}

class Log : public testing::Test {
protected:
    ~Log() override { log::configure(Level::info, Format::text); }
};

const std::vector<std::string> nasty = {
    "",
    " ",
    R"(")",
    R"(\)",
    R"(\")",
    "a\nb\r\n\tc",
    "\x01\x02\x1f\x7f",
    "nul\0nul"s,
    "{\"a\":1}",
    "%v %l {} {0} %%",
    "\u00e9\u20ac\U0001f39f",
    "\u0080\u2028\u2029",
    std::string(100'000, 'x'),
};

TEST_F(Log, WritesTextLinesWithTimeLevelMessageAndFields) {
    log::configure(Level::info, Format::text);
    const std::string text = captured([] {
        log::warn("it rains", {{"drops", -5}, {"where", "Berlin"}});
    });
    EXPECT_TRUE(std::regex_match(
        text, std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning it rains drops=-5 )"
                         R"(where=Berlin\n)")))
        << text;
}

TEST_F(Log, QuotesTextFieldsThatWouldNotReadAsOneWord) {
    log::configure(Level::info, Format::text);
    const std::string text = captured([] {
        log::info("m", {{"a", "two words"}, {"b", R"(a"b)"}, {"c", "x=y"}, {"d", "l1\nl2"}});
    });
    EXPECT_TRUE(text.ends_with(R"( m a="two words" b="a\"b" c="x=y" d="l1\u000al2")"
                               "\n"))
        << text;
}

TEST_F(Log, LeavesOutFieldsThatHoldNothing) {
    for (const Format format : {Format::text, Format::json}) {
        log::configure(Level::info, format);
        const std::string text = captured([] {
            log::info("m", {{"code", ""}, {"side", "lists"}});
        });
        EXPECT_EQ(text.find("code"), std::string::npos) << text;
        EXPECT_NE(text.find("lists"), std::string::npos) << text;
    }
}

TEST_F(Log, IsOneTextLineAnEventWhateverTheFieldsHold) {
    log::configure(Level::info, Format::text);
    for (const std::string& value : nasty) {
        const std::string text = captured([&] { log::info("m", {{"f", value}}); });
        EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
        EXPECT_EQ(text.find('\r'), std::string::npos) << text;
    }
}

TEST_F(Log, LetsNoControlCharacterOfAFieldReachTheTerminal) {
    log::configure(Level::info, Format::text);
    const std::string text = captured([] { log::info("m", {{"f", "\x1b[2J"}}); });
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST_F(Log, WritesJsonWhateverTheFieldsHold) {
    log::configure(Level::info, Format::json);
    for (const std::string& value : nasty) {
        const std::string line = captured([&] {
            log::info(value, {{"field", value}, {"number", INT64_MIN}});
        });
        EXPECT_EQ(line.find('\n'), line.size() - 1);
        const boost::json::object object = parsed(line);
        EXPECT_EQ(object.at("message").as_string(), value);
        EXPECT_EQ(object.contains("field"), !value.empty());
        if (!value.empty()) {
            EXPECT_EQ(object.at("field").as_string(), value);
        }
        EXPECT_EQ(object.at("number").as_int64(), INT64_MIN);
        EXPECT_EQ(object.at("level").as_string(), "info");
        EXPECT_EQ(object.at("time").as_string().size(), 24u);
    }
}

TEST_F(Log, WritesJsonEvenOfWhatIsNotUtf8) {
    log::configure(Level::info, Format::json);
    for (const std::string_view value : {"\xff"sv, "a\x80z"sv, "\xed\xa0\x80"sv, "\xe2\x82"sv}) {
        parsed(captured([&] { log::info("message", {{"path", value}}); }));
    }
}

TEST_F(Log, WritesWhatIsAtItsLevelOrAbove) {
    const std::vector<Level> levels = {Level::debug, Level::info, Level::warn, Level::error};
    for (std::size_t least = 0; least < levels.size(); ++least) {
        log::configure(levels[least], Format::text);
        for (std::size_t level = 0; level < levels.size(); ++level) {
            EXPECT_EQ(log::enabled(levels[level]), level >= least);
            const std::string text = captured([&] { log::write(levels[level], "m"); });
            EXPECT_EQ(!text.empty(), level >= least) << text;
        }
    }
    log::configure(Level::off, Format::text);
    EXPECT_EQ(captured([] { log::error("m"); }), "");
    EXPECT_FALSE(log::enabled(Level::error));
}

TEST_F(Log, DoesNotMixTheLinesOfThreads) {
    log::configure(Level::info, Format::json);
    constexpr int threads = 4, lines = 200;
    std::stringstream text(captured([] {
        std::vector<std::thread> writers;
        for (int i = 0; i < threads; ++i) {
            writers.emplace_back([i] {
                for (int line = 0; line < lines; ++line) log::info("m", {{"thread", i}});
            });
        }
        for (std::thread& writer : writers) writer.join();
    }));
    int seen = 0;
    for (std::string line; std::getline(text, line); ++seen) parsed(line);
    EXPECT_EQ(seen, threads * lines);
}

}  // namespace
}  // namespace coupond
