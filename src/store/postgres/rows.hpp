// How rows become things: column lists and what they are read into.
#pragma once

#include "domain/types.hpp"
#include "store/postgres/connection.hpp"

namespace coupond::postgres {

#define COUPOND_CODE_COLUMNS                                               \
    "code.id, code.book_id, code.code, code.assigned_to, code.locked_by, " \
    "code.locked_until, code.redeemed_at, code.created_at, code.version, code.ctid"
#define COUPOND_BOOK_COLUMNS                                                 \
    "book.id, book.name, book.code_pattern, book.max_redemptions_per_user, " \
    "book.discount_cents, book.created_at, book.updated_at"

inline constexpr int code_columns = 10;
inline constexpr int book_columns = 7;

inline std::optional<Timestamp> optional_time(const Rows& rows, int row, int column) {
    const auto ms = rows.optional_integer(row, column);
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// From a row that begins with COUPOND_CODE_COLUMNS.
inline Code read_code(const Rows& rows, int row) {
    Code code;
    code.id = rows.integer(row, 0);
    code.book_id = rows.integer(row, 1);
    code.code = rows.text(row, 2);
    code.assigned_to = rows.optional_text(row, 3);
    if (!rows.is_null(row, 4)) {
        code.lock = Lock{std::string(rows.text(row, 4)), {rows.integer(row, 5)}};
    }
    code.redeemed_at = optional_time(rows, row, 6);
    code.created_at = {rows.integer(row, 7)};
    code.version = rows.integer(row, 8);
    return code;
}

/// Where that code is.
inline Place read_place(const Rows& rows, int row) {
    Place place{};
    rows.text(row, code_columns - 1).copy(place.data(), place.size());
    return place;
}

/// From a row with COUPOND_BOOK_COLUMNS from `column` on.
inline Book read_book(const Rows& rows, int row, int column = 0) {
    Book book;
    book.id = rows.integer(row, column);
    book.name = rows.text(row, column + 1);
    book.code_pattern = rows.text(row, column + 2);
    book.max_redemptions_per_user = rows.optional_integer(row, column + 3);
    book.discount_cents = rows.optional_integer(row, column + 4);
    book.created_at = {rows.integer(row, column + 5)};
    book.updated_at = {rows.integer(row, column + 6)};
    return book;
}

}  // namespace coupond::postgres
