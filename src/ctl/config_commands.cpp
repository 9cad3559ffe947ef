// couponctl config …
#include "ctl/commands.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

const Columns columns{{"PROFILE", "profile"}, {"SETTING", "setting"}, {"VALUE", "value"}};

void change(const Session& session, const std::string& setting,
            const std::optional<std::string>& value) {
    Profiles::change(Profiles::usual_path(),
                     [&](Profiles& profiles) { profiles.set(session.profile(), setting, value); });
}

void list(Session& session) {
    std::string rows;
    const Profiles profiles = Profiles::read(Profiles::usual_path());
    for (const auto& [name, profile] : profiles.all()) {
        const auto add = [&, name = name](const char* setting,
                                          const std::optional<std::string>& value) {
            if (!value) return;
            JsonObject row;
            row.set("profile", json_string(name));
            row.set("setting", json_string(setting));
            row.set("value", json_string(*value));
            rows += (rows.empty() ? "" : ",") + row.text();
        };
        add("server", profile.server);
        add("root_certificate", profile.root_certificate);
        add("output", profile.output);
    }
    session.output().begin(columns);
    session.output().rows("[" + rows + "]");
    session.output().end();
}

}  // namespace

void add_config_commands(Commands& commands) {
    CLI::App& config = commands.group("config", "Name servers by profiles");
    const auto setting = std::make_shared<std::string>();
    const auto value = std::make_shared<std::string>();
    CLI::App& set =
        commands.add(config, "set", "Set something in the profile (that of --profile, or default)",
                     "  couponctl config set server https://coupons.example --profile shop\n"
                     "  couponctl --profile shop ping\n",
                     [=](Session& session) { change(session, *setting, *value); });
    set.add_option("SETTING", *setting, "What to set")
        ->required()
        ->check(CLI::IsMember({"server", "root_certificate", "output"}));
    set.add_option("VALUE", *value, "What it is to be")->required();
    const auto unset_setting = std::make_shared<std::string>();
    CLI::App& unset =
        commands.add(config, "unset", "Take a setting out of the profile", "",
                     [=](Session& session) { change(session, *unset_setting, std::nullopt); });
    unset.add_option("SETTING", *unset_setting, "What to unset")
        ->required()
        ->check(CLI::IsMember({"server", "root_certificate", "output"}));
    commands.add(config, "list", "List the profiles and what they set", "", list);
    commands.add(config, "path", "Print where the file is", "", [](Session& session) {
        session.output().print(Profiles::usual_path().string() + "\n");
    });
}

}  // namespace coupond::ctl
