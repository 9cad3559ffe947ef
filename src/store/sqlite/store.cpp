#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "domain/spelling.hpp"
#include "store/pool_draw.hpp"
#include "store/sqlite/checkpointer.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/log_sync.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/stores.hpp"
#include "store/uses.hpp"

namespace coupond::sqlite {
namespace {

constexpr std::int64_t sweep_every_ms = 1'000;
constexpr std::int64_t dead_locks_kept_ms = 3'600'000;  // so that a clock set back finds them again

class SqliteStore final : public Store {
public:
    SqliteStore(const std::string& path, std::shared_ptr<LogSync> log_sync)
        : log_sync_(std::move(log_sync)),
          connection_(path, Connection::Mode::read_write),
          checkpointer_(path) {
        connection_.execute("PRAGMA cache_size = -131072");  // KiB
        sqlite3_wal_hook(
            connection_.raw(),
            [](void* self, sqlite3*, const char*, int log_pages) {
                static_cast<SqliteStore*>(self)->log_pages_ = log_pages;
                return SQLITE_OK;
            },
            this);
    }

    ~SqliteStore() override { log_sync_->end(); }

    Result<World> load(const Needs& needs) override {
        try {
            begin_read_.run();
            World world = load_rows(needs);
            commit_.run();
            health_.worked();
            return world;
        } catch (const Error& error) {
            return failed(error);
        }
    }

    Result<void> save(const Delta& delta) override {
        if (delta.empty()) return {};
        try {
            begin_write_.run();
            if (!save_rows(delta)) {
                connection_.roll_back();
                return Failure::conflict;
            }
        } catch (const Error& error) {
            return failed(error);
        }
        try {
            log_sync_->commit(connection_, commit_);
            health_.worked();
        } catch (const Error& error) {
            const Failure failure = failed(error);
            return failure == Failure::unavailable && !commit_left_nothing(error)
                       ? Failure::indeterminate
                       : failure;
        }
        try {  // what was committed stays so, whatever becomes of its way into the file
            checkpointer_.after_commit(connection_, log_pages_);
            checkpoint_health_.worked();
        } catch (const Error& error) {
            classify(error);  // ends the process where the file can no longer be trusted
            checkpoint_health_.failed(error);
        }
        return {};
    }

    std::size_t best_batch() const override { return limits::batch_commands_unwaited; }

    bool is_settled() const override { return log_sync_->is_settled(); }
    void settle() override { log_sync_->settle(); }

    /// Where the last change failed, for want of room say, only a change can tell that it is over.
    Result<void> ping() override {
        try {
            if (health_.failing()) {
                begin_write_.run();
                const std::int64_t version = connection_.integer("PRAGMA user_version");
                connection_.execute(("PRAGMA user_version = " + std::to_string(version)).c_str());
                commit_.run();
            } else {
                connection_.integer(max_book_id);
            }
            health_.worked();
            return {};
        } catch (const Error& error) {
            return failed(error);
        }
    }

private:
    /// Whether a commit that failed with `error` can be told not to have happened. It can when the
    /// log had no room for it. After other errors, such as no room for the log's index, all of it
    /// may stand in the log, and comes to life if the process dies before the next commit.
    static bool commit_left_nothing(const Error& error) {
        return error.code() == SQLITE_FULL || error.code() == SQLITE_IOERR_WRITE ||
               (error.code() & 0xFF) == SQLITE_BUSY;
    }

    Failure failed(const Error& error) {
        connection_.roll_back();
        const Failure failure = classify(error);
        if (failure == Failure::unavailable) health_.failed(error);
        if (failure == Failure::refused) {
            log::error("the database refuses a row", {{"reason", error.message()}});
        }
        return failure;
    }

    World load_rows(const Needs& needs) {
        World world;
        holders_.clear();
        at_ = needs.at;
        counts_locks_ = needs.counts_locks;
        for (const BookId id : needs.books) load_book(world, id);
        if (needs.only_book) load_only_book(world);
        for (const Needs::CodeNeed& need : needs.codes) load_code(world, need);
        for (const auto& [code, order_id] : needs.orders) load_order(world, code, order_id);
        for (const EntryId id : needs.redemptions) load_redemption(world, id);
        const bool any_is_folded = !needs.new_codes.empty() && select_any_folded_.step();
        select_any_folded_.reset();
        for (const std::string_view code : needs.new_codes) {
            if (select_exists_.bind(code).step()) {
                world.existing_codes.insert(code);
                select_exists_.reset();
            }
            if (any_is_folded && select_spelled_.bind(folded(code), "").step()) {
                world.existing_spellings.insert(code);
                select_spelled_.reset();
            }
        }
        for (const auto& [scope, count] : needs.pools) load_pool(world, scope, count, needs.at);
        for (const Needs::HoldingNeed& need : needs.holdings) load_holdings(world, need);
        for (const std::string_view user_id : needs.erased) load_user(world, user_id);
        for (const std::string_view key : needs.keys) load_memory(world, key);
        for (const BookId id : needs.generators) load_generators(world, id);
        for (const JobId id : needs.jobs) load_job(world, id);
        for (const BookId id : needs.makers) {
            select_being_made_.bind(id);
            while (select_being_made_.step()) {
                world.being_made[{id, select_being_made_.text(0)}] += select_being_made_.integer(1);
            }
        }
        if (needs.adds_codes && select_adds_alone_.step()) {
            world.adds_alone = select_adds_alone_.integer(0);
            select_adds_alone_.reset();
        }
        if (needs.job_ids > 0) {
            world.next_job_id = connection_.integer(max_job_id) + 1;
            select_unfinished_.bind(std::int64_t{limits::unfinished_jobs}).step();
            world.unfinished_jobs = static_cast<std::size_t>(select_unfinished_.integer(0));
            select_unfinished_.reset();
        }
        if (needs.book_ids > 0) world.next_book_id = connection_.integer(max_book_id) + 1;
        if (needs.code_ids > 0) world.next_code_id = connection_.integer(max_code_id) + 1;
        select_max_entry_.step();
        world.next_entry_id = select_max_entry_.integer(0) + 1;
        select_max_entry_.reset();
        return world;
    }

