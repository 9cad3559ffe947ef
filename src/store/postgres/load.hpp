// Loads the rows that a batch touches.
#pragma once

#include "domain/domain.hpp"
#include "store/postgres/rows.hpp"

namespace coupond::postgres {

/// The transaction that a load leaves open for the save.
struct Transaction {
    bool open = false;
    std::string id;             ///< of the database; known before anything is changed
    int pid = 0;                ///< the server's process that runs it
    std::int64_t erasures = 0;  ///< that there had been before anything was loaded
    bool alone = false;         ///< nobody else has one open (Needs::alone)
};

/// The codes that a load has found.
using StoredCodes = std::unordered_map<CodeId, Stored>;

/// Books in memory, as they are in the database while `alone` is what it says there.
struct KnownBooks {
    std::int64_t alone = 0;  ///< how many times somebody was, and changed something; 0: not known
    std::unordered_map<BookId, Book> books;
    bool uses = false;  ///< a code was met that may have uses
};

/// What `needs` names, and how its codes are `stored`. `transaction` is the one that is open on
/// `connection`; it is rolled back, and another one begun. Throws Lost, Rejected: a conflict also
/// where it has met books that were not `known`, and now are.
World load(Connection& connection, const Needs& needs, Transaction& transaction,
           StoredCodes& stored, KnownBooks& known, Deadline deadline);

}  // namespace coupond::postgres
