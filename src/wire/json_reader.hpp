// Reading the bodies of requests: one JSON object whose members are texts, numbers, lists of
// texts or objects of any kind. Goes through the body once and builds nothing but what was asked
// for, so an upload of 100,000 codes takes milliseconds and little more memory than its codes.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coupond::wire {

/// A member that a body may have.
struct MemberSpec {
    std::string_view name;
    /// Not null: a list of texts. What it says no to is not kept but counted.
    bool (*element_fits)(std::string_view) = nullptr;
    std::size_t most_elements = 0;  ///< what is beyond is not kept but counted
    bool captured = false;          ///< an object: kept as JSON, without white space
};

/// What a body has for a member.
struct Member {
    enum class Kind { absent, null, boolean, number, string, array, object };

    Kind kind = Kind::absent;
    bool repeated = false;  ///< its name was given more than once
    /// Of a string its characters; of a number its digits as in the body; of an object, where its
    /// spec says so, its JSON.
    std::string text;

    // Of an array, where its spec has an `element_fits`.
    std::vector<std::string> elements;  ///< those that are texts and fit, in order
    std::size_t size = 0;               ///< how many there were
    std::vector<std::size_t> unfit;     ///< the places of the first others
    std::size_t unfit_count = 0;        ///< how many others there were in all
};

/// How many unfit elements and unknown names are kept; more are only counted.
inline constexpr std::size_t most_reported = 10;

/// A name as it is kept: its first 60 bytes or so, not ending within a character.
std::string_view cut_name(std::string_view name);

struct Body {
    bool is_object = false;
    std::optional<std::string> string;  ///< its characters, where it is no object but a string
    std::vector<Member> members;        ///< one a spec, in their order
    std::vector<std::string> unknown;   ///< the first other names, cut, each once
    std::size_t unknown_count = 0;      ///< how many there were in all
};

struct MalformedJson {
    enum class Reason { empty, too_deep, syntax };

    Reason reason = Reason::syntax;
    std::size_t offset = 0;  ///< the byte where it shows, from 0
    std::string what;        ///< such as "syntax error"
};

/// Reads `json`: RFC 8259, in UTF-8, with or without a byte order mark, nested up to
/// limits::json_depth. Takes time linear in its length. Of a repeated member the last counts.
std::variant<Body, MalformedJson> read_body(std::string_view json,
                                            std::span<const MemberSpec> specs);

}  // namespace coupond::wire
