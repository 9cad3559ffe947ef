// Redemptions for orders, and what is taken back of them: what is saved is what is loaded and
// shown.
#include <gtest/gtest.h>

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
    /// locked.
    RedemptionsTest() {
        Discount discount;
        discount.type = Discount::Type::percent;
        discount.value = 10'00;
        discount.currency = currency("EUR");
        CreateBook book{"n", "p", 2, discount};
        run({book});
        run({UploadCodes{1, {"A", "B", "C", "D"}}});
        for (const char* const code : {"A", "B", "C", "D"}) take(code, "ann");
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

    std::vector<std::string> user_counts() {
        return tested_.connect().rows(
            "SELECT book_id, user_id, redeemed FROM user_redemption_count "
            "JOIN coupon_user ON number = user_number ORDER BY 1, 2");
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

    /// That all of it agrees with its ledger.
    void expect_verified() {
        expect_counted(tested_.connect());
        tested_.close();
#ifdef COUPOND_TEST_ON_POSTGRES
        const auto database = open_postgres(PostgresStore::url());
        const auto snapshot = database->open_snapshot();
#else
        sqlite::Database database(tested_.folder(), sqlite::Access::look);
        const auto snapshot = database.open_snapshot();
#endif
        EXPECT_EQ(verify(*snapshot, clock_.now(), [](std::int64_t, std::int64_t) {}).lines,
                  std::vector<std::string>{});
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
    run({CreateBook{"none", "p", {}, {}}, CreateBook{"short", "p", {}, from_short_form(1'999)}});
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
    run({LockCode{"A", "ann", 1000}});
    EXPECT_EQ(one<Refusal>(RedeemCode{"A", "ann", order("o")}),
              Refusal::user_redemption_limit_reached);
    expect_verified();
}

TEST_F(RedemptionsTest, OfUsersWhoAreCountedByTheirCodesAreGivenBackToo) {
    run({CreateBook{"m", "p", {}, {}}, UploadCodes{2, {"K", "L", "M"}}});
    for (const char* const code : {"K", "L", "M"}) take(code, "bob");
    const auto redeem_of_bob = [&](const std::string& code) {
        return one<CodeRedeemed>(RedeemCode{code, "bob", order("o", 5, "USD")}).redemption;
    };
    const Redemption first = redeem_of_bob("K"), second = redeem_of_bob("L");
    EditBook limit{2, {}, {}};
    limit.wish.max_redemptions_per_user = 1;
    limit.wished.set(2);
    run({limit});
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
    run({CreateBook{"m", "p", {}, from_short_form(500)}, UploadCodes{2, {"K", "L", "M"}}});
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
    const auto shown = [&] { return tested_.reads().find_code("A", 100).value()->redemption; };
    expect_equal(redemptions_of("ann").at(0), made);
    expect_equal(shown().value(), made);
    // Behind it, some is given back, and the code's settings are changed.
    Redemption left = roll_back(made.id, 2'5000);
    EditCode edit{"A", {}, {}, {}};
    edit.wish.active = false;
    edit.wished.set(0);
    run({edit});
    left = roll_back(made.id, 1'0000);
    expect_equal(redemptions_of("ann").at(0), left);
    expect_equal(shown().value(), left);
    roll_back(made.id);
    ASSERT_EQ(redemptions_of("ann").size(), 1U);
    expect_equal(redemptions_of("ann").at(0), other);
    EXPECT_FALSE(shown());
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
    EXPECT_TRUE(tested_.reads().find_code("A", 100).value()->redemption);
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

}  // namespace
}  // namespace coupond::test
