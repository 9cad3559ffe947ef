// What a terminal can show, and what of it there is.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coupond::ctl {

/// A stream for people, or not.
class Terminal {
public:
    explicit Terminal(std::FILE* stream);

    bool is_terminal() const { return is_terminal_; }
    /// Only on a terminal, and not where NO_COLOR (no-color.org) is set or TERM is `dumb`.
    bool has_colour() const { return has_colour_; }
    /// In columns, as it is now; 80 where nobody knows.
    int width() const;

    void print(std::string_view text) const;

    /// Draws a line that the next bar takes the place of, and clear_bar() takes away.
    void draw_bar(std::string_view line) const;
    void clear_bar() const;

private:
    std::FILE* const stream_;
    mutable bool has_bar_ = false;
    bool is_terminal_ = false;
    bool has_colour_ = false;
};

/// How many columns `text` takes (wcwidth(3)); what is not UTF-8 takes one a byte.
int columns_of(std::string_view text);

/// `text` with what a terminal would obey replaced by U+FFFD.
std::string harmless(std::string_view text);

/// `text` in at most `columns`, with an ellipsis where it was cut.
std::string cut(const std::string& text, int columns);

/// Eight heights from none to the greatest of `values`.
std::string sparkline(const std::vector<double>& values);

/// How far long work is: a bar that is drawn again on a terminal, a line every few seconds
/// elsewhere. On stderr.
class Progress {
public:
    /// `unit`: what is counted, such as `codes`.
    Progress(const Terminal& terminal, std::string unit);
    /// Takes the bar away.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// `all`: nothing where nobody knows.
    void show(std::uint64_t done, std::optional<std::uint64_t> all);

private:
    std::string line(std::uint64_t done, std::optional<std::uint64_t> all, int width) const;

    const Terminal& terminal_;
    const std::string unit_;
    const std::chrono::steady_clock::time_point begun_;
    std::chrono::steady_clock::time_point shown_;
    std::optional<std::uint64_t> done_before_;
};

}  // namespace coupond::ctl
