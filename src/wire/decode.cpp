#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <span>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "base/time_zone.hpp"
#include "domain/code_pattern.hpp"
#include "domain/money.hpp"
#include "wire/book_order.hpp"
#include "wire/code_export.hpp"
#include "wire/codes.hpp"
#include "wire/decimal.hpp"
#include "wire/fields.hpp"
#include "wire/json_reader.hpp"
#include "wire/ledger.hpp"
#include "wire/media_type.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

using Messages = std::vector<std::string>;
using Kind = Member::Kind;

// What the numbers in the messages are.
static_assert(limits::code_characters == 128 && limits::json_depth == 32);
static_assert(limits::redemptions == 1'000'000'000 && limits::page_books == 1'000);
static_assert(limits::discount_cents == 99'999'999'99);
static_assert(limits::reason_characters == 1'024 && limits::qr_url_characters == 1'024);
static_assert(limits::unfinished_jobs == 1'000);
static_assert(limits::qr_size_px == 2'000 && limits::qr_margin_modules == 16);
static_assert(limits::lock_ttl_s == 86'400 && limits::metadata_bytes == 16'384);

constexpr MemberSpec codes_spec{"codes", fits_code, limits::upload_codes};

constexpr const char* unfit_user_id =
    "userId must be 1 to 255 characters without control characters";

constexpr const char* unfit_code = "code must be 1 to 128 characters without control characters";

void add_unknown(Messages& messages, std::span<const std::string> names, std::size_t count,
                 const std::string& path = "") {
    for (const std::string& name : names) {
        messages.push_back("property " + path + shown(name) + " should not exist");
    }
    if (count > names.size()) {
        messages.push_back("and " + std::to_string(count - names.size()) + " more");
    }
}

/// The members of a body one after the other, in the order of its specs. Each call takes the next
/// one and adds what is wrong with it to the messages; then what it returns means nothing.
class Members {
public:
    /// `path`: of the object that has the members, as `order.`; empty where it is the body.
    Members(Body body, std::span<const MemberSpec> specs, Messages& messages,
            std::string_view path = "")
        : body_(std::move(body)), specs_(specs), messages_(messages), path_(path) {}

    /// Whether the member taken last was there, `null` or not.
    bool was_given() const { return body_.members[next_ - 1].kind != Kind::absent; }
    /// Whether any was.
    bool any_given() const {
        return body_.unknown_count > 0 ||
               std::ranges::any_of(
                   body_.members, [](const Member& member) { return member.kind != Kind::absent; });
    }

    std::string required_string(std::size_t most_characters) {
        Member* const member = next();
        if (member == nullptr) return {};
        if (member->kind == Kind::absent || member->kind == Kind::null ||
            (member->kind == Kind::string && member->text.empty())) {
            return complain(" should not be empty");
        }
        return text_of(*member, most_characters);
    }

    /// Empty where it is left out or null; otherwise not empty.
    std::string optional_key(std::size_t most_characters) {
        Member* const member = next_value();
        if (member == nullptr) return {};
        if (member->kind == Kind::string && member->text.empty()) {
            return complain(" should not be empty");
        }
        return text_of(*member, most_characters);
    }

    /// Empty where it is left out or null.
    std::string optional_string(std::size_t most_characters) {
        Member* const member = next_value();
        return member == nullptr ? std::string() : text_of(*member, most_characters);
    }

    bool optional_boolean(bool usual) {
        const Member* const member = next_value();
        if (member == nullptr) return usual;
        if (member->kind != Kind::boolean) complain(" must be a boolean");
        return member->text == "true";
    }

    /// A date or a time, which goes where read_moment() puts it.
    void optional_time(std::optional<Timestamp>& at, std::string& date) {
        const Member* const member = next_value();
        if (member == nullptr) return;
        if (member->kind != Kind::string || !read_moment(member->text, at, date)) {
            complain(must_be_a_moment);
        }
    }

    std::string optional_time_zone() {
        Member* const member = next_value();
        if (member == nullptr) return "UTC";
        if (member->kind != Kind::string || !TimeZone::find(member->text)) {
            complain(" must be one of the IANA database, such as Europe/Berlin, or UTC");
        }
        return std::move(member->text);
    }

    /// Whether it is `open`; `required` is the usual.
    bool optional_assignment() {
        const Member* const member = next_value();
        if (member == nullptr) return false;
        const bool open = member->kind == Kind::string && member->text == "open";
        const bool required = member->kind == Kind::string && member->text == "required";
        if (!open && !required) complain(" must be one of required, open");
        return open;
    }

    /// An object, as JSON without white space.
    std::string optional_object(std::size_t most_bytes, std::string usual = "{}") {
        Member* const member = next_value();
        if (member == nullptr) return usual;
        if (member->kind != Kind::object) return complain(" must be an object");
        if (member->text.size() > most_bytes) {
            return complain(" must take no more than " + std::to_string(most_bytes) +
                            " bytes as JSON");
        }
        return std::move(member->text);
    }

    std::string required_pattern() {
        const std::size_t before = messages_.size();
        std::string text = required_string(limits::pattern_characters);
        if (messages_.size() != before) return {};
        const auto parsed = parse_code_pattern(text);
        if (const auto* const error = std::get_if<PatternError>(&parsed)) {
            complain(" is not a pattern: " + error->message + " at column " +
                     std::to_string(error->column));
        }
        return text;
    }

    /// A number that is an integer of 10^-decimals from `least` to `most`. `rule` says so.
    std::optional<std::int64_t> optional_number(int decimals, std::int64_t least, std::int64_t most,
                                                std::string_view rule) {
        const Member* const member = next_value();
        return member == nullptr ? std::nullopt : number_of(*member, decimals, least, most, rule);
    }

    /// What `find(word)` makes of a word that it knows.
    template <class Find>
    auto required_word(const Find& find, std::string_view rule) -> decltype(find("")) {
        const Member* const member = next();
        if (member == nullptr) return std::nullopt;
        auto found = member->kind == Kind::string ? find(member->text) : std::nullopt;
        if (!found) complain(rule);
        return found;
    }

    /// The same, or `usual` where it is left out or null.
    template <class Find, class Word>
    Word optional_word(const Find& find, Word usual, std::string_view rule) {
        const bool is_left_out = is_absent(next_) || is_null(next_);
        return is_left_out ? (skip(), usual) : required_word(find, rule).value_or(usual);
    }

    /// A string that `fits`; empty where it is left out or null.
    template <class Fits>
    std::string optional_text(const Fits& fits, std::string_view rule) {
        Member* const member = next_value();
        if (member == nullptr) return {};
        if (member->kind != Kind::string || !fits(member->text)) return complain(rule);
        return std::move(member->text);
    }

    std::optional<Currency> optional_currency() {
        return is_absent(next_) || is_null(next_) ? (skip(), std::nullopt) : required_currency();
    }

    /// An amount of money of a discount or an order, in minor units of `currency`, or hundredths.
    std::optional<std::int64_t> optional_amount(const std::optional<Currency>& currency) {
        return optional_number(exponent_of(currency), 0, limits::order_minor_units,
                               amount_rule(currency));
    }

    std::optional<std::int64_t> required_amount(const std::optional<Currency>& currency) {
        return required_number(exponent_of(currency), 0, limits::order_minor_units,
                               amount_rule(currency));
    }

    /// As optional_number().
    std::optional<std::int64_t> required_number(int decimals, std::int64_t least, std::int64_t most,
                                                std::string_view rule) {
        const Member* const member = next();
        return member == nullptr ? std::nullopt : number_of(*member, decimals, least, most, rule);
    }

    /// Takes a member that must be left out, or null.
    void refuse(std::string_view why) {
        const bool given = next_value() != nullptr;
        if (given) complain(" should not exist " + std::string(why));
    }

    std::optional<Currency> required_currency() {
        const Member* const member = next();
        if (member == nullptr) return std::nullopt;
        const auto currency =
            member->kind == Kind::string ? Currency::find(member->text) : std::nullopt;
        if (!currency) complain(" must be a currency of ISO 4217, such as EUR");
        return currency;
    }

    std::optional<BookId> optional_book_id() {
        return optional_number(0, 1, std::numeric_limits<BookId>::max(),
                               " must be a positive integer");
    }

    /// One to `most`.
    std::vector<std::string> required_codes(std::size_t most) {
        Member* const member = next();
        if (member == nullptr) return {};
        if (member->kind != Kind::array) {
            complain(" must be an array");
        } else if (member->size == 0) {
            complain(" must contain at least 1 element");
        } else if (member->size > most) {
            complain(" must contain no more than " + std::to_string(most) + " elements");
        }
        for (const std::size_t place : member->unfit) {
            complain("[" + std::to_string(place) +
                     "] must be a string of 1 to 128 characters without control characters");
        }
        if (member->unfit_count > member->unfit.size()) {
            messages_.push_back(
                "and " + std::to_string(member->unfit_count - member->unfit.size()) + " more");
        }
        return std::move(member->elements);
    }

    bool is_absent(std::size_t place) const { return body_.members[place].kind == Kind::absent; }
    bool is_null(std::size_t place) const { return body_.members[place].kind == Kind::null; }
    void skip() { next(); }

    /// Complains of all members that have no spec. To be called last.
    void refuse_unknown() {
        COUPOND_CHECK(next_ == specs_.size());
        add_unknown(messages_, body_.unknown, body_.unknown_count, path_);
    }

private:
    static std::string amount_rule(const std::optional<Currency>& currency) {
        const int decimals = exponent_of(currency);
        std::int64_t most = limits::order_minor_units;
        for (int i = 0; i < decimals; ++i) most /= 10;
        return " must be a number from 0 to " + std::to_string(most) + " with at most " +
               std::to_string(decimals) + " decimals";
    }

    std::optional<std::int64_t> number_of(const Member& member, int decimals, std::int64_t least,
                                          std::int64_t most, std::string_view rule) {
        std::optional<std::int64_t> value;
        if (member.kind == Kind::number) value = scaled_decimal(member.text, decimals);
        if (value && *value >= least && *value <= most) return value;
        complain(rule);
        return std::nullopt;
    }

    /// The characters of a member that is there.
    std::string text_of(Member& member, std::size_t most_characters) {
        if (member.kind != Kind::string) return complain(" must be a string");
        const auto shape = examine_text(member.text);
        COUPOND_CHECK(shape.has_value());  // the parser has seen to it
        if (shape->characters > most_characters) {
            return complain(" must be shorter than or equal to " + std::to_string(most_characters) +
                            " characters");
        }
        if (shape->has_control) return complain(" must not contain control characters");
        return std::move(member.text);
    }

    /// The next member; null where it was left out, or is null, or was given more than once.
    Member* next_value() {
        Member* const member = next();
        const bool none =
            member == nullptr || member->kind == Kind::absent || member->kind == Kind::null;
        return none ? nullptr : member;
    }

    /// The next member; null where it was given more than once, of which it complains.
    Member* next() {
        COUPOND_CHECK(next_ < specs_.size());
        Member* const member = &body_.members[next_++];
        if (!member->repeated) return member;
        messages_.push_back("property " + path_ + std::string(specs_[next_ - 1].name) +
                            " is given twice");
        return nullptr;
    }

    /// Adds a sentence about the member taken last.
    std::string complain(std::string_view rule) {
        messages_.push_back(path_ + std::string(specs_[next_ - 1].name).append(rule));
        return {};
    }

    Body body_;
    std::span<const MemberSpec> specs_;
    Messages& messages_;
    const std::string path_;
    std::size_t next_ = 0;
};

Answer refuse_json(const MalformedJson& malformed, std::string_view request_id) {
    switch (malformed.reason) {
        case MalformedJson::Reason::empty:
            return invalid({"body must be an object, but is empty"}, request_id);
        case MalformedJson::Reason::too_deep:
            return problem(400, "malformed_json", "The body is nested deeper than 32 levels",
                           request_id);
        case MalformedJson::Reason::syntax: break;
    }
    return problem(
        400, "malformed_json",
        "The body is not JSON: " + malformed.what + " at byte " + std::to_string(malformed.offset),
        request_id);
}

/// The body, or why it cannot be had.
std::variant<Body, Answer> read(const Request& request, std::span<const MemberSpec> specs) {
    switch (classify_media_type(request.content_type)) {
        case MediaType::json: break;
        case MediaType::another_charset:
            return problem(415, "unsupported_media_type",
                           "Content-Type must be application/json; charset=utf-8",
                           request.request_id);
        case MediaType::csv:
        case MediaType::ndjson:
        case MediaType::another:
            return problem(415, "unsupported_media_type", "Content-Type must be application/json",
                           request.request_id);
    }
    auto body = read_body(request.body, specs);
    if (const auto* const malformed = std::get_if<MalformedJson>(&body)) {
        return refuse_json(*malformed, request.request_id);
    }
    if (!std::get<Body>(body).is_object) {
        return invalid({"body must be an object"}, request.request_id);
    }
    return std::get<Body>(std::move(body));
}

/// Reads a body with `take(members)`, which returns the command. `messages` holds the complaints so
/// far, about other parts of the request.
template <class Command, class Take>
Decoded<Command> decode(const Request& request, std::span<const MemberSpec> specs,
                        Messages& messages, Take take) {
    auto body = read(request, specs);
    if (auto* const answer = std::get_if<Answer>(&body)) return std::move(*answer);
    Members members(std::get<Body>(std::move(body)), specs, messages);
    Command command = take(members);
    members.refuse_unknown();
    if (!messages.empty()) return invalid(messages, request.request_id);
    return command;
}

/// Reads an object that read_body() has captured with `take(members)`; nothing where it complains.
template <class Take>
auto read_captured(std::string_view json, std::span<const MemberSpec> specs, std::string_view path,
                   Messages& messages, const Take& take)
    -> std::optional<decltype(take(std::declval<Members&>()))> {
    auto body = read_body(json, specs);
    COUPOND_CHECK(std::holds_alternative<Body>(body));
    const std::size_t before = messages.size();
    Members members(std::get<Body>(std::move(body)), specs, messages, path);
    auto taken = take(members);
    members.refuse_unknown();
    if (messages.size() != before) return std::nullopt;
    return taken;
}

/// `needs_id`: it must have one.
std::optional<Order> read_order(Members& members, bool needs_id, Messages& messages) {
    // The currency first, for what the amount may be depends on it; but not in the messages.
    static constexpr std::array specs{MemberSpec{"currency"}, MemberSpec{"amount"},
                                      MemberSpec{"id"}};
    const std::size_t before = messages.size();
    const std::string json = members.optional_object(limits::body_bytes, "");
    if (json.empty() || messages.size() != before) return std::nullopt;
    const auto order =
        read_captured(json, specs, "order.", messages, [&](Members& those) -> std::optional<Order> {
            const std::size_t of_currency = messages.size();
            const auto currency = those.required_currency();
            const std::size_t of_amount = messages.size();
            const auto amount = those.required_amount(currency);
            const auto begin = messages.begin();
            std::rotate(begin + static_cast<std::ptrdiff_t>(of_currency),
                        begin + static_cast<std::ptrdiff_t>(of_amount), messages.end());
            std::optional<std::string> id;
            if (!needs_id && (those.is_absent(2) || those.is_null(2))) {
                those.skip();
            } else {
                id = those.required_string(limits::order_id_characters);
            }
            if (!currency || !amount) return std::nullopt;
            return Order{std::move(id), *amount, *currency};
        });
    return order.value_or(std::nullopt);
}

/// A decoder of those of them that may be for an order.
template <class Command>
Decoded<Command> decode_for_order(const Request& request, std::string_view path_code,
                                  Command command) {
    static constexpr std::array specs{
        MemberSpec{"userId"}, MemberSpec{.name = "order", .captured = true}, MemberSpec{"lockKey"}};
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    return decode<Command>(request, specs, messages, [&](Members& members) {
        command.code = path_code;
        command.user_id = members.required_string(limits::user_id_characters);
        command.order = read_order(members, true, messages);
        command.lock_key = members.optional_key(limits::lock_key_characters);
        return std::move(command);
    });
}

constexpr std::array codes_of_order_specs{
    MemberSpec{"userId"}, MemberSpec{"codes", fits_code, limits::order_codes},
    MemberSpec{.name = "order", .captured = true}, MemberSpec{"lockKey"}};

/// Each once, one or more.
std::vector<std::string> read_codes_of_order(Members& members, Messages& messages) {
    const std::size_t before = messages.size();
    std::vector<std::string> codes = members.required_codes(limits::order_codes);
    if (messages.size() != before) return codes;
    std::map<std::string_view, std::size_t> first;
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const auto [place, is_new] = first.try_emplace(codes[i], i);
        if (is_new) continue;
        messages.push_back("codes[" + std::to_string(i) + "] is codes[" +
                           std::to_string(place->second) + "] again");
    }
    return codes;
}

std::optional<Discount::Type> discount_type(std::string_view name) {
    using Type = Discount::Type;
    for (const Type type : {Type::amount, Type::percent, Type::fixed_price, Type::free_shipping}) {
        if (name_of(type) == name) return type;
    }
    return std::nullopt;
}

constexpr std::string_view unfit_error_level = " must be one of L, M, Q, H";
constexpr std::string_view unfit_qr_url =
    " must be an absolute URI of at most 1024 characters that holds {code} once, such as "
    "https://shop.example/?c={code}";

std::optional<QrImages::ErrorLevel> error_level(std::string_view name) {
    using Level = QrImages::ErrorLevel;
    for (const Level level : {Level::low, Level::medium, Level::quartile, Level::high}) {
        if (name_of(level) == name) return level;
    }
    return std::nullopt;
}

std::optional<QrImages::Format> image_format(std::string_view name) {
    if (name == "svg") return QrImages::Format::svg;
    if (name == "png") return QrImages::Format::png;
    return std::nullopt;
}

Discount read_discount(Members& members) {
    Discount discount;
    const auto type = members.required_word(
        discount_type, " must be one of amount, percent, fixed_price, free_shipping");
    discount.currency = members.optional_currency();
    switch (type.value_or(Discount::Type::free_shipping)) {
        case Discount::Type::amount:
        case Discount::Type::fixed_price:
            discount.value = members.required_amount(discount.currency).value_or(0);
            break;
        case Discount::Type::percent:
            discount.value =
                members
                    .required_number(2, 0, 100'00,
                                     " must be a number from 0 to 100 with at most 2 decimals")
                    .value_or(0);
            break;
        case Discount::Type::free_shipping:
            type ? members.refuse("for free_shipping") : members.skip();
            break;
    }
    discount.max_amount = members.optional_amount(discount.currency);
    discount.min_order_amount = members.optional_amount(discount.currency);
    discount.type = type.value_or(Discount::Type::amount);
    return discount;
}

BookId read_path_id(std::string_view path_id, Messages& messages) {
    const auto id = read_digits(path_id);
    if (!id || *id < 1) messages.emplace_back("id must be a positive integer");
    return id.value_or(0);
}

/// Where the body may be left out.
Request or_empty(Request request) {
    if (request.body.empty()) request.body = "{}";
    return request;
}

void require_any(const Members& members, Messages& messages) {
    if (!members.any_given()) messages.emplace_back("body must have at least one member");
}

constexpr std::array book_specs{MemberSpec{"name"},
                                MemberSpec{"codePattern"},
                                MemberSpec{"maxRedemptionsPerUser"},
                                MemberSpec{"discountAmount"},
                                MemberSpec{.name = "discount", .captured = true},
                                MemberSpec{"description"},
                                MemberSpec{"active"},
                                MemberSpec{"startsAt"},
                                MemberSpec{"endsAt"},
                                MemberSpec{"timeZone"},
                                MemberSpec{"maxRedemptions"},
                                MemberSpec{"budget"},
                                MemberSpec{.name = "limits", .captured = true},
                                MemberSpec{"maxAssignmentsPerUser"},
                                MemberSpec{"maxRedemptionsPerCode"},
                                MemberSpec{"assignment"},
                                MemberSpec{"caseSensitive"},
                                MemberSpec{"lockTtlSeconds"},
                                MemberSpec{"combinable"},
                                MemberSpec{.name = "autoGenerate", .captured = true},
                                MemberSpec{.name = "metadata", .captured = true}};
static_assert(book_specs.size() == BookMembers().size() + 1, "the discount has a short form");

/// From the next two members, of which one is the other's short form.
std::optional<Discount> read_either_discount(Members& members, Messages& messages) {
    static constexpr std::array specs{MemberSpec{"type"}, MemberSpec{"currency"},
                                      MemberSpec{"value"}, MemberSpec{"maxAmount"},
                                      MemberSpec{"minOrderAmount"}};
    const auto hundredths =
        members.optional_number(2, 0, limits::discount_cents,
                                " must be a number from 0 to 99999999.99 with at most 2 decimals");
    const std::size_t before = messages.size();
    const std::string json = members.optional_object(limits::body_bytes, "");
    if (json.empty() || messages.size() != before) return from_short_form(hundredths);
    if (hundredths) messages.emplace_back("discountAmount and discount must not both be given");
    return read_captured(json, specs, "discount.", messages, read_discount);
}

std::optional<std::int64_t> read_most(Members& members) {
    return members.optional_number(0, 1, limits::redemptions,
                                   " must be an integer from 1 to 1000000000");
}

std::optional<std::int64_t> read_budget(Members& members) {
    return members.optional_number(
        4, 1, limits::order_minor_units * 10'000,
        " must be a number greater than 0, up to 1000000000000, with at most 4 decimals");
}

/// From the next member.
std::map<Per, Limits> read_limits(Members& members, Messages& messages) {
    static constexpr std::array specs{MemberSpec{.name = "day", .captured = true},
                                      MemberSpec{.name = "week", .captured = true},
                                      MemberSpec{.name = "month", .captured = true}};
    static constexpr std::array limit_specs{
        MemberSpec{"maxRedemptions"}, MemberSpec{"maxRedemptionsPerUser"}, MemberSpec{"budget"}};
    const std::size_t before = messages.size();
    const std::string json = members.optional_object(limits::body_bytes, "");
    if (json.empty() || messages.size() != before) return {};
    std::map<Per, Limits> read;
    read_captured(json, specs, "limits.", messages, [&](Members& pers) {
        for (std::size_t i = 0; i < specs.size(); ++i) {
            const std::string of_per = pers.optional_object(limits::body_bytes, "");
            if (of_per.empty()) continue;
            const std::string path = "limits." + std::string(specs[i].name) + ".";
            const auto limits =
                read_captured(of_per, limit_specs, path, messages, [](Members& those) {
                    Limits found;
                    found.max_redemptions = read_most(those);
                    found.max_redemptions_per_user = read_most(those);
                    found.budget = read_budget(those);
                    return found;
                });
            if (limits && *limits != Limits()) read.emplace(all_pers[i + 1], *limits);
        }
        return true;
    });
    return read;
}

/// From the next member.
std::optional<AutoGenerate> read_auto_generate(Members& members, Messages& messages) {
    static constexpr std::array specs{MemberSpec{"below"}, MemberSpec{"count"}};
    static constexpr std::string_view range = " must be an integer from 1 to 10000000";
    const std::size_t before = messages.size();
    const std::string json = members.optional_object(limits::body_bytes, "");
    if (json.empty() || messages.size() != before) return std::nullopt;
    return read_captured(json, specs, "autoGenerate.", messages, [](Members& those) {
        AutoGenerate more;
        more.below = those.required_number(0, 1, limits::generated_codes, range).value_or(1);
        more.count = those.required_number(0, 1, limits::generated_codes, range).value_or(1);
        return more;
    });
}

/// `edits`: whether all members may be left out. `given`: those that were not.
BookWish read_book(Members& members, bool edits, BookMembers& given, Messages& messages) {
    BookWish book;
    std::size_t place = 0;
    const auto note = [&] { given[place++] = members.was_given(); };
    const auto may_be_absent = [&](std::size_t member) {
        return edits && members.is_absent(member);
    };
    if (may_be_absent(0)) {
        members.skip();
    } else {
        book.name = members.required_string(limits::name_characters);
    }
    note();
    if (may_be_absent(1)) {
        members.skip();
    } else {
        book.code_pattern = members.required_pattern();
    }
    note();
    book.max_redemptions_per_user = read_most(members);
    note();
    book.discount = read_either_discount(members, messages);
    given[place++] = !members.is_absent(3) || !members.is_absent(4);
    book.description = members.optional_string(limits::description_characters);
    note();
    book.active = members.optional_boolean(true);
    note();
    members.optional_time(book.starts_at, book.starts_on);
    note();
    members.optional_time(book.ends_at, book.ends_on);
    note();
    book.time_zone = members.optional_time_zone();
    note();
    book.max_redemptions = read_most(members);
    note();
    book.budget = read_budget(members);
    note();
    book.limits = read_limits(members, messages);
    note();
    book.max_assignments_per_user = read_most(members);
    note();
    const auto per_code = read_most(members);
    book.max_redemptions_per_code = members.was_given() ? per_code : 1;
    note();
    book.open = members.optional_assignment();
    note();
    book.case_sensitive = members.optional_boolean(true);
    note();
    book.lock_ttl_s =
        members.optional_number(0, 1, limits::lock_ttl_s, " must be an integer from 1 to 86400");
    note();
    book.combinable = members.optional_boolean(true);
    note();
    book.auto_generate = read_auto_generate(members, messages);
    note();
    book.metadata = members.optional_object(limits::metadata_bytes);
    note();
    return book;
}

/// The value of a parameter that may be given once; nothing where it is not, or is more than once.
const std::string* find_once(const Query& query, std::string_view name, Messages& messages) {
    const auto first = std::ranges::find(query, name, &QueryParam::name);
    if (first == query.end()) return nullptr;
    if (std::ranges::find(first + 1, query.end(), name, &QueryParam::name) == query.end()) {
        return &first->value;
    }
    messages.push_back(std::string(name) + " must be given once");
    return nullptr;
}

/// An integer parameter of at least `least`, 0 or 1; nothing where it is not given.
std::optional<std::int64_t> read_number(const Query& query, std::string_view name,
                                        std::int64_t least, Messages& messages) {
    const std::string* const text = find_once(query, name, messages);
    if (text == nullptr) return std::nullopt;
    const auto value = read_digits(*text);
    if (value && *value >= least) return value;
    messages.push_back(std::string(name) + (least == 0 ? " must be an integer of 0 or more"
                                                       : " must be a positive integer"));
    return std::nullopt;
}

/// An integer parameter from `least` to `most`; nothing where it is not given.
std::optional<int> read_bounded(const Query& query, std::string_view name, int least, int most,
                                Messages& messages) {
    const std::string* const text = find_once(query, name, messages);
    if (text == nullptr) return std::nullopt;
    const auto value = read_digits(*text);
    if (value && *value >= least && *value <= most) return static_cast<int>(*value);
    messages.push_back(std::string(name) + " must be an integer from " + std::to_string(least) +
                       " to " + std::to_string(most));
    return std::nullopt;
}

/// Whether all of it may stand in a URI (RFC 3986).
bool is_uri_text(std::string_view text) {
    constexpr std::string_view characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "-._~:/?#[]@!$&'()*+,;=%";
    constexpr std::string_view digits = "0123456789abcdefABCDEF";
    if (text.find_first_not_of(characters) != std::string_view::npos) return false;
    for (std::size_t at = 0; (at = text.find('%', at)) != std::string_view::npos; at += 3) {
        const std::string_view byte = text.substr(at + 1, 2);
        if (byte.size() < 2 || byte.find_first_not_of(digits) != std::string_view::npos)
            return false;
    }
    return true;
}

/// Whether `text` is a scheme, a colon and something more of a URI, with one `{code}` in it.
bool fits_url_template(std::string_view text) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    constexpr std::string_view scheme_characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    const std::size_t place = text.find(code_place);
    if (place == std::string_view::npos || text.size() > limits::qr_url_characters) return false;
    const std::string_view before = text.substr(0, place);
    const std::string_view after = text.substr(place + code_place.size());
    const std::size_t colon = before.find_first_not_of(scheme_characters);
    return colon != std::string_view::npos && before[colon] == ':' &&
           letters.find(before.front()) != std::string_view::npos && is_uri_text(before) &&
           is_uri_text(after);
}

std::size_t read_limit(const Query& query, std::size_t usual, std::size_t most,
                       Messages& messages) {
    const std::string* const text = find_once(query, "limit", messages);
    if (text == nullptr) return usual;
    const auto value = read_digits(*text);
    if (value && *value >= 1 && *value <= static_cast<std::int64_t>(most)) {
        return static_cast<std::size_t>(*value);
    }
    messages.push_back("limit must be an integer from 1 to " + std::to_string(most));
    return usual;
}

/// bookId, code and type.
void read_entry_filters(const Query& query, EntryQuery& entries, Messages& messages) {
    entries.book_id = read_number(query, "bookId", 1, messages);
    if (const std::string* const text = find_once(query, "code", messages)) {
        entries.code = *text;
        if (!fits_code(*text)) messages.emplace_back(unfit_code);
    }
    if (const std::string* const text = find_once(query, "type", messages)) {
        entries.type = entry_type(*text);
        if (!entries.type) messages.push_back("type must be one of " + entry_type_names());
    }
}

void refuse_unknown_parameters(const Query& query, std::span<const std::string_view> known,
                               Messages& messages) {
    std::vector<std::string> unknown;
    std::size_t count = 0;
    for (const QueryParam& param : query) {
        const std::string_view name = cut_name(param.name);
        if (std::ranges::find(known, param.name) != known.end()) continue;
        if (std::ranges::find(unknown, name) != unknown.end()) continue;
        ++count;
        if (unknown.size() < most_reported) unknown.emplace_back(name);
    }
    add_unknown(messages, unknown, count);
}

constexpr std::string_view unfit_code_filter =
    " must be 1 to 128 characters without control characters";

/// Which codes of a book are asked for, but for their pages.
CodeQuery read_code_filters(std::string_view path_id, const Query& query, Messages& messages) {
    CodeQuery codes;
    const auto id = read_digits(path_id);
    if (!id || *id < 1) messages.emplace_back("id must be a positive integer");
    codes.book_id = id.value_or(0);
    if (const std::string* const text = find_once(query, "status", messages)) {
        const auto status = code_filter(*text);
        if (!status) {
            messages.emplace_back("status must be one of free, assigned, locked, redeemed");
        }
        codes.filter = status.value_or(CodeQuery::Filter::all);
    }
    if (const std::string* const text = find_once(query, "userId", messages)) {
        codes.user_id = *text;
        if (!fits_user_id(*text)) messages.emplace_back(unfit_user_id);
    }
    if (const std::string* const text = find_once(query, "prefix", messages)) {
        codes.prefix = *text;
        if (!fits_code(*text)) {
            messages.push_back("prefix" + std::string(unfit_code_filter));
        }
    }
    return codes;
}

}  // namespace

