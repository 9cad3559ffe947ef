// What the tests of the store share: deltas made by hand, and a look at what the store holds.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#ifdef COUPOND_TEST_ON_POSTGRES
#include "support/postgres_store.hpp"
#else
#include "support/sqlite_store.hpp"
#endif

namespace coupond::test {

/// The adapter that the tests of both are built for: store_test.cpp, pool_test.cpp, list_test.cpp,
/// ledger_test.cpp, changes_test.cpp, redemptions_test.cpp, generation_test.cpp, import_test.cpp,
/// code_snapshot_test.cpp, qr_images_test.cpp.
#ifdef COUPOND_TEST_ON_POSTGRES
using TestedStore = PostgresStore;
#else
using TestedStore = SqliteStore;
#endif

inline constexpr Timestamp noon{1'795'348'800'000};

inline Book make_book(BookId id, std::string name = "Summer") {
    Book book;
    book.id = id;
    book.name = std::move(name);
    book.code_pattern = "SUMMER-{6}";
    book.created_at = book.updated_at = noon;
    return book;
}

inline Code make_code(CodeId id, BookId book_id, std::string text) {
    Code code;
    code.id = id;
    code.book_id = book_id;
    code.code = std::move(text);
    code.created_at = noon;
    return code;
}

/// For ten codes.
inline Job make_job(JobId id, BookId book_id) {
    Job job;
    job.id = id;
    job.book_id = book_id;
    job.code_pattern = "SUMMER-{6}";
    job.requested = 10;
    job.created_at = noon;
    job.request_id = "draft";
    job.version = 1;
    return job;
}

/// A Delta with the rows it points to, and an entry for each change; with greater ids than those of
/// every Draft before it, unless they are given.
class Draft {
public:
    Draft() : Draft(far_entry()) {}
    explicit Draft(EntryId first_entry) : next_entry_(first_entry) { delta.at = noon; }
    Draft(Draft&&) = default;  // what the delta points to stays where it is

    Draft& book(Book book) {
        const BookId id = book.id;
        delta.new_books.push_back(&books_.emplace_back(std::move(book)));
        delta.counts[id];
        enter(LedgerEntry::Type::book_created, id);
        return *this;
    }
    /// A new code; it counts as free where it is.
    Draft& code(Code code) {
        for (const BookId book : {code.book_id, all_books}) {
            Delta::Counts& counts = delta.counts[book];
            ++counts.total;
            if (!code.assigned_to) ++counts.available;
            if (code.redeemed_at) ++counts.redeemed;
        }
        CodeRow& row = rows_.emplace_back(CodeRow{std::move(code)});
        row.is_new = true;
        delta.new_codes.push_back(&row);
        row.code.last_entry = enter_upload(row.code);
        if (row.code.assigned_to) enter(LedgerEntry::Type::code_assigned, row.code);
        enter_lock_and_redemption(row.code);
        return *this;
    }
    /// `code` as it is to become; loaded as of the entry it has, and with its holder.
    Draft& change(Code code) {
        enter_lock_and_redemption(add_changed(std::move(code)).code);
        return *this;
    }
    /// The same of all that can change of it, its settings among them.
    Draft& rewrite(Code code) {
        CodeRow& row = add_changed(std::move(code));
        row.rewritten = true;
        enter(LedgerEntry::Type::code_changed, row.code).detail = change_text({}, row.code);
        return *this;
    }
    /// The same of a book.
    Draft& change(Book book) {
        Book& changed = books_.emplace_back(std::move(book));
        LedgerEntry& entry = enter(LedgerEntry::Type::book_changed, changed.id);
        entry.detail = change_text(nullptr, changed);
        entry.previous = std::exchange(changed.last_entry, entry.id);
        delta.changed_books.push_back({&changed, *entry.previous});
        return *this;
    }
    /// The same, and it was free.
    Draft& assign(Code code, std::string user) {
        code.assigned_to = std::move(user);
        CodeRow& row = add_changed(std::move(code));
        row.assigned = true;
        enter(LedgerEntry::Type::code_assigned, row.code);
        enter_lock_and_redemption(row.code);
        return *this;
    }
    /// `loaded`: what it was before, if it was there. To be called by keys, as what follows.
    Draft& generator(BookId book_id, std::string_view code_pattern,
                     const std::optional<Generator>& loaded, const Generator& now) {
        delta.generators.push_back({book_id, code_pattern, loaded, now});
        return *this;
    }
    Draft& job(Job job) {
        delta.jobs.push_back(&jobs_.emplace_back(World::JobRow{std::move(job), 0, true}));
        return *this;
    }
    /// `job` as it is to become; loaded as of the version it has.
    Draft& change(Job job) {
        const std::int64_t loaded = job.version++;
        delta.jobs.push_back(&jobs_.emplace_back(World::JobRow{std::move(job), loaded}));
        return *this;
    }
    Draft& part(JobId job_id, std::int64_t number, std::string bytes) {
        delta.file_parts.push_back({job_id, number, parts_.emplace_back(std::move(bytes))});
        return *this;
    }
    Draft& reject(JobId job_id, RejectedRow row) {
        delta.rejections.push_back({job_id, std::move(row)});
        return *this;
    }
    Draft& remove_parts(JobId job_id) {
        delta.parts_to_remove.push_back(job_id);
        return *this;
    }
    /// `was`: as usages_of() tells it. To be called by keys.
    Draft& usage(UsageKey key, const Usage& now, const World::UsageRow& was = {}) {
        const UsageKey& kept = keys_.emplace_back(std::move(key));
        delta.usages.push_back({&kept, was.loaded, was.loaded_version, now});
        return *this;
    }

