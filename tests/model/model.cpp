#include "model/model.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace coupond::test {
namespace {

std::string text(std::int64_t number) {
    return std::to_string(number);
}

std::string text(const std::optional<std::int64_t>& number) {
    return number ? text(*number) : "none";
}

std::string text(const std::optional<Currency>& currency) {
    return currency ? std::string(currency->code()) : "none";
}

std::string text(const std::optional<Money>& money) {
    return money ? text(money->amount) + " " + text(money->currency) : "none";
}

std::string text(const std::optional<Order>& order) {
    if (!order) return "none";
    return order->id.value_or("") + " " + text(order->amount) + " " + text(order->currency);
}

std::string text(const std::optional<Discount>& discount) {
    if (!discount) return "none";
    return "type " + text(static_cast<int>(discount->type)) + " " + text(discount->value) + " " +
           text(discount->currency) + " most " + text(discount->max_amount) + " from " +
           text(discount->min_order_amount);
}

/// Of those currencies that the histories have; of none, as of most.
int decimals_of(const std::optional<Currency>& currency) {
    const std::string code = text(currency);
    return code == "JPY" ? 0 : code == "KWD" ? 3 : 2;
}

std::int64_t power_of_10(int exponent) {
    return exponent == 0 ? 1 : 10 * power_of_10(exponent - 1);
}

/// An amount of a discount in minor units of the order's currency.
std::int64_t in_order(std::int64_t amount, const Discount& discount, const Order& order) {
    if (discount.currency) return amount;
    return (amount * power_of_10(decimals_of(order.currency)) * 2 + 100) / 200;
}

/// What counts of it where a budget is in that currency.
std::int64_t amount_in(const std::optional<Money>& money, const std::optional<Currency>& currency) {
    return money && currency && money->currency == currency ? money->amount : 0;
}

/// What a discount is worth on an order that it may be used on, or without one.
std::optional<Money> worth(const Discount& discount, const std::optional<Order>& order) {
    if (!order) {
        if (discount.type != Discount::Type::amount) return std::nullopt;
        const std::int64_t most = discount.max_amount.value_or(discount.value);
        return Money{std::min(discount.value, most), discount.currency};
    }
    std::int64_t off = 0;
    if (discount.type == Discount::Type::amount) off = in_order(discount.value, discount, *order);
    if (discount.type == Discount::Type::percent) {
        off = (order->amount * discount.value * 2 + 10'000) / 20'000;
    }
    if (discount.type == Discount::Type::fixed_price) {
        off = std::max<std::int64_t>(0, order->amount - in_order(discount.value, discount, *order));
    }
    if (discount.max_amount) off = std::min(off, in_order(*discount.max_amount, discount, *order));
    return Money{std::min(off, order->amount), order->currency};
}

std::string text(const Limits& limits) {
    return text(limits.max_redemptions) + " " + text(limits.max_redemptions_per_user) + " " +
           text(limits.budget);
}

std::string name_of(Per per) {
    static const std::array names{"ever", "day", "week", "month"};
    return names.at(static_cast<std::size_t>(per));
}

std::string text(const std::map<Per, Limits>& limits) {
    std::string all;
    for (const auto& [per, those] : limits) all += " per " + name_of(per) + " " + text(those);
    return all;
}

std::chrono::minutes offset_of(const std::string& zone) {
    if (zone == "Asia/Kathmandu") return std::chrono::minutes(5 * 60 + 45);
    if (zone == "America/Phoenix") return std::chrono::minutes(-7 * 60);
    return {};
}

std::string settings_text(const Model::CodeState& state) {
    return (state.active ? "active" : "disabled") + (" expires " + text(state.expires_at)) +
           " most " + text(state.most) + " metadata " + state.metadata;
}

/// Of a lock that is dead nobody is told.
std::string shown(const std::string& code, const Model::CodeState& state, std::int64_t now) {
    const std::int64_t locked_until = now < state.locked_until ? state.locked_until : 0;
    return "code " + text(state.id) + " " + code + " of book " + text(state.book) + " holder " +
           state.holder + " lock until " + text(locked_until) + " redeemed " +
           text(state.redeemed_at) + " created " + text(state.created_at) + " " +
           settings_text(state);
}

/// The code as a redemption of it shows it.
Model::CodeState as_used(Model::CodeState code, const Model::RedemptionState& redemption) {
    if (!redemption.by_use) return code;
    code.holder = redemption.user;
    code.locked_until = 0;
    code.redeemed_at = redemption.at;
    return code;
}

std::string shown(const Model::BookState& book) {
    return book.name + " pattern " + book.pattern + " limits " + text(book.limits_ever) +
           text(book.limits) + " discount " + text(book.discount) + " description " +
           book.description + (book.active ? " active" : " inactive") + " from " +
           text(book.starts_at) + " to " + text(book.ends_at) + " zone " + book.zone + " ttl " +
           text(book.ttl_s) + (book.combinable ? "" : " alone") + " held " + text(book.most_held) +
           " per code " + text(book.most_per_code) + (book.open ? " open" : "") +
           (book.case_sensitive ? "" : " folded") + " metadata " + book.metadata + " archived " +
           text(book.archived_at) + " counted " + text(book.counted) + " created " +
           text(book.created_at) + " updated " + text(book.updated_at);
}

std::optional<std::int64_t> ms_of(const std::optional<Timestamp>& at) {
    return at ? std::optional(at->ms) : std::nullopt;
}

std::optional<Timestamp> time_of(const std::optional<std::int64_t>& ms) {
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// As the rows of books note that they have had a limit of all users, or of each.
std::int64_t counts_for(Per per, bool of_user) {
    return (of_user ? 2 : 1) << 2 * static_cast<int>(per);
}

/// The same of how often its codes are redeemed.
constexpr std::int64_t counts_uses = 256;

/// Makes of `book` what is wished of its members.
void take(Model::BookState& book, const BookWish& wish, BookMembers wished) {
    Limits& ever = book.limits_ever;
    if (wished[place::name]) book.name = wish.name;
    if (wished[place::code_pattern]) book.pattern = wish.code_pattern;
    if (wished[place::max_redemptions_per_user]) {
        ever.max_redemptions_per_user = wish.max_redemptions_per_user;
    }
    if (wished[place::discount]) book.discount = wish.discount;
    if (wished[place::description]) book.description = wish.description;
    if (wished[place::active]) book.active = wish.active;
    if (wished[place::starts_at]) book.starts_at = ms_of(wish.starts_at);
    if (wished[place::ends_at]) book.ends_at = ms_of(wish.ends_at);
    if (wished[place::time_zone]) book.zone = wish.time_zone;
    if (wished[place::max_redemptions]) ever.max_redemptions = wish.max_redemptions;
    if (wished[place::budget]) ever.budget = wish.budget;
    if (wished[place::limits]) book.limits = wish.limits;
    if (wished[place::lock_ttl_s]) book.ttl_s = wish.lock_ttl_s;
    if (wished[place::combinable]) book.combinable = wish.combinable;
    if (wished[place::max_assignments_per_user]) book.most_held = wish.max_assignments_per_user;
    if (wished[place::max_redemptions_per_code]) {
        book.most_per_code = wish.max_redemptions_per_code;
    }
    if (wished[place::open]) book.open = wish.open;
    if (wished[place::case_sensitive]) book.case_sensitive = wish.case_sensitive;
    if (book.open || book.most_per_code != 1) book.counted |= counts_uses;
    if (wished[place::metadata]) book.metadata = wish.metadata;
    for (const Per per : all_pers) {
        const Limits limits = book.limits_per(per);
        if (limits.max_redemptions || limits.budget) book.counted |= counts_for(per, false);
        if (limits.max_redemptions_per_user) book.counted |= counts_for(per, true);
    }
}

/// Ten-thousandths of a currency's major unit that its minor unit has.
std::int64_t minor_unit(const std::optional<Currency>& currency) {
    return power_of_10(4 - decimals_of(currency));
}

std::string contradicted(const std::set<Fault>& faults) {
    std::string answer = "contradicted";
    for (const Fault fault : faults) answer += " " + text(static_cast<int>(fault));
    return answer;
}

/// What a book cannot be.
std::set<Fault> faults_of(const Model::BookState& book) {
    std::set<Fault> faults;
    if (book.starts_at && book.ends_at && *book.ends_at <= *book.starts_at) {
        faults.insert(Fault::ends_before_start);
    }
    const bool has_currency = book.discount && book.discount->currency;
    for (const Per per : all_pers) {
        const auto budget = book.limits_per(per).budget;
        if (!budget) continue;
        if (!has_currency) {
            faults.insert(Fault::budget_without_currency);
        } else if (*budget % minor_unit(book.discount->currency) != 0) {
            faults.insert(Fault::budget_too_fine);
        }
    }
    return faults;
}

}  // namespace

std::int64_t begin(const std::string& zone, Per per, std::int64_t at) {
    using namespace std::chrono;
    if (per == Per::ever) return -1;
    const auto there = sys_time<milliseconds>(milliseconds(at)) + offset_of(zone);
    sys_days first = floor<days>(there);
    if (per == Per::week) first -= weekday(first) - Monday;
    if (per == Per::month) {
        const year_month_day date(first);
        first = date.year() / date.month() / 1;
    }
    return milliseconds(first.time_since_epoch() - offset_of(zone)).count();
}

std::int64_t next(const std::string& zone, Per per, std::int64_t at) {
    const int most_days = per == Per::day ? 1 : per == Per::week ? 7 : 31;
    return begin(zone, per, begin(zone, per, at) + most_days * std::int64_t{86'400'000});
}

Limits Model::BookState::limits_per(Per per) const {
    if (per == Per::ever) return limits_ever;
    return limits.count(per) > 0 ? limits.at(per) : Limits();
}

/// Naive: what tells spellings of a code apart is left out.
std::string spelled(const std::string& code) {
    std::string text;
    for (const char c : code) {
        if (c != '-') text += static_cast<char>(std::toupper(c));
    }
    return text;
}

std::string Model::stored(const std::string& code) const {
    if (codes.count(code) > 0) return code;
    for (const auto& [text, state] : codes) {
        const bool folds = !books.at(state.book).case_sensitive;
        if (folds && spelled(text) == spelled(code)) return text;
    }
    return code;
}

std::string Model::apply(const Submission& submission, std::int64_t now, const Given& given) {
    Command command = submission.command;
    std::visit(
        [this](auto& it) {
            if constexpr (requires { it.code; }) {
                const std::string text = stored(it.code);
                if (text != it.code) ++met["a code is spelled otherwise"];
                it.code = text;
            }
        },
        command);
    request_ = submission.request_id;
    if (const auto* it = std::get_if<CreateBook>(&command)) return create(*it, now, given.id);
    if (const auto* it = std::get_if<EditBook>(&command)) return edit(*it, now);
    if (const auto* it = std::get_if<ArchiveBook>(&command)) return archive(it->book_id, true, now);
    if (const auto* it = std::get_if<RestoreBook>(&command)) {
        return archive(it->book_id, false, now);
    }
    if (const auto* it = std::get_if<UploadCodes>(&command)) return upload(*it, now, given.id);
    if (const auto* it = std::get_if<AssignAny>(&command)) return assign_any(*it, now, given.code);
    if (const auto* it = std::get_if<AssignCode>(&command)) return assign(*it, now);
    if (const auto* it = std::get_if<LockCode>(&command)) return lock(*it, now);
    if (const auto* it = std::get_if<RedeemCode>(&command)) return redeem(*it, now, given.id);
    if (const auto* it = std::get_if<LockCodes>(&command)) return lock(*it, now);
    if (const auto* it = std::get_if<RedeemCodes>(&command)) return redeem(*it, now, given.ids);
    if (const auto* it = std::get_if<RollBack>(&command)) return roll_back(*it, now);
    if (const auto* it = std::get_if<EditCode>(&command)) return edit(*it, now);
    if (const auto* it = std::get_if<UnlockCode>(&command)) return unlock(*it, now);
    if (const auto* it = std::get_if<UnassignCode>(&command)) return unassign(*it, now);
    return erase(std::get<EraseUser>(command), now);
}

std::int64_t Model::next_id(std::int64_t last, std::int64_t given) const {
    return ids_may_skip_ && given > last ? given : last + 1;
}

std::string Model::create(const CreateBook& command, std::int64_t now, std::int64_t given_id) {
    BookState book;
    take(book, command, BookMembers().set());
    const std::set<Fault> faults = faults_of(book);
    if (!faults.empty()) return contradicted(faults);
    book.created_at = book.updated_at = now;
    const std::int64_t id = next_id(books.empty() ? 0 : books.rbegin()->first, given_id);
    books[id] = book;
    changes.push_back(
        {.type = "book_created", .at = now, .book = id, .request = request_, .after = shown(book)});
    return "book " + text(id) + " " + shown(book);
}

std::string Model::edit(const EditBook& command, std::int64_t now) {
    if (books.count(command.book_id) == 0) return "refused book_not_found";
    BookState wished = books[command.book_id];
    take(wished, command.wish, command.wished);
    std::set<Fault> faults = faults_of(wished);
    if (wished.open != books[command.book_id].open) faults.insert(Fault::assignment_fixed);
    if (wished.case_sensitive != books[command.book_id].case_sensitive) {
        faults.insert(Fault::case_fixed);
    }
    if (!faults.empty()) return contradicted(faults);
    return "changed: " + become(command.book_id, wished, "book_changed", now);
}

std::string Model::archive(std::int64_t id, bool archived, std::int64_t now) {
    if (books.count(id) == 0) return "refused book_not_found";
    BookState wished = books[id];
    if (!archived) {
        wished.archived_at.reset();
    } else if (!wished.archived_at) {
        wished.archived_at = now;
    }
    return (archived ? "changed: " : "restored: ") +
           become(id, wished, archived ? "book_archived" : "book_restored", now);
}

std::string Model::become(std::int64_t id, BookState wished, const std::string& type,
                          std::int64_t now) {
    BookState& book = books[id];
    if (wished != book) {
        wished.updated_at = now;
        changes.push_back({.type = type,
                           .at = now,
                           .book = id,
                           .request = request_,
                           .before = shown(book),
                           .after = shown(wished)});
        book = wished;
    }
    return text(id) + " " + shown(book);
}

std::string Model::closed(std::int64_t id, std::int64_t now) const {
    const BookState& book = books.at(id);
    if (book.archived_at) return "refused book_archived";
    if (!book.active) return "refused book_inactive";
    if (book.ends_at && now >= *book.ends_at) return "refused book_ended";
    return {};
}

std::string Model::useless(const CodeState& code, std::int64_t now) {
    if (!code.active) return "refused code_disabled";
    return code.works(now) ? "" : "refused code_expired";
}

std::string Model::unusable(const CodeState& code, std::int64_t now) const {
    const BookState& book = books.at(code.book);
    const std::string why = closed(code.book, now);
    // Not started comes before ended: a book cannot be both.
    if (!why.empty()) return why;
    if (book.starts_at && now < *book.starts_at) return "refused book_not_started";
    return useless(code, now);
}

std::string Model::upload(const UploadCodes& command, std::int64_t now, std::int64_t given_id) {
    std::int64_t book = 0;
    if (command.book_id) {
        book = *command.book_id;
        if (books.count(book) == 0) return "refused book_not_found";
    } else {
        if (books.size() != 1) return "refused book_required";
        book = books.begin()->first;
    }
    if (books[book].archived_at) return "refused book_archived";
    for (const std::string& code : command.codes) {
        if (codes.count(code) > 0) return "refused codes_already_exist";
        if (std::count(command.codes.begin(), command.codes.end(), code) > 1) {
            return "refused codes_already_exist";
        }
    }
    for (const std::string& code : command.codes) {
        if (books[book].case_sensitive) break;
        const auto alike = [&](const std::string& other) {
            return spelled(other) == spelled(code);
        };
        const auto exists = [&](const auto& one) {
            return !books.at(one.second.book).case_sensitive && alike(one.first);
        };
        if (std::any_of(codes.begin(), codes.end(), exists) ||
            std::count_if(command.codes.begin(), command.codes.end(), alike) > 1) {
            return "refused codes_already_exist";
        }
    }
    const std::int64_t first = next_id(last_code_id_, given_id);
    last_code_id_ = first - 1;
    changes.push_back({.type = "codes_uploaded",
                       .at = now,
                       .book = book,
                       .code = first,
                       .codes = static_cast<std::int64_t>(command.codes.size()),
                       .request = request_});
    std::string answer = "uploaded to book " + text(book) + " from id " + text(first);
    for (const std::string& code : command.codes) {
        codes[code] = {.id = ++last_code_id_, .book = book, .holder = {}, .created_at = now};
        answer += " " + code;
    }
    return answer;
}

Model::Change& Model::enter(const std::string& type, const CodeState& code, std::int64_t now) {
    changes.push_back({.type = type,
                       .at = now,
                       .book = code.book,
                       .code = code.id,
                       .user = code.holder,
                       .request = request_});
    return changes.back();
}

std::string Model::assign_any(const AssignAny& command, std::int64_t now,
                              const std::string& given) {
    if (command.book_id) {
        if (books.count(*command.book_id) == 0) return "refused book_not_found";
        if (books.at(*command.book_id).open) return "refused book_open";
        const std::string why = closed(*command.book_id, now);
        if (!why.empty()) return why;
        if (holds_most(*command.book_id, command.user_id)) {
            return held(*command.book_id, command.user_id, now);
        }
    }
    const auto fits = [&](const CodeState& code) {
        return code.holder.empty() && (!command.book_id || code.book == *command.book_id) &&
               !books.at(code.book).open && closed(code.book, now).empty() && code.works(now);
    };
    // Of any book: who draws a code of one of which they hold enough is told so.
    std::set<std::string> told;
    std::string free;
    for (const auto& [code, state] : codes) {
        if (!fits(state)) continue;
        const bool most = holds_most(state.book, command.user_id);
        if (most) told.insert(held(state.book, command.user_id, now));
        if (!most) free = code;
    }
    const std::string refusal = "refused user_assignment_limit_reached";
    if (given.empty()) {
        if (told.contains(refusal)) return refusal;
        if (!free.empty()) return "one of the free codes, such as " + free;
        return told.empty() ? "refused no_available_coupons" : *told.begin();
    }
    const auto found = codes.find(given);
    if (found == codes.end()) return "any code but " + given;
    const std::string again = shown(given, found->second, now);
    if (told.contains(again)) return again;
    if (!fits(found->second) || holds_most(found->second.book, command.user_id)) {
        return "any code but " + given;
    }
    CodeState& code = found->second;
    code.holder = command.user_id;
    enter("code_assigned", code, now);
    return shown(given, code, now);
}

bool Model::holds_most(std::int64_t book, const std::string& user) const {
    const auto most = books.at(book).most_held;
    std::int64_t held = 0;
    for (const auto& [_, code] : codes) held += code.book == book && code.holder == user ? 1 : 0;
    return most && held >= *most;
}

std::string Model::held(std::int64_t book, const std::string& user, std::int64_t now) const {
    if (books.at(book).most_held != 1) return "refused user_assignment_limit_reached";
    const std::pair<const std::string, CodeState>* first = nullptr;
    for (const auto& code : codes) {
        const bool own = code.second.book == book && code.second.holder == user;
        if (own && (first == nullptr || code.second.id < first->second.id)) first = &code;
    }
    return shown(first->first, first->second, now);
}

std::string Model::assign(const AssignCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (!code.holder.empty() && code.holder != command.user_id) {
        return "refused assigned_to_another_user";
    }
    if (code.holder.empty()) {
        std::string why = books.at(code.book).open ? "refused book_open" : closed(code.book, now);
        if (why.empty()) why = useless(code, now);
        if (why.empty() && holds_most(code.book, command.user_id)) {
            why = "refused user_assignment_limit_reached";
        }
        if (!why.empty()) return why;
        code.holder = command.user_id;
        enter("code_assigned", code, now);
    }
    return shown(command.code, code, now);
}

std::string Model::lock(const LockCode& command, std::int64_t now) {
    const Asked asked{command.user_id, command.order, command.lock_key};
    std::string why = unlockable(command.code, asked, now);
    if (!why.empty()) return why;
    auto worth = shares({command.code}, command.order).front();
    why = unplaced(command.code, asked, worth, now, {}, {});
    if (!why.empty()) return why;
    return "locked until " + text(take_lock(command.code, asked, command.ttl_ms, worth, now));
}

std::string Model::lock(const LockCodes& command, std::int64_t now) {
    const Asked asked{command.user_id, command.order, command.lock_key, command.codes.size()};
    const std::vector<std::string> texts = stored(command.codes);
    auto worth = shares(texts, command.order);
    const std::string why = refuse_all(command.codes, asked, worth, now, true);
    if (!why.empty()) return why;
    std::string answer = "locked:";
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::int64_t until = take_lock(texts[i], asked, command.ttl_ms, worth[i], now);
        answer += " " + texts[i] + " " + text(until);
    }
    return answer;
}

std::vector<std::string> Model::stored(const std::vector<std::string>& named) const {
    std::vector<std::string> texts;
    for (const std::string& code : named) texts.push_back(stored(code));
    return texts;
}

std::string Model::refuse_all(const std::vector<std::string>& named, const Asked& asked,
                              std::vector<std::optional<Money>>& worth, std::int64_t now,
                              bool locks) {
    const std::vector<std::string> texts = stored(named);
    for (const std::string& code : texts) {
        if (codes.count(code) > 0 && std::count(texts.begin(), texts.end(), code) > 1) {
            return contradicted({Fault::code_named_twice});
        }
    }
    const auto refused = [&](std::string reason, std::size_t place) {
        reason = reason.substr(reason.find(' ') + 1);
        ++met["of several: " + reason];
        return "refused: " + reason + " of " + named[place];
    };
    for (std::size_t i = 0; i < texts.size(); ++i) {
        std::string why =
            locks ? unlockable(texts[i], asked, now) : unredeemable(texts[i], asked, now);
        if (!locks && same(texts[i], asked) != 0) {
            ++met["of several: one for the order before"];
            why = "refused already_redeemed";
        }
        if (!why.empty()) return refused(why, i);
    }
    std::map<std::int64_t, std::pair<Use, Use>> of_books;  // besides, released
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::int64_t book = codes.at(texts[i]).book;
        auto& [besides, released] = of_books[book];
        const CountedLock* const own =
            !locks || extends(texts[i], asked, now) ? held(texts[i], asked.user, now) : nullptr;
        const std::string why =
            locks ? unplaced(texts[i], asked, worth[i], now, besides, released)
                  : limited(book, asked.user, worth[i], now, false, own, besides, released);
        if (!why.empty()) return refused(why, i);
        ++besides.redeemed;
        const auto& discount = books.at(book).discount;
        const auto currency = discount ? discount->currency : std::nullopt;
        besides.amount += amount_in(worth[i], currency);
        if (own == nullptr) continue;
        ++released.redeemed;
        released.amount += amount_in(own->worth, currency);
    }
    return {};
}

