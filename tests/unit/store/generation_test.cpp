// Generators of codes and the jobs that make many: what is saved is what is loaded and listed, and
// a save is guarded.
#include <gtest/gtest.h>

#include <set>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

constexpr const char* pattern = "SUMMER-{6}";

Generator make_generator(unsigned char filling, std::int64_t next, std::int64_t drafts) {
    Generator generator;
    generator.key.fill(filling);
    generator.next = next;
    generator.drafts = drafts;
    return generator;
}

Generator make_generator(unsigned char filling, std::int64_t next = 0) {
    return make_generator(filling, next, next);
}

/// With something else than by default in every member.
Job full(Job job) {
    job.code_pattern = "\u00fc'\\{8:digits}";
    job.settings = {false, noon + 6, 7, R"({"a":"\u20ac 'b' \\"})"};
    job.status = Job::Status::failed;
    job.requested = 5'000'000'000;
    job.created = 3;
    job.guess_probability = 1.0 / 3;
    job.created_at = noon + 1;
    job.started_at = noon + 2;
    job.finished_at = noon + 3;
    job.error = "code_pattern_exhausted";
    job.request_id = "r \u20ac";
    job.worker = "w \u20ac";
    job.claimed_until = noon + 4;
    job.version = 7;
    job.round = {500'000, 1'000'000};
    job.done = 499'999;
    return job;
}

Job claimed(Job job, std::string worker, Timestamp until) {
    job.status = Job::Status::running;
    job.started_at = noon;
    job.worker = std::move(worker);
    job.claimed_until = until;
    return job;
}

Job ended(Job job, Job::Status status) {
    job.status = status;
    job.finished_at = noon;
    if (status == Job::Status::failed) job.error = "book_archived";
    return job;
}

class GenerationTest : public testing::Test {
protected:
    /// Books 1 and 2.
    void SetUp() override {
        run(CreateBook{"Summer", pattern, {}, {}});
        run(CreateBook{"Winter", pattern, {}, {}});
    }

    /// What commands are run on comes from the store.
    Outcome run(const Command& command) {
        auto outcomes = test::run(store(), command, clock_.now());
        EXPECT_TRUE(outcomes);
        return outcomes ? std::move(outcomes->front()) : Outcome(Refusal::job_not_found);
    }

    using Rows = std::map<std::pair<BookId, std::string>, World::GeneratorRow>;
    Rows load_generators(std::vector<BookId> books) {
        Needs needs;
        needs.generators = std::move(books);
        Result<World> world = loaded(store(), needs);
        EXPECT_TRUE(world);
        return world ? std::move(world->generators) : Rows();
    }

    /// Their numbers, by books and patterns.
    std::map<std::pair<BookId, std::string>, Generator> generators_of(std::vector<BookId> books) {
        std::map<std::pair<BookId, std::string>, Generator> all;
        for (const auto& [key, row] : load_generators(std::move(books))) {
            EXPECT_EQ(row.loaded, row.now);
            EXPECT_FALSE(row.changed);
            all.emplace(key, row.now);
        }
        return all;
    }

    std::optional<Job> load_job(JobId id) {
        Needs needs;
        needs.jobs = {id, id};
        Result<World> world = loaded(store(), needs);
        EXPECT_TRUE(world);
        if (!world || world->jobs.empty()) return std::nullopt;
        const World::JobRow& row = world->jobs.at(id);
        EXPECT_EQ(world->jobs.size(), 1u);
        EXPECT_FALSE(row.is_new);
        EXPECT_EQ(row.loaded_version, row.job.version);
        return row.job;
    }

    JobId next_id(Store& store, std::size_t count) {
        Needs needs;
        needs.job_ids = count;
        Result<World> world = loaded(store, needs);
        EXPECT_TRUE(world);
        EXPECT_TRUE(store.save({}));
        return world ? world->next_job_id : 0;
    }

    void save(const Draft& draft) { ASSERT_TRUE(store().save(draft.delta)); }

    void expect_conflict(const Draft& draft) {
        const std::vector<std::string> before = contents_behind(tested_.connect());
        const Result<void> saved = store().save(draft.delta);
        ASSERT_FALSE(saved);
        EXPECT_EQ(saved.error(), Failure::conflict);
        EXPECT_EQ(contents_behind(tested_.connect()), before);
    }

    std::vector<JobId> list(const JobQuery& query) {
        Result<JobPage> page = tested_.reads().list_jobs(query);
        EXPECT_TRUE(page);
        page_ = page ? std::move(*page) : JobPage();
        std::vector<JobId> ids;
        for (const Job& job : page_.jobs) ids.push_back(job.id);
        return ids;
    }

    /// 0: none.
    JobId next_job(const std::string& worker, Timestamp now = noon, JobId after = 0) {
        const auto found = tested_.reads().next_job(worker, now, after);
        EXPECT_TRUE(found);
        return found && *found ? (*found)->job.id : 0;
    }

    /// The next `count` codes of a book's pattern, with this beginning; of a job, where that is
    /// named.
    AddGenerated piece(BookId book_id, const std::string& prefix, std::size_t count,
                       JobId job_id = 0) {
        const BookGenerator from = tested_.reads().find_generator(book_id)->value();
        AddGenerated added{{book_id, static_cast<std::int64_t>(count), {}},
                           {},
                           from.book.code_pattern,
                           from.generator.value_or(make_generator(5)),
                           {}};
        if (job_id != 0) {
            const Job job = tested_.reads().find_job(job_id)->value();
            const std::int64_t done = job.done + static_cast<std::int64_t>(count);
            added.piece = {job_id, "w", clock_.now() + 1000, job.round, job.done, done, 0.9};
        }
        added.draft.next = added.generator.next;
        for (const std::string& code : numbered(prefix, count)) {
            added.draft.candidates.push_back({code, ++added.draft.next});
        }
        return added;
    }

    /// What begins a round of so many numbers of a job.
    AddGenerated round(BookId book_id, JobId job_id, std::int64_t size) {
        AddGenerated begins = piece(book_id, "", 0, job_id);
        begins.piece->round = {begins.generator.next, begins.generator.next + size};
        return begins;
    }

    void reopen() {
        tested_.close();
        tested_.open();
    }

    /// That all of it agrees with its ledger.
    void expect_verified() {
        tested_.close();
#ifdef COUPOND_TEST_ON_POSTGRES
        const auto database = open_postgres(PostgresStore::url());
        const auto snapshot = database->open_snapshot();
#else
        sqlite::Database database(tested_.folder(), sqlite::Access::look);
        const auto snapshot = database.open_snapshot();
#endif
        EXPECT_EQ(verify(*snapshot, clock_.now(), [](std::int64_t, std::int64_t) {}).lines,
                  std::vector<std::string>{});
        tested_.open();
    }

    Store& store() {
        return tested_.store();
    }

    TestedStore tested_;
    ManualClock clock_;
    JobPage page_;  ///< the last one
};

using Ids = std::vector<JobId>;

// Generators.

TEST_F(GenerationTest, GivesBackGeneratorsOfAllPatternsOfTheBooksAsked) {
    EXPECT_TRUE(load_generators({1, 2, 3}).empty());
    const Generator first = make_generator(0, INT64_MAX / 2), second = make_generator(255, 7),
                    other = make_generator(39);
    save(Draft()
             .generator(1, "\u00fc'\\{6}", {}, second)
             .generator(1, pattern, {}, first)
             .generator(2, pattern, {}, other));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        const auto of_one = generators_of({1, 1});
        ASSERT_EQ(of_one.size(), 2u);
        EXPECT_EQ(of_one.at({1, pattern}), first);
        EXPECT_EQ(of_one.at({1, "\u00fc'\\{6}"}), second);
        EXPECT_EQ(generators_of({2, 1}).size(), 3u);
        EXPECT_EQ(generators_of({2}).at({2, pattern}), other);
    }
}