Decoded<CreateBook> decode_create_book(const Request& request) {
    Messages messages;
    return decode<CreateBook>(request, book_specs, messages, [&](Members& members) {
        BookMembers given;
        return CreateBook{read_book(members, false, given, messages)};
    });
}

Decoded<EditBook> decode_edit_book(const Request& request, std::string_view path_id) {
    Messages messages;
    EditBook command;
    command.book_id = read_path_id(path_id, messages);
    return decode<EditBook>(request, book_specs, messages, [&](Members& members) {
        require_any(members, messages);
        command.wish = read_book(members, true, command.wished, messages);
        return std::move(command);
    });
}

Decoded<ArchiveBook> decode_archive_book(std::string_view path_id, const Query& query,
                                         std::string_view request_id) {
    auto id = decode_book_id(path_id, query, request_id);
    if (auto* const answer = std::get_if<Answer>(&id)) return std::move(*answer);
    return ArchiveBook{std::get<BookId>(id)};
}

Decoded<RestoreBook> decode_restore_book(const Request& request, std::string_view path_id) {
    Messages messages;
    const RestoreBook command{read_path_id(path_id, messages)};
    return decode<RestoreBook>(or_empty(request), {}, messages, [&](Members&) { return command; });
}

Decoded<UploadCodes> decode_upload_codes(const Request& request,
                                         std::optional<std::string_view> path_id) {
    if (path_id && classify_media_type(request.content_type) == MediaType::another) {
        return problem(415, "unsupported_media_type",
                       "Content-Type must be application/json, text/csv or application/x-ndjson",
                       request.request_id);
    }
    static constexpr std::array specs{codes_spec, MemberSpec{"couponBookId"}};
    Messages messages;
    std::optional<BookId> id;
    if (path_id) {
        id = read_digits(*path_id);
        if (!id || *id < 1) messages.emplace_back("id must be a positive integer");
    }
    const bool id_fits = messages.empty();
    return decode<UploadCodes>(request, specs, messages, [&](Members& members) {
        UploadCodes command;
        command.codes = members.required_codes(limits::upload_codes);
        const std::size_t before = messages.size();
        command.book_id = members.optional_book_id();
        const bool both = id && id_fits && command.book_id && messages.size() == before;
        if (both && *command.book_id != *id) {
            messages.emplace_back("couponBookId must equal the id in the path");
        }
        if (id) command.book_id = id;
        return command;
    });
}

