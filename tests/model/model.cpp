#include "model/model.hpp"

#include <algorithm>

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

std::string settings_text(bool active, std::int64_t expires_at, const std::string& metadata) {
    return (active ? "active" : "disabled") + (" expires " + text(expires_at)) + " metadata " +
           metadata;
}

std::string settings_text(const Model::CodeState& state) {
    return settings_text(state.active, state.expires_at, state.metadata);
}

/// Of a lock that is dead nobody is told.
std::string shown(const std::string& code, const Model::CodeState& state, std::int64_t now) {
    const std::int64_t locked_until = now < state.locked_until ? state.locked_until : 0;
    return "code " + text(state.id) + " " + code + " of book " + text(state.book) + " holder " +
           state.holder + " lock until " + text(locked_until) + " redeemed " +
           text(state.redeemed_at) + " created " + text(state.created_at) + " " +
           settings_text(state);
}

std::string shown(const Model::BookState& book) {
    return book.name + " pattern " + book.pattern + " limit " + text(book.limit) + " discount " +
           text(book.discount) + " description " + book.description +
           (book.active ? " active" : " inactive") + " from " + text(book.starts_at) + " to " +
           text(book.ends_at) + " zone " + book.zone + " ttl " + text(book.ttl_s) + " metadata " +
           book.metadata + " archived " + text(book.archived_at) + " counts since " +
           text(book.counts_users_since) + " created " + text(book.created_at) + " updated " +
           text(book.updated_at);
}

std::optional<std::int64_t> ms_of(const std::optional<Timestamp>& at) {
    return at ? std::optional(at->ms) : std::nullopt;
}

std::optional<Timestamp> time_of(const std::optional<std::int64_t>& ms) {
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// Makes of `book` what is wished, of the members at these places of the description.
void take(Model::BookState& book, const BookWish& wish, BookMembers wished) {
    if (wished[0]) book.name = wish.name;
    if (wished[1]) book.pattern = wish.code_pattern;
    if (wished[2]) book.limit = wish.max_redemptions_per_user;
    if (wished[3]) book.discount = wish.discount;
    if (wished[4]) book.description = wish.description;
    if (wished[5]) book.active = wish.active;
    if (wished[6]) book.starts_at = ms_of(wish.starts_at);
    if (wished[7]) book.ends_at = ms_of(wish.ends_at);
    if (wished[8]) book.zone = wish.time_zone;
    if (wished[9]) book.ttl_s = wish.lock_ttl_s;
    if (wished[10]) book.metadata = wish.metadata;
}

const std::string contradicted = "contradicted " + text(static_cast<int>(Fault::ends_before_start));

bool contradicts(const Model::BookState& book) {
    return book.starts_at && book.ends_at && *book.ends_at <= *book.starts_at;
}

}  // namespace

std::string Model::apply(const Submission& submission, std::int64_t now, const Given& given) {
    const Command& command = submission.command;
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
    if (contradicts(book)) return contradicted;
    if (book.limit) book.counts_users_since = now;
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
    if (contradicts(wished)) return contradicted;
    if (wished.limit && !wished.counts_users_since) wished.counts_users_since = now;
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
        const std::string why = closed(*command.book_id, now);
        if (!why.empty()) return why;
    }
    const auto fits = [&](const CodeState& code) {
        return code.holder.empty() && (!command.book_id || code.book == *command.book_id) &&
               closed(code.book, now).empty() && code.works(now);
    };
    if (given.empty()) {
        for (const auto& [code, state] : codes) {
            if (fits(state)) return "one of the free codes, such as " + code;
        }
        return "refused no_available_coupons";
    }
    const auto found = codes.find(given);
    if (found == codes.end() || !fits(found->second)) return "any code but " + given;
    CodeState& code = found->second;
    code.holder = command.user_id;
    enter("code_assigned", code, now);
    return shown(given, code, now);
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
        std::string why = closed(code.book, now);
        if (why.empty()) why = useless(code, now);
        if (!why.empty()) return why;
        code.holder = command.user_id;
        enter("code_assigned", code, now);
    }
    return shown(command.code, code, now);
}

std::string Model::lock(const LockCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    const std::string why = unusable(code, now);
    if (!why.empty()) return why;
    if (command.order) {
        const std::string misfit = unfit(code.book, command.order);
        if (!misfit.empty()) return misfit;
    }
    if (now < code.locked_until) return "refused already_locked";
    const auto ttl_s = books[code.book].ttl_s;
    code.locked_until = now + (ttl_s ? *ttl_s * 1000 : command.ttl_ms);
    code.lock_ended = false;
    if (code.first_locked_at == 0) code.first_locked_at = now;
    enter("code_locked", code, now).locked_until = code.locked_until;
    return "locked until " + text(code.locked_until);
}

