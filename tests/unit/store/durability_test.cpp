// What was saved stays, whatever happens to the process, its log and its disk afterwards.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <optional>
#include <thread>

#include "base/log.hpp"
#include "unit/store/log_watch.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

/// Saves codes in numbered batches: batch n is `per_batch` codes called n-0, n-1, …
class Writer {
public:
    static constexpr std::size_t per_batch = 20;

    explicit Writer(Store& store, int batches_there = 0) : store_(store), batches_(batches_there) {
        if (batches_there == 0) {
            EXPECT_TRUE(store_.save(Draft().book(make_book(1)).delta));
        }
    }

    /// Saves the next batch.
    Result<void> save(std::size_t codes = per_batch) {
        Needs needs;
        needs.code_ids = codes;
        Result<World> world = store_.load(needs);
        if (!world) return world.error();
        Draft draft(world->next_entry_id);
        CodeId id = world->next_code_id;
        for (const std::string& text : numbered(std::to_string(batches_) + "-", codes)) {
            draft.code(make_code(id++, 1, text));
        }
        const Result<void> saved = store_.save(draft.delta);
        if (settles_) store_.settle();
        if (saved) ++batches_;
        return saved;
    }

    /// Saves that follow are not waited for.
    void hurry() { settles_ = false; }

    int batches() const { return batches_; }

private:
    Store& store_;
    int batches_;
    bool settles_ = true;
};

/// The sizes of the batches in a file, each of which must be there whole or not at all.
int count_batches(const std::filesystem::path& file, std::size_t per_batch = Writer::per_batch) {
    expect_sound(file);
    SecondConnection connection(file);
    const auto sizes = connection.rows(
        "SELECT count(*) FROM coupon_code GROUP BY CAST(code AS INTEGER) ORDER BY min(id)");
    for (const std::string& size : sizes) EXPECT_EQ(size, std::to_string(per_batch));
    return static_cast<int>(sizes.size());
}

/// A copy of a database and, cut to `log_bytes`, its log: what a crash may leave.
class CrashImage {
public:
    CrashImage(const std::filesystem::path& file, std::optional<std::uintmax_t> log_bytes = {},
               const std::string& tail = {}) {
        std::filesystem::copy_file(file, this->file());
        const std::filesystem::path log = this->file().string() + "-wal";
        std::filesystem::copy_file(file.string() + "-wal", log);
        if (log_bytes) std::filesystem::resize_file(log, *log_bytes);
        std::ofstream(log, std::ios::binary | std::ios::app) << tail;
    }

    std::filesystem::path file() const { return folder_.path() / "coupond.db"; }
    const std::filesystem::path& folder() const { return folder_.path(); }

private:
    TemporaryFolder folder_{TemporaryFolder::Disk::memory};
};

class Durability : public testing::Test {
protected:
    Durability() { log::configure(log::Level::off, log::Format::text); }
    ~Durability() override {
        heal_logs();
        log::configure(log::Level::info, log::Format::text);
    }

    std::filesystem::path log_file() const { return sqlite_.file().string() + "-wal"; }

    SqliteStore sqlite_;
};

TEST_F(Durability, OfASaveIsASyncOfAllOfItsLogBeforeItIsSettled) {
    Writer writer(sqlite_.store());
    for (int i = 0; i < 50; ++i) {
        const LogTotals before = log_totals();
        ASSERT_TRUE(writer.save());
        const LogTotals after = log_totals();
        EXPECT_GT(after.bytes, before.bytes);
        EXPECT_GT(after.syncs, before.syncs);
        EXPECT_EQ(after.unsynced_bytes, 0);
    }
}

TEST_F(Durability, IsWaitedForByWhoeverSettlesAndOnceForAll) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save());
    writer.hurry();
    LogTotals before = log_totals();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer.save());
    EXPECT_EQ(log_totals().syncs, before.syncs);
    EXPECT_GT(log_totals().unsynced_bytes, 0);
    EXPECT_FALSE(sqlite_.store().is_settled());
    sqlite_.store().settle();
    EXPECT_TRUE(sqlite_.store().is_settled());
    EXPECT_EQ(log_totals().syncs, before.syncs + 1);
    EXPECT_EQ(log_totals().unsynced_bytes, 0);
    sqlite_.store().settle();
    EXPECT_EQ(log_totals().syncs, before.syncs + 1);
}

TEST_F(Durability, OfAllThatCanBeSeenComesBeforeSettleReturns) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save());
    writer.hurry();
    std::atomic<bool> stop = false;
    std::thread saves([&] {
        while (!stop) ASSERT_TRUE(writer.save());
    });
    const auto reads = sqlite_.open_reads();
    for (int i = 0; i < 300; ++i) {
        EXPECT_TRUE(reads->last_entry());
        const LogTotals before = log_totals();  // what could be seen is in there
        sqlite_.store().settle();
        const LogTotals after = log_totals();
        EXPECT_GE(after.bytes - after.unsynced_bytes, before.bytes);
    }
    stop = true;
    saves.join();
    sqlite_.close();
    EXPECT_EQ(log_totals().unsynced_bytes, 0);
}

