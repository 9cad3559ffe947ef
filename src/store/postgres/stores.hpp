// The two sides of the port, on connections of their own, which are made when they are needed.
#pragma once

#include <memory>

#include "store/postgres/link.hpp"

namespace coupond::postgres {

/// `servers` must outlive them.
std::unique_ptr<Store> make_store(Servers& servers);
std::unique_ptr<ReadStore> make_read_store(Servers& servers, Servers::Side side);

}  // namespace coupond::postgres
