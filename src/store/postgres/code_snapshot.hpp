// All codes of a book in the order of their texts, or those with settings.
#pragma once

#include <memory>

#include "store/postgres/link.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// `servers` must outlive it.
std::unique_ptr<CodeSnapshot> make_code_snapshot(Servers& servers, Wanted wanted);

}  // namespace coupond::postgres
