// The work on images of a book's codes on a real store, step by step, without an engine.
#include "app/image_job.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>

#include "base/limits.hpp"
#include "support/manual_clock.hpp"
#include "support/sqlite_store.hpp"
#include "wire/wire.hpp"

namespace coupond::test {
namespace {

namespace fs = std::filesystem;
using Kind = aws::Error::Kind;
using Texts = std::vector<std::string>;
using namespace std::chrono_literals;

/// Keeps images in memory, or does what a test says instead.
class Shelf final : public ImageStore {
public:
    int writers() const override { return writers_; }
    std::string location(const Job& job) const override {
        return place_ + "/" + std::to_string(job.id);
    }
    aws::Result<void> put(const Job&, int writer, const Image& image,
                          const std::stop_token& stop) override {
        EXPECT_GE(writer, 0);
        EXPECT_LT(writer, writers_);
        const int number = ++puts_;
        if (before_) before_(number, stop);
        const std::lock_guard lock(mutex_);
        if (fails_at_ && *fails_at_ == number) return aws::Error{kind_, "it is said so"};
        if (stop.stop_requested()) return aws::Error{Kind::stopped, "stopped"};
        images_[image.name] = image.bytes;
        types_.insert(std::string(image.content_type));
        return {};
    }
    aws::Result<void> settle() override {
        ++settled_;
        if (settle_fails_) return aws::Error{kind_, "it does not settle"};
        return {};
    }

    int writers_ = 1;
    std::string place_ = "shelf";
    std::function<void(int, const std::stop_token&)> before_;
    std::optional<int> fails_at_;  ///< the put, from 1
    bool settle_fails_ = false;
    Kind kind_ = Kind::unavailable;
    std::atomic<int> puts_ = 0;
    int settled_ = 0;
    std::map<std::string, std::string> images_;
    std::set<std::string> types_;

private:
    std::mutex mutex_;
};

class ImageJobTest : public testing::Test {
protected:
    ImageJobTest() {
        CreateBook book;
        book.name = "n";
        book.code_pattern = "N-{6}";
        changed<BookCreated>(book);
        changed<BookCreated>(book);
    }

    template <class T>
    T changed(const Command& command) {
        auto outcomes = test::run(store_.store(), command, clock_.now());
        EXPECT_TRUE(outcomes);
        EXPECT_TRUE(outcomes && std::holds_alternative<T>(outcomes->front()));
        return outcomes && std::holds_alternative<T>(outcomes->front())
                   ? std::get<T>(std::move(outcomes->front()))
                   : T();
    }

    JobId draw(BookId book = 1, QrImages wish = {}) {
        if (wish.size_px == 0) wish.size_px = 400;
        return changed<JobChanged>(DrawImages{book, std::move(wish)}).job.id;
    }

    Job find(JobId id) { return store_.reads().find_job(id)->value(); }

    std::optional<Job> take(AddImages step) {
        step.worker = "w";
        step.claimed_until = clock_.now() + limits::job_claim_ms;
        steps_.push_back(step);
        ++taken_;
        if (lost_at_ && *lost_at_ == steps_.size()) return std::nullopt;
        auto outcomes = test::run(store_.store(), std::move(step), clock_.now());
        EXPECT_TRUE(outcomes);
        const auto* const changed = std::get_if<JobChanged>(&outcomes->front());
        if (during_) during_();
        return changed == nullptr ? std::nullopt : std::optional(changed->job);
    }

    bool run_once(JobId id, ImageStore& images, const std::stop_token& stop = {}) {
        const ImageJob::Take take = [this](AddImages step) { return this->take(std::move(step)); };
        const ImageJob::Settle settle = [this] { store_.store().settle(); };
        return ImageJob(store_.reads(), images, find(id), take, settle).run(stop);
    }
    bool run_once(JobId id) { return run_once(id, shelf_); }

