// SQLite's file held by another program.
#include <gtest/gtest.h>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

TEST(BusyTest, IsUnavailableWhileAnotherConnectionHoldsTheFileAndWorksAfterwards) {
    SqliteStore sqlite;
    ASSERT_TRUE(sqlite.store().save(Draft().book(make_book(1)).code(make_code(1, 1, "A")).delta));
    const Draft draft = std::move(Draft().assign(*load_code(sqlite.store(), "A"), "ann"));
    auto second = sqlite.connect();
    second.run("BEGIN IMMEDIATE");
    const Result<void> saved = sqlite.store().save(draft.delta);
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error(), Failure::unavailable);
    EXPECT_EQ(load_code(sqlite.store(), "A")->assigned_to, std::nullopt);  // reading goes on
    second.run("ROLLBACK");
    EXPECT_TRUE(sqlite.store().save(draft.delta));
}

}  // namespace
}  // namespace coupond::test
