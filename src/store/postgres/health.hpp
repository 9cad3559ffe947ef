// What the log hears of how the database is doing.
#pragma once

#include "store/postgres/error.hpp"

namespace coupond::postgres {

/// Tells the log when a side of the store stops working, and when it works again; not in between.
class Health {
public:
    void failed(const Error& error);
    void worked();
    bool failing() const { return failing_; }

private:
    bool failing_ = false;
};

}  // namespace coupond::postgres
