#include "store/book_order.hpp"

#include "base/limits.hpp"

namespace coupond {

BookPlace beginning_of(const BookQuery& query) {
    if (query.after) return *query.after;
    if (!query.descending) return {0, "", {INT64_MIN}};
    // No name is longer, and no character greater.
    BookPlace last{INT64_MAX, "", {INT64_MAX}};
    for (std::size_t i = 0; i <= limits::name_characters; ++i) last.name += "\xF4\x8F\xBF\xBF";
    return last;
}

BookPlace place_of(const Book& book) {
    return {book.id, book.name, book.created_at};
}

}  // namespace coupond
