// The port to a database. An adapter loads, saves and is atomic; it holds no rule.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/failure.hpp"
#include "domain/domain.hpp"

namespace coupond {

/// The writing side. Used by one thread at a time: the engine's lane. Every call may block on I/O.
class Store {
public:
    virtual ~Store() = default;

    /// The rows that `needs` names, as one consistent snapshot. Rows that do not exist are left
    /// out. Failures: unavailable.
    virtual Result<World> load(const Needs& needs) = 0;

    /// Applies `delta` in one transaction and returns after it is durable. Changes a row only if it
    /// is still as it was loaded. Failures: conflict, refused, unavailable (nothing was changed),
    /// indeterminate.
    virtual Result<void> save(const Delta& delta) = 0;
};

/// A book with what the lists show of it.
struct BookListing {
    Book book;
    BookCounts counts;
    std::vector<Code> codes;  ///< by id; only where asked for
};

struct BookPage {
    std::vector<BookListing> books;  ///< by id
    bool more = false;               ///< there are books after the last one
    bool too_many_codes =
        false;  ///< codes were asked for, and these books hold more than page_codes: left out
};

/// The reading side, on a connection of its own: sees what was committed before the call, never
/// waits for the lane. An object is used by one thread at a time.
class ReadStore {
public:
    virtual ~ReadStore() = default;

    /// Up to `limit` books with ids beyond `after`, their counts as of `now`. Failures:
    /// unavailable.
    virtual Result<BookPage> list_books(BookId after, std::size_t limit, bool with_codes,
                                        Timestamp now) = 0;

    /// Whether the database answers. Failures: unavailable.
    virtual Result<void> ping() = 0;
};

}  // namespace coupond