Decoded<Generate> decode_generate(const Request& request, std::string_view path_id) {
    static constexpr std::array specs{MemberSpec{"count"}, MemberSpec{"expiresAt"},
                                      MemberSpec{.name = "metadata", .captured = true},
                                      MemberSpec{"wait"}};
    Messages messages;
    Generate asked;
    asked.command.book_id = read_path_id(path_id, messages);
    return decode<Generate>(request, specs, messages, [&](Members& members) {
        const auto count = members.required_number(0, 1, limits::generated_codes,
                                                   " must be an integer from 1 to 10000000");
        members.optional_time(asked.command.wish.expires_at, asked.command.expires_on);
        asked.command.wish.metadata = members.optional_object(limits::metadata_bytes);
        asked.wait = members.optional_boolean(false);
        asked.command.count = count.value_or(1);
        if (asked.wait && asked.command.count > limits::generated_at_once) {
            messages.emplace_back("count must be an integer from 1 to 10000 where wait is true");
        }
        const std::size_t of_each = std::max<std::size_t>(asked.command.wish.metadata.size(), 1);
        const std::size_t most = limits::metadata_at_once / of_each;
        if (asked.wait && static_cast<std::size_t>(asked.command.count) > most) {
            messages.push_back("count must be at most " + std::to_string(most) +
                               " where wait is true and metadata is so long");
        }
        return std::move(asked);
    });
}

