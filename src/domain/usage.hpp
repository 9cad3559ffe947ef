// How much of a book's limits, and of its codes', is used up: what is counted, and since when.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "domain/types.hpp"

namespace coupond {

/// What is counted of a book: how much of it all users together have redeemed, or one of them, ever
/// or in some time; or, of one of its codes, how many uses of it (Code::use_of) all of them have.
struct UsageKey {
    BookId book_id = 0;
    std::string user_id;  ///< empty: of all of them
    Per per = Per::ever;
    CodeId code_id = 0;  ///< 0: of the whole book

    friend auto operator<=>(const UsageKey&, const UsageKey&) = default;
};

/// A count: redemptions made since then that stand.
struct Usage {
    Timestamp since = all_times;  ///< when the day, week or month began; of Per::ever: all_times
    std::int64_t redeemed = 0;
    /// Of all users: what of their discounts in `currency` was not given back.
    std::int64_t amount = 0;
    std::optional<Currency> currency = {};  ///< the book's discount's
    /// At most so many locks count besides; of uses of a code: so many are locked.
    std::int64_t locked = 0;
    std::int64_t locked_amount = 0;  ///< as `amount`: at most what these are worth

    friend bool operator==(const Usage&, const Usage&) = default;
};

/// What has to be counted.
struct UsageNeed {
    UsageKey key;
    Timestamp since;                   ///< as Usage has it
    std::optional<Currency> currency;  ///< as Usage has it
};

/// When the day, week or month of the book's zone began that `at` lies in; all_times for ever.
Timestamp since(const Book& book, Per per, Timestamp at);

/// When that day, week or month is over. `per` must not be Per::ever.
Timestamp ends(const Book& book, Per per, Timestamp at);

/// What is counted of `book` at `at`: of one user, or of all of them where `user_id` is empty.
std::vector<UsageNeed> usage_needs(const Book& book, std::string_view user_id, Timestamp at);

/// Whether there may be uses of the code, which then have to be counted.
bool may_have_uses(const Book& book, const Code& code);

/// Of a code of which there may be some.
UsageNeed uses_need(BookId book_id, CodeId code_id);

/// Whether a batch may lock all that is left of a code that has so many uses: then it has to be
/// known how many are locked.
bool is_nearly_used_up(const Book& book, const Code& code, const Usage& uses);

/// Whether redemptions are counted of `book`, or of each user there. Locks count there then.
bool counts_redemptions(const Book& book);

/// Whether a limit of what `key` is about may leave no place for another lock, for the others that
/// there are: then it has to be known how many that is.
bool may_be_locked_up(const Book& book, const UsageKey& key, const Usage& usage);

/// Has all be counted from now on that the limits of `book` need. What was once counted always is:
/// who goes by a count can rely on it.
void count_what_is_limited(Book& book);

}  // namespace coupond
