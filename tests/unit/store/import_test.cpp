// Files of codes and the jobs that bring them in: what is saved is what is loaded and read, whoever
// works next, and who adds codes alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "unit/store/support.hpp"

namespace coupond::test {
namespace {

using Stage = Import::Stage;

/// What a job has of its file at that stage.
Import make_import(Stage stage, bool skips = false) {
    Import import;
    import.time_zone = "UTC";
    import.skips = skips;
    import.stage = stage;
    import.parts = 1;
    import.bytes = 10;
    if (stage >= Stage::checking) import.shares = 2;
    return import;
}

Job make_job(JobId id, BookId book_id, Stage stage, bool skips = false) {
    Job job = test::make_job(id, book_id);
    job.code_pattern.clear();
    job.import = make_import(stage, skips);
    return job;
}

Job claimed(Job job, std::string worker, Timestamp until) {
    job.worker = std::move(worker);
    job.claimed_until = until;
    return job;
}

Job ended(Job job, Job::Status status = Job::Status::completed) {
    job.status = status;
    job.finished_at = noon;
    return job;
}

std::string all_bytes() {
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
    return bytes + bytes;
}

class ImportTest : public testing::Test {
protected:
    /// Books 1 and 2, and 3, which finds codes however they are spelled.
    void SetUp() override {
        run(CreateBook{"Summer", "SUMMER-{6}", {}, {}});
        run(CreateBook{"Winter", "WINTER-{6}", {}, {}});
        CreateBook folds;
        folds.name = "Fall";
        folds.case_sensitive = false;
        run(folds);
    }

    Outcome run(const Command& command) {
        auto outcomes = test::run(store(), command, clock_.now());
        EXPECT_TRUE(outcomes);
        return outcomes ? std::move(outcomes->front()) : Outcome(Refusal::job_not_found);
    }

    Job changed(const Command& command) {
        const Outcome outcome = run(command);
        const auto* const changed = std::get_if<JobChanged>(&outcome);
        EXPECT_NE(changed, nullptr);
        return changed == nullptr ? Job() : changed->job;
    }

    World load(const Needs& needs) {
        Result<World> world = loaded(store(), needs);
        EXPECT_TRUE(world);
        return world ? std::move(*world) : World();
    }

    std::optional<Job> load_job(JobId id) {
        Needs needs;
        needs.jobs = {id};
        const World world = load(needs);
        if (world.jobs.empty()) return std::nullopt;
        const World::JobRow& row = world.jobs.at(id);
        EXPECT_EQ(row.loaded_version, row.job.version);
        return row.job;
    }

    /// Who alone may add codes, as is told who is about to.
    std::optional<JobId> adds_alone(bool asked = true) {
        Needs needs;
        needs.adds_codes = asked;
        return load(needs).adds_alone;
    }

    void save(const Draft& draft) { ASSERT_TRUE(store().save(draft.delta)); }

    void expect_conflict(const Draft& draft) {
        const std::vector<std::string> before = contents_behind(tested_.connect());
        const Result<void> saved = store().save(draft.delta);
        ASSERT_FALSE(saved);
        EXPECT_EQ(saved.error(), Failure::conflict);
        EXPECT_EQ(contents_behind(tested_.connect()), before);
    }

    std::vector<std::string> read_file(JobId id, std::int64_t first, std::int64_t count) {
        auto parts = tested_.reads().read_file(id, first, count);
        EXPECT_TRUE(parts);
        return parts ? std::move(*parts) : std::vector<std::string>();
    }

    std::vector<RejectedRow> rejected_rows(JobId id, std::int64_t after, std::size_t limit) {
        auto rows = tested_.reads().rejected_rows(id, after, limit);
        EXPECT_TRUE(rows);
        return rows ? std::move(*rows) : std::vector<RejectedRow>();
    }

    std::vector<bool> exist(const std::vector<std::string>& codes, bool folds) {
        auto exist = tested_.reads().exist(codes, folds);
        EXPECT_TRUE(exist);
        return exist ? std::move(*exist) : std::vector<bool>();
    }

