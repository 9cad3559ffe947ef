// The program: configuration, wiring, subcommands.
#pragma once

namespace coupond {

/// What `main` does. Returns the exit status: 0 done or stopped, 1 it could not be done, or what
/// was verified differs, 2 wrongly called or configured.
int run_app(int argc, char** argv);

}  // namespace coupond
