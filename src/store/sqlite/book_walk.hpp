// Goes through the books in the orders in which they are listed.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "store/book_order.hpp"
#include "store/sqlite/connection.hpp"

namespace coupond::sqlite {

class BookWalk {
public:
    explicit BookWalk(Connection& connection);

    /// Calls `visit` for each book that comes in a list before its limit, in its order, whether its
    /// name is one of those asked for or not, until that returns false. Throws Error.
    void walk(const BookQuery& query, const std::function<bool(Book&& book, bool fits)>& visit);

private:
    /// Two, because SQLite does not search an index by a pair that ends in the rowid.
    struct Statements {
        std::unique_ptr<Statement> equal;  ///< of books that share the key of the place; null: none
        std::unique_ptr<Statement> beyond;
    };

    std::array<Statements, book_orders> orders_;
};

}  // namespace coupond::sqlite
