#include "ctl/upload.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/digest.hpp"
#include "base/random.hpp"
#include "ctl/jobs.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

constexpr std::size_t piece_bytes = 256 * 1024;
constexpr std::size_t line_bytes_most = 64 * 1024;  // of one code: longer than any

class File {
public:
    explicit File(int fd) : fd_(fd) {}
    ~File() {
        if (fd_ > STDERR_FILENO) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    int fd() const { return fd_; }

    /// Appends up to `piece_bytes`; nothing at the end.
    void read(std::string& to, const std::string& name) const {
        std::array<char, piece_bytes> bytes;
        for (;;) {
            const ssize_t size = ::read(fd_, bytes.data(), bytes.size());
            if (size >= 0) {
                to.append(bytes.data(), static_cast<std::size_t>(size));
                return;
            }
            if (errno == EINTR) continue;
            throw wrong_usage("cannot read " + name + ": " + std::strerror(errno), "");
        }
    }

private:
    const int fd_;
};

/// Turns one code a line into lines of JSON, each on the line on which it is, however they are cut.
class LinesAsJson {
public:
    /// Appends what is whole of `piece`; all that is left where it is empty, for then it is the
    /// end.
    void add(std::string_view piece, std::string& to) {
        for (const char c : piece) {
            if (c == '\n') {
                put(to);
            } else {
                line_ += c;
            }
            if (line_.size() > line_bytes_most) {
                throw wrong_usage("a line is longer than any code", "is it one code a line?");
            }
        }
        if (piece.empty() && !line_.empty()) put(to);
    }

private:
    void put(std::string& to) {
        constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
        if (first_ && line_.starts_with(byte_order_mark)) line_.erase(0, byte_order_mark.size());
        first_ = false;
        if (line_.ends_with('\r')) line_.pop_back();
        if (!line_.empty()) to += json_string(line_);
        to += '\n';
        line_.clear();
    }

    bool first_ = true;
    std::string line_;
};

std::string format_of(const Upload& upload) {
    if (!upload.format.empty()) return upload.format;
    const std::string extension = std::filesystem::path(upload.file).extension().string();
    if (extension == ".csv") return "csv";
    if (extension == ".ndjson" || extension == ".jsonl") return "ndjson";
    return "lines";
}

std::shared_ptr<File> open_file(const std::string& name) {
    const int fd = name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw wrong_usage("cannot read " + name + ": " + std::strerror(errno), "");
    return std::make_shared<File>(fd);
}

/// The same for the same file, as far as its name, size and time tell: the server does it once.
std::string key_of(const Session& session, const Server& server, const Upload& upload) {
    struct stat status {};
    if (upload.file == "-" || stat(upload.file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return {};
    }
    const std::string path = std::filesystem::absolute(upload.file).string();
    const Digest digest =
        digest_of({server.url(), upload.book, upload.on_conflict, format_of(upload), path,
                   std::to_string(status.st_size), std::to_string(status.st_mtim.tv_sec),
                   std::to_string(status.st_mtim.tv_nsec), session.profile()});
    std::string key = "couponctl-upload-";
    for (const char byte : digest) {
        constexpr std::string_view digits = "0123456789abcdef";
        const auto value = static_cast<unsigned char>(byte);
        key += {digits[value >> 4], digits[value & 15]};
    }
    return key;
}

std::optional<std::uint64_t> size_of(const std::string& name) {
    struct stat status {};
    if (name == "-" || stat(name.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(status.st_size);
}

/// Sends the file; the job that is answered with.
Answer send(Session& session, const Upload& upload, const std::string& key) {
    const std::string format = format_of(upload);
    Progress progress(session.errors(), "bytes");
    const auto size = size_of(upload.file);
    bool begun = false;
    Query query;
    query.add("onConflict", std::string_view(upload.on_conflict));
    Request request;
    request.method = "POST";
    request.target = query.on("/coupon/codes/" + percent_encoded(upload.book));
    request.content_type = format == "csv" ? "text/csv" : "application/x-ndjson";
    request.idempotency_key = key;
    request.pieces = [&]() -> std::function<void(std::string&)> {
        if (begun && !size) return {};
        const auto file = open_file(upload.file);
        const auto lines = format == "lines" ? std::make_shared<LinesAsJson>() : nullptr;
        const auto sent = std::make_shared<std::uint64_t>(0);
        return [&, file, lines, sent](std::string& to) {
            begun = true;
            std::string piece;
            do {
                piece.clear();
                file->read(piece, upload.file);
                *sent += piece.size();
                lines ? lines->add(piece, to) : void(to += piece);
            } while (to.empty() && !piece.empty());
            progress.show(*sent, size);
        };
    };
    return session.server().ask(request);
}

}  // namespace

void upload_codes(Session& session, const Upload& upload) {
    open_file(upload.file);  // before anything is asked of the server
    const std::string key = key_of(session, session.server(), upload);
    Answer answer;
    try {
        answer = send(session, upload, key);
        // What was begun before may have ended otherwise: then this is a new one.
        const std::string id = job_id_of(answer);
        const Answer now = session.server().ask({.target = "/coupon/jobs/" + id});
        const boost::json::value job = json_of(now);
        const bool ended = is_over(job) && !is_completed(job);
        if (!key.empty() && ended && now.text != answer.text) {
            answer = send(session, upload, "couponctl-" + secure_random_base32(26));
        }
    } catch (const Quit& quit) {
        if (quit.status() == exit_status::interrupted) {
            throw Quit(exit_status::interrupted, "interrupted; nothing of the file was taken in",
                       "run the same command again");
        }
        if (quit.status() == exit_status::unreachable && upload.file == "-") {
            throw Quit(exit_status::unreachable, quit.what(),
                       "standard input cannot be sent again, as a file would be; see couponctl job "
                       "list");
        }
        throw;
    }
    const std::string id = job_id_of(answer);
    if (upload.wait) return follow_job(session, id);
    session.output().one(job_columns, answer.text);
}

}  // namespace coupond::ctl
