// Connections and answers that get lost on the way.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "base/limits.hpp"
#include "store/postgres/lost_commit.hpp"
#include "unit/store/support.hpp"
#include "unit/store_postgres/proxy.hpp"

namespace coupond::test {
namespace {

constexpr std::chrono::milliseconds slack{3'000};  // of a machine that has other things to do

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class LostTest : public testing::Test {
protected:
    LostTest() {
        // A book, and in it the code A of ann and the free code B.
        Code a = make_code(1, 1, "A");
        a.assigned_to = "ann";
        Draft draft;
        draft.book(make_book(1)).code(a).code(make_code(2, 1, "B"));
        EXPECT_TRUE(tested_.store().save(draft.delta));
        // Ids are given by hand, so let coupond know that they are taken.
        proxied_ = open_postgres(proxy_.url());
        store_ = proxied_->open_store();
        reads_ = proxied_->open_read_store();
    }

    /// Locks A; what comes of one try.
    Result<void> lock(const char* user = "ann") {
        const auto outcomes = run(*store_, LockCode{"A", user, 1000}, noon);
        if (!outcomes) return outcomes.error();
        EXPECT_TRUE(std::holds_alternative<CodeLocked>(outcomes->front()));
        return {};
    }

    /// How often A has been locked.
    std::int64_t locks() {
        return sql_.integer("SELECT count(*) FROM ledger WHERE code_id = 1 AND type = 4");
    }

    /// Ends the connections of all stores.
    void terminate() {
        sql_.run(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE application_name = 'coupond' AND datname = current_database()");
        proxy_.wait_until_unused();
    }

    template <class Work>
    static milliseconds time(const Work& work) {
        const auto begin = steady_clock::now();
        work();
        return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin);
    }

    PostgresStore tested_;
    PostgresConnection sql_ = tested_.connect();
    Proxy proxy_{tested_.url()};
    std::unique_ptr<Database> proxied_;
    std::unique_ptr<Store> store_;
    std::unique_ptr<ReadStore> reads_;
};

TEST_F(LostTest, ConnectionBetweenTwoBatchesIsReplacedUnnoticed) {
    ASSERT_TRUE(store_->ping());
    ASSERT_TRUE(reads_->ping());
    terminate();
    EXPECT_TRUE(lock());
    EXPECT_TRUE(reads_->list_books({.limit = 1}, noon));
}

TEST_F(LostTest, ConnectionBetweenLoadAndSaveIsAConflict) {
    const Draft draft = [&] {
        Code code = load_codes(*store_, {"A"})[0];
        code.lock = Lock{"ann", noon + 5};
        return std::move(Draft().change(code));
    }();
    terminate();
    EXPECT_EQ(store_->save(draft.delta).error(), Failure::conflict);
    EXPECT_EQ(locks(), 0);
    EXPECT_TRUE(lock());
    EXPECT_EQ(locks(), 1);
}

TEST_F(LostTest, ConnectionBeforeSavingNothingDoesNotMatter) {
    load_codes(*store_, {"A"});
    terminate();
    EXPECT_TRUE(store_->save({}));
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, CommitThatDidNotArriveIsAConflict) {
    proxy_.mode = Proxy::Mode::lose_commit;
    EXPECT_EQ(lock().error(), Failure::conflict);
    EXPECT_EQ(locks(), 0);
    EXPECT_TRUE(lock());
    EXPECT_EQ(locks(), 1);
}

TEST_F(LostTest, CodesThatWereCopiedAreThereOrNotWhereverTheConnectionGoes) {
    const auto add = [&](CodeId first) {
        Draft draft;
        for (CodeId id = first; id < first + 600; ++id) {
            draft.code(make_code(id, 1, "C" + std::to_string(id)));
        }
        return store_->save(draft.delta);
    };
    const auto codes = [&] { return sql_.integer("SELECT count(*) FROM coupon_code"); };
    for (const Proxy::Mode mode : {Proxy::Mode::lose_copy, Proxy::Mode::lose_commit}) {
        proxy_.mode = mode;
        EXPECT_EQ(add(1'000).error(), Failure::conflict);
        EXPECT_EQ(proxy_.mode, Proxy::Mode::pass);
        EXPECT_EQ(codes(), 2);
    }
    proxy_.mode = Proxy::Mode::lose_answer;
    EXPECT_TRUE(add(1'000));
    EXPECT_EQ(codes(), 602);
    EXPECT_EQ(add(1'000).error(), Failure::conflict);
    EXPECT_TRUE(add(2'000));  // on the same connection
    EXPECT_EQ(codes(), 1'202);
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, AnswerToACommitIsFoundOut) {
    proxy_.mode = Proxy::Mode::lose_answer;
    EXPECT_TRUE(lock());
    EXPECT_EQ(locks(), 1);
}

TEST_F(LostTest, AnswerThatDoesNotComeIsFoundOut) {
    proxy_.mode = Proxy::Mode::stay_silent;
    EXPECT_LT(time([&] { EXPECT_TRUE(lock()); }), milliseconds(limits::database_wait_ms) + slack);
    EXPECT_EQ(locks(), 1);
}

TEST_F(LostTest, TransactionThatIsStillRunningIsEnded) {
    sql_.run("BEGIN; SELECT FROM coupon_code WHERE code = 'A' FOR UPDATE");
    proxy_.mode = Proxy::Mode::leave_running;
    EXPECT_EQ(lock().error(), Failure::conflict);
    sql_.run("COMMIT");
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_EQ(locks(), 0);
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, SaveThatWaitsTooLongForAnotherOneIsEndedAndAConflict) {
    sql_.run("BEGIN; SELECT FROM coupon_code WHERE code = 'A' FOR UPDATE");
    EXPECT_EQ(lock().error(), Failure::conflict);
    sql_.run("COMMIT");
    std::this_thread::sleep_for(milliseconds(100));
    EXPECT_EQ(locks(), 0);
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, ServerForAMomentCostsTimeOnly) {
    ASSERT_TRUE(store_->ping());
    proxy_.take_down();
    const std::jthread restart([&] {
        std::this_thread::sleep_for(milliseconds(500));
        proxy_.mode = Proxy::Mode::pass;
    });
    EXPECT_TRUE(lock());
    EXPECT_TRUE(reads_->list_books({.limit = 1}, noon));
}

TEST_F(LostTest, ServerForLongIsUnavailableFirstAfterAWaitThenAtOnce) {
    ASSERT_TRUE(store_->ping());
    proxy_.take_down();
    const auto first = time([&] { EXPECT_EQ(lock().error(), Failure::unavailable); });
    EXPECT_GT(first, milliseconds(limits::database_wait_ms / 2));
    EXPECT_LT(first, milliseconds(limits::database_wait_ms) + slack);
    const auto more = time([&] {
        for (int i = 0; i < 10; ++i) EXPECT_EQ(lock().error(), Failure::unavailable);
        EXPECT_EQ(store_->ping().error(), Failure::unavailable);
    });
    EXPECT_LT(more, milliseconds(limits::database_wait_ms));  // all of them
    proxy_.mode = Proxy::Mode::pass;
    std::this_thread::sleep_for(milliseconds(limits::reconnect_most_ms));
    EXPECT_TRUE(store_->ping());
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, ServerThatHangsIsUnavailableAndItsProcessIsEndedLater) {
    ASSERT_TRUE(store_->ping());
    proxy_.mode = Proxy::Mode::hang;
    const auto waited = time([&] { EXPECT_EQ(lock().error(), Failure::unavailable); });
    EXPECT_LT(waited, milliseconds(limits::database_wait_ms) + slack);
    // There was a connection until now; after that, one try each time.
    for (const int bound : {limits::database_wait_ms, limits::connect_wait_ms}) {
        const auto more = time([&] { EXPECT_EQ(lock().error(), Failure::unavailable); });
        EXPECT_LT(more, milliseconds(bound) + slack / 2);
    }
    proxy_.mode = Proxy::Mode::pass;
    std::this_thread::sleep_for(milliseconds(limits::reconnect_most_ms));
    EXPECT_TRUE(lock());
}

TEST_F(LostTest, TransactionThatStoodStillForTooLongIsNotSaved) {
    const auto locked = [](Store& store, const char* text) {
        Code code = load_codes(store, {text})[0];
        code.lock = Lock{"ann", noon + 5};
        return std::move(Draft().change(code));
    };
    const Draft a = locked(tested_.store(), "A");
    const Draft b = locked(*store_, "B");
    proxy_.mode = Proxy::Mode::hang;  // this one does not see that the server has ended it
    std::this_thread::sleep_for(milliseconds(limits::transaction_idle_ms + 500));
    EXPECT_EQ(sql_.integer("SELECT count(*) FROM pg_stat_activity "
                           "WHERE datname = current_database() AND state LIKE 'idle in %'"),
              0);
    auto unseen = std::async([&] { return store_->save(b.delta); });
    const Result<void> seen = tested_.store().save(a.delta);
    std::this_thread::sleep_for(milliseconds(100));
    proxy_.mode = Proxy::Mode::pass;
    for (const Result<void>& saved : {seen, unseen.get()}) {
        ASSERT_TRUE(saved.has_error());
        EXPECT_EQ(saved.error(), Failure::conflict);
    }
    EXPECT_EQ(sql_.integer("SELECT count(locked_until) FROM coupon_code"), 0);
    EXPECT_TRUE(lock());
    EXPECT_TRUE(tested_.store().ping());
}

TEST_F(LostTest, ServerThatTakesNoChangesIsUnavailable) {
    ASSERT_TRUE(store_->ping());
    sql_.run("ALTER DATABASE " + sql_.text("SELECT current_database()") +
             " SET default_transaction_read_only = on");
    terminate();
    EXPECT_EQ(store_->ping().error(), Failure::unavailable);
    PostgresConnection(tested_.url())
        .run("BEGIN READ WRITE; ALTER DATABASE " + sql_.text("SELECT current_database()") +
             " RESET default_transaction_read_only; COMMIT");
    std::this_thread::sleep_for(milliseconds(limits::reconnect_most_ms));
    EXPECT_TRUE(store_->ping());
    EXPECT_TRUE(lock());
}

/// What is found out about a save of `delta` whose server, and its numbers, are gone.
class TakenOver : public LostTest {
protected:
    Result<void> look_up(const Delta& delta) {
        postgres::Options options;
        options.url = tested_.url();
        postgres::Servers servers(options);
        postgres::Link link(servers, postgres::Servers::Side::write);
        return postgres::look_up_commit(link, {"another", 0, false}, {true, "3", 1}, delta,
                                        steady_clock::now() + milliseconds(500));
    }

    Draft locked() {
        Code code = load_codes(*store_, {"A"})[0];
        code.lock = Lock{"ann", noon + 5};
        return std::move(Draft().change(code));
    }
};

TEST_F(TakenOver, FindsNoEntryOfWhatWasNotSaved) {
    EXPECT_EQ(look_up(locked().delta).error(), Failure::conflict);
}

TEST_F(TakenOver, FindsTheEntryOfWhatWasSaved) {
    const Draft draft = locked();
    ASSERT_TRUE(store_->save(draft.delta));
    EXPECT_TRUE(look_up(draft.delta));
}

TEST_F(TakenOver, FindsTheEntryHoweverTheRowHasGoneOn) {
    const Draft draft = locked();
    ASSERT_TRUE(store_->save(draft.delta));
    ASSERT_TRUE(run(*store_, RedeemCode{"A", "ann"}, noon));
    EXPECT_TRUE(look_up(draft.delta));
}

TEST_F(TakenOver, FindsNoEntryWhereAnotherSaveHasChangedTheRow) {
    const Draft draft = locked();
    ASSERT_TRUE(run(tested_.store(), LockCode{"A", "ann", 1000}, noon));
    EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict);
}

TEST_F(TakenOver, DoesNotTakeAnothersEntryWithItsIdForItsOwn) {
    for (const char* const different :
         {"at = at + 1", "type = 5", "book_id = 2", "code_id = 2", "request_id = 'another'"}) {
        const Draft draft = locked();
        ASSERT_TRUE(store_->save(draft.delta));
        sql_.run("UPDATE ledger SET " + std::string(different) +
                 " WHERE id = " + std::to_string(draft.delta.entries.front().id));
        EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict) << different;
    }
}

TEST_F(TakenOver, FindsTheEntriesOfNewRowsOrNot) {
    const Draft codes = std::move(Draft().code(make_code(7, 1, "G")));
    EXPECT_EQ(look_up(codes.delta).error(), Failure::conflict);
    ASSERT_TRUE(store_->save(codes.delta));
    EXPECT_TRUE(look_up(codes.delta));

    const Draft books = std::move(Draft().book(make_book(2)));
    EXPECT_EQ(look_up(books.delta).error(), Failure::conflict);
    ASSERT_TRUE(store_->save(books.delta));
    EXPECT_TRUE(look_up(books.delta));
}

TEST_F(TakenOver, FindsANewJobHoweverItHasGoneOn) {
    const Draft draft = std::move(Draft().job(make_job(1, 1)));
    EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict);
    ASSERT_TRUE(store_->save(draft.delta));
    EXPECT_TRUE(look_up(draft.delta));
    ASSERT_TRUE(run(*store_, CancelJob{1}, noon));
    EXPECT_TRUE(look_up(draft.delta));
    for (const char* const different : {"created_at = created_at + 1", "request_id = 'another'"}) {
        sql_.run("UPDATE job SET " + std::string(different));
        EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict) << different;
        sql_.run("UPDATE job SET request_id = 'draft', created_at = " + std::to_string(noon.ms));
    }
}

TEST_F(TakenOver, FindsAChangedJobOrAnotherChangeOfIt) {
    ASSERT_TRUE(store_->save(Draft().job(make_job(1, 1)).delta));
    Job job = make_job(1, 1);
    job.status = Job::Status::cancelled;
    job.finished_at = noon;
    const Draft draft = std::move(Draft().change(job));
    EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict);
    ASSERT_TRUE(store_->save(draft.delta));
    EXPECT_TRUE(look_up(draft.delta));
    for (const char* const different :
         {"version = 3", "status = 2", "worker = 'another'", "finished_at = NULL"}) {
        sql_.run("UPDATE job SET " + std::string(different));
        EXPECT_EQ(look_up(draft.delta).error(), Failure::conflict) << different;
        sql_.run("UPDATE job SET version = 2, status = 4, worker = NULL, finished_at = " +
                 std::to_string(noon.ms));
    }
}

/// What is found out about a save that its server has committed, and perhaps nobody else.
class Committed : public LostTest {
protected:
    Committed() {
        EXPECT_TRUE(store_->save(draft_.delta));
        transaction_.id = sql_.text("SELECT xmin FROM coupon_code WHERE id = 7");
    }
    ~Committed() override {
        sql_.run("ALTER SYSTEM RESET synchronous_standby_names");
        sql_.run("SELECT pg_reload_conf()");
        sql_.run(a_commit);  // answered when that has reached the server
    }

    /// From now on no commit is answered: it waits for a replica that there is not.
    void wait_for_nobody() {
        sql_.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        sql_.run("SELECT pg_reload_conf()");
        committing_ = std::jthread([this] {
            auto fresh = tested_.connect();
            while (!waits_) fresh.run(a_commit);
        });
        while (sql_.integer("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") ==
               0) {
            std::this_thread::sleep_for(milliseconds(1));
        }
        waits_ = true;
    }

    Result<void> look_up(milliseconds for_how_long) {
        postgres::Options options;
        options.url = tested_.url();
        postgres::Servers servers(options);
        postgres::Link link(servers, postgres::Servers::Side::write);
        const auto deadline = steady_clock::now() + for_how_long;
        link.get(deadline);
        const postgres::Server same = link.server();
        return postgres::look_up_commit(link, same, transaction_, draft_.delta, deadline);
    }

private:
    static constexpr const char* a_commit = "UPDATE coupon_book SET name = name";
    // Before all that a store gives: an id beyond those would be a restored ledger's, which costs a
    // commit to go on from.
    const Draft draft_ = std::move(Draft(1).code(make_code(7, 1, "G")));
    postgres::Transaction transaction_{true, {}, 1};
    std::atomic<bool> waits_ = false;
    std::jthread committing_;
};

TEST_F(Committed, IsDone) {
    EXPECT_TRUE(look_up(milliseconds(2000)));
}

TEST_F(Committed, IsInDoubtAsLongAsTheSynchronousReplicaMayNotHaveIt) {
    wait_for_nobody();
    const auto waited = time([&] {
        const Result<void> found = look_up(milliseconds(700));
        ASSERT_TRUE(found.has_error());
        EXPECT_EQ(found.error(), Failure::indeterminate);
    });
    EXPECT_LT(waited, milliseconds(700) + slack);
}

}  // namespace
}  // namespace coupond::test
