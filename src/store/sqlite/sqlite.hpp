// The embedded store: everything in one SQLite file, for one coupond process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace coupond::sqlite {

/// The file `coupond.db` in a data folder, held by this process alone for as long as the object
/// lives.
class Database final : public coupond::Database {
public:
    /// Creates folder and file where there are none, and takes them for this process. Throws
    /// OpenError: not writable, held by another process, not coupond's, of a newer schema.
    explicit Database(const std::filesystem::path& data_dir);
    ~Database() override;

    std::string name() const override;
    const std::vector<Migration>& migrations() const override;
    int schema_version() override;
    int migrate() override;
    std::unique_ptr<Store> open_store() override;
    std::unique_ptr<ReadStore> open_read_store() override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coupond::sqlite
