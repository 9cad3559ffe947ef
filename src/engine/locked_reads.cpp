#include <algorithm>
#include <numeric>

#include "base/check.hpp"
#include "engine/engine.hpp"

namespace coupond {
namespace {

/// Of the codes that could be locked when the database was read, which is the truth: one that
/// was nobody's then has been assigned and locked since. Those of uses are kept there.
Result<void> put_locks(Locks& locks, std::vector<Code>& codes) {
    std::vector<std::string_view> names;
    for (const Code& code : codes) names.push_back(code.code);
    auto found = locks.load(names);
    if (!found) return found.error();
    COUPOND_CHECK(found->size() == codes.size());
    for (std::size_t i = 0; i < codes.size(); ++i) {
        if (codes[i].use_of) continue;
        const bool may_be_locked = codes[i].assigned_to && !codes[i].redeemed_at;
        codes[i].lock = may_be_locked ? std::move((*found)[i]) : std::nullopt;
    }
    return {};
}

/// Whether `query` is about locks, so that a store cannot tell.
bool is_by_lock(const CodeQuery& query) {
    using enum CodeQuery::Filter;
    return query.filter == assigned || query.filter == locked;
}

/// What a store is asked for instead.
CodeQuery of_store(CodeQuery query) {
    if (is_by_lock(query)) query.filter = CodeQuery::Filter::held;
    return query;
}

/// Gives codes of of_store(query) their locks, and leaves those that match.
Result<void> sift(Locks& locks, const CodeQuery& query, Timestamp now, std::vector<Code>& codes) {
    Result<void> filled = put_locks(locks, codes);
    if (filled && is_by_lock(query)) {
        std::erase_if(codes, [&](const Code& code) {
            return code.is_locked(now) != (query.filter == CodeQuery::Filter::locked);
        });
    }
    return filled;
}

class LockedReadStore final : public ReadStore {
public:
    LockedReadStore(std::unique_ptr<ReadStore> store, std::unique_ptr<Locks> locks)
        : store_(std::move(store)), locks_(std::move(locks)) {}

    Result<BookPage> list_books(const BookQuery& query, Timestamp now) override {
        Result<BookPage> page = store_->list_books(query, now);
        if (!page) return page;
        if (query.with_codes && !page->too_many_codes) {
            for (BookListing& listing : page->books) {
                const Result<void> filled = put_locks(*locks_, listing.codes);
                if (!filled) return filled.error();
                const auto locked =
                    std::count_if(listing.codes.begin(), listing.codes.end(),
                                  [now](const Code& code) { return code.is_locked(now); });
                set_locked(listing.counts, locked);
            }
            return page;
        }
        const Result<void> counted = count_locked(*page, now);
        if (!counted) return counted.error();
        return page;
    }

    Result<EntryPage> list_entries(const EntryQuery& query) override {
        return store_->list_entries(query);
    }

    Result<EntryId> last_entry() override { return store_->last_entry(); }

    Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) override {
        Result<CodePage> page = store_->list_codes(of_store(query), now);
        if (!page) return page;
        const Result<void> sifted = sift(*locks_, query, now, page->codes);
        if (!sifted) return sifted.error();
        return page;
    }

    Result<std::optional<CodeHistory>> find_code(const std::string& code,
                                                 std::size_t limit) override {
        Result<std::optional<CodeHistory>> found = store_->find_code(code, limit);
        if (!found || !*found) return found;
        std::vector<Code> codes{std::move((*found)->code)};
        const Result<void> filled = put_locks(*locks_, codes);
        if (!filled) return filled.error();
        (*found)->code = std::move(codes.front());
        return found;
    }

    Result<Statistics> load_statistics(const StatisticsQuery& query, Timestamp now) override {
        Result<Statistics> statistics = store_->load_statistics(query, now);
        if (!statistics || !statistics->book_found) return statistics;
        Result<std::vector<BookId>> books =
            query.book_id ? std::vector<BookId>{*query.book_id} : store_->book_ids();
        if (!books) return books.error();
        const auto locked = locks_->count(*books, now);
        if (!locked) return locked.error();
        set_locked(statistics->counts,
                   std::accumulate(locked->begin(), locked->end(), std::int64_t{0}));
        return statistics;
    }