std::optional<Import::Format> file_format(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    switch (classify_media_type(type)) {
        case MediaType::csv: return Import::Format::csv;
        case MediaType::ndjson: return Import::Format::ndjson;
        default: return std::nullopt;
    }
}

Decoded<ReceiveFile> decode_receive_file(Import::Format format, std::string_view content_type,
                                         std::string_view path_id, const Query& query,
                                         std::string_view request_id) {
    static constexpr std::array<std::string_view, 1> known{"onConflict"};
    if (classify_media_type(content_type) == MediaType::another_charset) {
        return problem(415, "unsupported_media_type", "Files of codes must be in UTF-8",
                       request_id);
    }
    Messages messages;
    ReceiveFile command;
    command.format = format;
    command.book_id = read_path_id(path_id, messages);
    if (const std::string* const text = find_once(query, "onConflict", messages)) {
        command.skips = *text == "skip";
        if (!command.skips && *text != "fail") {
            messages.emplace_back("onConflict must be one of fail, skip");
        }
    }
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return command;
}

Decoded<RejectedQuery> decode_rejected_rows(std::string_view path_id, const Query& query,
                                            std::string_view accept, std::string_view request_id) {
    static constexpr std::array<std::string_view, 2> known{"limit", "after"};
    Messages messages;
    RejectedQuery rows;
    rows.job_id = read_path_id(path_id, messages);
    rows.as_csv = code_format(accept) == CodeFormat::csv;
    const std::size_t most =
        rows.as_csv ? static_cast<std::size_t>(limits::rejected_rows) : limits::page_rejected;
    rows.limit = read_limit(query, most, most, messages);
    rows.after = read_number(query, "after", 0, messages).value_or(0);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return rows;
}

