#include "app/code_exports.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/gzip.hpp"
#include "base/log.hpp"

namespace coupond {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// What lies between an export's thread and the connection that it goes to.
class Pipe {
public:
    explicit Pipe(boost::asio::io_context& io) : io_(io) {}

    // Of the network thread.

    /// `wake` is called there when a body that said wire::Rest::soon is to be asked again.
    void open(std::function<void()> wake) { wake_ = std::move(wake); }

    void close() {
        wake_ = nullptr;
        stop();
    }

    wire::Rest pull(std::string& out) {
        const std::lock_guard lock(mutex_);
        if (failed_) return wire::Rest::failed;
        if (pieces_.empty()) {
            waits_ = !ended_;
            return ended_ ? wire::Rest::none : wire::Rest::soon;
        }
        out += pieces_.front();
        pieces_.pop_front();
        room_.notify_one();
        return ended_ && pieces_.empty() ? wire::Rest::none : wire::Rest::more;
    }

    // Of any thread.

    /// Nobody wants what is to come.
    void stop() {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        room_.notify_one();
    }

    bool stopped() const {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

    // Of the export's thread.

    /// Waits until there is room, up to `deadline`. False where there is none, or nobody wants it.
    bool push(const std::shared_ptr<Pipe>& self, std::string piece,
              SteadyClock::time_point deadline) {
        std::unique_lock lock(mutex_);
        const auto ready = [this] { return stopped_ || pieces_.size() < limits::export_pieces; };
        if (!room_.wait_until(lock, deadline, ready) || stopped_) return false;
        pieces_.push_back(std::move(piece));
        wake_reader(self);
        return true;
    }

    /// What has been pushed is all there is; or the rest cannot be had.
    void end(const std::shared_ptr<Pipe>& self, bool whole) {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        failed_ = !whole;
        wake_reader(self);
    }

private:
    void wake_reader(const std::shared_ptr<Pipe>& self) {
        if (!std::exchange(waits_, false)) return;
        boost::asio::post(io_, [self] {
            const auto wake = self->wake_;  // for it may be closed meanwhile
            if (wake) wake();
        });
    }

    boost::asio::io_context& io_;
    std::function<void()> wake_;

    mutable std::mutex mutex_;
    std::condition_variable room_;
    std::deque<std::string> pieces_;
    bool waits_ = false;  ///< the body has said soon
    bool ended_ = false;
    bool failed_ = false;
    bool stopped_ = false;
};

/// A body's part of it: with the body, the export ends.
class Reading {
public:
    explicit Reading(std::shared_ptr<Pipe> pipe) : pipe_(std::move(pipe)) {}
    ~Reading() { pipe_->close(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

    wire::Rest pull(std::string& out) const { return pipe_->pull(out); }

private:
    const std::shared_ptr<Pipe> pipe_;
};

struct Export {
    CodeExport asked;
    std::shared_ptr<Pipe> pipe;
    std::optional<http::Responder> responder;  ///< until it is answered
    std::string request_id;
};

/// Makes one file.
class Maker {
public:
    Maker(const CodeExport& asked, const std::shared_ptr<Pipe>& pipe, CodeSnapshot& snapshot,
          Timestamp now, SteadyClock::time_point deadline)
        : asked_(asked),
          pipe_(pipe),
          snapshot_(snapshot),
          now_(now),
          deadline_(deadline),
          file_(asked.format, now) {
        if (asked.gzip) gzip_.emplace();
    }

    enum class Begun { yes, no_such_book, too_many_columns };

    /// Looks for the columns, and reads the first codes.
    Result<Begun> begin() {
        if (file_.has_columns()) {
            const Result<bool> found =
                snapshot_.begin(asked_.query, CodeSnapshot::Pass::with_settings, now_);
            if (!found) return found.error();
            for (bool more = *found; more;) {
                const Result<std::vector<Code>> codes = snapshot_.next();
                if (!codes) return codes.error();
                for (const Code& code : *codes) {
                    if (!file_.add_columns(code)) return Begun::too_many_columns;
                }
                more = !codes->empty();
            }
        }
        const Result<bool> found = snapshot_.begin(asked_.query, CodeSnapshot::Pass::by_code, now_);
        if (!found) return found.error();
        if (!*found) return Begun::no_such_book;
        Result<std::vector<Code>> codes = snapshot_.next();
        if (!codes) return codes.error();
        codes_ = std::move(*codes);
        return Begun::yes;
    }

    /// False where it could not be made to its end.
    bool make() {
        file_.begin(text_);
        while (!codes_.empty()) {
            for (const Code& code : codes_) {
                file_.add(code, text_);
                if (text_.size() >= limits::export_piece_bytes && !hand_over()) return false;
            }
            Result<std::vector<Code>> codes = snapshot_.next();
            if (!codes) return false;
            codes_ = std::move(*codes);
        }
        if (!hand_over()) return false;
        if (gzip_) gzip_->end(piece_);
        return piece_.empty() || pipe_->push(pipe_, std::move(piece_), deadline_);
    }

private:
    bool hand_over() {
        if (gzip_) {
            gzip_->add(text_, piece_);
            text_.clear();
            if (piece_.size() < limits::export_piece_bytes) return true;
            return pipe_->push(pipe_, std::exchange(piece_, {}), deadline_);
        }
        if (text_.empty()) return true;
        std::string piece = std::exchange(text_, {});
        text_.reserve(piece.size() + piece.size() / 8);
        return pipe_->push(pipe_, std::move(piece), deadline_);
    }

    const CodeExport& asked_;
    const std::shared_ptr<Pipe>& pipe_;
    CodeSnapshot& snapshot_;
    const Timestamp now_;
    const SteadyClock::time_point deadline_;
    wire::CodeFileWriter file_;
    std::optional<Gzip> gzip_;
    std::vector<Code> codes_;
    std::string text_;   ///< not compressed yet
    std::string piece_;  ///< compressed
};

}  // namespace

class CodeExports::Impl {
public:
    Impl(boost::asio::io_context& io, Open open, const Clock& clock, CodeExportBounds bounds)
        : io_(io), open_(std::move(open)), clock_(clock), bounds_(bounds) {
        for (std::size_t i = 0; i < bounds.exports; ++i) threads_.emplace_back([this] { run(); });
    }

