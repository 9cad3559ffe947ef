// Pages of the codes of a book.
#pragma once

#include <memory>

#include "store/postgres/link.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// Of `code`, what belongs to a user, $1.
#define COUPOND_OF_USER \
    "code.assigned_to = (SELECT number FROM coupon_user WHERE user_id = $1::text)"

/// The id of a book, $1, if there is one.
extern const Statement select_book;

/// As ReadStore::list_codes(), in a transaction that is to be begun with what was sent before this,
/// `sent` statements, or is open; and is over with the page where it `ends`. Throws Lost, Rejected.
CodePage read_code_page(Connection& connection, Deadline deadline, const CodeQuery& query,
                        Timestamp now, std::size_t sent, bool ends);

/// `servers` must outlive it.
std::unique_ptr<CodeLists> make_code_snapshot(Servers& servers);

}  // namespace coupond::postgres
