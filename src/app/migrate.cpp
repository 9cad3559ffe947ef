#include <cstdio>

#include "app/database.hpp"
#include "app/serve.hpp"

namespace coupond {
namespace {

void print_status(Database& database, int version) {
    const auto& steps = database.migrations();
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const bool taken = i < static_cast<std::size_t>(version);
        std::printf("%-8s %s\n", taken ? "applied" : "pending", steps[i].title);
    }
    const auto latest = static_cast<int>(steps.size());
    std::printf("%s is at schema version %d of %d%s\n", database.name().c_str(), version, latest,
                version < latest   ? ": run coupond migrate"
                : version > latest ? ": run a newer coupond"
                                   : "");
}

void print_sql(Database& database, int version) {
    const auto& steps = database.migrations();
    for (std::size_t i = static_cast<std::size_t>(version); i < steps.size(); ++i) {
        std::printf("-- %s\n%s\n", steps[i].title, database.step_sql(static_cast<int>(i)).c_str());
    }
    const std::size_t pending =
        steps.size() - std::min(steps.size(), static_cast<std::size_t>(version));
    std::printf("-- %s: %zu %s would be run, each in a transaction; nothing was changed\n",
                database.name().c_str(), pending, pending == 1 ? "migration" : "migrations");
}

}  // namespace

void migrate(const Config& config) {
    const std::unique_ptr<Database> database = open_database(config);
    if (config.subcommand == Config::Subcommand::migration_status) {
        return print_status(*database, database->schema_version());
    }
    if (config.subcommand == Config::Subcommand::migration_dry_run) {
        return print_sql(*database, database->schema_version());
    }
    const int run = database->migrate();
    std::printf("%s is at schema version %d (%d %s run)\n", database->name().c_str(),
                database->schema_version(), run, run == 1 ? "migration" : "migrations");
}

}  // namespace coupond