Decoded<DrawImages> decode_draw_images(const Request& request, std::string_view path_id) {
    static constexpr std::array specs{MemberSpec{"format"}, MemberSpec{"size"},
                                      MemberSpec{"margin"}, MemberSpec{"errorLevel"},
                                      MemberSpec{"url"}};
    Messages messages;
    DrawImages command;
    command.book_id = read_path_id(path_id, messages);
    return decode<DrawImages>(or_empty(request), specs, messages, [&](Members& members) {
        QrImages& wish = command.wish;
        wish.format =
            members.optional_word(image_format, QrImages::Format::svg, " must be one of svg, png");
        wish.size_px =
            members.optional_number(0, 1, limits::qr_size_px, " must be an integer from 1 to 2000")
                .value_or(limits::qr_size_px_default);
        wish.margin_modules = members
                                  .optional_number(0, 0, limits::qr_margin_modules,
                                                   " must be an integer from 0 to 16")
                                  .value_or(limits::qr_margin_modules_default);
        wish.error_level =
            members.optional_word(error_level, QrImages::ErrorLevel::medium, unfit_error_level);
        wish.url = members.optional_text(fits_url_template, unfit_qr_url);
        return std::move(command);
    });
}

Decoded<CancelJob> decode_cancel_job(std::string_view path_id, const Query& query,
                                     std::string_view request_id) {
    auto id = decode_book_id(path_id, query, request_id);
    if (auto* const answer = std::get_if<Answer>(&id)) return std::move(*answer);
    return CancelJob{std::get<BookId>(id)};
}

