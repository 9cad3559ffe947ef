#include "store/sqlite/log_sync.hpp"

#include <sqlite3.h>

#include "store/sqlite/stores.hpp"
#include "store/sqlite/wal_vfs.hpp"

namespace coupond::sqlite {

void LogSync::commit(Connection& writer, Statement& commit) {
    class Commit {
    public:
        Commit(LogSync& sync, sqlite3_file* log) : sync_(sync), log_(log) {
            {
                const std::lock_guard lock(sync_.mutex_);
                sync_.log_ = log_;
                ++sync_.begun_;
            }
            put_off_syncs(log_, true);
        }
        // Also of one that has failed: what of it may be in the log is nothing that can be seen.
        ~Commit() {
            put_off_syncs(log_, false);
            {
                const std::lock_guard lock(sync_.mutex_);
                sync_.ended_ = sync_.begun_;
            }
            sync_.changed_.notify_all();
        }
        Commit(const Commit&) = delete;
        Commit& operator=(const Commit&) = delete;

    private:
        LogSync& sync_;
        sqlite3_file* const log_;
    };
    sqlite3_file* const log = log_file(writer.raw());
    if (log == nullptr) return commit.run();  // with its sync
    const Commit running(*this, log);
    commit.run();
}

bool LogSync::is_settled() const {
    const std::lock_guard lock(mutex_);
    return synced_ == begun_;
}

void LogSync::settle() {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = begun_;
    for (;;) {
        changed_.wait(lock, [&] { return ended_ >= wanted && (!syncing_ || synced_ >= wanted); });
        if (synced_ >= wanted) return;
        syncing_ = true;
        const std::uint64_t reached = ended_;
        sqlite3_file* const log = log_;
        lock.unlock();
        const int code = sync_log(log);
        if (code != SQLITE_OK) classify(Error(code, sqlite3_errstr(code)));
        lock.lock();
        syncing_ = false;
        if (code == SQLITE_OK) synced_ = reached;
        changed_.notify_all();
    }
}

void LogSync::end() {
    settle();
    const std::lock_guard lock(mutex_);
    log_ = nullptr;
}

}  // namespace coupond::sqlite
