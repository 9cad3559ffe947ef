#include "wire/json_reader.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>

#include "base/limits.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {
namespace {

/// What Boost.JSON's parser tells of a body. Never stops it: the rest may still not be JSON.
class Handler {
public:
    using Kind = Member::Kind;

    static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
    static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

    using Text = boost::json::string_view;
    using Error = boost::json::error_code;

    explicit Handler(std::span<const MemberSpec> specs) : specs_(specs) {
        body_.members.resize(specs.size());
    }

    Body take() { return std::move(body_); }

    bool on_document_begin(Error&) { return true; }
    bool on_document_end(Error&) { return true; }

    bool on_object_begin(Error&) {
        if (depth_ == 0) {
            body_.is_object = true;
        } else {
            on_value(Kind::object, {});
            if (depth_ == 1) capturing_ = current_ && specs_[*current_].captured;
            capture_begin('{');
        }
        ++depth_;
        return true;
    }

    bool on_object_end(std::size_t, Error&) {
        --depth_;
        capture_end('}');
        return true;
    }

    bool on_array_begin(Error&) {
        on_value(Kind::array, {});
        if (depth_ == 1) collecting_ = current_ && specs_[*current_].element_fits != nullptr;
        capture_begin('[');
        ++depth_;
        return true;
    }

    bool on_array_end(std::size_t, Error&) {
        --depth_;
        if (depth_ == 1) collecting_ = false;
        capture_end(']');
        return true;
    }

    bool on_key_part(Text part, std::size_t, Error&) {
        if (names_members() || capturing_) buffer_.append(part.data(), part.size());
        return true;
    }

    bool on_key(Text part, std::size_t, Error&) {
        if (capturing_) {
            capture_separator();
            JsonWriter(captured()).string(whole(part)).raw(":");
        } else if (names_members()) {
            on_name(whole(part));
        }
        buffer_.clear();
        return true;
    }

    bool on_string_part(Text part, std::size_t, Error&) {
        if (wants_text()) buffer_.append(part.data(), part.size());
        return true;
    }

    bool on_string(Text part, std::size_t, Error&) {
        on_value(Kind::string, wants_text() ? whole(part) : std::string_view());
        buffer_.clear();
        return true;
    }

    // Only for bodies in several pieces: ours are whole, and on_int64 and its like get all digits.
    bool on_number_part(Text, Error&) { return true; }

    bool on_int64(std::int64_t, Text digits, Error&) { return on_number(digits); }
    bool on_uint64(std::uint64_t, Text digits, Error&) { return on_number(digits); }
    bool on_double(double, Text digits, Error&) { return on_number(digits); }

    bool on_bool(bool value, Error&) {
        on_value(Kind::boolean, value ? "true" : "false");
        return true;
    }

    bool on_null(Error&) {
        on_value(Kind::null, {});
        return true;
    }

    bool on_comment_part(Text, Error&) { return true; }
    bool on_comment(Text, Error&) { return true; }

private:
    bool names_members() const { return depth_ == 1 && body_.is_object; }
    bool wants_text() const {
        return depth_ == 0 || (names_members() && current_) || (collecting_ && depth_ == 2) ||
               capturing_;
    }

    // A captured value is written as it comes.

    std::string& captured() { return body_.members[*current_].text; }
    void capture_separator() {
        const std::string& text = captured();
        const char last = text.empty() ? '{' : text.back();
        if (last != '{' && last != '[' && last != ':') captured() += ',';
    }
    void capture_begin(char bracket) {
        if (!capturing_) return;
        capture_separator();
        captured() += bracket;
    }
    void capture_end(char bracket) {
        if (!capturing_) return;
        captured() += bracket;
        if (depth_ == 1) capturing_ = false;
    }
    void capture(Kind kind, std::string_view text) {
        capture_separator();
        JsonWriter json(captured());
        switch (kind) {
            case Kind::string: json.string(text); break;
            case Kind::number: json.raw(text); break;
            case Kind::boolean: json.raw(text); break;
            default: json.null();
        }
    }

    /// The text whose last part this is; most come in one part and are not copied here.
    std::string_view whole(Text last) {
        if (buffer_.empty()) return {last.data(), last.size()};
        buffer_.append(last.data(), last.size());
        return buffer_;
    }

    bool on_number(Text digits) {
        on_value(Kind::number, {digits.data(), digits.size()});
        return true;
    }

    void on_name(std::string_view name) {
        const auto spec = std::ranges::find(specs_, name, &MemberSpec::name);
        current_.reset();
        if (spec == specs_.end()) {
            on_unknown(cut_name(name));
            return;
        }
        current_ = static_cast<std::size_t>(spec - specs_.begin());
        Member& member = body_.members[*current_];
        const bool repeated = member.kind != Kind::absent;
        member = {};
        member.repeated = repeated;
    }

    void on_unknown(std::string_view name) {
        if (std::ranges::find(body_.unknown, name) != body_.unknown.end()) return;
        ++body_.unknown_count;
        if (body_.unknown.size() < most_reported) body_.unknown.emplace_back(name);
    }

    void on_value(Kind kind, std::string_view text) {
        if (capturing_) {
            if (kind != Kind::object && kind != Kind::array) capture(kind, text);
        } else if (names_members() && current_) {
            Member& member = body_.members[*current_];
            member.kind = kind;
            member.text = text;
        } else if (collecting_ && depth_ == 2) {
            on_element(kind, text);
        } else if (depth_ == 0 && kind == Kind::string) {
            body_.string = text;
        }
    }

    void on_element(Kind kind, std::string_view text) {
        const MemberSpec& spec = specs_[*current_];
        Member& member = body_.members[*current_];
        const std::size_t place = member.size++;
        if (place >= spec.most_elements) return;
        if (kind == Kind::string && spec.element_fits(text)) {
            member.elements.emplace_back(text);
            return;
        }
        ++member.unfit_count;
        if (member.unfit.size() < most_reported) member.unfit.push_back(place);
    }

    std::span<const MemberSpec> specs_;
    Body body_;
    std::size_t depth_ = 0;
    std::optional<std::size_t> current_;  ///< the member whose value comes next, if it has a spec
    bool collecting_ = false;             ///< its value is a list of texts
    bool capturing_ = false;              ///< its value is an object to be kept
    std::string buffer_;                  ///< the parts so far of a text that comes in several
};

MalformedJson malformed(boost::json::error_code error, std::size_t offset) {
    MalformedJson result;
    result.offset = offset;
    result.what = error.message();
    if (error == boost::json::error::too_deep) result.reason = MalformedJson::Reason::too_deep;
    return result;
}

}  // namespace

std::string_view cut_name(std::string_view name) {
    std::size_t end = 60;
    if (name.size() <= end) return name;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
    return name.substr(0, end);
}

std::variant<Body, MalformedJson> read_body(std::string_view json,
                                            std::span<const MemberSpec> specs) {
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    constexpr std::string_view white_space = " \t\r\n";
    const std::size_t start = json.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
    json.remove_prefix(start);
    if (json.find_first_not_of(white_space) == std::string_view::npos) {
        return MalformedJson{MalformedJson::Reason::empty, 0, "empty"};
    }

    boost::json::parse_options options;
    options.max_depth = limits::json_depth;
    boost::json::basic_parser<Handler> parser(options, specs);
    boost::json::error_code error;
    const std::size_t read = parser.write_some(false, json.data(), json.size(), error);
    if (!error && json.find_first_not_of(white_space, read) != std::string_view::npos) {
        error = boost::json::error::extra_data;
    }
    if (error) return malformed(error, start + read);
    return parser.handler().take();
}

}  // namespace coupond::wire
