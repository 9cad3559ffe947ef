#include "store/postgres/snapshot.hpp"

#include <array>

#include "base/limits.hpp"
#include "store/postgres/open_error.hpp"
#include "store/postgres/rows.hpp"
#include "store/snapshot_sql.hpp"

namespace coupond::postgres {
namespace {

// Behind BEGIN. A server that ends transactions that take long would end this one; it is read to
// its end, so how soon its first rows come does not count.
constexpr const char* set_up_snapshot =
    "SELECT set_config('statement_timeout', '0', true), "
    "set_config('idle_in_transaction_session_timeout', '0', true), "
    "set_config('cursor_tuple_fraction', '1', true), set_config('jit', 'off', true)";
constexpr const char* rows_at_once = "4000";

#define COUPOND_ENTRIES(those)                                                               \
    "SELECT id, at, type, book_id, coalesce(code_id, 0), coalesce(codes, 0), user_number, "  \
    "previous_id, locked_until, coalesce(discount_cents, 0), request_id = 'migration', "     \
    "codes_digest, coalesce(detail, ''), currency, order_amount, redemption_id FROM ledger " \
    "WHERE " those " ORDER BY "

void read(const Rows& rows, int row, Snapshot::BookRow& book) {
    book.book = Book();
    book.book.id = rows.integer(row, 0);
    book.book.name = rows.text(row, 1);
    book.book.code_pattern = rows.text(row, 2);
    book.book.max_redemptions_per_user = rows.optional_integer(row, 3);
    book.book.discount = from_short_form(rows.optional_integer(row, 4));
    book.book.created_at = {rows.integer(row, 5)};
    book.book.updated_at = {rows.integer(row, 6)};
    book.book.last_entry = rows.integer(row, 7);
    book.settings = rows.text(row, 8);
}

void read(const Rows& rows, int row, Snapshot::CodeRow& code) {
    code.id = rows.integer(row, 0);
    code.book_id = rows.integer(row, 1);
    code.created_at = {rows.integer(row, 2)};
    code.locked_until = optional_time(rows, row, 3);
    code.redeemed_at = optional_time(rows, row, 4);
    code.last_entry = rows.integer(row, 5);
    code.assigned_to = rows.optional_integer(row, 6);
    code.holder_known = rows.boolean(row, 7);
    code.code = rows.text(row, 8);
    code.settings = rows.text(row, 9);
    code.kept_back = rows.boolean(row, 10);
    code.use_of = rows.optional_integer(row, 11);
    code.used = rows.text(row, 12);
    code.folded = rows.optional_text(row, 13);
}

void read(const Rows& rows, int row, EntryId& id) {
    id = rows.integer(row, 0);
}

void read(const Rows& rows, int row, Snapshot::EntryRow& entry) {
    entry.id = rows.integer(row, 0);
    entry.at = {rows.integer(row, 1)};
    entry.type = rows.integer(row, 2);
    entry.book_id = rows.integer(row, 3);
    entry.code_id = rows.integer(row, 4);
    entry.codes = rows.integer(row, 5);
    entry.user = rows.optional_integer(row, 6);
    entry.previous = rows.optional_integer(row, 7);
    entry.locked_until = optional_time(rows, row, 8);
    entry.discount_cents = rows.integer(row, 9);
    entry.migrated = rows.boolean(row, 10);
    entry.codes_digest = rows.optional_text(row, 11);
    entry.detail = rows.text(row, 12);
    entry.currency = rows.optional_text(row, 13);
    entry.order_amount = rows.optional_integer(row, 14);
    entry.redemption_id = rows.optional_integer(row, 15);
}

void read(const Rows& rows, int row, Snapshot::BookCountRow& count) {
    count = {rows.integer(row, 0), rows.integer(row, 1), rows.integer(row, 2),
             rows.integer(row, 3), rows.integer(row, 4), rows.integer(row, 5),
             rows.integer(row, 6), rows.integer(row, 7)};
}

void read(const Rows& rows, int row, Snapshot::ActivityRow& count) {
    count = {rows.integer(row, 0),
             {rows.integer(row, 1)},
             {rows.integer(row, 2),
              rows.integer(row, 3),
              rows.integer(row, 4),
              rows.integer(row, 5),
              rows.integer(row, 6),
              rows.integer(row, 7),
              {},
              rows.integer(row, 8)}};
}

void read(const Rows& rows, int row, Snapshot::DiscountCountRow& count) {
    count = {rows.integer(row, 0),
             {rows.integer(row, 1)},
             std::string(rows.text(row, 2)),
             rows.integer(row, 3)};
}

void read(const Rows& rows, int row, Snapshot::MovedRow& moved) {
    moved = {rows.integer(row, 0),
             {rows.integer(row, 1)},
             rows.integer(row, 2),
             {0, rows.integer(row, 3), rows.integer(row, 4), rows.integer(row, 5), 0,
              rows.integer(row, 6)}};
}

void read(const Rows& rows, int row, Snapshot::LockCountRow& count) {
    count = {rows.integer(row, 0), {rows.integer(row, 1)}, rows.integer(row, 2)};
}

void read(const Rows& rows, int row, Snapshot::UsageRow& usage) {
    usage = {rows.integer(row, 0),       rows.integer(row, 1),  rows.integer(row, 2),
             {rows.integer(row, 3)},     rows.integer(row, 4),  rows.integer(row, 5),
             rows.optional_text(row, 6), rows.integer(row, 7),  rows.integer(row, 8),
             {rows.integer(row, 9)},     rows.integer(row, 10), rows.integer(row, 11),
             rows.integer(row, 12),      rows.integer(row, 13)};
}

void read(const Rows& rows, int row, Snapshot::CountedLockRow& lock) {
    lock = {rows.integer(row, 0),
            rows.integer(row, 1),
            {rows.integer(row, 2)},
            rows.boolean(row, 3),
            optional_time(rows, row, 4)};
}

void read(const Rows& rows, int row, Snapshot::UsesRow& uses) {
    uses = {rows.integer(row, 0),
            rows.integer(row, 1),
            rows.integer(row, 2),
            rows.integer(row, 3),
            rows.optional_integer(row, 4).value_or(0),
            rows.optional_integer(row, 5).value_or(0),
            rows.optional_integer(row, 6).value_or(0),
            {rows.optional_integer(row, 7).value_or(0)}};
}

void read(const Rows& rows, int row, Snapshot::HoldingRow& holding) {
    holding = {rows.integer(row, 0),
               rows.integer(row, 1),
               rows.integer(row, 2),
               rows.integer(row, 3),
               {rows.integer(row, 4)}};
}

void read(const Rows& rows, int row, Snapshot::StandingRow& standing) {
    standing = {rows.integer(row, 0),
                {rows.integer(row, 1)},
                std::string(rows.text(row, 2)),
                rows.integer(row, 3)};
}

void read(const Rows& rows, int row, Snapshot::UserCountRow& count) {
    count = {rows.integer(row, 0),
             rows.integer(row, 1),
             rows.integer(row, 2),
             rows.integer(row, 3),
             {rows.integer(row, 4)}};
}

class PostgresSnapshot final : public Snapshot {
public:
    PostgresSnapshot(std::unique_ptr<Connection> connection, std::string name)
        : connection_(std::move(connection)), name_(std::move(name)) {
        connection_->execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        connection_->execute(set_up_snapshot);
        connection_->sync();
        connection_->receive_all(no_deadline);
    }