    void load_book(World& world, BookId id) {
        if (world.books.contains(id)) return;
        if (!select_book_.bind(id).step()) return;
        world.books.emplace(id, read_book(select_book_));
        select_book_.reset();
    }

    void load_only_book(World& world) {
        std::vector<BookId> ids;
        while (select_two_books_.step()) ids.push_back(select_two_books_.integer(0));
        world.book_count = ids.size();
        if (ids.size() != 1) return;
        world.only_book = ids.front();
        load_book(world, ids.front());
    }

    void load_code(World& world, const Needs::CodeNeed& need) {
        const CodeRow* row = world.find(need.code);
        if (row == nullptr) {
            if (!select_code_.bind(need.code).step()) return load_spelling(world, need.code);
            row = &add_code(world, select_code_);
            select_code_.reset();
        }
        load_book(world, row->code.book_id);
        const Book* const book = world.find_book(row->code.book_id);
        if (book == nullptr) throw corrupt("a code without its book");
        if (may_have_uses(*book, row->code)) load_uses(world, *book, row->code, need.user);
        if (!need.uses || !counts_redemptions(*book)) return;
        load_usages(world, *book, usage_needs(*book, "", at_));
        load_usages(world, *book, usage_needs(*book, need.user, at_));
        if (!book->open) load_counted_lock(world.find(need.code));  // else uses are locked
        const auto use = world.unredeemed_uses.find({row->code.id, std::string(need.user)});
        if (use != world.unredeemed_uses.end()) load_counted_lock(use->second);
    }

    void load_counted_lock(CodeRow* row) {
        if (row == nullptr || row->counted_lock) return;
        if (!select_counted_lock_.bind(row->code.id).step()) return;
        row->counted_lock = sound(CountedLock{
            select_counted_lock_.text(0),
            {select_counted_lock_.integer(1)},
            read_money(select_counted_lock_, 2, read_currency(select_counted_lock_, 3))});
        select_counted_lock_.reset();
    }

    void load_spelling(World& world, std::string_view code) {
        if (!select_spelled_.bind(folded(code), code).step()) return;
        world.spellings.emplace(code, select_spelled_.text(0));
        select_spelled_.reset();
    }

    void load_uses(World& world, const Book& book, const Code& code, std::string_view user) {
        const auto [uses, unknown] = world.usages.try_emplace(uses_need(book.id, code.id).key);
        if (unknown) load_count(uses->second, book, code);
        const std::string who = user.empty() ? code.assigned_to.value_or("") : std::string(user);
        if (who.empty()) return;
        const auto [use, added] =
            world.unredeemed_uses.try_emplace(std::pair(code.id, who), nullptr);
        if (!added) return;
        select_unredeemed_use_.bind(code.id, who).step();
        if (!select_unredeemed_use_.is_null(0)) {
            CodeRow* const known = world.find_use(select_unredeemed_use_.integer(0));
            use->second = known != nullptr ? known : &add_code(world, select_unredeemed_use_);
        }
        select_unredeemed_use_.reset();
    }

    void load_count(World::UsageRow& uses, const Book& book, const Code& code) {
        if (select_uses_of_code_.bind(book.id, code.id).step()) {
            uses = read_uses(select_uses_of_code_);
            select_uses_of_code_.reset();
        }
        if (!is_nearly_used_up(book, code, uses.now)) return;
        select_locked_uses_.bind(code.id, at_).step();
        uses.now.locked = select_locked_uses_.integer(0);
        select_locked_uses_.reset();
    }

    void load_usages(World& world, const Book& book, const std::vector<UsageNeed>& needs) {
        for (const UsageNeed& need : needs) {
            const auto [usage, added] = world.usages.try_emplace(need.key);
            if (!added) continue;
            const auto per = static_cast<std::int64_t>(need.key.per);
            const bool of_all = need.key.user_id.empty();
            Statement& select = of_all ? select_usage_of_book_ : select_usage_of_user_;
            if (of_all) {
                select.bind(need.key.book_id, per, need.since, code_of(need.currency));
            } else {
                select.bind(need.key.book_id, need.key.user_id, per, need.since);
            }
            usage->second.now = {need.since, 0, 0, need.currency};
            if (select.step()) {
                usage->second = read_usage(select, need);
                select.reset();
            }
            if (must_count_locks(book, need.key, usage->second, counts_locks_)) {
                load_locks(need, usage->second);
            }
        }
    }

    void load_locks(const UsageNeed& need, World::UsageRow& usage) {
        const bool of_all = need.key.user_id.empty();
        Statement& select = of_all ? select_locks_of_book_ : select_locks_of_user_;
        if (of_all) {
            select.bind(need.key.book_id, at_, code_of(need.currency));
        } else {
            select.bind(need.key.book_id, at_, need.key.user_id);
        }
        select.step();
        read_locks(select, usage);
        select.reset();
    }

    void load_holdings(World& world, const Needs::HoldingNeed& need) {
        const CodeRow* const row = need.code.empty() ? nullptr : world.find(need.code);
        const auto book_id = row != nullptr ? std::optional(row->code.book_id) : need.book_id;
        if (book_id) return load_holding(world, *book_id, need.user_id);
        const auto any = world.pools.find(PoolScope{});
        if (!need.code.empty() || any == world.pools.end()) return;
        for (const CodeRow* const free : any->second.codes) {
            load_holding(world, free->code.book_id, need.user_id);
        }
    }

