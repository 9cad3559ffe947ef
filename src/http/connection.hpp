// One client's connection: requests in, answers out, strictly one after the other.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/head.hpp"
#include "http/http.hpp"
#include "http/read_buffer.hpp"
#include "http/response.hpp"
#include "http/state.hpp"
#include "http/target.hpp"

namespace coupond::http {

/// At any time it either waits for exactly one thing - bytes to read, room to write, its handler's
/// answer, an answer's next piece, its sink's word to read on - or is closed. Whoever it waits for
/// keeps it alive. The answer to a request that a sink takes may come meanwhile, too.
class Connection final : public Swept, public std::enable_shared_from_this<Connection> {
public:
    /// `served` says whether it will be, or turned away. It is in the state's list until it is
    /// closed.
    Connection(std::shared_ptr<Server::State> state, Socket socket, bool served);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// Takes requests from here on, or answers 503 `overloaded` at once and closes.
    void start() noexcept;

    /// Hands over the answer to request `request_number`; see Responder.
    void send(wire::Answer&& answer, std::uint64_t request_number) noexcept;

    /// Asks the body of the answer to that request again where it waits; see Responder.
    void wake(std::uint64_t request_number) noexcept;

    /// Goes on with the body of that request where its sink waits; see Responder.
    void read_on(std::uint64_t request_number) noexcept;

    /// Its deadline has passed.
    void expire();

    /// Closes if no request is under way; otherwise the answer to it will be the last. A body that
    /// waits ends.
    void drain();

    /// Closes at once, whatever is under way.
    void close();

private:
    enum class Phase {
        head,       ///< waiting for a request, or for the rest of its head
        body,       ///< waiting for the rest of its body
        stream,     ///< likewise, for its sink
        paused,     ///< waiting until its sink wants more
        ready,      ///< it is whole
        handling,   ///< waiting for the handler's answer
        writing,    ///< waiting for the client to take what is in out_ and tail_
        waiting,    ///< all that there is of a body is written; its source will be woken
        lingering,  ///< all is said; reading on so that the client sees it rather than a reset
        closed,
    };
    enum class AfterWrite { next_request, read_body, next_piece, linger, abort };

    void run() noexcept;
    void advance();

    // Reading.
    void read();
    void on_read(boost::system::error_code error, std::size_t size);
    bool skip_empty_lines();
    bool take_head();
    void begin_request();
    void take_request_id();
    void accept_head();
    void expect_body();
    void await_body(Phase phase);
    bool take_body();
    bool hold_body(std::size_t bytes);
    bool is_idle() const;
    void release_body();
    void show_request();
    void dispatch();
    template <class Call>
    bool call_out(const Call& call) noexcept;
    void disown();

    // Reading for a sink.
    struct Stream {
        std::unique_ptr<BodySink> sink;
        std::optional<wire::Answer> answer;  // that has come before the body's end
        bool reads_on = false;               // Responder::read_on() was called
    };
    bool open_stream();
    bool stream_body();
    bool take_piece();
    void end_stream();
    void cut_stream(wire::Answer&& answer);
    void answer_early();
    void lose_stream();

    // Answering.
    void refuse(const Refusal& refusal, bool close);
    void refuse_route(bool close);
    void refuse_overload();
    void answer(wire::Answer&& answer, bool close);
    void log_answer(int status) const;
    bool write();
    std::size_t write_now(boost::system::error_code& error);
    void write_later();
    std::array<boost::asio::const_buffer, 2> unwritten() const;
    void on_written(boost::system::error_code error, std::size_t size);
    bool after_write();
    void pull_piece();
    void next_piece();
    void watch_client();
    bool has_gone();
    void finish_request();
    void begin_linger();
    void abort();
    void reset_on_close();

    void set_deadline(int from_now_ms);

    const std::shared_ptr<Server::State> state_;
    const bool served_;
    std::optional<Socket>
        socket_;  // gone once closed, so that a late Responder needs no io_context
    Phase phase_ = Phase::head;

    // The request.
    ReadBuffer buffer_;
    HeadScanner scanner_;
    Head head_;
    Target target_;
    std::optional<RequestParser> parser_;
    std::string body_;
    std::unique_ptr<Stream> stream_;  // until its body has come, is answered or lost
    std::size_t body_held_bytes_ = 0;
    std::string request_id_;
    Request request_;
    const Router::Route* route_ = nullptr;
    std::uint64_t request_number_ = 0;
    std::chrono::steady_clock::time_point began_at_;  // where the log wants to know
    bool request_begun_ = false;                      // a byte of it has come
    bool timed_out_ = false;
    bool awaits_answer_ = false;  // the handler has been called, send() has not
    bool disowned_ = false;  // the handler threw, the sink has lost: what is still said is dropped
    bool dispatching_ = false;  // within the handler or sink

    // The answer.
    std::string out_;          // head and small bodies
    std::string tail_;         // large bodies and pieces
    std::size_t written_ = 0;  // of both
    wire::BodySource source_;
    bool chunked_ = false;
    bool waits_ = false;     // the source has nothing now
    bool watching_ = false;  // for the client's end
    bool last_answer_ = false;
    AfterWrite after_write_ = AfterWrite::next_request;
};

}  // namespace coupond::http
