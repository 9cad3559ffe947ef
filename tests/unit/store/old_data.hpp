// Databases as earlier versions of the schema left them, and what the next versions make of them.
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
    EXPECT_EQ(connection.rows("SELECT book_id, user_id, per, since, redeemed, amount, currency "
                              "FROM usage_count LEFT JOIN coupon_user ON number = user_number "
                              "ORDER BY user_id"),
              (std::vector<std::string>{"1|ann|0|-1|1|0|", "1|bob|0|-1|1|0|"}));
    EXPECT_EQ(connection.rows("SELECT book_id, sum(total), sum(available), sum(redeemed), "
                              "sum(ever_locked), sum(discount_cents) FROM book_count "
                              "GROUP BY book_id ORDER BY book_id"),
              (std::vector<std::string>{"0|7|2|3|4|4100", "1|5|1|2|3|4100", "2|2|1|1|1|0",
                                        "3|0|0|0|0|0"}));
    EXPECT_EQ(connection.rows("SELECT book_id, since, uploaded, assigned, locked, redeemed, "
                              "discount_cents FROM activity_count ORDER BY book_id"),
              (std::vector<std::string>{"0|0|7|5|1|3|4100", "1|0|5|4|1|2|4100", "2|0|2|1|0|1|0"}));
    EXPECT_EQ(connection.integer("SELECT sum(generated) FROM activity_count"), 0);
    EXPECT_EQ(connection.integer("SELECT count(*) FROM code_generator"), 0);
    EXPECT_EQ(connection.integer("SELECT count(*) FROM job"), 0);
    EXPECT_EQ(connection.integer("SELECT count(*) FROM file_part"), 0);
    EXPECT_EQ(connection.integer("SELECT count(*) FROM rejected_row"), 0);
    EXPECT_EQ(connection.rows("SELECT book_id, since, standing FROM activity_count "
                              "ORDER BY book_id"),
              (std::vector<std::string>{"0|0|0", "1|0|2", "2|0|1"}));
    EXPECT_EQ(connection.rows("SELECT * FROM lock_count"), std::vector<std::string>{"1|9000|1"});
}

/// That a store goes on from them: the lock of A3 holds, and the code's entries lead back to what
/// was made up for it.
inline void expect_to_go_on(Store& store, ReadStore& reads) {
    const auto outcomes = run(store, RedeemCode{"A3", "ann"}, {8000});
    ASSERT_TRUE(outcomes);
    ASSERT_TRUE(std::holds_alternative<CodeRedeemed>(outcomes->front()));
    ASSERT_TRUE(run(store, AssignCode{"B1", "bob"}, {8000}));
    const auto redeemed = [&](const char* code, const char* user, BookId book_id) {
        Needs needs;
        needs.codes = {{code, user, true}};
        const World world = loaded(store, needs).value();
        EXPECT_TRUE(store.save({}));
        EXPECT_EQ(world.usages.size(), 1U);
        return world.usages.at({book_id, user}).now.redeemed;
    };
    EXPECT_EQ(redeemed("A1", "ann", 1), 2);
    EXPECT_EQ(redeemed("A1", "bob", 1), 1);
    EXPECT_EQ(redeemed("A1", "zoe", 1), 0);
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
    EXPECT_EQ(book.counted, reads.list_books({.limit = 3}, {9000})->books.at(0).book.counted);
    EXPECT_EQ(redeemed("B1", "zoe", 2), 1);
    EXPECT_EQ(redeemed("B1", "bob", 2), 0);
    query.type = LedgerEntry::Type::book_changed;
    const auto entries = reads.list_entries(query)->entries;
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].entry.previous, 2);
    EXPECT_EQ(read_book_change(entries[0].entry.detail)->before->name, "b");
}

