// What goes wrong with PostgreSQL, in three kinds: a statement, a connection, all tries to get one.
#pragma once

#include <string>

#include "base/failure.hpp"

namespace coupond::postgres {

struct Error {
    std::string sqlstate;    ///< five characters; empty where libpq itself says it
    std::string message;     ///< one line; without the rows it is about
    std::string constraint;  ///< which one was violated, if any
};

/// The server refused a statement; the connection goes on.
struct Rejected {
    Error error;
};

/// The connection is gone, or has not answered in time. What it was doing may have been done.
struct Lost {
    Error error;
    bool late = false;  ///< no answer until the deadline
};

/// There is no connection to be had, or none to a server that can be used.
struct NoConnection {
    Error error;
};

/// SQLSTATE of what is in the database and cannot be.
inline constexpr const char* data_corrupted = "XX001";

/// What an error that the server reports before or at a COMMIT means to the port.
Failure classify(const Error& error);

/// Whether it says that prepared statements do not stay with the connection, as behind a pooler.
bool lost_prepared_statement(const Error& error);

/// Whether it says that this connection cannot be used for changes any more: it leads to a server
/// that has become a replica, is going down, or has waited for us for too long, or to a pooler that
/// has lost its own connection.
bool connection_is_of_no_use(const Error& error);

}  // namespace coupond::postgres
