// The commands, each defined once: parsing, help, completion and the manual come from here.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ctl/json_text.hpp"
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

    /// The command that the arguments which were parsed ask for, and what it does; null where it
    /// does nothing.
    std::pair<const CLI::App*, const Run*> asked_for() const;

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
    enum class Kind { text, number, boolean, time };

    const char* flag;
    const char* path;  ///< in the API's JSON
    Kind kind;
    const char* help;
    std::vector<std::string> choices = {};  ///< what it may be; empty: anything
};

/// The values that were given for members; lives as long as the commands that use it.
class Members {
public:
    struct Extras {
        bool metadata = true;
        bool json = true;  ///< the whole body
        bool clear = false;
    };

    /// Adds an option for each of `members` to `command`, and --metadata, --json and --clear.
    void add_to(CLI::App& command, const std::vector<Member>& members, Extras extras);

    /// What was given, for a body. Throws Quit where a value does not fit.
    JsonObject object() const;
    /// The body, which may come from standard input.
    std::string body(const Session& session) const;
    bool empty() const;

private:
    std::string path_to_clear(const std::string& name) const;

    std::vector<Member> members_;
    std::map<std::string, std::string> values_;
    std::vector<std::string> metadata_, cleared_;
    std::string json_;
};

/// Positional arguments: an id, which is a number, and a text, which must not be empty.
CLI::Option& add_id(CLI::App& command, const char* name, std::string& id, const char* help);
CLI::Option& add_text(CLI::App& command, const char* name, std::string& text, const char* help);

/// For values that must not be empty, as those of a shell's variables that are not set.
CLI::Validator not_empty();

/// `text` as a number of JSON; throws Quit where it is none. `name`: of the option.
std::string number_of(const char* name, const std::string& text);

/// How much of a list is asked for.
struct Extent {
    std::uint64_t limit;
    bool all = false;
    std::optional<std::string> after = {};

    /// Adds --limit, --all and, where the API's lists have it, `--after` or `--before`.
    void add_to(CLI::App& command, const char* from_name = "after");

    const char* from = "after";
};

/// Lists page by page.
void print_list(Session& session, const Columns& columns, const std::string& path, Query query,
                const Extent& extent);

/// A list that is part of an answer, below it; nothing where it is empty, or no table is asked for.
void print_part(Session& session, const Columns& columns, const Answer& answer, const char* path);

}  // namespace coupond::ctl
