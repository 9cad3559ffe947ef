// What is entered into the ledger: one entry for each change, and nothing where nothing changes.
#include <gtest/gtest.h>

#include <map>
#include <unordered_map>

#include "domain/domain.hpp"

namespace coupond {
namespace {

constexpr Timestamp noon{1'795'348'800'000};
constexpr std::int64_t ttl_ms = 300'000;

std::string_view name_of(LedgerEntry::Type type) {
    switch (type) {
        case LedgerEntry::Type::book_created: return "book_created";
        case LedgerEntry::Type::codes_uploaded: return "codes_uploaded";
        case LedgerEntry::Type::codes_generated: return "codes_generated";
        case LedgerEntry::Type::code_assigned: return "code_assigned";
        case LedgerEntry::Type::code_locked: return "code_locked";
        case LedgerEntry::Type::code_redeemed: return "code_redeemed";
        case LedgerEntry::Type::user_erased: return "user_erased";
        case LedgerEntry::Type::book_changed: return "book_changed";
        case LedgerEntry::Type::book_archived: return "book_archived";
        case LedgerEntry::Type::book_restored: return "book_restored";
        case LedgerEntry::Type::code_changed: return "code_changed";
        case LedgerEntry::Type::code_unassigned: return "code_unassigned";
        case LedgerEntry::Type::code_unlocked: return "code_unlocked";
        case LedgerEntry::Type::redemption_rolled_back: return "redemption_rolled_back";
        case LedgerEntry::Type::discount_given_back: return "discount_given_back";
    }
    return "unknown";
}

/// An entry with all that it has; times since noon.
std::string print(const LedgerEntry& entry) {
    std::string text = std::to_string(entry.id) + " +" + std::to_string(entry.at.ms - noon.ms) +
                       " " + std::string(name_of(entry.type)) +
                       " book=" + std::to_string(entry.book_id);
    if (entry.code_id != 0) text += " code=" + std::to_string(entry.code_id);
    if (entry.codes != 0) text += " codes=" + std::to_string(entry.codes);
    if (entry.user_id) text += " user=" + *entry.user_id;
    if (entry.locked_until) text += " until=+" + std::to_string(entry.locked_until->ms - noon.ms);
    if (entry.discount) text += " discount=" + std::to_string(entry.discount->amount);
    if (entry.previous) text += " previous=" + std::to_string(*entry.previous);
    return text + " by " + entry.request_id;
}

using Lines = std::vector<std::string>;

class Ledger : public testing::Test {
protected:
    /// Decides `commands` as one batch, with the request ids a, b, c and so on, and keeps what they
    /// have done. Returns what was entered.
    Lines decide(const std::vector<Command>& commands) {
        World world;
        world.next_book_id = static_cast<BookId>(books_.size()) + 1;
        world.next_code_id = static_cast<CodeId>(codes_.size()) + 1;
        world.next_entry_id = next_entry_id_;
        world.book_count = books_.size();
        world.books = books_;
        for (const auto& [id, code] : codes_) {
            const CodeRow& row = world.add(code);
            for (const char* const user : {"ann", "bob"}) {
                world.usages.try_emplace({code.book_id, user, Per::ever});
            }
            EXPECT_EQ(row.loaded_entry, code.last_entry);
        }
        std::vector<Submission> submissions;
        for (const Command& command : commands) {
            const auto number = static_cast<char>(submissions.size());
            submissions.push_back({command, std::string(1, static_cast<char>('a' + number))});
        }
        std::vector<const Submission*> pointers;
        for (const Submission& submission : submissions) pointers.push_back(&submission);
        for (const auto& [scope, count] : needs(pointers, now_).pools) {
            Pool& pool = world.pools[scope];
            pool.complete = true;
            for (const auto& [id, code] : codes_) {
                if (!code.assigned_to) pool.codes.push_back(world.find(code.code));
            }
        }
        Decision decision = coupond::decide(world, pointers, now_);
        EXPECT_FALSE(decision.shortage || decision.unforeseen);
        expect_last_entries(decision.delta);
        books_ = world.books;
        for (const CodeRow* const row : decision.delta.new_codes) codes_[row->code.id] = row->code;
        for (const CodeRow* const row : decision.delta.changed_codes) {
            codes_[row->code.id] = row->code;
        }
        outcomes_ = std::move(decision.outcomes);
        refusals_ = std::exchange(decision.delta.refusals, {});
        empty_ = decision.delta.empty();
        Lines lines;
        for (const LedgerEntry& entry : decision.delta.entries) lines.push_back(print(entry));
        next_entry_id_ += static_cast<EntryId>(lines.size());
        return lines;
    }

