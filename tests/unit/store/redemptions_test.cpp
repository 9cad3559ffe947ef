// Redemptions for orders, what is taken back of them, and how much they use of limits: what is
// saved is what is loaded and shown.
#include <gtest/gtest.h>

#include <initializer_list>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

Currency currency(std::string_view code) {
    return Currency::find(code).value();
}

Order order(const std::string& id, std::int64_t amount = 10'000, std::string_view code = "EUR") {
    return {id, amount, currency(code)};
}

class RedemptionsTest : public testing::Test {
protected:
    /// Ten percent of orders in euros, and what has a limit of two a user; A to D are ann's, and
    /// locked, before there was that limit.
    RedemptionsTest() {
        Discount discount;
        discount.type = Discount::Type::percent;
        discount.value = 10'00;
        discount.currency = currency("EUR");
        run({with_discount({"n", "p"}, discount)});
        run({UploadCodes{1, {"A", "B", "C", "D"}}});
        for (const char* const code : {"A", "B", "C", "D"}) take(code, "ann");
        limit_users(1, 2);
    }

    void limit_users(BookId book, std::int64_t most) {
        EditBook edit{book, {}, {}};
        edit.wish.max_redemptions_per_user = most;
        edit.wished.set(2);
        run({edit});
    }

    std::vector<Outcome> run(const std::vector<Command>& commands,
                             const std::string& request_id = "request") {
        auto outcomes = test::run(tested_.store(), commands, clock_.now(), request_id);
        if (!outcomes) throw std::runtime_error(std::string(to_string(outcomes.error())));
        return std::move(*outcomes);
    }

    template <class T>
    T one(const Command& command, const std::string& request_id = "request") {
        return std::get<T>(run({command}, request_id).front());
    }
    Redemption redeem(const std::string& code, const std::optional<Order>& of = {}) {
        return one<CodeRedeemed>(RedeemCode{code, "ann", of}).redemption;
    }
    Redemption roll_back(EntryId id, std::optional<std::int64_t> ten_thousandths = {}) {
        return one<RolledBack>(RollBack{id, "", ten_thousandths}).redemption;
    }
    void take(const std::string& code, const std::string& user) {
        run({AssignCode{code, user}});
        run({LockCode{code, user, 1000}});
    }

    World load(const Needs& needs) {
        Result<World> world = loaded(tested_.store(), needs);
        EXPECT_TRUE(world);
        return world ? std::move(*world) : World();
    }

    /// That both stores' ways to a redemption lead to `wanted`; also once they are opened again.
    void expect_loaded(const Redemption& wanted) {
        for (const bool reopened : {false, true}) {
            if (reopened) reopen();
            Needs needs;
            needs.redemptions = {wanted.id};
            World world = load(needs);
            expect_equal(world.find_redemption(wanted.id), wanted);
            ASSERT_NE(world.find(wanted.code), nullptr);
            EXPECT_EQ(world.find(wanted.code)->code.id, wanted.code_id);
            EXPECT_NE(world.find_book(wanted.book_id), nullptr);
            if (!wanted.order || wanted.rolled_back_at) continue;
            Needs by_order;
            by_order.codes = {{wanted.code, wanted.user_id}};
            by_order.orders = {{wanted.code, *wanted.order->id}};
            world = load(by_order);
            expect_equal(world.find_redemption(wanted.code_id, *wanted.order->id, wanted.user_id),
                         wanted);
        }
    }

    static void expect_equal(const Redemption* found, const Redemption& wanted) {
        ASSERT_NE(found, nullptr);
        EXPECT_EQ(found->id, wanted.id);
        EXPECT_EQ(found->code_id, wanted.code_id);
        EXPECT_EQ(found->code, wanted.code);
        EXPECT_EQ(found->book_id, wanted.book_id);
        EXPECT_EQ(found->user_id, wanted.user_id);
        EXPECT_TRUE(found->order == wanted.order);
        EXPECT_TRUE(found->discount == wanted.discount);
        EXPECT_EQ(found->given_back, wanted.given_back);
        EXPECT_EQ(found->at, wanted.at);
        EXPECT_EQ(found->rolled_back_at, wanted.rolled_back_at);
    }

    static void expect_equal(const Redemption& found, const Redemption& wanted) {
        expect_equal(&found, wanted);
    }

    std::vector<Redemption> redemptions_of(const std::string& user) {
        return tested_.reads().find_user({user, 0, 100}).value().redemptions;
    }

    /// How often each user ever has, by book.
    std::vector<std::string> user_counts() {
        return tested_.connect().rows(
            "SELECT book_id, user_id, redeemed FROM usage_count "
            "JOIN coupon_user ON number = user_number WHERE per = 0 ORDER BY 1, 2");
    }
    /// By book, time and currency; `times`: what of time is told.
    std::vector<std::string> discount_counts(const std::string& times) {
        return tested_.connect().rows(
            "SELECT book_id, currency, sum(amount) FROM discount_count "
            "WHERE since " +
            times + " GROUP BY 1, 2 ORDER BY 1, 2");
    }
    std::vector<std::string> rolled_back_and_discounts(const std::string& table) {
        return tested_.connect().rows(
            "SELECT book_id, sum(rolled_back), sum(discount_cents) FROM " + table +
            " GROUP BY 1 ORDER BY 1");
    }

    void reopen() {
        tested_.close();
        tested_.open();
    }

    /// Of the rows from their ledger. The store must be closed.
    std::vector<std::string> differences() {
#ifdef COUPOND_TEST_ON_POSTGRES
        const auto database = open_postgres(PostgresStore::url());
        const auto snapshot = database->open_snapshot();
#else
        sqlite::Database database(tested_.folder(), sqlite::Access::look);
        const auto snapshot = database.open_snapshot();
#endif
        return verify(*snapshot, clock_.now(), [](std::int64_t, std::int64_t) {}).lines;
    }

    /// That all of it agrees with its ledger.
    void expect_verified() {
        expect_counted(tested_.connect());
        tested_.close();
        EXPECT_EQ(differences(), std::vector<std::string>{});
        tested_.open();
    }

