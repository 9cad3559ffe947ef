// Things as JSON, for the encoders.
#pragma once

#include "domain/types.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// A book but for its closing brace.
void write_open_book(JsonWriter& json, const Book& book);

}  // namespace coupond::wire