const Model::CountedLock* Model::held(const std::string& text, const std::string& user,
                                      std::int64_t now) {
    const CodeState& code = codes.at(text);
    const auto lock = counted_locks.find(place_of(text, code, user, now));
    const bool counts = lock != counted_locks.end() && lock->second.user == user &&
                        now < lock->second.until && now < locked_until(code, user, now);
    return counts ? &lock->second : nullptr;
}

std::string Model::unplaced(const std::string& text, const Asked& asked,
                            std::optional<Money>& worth, std::int64_t now, const Use& besides,
                            const Use& released) {
    const BookState& book = books.at(codes.at(text).book);
    if ((book.counted & ~counts_uses) == 0) return {};
    const bool goes_on = extends(text, asked, now);
    const CountedLock* const own = goes_on ? held(text, asked.user, now) : nullptr;
    if (own != nullptr) {
        if (!asked.order) worth = own->worth;
        const bool more = worth && (!own->worth || own->worth->currency != worth->currency ||
                                    own->worth->amount < worth->amount);
        if (!more) return {};
        ++met["a lock is to hold more"];
    }
    return limited(codes.at(text).book, asked.user, worth, now, true, own, besides, released);
}

std::vector<std::optional<Money>> Model::shares(const std::vector<std::string>& texts,
                                                const std::optional<Order>& order) const {
    using Type = Discount::Type;
    std::vector<std::optional<Money>> all(texts.size());
    std::optional<Order> left = order;
    for (const Type type : {Type::fixed_price, Type::percent, Type::amount, Type::free_shipping}) {
        for (std::size_t i = 0; i < texts.size(); ++i) {
            if (codes.count(texts[i]) == 0) continue;
            const auto& discount = books.at(codes.at(texts[i]).book).discount;
            if (!discount || discount->type != type) continue;
            all[i] = worth(*discount, left);
            if (left) left->amount -= all[i]->amount;
        }
    }
    return all;
}

