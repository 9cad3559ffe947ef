#include "qr/qr.hpp"

#include <gtest/gtest.h>

#include <string>
#include <variant>

namespace coupond::qr {
namespace {

Drawing drawing(Format format, int size_px, int margin_modules = 4,
                ErrorLevel level = ErrorLevel::medium) {
    return {format, size_px, margin_modules, level};
}

std::string drawn(const std::string& text, const Drawing& how) {
    return std::get<std::string>(draw(text, how));
}

/// The number that four bytes of a PNG are.
unsigned number_at(const std::string& png, std::size_t at) {
    unsigned number = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
        number = number << 8 | static_cast<unsigned char>(png.at(i));
    }
    return number;
}

TEST(Qr, SvgIsOnePathOverWhite) {
    const std::string svg = drawn("A", drawing(Format::svg, 100, 0));
    // The first row: two finders, seven modules wide, at its ends.
    EXPECT_EQ(svg.find(R"(<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100" )"
                       R"(viewBox="0 0 21 21" shape-rendering="crispEdges">)"
                       R"(<rect width="21" height="21" fill="#fff"/><path d="M0 0h7v1h-7z)"),
              0U);
    EXPECT_NE(svg.find("M14 0h7v1h-7z"), std::string::npos);
    EXPECT_EQ(svg.substr(svg.size() - 9), R"("/></svg>)");
    EXPECT_EQ(svg.find("<path"), svg.rfind("<path"));

    const std::string with_margin = drawn("A", drawing(Format::svg, 100, 16));
    EXPECT_NE(with_margin.find(R"(viewBox="0 0 53 53")"), std::string::npos);
    EXPECT_NE(with_margin.find(R"(<path d="M16 16h7v1h-7z)"), std::string::npos);
}

TEST(Qr, PngIsOfTheSizeAskedForOneBitAPixel) {
    for (const int size_px : {29, 30, 400, limits::qr_size_px}) {
        const std::string png = drawn("A", drawing(Format::png, size_px));
        EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1A\n");
        EXPECT_EQ(number_at(png, 16), static_cast<unsigned>(size_px));
        EXPECT_EQ(number_at(png, 20), static_cast<unsigned>(size_px));
        EXPECT_EQ(png.substr(24, 5), std::string("\x01\0\0\0\0", 5));
        EXPECT_EQ(png.substr(png.size() - 8, 4), "IEND");
    }
}

TEST(Qr, SaysWhichSizeWouldDo) {
    for (const Format format : {Format::svg, Format::png}) {
        const auto small = draw("A", drawing(format, 28));
        EXPECT_EQ(std::get<SizeTooSmall>(small).least_px, 29);
        EXPECT_EQ(std::get<SizeTooSmall>(draw("A", drawing(format, 1, 0))).least_px, 21);
        EXPECT_NO_THROW(drawn("A", drawing(format, 29)));
    }
}

TEST(Qr, HoldsAsMuchAsTheStandardSays) {
    struct Most {
        ErrorLevel level;
        std::size_t digits, words, bytes;
    };
    // ISO/IEC 18004, table 7.
    for (const Most& most :
         {Most{ErrorLevel::low, 7089, 4296, 2953}, Most{ErrorLevel::medium, 5596, 3391, 2331},
          Most{ErrorLevel::quartile, 3993, 2420, 1663}, Most{ErrorLevel::high, 3057, 1852, 1273}}) {
        const auto fits = [&](char c, std::size_t count) {
            const auto image =
                draw(std::string(count, c), drawing(Format::svg, 400, 4, most.level));
            return std::holds_alternative<std::string>(image);
        };
        EXPECT_TRUE(fits('7', most.digits));
        EXPECT_FALSE(fits('7', most.digits + 1));
        EXPECT_TRUE(fits('A', most.words));
        EXPECT_FALSE(fits('A', most.words + 1));
        EXPECT_TRUE(fits('a', most.bytes));
        EXPECT_FALSE(fits('a', most.bytes + 1));
    }
    EXPECT_TRUE(std::holds_alternative<TextTooLong>(
        draw(std::string(100'000, 'a'), drawing(Format::png, 400))));
}

TEST(Qr, KeepsToTheLevelAskedFor) {
    // One letter fits into the smallest code at each level, and is drawn otherwise at each.
    std::string before;
    for (const ErrorLevel level :
         {ErrorLevel::low, ErrorLevel::medium, ErrorLevel::quartile, ErrorLevel::high}) {
        const std::string svg = drawn("A", drawing(Format::svg, 400, 0, level));
        EXPECT_NE(svg.find(R"(viewBox="0 0 21 21")"), std::string::npos);
        EXPECT_NE(svg, before);
        EXPECT_EQ(svg, drawn("A", drawing(Format::svg, 400, 0, level)));
        before = svg;
    }
}

TEST(Qr, DrawsTheLargestCodeAndNothing) {
    const std::string svg =
        drawn(std::string(2953, 'a'), drawing(Format::svg, 400, 0, ErrorLevel::low));
    const std::string side = std::to_string(limits::qr_modules);
    EXPECT_NE(svg.find("viewBox=\"0 0 " + side + " " + side + "\""), std::string::npos);
    EXPECT_NE(drawn("", drawing(Format::svg, 400, 0)).find(R"(viewBox="0 0 21 21")"),
              std::string::npos);
}

}  // namespace
}  // namespace coupond::qr
