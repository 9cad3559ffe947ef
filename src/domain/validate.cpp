#include "domain/validate.hpp"

#include "base/time_zone.hpp"
#include "domain/rules.hpp"

namespace coupond {
namespace {

std::optional<CodeValidated::Worth> worth_of(const Book& book, const std::optional<Order>& order) {
    if (!book.discount_cents) return std::nullopt;
    if (!order) return CodeValidated::Worth{*book.discount_cents, std::nullopt};
    Discount discount;
    discount.value = *book.discount_cents;
    return CodeValidated::Worth{discount_on(discount, order->amount, order->currency),
                                order->currency};
}

}  // namespace

std::optional<CodeValidated> validate(const ValidateCode& asked, const CodeForUser* found,
                                      Timestamp now) {
    CodeValidated validated;
    if (found == nullptr) {
        validated.reasons.push_back(Refusal::code_not_found);
        return validated;
    }
    const auto& [code, book, redeemed] = *found;
    auto at = asked.as_of;
    if (!asked.as_of_date.empty()) {
        const auto zone = TimeZone::find(book.time_zone);
        at = zone ? zone->parse(asked.as_of_date) : std::nullopt;
        if (!at) return std::nullopt;
    }
    validated.reasons = all_refusals({book, code, asked.user_id, at.value_or(now), redeemed});
    validated.starts_at = book.starts_at;
    validated.is_free = !code.assigned_to;
    if (validated.reasons.empty()) validated.discount = worth_of(book, asked.order);
    return validated;
}

}  // namespace coupond
