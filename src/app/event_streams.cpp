#include "app/event_streams.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace coupond {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Stream {
    EntryQuery query;  ///< `after`: up to where it has been read
    EntryId told = 0;  ///< the last id the client knows
    std::function<void()> wake;
    SteadyClock::time_point spoke_at;
    bool begun = false;
    bool more = false;                        ///< its last page has led on
    bool wants = false;                       ///< its next page
    std::shared_ptr<const std::string> page;  ///< to be sent; shared with others
    /// It has ended. Apart, for the reader's thread must not be the last to hold a stream, and with
    /// it a connection.
    std::shared_ptr<std::atomic<bool>> gone = std::make_shared<std::atomic<bool>>(false);
};

/// A page as events.
struct Events {
    std::shared_ptr<const std::string> text;
    EntryId told = 0;  ///< the last id in it; 0: none
    EntryId read_to = 0;
    bool more = false;
};

Events events_of(const EntryPage& page) {
    std::string text;
    wire::append_events(text, page);
    Events events;
    if (!page.entries.empty()) {
        events.told = page.entries.back().entry.id;
    } else if (page.more) {
        events.told = page.read_to;
    }
    events.text = std::make_shared<const std::string>(std::move(text));
    events.read_to = page.read_to;
    events.more = page.more;
    return events;
}

}  // namespace

class EventStreams::Impl : public std::enable_shared_from_this<Impl> {
public:
    Impl(boost::asio::io_context& io, Reader& reader, EventStreamBounds bounds)
        : io_(io), reader_(reader), bounds_(bounds), timer_(std::in_place, io) {}

    void stop() {
        stopped_ = true;
        timer_.reset();
    }

    std::optional<wire::BodySource> open(const EntryQuery& query, std::function<void()> wake) {
        if (streams_.size() >= bounds_.streams) return std::nullopt;
        auto stream = std::make_shared<Stream>();
        stream->query = query;
        stream->told = query.after;
        stream->wake = std::move(wake);
        streams_.push_back(stream);
        const auto open = std::make_shared<const Open>(shared_from_this(), stream);
        look_soon();
        return [open](std::string& out) { return open->impl->pull(open->stream, out); };
    }

    void look_soon() {
        if (!failing_) look_at_ = std::min(look_at_, looked_at_ + bounds_.poll_gap);
        go_on();
    }

private:
    /// What a body is made of: the stream ends with it.
    struct Open {
        Open(std::shared_ptr<Impl> of, std::shared_ptr<Stream> what)
            : impl(std::move(of)), stream(std::move(what)) {}
        Open(const Open&) = delete;
        Open& operator=(const Open&) = delete;
        ~Open() { impl->close(stream); }

        std::shared_ptr<Impl> impl;
        std::shared_ptr<Stream> stream;
    };

    void close(const std::shared_ptr<Stream>& stream) {
        *stream->gone = true;
        stream->wake = nullptr;
        stream->wants = false;
        std::erase(streams_, stream);
        std::erase(wanting_, stream);
        if (!streams_.empty()) return;
        failing_ = false;
        pause_ = {};
        if (timer_) timer_->cancel();
        armed_for_ = {};
    }

    wire::Rest pull(const std::shared_ptr<Stream>& stream, std::string& out) {
        const auto now = SteadyClock::now();
        if (!stream->begun) {
            stream->begun = true;
            wire::append_stream_begin(out, stream->query.after);
        } else if (stream->page) {
            out += *std::exchange(stream->page, nullptr);
        } else if (now - stream->spoke_at >= bounds_.keep_alive) {
            const bool moved = stream->told != stream->query.after;
            stream->told = stream->query.after;
            wire::append_keep_alive(out, moved ? std::optional(stream->told) : std::nullopt);
        } else {
            if (!stream->wants && (stream->more || stream->query.after < last_)) {
                stream->wants = true;
                wanting_.push_back(stream);
                go_on();
            }
            return wire::Rest::later;
        }
        stream->spoke_at = now;
        return wire::Rest::more;
    }

    /// Starts what is to be read next, if anything, and the timer. Wakes nobody.
    void go_on() {
        if (stopped_ || streams_.empty()) return;
        const auto now = SteadyClock::now();
        if (!reading_ && look_at_ <= now) {
            looked_at_ = now;
            look_at_ = now + bounds_.poll;
            read([](ReadStore& store) { return store.last_entry(); },
                 [this](Result<EntryId> last) { take_last(last); });
        } else if (!reading_ && !failing_ && !wanting_.empty()) {
            const EntryQuery query = wanting_.front()->query;
            read(
                [query, gone = wanting_.front()->gone](ReadStore& store) -> Result<Events> {
                    if (*gone) return Events{};
                    const Result<EntryPage> page = store.list_entries(query);
                    if (!page) return page.error();
                    return events_of(*page);
                },
                [this, query](const Result<Events>& events) { take_events(query, events); });
        }
        arm(now);
    }

