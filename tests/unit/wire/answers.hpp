// Looking into answers.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/wire.hpp"

namespace coupond::wire {

/// The whole body, in however many pieces it comes. Uses a BodySource up.
inline std::string text_of(Answer& answer) {
    if (auto* const whole = std::get_if<std::string>(&answer.body)) return *whole;
    auto& source = std::get<BodySource>(answer.body);
    std::string text;
    while (source(text) == Rest::more) {
    }
    return text;
}

inline std::string text_of(Answer&& answer) {
    return text_of(answer);
}

inline std::string string_at(const boost::json::value& object, std::string_view name) {
    const auto& text = object.at(name).as_string();
    return {text.data(), text.size()};
}

/// The sentences of a `validation_failed`; what it is instead where it is something else.
inline std::vector<std::string> complaints(Answer answer) {
    const std::string text = text_of(answer);
    const boost::json::value body = boost::json::parse(text);
    if (string_at(body, "code") != "validation_failed" || answer.status != 400) return {text};
    std::vector<std::string> messages;
    for (const auto& message : body.at("message").as_array()) {
        messages.emplace_back(message.as_string().data(), message.as_string().size());
    }
    return messages;
}

template <class T>
std::vector<std::string> complaints(const Decoded<T>& decoded) {
    const auto* const answer = std::get_if<Answer>(&decoded);
    return answer == nullptr ? std::vector<std::string>{"nothing is wrong"} : complaints(*answer);
}

}  // namespace coupond::wire
