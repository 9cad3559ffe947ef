#include "store/sqlite/code_snapshot.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "domain/use_text.hpp"
#include "store/sqlite/code_pages.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

using Pass = CodeSnapshot::Pass;

/// No text has it.
constexpr const char* beyond_texts = "\xFF";

// What is shown of a code. SQLite sorts twice as fast where these are ten at most, for it compares
// texts in a shorter way then.
#define COUPOND_SHOWN_COLUMNS                                                   \
    "code.id, code.code, holder.user_id, code.locked_until, code.redeemed_at, " \
    "code.created_at, " COUPOND_SETTINGS_OF_CODE ", code.use_of"

/// From a row of them.
Code read_shown(const Statement& row) {
    Code code;
    code.id = row.integer(0);
    code.code = shown_text(row.text(1));
    code.assigned_to = row.optional_text(2);
    if (!row.is_null(3)) code.lock = Lock{row.text(2), {row.integer(3)}};
    code.redeemed_at = optional_time(row, 4);
    code.created_at = {row.integer(5)};
    code.use_of = row.optional_integer(7);
    if (!row.is_null(6) && !read_row_text(row.text(6), code)) {
        throw corrupt("a code of such settings");
    }
    return sound(std::move(code));
}

/// To read so many rows as they lie costs no more than to look up one.
constexpr std::int64_t rows_for_a_look_up = 4;

/// How many times a book may be read to go on in the index behind codes of others.
constexpr std::int64_t looks_for_a_pass = 4;

constexpr std::int64_t page_bytes = 2'048;
constexpr std::int64_t codes_of_a_page = 16;  ///< about

/// What a code takes in the table and in the index, about twice, and its user.
std::int64_t bytes_of(const Code& code) {
    return page_bytes / 8 + 4 * std::ssize(code.code) + 2 * std::ssize(code.metadata) +
           (code.assigned_to ? page_bytes : 0);
}

/// How many of SQLite's steps it takes until it is asked whether it is to go on: about a
/// millisecond.
constexpr int steps_unasked = 20'000;

/// A transaction on a connection of its own, which begins with the first look.
class SqliteCodeSnapshot final : public CodeSnapshot {
public:
    SqliteCodeSnapshot(const std::string& path, Wanted wanted, std::shared_ptr<LogSync> log_sync)
        : wanted_(std::move(wanted)),
          log_sync_(std::move(log_sync)),
          connection_(path, Connection::Mode::read_only),
          log_(path + "-wal"),
          log_bytes_(log_bytes()) {
        // KiB: each page is read once. What does not fit in is sorted in files.
        connection_.execute(
            "PRAGMA temp_store = FILE;"
            "PRAGMA cache_size = -2048;"
            "BEGIN");
    }

    Result<bool> begin(const CodeQuery& query, Pass pass, Timestamp now) override {
        return answer([&] {
            pass_.reset();
            Statement book(connection_, "SELECT 1 FROM coupon_book WHERE id = ?");
            const bool is_there = book.bind(query.book_id).step();
            log_sync_->settle();  // of what is to be told
            if (!is_there) return false;
            pass_.emplace(connection_, query, pass, now, [this] { return goes_on(); });
            return true;
        });
    }

    Result<std::vector<Code>> next() override {
        return answer([this] {
            COUPOND_CHECK(pass_.has_value());
            return pass_->next();
        });
    }

private:
    template <class Read>
    auto answer(const Read& read) -> Result<decltype(read())> {
        if (failed_) return Failure::unavailable;
        try {
            if (!goes_on()) throw Error(SQLITE_INTERRUPT, "interrupted");
            auto found = read();
            health_.worked();
            return found;
        } catch (const Error& error) {
            if (error.code() != SQLITE_INTERRUPT) health_.failed(error);
            failed_ = true;
            connection_.roll_back();
            return Failure::unavailable;
        }
    }

    bool goes_on() const { return wanted_() && !costs_too_much(); }

    std::uintmax_t log_bytes() const {
        std::error_code none;  // where it is not there
        const std::uintmax_t bytes = std::filesystem::file_size(log_, none);
        return none ? 0 : bytes;
    }

    /// Whether the log, which begins anew only without this transaction, has grown too much.
    bool costs_too_much() const {
        const std::uintmax_t bytes = log_bytes();
        if (bytes <= log_bytes_ + limits::export_log_bytes) return false;
        log::warn("an export breaks off: the database's log has grown too long while it was read",
                  {{"bytes", static_cast<std::int64_t>(bytes)}});
        return true;
    }

    const Wanted wanted_;
    const std::shared_ptr<LogSync> log_sync_;
    Connection connection_;
    const std::string log_;
    const std::uintmax_t log_bytes_;  ///< at first
    std::optional<CodePass> pass_;
    bool failed_ = false;
    Health health_{log::side_exports};
};

}  // namespace

CodePass::CodePass(Connection& connection, const CodeQuery& query, Pass pass, Timestamp now,
                   Wanted wanted)
    : connection_(connection),
      query_(query),
      pass_(pass),
      now_(now),
      wanted_(std::move(wanted)),
      from_(query.prefix.value_or("")),
      to_(from_ + beyond_texts) {
    if (query.after_code && pass == Pass::by_code) {
        from_ = std::max(from_, stored_behind(*query.after_code));
    }
    choose_way_beside();
    const bool by_index = beside_ != Way::index_of_holder &&
                          (query.prefix || (beside_ == Way::table && pass == Pass::by_code));
    read(by_index ? Way::index_of_codes : beside_);
    sqlite3_progress_handler(connection_.raw(), steps_unasked, interrupts, this);
}