    void load_holding(World& world, BookId book_id, std::string_view user_id) {
        const Book* const book = world.find_book(book_id);
        if (book == nullptr || !book->max_assignments_per_user) return;
        const auto [held, added] =
            world.holdings.try_emplace(std::pair(book_id, std::string(user_id)));
        if (!added) return;
        select_holding_.bind(user_id, book_id).step();
        World::Holding& holding = held->second;
        holding.codes = select_holding_.integer(0);
        const auto first = select_holding_.optional_integer(1);
        select_holding_.reset();
        if (!first || !select_code_by_id_.bind(*first).step()) return;
        CodeRow* const known = world.find(select_code_by_id_.text(2));
        holding.first = known != nullptr ? known : &add_code(world, select_code_by_id_);
        select_code_by_id_.reset();
    }

    void load_order(World& world, std::string_view code, std::string_view order_id) {
        const CodeRow* const row = world.find(code);
        if (row == nullptr) return;
        const Book* const book = world.find_book(row->code.book_id);
        if (!row->code.redeemed_at && !may_have_uses(*book, row->code)) return;
        select_order_.bind(order_id, row->code.id);
        std::vector<Redemption> found;
        while (select_order_.step()) found.push_back(read_redemption(select_order_));
        for (Redemption& redemption : found) {
            if (redemption.use_of) load_use(world, redemption.code_id);
            world.add(std::move(redemption));
        }
    }

    void load_use(World& world, CodeId id) {
        if (world.find_use(id) != nullptr || !select_code_by_id_.bind(id).step()) return;
        add_code(world, select_code_by_id_);
        select_code_by_id_.reset();
    }

    void load_redemption(World& world, EntryId id) {
        if (!select_redemption_.bind(id).step()) return;
        Redemption redemption = read_redemption(select_redemption_);
        select_redemption_.reset();
        load_code(world, {redemption.code, redemption.user_id, true});
        if (redemption.use_of) load_use(world, redemption.code_id);
        world.add(std::move(redemption));
    }

    CodeRow& add_code(World& world, const Statement& select) {
        CodeRow& row = world.add(read_code(select));
        if (const auto holder = read_holder(select)) {
            holders_[row.code.id] = {*holder, *row.code.assigned_to};
        }
        return row;
    }

    void load_user(World& world, std::string_view user_id) {
        if (!select_number_.bind(user_id).step()) return;
        const std::int64_t number = select_number_.integer(0);
        select_number_.reset();
        const auto [user, added] = world.users.try_emplace(std::string(user_id));
        if (!added) return;
        select_held_.bind(number, static_cast<std::int64_t>(limits::erased_codes));
        while (select_held_.step()) user->second.push_back(&add_code(world, select_held_));
    }

    void load_memory(World& world, std::string_view key) {
        if (!select_memory_.bind(key).step()) return;
        Remembered& remembered = world.remembered[std::string(key)];
        remembered.decided_at = {select_memory_.integer(0)};
        select_memory_.text(1).copy(remembered.fingerprint.data(), remembered.fingerprint.size());
        remembered.request_id = select_memory_.text(2);
        remembered.outcome = select_memory_.text(3);
        select_memory_.reset();
    }

    void load_generators(World& world, BookId book_id) {
        select_generators_.bind(book_id);
        while (select_generators_.step()) {
            const Generator generator = read_generator(select_generators_, 1);
            world.generators.try_emplace({book_id, select_generators_.text(0)},
                                         World::GeneratorRow{generator, generator});
        }
    }

    void load_job(World& world, JobId id) {
        if (!select_job_.bind(id).step()) return;
        Job job = read_job(select_job_);
        select_job_.reset();
        const std::int64_t version = job.version;
        world.jobs.try_emplace(id, World::JobRow{std::move(job), version});
    }

    void load_pool(World& world, PoolScope scope, std::size_t count, Timestamp at) {
        Pool& pool = world.pools[scope];
        if (scope) {
            load_free(world, pool.codes, *scope, count);
            pool.complete = pool.codes.size() < count;
            return;
        }
        load_any_free(world, pool, count, at);
    }

    /// Free codes of every book, each with the same chance: books are drawn by how many they have.
    void load_any_free(World& world, Pool& pool, std::size_t count, Timestamp at) {
        std::vector<FreeCodes> books;
        while (select_available_.step()) {
            const FreeCodes free{select_available_.integer(0), select_available_.integer(1)};
            if (select_available_.integer(2) != 0) {
                load_book(world, free.book_id);
                const Book* const book = world.find_book(free.book_id);
                if (book == nullptr || !gives_codes(*book, at)) continue;
            }
            books.push_back(free);
        }
        const PoolDraw draw(books, count);
        std::vector<std::vector<CodeRow*>> drawn(books.size());
        for (std::size_t i = 0; i < books.size(); ++i) {
            load_free(world, drawn[i], books[i].book_id, draw.wanted(i));
        }
        draw.fill(pool, drawn);
    }

    /// Up to `count` free codes of a book from a random point of their order on, around its end.
    void load_free(World& world, std::vector<CodeRow*>& out, BookId book_id, std::size_t count) {
        load_book(world, book_id);
        const std::int64_t from = random_shuffle_key();
        for (Statement* const select : {&select_free_from_, &select_free_before_}) {
            if (count == 0) return;
            select->bind(book_id, from, static_cast<std::int64_t>(count));
            while (select->step()) {
                CodeRow* const known = world.find(select->text(2));
                out.push_back(known != nullptr ? known : &add_code(world, *select));
                --count;
            }
        }
    }

