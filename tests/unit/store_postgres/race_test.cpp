// Several stores on one database at once, as several processes have them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <future>
#include <map>
#include <set>
#include <thread>

#include "base/check.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

constexpr int stores = 4;

/// Runs commands until they meet no conflict.
std::vector<Outcome> run_through(Store& store, const std::vector<Command>& commands) {
    for (int tries = 0; tries < 1000; ++tries) {
        auto outcomes = run(store, commands, noon);
        if (outcomes) return std::move(*outcomes);
        COUPOND_CHECK(outcomes.error() == Failure::conflict);
    }
    throw std::runtime_error("conflicts without end");
}

class RaceTest : public testing::Test {
protected:
    RaceTest() {
        CreateBook book{"n", "p", {}, {}};
        book.max_redemptions_per_user = 30;
        run_through(tested_.store(), {book, CreateBook{"m", "p", {}, {}}});
        run_through(tested_.store(),
                    {UploadCodes{1, numbered("A", 100)}, UploadCodes{2, numbered("B", 100)}});
    }

    /// Runs `work(store, number)` on stores of their own at the same time.
    template <class Work>
    void race(const Work& work) {
        std::barrier start(stores);
        std::vector<std::jthread> threads;
        for (int i = 0; i < stores; ++i) {
            threads.emplace_back([&, i] {
                const auto store = tested_.database().open_store();
                start.arrive_and_wait();
                work(*store, i);
            });
        }
    }

    /// That the entries of each code follow one another in the order of their ids, and all of them
    /// are listed.
    void expect_chained() {
        auto sql = tested_.connect();
        EXPECT_EQ(sql.integer("SELECT count(*) FROM ledger WHERE previous_id >= id"), 0);
        EXPECT_EQ(sql.rows("WITH RECURSIVE chain (code_id, id) AS "
                           "(SELECT id, last_entry_id FROM coupon_code UNION ALL "
                           "SELECT chain.code_id, previous_id FROM chain JOIN ledger USING (id) "
                           "WHERE previous_id IS NOT NULL) "
                           "SELECT * FROM chain ORDER BY code_id, id"),
                  sql.rows("SELECT code.id, entry.id FROM coupon_code AS code "
                           "JOIN ledger AS entry ON code.id >= entry.code_id "
                           "AND code.id < entry.code_id + coalesce(entry.codes, 1) "
                           "ORDER BY code.id, entry.id"));
        std::vector<std::string> listed;
        EntryQuery query;
        query.limit = 100;
        for (bool more = true; more;) {
            const Result<EntryPage> page = tested_.reads().list_entries(query);
            ASSERT_TRUE(page);
            for (const EntryListing& listing : page->entries) {
                listed.push_back(std::to_string(listing.entry.id));
            }
            more = page->more;
            query.after = page->read_to;
        }
        EXPECT_EQ(listed, sql.rows("SELECT id FROM ledger ORDER BY id"));
    }

    /// That all of it agrees with its ledger.
    void expect_verified() {
        const Verification found =
            verify(*tested_.database().open_snapshot(), noon, [](std::int64_t, std::int64_t) {});
        EXPECT_EQ(found.lines, std::vector<std::string>{});
    }

    PostgresStore tested_;
};

