#include "app/import_job.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/draft.hpp"
#include "base/check.hpp"
#include "base/limits.hpp"
#include "wire/code_file.hpp"

namespace coupond {
namespace {

/// Of the file, read at once: 2 MiB.
constexpr std::int64_t parts_at_once = 8;

/// Files of no more rows keep their order.
constexpr std::size_t rows_in_order = 20'000;

/// Codes that are looked for at once.
constexpr std::size_t codes_at_once = 5'000;

/// Rejected rows in one step, but for those that it finds by itself.
constexpr std::size_t rejected_at_once = 5'000;

}  // namespace

/// Rows as they are read, with their dates as moments; or rejected where the book has no room for
/// what they say.
class ImportJob::Rows : public wire::CodeFile::Rows {
public:
    explicit Rows(const ImportJob& job) : job_(job) {}

    void row(ImportedCode&& code) final {
        if (!code.user_id.empty() && job_.book_->open) {
            return rejected({code.line, std::string(to_string(Refusal::book_open)), code.code});
        }
        if (!code.expires_on.empty()) {
            code.settings.expires_at = job_.zone_->parse_end(code.expires_on);
            if (!code.settings.expires_at) {
                return rejected({code.line, "expires_at_invalid", code.expires_on});
            }
            code.expires_on.clear();
        }
        if (!job_.book_->case_sensitive && ImportShare::has_no_spelling(code)) {
            return rejected({code.line, "code_invalid", code.code});
        }
        take(code);
    }

