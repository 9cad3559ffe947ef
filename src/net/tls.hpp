// TLS as a filter: bytes to send go in, what to put on the wire comes out, and the other way round.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/lost.hpp"

struct ssl_ctx_st;
struct ssl_st;
struct bio_st;

namespace coupond::net {

/// What is trusted.
class TlsContext {
public:
    /// `root_certificate`: a PEM file, or empty for the system's certificates. Throws
    /// std::invalid_argument where it cannot be read.
    explicit TlsContext(const std::string& root_certificate);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    ssl_ctx_st* raw() const { return handle_; }

private:
    ssl_ctx_st* handle_ = nullptr;
};

/// The client's end of one TLS connection. Throws Lost when the server cannot be trusted to be
/// `host`, or breaks the protocol.
class Tls {
public:
    Tls(const TlsContext& context, const std::string& host);
    ~Tls();
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;

    /// Goes on with the handshake as far as what was received allows; whether it is done.
    bool handshake();
    /// After the handshake.
    void encrypt(std::string_view bytes);
    /// Appends what of the bytes received can be read; false where the server has ended the
    /// connection.
    bool decrypt(std::string& to);

    /// Takes what has come from the wire.
    void receive(std::string_view wire);
    /// Appends what is to be put on the wire.
    void take_wire(std::string& to);

private:
    [[noreturn]] void fail() const;

    ssl_st* handle_ = nullptr;
    bio_st* from_wire_ = nullptr;  // owned by handle_
    bio_st* to_wire_ = nullptr;    // owned by handle_
    bool established_ = false;
};

}  // namespace coupond::net
