#include "ctl/json_text.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace coupond::ctl {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view space = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(space);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

}  // namespace

std::string json_string(std::string_view text) {
    return boost::json::serialize(boost::json::string(text));
}

bool is_json_number(std::string_view text) {
    std::size_t at = 0;
    const auto digits = [&] {
        const std::size_t begin = at;
        while (at < text.size() && is_digit(text[at])) ++at;
        return at > begin;
    };
    if (at < text.size() && text[at] == '-') ++at;
    if (at < text.size() && text[at] == '0') {
        ++at;
    } else if (!digits()) {
        return false;
    }
    if (at < text.size() && text[at] == '.') {
        ++at;
        if (!digits()) return false;
    }
    if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
        ++at;
        if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
        if (!digits()) return false;
    }
    return at == text.size();
}

std::optional<boost::json::value> parse_json(std::string_view text) {
    boost::json::parse_options options;
    options.max_depth = 256;  // the server takes 32, and puts them into lists of its own
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(text, error, {}, options);
    return error ? std::nullopt : std::optional(std::move(value));
}

const boost::json::value* member(const boost::json::value& value, std::string_view path) {
    if (!value.is_object()) return nullptr;
    const std::size_t dot = path.find('.');
    const auto* const found = value.as_object().if_contains(path.substr(0, dot));
    if (found == nullptr || dot == std::string_view::npos) return found;
    return member(*found, path.substr(dot + 1));
}

std::string text_at(const boost::json::value& value, std::string_view path) {
    const auto* const found = member(value, path);
    return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

std::uint64_t count_at(const boost::json::value& value, std::string_view path) {
    const auto* const found = member(value, path);
    if (found == nullptr || !found->is_int64() || found->as_int64() < 0) return 0;
    return static_cast<std::uint64_t>(found->as_int64());
}

std::vector<std::string_view> json_elements(std::string_view array) {
    std::vector<std::string_view> elements;
    const std::string_view text = trimmed(array);
    int depth = 0;
    bool in_string = false;
    std::size_t begin = 1;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (in_string) {
            if (c == '\\') ++at;
            in_string = c != '"';
            continue;
        }
        in_string = c == '"';
        if (c == '[' || c == '{') ++depth;
        if (c == ']' || c == '}') --depth;
        const bool ends = (c == ',' && depth == 1) || depth == 0;
        if (!ends) continue;
        const std::string_view element = trimmed(text.substr(begin, at - begin));
        if (!element.empty()) elements.push_back(element);
        begin = at + 1;
    }
    return elements;
}

void JsonObject::set(std::string_view path, std::string json) {
    const std::size_t dot = path.find('.');
    if (dot == std::string_view::npos) return set_member(path, std::move(json));
    Value& value = member(path.substr(0, dot));
    if (!std::holds_alternative<JsonObject>(value)) value = JsonObject();
    std::get<JsonObject>(value).set(path.substr(dot + 1), std::move(json));
}

void JsonObject::set_member(std::string_view name, std::string json) {
    member(name) = std::move(json);
}

JsonObject::Value& JsonObject::member(std::string_view name) {
    for (auto& [each, value] : members_) {
        if (each == name) return value;
    }
    return members_.emplace_back(name, std::string()).second;
}

std::string JsonObject::text() const {
    std::string text = "{";
    for (const auto& [name, value] : members_) {
        if (text.size() > 1) text += ',';
        text += json_string(name) + ':';
        const auto* const object = std::get_if<JsonObject>(&value);
        text += object != nullptr ? object->text() : std::get<std::string>(value);
    }
    return text + '}';
}

}  // namespace coupond::ctl
