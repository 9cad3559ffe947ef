// The work on a file of codes on a real store, step by step, without an engine.
#include "app/import_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "support/sqlite_store.hpp"

namespace coupond::test {
namespace {

using Stage = Import::Stage;
using Texts = std::vector<std::string>;

/// What a hand-over does.
enum class Handing {
    done,
    not_done,  ///< whoever works ends before it,
    unheard    ///< or behind it, before there is an answer
};

/// What is there in the end.
struct End {
    Texts codes;     ///< by their ids, with their entries
    Texts entries;   ///< of the ledger
    Texts rejected;  ///< by line
    Job::Status status{};
    std::string error;
    std::int64_t created = 0, requested = 0, rejected_count = 0;

    bool operator==(const End&) const = default;
};

class ImportJobTest : public testing::Test {
protected:
    ImportJobTest() { restart(); }

    /// An empty store with book 1, which has one code, "there".
    void restart() {
        store_.emplace();
        CreateBook book;
        book.name = "n";
        book.code_pattern = "N-{6}";
        book.time_zone = time_zone_;
        book.open = open_;
        book.case_sensitive = case_sensitive_;
        changed<BookCreated>(book);
        changed<CodesUploaded>(UploadCodes{1, {"there"}});
        steps_.clear();
        pieces_.clear();
        begun_ = added_ = 0;
    }

    template <class T>
    T changed(const Command& command) {
        auto outcomes = test::run(store_->store(), command, clock_.now());
        EXPECT_TRUE(outcomes);
        EXPECT_TRUE(outcomes && std::holds_alternative<T>(outcomes->front()));
        return outcomes && std::holds_alternative<T>(outcomes->front())
                   ? std::get<T>(std::move(outcomes->front()))
                   : T();
    }

    /// The job of a file that has come in parts of so many bytes.
    JobId receive(const std::string& file, bool skips, std::size_t part_bytes = 17) {
        ReceiveFile part;
        part.book_id = 1;
        part.skips = skips;
        part.worker = "receiver";
        part.claimed_until = clock_.now() + 1'000;
        for (std::size_t at = 0; at < file.size(); at += part_bytes) {
            part.bytes = file.substr(at, part_bytes);
            part.before = static_cast<std::int64_t>(at);
            part.ends = at + part_bytes >= file.size();
            part.job_id = changed<JobChanged>(part).job.id;
        }
        return part.job_id;
    }

    Job find(JobId id) { return store_->reads().find_job(id)->value(); }

    ImportJob::Hands hands() {
        return {
            [this](AddImported step, const std::function<void()>& meanwhile) {
                if (meanwhile) meanwhile();
                return take(std::move(step));
            },
            [this] {
                EXPECT_EQ(begun_, added_);
                ++begun_;
                return piece_codes_;
            },
            [this](std::size_t codes) {
                ++added_;
                pieces_.push_back(codes);
            },
            [this] { return stops_in_ && (*stops_in_)-- <= 0; },
        };
    }

    std::optional<Job> take(AddImported step) {
        step.worker = "w";
        step.claimed_until = clock_.now() + limits::job_claim_ms;
        // Few rows are one share, but for a test.
        if (step.rows && step.after.shares == 1) step.after.shares = shares_;
        steps_.push_back(step);
        const bool fails = fails_at_ && *fails_at_ == steps_.size();
        if (fails && handing_ == Handing::not_done) return std::nullopt;
        auto outcomes = test::run(store_->store(), std::move(step), clock_.now());
        EXPECT_TRUE(outcomes);
        if (!outcomes || (fails && handing_ == Handing::unheard)) return std::nullopt;
        const auto* const changed = std::get_if<JobChanged>(&outcomes->front());
        if (during_) during_();
        return changed == nullptr ? std::nullopt : std::optional(changed->job);
    }

    void run_once(JobId id) {
        const ImportJob::Hands hands = this->hands();
        ImportJob(store_->reads(), find(id), hands).run();
    }

