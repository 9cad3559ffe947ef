// What a command works with.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "ctl/output.hpp"
#include "ctl/profiles.hpp"
#include "ctl/server.hpp"
#include "ctl/terminal.hpp"

namespace coupond::ctl {

/// What stands before or behind any command.
struct Globals {
    std::string server;
    std::string profile;
    std::string output;
    std::string idempotency_key;
    bool utc = false;
    bool yes = false;
};

class Session {
public:
    Session(const Globals& globals, std::stop_token stop);

    /// By --server, COUPOND_URL, the profile, or http://127.0.0.1:3000. Throws Quit.
    Server& server();
    /// As --output or the profile says. Throws Quit.
    Output& output();
    const Terminal& errors() const { return errors_; }
    const std::stop_token& stop() const { return stop_; }
    /// The name of the profile that holds, whether there is one or not.
    std::string profile() const;

    /// Whether the user has given an Idempotency-Key.
    bool has_key() const { return !globals_.idempotency_key.empty(); }

    /// Throws Quit where it is interrupted meanwhile.
    void pause(std::chrono::milliseconds time) const;

    /// A line for people on stderr.
    void tell(const std::string& line) const;

    /// Before what cannot be undone: asks where there is somebody to answer. Throws Quit (usage)
    /// where the answer is no, or nobody can be asked and --yes was not given.
    void confirm(const std::string& question) const;

private:
    const Profile& settings();

    const Globals globals_;
    const std::stop_token stop_;
    const Terminal errors_;
    std::optional<Profile> settings_;
    std::optional<Output> output_;
    std::unique_ptr<Server> server_;
};

}  // namespace coupond::ctl
