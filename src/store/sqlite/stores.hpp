// The two sides of the port, on connections of their own to the same file. Both throw Error when
// they cannot open it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "store/store.hpp"

namespace coupond::sqlite {

class Error;
class LogSync;

/// `log_sync`: of the database.
std::unique_ptr<Store> make_store(const std::string& path, std::shared_ptr<LogSync> log_sync);
/// `cache_kib`: of pages, as they are read.
std::unique_ptr<ReadStore> make_read_store(const std::string& path, int cache_kib);

/// What an Error means to the port. Ends the process where the file can no longer be trusted.
Failure classify(const Error& error);

/// The log's name for what moves changes from the write-ahead log into the file.
inline constexpr std::string_view side_checkpoints = "checkpoints";

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

}  // namespace coupond::sqlite
