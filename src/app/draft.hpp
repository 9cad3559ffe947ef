// What makes the codes of a book or a job, and where their keys come from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "domain/domain.hpp"

namespace coupond {

/// Takes over what `found` has of a generator, or begins a new one, in `generator`; and makes codes
/// by it. Nothing where no codes can be made by `pattern`.
std::optional<CodeMaker> make_codes(const std::string& pattern,
                                    const std::optional<Generator>& found, Generator& generator);

/// CodeSpace::Draw, from the operating system.
std::uint64_t draw(std::uint64_t bound);

}  // namespace coupond
