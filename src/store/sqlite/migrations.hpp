// The schema's steps. Step N brings a file from version N-1 to N.
#pragma once

#include <vector>

namespace coupond::sqlite {

struct Migration {
    const char* title;
    const char* sql;
};

const std::vector<Migration>& migrations();

}  // namespace coupond::sqlite
