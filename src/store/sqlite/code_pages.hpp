// Pages of the codes of a book.
#pragma once

#include "store/sqlite/connection.hpp"
#include "store/store.hpp"
#include "store/uses.hpp"

namespace coupond::sqlite {

/// Of `code`, the codes of a book, ?1.
#define COUPOND_OF_BOOK "code.book_id = ?1 AND code.id < " COUPOND_USES_FROM
/// What a user holds, uses among it.
#define COUPOND_HELD_BY(user_id) \
    "code.assigned_to = (SELECT number FROM coupon_user WHERE user_id = " user_id ")"
/// Those that a CodeQuery::Filter, ?4, lets through at a time, ?5.
#define COUPOND_OF_FILTER                                          \
    "CASE ?4 WHEN 1 THEN assigned_to IS NULL "                     \
    "WHEN 2 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL " \
    "AND coalesce(locked_until, 0) <= ?5 "                         \
    "WHEN 3 THEN redeemed_at IS NULL AND locked_until > ?5 "       \
    "WHEN 4 THEN redeemed_at IS NOT NULL "                         \
    "WHEN 5 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL ELSE 1 END"

class CodePages {
public:
    explicit CodePages(Connection& connection);

    /// As ReadStore::list_codes(). Throws Error; what is read is in the transaction that is open.
    CodePage read(const CodeQuery& query, Timestamp now);

private:
    Statement book_exists_;
    Statement codes_of_book_;
    Statement codes_of_user_;
    Statement scanned_of_book_;
    Statement scanned_of_user_;
};

}  // namespace coupond::sqlite
