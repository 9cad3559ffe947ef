#include "ctl/export.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "base/csv.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using namespace std::chrono_literals;

constexpr auto silence = 120s;
constexpr int tries_most = 4;  // one behind the other of which each brings no more
constexpr auto between_tries = 250ms;
constexpr std::size_t row_bytes_most = 1024 * 1024;

/// The columns of the rest are not those of what has come before.
class OtherColumns {};

/// Cuts a file into its rows, however it comes: lines, or rows of CSV (RFC 4180).
class Rows {
public:
    explicit Rows(bool csv) : csv_(csv) {}

    /// `take` is given each row that is whole, with its end.
    template <class Take>
    void add(std::string_view piece, const Take& take) {
        for (const char c : piece) {
            row_ += c;
            if (csv_ && c == '"') quoted_ = !quoted_;
            if (c != '\n' || quoted_) continue;
            take(row_);
            row_.clear();
        }
        if (row_.size() > row_bytes_most) throw net::Garbled("a line that is too long");
    }

    bool is_whole() const { return row_.empty(); }

private:
    const bool csv_;
    bool quoted_ = false;
    std::string row_;
};

/// The code that a row is of; nothing where it is of none.
std::optional<std::string> code_of(std::string_view row, bool csv) {
    if (!csv) {
        const auto line = parse_json(row);
        const std::string code = line ? text_at(*line, "code") : "";
        return code.empty() ? std::nullopt : std::optional(code);
    }
    if (!row.starts_with('"')) {
        return std::string(csv_text(row.substr(0, row.find_first_of(",\r\n"))));
    }
    std::string cell;
    for (std::size_t at = 1; at < row.size(); ++at) {
        if (row[at] == '"' && row.substr(at + 1, 1) != "\"") break;
        if (row[at] == '"') ++at;
        cell += row[at];
    }
    return std::string(csv_text(cell));
}

Quit cannot_write(const std::string& what) {
    return wrong_usage("cannot write " + what + ": " + std::strerror(errno),
                       "see its folder and the disk");
}

/// Where a file is to be written: what a link leads to, for it is replaced. Throws Quit where it is
/// no file.
std::string place_of(const std::string& name) {
    std::error_code error;
    if (std::filesystem::exists(name, error) && !std::filesystem::is_regular_file(name, error)) {
        throw wrong_usage(name + " is no file", "leave out --file, and use > " + name);
    }
    if (!std::filesystem::is_symlink(name, error)) return name;
    const std::filesystem::path place = std::filesystem::weakly_canonical(name, error);
    if (error) throw wrong_usage("cannot write " + name + ": " + error.message(), "");
    return place.string();
}

std::string format_of(const Export& wanted) {
    return wanted.format.empty() ? format_by_name(wanted.file).value_or("csv") : wanted.format;
}

/// Where the rows go, and what has come of them.
class Taken {
public:
    explicit Taken(const Export& wanted)
        : name_(wanted.file.empty() ? "" : place_of(wanted.file)),
          csv_(format_of(wanted) == "csv"),
          out_(nullptr, &std::fclose) {}

    bool is_file() const { return !name_.empty(); }
    std::string part() const { return name_ + ".part"; }
    std::uint64_t codes() const { return codes_; }
    /// Whether anything was written.
    bool has_any() const { return codes_ > 0 || !header_.empty(); }
    bool is_csv() const { return csv_; }

    /// The last code that has come.
    std::optional<std::string> last_code() const {
        return last_row_.empty() ? std::nullopt : code_of(last_row_, csv_);
    }

    void begin() {
        goes_on_ = false;
        header_.clear();
        last_row_.clear();
        codes_ = 0;
        if (is_file()) open("wb");
    }

    /// Behind the last whole row of what is there already. `is_of_book`: whether a code is one of
    /// the book; where it is none, nothing is changed.
    void go_on(const std::function<bool(const std::string& code)>& is_of_book) {
        const bool has_part = access(part().c_str(), F_OK) == 0;
        const std::string before = has_part ? part() : name_;
        const std::int64_t whole = look(before);
        const auto last = last_code();
        // What has no whole row yet is ours where it has our name.
        const bool is_ours = whole == 0 ? has_part || std::filesystem::is_empty(before)
                                        : (csv_ ? header_.starts_with("code,status,") : bool(last));
        if (!is_ours || (last && !is_of_book(*last))) {
            throw wrong_usage(before + " is no export of this book",
                              "leave out --continue, or name another file");
        }
        if (!has_part && std::rename(name_.c_str(), part().c_str()) != 0)
            throw cannot_write(part());
        open("r+b");
        if (fseeko(out_.get(), whole, SEEK_SET) != 0 || ftruncate(fileno(out_.get()), whole) != 0) {
            throw cannot_write(part());
        }
    }

