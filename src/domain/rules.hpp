// Why a code cannot be used or given away: the rules that several commands go by, in the order in
// which they are checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "domain/command.hpp"
#include "domain/usage.hpp"

namespace coupond {

/// How much of a book is used, where that is counted: by everybody, and by one user; and how many
/// uses there are of the code.
struct Used {
    std::array<Usage, all_pers.size()> by_all, by_user;  ///< places are those of Per
    std::int64_t uses = 0;                               ///< redemptions, besides the code's own
};

/// Somebody who wants to use a code.
struct Use {
    const Book& book;
    const Code& code;
    std::string_view user_id;
    Timestamp at;
    const std::optional<Order>& order;
    std::size_t codes = 1;            ///< for the order, with this one
    Used used = {};                   ///< for `limits`; its uses for `use`
    std::optional<Money> worth = {};  ///< of the redemption, where that is known; for `limits`
};

/// Which rules: whose code it is and whether it works, for locking and redeeming it; what is wanted
/// of an order, where there is one, for both; that there is one, and what limits there are, for
/// redeeming it.
enum class Rules { use, order, limits };

/// The first reason against it.
std::optional<Refusal> first_refusal(const Use& use, Rules rules);
/// All of them; of both, in their order.
std::vector<Refusal> all_refusals(const Use& use);

/// What a redemption in `book` is worth; nothing where it has no discount, or none in the order's
/// currency, or an order is needed to tell.
std::optional<Money> worth_of(const Book& book, const std::optional<Order>& order);

/// When limits that refuse the use begin anew; nothing where none does, or one that never will, or
/// the book or the code is over by then.
std::optional<Timestamp> again_at(const Use& use);

/// The first reason why codes of `book`, or this one, cannot be given away at `at`.
std::optional<Refusal> refuse_giving(const Book& book, Timestamp at);
std::optional<Refusal> refuse_giving(const Code& code, Timestamp at);

}  // namespace coupond