std::string Model::unavailable(const std::string& text, const Asked& asked,
                               std::int64_t now) const {
    const auto found = codes.find(text);
    if (found == codes.end()) return "refused code_not_found";
    const CodeState& code = found->second;
    const BookState& book = books.at(code.book);
    if (!book.open && code.holder != asked.user) return "refused not_assigned_to_user";
    std::string why = used_up(text, code);
    if (why.empty()) why = unusable(code, now);
    if (why.empty() && asked.codes > 1 && !book.combinable) why = "refused not_combinable";
    return why;
}

std::string Model::unlockable(const std::string& text, const Asked& asked, std::int64_t now) {
    std::string why = unavailable(text, asked, now);
    if (!why.empty()) return why;
    const CodeState& code = codes.at(text);
    if (asked.order) why = unfit(code.book, asked.order);
    if (!why.empty()) return why;
    if (extends(text, asked, now)) return {};
    if (now < locked_until(code, asked.user, now)) return "refused already_locked";
    std::int64_t taken = count_uses(text);
    for (const auto& [_, until] : code.uses) taken += now < until ? 1 : 0;
    if (code.redeemed_at != 0 || now < code.locked_until) ++taken;
    const auto most = most_of(code);
    if (most && taken >= *most) {
        ++met["all that is left is locked"];
        return "refused already_locked";
    }
    return {};
}