    /// Whether every row was still as it was loaded.
    bool save_rows(const Delta& delta) {
        users_.clear();
        for (const auto& [user_id, erased_id] : delta.erasures) {
            erase_user_.bind(erased_id, user_id).run();
            if (connection_.changes() != 1) return false;
        }
        for (const Book* book : delta.new_books) {
            insert_book_
                .bind(book->id, book->name, book->code_pattern, book->max_redemptions_per_user,
                      short_form(book->discount), book->created_at, book->updated_at,
                      book->last_entry, row_text(*book))
                .run();
            insert_counts_.bind(book->id).run();
        }
        for (const auto& [book, loaded_entry] : delta.changed_books) {
            update_book_
                .bind(book->name, book->code_pattern, book->max_redemptions_per_user,
                      short_form(book->discount), book->updated_at, book->last_entry,
                      row_text(*book), book->id, loaded_entry)
                .run();
            if (connection_.changes() != 1) return false;
        }
        for (const Delta::GeneratorChange& change : delta.generators) {
            if (!save_generator(change)) return false;
        }
        for (const World::JobRow* const row : delta.jobs) {
            if (!save_job(*row)) return false;
        }
        save_files(delta);
        save_new_codes(delta.new_codes);
        for (const CodeRow* row : delta.changed_codes) {
            if (!save_changed_code(*row)) return false;
        }
        for (const CodeId code_id : delta.first_locks) {
            note_first_lock_.bind(delta.at, code_id).run();
            if (connection_.changes() != 1) return false;
        }
        if (!save_usages(delta)) return false;
        for (const CodeRow* row : delta.counted_locks) save_counted_lock(*row);
        for (const auto& [book_id, counts] : delta.counts) {
            update_counts_
                .bind(counts.total, counts.available, counts.redeemed, counts.ever_locked,
                      counts.kept_back, counts.rolled_back, counts.discount_cents, book_id)
                .run();
        }
        save_statistics(delta);
        save_locks(delta);
        for (const LedgerEntry& entry : delta.entries) save_entry(entry);
        return save_memories(delta);
    }

    /// Whether it was still as it was loaded. Where there was none, an insertion meets one that has
    /// come.
    bool save_generator(const Delta::GeneratorChange& change) {
        const auto& [book_id, code_pattern, loaded, now] = change;
        if (!loaded) {
            insert_generator_.bind(book_id, code_pattern, key_of(now), now.next, now.drafts).run();
            return true;
        }
        update_generator_
            .bind(key_of(now), now.next, now.drafts, book_id, code_pattern, key_of(*loaded),
                  loaded->next, loaded->drafts)
            .run();
        return connection_.changes() == 1;
    }

    static Blob key_of(const Generator& generator) {
        return {{reinterpret_cast<const char*>(generator.key.data()), generator.key.size()}};
    }

    /// The same. What was asked for stays.
    bool save_job(const World::JobRow& row) {
        const Job& job = row.job;
        const auto details = details_text(job);
        const std::int64_t adds_alone = static_cast<std::int64_t>(job.adds_alone());
        const auto status = static_cast<std::int64_t>(job.status);
        const auto or_null = [](const std::string& text) {
            return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
        };
        if (row.is_new) {
            const std::string settings = row_text(job.settings);
            insert_job_
                .bind(job.id, job.book_id, status, job.code_pattern, or_null(settings),
                      job.requested, job.created, job.guess_probability, job.created_at,
                      job.started_at, job.finished_at, or_null(job.error), job.request_id,
                      or_null(job.worker), job.claimed_until, job.version, job.round.first,
                      job.round.end, job.done, details, adds_alone)
                .run();
            return true;
        }
        update_job_
            .bind(status, job.requested, job.created, job.started_at, job.finished_at,
                  or_null(job.error), or_null(job.worker), job.claimed_until, job.version,
                  job.round.first, job.round.end, job.done, details, adds_alone, job.id,
                  row.loaded_version)
            .run();
        return connection_.changes() == 1;
    }

    void save_files(const Delta& delta) {
        for (const auto& [job_id, number, bytes] : delta.file_parts) {
            insert_part_.bind(job_id, number, Blob{bytes}).run();
        }
        for (const auto& [job_id, row] : delta.rejections) {
            insert_rejection_.bind(job_id, row.line, row.reason, row.text).run();
        }
        for (const JobId job_id : delta.parts_to_remove) {
            delete_parts_.bind(job_id, limits::parts_removed).run();
        }
    }

    bool save_usages(const Delta& delta) {
        for (const auto& [key, loaded, version, now] : delta.usages) {
            const std::int64_t user = key->user_id.empty() ? 0 : number_of(key->user_id);
            upsert_usage_
                .bind(key->book_id, user, key->code_id, static_cast<std::int64_t>(key->per),
                      now.since, now.redeemed, now.amount, code_of(now.currency), now.locked,
                      now.locked_amount, loaded ? std::optional(loaded->since) : std::nullopt,
                      loaded ? std::optional(loaded->redeemed) : std::nullopt,
                      loaded ? std::optional(loaded->amount) : std::nullopt)
                .run();
            if (connection_.changes() != 1) return false;
        }
        for (const auto& [place, standing] : delta.standing) {
            const auto& [book_id, since] = place;
            upsert_standing_.bind(book_id, since, standing.redemptions).run();
            for (const auto& [currency, amount] : standing.discounts) {
                upsert_standing_discount_.bind(book_id, since, currency.code(), amount).run();
            }
        }
        return true;
    }

    void save_counted_lock(const CodeRow& row) {
        if (!row.counted_lock) return delete_counted_lock_.bind(row.code.id).run();
        const auto& [user_id, until, worth] = *row.counted_lock;
        upsert_counted_lock_
            .bind(row.code.id, row.code.book_id, number_of(user_id), until,
                  worth ? std::optional(worth->amount) : std::nullopt,
                  code_of(worth ? worth->currency : std::nullopt))
            .run();
    }

