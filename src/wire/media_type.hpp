// The Content-Type of requests.
#pragma once

#include <string_view>

namespace coupond::wire {

enum class MediaType { json, csv, ndjson, another_charset, another };

/// What a Content-Type header's value (RFC 9110, section 8.3) says of a body. "" is taken as JSON.
/// Another charset is one of those that are known.
MediaType classify_media_type(std::string_view content_type);

}  // namespace coupond::wire
