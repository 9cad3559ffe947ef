// Commands run on a store, without an engine.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "domain/domain.hpp"
#include "store/store.hpp"

namespace coupond::test {

/// Loads what `commands` touch, decides them and saves: the engine's way without its care for
/// failures, which are handed on.
inline Result<std::vector<Outcome>> run(Store& store, std::span<const Command> commands,
                                        Timestamp now) {
    std::vector<const Command*> pointers;
    for (const Command& command : commands) pointers.push_back(&command);
    Needs needed = needs(pointers);
    needed.locks_only = false;  // locks are kept in the store
    Result<World> world = store.load(needed);
    if (!world) return world.error();
    Decision decision = decide(*world, pointers, now);
    if (decision.shortage) return Failure::conflict;  // somebody else was faster: load again
    if (!decision.delta.empty()) {
        const Result<void> saved = store.save(decision.delta);
        if (!saved) return saved.error();
    }
    return std::move(decision.outcomes);
}

inline Result<std::vector<Outcome>> run(Store& store, const Command& command, Timestamp now) {
    return run(store, std::span(&command, 1), now);
}

/// `count` codes that begin with `prefix`.
inline std::vector<std::string> numbered(const std::string& prefix, std::size_t count) {
    std::vector<std::string> codes;
    codes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) codes.push_back(prefix + std::to_string(i));
    return codes;
}

}  // namespace coupond::test
