#include "net/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <stdexcept>

#include "base/check.hpp"

namespace coupond::net {
namespace {

std::string last_error() {
    const unsigned long code = ERR_peek_last_error();
    const char* const reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "protocol error" : reason;
}

int size_of(std::string_view bytes) {
    COUPOND_CHECK(bytes.size() <= INT32_MAX);
    return static_cast<int>(bytes.size());
}

/// SSL_set_tlsext_host_name, a macro with a cast of the old style.
bool set_server_name(SSL* ssl, std::string name) {
    return SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
}

}  // namespace

TlsContext::TlsContext(const std::string& root_certificate) {
    handle_ = SSL_CTX_new(TLS_client_method());
    COUPOND_CHECK(handle_ != nullptr);
    COUPOND_CHECK(SSL_CTX_set_min_proto_version(handle_, TLS1_2_VERSION) == 1);
    SSL_CTX_set_verify(handle_, SSL_VERIFY_PEER, nullptr);
    ERR_clear_error();
    const bool read = root_certificate.empty()
                          ? SSL_CTX_set_default_verify_paths(handle_) == 1
                          : SSL_CTX_load_verify_file(handle_, root_certificate.c_str()) == 1;
    if (read) return;
    const std::string reason = last_error();
    SSL_CTX_free(handle_);
    throw std::invalid_argument("cannot read the root certificate " + root_certificate + ": " +
                                reason);
}

TlsContext::~TlsContext() {
    SSL_CTX_free(handle_);
}

Tls::Tls(const TlsContext& context, const std::string& host)
    : handle_(SSL_new(context.raw())),
      from_wire_(BIO_new(BIO_s_mem())),
      to_wire_(BIO_new(BIO_s_mem())) {
    COUPOND_CHECK(handle_ != nullptr && from_wire_ != nullptr && to_wire_ != nullptr);
    SSL_set_bio(handle_, from_wire_, to_wire_);
    SSL_set_connect_state(handle_);
    X509_VERIFY_PARAM* const expected = SSL_get0_param(handle_);
    if (X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1) return;
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const bool fit = X509_VERIFY_PARAM_set1_host(expected, host.data(), host.size()) == 1 &&
                     set_server_name(handle_, host);
    if (fit) return;
    SSL_free(handle_);
    throw Lost("TLS: this host name cannot be verified");
}

Tls::~Tls() {
    SSL_free(handle_);
}

bool Tls::handshake() {
    if (established_) return true;
    ERR_clear_error();
    const int code = SSL_do_handshake(handle_);
    established_ = code == 1;
    if (!established_ && SSL_get_error(handle_, code) != SSL_ERROR_WANT_READ) fail();
    return established_;
}

void Tls::encrypt(std::string_view bytes) {
    if (bytes.empty()) return;
    ERR_clear_error();
    // Into memory, so all of it at once.
    if (SSL_write(handle_, bytes.data(), size_of(bytes)) != size_of(bytes)) fail();
}

bool Tls::decrypt(std::string& to) {
    for (;;) {
        std::array<char, 16 * 1024> bytes;
        ERR_clear_error();
        const int size = SSL_read(handle_, bytes.data(), size_of({bytes.data(), bytes.size()}));
        if (size > 0) {
            to.append(bytes.data(), static_cast<std::size_t>(size));
            continue;
        }
        switch (SSL_get_error(handle_, size)) {
            case SSL_ERROR_WANT_READ: return true;
            case SSL_ERROR_ZERO_RETURN: return false;
            default: fail();
        }
    }
}

void Tls::receive(std::string_view wire) {
    if (wire.empty()) return;
    COUPOND_CHECK(BIO_write(from_wire_, wire.data(), size_of(wire)) == size_of(wire));
}

void Tls::take_wire(std::string& to) {
    std::array<char, 16 * 1024> bytes;
    for (;;) {
        const int size = BIO_read(to_wire_, bytes.data(), size_of({bytes.data(), bytes.size()}));
        if (size <= 0) return;
        to.append(bytes.data(), static_cast<std::size_t>(size));
    }
}

void Tls::fail() const {
    const long verified = SSL_get_verify_result(handle_);
    if (verified != X509_V_OK) {
        throw Lost(std::string("TLS: the server's certificate is not trusted: ") +
                   X509_verify_cert_error_string(verified));
    }
    throw Lost("TLS: " + last_error());
}

}  // namespace coupond::net
