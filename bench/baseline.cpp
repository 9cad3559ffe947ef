// What the machine and the SQLite library can do by themselves, for the figures of coupond to be
// compared with. Prints one line of JSON.
//
//   baseline append FOLDER SECONDS      writes 4 KiB to a growing file and calls fdatasync
//   baseline overwrite FOLDER SECONDS   the same over what the file holds already
//   baseline rows FILE SECONDS CODES    redeems codes of a coupond.db, one row a transaction
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "baseline: %s\n", what.c_str());
    std::exit(1);
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Runs `step(n)` for n = 0, 1, … until the time is over or it returns false.
template <class Step>
void measure(double seconds, Step step) {
    const double cpu_before = cpu_seconds();
    const auto start = Clock::now();
    double elapsed = 0;
    std::int64_t done = 0;
    while (elapsed < seconds && step(done)) {
        ++done;
        elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    }
    std::printf("{\"perSecond\":%.1f,\"cpuUs\":%.2f,\"done\":%lld}\n",
                static_cast<double>(done) / elapsed,
                (cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(done),
                static_cast<long long>(done));
}

void disk(const std::string& folder, double seconds, bool overwrite) {
    constexpr std::int64_t block_bytes = 4096;
    constexpr std::int64_t blocks = 4096;  // to write over, in order, again and again
    const std::string path = folder + "/baseline.disk";
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) fail("cannot write " + path);
    unlink(path.c_str());
    std::array<char, block_bytes> block{};
    block.fill('x');
    const auto write_block = [&](std::int64_t n) {
        if (pwrite(file, block.data(), block.size(), n * block_bytes) != block_bytes) {
            fail("cannot write " + path);
        }
    };
    for (std::int64_t n = 0; overwrite && n < blocks; ++n) write_block(n);
    if (fsync(file) != 0) fail("cannot write " + path);
    measure(seconds, [&](std::int64_t n) {
        write_block(overwrite ? n % blocks : n);
        if (fdatasync(file) != 0) fail("cannot write " + path);
        return true;
    });
    close(file);
}

void rows(const std::string& path, double seconds, std::int64_t codes) {
    sqlite3* database = nullptr;
    sqlite3_stmt* update = nullptr;
    const auto check = [&](int code) {
        if (code != SQLITE_OK) fail(sqlite3_errmsg(database));
    };
    check(sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                          nullptr));
    check(sqlite3_exec(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", nullptr,
                       nullptr, nullptr));
    check(sqlite3_prepare_v3(database,
                             "UPDATE coupon_code SET redeemed_at = ?, "
                             "last_entry_id = last_entry_id + 1 "
                             "WHERE code = ? AND redeemed_at IS NULL",
                             -1, SQLITE_PREPARE_PERSISTENT, &update, nullptr));
    const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count();
    measure(seconds, [&](std::int64_t n) {
        if (n == codes) return false;
        const auto number = static_cast<std::uint32_t>(n * 618033 % codes) * 2654435761U;
        std::array<char, 16> code{};
        const int size = std::snprintf(code.data(), code.size(), "B-%08X", number);
        check(sqlite3_bind_int64(update, 1, now_ms));
        check(sqlite3_bind_text(update, 2, code.data(), size, SQLITE_STATIC));
        if (sqlite3_step(update) != SQLITE_DONE) fail(sqlite3_errmsg(database));
        if (sqlite3_changes(database) != 1) fail(std::string("not redeemed: ") + code.data());
        check(sqlite3_reset(update));
        return true;
    });
    sqlite3_finalize(update);
    sqlite3_close(database);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if ((what == "append" || what == "overwrite") && argc == 4) {
        disk(argv[2], std::atof(argv[3]), what == "overwrite");
    } else if (what == "rows" && argc == 5) {
        rows(argv[2], std::atof(argv[3]), std::atoll(argv[4]));
    } else {
        fail("append FOLDER SECONDS, overwrite FOLDER SECONDS or rows FILE SECONDS CODES");
    }
}
