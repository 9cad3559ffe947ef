#include "domain/settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <utility>

#include "domain/usage.hpp"

namespace coupond {
namespace {

template <class Settings, class Members, std::size_t... I>
void set(Settings& settings, const Settings& from, std::bitset<sizeof...(I)> those,
         const Members& members, std::index_sequence<I...>) {
    ((those[I] ? void(settings.*std::get<I>(members) = from.*std::get<I>(members)) : void()), ...);
}

void add(std::string& text, std::string_view name, std::string_view value) {
    text.append(name).append(" ").append(value).append("\n");
}
void add(std::string& text, std::string_view name, std::int64_t value) {
    add(text, name, std::string_view(std::to_string(value)));
}
void add(std::string& text, std::string_view name, Timestamp at) {
    add(text, name, at.ms);
}
void add(std::string& text, std::string_view name, bool value) {
    add(text, name, std::string_view(value ? "true" : "false"));
}

bool read(std::string_view text, std::string& value) {
    value = text;
    return true;
}
bool read(std::string_view text, std::int64_t& value) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc() && read.ptr == text.data() + text.size();
}
bool read(std::string_view text, Timestamp& at) {
    return read(text, at.ms);
}
bool read(std::string_view text, bool& value) {
    value = text == "true";
    return value || text == "false";
}

/// The next word of `text`, which it loses.
std::string_view cut_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

void add(std::string& text, std::string_view name, const AutoGenerate& more) {
    const std::string words = std::to_string(more.below) + " " + std::to_string(more.count);
    add(text, name, std::string_view(words));
}

bool read(std::string_view text, AutoGenerate& more) {
    const std::string_view below = cut_word(text);
    return read(below, more.below) && read(text, more.count);
}

/// For what there is not.
constexpr std::string_view nothing = "-";

template <class T>
void add(std::string& text, std::string_view name, const std::optional<T>& value) {
    value ? add(text, name, *value) : add(text, name, nothing);
}
template <class T>
bool read(std::string_view text, std::optional<T>& value) {
    value.reset();
    return text == nothing || read(text, value.emplace());
}

// A discount in its text: its type, its value, its currency, its maximum, its minimum order.

constexpr std::array<std::pair<Discount::Type, std::string_view>, 4> discount_types{{
    {Discount::Type::amount, "amount"},
    {Discount::Type::percent, "percent"},
    {Discount::Type::fixed_price, "fixed_price"},
    {Discount::Type::free_shipping, "free_shipping"},
}};

std::string text_of(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : std::string(nothing);
}

void add(std::string& text, std::string_view name, const Discount& discount) {
    std::string words;
    for (const auto& [type, type_name] : discount_types) {
        if (type == discount.type) words = type_name;
    }
    words.append(" ").append(std::to_string(discount.value)).append(" ");
    words.append(discount.currency ? discount.currency->code() : nothing).append(" ");
    words.append(text_of(discount.max_amount)).append(" ");
    words.append(text_of(discount.min_order_amount));
    add(text, name, std::string_view(words));
}

// Limits per day and so on: for each its name, most redemptions, most of a user, and budget.

constexpr std::array<std::pair<Per, std::string_view>, 3> per_names{{
    {Per::day, "day"},
    {Per::week, "week"},
    {Per::month, "month"},
}};

void add(std::string& text, std::string_view name, const std::map<Per, Limits>& limits) {
    std::string words;
    for (const auto& [per, per_name] : per_names) {
        const auto of_per = limits.find(per);
        if (of_per == limits.end()) continue;
        const Limits& those = of_per->second;
        words.append(words.empty() ? "" : " ").append(per_name);
        for (const auto& most :
             {those.max_redemptions, those.max_redemptions_per_user, those.budget}) {
            words.append(" ").append(text_of(most));
        }
    }
    add(text, name, std::string_view(words));
}

bool read_word(std::string_view word, std::optional<std::int64_t>& number) {
    if (word == nothing) return true;
    return read(word, number.emplace());
}

bool read(std::string_view text, Discount& discount) {
    std::array<std::string_view, 5> words;
    for (std::string_view& word : words) word = cut_word(text);
    const auto type =
        std::ranges::find(discount_types, words[0], [](const auto& known) { return known.second; });
    if (type == discount_types.end() || !text.empty()) return false;
    discount.type = type->first;
    if (words[2] != nothing) {
        discount.currency = Currency::find(words[2]);
        if (!discount.currency) return false;
    }
    return read(words[1], discount.value) && read_word(words[3], discount.max_amount) &&
           read_word(words[4], discount.min_order_amount);
}

bool read(std::string_view text, std::map<Per, Limits>& limits) {
    while (!text.empty()) {
        const auto per = std::ranges::find(per_names, cut_word(text),
                                           [](const auto& known) { return known.second; });
        if (per == per_names.end()) return false;
        Limits those;
        for (auto* const most :
             {&those.max_redemptions, &those.max_redemptions_per_user, &those.budget}) {
            if (!read_word(cut_word(text), *most)) return false;
        }
        if (!limits.emplace(per->first, those).second) return false;
    }
    return true;
}

/// A member of `Of` with its name in the text.
template <class Of>
struct Line {
    std::string_view name;
    std::function<void(std::string&, const Of&)> write;
    std::function<bool(std::string_view, Of&)> read;
};

template <class Of, class T>
Line<Of> line(std::string_view name, T Of::*member) {
    return {name,
            [name, member](std::string& text, const Of& of) {
                static const Of usual;
                if (of.*member == usual.*member) return;
                add(text, name, of.*member);
            },
            [member](std::string_view value, Of& of) { return read(value, of.*member); }};
}

template <class T>
Line<Book> setting(std::string_view name, T BookSettings::*member) {
    return line<Book>(name, static_cast<T Book::*>(member));
}

/// The discount, where it is in its short form.
const Line<Book> short_discount{
    "discount_cents",
    [](std::string& text, const Book& book) {
        const auto hundredths = short_form(book.discount);
        if (hundredths) add(text, "discount_cents", *hundredths);
    },
    [](std::string_view value, Book& book) { return read(value, book.discount.emplace().value); }};

/// The discount, where it is not.
const Line<Book> long_discount{
    "discount",
    [](std::string& text, const Book& book) {
        if (!book.discount || short_form(book.discount)) return;
        add(text, "discount", *book.discount);
    },
    [](std::string_view value, Book& book) { return read(value, book.discount.emplace()); }};

/// How it was said before that a book counts what each user redeems; never written any more.
const Line<Book> counted_since{"counts_users_since", [](std::string&, const Book&) {},
                               [](std::string_view value, Book& book) {
                                   Book limited;
                                   limited.max_redemptions_per_user = 1;
                                   count_what_is_limited(limited);
                                   book.counted |= limited.counted;
                                   std::int64_t ms = 0;
                                   return read(value, ms);
                               }};

const std::array book_row{
    long_discount,
    setting("description", &BookSettings::description),
    setting("active", &BookSettings::active),
    setting("starts_at", &BookSettings::starts_at),
    setting("ends_at", &BookSettings::ends_at),
    setting("time_zone", &BookSettings::time_zone),
    setting("max_redemptions", &BookSettings::max_redemptions),
    setting("budget", &BookSettings::budget),
    setting("limits", &BookSettings::limits),
    setting("max_assignments_per_user", &BookSettings::max_assignments_per_user),
    setting("max_redemptions_per_code", &BookSettings::max_redemptions_per_code),
    setting("open", &BookSettings::open),
    setting("case_sensitive", &BookSettings::case_sensitive),
    setting("lock_ttl_s", &BookSettings::lock_ttl_s),
    setting("combinable", &BookSettings::combinable),
    setting("auto_generate", &BookSettings::auto_generate),
    setting("metadata", &BookSettings::metadata),
    line("archived_at", &Book::archived_at),
    line("counted", &Book::counted),
    counted_since,
};

/// What else there is of a book.
const std::array book_columns{
    setting("name", &BookSettings::name),
    setting("code_pattern", &BookSettings::code_pattern),
    setting("max_redemptions_per_user", &BookSettings::max_redemptions_per_user),
    short_discount,
    line("created_at", &Book::created_at),
    line("updated_at", &Book::updated_at),
};

const std::array code_row{
    line("active", &CodeSettings::active),
    line("expires_at", &CodeSettings::expires_at),
    line("max_redemptions", &CodeSettings::max_redemptions),
    line("metadata", &CodeSettings::metadata),
};

/// What else there is of a code.
constexpr std::string_view counted_line = "counted true";

template <class Of, std::size_t n>
void write(std::string& text, const std::array<Line<Of>, n>& lines, const Of& of) {
    for (const Line<Of>& line : lines) line.write(text, of);
}

/// Whether one of `lines` has read a line of text.
template <class Of, std::size_t n>
bool read(const std::array<Line<Of>, n>& lines, std::string_view text, Of& of) {
    const std::string_view name = text.substr(0, text.find(' '));
    for (const Line<Of>& line : lines) {
        if (line.name == name && name.size() < text.size()) {
            return line.read(text.substr(name.size() + 1), of);
        }
    }
    return false;
}

/// Whether `take` has read each line of `text`.
template <class Take>
bool read_lines(std::string_view text, const Take& take) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos || !take(text.substr(0, end))) return false;
        text.remove_prefix(end + 1);
    }
    return true;
}

