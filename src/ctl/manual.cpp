#include "ctl/manual.hpp"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "ctl/topics.hpp"

namespace coupond::ctl {
namespace {

/// Every command, the root first, with its name as it is typed.
template <class Take>
void each_command(const CLI::App& command, const std::string& name, const Take& take) {
    take(command, name);
    for (const CLI::App* const below : command.get_subcommands({})) {
        each_command(*below, name + " " + below->get_name(), take);
    }
}

bool takes_value(const CLI::Option& option) {
    return option.get_expected_max() > 0;
}

/// What an option may be, where it is one of a few: CLI11 tells them as {a,b} in its type's name.
std::vector<std::string> choices_of(const CLI::Option& option) {
    const std::string type = option.get_type_name();
    const std::size_t begin = type.find('{'), end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos) return {};
    return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

/// What may stand behind a command, but for flags.
std::vector<std::string> words_of(const CLI::App& command) {
    std::vector<std::string> words;
    for (const CLI::App* const below : command.get_subcommands({})) {
        words.push_back(below->get_name());
    }
    for (const CLI::Option* const option : command.get_options()) {
        if (!option->get_positional()) continue;
        for (const std::string& choice : choices_of(*option)) words.push_back(choice);
    }
    if (command.get_name() != "help") return words;
    for (const Topic& topic : topics) words.emplace_back(topic.name);
    for (const CLI::App* const each : command.get_parent()->get_subcommands({})) {
        words.push_back(each->get_name());
    }
    return words;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

/// For man(7): a dash that can be typed, and no line that is taken for a request.
std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) {
            out += std::string("\\&") + c;
        } else {
            out += c;
        }
    }
    return out;
}

/// How often a character must be changed, added, taken away or swapped with the next one.
std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::vector<std::size_t>> rows(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) rows[i][0] = i;
    std::iota(rows[0].begin(), rows[0].end(), 0);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = rows[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            rows[i][j] = std::min({change, rows[i - 1][j] + 1, rows[i][j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) rows[i][j] = std::min(rows[i][j], rows[i - 2][j - 2] + 1);
        }
    }
    return rows[a.size()][b.size()];
}

/// Functions that both shells understand: they tell commands, flags and values from each other.
std::string tables(const CLI::App& root) {
    std::string known, words, flags, values, takes;
    each_command(root, root.get_name(), [&](const CLI::App& command, const std::string& name) {
        known += "|'" + name + "'";
        words += "        '" + name + "') echo '" + joined(words_of(command)) + "' ;;\n";
        flags += "        '" + name + "') echo '" + joined(flags_of(command)) + "' ;;\n";
        for (const CLI::Option* const option : command.get_options()) {
            if (option->get_positional() || !takes_value(*option)) continue;
            const std::string flag = "--" + option->get_lnames().front();
            if (takes.find("|" + flag + "|") == std::string::npos) takes += "|" + flag + "|";
            const auto choices = choices_of(*option);
            if (choices.empty()) continue;
            values += "        '" + name + " " + flag + "') echo '" + joined(choices) + "' ;;\n";
        }
    });
    for (std::size_t at; (at = takes.find("||")) != std::string::npos;) takes.erase(at, 1);
    takes = takes.substr(1, takes.size() - 2);
    return "_couponctl_is() {\n    case $1 in " + known.substr(1) +
           ") return 0 ;; esac\n    return 1\n}\n"
           "_couponctl_takes() {\n    case $1 in " +
           takes +
           ") return 0 ;; esac\n    return 1\n}\n"
           "_couponctl_words() {\n    case $1 in\n" +
           words +
           "    esac\n}\n"
           "_couponctl_flags() {\n    case $1 in\n" +
           flags +
           "    esac\n}\n"
           "_couponctl_values() {\n    case $1 in\n" +
           values +
           "    esac\n}\n"
           // Of the caller: command, and option, which waits for its value.
           "_couponctl_step() {\n"
           "    case $1 in\n"
           "        =) ;;\n"
           "        -*) if _couponctl_takes \"$1\"; then option=$1; else option=; fi ;;\n"
           "        *) if [[ -n $option ]]; then option=\n"
           "            elif _couponctl_is \"$command $1\"; then command=\"$command $1\"; fi ;;\n"
           "    esac\n"
           "}\n"
           "_couponctl_candidates() {\n"
           "    if [[ -n $option ]]; then\n"
           "        _couponctl_values \"$command $option\"\n"
           "        _couponctl_values \"couponctl $option\"\n"
           "    elif [[ $1 == -* ]]; then\n"
           "        _couponctl_flags \"$command\"\n"
           "        _couponctl_flags couponctl\n"
           "    else\n"
           "        _couponctl_words \"$command\"\n"
           "    fi\n"
           "}\n";
}