    void save_statistics(const Delta& delta) {
        const Timestamp since = activity_period(delta.at);
        for (const auto& [book_id, activity] : delta.activity) {
            upsert_activity_
                .bind(book_id, since, activity.uploaded, activity.assigned, activity.locked,
                      activity.redeemed, activity.discount_cents, activity.rolled_back,
                      activity.generated)
                .run();
            for (const auto& [currency, amount] : activity.discounts) {
                for (const Timestamp in : {since, all_times}) {
                    upsert_discount_.bind(book_id, in, currency.code(), amount).run();
                }
            }
        }
        for (const auto& [refused, times] : delta.refusals) {
            upsert_refusals_.bind(refused.first, since, to_string(refused.second), times).run();
        }
    }

    /// Whether the keys were new, or those of answers that need not be kept any more.
    bool save_memories(const Delta& delta) {
        const Timestamp kept_from = delta.at + -limits::idempotency_ms;
        for (const auto& [key, remembered] : delta.memories) {
            upsert_memory_
                .bind(key, remembered.decided_at, Blob{remembered.fingerprint},
                      remembered.request_id, remembered.outcome, kept_from)
                .run();
            if (connection_.changes() != 1) return false;
        }
        memories_to_sweep_ += 2 * delta.memories.size() + 1;
        if (delta.at < swept_at_ + sweep_every_ms && swept_at_ <= delta.at) return true;
        swept_at_ = delta.at;
        delete_memories_
            .bind(kept_from, static_cast<std::int64_t>(std::exchange(memories_to_sweep_, 0)))
            .run();
        return true;
    }

    /// The number of a user, who gets one if they have none.
    std::int64_t number_of(const std::string& user_id) {
        const auto [number, unknown] = users_.try_emplace(user_id);
        if (!unknown) return number->second;
        if (select_number_.bind(user_id).step()) {
            number->second = select_number_.integer(0);
            select_number_.reset();
        } else {
            insert_number_.bind(user_id).run();
            number->second = sqlite3_last_insert_rowid(connection_.raw());
        }
        return number->second;
    }

    std::optional<std::int64_t> number_of(const std::optional<std::string>& user_id) {
        return user_id ? std::optional(number_of(*user_id)) : std::nullopt;
    }

    void save_entry(const LedgerEntry& entry) {
        const auto or_null = [](std::int64_t value) {
            return value == 0 ? std::nullopt : std::optional(value);
        };
        const auto holder = holders_.find(entry.code_id);
        const bool known = holder != holders_.end() && holder->second.user_id == entry.user_id;
        const auto user = known ? std::optional(holder->second.number) : number_of(entry.user_id);
        insert_entry_
            .bind(entry.id, entry.at, static_cast<std::int64_t>(entry.type), entry.book_id,
                  or_null(entry.code_id), or_null(entry.codes), user, entry.previous,
                  entry.locked_until,
                  entry.discount ? std::optional(entry.discount->amount) : std::nullopt,
                  entry.request_id,
                  entry.codes_digest ? std::optional(Blob{*entry.codes_digest}) : std::nullopt,
                  entry.detail.empty() ? std::nullopt : std::optional(entry.detail),
                  code_of(entry.currency()), entry.order ? entry.order->id : std::nullopt,
                  entry.order ? std::optional(entry.order->amount) : std::nullopt,
                  entry.redemption_id, entry.use_of)
            .run();
    }

    static std::optional<std::string_view> code_of(const std::optional<Currency>& currency) {
        return currency ? std::optional(currency->code()) : std::nullopt;
    }

    /// Many in one statement where they are nobody's: what it takes to begin and to end a statement
    /// is as much as what a row takes.
    void save_new_codes(std::span<CodeRow* const> rows) {
        const auto is_nobodys = [](const CodeRow* row) {
            const Code& code = row->code;
            return !code.assigned_to && !code.lock && !code.redeemed_at && !code.use_of;
        };
        while (!rows.empty()) {
            const auto next = rows.first(std::min(rows.size(), codes_at_once));
            if (next.size() == codes_at_once && std::ranges::all_of(next, is_nobodys)) {
                save_nobodys(next);
            } else {
                for (const CodeRow* const row : next) save_new_code(*row);
            }
            rows = rows.subspan(next.size());
        }
    }

    void save_nobodys(std::span<CodeRow* const> rows) {
        std::array<std::optional<std::string>, codes_at_once> settings;
        for (std::size_t i = 0; i < codes_at_once; ++i) {
            const CodeRow& row = *rows[i];
            const Code& code = row.code;
            settings[i] = settings_of(code);
            insert_codes_.bind_from(i * nobodys_columns, code.id, code.book_id, shuffle_key_of(row),
                                    code.created_at, code.last_entry, std::string_view(code.code),
                                    settings[i], folded_of(row));
        }
        insert_codes_.run();
    }

    void save_new_code(const CodeRow& row) {
        const Code& code = row.code;
        const LockColumns lock(code);
        insert_code_
            .bind(code.id, code.book_id, shuffle_key_of(row), code.created_at, lock.until,
                  code.redeemed_at, code.last_entry, number_of(code.assigned_to), stored_text(code),
                  settings_of(code), code.use_of, lock.key, folded_of(row))
            .run();
    }

    static std::optional<std::string_view> folded_of(const CodeRow& row) {
        return row.folded.empty() ? std::nullopt : std::optional<std::string_view>(row.folded);
    }

    struct LockColumns {
        explicit LockColumns(const Code& code) {
            if (!code.lock) return;
            until = code.lock->until;
            if (!code.lock->key.empty()) key = code.lock->key;
        }
        std::optional<Timestamp> until;
        std::optional<std::string_view> key;
    };

