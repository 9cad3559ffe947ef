// Stands between SQLite and the system's files, below the store's own VFS, and watches what is
// written to write-ahead logs. Can let writes fail.
#pragma once

#include <cstdint>

namespace coupond::test {

struct LogTotals {
    std::int64_t writes = 0;          ///< calls
    std::int64_t bytes = 0;           ///< in them
    std::int64_t syncs = 0;           ///< calls
    std::int64_t unsynced_bytes = 0;  ///< written since the last of them
};

/// Of all logs of this process since it began. Thread-safe, as what follows.
LogTotals log_totals();

enum class Fault {
    full,        ///< the write before it is not made
    cut,         ///< half of it is
    sync_failed  ///< what a sync answers
};

/// From the `after`-th call from now on (0: the next one), writes to logs or their syncs fail,
/// until `heal`.
void break_logs(Fault fault, int after);
void heal_logs();

}  // namespace coupond::test