    /// `first`: of an answer. Throws OtherColumns, and Garbled where it is not behind the others.
    void add(const std::string& row, bool first) {
        if (csv_ && first && !header_.empty()) {
            if (row != header_) throw OtherColumns();
            goes_on_ = true;
            return;
        }
        if (std::exchange(goes_on_, false) || (first && !last_row_.empty())) {
            const auto last = last_code();
            const auto next = code_of(row, csv_);
            if (last && (!next || *next <= *last)) throw net::Garbled("codes in no order");
        }
        note(row);
        std::FILE* const out = is_file() ? out_.get() : stdout;
        if (std::fwrite(row.data(), 1, row.size(), out) != row.size()) throw failed();
    }

    void flush() const {
        if (std::fflush(is_file() ? out_.get() : stdout) != 0) throw failed();
    }

    /// It is whole.
    void end() {
        flush();
        if (!is_file()) return;
        const bool durable = fsync(fileno(out_.get())) == 0;
        if (std::fclose(out_.release()) != 0 || !durable ||
            std::rename(part().c_str(), name_.c_str()) != 0) {
            throw cannot_write(name_);
        }
    }

private:
    /// Takes in what is in a file; how many bytes of it are whole rows.
    std::int64_t look(const std::string& file) {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(file.c_str(), "rb"),
                                                                 &std::fclose);
        if (in == nullptr) {
            throw wrong_usage("there is no " + part() + " and no " + name_ + " to go on with",
                              "leave out --continue");
        }
        Rows rows(csv_);
        std::int64_t whole = 0;
        std::array<char, 64 * 1024> bytes;
        try {
            while (const std::size_t size = std::fread(bytes.data(), 1, bytes.size(), in.get())) {
                rows.add({bytes.data(), size}, [&](const std::string& row) {
                    note(row);
                    whole += std::ssize(row);
                });
            }
        } catch (const net::Garbled&) {
            throw wrong_usage(file + " is no export of codes", "leave out --continue");
        }
        if (std::ferror(in.get()) != 0) {
            throw wrong_usage("cannot read " + file + ": " + std::strerror(errno), "");
        }
        return whole;
    }

    void open(const char* mode) {
        out_.reset(std::fopen(part().c_str(), mode));
        if (out_ == nullptr) throw cannot_write(part());
    }

    void note(const std::string& row) {
        if (csv_ && header_.empty()) {
            header_ = row;
            return;
        }
        last_row_ = row;
        ++codes_;
    }

    Quit failed() const { return cannot_write(is_file() ? part() : "the output"); }

    const std::string name_;
    const bool csv_;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> out_;
    std::string header_, last_row_;
    std::uint64_t codes_ = 0;
    bool goes_on_ = false;  ///< the next row is the first behind what was there before
};

/// How many codes there are to come, where the book's counts tell.
std::optional<std::uint64_t> count(Session& session, const Export& wanted) {
    const boost::json::value book =
        json_of(session.server().ask({.target = "/coupon/" + percent_encoded(wanted.book)}));
    if (wanted.user || wanted.prefix) return std::nullopt;
    const std::string status = wanted.status.value_or("total");
    const std::string path = "counts." + (status == "free" ? "available" : status);
    return member(book, path) == nullptr ? std::nullopt : std::optional(count_at(book, path));
}

bool is_of_book(Session& session, const Export& wanted, const std::string& code) {
    try {
        const Answer answer =
            session.server().ask({.target = "/coupon/code/" + percent_encoded(code)});
        return std::to_string(count_at(json_of(answer), "bookId")) == wanted.book;
    } catch (const Quit& quit) {
        if (quit.status() == exit_status::refused) return false;  // there is no such code
        throw;
    }
}

