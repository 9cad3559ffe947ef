#include <utility>

#include "engine/engine.hpp"

namespace coupond {

Settler::Settler(Store& store) : store_(store), thread_([this] { run(); }) {}

Settler::~Settler() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void Settler::then(std::function<void()> told) {
    {
        std::unique_lock lock(mutex_);
        if (told_.empty() && !telling_ && store_.is_settled()) {
            lock.unlock();
            return told();
        }
        told_.push_back(std::move(told));
    }
    changed_.notify_all();
}

void Settler::wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return told_.size() < limits::unsettled_answers; });
}

void Settler::drain() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return told_.empty() && !telling_; });
}

void Settler::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !told_.empty(); });
        if (told_.empty()) return;
        std::vector<std::function<void()>> told = std::exchange(told_, {});
        telling_ = true;
        lock.unlock();
        changed_.notify_all();
        store_.settle();
        for (std::function<void()>& tell : told) tell();
        told.clear();  // here, outside of the lock: what they hold may end with them
        lock.lock();
        telling_ = false;
        changed_.notify_all();
    }
}

}  // namespace coupond
