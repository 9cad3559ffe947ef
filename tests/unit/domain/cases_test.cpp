// Runs the tables of tests/cases: each line a command, the time it comes at, and its answer. Every
// table is run twice, a command at a time and with all lines of one time as one batch: the answers
// are the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "base/limits.hpp"
#include "domain/domain.hpp"

namespace coupond {
namespace {

struct Line {
    int number = 0;
    Timestamp at;
    Submission submission;
    std::string expected;
};

Timestamp parse_time(const std::string& text) {
    int hours = 0, minutes = 0, seconds = 0, ms = 0;
    const int fields = std::sscanf(text.c_str(), "%d:%d:%d.%d", &hours, &minutes, &seconds, &ms);
    if (fields < 3) throw std::runtime_error("not a time: " + text);
    return {((hours * 60 + minutes) * 60 + seconds) * std::int64_t{1000} + ms};
}

std::string print_time(Timestamp at) {
    std::string text = format_iso8601(at).substr(11, 12);
    if (text.ends_with(".000")) text.resize(8);
    return text;
}

class Words {
public:
    explicit Words(const std::string& text) {
        std::istringstream in(text);
        in >> verb;
        std::string word;
        while (in >> word) {
            const std::size_t equals = word.find('=');
            values_[word.substr(0, equals)] = word.substr(equals + 1);
        }
    }

    bool has(const std::string& name) const { return values_.contains(name); }
    const std::string& text(const std::string& name) const { return values_.at(name); }
    /// Nothing where it is not there, or "none".
    std::optional<std::int64_t> number(const std::string& name) const {
        const bool any = has(name) && text(name) != "none";
        return any ? std::optional(std::stoll(text(name))) : std::nullopt;
    }

    std::string verb;

private:
    std::map<std::string, std::string> values_;
};

/// A time of the day, a date, or "none".
void take_moment(const Words& words, const std::string& name, std::optional<Timestamp>& at,
                 std::string& date) {
    if (!words.has(name) || words.text(name) == "none") return;
    const std::string& text = words.text(name);
    if (text.find(':') == std::string::npos) {
        date = text;
    } else {
        at = parse_time(text);
    }
}

/// What is between commas; `-` for nothing.
std::vector<std::string> parts_of(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, ',');) {
        parts.push_back(part == "-" ? "" : part);
    }
    return parts;
}

std::optional<std::int64_t> parse_number(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional<std::int64_t>(std::stoll(text));
}

Currency parse_currency(const std::string& code) {
    const auto currency = Currency::find(code);
    if (!currency) throw std::runtime_error("not a currency: " + code);
    return *currency;
}

/// Its type, its value, its currency, its maximum and its minimum order, as many as are given; in
/// minor units.
std::optional<Discount> parse_discount(const Words& words) {
    if (!words.has("discount") || words.text("discount") == "none") return std::nullopt;
    auto parts = parts_of(words.text("discount"));
    parts.resize(5);
    static const std::map<std::string, Discount::Type> types{
        {"amount", Discount::Type::amount},
        {"percent", Discount::Type::percent},
        {"fixed_price", Discount::Type::fixed_price},
        {"free_shipping", Discount::Type::free_shipping}};
    Discount discount;
    discount.type = types.at(parts[0]);
    discount.value = parse_number(parts[1]).value_or(0);
    if (!parts[2].empty()) discount.currency = parse_currency(parts[2]);
    discount.max_amount = parse_number(parts[3]);
    discount.min_order_amount = parse_number(parts[4]);
    return discount;
}

/// Its id, its amount in minor units, and its currency.
std::optional<Order> parse_order(const Words& words) {
    if (!words.has("order")) return std::nullopt;
    const auto parts = parts_of(words.text("order"));
    return Order{parts.at(0), parse_number(parts.at(1)).value(), parse_currency(parts.at(2))};
}

/// In ten-thousandths.
std::optional<std::int64_t> parse_amount(const Words& words) {
    if (!words.has("amount")) return std::nullopt;
    std::string digits = words.text("amount");
    const std::size_t point = digits.find('.');
    std::size_t decimals = 0;
    if (point != std::string::npos) {
        decimals = digits.size() - point - 1;
        digits.erase(point, 1);
    }
    return std::stoll(digits + std::string(4 - decimals, '0'));
}

