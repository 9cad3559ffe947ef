// Assertions that stay on in release: a bug ends the process before it can answer or store
// nonsense.
#pragma once

namespace coupond {

/// Writes the condition and where it stands to stderr and aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace coupond

/// For what only a bug in coupond can make false; never for input or for the environment.
#define COUPOND_CHECK(condition) \
    ((condition) ? void() : ::coupond::check_failed(#condition, __FILE__, __LINE__))
