// Reading files of codes: CSV (RFC 4180) or a JSON value a line. docs/files.md says what may be in
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "domain/import.hpp"

namespace coupond::wire {

/// A stable code in snake_case and what it means, a sentence; both in static storage.
struct FileReason {
    std::string_view code;
    std::string_view message;
};

/// Why rows are rejected: all that RejectedRow::reason may be. Where several things are wrong with
/// the members of a row, it is the first in this order.
std::span<const FileReason> row_reasons();

/// Why a file cannot be read at all: all that CodeFile::Problem::code may be.
std::span<const FileReason> file_reasons();

enum class RowFault : std::int16_t;
enum class FileFault : std::int16_t;

/// Reads a file of codes piece by piece. Takes time linear in the bytes, however they are cut into
/// pieces, and memory for two rows. Not thread-safe.
///
/// A row that is broken or too long costs the line that it begins on, and reading goes on behind
/// that line's end: a quote that is never closed does not swallow the rows behind it.
class CodeFile {
public:
    using Format = Import::Format;

    /// Where the rows go, in their order. What it throws passes through; then nothing more may be
    /// read.
    class Rows {
    public:
        virtual ~Rows() = default;
        virtual void row(ImportedCode&& code) = 0;
        virtual void rejected(RejectedRow&& row) = 0;
    };

    struct Problem {
        std::string_view code;  ///< in snake_case; empty: none
        std::string message;    ///< a sentence, which names the column that it is about
    };

    /// `rows` must outlive it.
    CodeFile(Format format, Rows& rows);

    /// The next bytes, as many as there are. False: the file cannot be read at all, as its
    /// problem() says; no row of it was handed on.
    bool read(std::string_view bytes);

    /// To be called behind the last bytes, once. As read().
    bool end();

    const Problem& problem() const { return problem_; }

private:
    enum class State { cell_begin, plain, quoted, quote_in_quoted, broken };

    /// Of the row that is being read.
    struct Cell {
        std::size_t begin = 0, end = 0;  ///< from the row's begin, without quotes around it
        bool has_quotes = false;         ///< within, each twice
    };

    struct Column {
        enum class Kind { code, user_id, expires_at, max_redemptions, active, status, metadata };

        Kind kind = Kind::code;
        std::string member = {};  ///< of the metadata: its name and a colon, as JSON

        bool operator==(const Column&) const = default;
    };

    bool has_problem() const { return !problem_.code.empty(); }
    std::string_view row_text() const { return std::string_view(buffer_).substr(row_, at_ - row_); }

    bool fail(FileFault fault, std::string message = {});

    void scan();
    bool scan_row();
    bool skip_line();
    void scan_cells(std::size_t end);
    std::size_t pass_cell(std::size_t at, std::size_t end);
    void end_cell();
    void end_row();
    void begin_next_row(std::int64_t lines);
    void give_up(RowFault fault);
    void hand_on(std::variant<ImportedCode, RowFault> read);
    void reject(RowFault fault, std::string_view text);

    std::string_view text_of(const Cell& cell);
    bool read_first_row();
    bool add_column(std::string_view name);
    std::variant<ImportedCode, RowFault> read_cells();

    const Format format_;
    Rows& rows_;
    Problem problem_;
    std::string buffer_;     ///< from the row's begin on; no more than that row and a piece
    std::size_t row_ = 0;    ///< where in it the row begins
    std::size_t at_ = 0;     ///< and up to where it has been read
    std::int64_t line_ = 1;  ///< that the row begins on
    bool at_file_begin_ = true;
    bool ended_ = false;
    bool after_return_ = false;  ///< a line feed that comes next is no line end of its own
    bool any_row_ = false;

    State state_ = State::cell_begin;
    Cell cell_;                ///< the one that is being read
    std::vector<Cell> cells_;  ///< those before it in the row, up to limits::import_columns
    std::size_t cell_count_ = 0;
    bool any_quoted_ = false;
    std::vector<Column> columns_;  ///< empty until the first row
    std::string scratch_;          ///< for text_of()

    bool skipping_ = false;     ///< the rest of a line that is given up,
    RowFault skip_fault_ = {};  ///< for this,
    std::string skipped_;       ///< and that begins with this
};

}  // namespace coupond::wire
