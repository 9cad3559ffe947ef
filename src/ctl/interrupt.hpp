// Ctrl-C, as a request to stop, and what waits for nothing longer than that.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>

namespace coupond::ctl {

/// From now on SIGINT and SIGTERM ask this token to stop; the second one ends the process at once.
/// To be called once, before there are other threads.
std::stop_token stop_on_interrupt();

/// Whether the time has passed; false where `stop` was asked for meanwhile.
bool pause(std::chrono::milliseconds time, const std::stop_token& stop);

/// Waits until there is something to read at `fd`, or its end. Throws Quit where `stop` is asked
/// for meanwhile.
void wait_for_input(int fd, const std::stop_token& stop);

/// A file that is read, or standard input by the name `-`. Throws Quit where it cannot be.
class File {
public:
    explicit File(const std::string& name);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// Appends the next piece; nothing at the end. Throws Quit where it cannot be read, or `stop`
    /// is asked for.
    void read(const std::stop_token& stop, std::string& to) const;

private:
    const std::string name_;
    const int fd_;
};

}  // namespace coupond::ctl