TEST_F(RaceTest, EachCodeIsAssignedAndRedeemedOnce) {
    std::mutex mutex;
    std::map<std::string, int> redeemed;
    race([&](Store& store, int number) {
        const std::string user = "user" + std::to_string(number);
        for (int first = 0; first < 100; first += 20) {
            std::vector<Command> assign, lock, redeem;
            for (int i = first; i < first + 20; ++i) {
                const std::string code = (i % 2 == 0 ? "A" : "B") + std::to_string(i);
                assign.emplace_back(AssignCode{code, user});
                lock.emplace_back(LockCode{code, user, 1000});
                redeem.emplace_back(RedeemCode{code, user});
            }
            run_through(store, assign);
            run_through(store, lock);
            const auto outcomes = run_through(store, redeem);
            const std::lock_guard guard(mutex);
            for (const Outcome& outcome : outcomes) {
                const auto* const done = std::get_if<CodeRedeemed>(&outcome);
                if (done != nullptr) ++redeemed[done->code.code];
            }
        }
    });
    for (const auto& [code, times] : redeemed) EXPECT_EQ(times, 1) << code;
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_code WHERE redeemed_at IS NOT NULL"),
              static_cast<std::int64_t>(redeemed.size()));
    EXPECT_GE(redeemed.size(), 70u);  // A's codes as far as the limits of four users go, all of B's
    expect_counted(tested_.connect());
    EXPECT_EQ(sql.integer("SELECT coalesce(max(redeemed), 0) FROM usage_count"),
              sql.integer("SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM coupon_code "
                          "WHERE book_id = 1 AND redeemed_at IS NOT NULL "
                          "GROUP BY assigned_to) AS counted"));
    EXPECT_LE(sql.integer("SELECT coalesce(max(redeemed), 0) FROM usage_count"), 30);
    EXPECT_EQ(sql.integer("SELECT sum(codes) FROM lock_count"),
              sql.integer("SELECT count(locked_until) FROM coupon_code"));
    expect_chained();
}

TEST_F(RaceTest, ALockKeptElsewhereThatIsUsedBeforeItsEntryIsSavedStays) {
    const auto other = tested_.database().open_store();
    run_through(*other, {AssignCode{"B1", "ann"}, AssignCode{"B2", "ann"}});
    const std::vector<Command> lock{LockCode{"B1", "ann", 1000}, LockCode{"B2", "ann", 1000}};
    const Submissions locks(lock);
    Result<World> world = tested_.store().load(needs(locks.span(), noon));
    ASSERT_TRUE(world);
    Delta locked = decide(*world, locks.span(), noon).delta;
    for (const CodeRow* const row : locked.changed_codes) {
        locked.first_locks.push_back(row->code.id);
    }
    locked.changed_codes.clear();
    locked.locks.clear();
    for (LedgerEntry& entry : locked.entries) entry.previous.reset();

    const std::vector<Command> redeem{RedeemCode{"B1", "ann"}};
    const Submissions redemption(redeem);
    Result<World> theirs = other->load(needs(redemption.span(), noon));
    ASSERT_TRUE(theirs);
    theirs->find("B1")->code.lock = Lock{"ann", noon + 1000, {}};
    ASSERT_TRUE(other->save(decide(*theirs, redemption.span(), noon).delta));

    EXPECT_TRUE(tested_.store().save(locked));
    auto sql = tested_.connect();
    EXPECT_EQ(sql.rows("SELECT code, redeemed_at IS NOT NULL, locked_until FROM coupon_code "
                       "WHERE assigned_to IS NOT NULL ORDER BY code"),
              (std::vector<std::string>{"B1|t|", "B2|f|" + std::to_string(noon.ms)}));
    EXPECT_EQ(sql.rows("SELECT book_id, sum(ever_locked) FROM book_count "
                       "GROUP BY book_id ORDER BY book_id"),
              (std::vector<std::string>{"0|2", "1|0", "2|2"}));
    EXPECT_EQ(sql.integer("SELECT count(*) FROM ledger WHERE type = 4"), 2);
}

