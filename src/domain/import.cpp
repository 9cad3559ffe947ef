#include "domain/import.hpp"

#include <array>

#include "base/time_zone.hpp"
#include "domain/row_numbers.hpp"

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
    append_numbers(text, numbers);
    return text;
}

bool read_row_text(std::string_view text, Import& import) {
    const std::size_t zone_end = text.find(' ');
    if (zone_end == std::string_view::npos) return false;
    import.time_zone = text.substr(0, zone_end);
    std::array<std::int64_t, number_count> numbers{};
    text.remove_prefix(zone_end);
    if (!take_numbers(text, numbers) || !text.empty() ||
        numbers[0] > static_cast<std::int64_t>(Import::Format::ndjson) || numbers[1] > 1 ||
        numbers[2] > static_cast<std::int64_t>(Import::Stage::adding)) {
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
