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

/// In which order `execute` runs commands where locks are kept outside the store: as indices, in
/// rounds of which every second one, beginning with the second, holds nothing but LockCode, and the
/// others hold none. Commands on a code keep their order; others may change it, for nobody has
/// waited for one to send the other. A round may be empty.
std::vector<std::vector<std::size_t>> rounds_of(std::span<const Submission* const> commands);

/// Runs `commands` as if one after the other, in as few transactions as the store allows: in the
/// order given, or, with `locks`, in that of `rounds_of`. Returns one result a command; all effects
/// that a result tells of are durable. `locks`: where codes are locked; null: in the store. Where
/// it does not work, commands on certain codes fail, the others do not.
std::vector<Executed> execute(Store& store, Locks* locks, const Clock& clock,
                              std::span<const Submission* const> commands);

}  // namespace coupond
