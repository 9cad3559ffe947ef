#include "ctl/ctl.hpp"

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "ctl/commands.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/manual.hpp"
#include "ctl/quit.hpp"

namespace coupond {
namespace {

using namespace ctl;

void add_globals(CLI::App& root, Globals& globals) {
    root.add_option("--server", globals.server,
                    "Its URL; else COUPOND_URL, the profile's, http://127.0.0.1:3000")
        ->type_name("URL");
    root.add_option("--profile", globals.profile,
                    "Which profile of `couponctl config`; else COUPONCTL_PROFILE, default")
        ->type_name("NAME");
    root.add_option("--output", globals.output, "table, json, ndjson or csv")->type_name("FORMAT");
    root.add_flag("--utc", globals.utc, "Times of tables in UTC, not local");
    root.add_flag("--yes", globals.yes, "Do not ask before what cannot be undone");
}

/// The first word that should be a command and is none; with the ones there are.
std::string mistyped(const CLI::App& root, int argc, char** argv, const CLI::App*& where) {
    where = &root;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word.starts_with("-")) {
            const bool has_value = word.find('=') == std::string::npos;
            const auto* const option = root.get_option_no_throw(word);
            if (has_value && option != nullptr && option->get_expected_max() > 0) ++i;
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
    std::fprintf(stderr, "couponctl: %s\n", harmless(message).c_str());
    if (!next.empty()) std::fprintf(stderr, "couponctl: %s\n", harmless(next).c_str());
    return status;
}

/// What arguments that cannot be parsed are told.
int complain_of_arguments(const CLI::App& root, const CLI::ParseError& error, int argc,
                          char** argv) {
    const CLI::App* where = &root;
    const std::string word = mistyped(root, argc, argv, where);
    std::string name;
    for (const CLI::App* each = where; each != nullptr; each = each->get_parent()) {
        name = each->get_name() + (name.empty() ? "" : " " + name);
    }
    if (word.empty()) return complain(error.what(), name + " --help", exit_status::usage);
    std::vector<std::string> known;
    for (const auto* const each : where->get_subcommands({})) known.push_back(each->get_name());
    const std::string near = nearest(word, known);
    return complain("there is no command '" + name + " " + word + "'",
                    near.empty() ? name + " --help" : "did you mean " + name + " " + near + "?",
                    exit_status::usage);
}

}  // namespace

int run_ctl(int argc, char** argv) {
    std::setlocale(LC_CTYPE, "C.UTF-8");  // how wide characters are; everything is UTF-8
    CLI::App root("The command line client of coupond, a coupon engine", "couponctl");
    root.require_subcommand(1);
    root.fallthrough();
    root.set_version_flag("--version", "couponctl " COUPOND_VERSION);
    root.footer(
        "Begin with `couponctl book create --name Summer --pattern 'SUMMER-{6}'`.\n"
        "`couponctl help patterns`, `limits`, `locks` and `exit` explain more.");
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
    try {
        root.parse(argc, argv);
    } catch (const CLI::Success& asked) {
        return root.exit(asked) == 0 ? exit_status::done : exit_status::usage;
    } catch (const CLI::ParseError& error) {
        return complain_of_arguments(root, error, argc, argv);
    }
    try {
        const Run* const run = commands.asked_for();
        if (run == nullptr)
            return complain("no command was given", "couponctl --help", exit_status::usage);
        Session session(globals, stop_on_interrupt());
        (*run)(session);
        if (std::fflush(stdout) != 0) {
            return complain("cannot write the output", "", exit_status::usage);
        }
        return exit_status::done;
    } catch (const Quit& quit) {
        std::fflush(stdout);
        return complain(quit.what(), quit.next(), quit.status());
    } catch (const net::Lost& lost) {
        std::fflush(stdout);
        return complain("the connection was lost: " + lost.reason(), "try again",
                        exit_status::unreachable);
    } catch (const std::bad_alloc&) {
        return complain("there is not enough memory", "", exit_status::unreachable);
    }
}

}  // namespace coupond
