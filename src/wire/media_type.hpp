// The Content-Type of requests.
#pragma once

#include <string_view>

namespace coupond::wire {

enum class MediaType { json, json_in_another_charset, another };

/// What a Content-Type header's value (RFC 9110, section 8.3) says of a body. "" is taken as JSON.
MediaType classify_media_type(std::string_view content_type);

}  // namespace coupond::wire
