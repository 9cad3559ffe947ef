// What is in a code's metadata.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coupond::wire {

/// Goes through the members of a JSON object without white space, as metadata is kept
/// (CodeSettings::metadata), which must outlive it. Of what is none, it yields what it can.
class MetadataReader {
public:
    explicit MetadataReader(std::string_view object) : text_(object), at_(1) {}

    /// False where there is no further member.
    bool next();

    /// Of the member: its name, and what it is: the characters of a string, of all else its JSON.
    /// Good until the next call of next().
    std::string_view name() const { return name_; }
    std::string_view value() const { return value_; }

private:
    std::size_t end_of_string(std::size_t begin) const;
    std::size_t end_of_value(std::size_t begin) const;
    static std::string_view characters(std::string_view string, std::string& unescaped);

    std::string_view text_;
    std::size_t at_;
    std::string_view name_, value_;
    std::string unescaped_name_, unescaped_value_;
};

}  // namespace coupond::wire
