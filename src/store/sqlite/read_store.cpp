#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/sqlite/connection.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/stores.hpp"

namespace coupond::sqlite {
namespace {

class SqliteReadStore final : public ReadStore {
public:
    explicit SqliteReadStore(const std::string& path)
        : connection_(path, Connection::Mode::read_only) {}

    Result<BookPage> list_books(BookId after, std::size_t limit, bool with_codes,
                                Timestamp now) override {
        try {
            connection_.execute("BEGIN");  // books, counts and codes of one moment
            BookPage page = read_page(after, limit, now);
            if (with_codes) add_codes(page);
            connection_.execute("COMMIT");
            health_.worked();
            return page;
        } catch (const Error& error) {
            health_.failed(error);
            connection_.roll_back();
            return Failure::unavailable;
        }
    }

    Result<void> ping() override {
        try {
            connection_.integer("SELECT count(*) FROM (SELECT 1 FROM coupon_book LIMIT 1)");
            health_.worked();
            return {};
        } catch (const Error& error) {
            health_.failed(error);
            return Failure::unavailable;
        }
    }

private:
    BookPage read_page(BookId after, std::size_t limit, Timestamp now) {
        BookPage page;
        books_.bind(after, static_cast<std::int64_t>(limit) + 1);
        while (books_.step()) {
            if (page.books.size() == limit) {
                page.more = true;
                books_.reset();
                break;
            }
            BookListing& listing = page.books.emplace_back();
            listing.book = read_book(books_);
            listing.counts.total = books_.integer(book_columns);
            listing.counts.available = books_.integer(book_columns + 1);
            listing.counts.redeemed = books_.integer(book_columns + 2);
        }
        for (BookListing& listing : page.books) {
            BookCounts& counts = listing.counts;
            locked_.bind(listing.book.id, now);
            locked_.step();
            counts.locked = locked_.integer(0);
            locked_.reset();
            counts.assigned = counts.total - counts.available - counts.redeemed - counts.locked;
        }
        return page;
    }

    void add_codes(BookPage& page) {
        std::int64_t total = 0;
        for (const BookListing& listing : page.books) total += listing.counts.total;
        page.too_many_codes = total > static_cast<std::int64_t>(limits::page_codes);
        if (page.too_many_codes) return;
        for (BookListing& listing : page.books) {
            listing.codes.reserve(static_cast<std::size_t>(listing.counts.total));
            codes_.bind(listing.book.id);
            while (codes_.step()) listing.codes.push_back(read_code(codes_));
        }
    }

    Connection connection_;
    Statement books_{connection_, "SELECT " COUPOND_BOOK_COLUMNS
                                  ", total, available, redeemed "
                                  "FROM coupon_book JOIN book_count ON book_id = id "
                                  "WHERE id > ? ORDER BY id LIMIT ?"};
    Statement locked_{connection_,
                      "SELECT coalesce(sum(codes), 0) FROM lock_count "
                      "WHERE book_id = ? AND locked_until > ?"};
    Statement codes_{connection_, "SELECT " COUPOND_CODE_COLUMNS
                                  " FROM coupon_code WHERE book_id = ? ORDER BY id"};
    Health health_{log::side_lists};
};

}  // namespace

std::unique_ptr<ReadStore> make_read_store(const std::string& path) {
    return std::make_unique<SqliteReadStore>(path);
}

}  // namespace coupond::sqlite