bool read_all(std::string_view text, Book& book) {
    return read_lines(text, [&](std::string_view line) {
        return read(book_columns, line, book) || read(book_row, line, book);
    });
}

std::string all_text(const Book& book) {
    std::string text;
    write(text, book_columns, book);
    write(text, book_row, book);
    return text;
}

/// What is before and after the empty line.
std::optional<std::pair<std::string_view, std::string_view>> halves(std::string_view text) {
    if (text.starts_with('\n')) return std::pair(std::string_view(), text.substr(1));
    const std::size_t end = text.find("\n\n");
    if (end == std::string_view::npos) return std::nullopt;
    return std::pair(text.substr(0, end + 1), text.substr(end + 2));
}

}  // namespace

void set_members(BookSettings& settings, const BookSettings& from, BookMembers those) {
    set(settings, from, those, book_members, std::make_index_sequence<BookMembers().size()>());
}

void set_members(CodeSettings& settings, const CodeSettings& from, CodeMembers those) {
    set(settings, from, those, code_members, std::make_index_sequence<CodeMembers().size()>());
}

std::optional<std::int64_t> short_form(const std::optional<Discount>& discount) {
    if (discount != from_short_form(discount ? std::optional(discount->value) : std::nullopt)) {
        return std::nullopt;
    }
    return discount ? std::optional(discount->value) : std::nullopt;
}

