// The file as a whole: its schema, who may open it, how it is opened.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "store/sqlite/migrations.hpp"
#include "unit/store/old_data.hpp"
#include "unit/store/opened_connections.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using sqlite::Database;

int latest_schema_version() {
    return static_cast<int>(sqlite::migrations().size());
}

std::string bytes_of(const std::filesystem::path& file) {
    std::stringstream bytes;
    bytes << std::ifstream(file, std::ios::binary).rdbuf();
    return bytes.str();
}

/// What is said against opening a folder; empty where it opens.
std::string complaint(const std::filesystem::path& folder) {
    try {
        Database database(folder);
    } catch (const OpenError& error) {
        return error.what();
    }
    return {};
}

class DatabaseTest : public testing::Test {
protected:
    std::filesystem::path file() const { return folder_.path() / "coupond.db"; }

    TemporaryFolder folder_{TemporaryFolder::Disk::memory};
};

TEST_F(DatabaseTest, IsMigratedFromNothingOnce) {
    Database database(folder_.path());
    EXPECT_EQ(database.schema_version(), 0);
    EXPECT_GE(latest_schema_version(), 1);
    EXPECT_EQ(database.migrate(), latest_schema_version());
    EXPECT_EQ(database.schema_version(), latest_schema_version());
    EXPECT_EQ(database.migrate(), 0);
    EXPECT_EQ(SecondConnection(file()).integer("PRAGMA application_id"), 0x636f7570);
}

TEST_F(DatabaseTest, IsNotMigratedAgainWhenOpenedAgain) {
    Database(folder_.path()).migrate();
    const auto schema = SecondConnection(file()).rows("SELECT type, name, sql FROM sqlite_schema");
    Database again(folder_.path());
    EXPECT_EQ(again.migrate(), 0);
    EXPECT_EQ(SecondConnection(file()).rows("SELECT type, name, sql FROM sqlite_schema"), schema);
}

TEST_F(DatabaseTest, OfEveryEarlierVersionIsMigratedToTheSameSchema) {
    Database(folder_.path()).migrate();
    const std::string schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name";
    const auto wanted = SecondConnection(file()).rows(schema);
    std::string sql = "PRAGMA application_id = 1668248944;";
    for (int version = 1; version < latest_schema_version(); ++version) {
        sql += sqlite::migrations()[static_cast<std::size_t>(version - 1)].sql;
        const TemporaryFolder old(TemporaryFolder::Disk::memory);
        SecondConnection(old.path() / "coupond.db")
            .run(sql + "; PRAGMA user_version = " + std::to_string(version));
        Database database(old.path());
        EXPECT_EQ(database.migrate(), latest_schema_version() - version);
        EXPECT_EQ(SecondConnection(old.path() / "coupond.db").rows(schema), wanted);
    }
}

TEST_F(DatabaseTest, OfVersion1KeepsItsRowsAndGetsALedgerOfThem) {
    SecondConnection(file()).run("PRAGMA application_id = 1668248944;" +
                                 std::string(sqlite::migrations()[0].sql) +
                                 "; PRAGMA user_version = 1; " + rows_of_version_1());
    std::optional<Database> database(folder_.path());
    EXPECT_EQ(database->migrate(), latest_schema_version() - 1);
    expect_rows_of_version_1(SecondConnection(file()));
    expect_sound(file());
    database.emplace(folder_.path(), sqlite::Access::look);
    expect_verified(*database, 7);
    database.emplace(folder_.path());
    expect_to_go_on(*database->open_store(), *database->open_read_store());
    expect_sound(file());
    database.emplace(folder_.path(), sqlite::Access::look);
    expect_verified(*database, 7);
    database.emplace(folder_.path());
    expect_to_generate(*database->open_store(), *database->open_read_store());
    expect_sound(file());
    database.emplace(folder_.path(), sqlite::Access::look);
    expect_verified(*database, 12);
}

