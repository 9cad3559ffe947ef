#include "net/stream.hpp"

#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace coupond::net {
namespace {

// A connection that nobody uses is noticed to be dead after some 50 seconds.
constexpr int keepalive_idle_seconds = 30;
constexpr int keepalive_interval_seconds = 10;
constexpr int keepalive_probes = 2;

[[noreturn]] void fail(const char* what, int error) {
    throw Lost(std::string(what) + ": " + std::strerror(error));
}

/// Without effect on correctness, so what the system does not support is done without.
void set_option(int fd, int level, int option, int value) {
    static_cast<void>(setsockopt(fd, level, option, &value, sizeof value));
}

}  // namespace

Stream::Stream(const Address& address, const TlsContext* tls, const std::string& host) {
    if (tls != nullptr) tls_.emplace(*tls, host);
    fd_ = socket(address.socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) fail("cannot make a socket", errno);
    set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd_, IPPROTO_TCP, TCP_KEEPIDLE, keepalive_idle_seconds);
    set_option(fd_, IPPROTO_TCP, TCP_KEEPINTVL, keepalive_interval_seconds);
    set_option(fd_, IPPROTO_TCP, TCP_KEEPCNT, keepalive_probes);
    const auto* const to = reinterpret_cast<const sockaddr*>(&address.socket_address);
    if (::connect(fd_, to, address.size) != 0 && errno != EINPROGRESS && errno != EINTR) {
        const int error = errno;
        close(fd_);
        fail("cannot connect", error);
    }
}

Stream::~Stream() {
    close(fd_);
}

bool Stream::connect(SteadyTime until) {
    if (!connect_socket(until)) return false;
    if (!tls_) return true;
    for (;;) {
        const bool done = tls_->handshake();
        tls_->take_wire(out_);
        send_some();
        if (done) return true;
        wire_.clear();
        while (!receive_wire(wire_)) {
            if (!wait(out_.empty() ? POLLIN : POLLIN | POLLOUT, until)) return false;
            send_some();
        }
        tls_->receive(wire_);
    }
}

bool Stream::connect_socket(SteadyTime until) {
    if (connected_) return true;
    if (!wait(POLLOUT, until)) return false;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) fail("cannot connect", error);
    connected_ = true;
    return true;
}

void Stream::send(std::string_view bytes) {
    if (tls_) {
        tls_->encrypt(bytes);
        tls_->take_wire(out_);
    } else {
        out_ += bytes;
    }
    send_some();
}

bool Stream::flush(std::string& to, SteadyTime until) {
    for (;;) {
        send_some();
        if (out_.empty()) return true;
        receive_some(to);
        if (!wait(POLLIN | POLLOUT, until)) return false;
    }
}

bool Stream::receive(std::string& to, SteadyTime until) {
    for (;;) {
        // What has come can be had where nothing can be sent any more.
        if (receive_some(to)) return true;
        send_some();
        if (!wait(out_.empty() ? POLLIN : POLLIN | POLLOUT, until)) return false;
    }
}

/// As much as the system takes now.
void Stream::send_some() {
    while (out_sent_ < out_.size()) {
        const ssize_t size =
            ::send(fd_, out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (size < 0) fail("cannot send", errno);
        out_sent_ += static_cast<std::size_t>(size);
        taken_ += static_cast<std::size_t>(size);
    }
    out_.clear();
    out_sent_ = 0;
}

/// Appends what has come from the wire; false where there is nothing now.
bool Stream::receive_wire(std::string& to) {
    std::array<char, 32 * 1024> bytes;
    for (;;) {
        const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
        if (size > 0) {
            to.append(bytes.data(), static_cast<std::size_t>(size));
            return true;
        }
        // TLS says itself where it ends: else somebody in between may have cut it off.
        if (size == 0 && tls_) throw Lost("the connection was closed by the other end");
        if (size == 0) throw Closed("the connection was closed by the other end");
        if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
        if (errno != EINTR) fail("cannot receive", errno);
    }
}

/// Appends what can be read now; false where that is nothing.
bool Stream::receive_some(std::string& to) {
    if (!tls_) return receive_wire(to);
    const std::size_t before = to.size();
    for (;;) {
        wire_.clear();
        if (!receive_wire(wire_)) return false;
        tls_->receive(wire_);
        const bool open = tls_->decrypt(to);
        tls_->take_wire(out_);  // what TLS itself has to say
        if (to.size() > before) return true;
        if (!open) throw Closed("the connection was closed by the other end");
    }
}

/// Whether the socket is ready for one of `events`, or broken, by `until`.
bool Stream::wait(short events, SteadyTime until) const {
    for (;;) {
        const auto left =
            std::max(std::chrono::nanoseconds(0),
                     std::chrono::nanoseconds(until - std::chrono::steady_clock::now()));
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
        const timespec timeout{seconds.count(), (left - seconds).count()};
        pollfd descriptor{fd_, events, 0};
        const int ready = ppoll(&descriptor, 1, &timeout, nullptr);
        if (ready > 0) return true;
        if (ready == 0) return false;
        if (errno != EINTR) fail("cannot wait for the network", errno);
    }
}

}  // namespace coupond::net
