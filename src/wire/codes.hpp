// The states of codes as they are called outside.
#pragma once

#include <optional>
#include <string_view>

#include "store/store.hpp"

namespace coupond::wire {

/// The codes of a status by its name; nothing where there is no such status.
std::optional<CodeQuery::Filter> code_filter(std::string_view name);

}  // namespace coupond::wire