/// The most redemptions, those of a user, and the budget, as many as are given.
Limits parse_limits(const std::string& text) {
    auto parts = parts_of(text);
    parts.resize(3);
    return {parse_number(parts[0]), parse_number(parts[1]), parse_number(parts[2])};
}

constexpr std::array per_words{std::pair(Per::day, "day"), std::pair(Per::week, "week"),
                               std::pair(Per::month, "month")};

bool has_limits(const Words& words) {
    return std::ranges::any_of(per_words, [&](const auto& per) { return words.has(per.second); });
}

BookWish parse_wish(const Words& words) {
    BookWish wish;
    wish.max_redemptions_per_user = words.number("limit");
    wish.max_redemptions = words.number("most");
    wish.budget = words.number("budget");
    wish.max_assignments_per_user = words.number("assignments");
    if (words.has("uses")) wish.max_redemptions_per_code = words.number("uses");
    wish.case_sensitive = !words.has("case") || words.text("case") == "sensitive";
    wish.open = words.has("assignment") && words.text("assignment") == "open";
    for (const auto& [per, word] : per_words) {
        if (!words.has(word)) continue;
        const Limits limits = parse_limits(words.text(word));
        if (limits != Limits()) wish.limits[per] = limits;
    }
    wish.discount = parse_discount(words);
    if (words.has("active")) wish.active = words.text("active") == "true";
    take_moment(words, "starts", wish.starts_at, wish.starts_on);
    take_moment(words, "ends", wish.ends_at, wish.ends_on);
    if (words.has("zone")) wish.time_zone = words.text("zone");
    wish.lock_ttl_s = words.number("ttl");
    if (words.has("combinable")) wish.combinable = words.text("combinable") == "true";
    return wish;
}

Command parse_command(const Words& words) {
    const std::string& verb = words.verb;
    if (verb == "book") {
        CreateBook book{parse_wish(words)};
        book.name = words.text("name");
        book.code_pattern = "X-{6}";
        return book;
    }
    if (verb == "edit" && words.has("book")) {
        EditBook edit{words.number("book").value(), parse_wish(words), {}};
        edit.wished[2] = words.has("limit");
        edit.wished[3] = words.has("discount");
        edit.wished[5] = words.has("active");
        edit.wished[6] = words.has("starts");
        edit.wished[7] = words.has("ends");
        edit.wished[8] = words.has("zone");
        edit.wished[9] = words.has("most");
        edit.wished[10] = words.has("budget");
        edit.wished[11] = has_limits(words);
        edit.wished[12] = words.has("assignments");
        edit.wished[13] = words.has("uses");
        edit.wished[14] = words.has("assignment");
        edit.wished[15] = words.has("case");
        edit.wished[16] = words.has("ttl");
        edit.wished[17] = words.has("combinable");
        return edit;
    }
    if (verb == "edit") {
        EditCode edit;
        edit.code = words.text("code");
        edit.wished[0] = words.has("active");
        if (words.has("active")) edit.wish.active = words.text("active") == "true";
        edit.wished[1] = words.has("expires");
        take_moment(words, "expires", edit.wish.expires_at, edit.expires_on);
        edit.wished[2] = words.has("uses");
        edit.wish.max_redemptions = words.number("uses");
        return edit;
    }
    if (verb == "archive") return ArchiveBook{words.number("book").value()};
    if (verb == "restore") return RestoreBook{words.number("book").value()};
    if (verb == "unassign") {
        UnassignCode unassign{words.text("code"), std::nullopt};
        if (words.has("user")) unassign.user_id = words.text("user");
        return unassign;
    }
    if (verb == "upload") {
        UploadCodes upload{words.number("book"), {}};
        std::istringstream codes(words.text("codes"));
        for (std::string code; std::getline(codes, code, ',');) upload.codes.push_back(code);
        return upload;
    }
    if (verb == "rollback") {
        return RollBack{words.number("id").value(), "", parse_amount(words)};
    }
    const std::string& user = words.text("user");
    const std::string key = words.has("key") ? words.text("key") : "";
    if (verb == "erase") return EraseUser{user, words.text("as")};
    if (verb == "assign" && !words.has("code")) return AssignAny{user, words.number("book")};
    if (verb == "assign") return AssignCode{words.text("code"), user};
    if (verb == "lock" && words.has("codes")) {
        return LockCodes{parts_of(words.text("codes")), user,
                         1000 * words.number("ttl").value_or(300), parse_order(words), key};
    }
    if (verb == "redeem" && words.has("codes")) {
        return RedeemCodes{parts_of(words.text("codes")), user, parse_order(words).value(), key};
    }
    if (verb == "lock")
        return LockCode{words.text("code"), user, 1000 * words.number("ttl").value_or(300),
                        parse_order(words), key};
    if (verb == "unlock") return UnlockCode{words.text("code"), user, key};
    if (verb == "redeem") return RedeemCode{words.text("code"), user, parse_order(words), key};
    throw std::runtime_error("not a command: " + verb);
}

