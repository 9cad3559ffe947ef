// A database as version 1 of the schema left it, and what the next versions make of it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/run.hpp"

namespace coupond::test {

/// Two books with codes in every state, from several uploads, and one without. `slot`: what
/// book_count has between its first two columns.
inline std::string rows_of_version_1(const std::string& slot = {}) {
    return "INSERT INTO coupon_book (id, name, code_pattern, max_redemptions_per_user, "
           "discount_cents, created_at, updated_at) VALUES "
           "(1, 'a', 'p', 3, 2050, 1000, 1000), (2, 'b', 'p', NULL, NULL, 1000, 1000), "
           "(3, 'c', 'p', NULL, NULL, 5000, 5000); "
           "INSERT INTO coupon_code (id, book_id, version, shuffle_key, created_at, locked_until, "
           "redeemed_at, code, assigned_to, locked_by) VALUES "
           "(1, 1, 0, 71, 1000, NULL, NULL, 'A1', NULL, NULL), "
           "(2, 1, 1, 72, 1000, NULL, NULL, 'A2', 'zoe', NULL), "
           "(3, 2, 0, 73, 1000, NULL, NULL, 'B1', NULL, NULL), "
           "(4, 1, 2, 74, 1000, 9000, NULL, 'A3', 'ann', 'ann'), "
           "(5, 1, 3, 75, 2000, NULL, 3000, 'A4', 'ann', NULL), "
           "(6, 1, 3, 76, 2000, NULL, 1500, 'A5', 'bob', NULL), "  // by a clock set back
           "(7, 2, 3, 77, 2000, NULL, 4000, 'B2', 'zoe', NULL); "
           "INSERT INTO book_count VALUES (1, " +
           slot + "5, 1, 2), (2, " + slot + "2, 1, 1), (3, " + slot +
           "0, 0, 0); "
           "INSERT INTO lock_count VALUES (1, 9000, 1); "
           "INSERT INTO user_redemption_count VALUES (1, 'ann', 1), (1, 'bob', 1)";
}

/// That those rows are there as the latest version of the schema keeps them.
template <class Connection>
void expect_rows_of_version_1(Connection&& connection) {
    EXPECT_EQ(connection.rows("SELECT user_id FROM coupon_user ORDER BY number"),
              (std::vector<std::string>{"ann", "bob", "zoe"}));
    EXPECT_EQ(connection.rows("SELECT id, at, type, book_id, code_id, codes, user_id, previous_id, "
                              "locked_until, discount_cents, request_id FROM ledger "
                              "LEFT JOIN coupon_user ON number = user_number ORDER BY id"),
              (std::vector<std::string>{
                  "1|1000|1|1|||||||migration",
                  "2|1000|1|2|||||||migration",
                  "3|1000|2|1|1|2|||||migration",
                  "4|1000|2|2|3|1|||||migration",
                  "5|1000|2|1|4|1|||||migration",
                  "6|1000|3|1|2||zoe|3|||migration",
                  "7|1000|3|1|4||ann|5|||migration",
                  "8|1000|4|1|4||ann|7|9000||migration",
                  "9|2000|2|1|5|2|||||migration",
                  "10|2000|2|2|7|1|||||migration",
                  "11|2000|3|1|5||ann|9|||migration",
                  "12|2000|3|1|6||bob|9|||migration",
                  "13|2000|3|2|7||zoe|10|||migration",
                  "14|2000|5|1|6||bob|12||2050|migration",
                  "15|3000|5|1|5||ann|11||2050|migration",
                  "16|4000|5|2|7||zoe|13|||migration",
                  "17|5000|1|3|||||||migration",
              }));
    EXPECT_EQ(connection.rows("SELECT id, book_id, shuffle_key, created_at, locked_until, "
                              "redeemed_at, last_entry_id, user_id, code FROM coupon_code "
                              "LEFT JOIN coupon_user ON number = assigned_to ORDER BY id"),
              (std::vector<std::string>{
                  "1|1|71|1000|||3||A1",
                  "2|1|72|1000|||6|zoe|A2",
                  "3|2|73|1000|||4||B1",
                  "4|1|74|1000|9000||8|ann|A3",
                  "5|1|75|2000||3000|15|ann|A4",
                  "6|1|76|2000||1500|14|bob|A5",
                  "7|2|77|2000||4000|16|zoe|B2",
              }));
    EXPECT_EQ(connection.rows("SELECT id, last_entry_id, settings FROM coupon_book ORDER BY id"),
              (std::vector<std::string>{"1|1|counts_users_since 1000\n", "2|2|", "3|17|"}));
    EXPECT_EQ(connection.rows("SELECT book_id, detail FROM ledger WHERE type = 1 ORDER BY id"),
              (std::vector<std::string>{
                  "1|\nname a\ncode_pattern p\nmax_redemptions_per_user 3\ndiscount_cents 2050\n"
                  "created_at 1000\nupdated_at 1000\ncounts_users_since 1000\n",
                  "2|\nname b\ncode_pattern p\ncreated_at 1000\nupdated_at 1000\n",
                  "3|\nname c\ncode_pattern p\ncreated_at 5000\nupdated_at 5000\n"}));
    EXPECT_EQ(connection.integer("SELECT count(*) FROM ledger WHERE type > 1 AND detail IS NOT "
                                 "NULL"),
              0);
    EXPECT_EQ(connection.integer("SELECT count(*) FROM coupon_code WHERE settings IS NOT NULL"), 0);
    EXPECT_EQ(connection.integer("SELECT sum(kept_back) FROM book_count"), 0);
    EXPECT_EQ(connection.rows("SELECT book_id, user_id, redeemed FROM user_redemption_count "
                              "JOIN coupon_user ON number = user_number ORDER BY user_id"),
              (std::vector<std::string>{"1|ann|1", "1|bob|1"}));
    EXPECT_EQ(connection.rows("SELECT book_id, sum(total), sum(available), sum(redeemed), "
                              "sum(ever_locked), sum(discount_cents) FROM book_count "
                              "GROUP BY book_id ORDER BY book_id"),
              (std::vector<std::string>{"0|7|2|3|4|4100", "1|5|1|2|3|4100", "2|2|1|1|1|0",
                                        "3|0|0|0|0|0"}));
    EXPECT_EQ(connection.rows("SELECT book_id, since, uploaded, assigned, locked, redeemed, "
                              "discount_cents FROM activity_count ORDER BY book_id"),
              (std::vector<std::string>{"0|0|7|5|1|3|4100", "1|0|5|4|1|2|4100", "2|0|2|1|0|1|0"}));
    EXPECT_EQ(connection.rows("SELECT * FROM lock_count"), std::vector<std::string>{"1|9000|1"});
}

/// That a store goes on from them: the lock of A3 holds, and the code's entries lead back to what
/// was made up for it.
inline void expect_to_go_on(Store& store, ReadStore& reads) {
    const auto outcomes = run(store, RedeemCode{"A3", "ann"}, {8000});
    ASSERT_TRUE(outcomes);
    ASSERT_TRUE(std::holds_alternative<CodeRedeemed>(outcomes->front()));
    ASSERT_TRUE(run(store, AssignCode{"B1", "bob"}, {8000}));
    Needs needs;
    needs.codes = {{"A1", "ann"}};
    Result<World> world = loaded(store, needs);
    ASSERT_TRUE(world);
    EXPECT_EQ(world->user_redemptions.at({1, "ann"}).loaded, 2);
    ASSERT_TRUE(store.save({}));
    EntryQuery query;
    query.limit = 100;
    query.code = "A3";
    const Result<EntryPage> page = reads.list_entries(query);
    ASSERT_TRUE(page);
    ASSERT_EQ(page->entries.size(), 4u);
    EXPECT_EQ(page->entries[0].entry.id, 5);
    EXPECT_EQ(page->entries[1].entry.id, 7);
    EXPECT_EQ(page->entries[2].entry.id, 8);
    EXPECT_GT(page->entries[3].entry.id, 17);
    EXPECT_EQ(page->entries[3].entry.previous, 8);
    query.code.reset();
    query.after = 17;
    EXPECT_EQ(reads.list_entries(query)->entries.size(), 2u);

    // A book that gets its first limit now counts what was redeemed before.
    EditBook limit{2, {}, {}};
    limit.wish.max_redemptions_per_user = 1;
    limit.wished.set(2);
    ASSERT_TRUE(run(store, limit, {9000}));
    const auto book = reads.list_books({.limit = 3}, {9000})->books.at(1).book;
    EXPECT_EQ(book.counts_users_since, Timestamp{9000});
    needs.codes = {{"B1", "zoe"}, {"B1", "bob"}};
    world = loaded(store, needs);
    ASSERT_TRUE(world);
    EXPECT_EQ(world->user_redemptions.at({2, "zoe"}).loaded, 1);
    EXPECT_EQ(world->user_redemptions.at({2, "bob"}).loaded, 0);
    ASSERT_TRUE(store.save({}));
    query.type = LedgerEntry::Type::book_changed;
    const auto entries = reads.list_entries(query)->entries;
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].entry.previous, 2);
    EXPECT_EQ(read_book_change(entries[0].entry.detail)->before->name, "b");
}

/// That all of it agrees with its ledger.
inline void expect_verified(Database& database) {
    const Verification found =
        verify(*database.open_snapshot(), SystemClock().now(), [](std::int64_t, std::int64_t) {});
    EXPECT_EQ(found.lines, std::vector<std::string>{});
    EXPECT_EQ(found.codes, 7);
}

}  // namespace coupond::test
