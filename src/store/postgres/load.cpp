#include "store/postgres/load.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <set>
#include <unordered_set>

#include "domain/spelling.hpp"
#include "store/pool_draw.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"
#include "store/uses.hpp"

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
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM coupon_code "
    "WHERE id < " COUPOND_USES_FROM
    ")) "
    "WHERE \"of\" = 'coupon_code' RETURNING next - $1::bigint"};

const Statement reserve_job_ids{
    "UPDATE id_counter SET next = $1::bigint + "
    "greatest(next, (SELECT coalesce(max(id), 0) + 1 FROM job)) "
    "WHERE \"of\" = 'job' RETURNING next - $1::bigint"};

const Statement select_codes{
    "SELECT " COUPOND_CODE_COLUMNS
    " FROM unnest($1::text[]) AS need (code) CROSS JOIN LATERAL "
    "(SELECT ctid, * FROM coupon_code WHERE code = need.code OFFSET 0) AS code " COUPOND_HOLDER};

const Statement select_codes_of_redemptions{
    "SELECT " COUPOND_CODE_COLUMNS
    " FROM unnest($1::bigint[]) AS need (id) CROSS JOIN LATERAL "
    "(SELECT code_id, use_of FROM ledger WHERE id = need.id AND type = 5 OFFSET 0) AS entry "
    "CROSS JOIN LATERAL unnest(ARRAY[entry.code_id, entry.use_of]) AS named (id) "
    "CROSS JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE id = named.id OFFSET 0"
    ") AS code " COUPOND_HOLDER};

// By which codes were redeemed for orders.
const Statement select_uses_of_orders{
    "SELECT " COUPOND_CODE_COLUMNS
    " FROM unnest($1::text[], $2::text[]) AS need (code, order_id) CROSS JOIN LATERAL "
    "(SELECT id FROM coupon_code WHERE code = need.code OFFSET 0) AS known "
    "CROSS JOIN LATERAL (SELECT code_id FROM ledger WHERE order_id = need.order_id "
    "AND use_of = known.id OFFSET 0) AS entry "
    "CROSS JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE id = entry.code_id OFFSET 0"
    ") AS code " COUPOND_HOLDER};

// Of users who are there: the uses of codes that they have and that are not redeemed, of several of
// one code the one that is locked longest.
const Statement select_unredeemed_uses{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n, counted.locked_until, counted.amount, counted.currency "
    "FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS need (code_id, user_id, n) "
    "CROSS JOIN LATERAL (SELECT number, user_id FROM coupon_user WHERE user_id = need.user_id "
    "OFFSET 0) AS holder "
    "CROSS JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE use_of = need.code_id "
    "AND assigned_to = holder.number AND redeemed_at IS NULL ORDER BY locked_until + 0 DESC LIMIT 1"
    ") AS code LEFT JOIN LATERAL (SELECT * FROM counted_lock WHERE code_id = code.id OFFSET 0"
    ") AS counted ON true"};

// How many uses of codes are locked beyond $2.
const Statement select_locked_uses{
    "SELECT (SELECT count(*) FROM coupon_code WHERE use_of = need.code_id "
    "AND redeemed_at IS NULL AND locked_until > $2::bigint) "
    "FROM unnest($1::bigint[]) WITH ORDINALITY AS need (code_id, n) ORDER BY need.n"};

const Statement select_uses_of_codes{COUPOND_USES_OF_CODES};

const Statement select_redemptions{"SELECT " COUPOND_REDEMPTION_COLUMNS
                                   " FROM unnest($1::bigint[]) AS need (id) CROSS JOIN LATERAL "
                                   "(SELECT * FROM ledger WHERE id = need.id AND type = 5 OFFSET 0"
                                   ") AS entry" COUPOND_REDEMPTION_JOINS};

const Statement select_redemptions_of_orders{
    "SELECT " COUPOND_REDEMPTION_COLUMNS
    " FROM unnest($1::text[], $2::text[]) AS need (code, order_id) CROSS JOIN LATERAL "
    "(SELECT id FROM coupon_code WHERE code = need.code OFFSET 0) AS known "
    "CROSS JOIN LATERAL (SELECT * FROM ledger WHERE order_id = need.order_id "
    "AND coalesce(use_of, code_id) = known.id OFFSET 0) AS entry" COUPOND_REDEMPTION_JOINS};

