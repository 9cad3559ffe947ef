#include "store/postgres/code_snapshot.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "domain/use_text.hpp"
#include "store/postgres/asker.hpp"
#include "store/postgres/code_pages.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"

namespace coupond::postgres {
namespace {

// What is shown of a code.
#define COUPOND_SHOWN_COLUMNS                                                   \
    "code.id, code.code, holder.user_id, code.locked_until, code.redeemed_at, " \
    "code.created_at, " COUPOND_SETTINGS_OF_CODE ", code.use_of"

/// From a row of them.
Code read_shown(const Rows& rows, int row) {
    Code code;
    code.id = rows.integer(row, 0);
    code.code = shown_text(rows.text(row, 1));
    code.assigned_to = rows.optional_text(row, 2);
    if (!rows.is_null(row, 3)) {
        code.lock = Lock{std::string(rows.text(row, 2)), {rows.integer(row, 3)}};
    }
    code.redeemed_at = optional_time(rows, row, 4);
    code.created_at = {rows.integer(row, 5)};
    code.use_of = rows.optional_integer(row, 7);
    if (!rows.is_null(row, 6) && !read_row_text(rows.text(row, 6), code)) {
        throw Rejected{{data_corrupted, "a code of such settings", ""}};
    }
    return sound(std::move(code));
}

// The server chooses between the index of codes, which has their order but of all books, and to
// sort those of the book. It knows the parameters when it does. To be parsed each time: a second
// one comes when it is too late to find out that prepared statements do not stay.
#define COUPOND_PASS(those, rest) \
    "DECLARE coupond_codes NO SCROLL CURSOR FOR SELECT " COUPOND_SHOWN_COLUMNS           \
    " FROM coupon_code AS code" COUPOND_HOLDER "WHERE " those " AND " COUPOND_OF_FILTER( \
        "$2::bigint", "$3::bigint") " AND starts_with(code.code, coalesce($4::text, '')) AND code.code >= $5::text" rest
#define COUPOND_OF_USER_IN_BOOK COUPOND_OF_USER " AND code.book_id = $6::bigint"
#define COUPOND_BY_CODE " ORDER BY code.code"
#define COUPOND_WITH_SETTINGS " AND (code.settings IS NOT NULL OR code.use_of IS NOT NULL)"

constexpr const char* of_book_by_code = COUPOND_PASS(COUPOND_OF_BOOK, COUPOND_BY_CODE);
constexpr const char* of_user_by_code = COUPOND_PASS(COUPOND_OF_USER_IN_BOOK, COUPOND_BY_CODE);
constexpr const char* of_book_with_settings = COUPOND_PASS(COUPOND_OF_BOOK, COUPOND_WITH_SETTINGS);
constexpr const char* of_user_with_settings =
    COUPOND_PASS(COUPOND_OF_USER_IN_BOOK, COUPOND_WITH_SETTINGS);

std::string set(const char* setting, int value) {
    return std::string("set_config('") + setting + "', '" + std::to_string(value) + "', true)";
}

// All is read in the end, however soon it begins. Between two pages a client is waited for, and the
// first one may have to be sorted; but not for nobody, where the server can notice that.
const std::string take_time_text =
    "SELECT " + set("cursor_tuple_fraction", 1) + ", " +
    set("idle_in_transaction_session_timeout", limits::export_idle_ms) + ", " +
    set("statement_timeout", limits::export_seconds * 1000) +
    ", set_config('client_connection_check_interval', CASE WHEN version() LIKE '%linux%' "
    "THEN '1000' ELSE current_setting('client_connection_check_interval') END, true)";
const Statement take_time{take_time_text.c_str()};

/// A transaction on a connection of its own, which begins with the first look.
class PostgresCodeSnapshot final : public CodeSnapshot {
public:
    PostgresCodeSnapshot(Servers& servers, Wanted wanted)
        : wanted_(std::move(wanted)), asker_(servers, Servers::Side::read, log::side_exports) {}

    Result<bool> begin(const CodeQuery& query, Pass pass, Timestamp now) override {
        fetch_ = "FETCH " + std::to_string(query.limit) + " FROM coupond_codes";
        if (!wanted_()) return give_up();
        if (begun_) {
            return asker_.answer_there([&](Connection& connection, Deadline deadline) {
                connection.execute("CLOSE coupond_codes");
                return declare(connection, deadline, query, pass, now, 1);
            });
        }
        begun_ = true;
        return asker_.answer([&](Connection& connection, Deadline deadline) {
            connection.execute(postgres::begin);
            connection.execute(set_up);
            connection.execute(take_time);
            return declare(connection, deadline, query, pass, now, 3);
        });
    }

    Result<std::vector<Code>> next() override {
        if (!wanted_()) return give_up();
        auto fetched = asker_.answer_there(
            [this](Connection& connection, Deadline) { return fetch(connection); });
        if (!fetched) return fetched.error();
        if (!*fetched) return give_up();
        return std::move(**fetched);
    }

private:
    /// Behind so many statements that were sent before.
    static bool declare(Connection& connection, Deadline deadline, const CodeQuery& query,
                        Pass pass, Timestamp now, std::size_t sent) {
        const bool by_code = pass == Pass::by_code;
        const auto filter = static_cast<std::int64_t>(query.filter);
        const std::string from =
            by_code && query.after_code ? stored_behind(*query.after_code) : std::string();
        connection.execute(select_book, Parameters(query.book_id));
        if (query.user_id) {
            connection.execute(
                by_code ? of_user_by_code : of_user_with_settings,
                Parameters(*query.user_id, filter, now.ms, query.prefix, from, query.book_id));
        } else {
            connection.execute(by_code ? of_book_by_code : of_book_with_settings,
                               Parameters(query.book_id, filter, now.ms, query.prefix, from));
        }
        connection.sync();
        return connection.receive_all(deadline).rows.at(sent).size() == 1;
    }

    /// Nothing where it is no longer wanted.
    std::optional<std::vector<Code>> fetch(Connection& connection) {
        using std::chrono::milliseconds;
        connection.execute(fetch_.c_str());
        connection.sync();
        const auto in = [](int ms) { return std::chrono::steady_clock::now() + milliseconds(ms); };
        while (!connection.answers_by(in(limits::export_look_ms))) {
            if (!wanted_()) return std::nullopt;
        }
        const Replies replies = connection.receive_all(in(limits::database_wait_ms));
        const Rows& rows = replies.rows.at(0);
        std::vector<Code> codes;
        codes.reserve(static_cast<std::size_t>(rows.size()));
        for (int row = 0; row < rows.size(); ++row) codes.push_back(read_shown(rows, row));
        return codes;
    }

    Failure give_up() {
        asker_.drop();
        begun_ = true;  // and it is not begun anew
        return Failure::unavailable;
    }

    const Wanted wanted_;
    Asker asker_;
    std::string fetch_;
    bool begun_ = false;
};

}  // namespace

std::unique_ptr<CodeSnapshot> make_code_snapshot(Servers& servers, Wanted wanted) {
    return std::make_unique<PostgresCodeSnapshot>(servers, std::move(wanted));
}

}  // namespace coupond::postgres
