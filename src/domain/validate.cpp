#include "domain/validate.hpp"

#include <algorithm>

#include "base/time_zone.hpp"
#include "domain/rules.hpp"

namespace coupond {

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
    validated.reasons =
        all_refusals({book, code, asked.user_id, at.value_or(now), asked.order, 1, redeemed});
    validated.starts_at = book.starts_at;
    validated.is_free = !code.assigned_to;
    if (!book.discount) return validated;
    validated.currency = book.discount->currency;
    if (validated.reasons.empty()) validated.discount = worth_of(*book.discount, asked.order);
    const bool is_below = std::ranges::find(validated.reasons, Refusal::order_below_minimum) !=
                          validated.reasons.end();
    if (is_below) {
        validated.missing =
            Money{missing_to_minimum(*book.discount, *asked.order), asked.order->currency};
    }
    return validated;
}

}  // namespace coupond
