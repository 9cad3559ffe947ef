#include "domain/code_space.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

namespace coupond {
namespace {

CodeSpace space_of(std::string_view pattern) {
    return CodeSpace(std::get<CodePattern>(parse_code_pattern(pattern)));
}

std::uint64_t never(std::uint64_t) {
    ADD_FAILURE() << "nothing is to be drawn";
    return 0;
}

struct Counted {
    const char* pattern;
    std::uint64_t numbers, codes;
};

class CodeSpaceHas : public testing::TestWithParam<Counted> {};

TEST_P(CodeSpaceHas, SoManyCodesAndEachOnce) {
    const auto& [pattern, numbers, codes] = GetParam();
    const CodeSpace space = space_of(pattern);
    EXPECT_TRUE(space.numbers() == numbers) << static_cast<std::uint64_t>(space.numbers());
    EXPECT_TRUE(space.codes() == codes) << static_cast<std::uint64_t>(space.codes());
    std::set<std::string> made;
    for (std::uint64_t number = 0; number < numbers; ++number) {
        const auto code = space.code(number, never);
        if (!code) continue;
        EXPECT_TRUE(space.contains(*code)) << *code;
        EXPECT_TRUE(made.insert(*code).second) << *code;
    }
    EXPECT_EQ(made.size(), codes);
}

INSTANTIATE_TEST_SUITE_P(
    Tables, CodeSpaceHas,
    testing::Values(Counted{"just text", 1, 1}, Counted{"{2}", 961, 961},
                    Counted{"A{1}-{2:digits}", 3100, 3100}, Counted{"{2:[XY]}{1:[é☃]}!", 8, 8},
                    Counted{"{2}{check}", 961, 961}, Counted{"{4:digits}{check}", 10'000, 9'091},
                    Counted{"{check}-{3:hex}", 4096, 3855}, Counted{"{4:[AB]}{check}", 16, 11},
                    Counted{"{1:[AB]}{check}{2:[é☃]}", 8, 7}));

TEST(CodeSpace, CountsTheLastCharacterLeast) {
    const CodeSpace space = space_of("A{2:digits}-{1:[XY]}");
    EXPECT_EQ(space.code(0, never), "A00-X");
    EXPECT_EQ(space.code(1, never), "A00-Y");
    EXPECT_EQ(space.code(2, never), "A01-X");
    EXPECT_EQ(space.code(199, never), "A99-Y");
}

/// Identifiers whose check characters are by ISO 7064: ORCID iDs (MOD 11-2), and the donation
/// number that the standard of ISBT 128 has for an example (MOD 37-2).
TEST(CodeSpace, ChecksAsTheStandardDoes) {
    const CodeSpace digits = space_of("{15:digits}{check}");
    EXPECT_TRUE(digits.contains("0000000218250097"));
    EXPECT_TRUE(digits.contains("0000000151093700"));
    EXPECT_EQ(digits.code(21'825'009, never), "0000000218250097");
    EXPECT_EQ(digits.code(21'694'233, never), std::nullopt);  // 0000-0002-1694-233X
    EXPECT_FALSE(digits.contains("000000021694233X"));
    EXPECT_TRUE(space_of("{13:alnum}{check}").contains("G123498654321H"));
}

TEST(CodeSpace, DrawsWhatNoNumberHolds) {
    const CodeSpace space = space_of("X{60}-{20}{check}");
    EXPECT_TRUE(space.codes() == CodeSpace::most);
    EXPECT_LE(std::log2(static_cast<double>(space.numbers())), 126);
    EXPECT_GT(std::log2(static_cast<double>(space.numbers())), 126 - std::log2(31));
    std::uint64_t drawn = 0;
    const CodeSpace::Draw draw = [&](std::uint64_t bound) { return drawn++ % bound; };
    std::set<std::string> ends;
    for (const CodeSpace::Number number :
         {CodeSpace::Number{0}, CodeSpace::Number{1}, space.numbers() - 2, space.numbers() - 1}) {
        const auto code = space.code(number, draw);
        ASSERT_TRUE(code);
        EXPECT_TRUE(space.contains(*code)) << *code;
        EXPECT_TRUE(ends.insert(code->substr(code->size() - 40, 39)).second) << *code;
    }
    EXPECT_EQ(drawn, 4 * (80 - 25));  // 31^25 is the highest power of 31 that is no more than 2^126
}

class CheckCharacter : public testing::TestWithParam<const char*> {};

/// Whatever is typed for one character of a code, and however two neighbours change places.
TEST_P(CheckCharacter, NoticesEveryMistake) {
    const CodeSpace space = space_of(GetParam());
    const auto numbers = static_cast<std::uint64_t>(space.numbers());
    std::mt19937_64 random(1);
    for (int i = 0; i < 300; ++i) {
        const auto code = space.code(random() % numbers, never);
        if (!code) continue;
        for (std::size_t at = 0; at < code->size(); ++at) {
            for (int byte = ' '; byte <= '~'; ++byte) {
                std::string mistyped = *code;
                mistyped[at] = static_cast<char>(byte);
                EXPECT_EQ(space.contains(mistyped), mistyped == *code) << mistyped;
            }
            std::string swapped = *code;
            if (at > 0) std::swap(swapped[at - 1], swapped[at]);
            EXPECT_EQ(space.contains(swapped), swapped == *code) << swapped;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Patterns, CheckCharacter,
                         testing::Values("{8}{check}", "SUMMER-{3}-{3}{check}",
                                         "{check}{10:digits}", "{4:hex}{check}{4:hex}",
                                         "{6:alnum}{check}", "{9:letters}{check}",
                                         "{3:letters}{3:digits}{check}!", "{12:[AB]}{check}",
                                         "A{2}B{2}C{check}D",
                                         "{5:[abcdefghijABCDEFGHIJ0123456789+-*/=]}{check}"));

}  // namespace
}  // namespace coupond
