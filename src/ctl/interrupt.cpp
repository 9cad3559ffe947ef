#include "ctl/interrupt.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "ctl/ctl.hpp"

namespace coupond::ctl {

std::stop_token stop_on_interrupt() {
    sigset_t asked;
    sigemptyset(&asked);
    sigaddset(&asked, SIGINT);
    sigaddset(&asked, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &asked, nullptr);
    // Outlives everything else: the thread may still wait when main() has returned.
    auto* const source = new std::stop_source;
    std::thread([asked, source] {
        int number = 0;
        sigwait(&asked, &number);
        source->request_stop();
        sigwait(&asked, &number);
        _exit(exit_status::interrupted);
    }).detach();
    return source->get_token();
}

}  // namespace coupond::ctl