TEST_F(RaceTest, ARedemptionIsTakenBackOnce) {
    const auto other = tested_.database().open_store();
    run_through(*other, {AssignCode{"A1", "ann"}});
    run_through(*other, {LockCode{"A1", "ann", 1000}});
    const Order order{"o", 1000, Currency::find("EUR").value()};
    const auto redeemed = run_through(*other, {RedeemCode{"A1", "ann", order}});
    const EntryId id = std::get<CodeRedeemed>(redeemed.front()).redemption.id;
    const std::vector<Command> whole{RollBack{id, ""}};
    const Submissions roll_back(whole);
    Result<World> ours = tested_.store().load(needs(roll_back.span(), noon));
    Result<World> theirs = other->load(needs(roll_back.span(), noon));
    ASSERT_TRUE(ours && theirs);
    const Decision our_decision = decide(*ours, roll_back.span(), noon);
    const Decision their_decision = decide(*theirs, roll_back.span(), noon);
    ASSERT_TRUE(std::holds_alternative<RolledBack>(our_decision.outcomes[0]));
    ASSERT_TRUE(std::holds_alternative<RolledBack>(their_decision.outcomes[0]));
    EXPECT_TRUE(other->save(their_decision.delta));
    EXPECT_EQ(tested_.store().save(our_decision.delta).error(), Failure::conflict);
    const auto again = run_through(tested_.store(), whole);
    EXPECT_EQ(std::get<Refusal>(again.front()), Refusal::already_rolled_back);
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT count(*) FROM ledger WHERE type = 13"), 1);
    EXPECT_EQ(sql.integer("SELECT sum(rolled_back) FROM book_count WHERE book_id = 0"), 1);
    expect_chained();
}

