#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.hpp"
#include "base/log.hpp"
#include "store/sqlite/code_snapshot.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/ledger_retention.hpp"
#include "store/sqlite/log_sync.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/snapshot.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

// Who reads for all clients: the index of a million codes fits in. Jobs read little, or each page
// once.
constexpr int cache_kib_for_all = 64 * 1024;
constexpr int cache_kib_for_one = 4 * 1024;

constexpr std::int64_t application_id = 0x636f7570;  // "coup": tells our files from other programs'

/// The folder's lock: held while the file is open, gone with the process however it ends.
class FolderLock {
public:
    explicit FolderLock(const std::filesystem::path& data_dir) {
        std::error_code error;
        std::filesystem::create_directories(data_dir, error);
        if (error) {
            throw OpenError("cannot create the data folder " + data_dir.string() + ": " +
                            error.message());
        }
        const std::filesystem::path path = data_dir / "coupond.lock";
        fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd_ < 0) {
            throw OpenError("cannot write to the data folder " + data_dir.string() + ": " +
                            std::strerror(errno));
        }
        if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            const std::string holder = read_holder();
            close(fd_);
            throw OpenError("the data folder " + data_dir.string() +
                            " is in use by another coupond" + holder +
                            "; a folder serves one process at a time");
        }
        const std::string pid = std::to_string(getpid()) + "\n";
        // The number only helps the person who reads the message above, so a full disk does not
        // matter here.
        const bool written = ftruncate(fd_, 0) == 0 && pwrite(fd_, pid.data(), pid.size(), 0) > 0;
        if (!written) log::warn("cannot note the process id in the lock file");
    }

    ~FolderLock() { close(fd_); }
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    std::string read_holder() const {
        std::array<char, 32> text{};
        const ssize_t size = pread(fd_, text.data(), text.size() - 1, 0);
        if (size <= 1) return {};
        return " (process " + std::string(text.data(), static_cast<std::size_t>(size) - 1) + ")";
    }

    int fd_ = -1;
};

}  // namespace

struct Database::Impl {
    Impl(const std::filesystem::path& data_dir, Access access)
        : path((data_dir / "coupond.db").string()) {
        if (access == Access::own) lock.emplace(data_dir);
        try {
            switch (access) {
                case Access::own: own(); break;
                case Access::share: share(); break;
                case Access::look: look(); break;
            }
        } catch (const Error& error) {
            throw fault(error);
        }
    }

    void own() {
        // Reading only: opening to write would turn another program's file to our settings.
        if (exists()) {
            Connection before(path, Connection::Mode::read_only);
            check_version(check_application(before));
        }
        write();
    }

    void share() {
        if (!exists()) return;
        {
            Connection before(path, Connection::Mode::read_only);
            check_application(before);
        }
        write();
    }

    void write() {
        connection.emplace(path, Connection::Mode::read_write);
        if (sqlite3_db_readonly(connection->raw(), "main") != 0) {
            throw OpenError("cannot write to " + path + ": permission denied");
        }
    }

    void look() {
        constexpr int most_tries = 5;
        for (int tries = 1; exists(); ++tries) {
            watch.emplace(path);
            try {
                connection.emplace(path, Connection::Mode::look);
                check_application(*connection);
                return;
            } catch (const Error& error) {
                // Whoever had it open has gone just now, and the log with them.
                connection.reset();
                if (tries == most_tries || (error.code() & 0xFF) != SQLITE_CANTOPEN) throw;
            }
        }
    }

    bool exists() const {
        std::error_code error;
        const bool there = std::filesystem::exists(path, error);
        if (error) throw OpenError("cannot look for " + path + ": " + error.message());
        return there;
    }

    /// Returns the schema's version.
    int check_application(Connection& connected) const {
        const std::int64_t id = connected.integer("PRAGMA application_id");
        const bool empty = connected.integer("SELECT count(*) FROM sqlite_schema") == 0;
        const auto version = static_cast<int>(connected.integer("PRAGMA user_version"));
        if ((id != application_id && !(id == 0 && empty)) || version < 0) {
            throw OpenError(path + " is not a coupond database");
        }
        return version;
    }

