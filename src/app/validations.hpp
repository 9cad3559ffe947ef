// Answers to POST /coupon/validate/:code: however many wait, they are looked up at once.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "domain/validate.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"

namespace coupond {

/// Of the network thread. What it refers to must outlive it.
class Validations {
public:
    Validations(boost::asio::io_context& io, Reader& reader, const Clock& clock)
        : io_(io), reader_(reader), clock_(clock) {}

    /// Answers `responder`, soon: with 503 where limits::queued_queries wait already.
    void submit(ValidateCode asked, const http::Request& request, const http::Responder& responder);

private:
    struct Pending {
        ValidateCode asked;
        std::string_view request_id;  ///< lives until it is answered
        http::Responder responder;
    };

    /// Has all that wait looked up, unless some are already.
    void look_up();

    boost::asio::io_context& io_;
    Reader& reader_;
    const Clock& clock_;
    std::vector<Pending> waiting_;
    bool looking_up_ = false;
};

}  // namespace coupond
