#include "domain/generation.hpp"

#include <algorithm>

namespace coupond {
namespace {

constexpr std::size_t most_at_once = 4'096;

}  // namespace

CodeMaker::CodeMaker(const CodePattern& pattern, const Permutation::Key& key)
    : space_(pattern), permutation_(key, space_.numbers()) {}

CodeDraft CodeMaker::draft(std::int64_t next, std::size_t count, const CodeSpace::Draw& draw) {
    CodeDraft draft;
    draft.candidates.reserve(count);
    std::vector<CodeSpace::Number> numbers;
    const auto left = [&] { return count - draft.candidates.size(); };
    while (left() > 0 && has(next)) {
        numbers.clear();
        const std::size_t most = std::min(left(), most_at_once);
        for (std::int64_t number = next; numbers.size() < most && has(number); ++number) {
            numbers.push_back(static_cast<CodeSpace::Number>(number));
        }
        permutation_.apply(numbers);
        for (const CodeSpace::Number number : numbers) {
            ++next;
            auto code = space_.code(number, draw);
            if (code) draft.candidates.push_back({std::move(*code), next});
        }
    }
    draft.next = next;
    draft.exhausted = !has(next);
    return draft;
}

JobRound CodeMaker::round(std::int64_t next, std::int64_t count) const {
    const CodeSpace::Number numbers = space_.numbers();
    const auto first = static_cast<CodeSpace::Number>(next);
    const CodeSpace::Number left = numbers - std::min(numbers, first);
    const auto size = std::min(left, static_cast<CodeSpace::Number>(count));
    return {next, next + static_cast<std::int64_t>(size)};
}

std::vector<CodeSpace::Number> CodeMaker::permuted(const JobRound& round) {
    std::vector<CodeSpace::Number> numbers;
    numbers.reserve(static_cast<std::size_t>(round.size()));
    for (std::int64_t number = round.first; number < round.end && has(number); ++number) {
        numbers.push_back(static_cast<CodeSpace::Number>(number));
    }
    for (std::span left(numbers); !left.empty();) {
        const std::size_t count = std::min(left.size(), most_at_once);
        permutation_.apply(left.first(count));
        left = left.subspan(count);
    }
    std::ranges::sort(numbers);
    return numbers;
}

CodeDraft CodeMaker::draft(std::span<const CodeSpace::Number> numbers,
                           const CodeSpace::Draw& draw) const {
    CodeDraft draft;
    draft.candidates.reserve(numbers.size());
    for (const CodeSpace::Number number : numbers) {
        auto code = space_.code(number, draw);
        if (code) draft.candidates.push_back({std::move(*code)});
    }
    return draft;
}

std::optional<std::string> details_text(const Job& job) {
    if (job.import) return row_text(*job.import);
    if (job.images) return row_text(*job.images);
    return std::nullopt;
}

bool read_details(std::string_view text, Job& job) {
    if (read_row_text(text, job.images.emplace())) return true;
    job.images.reset();
    return read_row_text(text, job.import.emplace());
}

bool runs_low(const Book& book, std::int64_t free) {
    const bool gives = !book.archived_at && !book.open;  // open ones are never left to be given
    return gives && book.auto_generate && free < book.auto_generate->below;
}

double guess_probability(std::int64_t made, CodeSpace::Number codes) {
    return std::min(1.0, static_cast<double>(made) / static_cast<double>(codes));
}

}  // namespace coupond
