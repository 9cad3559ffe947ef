#include "http/connection.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <new>
#include <utility>
#include <variant>

#include "base/check.hpp"
#include "base/log.hpp"
#include "http/router.hpp"

namespace coupond::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

/// A body of up to this size is copied behind its head, to be written as one piece.
constexpr std::size_t joined_body_bytes = 8 * 1024;

/// How much of a path is repeated in an error message.
constexpr std::size_t quoted_path_bytes = 200;
constexpr std::size_t quoted_method_bytes = 32;

constexpr Refusal request_timeout = {408, "request_timeout", "The request took too long to arrive"};

/// What counts as held until the client has taken it.
std::size_t held_by(const wire::Answer& answer) {
    const auto* const text = std::get_if<std::string>(&answer.body);
    if (text == nullptr) return answer.held_bytes;
    return text->size() <= small_body_bytes ? 0 : text->capacity();
}

}  // namespace

Responder::Responder(std::shared_ptr<Connection> connection, std::uint64_t request_number)
    : connection_(std::move(connection)), request_number_(request_number) {}

void Responder::send(wire::Answer answer) const {
    connection_->send(std::move(answer), request_number_);
}

void Responder::wake() const {
    connection_->wake(request_number_);
}

void Responder::read_on() const {
    connection_->read_on(request_number_);
}

Connection::Connection(std::shared_ptr<Server::State> state, Socket socket, bool served)
    : state_(std::move(state)), served_(served), socket_(std::move(socket)) {}

Connection::~Connection() {
    close();
    release_body();
}

void Connection::start() noexcept {
    if (served_) return run();
    try {
        begin_request();
        refuse_overload();
    } catch (const std::bad_alloc&) {
        return close();
    }
    run();
}

void Connection::expire() {
    const auto self = shared_from_this();
    switch (phase_) {
        case Phase::head:
            if (!request_begun_) return close();
            [[fallthrough]];
        case Phase::body:
        case Phase::stream: {
            deadline_ms_ = never;
            timed_out_ = true;
            error_code ignored;
            socket_->cancel(ignored);  // wakes on_read
            return;
        }
        case Phase::paused:
            deadline_ms_ = never;
            if (parser_->is_done()) return;
            timed_out_ = true;
            phase_ = Phase::stream;
            return run();
        case Phase::writing: return abort();
        case Phase::lingering: return close();
        case Phase::ready:
        case Phase::handling:
        case Phase::waiting:
        case Phase::closed: return;
    }
}

void Connection::drain() {
    const auto self = shared_from_this();
    if (is_idle()) return close();
    if (phase_ == Phase::waiting) return wake(request_number_);
    const bool arriving = phase_ == Phase::head || phase_ == Phase::body ||
                          phase_ == Phase::stream || phase_ == Phase::paused;
    if (arriving) set_deadline(state_->options.bounds.linger_ms);
}

void Connection::close() {
    if (phase_ == Phase::closed) return;
    // Where its end is that of the connection, half a body must not pass for a whole one.
    if (source_ && !chunked_) reset_on_close();
    phase_ = Phase::closed;
    deadline_ms_ = never;
    error_code ignored;
    socket_->close(ignored);
    socket_.reset();
    source_ = nullptr;
    if (!awaits_answer_) release_body();
    unlink();
    state_->on_closed(served_);
    if (stream_) lose_stream();
}

/// Closes so that the kernel, too, forgets what the client would not take.
void Connection::abort() {
    reset_on_close();
    close();
}

void Connection::reset_on_close() {
    error_code ignored;
    socket_->set_option(asio::socket_base::linger(true, 0), ignored);
}

void Connection::set_deadline(int from_now_ms) {
    deadline_ms_ = state_->now_ms + state_->options.bounds.sweep_ms + from_now_ms;
}

/// Whether it waits for a request of which nothing has come yet.
bool Connection::is_idle() const {
    if (phase_ != Phase::head || request_begun_) return false;
    error_code error;
    return socket_->available(error) == 0;
}

/// Goes on until there is something to wait for. Out of memory, it closes; what else is thrown is a
/// bug.
void Connection::run() noexcept {
    try {
        advance();
    } catch (const std::bad_alloc&) {
        close();
    }
}

