#include "net/resolver.hpp"

#include <netdb.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

namespace coupond::net {

struct Resolver::Question {
    std::mutex mutex;
    std::condition_variable answered;
    bool done = false;
    int error = 0;
    std::vector<Address> addresses;

    /// Asks and waits, without limits in time unless the host is numeric.
    void ask(const std::string& host, std::uint16_t port, int flags) {
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = flags | AI_NUMERICSERV;
        addrinfo* first = nullptr;
        const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
        const std::lock_guard lock(mutex);
        error = code;
        if (code == 0) {
            for (const addrinfo* one = first; one != nullptr; one = one->ai_next) {
                Address& address = addresses.emplace_back();
                std::memcpy(&address.socket_address, one->ai_addr, one->ai_addrlen);
                address.size = one->ai_addrlen;
            }
            freeaddrinfo(first);
        }
        done = true;
        answered.notify_all();
    }
};

void Resolver::begin() {
    if (open_) return;
    auto question = std::make_shared<Question>();
    question->ask(host_, port_, AI_NUMERICHOST);
    if (question->error != 0) {
        question = std::make_shared<Question>();
        try {
            std::thread([question, host = host_, port = port_] {
                question->ask(host, port, 0);
            }).detach();
        } catch (const std::system_error& error) {
            throw Lost(std::string("cannot start a thread to look up the host: ") + error.what());
        }
    }
    open_ = std::move(question);
}

std::vector<Address> Resolver::wait(SteadyTime until) {
    std::unique_lock lock(open_->mutex);
    if (!open_->answered.wait_until(lock, until, [this] { return open_->done; })) return {};
    const int error = open_->error;
    std::vector<Address> addresses = std::move(open_->addresses);
    lock.unlock();
    open_.reset();
    if (error != 0) throw Lost(std::string("cannot look up the host: ") + gai_strerror(error));
    return addresses;
}

}  // namespace coupond::net
