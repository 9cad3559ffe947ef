// Commands in Redis' protocol, to be sent at once.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/check.hpp"

namespace coupond::redis {

/// Words may hold any bytes.
class Pipeline {
public:
    /// A number as text, without allocating.
    class Digits {
    public:
        template <class Integer>
        std::string_view of(Integer number) {
            char* const end = std::to_chars(text_, text_ + sizeof text_, number).ptr;
            return {text_, static_cast<std::size_t>(end - text_)};
        }

    private:
        char text_[24];
    };

    /// Begins a command of so many words, which must follow.
    Pipeline& command(std::size_t words) {
        COUPOND_CHECK(words_left_ == 0);
        words_left_ = words;
        ++commands_;
        head('*', words);
        return *this;
    }

    Pipeline& word(std::string_view word) {
        word_of(word.size());
        bytes_ += word;
        bytes_ += "\r\n";
        return *this;
    }

    /// One word made of two parts.
    Pipeline& word(std::string_view first, std::string_view second) {
        word_of(first.size() + second.size());
        bytes_ += first;
        bytes_ += second;
        bytes_ += "\r\n";
        return *this;
    }

    template <std::integral Integer>
    Pipeline& word(Integer number) {
        return word(Digits().of(number));
    }

    std::size_t commands() const { return commands_; }
    const std::string& bytes() const {
        COUPOND_CHECK(words_left_ == 0);
        return bytes_;
    }

private:
    void word_of(std::size_t size) {
        COUPOND_CHECK(words_left_ > 0);
        --words_left_;
        head('$', size);
    }

    void head(char kind, std::size_t count) {
        Digits digits;
        bytes_ += kind;
        bytes_ += digits.of(count);
        bytes_ += "\r\n";
    }

    std::string bytes_;
    std::size_t commands_ = 0;
    std::size_t words_left_ = 0;  // of the last command
};

}  // namespace coupond::redis
