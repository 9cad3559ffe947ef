#include "ctl/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/limits.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

constexpr const char* usual_profile = "default";

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

Format format_of(const std::string& name) {
    if (name.empty() || name == "table") return Format::table;
    if (name == "json") return Format::json;
    if (name == "ndjson") return Format::ndjson;
    if (name == "csv") return Format::csv;
    throw wrong_usage("there is no output '" + name + "'",
                      "outputs are table, json, ndjson and csv");
}

}  // namespace

Session::Session(const Globals& globals, std::stop_token stop)
    : globals_(globals), stop_(std::move(stop)), errors_(stderr) {}

std::string Session::profile() const {
    if (!globals_.profile.empty()) return globals_.profile;
    const std::string name = variable("COUPONCTL_PROFILE");
    return name.empty() ? usual_profile : name;
}

const Profile& Session::settings() {
    if (settings_) return *settings_;
    settings_.emplace();
    const bool no_home = variable("HOME").empty() && variable("XDG_CONFIG_HOME").empty();
    if (no_home && profile() == usual_profile) return *settings_;
    const Profiles profiles = Profiles::read(Profiles::usual_path());
    if (const Profile* const found = profiles.find(profile())) *settings_ = *found;
    return *settings_;
}

Output& Session::output() {
    if (!output_) {
        const std::string& name =
            globals_.output.empty() ? settings().output.value_or("") : globals_.output;
        output_.emplace(OutputOptions{format_of(name), globals_.utc});
    }
    return *output_;
}

Server& Session::server() {
    if (server_ == nullptr) {
        std::string url = globals_.server;
        if (url.empty()) url = variable("COUPOND_URL");
        if (url.empty()) url = settings().server.value_or("");
        if (url.empty() && profile() != usual_profile) {
            throw wrong_usage("the profile " + profile() + " names no server",
                              "couponctl config set server URL --profile " + profile());
        }
        if (url.empty()) url = "http://127.0.0.1:3000";
        server_ = std::make_unique<Server>(url, settings().root_certificate.value_or(""), stop_,
                                           [this](const std::string& line) { tell(line); });
    }
    return *server_;
}

void Session::pause(std::chrono::milliseconds time) const {
    using std::chrono::steady_clock;
    constexpr std::chrono::milliseconds step{limits::client_stop_ms};
    for (const auto until = steady_clock::now() + time; steady_clock::now() < until;) {
        if (stop_.stop_requested()) throw Quit(exit_status::interrupted, "interrupted", "");
        std::this_thread::sleep_until(std::min(until, steady_clock::now() + step));
    }
}

void Session::tell(const std::string& line) const {
    errors_.print("couponctl: " + harmless(line) + "\n");
}

void Session::confirm(const std::string& question) const {
    if (globals_.yes) return;
    if (isatty(STDIN_FILENO) == 0 || !errors_.is_terminal()) {
        throw wrong_usage("this cannot be undone, and nobody is there to be asked",
                          "say --yes where it is meant");
    }
    errors_.print(question + " [y/N] ");
    std::array<char, 16> answer{};
    const ssize_t size = read(STDIN_FILENO, answer.data(), answer.size() - 1);
    if (size < 1 || (answer[0] != 'y' && answer[0] != 'Y')) {
        throw wrong_usage("nothing was done", "");
    }
}

}  // namespace coupond::ctl
