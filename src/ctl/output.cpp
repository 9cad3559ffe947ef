#include "ctl/output.hpp"

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <ctime>
#include <numeric>
#include <utility>

#include "base/csv.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

namespace json = boost::json;
using Kind = Column::Kind;

constexpr int gap = 2;               // between two columns
constexpr int narrowest_column = 8;  // that is cut to make room

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

json::value object_of(std::string_view text) {
    auto value = parse_json(text);
    if (!value || !value->is_object()) {
        throw no_coupond("the server answered something that is no object");
    }
    return std::move(*value);
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

/// What keeps the codes of a book from working, if anything does.
std::string state_of(const json::value& book) {
    if (!text_at(book, "archivedAt").empty()) return "archived";
    const json::value* const active = member(book, "active");
    if (active != nullptr && active->is_bool() && !active->as_bool()) return "inactive";
    std::array<char, 32> now;
    const std::time_t at = std::time(nullptr);
    std::tm utc{};
    std::strftime(now.data(), now.size(), "%Y-%m-%dT%H:%M:%S", gmtime_r(&at, &utc));
    // Times of the API are in UTC and sort as texts.
    const std::string starts = text_at(book, "startsAt"), ends = text_at(book, "endsAt");
    if (!starts.empty() && starts > now.data()) return "to come";
    return !ends.empty() && ends <= now.data() ? "ended" : "active";
}

bool is_right(Kind kind) {
    return kind == Kind::number;
}

Quit cannot_write() {
    return wrong_usage("cannot write the output" +
                           (errno == 0 ? std::string() : std::string(": ") + std::strerror(errno)),
                       "see where it goes to, and the disk there");
}

std::string padded(const std::string& text, int width, bool right) {
    const std::string space(static_cast<std::size_t>(std::max(0, width - columns_of(text))), ' ');
    return right ? space + text : text + space;
}

}  // namespace

Format format_of(const std::string& name) {
    if (name == "table") return Format::table;
    if (name == "json") return Format::json;
    if (name == "ndjson") return Format::ndjson;
    if (name == "csv") return Format::csv;
    throw wrong_usage("there is no output '" + name + "'",
                      "outputs are table, json, ndjson and csv");
}

void Output::begin(const Columns& columns) {
    columns_ = columns;
    has_begun_ = has_rows_ = false;
    widths_.clear();
}

/// What stands before the first row, or where there is none.
void Output::open() {
    if (std::exchange(has_begun_, true)) return;
    if (options_.format == Format::json) print("[");
    if (options_.format != Format::csv) return;
    std::string line;
    for (const Column& column : columns_) {
        if (!line.empty()) line += ',';
        if (column.kind == Kind::money) {
            line.append(column.path).append(".amount,").append(column.path).append(".currency");
        } else {
            append_csv_cell(line, column.path);
        }
    }
    print(line + "\r\n");
}

void Output::rows(std::string_view array) {
    std::vector<json::value> objects;
    const std::vector<std::string_view> elements = json_elements(array);
    for (const std::string_view element : elements) objects.push_back(object_of(element));
    open();
    std::vector<std::vector<std::string>> table;
    for (std::size_t row = 0; row < elements.size(); ++row) {
        switch (options_.format) {
            case Format::json:
                print(std::string(has_rows_ ? "," : "") + std::string(elements[row]));
                break;
            case Format::ndjson: print(std::string(elements[row]) + "\n"); break;
            case Format::csv: {
                std::string line;
                for (std::size_t i = 0; i < columns_.size(); ++i) {
                    if (i > 0) line += ',';
                    append_csv(line, columns_[i], objects[row]);
                }
                print(line + "\r\n");
                break;
            }
            case Format::table: {
                std::vector<std::string>& cells = table.emplace_back();
                for (const Column& column : columns_) cells.push_back(cell(column, objects[row]));
                break;
            }
        }
        has_rows_ = true;
    }
    if (!table.empty()) print_table(table);
}

