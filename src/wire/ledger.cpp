#include "wire/ledger.hpp"

#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

using Type = LedgerEntry::Type;

constexpr std::array<std::pair<Type, std::string_view>, 15> types{{
    {Type::book_created, "book_created"},
    {Type::codes_uploaded, "codes_uploaded"},
    {Type::codes_generated, "codes_generated"},
    {Type::code_assigned, "code_assigned"},
    {Type::code_locked, "code_locked"},
    {Type::code_redeemed, "code_redeemed"},
    {Type::user_erased, "user_erased"},
    {Type::book_changed, "book_changed"},
    {Type::book_archived, "book_archived"},
    {Type::book_restored, "book_restored"},
    {Type::code_changed, "code_changed"},
    {Type::code_unassigned, "code_unassigned"},
    {Type::code_unlocked, "code_unlocked"},
    {Type::redemption_rolled_back, "redemption_rolled_back"},
    {Type::discount_given_back, "discount_given_back"},
}};

/// After which time a client whose stream has ended asks for it again.
constexpr int stream_retry_ms = 1'000;

/// What a code was before a change, or is after it.
struct State {
    std::string_view status;
    const std::optional<std::string>* user_id = nullptr;
    std::optional<Timestamp> locked_until = {};
    std::optional<Timestamp> redeemed_at = {};
};

std::pair<State, State> states_around(const LedgerEntry& entry) {
    const auto* const user = &entry.user_id;
    const State free{"free"};
    const State assigned{"assigned", user};
    const State locked{"locked", user, entry.locked_until};
    switch (entry.type) {
        case Type::code_assigned: return {free, assigned};
        case Type::code_locked: {
            const auto was_until = read_extension(entry.detail);
            return {was_until ? State{"locked", user, was_until} : assigned, locked};
        }
        case Type::code_redeemed:
            return {entry.locked_until ? locked : assigned, {"redeemed", user, {}, entry.at}};
        case Type::code_unassigned: return {assigned, free};
        case Type::code_unlocked: return {locked, assigned};
        case Type::redemption_rolled_back: return {State{"redeemed", user}, assigned};
        case Type::discount_given_back: return {State{"redeemed", user}, State{"redeemed", user}};
        case Type::book_created:
        case Type::book_changed:
        case Type::book_archived:
        case Type::book_restored:
        case Type::codes_uploaded:
        case Type::codes_generated:
        case Type::code_changed:
        case Type::user_erased: break;
    }
    check_failed("an entry about what a code has gone through", __FILE__, __LINE__);
}

void write_state(JsonWriter& json, const State& state) {
    json.raw(R"({"status":)").string(state.status).raw(R"(,"assignedTo":)");
    state.user_id != nullptr&&* state.user_id ? json.string(**state.user_id) : json.null();
    write_or_null(json.raw(R"(,"lockedUntil":)"), state.locked_until);
    write_or_null(json.raw(R"(,"redeemedAt":)"), state.redeemed_at);
    json.raw("}");
}

void write_book_change(JsonWriter& json, const LedgerEntry& entry) {
    auto change = read_book_change(entry.detail);
    COUPOND_CHECK(change.has_value());  // the store has seen to it
    json.raw(R"(,"before":)");
    if (change->before) {
        change->before->id = entry.book_id;
        write_open_book(json, *change->before);
        json.raw("}");
    } else {
        json.null();
    }
    change->after.id = entry.book_id;
    write_open_book(json.raw(R"(,"after":)"), change->after);
    json.raw("}}");
}

void write_code_change(JsonWriter& json, const LedgerEntry& entry) {
    const auto change = read_code_change(entry.detail);
    COUPOND_CHECK(change.has_value());  // the store has seen to it
    write_code_settings(json.raw(R"(,"before":{)"), change->before);
    write_code_settings(json.raw(R"(},"after":{)"), change->after);
    json.raw("}}");
}

/// Of a redemption, and of what takes back of one.
void write_what_is_redeemed(JsonWriter& json, const LedgerEntry& entry) {
    const bool redeems = entry.type == Type::code_redeemed;
    if (!redeems && !entry.redemption_id) return;
    json.raw(R"(,"redemptionId":)").number(redeems ? entry.id : *entry.redemption_id);
    if (redeems) write_order(json.raw(R"(,"order":)"), entry.order);
    write_money(json.raw(R"(,"discount":)"), entry.discount);
    if (redeems) return;
    json.raw(R"(,"reason":)");
    entry.detail.empty() ? json.null() : json.string(entry.detail);
}

