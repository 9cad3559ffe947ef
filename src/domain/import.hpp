// Codes of a file, brought in by a job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/types.hpp"

namespace coupond {

/// What a row of a file says of a code.
struct ImportedCode {
    std::int64_t line = 0;  ///< of the file, from 1: where the row begins
    std::string code;
    std::string user_id = {};  ///< whose it is already; empty: nobody's
    CodeSettings settings = {};
    std::string expires_on = {};  ///< not empty: `settings.expires_at` is when that day ends
    /// Its place, from 0 up to 1, in the order in which free codes are given away.
    double order = 0;

    bool operator==(const ImportedCode&) const = default;
};

/// A row of a file that is not taken in.
struct RejectedRow {
    std::int64_t line = 0;
    std::string reason;  ///< a stable code in snake_case
    std::string text;    ///< its code, or up to limits::rejected_text_bytes that it begins with

    bool operator==(const RejectedRow&) const = default;
};

/// What a job that brings in a file has of it.
struct Import {
    enum class Format : std::int16_t { csv, ndjson };

    /// How far it is.
    enum class Stage : std::int16_t {
        receiving,  ///< the file is still coming
        reading,    ///< its rows are counted, and those rejected that are so by what they say
        /// All or none: whether its codes are there already. From here on nobody else adds codes
        /// until it has ended, so that what was found stays so while it adds them.
        checking,
        adding,
    };

    Format format = Format::csv;
    /// Rows that are rejected are left out, and the others taken in; else all or none.
    bool skips = false;
    std::string time_zone;  ///< that of the book when it began: the file's dates are of it
    Stage stage = Stage::receiving;
    std::int64_t parts = 0;  ///< of the file that the store has
    std::int64_t bytes = 0;  ///< in them
    std::int64_t rejected = 0;
    /// The rows are taken in so many shares, by a digest of their codes: equal ones meet in one.
    std::int64_t shares = 0;
    std::int64_t share = 0;  ///< the first that is not done in this stage,
    std::int64_t done = 0;   ///< and so many of its rows, in the order of their codes, that are

    /// Whether nobody else may add codes.
    bool adds_alone() const { return !skips && stage >= Stage::checking; }

    bool operator==(const Import&) const = default;
};

/// What the row of a job keeps of it, as text without a line break.
std::string row_text(const Import& import);
/// False where `text` is not of it.
bool read_row_text(std::string_view text, Import& import);

}  // namespace coupond