void Connection::advance() {
    for (;;) {
        switch (phase_) {
            case Phase::head:
                if (!take_head()) return read();
                break;
            case Phase::body:
                if (!take_body()) return read();
                break;
            case Phase::stream:
                if (!stream_body()) return read();
                break;
            case Phase::ready: dispatch(); break;
            case Phase::paused:
            case Phase::handling:
            case Phase::waiting: return;
            case Phase::writing:
                if (!write()) return;
                break;
            case Phase::lingering: buffer_.consume(buffer_.bytes().size()); return read();
            case Phase::closed: return;
        }
    }
}

void Connection::read() {
    if (state_->draining && is_idle()) return close();
    if (deadline_ms_ == never) {
        const Bounds& bounds = state_->options.bounds;
        set_deadline(request_begun_ ? bounds.request_ms : bounds.idle_ms);
    }
    COUPOND_CHECK(buffer_.prepare());
    socket_->async_read_some(asio::buffer(buffer_.room(), buffer_.room_bytes()),
                             [self = shared_from_this()](error_code error, std::size_t size) {
                                 self->on_read(error, size);
                             });
}

void Connection::on_read(error_code error, std::size_t size) {
    if (phase_ == Phase::closed) return;
    if (error && !timed_out_ && !(stream_ && stream_->answer)) return close();
    buffer_.commit(size);
    run();
}

/// Empty lines before a request are overlooked, as RFC 9112 advises. False where nothing but such
/// is there.
bool Connection::skip_empty_lines() {
    while (buffer_.bytes().starts_with("\r\n")) buffer_.consume(2);
    return !buffer_.empty() && buffer_.bytes() != "\r";
}

/// True once the head is whole or refused, as `phase_` tells.
bool Connection::take_head() {
    if (!request_begun_) {
        if (!skip_empty_lines()) return false;
        begin_request();
    }
    if (timed_out_) {
        refuse(request_timeout, true);
        return true;
    }
    const std::string_view bytes = buffer_.bytes();
    const std::size_t bound = state_->options.bounds.header_bytes;
    HeadScanner::Found found = scanner_.scan(bytes);
    if (bytes.front() <= ' ' || bytes.front() >= '\x7f') found = HeadScanner::Found::malformed;
    if (found == HeadScanner::Found::malformed) {
        refuse(malformed_request, true);
    } else if (scanner_.size() > bound ||
               (found == HeadScanner::Found::nothing_yet && bytes.size() >= bound)) {
        refuse({431, "headers_too_large", "The request's line and headers are too large"}, true);
    } else if (found == HeadScanner::Found::end) {
        accept_head();
    } else {
        return false;
    }
    return true;
}

void Connection::begin_request() {
    request_begun_ = true;
    ++request_number_;
    deadline_ms_ = never;
    head_.clear();
    request_id_.clear();
    if (log::enabled(log::Level::debug)) began_at_ = std::chrono::steady_clock::now();
}

void Connection::accept_head() {
    const Bounds& bounds = state_->options.bounds;
    const std::size_t size = scanner_.size();
    parser_.emplace(head_, body_, bounds.header_bytes);
    const std::optional<Refusal> refusal = parser_->parse_head(buffer_.bytes().substr(0, size));
    buffer_.consume(size);
    if (refusal) return refuse(*refusal, true);

    // From here on it is known where the request ends. Refused by its head alone, it is answered
    // before its body has come, and the connection closed; without a body, the connection stays.
    const bool has_body = head_.has_body();
    const bool is_target = target_.parse(head_.target, request_.query);
    route_ = is_target ? state_->router.find(head_.method, target_.segments()) : nullptr;
    const bool may_stream = route_ != nullptr && route_->make_sink;
    if (head_.content_length > (may_stream ? route_->stream_bytes : bounds.body_bytes)) {
        return refuse(payload_too_large, true);
    }
    if (!is_target) {
        return refuse({400, "malformed_target", "The request's target is malformed"}, has_body);
    }
    if (route_ == nullptr) return refuse_route(has_body);
    if (head_.is_encoded) {
        return refuse({415, "unsupported_media_type", "Content-Encoding is not supported"},
                      has_body);
    }
    if (head_.expects_otherwise) {
        return refuse({417, "expectation_failed", "Only 100-continue can be expected"}, has_body);
    }
    if (may_stream && open_stream()) return;
    if (!route_->handler) return refuse_route(has_body);
    phase_ = Phase::ready;
    if (has_body) expect_body();
}

