#include "ctl/ctl.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <optional>

#include "ctl/commands.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/manual.hpp"
#include "ctl/quit.hpp"

namespace coupond {
namespace {

using namespace ctl;

/// Codes may look like anything. CLI11 takes `[A,B]` for a list where there may be several values,
/// and what stands behind `--` only where it misses some: both go through it with a mark.
constexpr char mark = '\x01';

void add_globals(CLI::App& root, Globals& globals) {
    root.add_option("--server", globals.server,
                    "Its URL; else COUPOND_URL, the profile's, http://127.0.0.1:3000")
        ->type_name("URL")
        ->check(not_empty());
    root.add_option("--profile", globals.profile,
                    "Which profile of `couponctl config`; else COUPONCTL_PROFILE, default")
        ->type_name("NAME")
        ->check(not_empty());
    root.add_option("--output", globals.output, "In which format to print")
        ->check(CLI::IsMember({"table", "json", "ndjson", "csv"}));
    root.add_flag("--utc", globals.utc, "Times of tables in UTC, not local");
    root.add_option("--idempotency-key", globals.idempotency_key,
                    "Of your own, for what may be run again and is to be done once")
        ->type_name("KEY")
        ->check(not_empty());
    root.add_flag("--yes", globals.yes, "Do not ask before what cannot be undone");
}

/// The first word that should be a command and is none; with the ones there are.
std::string mistyped(const CLI::App& root, int argc, char** argv, const CLI::App*& where) {
    where = &root;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.starts_with("-")) {
            const bool value_follows = word.find('=') == std::string::npos;
            const auto* const option = root.get_option_no_throw(word);
            if (value_follows && option != nullptr && option->get_expected_max() > 0) ++i;
            continue;
        }
        if (where->get_subcommands({}).empty()) return {};
        const CLI::App* const below = command_below(*where, word);
        if (below == nullptr) return word;
        where = below;
    }
    return {};
}

int complain(const std::string& message, const std::string& next, int status) {
    std::string unmarked = message;
    std::erase(unmarked, mark);
    std::fprintf(stderr, "couponctl: %s\n", harmless(unmarked).c_str());
    if (!next.empty()) std::fprintf(stderr, "couponctl: %s\n", harmless(next).c_str());
    return status;
}

std::string name_of(const CLI::App& command) {
    std::string name;
    for (const CLI::App* each = &command; each != nullptr; each = each->get_parent()) {
        name = each->get_name() + (name.empty() ? "" : " " + name);
    }
    return name;
}

/// The flag that one of `unknown` is meant to be, with the mistyped one; nothing where none is
/// near.
std::optional<std::string> meant(const CLI::App& root, const CLI::App& command, int argc,
                                 char** argv) {
    std::vector<std::string> known = flags_of(command);
    for (const std::string& each : flags_of(root)) known.push_back(each);
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const std::string flag = word.substr(0, word.find('='));
        if (!flag.starts_with("--") || std::ranges::find(known, flag) != known.end()) continue;
        const std::string near = nearest(flag, known);
        if (!near.empty()) return "did you mean " + near + " instead of " + flag + "?";
    }
    return std::nullopt;
}

/// What arguments that cannot be parsed are told.
int complain_of_arguments(const CLI::App& root, const CLI::ParseError& error, int argc,
                          char** argv) {
    const CLI::App* where = &root;
    const std::string word = mistyped(root, argc, argv, where);
    const std::string name = name_of(*where);
    if (word.empty()) {
        const auto flag = meant(root, *where, argc, argv);
        if (flag) return complain("there is no such option", *flag, exit_status::usage);
        return complain(error.what(), name + " --help", exit_status::usage);
    }
    std::vector<std::string> known;
    for (const auto* const each : where->get_subcommands({})) known.push_back(each->get_name());
    std::string near = nearest(word, known);
    for (const auto* const group : where->get_subcommands({})) {
        if (command_below(*group, word) != nullptr) near = group->get_name() + " " + word;
    }
    return complain("there is no command '" + name + " " + word + "'",
                    near.empty() ? name + " --help" : "did you mean " + name + " " + near + "?",
                    exit_status::usage);
}