TEST_F(DatabaseTest, OfBeforeLimitsKeepsWhatStandsOfItsRedemptions) {
    std::string sql = "PRAGMA application_id = 1668248944;";
    constexpr std::size_t before_limits = 9;
    for (std::size_t step = 0; step < before_limits; ++step) sql += sqlite::migrations()[step].sql;
    SecondConnection(file()).run(sql + "; PRAGMA user_version = 9; " + rows_before_limits());
    std::optional<Database> database(folder_.path());
    EXPECT_EQ(database->migrate(), latest_schema_version() - 9);
    expect_standing_of_before_limits(SecondConnection(file()));
    database.emplace(folder_.path(), sqlite::Access::look);
    expect_verified(*database, 9);
    database.emplace(folder_.path());
    expect_to_count_on(*database->open_store());
    database.emplace(folder_.path(), sqlite::Access::look);
    expect_verified(*database, 9);
}

TEST_F(DatabaseTest, OfBeforeImagesKeepsItsJobs) {
    std::string sql = "PRAGMA application_id = 1668248944;";
    constexpr std::size_t before_images = 19;
    for (std::size_t step = 0; step < before_images; ++step) sql += sqlite::migrations()[step].sql;
    SecondConnection(file()).run(sql + "; PRAGMA user_version = 19; " + jobs_before_images());
    Database database(folder_.path());
    EXPECT_EQ(database.migrate(), latest_schema_version() - 19);
    expect_jobs_before_images(*database.open_read_store());
}

TEST_F(DatabaseTest, ThatNobodyHadOpenTellsWhoeverReadsItOfSomebodyWhoCame) {
    Database(folder_.path()).migrate();
    Database database(folder_.path(), sqlite::Access::look);
    const auto snapshot = database.open_snapshot();
    const auto books = snapshot->books();
    Snapshot::BookRow book;
    EXPECT_FALSE(books->next(book));
    SecondConnection(file()).run(
        "INSERT INTO coupon_book (id, name, code_pattern, created_at, updated_at) "
        "VALUES (1, 'a', 'p', 1000, 1000)");
    try {
        Snapshot::CodeRow code;
        snapshot->codes()->next(code);
        ADD_FAILURE() << "read on as if nothing were";
    } catch (const OpenError& error) {
        EXPECT_NE(std::string(error.what()).find("try again"), std::string::npos) << error.what();
    }
}

TEST_F(DatabaseTest, WhoseMigrationFailsStaysAtItsVersion) {
    // Somebody's table stands in the way of the schema's.
    SecondConnection(file()).run("PRAGMA application_id = 1668248944; CREATE TABLE lock_count (a)");
    Database database(folder_.path());
    EXPECT_THROW(database.migrate(), OpenError);
    EXPECT_EQ(database.schema_version(), 0);
    EXPECT_EQ(SecondConnection(file()).rows("SELECT name FROM sqlite_schema"),
              (std::vector<std::string>{"lock_count"}));
}

TEST_F(DatabaseTest, OfANewerSchemaIsRefused) {
    Database(folder_.path()).migrate();
    const int newer = latest_schema_version() + 1;
    SecondConnection(file()).run("PRAGMA user_version = " + std::to_string(newer));
    const std::string said = complaint(folder_.path());
    EXPECT_NE(said.find("schema version " + std::to_string(newer)), std::string::npos) << said;
    EXPECT_NE(said.find("up to " + std::to_string(newer - 1)), std::string::npos) << said;
}

TEST_F(DatabaseTest, OfAnotherProgramIsRefusedAndLeftAsItIs) {
    for (const char* const made : {"PRAGMA application_id = 1; CREATE TABLE t (a)",
                                   "CREATE TABLE t (a)", "PRAGMA application_id = 1; VACUUM"}) {
        const TemporaryFolder folder(TemporaryFolder::Disk::memory);
        const auto foreign = folder.path() / "coupond.db";
        SecondConnection(foreign).run(made);
        const std::string before = bytes_of(foreign);
        const std::string said = complaint(folder.path());
        EXPECT_NE(said.find("is not a coupond database"), std::string::npos) << said;
        EXPECT_TRUE(bytes_of(foreign) == before) << made;
    }
}

