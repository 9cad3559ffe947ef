// What of the write-ahead log is on disk.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "store/sqlite/connection.hpp"

struct sqlite3_file;

namespace coupond::sqlite {

/// One of a database. The writer commits without waiting for the disk, so that it can go on with
/// the next transaction; whoever tells somebody of a change waits for it here first.
class LogSync {
public:
    /// Runs `commit` on `writer`, which ends its transaction, but for the sync of the log. Throws
    /// Error.
    void commit(Connection& writer, Statement& commit);

    /// Whether all that may be seen of the database is on disk. Thread-safe, as what follows.
    bool is_settled() const;

    /// Returns when all is on disk that may have been seen of the database before. Ends the process
    /// where the disk does not take it.
    void settle();

    /// The same, before the writer's connection is closed.
    void end();

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    sqlite3_file* log_ = nullptr;  ///< the writer's
    // Commits that have begun and may be seen, that have ended, and that are on disk.
    std::uint64_t begun_ = 0;
    std::uint64_t ended_ = 0;
    std::uint64_t synced_ = 0;
    bool syncing_ = false;
};

}  // namespace coupond::sqlite
