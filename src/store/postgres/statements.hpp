// Statements that more than one part sends.
#pragma once

#include "base/limits.hpp"
#include "store/postgres/connection.hpp"

namespace coupond::postgres {

/// How many ids of the ledger's entries a transaction has, as text.
#define COUPOND_BATCH_ENTRIES "4096"
static_assert(limits::batch_entries == 4096);

/// The transaction of what is read of one moment.
inline constexpr const char* begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// What a transaction sets for itself, right after its BEGIN: how its statements are planned, and
/// how long the server keeps it for a process that stands still, or is gone.
extern const Statement set_up;
/// Gives the transaction its id, if it has none, and tells it, a text; the server's process; and
/// the id of the ledger's first entry of its own, divided by limits::batch_entries.
extern const Statement name_transaction;

/// Changes a row to what it is, in a transaction of its own: what only a server that takes changes
/// does, and a commit like any other.
inline constexpr const char* try_a_change =
    "UPDATE id_counter SET next = next WHERE \"of\" = 'coupon_book'";

}  // namespace coupond::postgres