TEST_F(DatabaseTest, ThatIsNoSqliteFileIsRefusedAndLeftAsItIs) {
    std::ofstream(file()) << "this is a letter to my aunt, not a database";
    const std::string before = bytes_of(file());
    const std::string said = complaint(folder_.path());
    EXPECT_NE(said.find("cannot use " + file().string()), std::string::npos) << said;
    EXPECT_EQ(bytes_of(file()), before);
}

TEST_F(DatabaseTest, IsHeldByOneProcessWhichTheNextOneIsTold) {
    const Database database(folder_.path());
    const std::string said = complaint(folder_.path());
    EXPECT_NE(said.find("in use by another coupond (process " + std::to_string(getpid()) + ")"),
              std::string::npos)
        << said;
}

TEST_F(DatabaseTest, IsFreeAgainOnceItsHolderHasEnded) {
    { const Database database(folder_.path()); }
    EXPECT_EQ(complaint(folder_.path()), "");
}

TEST_F(DatabaseTest, InAFolderThatCannotBeMadeIsRefused) {
    std::ofstream(folder_.path() / "taken") << "a file";
    EXPECT_NE(complaint(folder_.path() / "taken" / "data").find("cannot create the data folder"),
              std::string::npos);
    EXPECT_EQ(complaint(folder_.path() / "deep" / "er"), "");
}