    /// To the end, by as many turns as it takes.
    Job work(JobId id) {
        for (int turns = 0; turns < 100 && !find(id).is_finished(); ++turns) {
            begun_ = added_;  // who was interrupted does not tell
            run_once(id);
        }
        EXPECT_TRUE(find(id).is_finished());
        return find(id);
    }

    End end_of(JobId id) {
        SecondConnection sql = store_->connect();
        const Job job = find(id);
        return {sql.rows("SELECT id, code, settings, user_id, last_entry_id FROM coupon_code "
                         "LEFT JOIN coupon_user ON number = assigned_to ORDER BY id"),
                sql.rows("SELECT id, type, code_id, codes, user_number, previous_id, detail, "
                         "request_id FROM ledger ORDER BY id"),
                rejected(id),
                job.status,
                job.error,
                job.created,
                job.requested,
                job.import->rejected};
    }

    Texts rejected(JobId id) {
        return store_->connect().rows(
            "SELECT line, reason, text FROM rejected_row WHERE job_id = " + std::to_string(id) +
            " ORDER BY line");
    }

    Texts codes() {
        return store_->connect().rows("SELECT code FROM coupon_code WHERE id > 1 ORDER BY code");
    }

    /// That all of it agrees with its ledger.
    void expect_verified() {
        store_->close();
        {
            sqlite::Database database(store_->folder(), sqlite::Access::look);
            const auto snapshot = database.open_snapshot();
            EXPECT_EQ(verify(*snapshot, clock_.now(), [](std::int64_t, std::int64_t) {}).lines,
                      Texts{});
        }
        store_->open();
    }