    Delta delta;

private:
    CodeRow& add_changed(Code code) {
        CodeRow& row = rows_.emplace_back(CodeRow{std::move(code)});
        row.loaded_entry = row.code.last_entry;
        row.changed = true;
        delta.changed_codes.push_back(&row);
        return row;
    }

    /// Together with the code before it, where that was uploaded only.
    EntryId enter_upload(const Code& code) {
        if (!delta.entries.empty()) {
            LedgerEntry& last = delta.entries.back();
            if (last.type == LedgerEntry::Type::codes_uploaded && last.book_id == code.book_id &&
                last.code_id + last.codes == code.id) {
                ++last.codes;
                return last.id;
            }
        }
        LedgerEntry& upload = enter(LedgerEntry::Type::codes_uploaded, code.book_id);
        upload.code_id = code.id;
        upload.codes = 1;
        return upload.id;
    }

    void enter_lock_and_redemption(Code& code) {
        if (code.lock) enter(LedgerEntry::Type::code_locked, code).locked_until = code.lock->until;
        if (code.redeemed_at) enter(LedgerEntry::Type::code_redeemed, code);
    }

    LedgerEntry& enter(LedgerEntry::Type type, Code& code) {
        LedgerEntry& entry = enter(type, code.book_id);
        entry.code_id = code.id;
        entry.user_id = code.assigned_to;
        entry.previous = std::exchange(code.last_entry, entry.id);
        return entry;
    }

    LedgerEntry& enter(LedgerEntry::Type type, BookId book_id) {
        LedgerEntry& entry = delta.entries.emplace_back();
        entry.id = next_entry_++;
        entry.at = delta.at;
        entry.type = type;
        entry.book_id = book_id;
        entry.request_id = "draft";
        return entry;
    }

    /// Of ids far from those that a store gives.
    static EntryId far_entry() {
        static EntryId drafts = 0;
        return ++drafts * 1'000'000'000'000;
    }

