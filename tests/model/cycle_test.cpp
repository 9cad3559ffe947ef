// Random histories of commands, run in batches through the executor and a real store, and
// command by command through the model: answers, rows and counts must be the same.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <utility>

#include "base/log.hpp"
#include "engine/executor.hpp"
#include "model/backend.hpp"
#include "model/model.hpp"

namespace coupond::test {
namespace {

constexpr std::int64_t ttl_ms = 1000;
constexpr std::int64_t never = -1'000'000;

/// A command, and what happens before it.
struct Step {
    Command command;
    std::int64_t pause_ms = 0;  ///< the clock moves on; a batch ends here
    bool cut = false;           ///< a batch ends here
    Per over = Per::ever;       ///< the pause is from when this day, week or month is over
    std::string zone = "UTC";   ///< in this zone; see set_moments()
};

const char* const users[] = {"ann", "bob", "zoe"};

struct Shower {
    std::ostream& out;

    void operator()(const CreateBook& it) const { show("create", it, BookMembers().set()); }
    void operator()(const EditBook& it) const {
        show("edit book=" + std::to_string(it.book_id), it.wish, it.wished);
    }
    void operator()(const ArchiveBook& it) const { out << "archive book=" << it.book_id; }
    void operator()(const RestoreBook& it) const { out << "restore book=" << it.book_id; }
    void operator()(const UploadCodes& it) const {
        out << "upload book=" << it.book_id.value_or(0);
        for (const std::string& code : it.codes) out << ' ' << code;
    }
    void operator()(const AssignAny& it) const {
        out << "assign any of book=" << it.book_id.value_or(0) << " user=" << it.user_id;
    }
    void operator()(const AssignCode& it) const {
        out << "assign code=" << it.code << " user=" << it.user_id;
    }
    void operator()(const LockCode& it) const {
        out << "lock code=" << it.code << " user=" << it.user_id << " ttl=" << it.ttl_ms;
        show_key(it.lock_key);
        show(it.order);
    }
    void operator()(const RedeemCode& it) const {
        out << "redeem code=" << it.code << " user=" << it.user_id;
        show_key(it.lock_key);
        show(it.order);
    }
    void operator()(const LockCodes& it) const {
        show_all("lock", it.codes);
        out << "user=" << it.user_id << " ttl=" << it.ttl_ms;
        show_key(it.lock_key);
        show(it.order);
    }
    void operator()(const RedeemCodes& it) const {
        show_all("redeem", it.codes);
        out << "user=" << it.user_id;
        show_key(it.lock_key);
        show(it.order);
    }
    /// Its redemption as told by resolved().
    void operator()(const RollBack& it) const {
        out << "roll back the " << it.redemption_id << "th last";
        if (it.ten_thousandths) out << " amount=" << *it.ten_thousandths << "/10000";
    }
    void operator()(const EditCode& it) const {
        out << "edit code=" << it.code;
        if (it.wished[0]) out << " active=" << it.wish.active;
        if (it.wished[1]) show(" expires", it.wish.expires_at);
        if (it.wished[2]) out << " uses=" << it.wish.max_redemptions.value_or(0);
        if (it.wished[3]) out << " metadata=" << it.wish.metadata;
    }
    void operator()(const UnlockCode& it) const {
        out << "unlock code=" << it.code << " user=" << it.user_id;
        show_key(it.lock_key);
    }
    void operator()(const UnassignCode& it) const {
        out << "unassign code=" << it.code << " user=" << it.user_id.value_or("any");
    }
    /// What histories do not have.
    template <class Other>
    void operator()(const Other&) const {
        out << "something else";
    }
    void operator()(const EraseUser& it) const {
        out << "erase user=" << it.user_id << " as " << it.erased_id;
    }

private:
    void show_all(const char* what, const std::vector<std::string>& codes) const {
        out << what << " codes=";
        for (const std::string& code : codes) out << code << ' ';
    }
    void show_key(const std::string& key) const {
        if (!key.empty()) out << " key=" << key;
    }
    void show(const std::string& verb, const BookWish& wish, BookMembers wished) const {
        out << verb;
        if (wished[place::name] && !wish.name.empty()) out << " name=" << wish.name;
        const auto number = [&](std::size_t place, const char* name,
                                std::optional<std::int64_t> value) {
            if (wished[place]) out << name << value.value_or(0);
        };
        number(place::max_redemptions, " most=", wish.max_redemptions);
        number(place::max_redemptions_per_user, " of_user=", wish.max_redemptions_per_user);
        number(place::budget, " budget=", wish.budget);
        if (wished[place::limits]) out << " limits=";
        for (const auto& [per, limits] : wish.limits) {
            if (!wished[place::limits]) break;
            out << static_cast<int>(per) << ':' << limits.max_redemptions.value_or(0) << ','
                << limits.max_redemptions_per_user.value_or(0) << ',' << limits.budget.value_or(0)
                << ' ';
        }
        if (wished[place::max_assignments_per_user]) {
            out << " assignments=" << wish.max_assignments_per_user.value_or(0);
        }
        number(place::max_redemptions_per_code, " uses=", wish.max_redemptions_per_code);
        if (wished[place::open]) out << (wish.open ? " open" : " not open");
        if (wished[place::case_sensitive] && !wish.case_sensitive) out << " folded";
        if (wished[place::discount]) show(wish.discount);
        if (wished[place::active]) out << " active=" << wish.active;
        if (wished[place::starts_at]) show(" starts", wish.starts_at);
        if (wished[place::ends_at]) show(" ends", wish.ends_at);
        if (wished[place::time_zone]) out << " zone=" << wish.time_zone;
        number(place::lock_ttl_s, " ttl_s=", wish.lock_ttl_s);
        if (wished[place::combinable]) out << (wish.combinable ? " combinable" : " alone");
    }
    void show(const std::optional<Discount>& discount) const {
        Book book;
        book.discount = discount;
        const std::string text = row_text(book);
        out << " discount=" << short_form(discount).value_or(0);
        if (!text.empty()) out << " (" << text.substr(0, text.size() - 1) << ")";
    }
    void show(const std::optional<Order>& order) const {
        if (!order) return;
        out << " order=" << order->id.value_or("") << "," << order->amount << ","
            << order->currency.code();
    }
    /// In milliseconds from the history's begin on.
    void show(const char* name, std::optional<Timestamp> at) const {
        out << name << '=';
        if (at) {
            out << (at->ms - Backend::start().ms);
        } else {
            out << "none";
        }
    }
};

void showValue(const Step& step, std::ostream& out) {
    if (step.pause_ms > 0) out << "\n  after " << step.pause_ms << " ms";
    out << (step.cut ? "\n  -- " : "\n     ");
    std::visit(Shower{out}, step.command);
}

/// Numbers below `bound`, shrinking towards 0.
rc::Gen<int> below(int bound) {
    return rc::gen::inRange(0, bound);
}

/// Mostly none.
rc::Gen<std::string> any_lock_key() {
    return rc::gen::element<std::string>("", "", "", "k1", "k1", "k2");
}

rc::Gen<std::string> any_user() {
    return rc::gen::map(rc::gen::weightedElement<int>({{3, 0}, {2, 1}, {1, 2}}),
                        [](int i) { return std::string(users[i]); });
}

/// Few codes, so that most commands meet others.
rc::Gen<std::string> any_code() {
    return rc::gen::map(rc::gen::pair(below(9), rc::gen::weightedElement<std::string>(
                                                    {{9, "C"}, {1, "c"}, {1, "C-"}})),
                        [](const auto& it) { return it.second + std::to_string(it.first); });
}

rc::Gen<std::optional<BookId>> any_book() {
    return rc::gen::map(rc::gen::weightedElement<int>({{4, 1}, {3, 2}, {3, 0}, {1, 3}, {1, 77}}),
                        [](int i) { return i == 0 ? std::nullopt : std::optional<BookId>(i); });
}

rc::Gen<std::optional<Currency>> any_currency() {
    return rc::gen::map(
        rc::gen::weightedElement<std::string>({{5, "EUR"}, {1, "JPY"}, {1, "KWD"}, {1, "USD"}}),
        [](const std::string& code) { return Currency::find(code); });
}

/// Mostly none, or what an order in euros fits; with parts of minor units.
rc::Gen<std::optional<Discount>> any_discount() {
    const auto currencies = rc::gen::weightedOneOf<std::optional<Currency>>(
        {{1, rc::gen::just(std::optional<Currency>())}, {1, any_currency()}});
    return rc::gen::map(
        rc::gen::tuple(below(8), currencies, rc::gen::element<std::int64_t>(0, 75, 150, 1'025),
                       rc::gen::weightedElement<std::int64_t>({{4, -1}, {1, 0}, {1, 50}, {1, 333}}),
                       rc::gen::weightedElement<std::int64_t>({{3, -1}, {1, 0}, {4, 550}})),
        [](auto it) {
            const auto& [kind, currency, value, most, least] = it;
            std::optional<Discount> discount;
            if (kind < 2) return discount;
            if (kind < 4) return from_short_form(value);
            discount.emplace();
            discount->type = static_cast<Discount::Type>(kind - 4);
            discount->currency = currency;
            if (discount->type != Discount::Type::free_shipping) discount->value = value;
            if (most >= 0) discount->max_amount = most;
            if (least >= 0) discount->min_order_amount = least;
            return discount;
        });
}

/// Few ids, so that most orders come again.
rc::Gen<Order> any_order() {
    return rc::gen::map(
        rc::gen::tuple(below(3), any_currency(),
                       rc::gen::element<std::int64_t>(2'000, 12'345, 555, 549, 1, 0)),
        [](auto it) {
            const auto& [id, currency, amount] = it;
            return Order{"o" + std::to_string(id), amount, currency.value()};
        });
}

rc::Gen<std::optional<Order>> any_order_or_none() {
    return rc::gen::weightedOneOf<std::optional<Order>>(
        {{1, rc::gen::just(std::optional<Order>())}, {2, rc::gen::map(any_order(), [](Order order) {
                                                          return std::optional(std::move(order));
                                                      })}});
}

/// Of the last redemption but so many that is known when the command comes, or, for `of_none`, of
/// what is none: see resolved().
constexpr EntryId of_none = 9;

rc::Gen<RollBack> any_roll_back() {
    return rc::gen::map(
        rc::gen::tuple(
            rc::gen::weightedElement<EntryId>({{4, 0}, {2, 1}, {1, 2}, {1, 3}, {1, of_none}}),
            rc::gen::weightedElement<std::int64_t>(
                {{9, 0}, {1, 1}, {1, 10}, {4, 100}, {2, 10'000}, {1, 25'000}, {1, 1'000'000}}),
            below(2)),
        [](auto it) {
            const auto& [place, amount, reason] = it;
            RollBack command{place, reason > 0 ? "why \u20ac" : "", {}};
            if (amount > 0) command.ten_thousandths = amount;
            return command;
        });
}

/// A moment by the clock of when the command comes, to be set by set_moments(); or none.
rc::Gen<std::optional<Timestamp>> any_moment(
    std::initializer_list<std::pair<std::size_t, std::int64_t>> weighted) {
    return rc::gen::map(rc::gen::weightedElement<std::int64_t>(weighted), [](std::int64_t ms) {
        return ms == never ? std::nullopt : std::optional(Timestamp{ms});
    });
}

/// Some members of a book, most of which leave its codes of use.
rc::Gen<EditBook> any_edit_of_book() {
    const auto ids = rc::gen::weightedElement<BookId>({{6, 1}, {5, 2}, {1, 3}, {1, 77}});
    const auto starts =
        any_moment({{5, never}, {2, -1}, {1, 0}, {1, 1}, {1, ttl_ms}, {1, 2 * ttl_ms}});
    const auto ends =
        any_moment({{5, never}, {1, 0}, {1, 1}, {1, ttl_ms}, {1, ttl_ms + 1}, {2, 9 * ttl_ms}});
    return rc::gen::map(rc::gen::tuple(ids, rc::gen::inRange(1U, 64U), below(4), below(4), starts,
                                       ends, below(4), any_discount()),
                        [](auto it) {
                            const auto& [id, members, limit, active, starts_at, ends_at, ttl_s,
                                         discount] = it;
                            EditBook edit;
                            edit.book_id = id;
                            if (limit > 0) edit.wish.max_redemptions_per_user = limit;
                            edit.wish.discount = discount;
                            edit.wish.active = active > 0;
                            edit.wish.starts_at = starts_at;
                            edit.wish.ends_at = ends_at;
                            if (ttl_s > 0) edit.wish.lock_ttl_s = ttl_s;
                            constexpr std::array places{place::max_redemptions_per_user,
                                                        place::active,
                                                        place::starts_at,
                                                        place::ends_at,
                                                        place::lock_ttl_s,
                                                        place::discount};
                            for (std::size_t i = 0; i < places.size(); ++i) {
                                edit.wished[places[i]] = (members >> i & 1U) != 0;
                            }
                            return edit;
                        });
}

/// Few of anything, so that it is used up; of budgets some that the discounts fill to the last
/// cent.
rc::Gen<Limits> any_limits() {
    const auto any = [](std::initializer_list<std::pair<std::size_t, std::int64_t>> weighted) {
        return rc::gen::map(rc::gen::weightedElement<std::int64_t>(weighted), [](std::int64_t it) {
            return it == 0 ? std::nullopt : std::optional(it);
        });
    };
    return rc::gen::map(
        rc::gen::tuple(any({{7, 0}, {1, 1}, {2, 2}, {1, 3}}), any({{6, 0}, {2, 1}, {1, 2}}),
                       any({{9, 0},
                            {2, 15'000},
                            {2, 30'000},
                            {1, 22'500},
                            {1, 205'000},
                            {1, 2'000'000},
                            {1, 15'001}})),
        [](auto it) {
            const auto& [most, most_of_user, budget] = it;
            return Limits{most, most_of_user, budget};
        });
}

/// Sets limits of a book, mostly with a discount that fits them; or takes them away.
rc::Gen<EditBook> any_limiting() {
    const auto of_per = [](std::size_t none) {
        return rc::gen::weightedOneOf<Limits>({{none, rc::gen::just(Limits())}, {4, any_limits()}});
    };
    return rc::gen::map(
        rc::gen::tuple(rc::gen::inRange<BookId>(1, 3), of_per(4), of_per(2), of_per(4), of_per(4),
                       any_discount(), rc::gen::element<std::string>(zones[0], zones[1], zones[2]),
                       rc::gen::weightedOneOf<unsigned>({{2, rc::gen::just(0x1FU)},
                                                         {2, rc::gen::just(0x3FU)},
                                                         {2, rc::gen::inRange(1U, 64U)}})),
        [](auto it) {
            const auto& [id, ever, day, week, month, discount, zone, members] = it;
            EditBook edit;
            edit.book_id = id;
            edit.wish.max_redemptions = ever.max_redemptions;
            edit.wish.max_redemptions_per_user = ever.max_redemptions_per_user;
            edit.wish.budget = ever.budget;
            if (day != Limits()) edit.wish.limits[Per::day] = day;
            if (week != Limits()) edit.wish.limits[Per::week] = week;
            if (month != Limits()) edit.wish.limits[Per::month] = month;
            edit.wish.discount = discount;
            const bool fits = (members & 0x1FU) == 0x1FU;
            if (fits && !discount) edit.wish.discount = from_short_form(150);
            if (fits && !edit.wish.discount->currency) {
                edit.wish.discount->currency = Currency::find("EUR");
            }
            edit.wish.time_zone = zone;
            constexpr std::array places{place::max_redemptions, place::max_redemptions_per_user,
                                        place::budget,          place::limits,
                                        place::discount,        place::time_zone};
            for (std::size_t i = 0; i < places.size(); ++i) {
                edit.wished[places[i]] = (members >> i & 1U) != 0;
            }
            return edit;
        });
}

rc::Gen<EditCode> any_edit_of_code() {
    const auto ends = any_moment({{3, never}, {1, 0}, {1, 1}, {1, ttl_ms}, {1, 9 * ttl_ms}});
    return rc::gen::map(
        rc::gen::tuple(any_code(), rc::gen::inRange(1U, 16U), below(3), ends, below(4)),
        [](auto it) {
            const auto& [code, members, kind, ends_at, most] = it;
            EditCode edit;
            edit.code = code;
            edit.wish.active = kind > 0;
            edit.wish.expires_at = ends_at;
            if (kind > 1) edit.wish.metadata = R"({"kind":2})";
            if (most > 0) edit.wish.max_redemptions = most;
            edit.wished = CodeMembers(members);
            return edit;
        });
}

rc::Gen<Command> any_command() {
    using rc::gen::map;
    const auto command = [](auto gen) {
        return map(std::move(gen), [](auto it) { return Command(std::move(it)); });
    };
    return rc::gen::weightedOneOf<Command>({
        {1, command(map(rc::gen::pair(below(4), any_edit_of_book()),
                        [](auto it) {
                            const auto& [limit, edit] = it;
                            CreateBook book{"n" + std::to_string(limit), "p", {}, {}};
                            if (limit == 0) set_members(book, edit.wish, edit.wished);
                            if (limit > 0) book.max_redemptions_per_user = limit;
                            if (limit > 1) book.discount = from_short_form(50 * limit);
                            return book;
                        }))},
        {3, command(any_edit_of_book())},
        {3, command(any_limiting())},
        {2, command(map(rc::gen::pair(any_book(), below(3)),
                        [](auto it) {
                            EditBook edit;
                            edit.book_id = it.first.value_or(1);
                            if (it.second > 0) edit.wish.max_assignments_per_user = it.second;
                            edit.wished.set(place::max_assignments_per_user);
                            return edit;
                        }))},
        {2, command(map(rc::gen::tuple(any_book(), below(5), below(9)),
                        [](auto it) {
                            const auto& [id, most, wishes_open] = it;
                            EditBook edit;
                            edit.book_id = id.value_or(1);
                            edit.wish.max_redemptions_per_code.reset();
                            if (most > 0) edit.wish.max_redemptions_per_code = most;
                            edit.wished.set(place::max_redemptions_per_code);
                            edit.wish.open = wishes_open == 1;
                            if (wishes_open < 2) edit.wished.set(place::open);
                            edit.wish.case_sensitive = wishes_open != 3;
                            if (wishes_open == 3) edit.wished.set(place::case_sensitive);
                            edit.wish.combinable = wishes_open > 4;
                            if (wishes_open > 3) edit.wished.set(place::combinable);
                            return edit;
                        }))},
        {1, command(map(any_book(), [](auto id) { return ArchiveBook{id.value_or(1)}; }))},
        {3, command(map(any_book(), [](auto id) { return RestoreBook{id.value_or(1)}; }))},
        {4, command(any_edit_of_code())},
        {6, command(map(rc::gen::tuple(any_code(), any_user(), any_lock_key()),
                        [](auto it) {
                            return UnlockCode{std::get<0>(it), std::get<1>(it), std::get<2>(it)};
                        }))},
        {4, command(map(rc::gen::tuple(any_code(), any_user(), below(2)),
                        [](auto it) {
                            UnassignCode unassign{std::get<0>(it), {}};
                            if (std::get<2>(it) > 0) unassign.user_id = std::get<1>(it);
                            return unassign;
                        }))},
        {4, command(map(
                rc::gen::pair(any_book(),
                              rc::gen::resize(
                                  2, rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
                                         any_code())))),
                [](auto it) {
                    return UploadCodes{it.first, std::move(it.second)};
                }))},
        {4, command(map(rc::gen::pair(any_user(), any_book()),
                        [](auto it) {
                            return AssignAny{std::move(it.first), it.second};
                        }))},
        {6, command(map(rc::gen::pair(any_code(), any_user()),
                        [](auto it) {
                            return AssignCode{it.first, it.second};
                        }))},
        {12, command(map(rc::gen::tuple(any_code(), any_user(), below(2), any_order_or_none(),
                                        any_lock_key()),
                         [](auto it) {
                             return LockCode{std::get<0>(it), std::get<1>(it),
                                             ttl_ms << std::get<2>(it), std::get<3>(it),
                                             std::get<4>(it)};
                         }))},
        {12,
         command(map(rc::gen::tuple(any_code(), any_user(), any_order_or_none(), any_lock_key()),
                     [](auto it) {
                         return RedeemCode{std::get<0>(it), std::get<1>(it), std::get<2>(it),
                                           std::get<3>(it)};
                     }))},
        {6, command(any_roll_back())},
        {2, command(map(any_user(),
                        [](std::string user) {
                            return EraseUser{user, {}};
                        }))},
    });
}

/// The life of a code, or of one that is uploaded first; it is locked up to three times, and may be
/// unlocked or disabled for a while before it is redeemed, or be given to somebody else. Redeemed,
/// it may be so again, and some of that, or all of it, be taken back.
rc::Gen<std::vector<Command>> any_life() {
    return rc::gen::map(
        rc::gen::tuple(any_code(), any_user(), below(3), below(6), below(9), any_order_or_none(),
                       any_roll_back(), below(6), any_lock_key()),
        [](auto it) {
            const auto& [code, user, upload, locks, turn, order, back, end, key] = it;
            std::vector<Command> commands;
            if (upload > 0) commands.push_back(UploadCodes{upload, {code}});
            commands.push_back(AssignCode{code, user});
            for (int i = 0; i < 3 - locks / 2; ++i) {
                commands.push_back(LockCode{code, user, ttl_ms, {}, key});
            }
            if (locks == 5) commands.pop_back();
            if (turn > 3 && turn < 7) {
                const std::string other = key == "k1" ? "" : "k1";
                commands.push_back(RedeemCode{code, user, order, other});
                commands.push_back(UnlockCode{code, user, other});
            }
            if (turn == 6) {
                commands.push_back(UnlockCode{code, user, key});
                commands.push_back(LockCode{code, user, ttl_ms, {}, key});
            }
            if (turn == 7) {
                for (const bool active : {false, true}) {
                    EditCode edit{code, {}, {}, {}};
                    edit.wish.active = active;
                    edit.wished[0] = true;
                    commands.push_back(edit);
                }
            }
            if (turn == 8) {
                commands.push_back(UnlockCode{code, user, key});
                commands.push_back(UnassignCode{code, user});
                commands.push_back(AssignCode{code, "bob"});
            } else {
                commands.push_back(RedeemCode{code, user, order, key});
            }
            if (end > 3) commands.push_back(RedeemCode{code, user, order, key});
            if (end > 2) commands.push_back(back);
            if (end > 4) {
                commands.push_back(LockCode{code, user, ttl_ms, {}, key});
                commands.push_back(RedeemCode{code, user, order, key});
                commands.push_back(RollBack{0, "", {}});
            }
            return commands;
        });
}

/// Somebody who comes with a code, mostly with an order in euros.
struct Use {
    std::string code, user;
    std::optional<Order> order;
};

rc::Gen<Use> any_use() {
    return rc::gen::map(rc::gen::tuple(below(24), any_user(), any_order_or_none(), below(5)),
                        [](auto it) {
                            const auto& [number, user, order, kind] = it;
                            Use use{"C" + std::to_string(number), user, order};
                            if (order && kind > 0) use.order->currency = *Currency::find("EUR");
                            return use;
                        });
}

/// Some who come to one book one after the other, whose limits may be set in between, also between
/// a lock and its redemption; and roll-backs.
rc::Gen<std::vector<Command>> any_rush() {
    return rc::gen::map(rc::gen::tuple(any_limiting(), rc::gen::inRange<std::size_t>(0, 6),
                                       rc::gen::container<std::vector<Use>>(4, any_use()),
                                       any_roll_back(), below(3), below(3)),
                        [](auto it) {
                            const auto& [limiting, set_at, uses, back, backs, late] = it;
                            std::vector<Command> commands;
                            for (std::size_t i = 0; i < uses.size(); ++i) {
                                const bool set_here = i == set_at;
                                if (set_here && late == 0) commands.push_back(limiting);
                                const auto& [code, user, order] = uses[i];
                                commands.push_back(UploadCodes{limiting.book_id, {code}});
                                commands.push_back(AssignCode{code, user});
                                commands.push_back(LockCode{code, user, ttl_ms});
                                if (set_here && late > 0) commands.push_back(limiting);
                                commands.push_back(RedeemCode{code, user, order});
                            }
                            if (backs > 0) commands.push_back(back);
                            if (backs > 1) commands.push_back(RollBack{2, "", {}});
                            return commands;
                        });
}

/// Somebody with several codes of one book or two for an order, who locks them at once or, some of
/// them, one by one, and redeems them, and asks again; some of that may be wrong.
rc::Gen<std::vector<Command>> any_basket() {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::container<std::vector<int>>(3, below(60)), any_user(), any_order(),
                       any_lock_key(), any_limiting(), any_roll_back(), below(12), below(12),
                       rc::gen::inRange<BookId>(1, 3)),
        [](auto it) {
            auto& [numbers, user, order, key, limiting, back, begin, end, book] = it;
            if (begin % 4 > 0) order.currency = *Currency::find("EUR");
            std::vector<Command> commands;
            std::vector<std::string> codes;
            for (const int number : numbers) {
                const std::string code = "C" + std::to_string(number);
                // Mostly each once, whatever is drawn.
                if (begin > 1 && std::ranges::find(codes, code) != codes.end()) continue;
                codes.push_back(code);
                const BookId of = end % 3 == 0 ? 1 + number % 2 : book;
                commands.push_back(UploadCodes{of, {code}});
                if (begin != 2 || codes.size() > 1) commands.push_back(AssignCode{code, user});
            }
            std::optional<Order> locked_for = order;
            if (begin % 3 == 0) locked_for.reset();
            std::optional<Order> again_for = locked_for;
            // Who goes on with a lock may need more of a budget, or say nothing of it.
            if (begin > 9) {
                EditBook spend{book, {}, {}};
                Discount& tenth = spend.wish.discount.emplace();
                tenth.type = Discount::Type::percent;
                tenth.value = 1'000;
                tenth.currency = Currency::find("EUR");
                spend.wish.budget = 20'000 * (1 + end);
                spend.wished.set(place::discount).set(place::budget);
                commands.push_back(spend);
                key = "k1";
                order.currency = *Currency::find("EUR");
                order.amount = 2'000;
                locked_for = again_for = order;
                again_for->amount *= 2;
                if (begin == 11 && end % 2 == 0) again_for.reset();
            } else if (begin > 6) {
                commands.push_back(limiting);
            }
            if (begin == 3) commands.push_back(LockCode{codes.back(), user, ttl_ms, {}, "k2"});
            if (begin == 4) commands.push_back(LockCode{codes.back(), user, ttl_ms, order, key});
            if (begin != 5) commands.push_back(LockCodes{codes, user, ttl_ms, locked_for, key});
            if (begin > 8) commands.push_back(LockCodes{codes, user, 2 * ttl_ms, again_for, key});
            if (end == 1) commands.push_back(UnlockCode{codes.front(), user, key});
            if (end == 2) commands.push_back(limiting);
            if (end == 3) commands.push_back(RedeemCode{codes.front(), user, order, key});
            commands.push_back(RedeemCodes{codes, user, order, key});
            std::ranges::reverse(codes);
            if (end == 4) codes.pop_back();
            if (end > 3) commands.push_back(RedeemCodes{codes, user, order, key});
            if (end > 8) commands.push_back(back);
            if (end > 10) commands.push_back(RedeemCodes{codes, user, order, key});
            return commands;
        });
}

/// A book, or a code, that is of no use for a while, and who meets it then.
rc::Gen<std::vector<Command>> any_break() {
    return rc::gen::map(
        rc::gen::tuple(rc::gen::element(0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7), any_code(), any_user(),
                       rc::gen::inRange(1, 3), below(6)),
        [](auto it) {
            const auto& [kind, code, user, book, met_by] = it;
            EditBook close{book, {}, {}}, open{book, {}, {}};
            EditCode disable{code, {}, {}, {}}, enable{code, {}, {}, {}};
            Command end = open, begin = close;
            if (kind < 4) {
                for (const std::size_t place : {place::active, place::starts_at, place::ends_at}) {
                    open.wished[place] = true;
                }
                close.wished[place::active] = kind == 0;
                close.wished[place::starts_at] = kind == 1 || kind == 3;
                close.wished[place::ends_at] = kind > 1;
                close.wish.active = false;
                close.wish.starts_at = Timestamp{kind == 1 ? 9 * ttl_ms : -1};
                close.wish.ends_at = Timestamp{kind == 3 ? -1 : 0};  // at 3 that cannot be
                begin = close;
                end = open;
            } else if (kind == 4) {
                begin = ArchiveBook{book};
                end = RestoreBook{book};
            } else {
                disable.wished[kind == 5 ? 0 : 1] = true;
                disable.wish.active = false;
                disable.wish.expires_at = Timestamp{kind == 6 ? 0 : 1};
                enable.wished = disable.wished;
                begin = disable;
                end = enable;
            }
            std::vector<Command> commands{UploadCodes{book, {code}}, UnassignCode{code, {}},
                                          AssignCode{code, user}, begin};
            if (met_by % 2 == 0) commands.push_back(RedeemCode{code, user});
            if (met_by > 0) commands.push_back(LockCode{code, user, ttl_ms});
            if (met_by == 1) commands.push_back(UploadCodes{book, {code}});
            if (met_by == 2) commands.push_back(AssignAny{user, book});
            if (met_by == 3) commands.push_back(RedeemCode{code, user});
            if (met_by == 4) commands.push_back(UnassignCode{code, {}});
            if (met_by == 4) commands.push_back(AssignAny{user, {}});
            if (met_by == 5) commands.push_back(AssignCode{code, "bob"});
            commands.push_back(end);
            return commands;
        });
}

rc::Gen<std::vector<Step>> any_steps() {
    const auto one = rc::gen::map(
        any_command(), [](Command command) { return std::vector<Command>{std::move(command)}; });
    const auto commands = rc::gen::weightedOneOf<std::vector<Command>>(
        {{9, one}, {4, any_life()}, {3, any_break()}, {6, any_rush()}, {6, any_basket()}});
    using Pause = std::pair<Per, std::int64_t>;
    const auto pauses = rc::gen::weightedElement<Pause>({{55, {Per::ever, 0}},
                                                         {2, {Per::ever, 1}},
                                                         {1, {Per::ever, ttl_ms - 1}},
                                                         {1, {Per::ever, ttl_ms}},
                                                         {1, {Per::ever, ttl_ms + 1}},
                                                         {1, {Per::ever, 2 * ttl_ms}},
                                                         {2, {Per::ever, 900'000}},
                                                         {1, {Per::day, -1}},
                                                         {5, {Per::day, 0}},
                                                         {2, {Per::day, 900'000}},
                                                         {1, {Per::week, -1}},
                                                         {3, {Per::week, 0}},
                                                         {1, {Per::month, -1}},
                                                         {4, {Per::month, 0}}});
    const auto any_zone = rc::gen::element<std::string>(zones[0], zones[1], zones[2]);
    const auto cuts = rc::gen::weightedElement<unsigned>({{6, 0}, {1, 1}, {1, 4}, {2, 255}});
    return rc::gen::map(rc::gen::tuple(commands, pauses, any_zone, cuts, below(20)), [](auto it) {
        auto& [all, pause, zone, cut, place] = it;
        std::vector<Step> steps;
        for (Command& command : all) {
            const bool here = steps.size() == static_cast<std::size_t>(place) % all.size();
            const auto& [over, pause_ms] = here ? pause : Pause();
            // What is taken back is known by then, mostly.
            const bool cut_here = (cut >> steps.size() & 1) != 0 ||
                                  (place % 4 > 0 && std::holds_alternative<RollBack>(command));
            steps.push_back({std::move(command), pause_ms, cut_here, over, zone});
        }
        return steps;
    });
}

/// Moments as they are when the commands come, and pauses: until now by the clock of then.
void set_moments(std::vector<Step>& history) {
    Timestamp now = Backend::start();
    const auto set = [&now](std::optional<Timestamp>& at) {
        if (at) at = now + at->ms;
    };
    for (Step& step : history) {
        if (step.over != Per::ever) step.pause_ms += next(step.zone, step.over, now.ms) - now.ms;
        now = now + step.pause_ms;
        if (auto* const edit = std::get_if<EditBook>(&step.command)) {
            set(edit->wish.starts_at);
            set(edit->wish.ends_at);
        }
        if (auto* const book = std::get_if<CreateBook>(&step.command)) {
            set(book->starts_at);
            set(book->ends_at);
        }
        if (auto* const edit = std::get_if<EditCode>(&step.command)) set(edit->wish.expires_at);
    }
}

/// Up to 200 steps, most often after a first book or two.
rc::Gen<std::vector<Step>> any_history() {
    const auto all =
        rc::gen::resize(130, rc::gen::container<std::vector<std::vector<Step>>>(any_steps()));
    return rc::gen::map(
        rc::gen::tuple(all, below(4), rc::gen::weightedElement<int>({{1, 0}, {2, 1}, {9, 2}}),
                       any_limiting(), below(10)),
        [](auto it) {
            const auto& [parts, first_limit, books, limiting, uses] = it;
            std::vector<Step> history;
            for (int i = 0; i < books; ++i) {
                CreateBook book{"first", "p", {}, {}};
                if (first_limit > 0) book.max_redemptions_per_user = first_limit;
                if (first_limit > 1) book.discount = from_short_form(50 * first_limit);
                if (first_limit == 1) set_members(book, limiting.wish, limiting.wished);
                book.case_sensitive = (uses + i) % 3 > 0;
                // Some books are open, and some of others may be used more than once; or alone
                // only.
                const bool last = i + 1 == books;
                if (uses > 4) book.open = last;
                if (uses > 3) book.max_redemptions_per_code = last ? uses - 3 : uses % 3 + 1;
                if (uses == 9) book.max_redemptions_per_code.reset();
                book.combinable = uses + i != 4;
                history.push_back({book});
            }
            for (const std::vector<Step>& steps : parts) {
                history.insert(history.end(), steps.begin(), steps.end());
            }
            if (history.size() > 200) history.resize(200);
            for (std::size_t i = 0; i < history.size(); ++i) {
                auto* const erasure = std::get_if<EraseUser>(&history[i].command);
                if (erasure != nullptr) erasure->erased_id = "erased-" + std::to_string(i);
            }
            set_moments(history);
            return history;
        });
}

/// How often each kind of answer was given, over all histories: shows that the test tests.
std::map<std::string, int> answers_given;
int histories_run = 0;

/// A coupond on an empty backend, and the model beside it.
class Pair {
public:
    struct Ran {
        std::vector<std::string> answers;  ///< coupond's, one a step
        std::vector<std::size_t> order;    ///< in which coupond took the steps
    };

    /// Runs one batch in both and compares.
    Ran run(std::span<const Step> batch) {
        clock_.advance(batch.front().pause_ms);
        std::vector<Submission> submissions;
        for (const Step& step : batch) {
            submissions.push_back({resolved(step.command), "r" + std::to_string(++requests_)});
        }
        std::vector<const Submission*> pointers;
        for (const Submission& submission : submissions) pointers.push_back(&submission);
        const std::size_t process = ++batches_ % 3 == 0 ? 1 : 0;
        const std::vector<Executed> results =
            execute(backend_.store(process), backend_.locks(process), clock_, pointers);
        RC_ASSERT(results.size() == batch.size());
        Ran ran{std::vector<std::string>(batch.size()), order_of(pointers)};
        for (const std::size_t i : ran.order) {
            const auto& outcome = results[i].outcome;
            const std::string answer = outcome
                                           ? describe(*outcome, clock_.now().ms)
                                           : "failure " + std::string(to_string(outcome.error()));
            const Given chosen = outcome ? given(*outcome) : Given();
            RC_ASSERT(answer == model_.apply(submissions[i], clock_.now().ms, chosen));
            const bool refused = answer.starts_with("refused ");
            ++answers_given[refused ? answer : answer.substr(0, answer.find(' '))];
            if (refused) ++refusals_[answer.substr(answer.find(' ') + 1)];
            if (const auto* const of = outcome ? std::get_if<CodeRefused>(&*outcome) : nullptr) {
                ++refusals_[std::string(to_string(of->refusal))];
            }
            ran.answers[i] = answer;
        }
        return ran;
    }

    /// Compares rows, locks and counts with the model's.
    void compare_state() {
        std::vector<std::string> wanted;
        for (const auto& [code, state] : model_.codes) {
            const std::int64_t locked_until =
                backend_.locks() ? state.first_locked_at : state.locked_until;
            wanted.push_back(
                code + "|" + std::to_string(state.id) + "|" + std::to_string(state.book) + "|" +
                state.holder + "|" + std::to_string(locked_until) + "|" +
                std::to_string(state.redeemed_at) + "|" + std::to_string(state.created_at) + "|" +
                row_text(as_settings(state)) + (state.counted ? "counted true\n" : ""));
        }
        RC_ASSERT(backend_.rows("SELECT code, id, book_id, user_id, coalesce(locked_until, 0), "
                                "coalesce(redeemed_at, 0), created_at, settings FROM coupon_code "
                                "LEFT JOIN coupon_user ON number = assigned_to "
                                "WHERE use_of IS NULL ORDER BY code") == wanted);
        compare_uses();
        compare_counted_locks();
        if (backend_.locks() != nullptr) compare_locks();
        compare_books();
        compare_kept_back();

        const Result<BookPage> page =
            backend_.reads().list_books({.limit = 1000, .with_codes = true}, clock_.now());
        RC_ASSERT(page.has_value());
        RC_ASSERT(page->books.size() == model_.books.size());
        std::vector<std::string> refusals;
        for (const auto& [reason, times] : refusals_) {
            refusals.push_back(reason + "|" + std::to_string(times));
        }
        RC_ASSERT(backend_.rows("SELECT reason, sum(refused) FROM refusal_count "
                                "WHERE book_id = 0 GROUP BY reason ORDER BY reason") == refusals);
        for (const BookListing& listing : page->books) compare_listing(listing);
        for (const auto& [limit, times] : model_.met) answers_given[limit] += times;
        compare_redemptions();
        compare_usages();
        compare_standing();
    }

    /// Compares the ledger with the model's changes, and what follows from it with the rest.
    void compare_ledger() {
        const std::vector<LedgerEntry> entries = all_entries();
        RC_ASSERT(entries.size() == model_.changes.size());
        for (std::size_t i = 0; i < entries.size(); ++i) {
            RC_ASSERT(change_of(entries[i]) == model_.changes[i]);
        }
        compare_chains(entries);
        compare_replayed(entries);
        compare_verified(entries);
    }

    /// All codes but those that random assignment has to itself, which may have gone to anybody;
    /// with their ids where these are not left to chance.
    std::vector<std::string> rows_of_named_codes() {
        return backend_.rows(
            "SELECT " + std::string(Backend::ids_may_skip() ? "" : "id, ") +
            "book_id, created_at, locked_until, redeemed_at, code, user_id, settings, "
            "CASE WHEN shuffle_key < 0 THEN 'back' END "
            "FROM coupon_code LEFT JOIN coupon_user ON number = assigned_to "
            "WHERE code NOT LIKE 'R%' AND use_of IS NULL ORDER BY code");
    }

private:
    /// With the id of the redemption that is meant.
    Command resolved(Command command) const {
        auto* const back = std::get_if<RollBack>(&command);
        if (back == nullptr) return command;
        const auto& known = model_.redemptions;
        const auto place = static_cast<std::size_t>(back->redemption_id);
        const bool none = back->redemption_id == of_none || place >= known.size();
        back->redemption_id = none ? 1 : std::next(known.rbegin(), back->redemption_id)->first;
        return command;
    }

    std::vector<std::size_t> order_of(std::span<const Submission* const> commands) {
        std::vector<std::size_t> order;
        for (const auto& group : groups_of(commands, backend_.locks() != nullptr)) {
            order.insert(order.end(), group.begin(), group.end());
        }
        return order;
    }

    /// All agrees with its ledger, however much of that was moved out.
    void compare_verified(const std::vector<LedgerEntry>& entries) {
        std::vector<EntryId> ids;
        for (const LedgerEntry& entry : entries) ids.push_back(entry.id);
        backend_.end();
        for (const std::size_t moved : {std::size_t{0}, ids.size() / 2, ids.size()}) {
            backend_.move_out(std::span(ids).first(moved));
            RC_ASSERT(backend_.differences(clock_.now()) == std::vector<std::string>());
        }
    }

    /// Page by page.
    std::vector<LedgerEntry> all_entries() {
        std::vector<LedgerEntry> entries;
        EntryId last = 0;
        EntryQuery query;
        query.limit = 50;
        for (bool more = true; more;) {
            const Result<EntryPage> page = backend_.reads().list_entries(query);
            RC_ASSERT(page.has_value());
            for (const EntryListing& listing : page->entries) {
                RC_ASSERT(last < listing.entry.id);
                last = listing.entry.id;
                entries.push_back(listing.entry);
            }
            more = page->more;
            query.after = page->read_to;
        }
        return entries;
    }

    static Model::Change change_of(const LedgerEntry& entry) {
        static const char* const types[] = {"",
                                            "book_created",
                                            "codes_uploaded",
                                            "code_assigned",
                                            "code_locked",
                                            "code_redeemed",
                                            "user_erased",
                                            "book_changed",
                                            "book_archived",
                                            "book_restored",
                                            "code_changed",
                                            "code_unassigned",
                                            "code_unlocked",
                                            "redemption_rolled_back",
                                            "discount_given_back"};
        Model::Change change{types[static_cast<int>(entry.type)],
                             entry.at.ms,
                             entry.book_id,
                             entry.use_of.value_or(entry.code_id),
                             entry.codes,
                             entry.user_id.value_or(""),
                             entry.locked_until ? entry.locked_until->ms : 0,
                             0,
                             entry.discount,
                             entry.request_id,
                             entry.order};
        const bool redeems = entry.type == LedgerEntry::Type::code_redeemed;
        change.redemption = redeems ? entry.id : entry.redemption_id.value_or(0);
        if (entry.type == LedgerEntry::Type::code_changed) {
            const CodeChange told = read_code_change(entry.detail).value();
            change.before = shown(told.before);
            change.after = shown(told.after);
        } else if (is_of_book(entry)) {
            const BookChange told = read_book_change(entry.detail).value();
            if (told.before) change.before = shown(*told.before);
            change.after = shown(told.after);
        } else if (entry.type == LedgerEntry::Type::code_locked && !entry.detail.empty()) {
            change.extended_from = read_extension(entry.detail).value().ms;
        } else if (entry.redemption_id) {
            change.reason = entry.detail;
        } else {
            RC_ASSERT(entry.detail.empty());
        }
        return change;
    }

    static bool is_of_book(const LedgerEntry& entry) {
        using enum LedgerEntry::Type;
        return entry.type == book_created || entry.type == book_changed ||
               entry.type == book_archived || entry.type == book_restored;
    }

    /// From the last entry of a code on, each leads to the one before it, as far as its upload;
    /// from that of a book as far as its creation.
    void compare_chains(const std::vector<LedgerEntry>& entries) {
        using enum LedgerEntry::Type;
        std::map<CodeId, EntryId> last;
        std::map<BookId, EntryId> last_of_book;
        std::map<CodeId, CodeId> use_of;
        for (const LedgerEntry& entry : entries) {
            if (is_of_book(entry)) {
                const bool first = entry.type == book_created;
                RC_ASSERT(entry.previous ==
                          (first ? std::nullopt : std::optional(last_of_book.at(entry.book_id))));
                last_of_book[entry.book_id] = entry.id;
                continue;
            }
            const bool of_one = entry.type != codes_uploaded && entry.type != user_erased;
            const bool elsewhere = (entry.type == code_locked || entry.type == code_unlocked) &&
                                   backend_.locks() != nullptr && !entry.use_of;
            if (entry.use_of && use_of.emplace(entry.code_id, *entry.use_of).second) {
                RC_ASSERT(entry.type == code_locked && entry.code_id == uses_from + entry.id);
                last[entry.code_id] = last.at(*entry.use_of);
            }
            if (entry.use_of) RC_ASSERT(use_of.at(entry.code_id) == *entry.use_of);
            if (!of_one || elsewhere) {
                RC_ASSERT(entry.previous == std::nullopt);
            } else {
                RC_ASSERT(entry.previous == last.at(entry.code_id));
                last[entry.code_id] = entry.id;
            }
            for (CodeId id = entry.code_id; id < entry.code_id + entry.codes; ++id) {
                last[id] = entry.id;
            }
        }
        const auto rows_of = [](const std::map<std::int64_t, EntryId>& entry_of) {
            std::vector<std::string> rows;
            for (const auto& [id, entry] : entry_of) {
                rows.push_back(std::to_string(id) + "|" + std::to_string(entry));
            }
            return rows;
        };
        RC_ASSERT(backend_.rows("SELECT id, last_entry_id FROM coupon_code ORDER BY id") ==
                  rows_of(last));
        RC_ASSERT(backend_.rows("SELECT id, last_entry_id FROM coupon_book ORDER BY id") ==
                  rows_of(last_of_book));
    }

    /// What the entries alone tell of codes and counts is so.
    void compare_replayed(const std::vector<LedgerEntry>& entries) {
        std::map<CodeId, Model::CodeState> codes;
        // Total, available, redeemed, ever locked, rolled back, discount; of each book, and of all.
        std::map<BookId, std::array<std::int64_t, 6>> counts;
        std::map<std::tuple<BookId, std::int64_t, std::string>, std::int64_t> discounts;
        std::map<std::pair<BookId, std::int64_t>, Activity> activity;
        for (const LedgerEntry& entry : entries) {
            std::array<std::int64_t, 6> change{};
            auto& [total, available, redeemed, ever_locked, rolled_back, discount] = change;
            Activity happened;
            for (CodeId id = entry.code_id; id < entry.code_id + entry.codes; ++id) {
                codes[id] = {
                    .id = id, .book = entry.book_id, .holder = {}, .created_at = entry.at.ms};
                ++total;
                ++available;
                ++happened.uploaded;
            }
            Model::CodeState& code = codes[entry.use_of ? 0 : entry.code_id];
            const bool of_code = !entry.use_of;
            if (entry.type == LedgerEntry::Type::code_assigned) {
                code.holder = entry.user_id.value();
                --available;
                ++happened.assigned;
            }
            if (entry.type == LedgerEntry::Type::code_locked) {
                if (of_code && code.locked_until == 0) ++ever_locked;
                if (backend_.locks() == nullptr) {
                    code.locked_until = entry.locked_until.value().ms;
                } else if (code.locked_until == 0) {
                    code.locked_until = entry.at.ms;
                }
                happened.locked += entry.detail.empty() ? 1 : 0;  // extended: the same one
            }
            if (entry.type == LedgerEntry::Type::user_erased) {
                for (auto& [id, held] : codes) {
                    if (held.holder != entry.user_id || backend_.locks() != nullptr) continue;
                    held.locked_until = std::min(held.locked_until, entry.at.ms);
                }
            }
            if (entry.type == LedgerEntry::Type::code_redeemed) {
                code.redeemed_at = entry.at.ms;
                code.locked_until = 0;
                if (of_code) ++redeemed;
                ++happened.redeemed;
            }
            if (entry.type == LedgerEntry::Type::redemption_rolled_back) {
                code.redeemed_at = 0;
                code.locked_until = entry.at.ms;
                if (of_code) --redeemed;
                rolled_back = happened.rolled_back = 1;
            }
            if (entry.discount && entry.discount->amount != 0) {
                const auto& [amount, currency] = *entry.discount;
                const std::int64_t given = entry.redemption_id ? -amount : amount;
                if (!currency) discount = happened.discount_cents = given;
                if (currency) happened.discounts[*currency] = given;
            }
            if (entry.type == LedgerEntry::Type::code_unlocked && backend_.locks() == nullptr) {
                code.locked_until = entry.at.ms;
            }
            if (entry.type == LedgerEntry::Type::code_unassigned) {
                code.holder.clear();
                ++available;
                if (std::exchange(code.locked_until, 0) != 0) --ever_locked;
            }
            for (const BookId book : {entry.book_id, all_books}) {
                for (std::size_t i = 0; i < change.size(); ++i) counts[book][i] += change[i];
                if (happened != Activity()) {
                    activity[{book, entry.at.ms / 900'000 * 900'000}] += happened;
                }
                for (const auto& [currency, given] : happened.discounts) {
                    for (const std::int64_t since :
                         {std::int64_t{-1}, entry.at.ms / 900'000 * 900'000}) {
                        discounts[{book, since, std::string(currency.code())}] += given;
                    }
                }
            }
        }
        codes.erase(0);  // of books
        std::vector<std::string> code_rows, count_rows;
        for (const auto& [id, code] : codes) {
            code_rows.push_back(std::to_string(id) + "|" + std::to_string(code.book) + "|" +
                                code.holder + "|" + std::to_string(code.locked_until) + "|" +
                                std::to_string(code.redeemed_at) + "|" +
                                std::to_string(code.created_at));
        }
        for (const auto& [book, of_book] : counts) {
            if (of_book[0] == 0) continue;
            std::string row = std::to_string(book);
            for (const std::int64_t count : of_book) row += "|" + std::to_string(count);
            count_rows.push_back(row);
        }
        RC_ASSERT(backend_.rows("SELECT id, book_id, user_id, coalesce(locked_until, 0), "
                                "coalesce(redeemed_at, 0), created_at FROM coupon_code "
                                "LEFT JOIN coupon_user ON number = assigned_to "
                                "WHERE use_of IS NULL ORDER BY id") == code_rows);
        RC_ASSERT(backend_.rows("SELECT book_id, sum(total), sum(available), sum(redeemed), "
                                "sum(ever_locked), sum(rolled_back), sum(discount_cents) "
                                "FROM book_count GROUP BY "
                                "book_id HAVING sum(total) > 0 "
                                "ORDER BY book_id") == count_rows);
        std::vector<std::string> activity_rows;
        for (const auto& [key, happened] : activity) {
            activity_rows.push_back(
                std::to_string(key.first) + "|" + std::to_string(key.second) + "|" +
                std::to_string(happened.uploaded) + "|" + std::to_string(happened.assigned) + "|" +
                std::to_string(happened.locked) + "|" + std::to_string(happened.redeemed) + "|" +
                std::to_string(happened.rolled_back) + "|" +
                std::to_string(happened.discount_cents));
        }
        RC_ASSERT(backend_.rows("SELECT book_id, since, sum(uploaded), sum(assigned), sum(locked), "
                                "sum(redeemed), sum(rolled_back), sum(discount_cents) "
                                "FROM activity_count GROUP BY 1, 2 ORDER BY 1, 2") ==
                  activity_rows);
        std::vector<std::string> discount_rows;
        for (const auto& [key, amount] : discounts) {
            const auto& [book, since, currency] = key;
            if (amount == 0) continue;
            discount_rows.push_back(std::to_string(book) + "|" + std::to_string(since) + "|" +
                                    currency + "|" + std::to_string(amount));
        }
        RC_ASSERT(backend_.rows("SELECT book_id, since, currency, sum(amount) FROM discount_count "
                                "GROUP BY 1, 2, 3 HAVING sum(amount) <> 0 ORDER BY 1, 2, 3") ==
                  discount_rows);
    }

    /// How much of books is used, as their limits go by it: each row holds what was redeemed since
    /// it says, and in its currency, and still stands, and at least the locks that count now. Where
    /// codes of a book were redeemed, or that taken back, after its last change, its rows are of
    /// that time; or of when one was locked after that.
    void compare_usages() {
        std::map<std::int64_t, std::vector<std::int64_t>> used_at;  // of books
        for (const Model::Change& change : model_.changes) {
            if (change.type.starts_with("book_")) used_at.erase(change.book);
            if (change.redemption != 0) used_at[change.book] = {change.at};
            const bool locks = change.type == "code_locked" || change.type == "code_unlocked";
            if (locks && used_at.contains(change.book)) used_at[change.book].push_back(change.at);
        }
        const auto rows = backend_.rows(
            "SELECT book_id, coalesce(user_id, ''), per, since, coalesce(currency, ''), redeemed, "
            "amount, locked, locked_amount FROM usage_count LEFT JOIN coupon_user ON number = "
            "user_number "
            "WHERE code_id = 0");
        for (const std::string& row : rows) {
            std::istringstream in(row);
            std::array<std::string, 5> words;
            for (std::string& word : words) std::getline(in, word, '|');
            const auto& [book_id, user, per_number, since_ms, currency_code] = words;
            const std::int64_t id = std::stoll(book_id), since = std::stoll(since_ms);
            const Per per = all_pers.at(std::stoul(per_number));
            const auto currency = Currency::find(currency_code);
            const auto [redeemed, amount] = model_.count_use(id, user, since, currency);
            std::string wanted;
            for (const std::string& word : words) wanted += word + "|";
            wanted += std::to_string(redeemed) + "|" + std::to_string(amount) + "|";
            RC_ASSERT(row.starts_with(wanted));
            std::istringstream at_most(row.substr(wanted.size()));
            std::int64_t locked = 0, locked_amount = 0;
            at_most >> locked;
            at_most.ignore();
            at_most >> locked_amount;

            const Model::BookState& book = model_.books.at(id);
            if (!user.empty()) RC_ASSERT(!currency);
            const auto is_of = [&](std::int64_t at) {
                const auto its = book.discount ? book.discount->currency : std::nullopt;
                return since == begin(book.zone, per, at) && (!user.empty() || currency == its);
            };
            if (user.empty() && used_at.contains(id)) {
                RC_ASSERT(std::ranges::any_of(used_at.at(id), is_of));
            }
            if (!is_of(clock_.now().ms)) continue;
            const auto locks = model_.count_locks(id, user, clock_.now().ms, currency);
            RC_ASSERT(locked >= locks.redeemed);
            RC_ASSERT(locked_amount >= locks.amount);
            ++answers_given["usage of " + std::string(user.empty() ? "all" : "a user")];
        }
    }

    /// The locks that count now for the limits of books.
    void compare_counted_locks() {
        std::multiset<std::string> wanted;
        for (const auto& [place, lock] : model_.counted_locks) {
            if (lock.until <= clock_.now().ms) continue;
            const auto& currency = lock.worth ? lock.worth->currency : std::nullopt;
            wanted.insert(place.first + "|" + std::to_string(lock.book) + "|" + lock.user + "|" +
                          std::to_string(lock.until) + "|" +
                          (lock.worth ? std::to_string(lock.worth->amount) : "none") + "|" +
                          (currency ? std::string(currency->code()) : ""));
        }
        const auto rows = backend_.rows(
            "SELECT named.code, lock.book_id, user_id, lock.locked_until, "
            "coalesce(cast(amount AS text), 'none'), coalesce(currency, '') "
            "FROM counted_lock AS lock JOIN coupon_user ON number = user_number "
            "JOIN coupon_code AS code ON code.id = lock.code_id "
            "JOIN coupon_code AS named ON named.id = coalesce(code.use_of, code.id) "
            "WHERE lock.locked_until > " +
            std::to_string(clock_.now().ms));
        RC_ASSERT(std::multiset<std::string>(rows.begin(), rows.end()) == wanted);
        if (!wanted.empty()) ++answers_given["locks that count"];
    }

    /// What there is of codes beside themselves: a row for each redemption that stands, and for
    /// each lock that lives; and how many there are, which is known of each code that may have some
    /// once it was locked.
    void compare_uses() {
        std::multiset<std::string> redeemed, locked;
        std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> counts;
        for (const auto& [id, made] : model_.redemptions) {
            if (made.by_use && made.rolled_back_at == 0) {
                redeemed.insert(made.code + "|" + made.user + "|" + std::to_string(made.at));
            }
        }
        for (const auto& [code, state] : model_.codes) {
            auto& [uses, locks] = counts[state.id];
            uses = model_.count_uses(code);
            for (const auto& [user, until] : state.uses) {
                if (until <= clock_.now().ms) continue;
                locked.insert(code + "|" + user + "|" + std::to_string(until));
                ++locks;
            }
        }
        const auto rows = [this](const std::string& column, const std::string& condition) {
            const auto found =
                backend_.rows("SELECT code.code, user_id, use." + column +
                              " FROM coupon_code AS use "
                              "JOIN coupon_code AS code ON code.id = use.use_of "
                              "JOIN coupon_user ON number = use.assigned_to WHERE use." +
                              condition);
            return std::multiset<std::string>(found.begin(), found.end());
        };
        RC_ASSERT(rows("redeemed_at", "redeemed_at IS NOT NULL") == redeemed);
        RC_ASSERT(rows("locked_until", "redeemed_at IS NULL AND use.locked_until > " +
                                           std::to_string(clock_.now().ms)) == locked);
        for (const std::string& row : backend_.rows(
                 "SELECT code_id, redeemed, locked FROM usage_count WHERE code_id <> 0")) {
            std::istringstream in(row);
            std::array<std::int64_t, 3> numbers{};
            for (std::int64_t& number : numbers) {
                std::string word;
                std::getline(in, word, '|');
                number = std::stoll(word);
            }
            const auto [uses, locks] = counts.at(numbers[0]);
            counts.erase(numbers[0]);
            RC_ASSERT(numbers[1] == uses);
            RC_ASSERT(numbers[2] >= locks);
        }
        for (const auto& [id, count] : counts) RC_ASSERT(count == std::pair(0L, 0L));
    }

    /// What stands of the redemptions made in each quarter of an hour.
    void compare_standing() {
        std::map<std::string, std::int64_t> redemptions, discounts;
        for (const auto& [id, made] : model_.redemptions) {
            const std::string place =
                std::to_string(made.book) + "|" + std::to_string(made.at / 900'000 * 900'000) + "|";
            if (made.rolled_back_at == 0) ++redemptions[place];
            if (!made.discount || !made.discount->currency) continue;
            discounts[place + std::string(made.discount->currency->code()) + "|"] +=
                made.discount->amount - made.given_back;
        }
        const auto rows_of = [](const std::map<std::string, std::int64_t>& sums) {
            std::set<std::string> rows;
            for (const auto& [place, sum] : sums) {
                if (sum != 0) rows.insert(place + std::to_string(sum));
            }
            return rows;
        };
        const auto standing = [this](const std::string& places, const std::string& table) {
            const auto rows = backend_.rows("SELECT " + places + ", sum(standing) FROM " + table +
                                            " GROUP BY " + places + " HAVING sum(standing) <> 0");
            return std::set<std::string>(rows.begin(), rows.end());
        };
        RC_ASSERT(standing("book_id, since", "activity_count") == rows_of(redemptions));
        RC_ASSERT(standing("book_id, since, currency", "discount_count") == rows_of(discounts));
    }

    void compare_books() {
        std::vector<std::string> wanted;
        for (const auto& [id, state] : model_.books) {
            const auto number = [](std::optional<std::int64_t> value) {
                return value ? std::to_string(*value) : std::string();
            };
            wanted.push_back(std::to_string(id) + "|" + state.name + "|" + state.pattern + "|" +
                             number(state.limits_ever.max_redemptions_per_user) + "|" +
                             number(short_form(state.discount)) + "|" + number(state.created_at) +
                             "|" + number(state.updated_at) + "|" + row_text(as_book(state)));
        }
        RC_ASSERT(backend_.rows("SELECT id, name, code_pattern, max_redemptions_per_user, "
                                "discount_cents, created_at, updated_at, settings "
                                "FROM coupon_book ORDER BY id") == wanted);
    }

    /// Free codes of no use are kept back: at once where a command has made them so, at the latest
    /// when random assignment meets them where their time is over. No others are.
    void compare_kept_back() {
        const auto rows = backend_.rows(
            "SELECT code FROM coupon_code WHERE assigned_to IS NULL AND shuffle_key < 0");
        const std::set<std::string> kept_back(rows.begin(), rows.end());
        for (const auto& [code, state] : model_.codes) {
            const bool free = state.holder.empty();
            const bool open = model_.books.at(state.book).open;
            const bool must_be =
                free && (open || (state.settled_at != 0 && !state.works(state.settled_at)));
            const bool may_be = free && (open || !state.works(clock_.now().ms));
            const bool is = kept_back.contains(code);
            RC_ASSERT((is ? may_be : !must_be));
        }
        const auto counts = [this](const std::string& what, const std::string& from) {
            return backend_.rows("SELECT book_id, " + what + " FROM " + from +
                                 " GROUP BY book_id HAVING " + what + " <> 0 ORDER BY book_id");
        };
        RC_ASSERT(counts("sum(kept_back)", "book_count WHERE book_id > 0") ==
                  counts("count(*)", "coupon_code WHERE assigned_to IS NULL AND shuffle_key < 0"));
        RC_ASSERT(counts("sum(kept_back)", "book_count WHERE book_id = 0").size() ==
                  (kept_back.empty() ? 0U : 1U));
    }

    /// Those that stand, as they are shown with the codes of their users; and the sums of all.
    void compare_redemptions() {
        std::map<std::string, std::multiset<std::string>> wanted;  // of users
        for (const auto& [text, code] : model_.codes) {
            if (!code.holder.empty()) wanted[code.holder];
        }
        std::int64_t rolled_back = 0;
        std::map<std::string, std::int64_t> sums;
        for (const auto& [id, state] : model_.redemptions) {
            if (state.rolled_back_at == 0) {
                wanted[state.user].insert(shown(id, state));
            } else {
                ++rolled_back;
            }
            if (!state.discount) continue;
            const auto& currency = state.discount->currency;
            sums[currency ? std::string(currency->code()) : ""] +=
                state.discount->amount - state.given_back;
        }
        for (const auto& [user, redemptions] : wanted) {
            const Result<UserPage> page = backend_.reads().find_user({user, 0, 1000});
            RC_ASSERT(page.has_value());
            std::multiset<std::string> found;
            for (const Redemption& redemption : page->redemptions) found.insert(shown(redemption));
            RC_ASSERT(found == redemptions);
        }
        const Timestamp from = activity_period(Backend::start());
        const Timestamp to = activity_period(clock_.now()) + 1'800'000;
        const Result<Statistics> statistics =
            backend_.reads().load_statistics({{}, {from, from + 900'000, to}}, clock_.now());
        RC_ASSERT(statistics.has_value());
        RC_ASSERT(statistics->rolled_back == rolled_back);
        std::map<std::string, std::int64_t> told, of_pieces;
        told[""] = statistics->discount_cents;
        for (const auto& [currency, amount] : statistics->discounts) {
            told[std::string(currency.code())] = amount;
        }
        for (const Statistics::Piece& piece : statistics->series) {
            of_pieces[""] += piece.activity.discount_cents;
            for (const auto& [currency, amount] : piece.activity.discounts) {
                of_pieces[std::string(currency.code())] += amount;
            }
        }
        for (auto* const each : {&sums, &told, &of_pieces}) {
            std::erase_if(*each, [](const auto& sum) { return sum.second == 0; });
        }
        RC_ASSERT(told == sums);
        RC_ASSERT(of_pieces == sums);
    }

    void compare_locks() {
        std::vector<std::string_view> codes;
        for (const auto& [code, state] : model_.codes) codes.push_back(code);
        const auto locks = backend_.locks()->load(codes);
        RC_ASSERT(locks.has_value());
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const Model::CodeState& state = model_.codes.at(std::string(codes[i]));
            const std::optional<Lock>& lock = (*locks)[i];
            RC_ASSERT((lock ? lock->until.ms : 0) == (state.lock_ended ? 0 : state.locked_until));
            if (lock) RC_ASSERT(lock->user_id == state.holder);
        }
    }

    void compare_listing(const BookListing& listing) {
        const BookCounts& counts = listing.counts;
        RC_ASSERT(shown(listing.book) == shown(as_book(model_.books.at(listing.book.id))));
        std::map<std::string, const Code*> listed;
        for (const Code& code : listing.codes) listed[code.code] = &code;
        RC_ASSERT(listed.size() == listing.codes.size());
        std::int64_t total = 0, available = 0, assigned = 0, locked = 0, redeemed = 0;
        for (const auto& [text, state] : model_.codes) {
            if (state.book != listing.book.id) continue;
            ++total;
            const Code& code = *listed.at(text);
            RC_ASSERT(shown(static_cast<const CodeSettings&>(code)) == shown(as_settings(state)));
            RC_ASSERT(code.assigned_to.value_or("") == state.holder);
            RC_ASSERT(code.is_locked(clock_.now()) == (clock_.now().ms < state.locked_until));
            if (state.holder.empty()) {
                ++available;
            } else if (state.redeemed_at != 0) {
                ++redeemed;
            } else if (clock_.now().ms < state.locked_until) {
                ++locked;
            } else {
                ++assigned;
            }
        }
        RC_ASSERT(listed.size() == static_cast<std::size_t>(total));
        RC_ASSERT(counts.total == total);
        RC_ASSERT(counts.available == available);
        RC_ASSERT(counts.assigned == assigned);
        RC_ASSERT(counts.locked == locked);
        RC_ASSERT(counts.redeemed == redeemed);
    }

    Backend backend_;
    ManualClock clock_{Backend::start()};
    Model model_{Backend::ids_may_skip()};
    int requests_ = 0, batches_ = 0;
    std::map<std::string, std::int64_t> refusals_;  ///< that were answered, by reason
};

/// Runs a history in batches that end where `ends(steps so far in the batch, next step)` says so,
/// and wherever the clock moves.
template <class Ends>
Pair::Ran run_all(Pair& pair, const std::vector<Step>& history, Ends ends) {
    Pair::Ran all_ran;
    const std::span<const Step> all(history);
    for (std::size_t begin = 0; begin < all.size();) {
        std::size_t end = begin + 1;
        while (end < all.size() && all[end].pause_ms == 0 && !ends(end - begin, all[end])) ++end;
        const Pair::Ran ran = pair.run(all.subspan(begin, end - begin));
        all_ran.answers.insert(all_ran.answers.end(), ran.answers.begin(), ran.answers.end());
        for (const std::size_t i : ran.order) all_ran.order.push_back(begin + i);
        begin = end;
    }
    return all_ran;
}

void expect(int least, std::initializer_list<const char*> answers) {
    for (const char* const answer : answers) EXPECT_GE(answers_given[answer], least) << answer;
}

/// Checks a property of many histories, and that they were worth checking it with.
void check(const std::string& what, auto property) {
    setenv("RC_PARAMS", ("max_success=" + std::to_string(Backend::histories())).c_str(), 0);
    log::configure(log::Level::off, log::Format::text);
    answers_given.clear();
    histories_run = 0;
    EXPECT_TRUE(rc::check(what, [&] {
        ++histories_run;
        property();
    }));
    expect(histories_run / 6, {"book",
                               "uploaded",
                               "code",
                               "locked",
                               "redeemed:",
                               "rolled-back:",
                               "refused redemption_not_found",
                               "refused book_not_found",
                               "refused codes_already_exist",
                               "refused code_not_found",
                               "refused already_redeemed",
                               "refused assigned_to_another_user",
                               "refused not_assigned_to_user",
                               "refused already_locked",
                               "refused not_locked",
                               "refused lock_key_mismatch",
                               "a lock is extended",
                               "changed:",
                               "edited:",
                               "unlocked"});
    expect(histories_run / 6,
           {"refused redemption_limit_reached", "refused user_redemption_limit_reached",
            "usage of all", "usage of a user"});
    expect(histories_run / 12, {"refused no_available_coupons"});
    expect(histories_run / 40, {"refused budget_exhausted"});
    // What is rare, where there are enough histories to meet it in any case.
    if (histories_run < 200) return;
    expect(histories_run / 60,
           {"erased", "refused user_not_found", "restored:", "contradicted",
            "freed:", "refused book_archived", "refused book_inactive", "refused book_not_started",
            "refused book_ended", "refused code_disabled", "refused code_expired",
            "replayed:", "given-back:", "refused already_rolled_back",
            "refused amount_exceeds_discount", "refused order_required",
            "refused order_currency_mismatch", "refused user_assignment_limit_reached"});
    for (const std::string limit :
         {"redemption_limit_reached", "budget_exhausted", "user_redemption_limit_reached"}) {
        for (const std::string per : {" ever", " day", " week", " month", " anew"}) {
            expect(histories_run / 60, {(limit + per).c_str()});
        }
    }
    expect(histories_run / 60,
           {"locks that count", "a lock: redemption_limit_reached", "a lock: budget_exhausted",
            "a lock: user_redemption_limit_reached"});
    expect(histories_run / 60, {"anew day", "anew week", "anew month"});
    expect(histories_run / 150, {"as by UTC it would not be"});
}

TEST(Cycle, AnswersAsTheModelDoesHoweverHistoriesAreCutIntoBatches) {
    check("coupond is the model", [] {
        const auto history = *any_history();
        Pair pair;
        run_all(pair, history, [](std::size_t, const Step& next) { return next.cut; });
        pair.compare_state();
        pair.compare_ledger();
    });
    expect(histories_run / 12, {"locked:", "all-redeemed:", "refused:"});
    if (histories_run < 200) return;
    expect(histories_run / 60, {"all-replayed:", "a lock is to hold more"});
    expect(1, {"a redemption: redemption_limit_reached", "a redemption: budget_exhausted",
               "a redemption: user_redemption_limit_reached", "of several: not_combinable",
               "of several: redemption_limit_reached", "of several: budget_exhausted",
               "of several: user_redemption_limit_reached"});
}

/// A step whose answer does not depend on chance: AssignAny has a book to itself, of which only
/// success or refusal is compared.
Step without_chance(Step step, int& uploads) {
    constexpr BookId random_book = 1;
    if (auto* const any = std::get_if<AssignAny>(&step.command)) any->book_id = random_book;
    if (auto* const upload = std::get_if<UploadCodes>(&step.command)) {
        if (!upload->book_id) upload->book_id = 2;
        if (*upload->book_id == random_book) {
            const std::string prefix = "R" + std::to_string(++uploads) + "-";
            for (std::string& code : upload->codes) code = prefix + code;
        }
    }
    return step;
}

/// An answer without what may differ from run to run: which code an AssignAny gave, and, where ids
/// may skip, the id of a code.
std::string comparable(const Command& command, const std::string& answer) {
    if (std::holds_alternative<AssignAny>(command) && answer.starts_with("code ")) {
        return "some code";
    }
    if (!Backend::ids_may_skip()) return answer;
    static const std::regex id("(code|from id|redemption) [0-9]+");
    return std::regex_replace(answer, id, "$1 #");
}

struct Told {
    std::vector<std::string> answers, rows;
    bool operator==(const Told&) const = default;
};

/// Runs `history` in batches of up to `most` steps on an empty backend. `order`: filled with the
/// one in which coupond took the steps.
Told run_in_batches(const std::vector<Step>& history, std::size_t most,
                    std::vector<std::size_t>& order) {
    Pair pair;
    Pair::Ran ran = run_all(pair, history, [&](std::size_t size, const Step& next) {
        return size == most || next.cut;
    });
    pair.compare_state();
    pair.compare_ledger();
    for (std::size_t i = 0; i < history.size(); ++i) {
        ran.answers[i] = comparable(history[i].command, ran.answers[i]);
    }
    order = std::move(ran.order);
    return {std::move(ran.answers), pair.rows_of_named_codes()};
}

/// The same in batches of one, in this order; answers in that of `history`.
Told run_one_by_one(const std::vector<Step>& history, const std::vector<std::size_t>& order) {
    std::vector<Step> steps;
    for (std::size_t place = 0; place < order.size(); ++place) {
        steps.push_back(history[order[place]]);
        steps.back().pause_ms = history[place].pause_ms;  // before a batch, whoever comes first
    }
    std::vector<std::size_t> same;
    Told told = run_in_batches(steps, 1, same);
    std::vector<std::string> answers(order.size());
    for (std::size_t place = 0; place < order.size(); ++place) {
        answers[order[place]] = std::move(told.answers[place]);
    }
    told.answers = std::move(answers);
    return told;
}

TEST(Cycle, AnswersTheSameInBatchesOfOneOfSevenAndAllAtOnce) {
    check("batches do not show", [] {
        std::vector<Step> history = {{CreateBook{"random", "p", {}, {}}},
                                     {CreateBook{"limited", "p", 1, {}}}};
        int uploads = 0;
        std::int64_t pause_ms = 0;
        for (Step& step : *any_history()) {
            step.pause_ms += std::exchange(pause_ms, 0);
            // Later commands name books by their ids.
            if (Backend::ids_may_skip() && std::holds_alternative<CreateBook>(step.command)) {
                pause_ms = step.pause_ms;
                continue;
            }
            history.push_back(without_chance(std::move(step), uploads));
        }
        // What is taken back is not known otherwise in one of the ways and not in another.
        for (std::size_t i = 1; i < history.size(); ++i) {
            history[i].cut = std::holds_alternative<RollBack>(history[i].command) ||
                             std::holds_alternative<RollBack>(history[i - 1].command);
        }
        if (Backend::ids_may_skip() && history.size() > 2) history[2].pause_ms += 1;
        std::map<std::vector<std::size_t>, Told> one_by_one;  // by the order of the steps
        for (const std::size_t most : {std::size_t{7}, history.size()}) {
            std::vector<std::size_t> order;
            const Told in_batches = run_in_batches(history, most, order);
            if (!one_by_one.contains(order)) one_by_one[order] = run_one_by_one(history, order);
            RC_ASSERT(in_batches == one_by_one[order]);
        }
    });
}

}  // namespace
}  // namespace coupond::test