TEST_F(Durability, OfTheHeaderOfALogThatBeginsAnewComesFirst) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save(1'000));
    writer.hurry();
    for (int i = 0; i < 3; ++i) {
        SecondConnection(sqlite_.file()).rows("PRAGMA wal_checkpoint(RESTART)");
        const LogTotals before = log_totals();
        ASSERT_TRUE(writer.save());
        EXPECT_EQ(log_totals().syncs, before.syncs + 1);
        EXPECT_GT(log_totals().unsynced_bytes, 0);
    }
}

TEST_F(Durability, TakesFewWritesForMuchLog) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save(20'000));
    const LogTotals before = log_totals();
    ASSERT_TRUE(writer.save(5'000));
    const LogTotals after = log_totals();
    const std::int64_t pages = (after.bytes - before.bytes) / 4096;
    EXPECT_GT(pages, 100);
    EXPECT_LT(after.writes - before.writes, pages / 10);
}

TEST_F(Durability, HoldsForACopyMadeAtAnyMomentWhileSavesGoOn) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save());
    std::atomic<int> acknowledged = 1;
    std::atomic<bool> stop = false;
    std::thread saves([&] {
        while (!stop) {
            ASSERT_TRUE(writer.save());
            acknowledged = writer.batches();
        }
    });
    for (int i = 0; i < 15; ++i) {
        const int before = acknowledged;
        // As long as somebody reads, the log does not begin anew between the copies of both files.
        SecondConnection reader(sqlite_.file());
        reader.rows("BEGIN");
        reader.rows("SELECT count(*) FROM coupon_code");
        const CrashImage image(sqlite_.file());
        EXPECT_GE(count_batches(image.file()), before);
        while (acknowledged < before + 2) std::this_thread::yield();
    }
    stop = true;
    saves.join();
}

TEST_F(Durability, HoldsHoweverMuchOfAnUnfinishedSaveIsInTheLog) {
    Writer writer(sqlite_.store());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer.save());
    const auto acknowledged = std::filesystem::file_size(log_file());
    ASSERT_TRUE(writer.save());  // the save that the crash cuts off
    const auto end = std::filesystem::file_size(log_file());
    ASSERT_GT(end, acknowledged);
    for (auto size = acknowledged; size < end; size += 1 + (end - acknowledged) / 40) {
        const CrashImage image(sqlite_.file(), size);
        EXPECT_EQ(count_batches(image.file()), 5) << size;
    }
    EXPECT_EQ(count_batches(CrashImage(sqlite_.file(), end).file()), 6);
    for (const char filler : {'\0', '\xff', 'x'}) {  // what a torn write may leave behind it
        const CrashImage image(sqlite_.file(), acknowledged, std::string(9000, filler));
        EXPECT_EQ(count_batches(image.file()), 5);
    }
}

TEST_F(Durability, HoldsForCoupondItselfOnACrashImage) {
    Writer writer(sqlite_.store());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer.save());
    const auto size = std::filesystem::file_size(log_file());
    ASSERT_TRUE(writer.save());
    const CrashImage image(sqlite_.file(), size + 5000);
    sqlite::Database database(image.folder());
    EXPECT_EQ(database.migrate(), 0);
    const auto store = database.open_store();
    EXPECT_EQ(load_code(*store, "4-19")->id, 100);
    EXPECT_EQ(load_code(*store, "5-0"), std::nullopt);
    Writer again(*store, 5);
    EXPECT_TRUE(again.save());
    EXPECT_EQ(count_batches(image.file()), 6);
}

TEST_F(Durability, HoldsForAProcessThatIsKilledAtAnyMoment) {
    sqlite_.close();  // its thread would not be there in the forked process
    for (int round = 0; round < 8; ++round) {
        const TemporaryFolder folder(TemporaryFolder::Disk::memory);
        int acknowledgements[2];
        ASSERT_EQ(pipe(acknowledgements), 0);
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            close(acknowledgements[0]);
            sqlite::Database database(folder.path());
            database.migrate();
            const auto store = database.open_store();
            Writer writer(*store);
            while (writer.save()) {
                if (write(acknowledgements[1], "x", 1) != 1) break;
            }
            _exit(1);
        }
        close(acknowledgements[1]);
        int acknowledged = 0;
        char byte = 0;
        while (acknowledged < 3 + 7 * round && read(acknowledgements[0], &byte, 1) == 1) {
            ++acknowledged;
        }
        kill(child, SIGKILL);
        while (read(acknowledgements[0], &byte, 1) == 1) ++acknowledged;  // those on their way
        close(acknowledgements[0]);
        int status = 0;
        waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the process ended by itself";

        sqlite::Database database(folder.path());  // its lock has gone with it
        const auto store = database.open_store();
        const int there = count_batches(folder.path() / "coupond.db");
        EXPECT_GE(there, acknowledged);
        EXPECT_LE(there, acknowledged + 1);
        Writer writer(*store, there);
        EXPECT_TRUE(writer.save());
    }
}

