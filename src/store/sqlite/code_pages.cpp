#include "store/sqlite/code_pages.hpp"

#include <cstdint>

#include "store/sqlite/rows.hpp"

namespace coupond::sqlite {
namespace {

// Of what is looked at for a page, up to ?3: the codes that match. With a second upper bound of
// ids, SQLite might end its search at that one.
#define COUPOND_LISTED_CODES(those)                                       \
    "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES " WHERE " those \
    " AND code.id > ?2 AND code.id <= ?3 AND code.book_id = ?1 "          \
    "AND " COUPOND_OF_FILTER                                              \
    " AND (?6 IS NULL OR substr(code.code, 1, length(?6)) = ?6) "         \
    "ORDER BY code.id LIMIT ?7"
#define COUPOND_SCANNED_CODES(those)                                                 \
    "SELECT max(id), count(*) FROM (SELECT id FROM coupon_code AS code WHERE " those \
    " AND id > ?2 ORDER BY id LIMIT ?3)"
#define COUPOND_OF_USER COUPOND_HELD_BY("?8")

/// `third`: up to which id, or how many.
Statement& bind(Statement& statement, const CodeQuery& query, std::int64_t third, Timestamp now) {
    return statement.bind_all(query.book_id, query.after, third,
                              static_cast<std::int64_t>(query.filter), now, query.prefix,
                              static_cast<std::int64_t>(query.limit) + 1, query.user_id);
}

}  // namespace

CodePages::CodePages(Connection& connection)
    : book_exists_(connection, "SELECT 1 FROM coupon_book WHERE id = ?"),
      codes_of_book_(connection, COUPOND_LISTED_CODES("code.book_id = ?1")),
      codes_of_user_(connection, COUPOND_LISTED_CODES(COUPOND_OF_USER)),
      scanned_of_book_(connection, COUPOND_SCANNED_CODES(COUPOND_OF_BOOK)),
      scanned_of_user_(connection, COUPOND_SCANNED_CODES(COUPOND_OF_USER)) {}

CodePage CodePages::read(const CodeQuery& query, Timestamp now) {
    CodePage page{false, {}, query.after, false};
    page.book_found = book_exists_.bind(query.book_id).step();
    if (!page.book_found) return page;
    book_exists_.reset();
    const auto scan = static_cast<std::int64_t>(scanned_for_page(query));
    Statement& scanned = query.user_id ? scanned_of_user_ : scanned_of_book_;
    bind(scanned, query, scan, now).step();
    const CodeId scanned_to = scanned.optional_integer(0).value_or(query.after);
    const bool scanned_all = scanned.integer(1) < scan;
    scanned.reset();
    Statement& select = query.user_id ? codes_of_user_ : codes_of_book_;
    bind(select, query, scanned_to, now);
    while (select.step()) {
        if (page.codes.size() == query.limit) {
            page.more = true;
            select.reset();
            return page;
        }
        page.codes.push_back(read_code(select));
        page.read_to = page.codes.back().id;
    }
    page.read_to = scanned_to;
    page.more = !scanned_all;
    return page;
}

}  // namespace coupond::sqlite
