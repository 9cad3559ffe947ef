// Those who follow the ledger, and when they are told what has come.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "base/limits.hpp"
#include "engine/engine.hpp"
#include "store/store.hpp"
#include "wire/wire.hpp"

namespace coupond {

/// What EventStreams put up with. Others than these defaults are for tests.
struct EventStreamBounds {
    std::size_t streams = limits::event_streams;
    std::chrono::milliseconds poll{limits::event_poll_ms};
    std::chrono::milliseconds poll_gap{limits::event_poll_gap_ms};
    std::chrono::milliseconds keep_alive{limits::event_keep_alive_ms};
};

/// Looks for new entries on behalf of all streams: soon after this process has committed a batch,
/// and now and then for what other processes commit. Only when there are some, the streams that are
/// not as far read their next page, one after the other, those that want the same one together; so
/// at any time at most one read of theirs waits among the reader's others. A read that fails is
/// tried again, ever more slowly, while the streams wait. Used on the network thread.
class EventStreams {
public:
    /// `io` is the network thread's. `reader` must outlive it, or be stopped before it ends.
    EventStreams(boost::asio::io_context& io, Reader& reader, EventStreamBounds bounds = {});
    /// The bodies of its streams may outlive it; nothing more comes of them.
    ~EventStreams();
    EventStreams(const EventStreams&) = delete;
    EventStreams& operator=(const EventStreams&) = delete;

    /// The endless body of a stream of what `query` asks for, pages of its limit; nothing where
    /// there are as many streams as there may be. `wake` is called whenever a body that said
    /// wire::Rest::later is to be asked again. The stream ends with the body.
    std::optional<wire::BodySource> open(const EntryQuery& query, std::function<void()> wake);

    /// To be called when there may be new entries.
    void look_soon();

private:
    class Impl;
    const std::shared_ptr<Impl> impl_;
};

}  // namespace coupond
