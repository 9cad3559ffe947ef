// The configuration: from flags, the environment and a .env file, in that order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

#include "aws/s3.hpp"
#include "aws/sqs.hpp"
#include "base/log.hpp"
#include "lock/redis/redis.hpp"
#include "store/postgres/postgres.hpp"

namespace coupond {

struct Config {
    enum class Subcommand {
        serve,
        migrate,
        migration_status,
        migration_dry_run,
        verify,
        export_ledger,
        work
    };

    Subcommand subcommand = Subcommand::serve;
    bool migrate_first = false;  ///< serve: bring the schema up to date before
    std::string host = "127.0.0.1";
    std::uint16_t port = 3000;                  ///< 0: any free one
    std::filesystem::path data_dir = "./data";  ///< unused with PostgreSQL
    std::optional<postgres::Options> postgres;  ///< nothing: SQLite
    std::optional<redis::Options> redis;        ///< nothing: locks are kept in the database
    std::filesystem::path qr_dir;               ///< where images of codes go; empty: qr in data_dir
    std::optional<aws::S3Options> bucket;       ///< where they go instead
    std::optional<aws::SqsOptions> job_queue;   ///< nothing: jobs are looked for in the database
    std::int64_t lock_ttl_ms = 300'000;
    std::int64_t export_after = 0;    ///< export_ledger: entries with greater ids
    std::filesystem::path archive;    ///< export_ledger: move entries to this file,
    std::int64_t retention_days = 0;  ///< those that are older; empty: print all of them
    log::Level log_level = log::Level::info;
    log::Format log_format = log::Format::text;
};

/// A value that is not allowed, or a call that does not fit; `what()` names it and says what is
/// allowed.
class ConfigError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What was asked for instead of a subcommand: --help or --version. To be printed.
struct Information {
    std::string text;
};

/// Reads the command line, then the environment, then the file `.env` in the current folder (where
/// there is one), then the defaults above. Throws ConfigError.
std::variant<Config, Information> read_config(int argc, char** argv);

/// The settings of a .env file as NAME=value lines, put into the environment where they are not set
/// there yet. Blank lines, `# comments`, a leading `export ` and single or double quotes around the
/// value are understood. Throws ConfigError with the line's number.
void load_env_file(const std::filesystem::path& path);

}  // namespace coupond
