#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "app/database.hpp"
#include "app/every_second.hpp"
#include "app/serve.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "wire/wire.hpp"

namespace coupond {
namespace {

constexpr std::string_view line_begin = R"({"id":)";

std::system_error cannot(const std::string& what) {
    return {errno, std::generic_category(), "cannot " + what};
}

void write_all(int fd, std::string_view text, const std::string& name) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw cannot("write to " + name);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// The id of the entry on a line; 0 where there is none.
EntryId id_of(std::string_view line) {
    EntryId id = 0;
    if (!line.starts_with(line_begin)) return 0;
    line.remove_prefix(line_begin.size());
    std::from_chars(line.data(), line.data() + line.size(), id);
    return id;
}

/// The ledger, page by page.
class Ledger {
public:
    explicit Ledger(Database& database)
        : name_(database.name()), reads_(database.open_read_store()) {}

    EntryPage page(EntryId after, std::size_t limit = limits::page_entries) {
        EntryQuery query;
        query.after = after;
        query.limit = limit;
        return or_fail(reads_->list_entries(query), after);
    }

    /// An id up to which entries are older than `before`, and none behind it. Goes by the first of
    /// each half: their times go back by a moment at most.
    EntryId end_of_older(Timestamp before) {
        EntryId older = 0, end = or_fail(reads_->last_entry(), 0);
        while (older < end) {
            const EntryId middle = older + (end - older) / 2;
            const EntryPage first = page(middle, 1);
            const bool is_older = !first.entries.empty() && first.entries.front().entry.at < before;
            is_older ? older = first.entries.front().entry.id : end = middle;
        }
        return end;
    }

private:
    template <class T>
    T or_fail(Result<T> result, EntryId after) const {
        if (result) return std::move(*result);
        throw OpenError("cannot read the ledger of " + name_ + " behind entry " +
                        std::to_string(after) + ": try again");
    }

    const std::string name_;
    const std::unique_ptr<ReadStore> reads_;
};

/// The file that entries are moved to, a line each. This process alone writes to it.
class Archive {
public:
    explicit Archive(const std::filesystem::path& path) : name_(path.string()) {
        fd_ = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (fd_ < 0) throw cannot("open " + name_);
        struct stat file {};
        if (fstat(fd_, &file) != 0 || !S_ISREG(file.st_mode)) {
            close(fd_);
            throw OpenError(name_ + " is no file that entries could be safe in");
        }
        if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            close(fd_);
            throw OpenError(name_ + " is being written by another coupond");
        }
        size_ = file.st_size;
        try {
            read_end();
            sync_folder(path);
        } catch (...) {
            close(fd_);
            throw;
        }
    }
    ~Archive() { close(fd_); }
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    const std::string& name() const { return name_; }

    /// The last lines that were there when it was opened, as many as one batch has.
    const std::vector<std::string>& last_lines() const { return last_lines_; }

    /// On disk when it returns.
    void append(std::string_view lines) {
        write_all(fd_, lines, name_);
        sync();
    }

private:
    /// Cuts off what an interruption has left of a line.
    void read_end() {
        constexpr off_t most = 8 * 1024 * 1024;  // more than the lines of a batch
        std::string end(static_cast<std::size_t>(std::min(size_, most)), '\0');
        const off_t from = size_ - static_cast<off_t>(end.size());
        if (pread(fd_, end.data(), end.size(), from) != static_cast<ssize_t>(end.size())) {
            throw cannot("read " + name_);
        }
        const std::size_t whole = end.rfind('\n') + 1;
        const std::string_view torn = std::string_view(end).substr(whole);
        const std::string_view expected = line_begin.substr(0, torn.size());
        std::string_view lines = std::string_view(end).substr(0, whole);
        const std::size_t last =
            lines.substr(0, lines.size() - (lines.empty() ? 0 : 1)).rfind('\n');
        const bool ours = lines.empty() || id_of(lines.substr(last + 1)) > 0;
        if (!ours || !torn.starts_with(expected)) {
            throw OpenError(name_ + " holds something else than entries of a ledger");
        }
        if (!torn.empty()) {
            log::warn("cut off the beginning of a line that an interruption has left",
                      {{"file", std::string_view(name_)}});
            if (ftruncate(fd_, from + static_cast<off_t>(whole)) != 0) {
                throw cannot("write to " + name_);
            }
            sync();
        }
        while (!lines.empty() && last_lines_.size() < limits::moved_entries) {
            lines.remove_suffix(1);
            const std::size_t begin = lines.rfind('\n') + 1;
            last_lines_.emplace_back(std::string(lines.substr(begin)) + "\n");
            lines = lines.substr(0, begin);
        }
        std::reverse(last_lines_.begin(), last_lines_.end());
    }

