// couponctl help, completion and manual.
#include <algorithm>

#include "ctl/commands.hpp"
#include "ctl/manual.hpp"
#include "ctl/quit.hpp"
#include "ctl/topics.hpp"

namespace coupond::ctl {
namespace {

/// What is typed before a command.
std::string name_above(const CLI::App& command) {
    const CLI::App* const above = command.get_parent();
    if (above == nullptr) return "";
    const std::string before = name_above(*above);
    return (before.empty() ? "" : before + " ") + above->get_name();
}

}  // namespace

void add_help(Commands& commands) {
    const auto words = std::make_shared<std::vector<std::string>>();
    CLI::App& root = commands.root();
    CLI::App& help = commands.add(
        root, "help", "Explain a command, or a topic: patterns, limits, locks, times, files, exit",
        "  couponctl help patterns\n", [words, &root](Session&) {
            Output output({});

            if (words->size() == 1) {
                const auto topic = std::ranges::find(topics, words->front(), &Topic::name);
                if (topic != topics.end()) {
                    return output.print(output.bold(topic->title) + "\n\n" + topic->text);
                }
            }
            const CLI::App* command = &root;
            for (const std::string& word : *words) {
                const CLI::App* const below = command_below(*command, word);
                if (below == nullptr) {
                    std::vector<std::string> known;
                    for (const auto* const each : command->get_subcommands({})) {
                        known.push_back(each->get_name());
                    }
                    for (const Topic& topic : topics) known.emplace_back(topic.name);
                    const std::string near = nearest(word, known);
                    throw wrong_usage(
                        "there is no command and no topic '" + word + "'",
                        near.empty() ? "couponctl --help" : "did you mean " + near + "?");
                }
                command = below;
            }
            output.print(command->help(name_above(*command)));
        });
    help.add_option("TOPIC", *words, "A topic, or a command");
    const auto shell = std::make_shared<std::string>();
    CLI::App& complete =
        commands.add(root, "completion", "Print a script that completes commands",
                     "  source <(couponctl completion bash)\n",
                     [shell, &root](Session&) { Output({}).print(completion(root, *shell)); });
    complete.add_option("SHELL", *shell, "bash or zsh")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh"}));
    commands.add(root, "manual", "Print the manual page",
                 "  couponctl manual > couponctl.1 && man ./couponctl.1\n",
                 [&root](Session&) { Output({}).print(manual(root)); });
}

}  // namespace coupond::ctl
