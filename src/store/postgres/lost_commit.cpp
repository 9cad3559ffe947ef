#include "store/postgres/lost_commit.hpp"

#include <algorithm>
#include <thread>

#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statements.hpp"

namespace coupond::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

const Statement select_status{"SELECT pg_xact_status($1::text::xid8)"};

// Not one that waits for its synchronous replica: it has committed here, and ending it would only
// end the wait, as if the replica had it.
const Statement end_transaction{
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::bigint "
    "AND backend_xid = $2::text::xid8::xid AND wait_event IS DISTINCT FROM 'SyncRep'"};

const Statement select_entry{
    "SELECT at, type, book_id, coalesce(code_id, 0), request_id FROM ledger WHERE id = $1::bigint"};

const Statement select_job{
    "SELECT created_at, request_id, version, status, coalesce(worker, ''), finished_at FROM job "
    "WHERE id = $1::bigint"};

constexpr milliseconds first_pause{1};
constexpr milliseconds most_pause{50};

enum class Commit { done, not_done, unknown };

class LookUp {
public:
    LookUp(Connection& connection, const Transaction& transaction, const Delta& delta,
           Deadline deadline)
        : connection_(connection), transaction_(transaction), delta_(delta), deadline_(deadline) {}

    /// On the server, or a later life of it, that the transaction was on.
    Commit by_id() {
        for (milliseconds pause = first_pause;; pause = std::min(2 * pause, most_pause)) {
            const std::string status = status_of_id();
            if (status == "aborted") return Commit::not_done;
            // After a crash the number of a transaction that was lost may be given again.
            if (status == "committed") {
                const bool has_traces = !delta_.entries.empty() || !delta_.jobs.empty();
                if (has_traces && by_traces() == Commit::not_done) return Commit::not_done;
                wait_for_replica();
                return Commit::done;
            }
            if (status != "in progress") return Commit::unknown;
            end();
            if (steady_clock::now() + pause >= deadline_) return Commit::unknown;
            std::this_thread::sleep_for(pause);
        }
    }

    /// By its first entry in the ledger, or else its first job. Another transaction, which got the
    /// same id where this one was lost, has another one there.
    Commit by_traces() {
        if (!delta_.entries.empty()) return by_entry();
        if (!delta_.jobs.empty()) return by_job();
        // It has only counted and remembered refusals: to be decided again, and perhaps counted
        // twice, or found there.
        return Commit::not_done;
    }

private:
    Commit by_entry() {
        const LedgerEntry& sent = delta_.entries.front();
        const Rows rows = ask(select_entry, Parameters(sent.id));
        const bool same = rows.size() == 1 && rows.integer(0, 0) == sent.at.ms &&
                          rows.integer(0, 1) == static_cast<std::int64_t>(sent.type) &&
                          rows.integer(0, 2) == sent.book_id &&
                          rows.integer(0, 3) == sent.code_id && rows.text(0, 4) == sent.request_id;
        return same ? Commit::done : Commit::not_done;
    }

    /// A new one may have gone on since. One that was changed without an entry has ended, or made
    /// no codes in a piece that is as well made again.
    Commit by_job() {
        const World::JobRow& sent = *delta_.jobs.front();
        const Rows rows = ask(select_job, Parameters(sent.job.id));
        if (rows.size() != 1) return Commit::not_done;
        const bool same =
            sent.is_new ? rows.integer(0, 0) == sent.job.created_at.ms &&
                              rows.text(0, 1) == sent.job.request_id
                        : rows.integer(0, 2) == sent.job.version &&
                              rows.integer(0, 3) == static_cast<std::int64_t>(sent.job.status) &&
                              rows.text(0, 4) == sent.job.worker &&
                              optional_time(rows, 0, 5) == sent.job.finished_at;
        return same ? Commit::done : Commit::not_done;
    }

    Rows ask(const Statement& statement, const Parameters& parameters) {
        connection_.execute(statement, parameters);
        connection_.sync();
        return std::move(connection_.receive_all(deadline_).rows.at(0));
    }

    std::string status_of_id() {
        try {
            const Rows rows = ask(select_status, Parameters(transaction_.id));
            return rows.optional_text(0, 0).value_or("");  // null: too long ago
        } catch (const Rejected& rejected) {
            // A number that has not been given yet: the server has crashed and forgotten it, which
            // it never does once it has committed.
            if (rejected.error.sqlstate == "22023") return "aborted";
            throw;
        }
    }

    /// A server that has crashed and come back shows what its synchronous replica may not have yet.
    /// A later commit waits for all before it.
    void wait_for_replica() {
        connection_.execute(try_a_change);
        connection_.sync();
        connection_.receive_all(deadline_);
    }

    void end() {
        try {
            ask(end_transaction,
                Parameters(static_cast<std::int64_t>(transaction_.pid), transaction_.id));
        } catch (const Rejected& rejected) {  // not allowed to: it will end by itself
            log::debug("cannot end a transaction",
                       {{"reason", std::string_view(rejected.error.message)}});
        }
    }

    Connection& connection_;
    const Transaction& transaction_;
    const Delta& delta_;
    const Deadline deadline_;
};

Commit ask(Link& link, const Server& sent_to, const Transaction& transaction, const Delta& delta,
           Deadline deadline) {
    Connection& connection = link.get(deadline);
    LookUp look_up(connection, transaction, delta, deadline);
    if (link.server().history == sent_to.history) return look_up.by_id();
    log::warn("a replica has taken over: looking for what was sent to the server before it");
    return look_up.by_traces();
}

}  // namespace

Result<void> look_up_commit(Link& link, const Server& sent_to, const Transaction& transaction,
                            const Delta& delta, Deadline deadline) {
    std::string reason = "nothing there tells";
    do {
        try {
            const Commit commit = ask(link, sent_to, transaction, delta, deadline);
            if (commit == Commit::done) return {};
            if (commit == Commit::not_done) return Failure::conflict;
            break;
        } catch (const Lost& lost) {
            link.lost(lost.error);
            reason = lost.error.message;
        } catch (const NoConnection& none) {
            reason = none.error.message;
            std::this_thread::sleep_for(most_pause);
        } catch (const Rejected& rejected) {
            reason = rejected.error.message;
            link.drop();
            if (classify(rejected.error) != Failure::conflict) break;
        }
    } while (steady_clock::now() < deadline);
    log::error(
        "cannot tell whether a transaction has committed",
        {{"transaction", std::string_view(transaction.id)}, {"reason", std::string_view(reason)}});
    return Failure::indeterminate;
}

}  // namespace coupond::postgres
