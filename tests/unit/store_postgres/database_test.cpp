// The schema's way from nothing to the latest version.
#include <gtest/gtest.h>

#include <thread>

#include "support/postgres_store.hpp"
#include "unit/store/old_data.hpp"

namespace coupond::test {
namespace {

class PostgresDatabaseTest : public testing::Test {
protected:
    /// What migrate() throws.
    static std::string refusal(Database& database) {
        try {
            database.migrate();
        } catch (const Unreachable&) {
            ADD_FAILURE() << "unreachable";
        } catch (const OpenError& error) {
            return error.what();
        }
        return {};
    }

    PostgresDatabase server_{"migrations"};
    PostgresConnection sql_ = server_.connect();
};

TEST_F(PostgresDatabaseTest, IsMadeOnceStepByStep) {
    const auto database = open_postgres(server_.url());
    const auto latest = static_cast<int>(database->migrations().size());
    EXPECT_EQ(database->schema_version(), 0);
    EXPECT_EQ(database->migrate(), latest);
    EXPECT_EQ(database->schema_version(), latest);
    EXPECT_EQ(database->migrate(), 0);
    EXPECT_EQ(sql_.integer("SELECT count(*) FROM schema_migration"), latest);
    EXPECT_EQ(sql_.text("SELECT title FROM schema_migration WHERE version = 1"),
              "0001_coupon_cycle");
}

TEST_F(PostgresDatabaseTest, IsMadeOnceBySeveralProcessesAtOnce) {
    std::atomic<int> run = 0;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 6; ++i) {
            threads.emplace_back([&] { run += open_postgres(server_.url())->migrate(); });
        }
    }
    EXPECT_EQ(run, static_cast<int>(open_postgres(server_.url())->migrations().size()));
}

TEST_F(PostgresDatabaseTest, OfVersion1KeepsItsRowsAndGetsALedgerOfThem) {
    const auto database = open_postgres(server_.url());
    sql_.run(database->step_sql(0) + rows_of_version_1("0, ") + "; UPDATE id_counter SET next = 8");
    EXPECT_EQ(database->schema_version(), 1);
    EXPECT_EQ(database->migrate(), static_cast<int>(database->migrations().size()) - 1);
    expect_rows_of_version_1(server_.connect());
    expect_verified(*database, 7);
    const auto store = database->open_store();
    expect_to_go_on(*store, *database->open_read_store());
    EXPECT_TRUE(store->ping());
    expect_verified(*database, 7);
    expect_to_generate(*store, *database->open_read_store());
    expect_verified(*database, 12);
}

TEST_F(PostgresDatabaseTest, OfBeforeLimitsKeepsWhatStandsOfItsRedemptions) {
    const auto database = open_postgres(server_.url());
    constexpr int before_limits = 11;
    for (int step = 0; step < before_limits; ++step) sql_.run(database->step_sql(step));
    sql_.run(rows_before_limits("slot, ", "3, ") + "; UPDATE id_counter SET next = 10");
    EXPECT_EQ(database->schema_version(), before_limits);
    database->migrate();
    expect_standing_of_before_limits(server_.connect());
    expect_verified(*database, 9);
    expect_to_count_on(*database->open_store());
    expect_verified(*database, 9);
}

TEST_F(PostgresDatabaseTest, OfBeforeImagesKeepsItsJobs) {
    const auto database = open_postgres(server_.url());
    constexpr int before_images = 22;
    for (int step = 0; step < before_images; ++step) sql_.run(database->step_sql(step));
    sql_.run(jobs_before_images());
    EXPECT_EQ(database->schema_version(), before_images);
    database->migrate();
    expect_jobs_before_images(*database->open_read_store());
}

TEST_F(PostgresDatabaseTest, OfVersion1WithoutRowsBeginsItsLedger) {
    const auto database = open_postgres(server_.url());
    sql_.run(database->step_sql(0));
    EXPECT_EQ(database->migrate(), static_cast<int>(database->migrations().size()) - 1);
    const auto store = database->open_store();
    ASSERT_TRUE(run(*store, CreateBook{"n", "p", {}, {}}, {0}));
    EXPECT_GT(sql_.integer("SELECT id FROM ledger"), 0);
}

TEST_F(PostgresDatabaseTest, ThatANewerProgramMadeIsLeftAlone) {
    const auto database = open_postgres(server_.url());
    database->migrate();
    const auto newer = static_cast<int>(database->migrations().size()) + 1;
    sql_.run("INSERT INTO schema_migration VALUES (" + std::to_string(newer) + ", 'newer')");
    EXPECT_EQ(database->schema_version(), newer);
    EXPECT_NE(refusal(*database).find("run a newer coupond"), std::string::npos);
    const auto store = database->open_store();
    EXPECT_EQ(store->ping().error(), Failure::unavailable);
    sql_.run("DELETE FROM schema_migration WHERE version = " + std::to_string(newer));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // until it tries again
    EXPECT_TRUE(store->ping());
}