    /// 0: none.
    JobId ended_file() {
        const auto found = tested_.reads().ended_file();
        EXPECT_TRUE(found);
        return found ? found->value_or(0) : 0;
    }

    /// 0: none.
    JobId next_job(const std::string& worker, Timestamp now = noon, JobId after = 0) {
        const auto found = tested_.reads().next_job(worker, now, after);
        EXPECT_TRUE(found);
        return found && *found ? (*found)->job.id : 0;
    }

    /// A step of a job that leaves it as it is.
    AddImported step(JobId id) {
        const Job job = tested_.reads().find_job(id)->value();
        AddImported command;
        command.book_id = job.book_id;
        command.job_id = id;
        command.worker = "w";
        command.claimed_until = clock_.now() + 1'000;
        command.before = command.after = *job.import;
        return command;
    }

    /// The job of a file that is there, at a stage of one share.
    JobId begin(BookId book_id, bool skips, Stage stage) {
        ReceiveFile file;
        file.book_id = book_id;
        file.skips = skips;
        file.bytes = "code\nA\n";
        file.ends = true;
        file.worker = "w";
        file.claimed_until = clock_.now() + 1'000;
        const JobId id = changed(file).id;
        for (const Stage next : {Stage::checking, Stage::adding}) {
            if (stage < next || (skips && next == Stage::checking)) continue;
            AddImported command = step(id);
            command.after.stage = next;
            command.after.shares = 1;
            command.rows = 10;
            changed(command);
        }
        return id;
    }

