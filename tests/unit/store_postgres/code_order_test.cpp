// How PostgreSQL comes by the codes of a book in the order of their texts, and when it stops.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using Pass = CodeSnapshot::Pass;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class CodeOrderTest : public testing::Test {
protected:
    void TearDown() override {
        sql_.run(
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || "
            "' RESET search_path'; END $$; "
            "DROP FUNCTION IF EXISTS public.starts_with(text, text)");
    }

    /// Codes of a book that there is not yet; `text` is SQL for one, by `i` from 0.
    void fill(BookId book_id, int count, const std::string& text) {
        const std::string book = std::to_string(book_id);
        sql_.run(
            "INSERT INTO coupon_book (id, name, code_pattern, created_at, updated_at) VALUES (" +
            book +
            ", 'n', 'p', 0, 0); INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, "
            "last_entry_id, code) SELECT " +
            book + " * 1000000 + i, " + book + ", i, 0, 1, " + text + " FROM generate_series(0, " +
            std::to_string(count - 1) + ") AS i");
    }

    /// From now on a tenth of a second of the server, those too that it sorts before the first one
    /// is told.
    void have_each_code_take_time() {
        sql_.run(
            "CREATE FUNCTION public.starts_with(text, text) RETURNS boolean LANGUAGE plpgsql "
            "VOLATILE AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN true; END $$; "
            "DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || "
            "' SET search_path = public, pg_catalog'; END $$");
        tested_.close();
        tested_.open();
    }

    std::vector<std::string> read(const CodeQuery& query) {
        std::vector<std::string> texts;
        const auto snapshot = tested_.open_codes([] { return true; });
        EXPECT_TRUE(*snapshot->begin(query, Pass::by_code, noon));
        for (;;) {
            const auto codes = snapshot->next();
            EXPECT_TRUE(codes);
            if (!codes || codes->empty()) break;
            for (const Code& code : *codes) texts.push_back(code.code);
        }
        EXPECT_TRUE(std::ranges::is_sorted(texts));
        return texts;
    }

    /// How many entries of an index of codes have been read since this was last asked.
    std::int64_t read_of(const std::string& index) {
        until_alone();
        const std::int64_t entries = sql_.integer(
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = '" + index + "'");
        sql_.run("SELECT pg_stat_reset()");
        return entries;
    }

    /// A process of the server tells what it has done when it ends at the latest. How long it takes
    /// until all have.
    milliseconds until_alone() {
        const auto began = steady_clock::now();
        while (sql_.integer("SELECT count(*) FROM pg_stat_activity "
                            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                            "AND backend_type = 'client backend'") > 0) {
            if (steady_clock::now() - began > milliseconds(30'000)) {
                ADD_FAILURE() << "somebody stays";
                break;
            }
            std::this_thread::sleep_for(milliseconds(10));
        }
        return std::chrono::duration_cast<milliseconds>(steady_clock::now() - began);
    }

    PostgresStore tested_;
    PostgresStore::Connection sql_ = PostgresStore::connect();
};

TEST_F(CodeOrderTest, ComesFromTheIndexThatItCostsLeast) {
    fill(1, 300, "'few-' || i * 7919 % 300");
    fill(2, 30'000, "'many-' || lpad(i::text, 8, '0')");
    sql_.run("ANALYZE");
    const char* const of_codes = "coupon_code_code";
    const char* const of_book = "coupon_code_book";
    read_of(of_codes);
    EXPECT_EQ(read({.book_id = 1, .limit = 1'000}).size(), 300u);
    EXPECT_LT(read_of(of_codes), 100);  // the planner looks at its ends
    EXPECT_EQ(read({.book_id = 1, .limit = 1'000}).size(), 300u);
    EXPECT_GE(read_of(of_book), 300);
    // Where they lie in order.
    EXPECT_EQ(read({.book_id = 2, .limit = 1'000}).size(), 30'000u);
    EXPECT_GE(read_of(of_codes), 30'000);
    EXPECT_EQ(read({.book_id = 2, .limit = 1'000, .prefix = "many-000012"}).size(), 100u);
    EXPECT_LT(read_of(of_codes), 200);
}

TEST_F(CodeOrderTest, IsNotWaitedForWhereItIsNotWanted) {
    fill(1, 1'000, "'c-' || i");
    have_each_code_take_time();
    const auto began = steady_clock::now();
    const auto wanted = [&] { return steady_clock::now() < began + milliseconds(700); };
    {
        const auto snapshot = tested_.open_codes(wanted);
        ASSERT_TRUE(snapshot->begin({.book_id = 1, .limit = 1'000}, Pass::by_code, noon));
        EXPECT_EQ(snapshot->next().error(), Failure::unavailable);
        const auto took = steady_clock::now() - began;
        EXPECT_GT(took, milliseconds(600));
        EXPECT_LT(took, milliseconds(5'000));
        EXPECT_EQ(snapshot->next().error(), Failure::unavailable);
    }
    tested_.close();
    EXPECT_LT(until_alone(), milliseconds(20'000));  // it would take 100 seconds
}

TEST_F(CodeOrderTest, IsSortedForLongerThanAnAnswerMayTake) {
    fill(1, 60, "'c-' || i");
    have_each_code_take_time();
    const auto began = steady_clock::now();
    EXPECT_EQ(read({.book_id = 1, .limit = 1'000}).size(), 60u);
    EXPECT_GT(steady_clock::now() - began, milliseconds(limits::database_wait_ms));
}

}  // namespace
}  // namespace coupond::test