TEST_F(GenerationTest, ChangesGeneratorsThatAreAsTheyWere) {
    const Generator was = make_generator(1, 5), other = make_generator(2, 6);
    save(Draft().generator(1, pattern, {}, was).generator(2, pattern, {}, other));
    Generator now = make_generator(3, 8);
    now.drafts = 7;
    save(Draft().generator(1, "new", {}, other).generator(1, pattern, was, now));
    EXPECT_EQ(generators_of({1}).at({1, pattern}), now);
    EXPECT_EQ(generators_of({1}).at({1, "new"}), other);
    EXPECT_EQ(generators_of({2}).at({2, pattern}), other);
}

TEST_F(GenerationTest, MeetsAGeneratorThatIsNotAsItWas) {
    const Generator is = make_generator(1, 5);
    save(Draft().generator(1, pattern, {}, is).generator(2, pattern, {}, is));
    const Generator now = make_generator(1, 9);
    Generator by_key = is, by_next = is, by_drafts = is;
    by_key.key.back() = 2;
    --by_next.next;
    --by_drafts.drafts;
    for (const Generator& loaded : {by_key, by_next, by_drafts}) {
        expect_conflict(Draft().generator(1, pattern, is, now).generator(2, pattern, loaded, now));
    }
    expect_conflict(Draft().code(make_code(1, 1, "A")).generator(1, pattern, {}, now));
    expect_conflict(Draft().code(make_code(1, 1, "A")).generator(1, "another", is, now));
    expect_conflict(Draft().job(make_job(1, 1)).generator(3, pattern, is, now));
}