void write_entry(JsonWriter& json, const EntryListing& listing) {
    const LedgerEntry& entry = listing.entry;
    json.raw(R"({"id":)").number(entry.id);
    json.raw(R"(,"at":)").time(entry.at);
    json.raw(R"(,"type":)").string(name_of(entry.type));
    json.raw(R"(,"bookId":)");
    entry.book_id == 0 ? json.null() : json.number(entry.book_id);
    json.raw(R"(,"code":)");
    listing.code.empty() ? json.null() : json.string(listing.code);
    json.raw(R"(,"userId":)");
    entry.user_id ? json.string(*entry.user_id) : json.null();
    write_what_is_redeemed(json, entry);
    if (LedgerEntry::adds_codes(entry.type)) json.raw(R"(,"codes":)").number(entry.codes);
    json.raw(R"(,"requestId":)").string(entry.request_id);
    switch (entry.type) {
        case Type::book_created:
        case Type::book_changed:
        case Type::book_archived:
        case Type::book_restored: return write_book_change(json, entry);
        case Type::code_changed: return write_code_change(json, entry);
        case Type::user_erased: json.raw(R"(,"before":null,"after":null})"); return;
        case Type::codes_uploaded:
        case Type::codes_generated:
            write_state(json.raw(R"(,"before":null,"after":)"), State{"free"});
            json.raw("}");
            return;
        case Type::code_assigned:
        case Type::code_locked:
        case Type::code_redeemed:
        case Type::code_unassigned:
        case Type::code_unlocked:
        case Type::redemption_rolled_back:
        case Type::discount_given_back: break;
    }
    const auto [before, after] = states_around(entry);
    write_state(json.raw(R"(,"before":)"), before);
    write_state(json.raw(R"(,"after":)"), after);
    json.raw("}");
}

void append_moved_to(std::string& out, EntryId id) {
    out += "id: " + std::to_string(id) + "\n\n";
}

}  // namespace

std::string_view name_of(Type type) {
    for (const auto& [known, name] : types) {
        if (known == type) return name;
    }
    check_failed("a type is one of those above", __FILE__, __LINE__);
}

std::optional<Type> entry_type(std::string_view name) {
    for (const auto& [type, known] : types) {
        if (known == name) return type;
    }
    return std::nullopt;
}

std::string entry_type_names() {
    std::string names;
    for (const auto& [type, name] : types) names.append(names.empty() ? "" : ", ").append(name);
    return names;
}

void write_entries(JsonWriter& json, const EntryPage& page) {
    std::string_view before = "[";
    for (const EntryListing& listing : page.entries) {
        write_entry(json.raw(std::exchange(before, ",")), listing);
    }
    json.raw(page.entries.empty() ? "[]" : "]");
}

void append_entry_line(std::string& out, const EntryListing& listing) {
    JsonWriter json(out);
    write_entry(json, listing);
    json.raw("\n");
}

void append_stream_begin(std::string& out, EntryId from) {
    out += "retry: " + std::to_string(stream_retry_ms) + "\n";
    append_moved_to(out, from);
}

void append_events(std::string& out, const EntryPage& page) {
    JsonWriter json(out);
    for (const EntryListing& listing : page.entries) {
        json.raw("id: ").number(listing.entry.id);
        json.raw("\nevent: ").raw(name_of(listing.entry.type));
        write_entry(json.raw("\ndata: "), listing);
        json.raw("\n\n");
    }
    if (page.entries.empty() && page.more) append_moved_to(out, page.read_to);
}

void append_keep_alive(std::string& out, std::optional<EntryId> moved_to) {
    out += ":\n";
    if (moved_to) return append_moved_to(out, *moved_to);
    out += '\n';
}

Answer event_stream(BodySource body) {
    Answer answer;
    answer.body = std::move(body);
    answer.content_type = "text/event-stream";
    answer.unbuffered = true;
    return answer;
}

std::string escaped(std::string_view text) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (plain.find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

std::string link_after(EntryId after, const EntryQuery& query) {
    std::string link =
        "</coupon/events?limit=" + std::to_string(query.limit) + "&after=" + std::to_string(after);
    if (query.book_id) link += "&bookId=" + std::to_string(*query.book_id);
    if (query.code) link += "&code=" + escaped(*query.code);
    if (query.type) link += "&type=" + std::string(name_of(*query.type));
    return link + R"(>; rel="next")";
}

Answer encode(const EntryPage& page, const EntryQuery& query) {
    Answer answer;
    std::string body;
    JsonWriter json(body);
    write_entries(json, page);
    answer.body = std::move(body);
    if (page.more) answer.link = link_after(page.read_to, query);
    return answer;
}

}  // namespace coupond::wire
