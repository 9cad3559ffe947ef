#include "store/postgres/load.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <set>
#include <unordered_set>

#include "store/pool_draw.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"

namespace coupond::postgres {
namespace {

// Who has to be alone waits until all others have committed, and they wait for it: so what one has
// read of a book is so until it commits. A lock of the database's own, which no row and no page
// keeps; its number is "coupondb" in ASCII. One that waits lets others go on in between, for one of
// those it waits for may stand still.
#define COUPOND_LOCK "7165074657936041058"
constexpr const char* be_one_of_many = "SELECT pg_advisory_xact_lock_shared(" COUPOND_LOCK ")";
constexpr std::array be_alone{
    "SET LOCAL lock_timeout = 200",
    "SELECT pg_advisory_xact_lock(" COUPOND_LOCK ")",
    "SET LOCAL lock_timeout = 0",
};

const Statement select_counters{
    "SELECT (SELECT next FROM id_counter WHERE \"of\" = 'erasure'), "
    "(SELECT next FROM id_counter WHERE \"of\" = 'alone')"};

const Statement reserve_book_ids{
    "UPDATE id_counter SET next = $1::bigint + "
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM coupon_book)) "
    "WHERE \"of\" = 'coupon_book' RETURNING next - $1::bigint"};

const Statement reserve_code_ids{
    "UPDATE id_counter SET next = $1::bigint + "
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM coupon_code)) "
    "WHERE \"of\" = 'coupon_code' RETURNING next - $1::bigint"};

const Statement select_codes{
    "SELECT " COUPOND_CODE_COLUMNS
    " FROM unnest($1::text[]) AS need (code) CROSS JOIN LATERAL "
    "(SELECT ctid, * FROM coupon_code WHERE code = need.code OFFSET 0) AS code " COUPOND_HOLDER};

const Statement select_codes_of_redemptions{
    "SELECT " COUPOND_CODE_COLUMNS
    " FROM unnest($1::bigint[]) AS need (id) CROSS JOIN LATERAL "
    "(SELECT code_id FROM ledger WHERE id = need.id AND type = 5 OFFSET 0) AS entry "
    "CROSS JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE id = entry.code_id OFFSET 0"
    ") AS code " COUPOND_HOLDER};

const Statement select_redemptions{"SELECT " COUPOND_REDEMPTION_COLUMNS
                                   " FROM unnest($1::bigint[]) AS need (id) CROSS JOIN LATERAL "
                                   "(SELECT * FROM ledger WHERE id = need.id AND type = 5 OFFSET 0"
                                   ") AS entry" COUPOND_REDEMPTION_JOINS};

const Statement select_redemptions_of_orders{
    "SELECT " COUPOND_REDEMPTION_COLUMNS
    " FROM unnest($1::text[], $2::text[]) AS need (code, order_id) CROSS JOIN LATERAL "
    "(SELECT id FROM coupon_code WHERE code = need.code OFFSET 0) AS known "
    "CROSS JOIN LATERAL (SELECT * FROM ledger WHERE order_id = need.order_id "
    "AND code_id = known.id OFFSET 0) AS entry" COUPOND_REDEMPTION_JOINS};

const Statement select_usages_of_users{COUPOND_USAGE_OF_USERS};

const Statement select_usages_of_books{COUPOND_USAGE_OF_BOOKS};

// Whoever redeems in a limited book changes what is counted of it, so others wait instead of
// meeting conflicts. Not for the rows: who waits for those has a transaction's id, by which the
// ledger's entries are ordered, before having seen what they waited for. Each book has one of so
// many locks.
constexpr BookId book_locks = 64;
const Statement take_turns{"SELECT coupond_take_turns($1::bigint[]::int[])"};

// What users who are there hold of books.
const Statement select_holdings{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n, who.version, held.codes FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY "
    "AS need (book_id, user_id, n) "
    "CROSS JOIN LATERAL (SELECT number, version FROM coupon_user WHERE user_id = need.user_id "
    "OFFSET 0) AS who "
    "CROSS JOIN LATERAL (SELECT count(*) AS codes, min(id) AS first FROM coupon_code "
    "WHERE assigned_to = who.number AND book_id = need.book_id OFFSET 0) AS held "
    "LEFT JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE id = held.first OFFSET 0"
    ") AS code ON true" COUPOND_HOLDER "ORDER BY need.n"};

const Statement select_books{"SELECT " COUPOND_BOOK_COLUMNS
                             " FROM coupon_book AS book WHERE book.id = ANY($1::bigint[])"};

const Statement select_two_books{"SELECT " COUPOND_BOOK_COLUMNS
                                 " FROM coupon_book AS book ORDER BY book.id LIMIT 2"};

