// What a Router holds. Private to http/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/http.hpp"

namespace coupond::http {

struct Router::Route {
    struct Segment {
        std::string text;
        bool is_parameter = false;  ///< any one non-empty segment
    };

    bool matches(std::span<const std::string_view> path) const;

    std::string method;
    std::vector<Segment> segments;
    Handler handler;
};

}  // namespace coupond::http
