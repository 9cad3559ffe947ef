#include "ctl/manual.hpp"

#include <algorithm>
#include <numeric>

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

std::vector<std::string> flags_of(const CLI::App& command) {
    std::vector<std::string> flags;
    for (const CLI::Option* const option : command.get_options()) {
        for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    return flags;
}

std::vector<std::string> words_of(const CLI::App& command) {
    std::vector<std::string> words = flags_of(command);
    for (const CLI::App* const below : command.get_subcommands({})) {
        words.push_back(below->get_name());
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

std::string bash(const CLI::App& root) {
    std::string cases;
    each_command(root, root.get_name(), [&](const CLI::App& command, const std::string& name) {
        cases += "        '" + name + "') words='" + joined(words_of(command)) + "' ;;\n";
    });
    return "# Completes couponctl in bash: source <(couponctl completion bash)\n"
           "_couponctl() {\n"
           "    local command=couponctl word words=''\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        [[ $word == -* ]] || _couponctl_is \"$command $word\" && command+=\" $word\"\n"
           "    done\n"
           "    case $command in\n" +
           cases +
           "    esac\n"
           "    words+=' " +
           joined(flags_of(root)) +
           "'\n"
           "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
           "    [[ ${#COMPREPLY[@]} -gt 0 ]] || compopt -o default\n"
           "}\n";
}

}  // namespace

const CLI::App* command_below(const CLI::App& command, const std::string& name) {
    for (const CLI::App* const below : command.get_subcommands({})) {
        if (below->get_name() == name) return below;
    }
    return nullptr;
}

std::string completion(const CLI::App& root, const std::string& shell) {
    std::string known;
    each_command(root, root.get_name(),
                 [&](const CLI::App&, const std::string& name) { known += "|'" + name + "'"; });
    const std::string is_command = "_couponctl_is() {\n    case $1 in " + known.substr(1) +
                                   ") return 0 ;; esac\n    return 1\n}\n";
    const std::string script = is_command + bash(root) + "complete -F _couponctl couponctl\n";
    if (shell == "bash") return script;
    return "# Completes couponctl in zsh: source <(couponctl completion zsh)\n"
           "autoload -U +X bashcompinit && bashcompinit\n" +
           script;
}

std::string manual(const CLI::App& root) {
    std::string text = ".TH COUPONCTL 1\n.SH NAME\ncouponctl \\- " +
                       escaped("the command line client of coupond") +
                       "\n.SH SYNOPSIS\n.B couponctl\n.I COMMAND\n[\\fIOPTION\\fR...]\n";
    each_command(root, root.get_name(), [&](const CLI::App& command, const std::string& name) {
        const bool is_root = &command == &root;
        text += is_root ? ".SH OPTIONS OF ALL COMMANDS\n" : ".SS " + escaped(name) + "\n";
        if (!is_root) text += escaped(command.get_description()) + "\n";
        for (const CLI::Option* const option : command.get_options()) {
            text += ".TP\n.B " + escaped(option->get_name(true, true)) + "\n" +
                    escaped(option->get_description()) + "\n";
        }
        if (!command.get_footer().empty()) {
            text += ".PP\n.nf\n" + escaped(command.get_footer()) + "\n.fi\n";
        }
        if (is_root) text += ".SH COMMANDS\n";
    });
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
