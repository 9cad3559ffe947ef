// A real store on a fresh SQLite file, which can be closed and opened again.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/sqlite/sqlite.hpp"
#include "support/run.hpp"
#include "support/second_connection.hpp"
#include "support/temporary_folder.hpp"

namespace coupond::test {

class SqliteStore {
public:
    explicit SqliteStore(TemporaryFolder::Disk disk = TemporaryFolder::Disk::memory)
        : folder_(disk) {
        open();
    }

    void open() {
        database_.emplace(folder_.path());
        database_->migrate();
        store_ = database_->open_store();
        reads_ = database_->open_read_store();
    }
    void close() {
        reads_.reset();
        store_.reset();
        database_.reset();
    }

    Store& store() { return *store_; }
    ReadStore& reads() { return *reads_; }
    std::unique_ptr<ReadStore> open_reads() { return database_->open_read_store(); }
    std::unique_ptr<CodeSnapshot> open_codes(Wanted wanted) {
        return database_->open_code_snapshot(std::move(wanted));
    }
    SecondConnection connect() const { return SecondConnection(file()); }
    const std::filesystem::path& folder() const { return folder_.path(); }
    std::filesystem::path file() const { return folder_.path() / "coupond.db"; }

    /// Makes the database refuse that a code is assigned to `user`.
    void refuse(const std::string& user) const {
        connect().run(
            "CREATE TRIGGER refused BEFORE UPDATE ON coupon_code WHEN NEW.assigned_to = "
            "(SELECT number FROM coupon_user WHERE user_id = '" +
            user + "') BEGIN SELECT RAISE(ABORT, 'refused'); END");
    }

private:
    TemporaryFolder folder_;
    std::optional<sqlite::Database> database_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ReadStore> reads_;
};

}  // namespace coupond::test
