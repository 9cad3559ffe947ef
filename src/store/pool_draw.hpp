// Which free codes a batch gets where any book will do; the same in every adapter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "domain/domain.hpp"

namespace coupond {

/// Where a code stands in the order in which free codes are given away, and where in it a batch
/// begins to take: uniform from 0 to 2^63 - 1, not to be foreseen.
std::int64_t random_shuffle_key();

/// The one of a new code: random, or as CodeRow::order has it; below 0 where it is kept back.
std::int64_t shuffle_key_of(const CodeRow& row);

struct FreeCodes {
    BookId book_id = 0;
    std::int64_t count = 0;  ///< > 0
};

/// Draws `count` codes from all free ones, each with the same chance: draws how many to take from
/// which book, by how many it has, and in which order to give them.
class PoolDraw {
public:
    PoolDraw(std::span<const FreeCodes> books, std::size_t count);

    /// How many free codes to load from book `i`.
    std::size_t wanted(std::size_t i) const { return wanted_[i]; }

    /// Fills `pool` from what was loaded from each book, which may be fewer than were wanted.
    void fill(Pool& pool, std::span<const std::vector<CodeRow*>> loaded) const;

private:
    bool complete_;
    std::vector<std::size_t> wanted_;
    std::vector<std::size_t> order_;  ///< indices of books; empty where complete
};

}  // namespace coupond
