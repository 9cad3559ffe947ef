// Codes made by the pattern of a book, and the jobs that make many of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/permutation.hpp"
#include "domain/code_space.hpp"
#include "domain/import.hpp"
#include "domain/qr_images.hpp"
#include "domain/types.hpp"

namespace coupond {

/// What the codes of a book and a pattern come from: the codes of a keyed permutation of the
/// numbers that the pattern has, in order. Each number is used once.
struct Generator {
    Permutation::Key key{};  ///< of this book and pattern only; secret
    std::int64_t next = 0;   ///< the first number, before it is permuted, that was not used yet
    std::int64_t drafts =
        0;  ///< codes that those before it had, also those that were there already

    bool operator==(const Generator&) const = default;
};

/// Codes that are to be added, if they are not there yet.
struct CodeDraft {
    struct Candidate {
        std::string code;
        std::int64_t next = 0;  ///< Generator::next behind it
    };
    std::vector<Candidate> candidates;
    std::int64_t next = 0;   ///< Generator::next behind all of them
    bool exhausted = false;  ///< there are no numbers after that
};

/// Numbers of a Generator that a job has for its own: those from `first` on, before `end`. Their
/// codes are made in the order of the numbers that the permutation makes of them, which is that of
/// the codes, so that neighbours in the store's index come one after the other.
struct JobRound {
    std::int64_t first = 0;
    std::int64_t end = 0;

    std::int64_t size() const { return end - first; }
    bool operator==(const JobRound&) const = default;
};

/// Makes the codes of one pattern with one key. Not thread-safe.
class CodeMaker {
public:
    /// `pattern` must be of parse_code_pattern().
    CodeMaker(const CodePattern& pattern, const Permutation::Key& key);

    /// How many codes there are; at most CodeSpace::most.
    CodeSpace::Number codes() const { return space_.codes(); }

    /// The next `count` codes from `next` on, or as many as there are. `draw`: see CodeSpace.
    CodeDraft draft(std::int64_t next, std::size_t count, const CodeSpace::Draw& draw);

    /// The numbers from `next` on, up to `count`, as far as there are any.
    JobRound round(std::int64_t next, std::int64_t count) const;

    /// What the permutation makes of the numbers of `round`, ascending. Takes 16 bytes for each.
    std::vector<CodeSpace::Number> permuted(const JobRound& round);

    /// The codes of those of `numbers` that have one. CodeDraft::Candidate::next and
    /// CodeDraft::next are left out.
    CodeDraft draft(std::span<const CodeSpace::Number> numbers, const CodeSpace::Draw& draw) const;

private:
    bool has(std::int64_t number) const {
        return static_cast<CodeSpace::Number>(number) < space_.numbers();
    }

    CodeSpace space_;
    Permutation permutation_;
};

/// How likely it is that a code of a pattern that has `codes` is one of `made`.
double guess_probability(std::int64_t made, CodeSpace::Number codes);

/// Beyond this it is worth a warning.
inline constexpr double likely_guess = 1e-6;

/// Making codes for a book, bringing in those of a file, or drawing QR codes of them, piece by
/// piece, beside everything else.
struct Job {
    enum class Status : std::int16_t { queued, running, completed, failed, cancelled };

    JobId id = 0;
    BookId book_id = 0;
    // At most one of them; where there is none, it makes codes.
    std::optional<Import> import = {};
    std::optional<QrImages> images = {};
    std::string code_pattern;  ///< of one that makes codes: that of the book when it was asked for
    CodeSettings settings;     ///< of the codes that it makes
    Status status = Status::queued;
    JobRound round = {};    ///< the one of the moment, or the last one,
    std::int64_t done = 0;  ///< and how many of its numbers are done
    /// Codes; of an import the file's rows, once it is read; of images the book's codes, once they
    /// are counted.
    std::int64_t requested = 0;
    std::int64_t created = 0;  ///< of images, those that are there
    /// That somebody guesses one of the book's codes by the pattern in one try, when all are made.
    double guess_probability = 0;
    Timestamp created_at;
    std::optional<Timestamp> started_at;
    std::optional<Timestamp> finished_at;
    std::string error;       ///< the name of the Refusal for which it has failed; else empty
    std::string request_id;  ///< of the request that asked for it
    std::string worker;      ///< AddGenerated::Piece::worker of its last piece; empty: none yet
    std::optional<Timestamp> claimed_until;
    std::int64_t version = 0;  ///< one more with each change: what a guarded save compares

    bool is_finished() const { return status > Status::running; }
    bool makes_codes() const { return !import && !images; }
    /// Rows that were not taken in, or codes that have no image.
    std::int64_t rejected() const {
        return import ? import->rejected : images ? images->rejected : 0;
    }
    /// Whether nobody else may add codes.
    bool adds_alone() const { return import && import->adds_alone() && !is_finished(); }
    /// Whether it is its worker's. No claim is for longer than limits::job_claim_ms: one that seems
    /// to be was made by a clock that was wrong.
    bool is_claimed(Timestamp now) const {
        return claimed_until && now < *claimed_until &&
               *claimed_until <= now + limits::job_claim_most_ms;
    }

    bool operator==(const Job&) const = default;
};

inline constexpr Job::Status last_job_status = Job::Status::cancelled;

/// What the row of a job keeps of it that one that makes codes has not, as text without a line
/// break; nothing: it makes codes.
std::optional<std::string> details_text(const Job& job);
/// False where `text` is not of it.
bool read_details(std::string_view text, Job& job);

/// Whether the book, of which `free` codes are left, is to have more made by themselves.
bool runs_low(const Book& book, std::int64_t free);

}  // namespace coupond