/// That codes are made of one of its books, which it has been given a pattern for: five of them.
inline void expect_to_generate(Store& store, ReadStore& reads) {
    const Timestamp now{10'000};
    EditBook edit{2, {}, {}};
    edit.wish.code_pattern = "N-{8}";
    edit.wished.set(1);
    ASSERT_TRUE(run(store, edit, now));
    const auto begun = run(store, GenerateCodes{2, 5, {}}, now);
    ASSERT_TRUE(begun);
    ASSERT_TRUE(std::holds_alternative<JobChanged>(begun->front()));
    EXPECT_EQ(std::get<JobChanged>(begun->front()).job.id, 1);
    AddGenerated piece{{2, 0, {}}, AddGenerated::Piece{1, "w", now}, "N-{8}", {}, {}};
    piece.piece->round = {0, 5};
    ASSERT_TRUE(run(store, piece, now));
    piece.piece->done_now = 5;
    for (const char* const code : {"N-A", "N-B", "N-C", "N-D", "N-E"}) {
        piece.draft.candidates.push_back({code});
    }
    const auto made = run(store, piece, now);
    ASSERT_TRUE(made);
    EXPECT_EQ(std::get<JobChanged>(made->front()).job.status, Job::Status::completed);
    const auto statistics = reads.load_statistics({{}, {{0}, {900'000}}}, now);
    ASSERT_TRUE(statistics);
    EXPECT_EQ(statistics->series[0].activity.uploaded, 7);
    EXPECT_EQ(statistics->series[0].activity.generated, 5);
}

/// Redemptions of two quarters of an hour as the version left them before there were limits of
/// books: of a book of five euros off with a limit for each user, of which ann has redeemed A1 and
/// A2, and bob had A3 and A4; of one of five of any currency; and of one that has lost its
/// discount. `slot`: the column, and its value, that counts have besides.
inline std::string rows_before_limits(const std::string& slot = {}, const std::string& value = {}) {
    return "INSERT INTO coupon_book (id, name, code_pattern, max_redemptions_per_user, "
           "discount_cents, created_at, updated_at, last_entry_id, settings) VALUES "
           "(1, 'a', 'p', 3, NULL, 1000, 1000, 1, 'discount amount 500 EUR - -\ncounts_users_since "
           "1000\n'), "
           "(2, 'b', 'p', NULL, 500, 1000, 1000, 2, ''), "
           "(3, 'c', 'p', NULL, NULL, 1000, 1500000, 21, ''); "
           "INSERT INTO coupon_user (user_id) VALUES ('ann'), ('bob'); "
           "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, locked_until, "
           "redeemed_at, last_entry_id, assigned_to, code) VALUES "
           "(1, 1, 71, 1000, NULL, 1000000, 301, 1, 'A1'), "
           "(2, 1, 72, 1000, NULL, 1000001, 402, 1, 'A2'), "
           "(3, 1, 73, 1000, 2800000, NULL, 403, 2, 'A3'), "
           "(4, 1, 74, 1000, 2900000, NULL, 405, 2, 'A4'), "
           "(5, 2, 75, 1000, NULL, 1000000, 305, 1, 'B1'), "
           "(6, 2, 76, 1000, 2000000, NULL, 406, 1, 'B2'), "
           "(7, 2, 77, 1000, NULL, 1900000, 307, 2, 'B3'), "
           "(8, 3, 78, 1000, NULL, 1900000, 308, 1, 'C1'), "
           "(9, 3, 79, 1000, 1900000, NULL, 409, 1, 'C2'); "
           "INSERT INTO ledger (id, at, type, book_id, code_id, codes, request_id, detail) VALUES "
           "(1, 1000, 1, 1, NULL, NULL, 'r', '\nname a\ncode_pattern p\n"
           "max_redemptions_per_user 3\ncreated_at 1000\nupdated_at 1000\n"
           "discount amount 500 EUR - -\ncounts_users_since 1000\n'), "
           "(2, 1000, 1, 2, NULL, NULL, 'r', '\nname b\ncode_pattern p\ndiscount_cents 500\n"
           "created_at 1000\nupdated_at 1000\n'), "
           "(3, 1000, 1, 3, NULL, NULL, 'r', '\nname c\ncode_pattern p\n"
           "created_at 1000\nupdated_at 1000\ndiscount amount 500 EUR - -\n'), "
           "(21, 1500000, 7, 3, NULL, NULL, 'r', 'name c\ncode_pattern p\n"
           "created_at 1000\nupdated_at 1000\ndiscount amount 500 EUR - -\n\nname c\n"
           "code_pattern p\ncreated_at 1000\nupdated_at 1500000\n'), "
           "(11, 1000, 2, 1, 1, 4, 'r', NULL), (12, 1000, 2, 2, 5, 3, 'r', NULL), "
           "(13, 1000, 2, 3, 8, 2, 'r', NULL); "
           "INSERT INTO ledger (id, at, type, book_id, code_id, user_number, previous_id, "
           "discount_cents, currency, order_id, order_amount, redemption_id, request_id) VALUES "
           "(301, 1000000, 5, 1, 1, 1, 201, 500, 'EUR', NULL, NULL, NULL, 'r'), "
           "(302, 1000001, 5, 1, 2, 1, 202, 500, 'EUR', 'o', 1000, NULL, 'r'), "
           "(303, 1900000, 5, 1, 3, 2, 203, 500, 'EUR', NULL, NULL, NULL, 'r'), "
           "(304, 1900001, 5, 1, 4, 2, 204, 500, 'EUR', NULL, NULL, NULL, 'r'), "
           "(305, 1000000, 5, 2, 5, 1, 205, 500, 'USD', 'o', 1000, NULL, 'r'), "
           "(306, 1900000, 5, 2, 6, 1, 206, 500, NULL, NULL, NULL, NULL, 'r'), "
           "(307, 1900000, 5, 2, 7, 2, 207, 500, 'EUR', 'o', 1000, NULL, 'r'), "
           "(308, 1900000, 5, 3, 8, 1, 208, NULL, 'EUR', 'o', 1000, NULL, 'r'), "
           "(309, 1000000, 5, 3, 9, 1, 209, 500, 'EUR', NULL, NULL, NULL, 'r'), "
           "(402, 2000000, 14, 1, 2, 1, 302, 200, 'EUR', NULL, NULL, 302, 'r'), "
           "(403, 2800000, 13, 1, 3, 2, 303, 500, 'EUR', NULL, NULL, 303, 'r'), "
           "(404, 2000000, 14, 1, 4, 2, 304, 100, 'EUR', NULL, NULL, 304, 'r'), "
           "(405, 2900000, 13, 1, 4, 2, 404, 400, 'EUR', NULL, NULL, 304, 'r'), "
           "(406, 2000000, 13, 2, 6, 1, 306, 500, NULL, NULL, NULL, 306, 'r'), "
           "(409, 1900000, 13, 3, 9, 1, 309, 500, 'EUR', NULL, NULL, 309, 'r'); "
           "UPDATE ledger SET locked_until = at + 999 WHERE type = 5; "
           "UPDATE ledger SET previous_id = 3 WHERE type = 7; "
           "INSERT INTO ledger (id, at, type, book_id, code_id, user_number, previous_id, "
           "locked_until, request_id) "
           "SELECT id - 200, 1000, 3, book_id, code_id, user_number, 10 + book_id, NULL, 'r' "
           "FROM ledger WHERE type = 5 UNION ALL "
           "SELECT id - 100, at - 1, 4, book_id, code_id, user_number, id - 200, locked_until, 'r' "
           "FROM ledger WHERE type = 5; "
           "INSERT INTO book_count (book_id, " +
           slot + "total, available, redeemed, ever_locked, discount_cents, rolled_back) VALUES " +
           "(1, " + value + "4, 0, 2, 4, 0, 2), (2, " + value + "3, 0, 2, 3, 0, 1), (3, " + value +
           "2, 0, 1, 2, 0, 1); UPDATE book_count SET total = 9, redeemed = 5, ever_locked = 9, "
           "rolled_back = 4 WHERE book_id = 0; "
           "INSERT INTO activity_count (book_id, since, " +
           slot +
           "uploaded, assigned, locked, redeemed, discount_cents, rolled_back) "
           "SELECT book_id, since, " +
           value +
           "codes, codes, locks, locks, 0, back FROM (SELECT 1 AS book_id, 0 AS since, 4 AS codes, "
           "0 AS locks, 0 AS back UNION ALL VALUES (1, 900000, 0, 2, 0), (1, 1800000, 0, 2, 0), "
           "(1, 2700000, 0, 0, 2), (2, 0, 3, 0, 0), (2, 900000, 0, 1, 0), (2, 1800000, 0, 2, 1), "
           "(3, 0, 2, 0, 0), (3, 900000, 0, 1, 0), (3, 1800000, 0, 1, 1), (0, 0, 9, 0, 0), "
           "(0, 900000, 0, 4, 0), (0, 1800000, 0, 5, 2), (0, 2700000, 0, 0, 2)) AS made; "
           "INSERT INTO discount_count (book_id, since, " +
           slot + "currency, amount) SELECT book_id, since, " + value +
           "currency, amount FROM (SELECT 1 AS book_id, 900000 AS since, 'EUR' AS currency, "
           "1000 AS amount UNION ALL VALUES (1, 1800000, 'EUR', 700), (1, 2700000, 'EUR', -900), "
           "(1, -1, 'EUR', 800), (2, 900000, 'USD', 500), (2, 1800000, 'EUR', 500), "
           "(2, -1, 'EUR', 500), (2, -1, 'USD', 500), (3, 900000, 'EUR', 500), "
           "(3, 1800000, 'EUR', -500), (3, -1, 'EUR', 0), (0, 900000, 'EUR', 1500), "
           "(0, 900000, 'USD', 500), (0, 1800000, 'EUR', 700), (0, 2700000, 'EUR', -900), "
           "(0, -1, 'EUR', 1300), (0, -1, 'USD', 500)) AS made; "
           "INSERT INTO user_redemption_count (book_id, user_number, redeemed) "
           "VALUES (1, 1, 2), (1, 2, 0)";
}

/// What of those rows stands, as the latest version of the schema keeps it.
template <class Connection>
void expect_standing_of_before_limits(Connection&& connection) {
    EXPECT_EQ(connection.rows("SELECT book_id, since, sum(standing) FROM activity_count "
                              "GROUP BY book_id, since HAVING sum(standing) <> 0 ORDER BY 1, 2"),
              (std::vector<std::string>{"1|900000|2", "2|900000|1", "2|1800000|1", "3|1800000|1"}));
    EXPECT_EQ(
        connection.rows("SELECT book_id, since, currency, sum(standing) FROM discount_count "
                        "GROUP BY book_id, since, currency HAVING sum(standing) <> 0 "
                        "ORDER BY 1, 2"),
        (std::vector<std::string>{"1|900000|EUR|800", "2|900000|USD|500", "2|1800000|EUR|500"}));
    EXPECT_EQ(connection.rows("SELECT book_id, user_id, per, since, redeemed, amount, currency "
                              "FROM usage_count LEFT JOIN coupon_user ON number = user_number "
                              "ORDER BY user_id"),
              (std::vector<std::string>{"1|ann|0|-1|2|0|", "1|bob|0|-1|0|0|"}));
}

/// That a store goes on from them: books that get limits count what was redeemed before.
inline void expect_to_count_on(Store& store) {
    EditBook limit{1, {}, {}};
    limit.wish.max_redemptions = 9;
    limit.wish.limits = {{Per::day, {9, 9, {}}}};
    limit.wished.set(9).set(11);
    const Timestamp now{3'000'000};
    ASSERT_TRUE(run(store, limit, now));
    for (const Command& command : {Command(LockCode{"A3", "bob", 1000}),
                                   Command(RedeemCode{"A3", "bob"}), Command(RollBack{302, ""})}) {
        const auto outcomes = run(store, command, now);
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
    }
    Needs needs;
    needs.codes = {{"A4", "bob", true}, {"A4", "ann", true}};
    needs.at = now;
    const World world = loaded(store, needs).value();
    const std::optional<Currency> euros = Currency::find("EUR");
    const std::pair<UsageKey, Usage> wanted[] = {
        {{1, "", Per::ever}, {all_times, 2, 1000, euros}},
        {{1, "", Per::day}, {{0}, 2, 1000, euros}},
        {{1, "ann", Per::ever}, {all_times, 1}},
        {{1, "ann", Per::day}, {{0}, 1}},
        {{1, "bob", Per::ever}, {all_times, 1}},
        {{1, "bob", Per::day}, {{0}, 1}},
    };
    EXPECT_EQ(world.usages.size(), std::size(wanted));
    for (const auto& [key, usage] : wanted) {
        EXPECT_EQ(world.usages.at(key).loaded, usage) << key.user_id << static_cast<int>(key.per);
    }
    ASSERT_TRUE(store.save({}));
}

/// Jobs of before there were images: one of a file, halfway, and one that makes codes.
inline std::string jobs_before_images() {
    return "INSERT INTO job (id, book_id, status, code_pattern, requested, created, "
           "guess_probability, created_at, started_at, request_id, version, import) VALUES "
           "(4, 1, 1, '', 10, 3, 0, 1000, 1001, 'r', 2, 'UTC 1 1 3 1 10 2 2 1 0'), "
           "(5, 1, 0, 'P-{6}', 10, 0, 0.5, 1002, NULL, 's', 1, NULL); "
           "INSERT INTO rejected_row VALUES (4, 2, 'code_invalid', 'x')";
}

/// That they are there.
inline void expect_jobs_before_images(ReadStore& reads) {
    const Job file = reads.find_job(4)->value();
    EXPECT_EQ(file.import, (Import{Import::Format::ndjson, true, "UTC", Import::Stage::adding, 1,
                                   10, 2, 2, 1, 0}));
    EXPECT_FALSE(file.images);
    EXPECT_EQ(file.status, Job::Status::running);
    EXPECT_EQ(file.created, 3);
    const Job makes = reads.find_job(5)->value();
    EXPECT_TRUE(makes.makes_codes());
    EXPECT_EQ(makes.code_pattern, "P-{6}");
    EXPECT_EQ(reads.list_jobs({.limit = 9})->jobs, (std::vector{makes, file}));
    EXPECT_EQ(reads.next_job("w", Timestamp{2'000}, 0)->value().job, file);
    EXPECT_EQ(*reads.rejected_rows(4, 0, 9), (std::vector<RejectedRow>{{2, "code_invalid", "x"}}));
}

/// That all of it, so many codes, agrees with its ledger.
inline void expect_verified(Database& database, std::int64_t codes) {
    const Verification found =
        verify(*database.open_snapshot(), SystemClock().now(), [](std::int64_t, std::int64_t) {});
    EXPECT_EQ(found.lines, std::vector<std::string>{});
    EXPECT_EQ(found.codes, codes);
}

}  // namespace coupond::test
