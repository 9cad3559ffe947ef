#include "app/serve.hpp"

#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <utility>

#include "app/api.hpp"
#include "app/code_exports.hpp"
#include "app/database.hpp"
#include "app/event_streams.hpp"
#include "app/image_store.hpp"
#include "app/job_queue.hpp"
#include "app/readiness.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "engine/engine.hpp"
#include "http/http.hpp"

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

std::unique_ptr<Locks> open_locks(const Config& config, std::string_view side) {
    if (!config.redis) return nullptr;
    try {
        return redis::open(*config.redis, side);
    } catch (const std::invalid_argument& error) {
        throw OpenError(std::string("cannot use Redis: ") + error.what());
    }
}

std::unique_ptr<ReadStore> open_reads(const Config& config, Database& database) {
    std::unique_ptr<ReadStore> reads = database.open_read_store();
    std::unique_ptr<Locks> locks = open_locks(config, log::side_lists);
    return locks ? with_locks(std::move(reads), std::move(locks)) : std::move(reads);
}

/// As they are for the lists.
std::unique_ptr<CodeSnapshot> open_codes(const Config& config, Database& database, Wanted wanted) {
    std::unique_ptr<CodeSnapshot> codes = database.open_code_snapshot(std::move(wanted));
    std::unique_ptr<Locks> locks = open_locks(config, log::side_exports);
    return locks ? with_locks(std::move(codes), std::move(locks)) : std::move(codes);
}

/// Nobody but us works on what is in our own file: whoever has claimed a job there was we, before.
std::string name_of_worker(const Config& config) {
    return config.postgres ? secure_random_base32(26) : "server";
}

/// Ends the process where a stop does not come to its end in time: a database may keep a thread
/// waiting. Whatever was being done then is as after a crash.
class LastResort {
public:
    /// What is waited for now.
    void waits_for(const char* what) {
        const std::lock_guard lock(mutex_);
        waits_for_ = what;
    }

    /// From now on the time runs.
    void start() {
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    }

private:
    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, stop, std::chrono::milliseconds(limits::stop_ms),
                          [] { return false; });
        if (stop.stop_requested()) return;
        log::error("not stopped in time, ending all the same", {{"waiting_for", waits_for_}});
        _exit(EXIT_FAILURE);
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    const char* waits_for_ = "clients";
    std::jthread thread_;
};

}  // namespace

void serve(const Config& config) {
    LastResort last_resort;
    const SystemClock clock;
    auto images = open_images(config, clock);  // before anything is changed: it may be set wrongly
    auto job_queue = open_job_queue(config, clock);
    const std::unique_ptr<Database> database = open_database(config);
    if (!config.postgres) database->migrate();  // the file is ours alone, and there
    const std::unique_ptr<Store> store = database->open_store();
    const std::unique_ptr<Locks> locks = open_locks(config, log::side_changes);
    boost::asio::io_context io{1};
    Settler settler(*store);
    Reader reader(open_reads(config, *database), &settler);
    EventStreams streams(io, reader);
    CodeExports exports(
        io, [&](Wanted wanted) { return open_codes(config, *database, std::move(wanted)); }, clock);
    Engine engine(
        *store, locks.get(), clock,
        [&](std::vector<Delivery> deliveries) {
            boost::asio::post(io, [&streams, deliveries = std::move(deliveries)]() mutable {
                for (Delivery& delivery : deliveries) delivery();
                streams.look_soon();
            });
        },
        {}, &settler);
    JobRunner jobs(engine, database->open_current_read_store(), clock, name_of_worker(config),
                   std::move(images), std::move(job_queue));
    Reader drafts(database->open_current_read_store());
    Api api{io, engine, reader, drafts, streams, exports, jobs, clock, config.lock_ttl_ms};
    http::Server server(io, {config.host, config.port}, make_router(api));

    ReadyWait ready(io, engine, reader, [&] { print_ready_line(config, server.port()); });
    std::exception_ptr unusable;
    boost::asio::signal_set signals(io, SIGTERM, SIGINT);
    signals.async_wait([&](boost::system::error_code error, int signal) {
        if (error) return;
        log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
        last_resort.start();
        ready.stop();
        server.drain(limits::drain_seconds * 1000, [&io] { io.stop(); });
    });
    server.start();
    log::info("listening", {{"host", config.host},
                            {"port", server.port()},
                            {"database", std::string_view(database->name())},
                            {"locks", config.redis ? redis::name(*config.redis) : "database"}});
    DatabaseWait wait(*database, config.migrate_first, [&](std::exception_ptr failure) {
        boost::asio::post(io, [&, failure] {
            unusable = failure;
            if (failure) return io.stop();
            ready.start();
            jobs.start();
        });
    });
    io.run();

    last_resort.waits_for("the schema");
    wait.stop();
    last_resort.waits_for("a job");
    jobs.stop();
    last_resort.waits_for("a list");
    reader.stop();
    exports.stop();
    drafts.stop();
    last_resort.waits_for("a change");
    engine.drain();
    if (unusable) std::rethrow_exception(unusable);
    const Engine::Totals totals = engine.totals();
    log::info("stopped", {{"commands", static_cast<std::int64_t>(totals.commands)},
                          {"batches", static_cast<std::int64_t>(totals.batches)}});
}

}  // namespace coupond