TEST_F(GenerationTest, MeetsAGeneratorThatAnotherConnectionHasChanged) {
    save(Draft().generator(1, pattern, {}, make_generator(1, 5)));
    Generator is = generators_of({1}).at({1, pattern});
    tested_.connect().run("UPDATE code_generator SET next = 6");
    expect_conflict(Draft().generator(1, pattern, is, make_generator(1, 9)));
    is.next = 6;
    save(Draft().generator(1, pattern, is, make_generator(1, 9)));
    tested_.connect().run("DELETE FROM code_generator");
    expect_conflict(Draft().generator(1, pattern, make_generator(1, 9), is));
}

TEST_F(GenerationTest, FindsTheGeneratorOfTheBooksPatternAsItIs) {
    EXPECT_FALSE(*tested_.reads().find_generator(3));
    const auto none = tested_.reads().find_generator(1)->value();
    EXPECT_TRUE(none.book == *load_book(store(), 1));
    EXPECT_EQ(none.generator, std::nullopt);
    const Generator generator = make_generator(1, 5), other = make_generator(2, 6);
    save(Draft()
             .generator(1, "P-{9}", {}, other)
             .generator(1, pattern, {}, generator)
             .generator(2, "P-{9}", {}, generator));
    EXPECT_EQ(tested_.reads().find_generator(1)->value().generator, generator);
    EXPECT_EQ(tested_.reads().find_generator(2)->value().generator, std::nullopt);
    Book book = *load_book(store(), 1);
    book.code_pattern = "P-{9}";
    save(Draft().change(book));
    const auto found = tested_.reads().find_generator(1)->value();
    EXPECT_EQ(found.book.code_pattern, "P-{9}");
    EXPECT_EQ(found.generator, other);
}

TEST_F(GenerationTest, DoesNotUseAGeneratorThatCannotBe) {
    save(Draft().generator(1, pattern, {}, make_generator(1, 5)).job(make_job(1, 1)));
    auto sql = tested_.connect();
#ifdef COUPOND_TEST_ON_POSTGRES
    const std::string short_key = "'\\x0102'";
#else
    const std::string short_key = "x'0102'";
#endif
    for (const std::string& wrong :
         {"code_key = " + short_key, std::string("next = -1"), std::string("drafts = -1"),
          "next = " + std::to_string(INT64_MAX), "drafts = " + std::to_string(INT64_MAX)}) {
        sql.run("UPDATE code_generator SET " + wrong);
        Needs needs;
        needs.generators = {1};
        EXPECT_EQ(store().load(needs).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().find_generator(1).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().next_job("w", noon, 0).error(), Failure::unavailable) << wrong;
        EXPECT_TRUE(tested_.reads().find_job(1));
        sql.run("DELETE FROM code_generator");
        save(Draft().generator(1, pattern, {}, make_generator(1, 5)));
    }
    EXPECT_TRUE(tested_.reads().find_generator(1)->value().generator);
}

// Jobs.

TEST_F(GenerationTest, GivesBackJobsAsTheyWereSaved) {
    const Job plain = make_job(1, 1), all = full(make_job(5, 2));
    save(Draft().job(plain).job(all));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        EXPECT_EQ(load_job(1), plain);
        EXPECT_EQ(load_job(5), all);
        EXPECT_EQ(load_job(2), std::nullopt);
        EXPECT_EQ(*tested_.reads().find_job(1), plain);
        EXPECT_EQ(*tested_.reads().find_job(5), all);
        EXPECT_EQ(*tested_.reads().find_job(2), std::nullopt);
    }
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM job WHERE id = 1 AND settings IS "
                                        "NULL AND error IS NULL AND worker IS NULL"),
              1);
}

TEST_F(GenerationTest, ChangesOfAJobWhatWasNotAskedFor) {
    save(Draft().job(make_job(1, 1)).job(make_job(2, 1)));
    Job job = full(make_job(1, 1));
    job.version = 1;
    job.created = 3;
    save(Draft().change(job));
    Job wanted = make_job(1, 1);
    wanted.status = job.status;
    wanted.requested = job.requested;  // which that of a file learns when it is read
    wanted.created = 3;
    wanted.started_at = job.started_at;
    wanted.finished_at = job.finished_at;
    wanted.error = job.error;
    wanted.worker = job.worker;
    wanted.claimed_until = job.claimed_until;
    wanted.round = job.round;
    wanted.done = job.done;
    wanted.version = 2;
    EXPECT_EQ(load_job(1), wanted);
    Job back = make_job(1, 1);
    back.version = 2;
    save(Draft().change(back));
    ++back.version;
    EXPECT_EQ(load_job(1), back);
    EXPECT_EQ(load_job(2), make_job(2, 1));
}

