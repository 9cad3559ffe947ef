// Codes of files: what the row of a job keeps of one, and the rules by which they are brought in.
#include "domain/import.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "base/limits.hpp"
#include "domain/domain.hpp"

namespace coupond {
namespace {

using Format = Import::Format;
using Stage = Import::Stage;

constexpr Timestamp noon{1'795'348'800'000};  // 2026-11-22T12:00:00Z

Import some_import() {
    Import import;
    import.format = Format::ndjson;
    import.skips = true;
    import.time_zone = "Europe/Berlin";
    import.stage = Stage::adding;
    import.parts = 1;
    import.bytes = 2;
    import.rejected = 3;
    import.shares = 6;
    import.share = 4;
    import.done = 5;
    return import;
}

// What the row of a job keeps.

TEST(ImportText, IsReadAsItWasWritten) {
    for (const Format format : {Format::csv, Format::ndjson}) {
        for (const bool skips : {false, true}) {
            for (const Stage stage :
                 {Stage::receiving, Stage::reading, Stage::checking, Stage::adding}) {
                for (const char* const zone : {"UTC", "America/Argentina/Buenos_Aires"}) {
                    Import written = some_import(), read;
                    written.format = format;
                    written.skips = skips;
                    written.stage = stage;
                    written.time_zone = zone;
                    ASSERT_TRUE(read_row_text(row_text(written), read)) << row_text(written);
                    EXPECT_EQ(read, written);
                }
            }
        }
    }
    EXPECT_EQ(row_text(some_import()), "Europe/Berlin 1 1 3 1 2 3 6 4 5");
    Import most = some_import(), read;
    most.parts = most.bytes = most.rejected = most.shares = most.share = most.done = INT64_MAX;
    EXPECT_TRUE(read_row_text(row_text(most), read));
    EXPECT_EQ(read, most);
}

TEST(ImportText, IsNothingElse) {
    Import import;
    for (const char* const text : {"",
                                   " ",
                                   "UTC",
                                   "UTC ",
                                   "UTC 0 0 0 0 0 0 0 0",
                                   "UTC 0 0 0 0 0 0 0 0 0 0",
                                   "UTC 0 0 0 0 0 0 0 0 0 ",
                                   " 0 0 0 0 0 0 0 0 0",
                                   "Nowhere/City 0 0 0 0 0 0 0 0 0",
                                   "UTC 2 0 0 0 0 0 0 0 0",
                                   "UTC 0 2 0 0 0 0 0 0 0",
                                   "UTC 0 0 4 0 0 0 0 0 0",
                                   "UTC -1 0 0 0 0 0 0 0 0",
                                   "UTC 0 0 0 0 0 0 0 0 -1",
                                   "UTC 0 0 0 0 0 -5 0 0 0",
                                   "UTC 0 0 0 a 0 0 0 0 0",
                                   "UTC 0 0 0 0x1 0 0 0 0 0",
                                   "UTC  0 0 0 0 0 0 0 0 0",
                                   "UTC 0 0 0 0 0 0 0 0 9223372036854775808",
                                   "UTC\n0 0 0 0 0 0 0 0 0",
                                   "UTC 0 0 0 0 0 0 0 0 0\n",
                                   "UTC 0,0 0 0 0 0 0 0 0 0"}) {
        EXPECT_FALSE(read_row_text(text, import)) << text;
    }
    // Whatever of it is missing.
    const std::string text = row_text(some_import());
    for (std::size_t size = 0; size < text.size(); ++size) {
        EXPECT_FALSE(read_row_text(std::string_view(text).substr(0, size), import)) << size;
    }
}

TEST(ImportText, TellsWhenNobodyElseMayAddCodes) {
    Import import;
    for (const Stage stage : {Stage::receiving, Stage::reading, Stage::checking, Stage::adding}) {
        import.stage = stage;
        import.skips = false;
        EXPECT_EQ(import.adds_alone(), stage >= Stage::checking);
        import.skips = true;
        EXPECT_FALSE(import.adds_alone());
    }
}

// Rules.

/// A World of book 1.
class Importing : public testing::Test {
protected:
    Importing() {
        world_.next_book_id = 2;
        world_.next_code_id = 50;
        world_.next_entry_id = 100;
        world_.next_job_id = 7;
        Book book;
        book.id = 1;
        book.name = "n";
        book.code_pattern = "{2:digits}";
        book.created_at = book.updated_at = noon;
        book.last_entry = 10;
        world_.books.emplace(1, book);
    }

    Book& book() { return world_.books.at(1); }
    Job& job(JobId id) { return world_.jobs.at(id).job; }

    /// As of jobs that were loaded anew.
    Decision decide(const std::vector<Command>& commands, Timestamp now = noon,
                    const std::optional<Idempotency>& idempotency = {}) {
        for (auto& [id, row] : world_.jobs) {
            row.loaded_version = row.job.version;
            row.is_new = false;
        }
        std::vector<const Submission*> pointers;
        for (const Command& command : commands) {
            pointers.push_back(
                &submissions_.emplace_back(Submission{command, "step", idempotency}));
        }
        return coupond::decide(world_, pointers, now);
    }

    Outcome run(const Command& command, Timestamp now = noon) {
        return decide({command}, now).outcomes.front();
    }

    /// What a command makes of a job.
    Job changed(const Command& command, Timestamp now = noon) {
        const Outcome outcome = run(command, now);
        const auto* const changed = std::get_if<JobChanged>(&outcome);
        EXPECT_NE(changed, nullptr) << outcome.index();
        return changed == nullptr ? Job() : changed->job;
    }

