#include "domain/code_pattern.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace coupond {
namespace {

struct Accepted {
    const char* text;
    const char* parts;  ///< literals in quotes, random runs as numbers
    std::size_t characters;
};

class PatternAccepts : public testing::TestWithParam<Accepted> {};

TEST_P(PatternAccepts, WhatTheGrammarSays) {
    const auto parsed = parse_code_pattern(GetParam().text);
    const auto* const pattern = std::get_if<CodePattern>(&parsed);
    ASSERT_NE(pattern, nullptr) << std::get<PatternError>(parsed).message;
    std::string parts;
    for (const CodePattern::Part& part : pattern->parts) {
        parts += part.random > 0 ? std::to_string(part.random) : "'" + part.literal + "'";
    }
    EXPECT_EQ(parts, GetParam().parts);
    EXPECT_EQ(pattern->characters, GetParam().characters);
}

INSTANTIATE_TEST_SUITE_P(Tables, PatternAccepts,
                         testing::Values(Accepted{"SUMMER-{6}", "'SUMMER-'6", 13},
                                         Accepted{"{1}", "1", 1}, Accepted{"{64}{64}", "6464", 128},
                                         Accepted{"A{2}B{3}C", "'A'2'B'3'C'", 8},
                                         Accepted{"\\{\\}\\\\", "'{}\\'", 3},
                                         Accepted{"été-{4}", "'été-'4", 8},
                                         Accepted{"just text", "'just text'", 9}));

struct Refused {
    const char* text;
    std::size_t column;
    const char* message;
};

class PatternRefuses : public testing::TestWithParam<Refused> {};

TEST_P(PatternRefuses, WithTheColumnAndTheReason) {
    const auto parsed = parse_code_pattern(GetParam().text);
    const auto* const error = std::get_if<PatternError>(&parsed);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->column, GetParam().column);
    EXPECT_NE(error->message.find(GetParam().message), std::string::npos) << error->message;
}

INSTANTIATE_TEST_SUITE_P(
    Tables, PatternRefuses,
    testing::Values(Refused{"", 1, "empty"}, Refused{"A{6", 2, "without its }"},
                    Refused{"A}", 2, "without its {"}, Refused{"{}", 1, "number from 1 to 64"},
                    Refused{"{0}", 1, "number"}, Refused{"{06}", 1, "number"},
                    Refused{"{65}", 1, "number"}, Refused{"{6x}", 1, "number"},
                    Refused{"{-1}", 1, "number"}, Refused{"{99999999999999999999}", 1, "number"},
                    Refused{"A\\B", 2, "not before"}, Refused{"A\\", 2, "not before"},
                    Refused{"é{", 2, "without its }"}, Refused{"{64}{64}x", 1, "longer than 128"}));

}  // namespace
}  // namespace coupond
