// JSON as text: what the API answers is handed on as it is, and numbers are sent as they were
// typed.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace coupond::ctl {

/// `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text);

/// Whether `text` is a number as JSON writes it (RFC 8259, section 6).
bool is_json_number(std::string_view text);

/// `text` as JSON, nested as deep as anything that the server answers; nothing where it is none.
std::optional<boost::json::value> parse_json(std::string_view text);

/// What stands at a path of names with dots between them, as `counts.total`; null where nothing
/// does.
const boost::json::value* member(const boost::json::value& value, std::string_view path);

/// The same as text, empty where it is none.
std::string text_at(const boost::json::value& value, std::string_view path);

/// The same as a number that counts something, 0 where it is none.
std::uint64_t count_at(const boost::json::value& value, std::string_view path);

/// The elements of an array, as they stand in it. `array` must be JSON.
std::vector<std::string_view> json_elements(std::string_view array);

/// An object that is put together: members keep the order in which they came.
class JsonObject {
public:
    /// `path`: names with dots between them, as `discount.type`; the objects in between are made.
    /// `json`: what stands there. The last value of a path counts.
    void set(std::string_view path, std::string json);

    /// The same of one member, whose name may have dots in it.
    void set_member(std::string_view name, std::string json);

    std::string text() const;

private:
    using Value = std::variant<std::string, JsonObject>;

    Value& member(std::string_view name);

    std::vector<std::pair<std::string, Value>> members_;
};

}  // namespace coupond::ctl
