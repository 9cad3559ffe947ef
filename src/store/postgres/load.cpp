#include "store/postgres/load.hpp"

#include <functional>
#include <iterator>
#include <set>

#include "store/pool_draw.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"

namespace coupond::postgres {
namespace {

const Statement select_erasures{"SELECT next FROM id_counter WHERE \"of\" = 'erasure'"};

const Statement reserve_book_ids{
    "UPDATE id_counter SET next = $1::bigint + "
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM coupon_book)) "
    "WHERE \"of\" = 'coupon_book' RETURNING next - $1::bigint"};

const Statement reserve_code_ids{
    "UPDATE id_counter SET next = $1::bigint + "
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM coupon_code)) "
    "WHERE \"of\" = 'coupon_code' RETURNING next - $1::bigint"};

// Codes with their books and, where the book has a limit, how often the redeemer has redeemed: of
// one moment.
const Statement select_codes{
    "SELECT " COUPOND_CODE_COLUMNS ", " COUPOND_BOOK_COLUMNS
    ", need.n, used.redeemed "
    "FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS need (code, redeemer, n) "
    "CROSS JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE code = need.code OFFSET 0) AS code "
    "CROSS JOIN LATERAL (SELECT * FROM coupon_book WHERE id = code.book_id OFFSET 0) AS "
    "book " COUPOND_HOLDER
    "LEFT JOIN LATERAL (SELECT number FROM coupon_user WHERE user_id = "
    "CASE WHEN book.max_redemptions_per_user IS NOT NULL THEN need.redeemer END OFFSET 0) "
    "AS redeemer ON true "
    "LEFT JOIN LATERAL (SELECT redeemed FROM user_redemption_count WHERE book_id = book.id "
    "AND user_number = redeemer.number OFFSET 0) AS used ON true"};

const Statement select_books{"SELECT " COUPOND_BOOK_COLUMNS
                             " FROM coupon_book AS book WHERE book.id = ANY($1::bigint[])"};

const Statement select_two_books{"SELECT " COUPOND_BOOK_COLUMNS
                                 " FROM coupon_book AS book ORDER BY book.id LIMIT 2"};

const Statement select_existing{
    "SELECT need.n FROM unnest($1::text[]) WITH ORDINALITY AS need (code, n) "
    "CROSS JOIN LATERAL (SELECT FROM coupon_code WHERE code = need.code OFFSET 0) AS code"};

const Statement select_available{
    "SELECT book_id, sum(available)::bigint FROM book_count WHERE book_id > 0 GROUP BY book_id "
    "HAVING sum(available) > 0 ORDER BY book_id"};

// For each book: up to `count` free codes from a point of their order on, around its end.
const Statement select_free{"SELECT " COUPOND_CODE_COLUMNS
                            ", need.n "
                            "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY "
                            "AS need (book_id, start, count, n) "
                            "CROSS JOIN LATERAL ("
                            "(SELECT ctid, * FROM coupon_code WHERE assigned_to IS NULL "
                            "AND book_id = need.book_id AND shuffle_key >= need.start "
                            "ORDER BY shuffle_key LIMIT need.count) "
                            "UNION ALL "
                            "(SELECT ctid, * FROM coupon_code WHERE assigned_to IS NULL "
                            "AND book_id = need.book_id AND shuffle_key < need.start "
                            "ORDER BY shuffle_key LIMIT need.count) "
                            "LIMIT need.count) AS code "
                            "CROSS JOIN (SELECT NULL::text AS user_id) AS holder ORDER BY need.n"};

// Users with the last of their codes that are not redeemed, or without any.
const Statement select_users{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n FROM unnest($1::text[]) WITH ORDINALITY AS need (user_id, n) "
    "CROSS JOIN LATERAL (SELECT number, user_id FROM coupon_user WHERE user_id = need.user_id "
    "OFFSET 0) AS holder "
    "LEFT JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE assigned_to = holder.number "
    "AND redeemed_at IS NULL ORDER BY id DESC LIMIT $2::bigint) AS code ON true"};

const Statement select_memories{
    "SELECT memory.key, memory.at, memory.fingerprint, memory.request_id, memory.outcome "
    "FROM unnest($1::text[]) AS need (key) "
    "CROSS JOIN LATERAL (SELECT * FROM idempotency_key WHERE key = need.key OFFSET 0) AS memory"};

class Loader {
public:
    Loader(Connection& connection, const Needs& needs, Transaction& transaction,
           StoredCodes& stored, Deadline deadline)
        : connection_(connection),
          needs_(needs),
          transaction_(transaction),
          stored_(stored),
          deadline_(deadline) {
        stored_.clear();
    }

    World load() {
        begin();
        if (!needs_.codes.empty()) ask_codes();
        ask_books();
        if (needs_.only_book) ask_only_book();
        if (!needs_.new_codes.empty()) ask_existing();
        ask_pools();
        if (!needs_.keys.empty()) ask_memories();
        if (!needs_.erased.empty()) ask_users();
        const auto any = needs_.pools.find(PoolScope{});
        if (any != needs_.pools.end()) {
            receive();
            ask_any_free(any->second);
        }
        ask_name();
        receive();
        require_books();
        return std::move(world_);
    }

private:
    using Read = std::function<void(const Rows&)>;

