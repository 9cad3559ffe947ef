#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/migrations.hpp"
#include "store/sqlite/sqlite.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

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
    explicit Impl(const std::filesystem::path& data_dir)
        : lock(data_dir), path((data_dir / "coupond.db").string()) {
        try {
            // Reading only: opening to write would turn another program's file to our settings.
            if (std::filesystem::exists(path)) {
                Connection look(path, Connection::Mode::read_only);
                check_application(look);
            }
            connection.emplace(path, Connection::Mode::read_write);
            if (sqlite3_db_readonly(connection->raw(), "main") != 0) {
                throw OpenError("cannot write to " + path + ": permission denied");
            }
        } catch (const Error& error) {
            throw fault(error);
        }
    }

    void check_application(Connection& look) const {
        const std::int64_t id = look.integer("PRAGMA application_id");
        const bool empty = look.integer("SELECT count(*) FROM sqlite_schema") == 0;
        const auto version = static_cast<int>(look.integer("PRAGMA user_version"));
        if ((id != application_id && !(id == 0 && empty)) || version < 0) {
            throw OpenError(path + " is not a coupond database");
        }
        const auto latest = static_cast<int>(sqlite::migrations().size());
        if (version > latest) {
            throw OpenError(path + " has schema version " + std::to_string(version) +
                            ", this coupond knows up to " + std::to_string(latest) +
                            ": run a newer coupond, or restore a backup made before the upgrade");
        }
    }

    OpenError fault(const Error& error) const {
        return OpenError("cannot use " + path + ": " + error.message());
    }

    FolderLock lock;
    std::string path;
    std::optional<Connection>
        connection;  ///< for the schema; keeps the WAL from being torn down meanwhile
};

Database::Database(const std::filesystem::path& data_dir)
    : impl_(std::make_unique<Impl>(data_dir)) {}

Database::~Database() = default;

std::string Database::name() const {
    return impl_->path;
}

const std::vector<Migration>& Database::migrations() const {
    return sqlite::migrations();
}

int Database::schema_version() {
    try {
        return static_cast<int>(impl_->connection->integer("PRAGMA user_version"));
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

int Database::migrate() {
    try {
        const int from = schema_version();
        const auto latest = static_cast<int>(migrations().size());
        const std::string id = std::to_string(application_id);
        for (int version = from + 1; version <= latest; ++version) {
            const Migration& migration = migrations()[static_cast<std::size_t>(version - 1)];
            const std::string transaction =
                "BEGIN IMMEDIATE;" + std::string(migration.sql) + ";PRAGMA application_id = " + id +
                ";PRAGMA user_version = " + std::to_string(version) + ";COMMIT";
            try {
                impl_->connection->execute(transaction.c_str());
            } catch (const Error&) {
                impl_->connection->roll_back();
                throw;
            }
            log::info("schema migrated", {{"to", version}, {"step", migration.title}});
        }
        return latest - from;
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<Store> Database::open_store() {
    try {
        return make_store(impl_->path);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

std::unique_ptr<ReadStore> Database::open_read_store() {
    try {
        return make_read_store(impl_->path);
    } catch (const Error& error) {
        throw impl_->fault(error);
    }
}

}  // namespace coupond::sqlite
