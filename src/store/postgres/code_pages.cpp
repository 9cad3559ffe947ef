#include "store/postgres/code_pages.hpp"

#include <algorithm>

#include "store/postgres/rows.hpp"

namespace coupond::postgres {
namespace {

// The end of what is looked at for a page, $1: of a book, or of what a user holds.
#define COUPOND_SCANNED_CODES(those)                                                 \
    "SELECT max(id), count(*) FROM (SELECT id FROM coupon_code AS code WHERE " those \
    " AND id > $2::bigint ORDER BY id LIMIT $3::bigint) AS scanned"
// Up to $3: the codes of that that match.
#define COUPOND_LISTED_CODES(those) \
    "SELECT " COUPOND_CODE_COLUMNS " FROM coupon_code AS code" COUPOND_HOLDER "WHERE " those \
    " AND code.id > $2::bigint AND code.id <= $3::bigint AND code.book_id = $4::bigint "     \
    "AND " COUPOND_OF_FILTER("$5::bigint", "$6::bigint")                                     \
    " AND starts_with(code.code, coalesce($7::text, '')) "                                   \
    "ORDER BY code.id LIMIT $8::bigint"

const Statement scan_codes_of_book{COUPOND_SCANNED_CODES(COUPOND_OF_BOOK)};
const Statement scan_codes_of_user{COUPOND_SCANNED_CODES(COUPOND_OF_USER)};
const Statement select_codes_of_book{COUPOND_LISTED_CODES(COUPOND_OF_BOOK)};
const Statement select_codes_of_user{COUPOND_LISTED_CODES(COUPOND_OF_USER)};

}  // namespace

const Statement select_book{"SELECT id FROM coupon_book WHERE id = $1::bigint"};

CodePage read_code_page(Connection& connection, Deadline deadline, const CodeQuery& query,
                        Timestamp now, std::size_t sent) {
    const auto scan = static_cast<std::int64_t>(scanned_for_page(query));
    connection.execute(select_book, Parameters(query.book_id));
    if (query.user_id) {
        connection.execute(scan_codes_of_user, Parameters(*query.user_id, query.after, scan));
    } else {
        connection.execute(scan_codes_of_book, Parameters(query.book_id, query.after, scan));
    }
    connection.sync();
    const Replies scanned = connection.receive_all(deadline);
    const CodeId last = scanned.rows.at(sent + 1).optional_integer(0, 0).value_or(query.after);
    const auto limit = static_cast<std::int64_t>(query.limit) + 1;
    const auto filter = static_cast<std::int64_t>(query.filter);
    if (query.user_id) {
        connection.execute(select_codes_of_user,
                           Parameters(*query.user_id, query.after, last, query.book_id, filter,
                                      now.ms, query.prefix, limit));
    } else {
        connection.execute(select_codes_of_book,
                           Parameters(query.book_id, query.after, last, query.book_id, filter,
                                      now.ms, query.prefix, limit));
    }
    connection.execute("COMMIT");
    connection.sync();
    const Replies listed = connection.receive_all(deadline);
    const Rows& rows = listed.rows.at(0);
    CodePage page{scanned.rows.at(sent).size() == 1, {}, last, false};
    for (int row = 0; row < std::min(rows.size(), static_cast<int>(query.limit)); ++row) {
        page.codes.push_back(read_code(rows, row));
    }
    page.more = static_cast<std::size_t>(rows.size()) > query.limit;
    if (page.more) {
        page.read_to = page.codes.back().id;
    } else {
        page.more = scanned.rows.at(sent + 1).integer(0, 1) == scan;
    }
    return page;
}

}  // namespace coupond::postgres
