// Codes made by a pattern, at once and as a job, and what of that is to be saved.
#include "domain/generation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "domain/domain.hpp"

namespace coupond {
namespace {

constexpr Timestamp noon{1'795'348'800'000};  // 2026-11-22T12:00:00Z

std::uint64_t never(std::uint64_t) {
    ADD_FAILURE() << "nothing is to be drawn";
    return 0;
}

Permutation::Key key_of(unsigned char byte) {
    Permutation::Key key;
    key.fill(byte);
    return key;
}

CodeMaker maker_of(const std::string& pattern, unsigned char key = 1) {
    return CodeMaker(std::get<CodePattern>(parse_code_pattern(pattern)), key_of(key));
}

std::vector<std::string> texts(const CodeDraft& draft) {
    std::vector<std::string> texts;
    for (const auto& candidate : draft.candidates) texts.push_back(candidate.code);
    return texts;
}

// Drafts.

TEST(CodeMaker, MakesEachCodeOnceHoweverItIsAsked) {
    auto whole = maker_of("{2:digits}{1:[AB]}").draft(0, 1'000, never);
    EXPECT_EQ(whole.candidates.size(), 200u);
    EXPECT_EQ(whole.next, 200);
    EXPECT_TRUE(whole.exhausted);
    const auto all = texts(whole);
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 200u);

    std::vector<std::string> pieces;
    CodeMaker maker = maker_of("{2:digits}{1:[AB]}");
    std::int64_t next = 0;
    for (std::size_t count = 1; pieces.size() < 200; ++count) {
        const CodeDraft piece = maker.draft(next, count, never);
        for (const auto& candidate : piece.candidates) {
            EXPECT_EQ(candidate.next, ++next);
            pieces.push_back(candidate.code);
        }
        EXPECT_EQ(piece.next, next);
        EXPECT_EQ(piece.exhausted, pieces.size() == 200);
    }
    EXPECT_EQ(pieces, all);
    EXPECT_NE(texts(maker_of("{2:digits}{1:[AB]}", 2).draft(0, 200, never)), all);
}

TEST(CodeMaker, PassesOverNumbersThatHaveNoCode) {
    CodeMaker maker = maker_of("{4:digits}{check}");
    const CodeDraft draft = maker.draft(0, 9'000, never);
    EXPECT_EQ(draft.candidates.size(), 9'000u);
    EXPECT_GT(draft.next, 9'000);
    EXPECT_FALSE(draft.exhausted);
    const CodeDraft rest = maker.draft(draft.next, 1'000, never);
    EXPECT_EQ(rest.candidates.size(), 91u);
    EXPECT_EQ(rest.next, 10'000);
    EXPECT_TRUE(rest.exhausted);
    EXPECT_TRUE(maker.draft(10'000, 5, never).candidates.empty());
}

TEST(CodeMaker, ARoundHasTheSameCodesInTheirOrder) {
    for (const char* const pattern : {"{3:digits}", "{2:hex}-{1:[bcé]}", "{3:digits}{check}"}) {
        CodeMaker maker = maker_of(pattern);
        auto wanted = texts(maker.draft(100, 50, never));
        const JobRound round = maker.round(100, 50);
        EXPECT_EQ(round, (JobRound{100, 150}));
        const auto numbers = maker.permuted(round);
        EXPECT_TRUE(std::ranges::is_sorted(numbers));
        auto made = texts(maker.draft(numbers, never));
        EXPECT_TRUE(std::ranges::is_sorted(made)) << pattern;
        wanted.resize(made.size());  // without those of later numbers: some have no code
        std::ranges::sort(wanted);
        EXPECT_EQ(made, wanted);
    }
    CodeMaker maker = maker_of("{2:digits}");
    EXPECT_EQ(maker.round(90, 50), (JobRound{90, 100}));
    EXPECT_EQ(maker.round(100, 50), (JobRound{100, 100}));
    EXPECT_EQ(maker.round(500, 50), (JobRound{500, 500}));
    EXPECT_EQ(maker.permuted({95, 200}).size(), 5u);  // of what is damaged, those that there are
}

TEST(CodeMaker, GuessesAreAsLikelyAsCodesAreDense) {
    EXPECT_EQ(guess_probability(50, 100), 0.5);
    EXPECT_EQ(guess_probability(300, 100), 1);
    EXPECT_DOUBLE_EQ(guess_probability(1'000, maker_of("{8:digits}").codes()), 1e-5);
}

// Rules.

/// A World of book 1, of the pattern {2:digits}.
class Generation : public testing::Test {
protected:
    Generation() {
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

    Decision decide(const std::vector<Command>& commands, Timestamp now = noon,
                    const std::optional<Idempotency>& idempotency = {}) {
        std::vector<const Submission*> pointers;
        for (const Command& command : commands) {
            pointers.push_back(
                &submissions_.emplace_back(Submission{command, "request", idempotency}));
        }
        return coupond::decide(world_, pointers, now);
    }

    Outcome run(const Command& command, Timestamp now = noon) {
        return decide({command}, now).outcomes.front();
    }

    /// A job of so many codes.
    Job begin(std::int64_t count) {
        const Outcome outcome = run(GenerateCodes{1, count, {}});
        return std::get<JobChanged>(outcome).job;
    }

    /// A draft of book 1 by what its generator is now.
    AddGenerated drafted(std::size_t candidates) {
        AddGenerated command;
        command.asked.book_id = 1;
        command.code_pattern = book().code_pattern;
        const auto found = world_.generators.find({1, command.code_pattern});
        command.generator =
            found == world_.generators.end() ? Generator{key_of(1), 0, 0} : found->second.now;
        command.draft =
            maker_of(command.code_pattern).draft(command.generator.next, candidates, never);
        return command;
    }

    AddGenerated at_once(std::int64_t count, std::size_t candidates) {
        AddGenerated command = drafted(candidates);
        command.asked.count = count;
        return command;
    }

    /// What begins a round of so many numbers.
    AddGenerated round(JobId job, std::int64_t size, const std::string& worker = "w") {
        AddGenerated command = drafted(0);
        const std::int64_t next = command.generator.next;
        command.piece = {job, worker, noon + 1'000, {next, next + size}};
        return command;
    }

    /// The next candidates of the job's round.
    AddGenerated piece(JobId id, std::size_t candidates, const std::string& worker = "w") {
        const Job& job = world_.jobs.at(id).job;
        AddGenerated command = drafted(0);
        const auto numbers = maker_of(command.code_pattern).permuted(job.round);
        const auto done = static_cast<std::size_t>(job.done);
        const std::size_t count = std::min(candidates, numbers.size() - done);
        command.draft =
            maker_of(command.code_pattern).draft(std::span(numbers).subspan(done, count), never);
        command.piece = {id,        worker,   noon + 1'000,
                         job.round, job.done, job.done + static_cast<std::int64_t>(count),
                         0.75};
        return command;
    }

    static bool is(const Outcome& outcome, Refusal refusal) {
        const auto* const found = std::get_if<Refusal>(&outcome);
        return found != nullptr && *found == refusal;
    }

    World world_;
    std::deque<Submission> submissions_;
};

TEST_F(Generation, BeginsAJob) {
    GenerateCodes asked{1, 25, {}};
    asked.wish.metadata = R"({"a":1})";
    asked.expires_on = "2026-11-22";
    book().time_zone = "Asia/Tokyo";
    Decision decision = decide({asked});
    const auto& begun = std::get<JobChanged>(decision.outcomes.front());
    EXPECT_TRUE(begun.is_new);
    EXPECT_EQ(begun.job.id, 7);
    EXPECT_EQ(begun.job.book_id, 1);
    EXPECT_EQ(begun.job.code_pattern, "{2:digits}");
    EXPECT_EQ(begun.job.status, Job::Status::queued);
    EXPECT_EQ(begun.job.requested, 25);
    EXPECT_EQ(begun.job.guess_probability, 0.25);
    EXPECT_EQ(begun.job.request_id, "request");
    EXPECT_EQ(begun.job.settings.metadata, R"({"a":1})");
    EXPECT_EQ(begun.job.settings.expires_at, Timestamp{noon.ms + 3 * 3'600'000});
    ASSERT_EQ(decision.delta.jobs.size(), 1u);
    EXPECT_EQ(decision.delta.jobs[0]->job, begun.job);
    EXPECT_TRUE(decision.delta.entries.empty());
    EXPECT_FALSE(decision.delta.empty());
    EXPECT_EQ(begin(1).id, 8);
}

TEST_F(Generation, RefusesWhatCannotBeMade) {
    EXPECT_TRUE(is(run(GenerateCodes{2, 1, {}}), Refusal::book_not_found));
    EXPECT_TRUE(is(run(GenerateCodes{1, 101, {}}), Refusal::code_pattern_exhausted));
    EXPECT_TRUE(is(run(at_once(101, 100)), Refusal::code_pattern_exhausted));
    book().code_pattern = "{";
    EXPECT_TRUE(is(run(GenerateCodes{1, 1, {}}), Refusal::code_pattern_unusable));
    AddGenerated without;
    without.asked = {1, 1, {}};
    EXPECT_TRUE(is(run(without), Refusal::code_pattern_unusable));
    book().archived_at = noon;
    EXPECT_TRUE(is(run(GenerateCodes{1, 1, {}}), Refusal::book_archived));
    EXPECT_TRUE(is(run(without), Refusal::book_archived));
    without.asked.book_id = 2;
    EXPECT_TRUE(is(run(without), Refusal::book_not_found));
}

TEST_F(Generation, CountsWhatItsGeneratorHasDrafted) {
    world_.generators[{1, "{2:digits}"}].now = {key_of(1), 90, 90};
    world_.generators[{1, "{3:digits}"}].now = {key_of(2), 1'000, 1'000};
    EXPECT_TRUE(is(run(GenerateCodes{1, 11, {}}), Refusal::code_pattern_exhausted));
    EXPECT_EQ(begin(10).guess_probability, 1);
    book().code_pattern = "{3:digits}";
    EXPECT_TRUE(is(run(GenerateCodes{1, 1, {}}), Refusal::code_pattern_exhausted));
}

TEST_F(Generation, CountsWhatJobsAreStillToMake) {
    world_.being_made[{1, "{2:digits}"}] = 60;
    world_.being_made[{1, "{3:digits}"}] = 1'000;
    EXPECT_TRUE(is(run(GenerateCodes{1, 41, {}}), Refusal::code_pattern_exhausted));
    EXPECT_TRUE(is(run(at_once(41, 100)), Refusal::code_pattern_exhausted));
    const Job job = begin(30);
    EXPECT_EQ(job.guess_probability, 0.9);
    EXPECT_TRUE(is(run(GenerateCodes{1, 11, {}}), Refusal::code_pattern_exhausted));
    run(round(job.id, 20));
    run(piece(job.id, 15));  // drafted now, and as many fewer to be made
    EXPECT_TRUE(is(run(GenerateCodes{1, 11, {}}), Refusal::code_pattern_exhausted));
    run(CancelJob{job.id});
    EXPECT_TRUE(is(run(GenerateCodes{1, 26, {}}), Refusal::code_pattern_exhausted));
    begin(25);
    EXPECT_TRUE(is(run(GenerateCodes{1, 1, {}}), Refusal::code_pattern_exhausted));
}

TEST_F(Generation, NoMoreJobsBeginThanMayWait) {
    world_.unfinished_jobs = limits::unfinished_jobs - 1;
    begin(1);
    const Idempotency key{"key", {}};
    ReceiveFile file;
    file.book_id = 1;
    for (const Command& command :
         std::vector<Command>{GenerateCodes{1, 1, {}}, file, DrawImages{1, {}}}) {
        Decision decision = decide({command}, noon, key);
        EXPECT_TRUE(std::holds_alternative<TooManyJobs>(decision.outcomes.front()));
        EXPECT_TRUE(decision.delta.memories.empty());  // another time it may be done
        EXPECT_EQ(world_.jobs.size(), 1u);
    }
    EXPECT_TRUE(std::holds_alternative<CodesGenerated>(run(at_once(1, 1))));
    book().auto_generate = AutoGenerate{10, 10};
    GenerateCodes more{1, 10, {}};
    more.automatic = true;
    world_.being_made.clear();
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(more)));
}

TEST_F(Generation, AddsCodesAtOnceWithWhatTheyHave) {
    AddGenerated command = at_once(3, 5);
    command.asked.wish = {true, noon + -1, {}, R"({"a":1})"};
    Decision decision = decide({command});
    const auto& made = std::get<CodesGenerated>(decision.outcomes.front());
    const auto drafted = texts(command.draft);
    EXPECT_EQ(made.added.codes, std::vector(drafted.begin(), drafted.begin() + 3));
    EXPECT_EQ(made.added.first_id, 50);
    EXPECT_EQ(made.guess_probability, 0.03);
    const Delta& delta = decision.delta;
    ASSERT_EQ(delta.new_codes.size(), 3u);
    for (const CodeRow* const row : delta.new_codes) {
        EXPECT_EQ(row->code.expires_at, noon + -1);
        EXPECT_EQ(row->code.metadata, R"({"a":1})");
        EXPECT_TRUE(row->code.kept_back);  // it has expired before it is there
    }
    EXPECT_EQ(delta.counts.at(1).total, 3);
    EXPECT_EQ(delta.counts.at(1).kept_back, 3);
    EXPECT_EQ(delta.activity.at(1).generated, 3);
    EXPECT_EQ(delta.activity.at(1).uploaded, 0);
    ASSERT_EQ(delta.entries.size(), 1u);
    EXPECT_EQ(delta.entries[0].type, LedgerEntry::Type::codes_generated);
    EXPECT_EQ(delta.entries[0].codes, 3);
    EXPECT_EQ(delta.entries[0].detail, row_text(command.asked.wish));
    ASSERT_EQ(delta.generators.size(), 1u);
    EXPECT_EQ(delta.generators[0].loaded, std::nullopt);
    EXPECT_EQ(delta.generators[0].now, (Generator{key_of(1), 3, 3}));
}

TEST_F(Generation, CodesThatAreExpectedToBeNewAreLookedForOnceThatIsInDoubt) {
    const auto looked_for = [](const Command& command, bool trusting) {
        const Submission submission{command, "request"};
        const Submission* const pointer = &submission;
        const Needs asked = needs(std::span(&pointer, 1), noon, 1, trusting);
        EXPECT_EQ(asked.code_ids, 3u);
        EXPECT_TRUE(asked.adds_codes);
        return asked.new_codes.size();
    };
    AddGenerated generated = at_once(3, 3);
    AddImported imported;
    for (const char* const code : {"A", "B", "C"}) imported.codes.emplace_back().code = code;
    for (const bool trusting : {true, false}) {
        EXPECT_EQ(looked_for(generated, trusting), 3u);
        EXPECT_EQ(looked_for(imported, trusting), 3u);
    }
    generated.expects_new = imported.expects_new = true;
    EXPECT_EQ(looked_for(generated, true), 0u);
    EXPECT_EQ(looked_for(imported, true), 0u);
    EXPECT_EQ(looked_for(generated, false), 3u);
    EXPECT_EQ(looked_for(imported, false), 3u);
}

TEST_F(Generation, DraftsThatAreOutdatedDoNothing) {
    const AddGenerated first = at_once(3, 3);
    EXPECT_TRUE(std::holds_alternative<CodesGenerated>(run(first)));
    Decision again = decide({first}, noon, Idempotency{"key", {}});
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(again.outcomes.front()));
    EXPECT_TRUE(again.delta.memories.empty());  // the request is not done yet
    EXPECT_TRUE(again.delta.new_codes.empty());

    AddGenerated of_other_key = at_once(3, 3);
    of_other_key.generator.key = key_of(2);
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(of_other_key)));
    const AddGenerated of_old_pattern = at_once(3, 3);
    book().code_pattern = "{3:digits}";
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(of_old_pattern)));
    EXPECT_TRUE(std::holds_alternative<CodesGenerated>(run(at_once(3, 3))));
}

TEST_F(Generation, PassesOverWhatIsThere) {
    AddGenerated command = at_once(3, 3);
    const auto drafted = texts(command.draft);
    world_.existing_codes.insert(drafted[1]);
    const Outcome short_of = run(command);
    ASSERT_TRUE(std::holds_alternative<DraftOutdated>(short_of));
    EXPECT_EQ(std::get<DraftOutdated>(short_of).missing, 1u);
    EXPECT_TRUE(world_.generators.empty());

    command = at_once(3, 6);
    Decision decision = decide({command});
    EXPECT_EQ(std::get<CodesGenerated>(decision.outcomes.front()).added.codes.size(), 3u);
    EXPECT_EQ(decision.delta.generators.at(0).now, (Generator{key_of(1), 4, 4}));

    // What this batch has uploaded is there too.
    const AddGenerated after = at_once(96, 96);
    const Decision both = decide({UploadCodes{1, {after.draft.candidates.back().code}}, after});
    EXPECT_TRUE(is(both.outcomes.back(), Refusal::code_pattern_exhausted));
}

TEST_F(Generation, PassesOverOtherSpellings) {
    book().code_pattern = "{1:[abAB]}";
    book().case_sensitive = false;
    AddGenerated command;
    command.asked.book_id = 1;
    command.code_pattern = book().code_pattern;
    command.generator.key = key_of(1);
    command.draft = maker_of("{1:[abAB]}").draft(0, 4, never);
    const JobId id = begin(4).id;
    run(round(id, 4));
    command.piece = {id, "w", noon + 1, {0, 4}, 0, 4};
    const Decision decision = decide({command});
    EXPECT_EQ(std::get<JobChanged>(decision.outcomes.front()).job.created, 2);
    EXPECT_EQ(std::get<JobChanged>(decision.outcomes.front()).job.status, Job::Status::running);
    AddGenerated ends = round(id, 0);
    ends.piece->is_last = true;
    const Outcome ended = run(ends);
    EXPECT_EQ(std::get<JobChanged>(ended).job.created, 2);
    EXPECT_EQ(std::get<JobChanged>(ended).job.status, Job::Status::failed);
    EXPECT_EQ(std::get<JobChanged>(ended).job.error, "code_pattern_exhausted");
    ASSERT_EQ(decision.delta.new_codes.size(), 2u);
    std::set<std::string> spelled;
    for (const CodeRow* const row : decision.delta.new_codes) spelled.insert(row->folded);
    EXPECT_EQ(spelled, (std::set<std::string>{"A", "B"}));
}

TEST_F(Generation, AJobIsDonePieceByPiece) {
    const Job begun = begin(10);
    auto all = texts(maker_of("{2:digits}").draft(0, 10, never));
    std::ranges::sort(all);
    std::vector<std::string> made;
    const Outcome reserved = run(round(begun.id, 10), noon + 4);
    EXPECT_EQ(std::get<JobChanged>(reserved).job.round, (JobRound{0, 10}));
    EXPECT_EQ(std::get<JobChanged>(reserved).job.created, 0);
    EXPECT_EQ(std::get<JobChanged>(reserved).job.started_at, noon + 4);
    EXPECT_EQ(world_.generators.begin()->second.now, (Generator{key_of(1), 10, 0}));
    // What others make meanwhile comes behind.
    EXPECT_TRUE(std::holds_alternative<CodesGenerated>(run(at_once(5, 5))));
    const auto add = [&](std::size_t candidates, Timestamp now) {
        const Decision decision = decide({piece(begun.id, candidates)}, now);
        for (const CodeRow* const row : decision.delta.new_codes) made.push_back(row->code.code);
        for (const LedgerEntry& entry : decision.delta.entries) {
            EXPECT_EQ(entry.request_id, begun.request_id);
        }
        return std::get<JobChanged>(decision.outcomes.front()).job;
    };
    const Job first = add(4, noon + 5);
    EXPECT_EQ(first.status, Job::Status::running);
    EXPECT_EQ(first.created, 4);
    EXPECT_EQ(first.started_at, noon + 4);
    EXPECT_EQ(first.claimed_until, noon + 1'000);
    EXPECT_EQ(first.version, begun.version + 2);
    EXPECT_EQ(first.done, 4);
    const Job last = add(9, noon + 6);
    EXPECT_EQ(last.status, Job::Status::completed);
    EXPECT_EQ(last.created, 10);
    EXPECT_EQ(last.started_at, noon + 4);
    EXPECT_EQ(last.finished_at, noon + 6);
    EXPECT_EQ(last.claimed_until, std::nullopt);
    EXPECT_EQ(made, all);
    EXPECT_EQ(world_.generators.begin()->second.now, (Generator{key_of(1), 15, 15}));
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(piece(begun.id, 5), noon + 7)));
    EXPECT_EQ(world_.jobs.at(begun.id).job, last);
}

TEST_F(Generation, ARoundIsOfTheNextNumbersAndFollowsTheOneBefore) {
    const Job job = begin(10);
    AddGenerated outdated = round(job.id, 5);
    run(at_once(3, 3));
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(outdated)));
    run(round(job.id, 5));
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(round(job.id, 5))));  // not done
    const AddGenerated first = piece(job.id, 2);
    run(first);
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(first)));
    run(piece(job.id, 3));
    const Outcome second = run(round(job.id, 5));
    ASSERT_TRUE(std::holds_alternative<JobChanged>(second));
    EXPECT_EQ(std::get<JobChanged>(second).job.round, (JobRound{8, 13}));
    EXPECT_EQ(std::get<JobChanged>(second).job.done, 0);
    EXPECT_EQ(std::get<JobChanged>(second).job.created, 5);
}