TEST_F(RaceTest, PartsOfADiscountThatAreGivenBackAtOnceAreNotMoreThanThereWas) {
    const auto other = tested_.database().open_store();
    EditBook edit{1, {}, {}};
    edit.wish.discount = from_short_form(1000);
    edit.wished.set(3);
    run_through(*other, {edit});
    run_through(*other, {AssignCode{"A1", "ann"}});
    run_through(*other, {LockCode{"A1", "ann", 1000}});
    const auto redeemed = run_through(*other, {RedeemCode{"A1", "ann"}});
    const EntryId id = std::get<CodeRedeemed>(redeemed.front()).redemption.id;
    std::atomic<int> given = 0, refused = 0;
    std::vector<std::thread> threads;
    for (Store* const store : {&tested_.store(), other.get()}) {
        threads.emplace_back([&, store] {
            for (int i = 0; i < 8; ++i) {
                const auto outcomes = run_through(*store, {RollBack{id, "", 1'0000}});
                const bool done = std::holds_alternative<RolledBack>(outcomes.front());
                ++(done ? given : refused);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(given, 10);
    EXPECT_EQ(refused, 6);
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT sum(discount_cents) FROM ledger WHERE type = 14"), 1000);
    EXPECT_EQ(sql.integer("SELECT sum(discount_cents) FROM book_count WHERE book_id = 0"), 0);
    expect_chained();
}

TEST_F(RaceTest, NoCodeOfAPatternIsGeneratedTwice) {
    run_through(tested_.store(), {CreateBook{"g", "{8}", {}, {}}});
    const auto parsed = parse_code_pattern("{8}");
    std::atomic<int> rounds = 0;
    race([&](Store& store, int number) {
        const auto reads = tested_.open_reads();
        Generator fresh;  // each has a key of its own, until there is one
        fresh.key.fill(static_cast<unsigned char>(number));
        for (int i = 0; i < 8;) {
            const auto found = reads->find_generator(3)->value();
            const Generator from = found.generator.value_or(fresh);
            CodeMaker maker(std::get<CodePattern>(parsed), from.key);
            const auto first = [](std::uint64_t) { return std::uint64_t{0}; };
            AddGenerated added{{3, 5, {}}, {}, "{8}", from, maker.draft(from.next, 5, first)};
            if (std::holds_alternative<CodesGenerated>(run_through(store, {added}).front())) ++i;
            ++rounds;
        }
    });
    EXPECT_GE(rounds, 32);
    auto sql = tested_.connect();
    EXPECT_EQ(sql.rows("SELECT next, drafts FROM code_generator"),
              std::vector<std::string>{"160|160"});
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_code WHERE book_id = 3"), 160);
    EXPECT_EQ(sql.integer("SELECT sum(generated) FROM activity_count WHERE book_id = 3"), 160);
    expect_counted(tested_.connect());
    expect_chained();
}

TEST_F(RaceTest, JobsThatAreBegunAtOnceHaveIdsOfTheirOwnAndAPieceIsMadeOnce) {
    run_through(tested_.store(), {CreateBook{"g", "{8}", {}, {}}});
    std::mutex mutex;
    std::set<JobId> ids;
    race([&](Store& store, int) {
        for (int i = 0; i < 10; ++i) {
            const auto begun = run_through(store, {GenerateCodes{3, 5, {}}});
            const std::lock_guard guard(mutex);
            EXPECT_TRUE(ids.insert(std::get<JobChanged>(begun.front()).job.id).second);
        }
    });
    EXPECT_EQ(ids.size(), 40u);
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM job"), 40);
    const JobId id = *ids.begin();
    std::atomic<int> made = 0, taken = 0;
    race([&](Store& store, int number) {
        const std::string name = std::to_string(number);
        AddGenerated piece{{3, 0, {}}, AddGenerated::Piece{id, name, noon + 1}, "{8}", {}, {}};
        piece.piece->round = {0, 5};
        const Outcome begun = run_through(store, {piece}).front();
        piece.piece->done_now = 2;
        piece.draft.candidates = {{name + "A"}, {name + "B"}};
        const Outcome outcome = run_through(store, {piece}).front();
        EXPECT_EQ(begun.index(), outcome.index());
        ++(std::holds_alternative<JobChanged>(outcome) ? made : taken);
    });
    EXPECT_EQ(made, 1);
    EXPECT_EQ(taken, stores - 1);
    EXPECT_EQ(tested_.reads().find_job(id)->value().created, 2);
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM coupon_code WHERE book_id = 3"), 2);
}

TEST_F(RaceTest, CodesThatNobodyHasLookedForAreAddedOnceHoweverManyBringThem) {
    for (int i = 0; i < stores; ++i) {
        CreateBook book{"g", "{8}", {}, {}};
        book.case_sensitive = i % 2 == 0;
        run_through(tested_.store(), {book});
        run_through(tested_.store(), {GenerateCodes{3 + i, 3'000, {}}});
    }
    std::atomic<std::int64_t> created = 0;
    race([&](Store& store, int number) {
        AddGenerated piece{
            {3 + number, 0, {}}, AddGenerated::Piece{1 + number, "w", noon + 1}, "{8}", {}, {}};
        piece.expects_new = true;
        piece.piece->round = {0, 3'000};
        run_through(store, {piece});
        for (int at = 0; at < 3'000; at += 1'000) {
            piece.draft.candidates.clear();
            for (int i = at; i < at + 1'000; ++i) {
                // Of the books that fold, the one spells otherwise.
                const std::string text = (number == 3 ? "c" : "C") + std::to_string(i);
                piece.draft.candidates.push_back({text, 0});
            }
            piece.piece->done = at;
            piece.piece->done_now = at + 1'000;
            const std::vector<Command> one{piece};
            const Submissions submissions(one);
            for (bool trusting = true;; trusting = false) {
                Result<World> world = store.load(needs(submissions.span(), noon, 1, trusting));
                if (!world) continue;
                const Decision decision = decide(*world, submissions.span(), noon);
                if (!store.save(decision.delta)) continue;
                const auto& job = std::get<JobChanged>(decision.outcomes.front()).job;
                if (at == 2'000) created += job.created;
                break;
            }
        }
    });
    auto sql = tested_.connect();
    const std::int64_t there = sql.integer("SELECT count(*) FROM coupon_code WHERE book_id > 2");
    EXPECT_EQ(created, there);
    EXPECT_EQ(sql.integer("SELECT count(DISTINCT code) FROM coupon_code WHERE book_id > 2"), there);
    EXPECT_EQ(sql.integer("SELECT count(folded) FROM coupon_code"),
              sql.integer("SELECT count(DISTINCT folded) FROM coupon_code"));
    EXPECT_EQ(sql.integer("SELECT count(DISTINCT upper(code)) FROM coupon_code WHERE book_id > 2"),
              3'000);
    expect_counted(tested_.connect());
    expect_verified();
}

TEST_F(RaceTest, WhoeverIsErasedMeanwhileIsMet) {
    const auto store = tested_.database().open_store();
    run_through(*store,
                {AssignCode{"A1", "ann"}, AssignCode{"B1", "ann"}, AssignCode{"B2", "ann"}});
    run_through(*store, {LockCode{"A1", "ann", 1000}, LockCode{"B1", "ann", 1000}});
    int erased = 0;
    const std::vector<Command> commands{AssignCode{"B3", "ann"}, LockCode{"B2", "ann", 1000},
                                        RedeemCode{"A1", "ann"}, RedeemCode{"B1", "ann"}};
    for (const Command& command : commands) {
        const Submissions submissions(std::span(&command, 1));
        Result<World> world = tested_.store().load(needs(submissions.span(), noon));
        ASSERT_TRUE(world);
        const Decision decision = decide(*world, submissions.span(), noon);
        ASSERT_FALSE(std::holds_alternative<Refusal>(decision.outcomes[0]));
        // And somebody new comes with the same id.
        const std::string id = "e" + std::to_string(++erased);
        const auto erasure = run_through(*store, {EraseUser{"ann", id}});
        EXPECT_TRUE(std::holds_alternative<UserErased>(erasure[0]));
        run_through(*store, {AssignCode{"A" + std::to_string(50 + erased), "ann"}});
        EXPECT_EQ(tested_.store().save(decision.delta).error(), Failure::conflict);
        // As it was before, for the next one.
        tested_.connect().run("UPDATE coupon_user SET user_id = 'gone" + id +
                              "' WHERE user_id = 'ann'; UPDATE coupon_user SET user_id = 'ann' "
                              "WHERE user_id = '" +
                              id +
                              "'; "
                              "UPDATE coupon_code SET locked_until = " +
                              std::to_string(noon.ms + 1000) + " WHERE code IN ('A1', 'B1')");
    }
}

TEST_F(RaceTest, NothingLeadsFromWhoIsErasedToWhoComesAfter) {
    race([&](Store& store, int number) {
        for (int i = 0; i < 20; ++i) {
            const std::string id = "e" + std::to_string(number) + "-" + std::to_string(i);
            const auto outcomes = run_through(store, {AssignAny{"ann", {}}, AssignAny{"ann", {}}});
            for (const Outcome& outcome : outcomes) {
                run_through(store, {LockCode{std::get<CodeAssigned>(outcome).code.code, "ann", 9}});
            }
            run_through(store, {EraseUser{"ann", id}});
        }
    });
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_user WHERE user_id = 'ann'"), 0);
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_code WHERE assigned_to IS NOT NULL"), 160);
    // Each entry is of whom the code belongs to.
    EXPECT_EQ(sql.integer("SELECT count(*) FROM ledger JOIN coupon_code AS code "
                          "ON code.id = code_id WHERE type > 2 AND "
                          "user_number IS DISTINCT FROM assigned_to"),
              0);
    EXPECT_EQ(sql.integer("SELECT sum(codes) FROM lock_count"),
              sql.integer("SELECT count(locked_until) FROM coupon_code"));
    expect_counted(tested_.connect());
    expect_chained();
}

TEST_F(RaceTest, EachFreeCodeIsGivenAwayOnce) {
    std::mutex mutex;
    std::set<std::string> given;
    std::atomic<int> none = 0;
    race([&](Store& store, int number) {
        for (int i = 0; i < 12; ++i) {
            const std::string user = "user" + std::to_string(number) + "-" + std::to_string(i);
            const std::vector<Command> commands(
                5, AssignAny{user, number % 2 == 0 ? std::optional<BookId>(1) : std::nullopt});
            const auto outcomes = run_through(store, commands);
            const std::lock_guard guard(mutex);
            for (const Outcome& outcome : outcomes) {
                const auto* const assigned = std::get_if<CodeAssigned>(&outcome);
                if (assigned == nullptr) {
                    ++none;
                } else {
                    EXPECT_TRUE(given.insert(assigned->code.code).second);
                }
            }
        }
    });
    EXPECT_EQ(given.size() + static_cast<std::size_t>(none.load()), 240u);
    EXPECT_EQ(
        tested_.connect().integer("SELECT count(*) FROM coupon_code WHERE assigned_to IS NOT NULL"),
        static_cast<std::int64_t>(given.size()));
    expect_counted(tested_.connect());
}

TEST_F(RaceTest, EachUserGetsOneNumberHoweverManyStoresMeetThemFirst) {
    constexpr int rounds = 3, users = 15;
    race([&](Store& store, int number) {
        for (int round = 0; round < rounds; ++round) {
            std::vector<Command> commands;
            for (const std::string& user : numbered("user" + std::to_string(round) + "-", users)) {
                commands.emplace_back(AssignAny{user, {}});
            }
            if (number % 2 == 0) std::reverse(commands.begin(), commands.end());
            for (const Outcome& outcome : run_through(store, commands)) {
                EXPECT_TRUE(std::holds_alternative<CodeAssigned>(outcome));
            }
        }
    });
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_user"), rounds * users);
    EXPECT_EQ(sql.integer("SELECT count(*) FROM (SELECT FROM coupon_code "
                          "WHERE assigned_to IS NOT NULL GROUP BY assigned_to HAVING count(*) = " +
                          std::to_string(stores) + ") AS user_of_all"),
              rounds * users);
    expect_chained();
}

TEST_F(RaceTest, WhatIsChangedMeanwhileAgreesWithTheLedger) {
    auto sql = tested_.connect();
    const auto entries = [&](int type) {
        return sql.integer("SELECT count(*) FROM ledger WHERE type = " + std::to_string(type));
    };
    const auto work = [&](Store& store, int number) {
        const std::string user = "user" + std::to_string(number);
        for (int i = 0; i < 40; ++i) {
            const std::string code = (i % 2 == 0 ? "A" : "B") + std::to_string(i % 10);
            const BookId book = i % 2 + 1;
            EditBook limit{book, {}, {}};
            if (i % 3 > 0) limit.wish.max_redemptions_per_user = i % 3;
            limit.wish.max_redemptions = 1000;
            limit.wish.limits = {{Per::week, {1000, 1000, {}}}};
            limit.wished.set(2).set(9).set(11);
            EditCode edit{code, {}, {}, {}};
            edit.wish.active = i % 4 > 0;
            edit.wished.set(0);
            run_through(store, {AssignCode{code, user}, LockCode{code, user, 1000}});
            if (i % 5 == number) run_through(store, {limit});
            if (i % 5 == number + 1) run_through(store, {ArchiveBook{book}});
            run_through(store, {edit, AssignAny{user, book}});
            const auto used = run_through(store, {i % 3 == 0 ? Command(RedeemCode{code, user})
                                                             : Command(UnlockCode{code, user})});
            const auto* const redeemed = std::get_if<CodeRedeemed>(&used.front());
            if (redeemed != nullptr && i % 2 == 0) {
                run_through(store, {RollBack{redeemed->redemption.id, ""}});
            }
            run_through(store, {UnassignCode{code, {}}});
            if (i % 5 == number + 1) run_through(store, {RestoreBook{book}});
        }
    };
    constexpr std::array types = {7, 8, 9, 10, 11, 12, 13};
    // Each is in the way of the others, and whether one is ever first depends on the machine.
    for (int rounds = 0; rounds < 20; ++rounds) {
        race(work);
        expect_verified();
        if (std::ranges::all_of(types, [&](int type) { return entries(type) > 0; })) break;
    }
    for (const int type : types) EXPECT_GT(entries(type), 0) << type;
}

TEST_F(RaceTest, LimitsOfABookHoldHoweverManyRedeemAtOnce) {
    EditBook limit{1, {}, {}};
    limit.wish.max_redemptions = 50;
    limit.wish.limits = {{Per::week, {33, {}, {}}}};
    limit.wished.set(9).set(11);
    run_through(tested_.store(), {limit});
    std::atomic<int> redeemed = 0;
    race([&](Store& store, int number) {
        const std::string user = "user" + std::to_string(number);
        for (int i = 0; i < 25; ++i) {
            const std::string code = "A" + std::to_string(number * 25 + i);
            const auto outcomes = run_through(
                store,
                {AssignCode{code, user}, LockCode{code, user, 1000}, RedeemCode{code, user}});
            if (std::holds_alternative<CodeLocked>(outcomes[1])) {
                EXPECT_TRUE(std::holds_alternative<CodeRedeemed>(outcomes.back()));
                ++redeemed;
            } else {
                EXPECT_EQ(std::get<Refusal>(outcomes[1]), Refusal::redemption_limit_reached);
            }
        }
    });
    EXPECT_EQ(redeemed, 33);
    EXPECT_EQ(tested_.connect().rows("SELECT per, redeemed FROM usage_count "
                                     "WHERE user_number = 0 ORDER BY per"),
              (std::vector<std::string>{"0|33", "2|33"}));
    expect_verified();
}

TEST_F(RaceTest, ABookThatIsMadeDuringALoadIsLoadedWithItsCodesOrNotAtAll) {
    // The books are read before another one is there, its codes after that.
    auto other = tested_.connect();
    other.run(
        "BEGIN; LOCK TABLE coupon_code; "
        "INSERT INTO coupon_book (id, name, code_pattern, created_at, updated_at) "
        "VALUES (3, 'n', 'p', 0, 0); "
        "INSERT INTO coupon_code (id, book_id, shuffle_key, created_at, last_entry_id, code) "
        "VALUES (1000, 3, 0, 0, 1, 'N')");
    Needs needs;
    needs.pools[3] = 1;
    auto loaded = std::async([&] { return tested_.store().load(needs); });
    auto watching = tested_.connect();
    while (watching.integer("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    other.run("COMMIT");
    const Result<World> first = loaded.get();
    ASSERT_TRUE(first.has_error());
    EXPECT_EQ(first.error(), Failure::conflict);
    Result<World> again = tested_.store().load(needs);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->pools.at(3).codes.size(), 1u);
    EXPECT_NE(again->find_book(3), nullptr);
}

TEST_F(RaceTest, EachCodeIsUploadedOnceAndIdsAreDistinct) {
    std::atomic<int> uploaded = 0;
    race([&](Store& store, int number) {
        for (int i = 0; i < 10; ++i) {
            const auto outcomes = run_through(
                store,
                {UploadCodes{1, {"same" + std::to_string(i)}},
                 UploadCodes{
                     1, numbered("of" + std::to_string(number) + "-" + std::to_string(i) + "-", 3)},
                 CreateBook{"book", "p", {}, {}}});
            if (std::holds_alternative<CodesUploaded>(outcomes[0])) ++uploaded;
            EXPECT_TRUE(std::holds_alternative<CodesUploaded>(outcomes[1]));
        }
    });
    EXPECT_EQ(uploaded, 10);
    auto sql = tested_.connect();
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_code"), 200 + 10 + stores * 30);
    EXPECT_EQ(sql.integer("SELECT count(*) FROM coupon_book"), 2 + stores * 10);
    expect_counted(tested_.connect());
}

}  // namespace
}  // namespace coupond::test
