#include "store/sqlite/checkpointer.hpp"

#include <pthread.h>
#include <sqlite3.h>

#include <algorithm>
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
constexpr int pages_left_much = 16'000;   // what it moves only where the log is long
constexpr int pages_between = 4'000;      // come in before what was in the way is looked for again
constexpr int reader_wait_ms = 200;

}  // namespace

Checkpointer::Checkpointer(const std::string& path)
    : connection_(path, Connection::Mode::read_write),
      next_at_(log_pages_wanted),
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
    if (log_pages < std::exchange(log_pages_, log_pages)) begin_anew();
    const int left = log_pages - pages_moved_;
    const bool too_long = log_pages > too_long_;
    switch (state_) {
        case State::wanted:
        case State::running: return;
        case State::idle:
            if (blocked_ && too_long) break;
            if (log_pages >= next_at_) ask(left);
            return;
        case State::moved: {
            // Each round of the thread leaves less than the one before, until there is little
            // enough; or no longer does, where as much comes in as the disk takes.
            const bool stagnates = left > left_before_ / 4 * 3;
            const bool rest_here =
                left < pages_left_little ||
                (stagnates && (left < pages_left_much || log_pages > log_pages_most));
            if (rest_here) break;
            ask(left);
            return;
        }
    }
    state_ = State::idle;
    lock.unlock();
    const int moved = move_rest(writer, too_long);
    lock.lock();
    pages_moved_ = moved;
    next_at_ = log_pages + pages_between;
    if (too_long) too_long_ = log_pages + log_pages_most;
}

/// Of the log that a commit has just begun, nothing is moved.
void Checkpointer::begin_anew() {
    ++logs_begun_;
    pages_moved_ = 0;
    next_at_ = log_pages_wanted;
    too_long_ = log_pages_most;
    blocked_ = false;
    if (state_ != State::running) state_ = State::idle;
}

/// Has the thread make a round.
void Checkpointer::ask(int left) {
    left_before_ = left;
    state_ = State::wanted;
    wake_.notify_one();
}

/// Moves what is left, on the writer; how much of the log is moved then.
int Checkpointer::move_rest(Connection& writer, bool too_long) {
    // A reader on an old snapshot keeps the log from beginning anew: when it has grown too long,
    // wait for the one that reads now; those after it read what is current. One that reads on, as
    // an export does, is waited for again when the log has grown as much again.
    int moved = 0;
    sqlite3_busy_timeout(writer.raw(), reader_wait_ms);
    const int code = sqlite3_wal_checkpoint_v2(
        writer.raw(), nullptr, too_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
        nullptr, &moved);
    sqlite3_busy_timeout(writer.raw(), Connection::busy_ms);
    if (code != SQLITE_OK && code != SQLITE_BUSY) writer.fail();
    return std::max(moved, 0);  // below: another connection moves
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
        int in_log = 0, moved = 0;
        const int code = sqlite3_wal_checkpoint_v2(connection_.raw(), nullptr,
                                                   SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
        const bool worked = code == SQLITE_OK || code == SQLITE_BUSY;
        if (worked) {
            health.worked();
        } else {
            const Error error(sqlite3_extended_errcode(connection_.raw()),
                              sqlite3_errmsg(connection_.raw()));
            health.failed(error);
            classify(error);  // ends the process where the disk cannot be trusted
        }
        lock.lock();
        state_ = State::idle;
        if (!worked || log != logs_begun_) continue;
        blocked_ = code == SQLITE_BUSY || moved < in_log;  // by a reader, or another that moves
        if (code == SQLITE_OK) pages_moved_ = moved;
        if (blocked_) {
            next_at_ = log_pages_ + pages_between;
        } else {
            state_ = State::moved;
        }
    }
}

}  // namespace coupond::sqlite