std::string Model::unfit(std::int64_t id, const std::optional<Order>& order) const {
    const std::optional<Discount>& discount = books.at(id).discount;
    if (!discount) return {};
    if (!order) return discount->min_order_amount ? "refused order_required" : "";
    if (discount->currency && *discount->currency != order->currency) {
        return "refused order_currency_mismatch";
    }
    if (!discount->min_order_amount) return {};
    const std::int64_t least = in_order(*discount->min_order_amount, *discount, *order);
    return order->amount < least ? "refused order_below_minimum" : "";
}

std::int64_t Model::count_redeemed(std::int64_t book, const std::string& user) const {
    return std::count_if(codes.begin(), codes.end(), [&](const auto& code) {
        return code.second.book == book && code.second.holder == user &&
               code.second.redeemed_at != 0;
    });
}

std::string Model::redeem(const RedeemCode& command, std::int64_t now, std::int64_t given_id) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    for (const auto& [id, made] : redemptions) {
        const bool same = made.rolled_back_at == 0 && made.code == command.code &&
                          made.user == command.user_id && made.order && command.order &&
                          made.order->id == command.order->id;
        if (same) return "replayed: " + shown(command.code, code, now) + test::shown(id, made);
    }
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    std::string why = unusable(code, now);
    if (!why.empty()) return why;
    if (now >= code.locked_until) return "refused not_locked";
    why = unfit(code.book, command.order);
    if (!why.empty()) return why;
    const std::int64_t redeemed = count_redeemed(code.book, command.user_id);
    const BookState& book = books[code.book];
    if (book.limit && redeemed >= *book.limit) return "refused user_redemption_limit_reached";
    if (book.counts_users_since) counted_users[{code.book, command.user_id}] = redeemed + 1;
    RedemptionState redemption{.code = command.code,
                               .book = code.book,
                               .user = command.user_id,
                               .order = command.order,
                               .discount = {},
                               .at = now};
    if (book.discount) redemption.discount = worth(*book.discount, command.order);
    Change& change = enter("code_redeemed", code, now);
    change.locked_until = code.locked_until;
    change.discount = redemption.discount;
    change.order = redemption.order;
    change.redemption = given_id;
    code.redeemed_at = now;
    code.locked_until = 0;
    code.first_locked_at = 0;
    if (!redemptions.emplace(given_id, redemption).second) return "an id of its own";
    return "redeemed: " + shown(command.code, code, now) + test::shown(given_id, redemption);
}

std::string Model::roll_back(const RollBack& command, std::int64_t now) {
    const auto found = redemptions.find(command.redemption_id);
    if (found == redemptions.end()) return "refused redemption_not_found";
    RedemptionState& redemption = found->second;
    if (redemption.rolled_back_at != 0) return "refused already_rolled_back";
    std::optional<Money> back = redemption.discount;
    if (back) back->amount -= redemption.given_back;
    if (command.ten_thousandths) {
        const std::int64_t unit =
            power_of_10(4 - decimals_of(back ? back->currency : std::nullopt));
        if (*command.ten_thousandths % unit != 0) {
            return "contradicted " + text(static_cast<int>(Fault::amount_too_fine));
        }
        const std::int64_t amount = *command.ten_thousandths / unit;
        if (!back || amount > back->amount) return "refused amount_exceeds_discount";
        back->amount = amount;
    }
    CodeState& code = codes.at(redemption.code);
    Change& change = enter(
        command.ten_thousandths ? "discount_given_back" : "redemption_rolled_back", code, now);
    change.discount = back;
    change.redemption = command.redemption_id;
    change.reason = command.reason;
    if (back) redemption.given_back += back->amount;
    if (command.ten_thousandths) return "given-back: " + test::shown(found->first, redemption);
    redemption.rolled_back_at = now;
    code.redeemed_at = 0;
    code.locked_until = code.first_locked_at = now;
    code.lock_ended = true;
    if (books[redemption.book].counts_users_since) {
        counted_users[{redemption.book, redemption.user}] =
            count_redeemed(redemption.book, redemption.user);
    }
    return "rolled-back: " + test::shown(found->first, redemption);
}