    EntryId next_entry_;
    std::deque<Book> books_;
    std::deque<CodeRow> rows_;
    std::deque<UsageKey> keys_;
    std::deque<World::JobRow> jobs_;
    std::deque<std::string> parts_;
};

/// What a store gives for some codes, which must be there.
inline std::vector<Code> load_codes(Store& store, const std::vector<std::string_view>& texts) {
    Needs needs;
    for (const std::string_view text : texts) needs.codes.push_back({text});
    Result<World> world = loaded(store, needs);
    std::vector<Code> codes;
    for (const std::string_view text : texts) codes.push_back(world.value().find(text)->code);
    return codes;
}

/// What a store gives for a book, if it is there, to whoever is going to change it.
inline std::optional<Book> load_book(Store& store, BookId id) {
    Needs needs;
    needs.books.push_back(id);
    needs.alone = true;
    Result<World> world = loaded(store, needs);
    Book* const book = world ? world->find_book(id) : nullptr;
    return book == nullptr ? std::nullopt : std::optional(*book);
}

/// What a store gives for one code, if it is there.
inline std::optional<Code> load_code(Store& store, std::string_view text) {
    Needs needs;
    needs.codes.push_back({text});
    Result<World> world = loaded(store, needs);
    CodeRow* const row = world ? world->find(text) : nullptr;
    return row == nullptr ? std::nullopt : std::optional(row->code);
}

/// What a store finds counted for a user who wants to redeem `code` at `at`.
inline std::map<UsageKey, World::UsageRow> usages_of(Store& store, std::string_view code,
                                                     std::string_view user, Timestamp at = noon) {
    Needs needs;
    needs.codes.push_back({code, user, true});
    needs.at = at;
    Result<World> world = loaded(store, needs);
    EXPECT_TRUE(world);
    return world ? std::move(world->usages) : std::map<UsageKey, World::UsageRow>();
}

/// All of a database, row by row, so that two moments can be compared.
template <class Connection>
std::vector<std::string> contents_behind(Connection&& connection) {
    std::vector<std::string> all;
    for (const std::string table :
         {"coupon_book", "coupon_code", "book_count", "lock_count", "usage_count", "counted_lock",
          "coupon_user", "ledger", "activity_count", "discount_count", "refusal_count",
          "ledger_moved", "code_generator", "job", "file_part", "rejected_row"}) {
        for (const std::string& row :
             connection.rows("SELECT * FROM " + table + " ORDER BY 1, 2")) {
            all.push_back(table + ": " + row);
        }
    }
    return all;
}

/// Whether a database's counts are those of its rows.
template <class Connection>
void expect_counted(Connection&& connection) {
    EXPECT_EQ(connection.rows("SELECT book_id, sum(total), sum(available), sum(redeemed) "
                              "FROM book_count WHERE book_id > 0 GROUP BY book_id "
                              "ORDER BY book_id"),
              connection.rows("SELECT book_id, count(id), count(id) - count(assigned_to), "
                              "count(redeemed_at) FROM coupon_code GROUP BY book_id "
                              "ORDER BY book_id"));
}

#ifndef COUPOND_TEST_ON_POSTGRES
inline std::vector<std::string> contents(const std::filesystem::path& file) {
    return contents_behind(SecondConnection(file));
}

/// Whether SQLite finds a file sound and its counts are those of its rows.
inline void expect_sound(const std::filesystem::path& file) {
    SecondConnection connection(file);
    EXPECT_EQ(connection.text("PRAGMA integrity_check"), "ok");
    EXPECT_EQ(connection.rows("PRAGMA foreign_key_check"), std::vector<std::string>{});
    EXPECT_EQ(connection.rows("SELECT book_id, total, available, redeemed FROM book_count "
                              "WHERE book_id > 0"),
              connection.rows("SELECT b.id, count(c.id), "
                              "count(c.id) - count(c.assigned_to), count(c.redeemed_at) "
                              "FROM coupon_book b LEFT JOIN coupon_code c ON c.book_id = b.id "
                              "GROUP BY b.id ORDER BY b.id"));
}
#endif

}  // namespace coupond::test