    /// That each code of a batch leads to the last of its entries, and each of these to the one
    /// before it, as far as the one that the code was loaded with or uploaded by.
    void expect_last_entries(const Delta& delta) {
        std::map<CodeId, EntryId> last;
        for (const LedgerEntry& entry : delta.entries) {
            for (CodeId id = entry.code_id; id < entry.code_id + entry.codes; ++id) {
                last[id] = entry.id;
            }
            if (entry.code_id == 0 || entry.codes != 0) {
                EXPECT_EQ(entry.previous, std::nullopt);
                continue;
            }
            const auto before = last.find(entry.code_id);
            EXPECT_EQ(entry.previous,
                      before == last.end() ? codes_.at(entry.code_id).last_entry : before->second);
            last[entry.code_id] = entry.id;
        }
        std::size_t codes = 0;
        for (const auto* const rows : {&delta.new_codes, &delta.changed_codes}) {
            for (const CodeRow* const row : *rows) {
                EXPECT_EQ(row->code.last_entry, last.at(row->code.id));
                ++codes;
            }
        }
        EXPECT_EQ(codes, last.size());
        for (const CodeRow* const row : delta.changed_codes) {
            EXPECT_EQ(row->loaded_entry, codes_.at(row->code.id).last_entry);
        }
    }

    /// That `command` is refused, and nothing to save comes of it but that this was so.
    void expect_refused(const Command& command) {
        EXPECT_EQ(decide({command}), Lines());
        ASSERT_TRUE(std::holds_alternative<Refusal>(outcomes_.at(0)));
        EXPECT_EQ(refusals_.at({all_books, std::get<Refusal>(outcomes_.at(0))}), 1);
        EXPECT_TRUE(empty_);
    }

    static CreateBook book_of(std::optional<std::int64_t> limit) {
        CreateBook book{"n", "p", limit};
        book.discount = from_short_form(2050);
        return book;
    }

    /// A book with a discount and a limit of one, and in it the codes A, B and C, by entries 1 and
    /// 2.
    void prepare() { decide({book_of(1), UploadCodes{1, {"A", "B", "C"}}}); }

