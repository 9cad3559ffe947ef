// One batch from its commands to its outcomes: load, decide, save; again on a conflict, in halves
// on a refused row or on a conflict that stays.
#pragma once

#include <span>
#include <vector>

#include "engine/engine.hpp"

namespace coupond {

struct Executed {
    Result<Outcome> outcome = Failure::unavailable;
    Timestamp decided_at;
};

/// Runs `commands` as if one after the other, in as few transactions as the store allows. Returns
/// one result a command; all effects that a result tells of are durable. `locks`: where codes are
/// locked; null: in the store. Where it does not work, commands on certain codes fail, the others
/// do not.
std::vector<Executed> execute(Store& store, Locks* locks, const Clock& clock,
                              std::span<const Command* const> commands);

}  // namespace coupond
