#include <map>
#include <string>

#include "wire/json_writer.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

/// `part` of `whole`, to four decimals; null of nothing.
void write_rate(JsonWriter& json, std::int64_t part, std::int64_t whole) {
    constexpr std::int64_t one = 10'000;
    if (whole == 0) {
        json.null();
        return;
    }
    const std::int64_t rate = (2 * part * one + whole) / (2 * whole);
    json.number(rate / one);
    std::string decimals = std::to_string(one + rate % one).substr(1);
    decimals.erase(decimals.find_last_not_of('0') + 1);
    if (!decimals.empty()) json.raw(".").raw(decimals);
}

/// What was given, less what was given back.
void write_discounts(JsonWriter& json, std::int64_t discount_cents,
                     const std::map<Currency, std::int64_t>& discounts) {
    json.raw(R"(,"discount":)").hundredths(discount_cents).raw(R"(,"discounts":[)");
    std::string_view before;
    for (const auto& [currency, amount] : discounts) {
        write_money(json.raw(std::exchange(before, ",")), Money{amount, currency});
    }
    json.raw("]");
}

void write_totals(JsonWriter& json, const Statistics& statistics) {
    const BookCounts& counts = statistics.counts;
    json.raw(R"({"total":)").number(counts.total);
    json.raw(R"(,"available":)").number(counts.available);
    json.raw(R"(,"assigned":)").number(counts.assigned);
    json.raw(R"(,"locked":)").number(counts.locked);
    json.raw(R"(,"redeemed":)").number(counts.redeemed);
    json.raw(R"(,"rolledBack":)").number(statistics.rolled_back);
    write_discounts(json, statistics.discount_cents, statistics.discounts);
    json.raw("}");
}

/// How many codes have come how far.
void write_funnel(JsonWriter& json, const Statistics& statistics) {
    const BookCounts& counts = statistics.counts;
    json.raw(R"([{"status":"free","codes":)").number(counts.total).raw(R"(,"rate":null})");
    std::int64_t before = counts.total;
    const auto write = [&](std::string_view status, std::int64_t codes) {
        json.raw(R"(,{"status":)").string(status).raw(R"(,"codes":)").number(codes);
        write_rate(json.raw(R"(,"rate":)"), codes, before);
        json.raw("}");
        before = codes;
    };
    write("assigned", counts.total - counts.available);
    write("locked", statistics.ever_locked);
    write("redeemed", counts.redeemed);
    json.raw("]");
}

void write_refusals(JsonWriter& json, const std::map<std::string, std::int64_t>& refusals) {
    std::map<std::string_view, std::int64_t> by_code;
    for (const auto& [name, times] : refusals) {
        const auto refusal = refusal_of(name);
        by_code[refusal ? code_of(*refusal) : std::string_view(name)] += times;
    }
    std::string_view before = "{";
    for (const auto& [code, times] : by_code) {
        json.raw(std::exchange(before, ",")).string(code).raw(":").number(times);
    }
    json.raw(by_code.empty() ? "{}" : "}");
}

void write_series(JsonWriter& json, const Statistics& statistics,
                  const std::vector<Timestamp>& bounds) {
    std::string_view before = "[";
    for (std::size_t i = 0; i < statistics.series.size(); ++i) {
        const auto& [activity, refused] = statistics.series[i];
        json.raw(std::exchange(before, ",")).raw(R"({"from":)").time(bounds[i]);
        json.raw(R"(,"uploaded":)").number(activity.uploaded);
        json.raw(R"(,"generated":)").number(activity.generated);
        json.raw(R"(,"assigned":)").number(activity.assigned);
        json.raw(R"(,"locked":)").number(activity.locked);
        json.raw(R"(,"redeemed":)").number(activity.redeemed);
        json.raw(R"(,"rolledBack":)").number(activity.rolled_back);
        write_discounts(json, activity.discount_cents, activity.discounts);
        json.raw(R"(,"refused":)").number(refused).raw("}");
    }
    json.raw("]");
}

}  // namespace

Answer encode(const Statistics& statistics, const ShowStatistics& asked,
              std::string_view request_id) {
    if (!statistics.book_found) return encode(Refusal::book_not_found, {}, request_id);
    const std::vector<Timestamp>& bounds = asked.query.bounds;
    std::string body;
    JsonWriter json(body);
    json.raw(R"({"from":)").time(bounds.front());
    json.raw(R"(,"to":)").time(bounds.back());
    json.raw(R"(,"bucket":)").string(asked.bucket == CalendarUnit::day ? "day" : "hour");
    json.raw(R"(,"timeZone":)").string(asked.zone.name());
    write_totals(json.raw(R"(,"totals":)"), statistics);
    write_funnel(json.raw(R"(,"funnel":)"), statistics);
    write_refusals(json.raw(R"(,"refusals":)"), statistics.refusals);
    write_series(json.raw(R"(,"series":)"), statistics, bounds);
    json.raw("}");
    Answer answer;
    answer.body = std::move(body);
    return answer;
}

}  // namespace coupond::wire
