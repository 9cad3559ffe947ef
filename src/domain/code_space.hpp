// The codes that a pattern stands for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/permutation.hpp"
#include "domain/code_pattern.hpp"

namespace coupond {

/// Gives each code of a pattern a number, by its random characters, the last one counting least.
///
/// The check character makes it a codeword of a pure system as ISO 7064 has them, with the radix 2
/// and the lowest prime modulus that is no less than the number of characters that occur: for
/// digits that is MOD 11-2, for alnum MOD 37-2. Such a system notices any one character that is
/// replaced by another and any two neighbours that change places. Where the check character would
/// be none of those that occur (the X of MOD 11-2, the * of MOD 37-2), there is no code of that
/// number.
class CodeSpace {
public:
    using Number = Permutation::Number;

    /// Uniform below a bound, which is at least 1.
    using Draw = std::function<std::uint64_t(std::uint64_t bound)>;

    explicit CodeSpace(const CodePattern& pattern);

    /// Numbers are below this; at most `most`.
    Number numbers() const { return numbers_; }

    /// How many numbers have a code; at most `most`, where there are more.
    Number codes() const { return codes_; }

    /// The code of a number. Where there are more than `most`, its first characters are drawn: no
    /// two numbers have the same code all the same.
    std::optional<std::string> code(Number number, const Draw& draw) const;

    /// Whether it is one of the codes.
    bool contains(std::string_view code) const;

    static constexpr Number most = Permutation::most;

private:
    /// A place in a code.
    struct Place {
        std::string literal;  ///< where it is that
        Alphabet alphabet;    ///< what may stand there: where it is random, or the check character
        bool check = false;
        bool drawn = false;   ///< its character is no part of the number
        unsigned weight = 0;  ///< of the character's value; 0 where there is no check character
        std::vector<unsigned> values = {};  ///< of the characters of `alphabet`; the same
    };

    void weigh();
    Number count() const;

    std::vector<Place> places_;
    unsigned modulus_ = 0;        ///< 0: there is no check character
    unsigned check_inverse_ = 0;  ///< of its weight
    Number numbers_ = 1;
    Number codes_ = 1;
};

}  // namespace coupond