void Output::heading() {
    open();
    if (is_table()) print_table({});
}

void Output::end() {
    open();
    if (options_.format == Format::json) print("]\n");
    if (is_table() && widths_.empty()) print_table({});
    flush();
}

void Output::one(const Columns& columns, std::string_view object) {
    const json::value members = object_of(object);
    if (!columns.empty() && member(members, columns.front().path) == nullptr) {
        throw no_coupond(std::string("the server answered something without ") +
                         columns.front().path);
    }
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
    if (!is_table()) return;
    const std::string line(text.substr(0, text.find_last_not_of(' ') + 1));
    print((terminal_.is_terminal() ? cut(line, terminal_.width()) : line) + "\n");
}

void Output::print(std::string_view text) {
    errno = 0;
    terminal_.print(text);
    if (std::ferror(stdout) != 0) throw cannot_write();
}

void Output::flush() {
    errno = 0;
    if (std::fflush(stdout) != 0) throw cannot_write();
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

std::string Output::cell(const Column& column, const json::value& object) const {
    const json::value* const value = member(object, column.path);
    if (value == nullptr || value->is_null()) return {};
    switch (column.kind) {
        case Kind::time: return value->is_string() ? harmless(time_text(value->as_string())) : "";
        case Kind::yes_no: return value->is_bool() && value->as_bool() ? "yes" : "no";
        case Kind::money: return harmless(money_text(*value));
        case Kind::chance: return chance_text(*value);
        case Kind::state: return state_of(object);
        default: return harmless(plain_text(*value));
    }
}

void Output::append_csv(std::string& line, const Column& column, const json::value& object) const {
    const auto append = [&](const std::string& path) {
        const json::value* const value = member(object, path);
        const std::string text = value == nullptr ? "" : plain_text(*value);
        append_csv_cell(line, terminal_.is_terminal() ? harmless(text) : text);
    };
    if (column.kind != Kind::money) return append(column.path);
    append(std::string(column.path) + ".amount");
    line += ',';
    append(std::string(column.path) + ".currency");
}

/// Makes the columns narrower, those of long texts first; then leaves out the last ones.
void Output::fit(int room) {
    const auto excess = [&] {
        const int gaps = gap * (static_cast<int>(columns_.size()) - 1);
        return std::accumulate(widths_.begin(), widths_.end(), gaps) - room;
    };
    for (int over = excess(); over > 0; --over) {
        std::size_t widest = columns_.size();
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const int least = std::max(narrowest_column, columns_[i].width);
            if (columns_[i].kind != Kind::text || widths_[i] <= least) continue;
            if (widest == columns_.size() || widths_[i] > widths_[widest]) widest = i;
        }
        if (widest == columns_.size()) break;
        --widths_[widest];
    }
    while (columns_.size() > 1 && excess() > 0) {
        columns_.pop_back();
        widths_.pop_back();
    }
}

void Output::print_table(const std::vector<std::vector<std::string>>& rows) {
    const bool first = widths_.empty();
    widths_.resize(columns_.size(), 0);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        int& width = widths_[i];
        width = std::max({width, columns_of(columns_[i].title), columns_[i].width});
        for (const auto& row : rows) width = std::max(width, columns_of(row[i]));
    }
    if (terminal_.is_terminal()) fit(terminal_.width());
    const auto line = [&](const auto& text_of) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            if (i > 0) text += std::string(gap, ' ');
            text += padded(cut(text_of(i), widths_[i]), widths_[i], is_right(columns_[i].kind));
        }
        text.erase(text.find_last_not_of(' ') + 1);
        return terminal_.is_terminal() ? cut(text, terminal_.width()) : text;
    };
    if (first) {
        print(bold(line([&](std::size_t i) { return std::string(columns_[i].title); })) + "\n");
    }
    for (const auto& row : rows) print(line([&](std::size_t i) { return row[i]; }) + "\n");
}

}  // namespace coupond::ctl
