// How rows are read: column lists and what they become.
#pragma once

#include "domain/types.hpp"
#include "store/sqlite/connection.hpp"

namespace coupond::sqlite {

#define COUPOND_CODE_COLUMNS \
    "id, book_id, code, assigned_to, locked_by, locked_until, redeemed_at, created_at, version"
#define COUPOND_BOOK_COLUMNS                                                         \
    "id, name, code_pattern, max_redemptions_per_user, discount_cents, created_at, " \
    "updated_at"

inline std::optional<Timestamp> optional_time(const Statement& row, int column) {
    const auto ms = row.optional_integer(column);
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// From a row that begins with COUPOND_CODE_COLUMNS.
inline Code read_code(const Statement& row) {
    Code code;
    code.id = row.integer(0);
    code.book_id = row.integer(1);
    code.code = row.text(2);
    code.assigned_to = row.optional_text(3);
    if (!row.is_null(4)) code.lock = Lock{row.text(4), {row.integer(5)}};
    code.redeemed_at = optional_time(row, 6);
    code.created_at = {row.integer(7)};
    code.version = row.integer(8);
    return code;
}

/// From a row that begins with COUPOND_BOOK_COLUMNS.
inline Book read_book(const Statement& row) {
    Book book;
    book.id = row.integer(0);
    book.name = row.text(1);
    book.code_pattern = row.text(2);
    book.max_redemptions_per_user = row.optional_integer(3);
    book.discount_cents = row.optional_integer(4);
    book.created_at = {row.integer(5)};
    book.updated_at = {row.integer(6)};
    return book;
}
inline constexpr int book_columns = 7;

}  // namespace coupond::sqlite
