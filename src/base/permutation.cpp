#include "base/permutation.hpp"

#include <endian.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/check.hpp"

namespace coupond {
namespace {

constexpr int rounds = 10;
constexpr std::size_t most_at_once = 1024;

using Block = std::array<unsigned char, 16>;

/// What is encrypted for a half of a number: which round of a network over how many bits, and the
/// half.
Block block_of(int round, int bits, std::uint64_t half) {
    Block block{static_cast<unsigned char>(round), static_cast<unsigned char>(bits)};
    const std::uint64_t ordered = htole64(half);
    std::memcpy(block.data() + 8, &ordered, sizeof ordered);
    return block;
}

std::uint64_t number_of(const Block& block) {
    std::uint64_t ordered = 0;
    std::memcpy(&ordered, block.data(), sizeof ordered);
    return le64toh(ordered);
}

std::uint64_t low_bits(int bits) {
    return (std::uint64_t{1} << bits) - 1;
}

}  // namespace

struct Permutation::Cipher {
    EVP_CIPHER_CTX* const aes = EVP_CIPHER_CTX_new();

    explicit Cipher(const Key& key) {
        COUPOND_CHECK(aes != nullptr && EVP_EncryptInit_ex(aes, EVP_aes_256_ecb(), nullptr,
                                                           key.data(), nullptr) == 1);
        EVP_CIPHER_CTX_set_padding(aes, 0);
    }
    ~Cipher() { EVP_CIPHER_CTX_free(aes); }
    Cipher(const Cipher&) = delete;
    Cipher& operator=(const Cipher&) = delete;

    void encrypt(std::vector<Block>& blocks) {
        auto* const bytes = blocks.data()->data();
        const int size = static_cast<int>(blocks.size() * sizeof(Block));
        int written = 0;
        COUPOND_CHECK(EVP_EncryptUpdate(aes, bytes, &written, bytes, size) == 1 && written == size);
    }
};

Permutation::Permutation(const Key& key, Number size)
    : cipher_(std::make_unique<Cipher>(key)), size_(size) {
    COUPOND_CHECK(size >= 1 && size <= most);
    while ((Number{1} << bits_) < size) ++bits_;
}

Permutation::~Permutation() = default;
Permutation::Permutation(Permutation&&) noexcept = default;
Permutation& Permutation::operator=(Permutation&&) noexcept = default;

void Permutation::apply(std::span<Number> numbers) {
    while (!numbers.empty()) {
        std::vector<Number*> walking;
        for (Number& number : numbers.first(std::min(numbers.size(), most_at_once))) {
            COUPOND_CHECK(number < size_);
            walking.push_back(&number);
        }
        numbers = numbers.subspan(walking.size());
        while (!walking.empty()) {
            apply_once(walking);
            std::erase_if(walking, [this](const Number* number) { return *number < size_; });
        }
    }
}

void Permutation::apply_once(std::span<Number* const> numbers) {
    const int low = bits_ - bits_ / 2;
    const int high = bits_ / 2;
    std::vector<std::uint64_t> halves[2];  // the low ones, the high ones
    for (const Number* const number : numbers) {
        halves[0].push_back(static_cast<std::uint64_t>(*number) & low_bits(low));
        halves[1].push_back(static_cast<std::uint64_t>(*number >> low));
    }
    std::vector<Block> blocks(numbers.size());
    for (int round = 0; round < rounds; ++round) {
        const auto& read = halves[round % 2];
        auto& changed = halves[1 - round % 2];
        const std::uint64_t mask = low_bits(round % 2 == 0 ? high : low);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            blocks[i] = block_of(round, bits_, read[i]);
        }
        cipher_->encrypt(blocks);
        for (std::size_t i = 0; i < blocks.size(); ++i) changed[i] ^= number_of(blocks[i]) & mask;
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        *numbers[i] = Number{halves[1][i]} << low | halves[0][i];
    }
}

}  // namespace coupond
