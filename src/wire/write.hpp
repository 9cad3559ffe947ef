// What several encoders write.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "domain/domain.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

/// A book but for its closing brace.
void write_open_book(JsonWriter& json, const Book& book);

/// The same of a code.
void write_open_code(JsonWriter& json, const Code& code, Timestamp now);

/// Members of a code, without braces.
void write_code_settings(JsonWriter& json, const CodeSettings& settings);

/// The name of a discount's type, such as `fixed_price`.
std::string_view name_of(Discount::Type type);

/// An amount with its currency, as an object.
void write_money(JsonWriter& json, const std::optional<Money>& money);
/// An object.
void write_order(JsonWriter& json, const std::optional<Order>& order);
void write_redemption(JsonWriter& json, const Redemption& redemption);

void write_or_null(JsonWriter& json, const std::optional<std::int64_t>& number);
void write_or_null(JsonWriter& json, const std::optional<Timestamp>& at);

/// The stable code of a refusal, such as `coupon_not_found`.
std::string_view code_of(Refusal refusal);
/// What is said of it, a sentence.
std::string_view message_of(Refusal refusal);

/// What is said of a member of a body that should be a date or a time.
inline constexpr std::string_view must_be_a_moment =
    " must be a date or a time of the years 2000 to 9998, with its offset from UTC, "
    "such as 2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00";

/// A number as JSON has it, as short as can be read back exactly.
std::string number_text(double number);

/// Nothing where there is no status of that name.
std::optional<Job::Status> job_status(std::string_view name);

/// Where the code stands in a url that is to be drawn.
inline constexpr std::string_view code_place = "{code}";

/// Percent-encoded but for the unreserved characters of RFC 3986: the value of a query's parameter,
/// for a Link or within a url.
std::string escaped(std::string_view text);

}  // namespace coupond::wire
