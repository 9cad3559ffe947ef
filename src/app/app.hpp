// The program: configuration, wiring, subcommands.
#pragma once

namespace coupond {

/// What `main` does. Returns the exit status: 0 done, 1 failed, 2 wrongly called.
int run_app(int argc, char** argv);

}  // namespace coupond
