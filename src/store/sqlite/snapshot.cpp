#include "store/sqlite/snapshot.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.hpp"
#include "store/snapshot_sql.hpp"
#include "store/sqlite/rows.hpp"

namespace coupond::sqlite {
namespace {

#define COUPOND_ENTRIES(those)                                                               \
    "SELECT id, at, type, book_id, coalesce(code_id, 0), coalesce(codes, 0), user_number, "  \
    "previous_id, locked_until, coalesce(discount_cents, 0), request_id = 'migration', "     \
    "codes_digest, coalesce(detail, ''), currency, order_amount, redemption_id FROM ledger " \
    "WHERE " those " ORDER BY "

void read(const Statement& row, Snapshot::BookRow& book) {
    book.book = Book();
    book.book.id = row.integer(0);
    book.book.name = row.text(1);
    book.book.code_pattern = row.text(2);
    book.book.max_redemptions_per_user = row.optional_integer(3);
    book.book.discount = from_short_form(row.optional_integer(4));
    book.book.created_at = {row.integer(5)};
    book.book.updated_at = {row.integer(6)};
    book.book.last_entry = row.integer(7);
    book.settings = row.text(8);
}

void read(const Statement& row, Snapshot::CodeRow& code) {
    code = {row.integer(0),
            row.integer(1),
            {row.integer(2)},
            optional_time(row, 3),
            optional_time(row, 4),
            row.integer(5),
            row.optional_integer(6),
            row.integer(7) != 0,
            row.text(8),
            row.text(9),
            row.integer(10) != 0,
            row.optional_integer(11),
            row.text(12),
            row.optional_text(13)};
}

void read(const Statement& row, std::string& line) {
    line = row.text(0);
}

void read(const Statement& row, EntryId& id) {
    id = row.integer(0);
}

void read(const Statement& row, Snapshot::EntryRow& entry) {
    entry.id = row.integer(0);
    entry.at = {row.integer(1)};
    entry.type = row.integer(2);
    entry.book_id = row.integer(3);
    entry.code_id = row.integer(4);
    entry.codes = row.integer(5);
    entry.user = row.optional_integer(6);
    entry.previous = row.optional_integer(7);
    entry.locked_until = optional_time(row, 8);
    entry.discount_cents = row.integer(9);
    entry.migrated = row.integer(10) != 0;
    entry.codes_digest = row.optional_text(11);
    entry.detail = row.text(12);
    entry.currency = row.optional_text(13);
    entry.order_amount = row.optional_integer(14);
    entry.redemption_id = row.optional_integer(15);
}

void read(const Statement& row, Snapshot::BookCountRow& count) {
    count = {row.integer(0), row.integer(1), row.integer(2), row.integer(3),
             row.integer(4), row.integer(5), row.integer(6), row.integer(7)};
}

void read(const Statement& row, Snapshot::ActivityRow& count) {
    count = {row.integer(0),
             {row.integer(1)},
             {row.integer(2),
              row.integer(3),
              row.integer(4),
              row.integer(5),
              row.integer(6),
              row.integer(7),
              {},
              row.integer(8)}};
}

void read(const Statement& row, Snapshot::DiscountCountRow& count) {
    count = {row.integer(0), {row.integer(1)}, std::string(row.text(2)), row.integer(3)};
}

void read(const Statement& row, Snapshot::MovedRow& moved) {
    moved = {row.integer(0),
             {row.integer(1)},
             row.integer(2),
             {0, row.integer(3), row.integer(4), row.integer(5), 0, row.integer(6)}};
}

void read(const Statement& row, Snapshot::LockCountRow& count) {
    count = {row.integer(0), {row.integer(1)}, row.integer(2)};
}

void read(const Statement& row, Snapshot::UsageRow& usage) {
    usage = {row.integer(0),  row.integer(1),   row.integer(2),       {row.integer(3)},
             row.integer(4),  row.integer(5),   row.optional_text(6), row.integer(7),
             row.integer(8),  {row.integer(9)}, row.integer(10),      row.integer(11),
             row.integer(12), row.integer(13)};
}

void read(const Statement& row, Snapshot::CountedLockRow& lock) {
    lock = {row.integer(0),
            row.integer(1),
            {row.integer(2)},
            row.integer(3) != 0,
            optional_time(row, 4)};
}

void read(const Statement& row, Snapshot::UsesRow& uses) {
    uses = {row.integer(0),
            row.integer(1),
            row.integer(2),
            row.integer(3),
            row.optional_integer(4).value_or(0),
            row.optional_integer(5).value_or(0),
            row.optional_integer(6).value_or(0),
            {row.optional_integer(7).value_or(0)}};
}

void read(const Statement& row, Snapshot::HoldingRow& holding) {
    holding = {row.integer(0), row.integer(1), row.integer(2), row.integer(3), {row.integer(4)}};
}

void read(const Statement& row, Snapshot::StandingRow& standing) {
    standing = {row.integer(0), {row.integer(1)}, std::string(row.text(2)), row.integer(3)};
}

void read(const Statement& row, Snapshot::UserCountRow& count) {
    count = {row.integer(0), row.integer(1), row.integer(2), row.integer(3), {row.integer(4)}};
}

class SqliteSnapshot final : public Snapshot {
public:
    SqliteSnapshot(std::string path, Connection& connection, const FileWatch& watch)
        : path_(std::move(path)), connection_(connection), watch_(watch) {
        // What does not fit into the cache is sorted in temporary files.
        connection_.execute(
            "PRAGMA temp_store = FILE;"
            "PRAGMA cache_size = -16384;"
            "BEGIN");
        connection_.integer("SELECT count(*) FROM sqlite_schema");  // from now on it is one moment
    }

