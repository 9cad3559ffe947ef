// Whether a code would be accepted, and what it would be worth; without changing anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/command.hpp"
#include "domain/rules.hpp"

namespace coupond {

struct ValidateCode {
    std::string code;
    std::string user_id;
    std::optional<Order> order = {};
    std::optional<Timestamp> as_of = {};  ///< nothing: now
    /// Not empty: `as_of` is when that day begins by the book's time zone.
    std::string as_of_date = {};
};

/// A code with all that it depends on whether a user may redeem it.
struct CodeForUser {
    Code code;
    Book book;
    Used used = {};  ///< of the book
};

struct CodeValidated {
    std::vector<Refusal> reasons;  ///< in their order; none: it is valid
    /// Of the book whose code it is, as far as that helps to tell what would cure them.
    std::optional<Timestamp> starts_at = {};
    std::optional<Currency> currency = {};  ///< of the discount
    std::optional<Money> missing = {};      ///< from the order to the discount's minimum
    /// When the day, week or month is over whose limits are reached, where that is all of them.
    std::optional<Timestamp> again_at = {};
    bool is_free = false;                ///< nobody holds it
    std::optional<Money> discount = {};  ///< only where it is valid
};

/// When somebody wants to use a code of `book`. Nothing where its time zone has no moment for
/// `as_of_date`.
std::optional<Timestamp> moment_of(const ValidateCode& asked, const Book& book, Timestamp now);

/// `found`: null where there is no such code. Nothing where the book's time zone has no moment for
/// `as_of_date`.
std::optional<CodeValidated> validate(const ValidateCode& asked, const CodeForUser* found,
                                      Timestamp now);

}  // namespace coupond
