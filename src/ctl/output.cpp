#include "ctl/output.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <numeric>

#include "base/csv.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

namespace json = boost::json;
using Kind = Column::Kind;

constexpr int gap = 2;               // between two columns
constexpr int narrowest_column = 8;  // that is cut to make room

const json::value* find(const json::object& object, std::string_view path) {
    const std::size_t dot = path.find('.');
    const json::value* const value = object.if_contains(path.substr(0, dot));
    if (value == nullptr || dot == std::string_view::npos) return value;
    return value->is_object() ? find(value->as_object(), path.substr(dot + 1)) : nullptr;
}

/// As short as it is exact: 8.5, not 8.5E0.
std::string number_text(double number) {
    std::array<char, 64> text;
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? std::string(text.data(), end) : std::string();
}

std::string plain_text(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null: return {};
        case json::kind::string: return std::string(value.as_string());
        case json::kind::double_: return number_text(value.as_double());
        default: return json::serialize(value);
    }
}

json::object object_of(std::string_view text) {
    json::error_code error;
    const json::value value = json::parse(text, error);
    if (error || !value.is_object()) {
        throw Quit(exit_status::unreachable, "the server answered something that is no object",
                   "see that it is coupond's address: couponctl ping");
    }
    return value.as_object();
}

std::string money_text(const json::value& value) {
    if (value.is_array()) {
        std::string all;
        for (const json::value& each : value.as_array()) {
            all += (all.empty() ? "" : ", ") + money_text(each);
        }
        return all;
    }
    if (!value.is_object()) return {};
    const json::value* const amount = value.as_object().if_contains("amount");
    const json::value* const currency = value.as_object().if_contains("currency");
    return (amount == nullptr ? "" : plain_text(*amount)) +
           (currency == nullptr || currency->is_null() ? "" : " " + plain_text(*currency));
}

std::string chance_text(const json::value& value) {
    const double chance = value.is_number() ? value.to_number<double>() : 0;
    if (chance <= 0) return {};
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "one in %.0f", std::floor(1 / chance));
    return text.data();
}

bool is_right(Kind kind) {
    return kind == Kind::number;
}

std::string padded(const std::string& text, int width, bool right) {
    const std::string space(static_cast<std::size_t>(std::max(0, width - columns_of(text))), ' ');
    return right ? space + text : text + space;
}

}  // namespace

void Output::begin(const Columns& columns) {
    columns_ = columns;
    has_rows_ = false;
    widths_.clear();
    if (options_.format == Format::json) print("[");
    if (options_.format != Format::csv) return;
    std::string line;
    for (const Column& column : columns) {
        if (!line.empty()) line += ',';
        append_csv_cell(line, column.path);
    }
    print(line + "\r\n");
}

void Output::rows(std::string_view array) {
    std::vector<std::vector<std::string>> table;
    for (const std::string_view element : json_elements(array)) {
        switch (options_.format) {
            case Format::json:
                print(std::string(has_rows_ ? "," : "") + std::string(element));
                break;
            case Format::ndjson: print(std::string(element) + "\n"); break;
            case Format::csv: {
                const json::object object = object_of(element);
                std::string line;
                for (std::size_t i = 0; i < columns_.size(); ++i) {
                    if (i > 0) line += ',';
                    append_csv_cell(line, csv_cell(columns_[i], object));
                }
                print(line + "\r\n");
                break;
            }
            case Format::table: {
                const json::object object = object_of(element);
                std::vector<std::string>& row = table.emplace_back();
                for (const Column& column : columns_) row.push_back(cell(column, object));
                break;
            }
        }
        has_rows_ = true;
    }
    if (is_table()) print_table(table);
}

void Output::end() {
    if (options_.format == Format::json) print("]\n");
    if (std::fflush(stdout) != 0) print("");
}

