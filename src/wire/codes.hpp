// Codes, and their states as they are called outside.
#pragma once

#include <optional>
#include <string_view>

#include "store/store.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// The codes of a status by its name; nothing where there is no such status.
std::optional<CodeQuery::Filter> code_filter(std::string_view name);

/// And the other way round.
std::string_view status_name(CodeStatus status);

/// A code as a list of a book's codes has it.
void write_listed_code(JsonWriter& json, const Code& code, Timestamp now);

}  // namespace coupond::wire
