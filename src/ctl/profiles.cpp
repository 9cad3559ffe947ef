#include "ctl/profiles.hpp"

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/text.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using Member = std::optional<std::string> Profile::*;

constexpr std::array<std::pair<const char*, Member>, 3> settings{{
    {"server", &Profile::server},
    {"root_certificate", &Profile::root_certificate},
    {"output", &Profile::output},
}};

Member member(const std::string& setting) {
    for (const auto& [name, each] : settings) {
        if (setting == name) return each;
    }
    throw wrong_usage("there is no setting " + setting,
                      "settings are server, root_certificate and output");
}

void check_name(const std::string& name) {
    constexpr std::string_view bare =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    if (name.empty() || name.find_first_not_of(bare) != std::string::npos) {
        throw wrong_usage("a profile cannot be called '" + name + "'",
                          "names are made of letters, digits, - and _");
    }
}

}  // namespace

std::filesystem::path Profiles::usual_path() {
    const auto variable = [](const char* name) -> std::filesystem::path {
        const char* const value = std::getenv(name);
        return value == nullptr ? "" : value;
    };
    std::filesystem::path folder = variable("XDG_CONFIG_HOME");
    if (folder.empty()) {
        const std::filesystem::path home = variable("HOME");
        if (home.empty()) {
            throw wrong_usage("neither HOME nor XDG_CONFIG_HOME is set",
                              "set one, or name the server by --server or COUPOND_URL");
        }
        folder = home / ".config";
    }
    return folder / "couponctl" / "config.toml";
}

Profiles Profiles::read(const std::filesystem::path& path) {
    Profiles profiles;
    std::ifstream file(path);
    if (!file) {
        if (!std::filesystem::exists(path)) return profiles;
        throw wrong_usage("cannot read " + path.string(), "see its permissions");
    }
    const std::string next = "mend it, or begin anew: rm " + path.string();
    try {
        for (const CLI::ConfigItem& item : CLI::ConfigTOML().from_config(file)) {
            if (item.name == "++" || item.name == "--") continue;  // where a table begins and ends
            if (item.parents.size() != 1 || item.inputs.size() != 1) {
                throw wrong_usage("in " + path.string() + ": " + item.fullname() +
                                      " is not a setting of a profile",
                                  next);
            }
            profiles.set(item.parents.front(), item.name, item.inputs.front());
        }
    } catch (const CLI::Error& error) {
        throw wrong_usage("in " + path.string() + ": " + error.what(), next);
    }
    return profiles;
}

void Profiles::write(const std::filesystem::path& path) const {
    std::ostringstream text;
    text << "# Written by `couponctl config set`.\n";
    for (const auto& [name, profile] : all_) {
        text << "\n[" << name << "]\n";
        for (const auto& [setting, each] : settings) {
            // What JSON escapes, TOML's basic strings escape alike.
            if (profile.*each) text << setting << " = " << json_string(*(profile.*each)) << '\n';
        }
    }
    const std::filesystem::path beside = path.string() + ".new";
    try {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream file(beside);
        file << text.str();
        file.close();
        if (!file) throw std::system_error(errno, std::generic_category());
        std::filesystem::rename(beside, path);
    } catch (const std::system_error& error) {
        throw wrong_usage("cannot write " + path.string() + ": " + error.code().message(),
                          "see its folder's permissions");
    }
}

const Profile* Profiles::find(const std::string& name) const {
    const auto found = all_.find(name);
    return found == all_.end() ? nullptr : &found->second;
}

void Profiles::set(const std::string& name, const std::string& setting,
                   const std::optional<std::string>& value) {
    check_name(name);
    const Member which = member(setting);
    if (value) {
        const auto shape = examine_text(*value);
        if (!shape || shape->has_control || shape->characters == 0) {
            throw wrong_usage(setting + " must be text without control characters", "");
        }
    }
    all_[name].*which = value;
}

}  // namespace coupond::ctl
