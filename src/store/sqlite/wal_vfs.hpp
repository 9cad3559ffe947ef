// Writes the write-ahead log in large pieces and a checkpoint in small ones, and keeps temporary
// files beside the database.
#pragma once

#include <string>

struct sqlite3;
struct sqlite3_file;

namespace coupond::sqlite {

/// The name of a SQLite VFS that is the system's own, but gathers what is written to a write-ahead
/// log and writes it out when SQLite asks for it to be synced (and before anything else that could
/// tell the difference). SQLite itself writes each page in two calls: a batch of 256 commands makes
/// a thousand system calls, whose cost is greater than that of the batch's rules, look-ups and
/// fsync together. Files that SQLite needs for a while, and that nobody else can see, are made in
/// `folder`: the system's own may be in memory, or not to be written to. Where it is empty, they
/// are there. Registered on the first call, of each folder.
const char* wal_vfs(const std::string& folder);

/// The log of `connection`; null where it has none yet. It stays until that is closed.
sqlite3_file* log_file(sqlite3* connection);

/// Until it is told otherwise, a sync of `log` that SQLite asks for only writes out; but for the
/// first one of a log that begins anew, whose header is to be on disk before anything else.
void put_off_syncs(sqlite3_file* log, bool puts_off);

/// Syncs what was written out of `log`, on any thread, beside what goes on. SQLite's result code;
/// only SQLITE_IOERR_FSYNC where it fails.
int sync_log(sqlite3_file* log);

/// From now on, what this thread writes to files is on its way to the disk before it has written
/// much more; ends the process where the disk does not take it. Whoever syncs a large file that the
/// system has kept for itself until then, makes all others wait that sync something small
/// meanwhile: the next transaction's part of the log. To be called after wal_vfs.
void write_piecewise();

/// Forgets what is gathered for the log of `connection`. To be called when a transaction has been
/// rolled back: what it wrote belongs nowhere any more, and another connection may by now have
/// committed in its place.
void forget_gathered(sqlite3* connection);

}  // namespace coupond::sqlite
