// The connections that stores have open, so that a test can ask them about themselves.
#pragma once

#include <sqlite3.h>

#include <string>
#include <vector>

namespace coupond::test {

/// Collects, while it lives, the handles of the connections that are opened. To be used while their
/// owners are idle, and not beyond them.
class OpenedConnections {
public:
    OpenedConnections() {
        handles_.clear();
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(&note));
    }
    ~OpenedConnections() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&note)); }
    OpenedConnections(const OpenedConnections&) = delete;
    OpenedConnections& operator=(const OpenedConnections&) = delete;

    const std::vector<sqlite3*>& handles() const { return handles_; }

    /// The SQL of all their prepared statements that has `part` in it, each with its connection.
    std::vector<std::pair<sqlite3*, std::string>> prepared(const std::string& part) const {
        std::vector<std::pair<sqlite3*, std::string>> found;
        for (sqlite3* const handle : handles_) {
            sqlite3_stmt* statement = nullptr;
            while ((statement = sqlite3_next_stmt(handle, statement)) != nullptr) {
                const std::string sql = sqlite3_sql(statement);
                if (sql.find(part) != std::string::npos) found.emplace_back(handle, sql);
            }
        }
        return found;
    }

    /// The last column of what `sql` gives, a line a row.
    static std::string ask(sqlite3* handle, const std::string& sql) {
        std::string answer;
        sqlite3_stmt* statement = nullptr;
        sqlite3_prepare_v2(handle, sql.c_str(), -1, &statement, nullptr);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const int last = sqlite3_column_count(statement) - 1;
            const auto* const text = sqlite3_column_text(statement, last);
            answer += (answer.empty() ? "" : "\n");
            answer += reinterpret_cast<const char*>(text);
        }
        sqlite3_finalize(statement);
        return answer;
    }

private:
    static int note(sqlite3* handle, char**, const sqlite3_api_routines*) {
        handles_.push_back(handle);
        return SQLITE_OK;
    }

    static inline std::vector<sqlite3*> handles_;
};

}  // namespace coupond::test
