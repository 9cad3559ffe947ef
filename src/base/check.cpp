#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace coupond {

void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "coupond: bug: %s does not hold at %s:%d\n", condition, file, line);
    std::fflush(stderr);
    std::abort();
}

}  // namespace coupond