bool Model::extends(const std::string& text, const Asked& asked, std::int64_t now) {
    CodeState& code = codes.at(text);
    return now < locked_until(code, asked.user, now) && !asked.lock_key.empty() &&
           key_of(code, asked.user, now) == asked.lock_key;
}

std::int64_t Model::take_lock(const std::string& text, const Asked& asked, std::int64_t ttl_ms,
                              const std::optional<Money>& worth, std::int64_t now) {
    CodeState& code = codes.at(text);
    const BookState& book = books.at(code.book);
    const std::string& user = asked.user;
    std::int64_t until = now + (book.ttl_s ? *book.ttl_s * 1000 : ttl_ms);
    const std::int64_t extended_from =
        extends(text, asked, now) ? locked_until(code, user, now) : 0;
    if (extended_from != 0) {
        ++met["a lock is extended"];
        until = std::max(until, extended_from);
    }
    key_of(code, user, now) = asked.lock_key;
    if ((book.counted & ~counts_uses) != 0) {
        counted_locks[place_of(text, code, user, now)] = {code.book, user, until, worth};
    }
    if (by_use(code, user, now)) {
        code.uses[user] = until;
    } else {
        code.locked_until = until;
        code.lock_ended = false;
        if (code.first_locked_at == 0) code.first_locked_at = now;
    }
    Change& change = enter("code_locked", code, now);
    change.user = user;
    change.locked_until = until;
    change.extended_from = extended_from;
    return until;
}

