// In which order a load and a save lock rows: the same one whatever they are about, so that two
// processes never wait for each other.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

class OrderTest : public testing::Test {
protected:
    /// Two books of which all is counted, each with a code that its user has locked.
    OrderTest() {
        Draft draft;
        for (const BookId id : {1, 2}) {
            Book book = make_book(id);
            book.max_redemptions = book.max_redemptions_per_user = 9;
            count_what_is_limited(book);
            Code code = make_code(10 + id, id, std::to_string(10 + id));
            code.assigned_to = id == 1 ? "ann" : "bob";
            code.lock = Lock{*code.assigned_to, noon + 5};
            draft.book(book).code(code);
            draft.usage({id, ""}, {all_times, 1}).usage({id, *code.assigned_to}, {all_times, 1});
        }
        EXPECT_TRUE(tested_.store().save(draft.delta));
    }

    /// Does `work`, which must succeed, while another program has changed what `first` does; when
    /// it waits for that, the other one does `second` too, which must not have to wait, and takes
    /// all back.
    template <class Work>
    void expect_beside(const Work& work, const std::string& first, const std::string& second) {
        auto other = tested_.connect();
        other.run("BEGIN; SET LOCAL lock_timeout = '100ms'; " + first);
        auto done = std::async(work);
        auto watching = tested_.connect();
        const std::string waits =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'";
        while (watching.integer(waits) == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        EXPECT_NO_THROW(other.run(second));
        other.run("ROLLBACK");
        EXPECT_TRUE(done.get());
    }

    void save_beside(const Delta& delta, const std::string& first, const std::string& second) {
        expect_beside([&] { return tested_.store().save(delta).has_value(); }, first, second);
    }

    PostgresStore tested_;
};

TEST_F(OrderTest, IsThatOfCountsByTheirBooksHoweverTheirCodesCome) {
    const std::vector<Command> redeem{RedeemCode{"12", "bob"}, RedeemCode{"11", "ann"}};
    const Submissions submissions(redeem);
    const Needs needed = needs(submissions.span(), noon);
    Result<World> world = loaded(tested_.store(), needed);
    ASSERT_TRUE(world);
    const auto touch = [](const std::string& rows) {
        return "UPDATE usage_count SET redeemed = 7 WHERE " + rows;
    };
    // The load takes turns for the books, the save changes what is counted of each user.
    ASSERT_TRUE(tested_.store().save({}));
    tested_.connect().run("ALTER FUNCTION coupond_take_turns SET lock_timeout = 60000");
    expect_beside([&] { return (world = tested_.store().load(needed)).has_value(); },
                  "SELECT coupond_take_turns('{1}')", "SELECT coupond_take_turns('{2}')");
    const Decision decision = decide(*world, submissions.span(), noon);
    save_beside(decision.delta, touch("book_id = 1 AND user_number > 0"),
                touch("book_id = 2 AND user_number > 0"));
    EXPECT_EQ(tested_.connect().rows("SELECT book_id, redeemed FROM usage_count ORDER BY 1, "
                                     "user_number"),
              (std::vector<std::string>{"1|2", "1|2", "2|2", "2|2"}));
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
    EXPECT_EQ(
        tested_.connect().integer("SELECT count(locked_until) FROM coupon_code WHERE id < 10"), 2);
}

}  // namespace
}  // namespace coupond::test
