// Whether requests can be served now, and the wait until they can.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "engine/engine.hpp"

namespace coupond {

/// Asks the lane, where changes would be made, and then the reader, before the lists that wait, for
/// they say nothing about the database. `told` is called once, on a thread of theirs or at once:
/// with nothing where there is no room for the question. Not at all where they stop meanwhile.
void ask_readiness(Engine& engine, Reader& reader,
                   std::function<void(std::optional<Readiness>)> told);

/// Asks again and again until the answer is that requests can be served. Why they cannot is told to
/// the log by what is asked.
class ReadyWait {
public:
    /// To be used on the thread that runs `io`, where `ready` is called, once. It, and all that it
    /// refers to, must outlive the engine's lane and the reader's thread.
    ReadyWait(boost::asio::io_context& io, Engine& engine, Reader& reader,
              std::function<void()> ready);
    ~ReadyWait();

    void start();
    /// Gives up waiting.
    void stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coupond