    void ask(const Statement& statement, const Parameters& parameters, Read read) {
        connection_.execute(statement, parameters);
        reads_.push_back(std::move(read));
    }

    void ask(const char* sql) {
        connection_.execute(sql);
        reads_.emplace_back([](const Rows&) {});
    }

    void receive() {
        connection_.sync();
        const Replies replies = connection_.receive_all(deadline_);
        for (std::size_t i = 0; i < reads_.size(); ++i) reads_[i](replies.rows.at(i));
        reads_.clear();
    }

    void begin() {
        if (transaction_.open) ask("ROLLBACK");
        if (needs_.book_ids > 0 || needs_.code_ids > 0) reserve_ids();
        ask("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        transaction_ = {};
        transaction_.open = true;
        ask(set_up, Parameters(), [](const Rows&) {});
        ask(select_erasures, Parameters(),
            [this](const Rows& rows) { transaction_.erasures = rows.integer(0, 0); });
    }

    /// Last of all: the ids of the ledger's entries follow from the transaction's, which has to be
    /// greater than those of all whose changes were seen.
    void ask_name() {
        ask(name_transaction, Parameters(), [this](const Rows& rows) {
            transaction_.id = rows.text(0, 0);
            transaction_.pid = static_cast<int>(rows.integer(0, 1));
            world_.next_entry_id = rows.integer(0, 2) * limits::batch_entries;
        });
    }

    /// In a transaction of its own, so that nobody waits for it for long.
    void reserve_ids() {
        ask("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        ask(set_up, Parameters(), [](const Rows&) {});
        if (needs_.book_ids > 0) ask_ids(reserve_book_ids, needs_.book_ids, world_.next_book_id);
        if (needs_.code_ids > 0) ask_ids(reserve_code_ids, needs_.code_ids, world_.next_code_id);
        // Not COMMIT: whoever looks for those of batches on their way to the server finds no
        // others.
        ask("END");
        connection_.sync();
    }

    void ask_ids(const Statement& reserve, std::size_t count, std::int64_t& first) {
        ask(reserve, Parameters(static_cast<std::int64_t>(count)),
            [&first](const Rows& rows) { first = rows.integer(0, 0); });
    }

    void ask_codes() {
        TextArray codes, redeemers;
        bool redeeming = false;
        for (const Needs::CodeNeed& need : needs_.codes) {
            codes.add(need.code);
            if (need.redeemer.empty()) {
                redeemers.add_null();
            } else {
                redeemers.add(need.redeemer);
                redeeming = true;
            }
        }
        TextArray nobody;  // unnest() fills it up with nulls
        ask(select_codes, Parameters(codes, redeeming ? redeemers : nobody),
            [this](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) take_code(rows, row);
            });
    }

    void take_code(const Rows& rows, int row) {
        constexpr int need_column = code_columns + book_columns;
        const auto n = static_cast<std::size_t>(rows.integer(row, need_column)) - 1;
        const Needs::CodeNeed& need = needs_.codes.at(n);
        if (world_.find(need.code) == nullptr) add_code(rows, row);
        const BookId book_id = rows.integer(row, code_columns);
        if (!world_.books.contains(book_id)) take_book(rows, row, code_columns);
        if (need.redeemer.empty() || !world_.books.at(book_id).max_redemptions_per_user) return;
        const std::int64_t used = rows.optional_integer(row, need_column + 1).value_or(0);
        world_.user_redemptions.try_emplace({book_id, std::string(need.redeemer)},
                                            World::UserRedemptions{used, used});
    }

    CodeRow& add_code(const Rows& rows, int row) {
        CodeRow& added = world_.add(read_code(rows, row));
        stored_.emplace(added.code.id, read_stored(rows, row));
        return added;
    }

    void take_book(const Rows& rows, int row, int column = 0) {
        Book book = read_book(rows, row, column);
        const BookId id = book.id;
        world_.books.emplace(id, std::move(book));
    }

    void take_books(const Rows& rows) {
        for (int row = 0; row < rows.size(); ++row) take_book(rows, row);
    }

    /// Those named, and those of the pools.
    void ask_books() {
        BigintArray ids;
        for (const BookId id : needs_.books) ids.add(id);
        for (const auto& [scope, count] : needs_.pools) {
            if (scope) ids.add(*scope);
        }
        if (ids.size() == 0) return;
        ask(select_books, Parameters(ids), [this](const Rows& rows) { take_books(rows); });
    }

    void ask_only_book() {
        ask(select_two_books, Parameters(), [this](const Rows& rows) {
            world_.book_count = static_cast<std::size_t>(rows.size());
            if (rows.size() != 1) return;
            take_books(rows);
            world_.only_book = rows.integer(0, 0);
        });
    }

    void ask_existing() {
        TextArray codes;
        for (const std::string_view code : needs_.new_codes) codes.add(code);
        ask(select_existing, Parameters(codes), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                const auto n = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
                world_.existing_codes.insert(needs_.new_codes.at(n));
            }
        });
    }

    void ask_memories() {
        TextArray keys;
        for (const std::string_view key : needs_.keys) keys.add(key);
        ask(select_memories, Parameters(keys), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                Remembered& remembered = world_.remembered[std::string(rows.text(row, 0))];
                remembered.decided_at = {rows.integer(row, 1)};
                rows.text(row, 2).copy(remembered.fingerprint.data(),
                                       remembered.fingerprint.size());
                remembered.request_id = rows.text(row, 3);
                remembered.outcome = rows.text(row, 4);
            }
        });
    }

    void ask_users() {
        // Each once, though two commands may be about the same one.
        const std::set<std::string_view> users(needs_.erased.begin(), needs_.erased.end());
        TextArray ids;
        for (const std::string_view user_id : users) ids.add(user_id);
        ask(select_users, Parameters(ids, static_cast<std::int64_t>(limits::erased_codes)),
            [this, users](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    const auto n = rows.integer(row, code_columns) - 1;
                    auto& held = world_.users[std::string(*std::next(users.begin(), n))];
                    if (!rows.is_null(row, 0)) held.push_back(&add_code(rows, row));
                }
            });
    }

    /// The pools of one book each; and, for the one of any book, how many free codes each has.
    void ask_pools() {
        std::vector<FreeCodes> wanted;
        for (const auto& [scope, count] : needs_.pools) {
            if (scope) wanted.push_back({*scope, static_cast<std::int64_t>(count)});
        }
        if (!wanted.empty()) {
            ask_free(wanted, [this, wanted](const std::vector<std::vector<CodeRow*>>& found) {
                for (std::size_t i = 0; i < wanted.size(); ++i) {
                    Pool& pool = world_.pools[wanted[i].book_id];
                    pool.codes = found[i];
                    pool.complete = found[i].size() < static_cast<std::size_t>(wanted[i].count);
                }
            });
        }
        if (!needs_.pools.contains(PoolScope{})) return;
        ask(select_available, Parameters(), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                available_.push_back({rows.integer(row, 0), rows.integer(row, 1)});
            }
        });
    }

    /// Free codes of every book, each with the same chance: books are drawn by how many they have.
    void ask_any_free(std::size_t count) {
        const PoolDraw draw(available_, count);
        std::vector<FreeCodes> wanted;
        std::vector<std::size_t> places;
        BigintArray books;
        for (std::size_t i = 0; i < available_.size(); ++i) {
            if (draw.wanted(i) == 0) continue;
            const BookId id = available_[i].book_id;
            wanted.push_back({id, static_cast<std::int64_t>(draw.wanted(i))});
            places.push_back(i);
            if (!world_.books.contains(id)) books.add(id);
        }
        if (wanted.empty()) return draw.fill(world_.pools[PoolScope{}], {});
        ask_free(wanted, [this, draw, places](std::vector<std::vector<CodeRow*>>& found) {
            std::vector<std::vector<CodeRow*>> drawn(available_.size());
            for (std::size_t i = 0; i < places.size(); ++i) drawn[places[i]] = found[i];
            draw.fill(world_.pools[PoolScope{}], drawn);
        });
        if (books.size() > 0) {
            ask(select_books, Parameters(books), [this](const Rows& rows) { take_books(rows); });
        }
    }

    /// Each statement sees what has been committed until then: a book may be made, and filled,
    /// after the books were asked for and before the free codes are.
    void require_books() {
        for (const auto& [scope, pool] : world_.pools) {
            for (const CodeRow* const row : pool.codes) {
                if (world_.books.contains(row->code.book_id)) continue;
                throw Rejected{{"40001", "a book was made while it was looked for", {}}};
            }
        }
    }

    /// Up to so many free codes of each book, from a random point of their order on.
    void ask_free(const std::vector<FreeCodes>& wanted,
                  std::function<void(std::vector<std::vector<CodeRow*>>&)> take) {
        BigintArray books, starts, counts;
        for (const FreeCodes& want : wanted) {
            books.add(want.book_id);
            starts.add(random_shuffle_key());
            counts.add(want.count);
        }
        ask(select_free, Parameters(books, starts, counts),
            [this, size = wanted.size(), take = std::move(take)](const Rows& rows) {
                std::vector<std::vector<CodeRow*>> found(size);
                for (int row = 0; row < rows.size(); ++row) {
                    const auto n = static_cast<std::size_t>(rows.integer(row, code_columns)) - 1;
                    CodeRow* const known = world_.find(rows.text(row, 2));
                    found.at(n).push_back(known != nullptr ? known : &add_code(rows, row));
                }
                take(found);
            });
    }

    Connection& connection_;
    const Needs& needs_;
    Transaction& transaction_;
    StoredCodes& stored_;
    const Deadline deadline_;
    World world_;
    std::vector<Read> reads_;  ///< of what was asked and is not answered yet
    std::vector<FreeCodes> available_;
};

}  // namespace

World load(Connection& connection, const Needs& needs, Transaction& transaction,
           StoredCodes& stored, Deadline deadline) {
    return Loader(connection, needs, transaction, stored, deadline).load();
}

}  // namespace coupond::postgres
