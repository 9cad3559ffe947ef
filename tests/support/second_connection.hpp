// Another program at a store's file: looks into it behind the store's back, and changes it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace coupond::test {

class SecondConnection {
public:
    explicit SecondConnection(const std::filesystem::path& file) {
        if (sqlite3_open(file.c_str(), &handle_) != SQLITE_OK) fail();
        sqlite3_busy_timeout(handle_, 5000);
    }
    ~SecondConnection() { sqlite3_close(handle_); }
    SecondConnection(const SecondConnection&) = delete;
    SecondConnection& operator=(const SecondConnection&) = delete;

    /// Runs one statement or several; throws what SQLite says against them.
    void run(const std::string& sql) {
        if (sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
    }

    /// All rows, each as its columns with `|` between them; NULL is empty.
    std::vector<std::string> rows(const std::string& sql) {
        sqlite3_stmt* statement = nullptr;
        if (sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) fail();
        std::vector<std::string> rows;
        while (sqlite3_step(statement) == SQLITE_ROW) {
            std::string& row = rows.emplace_back();
            for (int i = 0; i < sqlite3_column_count(statement); ++i) {
                if (i > 0) row += '|';
                const auto* const text = sqlite3_column_text(statement, i);
                if (text != nullptr) row += reinterpret_cast<const char*>(text);
            }
        }
        if (sqlite3_finalize(statement) != SQLITE_OK) fail();
        return rows;
    }

    /// The first column of the only row.
    std::string text(const std::string& sql) {
        const std::vector<std::string> all = rows(sql);
        if (all.size() != 1) throw std::runtime_error("not one row: " + sql);
        return all.front();
    }
    std::int64_t integer(const std::string& sql) { return std::stoll(text(sql)); }

private:
    [[noreturn]] void fail() const { throw std::runtime_error(sqlite3_errmsg(handle_)); }

    sqlite3* handle_ = nullptr;
};

}  // namespace coupond::test
