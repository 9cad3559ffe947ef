#include "store/postgres/ledger_retention.hpp"

#include <utility>

#include "store/postgres/open_error.hpp"

namespace coupond::postgres {
namespace {

// By their place in the tables: neither is read as a whole, whatever the planner thinks of them.
const Statement select_superseded{
    "SELECT entry.id FROM unnest($1::bigint[]) AS asked (id) "
    "CROSS JOIN LATERAL (SELECT * FROM ledger WHERE id = asked.id OFFSET 0) AS entry "
    "CROSS JOIN LATERAL (SELECT * FROM coupon_code WHERE id = entry.code_id OFFSET 0) AS code "
    "WHERE entry.type IN (3, 4, 10, 11, 12) AND entry.id <> code.last_entry_id "
    "AND NOT (entry.type = 10 AND entry.at >= coalesce(code.redeemed_at, entry.at + 1)) "
    "AND NOT (entry.previous_id IS NULL AND code.redeemed_at IS NULL "
    "AND code.locked_until IS NOT DISTINCT FROM entry.at) ORDER BY entry.id"};

const Statement remove_entries{
    "WITH removed AS (DELETE FROM ledger WHERE id = ANY($1::bigint[]) "
    "RETURNING id, book_id, at - at % $2::bigint AS since, type, detail, discount_cents), "
    "noted AS (INSERT INTO ledger_moved AS old (book_id, since, last_entry_id, assigned, locked, "
    "redeemed, discount_cents) SELECT book_id, since, max(id), count(*) FILTER (WHERE type = 3), "
    "count(*) FILTER (WHERE type = 4 AND detail IS NULL), count(*) FILTER (WHERE type = 5), "
    "coalesce(sum(discount_cents), 0) FROM removed GROUP BY book_id, since "
    "ORDER BY book_id, since ON CONFLICT (book_id, since) DO UPDATE SET "
    "last_entry_id = greatest(old.last_entry_id, excluded.last_entry_id), "
    "assigned = old.assigned + excluded.assigned, locked = old.locked + excluded.locked, "
    "redeemed = old.redeemed + excluded.redeemed, "
    "discount_cents = old.discount_cents + excluded.discount_cents) "
    "SELECT count(*) FROM removed"};

class PostgresLedgerRetention final : public LedgerRetention {
public:
    PostgresLedgerRetention(std::unique_ptr<Connection> connection, std::string name)
        : connection_(std::move(connection)), name_(std::move(name)) {}

    std::vector<EntryId> superseded(std::span<const EntryId> ids) override {
        BigintArray asked = array_of(ids);
        const Rows rows = ask(select_superseded, Parameters(asked));
        std::vector<EntryId> found;
        for (int row = 0; row < rows.size(); ++row) found.push_back(rows.integer(row, 0));
        return found;
    }

    std::int64_t remove(std::span<const EntryId> ids) override {
        BigintArray removed = array_of(ids);
        return ask(remove_entries, Parameters(removed, activity_period_ms)).integer(0, 0);
    }

private:
    static BigintArray array_of(std::span<const EntryId> ids) {
        BigintArray array;
        for (const EntryId id : ids) array.add(id);
        return array;
    }

    Rows ask(const Statement& statement, const Parameters& parameters) {
        return or_open_error(name_, [&] {
            connection_->execute(statement, parameters);
            connection_->sync();
            return std::move(connection_->receive_all(no_deadline).rows.at(0));
        });
    }

    const std::unique_ptr<Connection> connection_;
    const std::string name_;
};

}  // namespace

std::unique_ptr<LedgerRetention> make_ledger_retention(std::unique_ptr<Connection> connection,
                                                       std::string name) {
    return std::make_unique<PostgresLedgerRetention>(std::move(connection), std::move(name));
}

}  // namespace coupond::postgres
