// Files of codes as they come in: kept part by part, until a job takes them over.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <unordered_set>

#include "app/job_runner.hpp"
#include "base/time.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"

namespace coupond {

/// Of the network thread. What it refers to must outlive it, and it what runs `io`.
class Imports {
public:
    Imports(boost::asio::io_context& io, Engine& engine, JobRunner& jobs, const Clock& clock,
            std::unordered_set<std::string>& keys_in_use);
    ~Imports();
    Imports(const Imports&) = delete;
    Imports& operator=(const Imports&) = delete;

    /// Who takes the file that is the body of `request`; null where that is none, or it was
    /// answered. At most limits::imports_receiving at once.
    std::unique_ptr<http::BodySink> receive(const http::Request& request,
                                            const http::Responder& responder);

private:
    class Receiving;
    class Sink;

    void keep_claims();

    Engine& engine_;
    JobRunner& jobs_;
    const Clock& clock_;
    std::unordered_set<std::string>& keys_in_use_;
    std::shared_ptr<std::set<Receiving*>> receiving_ = std::make_shared<std::set<Receiving*>>();
    struct Timer;
    const std::unique_ptr<Timer> timer_;
};

}  // namespace coupond
