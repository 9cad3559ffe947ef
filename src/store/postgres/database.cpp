#include "base/limits.hpp"
#include "base/log.hpp"
#include "store/postgres/code_snapshot.hpp"
#include "store/postgres/ledger_retention.hpp"
#include "store/postgres/libpq.hpp"
#include "store/postgres/link.hpp"
#include "store/postgres/migrations.hpp"
#include "store/postgres/open_error.hpp"
#include "store/postgres/postgres.hpp"
#include "store/postgres/snapshot.hpp"
#include "store/postgres/stores.hpp"

namespace coupond::postgres {
namespace {

constexpr const char* lock_migrations = "SELECT pg_advisory_xact_lock(7166182916438356016)";

// What notes the migrations that were run.
const std::string make_notes =
    "CREATE TABLE schema_migration (\n"
    "    version    integer     NOT NULL CONSTRAINT schema_migration_pkey PRIMARY KEY,\n"
    "    title      text        NOT NULL,\n"
    "    applied_at timestamptz NOT NULL DEFAULT now()\n"
    ");\n\n";

class PostgresDatabase final : public Database {
public:
    explicit PostgresDatabase(const Options& options) : servers_(options) {}

    std::string name() const override { return servers_.name(); }

    const std::vector<Migration>& migrations() const override { return postgres::migrations(); }

    int schema_version() override {
        return or_open_error(name(), [this] {
            const auto connection = connect();
            return Servers::schema_version(*connection, deadline());
        });
    }

    int migrate() override {
        return or_open_error(name(), [this] {
            const auto connection = connect();
            const auto latest = static_cast<int>(migrations().size());
            int run = 0;
            for (;;) {
                const int version = Servers::schema_version(*connection, deadline());
                if (version > latest) throw newer(version);
                if (version == latest) return run;
                run += run_next(*connection) ? 1 : 0;
            }
        });
    }

    std::string step_sql(int version) const override {
        const Migration& migration = migrations().at(static_cast<std::size_t>(version));
        return (version == 0 ? make_notes : std::string()) + migration.sql +
               "INSERT INTO schema_migration (version, title) VALUES (" +
               std::to_string(version + 1) + ", '" + migration.title + "');\n";
    }

    std::unique_ptr<Store> open_store() override { return make_store(servers_); }
    std::unique_ptr<ReadStore> open_read_store() override {
        return make_read_store(servers_, Servers::Side::read);
    }
    std::unique_ptr<ReadStore> open_current_read_store() override {
        return make_read_store(servers_, Servers::Side::write);
    }

    std::unique_ptr<CodeSnapshot> open_code_snapshot(Wanted wanted) override {
        return make_code_snapshot(servers_, std::move(wanted));
    }

    std::unique_ptr<LedgerRetention> open_ledger_retention() override {
        return or_open_error(name(), [this] { return make_ledger_retention(connect(), name()); });
    }

    /// Of the server that takes changes: a replica may be behind, and end what reads for long.
    std::unique_ptr<Snapshot> open_snapshot() override {
        return or_open_error(name(), [this] { return make_snapshot(connect(), name()); });
    }

private:
    static Deadline deadline() {
        return std::chrono::steady_clock::now() +
               std::chrono::milliseconds(limits::database_wait_ms);
    }

    std::unique_ptr<Connection> connect() {
        std::size_t first = 0;
        const auto until =
            std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::connect_wait_ms);
        auto connection = servers_.connect(Servers::Side::write, first, until);
        servers_.check(*connection, until);
        return connection;
    }

    /// Runs the next migration in a transaction; false where another process has run all of them
    /// meanwhile. As long as it takes.
    bool run_next(Connection& connection) {
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        connection.execute(lock_migrations);
        connection.sync();
        connection.receive_all(no_deadline);
        try {
            const int version = Servers::schema_version(connection, no_deadline);
            const bool pending = version < static_cast<int>(migrations().size());
            if (pending) connection.script(step_sql(version).c_str());
            connection.script(pending ? "COMMIT" : "ROLLBACK");
            if (pending) {
                log::info("schema migrated",
                          {{"to", version + 1},
                           {"step", migrations()[static_cast<std::size_t>(version)].title}});
            }
            return pending;
        } catch (const Rejected&) {
            connection.script("ROLLBACK");
            throw;
        }
    }

    OpenError newer(int version) const {
        return OpenError(name() + " has schema version " + std::to_string(version) +
                         ", this coupond knows up to " + std::to_string(migrations().size()) +
                         ": run a newer coupond, or restore a backup made before the upgrade");
    }

    Servers servers_;
};

}  // namespace

std::unique_ptr<Database> open(Options options) {
    libpq();
    return std::make_unique<PostgresDatabase>(options);
}

}  // namespace coupond::postgres
