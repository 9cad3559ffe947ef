#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/health.hpp"
#include "store/postgres/load.hpp"
#include "store/postgres/lost_commit.hpp"
#include "store/postgres/save.hpp"
#include "store/postgres/statements.hpp"
#include "store/postgres/stores.hpp"

namespace coupond::postgres {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr microseconds row_wait{100};  // how much longer a save may take for each row

constexpr const char* is_read_only =
    "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";

// Ends a connection of ours that has not answered: what it may have begun would keep others
// waiting.
const Statement end_abandoned{
    "SELECT pg_terminate_backend(old.pid) FROM pg_stat_activity AS old "
    "JOIN pg_stat_activity AS own ON own.pid = pg_backend_pid() "
    "WHERE old.pid = $1::bigint AND old.datid = own.datid AND old.usesysid = own.usesysid "
    "AND old.application_name = own.application_name AND old.backend_start < own.backend_start "
    "AND old.state_change < clock_timestamp() - interval '1 second'"};

Deadline deadline_for(std::size_t rows) {
    return steady_clock::now() + milliseconds(limits::database_wait_ms) + row_wait * rows;
}

class PostgresStore final : public Store {
public:
    explicit PostgresStore(Servers& servers) : link_(servers, Servers::Side::write) {}

    Result<World> load(const Needs& needs) override {
        const Deadline deadline = deadline_for(needs.new_codes.size());
        try {
            Connection& connection = connect(deadline);
            World world =
                postgres::load(connection, needs, transaction_, stored_, known_, deadline);
            erasures_ = transaction_.erasures;
            if (!changes_fail_) health_.worked();
            return world;
        } catch (const Lost& lost) {
            return lost_while_nothing_was_sent(lost);
        } catch (const Rejected& rejected) {
            return failed(rejected.error);
        } catch (const NoConnection& none) {
            health_.failed(none.error);
            return Failure::unavailable;
        }
    }

    Result<void> save(const Delta& delta) override {
        if (delta.empty()) {
            roll_back();
            return {};
        }
        for (const CodeRow* const row : delta.changed_codes) {
            if (!stored_.contains(row->code.id)) {  // not of the last load
                roll_back();
                return Failure::conflict;
            }
        }
        if (!transaction_.open) {
            const Result<void> begun = begin();
            if (!begun) return begun;
        }
        const Transaction transaction = transaction_;
        const Server server = link_.server();
        const Deadline deadline = deadline_for(delta.new_codes.size() + delta.changed_codes.size());
        Connection& connection = *link_.current();
        try {
            connection.check();
        } catch (const Lost& lost) {
            return lost_while_nothing_was_sent(lost);
        }
        try {
            const Replies replies =
                saver_.save(connection, delta, stored_, transaction, *erasures_, deadline);
            if (replies.error) {
                // Not the answer of the server that has the transaction: it may have committed.
                const Error& error = *replies.error;
                if (error.sqlstate.empty() || connection_is_of_no_use(error)) throw Lost{error};
                return failed_change(error);
            }
            transaction_ = {};
            if (replies.rows.back().command() != "COMMIT") {
                return failed_change({{}, "the database did not commit", {}});
            }
            if (transaction.alone) {
                ++known_.alone;
                for (const auto& [book, loaded_entry] : delta.changed_books) {
                    known_.books.erase(book->id);
                }
            }
            changed();
            return {};
        } catch (const Lost& lost) {
            transaction_ = {};
            link_.lost(lost.error);
            const Result<void> found =
                look_up_commit(link_, server, transaction, delta, deadline_for(0));
            if (found) changed();
            if (!found && found.error() == Failure::indeterminate) health_.failed(lost.error);
            return found;
        }
    }

