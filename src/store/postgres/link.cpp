#include "store/postgres/link.hpp"

#include <algorithm>
#include <thread>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/statements.hpp"

namespace coupond::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// 0.5 to 1 times as long, so that processes that lost a server together do not come back together.
milliseconds jittered(milliseconds pause) {
    const auto half = static_cast<std::uint64_t>(pause.count()) / 2;
    return milliseconds(half + secure_random_below(half + 1));
}

}  // namespace

Connection& Link::get(Deadline deadline) {
    while (!connection_) {
        if (steady_clock::now() >= next_try_) {
            try_connect(deadline);
            continue;
        }
        if (!worked_ || next_try_ >= deadline) {
            worked_ = false;
            throw NoConnection{reason_};
        }
        std::this_thread::sleep_until(next_try_);
    }
    worked_ = true;
    return *connection_;
}

bool Link::alive() {
    try {
        if (connection_) connection_->check();
    } catch (const Lost& closed) {
        lost(closed.error);
    }
    return connection_ != nullptr;
}

void Link::lost(const Error& error) {
    const bool changes = side_ == Servers::Side::write;
    log::warn("lost the connection to the database",
              {{"side", changes ? log::side_changes : log::side_lists},
               {"reason", std::string_view(error.message)},
               {"code", std::string_view(error.sqlstate)}});
    drop();
}

/// Fills connection_, or reason_ and next_try_.
void Link::try_connect(Deadline deadline) {
    const Deadline enough = steady_clock::now() + milliseconds(limits::connect_wait_ms);
    try {
        connection_ = servers_.connect(side_, target_, std::min(enough, deadline));
        server_ = servers_.check(*connection_, enough);
        check_schema(enough);
        if (side_ == Servers::Side::write) place_ledger(enough);
        pause_ = {};
        next_try_ = {};
        return;
    } catch (const Lost& lost) {
        reason_ = lost.error;
    } catch (const Rejected& rejected) {
        reason_ = rejected.error;
    } catch (const NoConnection& unfit) {
        reason_ = unfit.error;
        worked_ = false;  // waiting will not help soon
    }
    drop();
    pause_ = std::clamp(2 * pause_, milliseconds(limits::reconnect_first_ms),
                        milliseconds(limits::reconnect_most_ms));
    next_try_ = steady_clock::now() + jittered(pause_);
}

void Link::check_schema(Deadline deadline) {
    const int version = Servers::schema_version(*connection_, deadline);
    const auto latest = static_cast<int>(migrations().size());
    if (version == latest) return;
    throw NoConnection{{{},
                        "the database has schema version " + std::to_string(version) +
                            ", this coupond needs " + std::to_string(latest) +
                            (version < latest ? ": run coupond migrate" : ": run a newer coupond"),
                        {}}};
}

/// Where the database was restored into another cluster, or into an older state of its own, ids of
/// transactions begin anew; those of the ledger's entries go on. To look costs no id, and so no
/// commit.
void Link::place_ledger(Deadline deadline) {
    connection_->execute(
        "UPDATE ledger_origin SET system_identifier = cluster.system_identifier, "
        "transaction_offset = (SELECT coalesce(max(id), 0) / " COUPOND_BATCH_ENTRIES
        " + 1 FROM ledger) - pg_current_xact_id()::text::bigint FROM pg_control_system() AS "
        "cluster WHERE ledger_origin.system_identifier <> cluster.system_identifier "
        "OR (SELECT coalesce(max(id), 0) FROM ledger) >= "
        "(pg_snapshot_xmax(pg_current_snapshot())::text::bigint + transaction_offset) "
        "* " COUPOND_BATCH_ENTRIES);
    connection_->sync();
    connection_->receive_all(deadline);
}

}  // namespace coupond::postgres
