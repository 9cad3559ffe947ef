// What several encoders write.
#pragma once

#include <string>
#include <string_view>

#include "domain/domain.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// A book but for its closing brace.
void write_open_book(JsonWriter& json, const Book& book);

/// The same of a code.
void write_open_code(JsonWriter& json, const Code& code, Timestamp now);

/// The stable code of a refusal, such as `coupon_not_found`.
std::string_view code_of(Refusal refusal);

/// The value of a query's parameter, for a Link.
std::string escaped(std::string_view text);

}  // namespace coupond::wire
