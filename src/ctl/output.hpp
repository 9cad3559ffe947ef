// What commands print: for people as tables, for programs as JSON, NDJSON or CSV.
#pragma once

#include <boost/json/value.hpp>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/terminal.hpp"

namespace coupond::ctl {

enum class Format { table, json, ndjson, csv };

/// By its name. Throws Quit where there is none of it.
Format format_of(const std::string& name);

/// One column of a list, or one line of a single thing.
struct Column {
    /// code: a text that is never cut; money: `{amount, currency}`, or an array of them; chance: a
    /// probability; state: of a book, by more of its members than the one at `path`.
    enum class Kind { text, number, time, yes_no, code, money, chance, state };

    const char* title;  ///< over a table
    const char* path;   ///< in the API's JSON, as `counts.total`; over CSV
    Kind kind = Kind::text;
    int width = 0;  ///< that it has at least, in columns of the terminal
};

using Columns = std::vector<Column>;

struct OutputOptions {
    Format format = Format::table;
    bool utc = false;  ///< times in tables; elsewhere they always are
};

/// Prints to stdout. Throws Quit where nobody takes it.
class Output {
public:
    explicit Output(OutputOptions options) : options_(options), terminal_(stdout) {}

    Format format() const { return options_.format; }
    bool is_table() const { return options_.format == Format::table; }
    const Terminal& terminal() const { return terminal_; }

    /// A list, page by page: begin(), rows(), end(). `array`: the JSON of a page. A heading comes
    /// with the first rows, or at the end, or before where heading() is called.
    void begin(const Columns& columns);
    void heading();
    void rows(std::string_view array);
    void end();

    /// One thing. `object`: its JSON, which is printed as it is where JSON is asked for; it must
    /// have what stands in the first column.
    void one(const Columns& columns, std::string_view object);

    /// For people only: left out where programs read.
    void note(std::string_view text);

    /// As it is.
    void print(std::string_view text);

    /// Throws Quit where what was printed cannot be written.
    static void flush();

    /// A time as the API writes it (`2026-11-22T14:21:13.730Z`), as people read it.
    std::string time_text(std::string_view iso8601) const;

    std::string bold(const std::string& text) const;

private:
    void open();
    std::string cell(const Column& column, const boost::json::value& object) const;
    void append_csv(std::string& line, const Column& column,
                    const boost::json::value& object) const;
    void print_table(const std::vector<std::vector<std::string>>& rows);
    void fit(int room);

    const OutputOptions options_;
    const Terminal terminal_;
    Columns columns_;
    bool has_begun_ = false;
    bool has_rows_ = false;
    std::vector<int> widths_;
};

}  // namespace coupond::ctl
