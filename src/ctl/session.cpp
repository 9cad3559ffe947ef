#include "ctl/session.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

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
    : globals_(globals), stop_(std::move(stop)), errors_(stderr) {
    profile_ = !globals.profile.empty() ? globals.profile : variable("COUPONCTL_PROFILE");
    const bool by_name = !profile_.empty();
    if (!by_name) profile_ = "default";
    const bool no_home = variable("HOME").empty() && variable("XDG_CONFIG_HOME").empty();
    if (by_name || !no_home) {
        const Profiles profiles = Profiles::read(Profiles::usual_path());
        if (const Profile* const found = profiles.find(profile_)) settings_ = *found;
    }
    const std::string output =
        globals.output.empty() ? settings_.output.value_or("") : globals.output;
    output_.emplace(OutputOptions{format_of(output), globals.utc});
}

Server& Session::server() {
    if (server_ == nullptr) {
        std::string url = globals_.server;
        if (url.empty()) url = variable("COUPOND_URL");
        if (url.empty()) url = settings_.server.value_or("");
        if (url.empty() && profile_ != "default") {
            throw wrong_usage("the profile " + profile_ + " names no server",
                              "couponctl config set server URL --profile " + profile_);
        }
        if (url.empty()) url = "http://127.0.0.1:3000";
        server_ = std::make_unique<Server>(url, settings_.root_certificate.value_or(""), stop_,
                                           [this](const std::string& line) { tell(line); });
    }
    return *server_;
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