std::vector<Line> parse_table(const std::filesystem::path& path) {
    static const std::regex form(R"(at +(\S+) +(.*\S) +-> +(.*\S) *)");
    std::ifstream file(path);
    std::vector<Line> lines;
    std::string text;
    for (int number = 1; std::getline(file, text); ++number) {
        if (text.empty() || text.front() == '#') continue;
        std::smatch parts;
        if (!std::regex_match(text, parts, form)) {
            throw std::runtime_error(path.string() + ":" + std::to_string(number) + ": not a case");
        }
        lines.push_back(
            {number, parse_time(parts[1]), {parse_command(Words(parts[2])), {}}, parts[3]});
    }
    return lines;
}

struct Printer {
    std::string operator()(Refusal refusal) const {
        return "refused " + std::string(to_string(refusal));
    }
    std::string operator()(const BookCreated& made) const {
        return "book " + std::to_string(made.book.id);
    }
    std::string operator()(const BookChanged& changed) const {
        const Book& book = changed.book;
        return book.archived_at ? "archived" : changed.restored ? "restored" : "changed";
    }
    std::string operator()(const Contradicted& told) const {
        static constexpr std::array names{
            "no_such_start",     "no_such_end",      "no_such_expiry",
            "ends_before_start", "amount_too_fine",  "budget_without_currency",
            "budget_too_fine",   "assignment_fixed", "case_fixed",
            "blank_code",        "code_named_twice"};
        std::string text = "contradicted";
        for (const Fault fault : told.faults) {
            text.append(" ").append(names.at(static_cast<std::size_t>(fault)));
        }
        return text;
    }
    std::string operator()(const CodeChanged& done) const { return "changed " + done.code.code; }
    std::string operator()(const CodeUnlocked&) const { return "unlocked"; }
    std::string operator()(const CodeUnassigned& done) const {
        return done.code.assigned_to ? "still assigned" : "free " + done.code.code;
    }
    std::string operator()(const CodesUploaded& up) const {
        const auto last = up.first_id + static_cast<CodeId>(up.codes.size()) - 1;
        return "uploaded " + std::to_string(up.first_id) + ".." + std::to_string(last);
    }
    /// What the tables have no words for.
    template <class Other>
    std::string operator()(const Other&) const {
        return "something else";
    }
    std::string operator()(const CodeAssigned& done) const {
        return "assigned " + done.code.code + " to " + done.code.assigned_to.value();
    }
    std::string operator()(const CodeLocked& done) const {
        return "locked until=" + print_time(done.until);
    }
    std::string operator()(const UserErased&) const { return "erased"; }
    std::string operator()(const Replayed&) const { return "replayed"; }
    std::string operator()(const CodeRedeemed& done) const {
        const std::string text = (done.replayed ? "still redeemed " : "redeemed ") +
                                 done.code.code + " by " + done.code.assigned_to.value();
        const Redemption& redemption = done.redemption;
        if (!redemption.order && !redemption.discount) return text;
        return text + ", " + print(redemption);
    }
    std::string operator()(const CodeRefused& done) const {
        return "refused " + std::string(to_string(done.refusal)) + " of " + done.code;
    }
    std::string operator()(const CodesLocked& done) const {
        std::string text = "locked";
        for (const auto& [code, until] : done.locks) {
            text += " " + code + " until=" + print_time(until);
        }
        return text;
    }
    std::string operator()(const CodesRedeemed& done) const {
        std::string text = done.replayed ? "still redeemed" : "redeemed";
        for (const Redemption& redemption : done.redemptions) text += ", " + print(redemption);
        return text;
    }
    std::string operator()(const RolledBack& done) const {
        return (done.redemption.rolled_back_at ? "taken back " : "given back of ") +
               print(done.redemption);
    }

private:
    static std::string print(const Redemption& redemption) {
        std::string text = std::to_string(redemption.id) + ":";
        if (const auto& discount = redemption.discount) {
            text += " " + std::to_string(discount->amount);
            if (discount->currency) text += " " + std::string(discount->currency->code());
        }
        if (redemption.order) text += " of order " + redemption.order->id.value();
        if (redemption.given_back != 0) text += " back " + std::to_string(redemption.given_back);
        return text;
    }
};