    void begin(CodeExport asked, const http::Request& request, const http::Responder& responder) {
        std::unique_lock lock(mutex_);
        if (stopping_ || running_ == bounds_.exports) {
            lock.unlock();
            return responder.send(wire::failed(Failure::overloaded, request.request_id));
        }
        auto pipe = std::make_shared<Pipe>(io_);
        pipes_.push_back(pipe);
        waiting_.push_back({std::move(asked), pipe, responder, std::string(request.request_id)});
        ++running_;
        wake_.notify_one();
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            for (const auto& pipe : pipes_) pipe->stop();
        }
        wake_.notify_all();
        for (std::thread& thread : threads_) {
            if (thread.joinable()) thread.join();
        }
    }

private:
    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            Export made = std::move(waiting_.front());
            waiting_.pop_front();
            lock.unlock();
            bool whole = false;
            try {
                whole = run(made);
            } catch (const std::bad_alloc&) {
                if (made.responder) send(made, wire::failed(Failure::overloaded, made.request_id));
            }
            // Before its client can know: another export may begin then.
            lock.lock();
            std::erase(pipes_, made.pipe);
            --running_;
            lock.unlock();
            made.pipe->end(made.pipe, whole);
            lock.lock();
        }
    }

    /// Answers, and makes the file. False where that could not be made to its end.
    bool run(Export& made) {
        const auto deadline = SteadyClock::now() + bounds_.most;
        std::unique_ptr<CodeSnapshot> snapshot;
        try {
            snapshot = open_([pipe = made.pipe, deadline] {
                return !pipe->stopped() && SteadyClock::now() < deadline;
            });
        } catch (const OpenError& error) {
            log::error("cannot export codes", {{"reason", std::string_view(error.what())}});
            send(made, wire::failed(Failure::unavailable, made.request_id));
            return false;
        }
        Maker maker(made.asked, made.pipe, *snapshot, clock_.now(), deadline);
        const Result<Maker::Begun> begun = maker.begin();
        send(made, begun ? answer_of(made, *begun) : wire::failed(begun.error(), made.request_id));
        return begun && *begun == Maker::Begun::yes && maker.make();
    }

    wire::Answer answer_of(const Export& made, Maker::Begun begun) const {
        switch (begun) {
            case Maker::Begun::yes: break;
            case Maker::Begun::no_such_book:
                return wire::encode(Refusal::book_not_found, clock_.now(), made.request_id);
            case Maker::Begun::too_many_columns: return wire::too_many_columns(made.request_id);
        }
        return wire::code_file(made.asked.query.book_id, made.asked.format, made.asked.gzip,
                               [reading = std::make_shared<const Reading>(made.pipe)](
                                   std::string& out) { return reading->pull(out); });
    }

    /// Everything is moved, not copied: the last Responder of a connection, and with it a body,
    /// ends on the network thread.
    void send(Export& made, wire::Answer answer) {
        boost::asio::post(io_, [responder = std::move(*std::exchange(made.responder, {})),
                                pipe = made.pipe, answer = std::move(answer)]() mutable {
            if (!std::holds_alternative<std::string>(answer.body)) {
                pipe->open([responder] { responder.wake(); });
            }
            responder.send(std::move(answer));
        });
    }

    boost::asio::io_context& io_;
    const Open open_;
    const Clock& clock_;
    const CodeExportBounds bounds_;

    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Export> waiting_;                ///< for a thread
    std::vector<std::shared_ptr<Pipe>> pipes_;  ///< of all exports
    std::size_t running_ = 0;                   ///< and how many that are
    bool stopping_ = false;
    std::vector<std::thread> threads_;  ///< one for each export that there may be
};

CodeExports::CodeExports(boost::asio::io_context& io, Open open, const Clock& clock,
                         CodeExportBounds bounds)
    : impl_(std::make_unique<Impl>(io, std::move(open), clock, bounds)) {}

CodeExports::~CodeExports() {
    impl_->stop();
}

void CodeExports::begin(CodeExport asked, const http::Request& request,
                        const http::Responder& responder) {
    impl_->begin(std::move(asked), request, responder);
}

void CodeExports::stop() {
    impl_->stop();
}

}  // namespace coupond