void Connection::expect_body() {
    const std::size_t bound = state_->options.bounds.body_bytes;
    if (head_.content_length > bound) return refuse(payload_too_large, true);
    const auto size = static_cast<std::size_t>(head_.content_length);
    if (!hold_body(size)) return refuse_overload();
    parser_->bound_body(bound);
    body_.reserve(size);
    await_body(Phase::body);
}

/// Goes on to `phase`, having told a client that wants to be told.
void Connection::await_body(Phase phase) {
    if (head_.expects_continue && head_.is_http_1_1 && buffer_.empty()) {
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        after_write_ = AfterWrite::read_body;
        phase_ = Phase::writing;
    } else {
        phase_ = phase;
    }
}

/// True once the body is whole or refused, as `phase_` tells.
bool Connection::take_body() {
    if (timed_out_) {
        refuse(request_timeout, true);
        return true;
    }
    if (buffer_.empty()) return false;
    std::optional<Refusal> refusal;
    buffer_.consume(parser_->parse_body(buffer_.bytes(), refusal));
    if (refusal) {
        refuse(*refusal, true);
    } else if (!hold_body(body_.size() <= small_body_bytes ? 0 : body_.capacity())) {
        refuse_overload();
    } else if (parser_->is_done()) {
        phase_ = Phase::ready;
    } else if (!buffer_.prepare()) {
        refuse(malformed_request, true);  // a chunk's header without end
    } else {
        return false;
    }
    return true;
}

/// Counts up to `bytes` of body as held; false where all connections together hold too much.
bool Connection::hold_body(std::size_t bytes) {
    if (bytes <= small_body_bytes || bytes <= body_held_bytes_) return true;
    if (!state_->hold_body(bytes - body_held_bytes_)) return false;
    body_held_bytes_ = bytes;
    return true;
}

void Connection::release_body() {
    state_->bodies_held_bytes -= body_held_bytes_;
    body_held_bytes_ = 0;
    if (body_.capacity() > small_body_bytes) {
        body_ = std::string();
    } else {
        body_.clear();
    }
}

void Connection::take_request_id() {
    if (!head_.request_id.empty()) {
        request_id_ = head_.request_id;
    } else if (request_id_.empty()) {
        state_->make_request_id(request_id_);
    }
}

/// Sets what a handler sees of it.
void Connection::show_request() {
    take_request_id();
    request_.method = head_.method;
    request_.target = head_.target;
    request_.content_type = head_.content_type;
    request_.idempotency_key = head_.idempotency_key;
    request_.last_event_id = head_.last_event_id;
    request_.accept = head_.accept ? std::string_view(*head_.accept) : std::string_view();
    request_.accept_encoding =
        head_.accept_encoding ? std::string_view(*head_.accept_encoding) : std::string_view();
    request_.body = body_;
    request_.request_id = request_id_;
    request_.path_params.clear();
    const auto segments = target_.segments();
    for (std::size_t i = 0; i < segments.size(); ++i) {
        if (route_->segments[i].is_parameter) request_.path_params.emplace_back(segments[i]);
    }
}

void Connection::dispatch() {
    show_request();
    deadline_ms_ = never;
    phase_ = Phase::handling;
    awaits_answer_ = true;
    const bool succeeded = call_out(
        [this] { route_->handler(request_, Responder(shared_from_this(), request_number_)); });
    if (succeeded || !awaits_answer_) return;
    disown();
    if (phase_ != Phase::closed) refuse_overload();
}

/// Calls what may answer within the call. False where it threw std::bad_alloc.
template <class Call>
bool Connection::call_out(const Call& call) noexcept {
    dispatching_ = true;
    bool succeeded = true;
    try {
        call();
    } catch (const std::bad_alloc&) {
        succeeded = false;
    }
    dispatching_ = false;
    return succeeded;
}

/// What is still said about the request is dropped.
void Connection::disown() {
    awaits_answer_ = false;
    disowned_ = true;
}