std::string Model::edit(const EditCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    const std::string before = settings_text(code);
    if (command.wished[0]) code.active = command.wish.active;
    if (command.wished[1]) code.expires_at = ms_of(command.wish.expires_at).value_or(0);
    if (command.wished[2]) code.metadata = command.wish.metadata;
    if (settings_text(code) != before) {
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
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (now < code.locked_until) {
        enter("code_unlocked", code, now).locked_until = code.locked_until;
        code.locked_until = now;
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
        if (code.redeemed_at != 0) return "refused already_redeemed";
        if (now < code.locked_until) return "refused already_locked";
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
        if (code.holder != command.user_id) continue;
        code.holder = command.erased_id;
        code.locked_until = std::min(code.locked_until, now);
        code.lock_ended = true;
    }
    for (Change& change : changes) {
        if (is_theirs(change)) change.user = command.erased_id;
    }
    for (auto& [id, redemption] : redemptions) {
        if (redemption.user == command.user_id) redemption.user = command.erased_id;
    }
    for (const auto& [id, book] : books) {
        auto counted = counted_users.extract({id, command.user_id});
        if (counted.empty()) continue;
        counted.key().second = command.erased_id;
        counted_users.insert(std::move(counted));
    }
    changes.push_back(
        {.type = "user_erased", .at = now, .user = command.erased_id, .request = request_});
    return "erased";
}

namespace {

std::string shown(const Code& code, std::int64_t now) {
    Model::CodeState state;
    state.id = code.id;
    state.book = code.book_id;
    state.holder = code.assigned_to.value_or("");
    state.locked_until = code.lock ? code.lock->until.ms : 0;
    state.redeemed_at = ms_of(code.redeemed_at).value_or(0);
    state.created_at = code.created_at.ms;
    state.active = code.active;
    state.expires_at = ms_of(code.expires_at).value_or(0);
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
        std::string answer = "contradicted";
        for (const Fault fault : it.faults) answer += " " + text(static_cast<int>(fault));
        return answer;
    }
    std::string operator()(const CodesUploaded& it) const {
        std::string answer =
            "uploaded to book " + text(it.book.id) + " from id " + text(it.first_id);
        for (const std::string& code : it.codes) answer += " " + code;
        return answer;
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
        std::string text = it.replayed ? "all replayed:" : "all redeemed:";
        for (const Redemption& redemption : it.redemptions) text += " " + test::shown(redemption);
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
    return shown(Model::BookState{.name = book.name,
                                  .pattern = book.code_pattern,
                                  .limit = book.max_redemptions_per_user,
                                  .discount = book.discount,
                                  .description = book.description,
                                  .active = book.active,
                                  .starts_at = ms_of(book.starts_at),
                                  .ends_at = ms_of(book.ends_at),
                                  .zone = book.time_zone,
                                  .ttl_s = book.lock_ttl_s,
                                  .metadata = book.metadata,
                                  .archived_at = ms_of(book.archived_at),
                                  .counts_users_since = ms_of(book.counts_users_since),
                                  .created_at = book.created_at.ms,
                                  .updated_at = book.updated_at.ms});
}

std::string shown(const CodeSettings& settings) {
    return settings_text(settings.active, ms_of(settings.expires_at).value_or(0),
                         settings.metadata);
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
    book.max_redemptions_per_user = state.limit;
    book.discount = state.discount;
    book.description = state.description;
    book.active = state.active;
    book.starts_at = time_of(state.starts_at);
    book.ends_at = time_of(state.ends_at);
    book.time_zone = state.zone;
    book.lock_ttl_s = state.ttl_s;
    book.metadata = state.metadata;
    book.archived_at = time_of(state.archived_at);
    book.counts_users_since = time_of(state.counts_users_since);
    book.created_at = {state.created_at};
    book.updated_at = {state.updated_at};
    return book;
}

CodeSettings as_settings(const Model::CodeState& state) {
    CodeSettings settings;
    settings.active = state.active;
    if (state.expires_at != 0) settings.expires_at = Timestamp{state.expires_at};
    settings.metadata = state.metadata;
    return settings;
}

Given given(const Outcome& outcome) {
    if (const auto* const it = std::get_if<BookCreated>(&outcome)) return {{}, it->book.id};
    if (const auto* const it = std::get_if<CodesUploaded>(&outcome)) return {{}, it->first_id};
    if (const auto* const it = std::get_if<CodeAssigned>(&outcome)) return {it->code.code, 0};
    if (const auto* const it = std::get_if<CodeRedeemed>(&outcome)) return {{}, it->redemption.id};
    return {};
}

}  // namespace coupond::test
