#include "unit/store/log_watch.hpp"

#include <sqlite3.h>

#include <cstddef>
#include <mutex>
#include <optional>

#include "store/sqlite/page_cache.hpp"

namespace coupond::test {
namespace {

std::mutex mutex;
LogTotals totals;
std::optional<Fault> fault;
int calls_until_fault = 0;

/// Whether a call of this kind is to fail.
std::optional<Fault> strike(bool sync) {
    if (!fault || (*fault == Fault::sync_failed) != sync) return std::nullopt;
    return calls_until_fault-- > 0 ? std::nullopt : fault;
}

sqlite3_vfs* below() {
    static sqlite3_vfs* const vfs = sqlite3_vfs_find("unix");
    return vfs;
}

constexpr std::size_t offset = 64;  // of the system's file behind ours
static_assert(sizeof(sqlite3_file) <= offset);

sqlite3_file* real(sqlite3_file* file) {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(file) + offset);
}

int close(sqlite3_file* file) {
    return real(file)->pMethods->xClose(real(file));
}
int read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
    return real(file)->pMethods->xRead(real(file), out, size, at);
}
int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    const std::lock_guard lock(mutex);
    const auto strikes = strike(false);
    if (strikes == Fault::cut) real(file)->pMethods->xWrite(real(file), bytes, size / 2, at);
    if (strikes) return SQLITE_FULL;
    ++totals.writes;
    totals.bytes += size;
    totals.unsynced_bytes += size;
    return real(file)->pMethods->xWrite(real(file), bytes, size, at);
}
int truncate(sqlite3_file* file, sqlite3_int64 size) {
    return real(file)->pMethods->xTruncate(real(file), size);
}
int sync(sqlite3_file* file, int flags) {
    const std::lock_guard lock(mutex);
    if (strike(true)) return SQLITE_IOERR_FSYNC;
    ++totals.syncs;
    totals.unsynced_bytes = 0;
    return real(file)->pMethods->xSync(real(file), flags);
}
int file_size(sqlite3_file* file, sqlite3_int64* size) {
    return real(file)->pMethods->xFileSize(real(file), size);
}
int lock(sqlite3_file* file, int level) {
    return real(file)->pMethods->xLock(real(file), level);
}
int unlock(sqlite3_file* file, int level) {
    return real(file)->pMethods->xUnlock(real(file), level);
}
int check_reserved_lock(sqlite3_file* file, int* reserved) {
    return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}
int file_control(sqlite3_file* file, int operation, void* argument) {
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}
int sector_size(sqlite3_file* file) {
    return real(file)->pMethods->xSectorSize(real(file));
}
int device_characteristics(sqlite3_file* file) {
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

constexpr sqlite3_io_methods methods = {1,
                                        close,
                                        read,
                                        write,
                                        truncate,
                                        sync,
                                        file_size,
                                        lock,
                                        unlock,
                                        check_reserved_lock,
                                        file_control,
                                        sector_size,
                                        device_characteristics,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        nullptr,
                                        nullptr};

int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return below()->xOpen(below(), path, file, flags, out_flags);
    }
    const int code = below()->xOpen(below(), path, real(file), flags, out_flags);
    file->pMethods = real(file)->pMethods == nullptr ? nullptr : &methods;
    return code;
}

// The default VFS, before the store's own asks for what the default is.
const bool registered = [] {
    sqlite::install_page_cache();  // wants to be the first to touch SQLite
    static sqlite3_vfs vfs = *below();
    vfs.pNext = nullptr;
    vfs.zName = "log-watch";
    vfs.szOsFile += static_cast<int>(offset);
    vfs.xOpen = open;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}();

}  // namespace

LogTotals log_totals() {
    const std::lock_guard guard(mutex);
    return totals;
}

void break_logs(Fault kind, int after) {
    const std::lock_guard guard(mutex);
    fault = kind;
    calls_until_fault = after;
}

void heal_logs() {
    const std::lock_guard guard(mutex);
    fault.reset();
}

}  // namespace coupond::test
