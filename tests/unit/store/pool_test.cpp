// Free codes at random.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class PoolTest : public testing::Test {
protected:
    /// A book with `free` free codes and `taken` assigned ones.
    void add_book(BookId id, std::size_t free, std::size_t taken = 0) {
        Draft draft;
        draft.book(make_book(id));
        const std::string prefix = "B" + std::to_string(id) + "-";
        for (const std::string& text : numbered(prefix + "free-", free)) {
            draft.code(make_code(++last_id_, id, text));
        }
        for (const std::string& text : numbered(prefix + "taken-", taken)) {
            Code code = make_code(++last_id_, id, text);
            code.assigned_to = "ann";
            draft.code(code);
        }
        ASSERT_TRUE(tested_.store().save(draft.delta));
    }

    /// Good until the next call.
    const Pool& load(PoolScope scope, std::size_t count) {
        Needs needs;
        needs.pools[scope] = count;
        world_ = loaded(tested_.store(), needs);
        return world_->pools.at(scope);
    }

    TestedStore tested_;
    Result<World> world_ = World();
    CodeId last_id_ = 0;
};

TEST_F(PoolTest, HasDistinctFreeCodesOfItsScopeOnlyWithTheirBooks) {
    add_book(1, 20, 20);
    add_book(2, 20, 20);
    for (int i = 0; i < 50; ++i) {
        for (const PoolScope scope : {PoolScope{1}, PoolScope{2}, PoolScope{}}) {
            const Pool& pool = load(scope, 15);
            std::set<std::string> seen;
            for (const CodeRow* const row : pool.codes) {
                EXPECT_EQ(row->code.assigned_to, std::nullopt);
                EXPECT_NE(row->code.code.find("free"), std::string::npos);
                if (scope) {
                    EXPECT_EQ(row->code.book_id, *scope);
                }
                EXPECT_TRUE(world_->books.contains(row->code.book_id));
                EXPECT_TRUE(seen.insert(row->code.code).second);
            }
            EXPECT_FALSE(pool.complete);
            EXPECT_EQ(pool.given, 0u);
            if (scope) {
                EXPECT_EQ(seen.size(), 15u);
            }
            EXPECT_GE(seen.size(), 1u);
        }
    }
}

TEST_F(PoolTest, OfABookIsCompleteWhereItHasLessThanAskedFor) {
    add_book(1, 5, 5);
    EXPECT_EQ(load(PoolScope{1}, 4).codes.size(), 4u);
    EXPECT_FALSE(load(PoolScope{1}, 4).complete);
    for (const std::size_t count : {6u, 7u, 1000u}) {
        const Pool& pool = load(PoolScope{1}, count);
        EXPECT_EQ(pool.codes.size(), 5u);
        EXPECT_TRUE(pool.complete);
    }
}

TEST_F(PoolTest, OfAnyBookHasTheLastCodesOfAllBooks) {
    add_book(1, 1, 5);
    add_book(2, 0, 5);
    add_book(3, 3, 5);
    for (const std::size_t count : {4u, 5u, 1000u}) {
        const Pool& pool = load(PoolScope{}, count);
        EXPECT_TRUE(pool.complete);
        std::set<std::string> codes;
        for (const CodeRow* const row : pool.codes) codes.insert(row->code.code);
        EXPECT_EQ(codes,
                  (std::set<std::string>{"B1-free-0", "B3-free-0", "B3-free-1", "B3-free-2"}));
    }
    EXPECT_FALSE(load(PoolScope{}, 3).complete);
}

TEST_F(PoolTest, WithoutFreeCodesIsEmptyAndComplete) {
    for (const PoolScope scope : {PoolScope{}, PoolScope{1}, PoolScope{404}}) {
        EXPECT_TRUE(load(scope, 1).codes.empty());
        EXPECT_TRUE(load(scope, 1).complete);
    }
    add_book(1, 0, 5);
    for (const PoolScope scope : {PoolScope{}, PoolScope{1}, PoolScope{404}}) {
        EXPECT_TRUE(load(scope, 1).codes.empty());
        EXPECT_TRUE(load(scope, 1).complete);
    }
}

TEST_F(PoolTest, DrawsEachBookAsOftenAsItHasFreeCodes) {
    add_book(1, 200, 900);
    add_book(2, 500);
    add_book(3, 1300, 20);
    const std::map<BookId, double> shares = {{1, 0.1}, {2, 0.25}, {3, 0.65}};
    for (const std::size_t at_once : {1u, 20u}) {
        std::map<BookId, int> drawn;
        constexpr int draws = 4000;
        for (std::size_t i = 0; i < draws / at_once; ++i) {
            for (const CodeRow* const row : load(PoolScope{}, at_once).codes) {
                ++drawn[row->code.book_id];
            }
        }
        double chi_square = 0;
        for (const auto& [book, share] : shares) {
            const double expected = share * draws;
            chi_square += (drawn[book] - expected) * (drawn[book] - expected) / expected;
        }
        EXPECT_LT(chi_square, 42);  // two degrees of freedom: beyond by chance once in 10^9
    }
}

TEST_F(PoolTest, BeginsAtAnotherCodeEachTime) {
    add_book(1, 1000);
    std::set<std::string> first;
    for (int i = 0; i < 100; ++i) first.insert(load(PoolScope{1}, 1).codes[0]->code.code);
    EXPECT_GT(first.size(), 50u);
}

TEST_F(PoolTest, SharesTheRowsOfCodesAndOtherPools) {
    add_book(1, 3);
    Needs needs;
    needs.codes = {{"B1-free-1"}};
    needs.pools[PoolScope{1}] = 9;
    needs.pools[PoolScope{}] = 9;
    Result<World> world = loaded(tested_.store(), needs);
    ASSERT_TRUE(world);
    const auto rows = [&](PoolScope scope) {
        const auto& codes = world->pools.at(scope).codes;
        return std::set<CodeRow*>(codes.begin(), codes.end());
    };
    EXPECT_EQ(rows(PoolScope{1}).size(), 3u);
    EXPECT_EQ(rows(PoolScope{1}), rows(PoolScope{}));
    EXPECT_TRUE(rows(PoolScope{1}).contains(world->find("B1-free-1")));
}

}  // namespace
}  // namespace coupond::test
