// What makes a row useless: values that none of ours can have been written with, after a disk has
// failed, say. Who reads one answers `unavailable`; `coupond verify` tells more.
#pragma once

#include "base/limits.hpp"
#include "store/store.hpp"

namespace coupond {

/// Nothing, or what is wrong.
inline const char* fault_of(const Book& book) {
    const auto discount = book.discount_cents.value_or(0);
    if (discount < 0 || discount > limits::discount_cents) return "a book with such a discount";
    if (!has_iso8601(book.created_at) || !has_iso8601(book.updated_at)) {
        return "a book of such a time";
    }
    return nullptr;
}

inline const char* fault_of(const Code& code) {
    const bool sound = has_iso8601(code.created_at) &&
                       has_iso8601(code.redeemed_at.value_or(Timestamp{})) &&
                       (!code.lock || has_iso8601(code.lock->until));
    return sound ? nullptr : "a code of such a time";
}

inline const char* fault_of(const EntryListing& listing) {
    const LedgerEntry& entry = listing.entry;
    if (entry.type < LedgerEntry::Type::book_created ||
        entry.type > LedgerEntry::Type::user_erased) {
        return "an entry of such a type";
    }
    if (!has_iso8601(entry.at) || !has_iso8601(entry.locked_until.value_or(Timestamp{}))) {
        return "an entry of such a time";
    }
    if (entry.discount_cents.value_or(0) < 0) return "an entry with such a discount";
    const bool creates = entry.type == LedgerEntry::Type::book_created;
    if (creates && !listing.book) return "a book's creation without the book";
    return nullptr;
}

inline const char* fault_of(const Statistics& statistics) {
    constexpr std::int64_t most = 100'000'000'000'000;
    const BookCounts& counts = statistics.counts;
    for (const std::int64_t count : {counts.total, counts.available, counts.redeemed,
                                     statistics.ever_locked, statistics.discount_cents}) {
        if (count < 0 || count > most) return "a count of so many";
    }
    for (const auto& [activity, refused] : statistics.series) {
        if (activity.discount_cents < 0) return "a count of so many";
    }
    return nullptr;
}

}  // namespace coupond
