// Things as JSON, for the encoders.
#pragma once

#include "domain/types.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// A book but for its closing brace.
void write_open_book(JsonWriter& json, const Book& book);

/// The same of a code.
void write_open_code(JsonWriter& json, const Code& code, Timestamp now);

}  // namespace coupond::wire
