#include "http/router.hpp"

#include <algorithm>
#include <compare>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.hpp"

namespace coupond::http {
namespace {

/// Whether `left` is to be tried before `right`: at the first place where only one of them has a
/// parameter, the other one. Routes that do not differ so keep the order they were added in.
bool is_more_literal(const std::shared_ptr<const Router::Route>& left,
                     const std::shared_ptr<const Router::Route>& right) {
    return std::lexicographical_compare(
        left->segments.begin(), left->segments.end(), right->segments.begin(),
        right->segments.end(),
        [](const auto& a, const auto& b) { return !a.is_parameter && b.is_parameter; });
}

Router::Route make_route(std::string_view method, std::string_view path) {
    COUPOND_CHECK(path.starts_with('/'));
    Router::Route route;
    route.method = method;
    for (std::size_t begin = 1; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const std::string_view segment = path.substr(begin, end - begin);
        route.segments.push_back({std::string(segment), segment.starts_with(':')});
        begin = end + 1;
    }
    return route;
}

}  // namespace

bool Router::Route::matches(std::span<const std::string_view> path) const {
    if (path.size() != segments.size()) return false;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (segments[i].is_parameter ? path[i].empty() : path[i] != segments[i].text) return false;
    }
    return true;
}

bool Router::Route::equals(const Route& other) const {
    return method == other.method &&
           std::equal(segments.begin(), segments.end(), other.segments.begin(),
                      other.segments.end(), [](const Segment& a, const Segment& b) {
                          return a.is_parameter == b.is_parameter &&
                                 (a.is_parameter || a.text == b.text);
                      });
}

void Router::add(std::string_view method, std::string_view path, Handler handler) {
    Route route = make_route(method, path);
    route.handler = std::move(handler);
    put(std::move(route));
}

void Router::add_stream(std::string_view method, std::string_view path, SinkMaker make_sink,
                        std::uint64_t body_bytes) {
    Route route = make_route(method, path);
    route.make_sink = std::move(make_sink);
    route.stream_bytes = body_bytes;
    put(std::move(route));
}

/// Into its place, or into what an equal one has not got.
void Router::put(Route&& route) {
    const auto equal = std::find_if(routes_.begin(), routes_.end(),
                                    [&](const auto& other) { return other->equals(route); });
    if (equal != routes_.end()) {
        // Made anew: copies of the router share the old one.
        Route both = **equal;
        if (!both.handler) both.handler = std::move(route.handler);
        if (!both.make_sink) {
            both.make_sink = std::move(route.make_sink);
            both.stream_bytes = route.stream_bytes;
        }
        *equal = std::make_shared<const Route>(std::move(both));
        return;
    }
    std::shared_ptr<const Route> added = std::make_shared<const Route>(std::move(route));
    const auto place = std::upper_bound(routes_.begin(), routes_.end(), added, is_more_literal);
    routes_.insert(place, std::move(added));
}

const Router::Route* Router::find(std::string_view method,
                                  std::span<const std::string_view> segments) const {
    const Route* route = find_exactly(method, segments);
    if (route == nullptr && method == "HEAD") route = find_exactly("GET", segments);
    return route;
}

const Router::Route* Router::find_exactly(std::string_view method,
                                          std::span<const std::string_view> segments) const {
    for (const auto& route : routes_) {
        if (route->method == method && route->matches(segments)) return route.get();
    }
    return nullptr;
}

}  // namespace coupond::http
