// Outcomes as text, so that they can be told again when a request is repeated.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "domain/command.hpp"

namespace coupond {

/// `outcome`, which is not a Replayed, without what the request says itself: neither the codes of
/// an upload nor the id of a user stand in it.
std::string remember(const Outcome& outcome);

/// What `text` was made from, but for who holds a code of a CodeChanged, given the command that it
/// was the outcome of. Nothing where `text` is not of remember(), as another version of coupond may
/// have it.
std::optional<FirstOutcome> recall(std::string_view text, const Command& command);

}  // namespace coupond
