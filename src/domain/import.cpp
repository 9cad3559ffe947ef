#include "domain/import.hpp"

#include <array>
#include <charconv>

#include "base/time_zone.hpp"

namespace coupond {
namespace {

// Its time zone, whose name has no space, and then numbers, in this order.
constexpr std::size_t number_count = 9;

}  // namespace

std::string row_text(const Import& import) {
    std::string text = import.time_zone;
    const std::array<std::int64_t, number_count> numbers{static_cast<std::int64_t>(import.format),
                                                         static_cast<std::int64_t>(import.skips),
                                                         static_cast<std::int64_t>(import.stage),
                                                         import.parts,
                                                         import.bytes,
                                                         import.rejected,
                                                         import.shares,
                                                         import.share,
                                                         import.done};
    for (const std::int64_t number : numbers) text.append(" ").append(std::to_string(number));
    return text;
}

bool read_row_text(std::string_view text, Import& import) {
    const std::size_t zone_end = text.find(' ');
    if (zone_end == std::string_view::npos) return false;
    import.time_zone = text.substr(0, zone_end);
    std::array<std::int64_t, number_count> numbers{};
    const char* at = text.data() + zone_end;
    const char* const end = text.data() + text.size();
    for (std::int64_t& number : numbers) {
        if (at == end || *at++ != ' ') return false;
        const auto read = std::from_chars(at, end, number);
        if (read.ec != std::errc() || number < 0) return false;
        at = read.ptr;
    }
    if (at != end || numbers[0] > static_cast<std::int64_t>(Import::Format::ndjson) ||
        numbers[1] > 1 || numbers[2] > static_cast<std::int64_t>(Import::Stage::adding)) {
        return false;
    }
    import.format = static_cast<Import::Format>(numbers[0]);
    import.skips = numbers[1] != 0;
    import.stage = static_cast<Import::Stage>(numbers[2]);
    import.parts = numbers[3];
    import.bytes = numbers[4];
    import.rejected = numbers[5];
    import.shares = numbers[6];
    import.share = numbers[7];
    import.done = numbers[8];
    return TimeZone::find(import.time_zone).has_value();
}

}  // namespace coupond