Decoded<AssignAny> decode_assign_any(const Request& request) {
    static constexpr std::array specs{MemberSpec{"userId"}, MemberSpec{"couponBookId"}};
    Messages messages;
    return decode<AssignAny>(request, specs, messages, [](Members& members) {
        AssignAny command;
        command.user_id = members.required_string(limits::user_id_characters);
        command.book_id = members.optional_book_id();
        return command;
    });
}

Decoded<AssignCode> decode_assign_code(const Request& request, std::string_view path_code) {
    static constexpr std::array specs{MemberSpec{"userId"}};
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    return decode<AssignCode>(request, specs, messages, [&](Members& members) {
        return AssignCode{std::string(path_code),
                          members.required_string(limits::user_id_characters)};
    });
}

Decoded<LockCode> decode_lock_code(const Request& request, std::string_view path_code,
                                   std::int64_t ttl_ms) {
    return decode_for_order<LockCode>(request, path_code, LockCode{{}, {}, ttl_ms});
}

Decoded<RedeemCode> decode_redeem_code(const Request& request, std::string_view path_code) {
    return decode_for_order<RedeemCode>(request, path_code, {});
}

Decoded<LockCodes> decode_lock_codes(const Request& request, std::int64_t ttl_ms) {
    Messages messages;
    return decode<LockCodes>(request, codes_of_order_specs, messages, [&](Members& members) {
        LockCodes command;
        command.user_id = members.required_string(limits::user_id_characters);
        command.codes = read_codes_of_order(members, messages);
        command.order = read_order(members, true, messages);
        command.lock_key = members.optional_key(limits::lock_key_characters);
        command.ttl_ms = ttl_ms;
        return command;
    });
}

Decoded<RedeemCodes> decode_redeem_codes(const Request& request) {
    Messages messages;
    std::string user_id, lock_key;
    std::vector<std::string> codes;
    std::optional<Order> order;
    auto taken = decode<bool>(request, codes_of_order_specs, messages, [&](Members& members) {
        user_id = members.required_string(limits::user_id_characters);
        codes = read_codes_of_order(members, messages);
        const bool given = !members.is_absent(2) && !members.is_null(2);
        order = read_order(members, true, messages);
        if (!given) messages.emplace_back("order should not be empty");
        lock_key = members.optional_key(limits::lock_key_characters);
        return true;
    });
    if (auto* const answer = std::get_if<Answer>(&taken)) return std::move(*answer);
    return RedeemCodes{std::move(codes), std::move(user_id), *order, std::move(lock_key)};
}

Decoded<RollBack> decode_roll_back(const Request& request, std::string_view path_id) {
    static constexpr std::array specs{MemberSpec{"reason"}, MemberSpec{"amount"}};
    Messages messages;
    RollBack command;
    const auto id = read_digits(path_id);
    if (!id || *id < 1) messages.emplace_back("redemptionId must be a positive integer");
    command.redemption_id = id.value_or(0);
    return decode<RollBack>(or_empty(request), specs, messages, [&](Members& members) {
        command.reason = members.optional_string(limits::reason_characters);
        command.ten_thousandths = members.optional_number(
            4, 1, limits::order_minor_units * 10'000,
            " must be a number greater than 0, up to 1000000000000, with at most 4 decimals");
        return std::move(command);
    });
}

