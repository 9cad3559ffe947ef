#include "domain/code_pattern.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/limits.hpp"
#include "base/text.hpp"

namespace coupond {
namespace {

constexpr std::size_t longest_run = 64;  // random characters of one {n}

constexpr std::string_view usual_alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> named_alphabets{{
    {"digits", "0123456789"},
    {"letters", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    {"alnum", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
    {"hex", "0123456789ABCDEF"},
}};

Alphabet alphabet_of(std::string_view ascii) {
    Alphabet alphabet;
    for (const char c : ascii) alphabet.emplace_back(1, c);
    return alphabet;
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    std::variant<CodePattern, PatternError> parse() {
        while (at_ < text_.size() && error_.message.empty()) {
            if (text_[at_] == '{') {
                braces();
            } else if (text_[at_] == '}') {
                fail(at_, "a } without its {; a literal one is written \\}");
            } else {
                literal();
            }
        }
        if (!error_.message.empty()) return error_;
        if (pattern_.parts.empty()) return PatternError{1, "it is empty"};
        if (check_ && std::ranges::none_of(pattern_.parts, &CodePattern::Part::random)) {
            fail(*check_, "{check} where there is nothing random to check");
            return error_;
        }
        if (pattern_.characters > limits::code_characters) {
            return PatternError{1, "its codes would be longer than " +
                                       std::to_string(limits::code_characters) + " characters"};
        }
        return pattern_;
    }

private:
    void braces() {
        const std::size_t open = at_++;
        if (is_open()) return fail(open, "a { without its }");
        if (text_.substr(at_).starts_with("check}")) return check(open);
        CodePattern::Part part;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
            const bool leading_zero = text_[at_] == '0' && part.random == 0;
            if (leading_zero || part.random > longest_run) return fail_count(open);
            part.random = part.random * 10 + static_cast<std::size_t>(text_[at_++] - '0');
        }
        const bool named = take(':');
        part.alphabet = named ? alphabet() : alphabet_of(usual_alphabet);
        if (!error_.message.empty()) return;
        if (!take('}')) {
            if (is_open()) return fail(open, "a { without its }");
            return named ? fail(at_, "something between an alphabet and its }") : fail_count(open);
        }
        if (part.random == 0 || part.random > longest_run) return fail_count(open);
        pattern_.characters += part.random;
        pattern_.parts.push_back(std::move(part));
    }

    bool is_open() const { return text_.find('}', at_) == std::string_view::npos; }

    void check(std::size_t open) {
        if (check_) return fail(open, "a second {check}");
        check_ = open;
        at_ += std::string_view("check}").size();
        pattern_.parts.emplace_back().check = true;
        ++pattern_.characters;
    }

    Alphabet alphabet() {
        const std::size_t from = at_;
        if (take('[')) return listed_alphabet(from);
        for (const auto& [name, characters] : named_alphabets) {
            if (!text_.substr(at_).starts_with(name)) continue;
            at_ += name.size();
            return alphabet_of(characters);
        }
        fail(from,
             "no such alphabet: there are digits, letters, alnum, hex and, of your own, "
             "[ABC23]");
        return {};
    }

    /// From behind the [ that is at `open`.
    Alphabet listed_alphabet(std::size_t open) {
        Alphabet alphabet;
        while (!take(']')) {
            const std::size_t from = at_;
            if (at_ == text_.size() || text_[at_] == '[') {
                fail(at_ == text_.size() ? open : from,
                     at_ == text_.size() ? "a [ without its ]"
                                         : "a [ in an alphabet; a literal one is written \\[");
                return {};
            }
            if (!unescape("[]\\")) return {};
            std::string symbol = character();
            if (std::ranges::find(alphabet, symbol) != alphabet.end()) {
                fail(from, "a character that the alphabet has already");
                return {};
            }
            alphabet.push_back(std::move(symbol));
        }
        if (alphabet.size() < 2) fail(open, "an alphabet of fewer than two characters");
        if (alphabet.size() > most_symbols) {
            fail(open, "an alphabet of more than " + std::to_string(most_symbols) + " characters");
        }
        std::ranges::sort(alphabet);
        return alphabet;
    }

    void literal() {
        if (!unescape("{}\\")) return;
        if (pattern_.parts.empty() || pattern_.parts.back().literal.empty()) {
            pattern_.parts.emplace_back();
        }
        pattern_.parts.back().literal += character();
        ++pattern_.characters;
    }

    /// Goes on behind a \, if there is one, which must be before one of `escapable`.
    bool unescape(std::string_view escapable) {
        if (text_[at_] != '\\') return true;
        const std::size_t next = at_ + 1;
        if (next == text_.size() || escapable.find(text_[next]) == std::string_view::npos) {
            fail(at_, std::string("a \\ that is not before ") + escapable[0] + ", " + escapable[1] +
                          " or \\");
            return false;
        }
        at_ = next;
        return true;
    }

    /// A whole one: its lead byte and the continuation bytes after it.
    std::string character() {
        std::string bytes;
        do {
            bytes += text_[at_++];
        } while (at_ < text_.size() && (static_cast<unsigned char>(text_[at_]) & 0xC0) == 0x80);
        return bytes;
    }

    bool take(char wanted) {
        if (at_ == text_.size() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }

    void fail_count(std::size_t open) {
        fail(open, "between { and } stands a number from 1 to " + std::to_string(longest_run) +
                       ", perhaps with an alphabet such as :digits, or check");
    }

    void fail(std::size_t byte, std::string message) {
        const auto before = examine_text(text_.substr(0, byte));
        error_ = {before ? before->characters + 1 : byte + 1, std::move(message)};
    }

    static constexpr std::size_t most_symbols = 128;

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::size_t> check_;  ///< where it begins
    CodePattern pattern_;
    PatternError error_;
};

}  // namespace

std::variant<CodePattern, PatternError> parse_code_pattern(std::string_view text) {
    return Parser(text).parse();
}

}  // namespace coupond
