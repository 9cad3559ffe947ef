// Randomness that nobody can predict, from the operating system.
#pragma once

#include <cstdint>

namespace coupond {

/// 64 uniformly random bits from getrandom(2), buffered per thread. Aborts where the system has
/// none to give.
std::uint64_t secure_random();

/// Uniform in [0, bound), without modulo bias. `bound` must not be 0.
std::uint64_t secure_random_below(std::uint64_t bound);

}  // namespace coupond
