#include "qr/qr.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <qrcodegen/qrcodegen.hpp>
#include <vector>

#include "base/check.hpp"
#include "qr/png.hpp"

namespace coupond::qr {
namespace {

using qrcodegen::QrCode;
using qrcodegen::QrSegment;

QrCode::Ecc ecc_of(ErrorLevel level) {
    switch (level) {
        case ErrorLevel::low: return QrCode::Ecc::LOW;
        case ErrorLevel::medium: return QrCode::Ecc::MEDIUM;
        case ErrorLevel::quartile: return QrCode::Ecc::QUARTILE;
        case ErrorLevel::high: return QrCode::Ecc::HIGH;
    }
    check_failed("a level is one of those above", __FILE__, __LINE__);
}

/// Nothing where the text is too long.
std::optional<QrCode> encode(const std::string& text, ErrorLevel level) {
    constexpr long utf8 = 26;
    std::vector<QrSegment> segments = QrSegment::makeSegments(text.c_str());
    const bool ascii =
        std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (!ascii) segments.insert(segments.begin(), QrSegment::makeEci(utf8));
    try {
        return QrCode::encodeSegments(segments, ecc_of(level), QrCode::MIN_VERSION,
                                      QrCode::MAX_VERSION, -1, false);
    } catch (const qrcodegen::data_too_long&) {
        return std::nullopt;
    }
}

/// Of one path, a rectangle each run of dark modules in a row.
std::string svg_of(const QrCode& code, const Drawing& drawing, int modules) {
    const std::string size = std::to_string(drawing.size_px);
    const std::string side = std::to_string(modules);
    std::string out = R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" + size +
                      R"(" height=")" + size + R"(" viewBox="0 0 )" + side + " " + side +
                      R"(" shape-rendering="crispEdges"><rect width=")" + side + R"(" height=")" +
                      side + R"(" fill="#fff"/><path d=")";
    for (int y = 0; y < code.getSize(); ++y) {
        for (int x = 0; x < code.getSize(); ++x) {
            const int begin = x;
            while (code.getModule(x, y)) ++x;  // beyond the edge all is light
            if (x == begin) continue;
            const std::string run = std::to_string(x - begin);
            out.append("M").append(std::to_string(begin + drawing.margin_modules));
            out.append(" ").append(std::to_string(y + drawing.margin_modules));
            out.append("h").append(run).append("v1h-").append(run).append("z");
        }
    }
    return out + R"("/></svg>)";
}

std::string png_of(const QrCode& code, const Drawing& drawing, int modules) {
    using Row = std::vector<unsigned char>;
    const auto side = static_cast<std::size_t>(drawing.size_px);
    const int module_px = drawing.size_px / modules;
    const int margin_px = (drawing.size_px - code.getSize() * module_px) / 2;
    const Row white((side + 7) / 8, 0xFF);
    std::vector<Row> different(static_cast<std::size_t>(code.getSize()) + 1, white);
    std::vector<unsigned char*> rows(side, different.back().data());
    for (int y = 0; y < code.getSize(); ++y) {
        Row& row = different[static_cast<std::size_t>(y)];
        for (int pixel = 0; pixel < code.getSize() * module_px; ++pixel) {
            if (!code.getModule(pixel / module_px, y)) continue;
            const auto at = static_cast<std::size_t>(margin_px + pixel);
            row[at / 8] = static_cast<unsigned char>(row[at / 8] & ~(0x80U >> at % 8));
        }
        const auto first = rows.begin() + margin_px + y * module_px;
        std::fill(first, first + module_px, row.data());
    }
    return write_png(std::move(rows));
}

}  // namespace

Drawn draw(const std::string& text, const Drawing& drawing) {
    COUPOND_CHECK(text.find('\0') == std::string::npos && drawing.margin_modules >= 0);
    const auto code = encode(text, drawing.error_level);
    if (!code) return TextTooLong{};
    const int modules = code->getSize() + 2 * drawing.margin_modules;
    if (drawing.size_px < modules) return SizeTooSmall{modules};
    return drawing.format == Format::svg ? svg_of(*code, drawing, modules)
                                         : png_of(*code, drawing, modules);
}

std::variant<Modules, TextTooLong> modules_of(const std::string& text, ErrorLevel level) {
    const std::optional<QrCode> code = encode(text, level);
    if (!code) return TextTooLong{};
    Modules modules{code->getSize(), {}};
    for (int y = 0; y < modules.side; ++y) {
        for (int x = 0; x < modules.side; ++x) modules.dark.push_back(code->getModule(x, y));
    }
    return modules;
}

}  // namespace coupond::qr
