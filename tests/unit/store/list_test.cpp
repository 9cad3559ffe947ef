// The reading side.
#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class ListTest : public testing::Test {
protected:
    /// Runs a command by the rules and fails the test where it is refused.
    void run(const Command& command) {
        const auto outcomes = test::run(tested_.store(), command, clock_.now());
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
    }

    BookPage list(BookId after = 0, std::size_t limit = 100, bool with_codes = false) {
        Result<BookPage> page = tested_.reads().list_books(after, limit, with_codes, clock_.now());
        EXPECT_TRUE(page);
        return page ? std::move(*page) : BookPage{};
    }

    void expect_counts(const BookListing& listing, const BookCounts& wanted) {
        EXPECT_EQ(listing.counts.total, wanted.total);
        EXPECT_EQ(listing.counts.available, wanted.available);
        EXPECT_EQ(listing.counts.assigned, wanted.assigned);
        EXPECT_EQ(listing.counts.locked, wanted.locked);
        EXPECT_EQ(listing.counts.redeemed, wanted.redeemed);
    }

    TestedStore tested_;
    ManualClock clock_;
};

TEST_F(ListTest, OfNoBooksIsEmpty) {
    const BookPage page = list();
    EXPECT_TRUE(page.books.empty());
    EXPECT_FALSE(page.more);
    EXPECT_FALSE(page.too_many_codes);
}

TEST_F(ListTest, GoesThroughTheBooksByIdPageByPage) {
    for (int i = 1; i <= 5; ++i) run(CreateBook{"n" + std::to_string(i), "p", {}, {}});
    const auto ids = [&](BookId after, std::size_t limit) {
        std::vector<BookId> found;
        const BookPage page = list(after, limit);
        for (const BookListing& listing : page.books) found.push_back(listing.book.id);
        return std::pair(found, page.more);
    };
    using Page = std::pair<std::vector<BookId>, bool>;
    EXPECT_EQ(ids(0, 2), (Page{{1, 2}, true}));
    EXPECT_EQ(ids(2, 2), (Page{{3, 4}, true}));
    EXPECT_EQ(ids(4, 2), (Page{{5}, false}));
    EXPECT_EQ(ids(3, 2), (Page{{4, 5}, false}));
    EXPECT_EQ(ids(0, 5), (Page{{1, 2, 3, 4, 5}, false}));
    EXPECT_EQ(ids(5, 2), (Page{{}, false}));
    EXPECT_EQ(ids(INT64_MAX, 2), (Page{{}, false}));
    EXPECT_EQ(list(2, 1).books[0].book.name, "n3");
}

TEST_F(ListTest, CountsCodesByTheirStateAtTheTimeAsked) {
    run(CreateBook{"n", "p", {}, {}});
    run(CreateBook{"another", "p", {}, {}});
    run(UploadCodes{1, {"A", "B", "C", "D", "E"}});
    run(UploadCodes{2, {"X"}});
    expect_counts(list().books[0], {5, 5, 0, 0, 0});

    for (const char* const code : {"A", "B", "C"}) run(AssignCode{code, "ann"});
    expect_counts(list().books[0], {5, 2, 3, 0, 0});

    run(LockCode{"A", "ann", 1000});
    run(LockCode{"B", "ann", 2000});
    expect_counts(list().books[0], {5, 2, 1, 2, 0});

    run(RedeemCode{"B", "ann"});
    expect_counts(list().books[0], {5, 2, 1, 1, 1});

    clock_.advance(999);
    expect_counts(list().books[0], {5, 2, 1, 1, 1});
    clock_.advance(1);  // dead from `until` on, without any write
    expect_counts(list().books[0], {5, 2, 2, 0, 1});

    run(LockCode{"A", "ann", 1000});
    expect_counts(list().books[0], {5, 2, 1, 1, 1});
    run(RedeemCode{"A", "ann"});
    expect_counts(list().books[0], {5, 2, 1, 0, 2});
    expect_counts(list().books[1], {1, 1, 0, 0, 0});
}

