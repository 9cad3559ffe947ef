#include "ctl/profiles.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/text.hpp"
#include "ctl/output.hpp"
#include "ctl/quit.hpp"
#include "net/origin.hpp"

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

void check_value(const std::string& setting, const std::string& value) {
    const auto shape = examine_text(value);
    if (!shape || shape->has_control || shape->characters == 0) {
        throw wrong_usage(setting + " must be text without control characters", "");
    }
    if (setting == "output") format_of(value);
    if (setting != "server") return;
    try {
        net::parse_url(value);
    } catch (const std::invalid_argument& error) {
        throw wrong_usage("server " + std::string(error.what()), "as in http://127.0.0.1:3000");
    }
}

Quit not_understood(const std::filesystem::path& path, const std::string& what) {
    return wrong_usage("in " + path.string() + ": " + what,
                       "mend it, or begin anew: rm " + path.string());
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

bool Profiles::can_be_there() {
    const auto is_set = [](const char* name) {
        const char* const value = std::getenv(name);
        return value != nullptr && *value != '\0';
    };
    if (!is_set("HOME") && !is_set("XDG_CONFIG_HOME")) return false;
    std::error_code error;
    return std::filesystem::exists(usual_path(), error) || !error;
}

Profiles Profiles::read(const std::filesystem::path& path) {
    std::error_code error;
    const bool is_file = std::filesystem::is_regular_file(path, error);
    if (!error && !is_file) throw not_understood(path, "it is no file");
    if (error == std::errc::no_such_file_or_directory || error == std::errc::not_a_directory) {
        return {};
    }
    std::ifstream file(path);
    if (error || !file) {
        throw wrong_usage("cannot read " + path.string() + (error ? ": " + error.message() : ""),
                          "see its permissions and its folder's");
    }
    Profiles profiles;
    try {
        for (const auto& [name, table] : toml::parse(file)) {
            if (!table.is_table()) {
                throw not_understood(path, std::string(name.str()) + " is in no profile");
            }
            for (const auto& [setting, value] : *table.as_table()) {
                const auto text = value.value<std::string>();
                if (!text) throw not_understood(path, std::string(setting.str()) + " is no text");
                profiles.set(std::string(name.str()), std::string(setting.str()), *text);
            }
        }
    } catch (const toml::parse_error& wrong) {
        throw not_understood(path, "line " + std::to_string(wrong.source().begin.line) + ": " +
                                       std::string(wrong.description()));
    } catch (const Quit& quit) {
        throw not_understood(path, quit.what());
    }
    return profiles;
}

void Profiles::change(const std::filesystem::path& path,
                      const std::function<void(Profiles&)>& change) {
    // Where it is a link, what it leads to; the file itself is replaced, so its folder is locked.
    std::error_code error;
    const std::filesystem::path file = std::filesystem::weakly_canonical(path, error);
    if (!error) std::filesystem::create_directories(file.parent_path(), error);
    const int folder =
        error ? -1 : ::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!error && (folder < 0 || flock(folder, LOCK_EX) != 0)) {
        error = {errno, std::generic_category()};
    }
    if (!error) {
        try {
            Profiles profiles = read(file);
            change(profiles);
            error = profiles.write(file);
        } catch (...) {
            close(folder);
            throw;
        }
    }
    if (folder >= 0) close(folder);
    if (error) {
        throw wrong_usage("cannot write " + path.string() + ": " + error.message(),
                          "see its folder's permissions");
    }
}

std::error_code Profiles::write(const std::filesystem::path& file) const {
    toml::table tables;
    for (const auto& [name, profile] : all_) {
        toml::table table;
        for (const auto& [setting, each] : settings) {
            if (profile.*each) table.insert(setting, *(profile.*each));
        }
        if (!table.empty()) tables.insert(name, std::move(table));
    }
    const std::filesystem::path beside = file.string() + ".new";
    std::ofstream out(beside);
    out << "# Written by `couponctl config`.\n\n" << tables << '\n';
    out.close();
    if (!out) return {errno, std::generic_category()};
    std::error_code error;
    std::filesystem::rename(beside, file, error);
    return error;
}

const Profile* Profiles::find(const std::string& name) const {
    const auto found = all_.find(name);
    return found == all_.end() ? nullptr : &found->second;
}

void Profiles::set(const std::string& name, const std::string& setting,
                   const std::optional<std::string>& value) {
    check_name(name);
    const Member which = member(setting);
    if (value) check_value(setting, *value);
    all_[name].*which = value;
}

}  // namespace coupond::ctl
