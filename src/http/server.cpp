#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <charconv>
#include <chrono>
#include <new>
#include <string>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "http/connection.hpp"
#include "http/response.hpp"
#include "http/state.hpp"

namespace coupond::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Descriptors that are not connections: databases, logs, and what else a process has open.
constexpr std::size_t other_descriptors = 256;

std::int64_t steady_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

void raise_descriptor_limit(std::size_t needed) {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return;
    limit.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < needed) {
        log::warn("too few open files are allowed for all connections",
                  {{"allowed", static_cast<std::int64_t>(limit.rlim_cur)},
                   {"needed", static_cast<std::int64_t>(needed)}});
    }
}

std::string hex_digits(std::uint64_t number, std::size_t count) {
    std::string digits;
    for (std::size_t i = 0; i < count; ++i) {
        digits += "0123456789abcdef"[number % 16];
        number /= 16;
    }
    return digits;
}

void open_on(Acceptor& acceptor, const tcp::endpoint& endpoint) {
    acceptor.open(endpoint.protocol());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    if (endpoint.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(false));
    acceptor.bind(endpoint);
    acceptor.listen();
    acceptor.non_blocking(true);
}

}  // namespace

Server::State::State(asio::io_context& context, Options with, Router routes)
    : io(context),
      options(std::move(with)),
      router(std::move(routes)),
      request_id_prefix(hex_digits(secure_random(), 8) + '-') {
    const Bounds& bounds = options.bounds;
    const std::size_t small_bodies = bounds.connections * small_body_bytes;
    COUPOND_CHECK(bounds.header_bytes <= ReadBuffer::max_bytes);
    COUPOND_CHECK(small_bodies <= bounds.bodies_in_flight_bytes);
    bodies_bound_bytes = bounds.bodies_in_flight_bytes - small_bodies;
}

void Server::State::listen() {
    error_code last_error = asio::error::host_not_found;
    const auto endpoints = tcp::resolver(io).resolve(
        options.host, std::to_string(options.port),
        tcp::resolver::passive | tcp::resolver::numeric_service, last_error);
    for (const auto& endpoint : endpoints) {
        try {
            acceptor.emplace(io);
            open_on(*acceptor, endpoint);
            port = acceptor->local_endpoint().port();
            return;
        } catch (const boost::system::system_error& error) {
            last_error = error.code();
            acceptor.reset();
        }
    }
    throw std::system_error(
        last_error, "cannot listen on " + options.host + " port " + std::to_string(options.port));
}

void Server::State::accept() {
    acceptor->async_accept([self = shared_from_this()](error_code error, Socket socket) {
        if (self->stopped) return;
        if (!error) {
            self->accept_failing = false;
            self->admit(std::move(socket));
        } else if (self->acceptor) {
            self->on_accept_failed(error);
        }
        if (self->acceptor && !self->accept_paused) self->accept();
    });
}

/// A client that has gone before it was accepted is nothing; anything else would only fail again at
/// once.
void Server::State::on_accept_failed(error_code error) {
    if (error == asio::error::connection_aborted) return;
    accept_paused = true;
    if (accept_failing) return;
    accept_failing = true;
    log::warn("cannot accept connections for the moment",
              {{"error", std::string_view(error.message())}});
}

void Server::State::admit(Socket socket) {
    const bool serve = served < options.bounds.connections;
    if (!serve && turned_away >= connections_turned_away) return;
    error_code error;
    socket.non_blocking(true, error);
    if (error) return;
    socket.set_option(tcp::no_delay(true), error);
    std::shared_ptr<Connection> connection;
    try {
        connection = std::make_shared<Connection>(shared_from_this(), std::move(socket), serve);
    } catch (const std::bad_alloc&) {
        return;
    }
    ++(serve ? served : turned_away);
    connections.push_back(*connection);
    connection->start();
}

void Server::State::on_closed(bool was_served) {
    --(was_served ? served : turned_away);
    if (draining && connections.empty()) finish_drain();
}

bool Server::State::has_room(std::size_t more) const {
    return bodies_held_bytes <= bodies_bound_bytes &&
           more <= bodies_bound_bytes - bodies_held_bytes;
}

bool Server::State::hold_body(std::size_t more) {
    if (!has_room(more)) return false;
    bodies_held_bytes += more;
    return true;
}

void Server::State::make_request_id(std::string& out) {
    std::array<char, 24> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), ++request_ids_made).ptr;
    out = request_id_prefix;
    out.append(digits.data(), end);
}

void Server::State::make_common_fields() {
    static const SystemClock system_clock;
    const Timestamp now = (options.clock == nullptr ? system_clock : *options.clock).now();
    if (now.ms / 1000 == common_fields_second) return;
    common_fields_second = now.ms / 1000;
    common_fields = "Date: " + http_date(now) + "\r\nX-Content-Type-Options: nosniff\r\n";
}

void Server::State::sweep() {
    const std::int64_t steady_now_ms = steady_ms();
    const std::int64_t passed_ms = swept_at_ms == 0 ? 0 : steady_now_ms - swept_at_ms;
    now_ms += std::min<std::int64_t>(passed_ms, 2 * options.bounds.sweep_ms);
    swept_at_ms = steady_now_ms;
    make_common_fields();
    for (auto next = connections.begin(); next != connections.end();) {
        Swept& swept = *next++;  // before it may leave the list
        if (swept.deadline_ms() <= now_ms) static_cast<Connection&>(swept).expire();
    }
    if (acceptor && accept_paused) {
        accept_paused = false;
        accept();
    }
    if (!sweep_timer) return;
    sweep_timer->expires_after(std::chrono::milliseconds(options.bounds.sweep_ms));
    sweep_timer->async_wait([self = shared_from_this()](error_code error) {
        if (!error && !self->stopped) self->sweep();
    });
}

/// Clients whose connection the kernel has set up may have sent a request already.
void Server::State::accept_backlog() {
    for (;;) {
        Socket socket(io);
        error_code error;
        acceptor->accept(socket, error);
        if (error) return;
        admit(std::move(socket));
    }
}

void Server::State::drain(int grace_ms, std::function<void()> done) {
    COUPOND_CHECK(!draining);
    draining = true;
    drained = std::move(done);
    if (acceptor) accept_backlog();
    acceptor.reset();
    for (auto next = connections.begin(); next != connections.end();) {
        Swept& swept = *next++;
        static_cast<Connection&>(swept).drain();
    }
    if (connections.empty()) return finish_drain();
    grace_timer.emplace(io, std::chrono::milliseconds(grace_ms));
    grace_timer->async_wait([self = shared_from_this()](error_code error) {
        if (!error) self->stop();
    });
}

void Server::State::finish_drain() {
    if (drained) asio::post(io, std::exchange(drained, nullptr));
    stop();
}

void Server::State::stop() {
    stopped = true;
    acceptor.reset();
    sweep_timer.reset();
    grace_timer.reset();
    while (!connections.empty()) static_cast<Connection&>(connections.front()).close();
}

Server::Server(asio::io_context& io, Options options, Router router)
    : state_(std::make_shared<State>(io, std::move(options), std::move(router))) {
    raise_descriptor_limit(state_->options.bounds.connections + connections_turned_away +
                           other_descriptors);
    state_->listen();
}

Server::~Server() {
    state_->drained = nullptr;
    state_->stop();
}

std::uint16_t Server::port() const {
    return state_->port;
}

void Server::start() {
    state_->sweep_timer.emplace(state_->io);
    state_->sweep();
    state_->accept();
}

void Server::drain(int grace_ms, std::function<void()> done) {
    state_->drain(grace_ms, std::move(done));
}

}  // namespace coupond::http