TEST_F(PostgresDatabaseTest, WithoutASchemaIsUnavailableUntilItHasOne) {
    const auto database = open_postgres(server_.url());
    const auto store = database->open_store();
    EXPECT_EQ(store->load({}).error(), Failure::unavailable);
    EXPECT_EQ(database->open_read_store()->ping().error(), Failure::unavailable);
    database->migrate();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_TRUE(store->load({}));
    EXPECT_TRUE(database->open_read_store()->ping());
}

TEST_F(PostgresDatabaseTest, WithTablesOfAnotherProgramIsLeftAsItIs) {
    sql_.run("CREATE TABLE lock_count (a integer)");
    const auto database = open_postgres(server_.url());
    const std::string said = refusal(*database);
    EXPECT_NE(said.find("lock_count"), std::string::npos) << said;
    EXPECT_NE(said.find("coupond did not make"), std::string::npos) << said;
    EXPECT_EQ(sql_.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"),
              std::vector<std::string>{"lock_count"});
    EXPECT_EQ(database->schema_version(), 0);

    sql_.run("DROP TABLE lock_count; CREATE TABLE schema_migration (id integer)");
    EXPECT_NE(refusal(*database).find("coupond did not make"), std::string::npos);
}

TEST_F(PostgresDatabaseTest, NeedsUtf8) {
    sql_.run("DROP DATABASE IF EXISTS coupond_test_ascii WITH (FORCE)");
    sql_.run(
        "CREATE DATABASE coupond_test_ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
    const auto database = open_postgres(postgres_url("coupond_test_ascii"));
    EXPECT_NE(refusal(*database).find("needs UTF8"), std::string::npos);
    EXPECT_EQ(database->open_store()->ping().error(), Failure::unavailable);
    sql_.run("DROP DATABASE coupond_test_ascii WITH (FORCE)");
}

TEST_F(PostgresDatabaseTest, ThatCannotBeReachedSaysWhyWithoutThePassword) {
    postgres::Options options;
    options.host = "127.0.0.1";
    options.port = "1";
    options.username = "ann";
    options.password = "hunter2";
    options.name = "shop";
    const auto database = postgres::open(options);
    EXPECT_EQ(database->name(), "postgresql://127.0.0.1:1/shop");
    try {
        database->migrate();
        FAIL();
    } catch (const Unreachable& error) {
        EXPECT_NE(std::string(error.what()).find("refused"), std::string::npos) << error.what();
        EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos) << error.what();
    }
}

TEST_F(PostgresDatabaseTest, WithAUrlThatCannotBeReadIsRefusedWithoutThePassword) {
    for (const char* const url :
         {"postgres:/ann:hunter2@host", "postgresql://ann:hunter2%zz@host/db", "hunter2",
          "postgresql://ann:hunter2@host/db?nonsense=1"}) {
        try {
            open_postgres(url);
            ADD_FAILURE() << url;
        } catch (const std::invalid_argument& error) {
            EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos);
        }
    }
}

TEST_F(PostgresDatabaseTest, NamesTheOptionThatLibpqDoesNotKnowUnlessItMayBeOfAPassword) {
    const std::pair<const char*, bool> cases[] = {
        {"postgresql://ann:pw@host/db?wrong=1", true},
        {"postgresql://ann:pw@host/db?sslmode=disable&wrong=1", true},
        {"host=h wrong=1 password=pw", true},
        {"host=h wrong = 1", true},
        {"wrong=1", true},
        {"postgresql://ann:pa/ss?wrong=1@host/db", false},
        {"postgresql://host/db?password=a&wrong=1", false},
        {"password=a wrong=1 host=h", false},
        {"host=h 'wrong'=1", false},
        {"postgresql://ann:pw@host/db?wrong", false},
    };
    for (const auto& [url, named] : cases) {
        try {
            open_postgres(url);
            ADD_FAILURE() << url;
        } catch (const std::invalid_argument& error) {
            const std::string said = error.what();
            EXPECT_EQ(said.find("'wrong'") != std::string::npos, named) << url << ": " << said;
            EXPECT_EQ(said.find("wrong") != std::string::npos, named) << url << ": " << said;
        }
    }
}

TEST_F(PostgresDatabaseTest, IsNamedWithoutUserAndPassword) {
    EXPECT_EQ(open_postgres("postgresql://ann:hunter2@one:1,two:2/shop")->name(),
              "postgresql://one:1,two:2/shop");
    EXPECT_EQ(open_postgres("host=/run/postgresql dbname=shop password=hunter2")->name(),
              "postgresql:///shop");
}

TEST_F(PostgresDatabaseTest, GoesOnToTheNextHostWhereOneDoesNotTakeChanges) {
    std::string url = server_.url();
    const std::size_t host =
        url.find('@') == std::string::npos ? url.find("//") + 2 : url.find('@') + 1;
    url.insert(host, "127.0.0.1:1,");
    const auto database = open_postgres(url);
    EXPECT_GT(database->migrate(), 0);
    EXPECT_TRUE(database->open_store()->ping());
}

}  // namespace
}  // namespace coupond::test