std::string& Model::key_of(CodeState& code, const std::string& user, std::int64_t now) const {
    return by_use(code, user, now) ? code.use_keys[user] : code.lock_key;
}

std::optional<std::int64_t> Model::most_of(const CodeState& code) const {
    return code.most ? code.most : books.at(code.book).most_per_code;
}

std::int64_t Model::count_uses(const std::string& code) const {
    return std::count_if(redemptions.begin(), redemptions.end(), [&](const auto& each) {
        const RedemptionState& made = each.second;
        return made.code == code && made.by_use && made.rolled_back_at == 0;
    });
}

std::string Model::used_up(const std::string& text, const CodeState& code) const {
    const auto most = most_of(code);
    if (!most || count_uses(text) + (code.redeemed_at != 0 ? 1 : 0) < *most) return {};
    return *most == 1 ? "refused already_redeemed" : "refused code_redemption_limit_reached";
}

bool Model::by_use(const CodeState& code, const std::string& user, std::int64_t now) const {
    const auto use = code.uses.find(user);
    const bool is_locked = use != code.uses.end() && now < use->second;
    return books.at(code.book).open || code.redeemed_at != 0 || is_locked;
}

std::int64_t Model::locked_until(const CodeState& code, const std::string& user,
                                 std::int64_t now) const {
    if (!by_use(code, user, now)) return code.locked_until;
    const auto use = code.uses.find(user);
    return use == code.uses.end() ? 0 : use->second;
}

std::string Model::unfit(std::int64_t id, const std::optional<Order>& order) const {
    const std::optional<Discount>& discount = books.at(id).discount;
    if (!discount) return {};
    if (!order) {
        const bool depends = discount->type == Discount::Type::percent ||
                             discount->type == Discount::Type::fixed_price;
        bool has_budget = false;
        for (const Per per : all_pers)
            has_budget |= books.at(id).limits_per(per).budget.has_value();
        const bool required = discount->min_order_amount || (has_budget && depends);
        return required ? "refused order_required" : "";
    }
    if (discount->currency && *discount->currency != order->currency) {
        return "refused order_currency_mismatch";
    }
    if (!discount->min_order_amount) return {};
    const std::int64_t least = in_order(*discount->min_order_amount, *discount, *order);
    return order->amount < least ? "refused order_below_minimum" : "";
}

Model::Use Model::count_use(std::int64_t book, const std::string& user, std::int64_t since,
                            const std::optional<Currency>& currency) const {
    Use use;
    for (const auto& [id, made] : redemptions) {
        if (made.book != book || made.at < since || made.rolled_back_at != 0) continue;
        if (!user.empty() && made.user != user) continue;
        ++use.redeemed;
        if (currency && made.discount && made.discount->currency == currency) {
            use.amount += made.discount->amount - made.given_back;
        }
    }
    return use;
}

Model::Use Model::count_locks(std::int64_t book, const std::string& user, std::int64_t now,
                              const std::optional<Currency>& currency) const {
    Use use;
    for (const auto& [_, lock] : counted_locks) {
        if (lock.book != book || now >= lock.until) continue;
        if (!user.empty() && lock.user != user) continue;
        ++use.redeemed;
        if (currency && lock.worth && lock.worth->currency == currency) {
            use.amount += lock.worth->amount;
        }
    }
    return use;
}

std::pair<std::string, std::string> Model::place_of(const std::string& text, const CodeState& code,
                                                    const std::string& user,
                                                    std::int64_t now) const {
    return {text, by_use(code, user, now) ? user : ""};
}