    Result<std::vector<BookId>> book_ids() override { return store_->book_ids(); }

    Result<UserPage> find_user(const UserQuery& query) override {
        Result<UserPage> page = store_->find_user(query);
        if (!page) return page;
        const Result<void> filled = put_locks(*locks_, page->codes);
        if (!filled) return filled.error();
        return page;
    }

    Result<std::vector<std::optional<CodeForUser>>> find_codes(
        std::span<const ValidateCode* const> asked, Timestamp now) override {
        return store_->find_codes(asked, now);
    }

    Result<std::optional<BookGenerator>> find_generator(BookId id) override {
        return store_->find_generator(id);
    }

    Result<std::optional<Job>> find_job(JobId id) override { return store_->find_job(id); }

    Result<JobPage> list_jobs(const JobQuery& query) override { return store_->list_jobs(query); }

    Result<std::optional<JobGenerator>> next_job(const std::string& worker, Timestamp now,
                                                 JobId after) override {
        return store_->next_job(worker, now, after);
    }

    Result<std::vector<BookId>> books_running_low() override { return store_->books_running_low(); }

    Result<std::vector<bool>> exist(std::span<const std::string> codes, bool folds) override {
        return store_->exist(codes, folds);
    }

    Result<std::vector<std::string>> read_file(JobId id, std::int64_t first,
                                               std::int64_t count) override {
        return store_->read_file(id, first, count);
    }

    Result<std::optional<JobId>> ended_file() override { return store_->ended_file(); }

    Result<std::vector<RejectedRow>> rejected_rows(JobId id, std::int64_t after,
                                                   std::size_t limit) override {
        return store_->rejected_rows(id, after, limit);
    }

    Result<void> ping() override {
        const Result<void> database = store_->ping();
        return database ? locks_->ping() : database;
    }

private:
    Result<void> count_locked(BookPage& page, Timestamp now) {
        std::vector<BookId> books;
        for (const BookListing& listing : page.books) books.push_back(listing.book.id);
        const auto locked = locks_->count(books, now);
        if (!locked) return locked.error();
        COUPOND_CHECK(locked->size() == books.size());
        for (std::size_t i = 0; i < books.size(); ++i) {
            set_locked(page.books[i].counts, (*locked)[i]);
        }
        return {};
    }

    /// The database is the truth: a code that has just been redeemed may still have a lock.
    static void set_locked(BookCounts& counts, std::int64_t locked) {
        const std::int64_t held = counts.total - counts.available - counts.redeemed;
        counts.locked = std::clamp(locked, std::int64_t{0}, held);
        counts.assigned = held - counts.locked;
    }

    std::unique_ptr<ReadStore> store_;
    std::unique_ptr<Locks> locks_;
};

class LockedCodeSnapshot final : public CodeSnapshot {
public:
    LockedCodeSnapshot(std::unique_ptr<CodeSnapshot> codes, std::unique_ptr<Locks> locks)
        : codes_(std::move(codes)), locks_(std::move(locks)) {}

    Result<bool> begin(const CodeQuery& query, Pass pass, Timestamp now) override {
        query_ = query;
        now_ = now;
        return codes_->begin(of_store(query), pass, now);
    }

    Result<std::vector<Code>> next() override {
        for (;;) {
            Result<std::vector<Code>> codes = codes_->next();
            if (!codes || codes->empty()) return codes;
            const Result<void> sifted = sift(*locks_, query_, now_, *codes);
            if (!sifted) return sifted.error();
            if (!codes->empty()) return codes;
        }
    }

private:
    const std::unique_ptr<CodeSnapshot> codes_;
    const std::unique_ptr<Locks> locks_;
    CodeQuery query_;
    Timestamp now_;
};

}  // namespace

std::unique_ptr<CodeSnapshot> with_locks(std::unique_ptr<CodeSnapshot> codes,
                                         std::unique_ptr<Locks> locks) {
    return std::make_unique<LockedCodeSnapshot>(std::move(codes), std::move(locks));
}

std::unique_ptr<ReadStore> with_locks(std::unique_ptr<ReadStore> store,
                                      std::unique_ptr<Locks> locks) {
    return std::make_unique<LockedReadStore>(std::move(store), std::move(locks));
}

}  // namespace coupond