    void rejected(RejectedRow&&) override {}

protected:
    virtual void take(const ImportedCode& code) = 0;

private:
    const ImportJob& job_;
};

ImportJob::ImportJob(ReadStore& store, Job job, const Hands& hands)
    : store_(store), job_(std::move(job)), hands_(hands) {
    COUPOND_CHECK(job_.import);
    zone_ = TimeZone::find(job_.import->time_zone);
    COUPOND_CHECK(zone_);  // it was sound when it was read
}

void ImportJob::run() {
    using Stage = Import::Stage;
    if (job_.import->stage == Stage::receiving) {
        // Whoever received it has ended without a word.
        AddImported lost = next();
        lost.is_lost = true;
        hands_.take(std::move(lost), {});
        return;
    }
    if (!find_book()) return;
    if (job_.import->stage == Stage::reading && !count()) return;
    if (!job_.is_finished() && job_.import->stage == Stage::checking && !check()) return;
    if (!job_.is_finished() && job_.import->stage == Stage::adding) add();
}

/// Looks at the book; where it is gone, the rules will tell.
bool ImportJob::find_book() {
    const auto found = store_.find_generator(job_.book_id);
    if (!found) return false;
    if (*found) book_ = (*found)->book;
    if (!book_) hands_.take(next(), {});
    return book_.has_value();
}

/// A step that leaves everything as it is.
AddImported ImportJob::next() const {
    AddImported command;
    command.book_id = job_.book_id;
    command.job_id = job_.id;
    command.before = *job_.import;
    command.after = *job_.import;
    return command;
}

/// Nobody else takes the job over while it takes its time. False where it is to be left.
bool ImportJob::keep() {
    if (hands_.must_stop()) return false;
    if (Clock::now() - kept_at_ < std::chrono::milliseconds(limits::job_claim_ms / 3)) return true;
    return take(next(), {});
}

bool ImportJob::read_file(Rows& rows) {
    const Import& import = *job_.import;
    wire::CodeFile file(import.format, rows);
    for (std::int64_t part = 0; part < import.parts; part += parts_at_once) {
        if (!keep()) return false;
        const auto parts = store_.read_file(job_.id, part, parts_at_once);
        const std::int64_t wanted = std::min(parts_at_once, import.parts - part);
        if (!parts || std::ssize(*parts) != wanted) return false;
        // Whether there is anything wrong with the file as a whole was looked at as it came.
        for (const std::string& bytes : *parts) {
            if (!file.read(bytes)) return false;
        }
    }
    return file.end();
}

/// Counts, and keeps all rows in only_share_ where they make up a single share.
std::optional<ImportJob::Contents> ImportJob::read() {
    class Counter final : public Rows {
    public:
        explicit Counter(ImportJob& job) : Rows(job), job_(job) {}
        void take(const ImportedCode& code) override {
            ++contents.rows;
            contents.bytes += ImportShare::bytes_of(code, !job_.book_->case_sensitive);
            if (shares_of(contents) > 1) job_.only_share_.reset();
            if (job_.only_share_) job_.only_share_->add(code);
        }
        void rejected(RejectedRow&& row) override {
            ++contents.rows;
            job_.reject(contents, std::move(row));
            is_told_ = is_told_ && job_.hand_over_many(contents.rejected);
        }
        bool is_told() const { return is_told_; }
        Contents contents;

    private:
        ImportJob& job_;
        bool is_told_ = true;
    };
    only_share_.emplace(0, 1, !book_->case_sensitive);
    only_share_->reserve(limits::share_rows, job_.import->bytes);
    Counter counter(*this);
    if (!read_file(counter) || !counter.is_told()) return std::nullopt;
    if (shares_of(counter.contents) > 1) only_share_.reset();
    if (only_share_) put_in_order(*only_share_, 1);
    return std::move(counter.contents);
}

/// In how many shares the rows are to be taken.
std::int64_t ImportJob::shares_of(const Contents& contents) {
    return 1 +
           std::max((contents.rows - 1) / limits::share_rows, contents.bytes / limits::share_bytes);
}

std::optional<ImportShare> ImportJob::share(std::int64_t number, std::int64_t shares) {
    class Collector final : public Rows {
    public:
        Collector(const ImportJob& job, ImportShare& share) : Rows(job), share_(share) {}
        void take(const ImportedCode& code) override { share_.add(code); }

    private:
        ImportShare& share_;
    };
    if (shares == 1 && only_share_) return std::exchange(only_share_, std::nullopt);
    ImportShare share(number, shares, !book_->case_sensitive);
    const std::int64_t rows = job_.requested / shares, bytes = job_.import->bytes / shares;
    share.reserve(rows + rows / 16, bytes + bytes / 16);
    Collector collector(*this, share);
    if (!read_file(collector)) return std::nullopt;
    put_in_order(share, shares);
    return share;
}

void ImportJob::put_in_order(ImportShare& share, std::int64_t shares) {
    share.sort();
    // What goes into the index's pages at random is little then: ids have the file's order.
    if (shares == 1 && share.size() <= rows_in_order) share.sort_by_lines();
}

/// Adds to `contents.rejected` the rows whose codes are in lines before, or are there already.
bool ImportJob::look_for_conflicts(std::int64_t shares, Contents& contents) {
    for (std::int64_t number = 0; number < shares; ++number) {
        auto rows = share(number, shares);
        if (!rows || !look_for_conflicts(*rows, contents)) return false;
        if (shares == 1) only_share_ = std::move(rows);
    }
    return true;
}

bool ImportJob::look_for_conflicts(const ImportShare& share, Contents& contents) {
    for (std::size_t begin = 0; begin < share.size(); begin += codes_at_once) {
        if (!keep()) return false;
        std::vector<std::string> codes;
        std::vector<std::int64_t> lines;
        for (std::size_t i = begin; i < std::min(begin + codes_at_once, share.size()); ++i) {
            ImportedCode row = share.at(i);
            if (share.is_repeated(i)) {
                reject(contents, {row.line, std::string(code_repeated), std::move(row.code)});
                continue;
            }
            codes.push_back(std::move(row.code));
            lines.push_back(row.line);
        }
        const auto exist = store_.exist(codes, !book_->case_sensitive);
        if (!exist) return false;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            if (!(*exist)[i]) continue;
            reject(contents, {lines[i], std::string(to_string(Refusal::codes_already_exist)),
                              std::move(codes[i])});
        }
        if (!hand_over_many(contents.rejected)) return false;
    }
    return true;
}

void ImportJob::reject(Contents& contents, RejectedRow&& row) const {
    if (job_.import->rejected + contents.rejected_count++ < limits::rejected_rows) {
        contents.rejected.push_back(std::move(row));
    }
}

/// Has steps taken of those beyond what one step takes. They are not counted until a step counts
/// them all: where it does not come to that, they are sent anew.
bool ImportJob::hand_over_many(std::vector<RejectedRow>& rejected) {
    while (rejected.size() > rejected_at_once) {
        AddImported some = next();
        const auto end = rejected.end();
        const auto begin = end - static_cast<std::ptrdiff_t>(rejected_at_once);
        some.rejected.assign(std::move_iterator(begin), std::move_iterator(end));
        rejected.erase(begin, end);
        if (!hands_.take(std::move(some), {})) return false;
    }
    return true;
}

