// Files of codes. An input is one byte, which says what follows, and behind it a file: whole or
// cut, it is read as the same.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "base/time_zone.hpp"
#include "wire/code_file.hpp"
#include "wire/json_reader.hpp"

namespace coupond::wire {
namespace {

bool is_one_of(std::string_view code, std::span<const FileReason> reasons) {
    return std::ranges::find(reasons, code, &FileReason::code) != reasons.end();
}

void check_text(std::string_view text, std::size_t most_characters) {
    const auto shape = examine_text(text);
    COUPOND_CHECK(shape && !shape->has_control);
    COUPOND_CHECK(shape->characters >= 1 && shape->characters <= most_characters);
}

void check(const ImportedCode& row) {
    check_text(row.code, limits::code_characters);
    if (!row.user_id.empty()) check_text(row.user_id, limits::user_id_characters);
    const CodeSettings& settings = row.settings;
    COUPOND_CHECK(row.expires_on.empty() ||
                  (!settings.expires_at && TimeZone::find("UTC")->parse_end(row.expires_on)));
    COUPOND_CHECK(!settings.expires_at || has_iso8601(*settings.expires_at));
    COUPOND_CHECK(settings.max_redemptions.value_or(1) >= 1 &&
                  settings.max_redemptions.value_or(1) <= limits::redemptions);
    COUPOND_CHECK(settings.metadata.size() <= limits::metadata_bytes);
    constexpr std::array specs{MemberSpec{.name = "metadata", .captured = true}};
    const auto body = read_body("{\"metadata\":" + settings.metadata + "}", specs);
    COUPOND_CHECK(std::get<Body>(body).members[0].text == settings.metadata);
}

/// Checks what comes, and that lines only go up.
struct Collected : CodeFile::Rows {
    std::vector<ImportedCode> codes;
    std::vector<RejectedRow> rejects;
    std::int64_t last_line = 0;

    void row(ImportedCode&& code) override {
        COUPOND_CHECK(code.line > last_line);
        last_line = code.line;
        check(code);
        codes.push_back(std::move(code));
    }
    void rejected(RejectedRow&& row) override {
        COUPOND_CHECK(row.line > last_line);
        last_line = row.line;
        COUPOND_CHECK(is_one_of(row.reason, row_reasons()));
        COUPOND_CHECK(row.text.size() <= limits::rejected_text_bytes);
        COUPOND_CHECK(examine_text(row.text) && row.text.find('\0') == std::string::npos);
        rejects.push_back(std::move(row));
    }
};

CodeFile::Problem read(CodeFile::Format format, std::string_view text, std::size_t piece_bytes,
                       Collected& rows) {
    CodeFile file(format, rows);
    bool fine = true;
    while (fine && !text.empty()) {
        // A copy, of which nothing may be kept.
        fine = file.read(std::string(text.substr(0, piece_bytes)));
        text.remove_prefix(std::min(text.size(), piece_bytes));
    }
    fine = fine && file.end();
    const CodeFile::Problem problem = file.problem();
    COUPOND_CHECK(fine == problem.code.empty());
    COUPOND_CHECK(fine || is_one_of(problem.code, file_reasons()));
    COUPOND_CHECK(fine || (rows.codes.empty() && rows.rejects.empty()));
    COUPOND_CHECK(examine_text(problem.message) && problem.message.size() < 1'024);
    return problem;
}

void run(std::string_view input) {
    if (input.empty()) return;
    const auto first = static_cast<unsigned char>(input.front());
    const auto format = first % 2 == 0 ? CodeFile::Format::csv : CodeFile::Format::ndjson;
    const std::string_view text = input.substr(1);
    Collected whole, cut;
    const CodeFile::Problem problem =
        read(format, text, std::max<std::size_t>(text.size(), 1), whole);
    const CodeFile::Problem of_cut = read(format, text, first / 2 + 1U, cut);
    COUPOND_CHECK(cut.codes == whole.codes && cut.rejects == whole.rejects);
    COUPOND_CHECK(of_cut.code == problem.code && of_cut.message == problem.message);
}

}  // namespace
}  // namespace coupond::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    coupond::wire::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
