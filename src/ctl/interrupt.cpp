#include "ctl/interrupt.hpp"

#include <fcntl.h>
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
    for (const int number : {SIGINT, SIGTERM}) {
        struct sigaction before {};
        sigaction(number, nullptr, &before);
        // In the background of a script, Ctrl-C is for others.
        if (before.sa_handler != SIG_IGN) sigaddset(&asked, number);
    }
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

File::File(const std::string& name)
    // A named pipe would be waited for in open(), where nothing ends that.
    : name_(name),
      fd_(name == "-" ? STDIN_FILENO : open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd_ < 0) {
        throw wrong_usage("cannot read " + name + ": " + std::strerror(errno),
                          "name a file that you may read, or - for standard input");
    }
}

File::~File() {
    if (fd_ != STDIN_FILENO) close(fd_);
}

void File::read(const std::stop_token& stop, std::string& to) const {
    constexpr std::size_t most = 256 * 1024;
    for (;;) {
        wait_for_input(fd_, stop);
        const std::size_t before = to.size();
        to.resize(before + most);
        const ssize_t size = ::read(fd_, to.data() + before, most);
        to.resize(before + static_cast<std::size_t>(std::max<ssize_t>(0, size)));
        if (size >= 0) return;
        if (errno == EAGAIN || errno == EINTR) continue;
        throw wrong_usage("cannot read " + name_ + ": " + std::strerror(errno),
                          "name a file that you may read, or - for standard input");
    }
}

}  // namespace coupond::ctl
