#include "app/import_share.hpp"

#include <endian.h>

#include <algorithm>

#include "base/limits.hpp"
#include "domain/domain.hpp"
#include "domain/spelling.hpp"

namespace coupond {
namespace {

/// FNV-1a (Fowler, Noll, Vo), mixed once more for its low bits: whoever writes a file for its rows
/// to meet in one share has it take memory for all of them, up to limits::import_bytes.
std::uint64_t digest(std::string_view text) {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return hash ^ (hash >> 32);
}

/// In the order of texts by their bytes, as far as they go.
std::uint64_t first_bytes(std::string_view text) {
    std::uint64_t bytes = 0;
    text.copy(reinterpret_cast<char*>(&bytes), sizeof bytes);
    return be64toh(bytes);
}

}  // namespace

ImportShare::ImportShare(std::int64_t share, std::int64_t shares, bool folds)
    : share_(share), shares_(shares), folds_(folds) {}

void ImportShare::reserve(std::int64_t rows, std::int64_t bytes) {
    rows_.reserve(static_cast<std::size_t>(std::min(rows, limits::share_rows)));
    // Else it would be there twice where it grows.
    const std::int64_t texts = folds_ ? 2 * bytes : bytes;
    texts_.reserve(static_cast<std::size_t>(std::min(texts, limits::share_bytes)));
}

void ImportShare::add(const ImportedCode& row) {
    const std::string key = folds_ ? folded(row.code) : std::string();
    if (shares_ > 1) {
        const std::uint64_t hash = digest(folds_ ? key : row.code);
        if (hash % static_cast<std::uint64_t>(shares_) != static_cast<std::uint64_t>(share_))
            return;
    }
    Row kept;
    kept.begin = texts_.size();
    kept.key_begins = first_bytes(folds_ ? key : row.code);
    kept.key_size = static_cast<std::uint16_t>(key.size());
    kept.code_size = static_cast<std::uint16_t>(row.code.size());
    kept.user_size = static_cast<std::uint16_t>(row.user_id.size());
    kept.line = static_cast<std::uint32_t>(row.line);
    texts_.append(key).append(row.code).append(row.user_id);
    if (row.settings != settings_.front()) {
        const auto [known, is_new] = settings_by_text_.try_emplace(
            row_text(row.settings), static_cast<std::uint32_t>(settings_.size()));
        if (is_new) settings_.push_back(row.settings);
        kept.settings = known->second;
    }
    rows_.push_back(kept);
}

std::string_view ImportShare::key_of(const Row& row) const {
    return std::string_view(texts_).substr(row.begin, folds_ ? row.key_size : row.code_size);
}

void ImportShare::sort() {
    std::ranges::sort(rows_, [this](const Row& a, const Row& b) {
        if (a.key_begins != b.key_begins) return a.key_begins < b.key_begins;
        const int order = key_of(a).compare(key_of(b));
        return order != 0 ? order < 0 : a.line < b.line;
    });
    for (std::size_t i = 1; i < rows_.size(); ++i) {
        rows_[i].is_repeated = key_of(rows_[i - 1]) == key_of(rows_[i]);
    }
    settings_by_text_ = {};
}

void ImportShare::sort_by_lines() {
    std::ranges::sort(rows_, {}, &Row::line);
}

ImportedCode ImportShare::at(std::size_t place) const {
    const Row& row = rows_[place];
    const std::string_view texts = std::string_view(texts_).substr(row.begin + row.key_size);
    ImportedCode code;
    code.line = row.line;
    code.code = texts.substr(0, row.code_size);
    code.user_id = texts.substr(row.code_size, row.user_size);
    code.settings = settings_[row.settings];
    return code;
}

bool ImportShare::is_repeated(std::size_t place) const {
    return rows_[place].is_repeated;
}

bool ImportShare::has_no_spelling(const ImportedCode& row) {
    return folded(row.code).empty();
}

std::int64_t ImportShare::bytes_of(const ImportedCode& row, bool folds) {
    // Each of its own settings stands there as such, and as what they are found by.
    const bool has_settings = row.settings != CodeSettings();
    return static_cast<std::int64_t>(sizeof(Row)) + (folds ? 2 : 1) * std::ssize(row.code) +
           std::ssize(row.user_id) +
           (has_settings ? 256 + 2 * std::ssize(row.settings.metadata) : 0);
}

}  // namespace coupond
