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

/// In which order `execute` runs commands: as indices, in groups that are run one after the other.
/// Where locks are kept outside the store, roll-backs come behind all that goes by them. Erasures
/// come last, for nobody has waited for another command of a batch to send one.
/// `with_locks`: locks are kept outside the store. A group may be empty.
std::vector<std::vector<std::size_t>> groups_of(std::span<const Submission* const> commands,
                                                bool with_locks);

/// Runs `commands` as if one after the other, in the order of `groups_of`, and in few transactions.
/// Returns one result a command; all effects that a result tells of are saved (Store::save).
/// `locks`: where codes are locked; null: in the store. Where it does not work, commands on certain
/// codes fail, the others do not.
std::vector<Executed> execute(Store& store, Locks* locks, const Clock& clock,
                              std::span<const Submission* const> commands);

}  // namespace coupond
