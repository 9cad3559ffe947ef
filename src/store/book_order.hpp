// The orders in which books are listed; the same in every adapter.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "store/store.hpp"

namespace coupond {

inline constexpr std::size_t book_orders = 6;

/// One of the orders, for those who keep something for each: `index` is below book_orders.
struct BookOrder {
    std::size_t index = 0;

    static BookOrder of(const BookQuery& query) {
        return {2 * static_cast<std::size_t>(query.sort) + (query.descending ? 1 : 0)};
    }
    BookQuery::Sort sort() const { return static_cast<BookQuery::Sort>(index / 2); }
    bool descending() const { return index % 2 == 1; }

    /// The column of coupon_book that it goes by first; then by id.
    std::string_view column() const {
        static constexpr std::array<std::string_view, 3> columns{"id", "name", "created_at"};
        return columns.at(index / 2);
    }
    /// The columns for ORDER BY.
    std::string columns() const {
        const std::string_view direction = descending() ? " DESC" : "";
        std::string text(column());
        text += direction;
        if (sort() != BookQuery::Sort::id) text.append(", id").append(direction);
        return text;
    }
    /// What stands between a column and what it has to be beyond.
    std::string_view beyond() const { return descending() ? " < " : " > "; }
};

/// The place behind which a list begins: its `after`, or one before every book.
BookPlace beginning_of(const BookQuery& query);

/// The place of a book.
BookPlace place_of(const Book& book);

}  // namespace coupond
