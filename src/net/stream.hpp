// Bytes to and from one address, over TCP or over TLS.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "net/resolver.hpp"
#include "net/tls.hpp"

namespace coupond::net {

/// Sends and receives side by side, so that two ends with full buffers do not wait for each other.
/// Never waits beyond the times given. Everything throws Lost when the connection cannot be used
/// any more.
class Stream {
public:
    /// Begins to connect. `tls`: nothing for plain TCP.
    Stream(const Address& address, const TlsContext* tls, const std::string& host);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// Goes on connecting; whether bytes can be exchanged.
    bool connect(SteadyTime until);

    /// Hands over bytes to be sent and sends what the system takes at once; `flush` and `receive`
    /// send the rest.
    void send(std::string_view bytes);
    /// Sends all there is to be sent, appending to `to` what is received meanwhile. False when
    /// something is left.
    bool flush(std::string& to, SteadyTime until);
    /// Waits for bytes and appends them to `to`. False when there were none.
    bool receive(std::string& to, SteadyTime until);

    /// How many bytes the system has taken so far.
    std::size_t taken() const { return taken_; }

private:
    bool connect_socket(SteadyTime until);
    void send_some();
    bool receive_wire(std::string& to);
    bool receive_some(std::string& to);
    bool wait(short events, SteadyTime until) const;

    int fd_ = -1;
    bool connected_ = false;  // as far as TCP goes
    std::optional<Tls> tls_;
    std::string out_;           // for the wire
    std::size_t out_sent_ = 0;  // of it
    std::string wire_;          // from the wire, where it is TLS
    std::size_t taken_ = 0;
};

}  // namespace coupond::net
