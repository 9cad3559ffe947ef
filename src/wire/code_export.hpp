// All codes of a book as a file: GET /coupon/codes/:id in other formats than JSON.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "domain/domain.hpp"
#include "wire/wire.hpp"

namespace coupond::wire {

enum class CodeFormat { json, csv, ndjson };

/// Which format an Accept header's value wants most, of several the first; json where it wants
/// none.
CodeFormat code_format(std::string_view accept);

/// Whether an Accept-Encoding header's value asks for gzip.
bool wants_gzip(std::string_view accept_encoding);

/// Writes codes, in their state at `now`.
class CodeFileWriter {
public:
    CodeFileWriter(CodeFormat format, Timestamp now) : format_(format), now_(now) {}

    /// Whether all codes that have metadata are to be shown by add_columns(), before anything is
    /// written.
    bool has_columns() const { return format_ == CodeFormat::csv; }
    /// False where that is more than limits::export_columns.
    bool add_columns(const Code& code);

    void begin(std::string& out);
    void add(const Code& code, std::string& out);

private:
    void add_row(const Code& code, std::string& out);

    const CodeFormat format_;
    const Timestamp now_;
    std::map<std::string, std::size_t, std::less<>> columns_;  ///< from the names in metadata
    std::vector<std::string> cells_;                           ///< of one code, under columns_
};

/// The answer; `body` makes the file, where `gzip` says so compressed.
Answer code_file(BookId book_id, CodeFormat format, bool gzip, BodySource body);

/// 400: more than limits::export_columns.
Answer too_many_columns(std::string_view request_id);

}  // namespace coupond::wire
