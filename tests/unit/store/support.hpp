// What the tests of the store share: deltas made by hand, and a look at what the store holds.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "store/sqlite/sqlite.hpp"
#include "support/second_connection.hpp"
#include "support/sqlite_store.hpp"

namespace coupond::test {

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

/// A Delta with the rows it points to.
class Draft {
public:
    Draft() { delta.at = noon; }
    Draft(Draft&&) = default;  // what the delta points to stays where it is

    Draft& book(Book book) {
        const BookId id = book.id;
        delta.new_books.push_back(&books_.emplace_back(std::move(book)));
        delta.counts[id];
        return *this;
    }
    /// A new code; it counts as free where it is.
    Draft& code(Code code) {
        Delta::Counts& counts = delta.counts[code.book_id];
        ++counts.total;
        if (!code.assigned_to) ++counts.available;
        if (code.redeemed_at) ++counts.redeemed;
        delta.new_codes.push_back(&rows_.emplace_back(CodeRow{std::move(code), true, false}));
        return *this;
    }
    /// `code` as it is to become; loaded at the version it has, and with its holder.
    Draft& change(Code code) {
        ++code.version;
        CodeRow& row = rows_.emplace_back(CodeRow{std::move(code)});
        row.changed = true;
        delta.changed_codes.push_back(&row);
        return *this;
    }
    /// The same, and it was free.
    Draft& assign(Code code, std::string user) {
        code.assigned_to = std::move(user);
        change(std::move(code));
        rows_.back().assigned = true;
        return *this;
    }
    Draft& redemptions(BookId book, std::string user, std::int64_t loaded, std::int64_t now) {
        const auto& key = keys_.emplace_back(book, std::move(user));
        delta.user_redemptions.push_back({&key, loaded, now});
        return *this;
    }

    Delta delta;

private:
    std::deque<Book> books_;
    std::deque<CodeRow> rows_;
    std::deque<World::UserKey> keys_;
};

/// What a store gives for one code.
inline std::optional<Code> load_code(Store& store, std::string_view text) {
    Needs needs;
    needs.codes.push_back({text, {}});
    Result<World> world = store.load(needs);
    CodeRow* const row = world ? world->find(text) : nullptr;
    return row == nullptr ? std::nullopt : std::optional(row->code);
}

/// All of a database, row by row, so that two moments can be compared.
inline std::vector<std::string> contents(const std::filesystem::path& file) {
    SecondConnection connection(file);
    std::vector<std::string> all;
    for (const std::string table :
         {"coupon_book", "coupon_code", "book_count", "lock_count", "user_redemption_count"}) {
        for (const std::string& row :
             connection.rows("SELECT * FROM " + table + " ORDER BY 1, 2")) {
            all.push_back(table + ": " + row);
        }
    }
    return all;
}

/// Whether SQLite finds a file sound and its counts are those of its rows.
inline void expect_sound(const std::filesystem::path& file) {
    SecondConnection connection(file);
    EXPECT_EQ(connection.text("PRAGMA integrity_check"), "ok");
    EXPECT_EQ(connection.rows("PRAGMA foreign_key_check"), std::vector<std::string>{});
    EXPECT_EQ(connection.rows("SELECT book_id, total, available, redeemed FROM book_count"),
              connection.rows("SELECT b.id, count(c.id), "
                              "count(c.id) - count(c.assigned_to), count(c.redeemed_at) "
                              "FROM coupon_book b LEFT JOIN coupon_code c ON c.book_id = b.id "
                              "GROUP BY b.id ORDER BY b.id"));
}

}  // namespace coupond::test
