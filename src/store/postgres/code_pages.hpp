// Pages of the codes of a book.
#pragma once

#include "store/postgres/connection.hpp"
#include "store/store.hpp"
#include "store/uses.hpp"

namespace coupond::postgres {

/// Of `code`, what belongs to a user, $1.
#define COUPOND_OF_USER \
    "code.assigned_to = (SELECT number FROM coupon_user WHERE user_id = $1::text)"
/// Of `code`, the codes of a book, $1.
#define COUPOND_OF_BOOK "code.book_id = $1::bigint AND code.id < " COUPOND_USES_FROM
/// Those that a CodeQuery::Filter lets through at a time.
#define COUPOND_OF_FILTER(filter, at)                              \
    "CASE " filter                                                 \
    " WHEN 1 THEN assigned_to IS NULL "                            \
    "WHEN 2 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL " \
    "AND coalesce(locked_until, 0) <= " at                         \
    " WHEN 3 THEN redeemed_at IS NULL AND locked_until > " at      \
    " WHEN 4 THEN redeemed_at IS NOT NULL "                        \
    "WHEN 5 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL ELSE true END"

/// The id of a book, $1, if there is one.
extern const Statement select_book;

/// As ReadStore::list_codes(), in a transaction that is to be begun with what was sent before this,
/// `sent` statements, and is over with it. Throws Lost, Rejected.
CodePage read_code_page(Connection& connection, Deadline deadline, const CodeQuery& query,
                        Timestamp now, std::size_t sent);

}  // namespace coupond::postgres
