// All codes of a book, of one moment, in the order of their texts.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using Pass = CodeSnapshot::Pass;

/// `count` codes in no order, each once: what stands at a place follows from it.
std::vector<std::string> in_no_order(const std::string& prefix, std::uint32_t count) {
    std::vector<std::string> codes;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::string number =
            std::to_string(1'000'000'000u + i * 2'654'435'761u % 1'000'000'007u);
        codes.push_back(prefix + number + std::to_string(i));
    }
    return codes;
}

std::vector<std::string> sorted(std::vector<std::string> texts) {
    std::ranges::sort(texts);
    return texts;
}

class CodeSnapshotTest : public testing::Test {
protected:
    void run(const Command& command) {
        const auto outcomes = test::run(tested_.store(), command, clock_.now());
        ASSERT_TRUE(outcomes);
        ASSERT_FALSE(std::holds_alternative<Refusal>(outcomes->front()));
    }

    std::unique_ptr<CodeSnapshot> open() {
        return tested_.open_codes([] { return true; });
    }

    /// All of a pass.
    std::vector<Code> read(CodeSnapshot& snapshot, const CodeQuery& query,
                           Pass pass = Pass::by_code) {
        std::vector<Code> codes;
        const Result<bool> found = snapshot.begin(query, pass, clock_.now());
        EXPECT_TRUE(found && *found);
        for (bool more = found && *found; more;) {
            Result<std::vector<Code>> some = snapshot.next();
            EXPECT_TRUE(some);
            if (!some) break;
            EXPECT_LE(some->size(), query.limit);
            more = !some->empty();
            std::ranges::move(*some, std::back_inserter(codes));
        }
        return codes;
    }

    static std::vector<std::string> texts(const std::vector<Code>& codes) {
        std::vector<std::string> texts;
        for (const Code& code : codes) texts.push_back(code.code);
        return texts;
    }

    std::vector<std::string> texts_of(const CodeQuery& query) {
        const auto snapshot = open();
        return texts(read(*snapshot, query));
    }

    TestedStore tested_;
    ManualClock clock_;
};

TEST_F(CodeSnapshotTest, IsInTheOrderOfBytes) {
    const std::vector<std::string> codes{"b",   "a",          "\u00e4", "B",       "A-1", "A1",
                                         "A",   "\U0001F600", "\uFF5E", "aa",      "a ",  "a!",
                                         "a'1", "10",         "\u00c4", "a\u00e4", "9",   "~"};
    run(CreateBook{"one", "p", {}, {}});
    run(CreateBook{"other", "p", {}, {}});
    run(CreateBook{"empty", "p", {}, {}});
    // In several uploads, with those of the other book between them.
    for (std::size_t i = 0; i < codes.size(); i += 3) {
        run(UploadCodes{1, {codes[i], codes[i + 1], codes[i + 2]}});
        run(UploadCodes{2, {"a" + std::to_string(i), "x" + std::to_string(i)}});
    }
    EXPECT_EQ(texts_of({.book_id = 1, .limit = 100}), sorted(codes));
    for (std::size_t limit = 1; limit < 20; ++limit) {
        EXPECT_EQ(texts_of({.book_id = 1, .limit = limit}), sorted(codes));
    }
    EXPECT_EQ(texts_of({.book_id = 2, .limit = 5}).size(), 12u);
    EXPECT_TRUE(texts_of({.book_id = 3, .limit = 5}).empty());
}

TEST_F(CodeSnapshotTest, IsOfCodesThatMatch) {
    run(CreateBook{"one", "p", {}, {}});
    run(CreateBook{"other", "p", {}, {}});
    run(UploadCodes{1, {"S-3", "S-1", "T-9", "S-2", "S-", "s-1", "S.1", "T-1", "S-\u00e9"}});
    run(UploadCodes{2, {"S-0", "S-4"}});
    for (const char* const code : {"S-3", "T-1", "S-1", "S-4"}) run(AssignCode{code, "ann"});
    run(AssignCode{"T-9", "bob"});
    run(LockCode{"S-3", "ann", 1000});
    run(LockCode{"T-9", "bob", 1000});
    run(RedeemCode{"T-9", "bob"});
    using Texts = std::vector<std::string>;
    using enum CodeQuery::Filter;
    const auto those = [this](CodeQuery query) {
        query.book_id = 1;
        query.limit = 2;
        return texts_of(query);
    };
    EXPECT_EQ(those({.prefix = "S-"}), (Texts{"S-", "S-1", "S-2", "S-3", "S-\u00e9"}));
    EXPECT_EQ(those({.prefix = "S-2"}), (Texts{"S-2"}));
    EXPECT_EQ(those({.prefix = "S-4"}), Texts());
    EXPECT_EQ(those({.prefix = "%"}), Texts());
    EXPECT_EQ(those({.user_id = "ann"}), (Texts{"S-1", "S-3", "T-1"}));
    EXPECT_EQ(those({.user_id = "ann", .prefix = "S"}), (Texts{"S-1", "S-3"}));
    EXPECT_EQ(those({.user_id = "eve"}), Texts());
    EXPECT_EQ(those({.filter = free}), (Texts{"S-", "S-2", "S-\u00e9", "S.1", "s-1"}));
    EXPECT_EQ(those({.filter = assigned}), (Texts{"S-1", "T-1"}));
    EXPECT_EQ(those({.filter = locked}), (Texts{"S-3"}));
    EXPECT_EQ(those({.filter = redeemed}), (Texts{"T-9"}));
    EXPECT_EQ(those({.filter = held}), (Texts{"S-1", "S-3", "T-1"}));
    EXPECT_EQ(those({.filter = assigned, .user_id = "ann", .prefix = "T"}), (Texts{"T-1"}));
    clock_.advance(1000);
    EXPECT_EQ(those({.filter = locked}), Texts());
    EXPECT_EQ(those({.filter = assigned}), (Texts{"S-1", "S-3", "T-1"}));
}

