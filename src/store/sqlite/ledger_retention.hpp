// Old entries on their way out of the ledger, beside whoever has the file.
#pragma once

#include <memory>
#include <string>

#include "store/sqlite/connection.hpp"
#include "store/store.hpp"

namespace coupond::sqlite {

/// By transactions on `connection` to `path`, which nothing else may use meanwhile.
std::unique_ptr<LedgerRetention> make_ledger_retention(std::string path, Connection& connection);

}  // namespace coupond::sqlite