Decoded<EditCode> decode_edit_code(const Request& request, std::string_view path_code) {
    static constexpr std::array specs{MemberSpec{"active"}, MemberSpec{"expiresAt"},
                                      MemberSpec{"maxRedemptions"},
                                      MemberSpec{.name = "metadata", .captured = true}};
    static_assert(specs.size() == CodeMembers().size());
    Messages messages;
    EditCode command;
    command.code = path_code;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    return decode<EditCode>(request, specs, messages, [&](Members& members) {
        require_any(members, messages);
        command.wish.active = members.optional_boolean(true);
        command.wished[0] = members.was_given();
        members.optional_time(command.wish.expires_at, command.expires_on);
        command.wished[1] = members.was_given();
        command.wish.max_redemptions = read_most(members);
        command.wished[2] = members.was_given();
        command.wish.metadata = members.optional_object(limits::metadata_bytes);
        command.wished[3] = members.was_given();
        return std::move(command);
    });
}

Decoded<UnlockCode> decode_unlock_code(const Request& request, std::string_view path_code) {
    static constexpr std::array specs{MemberSpec{"userId"}, MemberSpec{"lockKey"}};
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    return decode<UnlockCode>(request, specs, messages, [&](Members& members) {
        return UnlockCode{std::string(path_code),
                          members.required_string(limits::user_id_characters),
                          members.optional_key(limits::lock_key_characters)};
    });
}

Decoded<UnassignCode> decode_unassign_code(const Request& request, std::string_view path_code) {
    static constexpr std::array specs{MemberSpec{"userId"}};
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    return decode<UnassignCode>(or_empty(request), specs, messages, [&](Members& members) {
        UnassignCode command{std::string(path_code), std::nullopt};
        if (members.is_absent(0) || members.is_null(0)) {
            members.skip();
        } else {
            command.user_id = members.required_string(limits::user_id_characters);
        }
        return command;
    });
}

Decoded<ValidateCode> decode_validate_code(const Request& request, std::string_view path_code,
                                           const Query& query) {
    static constexpr std::array specs{
        MemberSpec{"userId"}, MemberSpec{.name = "order", .captured = true}, MemberSpec{"asOf"}};
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    refuse_unknown_parameters(query, {}, messages);
    return decode<ValidateCode>(request, specs, messages, [&](Members& members) {
        ValidateCode asked;
        asked.code = path_code;
        asked.user_id = members.required_string(limits::user_id_characters);
        asked.order = read_order(members, false, messages);
        members.optional_time(asked.as_of, asked.as_of_date);
        return asked;
    });
}

Decoded<std::string> decode_idempotency_key(std::string_view field, std::string_view request_id) {
    const bool quoted = field.size() >= 2 && field.front() == '"' && field.back() == '"';
    if (quoted) field = field.substr(1, field.size() - 2);
    std::string key;
    bool fit = true;
    for (std::size_t i = 0; i < field.size(); ++i) {
        const bool escape = quoted && field[i] == '\\' && ++i < field.size();
        const char c = i < field.size() ? field[i] : '\0';
        const bool special = c == '"' || c == '\\' || (!quoted && (c == ',' || c == ';'));
        fit = fit && c > ' ' && c < '\x7F' && (escape ? c == '"' || c == '\\' : !special);
        key += c;
    }
    if (fit && !key.empty() && key.size() <= limits::idempotency_key_characters) return key;
    return problem(400, "idempotency_key_malformed",
                   "Idempotency-Key must be one string of 1 to " +
                       std::to_string(limits::idempotency_key_characters) +
                       " visible ASCII characters, in quotes or without",
                   request_id);
}