TEST_F(ListTest, GivesCodesByIdWhereAskedFor) {
    run(CreateBook{"n", "p", {}, {}});
    run(CreateBook{"empty", "p", {}, {}});
    run(UploadCodes{1, {"B", "A", "C"}});
    run(AssignCode{"A", "ann"});
    run(LockCode{"A", "ann", 1000});
    EXPECT_TRUE(list().books[0].codes.empty());
    const BookPage page = list(0, 100, true);
    ASSERT_EQ(page.books[0].codes.size(), 3u);
    EXPECT_EQ(page.books[0].codes[0].code, "B");
    EXPECT_EQ(page.books[0].codes[1].code, "A");
    EXPECT_EQ(page.books[0].codes[1].assigned_to, "ann");
    EXPECT_EQ(page.books[0].codes[1].lock->until, clock_.now() + 1000);
    EXPECT_EQ(page.books[0].codes[2].id, 3);
    EXPECT_TRUE(page.books[1].codes.empty());
}

TEST_F(ListTest, LeavesCodesOutWhereThePageHasTooMany) {
    run(CreateBook{"n", "p", {}, {}});
    run(CreateBook{"m", "p", {}, {}});
    run(UploadCodes{1, numbered("A", limits::page_codes - 1)});
    run(UploadCodes{2, {"B0"}});
    BookPage page = list(0, 100, true);
    EXPECT_FALSE(page.too_many_codes);
    EXPECT_EQ(page.books[0].codes.size(), limits::page_codes - 1);
    EXPECT_EQ(page.books[1].codes.size(), 1u);

    run(UploadCodes{2, {"B1"}});
    page = list(0, 100, true);
    EXPECT_TRUE(page.too_many_codes);
    ASSERT_EQ(page.books.size(), 2u);
    for (const BookListing& listing : page.books) EXPECT_TRUE(listing.codes.empty());
    expect_counts(page.books[1], {2, 2, 0, 0, 0});

    EXPECT_FALSE(list().too_many_codes);            // not asked for
    EXPECT_FALSE(list(0, 1, true).too_many_codes);  // on this page there are fewer
    EXPECT_EQ(list(1, 1, true).books[0].codes.size(), 2u);
}

TEST_F(ListTest, SeesWhatWasCommittedBeforeTheCall) {
    const auto second = tested_.open_reads();
    for (int i = 1; i <= 20; ++i) {
        run(CreateBook{"n", "p", {}, {}});
        for (ReadStore* const reads : {&tested_.reads(), second.get()}) {
            EXPECT_EQ(reads->list_books(0, 100, false, clock_.now())->books.size(),
                      static_cast<std::size_t>(i));
        }
    }
}

TEST_F(ListTest, GoesOnWhileSomebodyWrites) {
    run(CreateBook{"n", "p", {}, {}});
    auto second = tested_.connect();
    second.run("BEGIN; INSERT INTO coupon_book VALUES (9, 'n', 'p', NULL, NULL, 0, 0)");
    EXPECT_EQ(list().books.size(), 1u);
    EXPECT_TRUE(tested_.reads().ping());
    second.run("ROLLBACK");
}

TEST_F(ListTest, IsUnavailableWhereTheDatabaseDoesNotWorkAndRecovers) {
    run(CreateBook{"n", "p", {}, {}});
    auto second = tested_.connect();
    second.run("ALTER TABLE book_count RENAME TO gone");
    EXPECT_EQ(tested_.reads().list_books(0, 1, false, clock_.now()).error(), Failure::unavailable);
    second.run("ALTER TABLE coupon_book RENAME TO gone_too");
    EXPECT_EQ(tested_.reads().ping().error(), Failure::unavailable);
    second.run("ALTER TABLE gone RENAME TO book_count; ALTER TABLE gone_too RENAME TO coupon_book");
    EXPECT_EQ(list().books.size(), 1u);
    EXPECT_TRUE(tested_.reads().ping());
}

}  // namespace
}  // namespace coupond::test
