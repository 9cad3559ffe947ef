// The routes: which request becomes which command or query.
#pragma once

#include <boost/asio/io_context.hpp>
#include <string>
#include <unordered_set>

#include "app/code_exports.hpp"
#include "app/event_streams.hpp"
#include "app/generations.hpp"
#include "app/imports.hpp"
#include "app/job_runner.hpp"
#include "app/validations.hpp"
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
    Reader& drafts;  ///< of a current store (Database::open_current_read_store)
    EventStreams& streams;
    CodeExports& exports;
    JobRunner& jobs;
    const Clock& clock;
    std::int64_t lock_ttl_ms;
    /// Idempotency keys of requests that are not answered yet. Of the network thread.
    std::unordered_set<std::string> keys_in_use = {};
    Validations validations{io, reader, clock};
    Generations generations{io, engine, drafts};
    Imports imports{io, engine, jobs, clock, keys_in_use};
};

http::Router make_router(Api& api);

}  // namespace coupond
