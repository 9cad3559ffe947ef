// Between a store and its PostgreSQL server: loses what a test wants lost.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace coupond::test {

class Proxy {
public:
    enum class Mode {
        pass,
        down,           ///< takes no connections, ends those there are
        lose_copy,      ///< what is copied does not reach the server: both sides are closed
        lose_commit,    ///< a COMMIT does not reach the server: both sides are closed
        lose_answer,    ///< the server commits, but the answer is lost with the connection
        leave_running,  ///< the client's side is closed at a COMMIT, the server's is not
        stay_silent,    ///< the server commits, but no answer comes
        hang,           ///< nothing is handed on any more
    };

    /// `url`: the server's, as postgresql://…@host:port/….
    explicit Proxy(const std::string& url) : url_(url) {
        const std::size_t at = url.find('@');
        begin_ = at == std::string::npos ? url.find("//") + 2 : at + 1;
        end_ = std::min({url.find('/', begin_), url.find('?', begin_), url.size()});
        const std::string address = url.substr(begin_, end_ - begin_);
        const std::size_t colon = address.rfind(':');
        host_ = address.substr(0, colon);
        port_ = colon == std::string::npos ? "5432" : address.substr(colon + 1);
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in local{};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (bind(listener_, reinterpret_cast<sockaddr*>(&local), sizeof local) != 0 ||
            listen(listener_, 16) != 0) {
            throw std::runtime_error("cannot listen");
        }
        socklen_t size = sizeof local;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&local), &size);
        own_port_ = ntohs(local.sin_port);
        thread_ = std::thread([this] { run(); });
    }

    ~Proxy() {
        stopping_ = true;
        thread_.join();
        for (Pair& pair : pairs_) close_both(pair);
        close(listener_);
    }

    /// The server's URL, by way of the proxy.
    std::string url() const {
        return url_.substr(0, begin_) + "127.0.0.1:" + std::to_string(own_port_) +
               url_.substr(end_);
    }

    /// Makes the mode `down`, and waits until all connections have ended.
    void take_down() {
        mode = Mode::down;
        while (!is_down_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    /// Waits until all connections have ended, whoever has ended them.
    void wait_until_unused() {
        while (is_used_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }

    /// The modes that lose something do so once, then pass on.
    std::atomic<Mode> mode = Mode::pass;

private:
    struct Pair {
        int client = -1, server = -1;
        bool lose_answer = false, silent = false;
    };

    static void close_one(int& socket) {
        if (socket >= 0) close(socket);
        socket = -1;
    }
    static void close_both(Pair& pair) {
        close_one(pair.client);
        close_one(pair.server);
    }

    int connect_to_server() const {
        addrinfo hints{}, *found = nullptr;
        hints.ai_socktype = SOCK_STREAM;
        if (getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) return -1;
        int server = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(server, found->ai_addr, found->ai_addrlen) != 0) close_one(server);
        freeaddrinfo(found);
        return server;
    }

    void run() {
        while (!stopping_) {
            std::vector<pollfd> polled{{listener_, POLLIN, 0}};
            for (const Pair& pair : pairs_) {
                polled.push_back({pair.client, POLLIN, 0});
                polled.push_back({pair.server, POLLIN, 0});
            }
            poll(polled.data(), polled.size(), 5);
            const bool down = mode == Mode::down;
            if (down) {
                for (Pair& pair : pairs_) close_both(pair);
                pairs_.clear();
            }
            is_down_ = down;
            if (mode == Mode::hang) {
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
                continue;
            }
            for (std::size_t i = 0; i < pairs_.size(); ++i) {
                if (polled[2 * i + 1].revents != 0) from_client(pairs_[i]);
                if (polled[2 * i + 2].revents != 0) from_server(pairs_[i]);
            }
            if (polled[0].revents != 0) {
                const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
                Pair pair{client, mode == Mode::down ? -1 : connect_to_server()};
                if (pair.server < 0) close_one(pair.client);
                if (pair.client >= 0) pairs_.push_back(pair);
            }
            is_used_ = std::ranges::any_of(pairs_, [](const Pair& it) { return it.client >= 0; });
        }
    }

    static bool hand_on(int to, std::string_view bytes) {
        return send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
    }

    void from_client(Pair& pair) {
        std::string bytes(1 << 20, '\0');
        const ssize_t size = recv(pair.client, bytes.data(), bytes.size(), 0);
        if (size <= 0) return close_both(pair);
        bytes.resize(static_cast<std::size_t>(size));
        if (mode == Mode::lose_copy && bytes.find("PGCOPY") != std::string::npos) {
            mode = Mode::pass;
            return close_both(pair);
        }
        if (bytes.find(std::string_view("COMMIT\0", 7)) != std::string::npos) {
            const Mode now = mode;
            if (now == Mode::lose_commit || now == Mode::lose_answer ||
                now == Mode::leave_running || now == Mode::stay_silent) {
                mode = Mode::pass;
            }
            if (now == Mode::lose_commit) return close_both(pair);
            pair.lose_answer = now == Mode::lose_answer;
            pair.silent = now == Mode::stay_silent;
            if (now == Mode::leave_running) close_one(pair.client);
        }
        if (!hand_on(pair.server, bytes)) close_both(pair);
    }

    void from_server(Pair& pair) {
        std::string bytes(1 << 20, '\0');
        const ssize_t size = recv(pair.server, bytes.data(), bytes.size(), 0);
        if (size <= 0) return close_both(pair);
        bytes.resize(static_cast<std::size_t>(size));
        if (pair.lose_answer) return close_both(pair);
        if (pair.silent || pair.client < 0) return;
        if (!hand_on(pair.client, bytes)) close_both(pair);
    }

    std::string url_, host_, port_;
    std::size_t begin_ = 0, end_ = 0;
    int listener_ = -1;
    int own_port_ = 0;
    std::atomic<bool> stopping_ = false;
    std::atomic<bool> is_down_ = false;
    std::atomic<bool> is_used_ = false;
    std::vector<Pair> pairs_;
    std::thread thread_;
};

}  // namespace coupond::test
