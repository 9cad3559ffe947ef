// A clock that stands still until a test moves it.
#pragma once

#include <atomic>

#include "base/time.hpp"

namespace coupond::test {

class ManualClock final : public Clock {
public:
    /// 2026-11-22T14:21:13.730Z unless told otherwise.
    explicit ManualClock(Timestamp start = {1'795'357'273'730}) : ms_(start.ms) {}

    Timestamp now() const override { return {ms_}; }
    void advance(std::int64_t ms) { ms_ += ms; }

private:
    std::atomic<std::int64_t> ms_;
};

}  // namespace coupond::test