/// What to do where it ended in the middle.
std::string cure(const Export& wanted, const Taken& taken) {
    if (wanted.user || !taken.has_any()) return "run the same command again";
    if (taken.is_file()) return "go on: run the same command with --continue";
    return "go on: the same command with --file FILE --continue, with FILE where it went";
}

std::string told(const Taken& taken) {
    return std::to_string(taken.codes()) + " codes are " +
           (taken.is_file() ? "in " + taken.part() : "written");
}

}  // namespace

std::optional<std::string> format_by_name(const std::string& name) {
    const std::string extension = std::filesystem::path(name).extension().string();
    if (extension == ".csv") return "csv";
    if (extension == ".ndjson" || extension == ".jsonl") return "ndjson";
    return std::nullopt;
}

void export_codes(Session& session, const Export& wanted) {
    if (wanted.go_on && wanted.file.empty()) {
        throw wrong_usage("--continue needs --file", "--file FILE names what to go on with");
    }
    if (wanted.go_on && wanted.user) {
        throw wrong_usage("what a user holds cannot be gone on with", "leave out --continue");
    }
    Taken taken(wanted);
    const std::optional<std::uint64_t> all = count(session, wanted);
    if (wanted.go_on) {
        taken.go_on([&](const std::string& code) { return is_of_book(session, wanted, code); });
        session.tell("going on behind " + taken.last_code().value_or("no code yet") + " in " +
                     taken.part() + ", as it is now");
    } else {
        taken.begin();
    }
    const bool shows = taken.is_file() || !session.output().terminal().is_terminal();
    Request request;
    request.accept = taken.is_csv() ? "text/csv" : "application/x-ndjson";
    Progress progress(session.errors(), "codes");
    if (shows && session.errors().is_terminal()) {
        session.errors().draw_bar("waiting for the first codes");
    }
    std::string broken;
    for (int vain = 0;;) {
        const std::uint64_t before = taken.codes();
        Rows rows(taken.is_csv());
        bool first = true, anew = false;
        try {
            if (!broken.empty()) {
                session.tell(broken);
                session.pause(between_tries * vain);
            }
            Query query;
            query.add("status", wanted.status)
                .add("userId", wanted.user)
                .add("prefix", wanted.prefix)
                .add("afterCode", taken.last_code());
            request.target = query.on("/coupon/codes/" + percent_encoded(wanted.book));
            session.server().stream(request, silence,
                                    [&](const net::HttpResponse&, std::string_view piece) {
                                        rows.add(piece, [&](const std::string& row) {
                                            taken.add(row, std::exchange(first, false));
                                        });
                                        if (shows) progress.show(taken.codes(), all);
                                    });
            if (!rows.is_whole()) throw net::Garbled("an end in the middle of a line");
            if (taken.is_csv() && first) throw net::Garbled("a file without columns");
            break;
        } catch (const net::Garbled& garbled) {
            taken.flush();
            throw Quit(exit_status::unreachable,
                       session.server().url() + " answered what coupond does not: " +
                           garbled.reason() + "; " + told(taken),
                       "see that it is coupond's address: couponctl ping");
        } catch (const net::Lost& lost) {
            broken = lost.reason();
            anew = wanted.user && taken.has_any();
        } catch (const OtherColumns&) {
            broken = "the columns are others now";
            anew = true;
        } catch (const Quit& quit) {
            taken.flush();
            if (quit.status() == exit_status::interrupted) {
                throw Quit(exit_status::interrupted, "interrupted; " + told(taken),
                           cure(wanted, taken));
            }
            if (quit.status() != exit_status::unreachable || !taken.has_any()) throw;
            throw Quit(exit_status::unreachable, quit.what() + ("; " + told(taken)),
                       cure(wanted, taken));
        }
        vain = taken.codes() > before && !anew ? 1 : vain + 1;
        if (vain > tries_most || (anew && (!taken.is_file() || wanted.go_on))) {
            taken.flush();
            throw Quit(
                exit_status::unreachable, "the export broke off: " + broken + "; " + told(taken),
                anew ? "begin anew: run the same command without --continue" : cure(wanted, taken));
        }
        broken += anew ? "; beginning anew" : "; going on behind what has come, as it is now";
        if (anew) taken.begin();
    }
    session.errors().clear_bar();
    taken.end();
    if (taken.is_file()) {
        session.tell(wanted.file + ": " + std::to_string(taken.codes()) + " codes");
    }
}

}  // namespace coupond::ctl
