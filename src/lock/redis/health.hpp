// Tells the log when the locks stop working and when they work again; not in between.
#pragma once

#include <string>
#include <string_view>

#include "base/log.hpp"

namespace coupond::redis {

/// What a call was there for. A Redis that takes no changes may still answer questions; then the
/// locks do not work until it takes changes again.
enum class Purpose { question, change };

class Health {
public:
    Health(std::string name, std::string_view side) : name_(std::move(name)), side_(side) {}

    void failed(Purpose purpose, const std::string& reason) {
        if (!failing_) {
            log::error("the locks do not work",
                       {{"side", side_}, {"reason", reason}, {"where", name_}});
        }
        failing_ = true;
        refuses_changes_ = refuses_changes_ || purpose == Purpose::change;
    }

    void worked(Purpose purpose) {
        if (!failing_ || (refuses_changes_ && purpose == Purpose::question)) return;
        log::info("the locks work again", {{"side", side_}, {"where", name_}});
        failing_ = refuses_changes_ = false;
    }

private:
    const std::string name_;
    const std::string_view side_;
    bool failing_ = false;
    bool refuses_changes_ = false;
};

}  // namespace coupond::redis
