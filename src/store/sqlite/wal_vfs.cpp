#include "store/sqlite/wal_vfs.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "base/check.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

// SQLite's own files take less than 128 KiB in one write (seekAndWriteFd in os_unix.c).
constexpr std::size_t gathered_bytes = 120 * 1024;

/// What SQLite sees of an open log: its own header, ours, and behind it in the same memory the
/// system's file.
struct LogFile {
    sqlite3_file base;
    std::vector<std::byte> gathered;  ///< not written yet: belongs at `at`
    sqlite3_int64 at;
    bool puts_off_syncs = false;
    bool has_begun_anew = false;  ///< and its header is not synced yet

    sqlite3_file* system();
};

// The system's part begins where any type may.
constexpr std::size_t system_offset = (sizeof(LogFile) + alignof(std::max_align_t) - 1) /
                                      alignof(std::max_align_t) * alignof(std::max_align_t);

sqlite3_file* LogFile::system() {
    return reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(this) + system_offset);
}

LogFile& log_of(sqlite3_file* file) {
    return *reinterpret_cast<LogFile*>(file);
}

/// Writes out what is gathered. On failure it is given up: SQLite rolls the transaction back and
/// writes its place anew.
int write_out(LogFile& log) {
    if (log.gathered.empty()) return SQLITE_OK;
    const int code = log.system()->pMethods->xWrite(log.system(), log.gathered.data(),
                                                    static_cast<int>(log.gathered.size()), log.at);
    log.gathered.clear();
    return code;
}

int close(sqlite3_file* file) {
    LogFile& log = log_of(file);
    const int written = write_out(log);
    const int closed = log.system()->pMethods->xClose(log.system());
    log.~LogFile();
    return written != SQLITE_OK ? written : closed;
}

int read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
    LogFile& log = log_of(file);
    const auto gathered_end = log.at + static_cast<sqlite3_int64>(log.gathered.size());
    if (at < gathered_end && at + size > log.at) {
        if (const int code = write_out(log); code != SQLITE_OK) return code;
    }
    return log.system()->pMethods->xRead(log.system(), out, size, at);
}

int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    LogFile& log = log_of(file);
    const auto count = static_cast<std::size_t>(size);
    log.has_begun_anew |= at == 0;
    const bool adjoins = at == log.at + static_cast<sqlite3_int64>(log.gathered.size());
    if (!adjoins || log.gathered.size() + count > gathered_bytes) {
        if (const int code = write_out(log); code != SQLITE_OK) return code;
        log.at = at;
    }
    try {
        const auto* const first = static_cast<const std::byte*>(bytes);
        log.gathered.insert(log.gathered.end(), first, first + count);
    } catch (const std::bad_alloc&) {
        log.gathered.clear();
        return SQLITE_IOERR_NOMEM;
    }
    return SQLITE_OK;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
    LogFile& log = log_of(file);
    if (const int code = write_out(log); code != SQLITE_OK) return code;
    return log.system()->pMethods->xTruncate(log.system(), size);
}

int sync(sqlite3_file* file, int flags) {
    LogFile& log = log_of(file);
    if (const int code = write_out(log); code != SQLITE_OK) return code;
    if (log.puts_off_syncs && !log.has_begun_anew) return SQLITE_OK;
    const int code = log.system()->pMethods->xSync(log.system(), flags);
    log.has_begun_anew &= code != SQLITE_OK;
    return code;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
    LogFile& log = log_of(file);
    if (const int code = write_out(log); code != SQLITE_OK) return code;
    return log.system()->pMethods->xFileSize(log.system(), size);
}

int lock(sqlite3_file* file, int level) {
    return log_of(file).system()->pMethods->xLock(log_of(file).system(), level);
}

int unlock(sqlite3_file* file, int level) {
    return log_of(file).system()->pMethods->xUnlock(log_of(file).system(), level);
}

int check_reserved_lock(sqlite3_file* file, int* reserved) {
    return log_of(file).system()->pMethods->xCheckReservedLock(log_of(file).system(), reserved);
}

int file_control(sqlite3_file* file, int operation, void* argument) {
    LogFile& log = log_of(file);
    if (const int code = write_out(log); code != SQLITE_OK) return code;
    return log.system()->pMethods->xFileControl(log.system(), operation, argument);
}

int sector_size(sqlite3_file* file) {
    return log_of(file).system()->pMethods->xSectorSize(log_of(file).system());
}

int device_characteristics(sqlite3_file* file) {
    return log_of(file).system()->pMethods->xDeviceCharacteristics(log_of(file).system());
}

sqlite3_vfs* system_vfs() {
    static sqlite3_vfs* const vfs = sqlite3_vfs_find(nullptr);
    return vfs;
}