TEST_F(Durability, LeavesNothingHalfWrittenWhereALogWriteFails) {
    Writer writer(sqlite_.store());
    ASSERT_TRUE(writer.save(2'000));
    for (const Fault fault : {Fault::full, Fault::cut}) {
        for (int after = 0; after < 4; ++after) {
            const auto before = contents(sqlite_.file());
            break_logs(fault, after);
            const Result<void> saved = writer.save(2'000);
            heal_logs();
            if (saved) {  // it took fewer writes
                EXPECT_GT(after, 0);
                continue;
            }
            EXPECT_EQ(saved.error(), Failure::unavailable);
            EXPECT_TRUE(contents(sqlite_.file()) == before);
            ASSERT_TRUE(writer.save(2'000));
            EXPECT_EQ(count_batches(sqlite_.file(), 2'000), writer.batches());
            EXPECT_EQ(count_batches(CrashImage(sqlite_.file()).file(), 2'000), writer.batches());
        }
    }
    sqlite_.close();
    sqlite_.open();
    EXPECT_EQ(count_batches(sqlite_.file(), 2'000), writer.batches());
}

TEST_F(Durability, EndsTheProcessWhereASyncFailsRatherThanAskAgain) {
    sqlite_.close();
    EXPECT_EXIT(
        {
            log::configure(log::Level::info, log::Format::text);
            sqlite::Database database(sqlite_.folder());
            const auto store = database.open_store();
            Writer writer(*store);
            break_logs(Fault::sync_failed, 0);
            (void)writer.save();
        },
        testing::ExitedWithCode(1), "the disk did not take what was written");
}

TEST_F(Durability, KeepsTheLogBoundedUnderLoad) {
    SqliteStore sqlite(TemporaryFolder::Disk::real);
    Writer writer(sqlite.store());
    ASSERT_TRUE(writer.save(30'000));
    const std::int64_t before = log_totals().bytes;
    std::uintmax_t largest = 0;
    constexpr std::int64_t much = 600'000'000;
    while (log_totals().bytes - before < much) {
        ASSERT_TRUE(writer.save(3'000));
        largest = std::max(largest, std::filesystem::file_size(sqlite.file().string() + "-wal"));
    }
    EXPECT_LT(largest, 450'000'000u);  // checkpointer.cpp: at 384 MiB the writer helps
    EXPECT_GT(largest, 30'000'000u);
    RecordProperty("largest_log_bytes", std::to_string(largest));
    expect_sound(sqlite.file());
}

/// What the calling thread has written in system calls, to whatever file.
std::int64_t bytes_this_thread_wrote() {
    std::ifstream figures("/proc/thread-self/io");
    std::string name;
    for (std::int64_t bytes = 0; figures >> name >> bytes;) {
        if (name == "wchar:") return bytes;
    }
    ADD_FAILURE() << "the system does not tell";
    return 0;
}

/// How many pages of its log have been moved into `file`: WalCkptInfo.nBackfill
/// (sqlite.org/walformat.html).
int pages_moved(const std::filesystem::path& file) {
    std::ifstream index(file.string() + "-shm", std::ios::binary);
    index.seekg(96);
    std::uint32_t pages = 0;
    index.read(reinterpret_cast<char*>(&pages), sizeof pages);
    return static_cast<int>(pages);
}

// What is moved into the file, and by whom.
class Moving : public Durability {
protected:
    int log_pages() const {
        const auto bytes = std::filesystem::file_size(disk_.file().string() + "-wal");
        return static_cast<int>(bytes / (2'048 + 24));
    }

    int moved() const { return pages_moved(disk_.file()); }

    /// What this thread has written that is no log.
    static std::int64_t moved_here() { return bytes_this_thread_wrote() - log_totals().bytes; }

    /// Saves until the log has so many pages.
    void fill_log(int pages, std::size_t codes) {
        while (log_pages() < pages) ASSERT_TRUE(writer_.save(codes));
    }

    template <class Condition>
    void wait_until(const Condition& condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        while (!condition()) {
            ASSERT_LT(std::chrono::steady_clock::now(), deadline);
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }

    /// Saves a little now and then until the first `pages` of the log are moved, or all of it is
    /// and it has begun anew.
    void save_until_moved(int pages, int before) {
        wait_until([&] {
            const int now = moved();
            const bool is_done = now >= pages || now < before;
            if (!is_done) {
                EXPECT_TRUE(writer_.save());
            }
            return is_done;
        });
    }

    SqliteStore disk_{TemporaryFolder::Disk::real};
    Writer writer_{disk_.store()};
    static constexpr std::int64_t little = 1'000 * 2'048;  // checkpointer.cpp
};

/// On a snapshot of now, which what comes later cannot be moved beyond.
struct LongReader {
    explicit LongReader(const std::filesystem::path& file) : connection(file) {
        connection.run("BEGIN");
        connection.rows("SELECT count(*) FROM coupon_book");
    }

    SecondConnection connection;
};

TEST_F(Moving, LeavesWhatCameInMeanwhileToTheThreadToo) {
    fill_log(60'000, 3'000);
    const int seen = log_pages();
    {
        const LongReader reader(disk_.file());
        fill_log(64'000, 1'000);
        wait_until([&] { return moved() >= seen; });
    }
    const std::int64_t before = moved_here();
    ASSERT_TRUE(writer_.save(60'000));
    const int pages = log_pages();
    ASSERT_GT(pages, seen + 5'000);
    save_until_moved(pages, seen);
    EXPECT_LT(moved_here() - before, little);
}

/// How many commits come between the last look and the reader's end.
class MovingAfterAReader : public Moving, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Commits, MovingAfterAReader, testing::Values(0, 1));

TEST_P(MovingAfterAReader, LeavesToTheThreadWhatWasHeldUp) {
    fill_log(60'000, 3'000);
    const int seen = log_pages();
    std::optional<LongReader> reader(disk_.file());
    fill_log(200'000, 3'000);  // from 192,000 on the writer has a look itself
    wait_until([&] { return moved() >= seen; });
    for (int i = 0; i <= GetParam(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));  // for a round to end
        ASSERT_TRUE(writer_.save());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const std::int64_t before = moved_here();
    reader.reset();
    save_until_moved(200'000, seen);
    EXPECT_LT(moved_here() - before, little);
}

// A disk that is full and then is not.
class DiskFull : public Durability {
protected:
    /// `fill` takes all room, `free` gives it back.
    template <class Fill, class Free>
    void expect_recovery(const std::filesystem::path& folder, Fill fill, Free free) {
        sqlite::Database database(folder);
        database.migrate();
        const auto store = database.open_store();
        const std::filesystem::path file = folder / "coupond.db";
        Writer writer(*store);
        for (int round = 0; round < 3; ++round) {
            ASSERT_TRUE(writer.save(500));
            const auto before = contents(file);
            fill();
            for (int i = 0; i < 3; ++i) {
                const Result<void> saved = writer.save(500);
                ASSERT_FALSE(saved);
                EXPECT_EQ(saved.error(), Failure::unavailable);
                EXPECT_TRUE(load_code(*store, "0-0"));  // reading goes on
            }
            EXPECT_TRUE(contents(file) == before);
            free();
            ASSERT_TRUE(writer.save(500));
            EXPECT_EQ(count_batches(file, 500), writer.batches());
        }
    }
};

TEST_F(DiskFull, IsUnavailableAndGetsBetterWithRoomOnASmallDisk) {
    // A mount in a namespace of this process goes with it, however it ends.
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr)) {
        GTEST_SKIP() << "may not mount; the other test imitates it";
    }
    const TemporaryFolder mount_point;
    ASSERT_EQ(mount("coupond-test", mount_point.path().c_str(), "tmpfs", 0, "size=8m"), 0);
    const auto ballast = mount_point.path() / "ballast";
    expect_recovery(
        mount_point.path() / "data",
        [&] {
            for (const std::streamsize size : {1 << 20, 4096, 1}) {
                std::ofstream out(ballast, std::ios::binary | std::ios::app);
                const std::string block(static_cast<std::size_t>(size), 'x');
                while (out.write(block.data(), size) && out.flush()) {
                }
            }
        },
        [&] { std::filesystem::remove(ballast); });
    umount2(mount_point.path().c_str(), MNT_DETACH);
}

TEST_F(DiskFull, IsUnavailableAndGetsBetterWithRoomForLargerFiles) {
    signal(SIGXFSZ, SIG_IGN);
    const TemporaryFolder folder(TemporaryFolder::Disk::memory);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    expect_recovery(
        folder.path(),
        [&] {
            const auto log = std::filesystem::file_size(folder.path() / "coupond.db-wal");
            const rlimit tight{log + 10'000, before.rlim_max};
            ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
        },
        [&] { setrlimit(RLIMIT_FSIZE, &before); });
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
}

}  // namespace
}  // namespace coupond::test