TEST_F(Generation, CodesInTurnAreUsedUpAsFarAsTheyAreTaken) {
    const Job job = begin(3);
    AddGenerated command = drafted(6);
    command.piece = {job.id, "w", noon + 1'000};
    world_.existing_codes.insert(command.draft.candidates[1].code);
    const Outcome made = run(command);
    ASSERT_TRUE(std::holds_alternative<JobChanged>(made));
    EXPECT_EQ(std::get<JobChanged>(made).job.status, Job::Status::completed);
    EXPECT_EQ(world_.generators.begin()->second.now, (Generator{key_of(1), 4, 4}));

    // One who is not up to date does nothing; and what there is no more of, ends.
    const Job next = begin(96);
    command.piece->job_id = next.id;
    EXPECT_TRUE(std::holds_alternative<DraftOutdated>(run(command)));
    AddGenerated rest = drafted(200);
    rest.piece = {next.id, "w", noon + 1'000};
    rest.piece->is_last = rest.draft.exhausted;
    world_.existing_codes.insert(rest.draft.candidates[1].code);
    const Outcome ended = run(rest);
    EXPECT_EQ(std::get<JobChanged>(ended).job.status, Job::Status::failed);
    EXPECT_EQ(std::get<JobChanged>(ended).job.created, 95);
}

TEST_F(Generation, AJobOfWhichSomethingElseWasReadIsLeftAlone) {
    const Job job = begin(3);
    AddGenerated of_another = drafted(3);
    of_another.code_pattern = "{3:digits}";
    of_another.piece = {job.id, "w", noon + 1'000};
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(of_another)));
    of_another = drafted(3);
    of_another.asked.book_id = 2;
    of_another.piece = {job.id, "w", noon + 1'000};
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(of_another)));
}