TEST_F(GenerationTest, MeetsAJobThatIsNotAsItWas) {
    save(Draft().job(make_job(1, 1)).job(make_job(2, 1)));
    const Job first = *load_job(1), second = *load_job(2);
    save(Draft().change(second));
    expect_conflict(Draft().change(first).change(second));
    expect_conflict(Draft().change(make_job(3, 1)));
    expect_conflict(Draft().code(make_code(1, 1, "A")).job(make_job(2, 1)));
    tested_.connect().run("UPDATE job SET version = 9 WHERE id = 1");
    expect_conflict(Draft().change(first));
    EXPECT_EQ(load_job(1)->version, 9);
}

TEST_F(GenerationTest, GivesEachJobAnIdOfItsOwn) {
    EXPECT_EQ(next_id(store(), 2), 1);
    save(Draft().job(make_job(7, 1)));
    EXPECT_GT(next_id(store(), 1), 7);
    reopen();
    const JobId next = next_id(store(), 1);
    EXPECT_GT(next, 7);
#ifdef COUPOND_TEST_ON_POSTGRES
    const auto another = tested_.database().open_store();
    const JobId reserved = next_id(*another, 3);
    EXPECT_GT(reserved, next);
    EXPECT_GE(next_id(store(), 1), reserved + 3);
    Needs all;
    all.book_ids = all.code_ids = all.job_ids = 1;
    const World world = loaded(store(), all).value();
    EXPECT_EQ(world.next_book_id, 3);
    EXPECT_GT(world.next_job_id, reserved + 3);
#endif
}

TEST_F(GenerationTest, ListsJobsTheLastOneFirstPageByPage) {
    EXPECT_EQ(list({.limit = 10}), Ids{});
    EXPECT_FALSE(page_.more);
    EXPECT_EQ(list({.before = 5, .limit = 10}), Ids{});
    EXPECT_EQ(page_.read_to, 5);
    Draft draft;
    for (JobId id = 1; id <= 6; ++id) {
        const Job job = make_job(id, id % 2 == 0 ? 2 : 1);
        draft.job(id == 5 ? full(job) : id == 2 ? ended(job, Job::Status::failed) : job);
    }
    save(draft);
    EXPECT_EQ(list({.limit = 10}), (Ids{6, 5, 4, 3, 2, 1}));
    EXPECT_FALSE(page_.more);
    EXPECT_EQ(page_.read_to, 1);
    EXPECT_EQ(page_.jobs[0], make_job(6, 2));
    EXPECT_EQ(page_.jobs[2], make_job(4, 2));
    EXPECT_EQ(list({.limit = 4}), (Ids{6, 5, 4, 3}));
    EXPECT_TRUE(page_.more);
    EXPECT_EQ(page_.read_to, 3);
    EXPECT_EQ(list({.before = page_.read_to, .limit = 2}), (Ids{2, 1}));
    EXPECT_FALSE(page_.more);
    EXPECT_EQ(list({.before = 1, .limit = 2}), Ids{});
    EXPECT_FALSE(page_.more);
}

TEST_F(GenerationTest, ListsJobsOfABookAndOfAStatus) {
    Draft draft;
    for (JobId id = 1; id <= 8; ++id) {
        const Job job = make_job(id, id % 2 == 0 ? 2 : 1);
        draft.job(id % 3 == 0 ? ended(job, Job::Status::failed) : job);
    }
    save(draft);
    EXPECT_EQ(list({.limit = 3, .book_id = 1}), (Ids{7, 5, 3}));
    EXPECT_TRUE(page_.more);
    EXPECT_EQ(page_.read_to, 3);
    EXPECT_EQ(list({.before = 3, .limit = 3, .book_id = 1}), (Ids{1}));
    EXPECT_FALSE(page_.more);
    EXPECT_EQ(list({.limit = 3, .book_id = 3}), Ids{});
    EXPECT_EQ(list({.limit = 2, .status = Job::Status::failed}), (Ids{6, 3}));
    EXPECT_FALSE(page_.more);
    EXPECT_EQ(page_.read_to, 1);
    EXPECT_EQ(list({.limit = 1, .status = Job::Status::failed}), (Ids{6}));
    EXPECT_TRUE(page_.more);
    EXPECT_EQ(page_.read_to, 6);
    EXPECT_EQ(list({.limit = 9, .book_id = 1, .status = Job::Status::failed}), (Ids{3}));
    EXPECT_EQ(list({.limit = 9, .book_id = 1, .status = Job::Status::queued}), (Ids{7, 5, 1}));
    EXPECT_EQ(list({.limit = 9, .status = Job::Status::running}), Ids{});
    EXPECT_FALSE(page_.more);
}

