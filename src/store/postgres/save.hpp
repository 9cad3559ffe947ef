// Saves what a batch changes.
#pragma once

#include "domain/domain.hpp"
#include "store/postgres/load.hpp"

namespace coupond::postgres {

/// Turns Deltas into statements.
class Saver {
public:
    Saver();

    /// Sends the statements for `delta` and the COMMIT behind them, and returns what came back. One
    /// that meets a row that is not as it was loaded fails, and all after it are not carried out.
    /// `stored`: of the codes of the load before; `transaction`: what it has left open; `erasures`:
    /// that there had been before it. Throws Lost.
    Replies save(Connection& connection, const Delta& delta, const StoredCodes& stored,
                 const Transaction& transaction, std::int64_t erasures, Deadline deadline);

private:
    void send_rest(Connection& connection, const Delta& delta, const StoredCodes& stored,
                   std::int64_t erasures);
    void send_locks(Connection& connection, const Delta& delta);
    void sweep(Connection& connection, const Delta& delta, Timestamp kept_from);

    const std::int64_t slot_;  ///< where this process counts codes
    Timestamp swept_at_;
    Timestamp memories_swept_at_;
    std::size_t memories_to_sweep_ = 0;  ///< more than have come since then
};

}  // namespace coupond::postgres
