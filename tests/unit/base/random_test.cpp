#include "base/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <thread>
#include <vector>

namespace coupond {
namespace {

TEST(Random, StaysBelowItsBoundAndReachesEveryValue) {
    for (const std::uint64_t bound : {1, 2, 3, 7, 10, 64}) {
        std::set<std::uint64_t> seen;
        for (std::uint64_t i = 0; i < bound * 64; ++i) seen.insert(secure_random_below(bound));
        EXPECT_LT(*seen.rbegin(), bound);
        // A value is missed by all bound * 64 draws with a chance of e^-64.
        EXPECT_EQ(seen.size(), bound);
    }
}

TEST(Random, KeepsToBoundsNearTheEndOfItsRange) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    // Just above a half of the range nearly every second draw is biased and drawn again.
    for (const std::uint64_t bound : {most, most - 1, (most >> 1) + 2, std::uint64_t{1} << 63}) {
        for (int i = 0; i < 1000; ++i) ASSERT_LT(secure_random_below(bound), bound);
    }
}

TEST(Random, IsUniform) {
    constexpr std::size_t cells = 10;
    constexpr int draws = 100'000;
    std::array<int, cells> counts{};
    for (int i = 0; i < draws; ++i) ++counts[secure_random_below(cells)];
    double chi_square = 0;
    constexpr double expected = static_cast<double>(draws) / cells;
    for (const int count : counts) chi_square += (count - expected) * (count - expected) / expected;
    EXPECT_LT(chi_square, 60);  // nine degrees of freedom: beyond by chance once in 10^9
}

TEST(Random, DoesNotRepeatItselfNorWhatAnotherThreadGets) {
    constexpr std::size_t draws = 1000;  // many refills of the buffer
    std::vector<std::uint64_t> here(draws), there(draws);
    std::thread other([&] {
        for (std::uint64_t& value : there) value = secure_random();
    });
    for (std::uint64_t& value : here) value = secure_random();
    other.join();
    std::set<std::uint64_t> all(here.begin(), here.end());
    all.insert(there.begin(), there.end());
    EXPECT_EQ(all.size(), 2 * draws);
}

TEST(Random, UsesAllOfItsBits) {
    std::uint64_t set = 0, unset = 0;
    for (int i = 0; i < 200; ++i) {
        const std::uint64_t drawn = secure_random();
        set |= drawn;
        unset |= ~drawn;
    }
    EXPECT_EQ(set, ~std::uint64_t{0});
    EXPECT_EQ(unset, ~std::uint64_t{0});
}

TEST(Random, WritesBase32) {
    std::set<char> seen;
    std::set<std::string> texts;
    for (int i = 0; i < 200; ++i) {
        const std::string text = secure_random_base32(26);
        EXPECT_EQ(text.size(), 26U);
        seen.insert(text.begin(), text.end());
        texts.insert(text);
    }
    const std::string characters = "234567abcdefghijklmnopqrstuvwxyz";
    EXPECT_EQ(std::string(seen.begin(), seen.end()), characters);
    EXPECT_EQ(texts.size(), 200U);
    EXPECT_EQ(secure_random_base32(0), "");
}

TEST(RandomDeathTest, BoundOfZeroIsABug) {
    EXPECT_DEATH(secure_random_below(0), "bound != 0");
}

}  // namespace
}  // namespace coupond
