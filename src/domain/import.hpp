// Codes of a file, brought in by a job.
#pragma once

#include <cstdint>
#include <string>

#include "domain/types.hpp"

namespace coupond {

/// What a row of a file says of a code.
struct ImportedCode {
    std::int64_t line = 0;  ///< of the file, from 1: where the row begins
    std::string code;
    std::string user_id = {};  ///< whose it is already; empty: nobody's
    CodeSettings settings = {};
    std::string expires_on = {};  ///< not empty: `settings.expires_at` is when that day ends

    bool operator==(const ImportedCode&) const = default;
};

/// A row of a file that is not taken in.
struct RejectedRow {
    std::int64_t line = 0;
    std::string reason;  ///< a stable code in snake_case
    std::string text;    ///< what the row begins with: up to limits::rejected_text_bytes, UTF-8

    bool operator==(const RejectedRow&) const = default;
};

}  // namespace coupond