    ~SqliteSnapshot() override { connection_.roll_back(); }
    SqliteSnapshot(const SqliteSnapshot&) = delete;
    SqliteSnapshot& operator=(const SqliteSnapshot&) = delete;

    std::vector<std::string> faults() override {
        static const std::string check =
            "PRAGMA integrity_check(" + std::to_string(limits::verify_lines) + ")";
        std::vector<std::string> found;
        const auto lines = stream<std::string>(check);
        for (std::string line; lines->next(line);) {
            if (line != "ok") found.push_back(path_ + ": " + line);
        }
        return found;
    }

    std::unique_ptr<RowStream<BookRow>> books() override {
        return stream<BookRow>("SELECT " COUPOND_BOOK_COLUMNS
                               " FROM coupon_book AS book ORDER BY id");
    }

    std::unique_ptr<RowStream<CodeRow>> codes() override {
        return stream<CodeRow>(
            "SELECT code.id, book_id, created_at, locked_until, redeemed_at, last_entry_id, "
            "assigned_to, holder.number IS NOT NULL, code, coalesce(settings, ''), "
            "shuffle_key < 0, use_of, coalesce((SELECT used.code FROM coupon_code AS used "
            "WHERE used.id = code.use_of AND used.book_id = code.book_id), ''), folded "
            "FROM coupon_code AS code "
            "LEFT JOIN coupon_user AS holder ON holder.number = assigned_to ORDER BY code.id");
    }

    std::unique_ptr<RowStream<EntryId>> entry_ids() override {
        return stream<EntryId>("SELECT id FROM ledger ORDER BY id");
    }

    std::unique_ptr<RowStream<EntryRow>> book_entries() override {
        return stream<EntryRow>(COUPOND_ENTRIES("type IN (1, 7, 8, 9)") "book_id, id");
    }

    std::unique_ptr<RowStream<EntryRow>> uploads() override {
        return stream<EntryRow>(COUPOND_ENTRIES("type IN (2, 15)") "coalesce(code_id, 0), id");
    }

    std::unique_ptr<RowStream<EntryRow>> code_entries() override {
        return stream<EntryRow>(
            COUPOND_ENTRIES("type NOT IN (1, 2, 6, 7, 8, 9, 15)") "coalesce(code_id, 0), id");
    }

    std::unique_ptr<RowStream<EntryRow>> erasures() override {
        return stream<EntryRow>(COUPOND_ENTRIES("type = 6") "id");
    }

    std::unique_ptr<RowStream<BookCountRow>> book_counts() override {
        return stream<BookCountRow>(
            "SELECT book_id, total, available, redeemed, ever_locked, kept_back, rolled_back, "
            "discount_cents FROM book_count ORDER BY book_id");
    }

    std::unique_ptr<RowStream<ActivityRow>> activity_counts() override {
        return stream<ActivityRow>(
            "SELECT book_id, since, uploaded, assigned, locked, redeemed, rolled_back, "
            "discount_cents, generated FROM activity_count ORDER BY book_id, since");
    }

    std::unique_ptr<RowStream<DiscountCountRow>> discount_counts() override {
        return stream<DiscountCountRow>(
            "SELECT book_id, since, currency, amount FROM discount_count "
            "ORDER BY book_id, since, currency");
    }

    std::unique_ptr<RowStream<MovedRow>> moved() override {
        return stream<MovedRow>(
            "SELECT book_id, since, last_entry_id, assigned, locked, redeemed, discount_cents "
            "FROM ledger_moved ORDER BY book_id, since");
    }