    static ReceiveFile part(std::string bytes, bool ends = false) {
        ReceiveFile command;
        command.book_id = 1;
        command.bytes = std::move(bytes);
        command.ends = ends;
        command.worker = "w";
        command.claimed_until = noon + 1'000;
        return command;
    }

    /// The part behind those that a job has.
    ReceiveFile next_part(JobId id, std::string bytes, bool ends = false) {
        ReceiveFile command = part(std::move(bytes), ends);
        command.job_id = id;
        command.before = job(id).import->bytes;
        return command;
    }

    /// A step of a job that leaves it as it is.
    AddImported step(JobId id, const std::string& worker = "w") {
        AddImported command;
        command.book_id = job(id).book_id;
        command.job_id = id;
        command.worker = worker;
        command.claimed_until = noon + 1'000;
        command.before = command.after = *job(id).import;
        return command;
    }

    /// A step that adds some; with it a share is done where it `ends`.
    AddImported add(JobId id, std::vector<ImportedCode> codes, bool ends = false) {
        AddImported command = step(id);
        command.after.done += std::ssize(codes);
        if (ends) {
            ++command.after.share;
            command.after.done = 0;
        }
        command.codes = std::move(codes);
        return command;
    }

    /// A job whose file is there, at a stage of so many shares.
    JobId begin(bool skips, Stage stage, std::int64_t shares = 1) {
        ReceiveFile file = part("code\nA\nB\n", stage != Stage::receiving);
        file.skips = skips;
        const JobId id = changed(file).id;
        for (const Stage next : {Stage::checking, Stage::adding}) {
            if (stage < next || (skips && next == Stage::checking)) continue;
            AddImported command = step(id);
            command.after.stage = next;
            command.after.shares = shares;
            command.rows = 2;
            changed(command);
        }
        return id;
    }

    static ImportedCode code(std::string text, std::string user = {}, CodeSettings settings = {}) {
        static std::int64_t line = 1;
        return {++line, std::move(text), std::move(user), std::move(settings), {}, 0.5};
    }

    /// A command that makes one code by the pattern of the book, without a job.
    AddGenerated generate() {
        AddGenerated command;
        command.asked = {1, 1, {}};
        command.code_pattern = book().code_pattern;
        command.draft = CodeMaker(std::get<CodePattern>(parse_code_pattern(book().code_pattern)),
                                  Permutation::Key{})
                            .draft(0, 1, [](std::uint64_t) { return std::uint64_t{0}; });
        return command;
    }

    template <class T>
    static bool is(const Outcome& outcome) {
        return std::holds_alternative<T>(outcome);
    }
    static bool is(const Outcome& outcome, Refusal refusal) {
        const auto* const found = std::get_if<Refusal>(&outcome);
        return found != nullptr && *found == refusal;
    }