    static std::optional<std::string> settings_of(const Code& code) {
        std::string text = code.use_of ? "" : row_text(code);
        return text.empty() ? std::nullopt : std::optional(std::move(text));
    }

    bool save_changed_code(const CodeRow& row) {
        const Code& code = row.code;
        if (row.rewritten) {
            const LockColumns lock(code);
            rewrite_code_
                .bind(number_of(code.assigned_to), lock.until, lock.key, code.redeemed_at,
                      code.last_entry, settings_of(code), static_cast<std::int64_t>(code.kept_back),
                      code.id, row.loaded_entry)
                .run();
            return connection_.changes() == 1;
        }
        if (row.assigned) {
            assign_code_
                .bind(number_of(code.assigned_to), code.last_entry, code.id, row.loaded_entry)
                .run();
            if (connection_.changes() != 1) return false;
            if (!code.lock && !code.redeemed_at) return true;
        }
        const LockColumns lock(code);
        update_code_
            .bind(lock.until, lock.key, code.redeemed_at, code.last_entry, code.id,
                  row.assigned ? code.last_entry : row.loaded_entry)
            .run();
        return connection_.changes() == 1;
    }

    void save_locks(const Delta& delta) {
        BookId swept = 0;
        for (const auto& [lock, codes] : delta.locks) {
            const auto& [book_id, until] = lock;
            if (codes > 0) {
                upsert_locks_.bind(book_id, until, codes).run();
            } else {
                update_locks_.bind(codes, book_id, until).run();
            }
            if (book_id != swept)
                delete_dead_locks_.bind(book_id, delta.at + -dead_locks_kept_ms).run();
            swept = book_id;
        }
    }

    static constexpr const char* max_book_id = "SELECT coalesce(max(id), 0) FROM coupon_book";
    static constexpr const char* max_code_id =
        "SELECT coalesce(max(id), 0) FROM coupon_code WHERE id < " COUPOND_USES_FROM;
    static constexpr const char* max_job_id = "SELECT coalesce(max(id), 0) FROM job";

    const std::shared_ptr<LogSync> log_sync_;
    Connection connection_;
    Checkpointer checkpointer_;
    Health health_{log::side_changes};
    Health checkpoint_health_{side_checkpoints};
    int log_pages_ = 0;  ///< in the write-ahead log after the last commit
    Timestamp swept_at_;
    std::size_t memories_to_sweep_ = 0;  ///< more than have come since then
    struct Holder {
        std::int64_t number = 0;
        std::string user_id;
    };
    Timestamp at_;                                         ///< Needs::at of the load of the moment
    bool counts_locks_ = false;                            ///< the same
    std::unordered_map<CodeId, Holder> holders_;           ///< of what was loaded
    std::unordered_map<std::string, std::int64_t> users_;  ///< the numbers that a save has met