    Job work(JobId id) {
        for (int turns = 0; turns < 100 && !find(id).is_finished(); ++turns) run_once(id);
        return find(id);
    }

    Texts names() const {
        Texts names;
        for (const auto& [name, bytes] : shelf_.images_) names.push_back(name);
        return names;
    }

    static Texts names_of(const Texts& codes, const std::string& folder = "00001/") {
        Texts names;
        for (const std::string& code : codes) names.push_back(folder + code + ".svg");
        std::ranges::sort(names);
        return names;
    }

    Shelf shelf_;
    std::vector<AddImages> steps_;
    std::atomic<int> taken_ = 0;  ///< so many, for other threads
    std::optional<std::size_t> lost_at_;
    std::function<void()> during_;
    ManualClock clock_;
    SqliteStore store_;
};

constexpr std::size_t at_once = limits::images_at_once;

TEST_F(ImageJobTest, DrawsEveryCodeOfItsBookSomeAtATime) {
    const Texts codes = numbered("N", 2 * at_once + 1);
    changed<CodesUploaded>(UploadCodes{1, codes});
    changed<CodesUploaded>(UploadCodes{2, {"other"}});
    // An image tells of a code: no power cut may take that back.
    shelf_.before_ = [this](int, const std::stop_token&) {
        EXPECT_TRUE(store_.store().is_settled());
    };
    const JobId id = draw();
    const Job done = work(id);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, std::ssize(codes));
    EXPECT_EQ(done.requested, std::ssize(codes));
    EXPECT_EQ(done.images->location, "shelf/" + std::to_string(id));
    EXPECT_EQ(names(), names_of(codes));
    EXPECT_EQ(shelf_.types_, std::set<std::string>{"image/svg+xml"});
    QrImages wish;
    wish.size_px = 400;
    EXPECT_EQ(shelf_.images_.at("00001/N7.svg"), std::get<std::string>(wire::draw_qr("N7", wish)));
    ASSERT_EQ(steps_.size(), 4u);
    EXPECT_TRUE(steps_[0].is_anew);
    EXPECT_EQ(steps_[0].codes, std::ssize(codes));
    EXPECT_EQ(steps_[1].drawn, std::ssize(codes) / 2);
    EXPECT_FALSE(steps_[2].is_last);
    EXPECT_EQ(steps_[3].drawn, 1);
    EXPECT_TRUE(steps_[3].is_last);
    // Before a step says that they are there.
    EXPECT_EQ(shelf_.settled_, 3);
}

TEST_F(ImageJobTest, CompletesWithoutCodes) {
    const Job done = work(draw());
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.requested, 0);
    EXPECT_EQ(shelf_.settled_, 0);
    EXPECT_EQ(shelf_.puts_, 0);
}

TEST_F(ImageJobTest, BeginsANewFolderBehindSoManyCodes) {
    const auto most = static_cast<std::size_t>(limits::images_in_folder);
    Texts codes = numbered("N", most + 1);
    codes[3].clear();  // has none, but its place
    while (codes[3].size() < 400) codes[3] += "\U0010FFFF";
    changed<CodesUploaded>(UploadCodes{1, codes});
    QrImages wish;
    wish.size_px = 29;
    const Job done = work(draw(1, wish));
    EXPECT_EQ(done.created, std::ssize(codes) - 1);
    EXPECT_EQ(done.images->rejected, 1);
    EXPECT_EQ(shelf_.images_.size(), most);
    EXPECT_TRUE(shelf_.images_.contains("00001/N" + std::to_string(most - 1) + ".svg"));
    EXPECT_TRUE(shelf_.images_.contains("00002/N" + std::to_string(most) + ".svg"));
    const auto rows = store_.reads().rejected_rows(done.id, 0, 9);
    ASSERT_EQ(rows->size(), 1u);
    EXPECT_EQ(rows->front(), (RejectedRow{4, "qr_size_too_small", codes[3]}));
}