    /// Where the last change failed, for want of room say, only a change can tell that it is over.
    Result<void> ping() override {
        const Deadline deadline = deadline_for(0);
        try {
            roll_back();
            Connection& connection = connect(deadline);
            const bool change = health_.failing();
            connection.execute(change ? try_a_change : is_read_only);
            connection.sync();
            const Replies replies = connection.receive_all(deadline);
            if (!change && replies.rows.at(0).boolean(0, 0)) {
                throw Rejected{{"25006", "the database takes no changes", {}}};
            }
            changed();
            return {};
        } catch (const Lost& lost) {
            drop(lost.error);
            health_.failed(lost.error);
        } catch (const Rejected& rejected) {
            failed(rejected.error);
            health_.failed(rejected.error);
        } catch (const NoConnection& none) {
            health_.failed(none.error);
        }
        return Failure::unavailable;
    }

private:
    Connection& connect(Deadline deadline) {
        if (!link_.alive()) {
            transaction_ = {};
            known_ = {};  // it may be another server, which has lost the last changes
        }
        Connection& connection = link_.get(deadline);
        if (abandoned_) end_the_abandoned(connection, deadline);
        return connection;
    }

    void end_the_abandoned(Connection& connection, Deadline deadline) {
        const Server abandoned = *std::exchange(abandoned_, std::nullopt);
        if (abandoned.pooled || abandoned.history != link_.server().history) return;
        connection.execute(end_abandoned, Parameters(static_cast<std::int64_t>(abandoned.pid)));
        connection.sync();
        const Replies replies = connection.receive(deadline);
        if (replies.error) {
            log::debug("cannot end a connection",
                       {{"reason", std::string_view(replies.error->message)}});
        }
    }

    /// For a save that does not follow a load.
    Result<void> begin() {
        StoredCodes stored = std::move(stored_);
        const auto erasures = erasures_;
        const std::int64_t alone = known_.alone;
        const Result<World> loaded = load({});
        stored_ = std::move(stored);
        if (erasures) erasures_ = erasures;
        if (!loaded) return loaded.error();
        if (erasures && known_.alone != alone) {
            roll_back();
            return Failure::conflict;
        }
        return {};
    }

    void changed() {
        changes_fail_ = false;
        health_.worked();
    }

    Failure failed_change(const Error& error) {
        const Failure failure = failed(error);
        changes_fail_ = changes_fail_ || failure == Failure::unavailable;
        return failure;
    }

    void drop(const Error& error) {
        transaction_ = {};
        link_.lost(error);
    }

    Failure lost_while_nothing_was_sent(const Lost& lost) {
        drop(lost.error);
        if (!lost.late) return Failure::conflict;  // the next load finds another connection
        abandoned_ = link_.server();
        health_.failed(lost.error);
        return Failure::unavailable;
    }

    /// What is left of a transaction that the server did not want, and what that means.
    Failure failed(const Error& error) {
        if (connection_is_of_no_use(error)) {
            drop(error);
        } else {
            roll_back();
        }
        const Failure failure = classify(error);
        if (failure == Failure::unavailable) health_.failed(error);
        if (failure == Failure::refused) {
            log::error("the database refuses a row",
                       {{"reason", std::string_view(error.message)},
                        {"code", std::string_view(error.sqlstate)},
                        {"constraint", std::string_view(error.constraint)}});
        }
        return failure;
    }

    void roll_back() {
        if (!transaction_.open) return;
        transaction_ = {};
        if (link_.current() == nullptr) return;
        const Deadline deadline = deadline_for(0);
        try {
            Connection& connection = *link_.current();
            connection.execute("ROLLBACK");
            connection.sync();
            connection.receive_all(deadline);
        } catch (const Lost& lost) {
            link_.lost(lost.error);
        } catch (const Rejected& rejected) {
            link_.lost(rejected.error);
        }
    }

    Link link_;
    Health health_{log::side_changes};
    bool changes_fail_ = false;  ///< until one succeeds, whatever can be read meanwhile
    Saver saver_;
    Transaction transaction_;
    std::optional<Server> abandoned_;  ///< where a connection was that has not answered
    StoredCodes stored_;               ///< the codes of the last load
    KnownBooks known_;
    std::optional<std::int64_t> erasures_;  ///< that there had been before it
};

}  // namespace

std::unique_ptr<Store> make_store(Servers& servers) {
    return std::make_unique<PostgresStore>(servers);
}

}  // namespace coupond::postgres
