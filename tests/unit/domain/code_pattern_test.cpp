#include "domain/code_pattern.hpp"

#include <gtest/gtest.h>

#include "base/limits.hpp"

namespace coupond {
namespace {

struct Accepted {
    const char* text;
    const char* parts;  ///< literals in quotes, random runs as numbers, with their own alphabets
    std::size_t characters;
};

class PatternAccepts : public testing::TestWithParam<Accepted> {};

TEST_P(PatternAccepts, WhatTheGrammarSays) {
    const auto parsed = parse_code_pattern(GetParam().text);
    const auto* const pattern = std::get_if<CodePattern>(&parsed);
    ASSERT_NE(pattern, nullptr) << std::get<PatternError>(parsed).message;
    std::string parts;
    for (const CodePattern::Part& part : pattern->parts) {
        if (part.check) {
            parts += "check";
        } else if (part.random == 0) {
            parts += "'" + part.literal + "'";
        } else {
            parts += std::to_string(part.random);
            std::string alphabet;
            for (const std::string& symbol : part.alphabet) alphabet += symbol;
            if (alphabet != "23456789ABCDEFGHJKMNPQRSTUVWXYZ") parts += ":" + alphabet;
        }
    }
    EXPECT_EQ(parts, GetParam().parts);
    EXPECT_EQ(pattern->characters, GetParam().characters);
}

INSTANTIATE_TEST_SUITE_P(
    Tables, PatternAccepts,
    testing::Values(
        Accepted{"SUMMER-{6}", "'SUMMER-'6", 13}, Accepted{"{1}", "1", 1},
        Accepted{"{64}{64}", "6464", 128}, Accepted{"A{2}B{3}C", "'A'2'B'3'C'", 8},
        Accepted{"\\{\\}\\\\", "'{}\\'", 3}, Accepted{"été-{4}", "'été-'4", 8},
        Accepted{"just text", "'just text'", 9}, Accepted{"{3:digits}", "3:0123456789", 3},
        Accepted{"{4:hex}-{1}", "4:0123456789ABCDEF'-'1", 6},
        Accepted{"{1:letters}", "1:ABCDEFGHIJKLMNOPQRSTUVWXYZ", 1},
        Accepted{"{2:alnum}", "2:0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2},
        Accepted{"{2:[CAB]}", "2:ABC", 2}, Accepted{"{2:[}{é\\[\\]\\\\]}!", "2:[\\]{}é'!'", 3},
        Accepted{"A{5}{check}B", "'A'5check'B'", 8}, Accepted{"{check}{5}", "check5", 6}));

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
    testing::Values(
        Refused{"", 1, "empty"}, Refused{"A{6", 2, "without its }"},
        Refused{"A}", 2, "without its {"}, Refused{"{}", 1, "number from 1 to 64"},
        Refused{"{0}", 1, "number"}, Refused{"{06}", 1, "number"}, Refused{"{65}", 1, "number"},
        Refused{"{6x}", 1, "number"}, Refused{"{-1}", 1, "number"},
        Refused{"{99999999999999999999}", 1, "number"}, Refused{"A\\B", 2, "not before"},
        Refused{"A\\", 2, "not before"}, Refused{"é{", 2, "without its }"},
        Refused{"{6:}", 4, "no such alphabet"}, Refused{"{6:octal}", 4, "no such alphabet"},
        Refused{"é{6:digit}", 5, "no such alphabet"},
        Refused{"{6:digitsx}", 10, "between an alphabet and its }"},
        Refused{"{6:digits", 1, "without its }"}, Refused{"{:digits}", 1, "number"},
        Refused{"{6:[]}", 4, "fewer than two"}, Refused{"{6:[A]}", 4, "fewer than two"},
        Refused{"{6:[AB}", 4, "without its ]"}, Refused{"{6:[A[B]}", 6, "a [ in"},
        Refused{"{6:[ABéA]}", 8, "already"}, Refused{"{6:[A\\B]}", 6, "not before [, ]"},
        Refused{"{6:[AB]", 1, "without its }"}, Refused{"{check}", 1, "nothing random"},
        Refused{"AB{check}C", 3, "nothing random"}, Refused{"{4}{check}{check}", 11, "second"},
        Refused{"{Check}", 1, "or check"}, Refused{"{check:digits}{4}", 1, "or check"},
        Refused{"{64}{64}x", 1, "longer than 128"}));

}  // namespace
}  // namespace coupond
