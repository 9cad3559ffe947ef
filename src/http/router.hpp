// What a Router holds. Private to http/.
#pragma once

#include <cstdint>
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
    /// Whether both match the same requests.
    bool equals(const Route& other) const;

    std::string method;
    std::vector<Segment> segments;
    Handler handler;      ///< may be empty where make_sink is not
    SinkMaker make_sink;  ///< may be empty
    std::uint64_t stream_bytes = 0;
};

}  // namespace coupond::http
