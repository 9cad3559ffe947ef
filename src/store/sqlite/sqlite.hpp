// The embedded store: everything in one SQLite file, for one coupond process.
#pragma once

#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "store/store.hpp"

namespace coupond::sqlite {

/// Why a file cannot be used; `what()` is a sentence for the person who started coupond.
class OpenError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The file `coupond.db` in a data folder, held by this process alone for as long as the object
/// lives. Make stores from it while it lives; end them before it.
class Database {
public:
    /// Creates folder and file where there are none, and takes them for this process. Throws
    /// OpenError: not writable, held by another process, not coupond's, of a newer schema.
    explicit Database(const std::filesystem::path& data_dir);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    /// What version the file's schema has, and this binary's; 0: no schema yet.
    int schema_version() const;
    static int latest_schema_version();

    /// Brings the schema to the latest version, each migration in a transaction of its own, and
    /// returns how many were run. Throws OpenError.
    int migrate();

    /// Both need the latest schema version. Throw OpenError.
    std::unique_ptr<Store> open_store();
    std::unique_ptr<ReadStore> open_read_store();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coupond::sqlite