    std::unique_ptr<RowStream<LockCountRow>> lock_counts(Timestamp now) override {
        return stream<LockCountRow>(
            "SELECT book_id, locked_until, codes FROM lock_count WHERE locked_until > " +
            std::to_string(now.ms) + " ORDER BY book_id, locked_until");
    }

    std::unique_ptr<RowStream<LockCountRow>> locked_codes(Timestamp now) override {
        return stream<LockCountRow>(
            "SELECT code.book_id, code.locked_until, count(*) FROM coupon_code AS code "
            "JOIN ledger AS last ON last.id = last_entry_id WHERE code.locked_until > " +
            std::to_string(now.ms) +
            " AND code.use_of IS NULL AND last.type IN (4, 10) GROUP BY code.book_id, "
            "code.locked_until "
            "ORDER BY code.book_id, code.locked_until");
    }

    std::unique_ptr<RowStream<UsageRow>> usages(Timestamp now) override {
        return stream<UsageRow>(select_usages(now));
    }

    std::unique_ptr<RowStream<CountedLockRow>> counted_locks(Timestamp now) override {
        return stream<CountedLockRow>(select_counted_locks(now));
    }

    std::unique_ptr<RowStream<UsesRow>> uses(Timestamp now) override {
        return stream<UsesRow>(select_uses(now));
    }

    std::unique_ptr<RowStream<StandingRow>> standing() override {
        return stream<StandingRow>(select_standing);
    }

    std::unique_ptr<RowStream<UserCountRow>> redeemed_codes() override {
        return stream<UserCountRow>(
            "SELECT book_id, assigned_to, count(*), max(code.last_entry_id), max(redeemed_at) "
            "FROM coupon_code AS code "
            "JOIN coupon_book AS book ON book.id = book_id "
            "WHERE redeemed_at IS NOT NULL AND book.max_redemptions_per_user IS NOT NULL "
            "GROUP BY book_id, assigned_to ORDER BY book_id, assigned_to");
    }

    std::unique_ptr<RowStream<HoldingRow>> holdings() override {
        return stream<HoldingRow>(select_holdings);
    }

    std::optional<IdSources> id_sources() override { return std::nullopt; }

private:
    template <class Row>
    class Rows final : public RowStream<Row> {
    public:
        Rows(const SqliteSnapshot& snapshot, const std::string& sql)
            : snapshot_(snapshot), statement_(snapshot.connection_, sql) {}

        bool next(Row& row) override {
            try {
                if (statement_.step()) {
                    read(statement_, row);
                    return true;
                }
            } catch (const Error& error) {
                snapshot_.fail(error);
            }
            snapshot_.require_undisturbed();
            return false;
        }

    private:
        const SqliteSnapshot& snapshot_;
        Statement statement_;
    };

    template <class Row>
    std::unique_ptr<RowStream<Row>> stream(const std::string& sql) const {
        try {
            return std::make_unique<Rows<Row>>(*this, sql);
        } catch (const Error& error) {
            fail(error);
        }
    }

    void require_undisturbed() const {
        if (!watch_.disturbed()) return;
        throw OpenError(path_ +
                        " was written to by somebody who came while it was read: try again");
    }

    [[noreturn]] void fail(const Error& error) const {
        require_undisturbed();
        throw OpenError("cannot read " + path_ + ": " + error.message());
    }

    const std::string path_;
    Connection& connection_;
    const FileWatch& watch_;
};

/// Whether others have the index of the log open, as all do who have the file open.
bool in_use(const std::string& path) {
    const int fd = open((path + "-shm").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    const bool asked = fcntl(fd, F_GETLK, &lock) == 0;
    close(fd);
    return asked && lock.l_type != F_UNLCK;
}

}  // namespace

FileWatch::FileWatch(const std::string& path)
    : path_(path), in_use_(in_use(path)), before_(stamps(path)) {}

bool FileWatch::disturbed() const {
    return !in_use_ && stamps(path_) != before_;
}

FileWatch::Stamps FileWatch::stamps(const std::string& path) {
    Stamps stamps{};
    for (std::size_t i = 0; i < stamps.size(); ++i) {
        struct stat file {};
        if (stat((i == 0 ? path : path + "-wal").c_str(), &file) != 0) continue;
        stamps[i] = {static_cast<std::int64_t>(file.st_ino), file.st_size, file.st_mtim.tv_sec,
                     file.st_mtim.tv_nsec};
    }
    return stamps;
}

std::unique_ptr<Snapshot> make_snapshot(const std::string& path, Connection& connection,
                                        const FileWatch& watch) {
    return std::make_unique<SqliteSnapshot>(path, connection, watch);
}

}  // namespace coupond::sqlite
