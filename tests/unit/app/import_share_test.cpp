// The rows of a file, share by share.
#include "app/import_share.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "domain/domain.hpp"

namespace coupond {
namespace {

ImportedCode row(std::int64_t line, std::string code) {
    return {line, std::move(code)};
}

/// So many rows, each with something else to say.
std::vector<ImportedCode> rows(std::int64_t count) {
    std::vector<ImportedCode> rows;
    for (std::int64_t line = 1; line <= count; ++line) {
        ImportedCode one = row(line, "C" + std::to_string(line * 7'919 % count));
        if (line % 2 == 0) one.user_id = "user " + std::to_string(line);
        if (line % 3 == 0) one.settings.max_redemptions = line % 5 + 1;
        if (line % 7 == 0) one.settings.metadata = R"({"line":)" + std::to_string(line) + "}";
        rows.push_back(std::move(one));
    }
    return rows;
}

ImportShare share_of(const std::vector<ImportedCode>& rows, std::int64_t share, std::int64_t shares,
                     bool folds = false) {
    ImportShare taken(share, shares, folds);
    for (const ImportedCode& one : rows) taken.add(one);
    taken.sort();
    return taken;
}

std::vector<std::string> codes(const ImportShare& share) {
    std::vector<std::string> codes;
    for (std::size_t i = 0; i < share.size(); ++i) codes.push_back(share.at(i).code);
    return codes;
}

TEST(ImportShare, EachRowIsInOneOfThem) {
    const auto all = rows(1'000);
    for (const std::int64_t shares : {1, 2, 3, 7, 64}) {
        std::map<std::int64_t, ImportedCode> found;
        for (std::int64_t share = 0; share < shares; ++share) {
            const ImportShare taken = share_of(all, share, shares);
            // About as many in each.
            EXPECT_GT(static_cast<std::int64_t>(taken.size()) * shares, 300);
            EXPECT_LT(static_cast<std::int64_t>(taken.size()) * shares, 2'500);
            for (std::size_t i = 0; i < taken.size(); ++i) {
                const ImportedCode one = taken.at(i);
                EXPECT_TRUE(found.emplace(one.line, one).second) << one.line;
            }
        }
        ASSERT_EQ(found.size(), all.size()) << shares;
        for (const ImportedCode& one : all) EXPECT_EQ(found.at(one.line), one);
    }
}

TEST(ImportShare, ItsRowsAreInTheOrderOfTheirCodesByBytes) {
    const std::vector<std::string> ascending{
        "", " ", "-", "A", "A-", "AA", "Z", "a", "a b", "\u00fc", "\u20ac", "\uffff", "\U0001f600"};
    std::vector<ImportedCode> shuffled;
    for (std::size_t i = 0; i < ascending.size(); ++i) {
        shuffled.push_back(row(static_cast<std::int64_t>(i) + 1, ascending[i * 5 % 13]));
    }
    EXPECT_EQ(codes(share_of(shuffled, 0, 1)), ascending);
    for (std::int64_t share = 0; share < 3; ++share) {
        EXPECT_TRUE(std::ranges::is_sorted(codes(share_of(rows(500), share, 3))));
    }
}

TEST(ImportShare, EqualCodesMeetInTheOrderOfTheirLines) {
    std::vector<ImportedCode> twice = rows(300);
    for (std::int64_t line = 301; line <= 600; ++line) {
        twice.push_back(row(line, "C" + std::to_string(line - 301)));
    }
    std::size_t first = 0, repeated = 0;
    for (std::int64_t share = 0; share < 5; ++share) {
        const ImportShare taken = share_of(twice, share, 5);
        for (std::size_t i = 0; i < taken.size(); ++i) {
            ++(taken.is_repeated(i) ? repeated : first);
            if (!taken.is_repeated(i)) continue;
            EXPECT_EQ(taken.at(i).code, taken.at(i - 1).code);
            EXPECT_GT(taken.at(i).line, taken.at(i - 1).line);
        }
    }
    EXPECT_EQ(first, 300u);
    EXPECT_EQ(repeated, 300u);

    const ImportShare thrice =
        share_of({row(9, "A"), row(3, "B"), row(5, "A"), row(7, "A"), row(1, "b")}, 0, 1);
    EXPECT_EQ(codes(thrice), (std::vector<std::string>{"A", "A", "A", "B", "b"}));
    EXPECT_EQ(thrice.at(0).line, 5);
    EXPECT_EQ(thrice.at(1).line, 7);
    EXPECT_EQ(thrice.at(2).line, 9);
    EXPECT_FALSE(thrice.is_repeated(0));
    EXPECT_TRUE(thrice.is_repeated(1));
    EXPECT_TRUE(thrice.is_repeated(2));
    EXPECT_FALSE(thrice.is_repeated(3));
    EXPECT_FALSE(thrice.is_repeated(4));
}

TEST(ImportShare, SpellingsMeetWhereTheyAreFolded) {
    const std::vector<std::string> spellings{"new-1", "NEW 1", "new1", "n\u20101ew", "New\u00a01"};
    for (std::int64_t shares : {1, 2, 9}) {
        std::size_t found = 0, repeated = 0;
        for (std::int64_t share = 0; share < shares; ++share) {
            std::vector<ImportedCode> all;
            for (std::size_t i = 0; i < spellings.size(); ++i) {
                all.push_back(row(static_cast<std::int64_t>(i) + 1, spellings[i]));
            }
            const ImportShare taken = share_of(all, share, shares, true);
            found += taken.size();
            for (std::size_t i = 0; i < taken.size(); ++i) {
                repeated += taken.is_repeated(i) ? 1 : 0;
                EXPECT_EQ(taken.at(i).code,
                          spellings[static_cast<std::size_t>(taken.at(i).line) - 1]);
            }
        }
        EXPECT_EQ(found, 5u);
        EXPECT_EQ(repeated, 3u);  // n-1ew is another one
    }
    EXPECT_FALSE(share_of({row(1, "new1"), row(2, "NEW1")}, 0, 1).is_repeated(1));
    EXPECT_TRUE(ImportShare::has_no_spelling(row(1, "- \u2013")));
    EXPECT_TRUE(ImportShare::has_no_spelling(row(1, "")));
    EXPECT_FALSE(ImportShare::has_no_spelling(row(1, "-a")));
}

TEST(ImportShare, KeepsSettingsOfEachRow) {
    std::vector<ImportedCode> all;
    for (std::int64_t line = 1; line <= 40; ++line) {
        ImportedCode one = row(line, std::to_string(100 + line));
        one.settings = {
            line % 2 == 0, Timestamp{line % 4}, {}, line % 5 == 0 ? R"({"a":1})" : "{}"};
        if (line % 10 == 1) one.settings = {};
        one.user_id = line % 3 == 0 ? "" : "u\n" + std::to_string(line);
        all.push_back(one);
    }
    ImportShare taken(0, 1, false);
    taken.reserve(40, 1'000);
    for (const ImportedCode& one : all) taken.add(one);
    taken.sort();
    ASSERT_EQ(taken.size(), 40u);
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(taken.at(i), all[i]);
}

TEST(ImportShare, OfNothingIsEmpty) {
    EXPECT_EQ(share_of({}, 0, 1).size(), 0u);
    ImportShare taken(3, 4, true);
    taken.reserve(INT64_MAX, INT64_MAX / 2);  // no more than it is to hold
    taken.sort();
    EXPECT_EQ(taken.size(), 0u);
}

TEST(ImportShare, TellsWhatARowTakes) {
    ImportedCode one = row(1, "ABCD");
    const std::int64_t least = ImportShare::bytes_of(one, false);
    EXPECT_GT(least, 4);
    one.user_id = "annie";
    EXPECT_EQ(ImportShare::bytes_of(one, false), least + 5);
    one.settings.metadata = std::string(1'000, 'x');
    EXPECT_GE(ImportShare::bytes_of(one, false), least + 5 + 2'000);
}

}  // namespace
}  // namespace coupond
