// The embedded store: everything in one SQLite file, for one coupond process.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/store.hpp"

namespace coupond::sqlite {

/// Own: held by this process alone for as long as the object lives. The others work beside whoever
/// holds it, and have the name, the migrations and the schema's version; look, which makes and
/// changes nothing, also one snapshot at a time; share, the reading side and one LedgerRetention.
enum class Access { own, share, look };

/// The file `coupond.db` in a data folder.
class Database final : public coupond::Database {
public:
    /// Own: creates folder and file where there are none. Throws OpenError: not coupond's, not
    /// readable; to own or share: not writable; to own: held by another process, of a newer schema.
    explicit Database(const std::filesystem::path& data_dir, Access access = Access::own);
    ~Database() override;

    std::string name() const override;
    const std::vector<Migration>& migrations() const override;
    int schema_version() override;
    std::string step_sql(int version) const override;
    int migrate() override;
    std::unique_ptr<Store> open_store() override;
    std::unique_ptr<ReadStore> open_read_store() override;
    std::unique_ptr<ReadStore> open_current_read_store() override;
    std::unique_ptr<CodeSnapshot> open_code_snapshot(Wanted wanted) override;
    std::unique_ptr<LedgerRetention> open_ledger_retention() override;
    std::unique_ptr<Snapshot> open_snapshot() override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coupond::sqlite
