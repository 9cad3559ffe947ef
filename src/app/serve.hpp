// The subcommands.
#pragma once

#include "app/config.hpp"

namespace coupond {

/// Serves until SIGTERM or SIGINT. Throws OpenError and std::system_error where it cannot start,
/// ConfigError where DATABASE_URL is not understood; a PostgreSQL or a Redis that does not answer
/// yet is waited for.
void serve(const Config& config);

/// Brings the database's schema up to date, or tells what that would do. Throws OpenError and
/// ConfigError.
void migrate(const Config& config);

/// Holds the database against its ledger, and prints what differs. Whether nothing does. Throws
/// OpenError and ConfigError.
bool verify(const Config& config);

/// Prints the ledger, or moves old entries out of it. Throws OpenError, ConfigError, and
/// std::system_error where they cannot be written.
void export_ledger(const Config& config);

/// Works on jobs until SIGTERM or SIGINT. Throws OpenError where it cannot start, and ConfigError.
void work(const Config& config);

}  // namespace coupond