TEST_F(DatabaseTest, KeepsEverythingOverAReopening) {
    SqliteStore sqlite;
    Code code = make_code(1, 1, "A");
    code.assigned_to = "ann";
    code.lock = Lock{"ann", noon + 300'000};
    Draft draft;
    draft.book(make_book(1))
        .code(code)
        .code(make_code(2, 1, "B"))
        .usage({1, "bob"}, {all_times, 2});
    draft.delta.locks[{1, noon + 300'000}] = 1;
    ASSERT_TRUE(sqlite.store().save(draft.delta));
    const auto before = contents(sqlite.file());
    EXPECT_EQ(before.size(), 14u);
    sqlite.close();
    EXPECT_FALSE(std::filesystem::exists(sqlite.file().string() + "-wal"));
    sqlite.open();
    EXPECT_EQ(contents(sqlite.file()), before);
    expect_sound(sqlite.file());
}

TEST_F(DatabaseTest, HasStrictTablesOnly) {
    Database(folder_.path()).migrate();
    SecondConnection second(file());
    EXPECT_EQ(second.rows("SELECT name FROM pragma_table_list WHERE schema = 'main' "
                          "AND name NOT LIKE 'sqlite_%' AND NOT strict"),
              std::vector<std::string>{});
    EXPECT_EQ(second.integer("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' "
                             "AND name NOT LIKE 'sqlite_%'"),
              17);
}

TEST_F(DatabaseTest, IsOpenedWithALogThatIsSyncedAtEachCommit) {
    const OpenedConnections opened;
    SqliteStore sqlite;
    // The schema's, the store's, the checkpointer's and the reader's.
    ASSERT_EQ(opened.handles().size(), 4u);
    for (sqlite3* const handle : opened.handles()) {
        EXPECT_EQ(OpenedConnections::ask(handle, "PRAGMA journal_mode"), "wal");
        EXPECT_EQ(OpenedConnections::ask(handle, "PRAGMA synchronous"), "2");  // FULL
        EXPECT_EQ(OpenedConnections::ask(handle, "PRAGMA trusted_schema"), "0");
    }
    EXPECT_EQ(sqlite3_db_readonly(opened.handles().back(), "main"), 1);
}

// How the statements of the store find their rows: what makes their cost independent of how many
// codes there are.
class Plans : public DatabaseTest {
protected:
    /// The plan of each prepared statement with `part` in it.
    std::vector<std::string> plans(const std::string& part) {
        std::vector<std::string> plans;
        for (const auto& [handle, sql] : opened_.prepared(part)) {
            plans.push_back(OpenedConnections::ask(handle, "EXPLAIN QUERY PLAN " + sql));
        }
        return plans;
    }

    OpenedConnections opened_;
    SqliteStore sqlite_;
};

TEST_F(Plans, OfFreeCodesWalkTheIndexOfFreeCodes) {
    const auto found = plans("ORDER BY shuffle_key");
    ASSERT_EQ(found.size(), 2u);
    EXPECT_TRUE(
        found[0].starts_with("SEARCH code USING INDEX coupon_code_free (book_id=? AND "
                             "shuffle_key>? AND shuffle_key<?)"));
    EXPECT_TRUE(found[1].starts_with(
        "SEARCH code USING INDEX coupon_code_free (book_id=? AND shuffle_key>?)"));
}

TEST_F(Plans, OfACodeUseItsUniqueIndex) {
    const auto found = plans("code = ?");
    EXPECT_EQ(found.size(), 6u);
    for (const std::string& plan : found) {
        EXPECT_NE(plan.find("INDEX coupon_code_code (code=?)"), std::string::npos) << plan;
    }
    const auto next = plans("WHERE code >= ? ORDER BY code LIMIT 1");
    ASSERT_EQ(next.size(), 1u);
    EXPECT_TRUE(
        next[0].starts_with("SEARCH coupon_code USING COVERING INDEX coupon_code_code (code>?)"))
        << next[0];
}

TEST_F(Plans, OfSpellingsUseTheirUniqueIndex) {
    const auto found = plans("folded = ?");
    EXPECT_EQ(found.size(), 2u);
    for (const std::string& plan : found) {
        EXPECT_NE(plan.find("INDEX coupon_code_folded (folded=?)"), std::string::npos) << plan;
    }
}

TEST_F(Plans, OfBooksWalkTheIndexOfTheirOrder) {
    const auto of = [&](const std::string& where, const std::string& order) {
        const auto found = plans("WHERE " + where + " ORDER BY " + order);
        EXPECT_EQ(found.size(), 1u) << where;
        return found.empty() ? std::string() : found[0];
    };
    for (const std::string column : {"name", "created_at"}) {
        const std::string search = "SEARCH book USING INDEX coupon_book_" +
                                   std::string(column == "name" ? "name" : "created") + " (" +
                                   column;
        EXPECT_EQ(of(column + " > ?2", column + ", id"), search + ">?)");
        EXPECT_EQ(of(column + " < ?2", column + " DESC, id DESC"), search + "<?)");
        EXPECT_EQ(of(column + " = ?2 AND id > ?3", column + ", id"), search + "=? AND rowid>?)");
        EXPECT_EQ(of(column + " = ?2 AND id < ?3", column + " DESC, id DESC"),
                  search + "=? AND rowid<?)");
    }
    EXPECT_EQ(of("id > ?2", "id"), "SEARCH book USING INTEGER PRIMARY KEY (rowid>?)");
    EXPECT_EQ(of("id < ?2", "id DESC"), "SEARCH book USING INTEGER PRIMARY KEY (rowid<?)");
}

TEST_F(Plans, OfWhatAUserHoldsUseTheIndexOfHolders) {
    const auto found = plans("WHERE code.assigned_to = (SELECT number FROM coupon_user");
    EXPECT_EQ(found.size(), 3u);
    for (const std::string& plan : found) {
        EXPECT_NE(plan.find("INDEX coupon_code_holder (assigned_to=? AND rowid>?"),
                  std::string::npos)
            << plan;
    }
    const auto erased = plans("code.assigned_to = ? AND code.redeemed_at IS NULL");
    ASSERT_EQ(erased.size(), 1u);
    EXPECT_NE(erased[0].find("INDEX coupon_code_holder (assigned_to=?)"), std::string::npos)
        << erased[0];
}

TEST_F(Plans, OfJobsUseTheirIndexes) {
    const auto of = [&](const std::string& part, const std::string& wanted) {
        const auto found = plans(part);
        EXPECT_EQ(found.size(), 1u) << part;
        for (const std::string& plan : found) {
            EXPECT_NE(plan.find(wanted), std::string::npos) << plan;
        }
    };
    of("SELECT id FROM job WHERE id < ?1", "SEARCH job USING INTEGER PRIMARY KEY (rowid<?)");
    of("SELECT id FROM job WHERE book_id = ?5",
       "SEARCH job USING COVERING INDEX job_book (book_id=? AND rowid<?)");
    of("FROM job WHERE id < ?1 AND id >= ?2",
       "SEARCH job USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    of("FROM job WHERE book_id = ?5 AND id < ?1 AND id >= ?2",
       "SEARCH job USING INDEX job_book (book_id=? AND rowid>? AND rowid<?)");
    // Those that are not finished, and nothing else, are in the index that is walked.
    const auto next = plans("job.status < 2");
    ASSERT_EQ(next.size(), 1u);
    EXPECT_TRUE(next[0].starts_with("SEARCH job USING INDEX job_unfinished (id>?)")) << next[0];
    EXPECT_NE(next[0].find("SCAN job USING INDEX job_unfinished"), std::string::npos) << next[0];
    EXPECT_NE(next[0].find("SEARCH generator USING PRIMARY KEY (book_id=? AND code_pattern=?)"),
              std::string::npos)
        << next[0];
}

TEST_F(Plans, OfFilesUseTheirIndexes) {
    const auto of = [&](const std::string& part, const std::string& wanted) {
        const auto found = plans(part);
        EXPECT_EQ(found.size(), 1u) << part;
        for (const std::string& plan : found) {
            EXPECT_NE(plan.find(wanted), std::string::npos) << plan;
        }
    };
    of("SELECT bytes FROM file_part",
       "SEARCH file_part USING INDEX sqlite_autoindex_file_part_1 "
       "(job_id=? AND number>? AND number<?)");
    // One a file, and nothing else, is in the index that is walked.
    of("WHERE number = 0", "SCAN file_part USING COVERING INDEX file_part_first");
    of("WHERE number = 0", "SEARCH job USING INTEGER PRIMARY KEY (rowid=?)");
    of("DELETE FROM file_part", "SEARCH file_part USING INTEGER PRIMARY KEY (rowid=?)");
    of("DELETE FROM file_part",
       "SEARCH file_part USING COVERING INDEX sqlite_autoindex_file_part_1 (job_id=?)");
    of("FROM rejected_row", "SEARCH rejected_row USING PRIMARY KEY (job_id=? AND line>?)");
    of("WHERE adds_alone = 1", "SCAN job USING INDEX job_adds_alone");
}

TEST_F(Plans, OfNoStatementSortOrScanCodes) {
    const auto all = plans("");
    EXPECT_GT(all.size(), 20u);
    for (const std::string& plan : all) {
        const bool of_few = plan.find("SCAN chain") != std::string::npos;
        EXPECT_TRUE(of_few || plan.find("TEMP B-TREE") == std::string::npos) << plan;
        for (const char* const table :
             {"coupon_code", "code", "coupon_user", "holder", "usage_count", "activity_count",
              "discount_count", "old", "who", "lock_count", "counted_lock", "ledger", "entry",
              "code_generator", "generator", "rejected_row"}) {
            EXPECT_EQ(plan.find("SCAN " + std::string(table)), std::string::npos) << plan;
        }
    }
}

}  // namespace
}  // namespace coupond::test