    TestedStore tested_;
    ManualClock clock_;
};

using Rows = std::vector<std::string>;

TEST_F(RedemptionsTest, AreLoadedAsTheyWereMade) {
    clock_.advance(7);
    const Redemption first = redeem("A", order("o \u20ac 'x'", 12'345));
    EXPECT_TRUE(first.discount == (Money{1'235, currency("EUR")}));
    EXPECT_EQ(first.at, clock_.now());
    expect_loaded(first);
    const Redemption second = redeem("B", order("o", 0));
    EXPECT_TRUE(second.discount == (Money{0, currency("EUR")}));
    expect_loaded(second);
    expect_loaded(first);
    expect_verified();
}

TEST_F(RedemptionsTest, OfEveryDiscountAreLoadedAsTheyWereMade) {
    run({CreateBook{"none", "p", {}, {}}, with_discount({"short", "p"}, from_short_form(1'999))});
    CreateBook dear{"dear", "p", {}, {}};
    dear.discount = Discount{};
    dear.discount->value = limits::order_minor_units;
    dear.discount->currency = currency("CLF");
    run({dear});
    run({UploadCodes{2, {"N", "NO"}}, UploadCodes{3, {"S", "SO"}}, UploadCodes{4, {"X"}}});
    for (const char* const code : {"N", "NO", "S", "SO", "X"}) take(code, "ann");
    const Redemption all[] = {redeem("N"), redeem("NO", order("o", 5, "KWD")), redeem("S"),
                              redeem("SO", order("o", limits::order_minor_units, "JPY")),
                              redeem("X", order("o", limits::order_minor_units, "CLF"))};
    EXPECT_TRUE(all[0].discount == std::nullopt && all[1].discount == std::nullopt);
    EXPECT_TRUE(all[2].discount == Money{1'999});
    EXPECT_TRUE(all[3].discount == (Money{20, currency("JPY")}));
    EXPECT_TRUE(all[4].discount == (Money{limits::order_minor_units, currency("CLF")}));
    for (const Redemption& redemption : all) expect_loaded(redemption);
    expect_verified();
}

TEST_F(RedemptionsTest, ThatAreNoneAreNotFound) {
    const Redemption made = redeem("A", order("o"));
    Needs needs;
    needs.redemptions = {0, -1, 1, made.id - 1, made.id + 1, made.id, INT64_MAX};
    World world = load(needs);
    for (const EntryId id : needs.redemptions) {
        EXPECT_EQ(world.find_redemption(id) != nullptr, id == made.id) << id;
    }
    Needs others;
    others.codes = {{"A", "ann"}, {"B", "ann"}};
    others.orders = {{"A", "O"}, {"A", ""}, {"B", "o"}, {"none", "o"}};
    world = load(others);
    EXPECT_EQ(world.find_redemption(made.id), nullptr);
    // Of the same order by somebody else's code.
    take("B", "ann");
    EXPECT_FALSE(one<CodeRedeemed>(RedeemCode{"B", "ann", order("o")}).replayed);
    EXPECT_TRUE(one<CodeRedeemed>(RedeemCode{"A", "ann", order("o")}).replayed);
}

TEST_F(RedemptionsTest, AreToldAgainWithoutAChange) {
    const Redemption made = redeem("A", order("o"));
    const auto before = contents_behind(tested_.connect());
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        const auto again = one<CodeRedeemed>(RedeemCode{"A", "ann", order("o", 1, "USD")});
        EXPECT_TRUE(again.replayed);
        expect_equal(again.redemption, made);
        EXPECT_EQ(contents_behind(tested_.connect()), before);
    }
}

TEST_F(RedemptionsTest, ThatAreTakenBackInPartAndAsAWholeAreLoadedSo) {
    const Redemption made = redeem("A", order("o"));
    clock_.advance(5);
    Redemption left = roll_back(made.id, 2'5000);
    EXPECT_EQ(left.given_back, 250);
    expect_loaded(left);
    left = roll_back(made.id, 100);
    EXPECT_EQ(left.given_back, 251);
    EXPECT_EQ(left.rolled_back_at, std::nullopt);
    expect_loaded(left);
    EXPECT_EQ(load_code(tested_.store(), "A")->redeemed_at, made.at);
    clock_.advance(5);
    left = roll_back(made.id);
    EXPECT_EQ(left.given_back, 1'000);
    EXPECT_EQ(left.rolled_back_at, clock_.now());
    expect_loaded(left);
    EXPECT_EQ(one<Refusal>(RollBack{made.id, ""}), Refusal::already_rolled_back);

    const Code code = load_code(tested_.store(), "A").value();
    EXPECT_EQ(code.assigned_to, "ann");
    EXPECT_EQ(code.redeemed_at, std::nullopt);
    EXPECT_FALSE(code.is_locked(clock_.now()));
    EXPECT_TRUE(code.ever_locked);
    expect_verified();
}

TEST_F(RedemptionsTest, OfTheSameOrderAgainAreOthers) {
    const Redemption first = redeem("A", order("o"));
    const Redemption gone = roll_back(first.id);
    run({LockCode{"A", "ann", 1000}});
    const Redemption second = redeem("A", order("o", 5'000));
    EXPECT_GT(second.id, first.id);
    expect_loaded(gone);
    expect_loaded(second);
    expect_loaded(roll_back(second.id));
    expect_loaded(gone);
    expect_verified();
}

TEST_F(RedemptionsTest, OfOneBatchAreTakenBackAndMadeAgain) {
    const Redemption first = redeem("A", order("o"));
    const auto outcomes =
        run({RollBack{first.id, ""}, LockCode{"A", "ann", 1000}, RedeemCode{"A", "ann", order("o")},
             RedeemCode{"A", "ann", order("o")}, RollBack{first.id, ""},
             RedeemCode{"B", "ann", order("o")}, RedeemCode{"C", "ann", order("o")}});
    EXPECT_TRUE(std::get<RolledBack>(outcomes[0]).redemption.rolled_back_at);
    const Redemption second = std::get<CodeRedeemed>(outcomes[2]).redemption;
    EXPECT_TRUE(std::get<CodeRedeemed>(outcomes[3]).replayed);
    EXPECT_EQ(std::get<CodeRedeemed>(outcomes[3]).redemption.id, second.id);
    EXPECT_EQ(std::get<Refusal>(outcomes[4]), Refusal::already_rolled_back);
    EXPECT_TRUE(std::holds_alternative<CodeRedeemed>(outcomes[5]));
    EXPECT_EQ(std::get<Refusal>(outcomes[6]), Refusal::user_redemption_limit_reached);
    expect_loaded(second);
    EXPECT_EQ(user_counts(), Rows{"1|ann|2"});
    expect_verified();
}

TEST_F(RedemptionsTest, GiveTheirUsersBackWhatTheyMayRedeem) {
    const Redemption first = redeem("A", order("o")), second = redeem("B", order("o"));
    EXPECT_EQ(one<Refusal>(RedeemCode{"C", "ann", order("o")}),
              Refusal::user_redemption_limit_reached);
    roll_back(first.id, 1'0000);
    EXPECT_EQ(user_counts(), Rows{"1|ann|2"});
    roll_back(first.id);
    EXPECT_EQ(user_counts(), Rows{"1|ann|1"});
    roll_back(second.id);
    EXPECT_EQ(user_counts(), Rows{"1|ann|0"});
    expect_verified();
    redeem("C", order("o"));
    EXPECT_EQ(user_counts(), Rows{"1|ann|1"});
    redeem("D", order("o"));
    EXPECT_EQ(user_counts(), Rows{"1|ann|2"});
    EXPECT_EQ(one<Refusal>(LockCode{"A", "ann", 1000}), Refusal::user_redemption_limit_reached);
    expect_verified();
}

TEST_F(RedemptionsTest, OfUsersWhoAreCountedByTheirCodesAreGivenBackToo) {
    run({CreateBook{"m", "p", {}, {}}, UploadCodes{2, {"K", "L", "M"}}});
    for (const char* const code : {"K", "L", "M"}) take(code, "bob");
    const auto redeem_of_bob = [&](const std::string& code) {
        return one<CodeRedeemed>(RedeemCode{code, "bob", order("o", 5, "USD")}).redemption;
    };
    const Redemption first = redeem_of_bob("K"), second = redeem_of_bob("L");
    limit_users(2, 1);
    EXPECT_EQ(user_counts(), Rows{});
    roll_back(first.id);
    EXPECT_EQ(user_counts(), Rows{"2|bob|1"});
    EXPECT_EQ(one<Refusal>(RedeemCode{"M", "bob"}), Refusal::user_redemption_limit_reached);
    roll_back(second.id);
    EXPECT_EQ(user_counts(), Rows{"2|bob|0"});
    redeem_of_bob("M");
    EXPECT_EQ(user_counts(), Rows{"2|bob|1"});
    expect_verified();
}

TEST_F(RedemptionsTest, AreCountedByTheirCurrencies) {
    run({with_discount({"m", "p"}, from_short_form(500)), UploadCodes{2, {"K", "L", "M"}}});
    for (const char* const code : {"K", "L", "M"}) take(code, "ann");
    const Redemption euros = redeem("A", order("o")), yen = redeem("K", order("o", 9'999, "JPY"));
    const Redemption others = redeem("L", order("o", 9'999, "EUR")), none = redeem("M");
    for (const char* const times : {"= -1", "> -1"}) {
        EXPECT_EQ(discount_counts(times),
                  (Rows{"0|EUR|1500", "0|JPY|5", "1|EUR|1000", "2|EUR|500", "2|JPY|5"}));
    }
    EXPECT_EQ(rolled_back_and_discounts("book_count"), (Rows{"0|0|500", "1|0|0", "2|0|500"}));
    roll_back(euros.id, 1'0000);
    roll_back(none.id, 1'0000);
    roll_back(yen.id);
    EXPECT_EQ(discount_counts("= -1"),
              (Rows{"0|EUR|1400", "0|JPY|0", "1|EUR|900", "2|EUR|500", "2|JPY|0"}));
    EXPECT_EQ(rolled_back_and_discounts("book_count"), (Rows{"0|1|400", "1|0|0", "2|1|400"}));
    EXPECT_EQ(rolled_back_and_discounts("activity_count"), (Rows{"0|1|400", "1|0|0", "2|1|400"}));
    clock_.advance(900'000);
    roll_back(others.id);
    roll_back(none.id);
    expect_verified();

    const std::int64_t begin = ManualClock().now().ms / 900'000 * 900'000;
    StatisticsQuery query{2, {{begin}, {begin + 900'000}, {begin + 1'800'000}}};
    const Statistics of_one = tested_.reads().load_statistics(query, clock_.now()).value();
    EXPECT_EQ(of_one.rolled_back, 3);
    EXPECT_EQ(of_one.discount_cents, 0);
    EXPECT_EQ(of_one.discounts.size(), 2U);
    EXPECT_EQ(of_one.discounts.at(currency("EUR")), 0);
    EXPECT_EQ(of_one.series[0].activity.rolled_back, 1);
    EXPECT_EQ(of_one.series[0].activity.discount_cents, 400);
    EXPECT_EQ(of_one.series[0].activity.discounts,
              (std::map<Currency, std::int64_t>{{currency("EUR"), 500}}));
    EXPECT_EQ(of_one.series[1].activity.rolled_back, 2);
    EXPECT_EQ(of_one.series[1].activity.discount_cents, -400);
    EXPECT_EQ(of_one.series[1].activity.discounts,
              (std::map<Currency, std::int64_t>{{currency("EUR"), -500}}));
    EXPECT_EQ(of_one.counts.redeemed, 0);
    query.book_id.reset();
    const Statistics of_all = tested_.reads().load_statistics(query, clock_.now()).value();
    EXPECT_EQ(of_all.rolled_back, 3);
    EXPECT_EQ(of_all.discounts.at(currency("EUR")), 900);
    EXPECT_EQ(of_all.counts.redeemed, 1);
}

TEST_F(RedemptionsTest, AreShownWhileTheyStand) {
    const Redemption made = redeem("A", order("o")), other = redeem("B", order("o"));
    const auto shown = [&] { return tested_.reads().find_code("A", 100).value()->redemptions; };
    expect_equal(redemptions_of("ann").at(0), made);
    expect_equal(shown().at(0), made);
    // Behind it, some is given back, and the code's settings are changed.
    Redemption left = roll_back(made.id, 2'5000);
    EditCode edit{"A", {}, {}, {}};
    edit.wish.active = false;
    edit.wished.set(0);
    run({edit});
    left = roll_back(made.id, 1'0000);
    expect_equal(redemptions_of("ann").at(0), left);
    expect_equal(shown().at(0), left);
    roll_back(made.id);
    ASSERT_EQ(redemptions_of("ann").size(), 1U);
    expect_equal(redemptions_of("ann").at(0), other);
    EXPECT_TRUE(shown().empty());
}

TEST_F(RedemptionsTest, AreListedAsEntries) {
    const Redemption made =
        one<CodeRedeemed>(RedeemCode{"A", "ann", order("o \u20ac")}, "r1").redemption;
    run({RollBack{made.id, "It \"broke\" \u20ac", 2'5000}}, "r2");
    clock_.advance(3);
    run({RollBack{made.id, ""}}, "r3");
    EntryQuery query;
    query.after = made.id - 1;
    query.limit = 100;
    const EntryPage page = tested_.reads().list_entries(query).value();
    ASSERT_EQ(page.entries.size(), 3U);
    using enum LedgerEntry::Type;
    const LedgerEntry::Type types[] = {code_redeemed, discount_given_back, redemption_rolled_back};
    const std::int64_t discounts[] = {1'000, 250, 750};
    for (std::size_t i = 0; i < 3; ++i) {
        const auto& [entry, code] = page.entries[i];
        EXPECT_EQ(entry.type, types[i]);
        EXPECT_EQ(code, "A");
        EXPECT_EQ(entry.book_id, 1);
        EXPECT_EQ(entry.code_id, made.code_id);
        EXPECT_EQ(entry.user_id, "ann");
        EXPECT_TRUE(entry.discount == (Money{discounts[i], currency("EUR")}));
        EXPECT_EQ(entry.redemption_id, i == 0 ? std::nullopt : std::optional(made.id));
        EXPECT_EQ(entry.detail, i == 1 ? "It \"broke\" \u20ac" : "");
        EXPECT_EQ(entry.request_id, "r" + std::to_string(i + 1));
        EXPECT_EQ(entry.at, i < 2 ? made.at : clock_.now());
        EXPECT_TRUE(entry.order == (i == 0 ? made.order : std::nullopt));
        if (i > 0) {
            EXPECT_EQ(entry.previous, page.entries[i - 1].entry.id);
        }
    }
    query.type = redemption_rolled_back;
    EXPECT_EQ(tested_.reads().list_entries(query)->entries.size(), 1U);
}

TEST_F(RedemptionsTest, OfWhoWasErasedAreTheirsUnderAnotherName) {
    Redemption made = redeem("A", order("o"));
    run({EraseUser{"ann", "erased-1"}});
    made.user_id = "erased-1";
    expect_loaded(made);
    take("B", "erased-1");
    EXPECT_EQ(one<Refusal>(RedeemCode{"A", "ann", order("o")}), Refusal::not_assigned_to_user);
    EXPECT_EQ(roll_back(made.id).user_id, "erased-1");
    EXPECT_EQ(user_counts(), Rows{"1|erased-1|0"});
    EXPECT_EQ(load_code(tested_.store(), "A")->assigned_to, "erased-1");
    expect_verified();
}

TEST_F(RedemptionsTest, OfACodeThatWasPassedOnAreStillTheirFirstUsers) {
    const Redemption first = redeem("A", order("o"));
    const Redemption gone = roll_back(first.id);
    run({UnassignCode{"A", {}}});
    take("A", "bob");
    const Redemption second = one<CodeRedeemed>(RedeemCode{"A", "bob", order("o")}).redemption;
    EXPECT_EQ(second.user_id, "bob");
    expect_loaded(gone);
    expect_loaded(second);
    EXPECT_EQ(one<Refusal>(RollBack{first.id, ""}), Refusal::already_rolled_back);
    EXPECT_EQ(user_counts(), (Rows{"1|ann|0", "1|bob|1"}));
    expect_verified();
}

// They are not as yet: who looks for the redemption goes back change by change, and the first one
// is gone.
TEST_F(RedemptionsTest, AreShownAlsoWhereChangesBehindThemWereMovedOut) {
    const Redemption made = redeem("A", order("o"));
    EditCode edit{"A", {}, {}, {}};
    edit.wish.active = false;
    edit.wished.set(0);
    run({edit});
    const Redemption left = roll_back(made.id, 1'0000);
    EntryQuery query;
    query.limit = 100;
    const EntryPage page = tested_.reads().list_entries(query).value();
    std::vector<EntryId> ids;
    for (const EntryListing& listing : page.entries) ids.push_back(listing.entry.id);
#ifdef COUPOND_TEST_ON_POSTGRES
    const auto database = open_postgres(PostgresStore::url());
    const auto retention = database->open_ledger_retention();
#else
    sqlite::Database database(tested_.folder(), sqlite::Access::share);
    const auto retention = database.open_ledger_retention();
#endif
    EXPECT_GT(retention->remove(retention->superseded(ids)), 0);
    ASSERT_EQ(redemptions_of("ann").size(), 1U);
    expect_equal(redemptions_of("ann")[0], left);
    EXPECT_EQ(tested_.reads().find_code("A", 100).value()->redemptions.size(), 1U);
}

TEST_F(RedemptionsTest, AreNotMovedOutOfTheLedgerNorWhatTakesThemBack) {
    const Redemption made = redeem("A", order("o")), other = redeem("B", order("o"));
    roll_back(made.id, 1'0000);
    roll_back(other.id, 1'0000);
    roll_back(other.id);
    run({LockCode{"B", "ann", 1000}});
    EntryQuery query;
    query.limit = 100;
    std::vector<EntryId> ids;
    const EntryPage page = tested_.reads().list_entries(query).value();
    for (const EntryListing& listing : page.entries) {
        ids.push_back(listing.entry.id);
    }
#ifdef COUPOND_TEST_ON_POSTGRES
    const auto database = open_postgres(PostgresStore::url());
    const auto retention = database->open_ledger_retention();
#else
    sqlite::Database database(tested_.folder(), sqlite::Access::share);
    const auto retention = database.open_ledger_retention();
#endif
    EXPECT_GT(retention->remove(retention->superseded(ids)), 0);
    EXPECT_EQ(tested_.connect().rows("SELECT type, count(*) FROM ledger WHERE type IN (5, 13, 14) "
                                     "GROUP BY type ORDER BY type"),
              (Rows{"5|2", "13|1", "14|2"}));
    ASSERT_EQ(redemptions_of("ann").size(), 1U);
    EXPECT_EQ(redemptions_of("ann")[0].given_back, 100);
    expect_verified();
}

TEST_F(RedemptionsTest, ThatCannotBeAreNotLoaded) {
    const Redemption made = redeem("A", order("o"));
    roll_back(made.id, 1'0000);
    const std::string of_it = " WHERE id = " + std::to_string(made.id);
    Needs needs;
    needs.redemptions = {made.id};
    for (const std::string wrong : {"currency = 'XXQ'", "currency = NULL", "order_amount = -1",
                                    "order_amount = 1000000000001", "discount_cents = -1",
                                    "discount_cents = 1000000000001"}) {
        tested_.connect().run("UPDATE ledger SET " + wrong + of_it);
        EXPECT_EQ(tested_.store().load(needs).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().find_user({"ann", 0, 100}).error(), Failure::unavailable)
            << wrong;
        tested_.connect().run(
            "UPDATE ledger SET currency = 'EUR', order_amount = 10000, discount_cents = 1000" +
            of_it);
    }
    EXPECT_EQ(redemptions_of("ann").size(), 1U);
    Result<World> world = loaded(tested_.store(), needs);
    EXPECT_TRUE(world);
}

TEST_F(RedemptionsTest, OfADiscountOfABookAreKeptWithIt) {
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        const Book book = load_book(tested_.store(), 1).value();
        EXPECT_EQ(short_form(book.discount), std::nullopt);
        EXPECT_EQ(book.discount->type, Discount::Type::percent);
        EXPECT_TRUE(book.discount->currency == currency("EUR"));
    }
    EditBook edit{1, {}, {}};
    edit.wished.set(3);
    for (const auto& discount : {from_short_form(750), from_short_form({})}) {
        edit.wish.discount = discount;
        run({edit});
        EXPECT_EQ(load_book(tested_.store(), 1)->discount, discount);
        EXPECT_EQ(tested_.reads().list_books({.limit = 1}, noon)->books[0].book.discount, discount);
    }
    expect_verified();
}

// How much of books' limits they use.

constexpr Timestamp today = noon + -43'200'000;  ///< a Sunday, the 22nd
constexpr std::int64_t day_ms = 86'400'000;

class UsagesTest : public RedemptionsTest {
protected:
    /// Book 2: five euros off, without limits, with the codes K to P.
    UsagesTest() {
        run({with_discount({"m", "p"}, five_of("EUR"))});
        run({UploadCodes{2, {"K", "L", "M", "N", "O", "P"}}});
    }

    static Discount five_of(std::string_view code) {
        Discount discount;
        discount.value = 500;
        discount.currency = currency(code);
        return discount;
    }

    /// Changes some members of book 2, of which it tells whether they count.
    template <class Change>
    void edit(std::initializer_list<std::size_t> members, const Change& change) {
        EditBook edit{2, {}, {}};
        change(edit.wish);
        for (const std::size_t member : members) edit.wished.set(member);
        one<BookChanged>(edit);
    }

    /// Has all of book 2 limited that can be.
    void limit() {
        edit({2, 9, 10, 11}, [](BookWish& wish) {
            wish.max_redemptions_per_user = wish.max_redemptions = 100;
            wish.budget = 1'000'0000;
            const Limits limits{100, 100, 1'000'0000};
            wish.limits = {{Per::day, limits}, {Per::week, limits}, {Per::month, limits}};
        });
    }

    /// A user redeems a code, which is free or theirs.
    Redemption use(const std::string& code, const std::string& user = "ann",
                   const std::optional<Order>& of = {}) {
        const auto outcomes =
            run({AssignCode{code, user}, LockCode{code, user, 1000}, RedeemCode{code, user, of}});
        return std::get<CodeRedeemed>(outcomes.back()).redemption;
    }

    /// Since when, in days and hours from `today`.
    static std::string since_text(Timestamp since) {
        const std::int64_t hours = (since.ms - today.ms) / 3'600'000;
        EXPECT_EQ(today + hours * 3'600'000, since);
        std::string text = std::to_string(hours / 24);
        if (hours % 24 != 0) {
            text += (hours > 0 ? "+" : "") + std::to_string(hours % 24) + "h";
        }
        return text;
    }

    static std::string text(const std::string& user, Per per, const Usage& usage) {
        constexpr const char* names[] = {"ever", "day", "week", "month"};
        std::string text = user + (user.empty() ? "" : " ") + names[static_cast<int>(per)];
        if (usage.since != all_times) text += " " + since_text(usage.since);
        text += ": " + std::to_string(usage.redeemed);
        if (usage.amount != 0) text += ", " + std::to_string(usage.amount);
        if (usage.currency) text += " " + std::string(usage.currency->code());
        return text;
    }

    /// What a store counts of book 2 for a user: all, and what is theirs.
    Rows counted(const std::string& user = "ann") {
        Rows rows;
        for (const auto& [key, row] : usages_of(tested_.store(), "P", user, clock_.now())) {
            EXPECT_EQ(key.book_id, 2);
            EXPECT_FALSE(row.changed);
            rows.push_back(text(key.user_id, key.per, row.now));
        }
        return rows;
    }

    /// The same, as it is saved.
    Rows saved(const std::string& user = "ann") {
        Rows rows;
        for (const auto& [key, row] : usages_of(tested_.store(), "P", user, clock_.now())) {
            if (row.loaded) rows.push_back(text(key.user_id, key.per, *row.loaded));
        }
        return rows;
    }

    /// Of book 2: since which minute of `today` how much stands, and of what currency.
    Rows standing() {
        const std::string minute = "(since - " + std::to_string(today.ms) + ") / 60000";
        return tested_.connect().rows("SELECT " + minute +
                                      ", '', sum(standing) FROM activity_count WHERE book_id = 2 "
                                      "GROUP BY since HAVING sum(standing) <> 0 UNION ALL SELECT " +
                                      minute +
                                      ", currency, sum(standing) FROM discount_count "
                                      "WHERE book_id = 2 GROUP BY since, currency "
                                      "HAVING sum(standing) <> 0 ORDER BY 1, 2");
    }
};

TEST_F(UsagesTest, AreCountedFromWhatStandsWhereTheyWereNotYet) {
    clock_.advance(-25 * day_ms);
    use("K");
    clock_.advance(13 * day_ms);
    use("L");
    clock_.advance(7 * day_ms);
    use("M", "bob");
    clock_.advance(5 * day_ms);
    roll_back(use("N").id);
    roll_back(use("O").id, 2'0000);
    EXPECT_EQ(counted(), Rows{});
    limit();
    EXPECT_EQ(counted(), (Rows{"ever: 4, 1800 EUR", "day 0: 1, 300 EUR", "week -6: 2, 800 EUR",
                               "month -21: 3, 1300 EUR", "ann ever: 3", "ann day 0: 1",
                               "ann week -6: 1", "ann month -21: 2"}));
    EXPECT_EQ(saved(), Rows{});
    const Rows of_all = counted("nobody");
    EXPECT_EQ(of_all, (Rows{"ever: 4, 1800 EUR", "day 0: 1, 300 EUR", "week -6: 2, 800 EUR",
                            "month -21: 3, 1300 EUR", "nobody ever: 0", "nobody day 0: 0",
                            "nobody week -6: 0", "nobody month -21: 0"}));
    use("N");
    const Rows then{"ever: 5, 2300 EUR",      "day 0: 2, 800 EUR", "week -6: 3, 1300 EUR",
                    "month -21: 4, 1800 EUR", "ann ever: 4",       "ann day 0: 2",
                    "ann week -6: 2",         "ann month -21: 3"};
    EXPECT_EQ(saved(), then);
    EXPECT_EQ(counted(), then);
    EXPECT_EQ(saved("bob"), (Rows{then.begin(), then.begin() + 4}));
    expect_verified();
}

TEST_F(UsagesTest, OfAnEarlierDayWeekOrMonthAreCountedAnew) {
    limit();
    const Redemption first = use("K");
    const Rows of_sunday{"ever: 1, 500 EUR",      "day 0: 1, 500 EUR", "week -6: 1, 500 EUR",
                         "month -21: 1, 500 EUR", "ann ever: 1",       "ann day 0: 1",
                         "ann week -6: 1",        "ann month -21: 1"};
    EXPECT_EQ(saved(), of_sunday);
    clock_.advance(day_ms);
    EXPECT_EQ(counted(),
              (Rows{"ever: 1, 500 EUR", "day 1: 0 EUR", "week 1: 0 EUR", "month -21: 1, 500 EUR",
                    "ann ever: 1", "ann day 1: 0", "ann week 1: 0", "ann month -21: 1"}));
    EXPECT_EQ(saved(), of_sunday);
    use("L");
    EXPECT_EQ(saved(), (Rows{"ever: 2, 1000 EUR", "day 1: 1, 500 EUR", "week 1: 1, 500 EUR",
                             "month -21: 2, 1000 EUR", "ann ever: 2", "ann day 1: 1",
                             "ann week 1: 1", "ann month -21: 2"}));
    roll_back(first.id);
    const Rows of_monday{"ever: 1, 500 EUR",      "day 1: 1, 500 EUR", "week 1: 1, 500 EUR",
                         "month -21: 1, 500 EUR", "ann ever: 1",       "ann day 1: 1",
                         "ann week 1: 1",         "ann month -21: 1"};
    EXPECT_EQ(saved(), of_monday);
    clock_.advance(9 * day_ms);  // Wednesday, the 2nd
    EXPECT_EQ(counted(),
              (Rows{"ever: 1, 500 EUR", "day 10: 0 EUR", "week 8: 0 EUR", "month 9: 0 EUR",
                    "ann ever: 1", "ann day 10: 0", "ann week 8: 0", "ann month 9: 0"}));
    EXPECT_EQ(saved(), of_monday);
    expect_verified();
    use("M", "bob");
    EXPECT_EQ(saved("bob"), (Rows{"ever: 2, 1000 EUR", "day 10: 1, 500 EUR", "week 8: 1, 500 EUR",
                                  "month 9: 1, 500 EUR", "bob ever: 1", "bob day 10: 1",
                                  "bob week 8: 1", "bob month 9: 1"}));
    Rows of_ann = saved();
    of_ann.erase(of_ann.begin(), of_ann.begin() + 4);
    EXPECT_EQ(of_ann, (Rows{of_monday.begin() + 4, of_monday.end()}));
    expect_verified();
}

// Also where it is only rolled back then, of which a count of that day has nothing.
TEST_F(UsagesTest, OfAnEarlierDayAreCountedAnewByARollBack) {
    limit();
    const Redemption first = use("K"), second = use("L");
    clock_.advance(day_ms);
    roll_back(first.id, 1'0000);
    EXPECT_EQ(saved(),
              (Rows{"ever: 2, 900 EUR", "day 1: 0 EUR", "week 1: 0 EUR", "month -21: 2, 900 EUR",
                    "ann ever: 2", "ann day 1: 0", "ann week 1: 0", "ann month -21: 2"}));
    roll_back(second.id);
    EXPECT_EQ(saved(),
              (Rows{"ever: 1, 400 EUR", "day 1: 0 EUR", "week 1: 0 EUR", "month -21: 1, 400 EUR",
                    "ann ever: 1", "ann day 1: 0", "ann week 1: 0", "ann month -21: 1"}));
    expect_verified();
}

TEST_F(UsagesTest, OfAnotherTimeZoneAreCountedAnew) {
    limit();
    use("K");
    clock_.advance(9 * 3'600'000);  // 23:21, and in Berlin Monday
    use("L", "bob");
    edit({8}, [](BookWish& wish) { wish.time_zone = "Europe/Berlin"; });
    EXPECT_EQ(counted("bob"),
              (Rows{"ever: 2, 1000 EUR", "day 0+23h: 1, 500 EUR", "week 0+23h: 1, 500 EUR",
                    "month -21-1h: 2, 1000 EUR", "bob ever: 1", "bob day 0+23h: 1",
                    "bob week 0+23h: 1", "bob month -21-1h: 1"}));
    use("M", "bob");
    EXPECT_EQ(saved("bob"),
              (Rows{"ever: 3, 1500 EUR", "day 0+23h: 2, 1000 EUR", "week 0+23h: 2, 1000 EUR",
                    "month -21-1h: 3, 1500 EUR", "bob ever: 2", "bob day 0+23h: 2",
                    "bob week 0+23h: 2", "bob month -21-1h: 2"}));
    expect_verified();
}

TEST_F(UsagesTest, OfAnotherCurrencyAreCountedAnew) {
    edit({9, 10}, [](BookWish& wish) {
        wish.max_redemptions = 100;
        wish.budget = 1'000'0000;
    });
    const Redemption euros = use("K");
    EXPECT_EQ(saved(), Rows{"ever: 1, 500 EUR"});
    edit({3}, [](BookWish& wish) { wish.discount = five_of("USD"); });
    EXPECT_EQ(counted(), Rows{"ever: 1 USD"});
    EXPECT_EQ(saved(), Rows{"ever: 1, 500 EUR"});
    const Redemption dollars = use("L");
    EXPECT_EQ(saved(), Rows{"ever: 2, 500 USD"});
    roll_back(euros.id, 1'0000);
    roll_back(dollars.id, 2'0000);
    EXPECT_EQ(saved(), Rows{"ever: 2, 300 USD"});
    expect_verified();
    edit({3, 10}, [](BookWish& wish) { wish.discount = from_short_form(500); });
    EXPECT_EQ(counted(), Rows{"ever: 2"});
    use("M", "ann", order("o", 500, "USD"));
    EXPECT_EQ(saved(), Rows{"ever: 3"});
    expect_verified();
    edit({3}, [](BookWish& wish) { wish.discount = five_of("USD"); });
    EXPECT_EQ(counted(), Rows{"ever: 3, 800 USD"});
    edit({3}, [](BookWish& wish) { wish.discount = five_of("EUR"); });
    EXPECT_EQ(counted(), Rows{"ever: 3, 400 EUR"});
    roll_back(euros.id);
    EXPECT_EQ(saved(), Rows{"ever: 2 EUR"});
    expect_verified();
}

TEST_F(UsagesTest, StandInTheQuarterOfAnHourInWhichTheyWereMade) {
    const Redemption first = use("K");
    EXPECT_EQ(standing(), (Rows{"855||1", "855|EUR|500"}));
    clock_.advance(15 * 60'000);
    edit({3}, [](BookWish& wish) { wish.discount = from_short_form(500); });
    const Redemption yen = use("L", "ann", order("o", 1'000, "JPY")), none = use("M");
    EXPECT_EQ(standing(), (Rows{"855||1", "855|EUR|500", "870||2", "870|JPY|5"}));
    clock_.advance(30 * 60'000);
    reopen();
    roll_back(first.id, 2'0000);
    roll_back(yen.id, 2'0000);
    roll_back(none.id, 2'0000);
    EXPECT_EQ(standing(), (Rows{"855||1", "855|EUR|300", "870||2", "870|JPY|3"}));
    roll_back(none.id);
    roll_back(yen.id);
    EXPECT_EQ(standing(), (Rows{"855||1", "855|EUR|300"}));
    roll_back(first.id);
    EXPECT_EQ(standing(), Rows{});
    use("K");
    EXPECT_EQ(standing(), (Rows{"900||1"}));
    expect_verified();
}

TEST_F(UsagesTest, ThatAValidationGoesByAreThoseOfTheMomentAsked) {
    limit();
    clock_.advance(-day_ms);
    use("K");
    clock_.advance(day_ms);
    use("L", "bob");
    take("P", "ann");
    std::vector<ValidateCode> all{{"P", "ann"},
                                  {"P", "ann", {}, clock_.now() + day_ms},
                                  {"P", "ann", {}, clock_.now() + -day_ms},
                                  {"P", "ann", {}, {}, "2026-12-01"},
                                  {"P", "nobody"},
                                  {"none", "ann"},
                                  {"A", "ann"}};
    std::vector<const ValidateCode*> asked;
    for (const ValidateCode& one : all) asked.push_back(&one);
    const auto before = contents_behind(tested_.connect());
    const auto found = tested_.reads().find_codes(asked, clock_.now()).value();
    EXPECT_EQ(contents_behind(tested_.connect()), before);
    ASSERT_EQ(found.size(), all.size());
    const auto used = [&](std::size_t i) {
        Rows rows;
        for (const bool of_all : {true, false}) {
            for (const Per per : all_pers) {
                const Used& those = found[i]->used;
                const auto place = static_cast<std::size_t>(per);
                rows.push_back(text(of_all ? "" : all[i].user_id, per,
                                    of_all ? those.by_all[place] : those.by_user[place]));
            }
        }
        return rows;
    };
    EXPECT_EQ(used(0), counted());
    EXPECT_EQ(used(0), (Rows{"ever: 2, 1000 EUR", "day 0: 1, 500 EUR", "week -6: 2, 1000 EUR",
                             "month -21: 2, 1000 EUR", "ann ever: 1", "ann day 0: 0",
                             "ann week -6: 1", "ann month -21: 1"}));
    EXPECT_EQ(used(1),
              (Rows{"ever: 2, 1000 EUR", "day 1: 0 EUR", "week 1: 0 EUR", "month -21: 2, 1000 EUR",
                    "ann ever: 1", "ann day 1: 0", "ann week 1: 0", "ann month -21: 1"}));
    EXPECT_EQ(used(2), (Rows{"ever: 2, 1000 EUR", "day -1: 2, 1000 EUR", "week -6: 2, 1000 EUR",
                             "month -21: 2, 1000 EUR", "ann ever: 1", "ann day -1: 1",
                             "ann week -6: 1", "ann month -21: 1"}));
    EXPECT_EQ(used(3), (Rows{"ever: 2, 1000 EUR", "day 9: 0 EUR", "week 8: 0 EUR", "month 9: 0 EUR",
                             "ann ever: 1", "ann day 9: 0", "ann week 8: 0", "ann month 9: 0"}));
    for (const Usage& usage : found[4]->used.by_user) EXPECT_EQ(usage.redeemed, 0);
    EXPECT_EQ(found[4]->used.by_all, found[0]->used.by_all);
    EXPECT_FALSE(found[5]);
    EXPECT_EQ(found[6]->used.by_all, Used().by_all);
}

TEST_F(UsagesTest, OfWhoIsErasedStayTheirs) {
    limit();
    use("K");
    const Rows before = counted();
    run({EraseUser{"ann", "e1"}});
    Rows after = before;
    for (std::string& row : after) {
        if (row.starts_with("ann")) row.replace(0, 3, "e1");
    }
    EXPECT_EQ(saved("e1"), after);
    take("P", "ann");
    Rows anew(before.begin(), before.begin() + 4);
    for (const char* const none :
         {"ann ever: 0", "ann day 0: 0", "ann week -6: 0", "ann month -21: 0"}) {
        anew.emplace_back(none);
    }
    EXPECT_EQ(saved(), anew);
    expect_verified();
}

TEST_F(UsagesTest, ThatNobodyCanHaveCountedAreNotLoaded) {
    limit();
    use("K");
    Needs needs;
    needs.codes = {{"P", "ann", true}};
    needs.at = clock_.now();
    const ValidateCode validate{"P", "ann"};
    const ValidateCode* const asked[] = {&validate};
    for (const char* const wrong : {"currency = 'XXQ'", "amount = 9223372036854775807"}) {
        tested_.connect().run("UPDATE usage_count SET " + std::string(wrong) +
                              " WHERE user_number = 0");
        EXPECT_EQ(loaded(tested_.store(), needs).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().find_codes(asked, clock_.now()).error(), Failure::unavailable);
        tested_.connect().run("UPDATE usage_count SET currency = 'EUR', amount = 0");
    }
}

TEST_F(UsagesTest, ThatAreWrongAreFound) {
    limit();
    use("K");
    clock_.advance(-day_ms);  // a clock set back, so that something is of another day
    use("L", "bob");
    clock_.advance(day_ms);
    const Redemption last = use("M");
    const std::string number =
        tested_.connect().text("SELECT number FROM coupon_user WHERE user_id = 'ann'");
    const std::string of_ann = "usage_count of book 2, user " + number + " per ";
    const std::pair<std::string, Rows> wrongs[] = {
        {"SELECT 1", {}},
        {"DELETE FROM usage_count", {}},  // they are counted anew
        {"UPDATE usage_count SET redeemed = 7 WHERE user_number = " + number + " AND per = 1",
         {of_ann + "day: redeemed is 7, by their codes it is 2"}},
        {"UPDATE usage_count SET since = since + -86400000 WHERE user_number = 0 AND per = 1",
         {"usage_count of book 2 per day: redeemed is 2, by their codes it is 3",
          "usage_count of book 2 per day: amount is 1000, by the ledger it is 1500"}},
        {"UPDATE usage_count SET since = " + std::to_string(last.at.ms + 1) +
             " WHERE user_number = " + number + " AND per = 3",
         {of_ann + "month: redeemed is 2, by their codes it is 0"}},
        {"UPDATE usage_count SET redeemed = 0 WHERE user_number = 0 AND per = 0",
         {"usage_count of book 2: redeemed is 0, by their codes it is 3"}},
        {"UPDATE usage_count SET amount = amount - 1 WHERE user_number = 0 AND per = 2",
         {"usage_count of book 2 per week: amount is 1499, by the ledger it is 1500"}},
        {"UPDATE usage_count SET currency = 'USD' WHERE user_number = 0 AND per = 3",
         {"usage_count of book 2 per month: amount is 1500, by the ledger it is 0"}},
        {"UPDATE usage_count SET user_number = 99 WHERE user_number = " + number + " AND per = 0",
         {"usage_count of book 2, user 99: redeemed is 2, by their codes it is 0"}},
        {"UPDATE usage_count SET book_id = 9 WHERE user_number = " + number + " AND per = 0",
         {"usage_count of book 9, user " + number + ": the book is not there",
          "usage_count of book 9, user " + number + ": redeemed is 2, by their codes it is 0"}},
        {"UPDATE activity_count SET standing = standing + 1 WHERE book_id = 2 AND redeemed = 2",
         {"activity_count since 2026-11-22T14:15:00.000Z of book 2: standing is 3, by the ledger "
          "it is 2"}},
        {"UPDATE discount_count SET standing = standing - 1 WHERE book_id = 2 AND standing = 1000",
         {"discount_count since 2026-11-22T14:15:00.000Z of book 2 in EUR: standing is 999, by the "
          "ledger it is 1000"}},
    };
    auto sql = tested_.connect();
    tested_.close();
    const std::string tables[] = {"usage_count", "activity_count", "discount_count"};
    for (const std::string& table : tables) {
        sql.run("CREATE TEMPORARY TABLE kept_" + table + " AS SELECT * FROM " + table);
    }
    for (const auto& [wrong, lines] : wrongs) {
        sql.run(wrong);
        EXPECT_EQ(differences(), lines) << wrong;
        for (const std::string& table : tables) {
            sql.run("DELETE FROM " + table + "; INSERT INTO " + table + " SELECT * FROM kept_" +
                    table);
        }
    }
}

}  // namespace
}  // namespace coupond::test
