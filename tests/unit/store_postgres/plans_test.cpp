// That rows of lists, files and erasures, and what limits go by, are looked up by indices, also
// where the server would rather read all.
#include <gtest/gtest.h>

#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

TEST(PlansTest, OfListsErasuresAndLimitsReadNoTableAsAWhole) {
    PostgresStore tested;
    Draft draft;
    for (BookId id = 1; id <= 3; ++id) {
        Code code = make_code(id, id, "C" + std::to_string(id));
        code.assigned_to = "ann";
        Book book = make_book(id);
        book.max_redemptions = book.max_redemptions_per_user = 9;
        book.max_assignments_per_user = 9;
        book.budget = 1;
        book.discount.emplace().currency = Currency::find("EUR");
        count_what_is_limited(book);
        draft.book(book).code(std::move(code));
    }
    for (JobId id = 1; id <= 3; ++id) {
        draft.generator(id, "SUMMER-{6}", {}, {}).job(make_job(id, id));
    }
    for (JobId id = 4; id <= 6; ++id) {
        Job job = make_job(id, 1);
        job.import.emplace().time_zone = "UTC";
        if (id == 4) job.status = Job::Status::cancelled;
        draft.job(job).part(id, 0, "x").part(id, 1, "y").reject(id, {id, "code_invalid", "x"});
    }
    ASSERT_TRUE(tested.store().save(draft.delta));
    tested.close();
    auto sql = tested.connect();
    sql.run("ANALYZE");  // so the server knows how small they are
    // A process of the server tells what it has done when it ends at the latest.
    while (sql.integer("SELECT count(*) FROM pg_stat_activity "
                       "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                       "AND backend_type = 'client backend'") > 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const auto scans = [&](const std::string& kind) {
        return sql.rows("SELECT relname, " + kind + " FROM pg_stat_user_tables WHERE relname IN " +
                        "('coupon_book', 'coupon_code', 'coupon_user', 'book_count', "
                        "'lock_count', 'counted_lock', 'usage_count', 'activity_count', "
                        "'discount_count', 'code_generator', 'job', 'file_part', "
                        "'rejected_row') "
                        "ORDER BY 1");
    };
    sql.run("SELECT pg_stat_reset()");
    tested.open();
    const auto page = tested.reads().list_books({.limit = 10, .with_codes = true}, noon);
    for (const auto sort : {BookQuery::Sort::name, BookQuery::Sort::created}) {
        for (const bool descending : {false, true}) {
            const auto sorted = tested.reads().list_books(
                {.sort = sort, .descending = descending, .limit = 10, .name = "SUM"}, noon);
            ASSERT_TRUE(sorted);
            EXPECT_EQ(sorted->books.size(), 3u);
        }
    }
    EXPECT_TRUE(tested.reads().find_user({"ann", 0, 10}));
    EXPECT_EQ(tested.reads().list_jobs({.limit = 10})->jobs.size(), 6u);
    EXPECT_EQ(tested.reads().list_jobs({.limit = 10, .book_id = 1})->jobs.size(), 4u);
    EXPECT_TRUE(*tested.reads().find_job(1));
    EXPECT_TRUE((*tested.reads().find_generator(1))->generator);
    EXPECT_TRUE((*tested.reads().next_job("w", noon, 0))->generator);
    EXPECT_EQ(tested.reads().read_file(5, 0, 9)->size(), 2u);
    EXPECT_EQ(tested.reads().rejected_rows(5, 0, 9)->size(), 1u);
    EXPECT_EQ(*tested.reads().ended_file(), 4);
    const std::vector<std::string> texts{"C1", "c1"};
    EXPECT_EQ(*tested.reads().exist(texts, true), (std::vector<bool>{true, false}));
    EXPECT_TRUE(std::holds_alternative<CodesUploaded>(
        run(tested.store(), UploadCodes{2, {"U"}}, noon).value()[0]));
    EXPECT_TRUE(
        std::holds_alternative<PartsRemoved>(run(tested.store(), RemoveParts{4}, noon).value()[0]));
    EXPECT_TRUE(std::holds_alternative<JobChanged>(
        run(tested.store(), GenerateCodes{1, 5, {}}, noon).value()[0]));
    EXPECT_TRUE(
        std::holds_alternative<JobChanged>(run(tested.store(), CancelJob{1}, noon).value()[0]));
    const ValidateCode validate{"C1", "ann"};
    const ValidateCode* const asked[] = {&validate};
    EXPECT_TRUE(tested.reads().find_codes(asked, noon)->front());
    EXPECT_EQ(usages_of(tested.store(), "C1", "ann").size(), 2u);
    EXPECT_EQ(std::get<Refusal>(run(tested.store(), AssignAny{"ann", 1}, noon).value()[0]),
              Refusal::no_available_coupons);
    EXPECT_TRUE(std::holds_alternative<UserErased>(
        run(tested.store(), EraseUser{"ann", "e1"}, noon).value()[0]));
    tested.close();
    ASSERT_TRUE(page);
    EXPECT_EQ(page->books.size(), 3u);
    EXPECT_EQ(page->books[2].codes.size(), 1u);
    const auto looked_up = [&] {
        return sql.integer(
            "SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'coupon_code'");
    };
    for (int tries = 0; tries < 1000 && looked_up() == 0; ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_GT(looked_up(), 0);
    EXPECT_EQ(scans("seq_scan"),
              (std::vector<std::string>{"activity_count|0", "book_count|0", "code_generator|0",
                                        "counted_lock|0", "coupon_book|0", "coupon_code|0",
                                        "coupon_user|0", "discount_count|0", "file_part|0", "job|0",
                                        "lock_count|0", "rejected_row|0", "usage_count|0"}));
}

}  // namespace
}  // namespace coupond::test