constexpr const char* bash_driver =
    "_couponctl() {\n"
    "    local command=couponctl option= at current=${COMP_WORDS[COMP_CWORD]}\n"
    "    for ((at = 1; at < COMP_CWORD; at++)); do _couponctl_step \"${COMP_WORDS[at]}\"; done\n"
    "    [[ $current != = ]] || current=\n"
    "    mapfile -t COMPREPLY < <(compgen -W \"$(_couponctl_candidates \"$current\")\" -- "
    "\"$current\")\n"
    "}\n"
    "complete -o default -F _couponctl couponctl\n";

constexpr const char* zsh_driver =
    "_couponctl() {\n"
    "    local command=couponctl option= at\n"
    "    local -a found\n"
    "    for ((at = 2; at < CURRENT; at++)); do _couponctl_step \"${words[at]}\"; done\n"
    "    found=(${=\"$(_couponctl_candidates \"${words[CURRENT]}\")\"})\n"
    "    if ((${#found})); then compadd -- $found; else _files; fi\n"
    "}\n"
    "(($+functions[compdef])) || { autoload -U compinit && compinit }\n"
    "compdef _couponctl couponctl\n";

/// The lines of a text as they stand.
std::string verbatim(const std::string& text) {
    return ".PP\n.nf\n" + escaped(text) + (text.ends_with('\n') ? "" : "\n") + ".fi\n";
}

}  // namespace

const CLI::App* command_below(const CLI::App& command, const std::string& name) {
    for (const CLI::App* const below : command.get_subcommands({})) {
        if (below->get_name() == name) return below;
    }
    return nullptr;
}

std::vector<std::string> flags_of(const CLI::App& command) {
    std::vector<std::string> flags;
    for (const CLI::Option* const option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    return flags;
}

std::string completion(const CLI::App& root, const std::string& shell) {
    return "# Completes couponctl: source <(couponctl completion " + shell + ")\n" + tables(root) +
           (shell == "zsh" ? zsh_driver : bash_driver);
}

std::string manual(const CLI::App& root) {
    std::string text = ".TH COUPONCTL 1\n.SH NAME\ncouponctl \\- " +
                       escaped("the command line client of coupond, a coupon engine") +
                       "\n.SH SYNOPSIS\n.B couponctl\n.I COMMAND\n[\\fIOPTION\\fR...]\n";
    each_command(root, root.get_name(), [&](const CLI::App& command, const std::string& name) {
        const bool is_root = &command == &root;
        std::string arguments, options;
        for (const CLI::Option* const option : command.get_options()) {
            if (!is_root && option->check_lname("help")) continue;
            const std::string type = takes_value(*option) ? " " + option->get_type_name() : "";
            if (option->get_positional()) {
                const std::string argument = option->get_name(true, false);
                arguments += option->get_required() ? " " + argument : " [" + argument + "]";
            }
            options += ".TP\n.B " + escaped(option->get_name(true, true)) +
                       (option->get_positional() ? "" : " " + escaped(type)) + "\n" +
                       escaped(option->get_description()) + "\n";
        }
        text +=
            is_root ? ".SH OPTIONS OF ALL COMMANDS\n" : ".SS " + escaped(name + arguments) + "\n";
        if (!is_root) text += escaped(command.get_description()) + "\n";
        text += options;
        if (!is_root && !command.get_footer().empty()) text += verbatim(command.get_footer());
        if (is_root) text += ".SH COMMANDS\n";
    });
    for (const Topic& topic : topics) {
        const std::string name = topic.name;
        std::string title = name == "exit"    ? "EXIT STATUS"
                            : name == "files" ? "ENVIRONMENT AND FILES"
                                              : topic.title;
        for (char& c : title) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        text += ".SH " + escaped(title) + "\n" + verbatim(topic.text);
    }
    return text;
}

std::string nearest(const std::string& word, const std::vector<std::string>& words) {
    std::string found;
    std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (const std::string& each : words) {
        const std::size_t away = distance(word, each);
        if (away < least) {
            least = away;
            found = each;
        }
    }
    return found;
}

}  // namespace coupond::ctl
