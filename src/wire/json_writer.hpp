// Writing JSON by hand: no tree, no allocation but that of the string written to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coupond::wire {

/// Appends JSON to a string, which stays the caller's and must outlive the writer.
class JsonWriter {
public:
    explicit JsonWriter(std::string& out) : out_(out) {}

    /// Appends `json` as it is: punctuation and member names.
    JsonWriter& raw(std::string_view json) {
        out_ += json;
        return *this;
    }

    /// A string, escaped as RFC 8259 wants it. What is not UTF-8 in `text` becomes U+FFFD.
    JsonWriter& string(std::string_view text);

    JsonWriter& number(std::int64_t value);

    JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }

    JsonWriter& null() { return raw("null"); }

    /// A time as a string.
    JsonWriter& time(Timestamp at);

    /// `value` times 10^-decimals as a number in its shortest form: 20, 19.99, 0.5.
    /// `decimals` must be 0 to 18.
    JsonWriter& decimal(std::int64_t value, int decimals);
    JsonWriter& hundredths(std::int64_t value) { return decimal(value, 2); }

private:
    std::string& out_;
};

}  // namespace coupond::wire