/// Asks who takes the body as it arrives. False where nobody does and nothing was answered.
bool Connection::open_stream() {
    show_request();
    stream_ = std::make_unique<Stream>();
    phase_ = Phase::stream;
    awaits_answer_ = true;
    const bool succeeded = call_out([this] {
        stream_->sink = route_->make_sink(request_, Responder(shared_from_this(), request_number_));
    });
    if (phase_ == Phase::closed) {
        lose_stream();
    } else if (stream_->answer) {
        answer_early();
    } else if (!succeeded) {
        disown();
        stream_.reset();
        refuse_overload();
    } else if (stream_->sink) {
        parser_->bound_body(route_->stream_bytes);
        if (head_.has_body()) await_body(Phase::stream);
    } else {
        stream_.reset();
        awaits_answer_ = false;
        return false;
    }
    return true;
}

/// Hands over what has come. False where more has to be read first; else `phase_` tells.
bool Connection::stream_body() {
    if (!state_->draining) {
        deadline_ms_ = never;
    } else if (deadline_ms_ == never) {
        set_deadline(state_->options.bounds.linger_ms);
    }
    while (phase_ == Phase::stream) {
        if (stream_->answer) {
            answer_early();
        } else if (timed_out_) {
            refuse(request_timeout, true);
            lose_stream();
        } else if (parser_->is_done()) {
            end_stream();
        } else if (buffer_.empty() || !take_piece()) {
            return false;
        }
    }
    return true;
}

/// False where there is none before more is read.
bool Connection::take_piece() {
    std::string_view piece;
    std::optional<Refusal> refusal;
    const std::size_t size = parser_->parse_piece(buffer_.bytes(), piece, refusal);
    if (!refusal && piece.empty()) {
        buffer_.consume(size);
        if (parser_->is_done()) return true;
        if (buffer_.prepare()) return false;
        refusal = malformed_request;  // a chunk's header without end
    }
    if (refusal) {
        refuse(*refusal, true);
        lose_stream();
        return true;
    }
    stream_->reads_on = false;
    const bool succeeded = call_out([&] {
        if (stream_->sink->take(piece)) stream_->reads_on = true;
    });
    buffer_.consume(size);
    if (phase_ == Phase::closed) {
        lose_stream();
    } else if (stream_->answer) {
        return true;
    } else if (!succeeded) {
        refuse_overload();
        lose_stream();
    } else if (!stream_->reads_on) {
        phase_ = Phase::paused;
    }
    return true;
}

/// From here on it is as with a handler.
void Connection::end_stream() {
    deadline_ms_ = never;
    phase_ = Phase::handling;
    const auto stream = std::move(stream_);
    if (call_out([&] { stream->sink->end(); }) || !awaits_answer_) return;
    disown();
    if (phase_ != Phase::closed) refuse_overload();
}

/// The answer has come before the end. It waits until nothing else is under way.
void Connection::cut_stream(wire::Answer&& answer) {
    const auto self = shared_from_this();  // the Responder that was called may be the sink's
    stream_->answer = std::move(answer);
    if (dispatching_) return;
    stream_->sink.reset();
    if (phase_ == Phase::paused) {
        phase_ = Phase::stream;
        run();
    } else if (phase_ == Phase::stream) {
        error_code ignored;
        socket_->cancel(ignored);  // wakes on_read
    }
}

void Connection::answer_early() {
    const auto stream = std::move(stream_);
    answer(std::move(*stream->answer), !parser_->is_done());
}

/// Tells the sink, if it has not answered, that the rest will not come.
void Connection::lose_stream() {
    if (dispatching_) return;                   // its turn comes when the call is over
    const auto self = weak_from_this().lock();  // the sink may be all that keeps it
    const auto stream = std::move(stream_);
    if (stream->answer) return;
    disown();
    if (stream->sink) stream->sink->lose();
}

void Connection::read_on(std::uint64_t request_number) noexcept {
    if (!stream_ || request_number != request_number_) return;
    stream_->reads_on = true;
    if (phase_ != Phase::paused) return;
    const auto self = shared_from_this();  // as in cut_stream()
    phase_ = Phase::stream;
    run();
}

