#include "wire/metadata.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>

namespace coupond::wire {

bool MetadataReader::next() {
    if (at_ >= text_.size() || text_[at_] != '"') return false;
    const std::size_t name_end = end_of_string(at_);
    if (name_end >= text_.size() || text_[name_end] != ':') return false;
    const std::size_t value_begin = name_end + 1;
    const std::size_t value_end = end_of_value(value_begin);
    name_ = characters(text_.substr(at_, name_end - at_), unescaped_name_);
    value_ = text_.substr(value_begin, value_end - value_begin);
    if (value_.starts_with('"')) value_ = characters(value_, unescaped_value_);
    at_ = std::min(value_end + 1, text_.size());
    return true;
}

/// Behind the quote that ends the string which begins there.
std::size_t MetadataReader::end_of_string(std::size_t begin) const {
    for (std::size_t i = begin + 1; i < text_.size(); ++i) {
        if (text_[i] == '\\') {
            ++i;
        } else if (text_[i] == '"') {
            return i + 1;
        }
    }
    return text_.size();
}

/// At the comma or brace behind the value that begins there.
std::size_t MetadataReader::end_of_value(std::size_t begin) const {
    std::size_t depth = 0;
    for (std::size_t i = begin; i < text_.size(); ++i) {
        switch (text_[i]) {
            case '"': i = end_of_string(i) - 1; break;
            case '{':
            case '[': ++depth; break;
            case '}':
            case ']':
                if (depth == 0) return i;
                --depth;
                break;
            case ',':
                if (depth == 0) return i;
                break;
            default: break;
        }
    }
    return text_.size();
}

std::string_view MetadataReader::characters(std::string_view string, std::string& unescaped) {
    if (string.find('\\') == std::string_view::npos && string.size() >= 2) {
        return string.substr(1, string.size() - 2);
    }
    boost::json::error_code error;
    const boost::json::value read = boost::json::parse(string, error);
    unescaped.clear();
    if (!error && read.is_string()) unescaped = read.get_string();
    return unescaped;
}

}  // namespace coupond::wire
