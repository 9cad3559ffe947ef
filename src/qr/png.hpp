// PNG (ISO/IEC 15948) of black and white images.
#pragma once

#include <string>
#include <vector>

namespace coupond::qr {

/// A square image of one bit a pixel, 1 for white, the leftmost pixel in the highest bit. There are
/// as many rows as pixels in each; several may be the same one. Throws std::bad_alloc.
std::string write_png(std::vector<unsigned char*> rows);

}  // namespace coupond::qr
