// Loads the rows that a batch touches.
#pragma once

#include "domain/domain.hpp"
#include "store/postgres/connection.hpp"

namespace coupond::postgres {

/// The transaction that a load leaves open for the save.
struct Transaction {
    bool open = false;
    std::string id;  ///< of the database; known before anything is changed
    int pid = 0;     ///< the server's process that runs it
};

/// Where the codes were that a load has found.
using Places = std::unordered_map<CodeId, Place>;

/// What `needs` names, and `places` of the codes. `transaction` is the one that is open on
/// `connection`; it is rolled back, and another one begun where rows may be changed. Throws Lost,
/// Rejected.
World load(Connection& connection, const Needs& needs, Transaction& transaction, Places& places,
           Deadline deadline);

}  // namespace coupond::postgres
