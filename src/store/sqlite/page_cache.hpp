// SQLite's own page cache, without a walk through all of it at almost every commit, in memory that
// is found quickly.
#pragma once

namespace coupond::sqlite {

/// To be called before anything else of SQLite is used in the process. At the end of a transaction
/// SQLite tells its cache to forget the pages beyond the file's end. The cache looks for them only
/// when it has had a page that far out; but whenever SQLite reorders neighbours in a tree it gives
/// one of them, for a moment, the number of a page far beyond every file's end (PENDING_BYTE), so
/// the cache looks through all its pages in nearly every commit: a quarter of the lane's CPU time
/// at a million codes. This wraps the cache and keeps count of those moments, so that it looks only
/// when there is something to find.
/// Pages lie in memory that is mapped in large pieces (docs/decisions/0003).
/// Also has SQLite not count what it allocates: that is two locks of a mutex for each allocation,
/// and several of these for each row that is added.
void install_page_cache();

}  // namespace coupond::sqlite