    std::vector<std::string> faults() override {
        ask("SELECT set_config('enable_indexscan', 'off', true), "
            "set_config('enable_indexonlyscan', 'off', true), "
            "set_config('enable_bitmapscan', 'off', true)");
        std::vector<std::string> found;
        for (const auto& [table, id, once] : {std::array{"coupon_code", "id", "code"},
                                              {"coupon_user", "number", "user_id"},
                                              {"coupon_code", "id", "id"},
                                              {"ledger", "id", "id"},
                                              {"job", "id", "id"}}) {
            const std::string sql = std::string("SELECT min(") + id + "), max(" + id +
                                    "), count(*) FROM " + table + " GROUP BY " + once +
                                    " HAVING count(*) > 1 LIMIT " +
                                    std::to_string(limits::verify_lines);
            const Rows rows = ask(sql.c_str());
            for (int row = 0; row < rows.size(); ++row) {
                found.push_back(std::string(table) + ": " + std::to_string(rows.integer(row, 2)) +
                                " rows have the same " + once + ", such as " + id + " " +
                                std::to_string(rows.integer(row, 0)) + " and " +
                                std::to_string(rows.integer(row, 1)));
            }
        }
        ask("SELECT set_config('enable_indexscan', 'on', true), "
            "set_config('enable_indexonlyscan', 'on', true), "
            "set_config('enable_bitmapscan', 'on', true)");
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

    /// A book has rows once one of its codes has been counted.
    std::unique_ptr<RowStream<BookCountRow>> book_counts() override {
        return stream<BookCountRow>(
            "SELECT coalesce(id, book_id) AS book, coalesce(sum(total), 0)::bigint, "
            "coalesce(sum(available), 0)::bigint, coalesce(sum(redeemed), 0)::bigint, "
            "coalesce(sum(ever_locked), 0)::bigint, coalesce(sum(kept_back), 0)::bigint, "
            "coalesce(sum(rolled_back), 0)::bigint, "
            "coalesce(sum(book_count.discount_cents), 0)::bigint "
            "FROM coupon_book FULL JOIN book_count ON book_id = id GROUP BY book ORDER BY book");
    }

    std::unique_ptr<RowStream<ActivityRow>> activity_counts() override {
        return stream<ActivityRow>(
            "SELECT book_id, since, sum(uploaded)::bigint, sum(assigned)::bigint, "
            "sum(locked)::bigint, sum(redeemed)::bigint, sum(rolled_back)::bigint, "
            "sum(discount_cents)::bigint, sum(generated)::bigint "
            "FROM activity_count GROUP BY book_id, since ORDER BY book_id, since");
    }

    std::unique_ptr<RowStream<DiscountCountRow>> discount_counts() override {
        return stream<DiscountCountRow>(
            "SELECT book_id, since, currency, sum(amount)::bigint FROM discount_count "
            "GROUP BY book_id, since, currency ORDER BY book_id, since, currency");
    }

    std::unique_ptr<RowStream<MovedRow>> moved() override {
        return stream<MovedRow>(
            "SELECT book_id, since, last_entry_id, assigned, locked, redeemed, discount_cents "
            "FROM ledger_moved ORDER BY book_id, since");
    }

    std::unique_ptr<RowStream<LockCountRow>> lock_counts(Timestamp now) override {
        return stream<LockCountRow>(
            "SELECT book_id, locked_until, codes FROM lock_count WHERE locked_until > " +
            std::to_string(now.ms) + " AND codes > 0 ORDER BY book_id, locked_until");
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
            "JOIN coupon_book AS book ON book.id = book_id WHERE redeemed_at IS NOT NULL "
            "AND assigned_to IS NOT NULL AND book.max_redemptions_per_user IS NOT NULL "
            "GROUP BY book_id, assigned_to ORDER BY book_id, assigned_to");
    }

