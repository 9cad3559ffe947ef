// A server that answers by heart.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace coupond::aws {

/// Listens on a loopback port. Of each connection in turn it reads a request and gives the next
/// answer, as it stands; after the last one of a connection it closes that.
class ScriptedServer {
public:
    using Answers = std::vector<std::string>;  ///< of one connection; "" is silence

    explicit ScriptedServer(std::vector<Answers> connections)
        : connections_(std::move(connections)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const raw = reinterpret_cast<sockaddr*>(&address);
        if (bind(listener_, raw, size) != 0 || listen(listener_, 16) != 0 ||
            getsockname(listener_, raw, &size) != 0) {
            throw std::runtime_error("cannot listen");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
    }
    ~ScriptedServer() {
        thread_.request_stop();
        thread_.join();
        close(listener_);
    }
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

    /// All requests so far, as they came.
    std::vector<std::string> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }

private:
    static bool wait(int fd, const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            pollfd descriptor{fd, POLLIN, 0};
            if (poll(&descriptor, 1, 20) > 0) return true;
        }
        return false;
    }

    void serve(const std::stop_token& stop) {
        for (const Answers& answers : connections_) {
            if (!wait(listener_, stop)) return;
            const int fd = accept(listener_, nullptr, nullptr);
            for (const std::string& answer : answers) {
                if (!read_request(fd, stop)) break;
                if (answer.empty()) wait(fd, stop);
                send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            }
            close(fd);
        }
    }

    bool read_request(int fd, const std::stop_token& stop) {
        std::string text;
        for (;;) {
            const std::size_t head = text.find("\r\n\r\n");
            const std::size_t length = text.find("Content-Length: ");
            const std::size_t body = length < head ? std::stoul(text.substr(length + 16)) : 0;
            if (head != std::string::npos && text.size() >= head + 4 + body) break;
            std::array<char, 4096> bytes;
            const ssize_t size = wait(fd, stop) ? recv(fd, bytes.data(), bytes.size(), 0) : 0;
            if (size <= 0) return false;
            text.append(bytes.data(), static_cast<std::size_t>(size));
        }
        const std::lock_guard lock(mutex_);
        requests_.push_back(std::move(text));
        return true;
    }

    const std::vector<Answers> connections_;
    const int listener_;
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    std::jthread thread_;
};

}  // namespace coupond::aws
