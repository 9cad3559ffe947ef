#include "support.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <stdexcept>
#include <utility>

namespace coupond::http::test {
namespace {

std::string show(const Request& request) {
    std::string text = "type=" + std::string(request.content_type);
    for (const std::string& param : request.path_params) text += "|" + param;
    for (const wire::QueryParam& param : request.query) {
        text += "?" + param.name + "=" + param.value;
    }
    return text;
}

}  // namespace

Bounds patient() {
    Bounds bounds;
    bounds.sweep_ms = 5;
    return bounds;
}

wire::Answer text_answer(std::string body, int status) {
    wire::Answer answer;
    answer.status = status;
    answer.body = std::move(body);
    return answer;
}

wire::Answer pieces_answer(int count, std::size_t size, std::shared_ptr<std::atomic<int>> pulled) {
    wire::Answer answer;
    answer.body = [count, size, pulled = std::move(pulled)](std::string& out) {
        if (*pulled == count) return wire::Rest::none;
        out.append(size, static_cast<char>('a' + *pulled % 26));
        return ++*pulled < count ? wire::Rest::more : wire::Rest::none;
    };
    return answer;
}

Router usual_routes() {
    Router router;
    router.add("GET", "/ping",
               [](const Request&, const Responder& to) { to.send(text_answer("pong")); });
    router.add("POST", "/echo", [](const Request& request, const Responder& to) {
        to.send(text_answer(std::string(request.body), 201));
    });
    const auto show_it = [](const Request& request, const Responder& to) {
        to.send(text_answer(show(request)));
    };
    router.add("GET", "/show/:one/:two", show_it);
    router.add("POST", "/show/:one/:two", show_it);
    return router;
}

TestServer::TestServer(Router router, Bounds bounds, std::string host, const Clock* clock)
    : server_(std::make_unique<Server>(
          io_, Options{.host = std::move(host), .port = 0, .bounds = bounds, .clock = clock},
          std::move(router))),
      port_(server_->port()) {
    server_->start();
    thread_ = std::thread([this] {
        const auto work = boost::asio::make_work_guard(io_);
        io_.run();
    });
}

TestServer::~TestServer() {
    run([this] { server_.reset(); });
    io_.stop();
    thread_.join();
}

void TestServer::run(const std::function<void()>& task) {
    std::promise<void> finished;
    boost::asio::post(io_, [&] {
        task();
        finished.set_value();
    });
    finished.get_future().wait();
}

std::shared_ptr<std::atomic<bool>> TestServer::drain(int grace_ms) {
    auto done = std::make_shared<std::atomic<bool>>(false);
    run([&] { server_->drain(grace_ms, [done] { *done = true; }); });
    return done;
}

std::string Response::field(const std::string& name) const {
    return fields.count(name) == 1 ? fields.find(name)->second : "";
}

Client::Client(const TestServer& server) : Client(server.port()) {}

Client::Client(std::uint16_t port, int receive_buffer_bytes)
    : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0) {
        setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                   sizeof receive_buffer_bytes);
    }
    const timeval patience = {.tv_sec = 10, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr generic;
    std::memcpy(&generic, &address, sizeof generic);
    if (::connect(socket_, &generic, sizeof generic) != 0) {
        ::close(socket_);
        throw std::runtime_error(std::strerror(errno));
    }
}

Client::~Client() {
    ::close(socket_);
}

bool Client::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void Client::finish_sending() {
    ::shutdown(socket_, SHUT_WR);
}

bool Client::fill() {
    char bytes[65536];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
}

std::optional<std::string> Client::line() {
    for (;;) {
        const std::size_t end = buffer_.find("\r\n");
        if (end != std::string::npos) {
            std::string found = buffer_.substr(0, end);
            buffer_.erase(0, end + 2);
            return found;
        }
        if (!fill()) return {};
    }
}

std::string Client::read_bytes(std::size_t size) {
    while (buffer_.size() < size && fill()) {
    }
    std::string bytes = buffer_.substr(0, size);
    buffer_.erase(0, bytes.size());
    return bytes;
}

Response Client::read(bool to_head) {
    Response response;
    const auto status_line = line();
    if (!status_line || !status_line->starts_with("HTTP/1.1 ")) return {};
    response.head = *status_line + "\n";
    for (;;) {
        const auto field = line();
        if (!field) return {};
        if (field->empty()) break;
        response.head += *field + "\n";
        const std::size_t colon = field->find(": ");
        std::string name = field->substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        response.fields.emplace(name, field->substr(colon + 2));
    }
    response.status = std::stoi(status_line->substr(9, 3));
    if (to_head || response.status == 100) return response;
    if (response.field("transfer-encoding") == "chunked") {
        read_chunks(response);
    } else if (response.fields.contains("content-length")) {
        const std::size_t size = std::stoul(response.field("content-length"));
        response.body = read_bytes(size);
        if (response.body.size() < size) response.status = 0;
    } else {
        response.body = read_bytes(SIZE_MAX);
    }
    return response;
}

std::optional<std::string> Client::read_chunk() {
    const auto size_line = line();
    if (!size_line) return {};
    const std::size_t size = std::stoul(*size_line, nullptr, 16);
    std::string chunk = read_bytes(size);
    const auto end = line();
    if (chunk.size() < size || !end || !end->empty()) return {};
    return chunk;
}

void Client::read_chunks(Response& response) {
    for (;;) {
        const auto chunk = read_chunk();
        if (!chunk) break;
        response.body += *chunk;
        if (chunk->empty()) return;
    }
    response.status = 0;
}

Response Client::ask(std::string_view request, bool to_head) {
    send(request);
    return read(to_head);
}

bool Client::sees_end() {
    if (!buffer_.empty()) return false;
    char byte;
    return ::recv(socket_, &byte, 1, 0) == 0;
}

bool Client::is_cut() {
    char bytes[65536];
    for (;;) {
        const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
        if (got == 0) return true;
        if (got < 0) return errno == ECONNRESET;
    }
}

bool Client::sees_nothing(int for_ms) {
    pollfd readable = {.fd = socket_, .events = POLLIN, .revents = 0};
    return buffer_.empty() && ::poll(&readable, 1, for_ms) == 0;
}

std::string get(std::string_view target, std::string_view more_fields) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n" + std::string(more_fields) +
           "\r\n";
}

std::string post(std::string_view target, std::string_view body, std::string_view more_fields) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(more_fields) + "\r\n" + std::string(body);
}

bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

}  // namespace coupond::http::test
