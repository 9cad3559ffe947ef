// AWS Signature Version 4, in the Authorization header.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/aws.hpp"
#include "base/time.hpp"

namespace coupond::aws {

using NamesAndValues = std::vector<std::pair<std::string, std::string>>;

/// SHA-256 in hexadecimal digits.
std::string sha256_hex(std::string_view bytes);

/// Percent-encoded but for letters, digits and `-._~`; with `keep_slashes`, but for slashes too.
std::string uri_encode(std::string_view text, bool keep_slashes = false);

/// What of a request is signed.
struct Signed {
    std::string method;
    std::string path;       ///< as it is sent: percent-encoded, once
    NamesAndValues query;   ///< not encoded
    NamesAndValues fields;  ///< all that are signed: host and x-amz-date must be among them
    std::string payload_sha256_hex;
};

struct Scope {
    std::string region;
    std::string service;
};

/// `20130524T000000Z`, the value of x-amz-date.
std::string amz_date(Timestamp at);

/// The steps of the signature, as AWS describes them.
std::string canonical_request(const Signed& request);
std::string string_to_sign(const Signed& request, const Scope& scope, Timestamp at);

/// The value of the Authorization field.
std::string authorization(const Signed& request, const Scope& scope, const Credentials& credentials,
                          Timestamp at);

}  // namespace coupond::aws
