// The schema's steps, compiled in from src/store/schema/sqlite/.
#pragma once

#include <vector>

#include "store/store.hpp"

namespace coupond::sqlite {

const std::vector<Migration>& migrations();

}  // namespace coupond::sqlite