void Connection::send(wire::Answer&& answer, std::uint64_t request_number) noexcept {
    if (disowned_) return;
    COUPOND_CHECK(awaits_answer_ && request_number == request_number_);
    awaits_answer_ = false;
    if (phase_ == Phase::closed) return release_body();
    if (stream_) return cut_stream(std::move(answer));
    try {
        // What a command did must be told; a read that there is no room for can be asked again.
        const bool is_read = head_.method == "GET" || head_.method == "HEAD";
        const std::size_t held = held_by(answer);
        if (is_read && held > 0 && !state_->has_room(held)) {
            answer = wire::failed(Failure::overloaded, request_id_);
        }
        this->answer(std::move(answer), false);
    } catch (const std::bad_alloc&) {
        return close();
    }
    if (!dispatching_) run();
}

void Connection::refuse(const Refusal& refusal, bool close) {
    take_request_id();
    answer(wire::problem(refusal.status, refusal.code, refusal.message, request_id_), close);
}

void Connection::refuse_route(bool close) {
    std::string message = "Cannot ";
    message += std::string_view(head_.method).substr(0, quoted_method_bytes);
    message += ' ';
    message += target_.path().substr(0, quoted_path_bytes);
    refuse({404, "route_not_found", message}, close);
}

void Connection::refuse_overload() {
    take_request_id();
    answer(wire::failed(Failure::overloaded, request_id_), true);
}

void Connection::answer(wire::Answer&& answer, bool close) {
    using Framing = ResponseHead::Framing;
    using Persistence = ResponseHead::Persistence;
    auto* const text = std::get_if<std::string>(&answer.body);
    const bool without_body = head_.method == "HEAD";

    const std::size_t held = without_body ? 0 : held_by(answer);

    Framing framing = Framing::length;
    if (text == nullptr) {
        framing = without_body        ? Framing::none
                  : head_.is_http_1_1 ? Framing::chunked
                                      : Framing::until_close;
    }
    // When draining, requests that have come along with this one are still answered.
    last_answer_ = close || !head_.keep_alive || framing == Framing::until_close ||
                   (state_->draining && buffer_.empty());
    const Persistence persistence = last_answer_        ? Persistence::close
                                    : head_.is_http_1_1 ? Persistence::keep_1_1
                                                        : Persistence::keep_1_0;
    out_.clear();
    tail_.clear();
    written_ = 0;
    append_head(out_, answer,
                {.common_fields = state_->common_fields,
                 .request_id = request_id_,
                 .framing = framing,
                 .content_length = text == nullptr ? 0 : text->size(),
                 .persistence = persistence});
    after_write_ = last_answer_ ? AfterWrite::linger : AfterWrite::next_request;
    if (!without_body && text == nullptr) {
        source_ = std::move(std::get<wire::BodySource>(answer.body));
        chunked_ = framing == Framing::chunked;
        pull_piece();
    } else if (!without_body && text->size() > joined_body_bytes) {
        tail_ = std::move(*text);
    } else if (!without_body) {
        out_ += *text;
    }
    release_body();
    body_held_bytes_ = held;
    state_->bodies_held_bytes += body_held_bytes_;
    if (log::enabled(log::Level::debug)) log_answer(answer.status);
    deadline_ms_ = never;
    phase_ = Phase::writing;
}

void Connection::log_answer(int status) const {
    const auto duration = std::chrono::steady_clock::now() - began_at_;
    log::debug(
        "request answered",
        {{"method", std::string_view(head_.method)},
         {"path", std::string_view(head_.target).substr(0, head_.target.find('?'))},
         {"status", std::int64_t{status}},
         {"duration_ms", std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()},
         {"request_id", std::string_view(request_id_)}});
}

/// Writes what the client takes at once. False where it has to be waited for.
bool Connection::write() {
    while (written_ < out_.size() + tail_.size()) {
        error_code error;
        written_ += write_now(error);
        if (error == asio::error::would_block) {
            write_later();
            return false;
        }
        if (error) {
            close();
            return true;
        }
    }
    return after_write();
}

std::size_t Connection::write_now(error_code& error) {
    if (!tail_.empty()) return socket_->write_some(unwritten(), error);
    return socket_->write_some(asio::buffer(out_.data() + written_, out_.size() - written_), error);
}