TEST_F(CodeSnapshotTest, HasTheUsesOfAUserBehindTheirCodes) {
    CreateBook open_book{"open", "p", {}, {}};
    open_book.open = true;
    open_book.max_redemptions_per_code = 9;
    run(open_book);
    run(UploadCodes{1, {"O-2", "O-1", "O-1-1"}});
    for (const char* const user : {"ann", "bob", "ann"}) {
        for (const char* const code : {"O-2", "O-1-1", "O-1"}) {
            run(LockCode{code, user, 1000});
            run(RedeemCode{code, user});
        }
    }
    EXPECT_EQ(texts_of({.book_id = 1, .limit = 2}),
              (std::vector<std::string>{"O-1", "O-1-1", "O-2"}));
    const auto snapshot = open();
    const std::vector<Code> held = read(*snapshot, {.book_id = 1, .limit = 4, .user_id = "ann"});
    EXPECT_EQ(texts(held),
              (std::vector<std::string>{"O-1", "O-1", "O-1-1", "O-1-1", "O-2", "O-2"}));
    for (const Code& code : held) EXPECT_EQ(code.assigned_to, "ann");
    EXPECT_EQ(
        texts(read(*snapshot, {.book_id = 1, .limit = 4, .user_id = "ann", .after_code = "O-1"})),
        (std::vector<std::string>{"O-1-1", "O-1-1", "O-2", "O-2"}));
}

TEST_F(CodeSnapshotTest, GoesOnBehindACode) {
    std::vector<std::string> codes{"a",  "a ",     "a  ", "a!", "a-1",    "aa",
                                   "b1", "\u00e9", "b",   "b2", "\uFF5E", "\U0001F600"};
    run(CreateBook{"one", "p", {}, {}});
    run(CreateBook{"other", "p", {}, {}});
    run(UploadCodes{1, codes});
    run(UploadCodes{2, {"a-0", "a-2"}});
    std::ranges::sort(codes);
    using Texts = std::vector<std::string>;
    const auto behind = [&](CodeQuery query) {
        query.book_id = 1;
        query.limit = 5;
        return texts_of(query);
    };
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto rest = codes.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        EXPECT_EQ(behind({.after_code = codes[i]}), Texts(rest, codes.end())) << codes[i];
    }
    EXPECT_EQ(behind({.after_code = "A"}), codes);
    EXPECT_EQ(behind({.after_code = "a-0"}), behind({.after_code = "a!"}));
    EXPECT_EQ(behind({.prefix = "b", .after_code = "b1"}), (Texts{"b2"}));
    EXPECT_EQ(behind({.prefix = "b", .after_code = "a"}), (Texts{"b", "b1", "b2"}));
    EXPECT_EQ(behind({.prefix = "b", .after_code = "c"}), Texts());
}

TEST_F(CodeSnapshotTest, ShowsSettingsOfThoseBeforeToo) {
    run(CreateBook{"one", "p", {}, {}});
    run(UploadCodes{1, {"A", "B"}});
    EditCode edit{"A", {}, {}, {}};
    edit.wish.metadata = R"({"x":1})";
    edit.wished.set();
    run(edit);
    const auto snapshot = open();
    const CodeQuery query{.book_id = 1, .limit = 5, .after_code = "A"};
    EXPECT_EQ(texts(read(*snapshot, query, Pass::with_settings)), (std::vector<std::string>{"A"}));
    EXPECT_EQ(texts(read(*snapshot, query)), (std::vector<std::string>{"B"}));
}