TEST_F(ImageJobTest, DrawsCodesThatComeMeanwhile) {
    changed<CodesUploaded>(UploadCodes{1, numbered("N", at_once + 1)});
    const JobId id = draw();
    bool first = true;
    during_ = [&] {
        if (std::exchange(first, false)) changed<CodesUploaded>(UploadCodes{1, {"late"}});
    };
    const Job done = work(id);
    EXPECT_EQ(done.created, std::ssize(numbered("N", at_once + 2)));
    EXPECT_EQ(done.requested, done.created);
    EXPECT_TRUE(shelf_.images_.contains("00001/late.svg"));
}

TEST_F(ImageJobTest, GoesOnWhereItWasLeft) {
    const Texts codes = numbered("N", 3 * at_once);
    changed<CodesUploaded>(UploadCodes{1, codes});
    for (std::size_t at = 1; at <= 4; ++at) {
        shelf_.images_.clear();
        steps_.clear();
        lost_at_ = at;
        const JobId id = draw();
        run_once(id);
        EXPECT_EQ(steps_.size(), at);
        EXPECT_FALSE(find(id).is_finished());
        lost_at_.reset();
        const Job done = work(id);
        EXPECT_EQ(done.status, Job::Status::completed);
        EXPECT_EQ(done.created, std::ssize(codes)) << at;
        EXPECT_EQ(names(), names_of(codes)) << at;
    }
}

TEST_F(ImageJobTest, WaitsForWhatMayPass) {
    const Texts codes = numbered("N", at_once + 5);
    changed<CodesUploaded>(UploadCodes{1, codes});
    const JobId id = draw();
    shelf_.fails_at_ = static_cast<int>(at_once) + 2;
    EXPECT_FALSE(run_once(id));
    Job waiting = find(id);
    EXPECT_EQ(waiting.status, Job::Status::running);
    EXPECT_EQ(waiting.created, std::ssize(codes) - 5);
    shelf_.fails_at_.reset();
    shelf_.settle_fails_ = true;
    EXPECT_FALSE(run_once(id));
    EXPECT_EQ(find(id), waiting);
    shelf_.settle_fails_ = false;
    EXPECT_TRUE(run_once(id));
    EXPECT_EQ(find(id).created, std::ssize(codes));
    EXPECT_EQ(names(), names_of(codes));
}

TEST_F(ImageJobTest, FailsWhereImagesAreRefused) {
    changed<CodesUploaded>(UploadCodes{1, numbered("N", at_once + 5)});
    for (const bool settles : {true, false}) {
        const JobId id = draw();
        shelf_.puts_ = 0;
        shelf_.kind_ = Kind::refused;
        shelf_.settle_fails_ = !settles;
        if (settles) shelf_.fails_at_ = static_cast<int>(at_once) + 2;
        EXPECT_TRUE(run_once(id));
        const Job failed = find(id);
        EXPECT_EQ(failed.status, Job::Status::failed);
        EXPECT_EQ(failed.error, "images_refused");
        EXPECT_EQ(failed.created, settles ? static_cast<std::int64_t>(at_once) : 0);
        EXPECT_EQ(failed.requested, static_cast<std::int64_t>(at_once) + 5);
        shelf_.fails_at_.reset();
    }
}

TEST_F(ImageJobTest, StopsInTheMiddleWhereItIsToldTo) {
    changed<CodesUploaded>(UploadCodes{1, numbered("N", at_once)});
    const JobId id = draw();
    std::stop_source stop;
    shelf_.before_ = [&](int number, const std::stop_token&) {
        if (number == 10) stop.request_stop();
    };
    EXPECT_TRUE(run_once(id, shelf_, stop.get_token()));
    EXPECT_EQ(shelf_.puts_, 10);
    EXPECT_EQ(find(id).created, 0);
    EXPECT_EQ(steps_.size(), 1u);
    shelf_.before_ = {};
    EXPECT_EQ(work(id).created, static_cast<std::int64_t>(at_once));
}