std::optional<Discount> from_short_form(std::optional<std::int64_t> hundredths) {
    if (!hundredths) return std::nullopt;
    Discount discount;
    discount.value = *hundredths;
    return discount;
}

std::string row_text(const Book& book) {
    std::string text;
    write(text, book_row, book);
    return text;
}

bool read_row_text(std::string_view text, Book& book) {
    return read_lines(text, [&](std::string_view line) { return read(book_row, line, book); });
}

std::string row_text(const CodeSettings& settings) {
    static const CodeSettings usual;  // of nearly all codes
    if (settings == usual) return {};
    std::string text;
    write(text, code_row, settings);
    return text;
}

std::string row_text(const Code& code) {
    std::string text = row_text(static_cast<const CodeSettings&>(code));
    if (code.counted) text.append(counted_line).append("\n");
    return text;
}

bool read_row_text(std::string_view text, CodeSettings& settings) {
    return read_lines(text, [&](std::string_view line) { return read(code_row, line, settings); });
}

bool read_row_text(std::string_view text, Code& code) {
    return read_lines(text, [&](std::string_view line) {
        code.counted |= line == counted_line;
        return line == counted_line || read<CodeSettings>(code_row, line, code);
    });
}

std::string change_text(const Book* before, const Book& after) {
    return (before == nullptr ? std::string() : all_text(*before)) + "\n" + all_text(after);
}

std::optional<BookChange> read_book_change(std::string_view text) {
    const auto parts = halves(text);
    if (!parts) return std::nullopt;
    BookChange change;
    if (!parts->first.empty() && !read_all(parts->first, change.before.emplace())) {
        return std::nullopt;
    }
    if (!read_all(parts->second, change.after)) return std::nullopt;
    return change;
}

std::string change_text(const CodeSettings& before, const CodeSettings& after) {
    return row_text(before) + "\n" + row_text(after);
}

std::optional<CodeChange> read_code_change(std::string_view text) {
    const auto parts = halves(text);
    CodeChange change;
    if (!parts || !read_row_text(parts->first, change.before) ||
        !read_row_text(parts->second, change.after)) {
        return std::nullopt;
    }
    return change;
}

std::string extension_text(Timestamp was_until) {
    return std::to_string(was_until.ms);
}

std::optional<Timestamp> read_extension(std::string_view text) {
    Timestamp was_until;
    return read(text, was_until) ? std::optional(was_until) : std::nullopt;
}

}  // namespace coupond