const Statement select_usages_of_users{COUPOND_USAGE_OF_USERS};

const Statement select_usages_of_books{COUPOND_USAGE_OF_BOOKS};

// Of codes, not of uses.
const Statement select_counted_locks{
    "SELECT need.code, who.user_id, held.locked_until, held.amount, held.currency "
    "FROM unnest($1::bigint[], $2::text[]) AS need (id, code) CROSS JOIN LATERAL "
    "(SELECT * FROM counted_lock WHERE code_id = need.id OFFSET 0) AS held "
    "CROSS JOIN LATERAL (SELECT user_id FROM coupon_user WHERE number = held.user_number OFFSET 0"
    ") AS who"};

// Locks of a book, `held`, that count beyond $4: of a redeemed code none does.
#define COUPOND_HELD                                                                            \
    "FROM counted_lock AS held CROSS JOIN LATERAL (SELECT FROM coupon_code WHERE id = "         \
    "held.code_id AND redeemed_at IS NULL OFFSET 0) AS code WHERE held.book_id = need.book_id " \
    "AND held.locked_until > $4::bigint"

// How many there are: of a book, with what they are worth in a currency, or of a user there.
const Statement select_lock_counts{
    "SELECT CASE WHEN need.user_id = '' THEN (SELECT count(*) " COUPOND_HELD
    ") ELSE (SELECT count(*) " COUPOND_HELD
    " AND held.user_number = (SELECT number FROM coupon_user WHERE user_id = need.user_id)) END, "
    "CASE WHEN need.currency IS NULL THEN 0 ELSE "
    "(SELECT coalesce(sum(held.amount), 0)::bigint " COUPOND_HELD
    " AND held.currency = need.currency) END FROM unnest($1::bigint[], $2::text[], $3::text[]) "
    "WITH ORDINALITY AS need (book_id, user_id, currency, n) ORDER BY need.n"};

// Whoever redeems in a limited book, or of a code that has uses, changes what is counted of it, so
// others wait instead of meeting conflicts. Not for the rows: who waits for those has a
// transaction's id, by which the ledger's entries are ordered, before having seen what they waited
// for. Each book and each code has one of so many locks.
constexpr std::int64_t turns = 64;
const Statement take_turns{"SELECT coupond_take_turns($1::bigint[]::int[])"};

// What users who are there hold of books.
const Statement select_holdings{
    "SELECT " COUPOND_CODE_COLUMNS
    ", need.n, who.version, held.codes FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY "
    "AS need (book_id, user_id, n) "
    "CROSS JOIN LATERAL (SELECT number, version FROM coupon_user WHERE user_id = need.user_id "
    "OFFSET 0) AS who "
    "CROSS JOIN LATERAL (SELECT count(*) AS codes, min(id) AS first FROM coupon_code "
    "WHERE assigned_to = who.number AND book_id = need.book_id AND use_of IS NULL OFFSET 0"
    ") AS held "
    "LEFT JOIN LATERAL (SELECT ctid, * FROM coupon_code WHERE id = held.first OFFSET 0"
    ") AS code ON true" COUPOND_HOLDER "ORDER BY need.n"};

const Statement select_books{"SELECT " COUPOND_BOOK_COLUMNS
                             " FROM coupon_book AS book WHERE book.id = ANY($1::bigint[])"};

const Statement select_two_books{"SELECT " COUPOND_BOOK_COLUMNS
                                 " FROM coupon_book AS book ORDER BY book.id LIMIT 2"};

const Statement select_generators{
    "SELECT generator.book_id, generator.code_pattern, " COUPOND_GENERATOR_COLUMNS
    " FROM code_generator AS generator WHERE generator.book_id = ANY($1::bigint[])"};

const Statement select_makers{
    "SELECT book_id, code_pattern, sum(requested - created)::bigint FROM job "
    "WHERE book_id = ANY($1::bigint[]) AND status < 2 AND details IS NULL "
    "GROUP BY book_id, code_pattern"};

