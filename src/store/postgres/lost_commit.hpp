// What became of a transaction whose COMMIT got no answer.
#pragma once

#include "domain/domain.hpp"
#include "store/postgres/link.hpp"
#include "store/postgres/load.hpp"

namespace coupond::postgres {

/// Asks the database, on new connections. `sent_to` is the server that `transaction` was on. Ends
/// it where it is still running. Failures: conflict (it did not commit, and will not),
/// indeterminate (nobody could tell until `deadline`).
Result<void> look_up_commit(Link& link, const Server& sent_to, const Transaction& transaction,
                            const Delta& delta, Deadline deadline);

}  // namespace coupond::postgres
