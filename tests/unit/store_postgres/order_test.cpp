// In which order a save locks rows: the same one whatever it changes, so that two processes never
// wait for each other.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class OrderTest : public testing::Test {
protected:
    OrderTest() {
        Draft draft;
        draft.book(make_book(1)).redemptions(1, "ann", 0, 1).redemptions(1, "bob", 0, 1);
        for (const CodeId id : {11, 12}) {
            Code code = make_code(id, 1, std::to_string(id));
            code.assigned_to = id == 11 ? "ann" : "bob";
            draft.code(code);
        }
        EXPECT_TRUE(tested_.store().save(draft.delta));
    }

    /// Saves `delta` while another program has changed what `first` does; when the save waits for
    /// that, the other one does `second` too, which must not have to wait, and takes all back.
    void save_beside(const Delta& delta, const std::string& first, const std::string& second) {
        auto other = tested_.connect();
        other.run("BEGIN; SET LOCAL lock_timeout = '100ms'; " + first);
        auto saved = std::async([&] { return tested_.store().save(delta); });
        auto watching = tested_.connect();
        const std::string waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'";
        while (watching.integer(waits) == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        EXPECT_NO_THROW(other.run(second));
        other.run("ROLLBACK");
        EXPECT_TRUE(saved.get());
    }

    PostgresStore tested_;
};

TEST_F(OrderTest, IsThatOfTheUsersHoweverMuchTheirCountsGrow) {
    tested_.connect().run("UPDATE user_redemption_count SET version = 5");
    Draft draft;
    draft.redemptions(1, "bob", 1, 2, 5).redemptions(1, "ann", 1, 3, 5);
    const auto touch = [](const std::string& user) {
        return "UPDATE user_redemption_count SET redeemed = 7 WHERE user_number = "
               "(SELECT number FROM coupon_user WHERE user_id = '" +
               user + "')";
    };
    save_beside(draft.delta, touch("ann"), touch("bob"));
    EXPECT_EQ(tested_.connect().rows("SELECT user_id, redeemed FROM user_redemption_count "
                                     "JOIN coupon_user ON number = user_number ORDER BY user_id"),
              (std::vector<std::string>{"ann|3", "bob|2"}));
}

TEST_F(OrderTest, IsThatOfNewCodesHoweverTheyWereSent) {
    Draft draft;
    draft.code(make_code(1, 1, "B")).code(make_code(2, 1, "A"));
    const auto add = [](const std::string& code) {
        return "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, last_entry_id, "
               "code) "
               "VALUES (" +
               std::to_string(100 + code[0]) + ", 1, 0, 0, 1, '" + code + "')";
    };
    save_beside(draft.delta, add("A"), add("B"));
    EXPECT_EQ(tested_.connect().rows("SELECT id, code FROM coupon_code WHERE id < 10 ORDER BY id"),
              (std::vector<std::string>{"1|B", "2|A"}));
}

TEST_F(OrderTest, IsThatOfNewUsersByTheirIdsHoweverTheirCodesCome) {
    ASSERT_TRUE(
        tested_.store().save(Draft().code(make_code(1, 1, "A")).code(make_code(2, 1, "B")).delta));
    const std::vector<Code> loaded = load_codes(tested_.store(), {"A", "B"});
    Draft draft;
    draft.assign(loaded[0], "user2").assign(loaded[1], "user1");
    const auto add = [](const std::string& user) {
        return "INSERT INTO coupon_user (user_id) VALUES ('" + user + "')";
    };
    save_beside(draft.delta, add("user1"), add("user2"));
    EXPECT_EQ(tested_.connect().rows("SELECT code, user_id FROM coupon_code "
                                     "JOIN coupon_user ON number = assigned_to WHERE id < 10 "
                                     "ORDER BY code"),
              (std::vector<std::string>{"A|user2", "B|user1"}));
}

TEST_F(OrderTest, IsThatOfCodesByTheirIds) {
    Draft codes;
    for (const CodeId id : {1, 2}) {
        Code code = make_code(id, 1, std::to_string(id));
        code.assigned_to = "ann";
        codes.code(code);
    }
    ASSERT_TRUE(tested_.store().save(codes.delta));
    std::vector<Code> loaded = load_codes(tested_.store(), {"2", "1"});
    Draft draft;
    for (Code& code : loaded) {
        code.lock = Lock{"ann", noon + 5};
        draft.change(code);
    }
    const auto touch = [](int id) {
        return "SELECT FROM coupon_code WHERE id = " + std::to_string(id) + " FOR UPDATE";
    };
    save_beside(draft.delta, touch(1), touch(2));
    EXPECT_EQ(tested_.connect().integer("SELECT count(locked_until) FROM coupon_code"), 2);
}

}  // namespace
}  // namespace coupond::test