const Statement select_existing{
    "SELECT need.n FROM unnest($1::text[]) WITH ORDINALITY AS need (code, n) "
    "CROSS JOIN LATERAL (SELECT FROM coupon_code WHERE code = need.code OFFSET 0) AS code"};

const Statement select_available{
    "SELECT free.*, book.settings <> '' FROM (SELECT book_id, sum(available - kept_back)::bigint "
    "FROM book_count WHERE book_id > 0 GROUP BY book_id "
    "HAVING sum(available - kept_back) > 0) AS free "
    "CROSS JOIN LATERAL (SELECT settings FROM coupon_book WHERE id = free.book_id OFFSET 0) "
    "AS book ORDER BY book_id"};

// For each book: up to `count` free codes from a point of their order on, around its end.
const Statement select_free{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n "
    "FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY "
    "AS need (book_id, start, count, n) "
    "CROSS JOIN LATERAL ("
    "(SELECT ctid, * FROM coupon_code WHERE assigned_to IS NULL "
    "AND book_id = need.book_id AND shuffle_key >= need.start "
    "ORDER BY shuffle_key LIMIT need.count) "
    "UNION ALL "
    "(SELECT ctid, * FROM coupon_code WHERE assigned_to IS NULL "
    "AND book_id = need.book_id AND shuffle_key >= 0 AND shuffle_key < need.start "
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

constexpr std::size_t most_known = 10'000;  // books in memory

class Loader {
public:
    Loader(Connection& connection, const Needs& needs, Transaction& transaction,
           StoredCodes& stored, KnownBooks& known, Deadline deadline)
        : connection_(connection),
          needs_(needs),
          transaction_(transaction),
          stored_(stored),
          known_(known),
          deadline_(deadline) {
        stored_.clear();
    }

    World load() {
        begin();
        if (!needs_.codes.empty()) ask_codes();
        ask_redemptions();
        ask_books();
        if (needs_.only_book) ask_only_book();
        if (!needs_.new_codes.empty()) ask_existing();
        ask_pools();
        if (!needs_.keys.empty()) ask_memories();
        if (!needs_.erased.empty()) ask_users();
        const auto any = needs_.pools.find(PoolScope{});
        const bool in_parts = any != needs_.pools.end() || may_be_limited() || may_hold_most();
        if (in_parts) {
            receive();
            take_known();
            if (any != needs_.pools.end()) ask_any_free(any->second);
            if (may_be_limited()) ask_usages();
            if (may_hold_most()) ask_holdings();
        }
        ask_name();
        receive();
        take_known();
        require_books();
        if (!in_parts && (may_be_limited() || may_hold_most())) {
            throw Rejected{{"40001", "a book is limited", {}}};
        }
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
        transaction_.alone = needs_.alone;
        if (needs_.alone) {
            for (const char* const sql : be_alone) ask(sql);
        } else {
            ask(be_one_of_many);
        }
        ask(select_counters, Parameters(), [this](const Rows& rows) {
            transaction_.erasures = rows.integer(0, 0);
            world_.others_were_alone = known_.alone != rows.integer(0, 1);
            if (world_.others_were_alone || known_.books.size() > most_known) {
                known_ = {rows.integer(0, 1), {}};
            }
        });
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
        TextArray codes;
        std::unordered_set<std::string_view> asked;
        for (const Needs::CodeNeed& need : needs_.codes) {
            if (asked.insert(need.code).second) codes.add(need.code);
        }
        ask(select_codes, Parameters(codes), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) add_code(rows, row);
        });
    }

    /// After their codes, all of which change with them: so who takes one back and finds its code
    /// as it was has found all that was taken back of it.
    void ask_redemptions() {
        const auto take = [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                Redemption redemption = read_redemption(rows, row);
                const CodeRow* const code = world_.find(redemption.code);
                if (code != nullptr) world_.add(std::move(redemption));
            }
        };
        if (!needs_.redemptions.empty()) {
            BigintArray ids;
            for (const EntryId id : needs_.redemptions) ids.add(id);
            ask(select_codes_of_redemptions, Parameters(ids), [this](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    if (world_.find(rows.text(row, 2)) == nullptr) add_code(rows, row);
                }
            });
            ask(select_redemptions, Parameters(ids), take);
        }
        if (needs_.orders.empty()) return;
        TextArray codes, orders;
        for (const auto& [code, order_id] : needs_.orders) {
            codes.add(code);
            orders.add(order_id);
        }
        ask(select_redemptions_of_orders, Parameters(codes, orders), take);
    }

    /// Whether some redemption may be of a book of which something is counted.
    bool may_be_limited() const {
        const bool redeems =
            !needs_.redemptions.empty() || std::ranges::any_of(needs_.codes, [](const auto& need) {
                return !need.redeemer.empty();
            });
        return redeems && std::ranges::any_of(known_.books, [](const auto& book) {
                   return book.second.counted != 0;
               });
    }

    /// Whether some code may be given away of a book that limits how many a user holds.
    bool may_hold_most() const {
        return !needs_.holdings.empty() && std::ranges::any_of(known_.books, [](const auto& book) {
            return book.second.max_assignments_per_user.has_value();
        });
    }

    /// Of any book: of those that are known to have free codes, or such that a user holds.
    void ask_holdings() {
        std::set<std::pair<BookId, std::string>> asked;
        const auto need = [&](const Book& book, std::string_view user_id) {
            if (book.max_assignments_per_user) asked.emplace(book.id, user_id);
        };
        for (const auto& [user_id, code, book_id] : needs_.holdings) {
            if (book_id) {
                const auto book = world_.books.find(*book_id);
                if (book != world_.books.end()) need(book->second, user_id);
            } else if (!code.empty()) {
                const CodeRow* const row = world_.find(code);
                if (row != nullptr) need(world_.books.at(row->code.book_id), user_id);
            } else {
                for (const FreeCodes& free : available_) {
                    const auto book = known_.books.find(free.book_id);
                    if (book != known_.books.end()) need(book->second, user_id);
                }
            }
        }
        if (asked.empty()) return;
        BigintArray books;
        TextArray users;
        std::vector<World::Holding*> holdings;
        for (const auto& [book_id, user_id] : asked) {
            books.add(book_id);
            users.add(user_id);
            holdings.push_back(&world_.holdings[{book_id, user_id}]);
            world_.holder_versions.try_emplace(user_id);
        }
        ask(select_holdings, Parameters(books, users),
            [this, asked = std::vector(asked.begin(), asked.end()), holdings](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    const auto n = static_cast<std::size_t>(rows.integer(row, code_columns)) - 1;
                    world_.holder_versions[asked.at(n).second] =
                        rows.integer(row, code_columns + 1);
                    holdings.at(n)->codes = rows.integer(row, code_columns + 2);
                    if (rows.is_null(row, 0)) continue;
                    CodeRow* const known = world_.find(rows.text(row, 2));
                    if (known != nullptr &&
                        known->loaded_entry != read_code(rows, row).last_entry) {
                        throw Rejected{{"40001", "a code was given away meanwhile", {}}};
                    }
                    holdings.at(n)->first = known != nullptr ? known : &add_code(rows, row);
                }
            });
    }

    void ask_usages() {
        std::vector<UsageNeed> of_books, of_users;
        const auto need = [&](BookId id, const std::string& redeemer) {
            for (const std::string& of : {std::string(), redeemer}) {
                for (UsageNeed& one : usage_needs(world_.books.at(id), of, needs_.at)) {
                    World::UsageRow none;
                    none.now = {one.since, 0, 0, one.currency};
                    if (!world_.usages.try_emplace(one.key, none).second) continue;
                    (of.empty() ? of_books : of_users).push_back(std::move(one));
                }
            }
        };
        for (const auto& [code, redeemer] : needs_.codes) {
            const CodeRow* const row = redeemer.empty() ? nullptr : world_.find(code);
            if (row != nullptr) need(row->code.book_id, std::string(redeemer));
        }
        for (const EntryId id : needs_.redemptions) {
            const Redemption* const redemption = world_.find_redemption(id);
            if (redemption != nullptr) need(redemption->book_id, redemption->user_id);
        }
        if (!of_books.empty()) {
            std::set<BookId> numbers;  // in one order in every process
            for (const UsageNeed& one : of_books) numbers.insert(one.key.book_id % book_locks);
            BigintArray locks;
            for (const BookId number : numbers) locks.add(number);
            ask(take_turns, Parameters(locks), [](const Rows&) {});
            UsagesAsked asked(of_books);
            ask(select_usages_of_books,
                Parameters(asked.books, asked.pers, asked.since, asked.currencies),
                [this, of_books](const Rows& rows) { take_usages(rows, of_books); });
        }
        if (of_users.empty()) return;
        UsagesAsked asked(of_users);
        ask(select_usages_of_users, Parameters(asked.books, asked.users, asked.pers, asked.since),
            [this, of_users](const Rows& rows) { take_usages(rows, of_users); });
    }

    void take_usages(const Rows& rows, const std::vector<UsageNeed>& asked) {
        for (int row = 0; row < rows.size(); ++row) {
            const UsageNeed& need = asked.at(static_cast<std::size_t>(rows.integer(row, 0)) - 1);
            world_.usages.at(need.key) = read_usage(rows, row, need);
        }
    }

    CodeRow& add_code(const Rows& rows, int row) {
        CodeRow& added = world_.add(read_code(rows, row));
        stored_.emplace(added.code.id, read_stored(rows, row));
        code_books_.insert(added.code.book_id);
        return added;
    }

    void take_books(const Rows& rows) {
        for (int row = 0; row < rows.size(); ++row) {
            Book book = read_book(rows, row);
            known_.books.insert_or_assign(book.id, std::move(book));
        }
    }

    /// Those named, and those of the pools, that are not known.
    void ask_books() {
        BigintArray ids;
        for (const BookId id : needs_.books) {
            if (!known_.books.contains(id)) ids.add(id);
        }
        for (const auto& [scope, count] : needs_.pools) {
            if (scope && !known_.books.contains(*scope)) ids.add(*scope);
        }
        ask_books(ids);
    }

    void ask_books(BigintArray& ids) {
        if (ids.size() == 0) return;
        ask(select_books, Parameters(ids), [this](const Rows& rows) { take_books(rows); });
    }

    /// Puts the books of all that was loaded into the World. Those that have turned out not to be
    /// known are read, and then all is loaded again: it has to be in one order with their changes.
    void take_known() {
        std::set<BookId> unknown;
        const auto take = [&](BookId id, bool must_be) {
            if (world_.books.contains(id)) return;
            const auto found = known_.books.find(id);
            if (found != known_.books.end()) {
                world_.books.emplace(id, found->second);
            } else if (must_be) {
                unknown.insert(id);
            }
        };
        const bool were_asked = asked_of_ == known_.alone;
        for (const BookId id : needs_.books) take(id, !were_asked);
        for (const auto& [scope, pool] : world_.pools) {
            if (scope) take(*scope, !were_asked);
        }
        for (const BookId id : code_books_) take(id, true);
        if (unknown.empty()) return;
        BigintArray ids;
        for (const BookId id : unknown) ids.add(id);
        ask_books(ids);
        receive();
        throw Rejected{{"40001", "books were not known yet", {}}};
    }

    void ask_only_book() {
        ask(select_two_books, Parameters(), [this](const Rows& rows) {
            world_.book_count = static_cast<std::size_t>(rows.size());
            if (rows.size() != 1) return;
            take_books(rows);
            world_.only_book = rows.integer(0, 0);
            code_books_.insert(rows.integer(0, 0));
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
                    if (rows.is_null(row, 0)) continue;
                    held.push_back(&add_code(rows, row));
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
                if (rows.boolean(row, 2)) may_be_closed_.insert(rows.integer(row, 0));
            }
        });
    }

    /// Free codes of every book, each with the same chance: books are drawn by how many they have.
    void ask_any_free(std::size_t count) {
        leave_out_closed();
        const PoolDraw draw(available_, count);
        std::vector<FreeCodes> wanted;
        std::vector<std::size_t> places;
        BigintArray books;
        for (std::size_t i = 0; i < available_.size(); ++i) {
            if (draw.wanted(i) == 0) continue;
            const BookId id = available_[i].book_id;
            wanted.push_back({id, static_cast<std::int64_t>(draw.wanted(i))});
            places.push_back(i);
            if (!known_.books.contains(id)) books.add(id);
        }
        if (wanted.empty()) return draw.fill(world_.pools[PoolScope{}], {});
        ask_free(wanted, [this, draw, places](std::vector<std::vector<CodeRow*>>& found) {
            std::vector<std::vector<CodeRow*>> drawn(available_.size());
            for (std::size_t i = 0; i < places.size(); ++i) drawn[places[i]] = found[i];
            draw.fill(world_.pools[PoolScope{}], drawn);
        });
        ask_books(books);
    }

    void leave_out_closed() {
        BigintArray unknown;
        for (const BookId id : may_be_closed_) {
            if (!known_.books.contains(id)) unknown.add(id);
        }
        if (unknown.size() > 0) {
            ask_books(unknown);
            receive();
        }
        std::erase_if(available_, [this](const FreeCodes& free) {
            if (!may_be_closed_.contains(free.book_id)) return false;
            const auto book = known_.books.find(free.book_id);
            return book == known_.books.end() || !gives_codes(book->second, needs_.at);
        });
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
    KnownBooks& known_;
    const std::int64_t asked_of_ = known_.alone;  ///< of which changes known_ was, at first
    const Deadline deadline_;
    World world_;
    std::vector<Read> reads_;      ///< of what was asked and is not answered yet
    std::set<BookId> code_books_;  ///< of all that was loaded
    std::vector<FreeCodes> available_;
    std::set<BookId> may_be_closed_;  ///< of those
};

}  // namespace

World load(Connection& connection, const Needs& needs, Transaction& transaction,
           StoredCodes& stored, KnownBooks& known, Deadline deadline) {
    return Loader(connection, needs, transaction, stored, known, deadline).load();
}

}  // namespace coupond::postgres