void Output::one(const Columns& columns, std::string_view object) {
    const json::object members = object_of(object);
    if (options_.format == Format::json || options_.format == Format::ndjson) {
        print(std::string(object) + "\n");
        return;
    }
    if (options_.format == Format::csv) {
        begin(columns);
        rows("[" + std::string(object) + "]");
        return;
    }
    int width = 0;
    for (const Column& column : columns) width = std::max(width, columns_of(column.title));
    for (const Column& column : columns) {
        const std::string text = cell(column, members);
        if (text.empty()) continue;
        print(bold(padded(column.title, width, false)) + "  " + text + "\n");
    }
}

void Output::note(std::string_view text) {
    if (is_table()) print(std::string(text.substr(0, text.find_last_not_of(' ') + 1)) + "\n");
}

void Output::print(std::string_view text) {
    errno = 0;
    terminal_.print(text);
    if (std::ferror(stdout) == 0) return;
    throw Quit(exit_status::usage, std::string("cannot write the output: ") + std::strerror(errno),
               "");
}

std::string Output::time_text(std::string_view iso8601) const {
    std::tm time{};
    const std::string text(iso8601);
    if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return text;
    const std::time_t at = timegm(&time);
    std::tm shown{};
    if (options_.utc) {
        gmtime_r(&at, &shown);
    } else {
        localtime_r(&at, &shown);
    }
    std::array<char, 64> out;
    std::strftime(out.data(), out.size(), "%Y-%m-%d %H:%M:%S", &shown);
    return out.data() + std::string(options_.utc ? "Z" : "");
}

std::string Output::bold(const std::string& text) const {
    return terminal_.has_colour() ? "\x1B[1m" + text + "\x1B[0m" : text;
}

std::string Output::cell(const Column& column, const json::object& object) const {
    const json::value* const value = find(object, column.path);
    if (value == nullptr || value->is_null()) return {};
    switch (column.kind) {
        case Kind::time: return value->is_string() ? time_text(value->as_string()) : "";
        case Kind::yes_no: return value->is_bool() && value->as_bool() ? "yes" : "no";
        case Kind::money: return harmless(money_text(*value));
        case Kind::chance: return chance_text(*value);
        default: return harmless(plain_text(*value));
    }
}

std::string Output::csv_cell(const Column& column, const json::object& object) const {
    const json::value* const value = find(object, column.path);
    return value == nullptr ? "" : plain_text(*value);
}

/// Fits the terminal: the widest columns of text are cut; numbers and times never.
void Output::print_table(const std::vector<std::vector<std::string>>& rows) {
    const bool first = widths_.empty();
    widths_.resize(columns_.size(), 0);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        int& width = widths_[i];
        width = std::max({width, columns_of(columns_[i].title), columns_[i].width});
        for (const auto& row : rows) width = std::max(width, columns_of(row[i]));
    }
    if (terminal_.is_terminal()) {
        const int room = terminal_.width() - gap * (static_cast<int>(columns_.size()) - 1);
        int excess = std::accumulate(widths_.begin(), widths_.end(), 0) - room;
        while (excess > 0) {
            std::size_t widest = columns_.size();
            for (std::size_t i = 0; i < columns_.size(); ++i) {
                if (columns_[i].kind != Kind::text || widths_[i] <= narrowest_column) continue;
                if (widest == columns_.size() || widths_[i] > widths_[widest]) widest = i;
            }
            if (widest == columns_.size()) break;
            --widths_[widest];
            --excess;
        }
    }
    const auto line = [&](const auto& text_of) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (i > 0) text += std::string(gap, ' ');
            text += padded(cut(text_of(i), widths_[i]), widths_[i], is_right(columns_[i].kind));
        }
        return text.substr(0, text.find_last_not_of(' ') + 1);
    };
    if (first) {
        print(bold(line([&](std::size_t i) { return std::string(columns_[i].title); })) + "\n");
    }
    for (const auto& row : rows) print(line([&](std::size_t i) { return row[i]; }) + "\n");
}

}  // namespace coupond::ctl
