// Commands run on a store, without an engine.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "domain/domain.hpp"
#include "store/store.hpp"

namespace coupond::test {

/// Commands with the same request id, and what functions of the domain take of them.
class Submissions {
public:
    explicit Submissions(std::span<const Command> commands,
                         const std::string& request_id = "request") {
        all_.reserve(commands.size());
        for (const Command& command : commands) {
            pointers_.push_back(&all_.emplace_back(Submission{command, request_id}));
        }
    }

    std::span<const Submission* const> span() const { return pointers_; }

private:
    std::vector<Submission> all_;
    std::vector<const Submission*> pointers_;
};

/// What a store loads. It is asked once more where it says so, as it does where it keeps books in
/// memory and has met one that it did not know.
inline Result<World> loaded(Store& store, const Needs& needs) {
    Result<World> world = store.load(needs);
    return !world && world.error() == Failure::conflict ? store.load(needs) : std::move(world);
}

/// Loads what `commands` touch, decides them and saves: the engine's way without its care for
/// failures, which are handed on.
inline Result<std::vector<Outcome>> run(Store& store, std::span<const Command> commands,
                                        Timestamp now, const std::string& request_id = "request") {
    const Submissions submissions(commands, request_id);
    Result<World> world = loaded(store, needs(submissions.span(), now));
    if (!world) return world.error();
    Decision decision = decide(*world, submissions.span(), now);
    if (decision.shortage) return Failure::conflict;  // somebody else was faster: load again
    if (!decision.delta.empty()) {
        const Result<void> saved = store.save(decision.delta);
        if (!saved) return saved.error();
    }
    return std::move(decision.outcomes);
}

inline Result<std::vector<Outcome>> run(Store& store, const Command& command, Timestamp now,
                                        const std::string& request_id = "request") {
    return run(store, std::span(&command, 1), now, request_id);
}

inline CreateBook with_discount(CreateBook book, std::optional<Discount> discount) {
    book.discount = discount;
    return book;
}

/// `count` codes that begin with `prefix`.
inline std::vector<std::string> numbered(const std::string& prefix, std::size_t count) {
    std::vector<std::string> codes;
    codes.reserve(count);
    for (std::size_t i = 0; i < count; ++i) codes.push_back(prefix + std::to_string(i));
    return codes;
}

}  // namespace coupond::test
