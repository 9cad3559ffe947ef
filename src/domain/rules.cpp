#include "domain/rules.hpp"

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

constexpr std::array use_rules{
    Rule{Refusal::not_assigned_to_user,
         [](const Use& use) { return use.code.assigned_to != use.user_id; }},
    Rule{Refusal::already_redeemed,
         [](const Use& use) { return use.code.redeemed_at.has_value(); }},
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

bool is_in_another_currency(const Use& use) {
    return use.order && use.book.discount && use.book.discount->currency &&
           *use.book.discount->currency != use.order->currency;
}

constexpr std::array order_rules{
    Rule{Refusal::order_required,
         [](const Use& use) {
             return !use.order && use.book.discount && use.book.discount->min_order_amount;
         }},
    Rule{Refusal::order_currency_mismatch, is_in_another_currency},
    Rule{Refusal::order_below_minimum,
         [](const Use& use) {
             return use.order && use.book.discount && !is_in_another_currency(use) &&
                    missing_to_minimum(*use.book.discount, *use.order) > 0;
         }},
};

constexpr std::array limit_rules{
    Rule{Refusal::user_redemption_limit_reached,
         [](const Use& use) {
             const auto most = use.book.max_redemptions_per_user;
             return most && use.redeemed >= *most;
         }},
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

std::optional<Refusal> refuse_giving(const Book& book, Timestamp at) {
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