std::string Model::limited(std::int64_t id, const std::string& user,
                           const std::optional<Money>& worth, std::int64_t now, bool locks,
                           const CountedLock* own, const Use& besides, const Use& released) {
    const BookState& book = books.at(id);
    const auto currency = book.discount ? book.discount->currency : std::nullopt;
    // What the user has locked there, nobody else has: a place, and of a budget so much.
    const std::int64_t kept = own == nullptr ? 0 : amount_in(own->worth, currency);
    const bool is_enough = own != nullptr && (!worth || worth->amount <= kept);
    const auto taken = [&](const std::string& of, std::int64_t since) {
        Use use = count_use(id, of, since, currency);
        Use others = count_locks(id, of, now, currency);
        others.redeemed -= released.redeemed;
        others.amount -= released.amount;
        (locks ? others : use).redeemed += besides.redeemed;
        (locks ? others : use).amount += besides.amount;
        others.amount -= kept;
        if (own == nullptr) use.redeemed += others.redeemed;
        if (!is_enough) use.amount += others.amount;
        return use;
    };
    // Whether, per some time, so much is used since then that it refuses.
    const auto most = [&](Per per, std::int64_t since) {
        const auto limit = book.limits_per(per).max_redemptions;
        return limit && taken("", since).redeemed + 1 > *limit;
    };
    const auto budget = [&](Per per, std::int64_t since) {
        const auto limit = book.limits_per(per).budget;
        if (!limit || !worth || worth->amount == 0) return false;
        const std::int64_t all = taken("", since).amount + worth->amount;
        return all * minor_unit(currency) > *limit;
    };
    const auto most_of_user = [&](Per per, std::int64_t since) {
        const auto limit = book.limits_per(per).max_redemptions_per_user;
        return limit && taken(user, since).redeemed + 1 > *limit;
    };
    std::set<std::string> begun_anew;
    const auto refuses = [&](const std::string& reason, auto limit) {
        bool is_refused = false;
        for (const Per per : all_pers) {
            const bool refuses_now = limit(per, begin(book.zone, per, now));
            is_refused |= refuses_now;
            if (refuses_now) ++met[reason + " " + name_of(per)];
            if (refuses_now != limit(per, begin("UTC", per, now))) {
                ++met["as by UTC it would not be"];
            }
            if (!refuses_now && limit(per, -1)) {
                begun_anew.insert({reason + " anew", "anew " + name_of(per)});
            }
        }
        if (is_refused) ++met[(locks ? "a lock: " : "a redemption: ") + reason];
        return is_refused;
    };
    if (refuses("redemption_limit_reached", most)) return "refused redemption_limit_reached";
    if (refuses("budget_exhausted", budget)) return "refused budget_exhausted";
    if (refuses("user_redemption_limit_reached", most_of_user)) {
        return "refused user_redemption_limit_reached";
    }
    for (const std::string& what : begun_anew) ++met[what];
    return {};
}

std::string Model::redeem(const RedeemCode& command, std::int64_t now, std::int64_t given_id) {
    const Asked asked{command.user_id, command.order, command.lock_key};
    const std::int64_t before = same(command.code, asked);
    if (before != 0) {
        const RedemptionState& made = redemptions.at(before);
        return "replayed: " + shown(command.code, as_used(codes.at(command.code), made), now) +
               test::shown(before, made);
    }
    std::string why = unredeemable(command.code, asked, now);
    if (!why.empty()) return why;
    const auto worth = shares({command.code}, command.order).front();
    why = limited(codes.at(command.code).book, command.user_id, worth, now, false,
                  held(command.code, command.user_id, now), {}, {});
    if (!why.empty()) return why;
    const std::string redeemed = take_redemption(command.code, asked, worth, now, given_id);
    const RedemptionState& made = redemptions.at(given_id);
    return "redeemed: " + shown(command.code, as_used(codes.at(command.code), made), now) +
           redeemed;
}

std::string Model::redeem(const RedeemCodes& command, std::int64_t now,
                          const std::vector<std::int64_t>& given_ids) {
    const Asked asked{command.user_id, command.order, command.lock_key, command.codes.size()};
    const std::vector<std::string> texts = stored(command.codes);
    std::set<std::string> different;
    std::set<std::string> currencies;
    std::string again = "all-replayed:";
    bool is_again = true;
    for (const std::string& code : texts) {
        const std::int64_t before = same(code, asked);
        is_again &= before != 0 && different.insert(code).second;
        if (before == 0) continue;
        again += test::shown(before, redemptions.at(before));
        currencies.insert(text(redemptions.at(before).order->currency));
    }
    if (is_again && currencies.size() == 1) return again;
    auto worth = shares(texts, command.order);
    const std::string why = refuse_all(command.codes, asked, worth, now, false);
    if (!why.empty()) return why;
    if (given_ids.size() != texts.size()) return "an id for each";
    std::string answer = "all-redeemed:";
    for (std::size_t i = 0; i < texts.size(); ++i) {
        answer += take_redemption(texts[i], asked, worth[i], now, given_ids[i]);
    }
    return answer;
}

std::int64_t Model::same(const std::string& code, const Asked& asked) const {
    for (const auto& [id, made] : redemptions) {
        const bool same = made.rolled_back_at == 0 && made.code == code &&
                          made.user == asked.user && made.order && asked.order &&
                          made.order->id == asked.order->id;
        if (same) return id;
    }
    return 0;
}

std::string Model::unredeemable(const std::string& text, const Asked& asked, std::int64_t now) {
    const std::string why = unavailable(text, asked, now);
    if (!why.empty()) return why;
    CodeState& code = codes.at(text);
    if (now >= locked_until(code, asked.user, now)) return "refused not_locked";
    if (key_of(code, asked.user, now) != asked.lock_key) {
        ++met["a lock has another key"];
        return "refused lock_key_mismatch";
    }
    return unfit(code.book, asked.order);
}

