#include "base/gzip.hpp"

#include <zlib.h>

#include <array>
#include <new>

#include "base/check.hpp"

namespace coupond {
namespace {

constexpr int level = 1;              // codes are random: more work makes them hardly smaller
constexpr int window_bits = 15 + 16;  // + 16: as gzip
constexpr int memory_level = 8;

}  // namespace

struct Gzip::Stream {
    Stream() {
        const int code =
            deflateInit2(&state, level, Z_DEFLATED, window_bits, memory_level, Z_DEFAULT_STRATEGY);
        if (code == Z_MEM_ERROR) throw std::bad_alloc();
        COUPOND_CHECK(code == Z_OK);
    }
    ~Stream() { deflateEnd(&state); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    void run(std::string_view text, int flush, std::string& out) {
        // It does not write to what it reads.
        state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        state.avail_in = static_cast<uInt>(text.size());
        std::array<char, 16 * 1024> room;
        do {
            state.next_out = reinterpret_cast<Bytef*>(room.data());
            state.avail_out = static_cast<uInt>(room.size());
            COUPOND_CHECK(deflate(&state, flush) != Z_STREAM_ERROR);
            out.append(room.data(), room.size() - state.avail_out);
        } while (state.avail_out == 0);
    }

    z_stream state{};
};

Gzip::Gzip() : stream_(std::make_unique<Stream>()) {}
Gzip::~Gzip() = default;
Gzip::Gzip(Gzip&&) noexcept = default;
Gzip& Gzip::operator=(Gzip&&) noexcept = default;

void Gzip::add(std::string_view text, std::string& out) {
    stream_->run(text, Z_NO_FLUSH, out);
}

void Gzip::end(std::string& out) {
    stream_->run({}, Z_FINISH, out);
}

}  // namespace coupond