    Timestamp now_ = noon;
    EntryId next_entry_id_ = 1;
    std::unordered_map<BookId, Book> books_;
    std::map<CodeId, Code> codes_;
    std::vector<Outcome> outcomes_;
    std::map<std::pair<BookId, Refusal>, std::int64_t> refusals_;
    bool empty_ = false;  ///< but for them
};

TEST_F(Ledger, HasEachChangeOfABatchInTheOrderDecided) {
    next_entry_id_ = 8192;
    EXPECT_EQ(
        decide({book_of({}), UploadCodes{1, {"A", "B", "C"}}, AssignAny{"ann", 1},
                AssignCode{"B", "bob"}, LockCode{"B", "bob", ttl_ms},
                LockCode{"A", "ann", 2 * ttl_ms}, RedeemCode{"B", "bob"}, RedeemCode{"A", "ann"}}),
        (Lines{
            "8192 +0 book_created book=1 by a",
            "8193 +0 codes_uploaded book=1 code=1 codes=3 by b",
            "8194 +0 code_assigned book=1 code=1 user=ann previous=8193 by c",
            "8195 +0 code_assigned book=1 code=2 user=bob previous=8193 by d",
            "8196 +0 code_locked book=1 code=2 user=bob until=+300000 previous=8195 by e",
            "8197 +0 code_locked book=1 code=1 user=ann until=+600000 previous=8194 by f",
            "8198 +0 code_redeemed book=1 code=2 user=bob until=+300000 discount=2050 "
            "previous=8196 "
            "by g",
            "8199 +0 code_redeemed book=1 code=1 user=ann until=+600000 discount=2050 "
            "previous=8197 "
            "by h",
        }));
}

TEST_F(Ledger, LeadsOnFromBatchToBatch) {
    EXPECT_EQ(decide({CreateBook{"n", "p", {}, {}}}), (Lines{"1 +0 book_created book=1 by a"}));
    now_ = now_ + 1;
    EXPECT_EQ(decide({UploadCodes{1, {"A", "B"}}}),
              (Lines{"2 +1 codes_uploaded book=1 code=1 codes=2 by a"}));
    now_ = now_ + 1;
    EXPECT_EQ(decide({UploadCodes{1, {"C"}}}),
              (Lines{"3 +2 codes_uploaded book=1 code=3 codes=1 by a"}));
    now_ = now_ + 1;
    EXPECT_EQ(decide({AssignAny{"ann", {}}}),
              (Lines{"4 +3 code_assigned book=1 code=1 user=ann previous=2 by a"}));
    now_ = now_ + 1;
    EXPECT_EQ(decide({LockCode{"A", "ann", 1}}),
              (Lines{"5 +4 code_locked book=1 code=1 user=ann until=+5 previous=4 by a"}));
    now_ = now_ + 1;  // that lock is dead
    EXPECT_EQ(decide({LockCode{"A", "ann", 20}}),
              (Lines{"6 +5 code_locked book=1 code=1 user=ann until=+25 previous=5 by a"}));
    now_ = now_ + 1;
    EXPECT_EQ(decide({AssignCode{"C", "bob"}}),
              (Lines{"7 +6 code_assigned book=1 code=3 user=bob previous=3 by a"}));
    now_ = now_ + 1;  // of a book without a discount
    EXPECT_EQ(decide({RedeemCode{"A", "ann"}}),
              (Lines{"8 +7 code_redeemed book=1 code=1 user=ann until=+25 previous=6 by a"}));
}

TEST_F(Ledger, HasNothingOfWhatIsRefused) {
    expect_refused(UploadCodes{{}, {"A"}});
    prepare();
    expect_refused(UploadCodes{2, {"X"}});
    expect_refused(UploadCodes{1, {"X", "X"}});
    expect_refused(AssignAny{"ann", 2});
    expect_refused(AssignCode{"X", "ann"});
    expect_refused(LockCode{"X", "ann", ttl_ms});
    expect_refused(LockCode{"A", "ann", ttl_ms});
    expect_refused(RedeemCode{"A", "ann"});
    decide({AssignCode{"A", "ann"}, AssignCode{"B", "ann"}, AssignCode{"C", "bob"}});
    expect_refused(AssignAny{"ann", 1});
    expect_refused(AssignCode{"A", "bob"});
    expect_refused(LockCode{"A", "bob", ttl_ms});
    expect_refused(RedeemCode{"A", "ann"});
    decide({LockCode{"A", "ann", ttl_ms}, LockCode{"B", "ann", ttl_ms}});
    expect_refused(LockCode{"A", "ann", ttl_ms});
    expect_refused(RedeemCode{"A", "bob"});
    decide({RedeemCode{"A", "ann"}});
    expect_refused(RedeemCode{"A", "ann"});
    expect_refused(LockCode{"A", "ann", ttl_ms});
    expect_refused(AssignCode{"A", "ann"});
}

TEST_F(Ledger, HasNothingOfAnAssignmentToWhoHasTheCodeAlready) {
    prepare();
    EXPECT_EQ(decide({AssignCode{"A", "ann"}, AssignCode{"A", "ann"}}),
              (Lines{"3 +0 code_assigned book=1 code=1 user=ann previous=2 by a"}));
    EXPECT_EQ(decide({AssignCode{"A", "ann"}}), Lines());
    EXPECT_TRUE(std::holds_alternative<CodeAssigned>(outcomes_[0]));
    EXPECT_TRUE(empty_);
    decide({LockCode{"A", "ann", ttl_ms}});
    EXPECT_EQ(decide({AssignCode{"A", "ann"}}), Lines());
    EXPECT_TRUE(empty_);
}

TEST_F(Ledger, SkipsNoIdForWhatIsRefusedBetweenTwoChanges) {
    prepare();
    EXPECT_EQ(decide({AssignCode{"A", "ann"}, AssignCode{"A", "bob"}, AssignCode{"X", "bob"},
                      AssignCode{"A", "ann"}, AssignCode{"B", "bob"}}),
              (Lines{"3 +0 code_assigned book=1 code=1 user=ann previous=2 by a",
                     "4 +0 code_assigned book=1 code=2 user=bob previous=2 by e"}));
}

TEST_F(Ledger, HasWhatIsTakenBackWithWhatItIsTakenOf) {
    prepare();
    decide({AssignCode{"A", "ann"}, LockCode{"A", "ann", ttl_ms}});
    World world;
    world.next_entry_id = 7;
    world.books = books_;
    world.add(codes_.at(1));
    world.usages[{1, "ann", Per::ever}] = {};
    const Order order{"o", 999, Currency::find("EUR").value()};
    const Submission redeem{RedeemCode{"A", "ann", order}, "a"};
    const Submission part{RollBack{7, "why", 1'0000}, "b"}, whole{RollBack{7, ""}, "c"};
    const Submission* const all[] = {&redeem, &part, &whole};
    const Delta delta = coupond::decide(world, all, now_ + 1).delta;
    ASSERT_EQ(delta.entries.size(), 3u);
    const std::int64_t discounts[] = {999, 100, 899};
    for (std::size_t i = 0; i < 3; ++i) {
        const LedgerEntry& entry = delta.entries[i];
        EXPECT_TRUE(entry.discount == (Money{discounts[i], order.currency}));
        EXPECT_EQ(entry.redemption_id, i == 0 ? std::nullopt : std::optional<EntryId>(7));
        EXPECT_TRUE(entry.order == (i == 0 ? std::optional(order) : std::nullopt));
        EXPECT_EQ(entry.detail, i == 1 ? "why" : "");
        EXPECT_EQ(entry.user_id, "ann");
        EXPECT_EQ(entry.code_id, 1);
        EXPECT_EQ(entry.locked_until, i == 0 ? std::optional(noon + ttl_ms) : std::nullopt);
        EXPECT_EQ(entry.currency(), order.currency);
    }
    EXPECT_EQ(print(delta.entries[1]),
              "8 +1 discount_given_back book=1 code=1 user=ann discount=100 previous=7 by b");
    EXPECT_EQ(print(delta.entries[2]),
              "9 +1 redemption_rolled_back book=1 code=1 user=ann discount=899 previous=8 by c");
    // Of it all nothing is left but that it was.
    for (const BookId book : {BookId{1}, all_books}) {
        const Delta::Counts& counts = delta.counts.at(book);
        EXPECT_EQ(counts.redeemed, 0);
        EXPECT_EQ(counts.rolled_back, 1);
        EXPECT_EQ(counts.discount_cents, 0);
        const Activity& activity = delta.activity.at(book);
        EXPECT_EQ(activity.redeemed, 1);
        EXPECT_EQ(activity.rolled_back, 1);
        EXPECT_EQ(activity.discounts, (std::map<Currency, std::int64_t>{{order.currency, 0}}));
    }
    ASSERT_EQ(delta.usages.size(), 1u);
    EXPECT_EQ(delta.usages[0].loaded, std::nullopt);
    EXPECT_EQ(delta.usages[0].now, Usage());
    ASSERT_EQ(delta.standing.size(), 1u);
    const auto& [place, standing] = *delta.standing.begin();
    EXPECT_EQ(place, std::pair(BookId{1}, activity_period(now_ + 1)));
    EXPECT_EQ(standing.redemptions, 0);
    EXPECT_EQ(standing.discounts, (std::map<Currency, std::int64_t>{{order.currency, 0}}));
}

TEST(ActivityOf, AnEntryIsWhatItTells) {
    using enum LedgerEntry::Type;
    const Currency eur = Currency::find("EUR").value();
    const auto of = [](LedgerEntry::Type type, const std::optional<Money>& discount) {
        LedgerEntry entry;
        entry.type = type;
        entry.discount = discount;
        return activity_of(entry);
    };
    Activity redeemed, rolled_back, nothing;
    redeemed.redeemed = 1;
    rolled_back.rolled_back = 1;
    for (const auto& none :
         {std::optional<Money>(), std::optional(Money{0}), std::optional(Money{0, eur})}) {
        EXPECT_EQ(of(code_redeemed, none), redeemed);
        EXPECT_EQ(of(redemption_rolled_back, none), rolled_back);
        EXPECT_EQ(of(discount_given_back, none), nothing);
    }
    redeemed.discount_cents = 5;
    rolled_back.discount_cents = nothing.discount_cents = -5;
    EXPECT_EQ(of(code_redeemed, Money{5}), redeemed);
    EXPECT_EQ(of(redemption_rolled_back, Money{5}), rolled_back);
    EXPECT_EQ(of(discount_given_back, Money{5}), nothing);
    redeemed.discount_cents = rolled_back.discount_cents = nothing.discount_cents = 0;
    redeemed.discounts[eur] = 5;
    rolled_back.discounts[eur] = nothing.discounts[eur] = -5;
    EXPECT_EQ(of(code_redeemed, Money{5, eur}), redeemed);
    EXPECT_EQ(of(redemption_rolled_back, Money{5, eur}), rolled_back);
    EXPECT_EQ(of(discount_given_back, Money{5, eur}), nothing);
    redeemed += rolled_back;
    EXPECT_EQ(redeemed.discounts.at(eur), 0);
    EXPECT_EQ(redeemed.rolled_back, 1);
}

}  // namespace
}  // namespace coupond