std::string Model::take_redemption(const std::string& text, const Asked& asked,
                                   const std::optional<Money>& worth, std::int64_t now,
                                   std::int64_t given_id) {
    CodeState& code = codes.at(text);
    const RedemptionState redemption{.code = text,
                                     .book = code.book,
                                     .user = asked.user,
                                     .order = asked.order,
                                     .discount = worth,
                                     .at = now,
                                     .by_use = by_use(code, asked.user, now)};
    counted_locks.erase(place_of(text, code, asked.user, now));
    Change& change = enter("code_redeemed", code, now);
    change.user = asked.user;
    change.locked_until = locked_until(code, asked.user, now);
    change.discount = worth;
    change.order = asked.order;
    change.redemption = given_id;
    if (redemption.by_use) {
        code.uses.erase(asked.user);
        ++met[books[code.book].open ? "use of an open code" : "use of a user's code"];
    } else {
        code.redeemed_at = now;
        code.locked_until = 0;
        code.first_locked_at = 0;
    }
    if (!redemptions.emplace(given_id, redemption).second) return "an id of its own";
    return test::shown(given_id, redemption);
}

std::string Model::roll_back(const RollBack& command, std::int64_t now) {
    const auto found = redemptions.find(command.redemption_id);
    if (found == redemptions.end()) return "refused redemption_not_found";
    RedemptionState& redemption = found->second;
    if (redemption.rolled_back_at != 0) return "refused already_rolled_back";
    std::optional<Money> back = redemption.discount;
    if (back) back->amount -= redemption.given_back;
    if (command.ten_thousandths) {
        const std::int64_t unit = minor_unit(back ? back->currency : std::nullopt);
        if (*command.ten_thousandths % unit != 0) return contradicted({Fault::amount_too_fine});
        const std::int64_t amount = *command.ten_thousandths / unit;
        if (!back || amount > back->amount) return "refused amount_exceeds_discount";
        back->amount = amount;
    }
    CodeState& code = codes.at(redemption.code);
    Change& change = enter(
        command.ten_thousandths ? "discount_given_back" : "redemption_rolled_back", code, now);
    change.user = redemption.user;
    change.discount = back;
    change.redemption = command.redemption_id;
    change.reason = command.reason;
    if (back) redemption.given_back += back->amount;
    if (command.ten_thousandths) return "given-back: " + test::shown(found->first, redemption);
    redemption.rolled_back_at = now;
    if (redemption.by_use) return "rolled-back: " + test::shown(found->first, redemption);
    code.redeemed_at = 0;
    code.locked_until = code.first_locked_at = now;
    code.lock_ended = true;
    return "rolled-back: " + test::shown(found->first, redemption);
}

std::string Model::edit(const EditCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    const std::string before = settings_text(code);
    if (command.wished[0]) code.active = command.wish.active;
    if (command.wished[1]) code.expires_at = ms_of(command.wish.expires_at).value_or(0);
    if (command.wished[2]) code.most = command.wish.max_redemptions;
    if (command.wished[3]) code.metadata = command.wish.metadata;
    if (settings_text(code) != before) {
        code.counted |= code.most.has_value();
        Change& change = enter("code_changed", code, now);
        change.before = before;
        change.after = settings_text(code);
        code.settled_at = now;
    }
    return "edited: " + shown(command.code, code, now);
}

std::string Model::unlock(const UnlockCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    const std::string& user = command.user_id;
    if (!books[code.book].open && code.holder != user) return "refused not_assigned_to_user";
    const bool once = !books[code.book].open && most_of(code) == 1;
    const std::int64_t until = locked_until(code, user, now);
    if (code.redeemed_at != 0 && once && now >= until) return "refused already_redeemed";
    if (now < until) {
        if (key_of(code, user, now) != command.lock_key) return "refused lock_key_mismatch";
        Change& change = enter("code_unlocked", code, now);
        change.user = user;
        change.locked_until = until;
        counted_locks.erase(place_of(command.code, code, user, now));
        (by_use(code, user, now) ? code.uses[user] : code.locked_until) = now;
    }
    return "unlocked";
}

std::string Model::unassign(const UnassignCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (!code.holder.empty()) {
        if (command.user_id && code.holder != *command.user_id) {
            return "refused not_assigned_to_user";
        }
        if (code.redeemed_at != 0 || count_uses(command.code) > 0) {
            return "refused already_redeemed";
        }
        const auto use = code.uses.find(code.holder);
        const bool is_used = use != code.uses.end() && now < use->second;
        if (now < code.locked_until || is_used) return "refused already_locked";
        enter("code_unassigned", code, now);
        code.holder.clear();
        code.locked_until = 0;
        code.lock_ended = false;
        code.first_locked_at = 0;
        code.settled_at = now;
    }
    return "freed: " + shown(command.code, code, now);
}

std::string Model::erase(const EraseUser& command, std::int64_t now) {
    const auto is_theirs = [&](const Change& change) { return change.user == command.user_id; };
    if (std::none_of(changes.begin(), changes.end(), is_theirs)) return "refused user_not_found";
    for (auto& [text, code] : codes) {
        code.uses.erase(command.user_id);
        if (code.holder != command.user_id) continue;
        code.holder = command.erased_id;
        code.locked_until = std::min(code.locked_until, now);
        code.lock_ended = true;
    }
    std::erase_if(counted_locks,
                  [&](const auto& lock) { return lock.second.user == command.user_id; });
    for (Change& change : changes) {
        if (is_theirs(change)) change.user = command.erased_id;
    }
    for (auto& [id, redemption] : redemptions) {
        if (redemption.user == command.user_id) redemption.user = command.erased_id;
    }
    changes.push_back(
        {.type = "user_erased", .at = now, .user = command.erased_id, .request = request_});
    return "erased";
}

namespace {

std::string shown(const Code& code, std::int64_t now) {
    Model::CodeState state;
    state.id = code.shown_id();
    state.book = code.book_id;
    state.holder = code.assigned_to.value_or("");
    state.locked_until = code.lock ? code.lock->until.ms : 0;
    state.redeemed_at = ms_of(code.redeemed_at).value_or(0);
    state.created_at = code.created_at.ms;
    state.active = code.active;
    state.expires_at = ms_of(code.expires_at).value_or(0);
    state.most = code.max_redemptions;
    state.metadata = code.metadata;
    return shown(code.code, state, now);
}

struct Describer {
    std::int64_t now;