    void check_version(int version) const {
        const auto latest = static_cast<int>(sqlite::migrations().size());
        if (version > latest) {
            throw OpenError(path + " has schema version " + std::to_string(version) +
                            ", this coupond knows up to " + std::to_string(latest) +
                            ": run a newer coupond, or restore a backup made before the upgrade");
        }
    }

    std::unique_ptr<ReadStore> open_read_store(int cache_kib) const {
        COUPOND_CHECK(connection && !watch);
        try {
            return make_read_store(path, cache_kib);
        } catch (const Error& error) {
            throw fault(error);
        }
    }

    OpenError fault(const Error& error) const {
        return OpenError("cannot use " + path + ": " + error.message());
    }

    std::optional<FolderLock> lock;  ///< where it is ours
    std::string path;
    const std::shared_ptr<LogSync> log_sync = std::make_shared<LogSync>();
    std::optional<FileWatch> watch;  ///< where it is looked at
    std::optional<Connection>
        connection;  ///< for the schema; keeps the WAL from being torn down meanwhile
};

Database::Database(const std::filesystem::path& data_dir, Access access)
    : impl_(std::make_unique<Impl>(data_dir, access)) {}

Database::~Database() = default;

std::string Database::name() const {
    return impl_->path;
}

const std::vector<Migration>& Database::migrations() const {
    return sqlite::migrations();
}

int Database::schema_version() {
    if (!impl_->connection) return 0;  // looked for, and not there
    try {
        return static_cast<int>(impl_->connection->integer("PRAGMA user_version"));
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::string Database::step_sql(int version) const {
    // The connection has its size of pages already, other programs have not.
    return (version == 0 ? page_size_sql + std::string(";\n") : std::string()) +
           "BEGIN IMMEDIATE;\n" + migrations().at(static_cast<std::size_t>(version)).sql +
           "PRAGMA application_id = " + std::to_string(application_id) +
           ";\nPRAGMA user_version = " + std::to_string(version + 1) + ";\nCOMMIT;\n";
}

int Database::migrate() {
    COUPOND_CHECK(impl_->lock.has_value());
    try {
        const int from = schema_version();
        const auto latest = static_cast<int>(migrations().size());
        for (int version = from; version < latest; ++version) {
            const Migration& migration = migrations()[static_cast<std::size_t>(version)];
            try {
                impl_->connection->execute(step_sql(version).c_str());
            } catch (const Error&) {
                impl_->connection->roll_back();
                throw;
            }
            log::info("schema migrated", {{"to", version + 1}, {"step", migration.title}});
        }
        return latest - from;
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<Store> Database::open_store() {
    COUPOND_CHECK(impl_->lock.has_value());
    try {
        return make_store(impl_->path, impl_->log_sync);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<ReadStore> Database::open_read_store() {
    return impl_->open_read_store(cache_kib_for_all);
}

std::unique_ptr<ReadStore> Database::open_current_read_store() {
    return impl_->open_read_store(cache_kib_for_one);
}

std::unique_ptr<CodeSnapshot> Database::open_code_snapshot(Wanted wanted) {
    COUPOND_CHECK(impl_->connection && !impl_->watch);
    try {
        return make_code_snapshot(impl_->path, std::move(wanted), impl_->log_sync);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<LedgerRetention> Database::open_ledger_retention() {
    COUPOND_CHECK(impl_->connection && !impl_->watch && !impl_->lock);
    try {
        return make_ledger_retention(impl_->path, *impl_->connection);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<Snapshot> Database::open_snapshot() {
    COUPOND_CHECK(impl_->connection && impl_->watch);
    try {
        return make_snapshot(impl_->path, *impl_->connection, *impl_->watch);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

}  // namespace coupond::sqlite
