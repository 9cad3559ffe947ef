// The routes: which request becomes which command or query.
#pragma once

#include <boost/asio/io_context.hpp>

#include "base/time.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"

namespace coupond {

/// What the routes work with. It, and all that it refers to, must outlive the server that serves
/// them.
struct Api {
    boost::asio::io_context& io;  ///< of the network thread
    Engine& engine;
    Reader& reader;
    const Clock& clock;
    std::int64_t lock_ttl_ms;
};

http::Router make_router(const Api& api);

}  // namespace coupond
