// The two sides of the port, on connections of their own to the same file. Both throw Error when
// they cannot open it.
#pragma once

#include <memory>
#include <string>

#include "store/store.hpp"

namespace coupond::sqlite {

class Error;

std::unique_ptr<Store> make_store(const std::string& path);
std::unique_ptr<ReadStore> make_read_store(const std::string& path);

/// What an Error means to the port. Ends the process where the file can no longer be trusted.
Failure classify(const Error& error);

/// Tells the log when a side of the store stops working, and when it works again; not in between.
class Health {
public:
    void failed(const Error& error);
    void worked();
    bool failing() const { return failing_; }

private:
    bool failing_ = false;
};

}  // namespace coupond::sqlite