TEST_F(GenerationTest, LooksAtSoManyJobsForAPage) {
    constexpr auto most = static_cast<JobId>(limits::page_scan);
    tested_.connect().run(
        "INSERT INTO job (id, book_id, status, code_pattern, requested, created, "
        "guess_probability, created_at, request_id, version) "
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
        std::to_string(most + 1) +
        ") SELECT i, 1, CASE WHEN i = 1 THEN 0 ELSE 2 END, 'p', 1, 0, 0, 0, 'r', 1 FROM n");
    for (const auto book_id : {std::optional<BookId>(), std::optional<BookId>(1)}) {
        const JobQuery query{.limit = 1, .book_id = book_id, .status = Job::Status::queued};
        EXPECT_EQ(list(query), Ids{});
        EXPECT_TRUE(page_.more);
        EXPECT_EQ(page_.read_to, 2);
        JobQuery rest = query;
        rest.before = page_.read_to;
        EXPECT_EQ(list(rest), Ids{1});
        EXPECT_FALSE(page_.more);
        rest.before = most + 1;
        EXPECT_EQ(list(rest), Ids{1});
        EXPECT_TRUE(page_.more);  // it has not looked whether that was the last one
        EXPECT_EQ(page_.read_to, 1);
    }
    EXPECT_EQ(next_job("w"), 1);
}

TEST_F(GenerationTest, DoesNotUseAJobThatCannotBe) {
    save(Draft().job(make_job(1, 1)));
    auto sql = tested_.connect();
    const std::string far = std::to_string(INT64_MAX);
    const std::pair<std::string, std::string> wrongs[] = {
        {"status = -1", "status = 0"},
        {"status = 5", "status = 0"},
        {"settings = 'nonsense'", "settings = NULL"},
        {"settings = 'max_redemptions -1"
         "\n'",
         "settings = NULL"},
        {"requested = -1", "requested = 10"},
        {"requested = " + far, "requested = 10"},
        {"created = -1", "created = 0"},
        {"created = 11", "created = 0"},
        {"guess_probability = -0.1", "guess_probability = 0"},
        {"guess_probability = 1.1", "guess_probability = 0"},
        {"created_at = " + far, "created_at = 0"},
        {"started_at = " + far, "started_at = NULL"},
        {"finished_at = " + far, "finished_at = NULL"},
        {"claimed_until = " + far, "claimed_until = NULL"},
        {"error = 'book_archived'", "error = NULL"},
        {"status = 3", "status = 0"},
        {"status = 3, error = 'nonsense'", "status = 0, error = NULL"},
#ifdef COUPOND_TEST_ON_POSTGRES
        {"guess_probability = 'NaN'", "guess_probability = 0"},
#endif
    };
    for (const auto& [wrong, right] : wrongs) {
        sql.run("UPDATE job SET " + wrong);
        Needs needs;
        needs.jobs = {1};
        EXPECT_EQ(store().load(needs).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().find_job(1).error(), Failure::unavailable) << wrong;
        EXPECT_EQ(tested_.reads().list_jobs({.limit = 1}).error(), Failure::unavailable) << wrong;
        sql.run("UPDATE job SET " + right);
    }
    EXPECT_TRUE(tested_.reads().find_job(1)->has_value());
    EXPECT_TRUE(load_job(1));
}

// The next one.

TEST_F(GenerationTest, WorksNextOnTheFirstJobThatIsNotFinished) {
    EXPECT_EQ(next_job("w"), 0);
    save(Draft()
             .job(ended(make_job(1, 1), Job::Status::completed))
             .job(ended(make_job(2, 1), Job::Status::failed))
             .job(ended(make_job(3, 1), Job::Status::cancelled))
             .job(make_job(4, 1))
             .job(make_job(5, 2)));
    EXPECT_EQ(next_job("w"), 4);
    save(Draft().change(ended(*load_job(4), Job::Status::cancelled)));
    EXPECT_EQ(next_job("w"), 5);
    save(Draft().change(ended(*load_job(5), Job::Status::completed)));
    EXPECT_EQ(next_job("w"), 0);
}

TEST_F(GenerationTest, WorksNextOnNoJobThatAnotherHasClaimed) {
    save(Draft().job(claimed(make_job(1, 1), "v", noon + 10)).job(make_job(2, 2)));
    EXPECT_EQ(next_job("w"), 2);
    EXPECT_EQ(next_job("w", noon + 9), 2);
    EXPECT_EQ(next_job("w", noon + 10), 1);  // no longer
    EXPECT_EQ(next_job("v"), 1);             // it is its own
    save(Draft().change(claimed(*load_job(2), "u", noon + 10)));
    EXPECT_EQ(next_job("w"), 0);
    EXPECT_EQ(next_job("u"), 2);
    EXPECT_EQ(next_job("v"), 1);
    EXPECT_EQ(next_job("w", noon + 10), 1);
}