    /// A step that adds some, the last one where it `ends`.
    AddImported add(JobId id, std::vector<ImportedCode> codes, bool ends) {
        AddImported command = step(id);
        command.after.done += std::ssize(codes);
        if (ends) {
            ++command.after.share;
            command.after.done = 0;
        }
        command.codes = std::move(codes);
        return command;
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
};

using Texts = std::vector<std::string>;

// Jobs.

TEST_F(ImportTest, GivesBackJobsOfFilesAsTheyWereSaved) {
    Job all = make_job(1, 1, Stage::adding, true);
    all.import =
        Import{Import::Format::ndjson, true, "America/New_York", Stage::adding, 7, 70, 3, 2, 1, 5};
    all.requested = 5'000'000'000;
    all.worker = "w";
    Job plain = make_job(2, 1, Stage::receiving);
    const Job makes = test::make_job(3, 1);
    save(Draft().job(all).job(plain).job(makes));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        EXPECT_EQ(load_job(1), all);
        EXPECT_EQ(load_job(2), plain);
        EXPECT_EQ(load_job(3), makes);
        EXPECT_EQ(*tested_.reads().find_job(1), all);
        EXPECT_EQ(*tested_.reads().find_job(2), plain);
        EXPECT_EQ(tested_.reads().list_jobs({.limit = 9})->jobs, (std::vector{makes, plain, all}));
        EXPECT_EQ(tested_.reads().next_job("w", noon, 0)->value().job, all);
    }
    EXPECT_EQ(tested_.connect().rows("SELECT id FROM job WHERE details IS NULL"), Texts{"3"});
}

TEST_F(ImportTest, ChangesOfAJobWhatItHasOfItsFile) {
    save(Draft().job(make_job(1, 1, Stage::reading)).job(make_job(2, 1, Stage::reading)));
    Job job = *load_job(1);
    job.import = make_import(Stage::adding);
    job.import->share = 1;
    job.import->done = 4;
    job.requested = 20;
    save(Draft().change(job));
    ++job.version;
    EXPECT_EQ(load_job(1), job);
    EXPECT_EQ(load_job(2), make_job(2, 1, Stage::reading));
}

TEST_F(ImportTest, SavesNothingWhereAJobIsNotAsItWas) {
    save(Draft().job(make_job(1, 1, Stage::receiving)).part(1, 0, "x"));
    const Job job = *load_job(1);
    save(Draft().change(job));
    expect_conflict(Draft()
                        .change(job)
                        .part(1, 1, "y")
                        .reject(1, {2, "code_invalid", "y"})
                        .remove_parts(1)
                        .code(make_code(1, 1, "A")));
    expect_conflict(Draft().change(make_job(9, 1, Stage::reading)).part(9, 0, "y"));
    tested_.connect().run("UPDATE job SET version = 9");
    expect_conflict(Draft().change(*std::optional(job)).part(1, 1, "y"));
    EXPECT_EQ(read_file(1, 0, 9), Texts{"x"});
}

TEST_F(ImportTest, MeetsAPartThatIsThereAlready) {
    save(Draft().job(make_job(1, 1, Stage::receiving)).part(1, 0, "x"));
    EXPECT_FALSE(store().save(Draft().change(*load_job(1)).part(1, 0, "y").delta));
    EXPECT_EQ(read_file(1, 0, 9), Texts{"x"});
    EXPECT_EQ(load_job(1)->version, 1);
}

TEST_F(ImportTest, DoesNotUseAJobOfAFileThatCannotBe) {
    save(Draft().job(make_job(1, 1, Stage::adding)));
    auto sql = tested_.connect();
    const std::string right = "details = '" + row_text(make_import(Stage::adding)) + "'";
    for (const std::string import :
         {"''", "'nonsense'", "'UTC'", "'UTC 0 0 3 1 10 0 2 0'", "'UTC 0 0 3 1 10 0 2 0 0 0'",
          "'Nowhere/City 0 0 3 1 10 0 2 0 0'", "'UTC 7 0 3 1 10 0 2 0 0'",
          "'UTC 0 7 3 1 10 0 2 0 0'", "'UTC 0 0 7 1 10 0 2 0 0'", "'UTC 0 0 3 1 10 0 2 3 0'",
          "'UTC 0 0 3 1 10 0 0 0 0'", "'UTC 0 0 2 1 10 0 0 0 0'", "'UTC 0 0 3 1 10 0 2 2 0'",
          "'UTC 0 0 3 11 10 0 2 0 0'", "'UTC 0 0 3 1 9223372036854775807 0 2 0 0'",
          "'UTC 0 0 3 1 10 9223372036854775807 2 0 0'",
          "'UTC 0 0 3 1 10 0 9223372036854775807 0 0'",
          "'UTC 0 0 3 1 10 0 2 0 9223372036854775807'", "'UTC 0 0 3 1 10 0 2 0 -1'"}) {
        sql.run("UPDATE job SET details = " + import);
        Needs needs;
        needs.jobs = {1};
        EXPECT_EQ(store().load(needs).error(), Failure::unavailable) << import;
        EXPECT_EQ(tested_.reads().find_job(1).error(), Failure::unavailable) << import;
        EXPECT_EQ(tested_.reads().list_jobs({.limit = 1}).error(), Failure::unavailable) << import;
        EXPECT_EQ(tested_.reads().next_job("w", noon, 0).error(), Failure::unavailable) << import;
        EXPECT_TRUE(tested_.reads().ended_file()) << import;
        sql.run("UPDATE job SET " + right);
    }
    EXPECT_TRUE(load_job(1));
    // One that has ended is done with all of its shares.
    sql.run("UPDATE job SET status = 2, details = 'UTC 0 0 3 1 10 0 2 2 0'");
    EXPECT_EQ(load_job(1)->import->share, 2);
}

// Files.

TEST_F(ImportTest, KeepsPartsOfFilesByteForByte) {
    const std::string long_part(limits::import_part_bytes, '\x80');
    save(Draft()
             .job(make_job(1, 1, Stage::receiving))
             .job(make_job(2, 1, Stage::receiving))
             .part(1, 0, all_bytes())
             .part(2, 0, "other")
             .part(1, 1, std::string(3, '\0')));
    save(Draft().part(1, 2, long_part).part(1, 3, "\xff\\x27'\"{},NULL"));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        EXPECT_EQ(read_file(1, 0, 9),
                  (Texts{all_bytes(), std::string(3, '\0'), long_part, "\xff\\x27'\"{},NULL"}));
        EXPECT_EQ(read_file(1, 1, 1), (Texts{std::string(3, '\0')}));
        EXPECT_EQ(read_file(1, 2, 2), (Texts{long_part, "\xff\\x27'\"{},NULL"}));
        EXPECT_EQ(read_file(1, 4, 9), Texts{});
        EXPECT_EQ(read_file(2, 0, 1), Texts{"other"});
        EXPECT_EQ(read_file(3, 0, 1), Texts{});
    }
}

TEST_F(ImportTest, RemovesPartsOfAFileFromItsEnd) {
    constexpr std::int64_t count = 2 * limits::parts_removed + 3;
    Draft draft;
    draft.job(ended(make_job(1, 1, Stage::adding, true))).job(make_job(2, 1, Stage::reading));
    for (std::int64_t number = 0; number < count; ++number) {
        draft.part(1, number, std::to_string(number)).part(2, number, "other");
    }
    save(draft);
    for (std::int64_t left = count; left > 0;) {
        EXPECT_EQ(ended_file(), 1);
        EXPECT_TRUE(std::holds_alternative<PartsRemoved>(run(RemoveParts{1})));
        left = std::max<std::int64_t>(left - limits::parts_removed, 0);
        const Texts parts = read_file(1, 0, count);
        ASSERT_EQ(std::ssize(parts), left);
        EXPECT_EQ(left == 0 ? "-1" : parts.back(), std::to_string(left - 1));
    }
    EXPECT_EQ(ended_file(), 0);
    EXPECT_TRUE(std::holds_alternative<PartsRemoved>(run(RemoveParts{1})));
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(RemoveParts{2})));
    EXPECT_EQ(std::ssize(read_file(2, 0, count)), count);
}

