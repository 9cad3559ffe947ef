#include "ctl/session.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "ctl/interrupt.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

constexpr const char* usual_profile = "default";

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
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
    if (profile() == usual_profile && !Profiles::can_be_there()) return *settings_;
    const Profiles profiles = Profiles::read(Profiles::usual_path());
    if (const Profile* const found = profiles.find(profile())) *settings_ = *found;
    return *settings_;
}

Output& Session::output() {
    if (!output_) {
        const std::string& name =
            globals_.output.empty() ? settings().output.value_or("table") : globals_.output;
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
        server_ =
            std::make_unique<Server>(Server::Options{url, settings().root_certificate.value_or(""),
                                                     globals_.idempotency_key},
                                     stop_, [this](const std::string& line) { tell(line); });
    }
    return *server_;
}

void Session::pause(std::chrono::milliseconds time) const {
    if (!ctl::pause(time, stop_)) throw Quit(exit_status::interrupted, "interrupted", "");
}

void Session::tell(const std::string& line) const {
    errors_.clear_bar();
    errors_.print("couponctl: " + harmless(line) + "\n");
}

void Session::confirm(const std::string& question) const {
    if (globals_.yes) return;
    if (isatty(STDIN_FILENO) == 0 || !errors_.is_terminal()) {
        throw wrong_usage("this asks first, and nobody is there to be asked",
                          "say --yes where it is meant");
    }
    errors_.print(harmless(question) + " [y/N] ");
    wait_for_input(STDIN_FILENO, stop_);
    std::array<char, 16> answer{};
    const ssize_t size = read(STDIN_FILENO, answer.data(), answer.size() - 1);
    if (size < 1 || (answer[0] != 'y' && answer[0] != 'Y')) {
        throw wrong_usage("nothing was done", "say y, or --yes, where it is meant");
    }
}

}  // namespace coupond::ctl
