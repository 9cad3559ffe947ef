#include "app/image_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "base/text.hpp"

namespace coupond {
namespace {

/// What passes by itself, or when somebody has made room.
bool may_pass(int error) {
    static constexpr std::array passing{ENOSPC, EDQUOT, EIO,    EMFILE,    ENFILE,
                                        ENOMEM, EINTR,  EAGAIN, ETIMEDOUT, ESTALE};
    return std::ranges::find(passing, error) != passing.end();
}

aws::Error failed(std::string what, const std::filesystem::path& path, int error) {
    using Kind = aws::Error::Kind;
    return {may_pass(error) ? Kind::unavailable : Kind::refused,
            std::move(what) + " " + path.string() + ": " + std::system_category().message(error)};
}

/// A path for people, in UTF-8 and on one line.
std::string shown(const std::filesystem::path& path) {
    std::string text = path.string();
    const auto shape = examine_text(text);
    if (shape && !shape->has_control) return text;
    std::ranges::replace_if(
        text, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

std::string place_of(const Job& job) {
    return std::to_string(job.book_id) + "/" + std::to_string(job.id);
}

class File {
public:
    File(const std::filesystem::path& path, int flags)
        : file_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
    ~File() {
        if (file_ >= 0) ::close(file_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// The error of what was asked for last; 0: none.
    int opened() const { return file_ < 0 ? errno : 0; }
    /// Has it hold `bytes` and nothing else. One that holds them already does so all the time:
    /// another worker may have put them there, and told so.
    int write(std::string_view bytes) const {
        const auto size = static_cast<off_t>(bytes.size());
        while (!bytes.empty()) {
            const ssize_t written = ::write(file_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return errno;
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
        return ftruncate(file_, size) == 0 ? 0 : errno;
    }
    int close() { return ::close(std::exchange(file_, -1)) == 0 ? 0 : errno; }
    /// All that its file system was told.
    int sync_all() const { return syncfs(file_) == 0 ? 0 : errno; }

private:
    int file_;
};

class Folder final : public ImageStore {
public:
    explicit Folder(const std::filesystem::path& folder)
        : folder_(std::filesystem::absolute(folder).lexically_normal()) {}

    int writers() const override { return 1; }

    std::string location(const Job& job) const override { return shown(folder_ / place_of(job)); }

    aws::Result<void> put(const Job& job, int, const Image& image,
                          const std::stop_token&) override {
        const std::filesystem::path path = folder_ / place_of(job) / image.name;
        std::error_code error;
        std::filesystem::create_directories(path.parent_path(), error);
        if (error) return failed("cannot make the folder", path.parent_path(), error.value());
        File file(path, O_WRONLY | O_CREAT | O_NOFOLLOW);
        int fault = file.opened();
        if (fault == 0) fault = file.write(image.bytes);
        if (fault == 0) fault = file.close();
        // Not which one: logs hold no codes.
        if (fault != 0) return failed("cannot write an image into", path.parent_path(), fault);
        return {};
    }

    aws::Result<void> settle() override {
        const File folder(folder_, O_RDONLY | O_DIRECTORY);
        int fault = folder.opened();
        if (fault == 0) fault = folder.sync_all();
        if (fault != 0) return failed("cannot sync", folder_, fault);
        return {};
    }

private:
    const std::filesystem::path folder_;
};

class Bucket final : public ImageStore {
public:
    Bucket(const aws::S3Options& options, const Clock& clock) : bucket_(options.bucket) {
        for (int i = 0; i < limits::image_puts_at_once; ++i) {
            writers_.push_back(std::make_unique<aws::S3>(options, clock));
        }
    }

    int writers() const override { return static_cast<int>(writers_.size()); }

    std::string location(const Job& job) const override {
        return "s3://" + bucket_ + "/" + key(job);
    }

    aws::Result<void> put(const Job& job, int writer, const Image& image,
                          const std::stop_token& stop) override {
        return writers_[static_cast<std::size_t>(writer)]->put(
            key(job) + "/" + image.name, image.content_type, image.bytes, stop);
    }

    aws::Result<void> settle() override { return {}; }

private:
    static std::string key(const Job& job) { return "qr/" + place_of(job); }

    const std::string bucket_;
    std::vector<std::unique_ptr<aws::S3>> writers_;
};

}  // namespace

std::unique_ptr<ImageStore> open_images(const Config& config, const Clock& clock) {
    if (!config.bucket) return std::make_unique<Folder>(config.qr_dir);
    try {
        return std::make_unique<Bucket>(*config.bucket, clock);
    } catch (const std::invalid_argument& error) {
        throw ConfigError(
            std::string("cannot use S3_BUCKET, with S3_ENDPOINT, AWS_REGION and AWS_CA_BUNDLE: ") +
            error.what());
    }
}

}  // namespace coupond