TEST_F(ImageJobTest, SeveralWritersPutEachImageOnce) {
    const Texts codes = numbered("N", 2 * at_once + 3);
    changed<CodesUploaded>(UploadCodes{1, codes});
    shelf_.writers_ = 8;
    const Job done = work(draw());
    EXPECT_EQ(done.created, std::ssize(codes));
    EXPECT_EQ(shelf_.puts_, static_cast<int>(codes.size()));
    EXPECT_EQ(names(), names_of(codes));
    // One that fails ends the others of its page.
    const JobId id = draw();
    shelf_.puts_ = 0;
    shelf_.fails_at_ = 20;
    EXPECT_FALSE(run_once(id));
    EXPECT_LT(shelf_.puts_, static_cast<int>(at_once));
    EXPECT_EQ(find(id).created, 0);
}

TEST_F(ImageJobTest, LeavesWhatAnotherHasTaken) {
    changed<CodesUploaded>(UploadCodes{1, numbered("N", 3)});
    const JobId id = draw();
    AddImages theirs;
    theirs.book_id = 1;
    theirs.job_id = id;
    theirs.worker = "other";
    theirs.claimed_until = clock_.now() + 1'000;
    theirs.before = theirs.after = *find(id).images;
    theirs.after.location = shelf_.location(find(id));
    const Job taken = changed<JobChanged>(theirs).job;
    EXPECT_TRUE(run_once(id));
    EXPECT_EQ(find(id), taken);
    clock_.advance(1'000);
    EXPECT_EQ(work(id).created, 3);
}

TEST_F(ImageJobTest, IsKeptWhileItsImagesTakeLong) {
    changed<CodesUploaded>(UploadCodes{1, {"slow"}});
    const JobId id = draw();
    shelf_.before_ = [&](int, const std::stop_token& stop) {
        // Until the job has been kept once.
        for (int i = 0; i < 1'000 && taken_ < 2 && !stop.stop_requested(); ++i) {
            std::this_thread::sleep_for(20ms);
        }
    };
    EXPECT_EQ(work(id).created, 1);
    ASSERT_EQ(steps_.size(), 3u);
    EXPECT_EQ(steps_[1].before, steps_[1].after);
    EXPECT_EQ(steps_[1].drawn, 0);
}

TEST_F(ImageJobTest, IsLeftWhereItIsCancelledWhileItsImagesTakeLong) {
    changed<CodesUploaded>(UploadCodes{1, {"slow", "slower"}});
    const JobId id = draw();
    shelf_.before_ = [&](int, const std::stop_token& stop) {
        for (int i = 0; i < 1'000 && !stop.stop_requested(); ++i) {
            std::this_thread::sleep_for(20ms);
        }
        EXPECT_TRUE(stop.stop_requested());
    };
    during_ = [&] {
        if (steps_.size() == 1) changed<JobChanged>(CancelJob{id});
    };
    EXPECT_TRUE(run_once(id));
    EXPECT_EQ(find(id).status, Job::Status::cancelled);
    EXPECT_EQ(shelf_.puts_, 1);
}

TEST_F(ImageJobTest, PutsAllInOnePlaceWhereThatChanges) {
    const Texts codes = numbered("N", at_once + 5);
    changed<CodesUploaded>(UploadCodes{1, codes});
    const JobId id = draw();
    lost_at_ = 3;
    run_once(id);
    lost_at_.reset();
    EXPECT_EQ(find(id).created, static_cast<std::int64_t>(at_once));
    Shelf other;
    other.place_ = "other";
    EXPECT_TRUE(run_once(id, other));
    const Job done = find(id);
    EXPECT_EQ(done.status, Job::Status::completed);
    EXPECT_EQ(done.created, std::ssize(codes));
    EXPECT_EQ(done.images->location, "other/" + std::to_string(id));
    EXPECT_EQ(other.images_.size(), codes.size());
}

// The folder.

std::string contents(const fs::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

class ImageFolder : public testing::Test {
protected:
    std::unique_ptr<ImageStore> open(const fs::path& folder) {
        Config config;
        config.qr_dir = folder;
        return open_images(config, clock_);
    }

    static Job job() {
        Job job;
        job.id = 7;
        job.book_id = 3;
        return job;
    }

    static aws::Result<void> put(ImageStore& images, std::string_view bytes,
                                 const std::string& name = "00001/a.svg") {
        return images.put(job(), 0, {name, "image/svg+xml", bytes}, {});
    }

    ManualClock clock_;
    TemporaryFolder root_{TemporaryFolder::Disk::memory};
};

TEST_F(ImageFolder, HoldsWhatIsPut) {
    const auto images = open(root_.path() / "a/b");
    EXPECT_EQ(images->location(job()), (root_.path() / "a/b/3/7").string());
    EXPECT_FALSE(fs::exists(root_.path() / "a"));
    for (const std::string& bytes : {std::string("long, at first"), std::string("short"),
                                     std::string("\0x\xff", 3), std::string(300'000, 'x')}) {
        ASSERT_TRUE(put(*images, bytes));
        EXPECT_EQ(contents(root_.path() / "a/b/3/7/00001/a.svg"), bytes);
    }
    ASSERT_TRUE(put(*images, "2", "00002/b.svg"));
    EXPECT_EQ(contents(root_.path() / "a/b/3/7/00002/b.svg"), "2");
    EXPECT_TRUE(images->settle());
}

TEST_F(ImageFolder, IsNeverWithoutWhatIsPutOnceMore) {
    // Another worker may have said that it is there.
    const auto images = open(root_.path());
    const std::string bytes(100'000, 'x');
    ASSERT_TRUE(put(*images, bytes));
    std::atomic<bool> ends = false;
    std::jthread again([&] {
        while (!ends) EXPECT_TRUE(put(*images, bytes));
    });
    for (int i = 0; i < 300; ++i) ASSERT_EQ(contents(root_.path() / "3/7/00001/a.svg"), bytes);
    ends = true;
}

TEST_F(ImageFolder, TellsWhatIsRefusedWithoutNamingACode) {
    std::ofstream(root_.path() / "file") << "x";
    const auto beneath_a_file = open(root_.path() / "file/qr");
    const auto images = open(root_.path() / "qr");
    fs::create_directories(root_.path() / "qr/3/7/00001/a.svg");
    fs::create_directory_symlink(root_.path() / "file", root_.path() / "qr/3/7/00001/b.svg");
    for (const auto& done :
         {put(*beneath_a_file, "x"), put(*images, "x"), put(*images, "x", "00001/b.svg"),
          put(*images, "x", "00001/" + std::string(256, 'a'))}) {
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().kind, Kind::refused) << done.error().message;
        EXPECT_EQ(done.error().message.find("a.svg"), std::string::npos);
        EXPECT_EQ(done.error().message.find("aaaa"), std::string::npos);
    }
    EXPECT_EQ(contents(root_.path() / "file"), "x");
    EXPECT_EQ(open(root_.path() / "nowhere")->settle().error().kind, Kind::refused);
}

TEST_F(ImageFolder, IsNamedInOneLineOfUtf8) {
    EXPECT_EQ(open("/\u00e9 x")->location(job()), "/\u00e9 x/3/7");
    EXPECT_EQ(open("/a\nb")->location(job()), "/a?b/3/7");
    EXPECT_EQ(open("/\xff"
                   "b")
                  ->location(job()),
              "/?b/3/7");
    EXPECT_EQ(open("/a/../b/.")->location(job()), "/b/3/7");
    EXPECT_EQ(open("x")->location(job()), (fs::current_path() / "x/3/7").string());
}

}  // namespace
}  // namespace coupond::test
