// Why a code cannot be used or given away: the rules that several commands go by, in the order in
// which they are checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "domain/command.hpp"

namespace coupond {

/// Somebody who wants to use a code.
struct Use {
    const Book& book;
    const Code& code;
    std::string_view user_id;
    Timestamp at;
    const std::optional<Order>& order;
    std::size_t codes = 1;      ///< for the order, with this one
    std::int64_t redeemed = 0;  ///< how often they have redeemed in the book; for `limits`
};

/// Which rules: whose code it is and whether it works, for locking and redeeming it; what is wanted
/// of an order, where there is one, for both; that there is one, and what limits there are, for
/// redeeming it.
enum class Rules { use, order, limits };

/// The first reason against it.
std::optional<Refusal> first_refusal(const Use& use, Rules rules);
/// All of them; of both, in their order.
std::vector<Refusal> all_refusals(const Use& use);

/// The first reason why codes of `book`, or this one, cannot be given away at `at`.
std::optional<Refusal> refuse_giving(const Book& book, Timestamp at);
std::optional<Refusal> refuse_giving(const Code& code, Timestamp at);

}  // namespace coupond
