// How the ledger's entries are called outside.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/store.hpp"

namespace coupond::wire {

/// Such as `code_redeemed`.
std::string_view name_of(LedgerEntry::Type type);

/// Nothing where there is no type of that name.
std::optional<LedgerEntry::Type> entry_type(std::string_view name);

/// The codes of a status by its name; nothing where there is no such status.
std::optional<CodeQuery::Filter> code_filter(std::string_view name);

/// All names, with commas between them.
std::string entry_type_names();

}  // namespace coupond::wire
