// The schema's steps, compiled in from src/store/schema/postgres/.
#pragma once

#include <vector>

#include "store/store.hpp"

namespace coupond::postgres {

const std::vector<Migration>& migrations();

}  // namespace coupond::postgres
