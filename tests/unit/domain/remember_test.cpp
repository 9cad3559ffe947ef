// What is remembered of a request with an idempotency key, and told again.
#include "domain/remember.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"
#include "domain/domain.hpp"

namespace coupond {
namespace {

constexpr Timestamp noon{1'795'348'800'000};

Code some_code() {
    Code code;
    code.id = 7;
    code.book_id = 3;
    code.code = "A";
    code.assigned_to = "ann";
    code.created_at = noon;
    return code;
}

Book some_book() {
    Book book;
    book.id = 3;
    book.name = "Summer";
    book.code_pattern = "S-{6}";
    book.discount = from_short_form(1999);
    book.created_at = book.updated_at = noon;
    return book;
}

/// Of some_code().
Redemption some_redemption() {
    Redemption redemption;
    redemption.id = 40;
    redemption.code_id = 7;
    redemption.code = "A";
    redemption.book_id = 3;
    redemption.user_id = "ann";
    redemption.at = noon + 3;
    return redemption;
}

void expect_same(const Redemption& one, const Redemption& other) {
    EXPECT_EQ(one.id, other.id);
    EXPECT_EQ(one.code_id, other.code_id);
    EXPECT_EQ(one.code, other.code);
    EXPECT_EQ(one.book_id, other.book_id);
    EXPECT_EQ(one.user_id, other.user_id);
    EXPECT_TRUE(one.order == other.order);
    EXPECT_TRUE(one.discount == other.discount);
    EXPECT_EQ(one.given_back, other.given_back);
    EXPECT_EQ(one.at, other.at);
    EXPECT_EQ(one.rolled_back_at, other.rolled_back_at);
}

void expect_same(const Code& one, const Code& other) {
    EXPECT_EQ(one.id, other.id);
    EXPECT_EQ(one.book_id, other.book_id);
    EXPECT_EQ(one.code, other.code);
    EXPECT_EQ(one.assigned_to, other.assigned_to);
    EXPECT_EQ(one.lock.has_value(), other.lock.has_value());
    if (one.lock && other.lock) {
        EXPECT_EQ(one.lock->until, other.lock->until);
    }
    EXPECT_EQ(one.redeemed_at, other.redeemed_at);
    EXPECT_EQ(one.created_at, other.created_at);
    EXPECT_EQ(row_text(one), row_text(other));
}

void expect_same(const Book& one, const Book& other) {
    EXPECT_EQ(one.id, other.id);
    EXPECT_EQ(change_text(nullptr, one), change_text(nullptr, other));
}

Book changed_book() {
    Book book = some_book();
    book.description = "of  words";
    book.active = false;
    book.starts_at = noon;
    book.ends_at = noon + 1;
    book.time_zone = "Europe/Berlin";
    book.lock_ttl_s = 7;
    book.metadata = R"({"a":[1,"b c"]})";
    book.archived_at = noon + 2;
    book.max_redemptions_per_user = 3;
    book.max_redemptions = 4;
    book.budget = 5;
    book.max_assignments_per_user = 10;
    book.max_redemptions_per_code = 11;
    book.open = true;
    book.limits[Per::week] = {6, 7, 8};
    book.counted = 9;
    book.updated_at = noon + 4;
    return book;
}

template <class T>
T told_again(const Outcome& outcome, const Command& command) {
    const auto again = recall(remember(outcome), command);
    EXPECT_TRUE(again.has_value());
    return std::get<T>(again.value());
}

TEST(Remember, TellsEveryOutcomeAgain) {
    expect_same(told_again<BookCreated>(BookCreated{some_book()}, CreateBook{}).book, some_book());

    const UploadCodes upload{3, {"A", "B"}};
    const CodesUploaded uploaded{some_book(), 7, upload.codes, noon};
    const auto again = told_again<CodesUploaded>(uploaded, upload);
    expect_same(again.book, some_book());
    EXPECT_EQ(again.first_id, 7);
    EXPECT_EQ(again.codes, upload.codes);
    EXPECT_EQ(again.created_at, noon);

    Code locked = some_code();
    locked.lock = Lock{"ann", noon + 5};
    expect_same(told_again<CodeAssigned>(CodeAssigned{locked}, AssignAny{"ann", {}}).code, locked);
    EXPECT_EQ(told_again<CodeLocked>(CodeLocked{noon + 5}, LockCode{"A", "ann", 5}).until,
              noon + 5);
    Code redeemed = some_code();
    redeemed.redeemed_at = noon + 3;
    expect_same(told_again<CodeRedeemed>(CodeRedeemed{redeemed, some_redemption(), false},
                                         RedeemCode{"A", "ann"})
                    .code,
                redeemed);
    told_again<CodeUnlocked>(CodeUnlocked{}, UnlockCode{"A", "ann"});
    Code free = some_code();
    free.assigned_to.reset();
    free.active = false;
    free.expires_at = noon + 9;
    free.metadata = R"({"a":1})";
    expect_same(told_again<CodeUnassigned>(CodeUnassigned{free}, UnassignCode{"A", "ann"}).code,
                free);
    told_again<UserErased>(UserErased{}, EraseUser{"ann", "erased-1"});
    EXPECT_EQ(told_again<Refusal>(Refusal::not_locked, RedeemCode{"A", "ann"}),
              Refusal::not_locked);
}

TEST(Remember, TellsOfRedemptionsWithTheirOrdersAndDiscounts) {
    const Currency eur = Currency::find("EUR").value(), jpy = Currency::find("JPY").value();
    Code code = some_code();
    code.redeemed_at = noon + 3;
    const Order order{"o \u20ac", 12'345, eur}, nothing_to_pay{"o", 0, jpy};
    for (const auto& of :
         {std::optional<Order>(), std::optional(order), std::optional(nothing_to_pay)}) {
        for (const auto& discount :
             {std::optional<Money>(), std::optional(Money{0}), std::optional(Money{1999}),
              std::optional(Money{0, jpy}), std::optional(Money{limits::order_minor_units, eur})}) {
            for (const bool replayed : {false, true}) {
                Redemption redemption = some_redemption();
                redemption.order = of;
                redemption.discount = discount;
                redemption.given_back = discount ? discount->amount / 2 : 0;
                const auto again = told_again<CodeRedeemed>(
                    CodeRedeemed{code, redemption, replayed}, RedeemCode{"A", "ann", of});
                expect_same(again.code, code);
                expect_same(again.redemption, redemption);
                EXPECT_EQ(again.replayed, replayed);
            }
        }
    }
}

TEST(Remember, TellsOfARollBackWhatItHasChanged) {
    for (const auto& at : {std::optional<Timestamp>(), std::optional(noon + 9)}) {
        Redemption redemption = some_redemption();
        redemption.discount = Money{1999};
        redemption.given_back = 1000;
        redemption.rolled_back_at = at;
        const auto again = told_again<RolledBack>(RolledBack{redemption}, RollBack{40, {}});
        EXPECT_EQ(again.redemption.id, 40);
        EXPECT_EQ(again.redemption.given_back, 1000);
        EXPECT_EQ(again.redemption.rolled_back_at, at);
    }
}

TEST(Remember, TellsOfBooksAndCodesAsTheyWereSet) {
    const Book book = changed_book();
    expect_same(told_again<BookCreated>(BookCreated{book}, CreateBook{}).book, book);
    for (const bool restored : {false, true}) {
        const auto again = told_again<BookChanged>(BookChanged{book, restored}, EditBook{});
        expect_same(again.book, book);
        EXPECT_EQ(again.restored, restored);
    }
    Code code = some_code();
    code.active = false;
    code.expires_at = noon + 9;
    code.metadata = R"({"a":"b c"})";
    expect_same(told_again<CodeAssigned>(CodeAssigned{code}, AssignAny{"ann", {}}).code, code);
    code.lock = Lock{"ann", noon + 5};
    Code changed = told_again<CodeChanged>(CodeChanged{code}, EditCode{}).code;
    EXPECT_EQ(changed.assigned_to, std::nullopt);  // nobody knows of whom
    changed.assigned_to = "ann";
    expect_same(changed, code);
    const UploadCodes upload{3, {"A"}};
    expect_same(told_again<CodesUploaded>(CodesUploaded{book, 7, {"A"}, noon}, upload).book, book);
}

TEST(Remember, TellsWhatWasContradicted) {
    const std::vector all{
        Fault::no_such_start,     Fault::no_such_end,      Fault::no_such_expiry,
        Fault::ends_before_start, Fault::amount_too_fine,  Fault::budget_without_currency,
        Fault::budget_too_fine,   Fault::assignment_fixed, Fault::case_fixed,
        Fault::blank_code,        Fault::code_named_twice};
    EXPECT_EQ(all.back(), last_fault);
    for (const Fault fault : all) {
        const auto again = told_again<Contradicted>(Contradicted{{fault}}, CreateBook{});
        EXPECT_EQ(again.faults, std::vector{fault});
    }
    EXPECT_EQ(told_again<Contradicted>(Contradicted{all}, CreateBook{}).faults, all);
    EXPECT_FALSE(recall("contradicted\n11", CreateBook{}));
    EXPECT_FALSE(recall("contradicted\n-1", CreateBook{}));
    EXPECT_FALSE(recall("contradicted\nx", CreateBook{}));
}

TEST(Remember, KeepsNeitherUsersNorWhatWasUploaded) {
    EXPECT_EQ(remember(CodeAssigned{some_code()}).find("ann"), std::string::npos);
    EXPECT_EQ(remember(UserErased{}), "user_erased");
    EXPECT_EQ(remember(CodeRedeemed{some_code(), some_redemption(), false}).find("ann"),
              std::string::npos);
    EXPECT_EQ(remember(RolledBack{some_redemption()}).find("ann"), std::string::npos);
    const std::string text = remember(CodesUploaded{some_book(), 7, {"SECRET"}, noon});
    EXPECT_EQ(text.find("SECRET"), std::string::npos);
}

TEST(Remember, CannotReadWhatAnotherVersionHasWritten) {
    for (const char* const text :
         {"", "code_unlocked\n5", "refusal\nno_such_refusal", "code_locked", "code_locked\nx",
          "code_locked\n5\n6", "code_assigned\n7\n3", "book_created\n3", "book_created\n3\nname a",
          "book_changed\n3\n\nname a\nno_member 1\n", "book_restored\n\n\nname a\n",
          "code_unassigned\n7\n3\nA\n\n\n5\nactive maybe\n",
          "code_unassigned\n7\n3\nA\n\n\n5\n\nactive maybe\n", "rolled_back", "rolled_back\n4",
          "rolled_back\n4\nx\n", "rolled_back\n4\n5\n6\n7", "redeemed", "code_redeemed\n7",
          // Of a currency that there is not, of the order and of the discount.
          "redeemed\n4\n5\n0\n0\no\n10\nXXQ\n5\nEUR\n7\n3\nA\n\n5\n5\n\n",
          "redeemed\n4\n5\n0\n0\no\n10\nEUR\n5\nXXQ\n7\n3\nA\n\n5\n5\n\n"}) {
        EXPECT_FALSE(recall(text, LockCode{"A", "ann", 5})) << text;
    }
    EXPECT_FALSE(recall(remember(CodesUploaded{some_book(), 7, {"A"}, noon}), CreateBook{}));
}

/// The outcome of a request that would create a book, with a key; `world` goes on.
Outcome create(World& world, const std::string& key, char fingerprint, Timestamp now,
               Delta* delta = nullptr) {
    Submission submission{CreateBook{"n", "p", {}, {}}, "request", {{key, {}}}};
    submission.idempotency->fingerprint.fill(fingerprint);
    const Submission* const one[] = {&submission};
    Decision decision = decide(world, one, now);
    if (delta != nullptr) *delta = std::move(decision.delta);
    return std::move(decision.outcomes.front());
}

TEST(Idempotency, DoesOnceWhatIsAskedForAgain) {
    World world;
    world.next_book_id = world.next_entry_id = 1;
    Delta delta;
    ASSERT_TRUE(std::holds_alternative<BookCreated>(create(world, "k", 'a', noon, &delta)));
    ASSERT_EQ(delta.memories.size(), 1u);
    EXPECT_EQ(delta.memories[0].key, "k");
    EXPECT_EQ(delta.memories[0].remembered.decided_at, noon);

    const Timestamp last = noon + (limits::idempotency_ms - 1);
    const auto again = std::get<Replayed>(create(world, "k", 'a', last, &delta));
    EXPECT_EQ(std::get<BookCreated>(again.outcome).book.id, 1);
    EXPECT_EQ(again.decided_at, noon);
    EXPECT_EQ(again.request_id, "request");
    EXPECT_TRUE(delta.empty());

    EXPECT_EQ(std::get<Refusal>(create(world, "k", 'b', last, &delta)),
              Refusal::idempotency_key_reused);
    EXPECT_EQ(delta.refusals.at({all_books, Refusal::idempotency_key_reused}), 1);
    EXPECT_TRUE(delta.entries.empty() && delta.memories.empty());

    world.remembered.at("k").outcome = "of another version";
    EXPECT_EQ(std::get<Refusal>(create(world, "k", 'a', last, &delta)),
              Refusal::first_answer_unreadable);
    EXPECT_TRUE(delta.entries.empty() && delta.memories.empty());

    const auto later = create(world, "k", 'b', last + 1, &delta);
    EXPECT_EQ(std::get<BookCreated>(later).book.id, 2);
    EXPECT_EQ(delta.memories.size(), 1u);
}

TEST(Idempotency, NamesWhoHasACodeNowWhereTheRequestDoesNot) {
    World world;
    world.next_entry_id = 1;
    world.books.emplace(3, some_book());
    CodeRow& row = world.add(some_code());
    EditCode edit{"A", {}, {}, {}};
    edit.wish.active = false;
    edit.wished.set(0);
    const Submission submission{edit, "request", {{"k", {}}}};
    const Submission* const one[] = {&submission};
    const Outcome first = decide(world, one, noon).outcomes.front();
    EXPECT_EQ(std::get<CodeChanged>(first).code.assigned_to, "ann");
    row.code.assigned_to = "erased-1";
    row.code.active = true;
    const Outcome outcome = decide(world, one, noon + 1).outcomes.front();
    const Code& again = std::get<CodeChanged>(std::get<Replayed>(outcome).outcome).code;
    EXPECT_EQ(again.assigned_to, "erased-1");
    EXPECT_FALSE(again.active);
}

/// A world in which ann has redeemed some_code() for 19.99.
World world_with_redemption() {
    World world;
    world.next_entry_id = 50;
    world.books.emplace(3, some_book());
    Code code = some_code();
    code.redeemed_at = noon;
    world.add(code);
    Redemption redemption = some_redemption();
    redemption.discount = Money{1999};
    world.add(redemption);
    return world;
}

TEST(Idempotency, TellsOfARollBackAsItWasAnswered) {
    World world = world_with_redemption();
    const Submission part{RollBack{40, "why", 5'0000}, "request", {{"part", {}}}};
    const Submission whole{RollBack{40, ""}, "request", {{"whole", {}}}};
    const Submission* const both[] = {&part, &whole};
    const Decision first = decide(world, both, noon + 1);
    ASSERT_EQ(first.delta.memories.size(), 2u);
    const Submission* const again[] = {&whole, &part};
    const Decision second = decide(world, again, noon + 2);
    EXPECT_TRUE(second.delta.empty());
    for (int i = 0; i < 2; ++i) {
        const auto& told = std::get<Replayed>(second.outcomes[static_cast<std::size_t>(1 - i)]);
        expect_same(std::get<RolledBack>(told.outcome).redemption,
                    std::get<RolledBack>(first.outcomes[static_cast<std::size_t>(i)]).redemption);
        EXPECT_EQ(told.decided_at, noon + 1);
    }
    EXPECT_EQ(std::get<RolledBack>(first.outcomes[0]).redemption.given_back, 500);
    EXPECT_EQ(std::get<RolledBack>(first.outcomes[1]).redemption.given_back, 1999);
}

TEST(Idempotency, CannotTellOfARollBackWhoseRedemptionIsGone) {
    World world = world_with_redemption();
    const Submission whole{RollBack{40, ""}, "request", {{"k", {}}}};
    const Submission* const one[] = {&whole};
    const Decision first = decide(world, one, noon + 1);
    World empty;
    empty.remembered = world.remembered;
    EXPECT_EQ(std::get<Refusal>(decide(empty, one, noon + 2).outcomes.front()),
              Refusal::first_answer_unreadable);
}

TEST(Idempotency, TellsARedemptionAgainAsItWasAnsweredAlsoWhereThatWasAReplay) {
    World world;
    world.next_entry_id = 50;
    world.books.emplace(3, some_book());
    Code code = some_code();
    code.lock = Lock{"ann", noon + 100};
    world.add(code);
    const Order order{"o", 1000, Currency::find("EUR").value()};
    std::vector<Submission> asked;
    for (const char* const key : {"a", "b", "a", "b"}) {
        asked.push_back({RedeemCode{"A", "ann", order}, "request", {{key, {}}}});
    }
    std::vector<const Submission*> pointers;
    for (const Submission& one : asked) pointers.push_back(&one);
    const Decision decision = decide(world, pointers, noon + 1);
    EXPECT_FALSE(std::get<CodeRedeemed>(decision.outcomes[0]).replayed);
    EXPECT_TRUE(std::get<CodeRedeemed>(decision.outcomes[1]).replayed);
    for (const std::size_t i : {2u, 3u}) {
        const auto& told = std::get<CodeRedeemed>(std::get<Replayed>(decision.outcomes[i]).outcome);
        EXPECT_EQ(told.replayed, i == 3);
        expect_same(told.redemption, std::get<CodeRedeemed>(decision.outcomes[0]).redemption);
    }
    EXPECT_EQ(decision.delta.entries.size(), 1u);
}

}  // namespace
}  // namespace coupond
