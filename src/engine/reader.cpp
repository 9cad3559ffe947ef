#include "engine/engine.hpp"

namespace coupond {

Reader::Reader(std::unique_ptr<ReadStore> store)
    : store_(std::move(store)), thread_([this] { run(); }) {}

Reader::~Reader() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

bool Reader::submit(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= limits::queued_queries) return false;
        queue_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
}

void Reader::run() {
    for (;;) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        Job job = std::move(queue_.front());
        queue_.pop_front();
        lock.unlock();
        job(*store_);
    }
}

}  // namespace coupond
