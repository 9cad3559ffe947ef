#include "store/postgres/code_pages.hpp"

#include <algorithm>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/asker.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"
#include "store/uses.hpp"

namespace coupond::postgres {
namespace {

// The end of what is looked at for a page, $1: of a book, or of what a user holds.
#define COUPOND_SCANNED_CODES(those)                                                 \
    "SELECT max(id), count(*) FROM (SELECT id FROM coupon_code AS code WHERE " those \
    " AND id > $2::bigint ORDER BY id LIMIT $3::bigint) AS scanned"
// Up to $3: the codes of that that match.
#define COUPOND_LISTED_CODES(those)                                                          \
    "SELECT " COUPOND_CODE_COLUMNS " FROM coupon_code AS code" COUPOND_HOLDER "WHERE " those \
    " AND code.id > $2::bigint AND code.id <= $3::bigint AND code.book_id = $4::bigint "     \
    "AND CASE $5::bigint WHEN 1 THEN assigned_to IS NULL "                                   \
    "WHEN 2 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL "                           \
    "AND coalesce(locked_until, 0) <= $6::bigint "                                           \
    "WHEN 3 THEN redeemed_at IS NULL AND locked_until > $6::bigint "                         \
    "WHEN 4 THEN redeemed_at IS NOT NULL "                                                   \
    "WHEN 5 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL ELSE true END "             \
    "AND starts_with(code.code, coalesce($7::text, '')) "                                    \
    "AND ($9::bigint = 0 OR code.settings IS NOT NULL OR code.use_of IS NOT NULL) "          \
    "ORDER BY code.id LIMIT $8::bigint"
#define COUPOND_OF_BOOK "code.book_id = $1::bigint AND code.id < " COUPOND_USES_FROM

const Statement scan_codes_of_book{COUPOND_SCANNED_CODES(COUPOND_OF_BOOK)};
const Statement scan_codes_of_user{COUPOND_SCANNED_CODES(COUPOND_OF_USER)};
const Statement select_codes_of_book{COUPOND_LISTED_CODES(COUPOND_OF_BOOK)};
const Statement select_codes_of_user{COUPOND_LISTED_CODES(COUPOND_OF_USER)};

// Between two pages, a client is waited for.
const std::string keep_long_text = "SELECT set_config('idle_in_transaction_session_timeout', '" +
                                   std::to_string(limits::export_idle_ms) + "', true)";
const Statement keep_long{keep_long_text.c_str()};

/// A transaction on a connection of its own, which begins with the first page.
class PostgresCodeSnapshot final : public CodeLists {
public:
    explicit PostgresCodeSnapshot(Servers& servers)
        : asker_(servers, Servers::Side::read, log::side_exports) {}

    Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) override {
        if (begun_) {
            return asker_.answer_there([&](Connection& connection, Deadline deadline) {
                return read_code_page(connection, deadline, query, now, 0, false);
            });
        }
        begun_ = true;
        return asker_.answer([&](Connection& connection, Deadline deadline) {
            connection.execute(begin);
            connection.execute(set_up);
            connection.execute(keep_long);
            return read_code_page(connection, deadline, query, now, 3, false);
        });
    }

private:
    Asker asker_;
    bool begun_ = false;
};

}  // namespace

const Statement select_book{"SELECT id FROM coupon_book WHERE id = $1::bigint"};

CodePage read_code_page(Connection& connection, Deadline deadline, const CodeQuery& query,
                        Timestamp now, std::size_t sent, bool ends) {
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
    const std::int64_t with_settings = query.with_settings;
    if (query.user_id) {
        connection.execute(select_codes_of_user,
                           Parameters(*query.user_id, query.after, last, query.book_id, filter,
                                      now.ms, query.prefix, limit, with_settings));
    } else {
        connection.execute(select_codes_of_book,
                           Parameters(query.book_id, query.after, last, query.book_id, filter,
                                      now.ms, query.prefix, limit, with_settings));
    }
    if (ends) connection.execute("COMMIT");
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

std::unique_ptr<CodeLists> make_code_snapshot(Servers& servers) {
    return std::make_unique<PostgresCodeSnapshot>(servers);
}

}  // namespace coupond::postgres
