// A connection to a PostgreSQL server, its prepared statements, and what they answer.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "store/postgres/error.hpp"
#include "store/postgres/parameters.hpp"

struct pg_conn;
struct pg_result;

namespace coupond::postgres {

using Deadline = std::chrono::steady_clock::time_point;
inline constexpr Deadline no_deadline = Deadline::max();

/// A statement that is sent often. The server parses it once a connection, where statements stay
/// with connections. Its parameters' types follow from its text; it gives and takes binary values.
struct Statement {
    explicit Statement(const char* text);

    const char* sql;
    std::string name;  ///< follows from the text: another coupond's behind a pooler is the same
};

/// The rows that a statement has answered, and how many it has changed.
class Rows {
public:
    explicit Rows(pg_result* result) : result_(result) {}

    int size() const;
    bool is_null(int row, int column) const;
    std::int64_t integer(int row, int column) const;  ///< of a smallint, integer or bigint
    double real(int row, int column) const;           ///< of a double precision
    bool boolean(int row, int column) const;
    std::string_view text(int row, int column) const;
    std::optional<std::int64_t> optional_integer(int row, int column) const;
    std::optional<std::string> optional_text(int row, int column) const;
    std::int64_t changes() const;
    std::string_view command() const;  ///< what the server says it did, such as COMMIT

private:
    struct Clear {
        void operator()(pg_result* result) const;
    };
    std::unique_ptr<pg_result, Clear> result_;
};

/// What came back for all that was sent: the rows of every statement that was executed, in order.
/// After an error the statements up to the next sync were skipped.
struct Replies {
    std::vector<Rows> rows;
    std::optional<Error> error;  ///< the first one
};

/// The words of a libpq connection string.
using Settings = std::vector<std::pair<std::string, std::string>>;

/// Statements are sent ahead and answered together (libpq's pipeline mode); what stands between
/// two syncs outside of BEGIN and COMMIT is a transaction. Every function but script() may throw
/// Lost; after that the object can only be destroyed.
class Connection {
public:
    /// Whether prepared statements stay with a connection. Once they do not, which a pooler makes
    /// known by an error, statements are sent in full each time.
    using Prepares = std::atomic<bool>;

    Connection(const Settings& settings, Prepares& prepares, Deadline deadline);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void execute(const Statement& statement, const Parameters& parameters = Parameters());
    /// To be parsed each time.
    void execute(const char* sql, const Parameters& parameters = Parameters());
    void sync();

    /// Waits up to `until` for the answer to what was sent, and tells whether it comes.
    bool answers_by(Deadline until);

    /// Waits for the answers to all that was sent; the last of it must be a sync.
    Replies receive(Deadline deadline);
    /// The same; throws Rejected where there is an error.
    Replies receive_all(Deadline deadline);

    /// Runs a COPY FROM STDIN. `next` puts some more of what is to be copied into the string, which
    /// is empty, and nothing at the end. Everything sent before must have been received.
    std::optional<Error> copy(const char* sql, const std::function<void(std::string&)>& next,
                              Deadline deadline);

    /// Runs SQL that may be several statements and gives no rows. Throws Rejected.
    void script(const char* sql);

    /// Throws Lost where the server is already known to have closed the connection.
    void check();

    /// The process that the one who accepted the connection says serves it: a server's, or a
    /// number of the pooler's.
    int announced_pid() const;

private:
    enum class Sent { prepare, execute, sync };
    struct Item {
        Sent kind;
        const Statement* statement = nullptr;
    };

    void connect(Deadline deadline);
    bool ready(short events, Deadline deadline);
    void wait(short events, Deadline deadline);
    bool exchange_bytes(Deadline deadline);
    pg_result* next_result(Deadline deadline);
    void receive_item(const Item& item, Replies& replies, Deadline deadline);
    Error error_in(const pg_result* result);
    void put(const std::function<void(std::string&)>& next);
    void require(int sent) const;
    [[noreturn]] void fail() const;
    static void notice(void* self, const pg_result* result);

    pg_conn* handle_ = nullptr;
    Prepares& prepares_;
    std::deque<Item> sent_;
    std::unordered_set<const Statement*> prepared_;
    std::optional<Error> farewell_;  ///< why the server has closed the connection
};

}  // namespace coupond::postgres
