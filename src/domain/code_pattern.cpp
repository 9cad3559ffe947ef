#include "domain/code_pattern.hpp"

#include "base/limits.hpp"
#include "base/text.hpp"

namespace coupond {
namespace {

constexpr std::size_t longest_run = 64;  // random characters of one {n}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::variant<CodePattern, PatternError> parse() {
        while (at_ < text_.size() && error_.message.empty()) {
            if (text_[at_] == '{') {
                random();
            } else if (text_[at_] == '}') {
                fail(at_, "a } without its {; a literal one is written \\}");
            } else {
                literal();
            }
        }
        if (!error_.message.empty()) return error_;
        if (pattern_.parts.empty()) return PatternError{1, "it is empty"};
        if (pattern_.characters > limits::code_characters) {
            return PatternError{1, "its codes would be longer than " +
                                       std::to_string(limits::code_characters) + " characters"};
        }
        return pattern_;
    }

private:
    void random() {
        const std::size_t open = at_++;
        const std::size_t close = text_.find('}', at_);
        if (close == std::string_view::npos) return fail(open, "a { without its }");
        const std::string_view digits = text_.substr(at_, close - at_);
        std::size_t count = 0;
        for (const char c : digits) {
            const bool leading_zero = c == '0' && count == 0;
            if (c < '0' || c > '9' || leading_zero || count > longest_run) return fail_count(open);
            count = count * 10 + static_cast<std::size_t>(c - '0');
        }
        if (count == 0 || count > longest_run) return fail_count(open);
        pattern_.parts.push_back({{}, count});
        pattern_.characters += count;
        at_ = close + 1;
    }

    void literal() {
        if (text_[at_] == '\\') {
            const std::size_t next = at_ + 1;
            if (next == text_.size() ||
                std::string_view("{}\\").find(text_[next]) == std::string_view::npos) {
                return fail(at_, "a \\ that is not before {, } or \\");
            }
            at_ = next;
        }
        if (pattern_.parts.empty() || pattern_.parts.back().random != 0) {
            pattern_.parts.emplace_back();
        }
        std::string& out = pattern_.parts.back().literal;
        do {  // the whole character: its lead byte and the continuation bytes after it
            out += text_[at_++];
        } while (at_ < text_.size() && (static_cast<unsigned char>(text_[at_]) & 0xC0) == 0x80);
        ++pattern_.characters;
    }

    void fail_count(std::size_t open) {
        fail(open, "between { and } stands a number from 1 to " + std::to_string(longest_run));
    }

    void fail(std::size_t byte, std::string message) {
        const auto before = examine_text(text_.substr(0, byte));
        error_ = {before ? before->characters + 1 : byte + 1, std::move(message)};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    CodePattern pattern_;
    PatternError error_;
};

}  // namespace

std::variant<CodePattern, PatternError> parse_code_pattern(std::string_view text) {
    return Parser(text).parse();
}

}  // namespace coupond
