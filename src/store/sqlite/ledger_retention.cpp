#include "store/sqlite/ledger_retention.hpp"

#include <sqlite3.h>

#include <map>
#include <utility>

namespace coupond::sqlite {
namespace {

/// Pages that the log may have before this process helps to move them into the file: where no
/// server runs beside it, nobody else does.
constexpr int log_pages = 8'192;

class SqliteLedgerRetention final : public LedgerRetention {
public:
    SqliteLedgerRetention(std::string path, Connection& connection)
        : path_(std::move(path)), connection_(connection) {
        sqlite3_wal_autocheckpoint(connection_.raw(), log_pages);
    }

    std::vector<EntryId> superseded(std::span<const EntryId> ids) override {
        return or_open_error([&] {
            std::vector<EntryId> found;
            for (const EntryId id : ids) {
                if (!superseded_.bind(id).step()) continue;
                superseded_.reset();
                found.push_back(id);
            }
            return found;
        });
    }

    std::int64_t remove(std::span<const EntryId> ids) override {
        return or_open_error([&] {
            begin_.run();
            std::int64_t removed = 0;
            std::map<std::pair<BookId, Timestamp>, Moved> moved;
            for (const EntryId id : ids) {
                if (!remove_.bind(id).step()) continue;
                ++removed;
                LedgerEntry entry;
                entry.type = static_cast<LedgerEntry::Type>(remove_.integer(2));
                entry.detail = remove_.optional_text(3).value_or("");
                Moved& sum = moved[{remove_.integer(0), activity_period({remove_.integer(1)})}];
                sum.last = std::max(sum.last, id);
                sum.activity += activity_of(entry);
                remove_.reset();
            }
            for (const auto& [place, sum] : moved) {
                note_
                    .bind(place.first, place.second, sum.last, sum.activity.assigned,
                          sum.activity.locked, sum.activity.redeemed, sum.activity.discount_cents)
                    .run();
            }
            commit_.run();
            return removed;
        });
    }

private:
    struct Moved {
        EntryId last = 0;
        Activity activity;
    };

    template <class Work>
    auto or_open_error(const Work& work) -> decltype(work()) {
        try {
            return work();
        } catch (const Error& error) {
            connection_.roll_back();
            throw OpenError("cannot move entries out of " + path_ + ": " + error.message());
        }
    }

    const std::string path_;
    Connection& connection_;
    Statement begin_{connection_, "BEGIN IMMEDIATE"};
    Statement commit_{connection_, "COMMIT"};
    Statement superseded_{
        connection_,
        "SELECT 1 FROM ledger AS entry JOIN coupon_code AS code ON code.id = entry.code_id "
        "WHERE entry.id = ? AND entry.type IN (3, 4, 10, 11, 12) "
        "AND entry.id <> code.last_entry_id "
        "AND NOT (entry.type = 10 AND entry.at >= coalesce(code.redeemed_at, entry.at + 1))"};
    Statement remove_{connection_,
                      "DELETE FROM ledger WHERE id = ? "
                      "RETURNING book_id, at, type, detail"};
    Statement note_{connection_,
                    "INSERT INTO ledger_moved AS old VALUES (?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET "
                    "last_entry_id = max(old.last_entry_id, excluded.last_entry_id), "
                    "assigned = old.assigned + excluded.assigned, "
                    "locked = old.locked + excluded.locked, "
                    "redeemed = old.redeemed + excluded.redeemed, "
                    "discount_cents = old.discount_cents + excluded.discount_cents"};
};

}  // namespace

std::unique_ptr<LedgerRetention> make_ledger_retention(std::string path, Connection& connection) {
    return std::make_unique<SqliteLedgerRetention>(std::move(path), connection);
}

}  // namespace coupond::sqlite