    std::unique_ptr<RowStream<HoldingRow>> holdings() override {
        return stream<HoldingRow>(select_holdings);
    }

    std::optional<IdSources> id_sources() override {
        const Rows rows =
            ask("SELECT (SELECT next FROM id_counter WHERE \"of\" = 'coupon_book'), "
                "(SELECT next FROM id_counter WHERE \"of\" = 'coupon_code'), "
                "(SELECT count(*) FROM ledger_origin)");
        return IdSources{rows.optional_integer(0, 0), rows.optional_integer(0, 1),
                         rows.integer(0, 2)};
    }

private:
    /// What a cursor gives, some thousand rows at a time.
    template <class Row>
    class CursorStream final : public RowStream<Row> {
    public:
        CursorStream(PostgresSnapshot& snapshot, const std::string& name, const std::string& sql)
            : snapshot_(snapshot), fetch_(std::string("FETCH ") + rows_at_once + " FROM " + name) {
            snapshot.ask(("DECLARE " + name + " NO SCROLL CURSOR FOR " + sql).c_str());
        }

        bool next(Row& row) override {
            if (!rows_ || at_ == rows_->size()) {
                if (rows_ && at_ == 0) return false;
                rows_.reset();  // before there are others, for the memory
                rows_.emplace(snapshot_.ask(fetch_.c_str()));
                at_ = 0;
                if (rows_->size() == 0) return false;
            }
            read(*rows_, at_++, row);
            return true;
        }

    private:
        PostgresSnapshot& snapshot_;
        const std::string fetch_;
        std::optional<Rows> rows_;
        int at_ = 0;
    };

    template <class Row>
    std::unique_ptr<RowStream<Row>> stream(const std::string& sql) {
        const std::string name = "stream_" + std::to_string(++streams_);
        return std::make_unique<CursorStream<Row>>(*this, name, sql);
    }

    /// However long the server sorts before it answers.
    Rows ask(const char* sql) {
        return or_open_error(name_, [&] {
            connection_->execute(sql);
            connection_->sync();
            return std::move(connection_->receive_all(no_deadline).rows.at(0));
        });
    }

    const std::unique_ptr<Connection> connection_;
    const std::string name_;
    int streams_ = 0;
};

}  // namespace

std::unique_ptr<Snapshot> make_snapshot(std::unique_ptr<Connection> connection, std::string name) {
    return std::make_unique<PostgresSnapshot>(std::move(connection), std::move(name));
}

}  // namespace coupond::postgres
