// Requests to decode, and what becomes of them.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "unit/wire/answers.hpp"

namespace coupond::wire {

using Strings = std::vector<std::string>;

inline Request request(std::string_view body, std::string_view content_type = "application/json") {
    return {content_type, body, "r-1"};
}

template <class T>
const T& value(const Decoded<T>& decoded) {
    if (const auto* const answer = std::get_if<Answer>(&decoded)) {
        throw std::runtime_error(text_of(Answer(*answer)));
    }
    return std::get<T>(decoded);
}

inline std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace coupond::wire