/// A World that goes on from batch to batch, as if a store had saved and loaded it.
class Game {
public:
    Game() { world_.next_book_id = world_.next_code_id = world_.next_entry_id = 1; }

    void play(std::span<const Line> lines) {
        std::vector<const Submission*> submissions;
        for (const Line& line : lines) submissions.push_back(&line.submission);
        load(needs(submissions, lines.front().at));
        const Decision decision = decide(world_, submissions, lines.front().at);
        ASSERT_FALSE(decision.shortage || decision.unforeseen);
        ASSERT_EQ(decision.outcomes.size(), lines.size());
        for (CodeRow* const row : decision.delta.new_codes) {
            if (row->code.use_of) uses_.push_back(row);
        }
        for (std::size_t i = 0; i < lines.size(); ++i) {
            EXPECT_EQ(std::visit(Printer{}, decision.outcomes[i]), lines[i].expected)
                << "in line " << lines[i].number << " of a batch of " << lines.size();
            if (const auto* up = std::get_if<CodesUploaded>(&decision.outcomes[i])) {
                codes_.insert(codes_.end(), up->codes.begin(), up->codes.end());
            }
            if (const auto* done = std::get_if<CodeRedeemed>(&decision.outcomes[i])) {
                add(done->redemption);
            }
            if (const auto* done = std::get_if<CodesRedeemed>(&decision.outcomes[i])) {
                for (const Redemption& redemption : done->redemptions) add(redemption);
            }
        }
    }

private:
    void add(const Redemption& redemption) {
        world_.add(redemption);
        redemptions_.insert(redemption.id);
    }

    void load(const Needs& needed) {
        world_.usages.clear();
        world_.unredeemed_uses.clear();
        for (const auto& [code, user, uses] : needed.codes) {
            const CodeRow* const row = world_.find(code);
            if (row == nullptr) continue;
            load_uses(row->code, user, needed.at);
            if (uses) load_usages(row->code.book_id, user, needed.at);
        }
        for (const EntryId id : needed.redemptions) {
            const Redemption* const redemption = world_.find_redemption(id);
            if (redemption == nullptr) continue;
            load_usages(redemption->book_id, redemption->user_id, needed.at);
            load_uses(world_.find(redemption->code)->code, redemption->user_id, needed.at);
        }
        world_.users.clear();
        for (const std::string_view user : needed.erased) {
            for (const std::string& code : codes_) {
                CodeRow* const row = world_.find(code);
                if (row->code.assigned_to != user) continue;
                world_.users[std::string(user)].push_back(row);
            }
            for (CodeRow* const use : uses_) {
                const bool is_theirs = use->code.assigned_to == user && !use->code.redeemed_at;
                if (is_theirs) world_.users[std::string(user)].push_back(use);
            }
        }
        world_.pools.clear();
        for (const auto& [scope, count] : needed.pools) {
            Pool& pool = world_.pools[scope];
            pool.complete = true;
            for (const std::string& code : codes_) {
                CodeRow* const row = world_.find(code);
                const bool in_scope = !scope || *scope == row->code.book_id;
                const bool is_free = !row->code.assigned_to && !row->code.kept_back;
                if (in_scope && is_free) pool.codes.push_back(row);
            }
        }
        world_.holdings.clear();
        for (const Needs::HoldingNeed& need : needed.holdings) {
            for (const auto& [id, book] : world_.books) {
                if (book.max_assignments_per_user) load_holding(id, std::string(need.user_id));
            }
        }
    }

