// Cells of CSV (RFC 4180).
#pragma once

#include <string>
#include <string_view>

namespace coupond {

/// Appends a cell. One that a spreadsheet would take for a formula, or for what was made from one,
/// gets an apostrophe in front: where `=`, `+`, `-`, `@`, a tab or a carriage return comes first,
/// or first after apostrophes. Whoever reads it takes one off where that is so behind it. Quoted
/// where it needs to be.
void append_csv_cell(std::string& out, std::string_view text);

/// The other way round: `cell`, without its quotes, without the apostrophe in front.
std::string_view csv_text(std::string_view cell);

}  // namespace coupond
