// Statements that more than one part sends.
#pragma once

#include "store/postgres/connection.hpp"

namespace coupond::postgres {

/// What a transaction sets for itself, right after its BEGIN: how its statements are planned, and
/// how long the server keeps it for a process that stands still, or is gone.
extern const Statement set_up;
/// The same, for one that changes something; also tells its id and the server's process.
extern const Statement set_up_and_name;
inline constexpr int transaction_column = 9;  ///< of the id, a text; the process comes after it

/// Changes a row to what it is, in a transaction of its own: what only a server that takes changes
/// does, and a commit like any other.
inline constexpr const char* try_a_change =
    "UPDATE id_counter SET next = next WHERE \"of\" = 'coupon_book'";

}  // namespace coupond::postgres
