#include "engine/engine.hpp"

namespace coupond {

Reader::Reader(std::unique_ptr<ReadStore> store, Settler* settler)
    : store_(std::move(store)), settler_(settler), thread_([this] { run(); }) {}

Reader::~Reader() {
    stop();
}

bool Reader::submit(Job job) {
    return enqueue(std::move(job), false);
}

bool Reader::submit_first(Job job) {
    return enqueue(std::move(job), true);
}

bool Reader::enqueue(Job job, bool first) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || queue_.size() >= limits::queued_queries) return false;
        first ? queue_.push_front(std::move(job)) : queue_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
}

void Reader::when_settled(std::function<void()> tell) {
    settler_ == nullptr ? tell() : settler_->then(std::move(tell));
}

void Reader::stop() {
    std::deque<Job> dropped;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        dropped.swap(queue_);
    }
    dropped.clear();  // here, where the caller wants what they hold to end
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
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
