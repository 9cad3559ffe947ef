// An answer's head as bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "wire/wire.hpp"

namespace coupond::http {

/// The value of a Date header: `Sun, 06 Nov 1994 08:49:37 GMT`.
std::string http_date(Timestamp at);

struct ResponseHead {
    enum class Framing { length, chunked, until_close, none };
    enum class Persistence { keep_1_1, keep_1_0, close };

    std::string_view common_fields;  ///< whole lines that every answer has: Date and the like
    std::string_view request_id;
    Framing framing;
    std::size_t content_length;  ///< where framing is `length`
    Persistence persistence;
};

/// Appends the status line, all fields and the empty line.
void append_head(std::string& out, const wire::Answer& answer, const ResponseHead& head);

/// Appends a chunk's size line.
void append_chunk_size(std::string& out, std::size_t size);

}  // namespace coupond::http