    void sync() const {
        if (fdatasync(fd_) != 0) throw cannot("write to " + name_);
    }

    /// So that a new file is found again.
    void sync_folder(const std::filesystem::path& path) const {
        const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
        const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool synced = fd >= 0 && fsync(fd) == 0;
        const int error = errno;
        if (fd >= 0) close(fd);
        errno = error;
        if (!synced) throw cannot("sync the folder " + folder.string());
    }

    const std::string name_;
    int fd_ = -1;
    off_t size_ = 0;
    std::vector<std::string> last_lines_;
};

/// Removes what is in the archive already: the batch at whose removal the last run was interrupted.
std::int64_t finish_interrupted(Ledger& ledger, LedgerRetention& retention,
                                const Archive& archive) {
    std::vector<EntryId> ids;
    const auto& lines = archive.last_lines();
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        const EntryId id = id_of(*line);
        if (id <= 0) break;
        const EntryPage page = ledger.page(id - 1, 1);
        if (page.entries.empty() || page.entries.front().entry.id != id) break;
        std::string now;
        wire::append_entry_line(now, page.entries.front());
        if (now == *line) ids.push_back(id);  // else its user was erased meanwhile
    }
    return retention.remove(retention.superseded(ids));
}

void move(const Config& config, Database& database) {
    Archive archive(config.archive);
    Ledger ledger(database);
    const auto retention = database.open_ledger_retention();
    constexpr std::int64_t day_ms = 24 * 3'600'000;
    const Timestamp before = SystemClock().now() + -config.retention_days * day_ms;
    std::int64_t moved = finish_interrupted(ledger, *retention, archive);
    std::int64_t read = 0;
    EverySecond report;
    const EntryId end = ledger.end_of_older(before);
    for (EntryId after = 0; after < end;) {
        const auto begun = std::chrono::steady_clock::now();
        const EntryPage page = ledger.page(after, limits::moved_entries);
        std::vector<EntryId> ids;
        for (const auto& [entry, code] : page.entries) {
            if (entry.id <= end && entry.at < before) ids.push_back(entry.id);
        }
        read += std::ssize(ids);
        ids = retention->superseded(ids);
        if (!ids.empty()) {
            std::string lines;
            for (const EntryListing& listing : page.entries) {
                if (std::ranges::binary_search(ids, listing.entry.id)) {
                    wire::append_entry_line(lines, listing);
                }
            }
            archive.append(lines);
            moved += retention->remove(ids);
            // Half of the time is others'.
            std::this_thread::sleep_for(std::chrono::steady_clock::now() - begun);
        }
        if (report.due()) {
            log::info("moving entries out of the ledger", {{"read", read}, {"moved", moved}});
        }
        if (!page.more) break;
        after = page.read_to;
    }
    std::printf("%s: %lld %s older than %s moved to %s\n", database.name().c_str(),
                static_cast<long long>(moved), moved == 1 ? "entry" : "entries",
                format_iso8601(before).c_str(), archive.name().c_str());
}

void print(EntryId after, Database& database) {
    Ledger ledger(database);
    for (bool more = true; more;) {
        const EntryPage page = ledger.page(after);
        std::string lines;
        for (const EntryListing& listing : page.entries) wire::append_entry_line(lines, listing);
        write_all(STDOUT_FILENO, lines, "stdout");
        more = page.more;
        after = page.read_to;
    }
}

}  // namespace

void export_ledger(const Config& config) {
    const std::unique_ptr<Database> database = open_database(config);
    require_schema(*database);
    !config.archive.empty() ? move(config, *database) : print(config.export_after, *database);
}

}  // namespace coupond
