#include "app/draft.hpp"

#include <algorithm>
#include <variant>

#include "base/random.hpp"
#include "domain/code_pattern.hpp"

namespace coupond {
namespace {

Permutation::Key fresh_key() {
    Permutation::Key key{};
    for (std::size_t i = 0; i < key.size(); i += sizeof(std::uint64_t)) {
        const std::uint64_t random = secure_random();
        const auto* const bytes = reinterpret_cast<const unsigned char*>(&random);
        std::copy_n(bytes, sizeof random, key.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return key;
}

}  // namespace

std::optional<CodeMaker> make_codes(const std::string& pattern,
                                    const std::optional<Generator>& found, Generator& generator) {
    const auto parsed = parse_code_pattern(pattern);
    const auto* const of_codes = std::get_if<CodePattern>(&parsed);
    if (of_codes == nullptr) return std::nullopt;
    generator = found.value_or(Generator{fresh_key(), 0, 0});
    return CodeMaker(*of_codes, generator.key);
}

std::uint64_t draw(std::uint64_t bound) {
    return secure_random_below(bound);
}

}  // namespace coupond
