// The subcommands.
#pragma once

#include "app/config.hpp"

namespace coupond {

/// Serves until SIGTERM or SIGINT. Throws OpenError and std::system_error where it cannot start; a
/// PostgreSQL that does not answer yet is waited for.
void serve(const Config& config);

/// Brings the database's schema up to date, or tells what that would do. Throws OpenError.
void migrate(const Config& config);

}  // namespace coupond
