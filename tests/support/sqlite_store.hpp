// A real store on a fresh SQLite file, which can be closed and opened again.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/check.hpp"
#include "domain/domain.hpp"
#include "store/sqlite/sqlite.hpp"
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
    const std::filesystem::path& folder() const { return folder_.path(); }
    std::filesystem::path file() const { return folder_.path() / "coupond.db"; }

private:
    TemporaryFolder folder_;
    std::optional<sqlite::Database> database_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ReadStore> reads_;
};

/// Loads what `commands` touch, decides them and saves: the engine's way without its care for
/// failures, which are handed on.
inline Result<std::vector<Outcome>> run(Store& store, std::span<const Command> commands,
                                        Timestamp now) {
    std::vector<const Command*> pointers;
    for (const Command& command : commands) pointers.push_back(&command);
    const Needs needed = needs(pointers);
    Result<World> world = store.load(needed);
    if (!world) return world.error();
    Decision decision = decide(*world, pointers, now);
    COUPOND_CHECK(!decision.shortage);
    if (!decision.delta.empty()) {
        const Result<void> saved = store.save(decision.delta);
        if (!saved) return saved.error();
    }
    return std::move(decision.outcomes);
}

inline Result<std::vector<Outcome>> run(Store& store, const Command& command, Timestamp now) {
    return run(store, std::span(&command, 1), now);
}

/// `count` codes that begin with `prefix`.
inline std::vector<std::string> numbered(const std::string& prefix, std::size_t count) {
    std::vector<std::string> codes;
    codes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) codes.push_back(prefix + std::to_string(i));
    return codes;
}

}  // namespace coupond::test
