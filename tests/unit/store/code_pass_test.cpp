// How SQLite comes by the codes of a book in the order of their texts, and when it stops.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <filesystem>

#include "store/sqlite/code_snapshot.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using sqlite::CodePass;
using Pass = CodeSnapshot::Pass;
using Way = CodePass::Way;

class CodePassTest : public testing::Test {
protected:
    /// Codes of a book, made if need be, in the order of their ids: `text` is SQL for what follows
    /// the prefix, by `i` from 0.
    void fill(BookId book_id, const std::string& prefix, int count, const std::string& text) {
        const std::string book = std::to_string(book_id);
        auto sql = tested_.connect();
        sql.run(
            "INSERT OR IGNORE INTO coupon_book (id, name, code_pattern, created_at, updated_at) "
            "VALUES (" +
            book +
            ", 'n', 'p', 0, 0);"
            "INSERT INTO book_count (book_id, total, available, redeemed, ever_locked, "
            "discount_cents) VALUES (" +
            book +
            ", 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING;"
            "UPDATE book_count SET total = total + " +
            std::to_string(count) + " WHERE book_id IN (0, " + book +
            ");"
            "INSERT INTO coupon_code (book_id, shuffle_key, created_at, last_entry_id, code) "
            "WITH RECURSIVE number (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM number "
            "WHERE i < " +
            std::to_string(count - 1) +
            ") "
            "SELECT " +
            book + ", i, 0, 1, '" + prefix + "' || " + text + " FROM number");
    }

    void in_order(BookId book_id, const std::string& prefix, int count) {
        fill(book_id, prefix, count, "printf('%08d', i)");
    }

    void in_no_order(BookId book_id, const std::string& prefix, int count) {
        fill(book_id, prefix, count, "printf('%010d', i * 2654435761 % 4294967296)");
    }

    /// As if other books had so many codes that those of all that are there are few.
    void count_many_others() {
        tested_.connect().run("UPDATE book_count SET total = 10000000 WHERE book_id = 0");
    }

    /// As an export's connection is, but with so many KiB of pages in memory.
    void connect(int cache_kib = 2'048) {
        pass_.reset();
        connection_.emplace(tested_.file(), sqlite::Connection::Mode::read_only);
        connection_->execute(("PRAGMA temp_store = FILE; PRAGMA cache_size = -" +
                              std::to_string(cache_kib) + "; BEGIN")
                                 .c_str());
    }

    CodePass& begin(CodeQuery query, Pass pass = Pass::by_code) {
        pass_.reset();
        query.limit = 1'000;
        return pass_.emplace(*connection_, query, pass, noon, [this] {
            ++asked_;
            return asked_ <= answers_;
        });
    }

    /// Reads all that is left and returns how many that were, in order.
    std::size_t rest() {
        std::vector<std::string> texts;
        for (std::vector<Code> codes; !(codes = pass_->next()).empty();) {
            for (const Code& code : codes) texts.push_back(code.code);
        }
        EXPECT_TRUE(std::ranges::is_sorted(texts));
        return texts.size();
    }

    std::string plan(Way way, Pass pass = Pass::by_code) {
        std::string lines;
        for (const std::string& row :
             tested_.connect().rows("EXPLAIN QUERY PLAN " + CodePass::sql(way, pass))) {
            lines += row.substr(row.rfind('|') + 1) + "\n";
        }
        return lines;
    }

    SqliteStore tested_;
    std::optional<sqlite::Connection> connection_;
    int asked_ = 0;
    int answers_ = 1'000'000;
    std::optional<CodePass> pass_;
};

constexpr const char* sorts = "USE TEMP B-TREE FOR ORDER BY";

TEST_F(CodePassTest, FollowsTheIndexOfCodesWithoutSorting) {
    const std::string lines = plan(Way::index_of_codes);
    EXPECT_TRUE(lines.starts_with("SEARCH code USING INDEX coupon_code_code (code>? AND code<?)\n"))
        << lines;
    EXPECT_EQ(lines.find(sorts), std::string::npos) << lines;
}

TEST_F(CodePassTest, SortsWhatItReadsAsItLies) {
    const std::pair<Way, std::string> ways[] = {
        {Way::table, "SEARCH code USING INTEGER PRIMARY KEY (rowid<?)\n"},
        {Way::index_of_book, "SEARCH code USING INDEX coupon_code_book (book_id=? AND rowid<?)\n"},
        {Way::index_of_holder, "SEARCH code USING INDEX coupon_code_holder (assigned_to=?)\n"}};
    for (const auto& [way, first] : ways) {
        const std::string lines = plan(way);
        EXPECT_TRUE(lines.starts_with(first)) << lines;
        EXPECT_NE(lines.find(sorts), std::string::npos) << lines;
        const std::string unsorted = plan(way, Pass::with_settings);
        EXPECT_TRUE(unsorted.starts_with(first)) << unsorted;
        EXPECT_EQ(unsorted.find(sorts), std::string::npos) << unsorted;
    }
}

