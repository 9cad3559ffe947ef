// What the connections of a server share. Private to http/.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http/http.hpp"

namespace coupond::http {

// With the executor's type known, so that asynchronous operations need no type erasure.
using Executor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;
using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, Executor>;

/// Bodies of up to this size are not counted: every connection may have one, so that a few large
/// uploads never keep small requests out.
inline constexpr std::size_t small_body_bytes = 4 * 1024;
static_assert(limits::connections * small_body_bytes + limits::body_bytes <=
              limits::bodies_in_flight_bytes);

/// Connections beyond Bounds::connections that are there only to be told so; beyond these they are
/// just closed.
inline constexpr std::size_t connections_turned_away = 128;

/// Links a connection into the server's list; it unlinks itself when destroyed at the latest.
using ConnectionHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// What the sweep needs to know of a connection.
class Swept : public ConnectionHook {
public:
    static constexpr std::int64_t never = INT64_MAX;

    std::int64_t deadline_ms() const { return deadline_ms_; }

protected:
    ~Swept() = default;

    std::int64_t deadline_ms_ = never;  ///< by State::now_ms
};

struct Server::State : std::enable_shared_from_this<Server::State> {
    State(boost::asio::io_context& context, Options with, Router routes);

    void listen();
    void accept();
    void sweep();

    void admit(Socket socket);
    void accept_backlog();
    void drain(int grace_ms, std::function<void()> done);
    /// Cuts off whatever is left and ends everything that would keep the io_context running.
    void stop();
    /// To be called by a connection that has closed; `served` as it was admitted.
    void on_closed(bool served);

    /// Whether so much more of large bodies may be held. What long answers keep counts in: those to
    /// commands beyond the bound, too, so that the next large request waits for them.
    bool has_room(std::size_t more) const;
    /// Counts `more` bytes of large bodies; false, and nothing counted, where that is too much.
    bool hold_body(std::size_t more);

    /// An id for a request that came without a fit one.
    void make_request_id(std::string& out);

    void make_common_fields();
    void on_accept_failed(boost::system::error_code error);
    void finish_drain();

    boost::asio::io_context& io;
    Options options;
    Router router;
    std::optional<Acceptor> acceptor;
    std::optional<boost::asio::steady_timer> sweep_timer;
    std::optional<boost::asio::steady_timer> grace_timer;
    std::uint16_t port = 0;
    bool accept_paused = false;   // for want of descriptors, until the next sweep
    bool accept_failing = false;  // and it was said
    bool draining = false;
    bool stopped = false;
    std::function<void()> drained;

    boost::intrusive::list<Swept, boost::intrusive::constant_time_size<false>> connections;
    std::size_t served = 0;       // connections in the list that are served
    std::size_t turned_away = 0;  // and those that are there to be told of the overload
    std::size_t bodies_held_bytes = 0;
    std::size_t bodies_bound_bytes;

    // Time as deadlines see it: it moves with each sweep, and by no more than two sweeps' worth, so
    // that a process that stood still for a while does not blame its clients for it.
    std::int64_t now_ms = 0;
    std::int64_t swept_at_ms = 0;  // by the steady clock

    std::string common_fields;  // Date and X-Content-Type-Options, remade each second
    std::int64_t common_fields_second = -1;
    std::string request_id_prefix;
    std::uint64_t request_ids_made = 0;
};

}  // namespace coupond::http
