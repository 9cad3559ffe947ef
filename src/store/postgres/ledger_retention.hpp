// Old entries on their way out of the ledger.
#pragma once

#include <memory>
#include <string>

#include "store/postgres/connection.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// On a connection to the server that takes changes; `name` is the database's, for messages.
std::unique_ptr<LedgerRetention> make_ledger_retention(std::unique_ptr<Connection> connection,
                                                       std::string name);

}  // namespace coupond::postgres
