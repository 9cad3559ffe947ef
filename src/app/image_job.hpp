// Draws the QR codes of a book's codes, step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "app/image_store.hpp"
#include "domain/domain.hpp"
#include "store/store.hpp"

namespace coupond {

/// The work on one job of images. Some images at a time, each of which is there before the job's
/// row says so: what is in memory does not grow with the book.
class ImageJob {
public:
    /// Has a step taken, for whose worker and claim it fills in, and says what the job is then.
    /// Nothing where the job is to be left.
    using Take = std::function<std::optional<Job>(AddImages)>;

    /// Returns when all is durable that could be seen of the database before: images tell of codes.
    using Settle = std::function<void()>;

    /// `store` must be current (Database::open_current_read_store); all must outlive it.
    ImageJob(ReadStore& store, ImageStore& images, Job job, const Take& take, const Settle& settle);

    /// Goes on with the job for about a second, that others have their turn, or to its end. False
    /// where images cannot be put at the moment, which is logged: it is to be tried again later.
    bool run(const std::stop_token& stop);

private:
    struct Outcome {
        std::vector<std::string_view> reasons;  ///< of each code why it has no image; empty: it has
        std::optional<aws::Error> error;        ///< they are not all there
        bool is_lost = false;                   ///< the job is to be left
    };

    AddImages next() const;
    bool take(AddImages step);
    std::optional<AddImages> first_step();
    Outcome put(std::span<const Code> codes, const std::stop_token& stop);
    aws::Result<std::string_view> put(const Job& job, const Code& code, std::int64_t number,
                                      int writer, const std::stop_token& stop);
    bool is_told(const aws::Error& error);

    ReadStore& store_;
    ImageStore& images_;
    Job job_;
    const Take& take_;
    const Settle& settle_;
};

}  // namespace coupond