const Statement select_unfinished{
    "SELECT count(*) FROM (SELECT FROM job WHERE status < 2 LIMIT $1::bigint) AS unfinished"};

const Statement select_adds_alone{"SELECT id FROM job WHERE adds_alone = 1 LIMIT 1"};

const Statement select_jobs{"SELECT " COUPOND_JOB_COLUMNS
                            " FROM job WHERE job.id = ANY($1::bigint[])"};

const Statement select_existing{COUPOND_EXISTING("code")};
const Statement select_existing_spellings{COUPOND_EXISTING("folded")};

const Statement select_spelled{COUPOND_SPELLED};

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
        // Which codes have uses is known of none before it is read.
        const bool knew_uses = known_.uses;
        const bool with_uses = knew_uses && (!needs_.codes.empty() || !needs_.redemptions.empty());
        if (!with_uses && !needs_.orders.empty()) ask_orders(false);
        ask_books();
        if (needs_.only_book) ask_only_book();
        if (!needs_.generators.empty()) ask_generators();
        if (!needs_.jobs.empty()) ask_jobs();
        if (!needs_.makers.empty()) ask_makers();
        if (needs_.job_ids > 0) ask_unfinished();
        if (needs_.adds_codes) ask_adds_alone();
        if (!needs_.new_codes.empty()) ask_existing();
        ask_pools();
        if (!needs_.keys.empty()) ask_memories();
        if (!needs_.erased.empty()) ask_users();
        const auto any = needs_.pools.find(PoolScope{});
        const bool in_parts =
            any != needs_.pools.end() || may_be_limited() || may_hold_most() || with_uses;
        if (in_parts) {
            receive();
            take_known();
            if (any != needs_.pools.end()) ask_any_free(any->second);
            if (with_uses || may_be_limited()) ask_usages();
            if (may_be_limited()) ask_counted_locks();
            if (with_uses) ask_uses();
            if (with_uses && !needs_.orders.empty()) ask_orders(true);
            if (may_hold_most()) ask_holdings();
        }
        ask_name();
        receive();
        take_known();
        require_books();
        if (in_parts) count_locks();
        load_spellings();
        const bool is_limited = !in_parts && (may_be_limited() || may_hold_most());
        if (is_limited || (known_.uses && !knew_uses)) {
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
        if (needs_.book_ids > 0 || needs_.code_ids > 0 || needs_.job_ids > 0) reserve_ids();
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
                known_ = {rows.integer(0, 1), {}, known_.uses};
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

    /// In a transaction of its own, so that nobody waits for it for long; nor does it for the disk:
    /// whatever is saved with the ids is behind it in the log.
    void reserve_ids() {
        ask("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        ask("SET LOCAL synchronous_commit = off");
        ask(set_up, Parameters(), [](const Rows&) {});
        if (needs_.book_ids > 0) ask_ids(reserve_book_ids, needs_.book_ids, world_.next_book_id);
        if (needs_.code_ids > 0) ask_ids(reserve_code_ids, needs_.code_ids, world_.next_code_id);
        if (needs_.job_ids > 0) ask_ids(reserve_job_ids, needs_.job_ids, world_.next_job_id);
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
        if (needs_.redemptions.empty()) return;
        BigintArray ids;
        for (const EntryId id : needs_.redemptions) ids.add(id);
        ask(select_codes_of_redemptions, Parameters(ids),
            [this](const Rows& rows) { take_codes(rows); });
        ask(select_redemptions, Parameters(ids),
            [this](const Rows& rows) { take_redemptions(rows); });
    }

    /// After their codes, and the uses of those: one that is made in between is found here, or its
    /// code or use has been found as it was before.
    void ask_orders(bool with_uses) {
        TextArray codes, orders;
        for (const auto& [code, order_id] : needs_.orders) {
            codes.add(code);
            orders.add(order_id);
        }
        if (with_uses) {
            ask(select_uses_of_orders, Parameters(codes, orders),
                [this](const Rows& rows) { take_codes(rows); });
        }
        ask(select_redemptions_of_orders, Parameters(codes, orders),
            [this](const Rows& rows) { take_redemptions(rows); });
    }

    void take_codes(const Rows& rows) {
        for (int row = 0; row < rows.size(); ++row) take_code(rows, row);
    }

    /// Adds what a row has that begins with COUPOND_CODE_COLUMNS, if it is not there already.
    CodeRow& take_code(const Rows& rows, int row) {
        CodeRow* const known = find_code(rows, row);
        if (known == nullptr) return add_code(rows, row);
        if (known->loaded_entry != read_code(rows, row).last_entry) {
            throw Rejected{{"40001", "a code was changed meanwhile", {}}};
        }
        return *known;
    }

    void take_redemptions(const Rows& rows) {
        for (int row = 0; row < rows.size(); ++row) {
            Redemption redemption = read_redemption(rows, row);
            const CodeRow* const code = world_.find(redemption.code);
            if (redemption.use_of) known_.uses = true;
            const bool has_use =
                !redemption.use_of || world_.find_use(redemption.code_id) != nullptr;
            if (code != nullptr && has_use) world_.add(std::move(redemption));
        }
    }

    /// Whether some code that is used may be of a book of which something is counted.
    bool may_be_limited() const {
        const bool uses =
            !needs_.redemptions.empty() ||
            std::ranges::any_of(needs_.codes, [](const auto& need) { return need.uses; });
        return uses && std::ranges::any_of(
                           known_.books, [](const auto& book) { return book.second.counted != 0; });
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
                if (row != nullptr) need(book_of(*row), user_id);
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
                    holdings.at(n)->first = &take_code(rows, row);
                }
            });
    }

    /// Those that are not redeemed, of the codes that may have some; and, where it matters, how
    /// many are locked.
    void ask_uses() {
        BigintArray codes;
        TextArray users;
        std::vector<CodeRow**> places;
        std::map<CodeId, const CodeRow*> limited;
        const auto need = [&](const CodeRow& row, std::string_view user) {
            const Book& book = book_of(row);
            if (!may_have_uses(book, row.code)) return;
            if (most_redemptions(book, row.code)) limited[row.code.id] = &row;
            const std::string who =
                user.empty() ? row.code.assigned_to.value_or("") : std::string(user);
            if (who.empty()) return;
            const auto [use, added] =
                world_.unredeemed_uses.try_emplace(std::pair(row.code.id, who), nullptr);
            if (!added) return;
            codes.add(row.code.id);
            users.add(who);
            places.push_back(&use->second);
        };
        for (const Needs::CodeNeed& one : needs_.codes) {
            const CodeRow* const row = world_.find(one.code);
            if (row != nullptr) need(*row, one.user);
        }
        for (const EntryId id : needs_.redemptions) {
            const Redemption* const redemption = world_.find_redemption(id);
            if (redemption != nullptr) need(*world_.find(redemption->code), redemption->user_id);
        }
        if (!places.empty()) {
            ask(select_unredeemed_uses, Parameters(codes, users), [this, places](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    const auto n = static_cast<std::size_t>(rows.integer(row, code_columns)) - 1;
                    CodeRow& use = take_code(rows, row);
                    *places.at(n) = &use;
                    if (rows.is_null(row, code_columns + 1)) continue;
                    use.counted_lock =
                        read_counted_lock(rows, row, *use.code.assigned_to, code_columns + 1);
                }
            });
        }
        if (limited.empty()) return;
        receive();
        BigintArray nearly_used_up;
        std::vector<Usage*> counts;
        for (const auto& [id, row] : limited) {
            const Book& book = book_of(*row);
            Usage& uses = world_.usages.at(uses_need(book.id, id).key).now;
            if (!is_nearly_used_up(book, row->code, uses)) continue;
            nearly_used_up.add(id);
            counts.push_back(&uses);
        }
        if (counts.empty()) return;
        ask(select_locked_uses, Parameters(nearly_used_up, needs_.at.ms),
            [counts](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    counts.at(static_cast<std::size_t>(row))->locked = rows.integer(row, 0);
                }
            });
    }

    void ask_usages() {
        std::vector<UsageNeed> of_books, of_users, of_codes;
        const auto take = [&](UsageNeed need, std::vector<UsageNeed>& asked) {
            World::UsageRow none;
            none.now = {need.since, 0, 0, need.currency};
            if (world_.usages.try_emplace(need.key, none).second) asked.push_back(std::move(need));
        };
        const auto need = [&](const CodeRow& row, std::string_view user, bool uses) {
            const Book& book = book_of(row);
            if (may_have_uses(book, row.code)) take(uses_need(book.id, row.code.id), of_codes);
            if (!uses) return;
            for (UsageNeed& one : usage_needs(book, "", needs_.at)) take(std::move(one), of_books);
            for (UsageNeed& one : usage_needs(book, user, needs_.at))
                take(std::move(one), of_users);
        };
        for (const Needs::CodeNeed& one : needs_.codes) {
            const CodeRow* const row = world_.find(one.code);
            if (row != nullptr) need(*row, one.user, one.uses);
        }
        for (const EntryId id : needs_.redemptions) {
            const Redemption* const redemption = world_.find_redemption(id);
            if (redemption == nullptr) continue;
            need(*world_.find(redemption->code), redemption->user_id, true);
        }
        if (!of_books.empty() || !of_codes.empty()) {
            std::set<std::int64_t> numbers;  // in one order in every process
            for (const UsageNeed& one : of_books) numbers.insert(one.key.book_id % turns);
            for (const UsageNeed& one : of_codes) numbers.insert(one.key.code_id % turns);
            BigintArray locks;
            for (const std::int64_t number : numbers) locks.add(number);
            ask(take_turns, Parameters(locks), [](const Rows&) {});
        }
        if (!of_codes.empty()) {
            UsagesAsked asked(of_codes);
            ask(select_uses_of_codes, Parameters(asked.books, asked.codes),
                [this, of_codes](const Rows& rows) {
                    for (int row = 0; row < rows.size(); ++row) {
                        const auto n = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
                        world_.usages.at(of_codes.at(n).key) = read_uses(rows, row);
                    }
                });
        }
        if (!of_books.empty()) {
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

    /// Of codes that are used in limited books. Whoever changes one later changes what is counted
    /// of the book as well.
    void ask_counted_locks() {
        BigintArray ids;
        TextArray codes;
        for (const Needs::CodeNeed& need : needs_.codes) {
            const CodeRow* const row = need.uses ? world_.find(need.code) : nullptr;
            if (row == nullptr || !counts_redemptions(book_of(*row))) continue;
            ids.add(row->code.id);
            codes.add(row->code.code);
        }
        if (ids.size() == 0) return;
        ask(select_counted_locks, Parameters(ids, codes), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                world_.find(rows.text(row, 0))->counted_lock =
                    read_counted_lock(rows, row, rows.text(row, 1), 2);
            }
        });
    }

    static CountedLock read_counted_lock(const Rows& rows, int row, std::string_view user_id,
                                         int column) {
        return sound(
            CountedLock{std::string(user_id),
                        {rows.integer(row, column)},
                        read_money(rows, row, column + 1, read_currency(rows, row, column + 2))});
    }

    /// Of limited books, and of users there, where that is needed.
    void count_locks() {
        BigintArray books;
        TextArray users, currencies;
        std::vector<World::UsageRow*> counts;
        for (auto& [key, usage] : world_.usages) {
            if (key.code_id != 0) continue;
            const Book& book = world_.books.at(key.book_id);
            if (!must_count_locks(book, key, usage, needs_.counts_locks)) continue;
            books.add(key.book_id);
            users.add(key.user_id);
            const auto& currency = usage.now.currency;
            currency ? currencies.add(currency->code()) : currencies.add_null();
            counts.push_back(&usage);
        }
        if (counts.empty()) return;
        ask(select_lock_counts, Parameters(books, users, currencies, needs_.at.ms),
            [counts](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    World::UsageRow& usage = *counts.at(static_cast<std::size_t>(row));
                    usage.now.locked = rows.integer(row, 0);
                    usage.now.locked_amount = rows.integer(row, 1);
                    sound(usage.now);
                    usage.locks_counted = true;
                }
            });
        receive();
    }

    void take_usages(const Rows& rows, const std::vector<UsageNeed>& asked) {
        for (int row = 0; row < rows.size(); ++row) {
            const UsageNeed& need = asked.at(static_cast<std::size_t>(rows.integer(row, 0)) - 1);
            world_.usages.at(need.key) = read_usage(rows, row, need);
        }
    }

    const Book& book_of(const CodeRow& row) {
        const Book* const book = world_.find_book(row.code.book_id);
        if (book == nullptr) throw Rejected{{data_corrupted, "a code without its book", ""}};
        return *book;
    }

    /// That of a row which begins with COUPOND_CODE_COLUMNS, if it is there already.
    CodeRow* find_code(const Rows& rows, int row) {
        return rows.is_null(row, 10) ? world_.find(rows.text(row, 2))
                                     : world_.find_use(rows.integer(row, 0));
    }

    CodeRow& add_code(const Rows& rows, int row) {
        CodeRow& added = world_.add(read_code(rows, row));
        known_.uses |= added.code.counted || added.code.use_of.has_value();
        stored_.emplace(added.code.id, read_stored(rows, row));
        code_books_.insert(added.code.book_id);
        return added;
    }

    void take_books(const Rows& rows) {
        for (int row = 0; row < rows.size(); ++row) {
            Book book = read_book(rows, row);
            known_.uses |= may_have_uses(book, {});
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

    void ask_generators() {
        BigintArray books;
        for (const BookId id : needs_.generators) books.add(id);
        ask(select_generators, Parameters(books), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                const Generator generator = read_generator(rows, row, 2);
                world_.generators.try_emplace(
                    {rows.integer(row, 0), std::string(rows.text(row, 1))},
                    World::GeneratorRow{generator, generator});
            }
        });
    }

    void ask_makers() {
        BigintArray books;
        for (const BookId id : needs_.makers) books.add(id);
        ask(select_makers, Parameters(books), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                world_.being_made[{rows.integer(row, 0), std::string(rows.text(row, 1))}] =
                    rows.integer(row, 2);
            }
        });
    }

    void ask_unfinished() {
        ask(select_unfinished, Parameters(std::int64_t{limits::unfinished_jobs}),
            [this](const Rows& rows) {
                world_.unfinished_jobs = static_cast<std::size_t>(rows.integer(0, 0));
            });
    }

    void ask_adds_alone() {
        ask(select_adds_alone, Parameters(), [this](const Rows& rows) {
            if (rows.size() > 0) world_.adds_alone = rows.integer(0, 0);
        });
    }

    void ask_jobs() {
        BigintArray ids;
        for (const JobId id : needs_.jobs) ids.add(id);
        ask(select_jobs, Parameters(ids), [this](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                Job job = read_job(rows, row);
                const auto [id, version] = std::pair(job.id, job.version);
                world_.jobs.try_emplace(id, World::JobRow{std::move(job), version});
            }
        });
    }

    void ask_existing() {
        TextArray codes, spellings;
        for (const std::string_view code : needs_.new_codes) {
            codes.add(code);
            spellings.add(folded(code));
        }
        const auto take = [this](std::unordered_set<std::string_view>& existing) {
            return [this, &existing](const Rows& rows) {
                for (int row = 0; row < rows.size(); ++row) {
                    const auto n = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
                    existing.insert(needs_.new_codes.at(n));
                }
            };
        };
        ask(select_existing, Parameters(codes), take(world_.existing_codes));
        ask(select_existing_spellings, Parameters(spellings), take(world_.existing_spellings));
    }

    /// Of codes that are not there.
    void load_spellings() {
        TextArray spellings, codes;
        std::vector<std::string_view> asked;
        for (const Needs::CodeNeed& need : needs_.codes) {
            if (world_.contains(need.code)) continue;
            spellings.add(folded(need.code));
            codes.add(need.code);
            asked.push_back(need.code);
        }
        if (asked.empty()) return;
        ask(select_spelled, Parameters(spellings, codes), [this, asked](const Rows& rows) {
            for (int row = 0; row < rows.size(); ++row) {
                const auto n = static_cast<std::size_t>(rows.integer(row, 0)) - 1;
                world_.spellings.emplace(asked.at(n), rows.text(row, 1));
            }
        });
        receive();
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
