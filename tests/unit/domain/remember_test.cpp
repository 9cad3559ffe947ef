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
    book.discount_cents = 1999;
    book.created_at = book.updated_at = noon;
    return book;
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
}

void expect_same(const Book& one, const Book& other) {
    EXPECT_EQ(one.id, other.id);
    EXPECT_EQ(one.name, other.name);
    EXPECT_EQ(one.code_pattern, other.code_pattern);
    EXPECT_EQ(one.max_redemptions_per_user, other.max_redemptions_per_user);
    EXPECT_EQ(one.discount_cents, other.discount_cents);
    EXPECT_EQ(one.created_at, other.created_at);
    EXPECT_EQ(one.updated_at, other.updated_at);
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
    expect_same(told_again<CodeRedeemed>(CodeRedeemed{redeemed}, RedeemCode{"A", "ann"}).code,
                redeemed);
    told_again<UserErased>(UserErased{}, EraseUser{"ann", "erased-1"});
    EXPECT_EQ(told_again<Refusal>(Refusal::not_locked, RedeemCode{"A", "ann"}),
              Refusal::not_locked);
}

TEST(Remember, KeepsNeitherUsersNorWhatWasUploaded) {
    EXPECT_EQ(remember(CodeAssigned{some_code()}).find("ann"), std::string::npos);
    EXPECT_EQ(remember(UserErased{}), "user_erased");
    const std::string text = remember(CodesUploaded{some_book(), 7, {"SECRET"}, noon});
    EXPECT_EQ(text.find("SECRET"), std::string::npos);
}

TEST(Remember, CannotReadWhatAnotherVersionHasWritten) {
    for (const char* const text :
         {"", "code_unlocked\n5", "refusal\nno_such_refusal", "code_locked", "code_locked\nx",
          "code_locked\n5\n6", "code_assigned\n7\n3"}) {
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

}  // namespace
}  // namespace coupond
