#include "base/csv.hpp"

#include <algorithm>

namespace coupond {
namespace {

bool would_run(std::string_view text) {
    const std::size_t first = text.find_first_not_of('\'');
    return first != std::string_view::npos &&
           std::string_view("=+-@\t\r").find(text[first]) != std::string_view::npos;
}

bool needs_quotes(char c) {
    return c == '"' || c == ',' || c == '\r' || c == '\n';
}

}  // namespace

void append_csv_cell(std::string& out, std::string_view text) {
    const std::string_view before = would_run(text) ? "'" : "";
    if (std::ranges::none_of(text, needs_quotes)) {
        out.append(before).append(text);
        return;
    }
    out.append("\"").append(before);
    for (std::size_t quote; (quote = text.find('"')) != std::string_view::npos;) {
        out.append(text.substr(0, quote + 1)).append("\"");
        text.remove_prefix(quote + 1);
    }
    out.append(text).append("\"");
}

std::string_view csv_text(std::string_view cell) {
    return cell.starts_with('\'') && would_run(cell) ? cell.substr(1) : cell;
}

}  // namespace coupond
