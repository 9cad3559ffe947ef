// ~/.config/couponctl/config.toml: which server is meant, by name.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>

namespace coupond::ctl {

/// What a profile may set.
struct Profile {
    std::optional<std::string> server;
    std::optional<std::string> root_certificate;
    std::optional<std::string> output;
};

/// The profiles by name, as tables of a TOML file (toml.io). Everything throws Quit: a file that
/// cannot be read or written, or says what nobody understands.
class Profiles {
public:
    /// $XDG_CONFIG_HOME/couponctl/config.toml, or ~/.config/couponctl/config.toml.
    static std::filesystem::path usual_path();

    /// Whether there is a way to that file: a service may have no home, or none that it may enter.
    static bool can_be_there();

    /// What the file says; nothing where there is none, or its folder is not there.
    static Profiles read(const std::filesystem::path& path);

    /// Reads the file, changes what it says and replaces it. Whoever reads it meanwhile sees the
    /// old one or the new one; of several who change it, one does after the other.
    static void change(const std::filesystem::path& path,
                       const std::function<void(Profiles&)>& change);

    const std::map<std::string, Profile>& all() const { return all_; }
    const Profile* find(const std::string& name) const;

    /// `setting`: `server`, `root_certificate` or `output`; `value`: nothing to unset it.
    void set(const std::string& name, const std::string& setting,
             const std::optional<std::string>& value);

private:
    std::error_code write(const std::filesystem::path& file) const;

    std::map<std::string, Profile> all_;
};

}  // namespace coupond::ctl