TEST_F(GenerationTest, WorksNextOnNoJobOfABookThatAnotherWorksOn) {
    save(Draft()
             .job(make_job(1, 1))
             .job(claimed(make_job(2, 1), "v", noon + 10))
             .job(make_job(3, 1))
             .job(make_job(4, 2)));
    EXPECT_EQ(next_job("w"), 4);
    EXPECT_EQ(next_job("v"), 1);
    EXPECT_EQ(next_job("w", noon + 10), 1);
    // What has ended is nobody's.
    save(Draft().change(ended(*load_job(2), Job::Status::cancelled)));
    EXPECT_EQ(next_job("w"), 1);
}

TEST_F(GenerationTest, WorksNextWithTheGeneratorOfTheJobsPattern) {
    Job job = make_job(1, 1);
    job.code_pattern = "OLD-{6}";
    save(Draft().generator(1, pattern, {}, make_generator(1)).job(job));
    const auto next = [&] { return tested_.reads().next_job("w", noon, 0)->value(); };
    EXPECT_EQ(next().job, job);
    EXPECT_EQ(next().generator, std::nullopt);
    save(Draft()
             .generator(1, "OLD-{6}", {}, make_generator(2, 6))
             .generator(2, "OLD-{6}", {}, make_generator(3)));
    EXPECT_EQ(next().generator, make_generator(2, 6));
}

// Codes that were generated.

TEST_F(GenerationTest, AddsCodesWithTheirSettingsPieceByPiece) {
    GenerateCodes asked{1, 5, {true, clock_.now() + 3'600'000, 3, R"({"a":1})"}};
    const Job begun = std::get<JobChanged>(run(asked)).job;
    EXPECT_EQ(*tested_.reads().find_job(begun.id), begun);
    const Job first = std::get<JobChanged>(run(round(1, begun.id, 5))).job;
    EXPECT_EQ(*tested_.reads().find_job(begun.id), first);
    EXPECT_EQ(first.round, (JobRound{0, 5}));
    EXPECT_EQ(tested_.reads().find_generator(1)->value().generator, make_generator(5, 5, 0));
    const Job half = std::get<JobChanged>(run(piece(1, "G", 3, begun.id))).job;
    EXPECT_EQ(*tested_.reads().find_job(begun.id), half);
    EXPECT_EQ(half.created, 3);
    EXPECT_EQ(half.done, 3);
    EXPECT_EQ(tested_.reads().find_generator(1)->value().generator, make_generator(5, 5, 3));
    const Job all = std::get<JobChanged>(run(piece(1, "H", 2, begun.id))).job;
    EXPECT_EQ(all.status, Job::Status::completed);
    EXPECT_EQ(*tested_.reads().find_job(begun.id), all);
    EXPECT_EQ(load_job(begun.id), all);
    EXPECT_EQ(tested_.reads().find_generator(1)->value().generator->drafts, 5);
    EXPECT_EQ(next_job("w"), 0);
    reopen();
    for (const char* const text : {"G0", "G2", "H0", "H1"}) {
        const Code code = load_code(store(), text).value();
        EXPECT_EQ(static_cast<const CodeSettings&>(code), asked.wish);
        EXPECT_FALSE(code.kept_back);
    }
    expect_verified();
}

