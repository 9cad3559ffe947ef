// A real server on its own thread, and clients that say exactly what they are told to.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "http/http.hpp"

namespace coupond::http::test {

/// Time-outs long enough for a busy machine; tests of one shorten that one.
Bounds patient();

wire::Answer text_answer(std::string body, int status = 200);

/// A body of `count` pieces of `size` bytes each; counts in `pulled` what was asked for.
wire::Answer pieces_answer(int count, std::size_t size, std::shared_ptr<std::atomic<int>> pulled);

/// Routes every test may use: GET /ping, POST /echo (the body back), GET and POST /show/:one/:two
/// (parameters, query, content type and id as text), GET /large/… see support.cpp.
Router usual_routes();

class TestServer {
public:
    explicit TestServer(Router router = usual_routes(), Bounds bounds = patient(),
                        std::string host = "127.0.0.1", const Clock* clock = nullptr);
    ~TestServer();

    std::uint16_t port() const { return port_; }

    /// Runs `task` on the network thread and waits for it.
    void run(const std::function<void()>& task);

    /// Starts to drain; the returned flag turns true when it is done.
    std::shared_ptr<std::atomic<bool>> drain(int grace_ms);

private:
    boost::asio::io_context io_{1};
    std::unique_ptr<Server> server_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

struct Response {
    int status = 0;
    std::string head;
    std::multimap<std::string, std::string> fields;  // names in lower case
    std::string body;

    /// The field's value; "" where there is none or more than one.
    std::string field(const std::string& name) const;
    bool says_close() const { return field("connection") == "close"; }
};

class Client {
public:
    explicit Client(const TestServer& server);
    explicit Client(std::uint16_t port, int receive_buffer_bytes = 0);
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    /// False where the server has closed.
    bool send(std::string_view bytes);
    void finish_sending();

    /// The next response; status 0 where the connection ends before it is whole. `to_head`: it has
    /// no body.
    Response read(bool to_head = false);
    Response ask(std::string_view request, bool to_head = false);

    /// The next chunk of a body; "" for the last one, nothing where the connection ends before.
    std::optional<std::string> read_chunk();

    /// Up to `size` bytes, fewer only at the end.
    std::string read_bytes(std::size_t size);

    /// Whether the server closes in order (not by a reset) without another byte, within five
    /// seconds.
    bool sees_end();
    /// Whether the connection ends, in whatever way.
    bool is_cut();
    /// Whether nothing comes, and the connection stays, for a while.
    bool sees_nothing(int for_ms = 50);

    int descriptor() const { return socket_; }

private:
    bool fill();
    std::optional<std::string> line();
    void read_chunks(Response& response);

    int socket_;
    std::string buffer_;
};

std::string get(std::string_view target, std::string_view more_fields = "");
std::string post(std::string_view target, std::string_view body, std::string_view more_fields = "");

/// Waits up to five seconds for it.
bool eventually(const std::function<bool()>& condition);

}  // namespace coupond::http::test
