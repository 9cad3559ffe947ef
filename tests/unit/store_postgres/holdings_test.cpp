// How many codes of a book a user holds, where several processes give them some at once.
#include <gtest/gtest.h>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class HoldingsTest : public testing::Test {
protected:
    /// A book of which a user may hold one code, one of which they may hold two, and one without
    /// such a limit; each with three codes.
    HoldingsTest() {
        for (const BookId id : {1, 2, 3}) {
            CreateBook book{"n", "p"};
            if (id < 3) book.max_assignments_per_user = id;
            run_one(here(), book);
            run_one(here(), UploadCodes{id, numbered("ABC"[id - 1] + std::string(), 3)});
        }
    }

    static Outcome run_one(Store& store, const Command& command) {
        auto outcomes = run(store, command, noon);
        EXPECT_TRUE(outcomes) << to_string(outcomes.error());
        return std::move(outcomes.value().front());
    }
    static std::string code_of(const Outcome& outcome) {
        const auto* const assigned = std::get_if<CodeAssigned>(&outcome);
        return assigned == nullptr ? to_string(std::get<Refusal>(outcome)).data()
                                   : assigned->code.code;
    }

    /// Whether what was decided `here` can be saved after something else was done `there`.
    bool can_be_saved_after(const Command& decided, const Command& done) {
        const Submissions submissions(std::span(&decided, 1));
        auto world = loaded(here(), needs(submissions.span(), noon));
        EXPECT_TRUE(world);
        const Decision decision = decide(*world, submissions.span(), noon);
        EXPECT_FALSE(decision.unforeseen || decision.shortage);
        run_one(there(), done);
        return here().save(decision.delta).has_value();
    }

    Store& here() { return tested_.store(); }
    Store& there() { return *second_; }

    PostgresStore tested_;
    std::unique_ptr<Store> second_ = tested_.database().open_store();
};

TEST_F(HoldingsTest, OfOneBookAreGivenByOneProcessAtATime) {
    EXPECT_FALSE(can_be_saved_after(AssignCode{"A0", "ann"}, AssignCode{"A1", "ann"}));
    EXPECT_EQ(code_of(run_one(here(), AssignCode{"A0", "ann"})), "user_assignment_limit_reached");
    EXPECT_EQ(code_of(run_one(here(), AssignAny{"ann", 1})), "A1");
    // Also to who is there already, and holds some.
    EXPECT_FALSE(can_be_saved_after(AssignCode{"B0", "ann"}, AssignCode{"B1", "ann"}));
    EXPECT_FALSE(can_be_saved_after(AssignCode{"B0", "ann"}, AssignCode{"B2", "ann"}));
    EXPECT_EQ(code_of(run_one(here(), AssignAny{"ann", 2})), "user_assignment_limit_reached");
}

TEST_F(HoldingsTest, OfOthersOrOfBooksWithoutALimitAreGivenBesideThem) {
    EXPECT_TRUE(can_be_saved_after(AssignCode{"A0", "ann"}, AssignCode{"A1", "bob"}));
    EXPECT_TRUE(can_be_saved_after(AssignCode{"B0", "ann"}, AssignCode{"C0", "ann"}));
    EXPECT_TRUE(can_be_saved_after(AssignCode{"C1", "ann"}, AssignCode{"B1", "ann"}));
}

TEST_F(HoldingsTest, ThatWereTakenBackAreGivenAgain) {
    run_one(here(), AssignCode{"A0", "ann"});
    EXPECT_EQ(code_of(run_one(there(), AssignAny{"ann", 1})), "A0");
    run_one(here(), UnassignCode{"A0", {}});
    EXPECT_EQ(code_of(run_one(there(), AssignCode{"A1", "ann"})), "A1");
    EXPECT_EQ(code_of(run_one(here(), AssignAny{"ann", 1})), "A1");
    EXPECT_EQ(code_of(run_one(here(), AssignCode{"A0", "ann"})), "user_assignment_limit_reached");
}

TEST_F(HoldingsTest, OfWhoIsErasedAreNobodyElses) {
    run_one(here(), AssignCode{"A0", "ann"});
    run_one(there(), EraseUser{"ann", "erased-1"});
    EXPECT_EQ(code_of(run_one(here(), AssignCode{"A1", "ann"})), "A1");
    EXPECT_EQ(code_of(run_one(there(), AssignAny{"erased-1", 1})), "A0");
}

}  // namespace
}  // namespace coupond::test
