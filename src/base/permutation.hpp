// A permutation that nobody can follow who does not have its key.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace coupond {

/// The numbers below a size, in an order that looks random: a Feistel network over the fewest bits
/// that hold them, and cycle walking back to them from whatever lies beyond (Black and Rogaway,
/// "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, methods 2 and 3). A round is one block of
/// AES-256; there are ten, as in FF1 (NIST SP 800-38G). It is the same for ever: what was counted
/// before goes on with it.
///
/// Its limits: who knows many of the numbers of a size below a million learns something of the
/// others, as with FF1, which is not allowed there. Not thread-safe.
class Permutation {
public:
    __extension__ using Number = unsigned __int128;
    using Key = std::array<unsigned char, 32>;

    static constexpr int most_bits = 126;
    static constexpr Number most = Number{1} << most_bits;

    /// Of the numbers below `size`, which is from 1 to `most`. A key is for one size only.
    Permutation(const Key& key, Number size);
    ~Permutation();
    Permutation(Permutation&&) noexcept;
    Permutation& operator=(Permutation&&) noexcept;

    /// Puts in the place of each of `numbers`, all below the size, the one that it becomes. Takes,
    /// for each, the time of twenty blocks on average, and less where there are many at once.
    void apply(std::span<Number> numbers);

private:
    struct Cipher;
    void apply_once(std::span<Number* const> numbers);

    std::unique_ptr<Cipher> cipher_;
    Number size_;
    int bits_ = 0;
};

}  // namespace coupond
