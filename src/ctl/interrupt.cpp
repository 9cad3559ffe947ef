#include "ctl/interrupt.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>

#include "base/limits.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {

std::stop_token stop_on_interrupt() {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGINT);
    sigaddset(&asked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &asked, nullptr);
    // Outlives everything else: the thread may still wait when main() has returned.
    auto* const source = new std::stop_source;
    std::thread([asked, source] {
        int number = 0;
        sigwait(&asked, &number);
        source->request_stop();
        sigwait(&asked, &number);
        constexpr std::string_view message = "\ncouponctl: interrupted\n";
        [[maybe_unused]] const ssize_t told = write(STDERR_FILENO, message.data(), message.size());
        _exit(exit_status::interrupted);
    }).detach();
    return source->get_token();
}

bool pause(std::chrono::milliseconds time, const std::stop_token& stop) {
    using std::chrono::steady_clock;
    constexpr std::chrono::milliseconds step{limits::client_stop_ms};
    for (const auto until = steady_clock::now() + time; steady_clock::now() < until;) {
        if (stop.stop_requested()) return false;
        std::this_thread::sleep_until(std::min(until, steady_clock::now() + step));
    }
    return !stop.stop_requested();
}

void wait_for_input(int fd, const std::stop_token& stop) {
    for (;;) {
        if (stop.stop_requested()) throw Quit(exit_status::interrupted, "interrupted", "");
        pollfd input{fd, POLLIN, 0};
        // What cannot be waited for is read at once, and tells what is wrong with it.
        if (poll(&input, 1, limits::client_stop_ms) != 0) return;
    }
}

void read_some(int fd, const std::string& name, const std::stop_token& stop, std::string& to) {
    constexpr std::size_t most = 256 * 1024;
    wait_for_input(fd, stop);
    const std::size_t before = to.size();
    to.resize(before + most);
    const ssize_t size = read(fd, to.data() + before, most);
    to.resize(before + static_cast<std::size_t>(std::max<ssize_t>(0, size)));
    if (size < 0) {
        throw wrong_usage("cannot read " + name + ": " + std::strerror(errno),
                          "see that it is a file that you may read");
    }
}

}  // namespace coupond::ctl