    void load_holding(BookId book_id, const std::string& user_id) {
        World::Holding holding;
        for (const std::string& code : codes_) {
            CodeRow* const row = world_.find(code);
            if (row->code.book_id != book_id || row->code.assigned_to != user_id) continue;
            ++holding.codes;
            if (holding.first == nullptr) holding.first = row;
        }
        world_.holdings[{book_id, user_id}] = holding;
    }

    void load_uses(const Code& code, std::string_view user_id, Timestamp at) {
        const Book& book = *world_.find_book(code.book_id);
        if (!may_have_uses(book, code)) return;
        const UsageNeed need = uses_need(book.id, code.id);
        Usage& uses = world_.usages[need.key].now = count(need);
        const std::string user(user_id.empty() ? code.assigned_to.value_or("") : user_id);
        CodeRow*& open = world_.unredeemed_uses[{code.id, user}];
        const auto is_open = [&](const CodeRow* use) {
            return use->code.use_of == code.id && !use->code.redeemed_at;
        };
        open = nullptr;
        uses.locked = std::ranges::count_if(
            uses_, [&](const CodeRow* use) { return is_open(use) && use->code.is_locked(at); });
        for (CodeRow* const use : uses_) {
            if (!is_open(use) || use->code.assigned_to != user) continue;
            if (open == nullptr || open->code.lock->until < use->code.lock->until) open = use;
        }
    }

    void load_usages(BookId book_id, std::string_view user_id, Timestamp at) {
        for (const std::string_view of : {std::string_view(), user_id}) {
            for (const UsageNeed& need : usage_needs(*world_.find_book(book_id), of, at)) {
                World::UsageRow& usage = world_.usages[need.key];
                usage.now = count(need);
                usage.locks_counted = true;
                for (const std::string& code : codes_) count_lock(*world_.find(code), need, at);
                for (const CodeRow* const use : uses_) count_lock(*use, need, at);
            }
        }
    }

    void count_lock(const CodeRow& row, const UsageNeed& need, Timestamp at) {
        const auto& lock = row.counted_lock;
        if (!lock || row.code.book_id != need.key.book_id || at >= lock->until) return;
        if (!need.key.user_id.empty() && need.key.user_id != lock->user_id) return;
        Usage& now = world_.usages[need.key].now;
        ++now.locked;
        if (need.currency && lock->worth && lock->worth->currency == need.currency) {
            now.locked_amount += lock->worth->amount;
        }
    }

    Usage count(const UsageNeed& need) {
        Usage usage{need.since, 0, 0, need.currency};
        for (const EntryId id : redemptions_) {
            const Redemption& redemption = *world_.find_redemption(id);
            const std::string& of = need.key.user_id;
            if (redemption.book_id != need.key.book_id || redemption.at < need.since ||
                (!of.empty() && redemption.user_id != of) ||
                (need.key.code_id != 0 && redemption.use_of != need.key.code_id)) {
                continue;
            }
            if (!redemption.rolled_back_at) ++usage.redeemed;
            const auto& worth = redemption.discount;
            if (need.currency && worth && worth->currency == need.currency) {
                usage.amount += worth->amount - redemption.given_back;
            }
        }
        return usage;
    }

    World world_;
    std::set<EntryId> redemptions_;
    std::vector<std::string> codes_;
    std::vector<CodeRow*> uses_;
};

class Cases : public testing::TestWithParam<std::string> {};

TEST_P(Cases, OneAtATime) {
    Game game;
    const auto lines = parse_table(std::filesystem::path(COUPOND_TESTS_DIR "/cases") / GetParam());
    for (const Line& line : lines) game.play({&line, 1});
}

TEST_P(Cases, AllOfATimeAsABatch) {
    Game game;
    const auto lines = parse_table(std::filesystem::path(COUPOND_TESTS_DIR "/cases") / GetParam());
    std::size_t first = 0;
    for (std::size_t i = 1; i <= lines.size(); ++i) {
        if (i < lines.size() && lines[i].at == lines[first].at) continue;
        game.play(std::span(lines).subspan(first, i - first));
        first = i;
    }
}

std::vector<std::string> tables() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(COUPOND_TESTS_DIR "/cases")) {
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

INSTANTIATE_TEST_SUITE_P(Tables, Cases, testing::ValuesIn(tables()), [](const auto& table) {
    return table.param.substr(0, table.param.find('.'));
});

}  // namespace
}  // namespace coupond
