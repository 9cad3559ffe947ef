// Rows of a file of codes, as many as memory has room for, in the order of their codes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.hpp"
#include "domain/import.hpp"

namespace coupond {

/// One of the shares in which the rows of a file are taken: those of codes whose digest is so.
/// Equal codes meet in one; or, where spellings count as equal, those of one spelling.
class ImportShare {
public:
    /// Share `share` of `shares`. `folds`: the book finds codes however they are spelled.
    ImportShare(std::int64_t share, std::int64_t shares, bool folds);

    /// Sets room aside for so many rows, whose texts have so many bytes in the file.
    void reserve(std::int64_t rows, std::int64_t bytes);

    /// Keeps the row if it is of this share.
    void add(const ImportedCode& row);

    /// To be called once, when all rows have been there.
    void sort();

    /// The same by their lines, after sort().
    void sort_by_lines();

    std::size_t size() const { return rows_.size(); }
    /// Row `place` in the order of the codes, of equal ones by their lines; or in that of
    /// sort_by_lines(). Without ImportedCode::order.
    ImportedCode at(std::size_t place) const;
    /// Whether the code of row `place` is in a line before it.
    bool is_repeated(std::size_t place) const;

    /// Whether nothing is left of its code but what spellings differ in.
    static bool has_no_spelling(const ImportedCode& row);

    /// What a row takes in memory, about.
    static std::int64_t bytes_of(const ImportedCode& row, bool folds);

private:
    /// Its texts stand one after the other in texts_: the key, if codes are folded, code and user.
    struct Row {
        std::size_t begin = 0;
        std::uint64_t key_begins = 0;  ///< with these bytes: most keys differ in them
        std::uint32_t line = 0;
        std::uint32_t settings = 0;  ///< in settings_
        std::uint16_t key_size = 0;
        std::uint16_t code_size = 0;
        std::uint16_t user_size = 0;
        bool is_repeated = false;
    };
    static_assert(limits::code_characters * 4 <= UINT16_MAX);
    static_assert(limits::user_id_characters * 4 <= UINT16_MAX);
    static_assert(limits::import_bytes - 1 <= UINT32_MAX);  // a line is a byte at least, a row more

    std::string_view key_of(const Row& row) const;

    std::int64_t share_;
    std::int64_t shares_;
    bool folds_;
    std::string texts_;
    std::vector<Row> rows_;
    std::vector<CodeSettings> settings_{CodeSettings()};  ///< each once
    std::unordered_map<std::string, std::uint32_t> settings_by_text_{{std::string(), 0}};
};

}  // namespace coupond