TEST_F(ImportTest, FindsTheFilesOfJobsThatHaveEnded) {
    EXPECT_EQ(ended_file(), 0);
    save(Draft()
             .job(make_job(1, 1, Stage::receiving))
             .job(ended(make_job(2, 1, Stage::reading), Job::Status::cancelled))
             .job(make_job(3, 1, Stage::adding))
             .part(1, 0, "x")
             .part(3, 0, "x"));
    EXPECT_EQ(ended_file(), 0);  // 2 has none
    Job failed = ended(*load_job(3), Job::Status::failed);
    failed.error = "rows_rejected";
    save(Draft().change(failed));
    EXPECT_EQ(ended_file(), 3);
    save(Draft().remove_parts(3));
    EXPECT_EQ(ended_file(), 0);
    save(Draft().change(ended(*load_job(1), Job::Status::cancelled)));
    EXPECT_EQ(ended_file(), 1);
    // What is nobody's is left alone.
    tested_.connect().run("DELETE FROM job WHERE id = 1");
    EXPECT_EQ(ended_file(), 0);
}

TEST_F(ImportTest, KeepsRejectedRowsOnceAndListsThemByLine) {
    const RejectedRow second{2, "code_invalid", "\u00fc' \\ \""}, fourth{4, "row_too_long", ""},
        ninth{9, "code_repeated", "C"}, far{5'000'000'000, "code_invalid", "far"};
    save(Draft()
             .job(make_job(1, 1, Stage::reading))
             .job(make_job(2, 1, Stage::reading))
             .reject(1, ninth)
             .reject(1, second)
             .reject(2, fourth)
             .reject(1, far));
    // Those of a step that is done anew are there already, and stay as they are.
    save(Draft().reject(1, {9, "codes_already_exist", "D"}).reject(1, fourth).reject(1, second));
    save(Draft().reject(1, {12, "code_invalid", "E"}).reject(1, {12, "code_invalid", "E"}));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        EXPECT_EQ(rejected_rows(1, 0, 2), (std::vector{second, fourth}));
        EXPECT_EQ(rejected_rows(1, 4, 2),
                  (std::vector{ninth, RejectedRow{12, "code_invalid", "E"}}));
        EXPECT_EQ(rejected_rows(1, 12, 2), (std::vector{far}));
        EXPECT_EQ(rejected_rows(1, far.line, 2), std::vector<RejectedRow>{});
        EXPECT_EQ(rejected_rows(2, 0, 9), (std::vector{fourth}));
        EXPECT_EQ(rejected_rows(3, 0, 9), std::vector<RejectedRow>{});
    }
    // They stay when the file goes.
    save(Draft().remove_parts(1));
    EXPECT_EQ(rejected_rows(1, 0, 9).size(), 5u);
}

