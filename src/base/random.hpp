// Randomness that nobody can predict, from the operating system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coupond {

/// 64 uniformly random bits from getrandom(2), buffered per thread. Aborts where the system has
/// none to give.
std::uint64_t secure_random();

/// Uniform in [0, bound), without modulo bias. `bound` must not be 0.
std::uint64_t secure_random_below(std::uint64_t bound);

/// `size` characters of a to z and 2 to 7, five random bits each.
std::string secure_random_base32(std::size_t size);

}  // namespace coupond
