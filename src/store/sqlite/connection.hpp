// A SQLite connection and its prepared statements.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace coupond::sqlite {

/// What a call ended in: SQLite's extended result code.
class Error {
public:
    Error(int code, std::string message) : code_(code), message_(std::move(message)) {}
    int code() const { return code_; }
    const std::string& message() const { return message_; }

private:
    int code_;
    std::string message_;
};

/// That what was read cannot be.
Error corrupt(const char* what);

/// A command changes a row or two on pages far from each other, so smaller pages mean less to
/// write; below 2 KiB the tree gets too deep. It counts before there is anything in the file.
inline constexpr const char* page_size_sql = "PRAGMA page_size = 2048";

/// Bytes to be bound as such, not as text.
struct Blob {
    std::span<const char> bytes;
};

class Connection {
public:
    /// Look: reads only, and makes or changes no file beside the database's either.
    enum class Mode { read_write, read_only, look };
    /// How long to wait for somebody else at the file: a sqlite3 shell, a backup.
    static constexpr int busy_ms = 2000;

    /// Opens `path` (made if need be when read_write) with the settings that every connection of
    /// ours has. Throws Error, as every function below that returns no code.
    Connection(const std::string& path, Mode mode);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// Runs SQL that gives no rows, one statement or several.
    void execute(const char* sql);
    /// The first column of the first row.
    std::int64_t integer(const char* sql);
    /// Ends a transaction that is still open without its effects, and whatever was being read.
    /// Where SQLite has already done so by itself, as it does on some errors, there is nothing to
    /// do.
    void roll_back() noexcept;
    /// How many rows the last INSERT, UPDATE or DELETE touched.
    std::int64_t changes() const;
    [[noreturn]] void fail() const;
    sqlite3* raw() const { return handle_; }

private:
    sqlite3* handle_ = nullptr;
};

/// A prepared statement. Bind every parameter, then step; views given to bind must live until the
/// step.
class Statement {
public:
    Statement(Connection& connection, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// Binds all parameters, in order.
    template <class... Values>
    Statement& bind(const Values&... values) {
        int index = 0;
        (bind_one(++index, values), ...);
        return *this;
    }

    /// Binds those from `first` on, of which the first one is 0.
    template <class... Values>
    Statement& bind_from(std::size_t first, const Values&... values) {
        int index = static_cast<int>(first);
        (bind_one(++index, values), ...);
        return *this;
    }

    /// As bind(), where the statement does not use the last ones: those are left out.
    template <class... Values>
    Statement& bind_all(const Values&... values) {
        int index = 0;
        (bind_if_used(++index, values), ...);
        return *this;
    }

    /// The next row is there to be read. When there is none, or on an Error, the statement is
    /// reset.
    bool step();
    /// For statements without rows.
    void run();
    /// Ends a SELECT before its last row.
    void reset();

    std::int64_t integer(int column) const;
    double real(int column) const;
    std::string text(int column) const;
    bool is_null(int column) const;
    std::optional<std::int64_t> optional_integer(int column) const;
    std::optional<std::string> optional_text(int column) const;

private:
    void bind_one(int index, std::int64_t value);
    void bind_one(int index, double value);
    void bind_one(int index, std::string_view value);
    void bind_one(int index, Blob value);
    void bind_one(int index, Timestamp value) { bind_one(index, value.ms); }
    void bind_null(int index);
    int parameters() const;
    template <class T>
    void bind_if_used(int index, const T& value) {
        if (index <= parameters()) bind_one(index, value);
    }
    template <class T>
    void bind_one(int index, const std::optional<T>& value) {
        value ? bind_one(index, *value) : bind_null(index);
    }

    Connection& connection_;
    sqlite3_stmt* handle_ = nullptr;
};

}  // namespace coupond::sqlite
