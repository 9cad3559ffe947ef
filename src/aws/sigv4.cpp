#include "aws/sigv4.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "base/check.hpp"

namespace coupond::aws {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

using Hash = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string hex(std::span<const unsigned char> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) text += {digits[byte >> 4], digits[byte & 15]};
    return text;
}

std::string hmac(std::string_view key, std::string_view text) {
    Hash hash{};
    unsigned int size = 0;
    COUPOND_CHECK(key.size() <= INT32_MAX);
    COUPOND_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text),
                       text.size(), hash.data(), &size) != nullptr &&
                  size == hash.size());
    return {hash.begin(), hash.end()};
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return 'A' <= c && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    });
    return text;
}

/// Without white space at its ends, and with one blank in place of several.
std::string trimmed(std::string_view value) {
    std::string out;
    bool blank = false;
    for (const char c : value) {
        if (c == ' ' || c == '\t') {
            blank = true;
            continue;
        }
        if (blank && !out.empty()) out += ' ';
        blank = false;
        out += c;
    }
    return out;
}

/// Names in lower case, ascending, each with its values in the order in which they are sent.
std::map<std::string, std::string> canonical_fields(const NamesAndValues& fields) {
    std::map<std::string, std::string> canonical;
    for (const auto& [name, value] : fields) {
        const auto [place, is_new] = canonical.try_emplace(lower(name), trimmed(value));
        if (!is_new) place->second += "," + trimmed(value);
    }
    COUPOND_CHECK(canonical.contains("host") && canonical.contains("x-amz-date"));
    return canonical;
}

std::string signed_names(const Signed& request) {
    std::string names;
    for (const auto& [name, value] : canonical_fields(request.fields)) {
        if (!names.empty()) names += ";";
        names += name;
    }
    return names;
}

std::string canonical_query(const NamesAndValues& query) {
    NamesAndValues encoded;
    for (const auto& [name, value] : query) {
        encoded.emplace_back(uri_encode(name), uri_encode(value));
    }
    std::ranges::sort(encoded);
    std::string text;
    for (const auto& [name, value] : encoded) {
        if (!text.empty()) text += "&";
        text.append(name).append("=").append(value);
    }
    return text;
}

std::string scope_text(const Scope& scope, Timestamp at) {
    return amz_date(at).substr(0, 8) + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
    Hash hash{};
    SHA256(bytes_of(bytes), bytes.size(), hash.data());
    return hex(hash);
}

std::string uri_encode(std::string_view text, bool keep_slashes) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (plain.find(c) != std::string_view::npos || (keep_slashes && c == '/')) {
            out += c;
        } else {
            out += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

std::string amz_date(Timestamp at) {
    std::string text = format_iso8601(at).substr(0, std::string_view("2013-05-24T00:00:00").size());
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text + "Z";
}

std::string canonical_request(const Signed& request) {
    std::string text = request.method + "\n" + request.path + "\n";
    text += canonical_query(request.query) + "\n";
    for (const auto& [name, value] : canonical_fields(request.fields)) {
        text.append(name).append(":").append(value).append("\n");
    }
    return text + "\n" + signed_names(request) + "\n" + request.payload_sha256_hex;
}

std::string string_to_sign(const Signed& request, const Scope& scope, Timestamp at) {
    return std::string(algorithm) + "\n" + amz_date(at) + "\n" + scope_text(scope, at) + "\n" +
           sha256_hex(canonical_request(request));
}

std::string authorization(const Signed& request, const Scope& scope, const Credentials& credentials,
                          Timestamp at) {
    const std::string day = amz_date(at).substr(0, 8);
    const std::string key = hmac(
        hmac(hmac(hmac("AWS4" + credentials.secret_access_key, day), scope.region), scope.service),
        "aws4_request");
    const std::string signature = hmac(key, string_to_sign(request, scope, at));
    return std::string(algorithm) + " Credential=" + credentials.access_key_id + "/" +
           scope_text(scope, at) + ", SignedHeaders=" + signed_names(request) +
           ", Signature=" + hex({bytes_of(signature), signature.size()});
}

}  // namespace coupond::aws
