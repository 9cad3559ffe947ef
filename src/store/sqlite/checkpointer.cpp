#include "store/sqlite/checkpointer.hpp"

#include <pthread.h>
#include <sqlite3.h>

#include <utility>

#include "store/sqlite/stores.hpp"
#include "store/sqlite/wal_vfs.hpp"

namespace coupond::sqlite {
namespace {

// A page that is changed again before it is moved is moved once, so a long log saves writing; a
// short one saves disk, and time at a start after a crash.
constexpr int log_pages_wanted = 64'000;  // of 2 KiB: begin to move at 125 MiB
constexpr int log_pages_most = 192'000;   // from 375 MiB on the writer moves whatever is left
constexpr int pages_left_little = 1'000;  // what the writer moves by itself in some milliseconds
constexpr int reader_wait_ms = 200;

}  // namespace

Checkpointer::Checkpointer(const std::string& path)
    : connection_(path, Connection::Mode::read_write),
      too_long_(log_pages_most),
      thread_([this] { run(); }) {}

Checkpointer::~Checkpointer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void Checkpointer::after_commit(Connection& writer, int log_pages) {
    std::unique_lock lock(mutex_);
    if (log_pages < std::exchange(log_pages_, log_pages)) {
        ++logs_begun_;
        too_long_ = log_pages_most;
        if (state_ == State::moved) state_ = State::idle;
    }
    if (log_pages < log_pages_wanted) return;
    if (state_ == State::idle) {
        state_ = State::wanted;
        left_before_ = log_pages;
        lock.unlock();
        wake_.notify_one();
    } else if (state_ == State::moved) {
        // Each round of the thread leaves less than the one before, until there is little enough;
        // or no longer does, where as much comes in as the disk takes.
        const bool too_long = log_pages > too_long_;
        const int left = log_pages - pages_moved_;
        const bool rest_here =
            left < pages_left_little || left > left_before_ / 4 * 3 || log_pages > log_pages_most;
        left_before_ = left;
        state_ = rest_here ? State::idle : State::wanted;
        lock.unlock();
        if (!rest_here) return wake_.notify_one();
        // A reader on an old snapshot keeps the log from beginning anew: when it has grown too
        // long, wait for the one that reads now; those after it read what is current. One that
        // reads on, as an export does, is waited for again when the log has grown as much again.
        sqlite3_busy_timeout(writer.raw(), reader_wait_ms);
        const int code = sqlite3_wal_checkpoint_v2(
            writer.raw(), nullptr, too_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
            nullptr, nullptr);
        sqlite3_busy_timeout(writer.raw(), Connection::busy_ms);
        if (too_long && code == SQLITE_BUSY) too_long_ = log_pages + log_pages_most;
        if (code != SQLITE_OK && code != SQLITE_BUSY) writer.fail();
    }
}

void Checkpointer::run() {
    pthread_setname_np(pthread_self(), "checkpoint");
    write_piecewise();
    Health health(side_checkpoints);
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || state_ == State::wanted; });
        if (stopping_) return;
        state_ = State::running;
        const int log = logs_begun_;
        lock.unlock();
        int moved = 0;
        const int code = sqlite3_wal_checkpoint_v2(connection_.raw(), nullptr,
                                                   SQLITE_CHECKPOINT_PASSIVE, nullptr, &moved);
        if (code == SQLITE_OK || code == SQLITE_BUSY) {
            health.worked();
        } else {
            const Error error(sqlite3_extended_errcode(connection_.raw()),
                              sqlite3_errmsg(connection_.raw()));
            health.failed(error);
            classify(error);  // ends the process where the disk cannot be trusted
        }
        lock.lock();
        pages_moved_ = moved;
        state_ = code == SQLITE_OK && log == logs_begun_ ? State::moved : State::idle;
    }
}

}  // namespace coupond::sqlite
