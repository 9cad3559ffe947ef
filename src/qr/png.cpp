#include "qr/png.hpp"

#include <png.h>

#include <csetjmp>
#include <new>

namespace coupond::qr {
namespace {

// libpng leaves by longjmp: nothing that has a destructor may live between it and the setjmp.

[[noreturn]] void give_up(png_structp png, png_const_charp) {
    png_longjmp(png, 1);
}

void pass_over(png_structp, png_const_charp) {}

bool append(std::string& out, png_bytep bytes, std::size_t size) {
    try {
        out.append(bytes, bytes + size);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void write(png_structp png, png_bytep bytes, std::size_t size) {
    auto* const out = static_cast<std::string*>(png_get_io_ptr(png));
    if (!append(*out, bytes, size)) png_error(png, "no memory");
}

void flush(png_structp) {}

}  // namespace

std::string write_png(std::vector<unsigned char*> rows) {
    std::string out;
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, give_up, pass_over);
    png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
    // With fit rows it fails only for want of memory.
    if (info == nullptr || setjmp(png_jmpbuf(png)) != 0) {
        png_destroy_write_struct(&png, &info);
        throw std::bad_alloc();
    }
    const auto side = static_cast<png_uint_32>(rows.size());
    png_set_write_fn(png, &out, write, flush);
    png_set_IHDR(png, info, side, side, 1, PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    png_write_image(png, rows.data());
    png_write_end(png, nullptr);
    png_destroy_write_struct(&png, &info);
    return out;
}

}  // namespace coupond::qr