TEST_F(CodePassTest, OfMostOfTheCodesFollowsTheirIndexAsLongAsItReadsLittle) {
    in_order(1, "A", 40'000);
    in_no_order(2, "B", 10'000);
    connect();
    begin({.book_id = 1});
    EXPECT_EQ(rest(), 40'000u);
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
    // Runs, each in order, that lie between each other: a page of each is in memory.
    for (int run = 0; run < 40; ++run) {
        fill(3, "C", 2'000, "printf('%06d-%02d', i, " + std::to_string(run) + ")");
    }
    connect();
    begin({.book_id = 3});
    EXPECT_EQ(rest(), 80'000u);
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
}

TEST_F(CodePassTest, GoesOnInTheIndexBehindCodesOfOthers) {
    in_order(1, "A", 60'000);
    in_order(2, "B", 40'000);
    in_no_order(3, "C", 30'000);
    in_order(2, "D", 30'000);
    in_order(1, "E", 60'000);
    connect();
    begin({.book_id = 2});
    EXPECT_EQ(rest(), 70'000u);
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
}

TEST_F(CodePassTest, OfCodesThatLieInNoOrderSortsThoseThatAreLeft) {
    in_no_order(1, "A", 60'000);
    in_no_order(2, "B", 5'000);
    connect(64);
    begin({.book_id = 1});
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
    ASSERT_EQ(pass_->next().size(), 1'000u);
    EXPECT_EQ(rest(), 59'000u);
    EXPECT_EQ(pass_->way(), Way::table);
}

TEST_F(CodePassTest, OfASmallPartReadsNoOther) {
    in_order(1, "A", 100);
    in_order(2, "B", 20'000);
    in_order(1, "C", 100);
    connect();
    begin({.book_id = 1});
    EXPECT_EQ(pass_->way(), Way::index_of_book);
    EXPECT_EQ(rest(), 200u);
    int pages = 0, most = 0;
    sqlite3_db_status(connection_->raw(), SQLITE_DBSTATUS_CACHE_MISS, &pages, &most, 0);
    EXPECT_LT(pages, 60);
}

TEST_F(CodePassTest, OfAPrefixFollowsTheIndexUnlessItIsThatOfOthers) {
    in_no_order(1, "A", 60'000);
    in_no_order(2, "B", 300);
    fill(3, "A", 300, "printf('%010d-x', i * 14000000)");
    connect(64);
    begin({.book_id = 1, .prefix = "A00000"});
    EXPECT_LT(rest(), 1'000u);
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
    begin({.book_id = 2, .prefix = "B"});
    EXPECT_EQ(rest(), 300u);
    EXPECT_EQ(pass_->way(), Way::index_of_codes);
    for (const Pass pass : {Pass::by_code, Pass::with_settings}) {
        begin({.book_id = 3, .prefix = "A"}, pass);
        EXPECT_EQ(rest(), pass == Pass::by_code ? 300u : 0u);
        EXPECT_EQ(pass_->way(), Way::index_of_book);
    }
}

TEST_F(CodePassTest, OfAUserReadsWhatTheyHold) {
    in_order(1, "A", 5'000);
    auto sql = tested_.connect();
    sql.run(
        "INSERT INTO coupon_user (number, user_id) VALUES (1, 'ann');"
        "UPDATE coupon_code SET assigned_to = 1 WHERE id % 1000 = 7");
    connect();
    begin({.book_id = 1, .user_id = "ann", .prefix = "A"});
    EXPECT_EQ(rest(), 5u);
    EXPECT_EQ(pass_->way(), Way::index_of_holder);
}

TEST_F(CodePassTest, WithSettingsReadsTheTableOrTheBook) {
    in_order(1, "A", 5'000);
    in_order(2, "B", 100);
    connect();
    EXPECT_EQ(begin({.book_id = 1}, Pass::with_settings).way(), Way::table);
    EXPECT_EQ(begin({.book_id = 2}, Pass::with_settings).way(), Way::index_of_book);
    EXPECT_EQ(begin({.book_id = 1, .prefix = "A"}, Pass::with_settings).way(), Way::index_of_codes);
    EXPECT_EQ(rest(), 0u);
    tested_.connect().run(
        "UPDATE coupon_code SET settings = 'max_redemptions 2' || char(10) "
        "WHERE code IN ('A00000007', 'A00004000', 'B00000001')");
    connect();
    for (const char* const prefix : {"", "A", "A0000"}) {
        begin({.book_id = 1, .prefix = prefix}, Pass::with_settings);
        EXPECT_EQ(rest(), 2u);
    }
}

/// Files of this process that have no name any more, and had one in `folder`.
int nameless(const std::filesystem::path& folder) {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string file = std::filesystem::read_symlink(entry.path(), gone).string();
        if (file.starts_with(folder.string()) && file.ends_with(" (deleted)")) ++count;
    }
    return count;
}

TEST_F(CodePassTest, SortsInFilesOfTheDataFolderThatAreGoneWithIt) {
    in_no_order(1, "A", 60'000);
    count_many_others();
    connect();
    begin({.book_id = 1});
    ASSERT_EQ(pass_->next().size(), 1'000u);
    EXPECT_GT(nameless(tested_.folder()), 0);
    for (const auto& entry : std::filesystem::directory_iterator(tested_.folder())) {
        EXPECT_TRUE(entry.path().filename().string().starts_with("coupond.")) << entry.path();
    }
    pass_.reset();
    EXPECT_EQ(nameless(tested_.folder()), 0);
}

TEST_F(CodePassTest, BreaksOffWhileItSorts) {
    in_no_order(1, "A", 60'000);
    in_order(3, "C", 100'000);
    count_many_others();
    connect();
    answers_ = 5;
    begin({.book_id = 1});
    try {
        pass_->next();
        FAIL() << "it went on to the end";
    } catch (const sqlite::Error& error) {
        EXPECT_EQ(error.code(), SQLITE_INTERRUPT);
    }
    EXPECT_EQ(asked_, 6);
    // And while it follows the index through what others have.
    asked_ = 0;
    connect();
    begin({.book_id = 1, .prefix = "C"});
    EXPECT_THROW(pass_->next(), sqlite::Error);
    EXPECT_EQ(asked_, 6);
}

}  // namespace
}  // namespace coupond::test
