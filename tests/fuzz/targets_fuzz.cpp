// The targets of requests, and the queries of lists behind them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "http/target.hpp"
#include "wire/wire.hpp"

namespace coupond::http {
namespace {

void check_text(std::string_view text) {
    COUPOND_CHECK(examine_text(text).has_value());
    COUPOND_CHECK(text.find('\0') == std::string_view::npos);
}

std::string escaped(std::string_view text) {
    constexpr const char* digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

/// A target made of decoded parts is read as those parts.
void check_round_trip(const std::vector<std::string>& segments, const wire::Query& query) {
    std::string text;
    for (const std::string& segment : segments) text += "/" + escaped(segment);
    const char* before = "?";
    for (const wire::QueryParam& param : query) {
        text += before + escaped(param.name) + "=" + escaped(param.value);
        before = "&";
    }
    Target target;
    wire::Query again;
    COUPOND_CHECK(target.parse(text, again));
    COUPOND_CHECK(std::vector<std::string>(target.segments().begin(), target.segments().end()) ==
                  segments);
    COUPOND_CHECK(again.size() == query.size());
    for (std::size_t i = 0; i < query.size(); ++i) {
        COUPOND_CHECK(again[i].name == query[i].name && again[i].value == query[i].value);
    }
}

void check_list(const wire::Query& query) {
    const auto decoded = wire::decode_list_books(query, "id");
    if (const auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        COUPOND_CHECK(answer->status == 400);
        check_text(std::get<std::string>(answer->body));
    } else {
        const auto& list = std::get<BookQuery>(decoded);
        COUPOND_CHECK(list.limit >= 1 && list.limit <= limits::page_books);
        COUPOND_CHECK(!list.after || list.after->id >= 1);
        BookPage page;
        page.read_to = list.after.value_or(BookPlace{1, "A", {}});
        page.more = true;
        const wire::Answer next = wire::encode(std::move(page), list, {}, "id");
        COUPOND_CHECK(next.link.starts_with("</coupon?"));
    }
}

void check_stream(const wire::Query& query, std::string_view last_event_id) {
    const auto decoded = wire::decode_stream_entries(query, last_event_id, "id");
    if (const auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        COUPOND_CHECK(answer->status == 400);
        check_text(std::get<std::string>(answer->body));
    } else {
        const auto& stream = std::get<wire::StreamEntries>(decoded);
        COUPOND_CHECK(!stream.from_now && stream.query.after >= 0 && stream.query.limit > 0);
    }
}

void check_entries(const wire::Query& query) {
    const auto decoded = wire::decode_list_entries(query, "id");
    if (const auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        COUPOND_CHECK(answer->status == 400);
        check_text(std::get<std::string>(answer->body));
    } else {
        const auto& list = std::get<EntryQuery>(decoded);
        COUPOND_CHECK(list.limit >= 1 && list.limit <= limits::page_entries && list.after >= 0);
        COUPOND_CHECK(list.book_id.value_or(1) >= 1);
        if (list.code) check_text(*list.code);
        const wire::Answer next = wire::encode(EntryPage{{}, list.after, true}, list);
        COUPOND_CHECK(next.link.starts_with("</coupon/events?"));
    }
}

void run(std::string_view text) {
    static Target target;  // used again and again, as a connection does
    static wire::Query query;
    if (!target.parse(text, query)) return;
    if (text == "*") {
        COUPOND_CHECK(target.segments().empty() && target.path() == "*");
        return;
    }
    COUPOND_CHECK(target.path().starts_with('/'));
    COUPOND_CHECK(target.path() == "/" || text.find(target.path()) != std::string_view::npos);
    COUPOND_CHECK(!target.segments().empty());
    for (const std::string_view segment : target.segments()) check_text(segment);
    for (const wire::QueryParam& param : query) {
        check_text(param.name);
        check_text(param.value);
    }
    check_list(query);
    check_entries(query);
    check_stream(query, query.empty() ? std::string_view("0") : query.front().value);
    check_round_trip({target.segments().begin(), target.segments().end()}, query);
}

}  // namespace
}  // namespace coupond::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    coupond::http::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
