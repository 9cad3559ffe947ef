// The subcommands.
#pragma once

#include "app/config.hpp"

namespace coupond {

/// Serves until SIGTERM or SIGINT. Throws sqlite::OpenError and std::system_error where
/// it cannot start.
void serve(const Config& config);

/// Brings the database's schema up to date. Throws sqlite::OpenError.
void migrate(const Config& config);

}  // namespace coupond
