// The orders of the list of books, and places in them, as they are called outside.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "store/store.hpp"

namespace coupond::wire {

struct BookSort {
    BookQuery::Sort by = BookQuery::Sort::id;
    bool descending = false;
};

/// Nothing where there is no order of that name.
std::optional<BookSort> book_sort(std::string_view name);

/// The order's name.
std::string name_of(const BookQuery& query);

/// A place in the order of `query` as the value of `after`: by ascending id its id, else the
/// order's name, its id and its key, of characters that need no escape in a query.
std::string text_of(const BookPlace& place, const BookQuery& query);

/// The place that text_of() has made `text` from in the order of `query`, with what that goes by;
/// nothing where it has not.
std::optional<BookPlace> book_place(std::string_view text, const BookQuery& query);

}  // namespace coupond::wire
