#include "ctl/upload.hpp"

#include <sys/stat.h>

#include <memory>

#include "base/digest.hpp"
#include "ctl/export.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/jobs.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

constexpr int rounds_most = 8;                       // of a file whose jobs have failed before
constexpr std::chrono::milliseconds after_end{200};  // of a pipe, until it is believed
constexpr std::size_t line_bytes_most = 64 * 1024;   // of one code: longer than any

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
    return upload.format.empty() ? format_by_name(upload.file).value_or("lines") : upload.format;
}

/// What is a file, and can be read again.
std::optional<struct stat> regular(const std::string& name) {
    struct stat status {};
    if (name == "-" || stat(name.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
        return std::nullopt;
    }
    return status;
}

std::string in_hex(const Digest& digest) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const char byte : digest) {
        const auto value = static_cast<unsigned char>(byte);
        text += {digits[value >> 4], digits[value & 15]};
    }
    return text;
}

/// The same for the same file, as far as can be told without reading it: the server does it once.
/// `failed`: the job that it was before, which is not to be had again.
std::string key_of(const Server& server, const Upload& upload, const struct stat& status,
                   const std::string& failed) {
    const auto time = [](const timespec& at) {
        return std::to_string(at.tv_sec) + "." + std::to_string(at.tv_nsec);
    };
    return "couponctl-upload-" +
           in_hex(digest_of({server.url(), upload.book, upload.on_conflict, format_of(upload),
                             std::to_string(status.st_dev), std::to_string(status.st_ino),
                             std::to_string(status.st_size), time(status.st_mtim),
                             time(status.st_ctim), failed}));
}

/// The next piece of the file as it is sent; nothing at its end. What is cut off by Ctrl-C is not
/// the end: whoever writes into a pipe is ended by it too, and somewhat sooner.
void next_piece(Session& session, const Upload& upload, const File& file, LinesAsJson* lines,
                std::uint64_t& sent, std::string& to) {
    std::string piece;
    do {
        piece.clear();
        file.read(session.stop(), piece);
        if (piece.empty() && !regular(upload.file)) session.pause(after_end);
        sent += piece.size();
        lines != nullptr ? lines->add(piece, to) : void(to += piece);
    } while (to.empty() && !piece.empty());
}

/// Sends the file, `opened` the first time; the job that is answered with. `is_sent`: set where all
/// of it has been.
Answer send(Session& session, const Upload& upload, const std::shared_ptr<File>& opened,
            const std::string& key, bool& is_sent) {
    const std::string format = format_of(upload);
    Progress progress(session.errors(), "bytes");
    const auto is_regular = regular(upload.file);
    const std::optional<std::uint64_t> size =
        is_regular ? std::optional(static_cast<std::uint64_t>(is_regular->st_size)) : std::nullopt;
    bool begun = false;
    Query query;
    query.add("onConflict", std::string_view(upload.on_conflict));
    Request request;
    request.method = "POST";
    request.target = query.on("/coupon/codes/" + percent_encoded(upload.book));
    request.content_type = format == "csv" ? "text/csv" : "application/x-ndjson";
    request.idempotency_key = key;
    request.can_repeat = [&] { return is_regular || !begun; };
    request.pieces = [&]() -> std::function<void(std::string&)> {
        const auto file = is_regular ? std::make_shared<File>(upload.file) : opened;
        const auto lines = format == "lines" ? std::make_shared<LinesAsJson>() : nullptr;
        const auto sent = std::make_shared<std::uint64_t>(0);
        return [&, file, lines, sent](std::string& to) {
            begun = true;
            next_piece(session, upload, *file, lines.get(), *sent, to);
            is_sent = is_sent || to.empty();
            progress.show(*sent, size);
        };
    };
    return session.server().ask(request);
}

/// The job that takes the file in: one that was begun before, unless it has failed, or a new one.
Answer begin(Session& session, const Upload& upload, bool& is_sent) {
    const auto opened = std::make_shared<File>(upload.file);  // before the server is asked
    const auto is_regular = regular(upload.file);
    if (!is_regular) return send(session, upload, opened, "", is_sent);
    std::string failed;
    for (int round = 1;; ++round) {
        const Answer answer = send(session, upload, opened,
                                   key_of(session.server(), upload, *is_regular, failed), is_sent);
        if (!answer.replayed || round == rounds_most) return answer;
        const std::string id = job_id_of(answer);
        const boost::json::value job =
            json_of(session.server().ask({.target = "/coupon/jobs/" + id}));
        if (!is_over(job)) {
            session.tell("job " + id + " takes this file in already");
            return answer;
        }
        if (is_completed(job)) {
            session.tell("this file was taken in before, by job " + id +
                         "; to send it again, say --idempotency-key with a new key");
            return answer;
        }
        if (session.has_key()) return answer;  // by which it is that job
        failed = id;
    }
}

}  // namespace

void upload_codes(Session& session, const Upload& upload) {
    bool is_sent = false;
    Answer answer;
    try {
        answer = begin(session, upload, is_sent);
    } catch (const Quit& quit) {
        if (quit.status() == exit_status::interrupted && is_sent) {
            throw Quit(exit_status::interrupted,
                       "interrupted; the file was sent, and may be taken in",
                       "see couponctl job list; the same command goes on with it");
        }
        if (quit.status() == exit_status::interrupted) {
            throw Quit(exit_status::interrupted, "interrupted; nothing of the file is taken in",
                       "run the same command again");
        }
        if (quit.status() != exit_status::unreachable || !is_sent) throw;
        throw Quit(exit_status::unreachable, quit.what(),
                   regular(upload.file) ? "run the same command again: it is taken in once"
                                        : "see couponctl job list; what comes by a pipe cannot be "
                                          "sent again by itself, as a file is");
    }
    const std::string id = job_id_of(answer);
    if (upload.wait) return follow_job(session, id);
    session.output().one(job_columns, answer.text);
}

}  // namespace coupond::ctl
