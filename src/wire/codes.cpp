#include "wire/codes.hpp"

#include <array>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "wire/ledger.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

void write_redemptions(JsonWriter& json, const std::vector<Redemption>& redemptions) {
    std::string_view before = "[";
    for (const Redemption& redemption : redemptions) {
        write_redemption(json.raw(std::exchange(before, ",")), redemption);
    }
    json.raw(redemptions.empty() ? "[]" : "]");
}

constexpr std::array<std::pair<CodeQuery::Filter, std::string_view>, 4> filters{{
    {CodeQuery::Filter::free, "free"},
    {CodeQuery::Filter::assigned, "assigned"},
    {CodeQuery::Filter::locked, "locked"},
    {CodeQuery::Filter::redeemed, "redeemed"},
}};

/// A code as it is now but for its closing brace.
void write_open_state(JsonWriter& json, const Code& code, Timestamp now) {
    const CodeStatus status = status_of(code, now);
    write_open_code(json, code, now);
    json.raw(R"(,"status":)").string(status_name(status));
    json.raw(R"(,"lockedUntil":)");
    status == CodeStatus::locked ? json.time(code.lock->until) : json.null();
}

std::string link_after(CodeId after, const CodeQuery& query) {
    std::string link = "</coupon/codes/" + std::to_string(query.book_id) +
                       "?limit=" + std::to_string(query.limit) + "&after=" + std::to_string(after);
    for (const auto& [filter, name] : filters) {
        if (filter == query.filter) link.append("&status=").append(name);
    }
    if (query.user_id) link += "&userId=" + escaped(*query.user_id);
    if (query.prefix) link += "&prefix=" + escaped(*query.prefix);
    return link + R"(>; rel="next")";
}

}  // namespace

std::string_view status_name(CodeStatus status) {
    switch (status) {
        case CodeStatus::free: return "free";
        case CodeStatus::assigned: return "assigned";
        case CodeStatus::locked: return "locked";
        case CodeStatus::redeemed: return "redeemed";
    }
    check_failed("a status is one of those above", __FILE__, __LINE__);
}

void write_listed_code(JsonWriter& json, const Code& code, Timestamp now) {
    write_open_state(json, code, now);
    json.raw("}");
}

std::optional<CodeQuery::Filter> code_filter(std::string_view name) {
    for (const auto& [filter, known] : filters) {
        if (known == name) return filter;
    }
    return std::nullopt;
}

Answer encode(const CodeHistory& found, Timestamp now) {
    std::string body;
    JsonWriter json(body);
    write_open_state(json, found.code, now);
    json.raw(R"(,"bookId":)").number(found.code.book_id);
    json.raw(R"(,"redemptionCount":)").number(found.redemption_count);
    write_redemptions(json.raw(R"(,"redemptions":)"), found.redemptions);
    write_entries(json.raw(R"(,"history":)"), found.history);
    json.raw("}");
    Answer answer;
    answer.body = std::move(body);
    if (found.history.more) {
        EntryQuery rest;
        rest.limit = limits::page_entries;
        rest.code = found.code.code;
        answer.link = link_after(found.history.read_to, rest);
    }
    return answer;
}

Answer encode(const UserPage& page, const UserQuery& query, Timestamp now) {
    Answer answer;
    std::string body;
    JsonWriter json(body);
    json.raw(R"({"userId":)").string(query.user_id).raw(R"(,"codes":[)");
    std::string_view before;
    for (const Code& code : page.codes) {
        write_open_state(json.raw(std::exchange(before, ",")), code, now);
        json.raw(R"(,"bookId":)").number(code.book_id).raw("}");
    }
    write_redemptions(json.raw(R"(],"redemptions":)"), page.redemptions);
    json.raw("}");
    answer.body = std::move(body);
    if (page.more) {
        answer.link = "</coupon/users/" + escaped(query.user_id) +
                      "?limit=" + std::to_string(query.limit) +
                      "&after=" + std::to_string(page.codes.back().id) + R"(>; rel="next")";
    }
    return answer;
}

Answer encode(const CodePage& page, const CodeQuery& query, Timestamp now,
              std::string_view request_id) {
    if (!page.book_found) return encode(Refusal::book_not_found, now, request_id);
    Answer answer;
    std::string body;
    JsonWriter json(body);
    std::string_view before = "[";
    for (const Code& code : page.codes) {
        write_listed_code(json.raw(std::exchange(before, ",")), code, now);
    }
    json.raw(page.codes.empty() ? "[]" : "]");
    answer.body = std::move(body);
    if (page.more) answer.link = link_after(page.read_to, query);
    return answer;
}

}  // namespace coupond::wire
