// Writes the write-ahead log in large pieces.
#pragma once

struct sqlite3;

namespace coupond::sqlite {

/// The name of a SQLite VFS that is the system's own, but gathers what is written to a write-ahead
/// log and writes it out when SQLite asks for it to be synced (and before anything else that could
/// tell the difference). SQLite itself writes each page in two calls: a batch of 256 commands makes
/// a thousand system calls, whose cost is greater than that of the batch's rules, look-ups and
/// fsync together. Registered on the first call.
const char* wal_vfs();

/// Forgets what is gathered for the log of `connection`. To be called when a transaction has been
/// rolled back: what it wrote belongs nowhere any more, and another connection may by now have
/// committed in its place.
void forget_gathered(sqlite3* connection);

}  // namespace coupond::sqlite
