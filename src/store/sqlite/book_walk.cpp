#include "store/sqlite/book_walk.hpp"

#include "store/sqlite/rows.hpp"

namespace coupond::sqlite {
namespace {

/// ?1: the name; ?2: the place's key; ?3: its id. SQLite's lower() knows A to Z only.
std::string select_books(const std::string& where, const std::string& order) {
    return "SELECT " COUPOND_BOOK_COLUMNS
           ", ?1 IS NULL OR instr(lower(name), lower(?1)) > 0 FROM coupon_book AS book WHERE " +
           where + " ORDER BY " + order;
}

/// Whether `visit` wants more.
bool visit_all(Statement& select, const std::function<bool(Book&&, bool)>& visit) {
    while (select.step()) {
        if (visit(read_book(select), select.integer(book_columns) != 0)) continue;
        select.reset();
        return false;
    }
    return true;
}

}  // namespace

BookWalk::BookWalk(Connection& connection) {
    for (std::size_t i = 0; i < book_orders; ++i) {
        const BookOrder order{i};
        const std::string column(order.column());
        const std::string beyond(order.beyond());
        orders_[i].beyond = std::make_unique<Statement>(
            connection, select_books(column + beyond + "?2", order.columns()));
        if (order.sort() == BookQuery::Sort::id) continue;
        orders_[i].equal = std::make_unique<Statement>(
            connection, select_books(column + " = ?2 AND id" + beyond + "?3", order.columns()));
    }
}

void BookWalk::walk(const BookQuery& query,
                    const std::function<bool(Book&& book, bool fits)>& visit) {
    const Statements& order = orders_[BookOrder::of(query).index];
    const BookPlace place = beginning_of(query);
    for (Statement* const select : {order.equal.get(), order.beyond.get()}) {
        if (select == nullptr) continue;
        switch (query.sort) {
            case BookQuery::Sort::id: select->bind_all(query.name, place.id, place.id); break;
            case BookQuery::Sort::name: select->bind_all(query.name, place.name, place.id); break;
            case BookQuery::Sort::created:
                select->bind_all(query.name, place.created_at, place.id);
                break;
        }
        if (!visit_all(*select, visit)) return;
    }
}

}  // namespace coupond::sqlite
