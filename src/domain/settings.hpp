// What clients set of books and codes: which members it has, and its text in the database.
#pragma once

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "domain/types.hpp"

namespace coupond {

/// The members, in the order in which descriptions and messages have them.
inline constexpr std::tuple book_members{&BookSettings::name,
                                         &BookSettings::code_pattern,
                                         &BookSettings::max_redemptions_per_user,
                                         &BookSettings::discount,
                                         &BookSettings::description,
                                         &BookSettings::active,
                                         &BookSettings::starts_at,
                                         &BookSettings::ends_at,
                                         &BookSettings::time_zone,
                                         &BookSettings::max_redemptions,
                                         &BookSettings::budget,
                                         &BookSettings::limits,
                                         &BookSettings::max_assignments_per_user,
                                         &BookSettings::max_redemptions_per_code,
                                         &BookSettings::open,
                                         &BookSettings::case_sensitive,
                                         &BookSettings::lock_ttl_s,
                                         &BookSettings::combinable,
                                         &BookSettings::auto_generate,
                                         &BookSettings::metadata};
inline constexpr std::tuple code_members{&CodeSettings::active, &CodeSettings::expires_at,
                                         &CodeSettings::max_redemptions, &CodeSettings::metadata};

/// Some of them, by their places.
using BookMembers = std::bitset<std::tuple_size_v<decltype(book_members)>>;
using CodeMembers = std::bitset<std::tuple_size_v<decltype(code_members)>>;

/// Sets `those` of the members of `settings` to what they are in `from`.
void set_members(BookSettings& settings, const BookSettings& from, BookMembers those);
void set_members(CodeSettings& settings, const CodeSettings& from, CodeMembers those);

// The text: a line for each member that is not as it is by default, its name, a space and its
// value. No value has a line break.

/// The hundredths of a discount that is an amount of no named currency, and nothing else: the short
/// form, which has a column of its own.
std::optional<std::int64_t> short_form(const std::optional<Discount>& discount);
/// The discount of which that is the short form.
std::optional<Discount> from_short_form(std::optional<std::int64_t> hundredths);

/// What the row of a book keeps as text: all but its ids, its name, its times, and its first rules,
/// which have columns of their own.
std::string row_text(const Book& book);
/// Fills in what row_text() has written. False where `text` is not of it.
bool read_row_text(std::string_view text, Book& book);

/// What the row of a code keeps as text; empty where all is as by default.
std::string row_text(const Code& code);
bool read_row_text(std::string_view text, Code& code);
/// The same without what clients do not set.
std::string row_text(const CodeSettings& settings);
bool read_row_text(std::string_view text, CodeSettings& settings);

/// Of an entry in the ledger: what a book was before a change, if it was there, and is after it;
/// all but its ids.
std::string change_text(const Book* before, const Book& after);
struct BookChange {
    std::optional<Book> before;
    Book after;
};
/// Nothing where `text` is not of change_text().
std::optional<BookChange> read_book_change(std::string_view text);

std::string change_text(const CodeSettings& before, const CodeSettings& after);
struct CodeChange {
    CodeSettings before, after;
};
std::optional<CodeChange> read_code_change(std::string_view text);

/// Until when a lock that was extended has been, in ms.
std::string extension_text(Timestamp was_until);
std::optional<Timestamp> read_extension(std::string_view text);

}  // namespace coupond
