#include "base/permutation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace coupond {
namespace {

using Number = Permutation::Number;

Permutation::Key key_from(unsigned char first) {
    Permutation::Key key;
    std::iota(key.begin(), key.end(), first);
    return key;
}

constexpr Number wide(std::uint64_t high, std::uint64_t low) {
    return Number{high} << 64 | low;
}

struct Known {
    Number size, number, becomes;
};

/// By another program, after the description alone; with the key 00 01 … 1f.
constexpr Known known[] = {
    {1, 0, 0},
    {1000, 0, 0x24d},
    {1000, 1, 0x3cf},
    {1000, 999, 0x18},
    {887'503'681, 0, 0x1cffcafe},
    {887'503'681, 1, 0x31624022},
    {887'503'681, 887'503'680, 0x1cd3b6f1},
    {wide(1, 0), 5, 0xa7a36fa31287bb37},
    {Permutation::most, 5, wide(0x2876083d41846ef8, 0x769756fa6d1e54bc)},
    {Permutation::most, Permutation::most - 1, wide(0x3f4b158c3e5554cc, 0xb71ff185b684342b)},
};

TEST(Permutation, IsTheSameForEver) {
    for (const auto& [size, number, becomes] : known) {
        Number permuted = number;
        Permutation(key_from(0), size).apply({&permuted, 1});
        EXPECT_TRUE(permuted == becomes)
            << static_cast<std::uint64_t>(number) << " of " << static_cast<std::uint64_t>(size);
    }
}

std::vector<Number> permuted(std::uint64_t size, unsigned char key) {
    std::vector<Number> numbers(size);
    for (std::uint64_t i = 0; i < size; ++i) numbers[i] = i;
    Permutation(key_from(key), size).apply(numbers);
    return numbers;
}

TEST(Permutation, HasEachNumberOnce) {
    for (const std::uint64_t size :
         {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 100, 961, 1024, 1025, 29'791}) {
        std::vector<Number> numbers = permuted(size, 7);
        std::ranges::sort(numbers);
        for (std::uint64_t i = 0; i < size; ++i) ASSERT_TRUE(numbers[i] == i) << size;
    }
}

TEST(Permutation, IsAnotherOneWithAnotherKey) {
    const auto one = permuted(29'791, 1);
    const auto other = permuted(29'791, 2);
    std::size_t alike = 0;
    for (std::size_t i = 0; i < one.size(); ++i) alike += one[i] == other[i] ? 1 : 0;
    EXPECT_LT(alike, 12U);  // of two at random: one on average, twelve once in a billion times
}

/// Of neighbours the distance is that of any two numbers: above and below each other alike, and
/// rarely near.
TEST(Permutation, SaysNothingOfANumberByItsNeighbours) {
    constexpr std::uint64_t size = 29'791;
    const auto numbers = permuted(size, 3);
    std::size_t above = 0, near = 0;
    for (std::size_t i = 1; i < numbers.size(); ++i) {
        const Number before = numbers[i - 1], now = numbers[i];
        above += now > before ? 1 : 0;
        near += (now > before ? now - before : before - now) <= size / 100 ? 1 : 0;
    }
    EXPECT_NEAR(static_cast<double>(above), size / 2.0,
                6 * 86.3 / 1.7);  // its deviation: sqrt(n / 12)
    EXPECT_NEAR(static_cast<double>(near), size * 0.0199, 6 * 24.2);
}

}  // namespace
}  // namespace coupond