    World world_;
    std::deque<Submission> submissions_;
};

// A file that comes.

TEST_F(Importing, TheFirstPartOfAFileBeginsAJob) {
    book().time_zone = "Asia/Tokyo";
    ReceiveFile first = part("code\n");
    first.format = Format::ndjson;
    first.skips = true;
    const Decision decision = decide({first});
    const auto& begun = std::get<JobChanged>(decision.outcomes.front());
    EXPECT_TRUE(begun.is_new);
    Job wanted;
    wanted.id = 7;
    wanted.book_id = 1;
    wanted.import = Import{Format::ndjson, true, "Asia/Tokyo", Stage::receiving, 1, 5};
    wanted.created_at = noon;
    wanted.request_id = "step";
    wanted.worker = "w";
    wanted.claimed_until = noon + 1'000;
    wanted.version = 1;
    EXPECT_EQ(begun.job, wanted);
    EXPECT_FALSE(begun.job.adds_alone());
    ASSERT_EQ(decision.delta.jobs.size(), 1u);
    EXPECT_TRUE(decision.delta.jobs[0]->is_new);
    EXPECT_EQ(decision.delta.jobs[0]->job, wanted);
    ASSERT_EQ(decision.delta.file_parts.size(), 1u);
    EXPECT_EQ(decision.delta.file_parts[0].job_id, 7);
    EXPECT_EQ(decision.delta.file_parts[0].number, 0);
    EXPECT_EQ(decision.delta.file_parts[0].bytes, "code\n");
    EXPECT_TRUE(decision.delta.entries.empty());
    EXPECT_FALSE(decision.delta.empty());
}

TEST_F(Importing, PartsFollowEachOtherUntilTheLastOne) {
    const Job first = changed(part("code\n"));
    const Decision second = decide({next_part(first.id, "A\n")}, noon + 1);
    EXPECT_FALSE(std::get<JobChanged>(second.outcomes.front()).is_new);
    EXPECT_EQ(job(first.id).import->parts, 2);
    EXPECT_EQ(job(first.id).import->bytes, 7);
    EXPECT_EQ(second.delta.file_parts.at(0).number, 1);
    ReceiveFile claim = next_part(first.id, "");  // whose file comes slowly
    claim.claimed_until = noon + 5'000;
    const Decision kept = decide({claim}, noon + 2);
    EXPECT_TRUE(kept.delta.file_parts.empty());
    EXPECT_EQ(job(first.id).import->parts, 2);
    EXPECT_EQ(job(first.id).claimed_until, noon + 5'000);
    EXPECT_EQ(job(first.id).status, Job::Status::queued);

    const Decision last = decide({next_part(first.id, "B", true)}, noon + 3);
    const auto& done = std::get<JobChanged>(last.outcomes.front());
    EXPECT_TRUE(done.is_new);  // to who asked for it
    EXPECT_EQ(done.job.import->stage, Stage::reading);
    EXPECT_EQ(done.job.import->parts, 3);
    EXPECT_EQ(done.job.import->bytes, 8);
    EXPECT_EQ(done.job.claimed_until, std::nullopt);
    EXPECT_EQ(done.job.status, Job::Status::queued);
    EXPECT_EQ(done.job.version, first.version + 3);
    EXPECT_EQ(last.delta.file_parts.at(0).number, 2);
    EXPECT_EQ(last.delta.file_parts.at(0).bytes, "B");
    EXPECT_TRUE(is(run(next_part(first.id, "C")), Refusal::upload_interrupted));
}

TEST_F(Importing, AFileOfOnePartIsTakenAtOnce) {
    const Job whole = changed(part("code\nA\n", true));
    EXPECT_EQ(whole.import->stage, Stage::reading);
    EXPECT_EQ(whole.import->parts, 1);
    EXPECT_EQ(whole.claimed_until, std::nullopt);
    const Job nothing = changed(part("", true));
    EXPECT_EQ(nothing.id, whole.id + 1);
    EXPECT_EQ(nothing.import->parts, 0);
}

TEST_F(Importing, APartThatDoesNotFollowIsRefused) {
    const JobId id = changed(part("code\n")).id;
    const Job before = job(id);
    ReceiveFile wrong = next_part(id, "A\n");
    --wrong.before;
    EXPECT_TRUE(is(run(wrong), Refusal::upload_interrupted));
    wrong = next_part(id, "A\n");
    wrong.worker = "another";
    EXPECT_TRUE(is(run(wrong), Refusal::upload_interrupted));
    EXPECT_TRUE(is(run(wrong, noon + 5'000), Refusal::upload_interrupted));  // nor later
    wrong = next_part(id, "A\n");
    wrong.job_id = 99;
    const Decision unknown = decide({wrong});
    EXPECT_TRUE(is(unknown.outcomes.front(), Refusal::job_not_found));
    EXPECT_TRUE(unknown.delta.file_parts.empty());
    EXPECT_EQ(job(id), before);
    changed(CancelJob{id});
    EXPECT_TRUE(is(run(next_part(id, "A\n")), Refusal::upload_interrupted));
    const JobId generation = changed(GenerateCodes{1, 1, {}}).id;
    wrong.job_id = generation;
    EXPECT_TRUE(is(run(wrong), Refusal::upload_interrupted));
}

TEST_F(Importing, AFileIsOfABookThatIsThere) {
    ReceiveFile of_none = part("code\n");
    of_none.book_id = 2;
    EXPECT_TRUE(is(run(of_none), Refusal::book_not_found));
    book().archived_at = noon;
    const Decision refused = decide({part("code\n")});
    EXPECT_TRUE(is(refused.outcomes.front(), Refusal::book_archived));
    EXPECT_EQ(refused.delta.refusals.at({1, Refusal::book_archived}), 1);
    EXPECT_TRUE(refused.delta.file_parts.empty());
    EXPECT_TRUE(world_.jobs.empty());
}

TEST_F(Importing, ARequestForAFileIsRememberedByItsLastPart) {
    const Idempotency key{"key", {}};
    const JobId id = changed(part("code\n")).id;
    const Decision last = decide({next_part(id, "A\n", true)}, noon, key);
    ASSERT_EQ(last.delta.memories.size(), 1u);
    // It comes once more, all of it.
    const JobId again = changed(part("code\n")).id;
    const Decision repeated = decide({next_part(again, "A\n", true)}, noon + 1, key);
    const auto& told = std::get<Replayed>(repeated.outcomes.front());
    const auto& first = std::get<JobChanged>(told.outcome);
    EXPECT_TRUE(first.is_new);
    EXPECT_EQ(first.job.id, id);
    EXPECT_EQ(first.job.import, std::get<JobChanged>(last.outcomes.front()).job.import);
    EXPECT_EQ(job(again).import->stage, Stage::receiving);
    // One that was cancelled as it came is told so for ever.
    changed(CancelJob{again});
    const Idempotency other{"other", {}};
    for (int i = 0; i < 2; ++i) {
        const Decision refused = decide({next_part(again, "A\n", true)}, noon + 1, other);
        const Outcome& outcome = refused.outcomes.front();
        if (i == 0) {
            EXPECT_TRUE(is(outcome, Refusal::upload_interrupted));
        } else {
            EXPECT_EQ(std::get<Refusal>(std::get<Replayed>(outcome).outcome),
                      Refusal::upload_interrupted);
        }
    }
}

// Whose a job is.

TEST_F(Importing, AJobIsOfOneWorkerUntilItsClaimIsOver) {
    const JobId id = begin(true, Stage::reading);
    const Job mine = changed(step(id, "one"), noon + 5);
    EXPECT_EQ(mine.worker, "one");
    EXPECT_EQ(mine.claimed_until, noon + 1'000);
    EXPECT_EQ(mine.status, Job::Status::running);
    EXPECT_EQ(mine.started_at, noon + 5);
    EXPECT_TRUE(is<JobTaken>(run(step(id, "two"), noon + 999)));
    EXPECT_EQ(job(id), mine);
    const Job theirs = changed(step(id, "two"), noon + 1'000);
    EXPECT_EQ(theirs.worker, "two");
    EXPECT_EQ(theirs.started_at, noon + 5);
    EXPECT_EQ(theirs.version, mine.version + 1);
    AddImported unknown = step(id);
    unknown.job_id = 99;
    EXPECT_TRUE(is<JobTaken>(run(unknown)));
}

TEST_F(Importing, AStepIsFromWhatTheJobHas) {
    const JobId id = begin(true, Stage::adding);
    const AddImported first = add(id, {code("A")});
    changed(first);
    const Job after = job(id);
    const Decision again = decide({first});
    EXPECT_TRUE(is<DraftOutdated>(again.outcomes.front()));
    EXPECT_TRUE(again.delta.empty());
    EXPECT_EQ(job(id), after);
    // Nor of a job of which something else was read, or that makes codes.
    AddImported other = step(id);
    other.book_id = 2;
    EXPECT_TRUE(is<JobTaken>(run(other)));
    other = step(id);
    other.job_id = changed(GenerateCodes{1, 1, {}}).id;
    EXPECT_TRUE(is<JobTaken>(run(other)));
    changed(CancelJob{id});
    EXPECT_TRUE(is<JobTaken>(run(step(id))));
}

TEST_F(Importing, AFileWhoseRestDoesNotComeFails) {
    const JobId id = begin(false, Stage::receiving);
    AddImported lost = step(id, "another");
    lost.is_lost = true;
    EXPECT_TRUE(is<JobTaken>(run(lost, noon + 999)));
    const Job failed = changed(lost, noon + 1'000);
    EXPECT_EQ(failed.status, Job::Status::failed);
    EXPECT_EQ(failed.error, "upload_interrupted");
    EXPECT_EQ(failed.finished_at, noon + 1'000);
    EXPECT_EQ(failed.claimed_until, std::nullopt);
    EXPECT_EQ(failed.started_at, std::nullopt);
    // Who knows it at once, does not wait for the claim.
    const JobId own = begin(false, Stage::receiving);
    lost = step(own);
    lost.is_lost = true;
    EXPECT_EQ(changed(lost).error, "upload_interrupted");
    // A part that has come meanwhile is not lost.
    const JobId slow = begin(false, Stage::receiving);
    lost = step(slow);
    lost.is_lost = true;
    changed(next_part(slow, "more"));
    EXPECT_TRUE(is<DraftOutdated>(run(lost)));
}

// What is wrong with rows.

TEST_F(Importing, KeepsTheRowsThatAreRejected) {
    const JobId id = begin(true, Stage::reading);
    AddImported counted = step(id);
    counted.rows = 9;
    counted.after.stage = Stage::adding;
    counted.after.shares = 2;
    counted.rejected = {{2, "code_invalid", "x"}, {4, "row_too_long", "y"}};
    counted.rejected_count = 3;
    const Decision decision = decide({counted});
    const Job& job = std::get<JobChanged>(decision.outcomes.front()).job;
    EXPECT_EQ(job.status, Job::Status::running);
    EXPECT_EQ(job.requested, 9);
    EXPECT_EQ(job.import->rejected, 3);
    EXPECT_EQ(job.import->stage, Stage::adding);
    EXPECT_EQ(job.import->shares, 2);
    ASSERT_EQ(decision.delta.rejections.size(), 2u);
    EXPECT_EQ(decision.delta.rejections[0].job_id, id);
    EXPECT_EQ(decision.delta.rejections[0].row, (RejectedRow{2, "code_invalid", "x"}));
    EXPECT_EQ(decision.delta.rejections[1].row, (RejectedRow{4, "row_too_long", "y"}));
    // They add up.
    AddImported more = add(id, {});
    more.rejected = {{7, "code_repeated", "z"}};
    more.rejected_count = 1;
    EXPECT_EQ(changed(more).import->rejected, 4);
}

TEST_F(Importing, AllOrNoneFailsForRowsThatAreRejected) {
    for (const Stage stage : {Stage::reading, Stage::checking}) {
        const JobId id = begin(false, stage);
        // Some of them come before they are counted.
        AddImported some = step(id);
        some.rejected = {{2, "code_invalid", "x"}};
        const Job going_on = changed(some);
        EXPECT_EQ(going_on.status, Job::Status::running);
        EXPECT_EQ(going_on.import->rejected, 0);
        AddImported counted = step(id);
        counted.rows = 5;
        counted.rejected_count = 2;
        const Job failed = changed(counted);
        EXPECT_EQ(failed.status, Job::Status::failed);
        EXPECT_EQ(failed.error, "rows_rejected");
        EXPECT_EQ(failed.requested, 5);
        EXPECT_EQ(failed.created, 0);
        EXPECT_EQ(failed.import->rejected, 2);
        EXPECT_FALSE(failed.adds_alone());
        EXPECT_TRUE(is<CodesUploaded>(run(UploadCodes{1, {"U" + std::to_string(id)}})));
    }
}

TEST_F(Importing, CodesThatAreThereAlreadyAreRejectedWhileOthersAreAdded) {
    world_.existing_codes = {"B"};
    const JobId id = begin(true, Stage::adding);
    run(UploadCodes{1, {"C"}});
    const AddImported command = add(id, {code("A"), code("B"), code("C"), code("D")}, true);
    const Decision decision = decide({command});
    const Job& job = std::get<JobChanged>(decision.outcomes.front()).job;
    EXPECT_EQ(job.status, Job::Status::completed);
    EXPECT_EQ(job.created, 2);
    EXPECT_EQ(job.import->rejected, 2);
    EXPECT_EQ(job.error, "");
    ASSERT_EQ(decision.delta.rejections.size(), 2u);
    EXPECT_EQ(decision.delta.rejections[0].row,
              (RejectedRow{command.codes[1].line, "codes_already_exist", "B"}));
    EXPECT_EQ(decision.delta.rejections[1].row,
              (RejectedRow{command.codes[2].line, "codes_already_exist", "C"}));
    ASSERT_EQ(decision.delta.new_codes.size(), 2u);
    EXPECT_EQ(decision.delta.new_codes[0]->code.code, "A");
    EXPECT_EQ(decision.delta.new_codes[1]->code.code, "D");
}

TEST_F(Importing, OnlySoManyRejectedRowsAreKept) {
    world_.existing_codes = {"A", "B"};
    const JobId id = begin(true, Stage::adding);
    job(id).import->rejected = limits::rejected_rows - 1;
    const Decision decision = decide({add(id, {code("A"), code("B")})});
    EXPECT_EQ(decision.delta.rejections.size(), 1u);
    EXPECT_EQ(job(id).import->rejected, limits::rejected_rows + 1);
}

TEST_F(Importing, OtherSpellingsAreTheSameCodeWhereTheBookFoldsThem) {
    book().case_sensitive = false;
    world_.existing_spellings = {"there"};
    const JobId id = begin(true, Stage::adding);
    run(UploadCodes{1, {"Up-1"}});
    const Decision decision = decide({add(
        id, {code("new 1"), code("NEW1"), code("there"), code("uP1"), code("- -"), code("two")},
        true)});
    const Job& done = std::get<JobChanged>(decision.outcomes.front()).job;
    EXPECT_EQ(done.created, 2);
    EXPECT_EQ(done.import->rejected, 4);
    ASSERT_EQ(decision.delta.new_codes.size(), 2u);
    EXPECT_EQ(decision.delta.new_codes[0]->folded, "NEW1");
    EXPECT_EQ(decision.delta.new_codes[1]->folded, "TWO");
    EXPECT_EQ(world_.find("n-e-w-1")->code.code, "new 1");
    // To the letter, where it does not.
    book().case_sensitive = true;
    const JobId exact = begin(true, Stage::adding);
    EXPECT_EQ(changed(add(exact, {code("x"), code("X"), code("- -")}, true)).created, 3);
}

// What becomes of the others.

TEST_F(Importing, CodesOfTheSameSettingsThatFollowEachOtherShareAnEntry) {
    const CodeSettings late{true, noon + 5, {}, "{}"};
    const CodeSettings off{false, {}, {}, R"({"a":1})"};
    const JobId id = begin(true, Stage::adding);
    const Decision decision = decide(
        {add(id, {code("A", "", late), code("D", "", late), code("B"), code("C", "", off)}, true)});
    const Delta& delta = decision.delta;
    ASSERT_EQ(delta.entries.size(), 3u);
    CodeId next = 50;
    const CodeSettings settings[] = {late, {}, off};
    const std::vector<std::string> texts[] = {{"A", "D"}, {"B"}, {"C"}};
    std::size_t at = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        const LedgerEntry& entry = delta.entries[i];
        EXPECT_EQ(entry.type, LedgerEntry::Type::codes_uploaded);
        EXPECT_EQ(entry.book_id, 1);
        EXPECT_EQ(entry.code_id, next);
        EXPECT_EQ(entry.codes, std::ssize(texts[i]));
        EXPECT_EQ(entry.detail, row_text(settings[i]));
        EXPECT_EQ(entry.request_id, job(id).request_id);
        Digester digester;
        for (const std::string& text : texts[i]) {
            digester.add(text);
            const CodeRow& row = *delta.new_codes.at(at++);
            EXPECT_EQ(row.code.code, text);
            EXPECT_EQ(row.code.id, next++);
            EXPECT_EQ(static_cast<const CodeSettings&>(row.code), settings[i]);
            EXPECT_EQ(row.code.last_entry, entry.id);
            EXPECT_EQ(row.order, 0.5);
        }
        EXPECT_EQ(entry.codes_digest, digester.end());
    }
    EXPECT_EQ(delta.counts.at(1).total, 4);
    EXPECT_EQ(delta.counts.at(1).available, 4);
    EXPECT_EQ(delta.counts.at(1).kept_back, 1);
    EXPECT_EQ(delta.counts.at(all_books).total, 4);
    EXPECT_EQ(delta.activity.at(1).uploaded, 4);
    EXPECT_EQ(delta.activity.at(1).assigned, 0);
    EXPECT_EQ(delta.activity.at(all_books).uploaded, 4);
    EXPECT_FALSE(delta.new_codes[0]->code.kept_back);
    EXPECT_TRUE(delta.new_codes[3]->code.kept_back);
}

TEST_F(Importing, EntriesAreOfTheRequestThatAskedForTheFile) {
    const JobId id = begin(true, Stage::adding);
    job(id).request_id = "asked";
    const Decision both = decide({add(id, {code("A", "ann")}, true), UploadCodes{1, {"Z"}}});
    ASSERT_EQ(both.delta.entries.size(), 3u);
    EXPECT_EQ(both.delta.entries[0].request_id, "asked");
    EXPECT_EQ(both.delta.entries[1].request_id, "asked");
    EXPECT_EQ(both.delta.entries[2].request_id, "step");
}

TEST_F(Importing, CodesThatAreSomebodysAreAssignedWithAnEntryEach) {
    book().max_assignments_per_user = 1;  // what they had elsewhere, they have
    world_.holdings[{1, "ann"}] = {};
    world_.holdings[{1, "bob"}] = {};
    const JobId id = begin(true, Stage::adding);
    const Decision decision =
        decide({add(id, {code("A", "ann"), code("B"), code("C", "bob"), code("D", "ann")}, true)});
    const Delta& delta = decision.delta;
    ASSERT_EQ(delta.entries.size(), 4u);
    const LedgerEntry& upload = delta.entries[0];
    EXPECT_EQ(upload.codes, 4);
    const char* const users[] = {"ann", "bob", "ann"};
    const CodeId ids[] = {50, 52, 53};
    for (std::size_t i = 0; i < 3; ++i) {
        const LedgerEntry& entry = delta.entries[i + 1];
        EXPECT_EQ(entry.type, LedgerEntry::Type::code_assigned);
        EXPECT_EQ(entry.code_id, ids[i]);
        EXPECT_EQ(entry.user_id, users[i]);
        EXPECT_EQ(entry.previous, upload.id);
    }
    EXPECT_EQ(delta.new_codes[0]->code.assigned_to, "ann");
    EXPECT_EQ(delta.new_codes[0]->code.last_entry, delta.entries[1].id);
    EXPECT_EQ(delta.new_codes[1]->code.assigned_to, std::nullopt);
    EXPECT_TRUE(delta.changed_codes.empty());
    EXPECT_EQ(delta.counts.at(1).total, 4);
    EXPECT_EQ(delta.counts.at(1).available, 1);
    EXPECT_EQ(delta.activity.at(1).uploaded, 4);
    EXPECT_EQ(delta.activity.at(1).assigned, 3);
    ASSERT_EQ(delta.holders.size(), 2u);
    EXPECT_EQ(world_.holdings.at({1, "ann"}).codes, 2);
    EXPECT_EQ(world_.holdings.at({1, "ann"}).first->code.code, "A");
    EXPECT_TRUE(is(run(AssignAny{"bob", 1}), Refusal::user_assignment_limit_reached) ||
                std::get<CodeAssigned>(run(AssignAny{"bob", 1})).code.code == "C");
}

TEST_F(Importing, NamesWhatItsCodesNeed) {
    const JobId id = begin(false, Stage::checking);
    AddImported command = step(id);
    command.codes = {code("A"), code("B", "ann")};
    const Submission submission{command, "r"};
    const Submission* const one[] = {&submission};
    Needs asked = needs(one, noon);
    EXPECT_EQ(asked.books, std::vector<BookId>{1});
    EXPECT_EQ(asked.jobs, std::vector<JobId>{id});
    EXPECT_EQ(asked.code_ids, 2u);
    EXPECT_EQ(asked.new_codes, (std::vector<std::string_view>{"A", "B"}));
    ASSERT_EQ(asked.holdings.size(), 1u);
    EXPECT_EQ(asked.holdings[0].user_id, "ann");
    EXPECT_EQ(asked.holdings[0].book_id, 1);
    EXPECT_TRUE(asked.adds_codes);
    EXPECT_FALSE(asked.alone);
    // From when on nobody else adds, everybody must know.
    const JobId other = begin(true, Stage::reading);
    job(other).import->skips = false;
    AddImported begins = step(other);
    begins.after.stage = Stage::checking;
    const Submission alone{begins, "r"};
    const Submission* const first[] = {&alone};
    EXPECT_TRUE(needs(first, noon).alone);
    const Submission first_part{part("x"), "r"}, next{next_part(id, "x"), "r"},
        removal{RemoveParts{id}, "r"};
    const Submission* const files[] = {&first_part, &next, &removal};
    asked = needs(files, noon);
    EXPECT_EQ(asked.job_ids, 1u);
    EXPECT_EQ(asked.jobs, (std::vector<JobId>{id, id}));
    EXPECT_FALSE(asked.adds_codes);
    EXPECT_FALSE(asked.alone);
}

TEST_F(Importing, CodesThatDoNotWorkAreKeptBackAndOthersOfLimitsCounted) {
    const CodeSettings off{false, {}, {}, "{}"}, gone{true, noon, {}, "{}"},
        thrice{true, {}, 3, "{}"};
    const JobId id = begin(true, Stage::adding);
    const Decision decision = decide({add(id,
                                          {code("A", "", off), code("B", "ann", off),
                                           code("C", "", gone), code("D", "", thrice), code("E")},
                                          true)});
    const auto& rows = decision.delta.new_codes;
    ASSERT_EQ(rows.size(), 5u);
    std::map<std::string, const Code*> codes;
    for (const CodeRow* const row : rows) codes[row->code.code] = &row->code;
    EXPECT_TRUE(codes.at("A")->kept_back);
    EXPECT_TRUE(codes.at("C")->kept_back);
    EXPECT_FALSE(codes.at("D")->kept_back);
    EXPECT_FALSE(codes.at("E")->kept_back);
    EXPECT_TRUE(codes.at("D")->counted);
    EXPECT_EQ(codes.at("D")->max_redemptions, 3);
    EXPECT_FALSE(codes.at("E")->counted);
    EXPECT_EQ(codes.at("B")->assigned_to, "ann");
    EXPECT_FALSE(codes.at("B")->active);
    EXPECT_EQ(decision.delta.counts.at(1).kept_back, 2);  // that are free
    EXPECT_EQ(decision.delta.counts.at(1).available, 4);
    EXPECT_TRUE(is(run(LockCode{"B", "ann", 10}), Refusal::code_disabled));
}

TEST_F(Importing, OfABookWhoseCodesAreEverybodysNoneIsGivenAway) {
    book().open = true;
    const JobId id = begin(true, Stage::adding);
    const Decision decision = decide({add(id, {code("A")}, true)});
    EXPECT_TRUE(decision.delta.new_codes.at(0)->code.kept_back);
    EXPECT_EQ(decision.delta.counts.at(1).kept_back, 1);
}

TEST_F(Importing, CodesOfThisBatchAreGivenAway) {
    const JobId id = begin(true, Stage::adding);
    world_.pools[PoolScope{1}].complete = true;
    const Decision decision =
        decide({add(id, {code("A", "ann"), code("B")}, true), AssignAny{"bob", 1}});
    EXPECT_EQ(std::get<CodeAssigned>(decision.outcomes.back()).code.code, "B");
    EXPECT_FALSE(decision.shortage);
}

TEST_F(Importing, IsDoneWhenAllSharesAre) {
    const JobId id = begin(true, Stage::adding, 3);
    EXPECT_EQ(changed(add(id, {code("A")})).status, Job::Status::running);
    EXPECT_EQ(job(id).import->done, 1);
    EXPECT_EQ(changed(add(id, {code("B")}, true)).status, Job::Status::running);
    EXPECT_EQ(job(id).import->share, 1);
    EXPECT_EQ(changed(add(id, {}, true)).status, Job::Status::running);
    const Job done = changed(add(id, {code("C")}, true), noon + 9);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, 3);
    EXPECT_EQ(done.finished_at, noon + 9);
    EXPECT_EQ(done.claimed_until, std::nullopt);
    EXPECT_EQ(done.import->share, 3);
}

// All or none.

TEST_F(Importing, NobodyElseAddsCodesWhileAJobAddsAllOfItsOwn) {
    const JobId generation = changed(GenerateCodes{1, 5, {}}).id;
    const JobId skipping = begin(true, Stage::adding);
    const JobId reading = begin(false, Stage::reading);
    AddGenerated round = generate();
    round.draft = {};
    round.asked.count = 0;
    round.piece = {generation, "w", noon + 1'000, {0, 5}};
    AddImported to_check = step(reading);
    to_check.after.stage = Stage::checking;
    to_check.after.shares = 1;
    for (const Stage stage : {Stage::checking, Stage::adding}) {
        const JobId id = begin(false, stage);
        EXPECT_TRUE(job(id).adds_alone());
        const Decision upload = decide({UploadCodes{1, {"U"}}}, noon, Idempotency{"key", {}});
        EXPECT_TRUE(is<AddingElsewhere>(upload.outcomes.front()));
        EXPECT_TRUE(upload.delta.memories.empty());  // the request is not done yet
        EXPECT_TRUE(upload.delta.empty());
        EXPECT_TRUE(is<AddingElsewhere>(run(generate())));
        EXPECT_TRUE(is<AddingElsewhere>(run(round)));
        EXPECT_TRUE(is<AddingElsewhere>(run(add(skipping, {code("S")}))));
        EXPECT_TRUE(is<AddingElsewhere>(run(to_check)));
        // What adds none goes on, and so does whatever is no code.
        EXPECT_TRUE(is<JobChanged>(run(step(skipping))));
        EXPECT_TRUE(is<JobChanged>(run(part("code\n"))));
        EXPECT_TRUE(is<JobChanged>(run(GenerateCodes{1, 1, {}})));
        EXPECT_TRUE(is<BookCreated>(run(CreateBook{})));
        // Its own go on.
        if (stage == Stage::checking) {
            AddImported checked = step(id);
            checked.after.stage = Stage::adding;
            changed(checked);
        }
        const Job done = changed(
            add(id, {code("A" + std::to_string(id)), code("B" + std::to_string(id))}, true));
        EXPECT_EQ(done.status, Job::Status::completed);
        EXPECT_EQ(done.created, 2);
        EXPECT_FALSE(done.adds_alone());
        to_check.before = *job(reading).import;
    }
    EXPECT_TRUE(is<CodesUploaded>(run(UploadCodes{1, {"U"}})));
    EXPECT_TRUE(is<JobChanged>(run(add(skipping, {code("S")}))));
    EXPECT_TRUE(is<JobChanged>(run(round)));
    EXPECT_TRUE(is<JobChanged>(run(to_check)));
}

TEST_F(Importing, NobodyElseAddsCodesToABookBesides) {
    Book other = book();
    other.id = 2;
    world_.books.emplace(2, other);
    begin(false, Stage::checking);
    EXPECT_TRUE(is<AddingElsewhere>(run(UploadCodes{2, {"U"}})));
}

TEST_F(Importing, AJobOfWhichOnlyTheStoreKnowsAddsAloneToo) {
    world_.adds_alone = 99;
    EXPECT_TRUE(is<AddingElsewhere>(run(UploadCodes{1, {"U"}})));
    EXPECT_TRUE(is<AddingElsewhere>(run(generate())));
    const JobId id = begin(true, Stage::adding);
    EXPECT_TRUE(is<AddingElsewhere>(run(add(id, {code("A")}))));
    world_.adds_alone = id;
    EXPECT_TRUE(is<JobChanged>(run(add(id, {code("A")}))));
    world_.adds_alone.reset();
    EXPECT_TRUE(is<CodesUploaded>(run(UploadCodes{1, {"U"}})));
}

TEST_F(Importing, WhoAddsBehindTheEndOfAJobInABatchMay) {
    const JobId id = begin(false, Stage::adding);
    world_.adds_alone = id;  // as it was loaded
    const Decision batch =
        decide({UploadCodes{1, {"U"}}, add(id, {code("A")}, true), UploadCodes{1, {"U"}}});
    EXPECT_TRUE(is<AddingElsewhere>(batch.outcomes[0]));
    EXPECT_TRUE(is<JobChanged>(batch.outcomes[1]));
    EXPECT_TRUE(is<CodesUploaded>(batch.outcomes[2]));
    // And whoever comes behind its begin in a batch may not.
    const JobId next = begin(false, Stage::reading);
    AddImported begins = step(next);
    begins.after.stage = Stage::checking;
    begins.after.shares = 1;
    const Decision behind = decide({begins, UploadCodes{1, {"V"}}});
    EXPECT_TRUE(is<JobChanged>(behind.outcomes[0]));
    EXPECT_TRUE(is<AddingElsewhere>(behind.outcomes[1]));
}

TEST_F(Importing, IsCancelledAsLongAsItAddsNotAllOrNone) {
    for (const bool skips : {false, true}) {
        for (const Stage stage :
             {Stage::receiving, Stage::reading, Stage::checking, Stage::adding}) {
            if (skips && stage == Stage::checking) continue;
            const JobId id = begin(skips, stage);
            const Outcome outcome = run(CancelJob{id}, noon + 3);
            if (!skips && stage == Stage::adding) {
                EXPECT_TRUE(is(outcome, Refusal::job_adds_all));
                EXPECT_EQ(job(id).status, Job::Status::running);
                const std::string text = "L" + std::to_string(id);
                EXPECT_EQ(changed(add(id, {code(text)}, true)).status, Job::Status::completed);
                EXPECT_TRUE(is(run(CancelJob{id}), Refusal::job_finished));
                continue;
            }
            ASSERT_TRUE(is<JobChanged>(outcome));
            EXPECT_EQ(job(id).status, Job::Status::cancelled);
            EXPECT_EQ(job(id).finished_at, noon + 3);
            EXPECT_FALSE(job(id).adds_alone());
            EXPECT_TRUE(is<JobTaken>(run(step(id))));
        }
    }
}

TEST_F(Importing, ABookThatIsArchivedEndsItUnlessItAddsAllOrNone) {
    const JobId reading = begin(false, Stage::reading);
    const JobId adding = begin(true, Stage::adding);
    const JobId checking = begin(false, Stage::checking);
    book().archived_at = noon;
    AddImported ends_check = step(checking);
    ends_check.after.stage = Stage::adding;
    for (const AddImported& command : {step(reading), add(adding, {code("S")}, true), ends_check}) {
        const Decision decision = decide({command});
        const Job& failed = std::get<JobChanged>(decision.outcomes.front()).job;
        EXPECT_EQ(failed.status, Job::Status::failed);
        EXPECT_EQ(failed.error, "book_archived");
        EXPECT_EQ(failed.created, 0);
        EXPECT_TRUE(decision.delta.new_codes.empty());
        EXPECT_TRUE(decision.delta.rejections.empty());
    }
    book().archived_at.reset();
    const JobId all = begin(false, Stage::adding);
    changed(add(all, {code("A")}));
    book().archived_at = noon;
    const Job done = changed(add(all, {code("B")}, true));
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, 2);
}

TEST_F(Importing, AJobOfABookThatIsGoneFails) {
    const JobId id = begin(false, Stage::adding);
    const AddImported command = add(id, {code("A")});
    world_.books.erase(1);
    EXPECT_EQ(changed(command).error, "book_not_found");
    EXPECT_FALSE(job(id).adds_alone());
}

// What is left.

TEST_F(Importing, PartsAreRemovedOfJobsThatHaveEnded) {
    const JobId id = begin(true, Stage::adding);
    EXPECT_TRUE(is<JobTaken>(run(RemoveParts{id})));
    EXPECT_TRUE(is<JobTaken>(run(RemoveParts{99})));
    changed(add(id, {}, true));
    const Job before = job(id);
    const Decision removal = decide({RemoveParts{id}});
    EXPECT_TRUE(is<PartsRemoved>(removal.outcomes.front()));
    EXPECT_EQ(removal.delta.parts_to_remove, std::vector<JobId>{id});
    EXPECT_FALSE(removal.delta.empty());
    EXPECT_EQ(job(id), before);
}

TEST_F(Importing, ADeltaOfRejectedRowsIsNotEmpty) {
    Delta delta;
    EXPECT_TRUE(delta.empty());
    delta.rejections.push_back({7, {1, "code_invalid", "x"}});
    EXPECT_FALSE(delta.empty());
}

TEST_F(Importing, IsToldAgainAsItWas) {
    Job job;
    job.id = 7;
    job.book_id = 3;
    job.import = some_import();
    job.status = Job::Status::failed;
    job.requested = 9;
    job.created = 4;
    job.created_at = noon;
    job.started_at = noon + 1;
    job.finished_at = noon + 2;
    job.error = "rows_rejected";
    for (const bool is_new : {false, true}) {
        const std::string text = remember(JobChanged{job, is_new});
        const auto again = recall(text, ReceiveFile{});
        ASSERT_TRUE(again);
        const auto& told = std::get<JobChanged>(*again);
        EXPECT_EQ(told.job, job);
        EXPECT_EQ(told.is_new, is_new);
        // Of a job that makes codes it is another text.
        Job makes = job;
        makes.import.reset();
        EXPECT_EQ(
            std::get<JobChanged>(*recall(remember(JobChanged{makes, is_new}), CancelJob{})).job,
            makes);
    }
    std::string damaged = remember(JobChanged{job, true});
    damaged.replace(damaged.find("Europe/Berlin"), 13, "Europe/Nowhere");
    EXPECT_FALSE(recall(damaged, ReceiveFile{}));
    EXPECT_FALSE(recall("import_begun", ReceiveFile{}));
    EXPECT_FALSE(recall("import_begun\n" + row_text(some_import()), ReceiveFile{}));
}

}  // namespace
}  // namespace coupond
