#include "ctl/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cwchar>
#include <utility>

#include "base/text.hpp"

namespace coupond::ctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int usual_width = 80;
constexpr int bar_columns_most = 40;
constexpr milliseconds redraw_after{100};
constexpr seconds line_after{5};

struct Character {
    wchar_t value = 0;
    std::size_t bytes = 0;
};

/// The first character of `text`, which must not be empty; a byte that begins none counts as one.
Character first_character(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (bytes > text.size() || !examine_text(text.substr(0, bytes))) return {L'\xFFFD', 1};
    if (bytes == 1) return {static_cast<wchar_t>(lead), 1};
    auto value = static_cast<unsigned>(lead) & (0x7Fu >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        value = (value << 6) | (static_cast<unsigned char>(text[i]) & 0x3Fu);
    }
    return {static_cast<wchar_t>(value), bytes};
}

int columns_of(wchar_t character) {
    return std::max(0, wcwidth(character));
}

std::string rate_text(double per_second) {
    std::array<char, 32> text;
    const char* const format = per_second < 10 ? "%.1f/s" : "%.0f/s";
    std::snprintf(text.data(), text.size(), format, per_second);
    return text.data();
}

std::string time_text(double all_seconds) {
    const auto whole = static_cast<long long>(std::min(all_seconds, 359'999.0));
    std::array<char, 32> text;
    if (whole >= 3'600) {
        std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", whole / 3'600,
                      whole / 60 % 60, whole % 60);
    } else {
        std::snprintf(text.data(), text.size(), "%lld:%02lld", whole / 60, whole % 60);
    }
    return text.data();
}

std::string with_separators(std::uint64_t number) {
    std::string text = std::to_string(number);
    for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
}

}  // namespace

Terminal::Terminal(std::FILE* stream) : stream_(stream), is_terminal_(isatty(fileno(stream)) != 0) {
    const char* const no_colour = std::getenv("NO_COLOR");
    const char* const term = std::getenv("TERM");
    has_colour_ = is_terminal_ && (no_colour == nullptr || *no_colour == '\0') &&
                  (term == nullptr || std::string_view(term) != "dumb");
}

int Terminal::width() const {
    winsize size{};
    if (ioctl(fileno(stream_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return usual_width;
}

void Terminal::print(std::string_view text) const {
    std::fwrite(text.data(), 1, text.size(), stream_);
}

void Terminal::draw_bar(std::string_view line) const {
    print("\r\x1B[K");
    print(line);
    has_bar_ = true;
}

void Terminal::clear_bar() const {
    if (std::exchange(has_bar_, false)) print("\r\x1B[K");
}

int columns_of(std::string_view text) {
    int columns = 0;
    while (!text.empty()) {
        const Character character = first_character(text);
        columns += columns_of(character.value);
        text.remove_prefix(character.bytes);
    }
    return columns;
}

std::string harmless(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const Character character = first_character(text);
        const auto value = static_cast<unsigned>(character.value);
        const bool is_control = value < 0x20 || (value >= 0x7F && value < 0xA0);
        // Marks that turn the direction of what follows would let a code look like another.
        const bool turns =
            (value >= 0x202A && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
        if (is_control || turns || value == 0xFFFD) {
            shown += "\xEF\xBF\xBD";
        } else {
            shown += text.substr(0, character.bytes);
        }
        text.remove_prefix(character.bytes);
    }
    return shown;
}

std::string cut(const std::string& text, int columns) {
    if (columns_of(text) <= columns) return text;
    if (columns < 1) return {};
    int taken = 1;  // the ellipsis
    std::string_view rest = text;
    while (!rest.empty()) {
        const Character character = first_character(rest);
        taken += columns_of(character.value);
        if (taken > columns) break;
        rest.remove_prefix(character.bytes);
    }
    return text.substr(0, text.size() - rest.size()) + "…";
}

std::string sparkline(const std::vector<double>& values) {
    constexpr std::array<const char*, 9> heights{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const double greatest = values.empty() ? 0 : *std::ranges::max_element(values);
    std::string line;
    for (const double value : values) {
        double share = value > 0 && greatest > 0 ? value / greatest : 0;
        if (!(share <= 1)) share = 1;  // of two that are infinite
        // Whatever happened at all is to be seen.
        line += heights[static_cast<std::size_t>(std::ceil(share * 8))];
    }
    return line;
}

Progress::Progress(const Terminal& terminal, std::string unit)
    : terminal_(terminal), unit_(std::move(unit)), begun_(steady_clock::now()), shown_(begun_) {}

Progress::~Progress() {
    terminal_.clear_bar();
}

void Progress::show(std::uint64_t done, std::optional<std::uint64_t> all) {
    const auto now = steady_clock::now();
    if (!done_before_) done_before_ = done;
    const auto gap =
        terminal_.is_terminal() ? milliseconds(redraw_after) : milliseconds(line_after);
    if (now - shown_ < gap) return;
    shown_ = now;
    if (terminal_.is_terminal()) {
        terminal_.draw_bar(line(done, all, terminal_.width() - 1));
    } else {
        terminal_.print(line(done, all, usual_width) + "\n");
    }
}

std::string Progress::line(std::uint64_t done, std::optional<std::uint64_t> all, int width) const {
    const double taken = std::chrono::duration<double>(shown_ - begun_).count();
    const double rate =
        taken > 0 ? static_cast<double>(done - std::min(done, *done_before_)) / taken : 0;
    std::string text = with_separators(done);
    if (all) text += " of " + with_separators(*all);
    text += " " + unit_ + ", " + rate_text(rate);
    if (all && rate > 0 && done < *all) {
        text += ", " + time_text(static_cast<double>(*all - done) / rate) + " left";
    }
    const int room = std::min(bar_columns_most, width - columns_of(text) - 3);
    if (!terminal_.is_terminal() || !all || *all == 0 || room < 5) return cut(text, width);
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(*all));
    const int full = static_cast<int>(share * room);
    std::string bar = "[";
    for (int i = 0; i < room; ++i) bar += i < full ? "#" : i == full ? ">" : " ";
    return bar + "] " + text;
}

}  // namespace coupond::ctl
