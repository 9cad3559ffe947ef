#include "domain/usage.hpp"

#include <unordered_map>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/time_zone.hpp"
#include "domain/money.hpp"

namespace coupond {
namespace {

/// The bit of Book::counted.
std::int64_t bit(Per per, bool of_user) {
    return std::int64_t{1} << (2 * static_cast<int>(per) + (of_user ? 1 : 0));
}

/// The one for uses of codes.
constexpr std::int64_t codes_bit = 1 << (2 * all_pers.size());

CalendarUnit unit_of(Per per) {
    switch (per) {
        case Per::day: return CalendarUnit::day;
        case Per::week: return CalendarUnit::week;
        case Per::month: return CalendarUnit::month;
        case Per::ever: break;
    }
    check_failed("a piece of a calendar", __FILE__, __LINE__);
}

/// UTC where the machine does not know the book's. Kept by name: to find one asks for its file, and
/// there are no more than the machine has files.
TimeZone zone_of(const Book& book) {
    thread_local std::unordered_map<std::string, TimeZone> known;
    const auto found = known.find(book.time_zone);
    if (found != known.end()) return found->second;
    const auto zone = TimeZone::find(book.time_zone);
    if (!zone) return TimeZone::find("UTC").value();
    return known.emplace(book.time_zone, *zone).first->second;
}

}  // namespace

Timestamp since(const Book& book, Per per, Timestamp at) {
    return per == Per::ever ? all_times : zone_of(book).begin(unit_of(per), at);
}

Timestamp ends(const Book& book, Per per, Timestamp at) {
    COUPOND_CHECK(per != Per::ever);
    return zone_of(book).next(unit_of(per), at);
}

std::vector<UsageNeed> usage_needs(const Book& book, std::string_view user_id, Timestamp at) {
    std::vector<UsageNeed> needs;
    const bool of_user = !user_id.empty();
    for (const Per per : all_pers) {
        if ((book.counted & bit(per, of_user)) == 0) continue;
        const auto currency = of_user || !book.discount ? std::nullopt : book.discount->currency;
        needs.push_back({{book.id, std::string(user_id), per}, since(book, per, at), currency});
    }
    return needs;
}

bool may_have_uses(const Book& book, const Code& code) {
    return code.counted || (book.counted & codes_bit) != 0;
}

UsageNeed uses_need(BookId book_id, CodeId code_id) {
    return {{book_id, "", Per::ever, code_id}, all_times, std::nullopt};
}

bool is_nearly_used_up(const Book& book, const Code& code, const Usage& uses) {
    const auto most = most_redemptions(book, code);
    constexpr auto batch = static_cast<std::int64_t>(limits::batch_commands);
    return most && uses.redeemed + uses.locked + batch >= *most;
}

bool counts_redemptions(const Book& book) {
    return (book.counted & (codes_bit - 1)) != 0;
}

bool may_be_locked_up(const Book& book, const UsageKey& key, const Usage& usage) {
    if (usage.locked == 0) return false;
    const Limits limits = book.limits_per(key.per);
    const auto most =
        key.user_id.empty() ? limits.max_redemptions : limits.max_redemptions_per_user;
    if (most && usage.redeemed >= *most) return false;  // whatever is locked
    if (most && usage.redeemed + usage.locked >= *most) return true;
    return key.user_id.empty() && limits.budget &&
           usage.amount + usage.locked_amount >= minor_units_in(*limits.budget, usage.currency);
}

void count_what_is_limited(Book& book) {
    if (book.open || book.max_redemptions_per_code != 1) book.counted |= codes_bit;
    for (const Per per : all_pers) {
        const Limits limits = book.limits_per(per);
        if (limits.max_redemptions || limits.budget) book.counted |= bit(per, false);
        if (limits.max_redemptions_per_user) book.counted |= bit(per, true);
    }
}

}  // namespace coupond
