#include "base/digest.hpp"

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "base/check.hpp"

namespace coupond {

Digest digest_of(std::initializer_list<std::string_view> parts) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    COUPOND_CHECK(context != nullptr);
    bool done = EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1;
    for (const std::string_view part : parts) {
        const std::string length = std::to_string(part.size()) + ":";
        done = done && EVP_DigestUpdate(context.get(), length.data(), length.size()) == 1 &&
               EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    }
    std::array<unsigned char, 32> bytes{};
    done = done && EVP_DigestFinal_ex(context.get(), bytes.data(), nullptr) == 1;
    COUPOND_CHECK(done);
    Digest digest{};
    for (std::size_t i = 0; i < bytes.size(); ++i) digest[i] = static_cast<char>(bytes[i]);
    return digest;
}

}  // namespace coupond