/// Has a step taken, and the rows that are rejected with it. `meanwhile`: see Hands.
bool ImportJob::take(AddImported step, Contents contents, const std::function<void()>& meanwhile) {
    std::vector<RejectedRow>& rejected = contents.rejected;
    const auto room = std::max(limits::rejected_rows - job_.import->rejected, std::int64_t{0});
    rejected.resize(std::min(rejected.size(), static_cast<std::size_t>(room)));
    if (!hand_over_many(rejected)) return false;
    step.rejected = std::move(rejected);
    step.rejected_count = contents.rejected_count;
    auto job = hands_.take(std::move(step), meanwhile);
    if (job) job_ = std::move(*job);
    kept_at_ = Clock::now();
    return job.has_value();
}

bool ImportJob::count() {
    std::optional<Contents> contents = read();
    if (!contents) return false;
    AddImported counted = next();
    Import& after = counted.after;
    after.shares = shares_of(*contents);
    counted.rows = contents->rows;
    if (after.skips) {
        after.stage = Import::Stage::adding;
    } else if (contents->rejected_count == 0) {
        after.stage = Import::Stage::checking;
    } else if (!look_for_conflicts(after.shares, *contents)) {  // that all is told at once
        return false;
    }
    return take(std::move(counted), std::move(*contents));
}

bool ImportJob::check() {
    Contents conflicts;
    if (!look_for_conflicts(job_.import->shares, conflicts)) return false;
    AddImported checked = next();
    if (conflicts.rejected_count == 0) checked.after.stage = Import::Stage::adding;
    return take(std::move(checked), std::move(conflicts));
}

/// While one piece is added, the next one is made.
void ImportJob::add() {
    const std::int64_t number = job_.import->share;
    const auto rows = share(number, job_.import->shares);
    if (!rows) return;
    std::size_t most = hands_.begin();
    Piece next = piece_of(*rows, static_cast<std::size_t>(job_.import->done), most);
    for (;; most = hands_.begin()) {
        const std::int64_t rejected = job_.import->rejected + next.repeated.rejected_count;
        AddImported step = step_of(*rows, next);
        const std::size_t count = step.codes.size(), end = next.end;
        Contents repeated = std::move(next.repeated);
        const bool taken =
            take(std::move(step), std::move(repeated), [&] { next = piece_of(*rows, end, most); });
        if (!taken) return;
        expects_new_ &= job_.import->rejected == rejected;
        hands_.added(count);
        if (job_.is_finished() || job_.import->share != number) return;
    }
}

ImportJob::Piece ImportJob::piece_of(const ImportShare& share, std::size_t begin,
                                     std::size_t most) const {
    Piece piece;
    const std::size_t first = std::min(share.size(), begin);
    const std::size_t last = first + std::min(share.size() - first, most);
    std::int64_t entries = 0;
    for (piece.end = first; piece.end < last && entries < limits::piece_entries; ++piece.end) {
        ImportedCode row = share.at(piece.end);
        if (share.is_repeated(piece.end)) {
            reject(piece.repeated, {row.line, std::string(code_repeated), std::move(row.code)});
            continue;
        }
        const bool goes_on = !piece.codes.empty() && piece.codes.back().settings == row.settings;
        entries += (goes_on ? 0 : 1) + (row.user_id.empty() ? 0 : 1);
        piece.codes.push_back(std::move(row));
    }
    // Anywhere within a stretch of the order in which free codes are given away: neighbours in it
    // stand on few pages, and who is given one cannot tell the next.
    const auto size = static_cast<double>(share.size());
    const double width = static_cast<double>(piece.end - first) / size;
    const double from = static_cast<double>(first) / size;
    for (ImportedCode& code : piece.codes) {
        const double place = static_cast<double>(draw(1u << 31)) / static_cast<double>(1u << 31);
        code.order = std::min(from + width * place, std::nextafter(1.0, 0.0));
    }
    return piece;
}

/// What adds the codes of `piece`, which it takes out of it.
AddImported ImportJob::step_of(const ImportShare& share, Piece& piece) const {
    AddImported step = next();
    step.codes = std::move(piece.codes);
    // Where all or none are added, it has looked for them.
    step.expects_new = !job_.import->skips || expects_new_;
    step.after.done = static_cast<std::int64_t>(piece.end);
    if (piece.end >= share.size()) {
        ++step.after.share;
        step.after.done = 0;
    }
    return step;
}

}  // namespace coupond