void Connection::write_later() {
    if (deadline_ms_ == never) set_deadline(state_->options.bounds.response_stall_ms);
    socket_->async_write_some(unwritten(),
                              [self = shared_from_this()](error_code error, std::size_t size) {
                                  self->on_written(error, size);
                              });
}

std::array<asio::const_buffer, 2> Connection::unwritten() const {
    const std::size_t of_out = std::min(written_, out_.size());
    return {asio::buffer(out_) + of_out, asio::buffer(tail_) + (written_ - of_out)};
}

void Connection::on_written(error_code error, std::size_t size) {
    if (phase_ == Phase::closed) return;
    if (error) return close();
    written_ += size;
    run();
}

/// False where it waits again.
bool Connection::after_write() {
    deadline_ms_ = never;
    switch (after_write_) {
        case AfterWrite::next_request:
            finish_request();
            phase_ = Phase::head;
            return true;
        case AfterWrite::read_body:
            out_.clear();
            written_ = 0;
            phase_ = stream_ ? Phase::stream : Phase::body;
            return true;
        case AfterWrite::next_piece: next_piece(); return false;
        case AfterWrite::linger:
            finish_request();
            begin_linger();
            return true;
        case AfterWrite::abort: abort(); return true;
    }
    return true;
}

/// Appends the next piece of a body to what is to be written; nothing where it waits.
void Connection::pull_piece() {
    wire::Rest rest = wire::Rest::more;
    while (rest == wire::Rest::more && tail_.empty()) rest = source_(tail_);
    waits_ = (rest == wire::Rest::later || rest == wire::Rest::soon) && tail_.empty();
    if (waits_ && rest == wire::Rest::later && state_->draining) {
        waits_ = false;
        rest = wire::Rest::none;
    }
    if (rest == wire::Rest::failed) {
        after_write_ = AfterWrite::abort;
        return;
    }
    const bool more = rest != wire::Rest::none;
    if (chunked_ && !tail_.empty()) {
        append_chunk_size(out_, tail_.size());
        tail_ += "\r\n";
    }
    if (chunked_ && !more) tail_ += "0\r\n\r\n";
    after_write_ = more           ? AfterWrite::next_piece
                   : last_answer_ ? AfterWrite::linger
                                  : AfterWrite::next_request;
    if (!more) source_ = nullptr;
}

/// Writes the next piece of a body, or waits for it.
void Connection::next_piece() {
    out_.clear();
    tail_.clear();
    written_ = 0;
    pull_piece();
    phase_ = waits_ ? Phase::waiting : Phase::writing;
    if (waits_) {
        tail_.shrink_to_fit();
        watch_client();
    } else {
        write_later();  // not at once: others have their turn first, however fast this client is
    }
}

void Connection::wake(std::uint64_t request_number) noexcept {
    if (phase_ != Phase::waiting || request_number != request_number_) return;
    const auto self = shared_from_this();
    try {
        next_piece();
    } catch (const std::bad_alloc&) {
        close();
    }
}

/// Closes as soon as the client has ended its side while a body waits: it may wait for long, and
/// nobody would be there.
void Connection::watch_client() {
    if (watching_) return;
    watching_ = true;
    socket_->async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code) {
        if (self->phase_ == Phase::closed) return;
        self->watching_ = false;
        if (self->source_ && self->has_gone()) self->close();
    });
}

/// Whether the client has ended its side, with nothing before that to be read.
bool Connection::has_gone() {
    char byte;
    error_code error;
    const std::size_t read =
        socket_->receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, error);
    return read == 0 && error != asio::error::would_block;
}

void Connection::finish_request() {
    release_body();
    out_.clear();
    if (!tail_.empty()) tail_ = std::string();
    written_ = 0;
    scanner_ = HeadScanner();
    parser_.reset();
    route_ = nullptr;
    request_begun_ = false;
    if (buffer_.empty()) buffer_.shrink();
}

void Connection::begin_linger() {
    error_code error;
    socket_->shutdown(asio::socket_base::shutdown_send, error);
    if (error) return close();
    phase_ = Phase::lingering;
    timed_out_ = false;
    set_deadline(state_->options.bounds.linger_ms);
}

}  // namespace coupond::http
