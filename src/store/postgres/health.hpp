// What the log hears of how the database is doing.
#pragma once

#include <string_view>

#include "store/postgres/error.hpp"

namespace coupond::postgres {

/// Tells the log when a side of the store stops working, and when it works again; not in between.
class Health {
public:
    explicit Health(std::string_view side) : side_(side) {}

    void failed(const Error& error);
    void worked();
    bool failing() const { return failing_; }

private:
    const std::string_view side_;
    bool failing_ = false;
};

}  // namespace coupond::postgres