TEST_F(CodeSnapshotTest, TellsOfEachCodeWhatTheListDoes) {
    run(CreateBook{"one", "p", {}, {}});
    run(UploadCodes{1, {"C", "A", "B"}});
    run(AssignCode{"A", "ann"});
    run(LockCode{"A", "ann", 1000});
    run(AssignCode{"B", "bob"});
    EditCode edit{"C", {}, {}, {}};
    edit.wish.metadata = R"({"a":1})";
    edit.wish.active = false;
    edit.wished.set();
    run(edit);
    const auto snapshot = open();
    std::vector<Code> codes = read(*snapshot, {.book_id = 1, .limit = 10});
    std::ranges::sort(codes, {}, &Code::id);
    const Result<CodePage> page = tested_.reads().list_codes({.book_id = 1, .limit = 10}, noon);
    ASSERT_TRUE(page);
    ASSERT_EQ(codes.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(codes[i].id, page->codes[i].id);
        EXPECT_EQ(codes[i].code, page->codes[i].code);
        EXPECT_EQ(codes[i].assigned_to, page->codes[i].assigned_to);
        EXPECT_EQ(codes[i].lock.has_value(), page->codes[i].lock.has_value());
        EXPECT_EQ(codes[i].created_at, page->codes[i].created_at);
        EXPECT_EQ(codes[i].active, page->codes[i].active);
        EXPECT_EQ(codes[i].metadata, page->codes[i].metadata);
    }
    const std::vector<Code> set = read(*snapshot, {.book_id = 1, .limit = 1}, Pass::with_settings);
    ASSERT_EQ(set.size(), 1u);
    EXPECT_EQ(set[0].metadata, R"({"a":1})");
}

TEST_F(CodeSnapshotTest, IsOfOneMomentInAllItsPasses) {
    run(CreateBook{"one", "p", {}, {}});
    run(UploadCodes{1, {"D", "B"}});
    const auto snapshot = open();
    ASSERT_TRUE(*snapshot->begin({.book_id = 1, .limit = 1}, Pass::with_settings, noon));
    EXPECT_TRUE(snapshot->next()->empty());
    run(UploadCodes{1, {"A", "C"}});
    run(AssignCode{"D", "ann"});
    ASSERT_TRUE(*snapshot->begin({.book_id = 1, .limit = 1}, Pass::by_code, noon));
    EXPECT_EQ(snapshot->next()->at(0).code, "B");
    run(UploadCodes{1, {"BB"}});
    const Result<std::vector<Code>> last = snapshot->next();
    EXPECT_EQ(last->at(0).code, "D");
    EXPECT_FALSE(last->at(0).assigned_to);
    EXPECT_TRUE(snapshot->next()->empty());
    EXPECT_TRUE(snapshot->next()->empty());
    EXPECT_EQ(texts_of({.book_id = 1, .limit = 9}),
              (std::vector<std::string>{"A", "B", "BB", "C", "D"}));
}

TEST_F(CodeSnapshotTest, KnowsNoBookThatThereIsNot) {
    const auto snapshot = open();
    const Result<bool> found = snapshot->begin({.book_id = 7, .limit = 1}, Pass::by_code, noon);
    ASSERT_TRUE(found);
    EXPECT_FALSE(*found);
}

TEST_F(CodeSnapshotTest, HasManyCodesInOrderHoweverTheyCameIn) {
    const std::vector<std::string> all = in_no_order("M-", 60'000);
    std::vector<std::string> many(all.begin(), all.begin() + 50'000);
    std::vector<std::string> few(all.begin() + 50'000, all.end());
    run(CreateBook{"few", "p", {}, {}});
    run(CreateBook{"many", "p", {}, {}});
    run(UploadCodes{2, {many.begin(), many.begin() + 30'000}});
    run(UploadCodes{1, few});
    run(UploadCodes{2, {many.begin() + 30'000, many.end()}});
    EXPECT_TRUE(texts_of({.book_id = 2, .limit = 1'000}) == sorted(many));
    EXPECT_TRUE(texts_of({.book_id = 1, .limit = 1'000}) == sorted(few));
    // Of all that have the prefix, or of a few.
    EXPECT_TRUE(texts_of({.book_id = 1, .limit = 1'000, .prefix = "M-"}) == sorted(few));
    std::erase_if(many, [](const std::string& text) { return !text.starts_with("M-1111"); });
    EXPECT_FALSE(many.empty());
    EXPECT_TRUE(texts_of({.book_id = 2, .limit = 1'000, .prefix = "M-1111"}) == sorted(many));
}

TEST_F(CodeSnapshotTest, BreaksOffWhenItIsNotWanted) {
    run(CreateBook{"one", "p", {}, {}});
    run(UploadCodes{1, {"B", "A"}});
    bool wanted = true;
    const auto snapshot = tested_.open_codes([&] { return wanted; });
    ASSERT_TRUE(snapshot->begin({.book_id = 1, .limit = 1}, Pass::by_code, noon));
    ASSERT_TRUE(snapshot->next());
    wanted = false;
    EXPECT_EQ(snapshot->next().error(), Failure::unavailable);
    wanted = true;
    EXPECT_EQ(snapshot->next().error(), Failure::unavailable);
    EXPECT_EQ(snapshot->begin({.book_id = 1, .limit = 1}, Pass::by_code, noon).error(),
              Failure::unavailable);
    const auto never = tested_.open_codes([] { return false; });
    EXPECT_EQ(never->begin({.book_id = 1, .limit = 1}, Pass::by_code, noon).error(),
              Failure::unavailable);
}

}  // namespace
}  // namespace coupond::test