std::vector<std::string> marked(int argc, char** argv) {
    std::vector<std::string> words;
    bool behind = false;  // of --
    for (int i = 0; i < argc; ++i) {
        std::string word = argv[i];
        if (!behind && word == "--") {
            behind = true;
            continue;
        }
        if (word.starts_with('[') && word.ends_with(']')) word += mark;
        // `++` ends a command for it.
        if (word == "++" || (behind && word.starts_with('-'))) word.insert(0, 1, mark);
        words.push_back(std::move(word));
    }
    return words;
}

void take_marks_off(CLI::App& command) {
    const auto take_off = [](std::string& value) {
        if (value.starts_with('[') && value.ends_with(mark)) value.pop_back();
        if (value.starts_with(mark)) value.erase(0, 1);
        return std::string();
    };
    for (CLI::Option* const option : command.get_options()) {
        if (option->get_expected_max() > 0) option->transform(CLI::Validator(take_off, ""));
    }
    for (CLI::App* const below : command.get_subcommands({})) take_marks_off(*below);
}

/// What is opened later must not get the place of standard input, output or errors.
void fill_standard_streams() {
    for (int fd = open("/dev/null", O_RDWR); fd >= 0; fd = dup(fd)) {
        if (fd > STDERR_FILENO) {
            close(fd);
            return;
        }
    }
}

/// Where a command gives no better one.
std::string next_of(const Quit& quit, const CLI::App& command) {
    const bool explained =
        quit.status() == exit_status::usage || quit.status() == exit_status::refused;
    return quit.next().empty() && explained ? name_of(command) + " --help" : quit.next();
}

}  // namespace

int run_ctl(int argc, char** argv) {
    fill_standard_streams();
    std::setlocale(LC_CTYPE, "C.UTF-8");  // how wide characters are; everything is UTF-8
    CLI::App root("The command line client of coupond, a coupon engine", "couponctl");
    root.require_subcommand(1);
    root.fallthrough();
    root.set_version_flag("--version", "couponctl " COUPOND_VERSION);
    root.footer(
        "A code that begins with - stands behind --: couponctl codes show -- -20-SUMMER\n"
        "Begin with `couponctl book create --name Summer --pattern 'SUMMER-{6}'`.\n"
        "`couponctl help patterns` explains codes; limits, locks, times, files and exit are "
        "others.");
    Globals globals;
    add_globals(root, globals);
    Commands commands(root);
    add_book_commands(commands);
    add_code_commands(commands);
    add_shop_commands(commands);
    add_job_commands(commands);
    add_reports(commands);
    add_config_commands(commands);
    add_help(commands);
    take_marks_off(root);
    const std::vector<std::string> words = marked(argc, argv);
    std::vector<const char*> arguments;
    for (const std::string& word : words) arguments.push_back(word.c_str());
    try {
        root.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::Success& asked) {
        const int status = root.exit(asked);
        std::cout.flush();
        if (status != 0 || !std::cout) {
            return complain("cannot write the output", "see where it goes to", exit_status::usage);
        }
        return exit_status::done;
    } catch (const CLI::ParseError& error) {
        return complain_of_arguments(root, error, argc, argv);
    }
    const auto [command, run] = commands.asked_for();
    try {
        if (run == nullptr) {
            return complain("no command was given", "couponctl --help", exit_status::usage);
        }
        Session session(globals, stop_on_interrupt());
        (*run)(session);
        Output::flush();
        return exit_status::done;
    } catch (const Quit& quit) {
        std::fflush(stdout);
        return complain(quit.what(), next_of(quit, *command), quit.status());
    } catch (const net::Lost& lost) {
        std::fflush(stdout);
        return complain("the connection was lost: " + lost.reason(), "try again",
                        exit_status::unreachable);
    } catch (const std::bad_alloc&) {
        return complain("there is not enough memory", "see what else runs here",
                        exit_status::unreachable);
    } catch (const std::exception& error) {
        return complain(std::string("cannot go on: ") + error.what(), name_of(*command) + " --help",
                        exit_status::usage);
    }
}

}  // namespace coupond