    Statement begin_read_{connection_, "BEGIN"};
    Statement begin_write_{connection_, "BEGIN IMMEDIATE"};
    Statement commit_{connection_, "COMMIT"};
    Statement select_book_{connection_,
                           "SELECT " COUPOND_BOOK_COLUMNS " FROM coupon_book AS book WHERE id = ?"};
    Statement select_two_books_{connection_, "SELECT id FROM coupon_book LIMIT 2"};
    Statement select_generators_{connection_,
                                 "SELECT code_pattern, " COUPOND_GENERATOR_COLUMNS
                                 " FROM code_generator AS generator WHERE book_id = ?"};
    Statement select_job_{connection_, "SELECT " COUPOND_JOB_COLUMNS " FROM job WHERE id = ?"};
    Statement select_being_made_{
        connection_,
        "SELECT code_pattern, requested - created FROM job INDEXED BY job_unfinished "
        "WHERE book_id = ? AND status < 2 AND details IS NULL"};
    Statement select_unfinished_{
        connection_, "SELECT count(*) FROM (SELECT 1 FROM job WHERE status < 2 LIMIT ?)"};
    Statement select_adds_alone_{connection_, "SELECT id FROM job WHERE adds_alone = 1 LIMIT 1"};
    Statement select_code_{
        connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES " WHERE code.code = ?"};
    Statement select_code_by_id_{
        connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES " WHERE code.id = ?"};
    Statement select_holding_{connection_,
                              "SELECT count(*), min(code.id) FROM coupon_code AS code "
                              "JOIN coupon_user AS holder ON holder.number = code.assigned_to "
                              "WHERE holder.user_id = ? AND code.book_id = ? "
                              "AND code.use_of IS NULL"};
    Statement select_unredeemed_use_{
        connection_,
        // Beside a max() SQLite's other columns are of its row; to sort would cost more than the
        // rest.
        "SELECT " COUPOND_CODE_COLUMNS
        ", max(+code.locked_until) FROM coupon_user AS holder "  // not by its index
        "JOIN coupon_code AS code ON code.assigned_to = holder.number "
        "AND code.use_of = ?1 AND code.redeemed_at IS NULL "
        "WHERE holder.user_id = ?2"};
    Statement select_locked_uses_{connection_,
                                  "SELECT count(*) FROM coupon_code WHERE use_of = ? "
                                  "AND redeemed_at IS NULL AND locked_until > ?"};
    Statement select_uses_of_code_{connection_, COUPOND_USES_OF_CODE};
    Statement select_spelled_{connection_, COUPOND_SPELLED};
    Statement select_any_folded_{connection_,
                                 "SELECT 1 FROM coupon_code WHERE folded IS NOT NULL LIMIT 1"};
    Statement select_exists_{connection_, "SELECT 1 FROM coupon_code WHERE code = ?"};
    Statement select_usage_of_user_{connection_, COUPOND_USAGE_OF_USER};
    Statement select_usage_of_book_{connection_, COUPOND_USAGE_OF_BOOK};
    Statement select_locks_of_user_{connection_, COUPOND_LOCKS_OF_USER};
    Statement select_locks_of_book_{connection_, COUPOND_LOCKS_OF_BOOK};
    Statement select_counted_lock_{connection_,
                                   "SELECT who.user_id, locked_until, amount, currency "
                                   "FROM counted_lock JOIN coupon_user AS who "
                                   "ON who.number = user_number WHERE code_id = ?"};
    Statement select_order_{connection_, "SELECT " COUPOND_REDEMPTION_COLUMNS
                                         " FROM ledger AS entry" COUPOND_REDEMPTION_JOINS
                                         "WHERE entry.order_id = ? AND "
                                         "coalesce(entry.use_of, entry.code_id) = ?"};
    Statement select_redemption_{connection_, "SELECT " COUPOND_REDEMPTION_COLUMNS
                                              " FROM ledger AS entry" COUPOND_REDEMPTION_JOINS
                                              "WHERE entry.id = ? AND entry.type = 5"};
    Statement select_max_entry_{connection_, "SELECT coalesce(max(id), 0) FROM ledger"};
    Statement select_available_{
        connection_,
        "SELECT book_id, available - kept_back, settings <> '' FROM book_count "
        "JOIN coupon_book AS book ON book.id = book_id "
        "WHERE available > kept_back"};
    Statement select_free_from_{connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                                             " WHERE code.assigned_to IS NULL AND "
                                             "book_id = ? AND shuffle_key >= ? "
                                             "ORDER BY shuffle_key LIMIT ?"};
    Statement select_free_before_{connection_,
                                  "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                                  " WHERE code.assigned_to IS NULL AND "
                                  "book_id = ? AND shuffle_key >= 0 AND shuffle_key < ? "
                                  "ORDER BY shuffle_key LIMIT ?"};
    Statement insert_book_{connection_,
                           "INSERT INTO coupon_book (id, name, code_pattern, "
                           "max_redemptions_per_user, discount_cents, created_at, updated_at, "
                           "last_entry_id, settings) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    Statement update_book_{connection_,
                           "UPDATE coupon_book SET name = ?, code_pattern = ?, "
                           "max_redemptions_per_user = ?, discount_cents = ?, updated_at = ?, "
                           "last_entry_id = ?, settings = ? WHERE id = ? AND last_entry_id = ?"};
    Statement insert_generator_{connection_,
                                "INSERT INTO code_generator (book_id, code_pattern, code_key, "
                                "next, drafts) VALUES (?, ?, ?, ?, ?)"};
    Statement update_generator_{
        connection_,
        "UPDATE code_generator SET code_key = ?, next = ?, drafts = ? WHERE book_id = ? "
        "AND code_pattern = ? AND code_key = ? AND next = ? AND drafts = ?"};
    Statement insert_job_{
        connection_,
        "INSERT INTO job (id, book_id, status, code_pattern, settings, requested, created, "
        "guess_probability, created_at, started_at, finished_at, error, request_id, worker, "
        "claimed_until, version, round_first, round_end, round_done, details, adds_alone) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    Statement update_job_{
        connection_,
        "UPDATE job SET status = ?, requested = ?, created = ?, started_at = ?, finished_at = ?, "
        "error = ?, "
        "worker = ?, claimed_until = ?, version = ?, round_first = ?, round_end = ?, "
        "round_done = ?, details = ?, adds_alone = ? WHERE id = ? AND version = ?"};
    Statement insert_part_{connection_,
                           "INSERT INTO file_part (job_id, number, bytes) VALUES (?, ?, ?)"};
    Statement insert_rejection_{connection_,
                                "INSERT OR IGNORE INTO rejected_row (job_id, line, reason, text) "
                                "VALUES (?, ?, ?, ?)"};
    Statement delete_parts_{connection_,
                            "DELETE FROM file_part WHERE rowid IN (SELECT rowid FROM file_part "
                            "WHERE job_id = ? ORDER BY number DESC LIMIT ?)"};
    Statement insert_code_{
        connection_,
        "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, locked_until, "
        "redeemed_at, last_entry_id, assigned_to, code, settings, use_of, lock_key, "
        "folded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    // Of codes that are nobody's: the other columns are NULL. OR ROLLBACK because what is saved is
    // taken back as a whole anyway: else SQLite would keep what it takes to undo this statement.
    static constexpr std::size_t codes_at_once = 32;
    static constexpr std::size_t nobodys_columns = 8;
    static std::string insert_codes_sql() {
        std::string sql =
            "INSERT OR ROLLBACK INTO coupon_code (id, book_id, shuffle_key, created_at, "
            "last_entry_id, code, settings, folded) VALUES ";
        for (std::size_t i = 0; i < codes_at_once; ++i) {
            sql += i == 0 ? "(?, ?, ?, ?, ?, ?, ?, ?)" : ", (?, ?, ?, ?, ?, ?, ?, ?)";
        }
        return sql;
    }
    Statement insert_codes_{connection_, insert_codes_sql()};
    // With the key below 0 of those that are not to be given away, where nobody looks for them.
    Statement rewrite_code_{
        connection_,
        "UPDATE coupon_code SET assigned_to = ?, locked_until = ?, lock_key = ?, redeemed_at = ?, "
        "last_entry_id = ?, settings = ?, shuffle_key = CASE WHEN (shuffle_key < 0) = ? "
        "THEN shuffle_key ELSE -1 - shuffle_key END WHERE id = ? AND last_entry_id = ?"};
    // Apart, because only an assignment concerns the index of free codes.
    Statement assign_code_{connection_,
                           "UPDATE coupon_code SET assigned_to = ?, last_entry_id = ? "
                           "WHERE id = ? AND last_entry_id = ?"};
    Statement update_code_{
        connection_,
        "UPDATE coupon_code SET locked_until = ?, lock_key = ?, redeemed_at = ?, "
        "last_entry_id = ? WHERE id = ? AND last_entry_id = ?"};
    Statement upsert_usage_{
        connection_,
        "INSERT INTO usage_count AS old VALUES (?, ?, ?, ?, ?5, ?6, ?7, ?8, ?9, ?10) "
        "ON CONFLICT DO UPDATE SET since = ?5, redeemed = ?6, amount = ?7, "
        "currency = ?8, locked = ?9, locked_amount = ?10 WHERE old.since = ?11 "
        "AND old.redeemed = ?12 AND old.amount = ?13"};
    Statement upsert_counted_lock_{connection_,
                                   "INSERT INTO counted_lock VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
                                   "ON CONFLICT DO UPDATE SET book_id = ?2, user_number = ?3, "
                                   "locked_until = ?4, amount = ?5, currency = ?6"};
    Statement delete_counted_lock_{connection_, "DELETE FROM counted_lock WHERE code_id = ?"};
    Statement upsert_standing_{
        connection_,
        "INSERT INTO activity_count AS old VALUES (?, ?, 0, 0, 0, 0, 0, 0, ?, 0) "
        "ON CONFLICT DO UPDATE SET standing = old.standing + excluded.standing"};
    Statement upsert_standing_discount_{
        connection_,
        "INSERT INTO discount_count AS old VALUES (?, ?, ?, 0, ?) "
        "ON CONFLICT DO UPDATE SET standing = old.standing + excluded.standing"};
    Statement select_number_{connection_, "SELECT number FROM coupon_user WHERE user_id = ?"};
    Statement select_held_{connection_, "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES
                                        " WHERE code.assigned_to = ? AND code.redeemed_at IS NULL "
                                        "ORDER BY code.id DESC LIMIT ?"};
    Statement erase_user_{connection_, "UPDATE coupon_user SET user_id = ? WHERE user_id = ?"};
    Statement insert_number_{connection_, "INSERT INTO coupon_user (user_id) VALUES (?)"};
    Statement insert_entry_{connection_,
                            "INSERT INTO ledger (id, at, type, book_id, code_id, codes, "
                            "user_number, previous_id, locked_until, discount_cents, request_id, "
                            "codes_digest, detail, currency, order_id, order_amount, "
                            "redemption_id, use_of) "
                            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    Statement select_memory_{connection_,
                             "SELECT at, fingerprint, request_id, outcome FROM idempotency_key "
                             "WHERE key = ?"};
    Statement upsert_memory_{
        connection_,
        "INSERT INTO idempotency_key AS old (key, at, fingerprint, request_id, "
        "outcome) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
        "at = excluded.at, fingerprint = excluded.fingerprint, "
        "request_id = excluded.request_id, outcome = excluded.outcome "
        "WHERE old.at <= ?6"};
    Statement delete_memories_{connection_,
                               "DELETE FROM idempotency_key WHERE key IN "
                               "(SELECT key FROM idempotency_key WHERE at <= ? ORDER BY at "
                               "LIMIT ?)"};
    Statement insert_counts_{connection_, "INSERT INTO book_count VALUES (?, 0, 0, 0, 0, 0, 0, 0)"};
    Statement update_counts_{connection_,
                             "UPDATE book_count SET total = total + ?, available = available + ?, "
                             "redeemed = redeemed + ?, ever_locked = ever_locked + ?, "
                             "kept_back = kept_back + ?, rolled_back = rolled_back + ?, "
                             "discount_cents = discount_cents + ? WHERE book_id = ?"};
    Statement note_first_lock_{connection_,
                               "UPDATE coupon_code SET locked_until = ? WHERE id = ? "
                               "AND locked_until IS NULL AND redeemed_at IS NULL"};
    Statement upsert_activity_{
        connection_,
        "INSERT INTO activity_count AS old VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO "
        "UPDATE "
        "SET "
        "uploaded = old.uploaded + excluded.uploaded, assigned = old.assigned + excluded.assigned, "
        "locked = old.locked + excluded.locked, redeemed = old.redeemed + excluded.redeemed, "
        "discount_cents = old.discount_cents + excluded.discount_cents, "
        "rolled_back = old.rolled_back + excluded.rolled_back, "
        "generated = old.generated + excluded.generated"};
    Statement upsert_discount_{connection_,
                               "INSERT INTO discount_count AS old VALUES (?, ?, ?, ?, 0) "
                               "ON CONFLICT DO UPDATE SET amount = old.amount + excluded.amount"};
    Statement upsert_refusals_{
        connection_,
        "INSERT INTO refusal_count AS old VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "refused = old.refused + excluded.refused"};
    Statement upsert_locks_{connection_,
                            "INSERT INTO lock_count AS count (book_id, locked_until, codes) "
                            "VALUES (?, ?, ?3) ON CONFLICT DO UPDATE SET codes = count.codes + ?3"};
    Statement update_locks_{
        connection_,
        "UPDATE lock_count SET codes = codes + ? WHERE book_id = ? AND locked_until = ?"};
    Statement delete_dead_locks_{connection_,
                                 "DELETE FROM lock_count WHERE book_id = ?1 AND locked_until IN "
                                 "(SELECT locked_until FROM lock_count WHERE book_id = ?1 AND "
                                 "locked_until < ?2 ORDER BY locked_until LIMIT 100)"};
};

}  // namespace

std::unique_ptr<Store> make_store(const std::string& path, std::shared_ptr<LogSync> log_sync) {
    return std::make_unique<SqliteStore>(path, std::move(log_sync));
}

}  // namespace coupond::sqlite
