// coupond with batches of one command, to see what the batches bring: started as `coupond serve`
// is, with the same answers.
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "app/api.hpp"
#include "app/config.hpp"
#include "app/database.hpp"
#include "app/event_streams.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"

namespace {

using namespace coupond;

void serve_one_by_one(const Config& config) {
    const std::unique_ptr<Database> database = open_database(config);
    const std::unique_ptr<Store> store = database->open_store();
    const std::unique_ptr<Locks> locks = config.redis ? redis::open(*config.redis) : nullptr;
    const SystemClock clock;
    boost::asio::io_context io{1};
    Reader reader(database->open_read_store());
    EngineOptions one_by_one;
    one_by_one.batch_commands = 1;
    const auto deliver = [&io](std::vector<Delivery> deliveries) {
        boost::asio::post(io, [deliveries = std::move(deliveries)]() mutable {
            for (Delivery& delivery : deliveries) delivery();
        });
    };
    Engine engine(*store, locks.get(), clock, deliver, one_by_one);
    EventStreams streams(io, reader);
    CodeExports exports(
        io, [&database](Wanted wanted) { return database->open_code_snapshot(std::move(wanted)); },
        clock);
    JobRunner jobs(engine, database->open_read_store(), clock, "nobody", nullptr,
                   nullptr);  // never begins
    Api api{io, engine, reader, reader, streams, exports, jobs, clock, config.lock_ttl_ms};
    http::Server server(io, {config.host, config.port}, make_router(api));
    boost::asio::signal_set signals(io, SIGTERM);
    signals.async_wait([&](boost::system::error_code, int) {
        server.drain(limits::drain_seconds * 1000, [&io] { io.stop(); });
    });
    server.start();
    std::printf("ready on http://%s:%u\n", config.host.c_str(), unsigned{server.port()});
    std::fflush(stdout);
    io.run();

    exports.stop();
    reader.stop();
    engine.drain();
    const Engine::Totals totals = engine.totals();
    log::info("stopped", {{"commands", static_cast<std::int64_t>(totals.commands)},
                          {"batches", static_cast<std::int64_t>(totals.batches)}});
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    const auto config = std::get<Config>(read_config(argc, argv));
    log::configure(config.log_level, config.log_format);
    serve_one_by_one(config);
}
