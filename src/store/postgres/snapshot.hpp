// What a verification reads.
#pragma once

#include <memory>
#include <string>

#include "store/postgres/connection.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// All that is behind `connection`, in one transaction. Throws Lost, Rejected; its functions and
/// streams throw OpenError, which names the database as `name`.
std::unique_ptr<Snapshot> make_snapshot(std::unique_ptr<Connection> connection, std::string name);

}  // namespace coupond::postgres
