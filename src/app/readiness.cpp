#include "app/readiness.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "base/limits.hpp"

namespace coupond {

void ask_readiness(Engine& engine, Reader& reader,
                   std::function<void(std::optional<Readiness>)> told) {
    const bool checking = engine.check([&reader, told](Readiness of_lane) {
        if (of_lane != Readiness::ready) return told(of_lane);
        const bool queued = reader.submit_first([told](ReadStore& store) {
            told(store.ping() ? Readiness::ready : Readiness::database_unavailable);
        });
        if (!queued) told(std::nullopt);
    });
    if (!checking) told(std::nullopt);
}

class ReadyWait::Impl {
public:
    Impl(boost::asio::io_context& io, Engine& engine, Reader& reader, std::function<void()> ready)
        : io_(io), engine_(engine), reader_(reader), ready_(std::move(ready)), timer_(io) {}

    void ask() {
        if (stopped_) return;
        ask_readiness(engine_, reader_, [this](std::optional<Readiness> readiness) {
            boost::asio::post(io_, [this, readiness] { take(readiness); });
        });
    }

    void stop() {
        stopped_ = true;
        timer_.cancel();
    }

private:
    void take(std::optional<Readiness> readiness) {
        if (stopped_) return;
        if (readiness == Readiness::ready) return ready_();
        timer_.expires_after(pause_);
        pause_ = std::min(2 * pause_, std::chrono::milliseconds(limits::reconnect_most_ms));
        timer_.async_wait([this](boost::system::error_code error) {
            if (!error) ask();
        });
    }

    boost::asio::io_context& io_;
    Engine& engine_;
    Reader& reader_;
    const std::function<void()> ready_;
    boost::asio::steady_timer timer_;
    std::chrono::milliseconds pause_{limits::reconnect_first_ms};
    bool stopped_ = false;
};

ReadyWait::ReadyWait(boost::asio::io_context& io, Engine& engine, Reader& reader,
                     std::function<void()> ready)
    : impl_(std::make_unique<Impl>(io, engine, reader, std::move(ready))) {}

ReadyWait::~ReadyWait() = default;

void ReadyWait::start() {
    impl_->ask();
}

void ReadyWait::stop() {
    impl_->stop();
}

}  // namespace coupond
