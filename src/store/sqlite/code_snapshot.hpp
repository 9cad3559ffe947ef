// All codes of a book in the order of their texts, or those with settings.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/sqlite/connection.hpp"
#include "store/sqlite/log_sync.hpp"
#include "store/store.hpp"

namespace coupond::sqlite {

/// A pass through codes (CodeSnapshot), in the transaction that is open.
///
/// The index of codes has the order, but of all books, and a row that is next by its text may be
/// anywhere in the table: where codes came in by no order, each costs a page, which the disk has to
/// be asked for. So it is followed as long as it reads little more than what it finds takes; over
/// what others have, such as codes with another prefix, it goes on from the book's next code. Where
/// that does not pay, what is left is read as it lies, and SQLite sorts it, in files where it is
/// much.
class CodePass {
public:
    enum class Way { index_of_codes, table, index_of_book, index_of_holder };

    /// `wanted` is asked while it reads; where it says no, that ends in an Error, SQLITE_INTERRUPT.
    /// On a connection there is one at a time. Throws Error.
    CodePass(Connection& connection, const CodeQuery& query, CodeSnapshot::Pass pass, Timestamp now,
             Wanted wanted);
    ~CodePass();
    CodePass(const CodePass&) = delete;
    CodePass& operator=(const CodePass&) = delete;

    /// As CodeSnapshot::next(). Throws Error.
    std::vector<Code> next();

    /// How it reads now.
    Way way() const { return way_; }
    /// And by which statement.
    static std::string sql(Way way, CodeSnapshot::Pass pass);

private:
    static std::string matching(Way way);
    void choose_way_beside();
    void read(Way way);
    void bind(Statement& statement);
    bool step();
    void leave_index();
    bool comes_soon();
    static int interrupts(void* self);
    bool strays() const;
    std::int64_t pages_read() const;

    Connection& connection_;
    const CodeQuery query_;
    const CodeSnapshot::Pass pass_;
    const Timestamp now_;
    const Wanted wanted_;
    std::string from_, to_;    ///< the texts from one on, before the other
    Way beside_ = Way::table;  ///< the way to rows of all texts
    std::int64_t book_codes_ = 0;
    Way way_ = Way::table;
    std::optional<Statement> rows_;
    bool ended_ = false;
    bool strayed_ = false;  ///< interrupted for that
    std::string last_;      ///< the text of the last one by the index of codes
    bool went_on_ = false;  ///< from another place of it; and since it was entered last:
    std::int64_t found_ = 0;
    std::int64_t found_bytes_ = 0;
    std::int64_t pages_before_ = 0;
};

/// Throws Error when it cannot open the file at `path`.
/// `log_sync`: of the database.
std::unique_ptr<CodeSnapshot> make_code_snapshot(const std::string& path, Wanted wanted,
                                                 std::shared_ptr<LogSync> log_sync);

}  // namespace coupond::sqlite
