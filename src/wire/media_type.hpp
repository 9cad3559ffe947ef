// The Content-Type of requests, and what they say of answers.
#pragma once

#include <string_view>

namespace coupond::wire {

enum class MediaType { json, csv, ndjson, another_charset, another };

/// What a Content-Type header's value (RFC 9110, section 8.3) says of a body. "" is taken as JSON.
/// Another charset is one of those that are known.
MediaType classify_media_type(std::string_view content_type);

/// How much an Accept header's value (RFC 9110, section 12.5.1) wants a type such as `text/csv`, in
/// thousandths; 0: not at all. Parameters count for nothing; what is malformed is passed over.
int quality_of_type(std::string_view accept, std::string_view type);

/// The same of an Accept-Encoding header's value and a coding such as `gzip`.
int quality_of_coding(std::string_view accept_encoding, std::string_view coding);

}  // namespace coupond::wire