Decoded<BookId> decode_book_id(std::string_view path_id, const Query& query,
                               std::string_view request_id) {
    Messages messages;
    const auto id = read_digits(path_id);
    if (!id || *id < 1) messages.emplace_back("id must be a positive integer");
    refuse_unknown_parameters(query, {}, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return *id;
}

Decoded<std::string> decode_code(std::string_view path_code, const Query& query,
                                 std::string_view request_id) {
    Messages messages;
    if (!fits_code(path_code)) messages.emplace_back(unfit_code);
    refuse_unknown_parameters(query, {}, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return std::string(path_code);
}

Decoded<ShowQr> decode_show_qr(std::string_view path_file, const Query& query,
                               std::string_view request_id) {
    static constexpr std::array<std::string_view, 4> known{"size", "margin", "errorLevel", "url"};
    constexpr std::size_t suffix_bytes = 4;
    const bool svg = path_file.ends_with(".svg");
    if (path_file.size() <= suffix_bytes || (!svg && !path_file.ends_with(".png"))) {
        return problem(404, "route_not_found", "Cannot GET /coupon/qr/" + std::string(path_file),
                       request_id);
    }
    path_file.remove_suffix(suffix_bytes);
    ShowQr asked;
    Messages messages;
    asked.code = path_file;
    if (!fits_code(path_file)) messages.emplace_back(unfit_code);
    QrImages& wish = asked.wish;
    wish.format = svg ? QrImages::Format::svg : QrImages::Format::png;
    wish.size_px = read_bounded(query, "size", 1, limits::qr_size_px, messages)
                       .value_or(limits::qr_size_px_default);
    wish.margin_modules = read_bounded(query, "margin", 0, limits::qr_margin_modules, messages)
                              .value_or(limits::qr_margin_modules_default);
    if (const std::string* const text = find_once(query, "errorLevel", messages)) {
        const auto level = error_level(*text);
        if (!level) messages.push_back("errorLevel" + std::string(unfit_error_level));
        wish.error_level = level.value_or(QrImages::ErrorLevel::medium);
    }
    if (const std::string* const text = find_once(query, "url", messages)) {
        wish.url = *text;
        if (!fits_url_template(*text)) messages.push_back("url" + std::string(unfit_qr_url));
    }
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return asked;
}

Decoded<CodeQuery> decode_list_codes(std::string_view path_id, const Query& query,
                                     std::string_view request_id) {
    static constexpr std::array<std::string_view, 5> known{"status", "userId", "prefix", "limit",
                                                           "after"};
    Messages messages;
    CodeQuery codes = read_code_filters(path_id, query, messages);
    codes.limit =
        read_limit(query, limits::page_listed_codes_default, limits::page_listed_codes, messages);
    codes.after = read_number(query, "after", 0, messages).value_or(0);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return codes;
}

Decoded<CodeQuery> decode_export_codes(std::string_view path_id, const Query& query,
                                       std::string_view request_id) {
    static constexpr std::array<std::string_view, 4> known{"status", "userId", "prefix",
                                                           "afterCode"};
    Messages messages;
    CodeQuery codes = read_code_filters(path_id, query, messages);
    if (const std::string* const text = find_once(query, "afterCode", messages)) {
        codes.after_code = *text;
        if (!fits_code(*text)) messages.push_back("afterCode" + std::string(unfit_code_filter));
    }
    codes.limit = limits::export_page_codes;
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return codes;
}

Decoded<JobQuery> decode_list_jobs(const Query& query, std::string_view request_id) {
    static constexpr std::array<std::string_view, 4> known{"couponBookId", "status", "limit",
                                                           "before"};
    JobQuery jobs;
    Messages messages;
    jobs.book_id = read_number(query, "couponBookId", 1, messages);
    if (const std::string* const text = find_once(query, "status", messages)) {
        jobs.status = job_status(*text);
        if (!jobs.status) {
            messages.emplace_back(
                "status must be one of queued, running, completed, failed, cancelled");
        }
    }
    jobs.limit = read_limit(query, limits::page_jobs_default, limits::page_jobs, messages);
    jobs.before = read_number(query, "before", 1, messages);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return jobs;
}

Decoded<EraseUser> decode_erase_user(std::string_view path_user, const Query& query,
                                     std::string_view request_id, std::string erased_id) {
    Messages messages;
    if (!fits_user_id(path_user)) messages.emplace_back(unfit_user_id);
    refuse_unknown_parameters(query, {}, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return EraseUser{std::string(path_user), std::move(erased_id)};
}

Decoded<UserQuery> decode_show_user(std::string_view path_user, const Query& query,
                                    std::string_view request_id) {
    static constexpr std::array<std::string_view, 2> known{"limit", "after"};
    UserQuery user;
    Messages messages;
    user.user_id = path_user;
    if (!fits_user_id(path_user)) messages.emplace_back(unfit_user_id);
    user.limit =
        read_limit(query, limits::page_listed_codes_default, limits::page_listed_codes, messages);
    user.after = read_number(query, "after", 0, messages).value_or(0);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return user;
}

Decoded<EntryQuery> decode_list_entries(const Query& query, std::string_view request_id) {
    static constexpr std::array<std::string_view, 5> known{"after", "bookId", "code", "type",
                                                           "limit"};
    EntryQuery entries;
    Messages messages;
    entries.limit = read_limit(query, limits::page_entries_default, limits::page_entries, messages);
    entries.after = read_number(query, "after", 0, messages).value_or(0);
    read_entry_filters(query, entries, messages);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return entries;
}

Decoded<StreamEntries> decode_stream_entries(const Query& query,
                                             std::optional<std::string_view> last_event_id,
                                             std::string_view request_id) {
    static constexpr std::array<std::string_view, 4> known{"after", "bookId", "code", "type"};
    StreamEntries stream;
    Messages messages;
    std::optional<EntryId> after = read_number(query, "after", 0, messages);
    if (last_event_id) {
        after = read_digits(*last_event_id);
        if (!after) messages.emplace_back("Last-Event-ID must be an integer of 0 or more");
    }
    stream.from_now = !after;
    stream.query.after = after.value_or(0);
    stream.query.limit = limits::page_entries_default;
    read_entry_filters(query, stream.query, messages);
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return stream;
}

Decoded<ShowStatistics> decode_statistics(std::optional<std::string_view> path_id,
                                          const Query& query, Timestamp now,
                                          std::string_view request_id) {
    static constexpr std::array<std::string_view, 4> known{"from", "to", "bucket", "timeZone"};
    ShowStatistics asked{{}, CalendarUnit::day, TimeZone::find("UTC").value()};
    Messages messages;
    if (path_id) {
        asked.query.book_id = read_digits(*path_id);
        if (asked.query.book_id.value_or(0) < 1) {
            messages.emplace_back("id must be a positive integer");
        }
    }
    if (const std::string* const text = find_once(query, "bucket", messages)) {
        if (*text == "hour") asked.bucket = CalendarUnit::hour;
        if (*text != "hour" && *text != "day") messages.emplace_back("bucket must be hour or day");
    }
    if (const std::string* const text = find_once(query, "timeZone", messages)) {
        const auto zone = TimeZone::find(*text);
        if (zone) asked.zone = *zone;
        if (!zone) {
            messages.emplace_back(
                "timeZone must be one of the IANA database, such as Europe/Berlin, or UTC");
        }
    }
    const auto read_time = [&](std::string_view name) -> std::optional<Timestamp> {
        const std::string* const text = find_once(query, name, messages);
        if (text == nullptr) return std::nullopt;
        const auto at = asked.zone.parse(*text);
        if (!at) {
            messages.push_back(
                std::string(name) +
                " must be a date or a time of the years 2000 to 9998, with its offset "
                "from UTC, such as 2026-11-22, 2026-11-22T14:00:00Z or "
                "2026-11-22T15:00:00%2B01:00");
        }
        return at;
    };
    const std::optional<Timestamp> from = read_time("from");
    const std::optional<Timestamp> to = read_time("to");
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);

    const Timestamp end = to.value_or(asked.zone.next(asked.bucket, now));
    Timestamp begin = asked.zone.begin(asked.bucket, from.value_or(end + -1));
    if (!from) {
        for (int pieces = asked.bucket == CalendarUnit::day ? 30 : 48; pieces > 1; --pieces) {
            begin = asked.zone.begin(asked.bucket, begin + -1);
        }
    }
    std::vector<Timestamp>& bounds = asked.query.bounds;
    bounds.push_back(begin);
    while (bounds.back() < end && bounds.size() <= limits::statistics_pieces) {
        bounds.push_back(asked.zone.next(asked.bucket, bounds.back()));
    }
    if (from && *from >= end) return invalid({"from must lie before to"}, request_id);
    if (bounds.back() < end) {
        return invalid({"from and to must lie at most " +
                        std::to_string(limits::statistics_pieces) + " of the buckets apart"},
                       request_id);
    }
    return asked;
}

Decoded<BookQuery> decode_list_books(const Query& query, std::string_view request_id) {
    static constexpr std::array<std::string_view, 5> known{"limit", "after", "include", "name",
                                                           "sort"};
    BookQuery list;
    Messages messages;
    list.limit = read_limit(query, limits::page_books_default, limits::page_books, messages);
    if (const std::string* const text = find_once(query, "sort", messages)) {
        const auto sort = book_sort(*text);
        if (!sort) {
            messages.emplace_back("sort must be one of id, -id, name, -name, created, -created");
        }
        list.sort = sort.value_or(BookSort()).by;
        list.descending = sort.value_or(BookSort()).descending;
    }
    if (list.sort == BookQuery::Sort::id && !list.descending) {
        const auto id = read_number(query, "after", 1, messages);
        if (id) list.after = BookPlace{*id, {}, {}};
    } else if (const std::string* const text = find_once(query, "after", messages)) {
        list.after = book_place(*text, list);
        if (!list.after) {
            messages.push_back("after must be from a Link of a list with sort=" + name_of(list));
        }
    }
    if (const std::string* const text = find_once(query, "name", messages)) {
        list.name = *text;
        if (!fits(*text, limits::name_characters)) {
            messages.emplace_back("name must be 1 to 255 characters without control characters");
        }
    }
    if (const std::string* const text = find_once(query, "include", messages)) {
        list.with_codes = *text == "codes";
        if (!list.with_codes) messages.emplace_back("include must be codes");
    }
    refuse_unknown_parameters(query, known, messages);
    if (!messages.empty()) return invalid(messages, request_id);
    return list;
}

}  // namespace coupond::wire