    std::string operator()(Refusal refusal) const {
        return "refused " + std::string(to_string(refusal));
    }
    std::string operator()(const BookCreated& it) const {
        return "book " + text(it.book.id) + " " + test::shown(it.book);
    }
    std::string operator()(const BookChanged& it) const {
        return (it.restored ? "restored: " : "changed: ") + text(it.book.id) + " " +
               test::shown(it.book);
    }
    std::string operator()(const Contradicted& it) const {
        return contradicted({it.faults.begin(), it.faults.end()});
    }
    std::string operator()(const CodesUploaded& it) const {
        std::string answer =
            "uploaded to book " + text(it.book.id) + " from id " + text(it.first_id);
        for (const std::string& code : it.codes) answer += " " + code;
        return answer;
    }
    /// Of commands that histories do not have.
    template <class Other>
    std::string operator()(const Other&) const {
        return "something else";
    }
    std::string operator()(const CodeAssigned& it) const { return shown(it.code, now); }
    std::string operator()(const CodeLocked& it) const {
        return "locked until " + text(it.until.ms);
    }
    std::string operator()(const CodeRedeemed& it) const {
        return (it.replayed ? "replayed: " : "redeemed: ") + shown(it.code, now) +
               test::shown(it.redemption);
    }
    std::string operator()(const CodeRefused& it) const {
        return "refused: " + std::string(to_string(it.refusal)) + " of " + it.code;
    }
    std::string operator()(const CodesLocked& it) const {
        std::string text = "locked:";
        for (const auto& [code, until] : it.locks) {
            text += " " + code + " " + std::to_string(until.ms);
        }
        return text;
    }
    std::string operator()(const CodesRedeemed& it) const {
        std::string text = it.replayed ? "all-replayed:" : "all-redeemed:";
        for (const Redemption& redemption : it.redemptions) text += test::shown(redemption);
        return text;
    }
    std::string operator()(const RolledBack& it) const {
        return (it.redemption.rolled_back_at ? "rolled-back: " : "given-back: ") +
               test::shown(it.redemption);
    }
    std::string operator()(const CodeChanged& it) const { return "edited: " + shown(it.code, now); }
    std::string operator()(const CodeUnlocked&) const { return "unlocked"; }
    std::string operator()(const CodeUnassigned& it) const {
        return "freed: " + shown(it.code, now);
    }
    std::string operator()(const UserErased&) const { return "erased"; }
    std::string operator()(const Replayed&) const { return "replayed"; }
};

}  // namespace

std::string describe(const Outcome& outcome, std::int64_t now) {
    return std::visit(Describer{now}, outcome);
}

std::string shown(const Book& book) {
    return shown(Model::BookState{
        .name = book.name,
        .pattern = book.code_pattern,
        .limits_ever = {book.max_redemptions, book.max_redemptions_per_user, book.budget},
        .limits = book.limits,
        .discount = book.discount,
        .description = book.description,
        .active = book.active,
        .starts_at = ms_of(book.starts_at),
        .ends_at = ms_of(book.ends_at),
        .zone = book.time_zone,
        .ttl_s = book.lock_ttl_s,
        .combinable = book.combinable,
        .most_held = book.max_assignments_per_user,
        .most_per_code = book.max_redemptions_per_code,
        .open = book.open,
        .case_sensitive = book.case_sensitive,
        .metadata = book.metadata,
        .archived_at = ms_of(book.archived_at),
        .counted = book.counted,
        .created_at = book.created_at.ms,
        .updated_at = book.updated_at.ms});
}

std::string shown(const CodeSettings& settings) {
    Model::CodeState state;
    state.active = settings.active;
    state.expires_at = ms_of(settings.expires_at).value_or(0);
    state.most = settings.max_redemptions;
    state.metadata = settings.metadata;
    return settings_text(state);
}

std::string shown(std::int64_t id, const Model::RedemptionState& state) {
    return " redemption " + text(id) + " of " + state.code + " of book " + text(state.book) +
           " by " + state.user + " order " + text(state.order) + " discount " +
           text(state.discount) + " back " + text(state.given_back) + " at " + text(state.at) +
           " until " + text(state.rolled_back_at);
}

std::string shown(const Redemption& redemption) {
    return shown(redemption.id, {.code = redemption.code,
                                 .book = redemption.book_id,
                                 .user = redemption.user_id,
                                 .order = redemption.order,
                                 .discount = redemption.discount,
                                 .given_back = redemption.given_back,
                                 .at = redemption.at.ms,
                                 .rolled_back_at = ms_of(redemption.rolled_back_at).value_or(0)});
}

Book as_book(const Model::BookState& state) {
    Book book;
    book.name = state.name;
    book.code_pattern = state.pattern;
    book.max_redemptions = state.limits_ever.max_redemptions;
    book.max_redemptions_per_user = state.limits_ever.max_redemptions_per_user;
    book.budget = state.limits_ever.budget;
    book.limits = state.limits;
    book.discount = state.discount;
    book.description = state.description;
    book.active = state.active;
    book.starts_at = time_of(state.starts_at);
    book.ends_at = time_of(state.ends_at);
    book.time_zone = state.zone;
    book.lock_ttl_s = state.ttl_s;
    book.combinable = state.combinable;
    book.max_assignments_per_user = state.most_held;
    book.max_redemptions_per_code = state.most_per_code;
    book.open = state.open;
    book.case_sensitive = state.case_sensitive;
    book.metadata = state.metadata;
    book.archived_at = time_of(state.archived_at);
    book.counted = state.counted;
    book.created_at = {state.created_at};
    book.updated_at = {state.updated_at};
    return book;
}

CodeSettings as_settings(const Model::CodeState& state) {
    CodeSettings settings;
    settings.active = state.active;
    if (state.expires_at != 0) settings.expires_at = Timestamp{state.expires_at};
    settings.max_redemptions = state.most;
    settings.metadata = state.metadata;
    return settings;
}

Given given(const Outcome& outcome) {
    if (const auto* const it = std::get_if<BookCreated>(&outcome)) return {{}, it->book.id};
    if (const auto* const it = std::get_if<CodesUploaded>(&outcome)) return {{}, it->first_id};
    if (const auto* const it = std::get_if<CodeAssigned>(&outcome)) return {it->code.code, 0};
    if (const auto* const it = std::get_if<CodeRedeemed>(&outcome)) return {{}, it->redemption.id};
    if (const auto* const it = std::get_if<CodesRedeemed>(&outcome)) {
        Given ids;
        for (const Redemption& redemption : it->redemptions) ids.ids.push_back(redemption.id);
        return ids;
    }
    return {};
}

}  // namespace coupond::test
