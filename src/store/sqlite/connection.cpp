#include "store/sqlite/connection.hpp"

#include <sqlite3.h>

#include <filesystem>

#include "store/sqlite/page_cache.hpp"
#include "store/sqlite/wal_vfs.hpp"

namespace coupond::sqlite {
namespace {

/// SQLite's URI for a file that is not to be touched. Even to read, SQLite would make a log where
/// there is none, and bring the index of one up to date; a file without a log, or with an empty one
/// that nobody has open, is all there is.
std::string uri_to_look(const std::string& path) {
    std::string uri = "file://";
    for (const char c : std::filesystem::absolute(path).string()) {
        if (c == '%' || c == '?' || c == '#') {
            uri += c == '%' ? "%25" : c == '?' ? "%3f" : "%23";
        } else {
            uri += c;
        }
    }
    std::error_code none;  // the log may go while it is looked at
    const bool has_log = std::filesystem::exists(path + "-wal", none);
    const bool has_index = std::filesystem::exists(path + "-shm", none);
    if (has_log && has_index) return uri + "?readonly_shm=1";
    const auto bytes = has_log ? std::filesystem::file_size(path + "-wal", none) : 0;
    if (has_log && !none && bytes > 0) {
        throw Error(SQLITE_CANTOPEN, "its log " + path + "-wal has no index " + path +
                                         "-shm: copy that too, or serve the folder once");
    }
    return uri + "?immutable=1";
}

}  // namespace

Error corrupt(const char* what) {
    return {SQLITE_CORRUPT, what};
}

Connection::Connection(const std::string& path, Mode mode) {
    install_page_cache();
    // NOMUTEX: each connection is used by one thread at a time.
    const int flags =
        SQLITE_OPEN_NOMUTEX | (mode == Mode::read_write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
                               : mode == Mode::read_only ? SQLITE_OPEN_READONLY
                                                         : SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    const std::string& name = mode == Mode::look ? uri_to_look(path) : path;
    // Who only looks may not be able to write there.
    const std::filesystem::path folder = mode == Mode::look
                                             ? std::filesystem::path()
                                             : std::filesystem::absolute(path).parent_path();
    if (sqlite3_open_v2(name.c_str(), &handle_, flags, wal_vfs(folder.string())) != SQLITE_OK) {
        const Error error(sqlite3_extended_errcode(handle_), sqlite3_errmsg(handle_));
        sqlite3_close(handle_);
        throw error;
    }
    sqlite3_extended_result_codes(handle_, 1);
    sqlite3_busy_timeout(handle_, busy_ms);
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    try {
        // Foreign keys hold by the rules: checking them again would cost a look-up for every code.
        // An erased user's id is wiped, from wherever its row and its place in the index have been.
        execute(
            "PRAGMA foreign_keys = OFF;"
            "PRAGMA secure_delete = ON;"
            "PRAGMA temp_store = MEMORY;"
            "PRAGMA trusted_schema = OFF");
        if (mode == Mode::read_write) {
            execute(page_size_sql);
            // Checkpointer does the checkpoints.
            execute(
                "PRAGMA journal_mode = WAL;"
                "PRAGMA synchronous = FULL;"
                "PRAGMA wal_autocheckpoint = 0;"
                "PRAGMA journal_size_limit = 268435456");
        }
    } catch (...) {
        sqlite3_close(handle_);
        throw;
    }
}

Connection::~Connection() {
    sqlite3_close(handle_);
}

void Connection::execute(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

std::int64_t Connection::integer(const char* sql) {
    Statement statement(*this, sql);
    if (!statement.step()) throw Error(SQLITE_EMPTY, "no row");
    const std::int64_t value = statement.integer(0);
    statement.reset();
    return value;
}

void Connection::roll_back() noexcept {
    for (sqlite3_stmt* read = nullptr; (read = sqlite3_next_stmt(handle_, read)) != nullptr;) {
        sqlite3_reset(read);
    }
    if (sqlite3_get_autocommit(handle_) == 0) {
        sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    forget_gathered(handle_);
}

std::int64_t Connection::changes() const {
    return sqlite3_changes64(handle_);
}

void Connection::fail() const {
    throw Error(sqlite3_extended_errcode(handle_), sqlite3_errmsg(handle_));
}

Statement::Statement(Connection& connection, std::string_view sql) : connection_(connection) {
    if (sqlite3_prepare_v3(connection.raw(), sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &handle_, nullptr) != SQLITE_OK) {
        connection_.fail();
    }
}

Statement::~Statement() {
    sqlite3_finalize(handle_);
}

bool Statement::step() {
    const int code = sqlite3_step(handle_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) {
        reset();
        return false;
    }
    const Error error(sqlite3_extended_errcode(connection_.raw()),
                      sqlite3_errmsg(connection_.raw()));
    reset();
    throw error;
}

void Statement::run() {
    while (step()) {
    }
}

void Statement::reset() {
    sqlite3_reset(handle_);  // its code repeats that of the last step, which was dealt with there
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(handle_, column);
}

double Statement::real(int column) const {
    return sqlite3_column_double(handle_, column);
}

std::string Statement::text(int column) const {
    const auto* const bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, size);
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
    if (is_null(column)) return std::nullopt;
    return integer(column);
}

std::optional<std::string> Statement::optional_text(int column) const {
    if (is_null(column)) return std::nullopt;
    return text(column);
}

void Statement::bind_one(int index, std::int64_t value) {
    if (sqlite3_bind_int64(handle_, index, value) != SQLITE_OK) connection_.fail();
}

void Statement::bind_one(int index, double value) {
    if (sqlite3_bind_double(handle_, index, value) != SQLITE_OK) connection_.fail();
}

void Statement::bind_one(int index, std::string_view value) {
    const char* const bytes = value.data() == nullptr ? "" : value.data();
    if (sqlite3_bind_text64(handle_, index, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8) !=
        SQLITE_OK) {
        connection_.fail();
    }
}

void Statement::bind_one(int index, Blob value) {
    if (sqlite3_bind_blob64(handle_, index, value.bytes.data(), value.bytes.size(),
                            SQLITE_STATIC) != SQLITE_OK) {
        connection_.fail();
    }
}

int Statement::parameters() const {
    return sqlite3_bind_parameter_count(handle_);
}

void Statement::bind_null(int index) {
    if (sqlite3_bind_null(handle_, index) != SQLITE_OK) connection_.fail();
}

}  // namespace coupond::sqlite
