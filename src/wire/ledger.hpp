// The ledger's entries as they are seen outside.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/store.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// Such as `code_redeemed`.
std::string_view name_of(LedgerEntry::Type type);

/// Nothing where there is no type of that name.
std::optional<LedgerEntry::Type> entry_type(std::string_view name);

/// All names, with commas between them.
std::string entry_type_names();

/// A list of entries.
void write_entries(JsonWriter& json, const EntryPage& page);

/// The Link header's value for what comes after an entry.
std::string link_after(EntryId after, const EntryQuery& query);

}  // namespace coupond::wire
