#include <cstdio>
#include <string>

#include "app/database.hpp"
#include "app/every_second.hpp"
#include "app/serve.hpp"
#include "base/log.hpp"

namespace coupond {
namespace {

std::string counted(std::int64_t count, const std::string& one, const std::string& many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

void print(const Database& database, const Verification& found) {
    for (const std::string& line : found.lines) std::printf("%s\n", line.c_str());
    const auto more = found.differences - static_cast<std::int64_t>(found.lines.size());
    if (more > 0) std::printf("and %s more\n", std::to_string(more).c_str());
    const std::string sum = counted(found.differences, "difference", "differences") + " in " +
                            counted(found.books, "book", "books") + ", " +
                            counted(found.codes, "code", "codes") + ", " +
                            counted(found.entries, "entry", "entries") + " of the ledger";
    std::printf("%s: %s\n", database.name().c_str(), sum.c_str());
}

}  // namespace

bool verify(const Config& config) {
    const std::unique_ptr<Database> database = open_database(config);
    require_schema(*database);
    log::info("verifying", {{"database", std::string_view(database->name())}});
    const std::unique_ptr<Snapshot> snapshot = database->open_snapshot();
    const Verification found =
        verify(*snapshot, SystemClock().now(),
               [report = EverySecond()](std::int64_t codes, std::int64_t counted) mutable {
                   if (report.due()) log::info("verifying", {{"codes", codes}, {"of", counted}});
               });
    print(*database, found);
    return found.differences == 0;
}

}  // namespace coupond
