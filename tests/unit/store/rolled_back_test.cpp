// What a rolled back transaction had gathered for the log must not come after it.
#include <gtest/gtest.h>

#include "store/sqlite/connection.hpp"
#include "support/temporary_folder.hpp"

namespace coupond::sqlite {
namespace {

TEST(RolledBackWrites, NeverOverwriteWhatAnotherConnectionCommittedInTheirPlace) {
    const test::TemporaryFolder folder;
    const std::string path = (folder.path() / "coupond.db").string();
    Connection lane(path, Connection::Mode::read_write);
    lane.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, filling BLOB NOT NULL);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
        "INSERT INTO t SELECT i, 0, zeroblob(1500) FROM n;"
        "PRAGMA cache_size = 10");  // pages: so small that a transaction writes before its end

    lane.execute("BEGIN IMMEDIATE; UPDATE t SET a = 1 WHERE id <= 60");
    lane.roll_back();
    Connection other(path, Connection::Mode::read_write);
    other.execute("UPDATE t SET a = 2 WHERE id > 100");
    lane.execute("INSERT INTO t VALUES (1000, 3, zeroblob(10))");

    Connection fresh(path, Connection::Mode::read_only);
    EXPECT_EQ(fresh.integer("SELECT count(*) FROM t WHERE a = 2"), 100);
    EXPECT_EQ(fresh.integer("SELECT count(*) FROM t WHERE a = 1"), 0);
    EXPECT_EQ(fresh.integer("SELECT count(*) FROM t WHERE a = 3"), 1);
}

}  // namespace
}  // namespace coupond::sqlite
