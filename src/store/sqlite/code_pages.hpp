// Pages of the codes of a book.
#pragma once

#include <memory>
#include <string>

#include "store/sqlite/connection.hpp"
#include "store/store.hpp"
#include "store/uses.hpp"

namespace coupond::sqlite {

/// Of `code`, the codes of a book, ?1.
#define COUPOND_OF_BOOK "code.book_id = ?1 AND code.id < " COUPOND_USES_FROM

class CodePages {
public:
    explicit CodePages(Connection& connection);

    /// As ReadStore::list_codes(). Throws Error; what is read is in the transaction that is open.
    CodePage read(const CodeQuery& query, Timestamp now);

private:
    Statement book_exists_;
    Statement codes_of_book_;
    Statement codes_of_user_;
    Statement scanned_of_book_;
    Statement scanned_of_user_;
};

/// Throws Error when it cannot open the file at `path`.
std::unique_ptr<CodeLists> make_code_snapshot(const std::string& path);

}  // namespace coupond::sqlite
