#include "domain/rules.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "base/check.hpp"
#include "domain/domain.hpp"

namespace coupond {
namespace {

struct Rule {
    Refusal refusal;
    bool (*refuses)(const Use&);
};

bool has_ended(const Book& book, Timestamp at) {
    return book.ends_at && *book.ends_at <= at;
}

bool has_expired(const Code& code, Timestamp at) {
    return code.expires_at && *code.expires_at <= at;
}

bool is_used_up(const Use& use) {
    const auto most = most_redemptions(use.book, use.code);
    return most && use.used.uses + (use.code.redeemed_at ? 1 : 0) >= *most;
}

bool is_for_one_use(const Use& use) {
    return most_redemptions(use.book, use.code) == 1;
}

constexpr std::array use_rules{
    Rule{Refusal::not_assigned_to_user,
         [](const Use& use) { return !use.book.open && use.code.assigned_to != use.user_id; }},
    Rule{Refusal::already_redeemed,
         [](const Use& use) { return is_used_up(use) && is_for_one_use(use); }},
    Rule{Refusal::code_redemption_limit_reached,
         [](const Use& use) { return is_used_up(use) && !is_for_one_use(use); }},
    Rule{Refusal::book_archived, [](const Use& use) { return use.book.archived_at.has_value(); }},
    Rule{Refusal::book_inactive, [](const Use& use) { return !use.book.active; }},
    Rule{Refusal::book_not_started,
         [](const Use& use) { return use.book.starts_at && use.at < *use.book.starts_at; }},
    Rule{Refusal::book_ended, [](const Use& use) { return has_ended(use.book, use.at); }},
    Rule{Refusal::code_disabled, [](const Use& use) { return !use.code.active; }},
    Rule{Refusal::code_expired, [](const Use& use) { return has_expired(use.code, use.at); }},
    Rule{Refusal::not_combinable,
         [](const Use& use) { return use.codes > 1 && !use.book.combinable; }},
};

bool has_budget(const Book& book) {
    return std::ranges::any_of(all_pers,
                               [&](Per per) { return book.limits_per(per).budget.has_value(); });
}

/// Whether nobody can tell what it is worth without an order.
bool depends_on_order(const Discount& discount) {
    return discount.type == Discount::Type::percent || discount.type == Discount::Type::fixed_price;
}

bool is_in_another_currency(const Use& use) {
    return use.order && use.book.discount && use.book.discount->currency &&
           *use.book.discount->currency != use.order->currency;
}

constexpr std::array order_rules{
    Rule{Refusal::order_required,
         [](const Use& use) {
             return !use.order && use.book.discount &&
                    (use.book.discount->min_order_amount ||
                     (has_budget(use.book) && depends_on_order(*use.book.discount)));
         }},
    Rule{Refusal::order_currency_mismatch, is_in_another_currency},
    Rule{Refusal::order_below_minimum,
         [](const Use& use) {
             return use.order && use.book.discount && !is_in_another_currency(use) &&
                    missing_to_minimum(*use.book.discount, *use.order) > 0;
         }},
};

// Whether the limits per some time refuse a use.

bool reaches_most(const Use& use, Per per) {
    const auto most = use.book.limits_per(per).max_redemptions;
    return most && use.used.by_all[static_cast<std::size_t>(per)].redeemed >= *most;
}

bool exceeds_budget(const Use& use, Per per) {
    const auto budget = use.book.limits_per(per).budget;
    if (!budget || !use.worth || use.worth->amount == 0) return false;
    const std::int64_t before = use.used.by_all[static_cast<std::size_t>(per)].amount;
    return before + use.worth->amount > minor_units_in(*budget, use.worth->currency);
}

bool reaches_most_of_user(const Use& use, Per per) {
    const auto most = use.book.limits_per(per).max_redemptions_per_user;
    return most && use.used.by_user[static_cast<std::size_t>(per)].redeemed >= *most;
}

template <bool (*refuses)(const Use&, Per)>
bool any_per(const Use& use) {
    return std::ranges::any_of(all_pers, [&](Per per) { return refuses(use, per); });
}

constexpr std::array limit_rules{
    Rule{Refusal::redemption_limit_reached, any_per<reaches_most>},
    Rule{Refusal::budget_exhausted, any_per<exceeds_budget>},
    Rule{Refusal::user_redemption_limit_reached, any_per<reaches_most_of_user>},
};

std::span<const Rule> rules_of(Rules rules) {
    switch (rules) {
        case Rules::use: return use_rules;
        case Rules::order: return order_rules;
        case Rules::limits: return limit_rules;
    }
    check_failed("rules are some of those above", __FILE__, __LINE__);
}

}  // namespace

std::optional<Refusal> first_refusal(const Use& use, Rules rules) {
    for (const Rule& rule : rules_of(rules)) {
        if (rule.refuses(use)) return rule.refusal;
    }
    return std::nullopt;
}

std::vector<Refusal> all_refusals(const Use& use) {
    std::vector<Refusal> all;
    for (const Rules rules : {Rules::use, Rules::order, Rules::limits}) {
        for (const Rule& rule : rules_of(rules)) {
            if (rule.refuses(use)) all.push_back(rule.refusal);
        }
    }
    return all;
}

std::optional<Money> worth_of(const Book& book, const std::optional<Order>& order) {
    const auto& discount = book.discount;
    const bool other =
        order && discount && discount->currency && *discount->currency != order->currency;
    return discount && !other ? worth_of(*discount, order) : std::nullopt;
}

std::optional<Timestamp> again_at(const Use& use) {
    std::optional<Timestamp> at;
    for (const Per per : all_pers) {
        const bool refuses =
            reaches_most(use, per) || exceeds_budget(use, per) || reaches_most_of_user(use, per);
        if (!refuses) continue;
        if (per == Per::ever) return std::nullopt;
        at = std::max(at.value_or(use.at), ends(use.book, per, use.at));
    }
    const bool too_late = at && (has_ended(use.book, *at) || has_expired(use.code, *at));
    return too_late ? std::nullopt : at;
}

std::optional<Refusal> refuse_giving(const Book& book, Timestamp at) {
    if (book.open) return Refusal::book_open;
    if (book.archived_at) return Refusal::book_archived;
    if (!book.active) return Refusal::book_inactive;
    if (has_ended(book, at)) return Refusal::book_ended;
    return std::nullopt;
}

std::optional<Refusal> refuse_giving(const Code& code, Timestamp at) {
    if (!code.active) return Refusal::code_disabled;
    if (has_expired(code, at)) return Refusal::code_expired;
    return std::nullopt;
}

bool gives_codes(const Book& book, Timestamp at) {
    return !refuse_giving(book, at);
}

}  // namespace coupond