    /// Runs `job` on the reader's thread and `take`s its result here.
    template <class Job, class Take>
    void read(Job job, Take take) {
        reading_ = reader_.submit([this, self = shared_from_this(), job = std::move(job),
                                   take = std::move(take)](ReadStore& store) {
            reader_.when_settled([this, self, take, result = job(store)] {
                boost::asio::post(io_, [this, self, take, result] {
                    reading_ = false;
                    if (stopped_) return;
                    take(result);
                    go_on();
                });
            });
        });
        if (!reading_) fail();
    }

    void fail() {
        constexpr std::chrono::milliseconds first{limits::reconnect_first_ms};
        constexpr std::chrono::milliseconds most{limits::reconnect_most_ms};
        pause_ = std::clamp(2 * pause_, first, most);
        failing_ = true;
        look_at_ = SteadyClock::now() + pause_;
    }

    void take_last(Result<EntryId> last) {
        if (!last) return fail();
        failing_ = false;
        if (wanting_.empty()) pause_ = {};
        last_ = *last;
        wake_where([this](const Stream& stream) {
            return stream.query.after < last_ && !stream.wants && !stream.page;
        });
    }

    void take_events(const EntryQuery& query, const Result<Events>& events) {
        if (!events) {
            // The others' pages may be better.
            if (!wanting_.empty()) {
                std::rotate(wanting_.begin(), wanting_.begin() + 1, wanting_.end());
            }
            return fail();
        }
        if (!events->text) return;  // the stream has ended before they were read
        pause_ = {};
        std::vector<std::shared_ptr<Stream>> those;
        for (const auto& stream : streams_) {
            if (!stream->wants || stream->query != query) continue;
            stream->wants = false;
            stream->more = events->more;
            // Nothing that matches has been up to last_, which was known before the page was read.
            stream->query.after = events->more ? events->read_to : std::max(events->read_to, last_);
            if (!events->text->empty()) stream->page = events->text;
            if (events->told != 0) stream->told = events->told;
            those.push_back(stream);
        }
        std::erase_if(wanting_, [](const auto& stream) { return !stream->wants; });
        wake(those);
    }

    template <class Which>
    void wake_where(Which which) {
        std::vector<std::shared_ptr<Stream>> those;
        for (const auto& stream : streams_) {
            if (which(*stream)) those.push_back(stream);
        }
        wake(those);
    }

    static void wake(const std::vector<std::shared_ptr<Stream>>& those) {
        for (const auto& stream : those) {
            const auto wake = stream->wake;  // for the stream may end meanwhile
            if (wake) wake();
        }
    }

    void arm(SteadyClock::time_point now) {
        auto at = now + bounds_.poll;  // for the keep-alives
        if (!reading_) at = std::min(at, look_at_);
        if (armed_for_ > now && armed_for_ <= at) return;
        armed_for_ = at;
        timer_->expires_at(at);
        timer_->async_wait([this, self = shared_from_this()](boost::system::error_code error) {
            if (error || stopped_) return;
            armed_for_ = {};
            const auto silent_since = SteadyClock::now() - bounds_.keep_alive;
            wake_where([&](const Stream& stream) { return stream.spoke_at <= silent_since; });
            go_on();
        });
    }

    boost::asio::io_context& io_;
    Reader& reader_;
    const EventStreamBounds bounds_;
    std::optional<boost::asio::steady_timer> timer_;
    SteadyClock::time_point armed_for_;
    bool stopped_ = false;

    std::vector<std::shared_ptr<Stream>> streams_;
    std::deque<std::shared_ptr<Stream>> wanting_;
    EntryId last_ = 0;      ///< that there was at the last look
    bool reading_ = false;  ///< a read waits or runs
    SteadyClock::time_point looked_at_;
    SteadyClock::time_point look_at_;
    bool failing_ = false;               ///< until a look succeeds nothing else is read
    std::chrono::milliseconds pause_{};  ///< after the last of failures in a row
};

EventStreams::EventStreams(boost::asio::io_context& io, Reader& reader, EventStreamBounds bounds)
    : impl_(std::make_shared<Impl>(io, reader, bounds)) {}

EventStreams::~EventStreams() {
    impl_->stop();
}

std::optional<wire::BodySource> EventStreams::open(const EntryQuery& query,
                                                   std::function<void()> wake) {
    return impl_->open(query, std::move(wake));
}

void EventStreams::look_soon() {
    impl_->look_soon();
}

}  // namespace coupond
