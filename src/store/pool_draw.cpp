#include "store/pool_draw.hpp"

#include <algorithm>

#include "base/random.hpp"

namespace coupond {

std::int64_t random_shuffle_key() {
    return static_cast<std::int64_t>(secure_random() >> 1);
}

std::int64_t shuffle_key_of(const CodeRow& row) {
    constexpr double keys = 9'223'372'036'854'775'808.0;  // 2^63
    // Of a double below 1, which has 53 bits, the product is below 2^63.
    const std::int64_t key =
        row.order ? static_cast<std::int64_t>(*row.order * keys) : random_shuffle_key();
    return row.code.kept_back ? -1 - key : key;
}

PoolDraw::PoolDraw(std::span<const FreeCodes> books, std::size_t count) : wanted_(books.size()) {
    std::vector<std::uint64_t> up_to;  // how many free codes the books up to this one have
    up_to.reserve(books.size());
    for (const FreeCodes& book : books) {
        up_to.push_back((up_to.empty() ? 0 : up_to.back()) +
                        static_cast<std::uint64_t>(book.count));
    }
    const std::uint64_t total = up_to.empty() ? 0 : up_to.back();
    complete_ = total <= count;
    if (complete_) {
        for (std::size_t i = 0; i < books.size(); ++i) {
            wanted_[i] = static_cast<std::size_t>(books[i].count);
        }
        return;
    }
    order_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t drawn = secure_random_below(total);
        const auto book = std::upper_bound(up_to.begin(), up_to.end(), drawn) - up_to.begin();
        order_.push_back(static_cast<std::size_t>(book));
        ++wanted_[order_.back()];
    }
}

void PoolDraw::fill(Pool& pool, std::span<const std::vector<CodeRow*>> loaded) const {
    pool.complete = complete_;
    if (complete_) {
        for (std::size_t i = 0; i < loaded.size(); ++i) {
            pool.codes.insert(pool.codes.end(), loaded[i].begin(), loaded[i].end());
            // Fewer than were counted: others are at it, and may have brought some elsewhere.
            pool.complete = pool.complete && loaded[i].size() == wanted_[i];
        }
        return;
    }
    std::vector<std::size_t> given(loaded.size());
    for (const std::size_t book : order_) {
        if (given[book] < loaded[book].size()) {
            pool.codes.push_back(loaded[book][given[book]++]);
        }
    }
}

}  // namespace coupond