// Version 1: a log has no shared memory and no memory map of its own.
const sqlite3_io_methods methods = {1,
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

/// What is registered for a folder.
struct Vfs {
    std::string name;
    std::string temporary;  ///< the path of files that SQLite does not name; ends in two zeros
    std::mutex making;
    sqlite3_vfs base;
};

/// A file that has no name any more when this returns.
int open_temporary(Vfs& vfs, sqlite3_file* file, int flags, int* out_flags) {
    const char* const path = vfs.temporary.empty() ? nullptr : vfs.temporary.c_str();
    const std::lock_guard lock(vfs.making);
    // Whoever made the last one may have ended before it had no name.
    if (path != nullptr) system_vfs()->xDelete(system_vfs(), path, 0);
    return system_vfs()->xOpen(system_vfs(), path, file, flags, out_flags);
}

int open(sqlite3_vfs* self, const char* path, sqlite3_file* file, int flags, int* out_flags) {
    if (path == nullptr) {
        return open_temporary(*static_cast<Vfs*>(self->pAppData), file, flags, out_flags);
    }
    if ((flags & SQLITE_OPEN_WAL) == 0) {
        return system_vfs()->xOpen(system_vfs(), path, file, flags, out_flags);
    }
    // SQLite makes a log where there is none, even for who only looks (Connection::Mode::look).
    if (sqlite3_uri_boolean(path, "readonly_shm", 0) != 0) flags &= ~SQLITE_OPEN_CREATE;
    LogFile& log = *new (file) LogFile{{nullptr}, {}, 0};
    const int code = system_vfs()->xOpen(system_vfs(), path, log.system(), flags, out_flags);
    if (log.system()->pMethods == nullptr) {
        log.~LogFile();  // SQLite does not close what has no methods
        return code;
    }
    log.base.pMethods = &methods;
    return code;
}

constexpr std::size_t piece_bytes = std::size_t(1) << 20;
thread_local bool writes_piecewise = false;

/// pwrite, as SQLite calls it.
ssize_t write_at(int file, const void* bytes, std::size_t count, off_t at) {
    const ssize_t written = pwrite(file, bytes, count, at);
    if (!writes_piecewise || written < 0) return written;
    static thread_local std::size_t piece = 0;
    piece += static_cast<std::size_t>(written);
    if (piece < piece_bytes) return written;
    piece = 0;
    // Begins with this piece when the one before is written. Where that failed, the sync at the end
    // would not tell, for the kernel tells once: it is as if that sync had failed.
    constexpr unsigned begin_next = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;
    const int begun = sync_file_range(file, 0, 0, begin_next);
    if (begun != 0 && errno != EINVAL && errno != ENOSYS) {
        classify(Error(SQLITE_IOERR_FSYNC, std::strerror(errno)));  // ends the process
    }
    return written;
}

void install_write_at() {
    sqlite3_vfs* const vfs = system_vfs();
    for (const char* const name : {"pwrite", "pwrite64"}) {
        if (vfs->xGetSystemCall(vfs, name) == nullptr) continue;  // it uses the other one
        const auto function = reinterpret_cast<sqlite3_syscall_ptr>(write_at);
        COUPOND_CHECK(vfs->xSetSystemCall(vfs, name, function) == SQLITE_OK);
    }
}

}  // namespace

const char* wal_vfs(const std::string& folder) {
    static std::mutex mutex;
    static std::map<std::string, Vfs> registered;
    const std::lock_guard lock(mutex);
    const auto [place, is_new] = registered.try_emplace(folder);
    Vfs& vfs = place->second;
    if (is_new) {
        if (registered.size() == 1) install_write_at();  // before anything is open
        vfs.name = "coupond-wal " + folder;
        if (!folder.empty()) vfs.temporary = folder + "/coupond-sort.tmp" + '\0';
        vfs.base = *system_vfs();
        vfs.base.pNext = nullptr;
        vfs.base.zName = vfs.name.c_str();
        vfs.base.pAppData = &vfs;
        vfs.base.szOsFile += static_cast<int>(system_offset);
        vfs.base.xOpen = open;
        COUPOND_CHECK(sqlite3_vfs_register(&vfs.base, 0) == SQLITE_OK);
    }
    return vfs.name.c_str();
}

sqlite3_file* log_file(sqlite3* connection) {
    sqlite3_file* file = nullptr;
    const int code = sqlite3_file_control(connection, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    const bool is_log = code == SQLITE_OK && file != nullptr && file->pMethods == &methods;
    return is_log ? file : nullptr;
}

void put_off_syncs(sqlite3_file* log, bool puts_off) {
    log_of(log).puts_off_syncs = puts_off;
}

int sync_log(sqlite3_file* log) {
    sqlite3_file* const file = log_of(log).system();
    const int code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return code == SQLITE_OK ? code : SQLITE_IOERR_FSYNC;
}

void write_piecewise() {
    writes_piecewise = true;
}

void forget_gathered(sqlite3* connection) {
    if (sqlite3_file* const log = log_file(connection)) log_of(log).gathered.clear();
}

}  // namespace coupond::sqlite
