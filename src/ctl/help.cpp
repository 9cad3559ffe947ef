// couponctl help, completion and manual.
#include <algorithm>
#include <array>

#include "ctl/commands.hpp"
#include "ctl/manual.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

struct Topic {
    const char* name;
    const char* title;
    const char* text;
};

constexpr std::array<Topic, 4> topics{{
    {"patterns", "What codes look like",
     R"(A pattern is text in which braces stand for what is different in each code:

  {6}          6 random characters out of A-Z and 2-9, without I, L and O
  {6:digits}   digits; also letters, alnum and hex
  {6:[ABC23]}  characters of one's own
  {check}      a check character: every single mistyped character, and every two
               that changed places, is refused before the database is asked
  \{           a brace

  couponctl book create --name Summer --pattern 'SUMMER-{6}{check}'

How likely a guess is a code of the book is told with each job that makes some; with
more than one in a million there is a warning: take more random characters.
)"},
    {"limits", "How often codes may be redeemed",
     R"(A book may limit its redemptions: of each code (--max-redemptions-per-code, 1 unless
said otherwise), of each user (--max-redemptions-per-user), of all together
(--max-redemptions), and what all discounts come to (--budget); a day likewise
(--max-redemptions-a-day, --budget-a-day), in the book's --time-zone.

Locks count: what live locks would use up is not there for the next one. A limit that is
lowered below what is used takes effect at once; what was redeemed stays redeemed.

  couponctl book edit 1 --max-redemptions 10000 --budget 50000
)"},
    {"locks", "From a code to a redemption",
     R"(A code belongs to a user (assign), who locks it while paying (lock) and redeems it then
(redeem). A lock ends by itself after some minutes, or by unlock.

  couponctl assign --book 1 --user ann
  couponctl lock SUMMER-K7P2QX --user ann
  couponctl redeem SUMMER-K7P2QX --user ann --order 17 --amount 50 --currency EUR

With --lock-key a lock is one's own: with the same key it can be extended, with another
one it is refused. The same redemption again, for the same order, answers with the first.
Whatever is lost on the way, a command is done once: couponctl tries again under the
same Idempotency-Key.
)"},
    {"exit", "What couponctl ends with",
     R"(  0    done
  1    refused by the server: the reason and its code are on stderr
  2    the command does not fit, or a file cannot be read or written
  3    no answer from the server, or none that is coupond's; 503 after all tries
  130  interrupted: what goes on, and how to go on with it, is on stderr
)"},
}};

}  // namespace

void add_help(Commands& commands) {
    const auto words = std::make_shared<std::vector<std::string>>();
    CLI::App& root = commands.root();
    CLI::App& help = commands.add(
        root, "help", "Explain a command, or a topic: patterns, limits, locks, exit",
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
            output.print(command->help());
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
