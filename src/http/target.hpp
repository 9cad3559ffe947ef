// A request's target, taken apart.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "wire/wire.hpp"

namespace coupond::http {

/// Made to be used again for the next request, without allocating.
class Target {
public:
    /// Takes apart a target in origin-form, absolute-form or asterisk-form, decoding its path's
    /// segments and, into `query`, its parameters. False where it is malformed: an invalid escape,
    /// a NUL or invalid UTF-8 among what is decoded, a raw character that is not printable ASCII, a
    /// fragment. `text` must outlive the views handed out.
    bool parse(std::string_view text, wire::Query& query);

    /// The path as it was sent, without authority and query.
    std::string_view path() const { return path_; }

    /// The decoded segments: `/a/b%2Fc/` has "a", "b/c" and "". None where the target is `*`.
    std::span<const std::string_view> segments() const { return segments_; }

private:
    bool parse_segments();

    std::string_view path_;
    std::vector<std::string_view> segments_;
    std::string decoded_;  // what segments_ with escapes point into
};

}  // namespace coupond::http
