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
    const auto is_left = [&](std::int64_t number) {
        return static_cast<CodeSpace::Number>(number) < space_.numbers();
    };
    while (left() > 0 && is_left(next)) {
        numbers.clear();
        const std::size_t most = std::min(left(), most_at_once);
        for (std::int64_t number = next; numbers.size() < most && is_left(number); ++number) {
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
    draft.exhausted = !is_left(next);
    return draft;
}

double guess_probability(std::int64_t made, CodeSpace::Number codes) {
    return std::min(1.0, static_cast<double>(made) / static_cast<double>(codes));
}

}  // namespace coupond
