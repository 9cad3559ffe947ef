#include "app/serve.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "app/api.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"
#include "store/sqlite/sqlite.hpp"

namespace coupond {
namespace {

void print_ready_line(const Config& config, std::uint16_t port) {
    const bool v6 = config.host.find(':') != std::string::npos;
    const std::string url =
        "http://" + (v6 ? "[" + config.host + "]" : config.host) + ":" + std::to_string(port);
    std::printf("coupond %s is ready on %s, its API is explained on %s/api\n", COUPOND_VERSION,
                url.c_str(), url.c_str());
    std::fflush(stdout);
}

}  // namespace

void serve(const Config& config) {
    sqlite::Database database(config.data_dir);
    database.migrate();
    const std::unique_ptr<Store> store = database.open_store();
    const SystemClock clock;
    boost::asio::io_context io{1};
    Reader reader(database.open_read_store());
    Engine engine(*store, clock, [&io](std::vector<Delivery> deliveries) {
        boost::asio::post(io, [deliveries = std::move(deliveries)]() mutable {
            for (Delivery& delivery : deliveries) delivery();
        });
    });
    const Api api{io, engine, reader, clock, config.lock_ttl_ms};
    http::Server server(io, {config.host, config.port}, make_router(api));

    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code error, int signal) {
        if (error) return;
        log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
        server.drain(limits::drain_seconds * 1000, [&io] { io.stop(); });
    });
    server.start();
    log::info(
        "serving",
        {{"host", config.host}, {"port", server.port()}, {"data_dir", config.data_dir.string()}});
    print_ready_line(config, server.port());
    io.run();

    reader.stop();
    engine.drain();
    const Engine::Totals totals = engine.totals();
    log::info("stopped", {{"commands", static_cast<std::int64_t>(totals.commands)},
                          {"batches", static_cast<std::int64_t>(totals.batches)}});
}

void migrate(const Config& config) {
    sqlite::Database database(config.data_dir);
    const int run = database.migrate();
    std::printf("%s is at schema version %d (%d %s run)\n",
                (config.data_dir / "coupond.db").c_str(), database.schema_version(), run,
                run == 1 ? "migration" : "migrations");
}

}  // namespace coupond
