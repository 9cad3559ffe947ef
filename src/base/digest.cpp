#include "base/digest.hpp"

#include <openssl/evp.h>

#include <string>

#include "base/check.hpp"

namespace coupond {

struct Digester::Context {
    EVP_MD_CTX* const md = EVP_MD_CTX_new();

    Context() { COUPOND_CHECK(md != nullptr && EVP_DigestInit_ex(md, EVP_sha256(), nullptr) == 1); }
    ~Context() { EVP_MD_CTX_free(md); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
};

Digester::Digester() : context_(std::make_unique<Context>()) {}
Digester::~Digester() = default;
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;

void Digester::add(std::string_view part) {
    const std::string length = std::to_string(part.size()) + ":";
    COUPOND_CHECK(EVP_DigestUpdate(context_->md, length.data(), length.size()) == 1 &&
                  EVP_DigestUpdate(context_->md, part.data(), part.size()) == 1);
}

Digest Digester::end() {
    std::array<unsigned char, std::tuple_size_v<Digest>> bytes{};
    COUPOND_CHECK(EVP_DigestFinal_ex(context_->md, bytes.data(), nullptr) == 1);
    Digest digest{};
    for (std::size_t i = 0; i < bytes.size(); ++i) digest[i] = static_cast<char>(bytes[i]);
    return digest;
}

Digest digest_of(std::initializer_list<std::string_view> parts) {
    Digester digester;
    for (const std::string_view part : parts) digester.add(part);
    return digester.end();
}

}  // namespace coupond
