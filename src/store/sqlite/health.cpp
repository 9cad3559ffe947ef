#include <sqlite3.h>

#include <cstdlib>

#include "base/log.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {

Failure classify(const Error& error) {
    switch (error.code()) {
        case SQLITE_CONSTRAINT_UNIQUE:
        case SQLITE_CONSTRAINT_PRIMARYKEY:
        case SQLITE_CONSTRAINT_ROWID:
        case SQLITE_BUSY_SNAPSHOT: return Failure::conflict;
        case SQLITE_IOERR_FSYNC:
        case SQLITE_IOERR_DIR_FSYNC:
            // The kernel may have dropped the pages it could not write, so asking again would
            // succeed and lie (PostgreSQL's data_sync_retry = off). What is on the disk is found
            // out by starting anew.
            log::error(
                "the disk did not take what was written; ending, so that a start can recover",
                {{"reason", error.message()}});
            std::_Exit(EXIT_FAILURE);
    }
    switch (error.code() & 0xFF) {
        case SQLITE_CONSTRAINT:
        case SQLITE_TOOBIG:
        case SQLITE_MISMATCH: return Failure::refused;
        default: return Failure::unavailable;
    }
}

void Health::failed(const Error& error) {
    if (!failing_) {
        log::error("the database does not work",
                   {{"side", side_}, {"reason", error.message()}, {"code", error.code()}});
    }
    failing_ = true;
}

void Health::worked() {
    if (failing_) log::info("the database works again", {{"side", side_}});
    failing_ = false;
}

}  // namespace coupond::sqlite
