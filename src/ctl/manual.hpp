// What the definitions of the commands tell besides parsing.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace coupond::ctl {

/// The command of this name below `command`; null where there is none.
const CLI::App* command_below(const CLI::App& command, const std::string& name);

/// The long flags of a command, with their dashes.
std::vector<std::string> flags_of(const CLI::App& command);

/// A script that completes commands and flags: for `bash` or `zsh`. To be sourced.
std::string completion(const CLI::App& root, const std::string& shell);

/// A manual page, in the language of man(7).
std::string manual(const CLI::App& root);

/// The command or flag that is meant by a word which is none, or nothing where none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& words);

}  // namespace coupond::ctl
