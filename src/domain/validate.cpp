#include "domain/validate.hpp"

#include <algorithm>

#include "base/time_zone.hpp"
#include "domain/rules.hpp"

namespace coupond {

std::optional<Timestamp> moment_of(const ValidateCode& asked, const Book& book, Timestamp now) {
    if (asked.as_of_date.empty()) return asked.as_of.value_or(now);
    const auto zone = TimeZone::find(book.time_zone);
    return zone ? zone->parse(asked.as_of_date) : std::nullopt;
}

std::optional<CodeValidated> validate(const ValidateCode& asked, const CodeForUser* found,
                                      Timestamp now) {
    CodeValidated validated;
    if (found == nullptr) {
        validated.reasons.push_back(Refusal::code_not_found);
        return validated;
    }
    const auto& [code, book, used] = *found;
    const auto at = moment_of(asked, book, now);
    if (!at) return std::nullopt;
    const Use use{book,        code, asked.user_id, *at,
                  asked.order, 1,    used,          worth_of(book, asked.order)};
    validated.reasons = all_refusals(use);
    validated.starts_at = book.starts_at;
    validated.again_at = again_at(use);
    validated.is_free = !book.open && !code.assigned_to;
    if (validated.reasons.empty()) validated.discount = use.worth;
    if (!book.discount) return validated;
    validated.currency = book.discount->currency;
    const bool is_below = std::ranges::find(validated.reasons, Refusal::order_below_minimum) !=
                          validated.reasons.end();
    if (is_below) {
        validated.missing =
            Money{missing_to_minimum(*book.discount, *asked.order), asked.order->currency};
    }
    return validated;
}

}  // namespace coupond
