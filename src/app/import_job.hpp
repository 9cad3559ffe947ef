// Takes in the codes of a file that a job has, step by step.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/import_share.hpp"
#include "base/time_zone.hpp"
#include "domain/domain.hpp"
#include "store/store.hpp"

namespace coupond {

/// Why a row is not taken in that says nothing wrong by itself: RejectedRow::reason, beside those
/// of wire::row_reasons() and codes_already_exist.
inline constexpr std::string_view code_repeated = "code_repeated";

/// The work on one job of an import. Reads the file once to count its rows, and then for each share
/// where there are several; what is in memory does not grow with the file.
class ImportJob {
public:
    /// Whoever runs it.
    struct Hands {
        /// Has a step taken, for whose worker and claim it fills in, and says what the job is then.
        /// Nothing where the job is to be left. Does `meanwhile` while it waits for that, if it
        /// comes to it; it may be empty.
        std::function<std::optional<Job>(AddImported, const std::function<void()>& meanwhile)> take;
        /// How many codes to add in a step; one begins. And that so many were added in it.
        std::function<std::size_t()> begin;
        std::function<void(std::size_t)> added;
        /// Whether all is to be left as it is.
        std::function<bool()> must_stop;
    };

    /// `store` must be current (Database::open_current_read_store), and outlive it as `hands` does.
    ImportJob(ReadStore& store, Job job, const Hands& hands);

    /// Goes on with the job: to its end, or as far as it may (Hands); or to the end of a share,
    /// that others have their turn.
    void run();

    /// As it was told last.
    const Job& job() const { return job_; }

private:
    using Clock = std::chrono::steady_clock;

    /// What the file has, by what its rows say.
    struct Contents {
        std::int64_t rows = 0;  ///< also those that are rejected
        std::int64_t bytes = 0;
        std::int64_t rejected_count = 0;
        std::vector<RejectedRow> rejected;  ///< not handed over yet
    };

    class Rows;

    /// The next codes of a share, as they are to be added.
    struct Piece {
        std::vector<ImportedCode> codes;
        Contents repeated;    ///< of it only what is rejected
        std::size_t end = 0;  ///< the rows before it have been dealt with then
    };

    AddImported next() const;
    bool find_book();
    bool keep();
    bool read_file(Rows& rows);
    std::optional<Contents> read();
    static std::int64_t shares_of(const Contents& contents);
    std::optional<ImportShare> share(std::int64_t number, std::int64_t shares);
    static void put_in_order(ImportShare& share, std::int64_t shares);
    void reject(Contents& contents, RejectedRow&& row) const;
    bool hand_over_many(std::vector<RejectedRow>& rejected);
    bool look_for_conflicts(std::int64_t shares, Contents& contents);
    bool look_for_conflicts(const ImportShare& share, Contents& contents);
    bool take(AddImported step, Contents contents, const std::function<void()>& meanwhile = {});
    bool count();
    bool check();
    void add();
    Piece piece_of(const ImportShare& share, std::size_t begin, std::size_t most) const;
    AddImported step_of(const ImportShare& share, Piece& piece) const;

    ReadStore& store_;
    Job job_;
    const Hands& hands_;
    std::optional<Book> book_;
    std::optional<TimeZone> zone_;
    std::optional<ImportShare> only_share_;  ///< all rows, where they make up a single one
    bool expects_new_ = true;                ///< no code was there already, so far
    Clock::time_point kept_at_ = Clock::now();
};

}  // namespace coupond