TEST_F(Generation, CodesOfARoundAreGivenAwayFromAllOverItsOrder) {
    const Job job = begin(4);
    run(round(job.id, 4));
    std::vector<double> order;
    for (int i = 0; i < 2; ++i) {
        for (const CodeRow* const row : decide({piece(job.id, 2)}).delta.new_codes) {
            order.push_back(row->order.value());
        }
    }
    EXPECT_EQ(order, (std::vector<double>{0.875, 0.125, 0.375, 0.625}));
    EXPECT_EQ(decide({at_once(1, 1)}).delta.new_codes.front()->order, std::nullopt);
}

TEST_F(Generation, AJobIsOfOneWorkerUntilItsClaimIsOver) {
    const Job job = begin(10);
    run(round(job.id, 10, "one"));
    run(piece(job.id, 2, "one"));
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(piece(job.id, 2, "two"), noon + 999)));
    const Outcome taken = run(piece(job.id, 2, "two"), noon + 1'000);
    ASSERT_TRUE(std::holds_alternative<JobChanged>(taken));
    EXPECT_EQ(std::get<JobChanged>(taken).job.worker, "two");
    EXPECT_EQ(std::get<JobChanged>(taken).job.created, 4);
    EXPECT_TRUE(std::holds_alternative<JobTaken>(run(round(99, 2))));

    // A claim that would last too long was made by a clock that was wrong.
    world_.jobs.at(job.id).job.claimed_until = noon + 3'600'000;
    const Outcome again = run(piece(job.id, 2, "three"), noon + 1'000);
    ASSERT_TRUE(std::holds_alternative<JobChanged>(again));
    EXPECT_EQ(std::get<JobChanged>(again).job.worker, "three");
}

TEST_F(Generation, AJobOfAnArchivedBookFails) {
    const Job job = begin(10);
    run(round(job.id, 10));
    run(piece(job.id, 2));
    book().archived_at = noon;
    const Decision decision = decide({piece(job.id, 2)}, noon + 3);
    const Job& failed = std::get<JobChanged>(decision.outcomes.front()).job;
    EXPECT_EQ(failed.status, Job::Status::failed);
    EXPECT_EQ(failed.error, "book_archived");
    EXPECT_EQ(failed.created, 2);
    EXPECT_EQ(failed.finished_at, noon + 3);
    EXPECT_TRUE(decision.delta.new_codes.empty());
    EXPECT_EQ(world_.generators.begin()->second.now.drafts, 2);
}

TEST_F(Generation, AJobKeepsItsPattern) {
    const Job job = begin(10);
    run(round(job.id, 10));
    const AddGenerated command = piece(job.id, 10);
    book().code_pattern = "{3:digits}";
    EXPECT_EQ(std::get<JobChanged>(run(command)).job.status, Job::Status::completed);
}

TEST_F(Generation, IsCancelledOnceAndNotWhenItHasFinished) {
    const Job job = begin(10);
    run(round(job.id, 10));
    run(piece(job.id, 2));
    const Outcome cancelled = run(CancelJob{job.id}, noon + 1);
    EXPECT_EQ(std::get<JobChanged>(cancelled).job.status, Job::Status::cancelled);
    EXPECT_EQ(std::get<JobChanged>(cancelled).job.finished_at, noon + 1);
    EXPECT_EQ(std::get<JobChanged>(run(CancelJob{job.id}, noon + 2)).job,
              std::get<JobChanged>(cancelled).job);
    const Decision piece_after = decide({piece(job.id, 2)});
    EXPECT_TRUE(std::holds_alternative<JobTaken>(piece_after.outcomes.front()));
    EXPECT_TRUE(piece_after.delta.new_codes.empty());
    EXPECT_TRUE(is(run(CancelJob{99}), Refusal::job_not_found));

    const Job done = begin(1);
    run(round(done.id, 1));
    run(piece(done.id, 1));
    EXPECT_TRUE(is(run(CancelJob{done.id}), Refusal::job_finished));
}

// What a repeated request is told.

TEST_F(Generation, IsRemembered) {
    GenerateCodes asked{1, 25, {}};
    asked.wish = {true, noon, {}, R"({"a":1})"};
    const Outcome begun = run(asked);
    const auto told = recall(remember(begun), asked);
    ASSERT_TRUE(told && std::holds_alternative<JobChanged>(*told));
    EXPECT_TRUE(std::get<JobChanged>(*told).is_new);
    Job wanted = std::get<JobChanged>(begun).job;
    wanted.request_id.clear();
    wanted.version = 0;
    EXPECT_EQ(std::get<JobChanged>(*told).job, wanted);

    AddGenerated command = at_once(3, 3);
    command.asked.wish = {true, noon, {}, R"({"a":1})"};
    const Outcome made = run(command);
    command.draft = {};
    const auto again = recall(remember(made), command);
    ASSERT_TRUE(again && std::holds_alternative<CodesGenerated>(*again));
    const auto& first = std::get<CodesGenerated>(made);
    const auto& second = std::get<CodesGenerated>(*again);
    EXPECT_EQ(second.added.codes, first.added.codes);
    EXPECT_EQ(second.added.first_id, first.added.first_id);
    EXPECT_EQ(second.added.settings, first.added.settings);
    EXPECT_EQ(second.added.book.name, first.added.book.name);
    EXPECT_EQ(second.guess_probability, first.guess_probability);
    EXPECT_FALSE(recall("job_begun\n1", asked));
    EXPECT_FALSE(recall("codes_generated\n1\n2\n3\n9999999999", command));
}

}  // namespace
}  // namespace coupond
