// The commands, each defined once: parsing, help, completion and the manual come from here.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "ctl/session.hpp"

namespace coupond::ctl {

using Run = std::function<void(Session&)>;

/// The tree of commands with what each does.
class Commands {
public:
    explicit Commands(CLI::App& root) : root_(root) {}

    CLI::App& root() { return root_; }

    /// A command that has others below it.
    CLI::App& group(const char* name, const char* help);

    /// A command that does something. `examples`: lines for the end of its help, ending in a line
    /// end, or nothing.
    CLI::App& add(CLI::App& parent, const char* name, const char* help, const char* examples,
                  Run run);

    /// What the arguments that were parsed ask for; null where that is no command that does
    /// something.
    const Run* asked_for() const;

private:
    CLI::App& root_;
    std::map<const CLI::App*, Run> runs_;
};

void add_book_commands(Commands& commands);
void add_code_commands(Commands& commands);
void add_shop_commands(Commands& commands);
void add_job_commands(Commands& commands);
void add_reports(Commands& commands);
void add_config_commands(Commands& commands);
void add_help(Commands& commands);

/// What the members of a resource are called on the command line.
struct Member {
    enum class Kind { text, number, boolean, time, no };  ///< `no`: a flag that says false

    const char* flag;
    const char* path;  ///< in the API's JSON
    Kind kind;
    const char* help;
};

/// The values that were given for members; lives as long as the commands that use it.
class Members {
public:
    struct Extras {
        bool metadata = true;
        bool clear = false;
    };

    /// Adds an option for each of `members` to `command`, and --json, and by `extras` --metadata
    /// and
    /// --clear.
    void add_to(CLI::App& command, const std::vector<Member>& members, Extras extras);

    /// A body for the API. Throws Quit where a value does not fit.
    std::string body() const;
    bool empty() const;

private:
    std::vector<Member> members_;
    std::map<std::string, std::string> values_;
    std::vector<std::string> metadata_, cleared_;
    std::string json_;
};

/// Lists page by page until `most` were printed, or all where that is 0.
void print_list(Session& session, const Columns& columns, const std::string& path, Query query,
                std::uint64_t most);

}  // namespace coupond::ctl
