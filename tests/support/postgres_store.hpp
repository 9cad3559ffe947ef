// A real store on a PostgreSQL server, in a database of this process's own, which is emptied for
// each test. The server is the one that COUPOND_TEST_POSTGRES_URL names: a URL of a superuser.
#pragma once

#include <libpq-fe.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "store/postgres/postgres.hpp"
#include "support/run.hpp"

namespace coupond::test {

/// The server's URL; with another database where that is named.
inline std::string postgres_url(const std::string& database = {}) {
    const char* const url = std::getenv("COUPOND_TEST_POSTGRES_URL");
    if (url == nullptr) {
        throw std::runtime_error("COUPOND_TEST_POSTGRES_URL must name a server: postgresql://...");
    }
    if (database.empty()) return url;
    const std::string text = url;
    const std::size_t query = std::min(text.find('?'), text.size());
    const std::size_t path = std::min(text.find('/', text.find("//") + 2), query);
    return text.substr(0, path) + "/" + database + text.substr(query);
}

/// Another program at a store's database: looks into it behind the store's back, and changes it.
class PostgresConnection {
public:
    explicit PostgresConnection(const std::string& url) : handle_(PQconnectdb(url.c_str())) {
        if (PQstatus(handle_) != CONNECTION_OK) fail();
        PQsetNoticeProcessor(
            handle_, [](void*, const char*) {}, nullptr);
    }
    ~PostgresConnection() { PQfinish(handle_); }
    PostgresConnection(PostgresConnection&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)) {}

    /// Runs one statement or several; throws what PostgreSQL says against them.
    void run(const std::string& sql) { PQclear(result(sql)); }

    /// All rows, each as its columns with `|` between them; NULL is empty.
    std::vector<std::string> rows(const std::string& sql) {
        PGresult* const all = result(sql);
        std::vector<std::string> rows;
        for (int row = 0; row < PQntuples(all); ++row) {
            std::string& text = rows.emplace_back();
            for (int column = 0; column < PQnfields(all); ++column) {
                if (column > 0) text += '|';
                text += PQgetvalue(all, row, column);
            }
        }
        PQclear(all);
        return rows;
    }

    /// The first column of the only row.
    std::string text(const std::string& sql) {
        const std::vector<std::string> all = rows(sql);
        if (all.size() != 1) throw std::runtime_error("not one row: " + sql);
        return all.front();
    }
    std::int64_t integer(const std::string& sql) { return std::stoll(text(sql)); }

private:
    PGresult* result(const std::string& sql) {
        PGresult* const result = PQexec(handle_, sql.c_str());
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return result;
        PQclear(result);
        fail();
    }
    [[noreturn]] void fail() const { throw std::runtime_error(PQerrorMessage(handle_)); }

    PGconn* handle_;
};

/// A database that is there until the object goes.
class PostgresDatabase {
public:
    explicit PostgresDatabase(const std::string& kind = "store")
        : name_("coupond_test_" + kind + "_" + std::to_string(getpid())) {
        PostgresConnection admin(postgres_url());
        admin.run("DROP DATABASE IF EXISTS " + name_ + " WITH (FORCE)");
        admin.run("CREATE DATABASE " + name_ + " TEMPLATE template0 ENCODING 'UTF8'");
    }
    ~PostgresDatabase() {
        PostgresConnection(postgres_url()).run("DROP DATABASE " + name_ + " WITH (FORCE)");
    }
    PostgresDatabase(const PostgresDatabase&) = delete;
    PostgresDatabase& operator=(const PostgresDatabase&) = delete;

    std::string url() const { return postgres_url(name_); }
    const std::string& name() const { return name_; }
    PostgresConnection connect() const { return PostgresConnection(url()); }

private:
    std::string name_;
};

inline std::unique_ptr<Database> open_postgres(const std::string& url) {
    postgres::Options options;
    options.url = url;
    return postgres::open(options);
}

/// A store on an empty database, which can be closed and opened again.
class PostgresStore {
public:
    using Connection = PostgresConnection;

    PostgresStore() {
        open();
        database_->migrate();
        connect().run(
            "TRUNCATE coupon_book, coupon_code, book_count, lock_count, usage_count, counted_lock, "
            "coupon_user, ledger, activity_count, discount_count, refusal_count, ledger_moved, "
            "code_generator, job, file_part, rejected_row "
            "RESTART IDENTITY; UPDATE id_counter SET next = 1; "
            "INSERT INTO book_count VALUES (0, 0, 0, 0, 0, 0, 0); "
            "ALTER TABLE coupon_user DROP CONSTRAINT IF EXISTS refused");
    }

    void open() {
        database_ = open_postgres(shared().url());
        store_ = database_->open_store();
        reads_ = database_->open_read_store();
    }
    void close() {
        reads_.reset();
        store_.reset();
        database_.reset();
    }

    Store& store() { return *store_; }
    ReadStore& reads() { return *reads_; }
    std::unique_ptr<ReadStore> open_reads() { return database_->open_read_store(); }
    std::unique_ptr<CodeSnapshot> open_codes(Wanted wanted) {
        return database_->open_code_snapshot(std::move(wanted));
    }
    Database& database() { return *database_; }
    static PostgresConnection connect() { return shared().connect(); }
    static std::string url() { return shared().url(); }
    /// Makes the database refuse that a code is assigned to `user`, who has none yet.
    static void refuse(const std::string& user) {
        connect().run("ALTER TABLE coupon_user ADD CONSTRAINT refused CHECK (user_id <> '" + user +
                      "')");
    }

private:
    static PostgresDatabase& shared() {
        static PostgresDatabase database;
        return database;
    }

    std::unique_ptr<Database> database_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ReadStore> reads_;
};

}  // namespace coupond::test
