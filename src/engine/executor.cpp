#include "engine/executor.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/log.hpp"

namespace coupond {
namespace {

class Executor {
public:
    Executor(Store& store, const Clock& clock) : store_(store), clock_(clock) {}

    void run(std::span<const Command* const> commands, std::span<Executed> results) {
        const Result<void> done = try_as_one(commands, results);
        if (commands.size() > 1 && !done &&
            (done.error() == Failure::refused || done.error() == Failure::conflict)) {
            // One of them carries what the database does not take, or needs what another one of
            // them makes: halve until it stands alone.
            const std::size_t half = commands.size() / 2;
            run(commands.first(half), results.first(half));
            run(commands.subspan(half), results.subspan(half));
        }
    }

private:
    /// Fills `results`; fails where they all hold that failure, or with a conflict that stayed,
    /// where there are several commands.
    Result<void> try_as_one(std::span<const Command* const> commands, std::span<Executed> results) {
        std::size_t pool_factor = 1;
        for (int reruns = 0; reruns <= limits::batch_reruns; ++reruns) {
            const Needs needed = needs(commands, pool_factor);
            Result<World> world = store_.load(needed);
            if (!world) return fail(results, world.error());
            const Timestamp now = clock_.now();
            Decision decision = decide(*world, commands, now);
            if (decision.shortage) {
                pool_factor *= 4;
                continue;
            }
            if (decision.unforeseen) {
                COUPOND_CHECK(commands.size() > 1);
                return Failure::conflict;
            }
            if (!decision.delta.empty()) {
                const Result<void> saved = store_.save(decision.delta);
                if (!saved && saved.error() == Failure::conflict) continue;
                if (!saved) return fail(results, saved.error());
            }
            COUPOND_CHECK(decision.outcomes.size() == results.size());
            for (std::size_t i = 0; i < results.size(); ++i) {
                results[i] = {std::move(decision.outcomes[i]), now};
            }
            return {};
        }
        if (commands.size() > 1) return Failure::conflict;
        log::warn("gave up on a command that met a conflict each time");
        return fail(results, Failure::unavailable);
    }

    Failure fail(std::span<Executed> results, Failure failure) const {
        std::fill(results.begin(), results.end(), Executed{failure, clock_.now()});
        return failure;
    }

    Store& store_;
    const Clock& clock_;
};

}  // namespace

std::vector<Executed> execute(Store& store, const Clock& clock,
                              std::span<const Command* const> commands) {
    std::vector<Executed> results(commands.size());
    Executor(store, clock).run(commands, results);
    return results;
}

}  // namespace coupond
