#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "app/database.hpp"
#include "app/image_store.hpp"
#include "app/job_queue.hpp"
#include "app/job_runner.hpp"
#include "app/serve.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "engine/engine.hpp"

namespace coupond {

void work(const Config& config) {
    sigset_t ends;  // blocked in all threads, so that they come here
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);

    const std::unique_ptr<Database> database = open_database(config);
    require_schema(*database);
    const std::unique_ptr<Store> store = database->open_store();
    const SystemClock clock;
    Engine engine(*store, nullptr, clock, [](std::vector<Delivery> deliveries) {
        for (Delivery& delivery : deliveries) delivery();
    });
    JobRunner jobs(engine, database->open_current_read_store(), clock, secure_random_base32(26),
                   open_images(config, clock), open_job_queue(config, clock));
    jobs.start();
    std::printf("coupond %s works on the jobs of %s\n", COUPOND_VERSION, database->name().c_str());
    std::fflush(stdout);

    int signal = 0;
    sigwait(&ends, &signal);
    log::info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
    jobs.stop();
    engine.drain();
}

}  // namespace coupond
