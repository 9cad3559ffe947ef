#include "store/sqlite/code_pages.hpp"

#include <cstdint>
#include <filesystem>
#include <system_error>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

// Of what is looked at for a page, up to ?3: the codes that match. With a second upper bound of
// ids, SQLite might end its search at that one.
#define COUPOND_LISTED_CODES(those)                                           \
    "SELECT " COUPOND_CODE_COLUMNS " FROM " COUPOND_CODES " WHERE " those     \
    " AND code.id > ?2 AND code.id <= ?3 AND code.book_id = ?1 AND CASE ?4 "  \
    "WHEN 1 THEN assigned_to IS NULL "                                        \
    "WHEN 2 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL "            \
    "AND coalesce(locked_until, 0) <= ?5 "                                    \
    "WHEN 3 THEN redeemed_at IS NULL AND locked_until > ?5 "                  \
    "WHEN 4 THEN redeemed_at IS NOT NULL "                                    \
    "WHEN 5 THEN assigned_to IS NOT NULL AND redeemed_at IS NULL ELSE 1 END " \
    "AND (?6 IS NULL OR substr(code.code, 1, length(?6)) = ?6) "              \
    "AND (?9 = 0 OR code.settings IS NOT NULL OR code.use_of IS NOT NULL) "   \
    "ORDER BY code.id LIMIT ?7"
#define COUPOND_SCANNED_CODES(those)                                                 \
    "SELECT max(id), count(*) FROM (SELECT id FROM coupon_code AS code WHERE " those \
    " AND id > ?2 ORDER BY id LIMIT ?3)"
#define COUPOND_OF_USER "code.assigned_to = (SELECT number FROM coupon_user WHERE user_id = ?8)"

/// `third`: up to which id, or how many.
Statement& bind(Statement& statement, const CodeQuery& query, std::int64_t third, Timestamp now) {
    return statement.bind_all(query.book_id, query.after, third,
                              static_cast<std::int64_t>(query.filter), now, query.prefix,
                              static_cast<std::int64_t>(query.limit) + 1, query.user_id,
                              std::int64_t{query.with_settings});
}

/// A transaction on a connection of its own, which begins with the first page.
class SqliteCodeSnapshot final : public CodeLists {
public:
    explicit SqliteCodeSnapshot(const std::string& path)
        : connection_(path, Connection::Mode::read_only),
          log_(path + "-wal"),
          log_bytes_(log_bytes()) {
        connection_.execute("PRAGMA cache_size = -2048; BEGIN");  // KiB: each page is read once
    }

    Result<CodePage> list_codes(const CodeQuery& query, Timestamp now) override {
        if (failed_ || costs_too_much()) return Failure::unavailable;
        try {
            CodePage page = pages_.read(query, now);
            health_.worked();
            return page;
        } catch (const Error& error) {
            health_.failed(error);
            connection_.roll_back();
            failed_ = true;
            return Failure::unavailable;
        }
    }

private:
    std::uintmax_t log_bytes() const {
        std::error_code none;  // where it is not there
        const std::uintmax_t bytes = std::filesystem::file_size(log_, none);
        return none ? 0 : bytes;
    }

    /// Whether the log, which begins anew only without this transaction, has grown too much.
    bool costs_too_much() {
        const std::uintmax_t bytes = log_bytes();
        if (bytes <= log_bytes_ + limits::export_log_bytes) return false;
        log::warn("an export breaks off: the database's log has grown too long while it was read",
                  {{"bytes", static_cast<std::int64_t>(bytes)}});
        connection_.roll_back();
        failed_ = true;
        return true;
    }

    Connection connection_;
    const std::string log_;
    const std::uintmax_t log_bytes_;  ///< at first
    CodePages pages_{connection_};
    bool failed_ = false;
    Health health_{log::side_exports};
};

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

std::unique_ptr<CodeLists> make_code_snapshot(const std::string& path) {
    return std::make_unique<SqliteCodeSnapshot>(path);
}

}  // namespace coupond::sqlite
