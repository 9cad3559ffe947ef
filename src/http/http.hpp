// An HTTP/1.1 server: accepts, parses, routes, times out and limits. Knows nothing of coupons.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "wire/wire.hpp"

namespace coupond::http {

/// One request as its route's handler sees it. Owned by its connection: it, and every view into it,
/// stays as it is until the answer was handed to the Responder. A BodySource must not look back at
/// it.
struct Request {
    std::string_view method;
    std::string_view target;        ///< path and query, as they were sent
    std::string_view content_type;  ///< "" where there is none
    /// The Idempotency-Key field as it was sent; of several the values with commas between them.
    std::optional<std::string_view> idempotency_key;
    /// The Last-Event-ID field, likewise.
    std::optional<std::string_view> last_event_id;
    std::string_view accept;           ///< that field, likewise; "" where there is none
    std::string_view accept_encoding;  ///< the same of Accept-Encoding
    std::string_view body;             ///< whole; chunked bodies are put together
    std::string_view
        request_id;  ///< the client's X-Request-Id where it is a fit one, else made here
    std::vector<std::string> path_params;  ///< percent-decoded, in the route's order
    wire::Query query;                     ///< percent-decoded, in the order sent
};

class Connection;

/// Takes the one answer to a request. Copyable and cheap; keeps the connection's memory alive.
class Responder {
public:
    Responder(std::shared_ptr<Connection> connection, std::uint64_t request_number);

    /// To be called exactly once per request, on the network thread, at any later time or within
    /// the handler; a second time aborts. A client that has gone meanwhile is no error: the answer
    /// is dropped. Where no Responder is left and none was called (the process is stopping), the
    /// client sees the connection close.
    void send(wire::Answer answer) const;

    /// A body that has said Rest::later or Rest::soon goes on: its source is asked again, within
    /// the call. On the network thread; as often as one likes, and with no effect while the source
    /// waits for nothing. At a drain the source is asked once more, and where it has nothing later,
    /// its body ends.
    void wake() const;

    /// A BodySink that has returned false is handed on what comes, within the call. On the network
    /// thread; as often as one likes, and with no effect once all is handed over. One that comes
    /// while BodySink::take() still runs counts for it.
    void read_on() const;

private:
    std::shared_ptr<Connection> connection_;
    std::uint64_t request_number_;
};

/// Called on the network thread. Must not throw: std::bad_alloc answers 503 `overloaded` and closes
/// the connection, anything else is a bug and ends the process.
using Handler = std::function<void(const Request&, Responder)>;

/// Takes a body as it arrives, so that it never stands in memory whole. All on the network thread.
///
/// Its request may be answered at any time. Before the end, nothing more is handed over after that,
/// and where more of the body was to come, the connection is closed behind the answer. Destroyed
/// once its request is answered or it was ended or lost, be it within Responder::send() or
/// read_on(), but never within take(), end() or lose(). What take() or end() throws counts as
/// thrown by a Handler; after take(), lose() follows.
class BodySink {
public:
    virtual ~BodySink() = default;

    /// The next piece, of 1 to 64 KiB (ReadBuffer::max_bytes) bytes, gone after the call. False: it
    /// has taken it, but nothing more is read or handed over until Responder::read_on().
    virtual bool take(std::string_view piece) = 0;

    /// The body has come whole. From here on its answer is waited for as a Handler's.
    virtual void end() = 0;

    /// It will not come whole: the client has gone or brought nothing for Bounds::request_ms, broke
    /// the protocol or sent more than the bound, or the server stops (a drain leaves it
    /// Bounds::linger_ms). Nothing follows, and an answer is dropped: the client that is still
    /// there has been told.
    virtual void lose() noexcept = 0;
};

/// Looks at a request whose body, if it has one, is still to come, and says who takes it. Null
/// where it has answered already, or else where the body is gathered, as any other, for the Handler
/// of the same method and path (404 `route_not_found` without one). May throw what a Handler may.
using SinkMaker = std::function<std::unique_ptr<BodySink>(const Request&, const Responder&)>;

/// Which handler serves which method and path.
class Router {
public:
    /// `path` is a template such as `/coupon/lock/:code`: a segment that starts with a colon stands
    /// for any one non-empty segment, handed over percent-decoded. GET routes serve HEAD as well. A
    /// literal segment wins over a parameter, the leftmost first. The first route of two equal ones
    /// stays.
    void add(std::string_view method, std::string_view path, Handler handler);

    /// A route whose bodies may be taken as they arrive; there may be a Handler beside it. Bodies
    /// of more than `body_bytes` are refused with 413, those whose length is known without asking
    /// the maker; Bounds::body_bytes is for what the Handler gets.
    void add_stream(std::string_view method, std::string_view path, SinkMaker make_sink,
                    std::uint64_t body_bytes);

    struct Route;  ///< private to http/

    /// The route for a method and the decoded segments of a path; null where there is none.
    const Route* find(std::string_view method, std::span<const std::string_view> segments) const;

private:
    const Route* find_exactly(std::string_view method,
                              std::span<const std::string_view> segments) const;
    void put(Route&& route);

    std::vector<std::shared_ptr<const Route>> routes_;  // the more literal ones first
};

/// What a server puts up with. Others than these defaults are for tests.
struct Bounds {
    std::size_t connections = limits::connections;
    std::size_t header_bytes = limits::header_bytes;
    std::size_t body_bytes = limits::body_bytes;
    std::size_t bodies_in_flight_bytes = limits::bodies_in_flight_bytes;
    int idle_ms = limits::idle_seconds * 1000;
    int request_ms =
        limits::request_seconds * 1000;  ///< to come whole; a BodySink's: for its next bytes
    int response_stall_ms = limits::response_stall_seconds * 1000;
    int linger_ms = limits::linger_seconds * 1000;
    int sweep_ms = 250;  ///< how often time-outs are looked at: they strike late by up to this
};

struct Options {
    std::string
        host;  ///< an address or a name to listen on; of several addresses the first to be had
    std::uint16_t port = 0;  ///< 0: any free one
    Bounds bounds = {};
    const Clock* clock =
        nullptr;  ///< for the Date header; outlives the server; null: the machine's
};

/// Serves the routes on one thread: the one that runs `io`. To be destroyed before `io`; Responders
/// may outlive both.
class Server {
public:
    /// Throws std::system_error where the address cannot be had (in use, not permitted,
    /// unknown host). Raises the soft limit of open files as far as its connections need and the
    /// hard limit lets it.
    Server(boost::asio::io_context& io, Options options, Router router);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// The port it listens on.
    std::uint16_t port() const;

    /// Starts accepting. On the network thread, or before it runs.
    void start();

    /// Stops accepting, closes idle connections, and lets requests that have arrived whole be
    /// answered with `Connection: close`; `done` is called on the network thread once no connection
    /// is left, or after `grace_ms`, when what is left has been cut off. Once, on the network
    /// thread.
    void drain(int grace_ms, std::function<void()> done);

    struct State;  ///< what its connections share; private to http/

private:
    std::shared_ptr<State> state_;
};

}  // namespace coupond::http
