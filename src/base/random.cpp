#include "base/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "base/check.hpp"

namespace coupond {

std::uint64_t secure_random() {
    // One system call for 32 numbers: getrandom gives up to 256 bytes without being interrupted.
    thread_local std::array<std::uint64_t, 32> buffer;
    thread_local std::size_t left = 0;
    if (left == 0) {
        ssize_t got = 0;
        do {
            got = getrandom(buffer.data(), sizeof buffer, 0);
        } while (got < 0 && errno == EINTR);
        COUPOND_CHECK(got == static_cast<ssize_t>(sizeof buffer));
        left = buffer.size();
    }
    return buffer[--left];
}

std::uint64_t secure_random_below(std::uint64_t bound) {
    COUPOND_CHECK(bound != 0);
    const std::uint64_t biased =
        -bound % bound;  // 2^64 mod bound: the draws that would favour low results
    for (;;) {
        const std::uint64_t drawn = secure_random();
        if (drawn >= biased) return drawn % bound;
    }
}

std::string secure_random_base32(std::size_t size) {
    constexpr std::string_view characters = "abcdefghijklmnopqrstuvwxyz234567";
    std::string text;
    while (text.size() < size) text += characters[secure_random() % characters.size()];
    return text;
}

}  // namespace coupond