    std::string time_zone_ = "UTC";
    bool open_ = false;
    bool case_sensitive_ = true;
    std::int64_t shares_ = 1;
    std::size_t piece_codes_ = 3;
    std::optional<std::size_t> fails_at_;  ///< the hand-over, from 1
    Handing handing_ = Handing::done;
    std::optional<int> stops_in_;  ///< questions whether to stop that are still told no
    std::function<void()> during_;
    std::vector<AddImported> steps_;
    std::vector<std::size_t> pieces_;  ///< codes of each
    int begun_ = 0, added_ = 0;
    ManualClock clock_;
    std::optional<SqliteStore> store_;
};

/// With a row of each kind; line 4 repeats, 7 is wrong, and 9 is there.
const std::string mixed =
    "code,userId,expiresAt,maxRedemptions,active,metadata.a\n"
    "D,,,,,\n"
    "B,ann,,,,\n"
    "D,,,,,\n"
    "A,,2031-01-02,,,\n"
    "F,bob,2031-01-02,3,false,x\n"
    "\"t\tt\",,,,,\n"
    "E,,,,,\n"
    "there,,,,,\n"
    "C,ann,,7,,\n"
    "G,,,,,x\n"
    "H,,,,,\n";
/// The same without those.
const std::string sound =
    "code,userId,expiresAt,maxRedemptions,active,metadata.a\n"
    "D,,,,,\n"
    "B,ann,,,,\n"
    "A,,2031-01-02,,,\n"
    "F,bob,2031-01-02,3,false,x\n"
    "E,,,,,\n"
    "C,ann,,7,,\n"
    "G,,,,,x\n"
    "H,,,,,\n";

TEST_F(ImportJobTest, TakesInAFileWithWhatItSaysOfItsCodes) {
    for (const bool skips : {false, true}) {
        restart();
        const JobId id = receive(sound, skips);
        const Job done = work(id);
        EXPECT_EQ(done.status, Job::Status::completed) << done.error;
        EXPECT_EQ(done.requested, 8);
        EXPECT_EQ(done.created, 8);
        EXPECT_EQ(done.import->rejected, 0);
        EXPECT_EQ(rejected(id), Texts{});
        EXPECT_EQ(pieces_, (std::vector<std::size_t>{3, 3, 2}));
        EXPECT_EQ(begun_, added_);
        const auto code = [&](const std::string& text) {
            Needs needs;
            needs.codes.push_back({text});
            return loaded(store_->store(), needs)->find(text)->code;
        };
        CodeId last = 0;
        for (const char* const text : {"D", "B", "A", "F", "E", "C", "G", "H"}) {
            EXPECT_GT(code(text).id, last) << text << " comes in the order of the file";
            last = code(text).id;
        }
        EXPECT_EQ(code("A").expires_at, TimeZone::find("UTC")->parse_end("2031-01-02"));
        EXPECT_EQ(code("B").assigned_to, "ann");
        EXPECT_EQ(code("C").max_redemptions, 7);
        EXPECT_EQ(code("C").assigned_to, "ann");
        EXPECT_EQ(static_cast<CodeSettings>(code("D")), CodeSettings());
        EXPECT_EQ(code("F").active, false);
        EXPECT_EQ(code("F").metadata, R"({"a":"x"})");
        EXPECT_EQ(code("H").assigned_to, std::nullopt);
        expect_verified();
    }
}

TEST_F(ImportJobTest, SeveralSharesHaveAllRowsOnce) {
    std::string file = "code\n";
    for (const std::string& code : numbered("N", 60)) file += code + "\n";
    for (const std::int64_t shares : {1, 2, 7}) {
        for (const bool skips : {false, true}) {
            restart();
            shares_ = shares;
            piece_codes_ = 5;
            const JobId id = receive(file, skips, 64);
            const Job done = work(id);
            EXPECT_EQ(done.status, Job::Status::completed);
            EXPECT_EQ(done.import->shares, shares);
            EXPECT_EQ(done.import->share, shares);
            EXPECT_EQ(done.created, 60);
            Texts wanted = numbered("N", 60);
            std::ranges::sort(wanted);
            EXPECT_EQ(codes(), wanted);
            EXPECT_EQ(std::ranges::max(pieces_), 5u);
        }
    }
}

TEST_F(ImportJobTest, LeavesOutWhatIsRejectedAndTellsWhy) {
    for (const std::int64_t shares : {1, 3}) {
        restart();
        shares_ = shares;
        const JobId id = receive(mixed, true);
        const Job done = work(id);
        EXPECT_EQ(done.status, Job::Status::completed);
        EXPECT_EQ(done.requested, 11);
        EXPECT_EQ(done.created, 8);
        EXPECT_EQ(done.import->rejected, 3);
        EXPECT_EQ(rejected(id), (Texts{"4|code_repeated|D", "7|code_invalid|\"t\tt\",,,,,",
                                       "9|codes_already_exist|there"}));
        EXPECT_EQ(codes(), (Texts{"A", "B", "C", "D", "E", "F", "G", "H"}));
        expect_verified();
    }
}

TEST_F(ImportJobTest, AllOrNoneTakesNoneInAndTellsAllThatIsWrong) {
    const JobId id = receive(mixed, false);
    const Job failed = work(id);
    EXPECT_EQ(failed.status, Job::Status::failed);
    EXPECT_EQ(failed.error, "rows_rejected");
    EXPECT_EQ(failed.requested, 11);
    EXPECT_EQ(failed.created, 0);
    EXPECT_EQ(failed.import->rejected, 3);
    EXPECT_EQ(rejected(id), (Texts{"4|code_repeated|D", "7|code_invalid|\"t\tt\",,,,,",
                                   "9|codes_already_exist|there"}));
    EXPECT_EQ(codes(), Texts{});
    EXPECT_EQ(pieces_.size(), 0u);
    // Nobody had to wait for it.
    for (const AddImported& step : steps_) EXPECT_FALSE(step.after.adds_alone());
}

TEST_F(ImportJobTest, AllOrNoneTakesNoneInWhereOneIsThereAlready) {
    for (const std::string row : {"there", "D"}) {
        for (const std::int64_t shares : {1, 3}) {
            restart();
            shares_ = shares;
            const JobId id = receive(sound + row + ",,,,,\n", false);
            EXPECT_EQ(work(id).error, "rows_rejected");
            EXPECT_EQ(rejected(id),
                      Texts{row == "D" ? "10|code_repeated|D" : "10|codes_already_exist|there"});
            EXPECT_EQ(codes(), Texts{});
            EXPECT_EQ(find(id).import->stage, Stage::checking);
        }
    }
}

TEST_F(ImportJobTest, NobodyElseAddsCodesFromWhenTheyAreLookedForToTheLastOne) {
    std::set<Stage> seen;
    int refused = 0;
    const JobId id = receive(sound, false);
    during_ = [&] {
        const Job job = find(id);
        if (job.is_finished()) return;
        seen.insert(job.import->stage);
        const UploadCodes upload{1, {"H"}};  // which the file has
        auto outcomes = test::run(store_->store(), upload, clock_.now());
        refused += std::holds_alternative<AddingElsewhere>(outcomes->front()) ? 1 : 0;
    };
    EXPECT_EQ(work(id).status, Job::Status::completed);
    EXPECT_EQ(seen, (std::set<Stage>{Stage::checking, Stage::adding}));
    EXPECT_EQ(refused, 4);
    EXPECT_EQ(codes().size(), 8u);
    EXPECT_TRUE(std::holds_alternative<CodesUploaded>(
        test::run(store_->store(), UploadCodes{1, {"Z"}}, clock_.now())->front()));
}

TEST_F(ImportJobTest, WhatOthersAddMeanwhileIsRejectedWhereOthersMay) {
    const JobId id = receive(sound, true);
    bool first = true;
    during_ = [&] {
        if (std::exchange(first, false)) changed<CodesUploaded>(UploadCodes{1, {"H", "E"}});
    };
    const Job done = work(id);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, 6);
    EXPECT_EQ(rejected(id), (Texts{"6|codes_already_exist|E", "9|codes_already_exist|H"}));
    expect_verified();
}

TEST_F(ImportJobTest, GoesOnWhereItWasInterruptedAsIfItHadNotBeen) {
    for (const bool skips : {false, true}) {
        for (const std::string& file : {mixed, sound}) {
            for (const std::int64_t shares : {1, 3}) {
                shares_ = shares;
                fails_at_.reset();
                restart();
                const JobId id = receive(file, skips);
                work(id);
                const End whole = end_of(id);
                const std::size_t steps = steps_.size();
                for (const Handing handing : {Handing::not_done, Handing::unheard}) {
                    for (std::size_t at = 1; at <= steps; ++at) {
                        restart();
                        handing_ = handing;
                        fails_at_ = at;
                        ASSERT_EQ(receive(file, skips), id);
                        work(id);
                        EXPECT_TRUE(end_of(id) == whole)
                            << skips << ", " << shares << " shares, at " << at << " of " << steps;
                    }
                }
            }
        }
    }
}

TEST_F(ImportJobTest, StopsWheneverItIsToldToAndGoesOnFromThere) {
    for (const bool skips : {false, true}) {
        shares_ = 2;
        restart();
        const JobId id = receive(sound, skips, 3);  // parts that are read in several goes
        work(id);
        const End whole = end_of(id);
        bool has_stopped = true;
        int at = 0;
        for (; has_stopped && at < 200; ++at) {
            restart();
            ASSERT_EQ(receive(sound, skips, 3), id);
            const Job before = find(id);
            stops_in_ = at;
            run_once(id);
            has_stopped = *stops_in_ < 0;
            EXPECT_TRUE(at > 0 || find(id) == before);
            stops_in_.reset();
            work(id);
            EXPECT_TRUE(end_of(id) == whole) << at;
        }
        EXPECT_FALSE(has_stopped);
        EXPECT_GT(at, 5);
    }
}

TEST_F(ImportJobTest, LeavesWhatAnotherHasTaken) {
    const JobId id = receive(sound, true);
    AddImported theirs;
    theirs.book_id = 1;
    theirs.job_id = id;
    theirs.worker = "other";
    theirs.claimed_until = clock_.now() + 1'000;
    theirs.before = theirs.after = *find(id).import;
    const Job taken = changed<JobChanged>(theirs).job;
    run_once(id);
    EXPECT_EQ(find(id), taken);
    EXPECT_EQ(steps_.size(), 1u);
    clock_.advance(1'000);
    EXPECT_EQ(work(id).status, Job::Status::completed);
}

TEST_F(ImportJobTest, OneWhoseFileDoesNotComeFails) {
    ReceiveFile part;
    part.book_id = 1;
    part.bytes = sound;
    part.worker = "receiver";
    part.claimed_until = clock_.now() + 1'000;
    const JobId id = changed<JobChanged>(part).job.id;
    run_once(id);
    EXPECT_FALSE(find(id).is_finished());
    clock_.advance(1'000);
    EXPECT_EQ(work(id).error, "upload_interrupted");
    EXPECT_EQ(codes(), Texts{});
}

TEST_F(ImportJobTest, OneOfAnArchivedBookFails) {
    for (const bool archives_in_adding : {false, true}) {
        restart();
        const JobId id = receive(sound, true);
        during_ = [&] {
            if (std::exchange(during_, nullptr)) changed<BookChanged>(ArchiveBook{1});
        };
        if (!archives_in_adding) {
            during_ = nullptr;
            changed<BookChanged>(ArchiveBook{1});
        }
        EXPECT_EQ(work(id).error, "book_archived");
        EXPECT_EQ(codes(), Texts{});
    }
}

TEST_F(ImportJobTest, AllOrNoneIsDoneThoughItsBookIsArchivedMeanwhile) {
    const JobId id = receive(sound, false);
    during_ = [&] {
        if (find(id).created == 3) changed<BookChanged>(ArchiveBook{1});
    };
    EXPECT_EQ(work(id).status, Job::Status::completed);
    EXPECT_EQ(codes().size(), 8u);
}

TEST_F(ImportJobTest, OneWhoseBookIsGoneFails) {
    const JobId id = receive(sound, true);
    store_->connect().run("DELETE FROM coupon_code; DELETE FROM coupon_book");
    EXPECT_EQ(work(id).error, "book_not_found");
}

TEST_F(ImportJobTest, OneWithoutAllOfItsFileIsLeftAsItIs) {
    const JobId id = receive(sound, true);
    store_->connect().run("DELETE FROM file_part WHERE number = 1");
    const Job before = find(id);
    run_once(id);
    EXPECT_EQ(find(id), before);
    EXPECT_TRUE(steps_.empty());
}

TEST_F(ImportJobTest, RowsThatTheBookHasNoRoomForAreRejected) {
    open_ = true;
    restart();
    const JobId of_open = receive("code,userId\nA,ann\nB,\n", true);
    EXPECT_EQ(work(of_open).created, 1);
    EXPECT_EQ(rejected(of_open), Texts{"2|book_open|A"});

    open_ = false;
    time_zone_ = "Asia/Tokyo";  // where 2000 began before it did in UTC
    restart();
    const JobId dated =
        receive("code,expiresAt\nA,2000-01-01\nB,2000-01-02\nC,2000-01-01T00:00:00Z\n", true);
    EXPECT_EQ(work(dated).created, 2);
    EXPECT_EQ(rejected(dated), Texts{"2|expires_at_invalid|2000-01-01"});

    time_zone_ = "UTC";
    case_sensitive_ = false;
    restart();
    const JobId folded = receive("code\n- -\nnew 1\nNEW-1\nTHERE\n", true);
    EXPECT_EQ(work(folded).created, 1);
    EXPECT_EQ(rejected(folded), (Texts{"2|code_invalid|- -", "4|code_repeated|NEW-1",
                                       "5|codes_already_exist|THERE"}));
    const JobId none = receive("code\nnew-1\nother\n", false);
    EXPECT_EQ(work(none).error, "rows_rejected");
    EXPECT_EQ(rejected(none), Texts{"2|codes_already_exist|new-1"});
    expect_verified();
}

TEST_F(ImportJobTest, DatesAreOfTheZoneThatTheBookHadWhenTheFileBegan) {
    time_zone_ = "Asia/Tokyo";
    restart();
    const JobId id = receive("code,expiresAt\nA,2031-01-02\n", true);
    EditBook edit;
    edit.book_id = 1;
    edit.wish.time_zone = "UTC";
    edit.wished.set();
    edit.wish.name = "n";
    edit.wish.code_pattern = "N-{6}";
    changed<BookChanged>(edit);
    work(id);
    Needs needs;
    needs.codes.push_back({"A"});
    EXPECT_EQ(loaded(store_->store(), needs)->find("A")->code.expires_at,
              TimeZone::find("Asia/Tokyo")->parse_end("2031-01-02"));
}

TEST_F(ImportJobTest, AFileWithoutACodeIsDoneOrFails) {
    for (const bool skips : {false, true}) {
        restart();
        const JobId id = receive("code\n\"t\tt\"\n", skips);
        const Job job = work(id);
        EXPECT_EQ(job.error, skips ? "" : "rows_rejected");
        EXPECT_EQ(job.requested, 1);
        EXPECT_EQ(job.created, 0);
        EXPECT_EQ(job.import->rejected, 1);
    }
    restart();
    const JobId id = receive("code\n", true);
    EXPECT_EQ(work(id).status, Job::Status::completed);
    EXPECT_EQ(find(id).requested, 0);
}

TEST_F(ImportJobTest, CodesAreGivenAwayFromWithinAStretchOfEachPiece) {
    std::string file = "code\n";
    for (const std::string& code : numbered("N", 40)) file += code + "\n";
    piece_codes_ = 10;
    work(receive(file, true, 1'000));
    double from = 0;
    for (const AddImported& step : steps_) {
        for (const ImportedCode& code : step.codes) {
            EXPECT_GE(code.order, from);
            EXPECT_LT(code.order, from + 0.25);
        }
        if (!step.codes.empty()) from += 0.25;
    }
    EXPECT_EQ(from, 1);
}

TEST_F(ImportJobTest, APieceMakesNoMoreEntriesThanAreToBe) {
    std::string file = "code,userId\n";
    for (const std::string& code : numbered("N", 1'500)) file += code + ",ann\n";
    piece_codes_ = 20'000;
    const JobId id = receive(file, true, limits::import_part_bytes);
    EXPECT_EQ(work(id).created, 1'500);
    ASSERT_EQ(pieces_.size(), 2u);
    EXPECT_LE(pieces_[0], static_cast<std::size_t>(limits::piece_entries));
    EXPECT_EQ(pieces_[0] + pieces_[1], 1'500u);
}

TEST_F(ImportJobTest, CodesThatRepeatAreFoundWhereverTheyAreLookedFor) {
    // They are looked for 5,000 at once.
    std::string file = "code\n";
    for (int i = 0; i < 5'001; ++i) file += std::to_string(10'000 + std::min(i, 4'999)) + "\n";
    const JobId id = receive(file, false, limits::import_part_bytes);
    EXPECT_EQ(work(id).import->rejected, 1);
    EXPECT_EQ(rejected(id), Texts{"5002|code_repeated|14999"});
}

TEST_F(ImportJobTest, ManyRejectedRowsComeInSeveralStepsAndUpToSoMany) {
    for (const bool skips : {false, true}) {
        restart();
        std::string file = "code\n";
        const std::int64_t count = limits::rejected_rows + 3;
        for (std::int64_t i = 0; i < count; ++i) file += "\t\n";
        const JobId id = receive(file + "A\n", skips, limits::import_part_bytes);
        const Job job = work(id);
        EXPECT_EQ(job.error, skips ? "" : "rows_rejected");
        EXPECT_EQ(job.created, skips ? 1 : 0);
        EXPECT_EQ(job.requested, count + 1);
        EXPECT_EQ(job.import->rejected, count);
        const auto rows = store_->reads().rejected_rows(id, 0, limits::page_rejected);
        EXPECT_EQ(rows->size(), limits::page_rejected);
        EXPECT_EQ(rows->front().line, 2);
        EXPECT_EQ(store_->connect().rows("SELECT count(*), max(line) FROM rejected_row"),
                  Texts{"100000|100001"});
        for (const AddImported& step : steps_) EXPECT_LE(step.rejected.size(), 5'000u);
    }
}

}  // namespace
}  // namespace coupond::test