TEST_F(ImportTest, TellsWhichCodesAreThere) {
    run(UploadCodes{1, {"A-1", "b", "\u00fc'\\\",{}"}});
    run(UploadCodes{3, {"Fall-1", "x y"}});
    const Texts asked{"A-1", "a-1", "none", "b", "FALL1", "Fall-1", "\u00fc'\\\",{}", "A-1", "- -"};
    EXPECT_EQ(exist(asked, false),
              (std::vector<bool>{true, false, false, true, false, true, true, true, false}));
    EXPECT_EQ(exist(asked, true),
              (std::vector<bool>{true, false, false, true, true, true, true, true, false}));
    EXPECT_EQ(exist({"XY", "x-y", "X Y"}, true), (std::vector<bool>{true, true, true}));
    EXPECT_EQ(exist({}, false), std::vector<bool>{});
    EXPECT_EQ(exist({}, true), std::vector<bool>{});
    Texts many = numbered("N", 5'000);
    run(UploadCodes{2, {many[0], many[4'999]}});
    const auto found = exist(many, true);
    EXPECT_EQ(std::ranges::count(found, true), 2);
    EXPECT_TRUE(found[0] && found[4'999]);
}

TEST_F(ImportTest, TellsWhichCodesAreThereInWhateverOrderItIsAsked) {
    Texts there = numbered("K", 100), asked = there;
    std::erase_if(there, [](const std::string& text) { return text.ends_with("3"); });
    run(UploadCodes{1, there});
    asked.insert(asked.end(), {"", "K", "K1\u00fc", "L", "\u00fc", "J", there[0] + " "});
    std::mt19937 random(1);  // the same at each run
    for (int round = 0; round < 20; ++round) {
        std::vector<bool> expected;
        for (const std::string& text : asked) {
            expected.push_back(std::ranges::find(there, text) != there.end());
        }
        EXPECT_EQ(exist(asked, false), expected);
        if (round == 0) std::ranges::sort(asked);
        if (round == 1) std::ranges::reverse(asked);
        if (round > 1) std::ranges::shuffle(asked, random);
    }
}

// Who works next.

TEST_F(ImportTest, WorksNextOnNoFileThatAnotherHasClaimed) {
    save(Draft()
             .job(claimed(make_job(1, 1, Stage::receiving), "v", noon + 10))
             .job(make_job(2, 1, Stage::reading))
             .job(ended(make_job(3, 1, Stage::reading))));
    EXPECT_EQ(next_job("w"), 2);
    EXPECT_EQ(next_job("w", noon, 2), 0);
    EXPECT_EQ(next_job("w", noon + 10), 1);  // whose rest does not come
    EXPECT_EQ(next_job("v"), 1);
    save(Draft().change(claimed(*load_job(2), "v", noon + 10)));
    EXPECT_EQ(next_job("w"), 0);
    // No claim is for so long.
    EXPECT_EQ(next_job("w", noon + (10 - limits::job_claim_most_ms - 1)), 1);
}

TEST_F(ImportTest, FilesAndPatternsOfABookAreWorkedOnAtOnce) {
    save(Draft()
             .job(claimed(make_job(1, 1, Stage::adding), "v", noon + 10))
             .job(test::make_job(2, 1))
             .job(make_job(3, 1, Stage::reading)));
    EXPECT_EQ(next_job("w"), 2);
    EXPECT_EQ(next_job("w", noon, 2), 3);
    save(Draft().change(claimed(*load_job(2), "u", noon + 10)).job(test::make_job(4, 1)));
    EXPECT_EQ(next_job("w"), 3);
    EXPECT_EQ(next_job("w", noon, 3), 0);  // of its book codes are made already
    EXPECT_EQ(next_job("u", noon, 3), 4);
}

TEST_F(ImportTest, AJobOfAFileHasNoGenerator) {
    save(Draft().generator(1, "SUMMER-{6}", {}, {}).job(make_job(1, 1, Stage::reading)));
    EXPECT_EQ(tested_.reads().next_job("w", noon, 0)->value().generator, std::nullopt);
}

// Who adds alone.

TEST_F(ImportTest, TellsWhoAloneMayAddCodes) {
    EXPECT_EQ(adds_alone(), std::nullopt);
    save(Draft()
             .job(make_job(1, 1, Stage::adding, true))
             .job(make_job(2, 1, Stage::reading))
             .job(test::make_job(3, 1)));
    EXPECT_EQ(adds_alone(), std::nullopt);
    Job job = *load_job(2);
    job.import->stage = Stage::checking;
    job.import->shares = 1;
    save(Draft().change(job));
    for (const bool reopened : {false, true}) {
        if (reopened) reopen();
        EXPECT_EQ(adds_alone(), 2);
        EXPECT_EQ(adds_alone(false), std::nullopt);
    }
    save(Draft().change(ended(*load_job(2), Job::Status::cancelled)));
    EXPECT_EQ(adds_alone(), std::nullopt);
    save(Draft().job(make_job(4, 1, Stage::adding)));
    EXPECT_EQ(adds_alone(), 4);
    EXPECT_EQ(tested_.connect().rows("SELECT id FROM job WHERE adds_alone = 1"), Texts{"4"});
}

TEST_F(ImportTest, OthersAddCodesWhenItHasEnded) {
    const JobId id = begin(1, false, Stage::checking);
    EXPECT_EQ(adds_alone(), id);
    const UploadCodes upload{2, {"U"}};
    EXPECT_TRUE(std::holds_alternative<AddingElsewhere>(run(upload)));
    reopen();
    EXPECT_TRUE(std::holds_alternative<AddingElsewhere>(run(upload)));
    AddImported checked = step(id);
    checked.after.stage = Stage::adding;
    changed(checked);
    EXPECT_TRUE(std::holds_alternative<AddingElsewhere>(run(upload)));
    EXPECT_EQ(std::get<Refusal>(run(CancelJob{id})), Refusal::job_adds_all);
    EXPECT_EQ(changed(add(id, {{2, "A"}}, true)).status, Job::Status::completed);
    EXPECT_TRUE(std::holds_alternative<CodesUploaded>(run(upload)));
    EXPECT_TRUE(load_code(store(), "A"));
    expect_verified();
}

// Codes that were brought in.

TEST_F(ImportTest, BringsInAFileFromItsFirstPartToItsLastRow) {
    ReceiveFile file;
    file.book_id = 1;
    file.skips = true;
    file.bytes = "code\n";
    file.worker = "v";
    file.claimed_until = clock_.now() + 1'000;
    file.job_id = changed(file).id;
    file.before = 5;
    file.bytes = all_bytes();
    file.ends = true;
    const Job received = changed(file);
    EXPECT_EQ(*tested_.reads().find_job(received.id), received);
    EXPECT_EQ(read_file(received.id, 0, 9), (Texts{"code\n", all_bytes()}));
    EXPECT_EQ(next_job("w"), received.id);

    AddImported counted = step(received.id);
    counted.rows = 8;
    counted.rejected = {{2, "code_invalid", "?"}};
    counted.rejected_count = 1;
    counted.after.stage = Stage::adding;
    counted.after.shares = 1;
    changed(counted);
    run(UploadCodes{2, {"there"}});
    const CodeSettings late{true, clock_.now() + 3'600'000, 3, R"({"a":"\u20ac"})"};
    const CodeSettings off{false, {}, {}, "{}"};
    changed(add(received.id,
                {{3, "A", "", late, "", 0.25},
                 {4, "there"},
                 {5, "B", "ann", {}, "", 0.5},
                 {6, "C", "bob", late, "", 0.75}},
                false));
    const Job done = changed(
        add(received.id, {{7, "D", "", off, "", 0.1}, {8, "E", "ann", off}, {9, "F"}}, true));
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, 6);
    EXPECT_EQ(done.requested, 8);
    EXPECT_EQ(done.import->rejected, 2);
    EXPECT_EQ(load_job(received.id), done);
    EXPECT_EQ(
        rejected_rows(received.id, 0, 9),
        (std::vector<RejectedRow>{{2, "code_invalid", "?"}, {4, "codes_already_exist", "there"}}));
    reopen();
    const auto codes = load_codes(store(), {"A", "B", "C", "D", "E", "F"});
    EXPECT_EQ(static_cast<const CodeSettings&>(codes[0]), late);
    EXPECT_EQ(codes[1].assigned_to, "ann");
    EXPECT_EQ(codes[2].assigned_to, "bob");
    EXPECT_EQ(static_cast<const CodeSettings&>(codes[2]), late);
    EXPECT_EQ(static_cast<const CodeSettings&>(codes[3]), off);
    EXPECT_TRUE(codes[3].kept_back);
    EXPECT_EQ(codes[4].assigned_to, "ann");
    EXPECT_EQ(codes[5].assigned_to, std::nullopt);
    expect_verified();

    EXPECT_EQ(tested_.reads().find_user({"ann", 0, 10})->codes.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<CodeLocked>(run(LockCode{"C", "bob", 1'000})));
    EXPECT_TRUE(std::holds_alternative<CodeRedeemed>(run(RedeemCode{"C", "bob"})));
    EXPECT_EQ(std::get<Refusal>(run(LockCode{"E", "ann", 1'000})), Refusal::code_disabled);
    for (int i = 0; i < 2; ++i) {  // A and F: D is disabled
        EXPECT_TRUE(std::holds_alternative<CodeAssigned>(run(AssignAny{"cid", 1})));
    }
    EXPECT_EQ(std::get<Refusal>(run(AssignAny{"cid", 1})), Refusal::no_available_coupons);
    const auto history = tested_.reads().find_code("B", 10)->value().history.entries;
    ASSERT_EQ(history.size(), 2u);
    EXPECT_EQ(history[0].entry.type, LedgerEntry::Type::codes_uploaded);
    EXPECT_EQ(history[1].entry.type, LedgerEntry::Type::code_assigned);
    EXPECT_EQ(history[1].entry.user_id, "ann");
    expect_verified();
}

TEST_F(ImportTest, BringsInCodesThatAreFoundHoweverTheyAreSpelled) {
    run(UploadCodes{3, {"There-1"}});
    const JobId id = begin(3, true, Stage::adding);
    const Job done =
        changed(add(id, {{2, "new 1", "ann"}, {3, "THERE1"}, {4, "New-1"}, {5, "x"}}, true));
    EXPECT_EQ(done.created, 2);
    EXPECT_EQ(done.import->rejected, 2);
    EXPECT_EQ(tested_.reads().find_code("NEW1", 1)->value().code.code, "new 1");
    EXPECT_EQ(exist({"n e w 1", "X"}, true), (std::vector<bool>{true, true}));
    expect_verified();
}

TEST_F(ImportTest, PutsCodesWhereTheyStandInTheOrderInWhichTheyAreGivenAway) {
    const JobId id = begin(1, true, Stage::adding);
    changed(add(id,
                {{2, "A", "", {}, "", 0.9}, {3, "B", "", {}, "", 0.1}, {4, "C", "", {}, "", 0.5}},
                true));
    EXPECT_EQ(tested_.connect().rows("SELECT code FROM coupon_code ORDER BY shuffle_key"),
              (Texts{"B", "C", "A"}));
}

}  // namespace
}  // namespace coupond::test