/// Codes of a book that have something in all that a code which is nobody's can have.
Draft many_codes(BookId book_id, CodeId first_id, int from, int to) {
    Draft draft;
    for (int i = from; i < to; ++i) {
        const std::string text = std::to_string(book_id) + "-\u20ac" + std::to_string(1'000 + i);
        Code code = make_code(first_id + i, book_id, text);
        if (i % 2 == 0) code.metadata = R"({"a":"\u20ac"})";
        draft.code(std::move(code));
        CodeRow& row = *draft.delta.new_codes.back();
        if (i % 3 == 0) row.folded = "FOLDED " + text;
        row.order = i / 1'000.0;
    }
    return draft;
}

TEST_F(GenerationTest, AddsManyCodesAtOnceAsItAddsAFew) {
    save(many_codes(1, 1'000, 0, 900));
    for (int i = 0; i < 900; i += 100) save(many_codes(2, 2'000, i, i + 100));
    const auto codes_of = [this](int book) {
        const std::string id = std::to_string(book);
        return tested_.connect().rows(
            "SELECT id - 1000 * " + id +
            ", shuffle_key, created_at, locked_until, redeemed_at, "
            "assigned_to, substr(code, 2), settings, use_of, lock_key, substr(folded, 9) "
            "FROM coupon_code WHERE book_id = " +
            id + " ORDER BY id");
    };
    EXPECT_EQ(codes_of(1).size(), 900u);
    EXPECT_EQ(codes_of(1), codes_of(2));
    expect_counted(tested_.connect());
}

TEST_F(GenerationTest, AddsNoneOfManyCodesOfWhichOneIsThere) {
    save(many_codes(1, 1'000, 0, 1));
    Draft same = many_codes(2, 2'000, 0, 900);
    same.delta.new_codes[899]->code.code = "1-\u20ac1000";
    expect_conflict(same);
    Draft spelled = many_codes(2, 2'000, 0, 900);
    spelled.delta.new_codes[899]->folded = "FOLDED 1-\u20ac1000";
    expect_conflict(spelled);
    Draft changed = many_codes(2, 2'000, 0, 900);
    Job gone = make_job(77, 1);
    changed.change(gone);  // which is no longer as it was
    expect_conflict(changed);
    save(many_codes(2, 2'000, 0, 900));
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM coupon_code"), 901);
}

TEST_F(GenerationTest, PutsCodesOfARoundInTheOrderInWhichTheyAreGivenAway) {
    const Job begun = std::get<JobChanged>(run(GenerateCodes{1, 8, {}})).job;
    run(round(1, begun.id, 8));
    run(piece(1, "G", 8, begun.id));
    // Evenly, beginning at 0.9 of all keys.
    EXPECT_EQ(tested_.connect().rows("SELECT code FROM coupon_code ORDER BY shuffle_key"),
              (std::vector<std::string>{"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G0"}));
    EXPECT_EQ(tested_.connect().integer(
                  "SELECT count(*) FROM (SELECT shuffle_key - lag(shuffle_key) OVER "
                  "(ORDER BY shuffle_key) AS gap FROM coupon_code) AS gaps "
                  "WHERE gap BETWEEN 1152921504606800000 AND 1152921504606900000"),
              7);
}

TEST_F(GenerationTest, KeepsBackCodesThatDoNotWork) {
    AddGenerated added = piece(1, "G", 3);
    added.asked.wish.active = false;
    ASSERT_TRUE(std::holds_alternative<CodesGenerated>(run(added)));
    EXPECT_TRUE(load_code(store(), "G1").value().kept_back);
    EXPECT_EQ(std::get<Refusal>(run(AssignAny{"ann", 1})), Refusal::no_available_coupons);
    EXPECT_EQ(tested_.connect().integer("SELECT sum(kept_back) FROM book_count WHERE book_id = 1"),
              3);
    expect_verified();
}

TEST_F(GenerationTest, CountsCodesThatWereGeneratedApart) {
    run(UploadCodes{1, {"A"}});
    run(piece(1, "G", 3));
    clock_.advance(activity_period_ms);
    run(piece(1, "H", 2));
    run(piece(2, "I", 4));
    const std::int64_t begin = activity_period(ManualClock().now()).ms;
    StatisticsQuery query{
        1, {{begin}, {begin + activity_period_ms}, {begin + 2 * activity_period_ms}}};
    const auto series = [&] {
        const Statistics statistics = tested_.reads().load_statistics(query, clock_.now()).value();
        std::vector<std::pair<std::int64_t, std::int64_t>> pieces;
        for (const Statistics::Piece& one : statistics.series) {
            pieces.emplace_back(one.activity.uploaded, one.activity.generated);
            EXPECT_EQ(one.activity.assigned, 0);
            EXPECT_EQ(one.activity.discount_cents, 0);
        }
        return pieces;
    };
    using Series = std::vector<std::pair<std::int64_t, std::int64_t>>;
    EXPECT_EQ(series(), (Series{{1, 3}, {0, 2}}));
    query.book_id.reset();
    EXPECT_EQ(series(), (Series{{1, 3}, {0, 6}}));
    // The other figures are what they were.
    run(AssignCode{"G0", "ann"});
    run(LockCode{"G0", "ann", 1000});
    run(RedeemCode{"G0", "ann"});
    query.book_id = 1;
    const Activity last =
        tested_.reads().load_statistics(query, clock_.now()).value().series[1].activity;
    EXPECT_EQ(last, (Activity{0, 1, 1, 1, 0, 0, {}, 2}));
    expect_verified();
}

TEST_F(GenerationTest, TellsInTheLedgerOfCodesThatWereGenerated) {
    run(UploadCodes{1, {"A"}});
    AddGenerated added = piece(1, "G", 3);
    added.asked.wish.max_redemptions = 7;
    run(added);
    run(AssignCode{"G1", "ann"});
    EntryQuery query;
    query.limit = 100;
    query.type = LedgerEntry::Type::codes_generated;
    const auto generated = tested_.reads().list_entries(query)->entries;
    ASSERT_EQ(generated.size(), 1u);
    const LedgerEntry& entry = generated[0].entry;
    EXPECT_EQ(entry.book_id, 1);
    EXPECT_EQ(entry.code_id, load_code(store(), "G0")->id);
    EXPECT_EQ(entry.codes, 3);
    EXPECT_EQ(entry.detail, row_text(added.asked.wish));
    EXPECT_EQ(entry.user_id, std::nullopt);
    EXPECT_EQ(entry.previous, std::nullopt);
    EXPECT_EQ(generated[0].code, "");
    query.type = LedgerEntry::Type::codes_uploaded;
    EXPECT_EQ(tested_.reads().list_entries(query)->entries.size(), 1u);
    query.type.reset();
    query.code = "G1";
    const auto of_code = tested_.reads().list_entries(query)->entries;
    ASSERT_EQ(of_code.size(), 2u);
    EXPECT_EQ(of_code[0].entry.id, entry.id);
    EXPECT_EQ(of_code[1].entry.type, LedgerEntry::Type::code_assigned);
    EXPECT_EQ(tested_.reads().find_code("G2", 100)->value().history.entries.size(), 1u);

    auto sql = tested_.connect();
    for (const char* const wrong : {"'nonsense'", "'expires_at 9000000000000000000\n'"}) {
        sql.run("UPDATE ledger SET detail = " + std::string(wrong) + " WHERE type = 15");
        EXPECT_EQ(tested_.reads().list_entries(query).error(), Failure::unavailable) << wrong;
    }
}

TEST_F(GenerationTest, IsReadByASnapshotAmongWhatAddsCodes) {
    run(UploadCodes{1, {"A", "B"}});
    AddGenerated added = piece(2, "G", 3);
    added.asked.wish.max_redemptions = 7;
    run(added);
    run(UploadCodes{2, {"C"}});
    tested_.close();
    {
#ifdef COUPOND_TEST_ON_POSTGRES
        const auto database = open_postgres(PostgresStore::url());
        const auto snapshot = database->open_snapshot();
#else
        sqlite::Database database(tested_.folder(), sqlite::Access::look);
        const auto snapshot = database.open_snapshot();
#endif
        std::vector<std::string> uploads;
        Snapshot::EntryRow entry;
        for (const auto rows = snapshot->uploads(); rows->next(entry);) {
            uploads.push_back(std::to_string(entry.type) + "|" + std::to_string(entry.book_id) +
                              "|" + std::to_string(entry.codes) + "|" + entry.detail);
            EXPECT_TRUE(entry.codes_digest);
        }
        EXPECT_EQ(uploads,
                  (std::vector<std::string>{"2|1|2|", "15|2|3|max_redemptions 7\n", "2|2|1|"}));
        EXPECT_FALSE(snapshot->code_entries()->next(entry));
        Snapshot::ActivityRow row;
        std::int64_t generated = 0;
        for (const auto rows = snapshot->activity_counts(); rows->next(row);) {
            if (row.book_id != all_books) generated += row.activity.generated;
            EXPECT_EQ(row.activity.assigned, 0);
        }
        EXPECT_EQ(generated, 3);
        EXPECT_EQ(snapshot->faults(), std::vector<std::string>{});
    }
    tested_.open();
    expect_verified();
}

TEST_F(GenerationTest, IsNotMovedOutOfTheLedger) {
    run(piece(1, "G", 2));
    run(AssignCode{"G0", "ann"});
    run(LockCode{"G0", "ann", 1000});
    run(RedeemCode{"G0", "ann"});
    EntryQuery query;
    query.limit = 100;
    std::vector<EntryId> ids;
    const EntryPage page = tested_.reads().list_entries(query).value();
    for (const EntryListing& listing : page.entries) ids.push_back(listing.entry.id);
    {
#ifdef COUPOND_TEST_ON_POSTGRES
        const auto database = open_postgres(PostgresStore::url());
        const auto retention = database->open_ledger_retention();
#else
        sqlite::Database database(tested_.folder(), sqlite::Access::share);
        const auto retention = database.open_ledger_retention();
#endif
        EXPECT_EQ(retention->remove(retention->superseded(ids)), 2);
    }
    EXPECT_EQ(tested_.connect().integer("SELECT count(*) FROM ledger WHERE type = 15"), 1);
    expect_verified();
}

}  // namespace
}  // namespace coupond::test