CodePass::~CodePass() {
    sqlite3_progress_handler(connection_.raw(), 0, nullptr, nullptr);
}

void CodePass::choose_way_beside() {
    Statement counts(connection_, "SELECT book_id, total FROM book_count WHERE book_id IN (0, ?)");
    counts.bind(query_.book_id);
    std::int64_t all = 0;
    while (counts.step()) (counts.integer(0) == all_books ? all : book_codes_) = counts.integer(1);
    beside_ = query_.user_id                            ? Way::index_of_holder
              : book_codes_ * rows_for_a_look_up >= all ? Way::table
                                                        : Way::index_of_book;
}

/// From where on: the codes that match.
std::string CodePass::matching(Way way) {
    const auto index = [way]() -> std::string {
        switch (way) {
            case Way::index_of_codes: return "INDEXED BY coupon_code_code";
            case Way::table: return "NOT INDEXED";
            case Way::index_of_book: return "INDEXED BY coupon_code_book";
            case Way::index_of_holder: return "INDEXED BY coupon_code_holder";
        }
        return {};
    }();
    const std::string those = way == Way::index_of_holder
                                  ? COUPOND_HELD_BY("?7") " AND code.book_id = ?1"
                                  : COUPOND_OF_BOOK;
    return " FROM coupon_code AS code " + index +
           " LEFT JOIN coupon_user AS holder ON holder.number = code.assigned_to WHERE " + those +
           " AND code.code >= ?2 AND code.code < ?3 AND " COUPOND_OF_FILTER +
           (way == Way::index_of_codes ? "" : " AND code.code > ?6");
}

std::string CodePass::sql(Way way, Pass pass) {
    return "SELECT " COUPOND_SHOWN_COLUMNS + matching(way) +
           (pass == Pass::by_code ? ""
                                  : " AND (code.settings IS NOT NULL OR code.use_of IS NOT NULL)") +
           (pass == Pass::by_code || way == Way::index_of_codes ? " ORDER BY code.code" : "");
}

void CodePass::read(Way way) {
    way_ = way;
    found_ = found_bytes_ = 0;
    pages_before_ = pages_read();
    bind(rows_.emplace(connection_, sql(way, pass_)));
}

void CodePass::bind(Statement& statement) {
    statement.bind_all(query_.book_id, from_, to_, static_cast<std::int64_t>(query_.filter), now_,
                       last_, query_.user_id);
}

std::vector<Code> CodePass::next() {
    std::vector<Code> codes;
    while (codes.size() < query_.limit && step()) {
        codes.push_back(read_shown(*rows_));
        if (way_ != Way::index_of_codes) continue;
        last_ = codes.back().code;
        ++found_;
        found_bytes_ += bytes_of(codes.back());
    }
    return codes;
}

bool CodePass::step() {
    while (!ended_) {
        try {
            ended_ = !rows_->step();
            return !ended_;
        } catch (const Error& error) {
            if (error.code() != SQLITE_INTERRUPT || !strayed_) throw;
        }
        leave_index();
    }
    return false;
}

/// Where it has strayed: sorts, or goes on from the next code if there is any. To look for that
/// takes a part of what sorting would; so only where codes of others come, the first time, and
/// where it has led far.
void CodePass::leave_index() {
    rows_.reset();
    const bool pays = pass_ == Pass::by_code && beside_ == Way::table &&
                      (!went_on_ || found_ * looks_for_a_pass >= book_codes_);
    if (!pays || comes_soon()) return read(beside_);
    went_on_ = true;
    Statement next(connection_, "SELECT min(code.code)" + matching(beside_));
    bind(next);
    next.step();
    ended_ = next.is_null(0);
    if (ended_) return;
    from_ = next.text(0);
    read(Way::index_of_codes);
}

/// Whether one of the book's codes is among the next ones in the index.
bool CodePass::comes_soon() {
    Statement soon(connection_,
                   "SELECT 1 FROM (SELECT book_id FROM coupon_code INDEXED BY coupon_code_code "
                   "WHERE code > max(?2, ?3) ORDER BY code LIMIT 200) WHERE book_id = ?1");
    return soon.bind(query_.book_id, from_, last_).step();
}

/// For SQLite, now and then while it reads.
int CodePass::interrupts(void* self) {
    auto& pass = *static_cast<CodePass*>(self);
    pass.strayed_ = pass.strays();
    return pass.strayed_ || !pass.wanted_() ? 1 : 0;
}

/// Whether it follows the index of codes too far.
bool CodePass::strays() const {
    if (way_ != Way::index_of_codes || !rows_) return false;
    // No more than to read the book would take, about.
    const std::int64_t stray = std::min(limits::export_stray_pages, book_codes_ / codes_of_a_page);
    return pages_read() - pages_before_ > stray + found_bytes_ / page_bytes;
}

std::int64_t CodePass::pages_read() const {
    int pages = 0, most = 0;
    sqlite3_db_status(connection_.raw(), SQLITE_DBSTATUS_CACHE_MISS, &pages, &most, 0);
    return pages;
}

std::unique_ptr<CodeSnapshot> make_code_snapshot(const std::string& path, Wanted wanted,
                                                 std::shared_ptr<LogSync> log_sync) {
    return std::make_unique<SqliteCodeSnapshot>(path, std::move(wanted), std::move(log_sync));
}

}  // namespace coupond::sqlite
