#include "wire/code_file.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/csv.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "wire/codes.hpp"
#include "wire/decimal.hpp"
#include "wire/fields.hpp"
#include "wire/json_reader.hpp"
#include "wire/json_writer.hpp"

namespace coupond::wire {

enum class RowFault : std::int16_t {
    too_long,
    malformed,
    not_utf8,
    unknown_member,
    code_invalid,
    code_missing,
    already_redeemed,
    user_id_invalid,
    expires_at_invalid,
    max_redemptions_invalid,
    active_invalid,
    status_invalid,
    status_contradictory,
    metadata_invalid,
    metadata_too_large,
};

enum class FileFault : std::int16_t {
    empty,
    first_row_too_long,
    first_row_malformed,
    first_row_not_utf8,
    not_separated_by_commas,
    too_many_columns,
    code_column_missing,
    column_unknown,
    column_repeated,
};

namespace {

using Filter = CodeQuery::Filter;
using Kind = Member::Kind;

// What the numbers in the messages are.
static_assert(limits::import_row_bytes == 65'536 && limits::import_columns == 256);
static_assert(limits::code_characters == 128 && limits::user_id_characters == 255);
static_assert(limits::redemptions == 1'000'000'000 && limits::metadata_bytes == 16'384);

constexpr std::array row_texts{
    FileReason{"row_too_long", "The row takes more than 65536 bytes"},
    FileReason{"row_malformed",
               "The row's quotes do not fit, or it has more or fewer cells than the first row; or "
               "the line is no JSON object and no string, or names a member twice"},
    FileReason{"not_utf8", "The row is not UTF-8"},
    FileReason{"unknown_member", "The object has a member that is not known"},
    FileReason{"code_invalid",
               "The code must be a text of 1 to 128 characters without control characters"},
    FileReason{"code_missing", "There is no code"},
    FileReason{"already_redeemed", "The code has been redeemed where the file comes from"},
    FileReason{"user_id_invalid",
               "userId must be a text of 1 to 255 characters without control characters"},
    FileReason{"expires_at_invalid",
               "expiresAt must be a date or a time of the years 2000 to 9998, with its offset from "
               "UTC, such as 2026-11-22, 2026-11-22T14:00:00Z or 2026-11-22T15:00:00+01:00"},
    FileReason{"max_redemptions_invalid", "maxRedemptions must be an integer from 1 to 1000000000"},
    FileReason{"active_invalid", "active must be true or false"},
    FileReason{"status_invalid", "status must be one of free, assigned, locked, redeemed"},
    FileReason{"status_contradictory",
               "The status is free, but there is a userId; or it is assigned or locked, but there "
               "is none; or userId and assignedTo are not the same"},
    FileReason{"metadata_invalid", "metadata must be an object"},
    FileReason{"metadata_too_large", "metadata must take no more than 16384 bytes as JSON"},
};
static_assert(row_texts.size() == static_cast<std::size_t>(RowFault::metadata_too_large) + 1);

constexpr std::array file_texts{
    FileReason{"file_empty", "The file has no rows"},
    FileReason{"first_row_too_long", "The file's first row takes more than 65536 bytes"},
    FileReason{"first_row_malformed",
               "The quotes in the file's first row do not fit, or its columns are not separated by "
               "commas"},
    FileReason{"first_row_not_utf8", "The file is not UTF-8: its first row is not"},
    FileReason{"not_separated_by_commas", "The file's columns are not separated by commas"},
    FileReason{"too_many_columns", "The file has more than 256 columns"},
    FileReason{"code_column_missing",
               "The file has several columns, but its first row names none of them code"},
    FileReason{"column_unknown", "The file has a column that is not known"},
    FileReason{"column_repeated", "The file has a column twice"},
};
static_assert(file_texts.size() == static_cast<std::size_t>(FileFault::column_repeated) + 1);

constexpr std::size_t piece_bytes = 64 * 1024;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_line_end(char c) {
    return c == '\n' || c == '\r';
}

/// Where in `text` the first line end from `at` on is, or `end`.
std::size_t find_line_end(std::string_view text, std::size_t at, std::size_t end) {
    while (at < end && !is_line_end(text[at])) ++at;
    return at;
}

std::int64_t count_line_ends(std::string_view text) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        count += text[i] == '\r' || (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'));
    }
    return count;
}

/// What ends a cell that has no quotes around it, or breaks it.
constexpr auto special = [] {
    std::array<bool, 256> table{};
    for (const char c : {',', '"', '\n', '\r'}) table[static_cast<unsigned char>(c)] = true;
    return table;
}();

bool is_special(char c) {
    return special[static_cast<unsigned char>(c)];
}

bool equal_but_for_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

/// What a row begins with, of which `text` has more than limits::rejected_text_bytes, or all. What
/// is not UTF-8 becomes U+FFFD, and so does U+0000, which PostgreSQL does not take.
std::string rejected_text(std::string_view text) {
    std::size_t end = std::min(text.size(), limits::rejected_text_bytes);
    const auto continues = [&](std::size_t at) {
        return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
    };
    for (int back = 0; back < 3 && end > 0 && continues(end); ++back) --end;
    const std::string_view begin = text.substr(0, end);
    const bool has_null = begin.find('\0') != std::string_view::npos;
    if (!has_null && examine_text(begin)) return std::string(begin);

    constexpr std::string_view replacement = "\xEF\xBF\xBD";
    std::string readable;
    for (std::size_t at = 0; at < begin.size();) {
        std::size_t size = 1;
        while (size <= 4 && !examine_text(begin.substr(at, size))) ++size;
        const bool fits = size <= 4 && begin[at] != '\0';
        const std::string_view next = fits ? begin.substr(at, size) : replacement;
        if (readable.size() + next.size() > limits::rejected_text_bytes) break;
        readable += next;
        at += fits ? size : 1;
    }
    return readable;
}

/// Whether a first row would have a column `code` if something else separated them: spreadsheets
/// do that in some languages.
bool is_separated_otherwise(std::string_view row) {
    for (std::size_t at = 0; at <= row.size();) {
        const std::size_t end = std::min(row.find_first_of(";\t", at), row.size());
        if (equal_but_for_case(row.substr(at, end - at), "code")) return true;
        at = end + 1;
    }
    return false;
}

/// A code as it is put together from the members that its row has. Of their faults the first of
/// RowFault's order counts.
class Draft {
public:
    explicit Draft(std::int64_t line) { code_.line = line; }

    void fail(RowFault fault) { fault_ = fault_ ? std::min(*fault_, fault) : fault; }
    void require(bool fits, RowFault fault) {
        if (!fits) fail(fault);
    }

    void code(std::string_view text) {
        require(fits_code(text), RowFault::code_invalid);
        code_.code = text;
    }
    void user_id(std::string_view text) {
        require(fits_user_id(text), RowFault::user_id_invalid);
        require(code_.user_id.empty() || code_.user_id == text, RowFault::status_contradictory);
        code_.user_id = text;
    }
    void expires_at(std::string_view text) {
        require(read_moment(text, code_.settings.expires_at, code_.expires_on),
                RowFault::expires_at_invalid);
    }
    void max_redemptions(std::optional<std::int64_t> number) {
        require(number && *number >= 1 && *number <= limits::redemptions,
                RowFault::max_redemptions_invalid);
        code_.settings.max_redemptions = number;
    }
    void active(bool active) { code_.settings.active = active; }
    void status(std::string_view text) {
        status_ = code_filter(text);
        require(status_.has_value(), RowFault::status_invalid);
        require(status_ != Filter::redeemed, RowFault::already_redeemed);
    }
    void metadata(std::string json) {
        require(json.size() <= limits::metadata_bytes, RowFault::metadata_too_large);
        code_.settings.metadata = std::move(json);
    }

    std::variant<ImportedCode, RowFault> finish() {
        require(!code_.code.empty(), RowFault::code_missing);
        const bool is_free = status_ == Filter::free;
        const bool is_held = status_ == Filter::assigned || status_ == Filter::locked;
        const bool contradicts = code_.user_id.empty() ? is_held : is_free;
        require(!contradicts, RowFault::status_contradictory);
        if (fault_) return *fault_;
        return std::move(code_);
    }

private:
    ImportedCode code_;
    std::optional<Filter> status_;
    std::optional<RowFault> fault_;
};

/// Of those that are looked at. Behind them come the others that a list of codes shows.
enum class Place : std::size_t {
    code,
    user_id,
    expires_at,
    max_redemptions,
    active,
    status,
    metadata,
    assigned_to,
    is_redeemed,
    redeemed_at
};
constexpr std::array line_specs{MemberSpec{"code"},
                                MemberSpec{"userId"},
                                MemberSpec{"expiresAt"},
                                MemberSpec{"maxRedemptions"},
                                MemberSpec{"active"},
                                MemberSpec{"status"},
                                MemberSpec{.name = "metadata", .captured = true},
                                MemberSpec{"assignedTo"},
                                MemberSpec{"isRedeemed"},
                                MemberSpec{"redeemedAt"},
                                MemberSpec{"id"},
                                MemberSpec{"isLocked"},
                                MemberSpec{"lockedUntil"},
                                MemberSpec{"createdAt"}};

/// The members of a line, for a draft.
class LineMembers {
public:
    LineMembers(std::vector<Member> members, Draft& draft)
        : members_(std::move(members)), draft_(draft) {}

    bool has(Place place) const {
        const Kind kind = at(place).kind;
        return kind != Kind::absent && kind != Kind::null;
    }
    bool is_true(Place place) const { return has(place) && at(place).text == "true"; }
    /// Takes a member by `take(draft, text)`, where it is given; as anything but a `kind` it is a
    /// fault.
    template <class Take>
    void take(Place place, Kind kind, RowFault fault, const Take& take) {
        if (!has(place)) return;
        if (at(place).kind == kind) {
            take(draft_, at(place).text);
        } else {
            draft_.fail(fault);
        }
    }

private:
    const Member& at(Place place) const { return members_[static_cast<std::size_t>(place)]; }

    const std::vector<Member> members_;
    Draft& draft_;
};

void take_members(LineMembers members, Draft& draft) {
    using Text = const std::string&;
    members.take(Place::code, Kind::string, RowFault::code_invalid, [](Draft& code, Text text) {
        if (!text.empty()) code.code(text);
    });
    for (const Place place : {Place::user_id, Place::assigned_to}) {
        members.take(place, Kind::string, RowFault::user_id_invalid,
                     [](Draft& code, Text text) { code.user_id(text); });
    }
    members.take(Place::expires_at, Kind::string, RowFault::expires_at_invalid,
                 [](Draft& code, Text text) { code.expires_at(text); });
    members.take(Place::max_redemptions, Kind::number, RowFault::max_redemptions_invalid,
                 [](Draft& code, Text digits) { code.max_redemptions(scaled_decimal(digits, 0)); });
    members.take(Place::active, Kind::boolean, RowFault::active_invalid,
                 [](Draft& code, Text text) { code.active(text == "true"); });
    members.take(Place::status, Kind::string, RowFault::status_invalid,
                 [](Draft& code, Text text) { code.status(text); });
    members.take(Place::metadata, Kind::object, RowFault::metadata_invalid,
                 [](Draft& code, Text json) { code.metadata(json); });
    const bool redeemed = members.has(Place::redeemed_at) || members.is_true(Place::is_redeemed);
    draft.require(!redeemed, RowFault::already_redeemed);
}

std::variant<ImportedCode, RowFault> read_json_line(std::string_view text, std::int64_t line) {
    if (!examine_text(text)) return RowFault::not_utf8;
    auto read = read_body(text, line_specs);
    Body* const body = std::get_if<Body>(&read);
    if (body == nullptr || (!body->is_object && !body->string)) return RowFault::malformed;
    if (std::ranges::any_of(body->members, &Member::repeated)) return RowFault::malformed;
    Draft draft(line);
    if (body->string) {
        if (!body->string->empty()) draft.code(*body->string);
        return draft.finish();
    }
    draft.require(body->unknown_count == 0, RowFault::unknown_member);
    take_members(LineMembers(std::move(body->members), draft), draft);
    return draft.finish();
}

}  // namespace

std::span<const FileReason> row_reasons() {
    return row_texts;
}

std::span<const FileReason> file_reasons() {
    return file_texts;
}

CodeFile::CodeFile(Format format, Rows& rows) : format_(format), rows_(rows) {}

bool CodeFile::read(std::string_view bytes) {
    while (!bytes.empty() && !has_problem()) {
        const std::string_view piece = bytes.substr(0, piece_bytes);
        bytes.remove_prefix(piece.size());
        buffer_ += piece;
        scan();
        buffer_.erase(0, row_);
        at_ -= row_;
        row_ = 0;
    }
    return !has_problem();
}

bool CodeFile::end() {
    ended_ = true;
    scan();
    if (!any_row_ && !has_problem()) fail(FileFault::empty);
    return !has_problem();
}

/// Sets the problem; its message where none is given is the usual one.
bool CodeFile::fail(FileFault fault, std::string message) {
    const FileReason& reason = file_texts[static_cast<std::size_t>(fault)];
    problem_ = {reason.code, message.empty() ? std::string(reason.message) : std::move(message)};
    return false;
}

/// Reads on as far as the buffer goes.
void CodeFile::scan() {
    if (at_file_begin_) {
        const std::string_view begin = buffer_;
        if (!ended_ && begin.size() < byte_order_mark.size() &&
            byte_order_mark.starts_with(begin)) {
            return;
        }
        if (begin.starts_with(byte_order_mark)) row_ = at_ = byte_order_mark.size();
        at_file_begin_ = false;
    }
    while (!has_problem()) {
        if (after_return_ && row_ < buffer_.size()) {
            after_return_ = false;
            if (buffer_[row_] == '\n') at_ = ++row_;
        }
        if (!(skipping_ ? skip_line() : scan_row())) return;
    }
}

/// Reads up to the end of a row. False where there is nothing more to read.
bool CodeFile::scan_row() {
    const std::size_t end = std::min(buffer_.size(), row_ + limits::import_row_bytes);
    if (format_ == Format::csv) {
        scan_cells(end);
    } else {
        at_ = find_line_end(buffer_, at_, end);
    }
    const bool all_read = at_ == buffer_.size();
    if (all_read && (!ended_ || at_ == row_)) return false;
    if (state_ == State::broken || (all_read && state_ == State::quoted)) {
        give_up(RowFault::malformed);
    } else if (state_ == State::quoted || (!all_read && !is_line_end(buffer_[at_]))) {
        give_up(RowFault::too_long);
    } else {
        end_row();
    }
    return true;
}

/// Skips the rest of a line that is given up. False where there is nothing more to read.
bool CodeFile::skip_line() {
    at_ = find_line_end(buffer_, row_, buffer_.size());
    const std::size_t room = limits::rejected_text_bytes + 1 - skipped_.size();
    skipped_ += row_text().substr(0, room);
    row_ = at_;
    if (at_ == buffer_.size() && !ended_) return false;
    skipping_ = false;
    reject(skip_fault_, std::exchange(skipped_, {}));
    begin_next_row(1);
    return true;
}

/// Reads cells up to a line end, or to where the row breaks, but not beyond `end`.
void CodeFile::scan_cells(std::size_t end) {
    while ((at_ = pass_cell(at_, end)) < end) {
        if (buffer_[at_] != ',') {
            if (!is_line_end(buffer_[at_])) state_ = State::broken;
            return;
        }
        end_cell();
        ++at_;
    }
}

/// Where the rest of a cell from `at` on has ended: at what cannot belong to it, or at `end`.
std::size_t CodeFile::pass_cell(std::size_t at, std::size_t end) {
    const char* const bytes = buffer_.data();
    if (state_ == State::cell_begin && at < end) {
        const bool has_quote = bytes[at] == '"';
        at += has_quote ? 1 : 0;
        cell_ = {at - row_, at - row_, false};
        state_ = has_quote ? State::quoted : State::plain;
        any_quoted_ |= has_quote;
    }
    if (state_ == State::plain) {
        while (at < end && !is_special(bytes[at])) ++at;
        return at;
    }
    for (; at < end; ++at) {
        if (state_ == State::quoted) {
            while (at < end && bytes[at] != '"') ++at;
            if (at == end) break;
            cell_.end = at - row_;
            state_ = State::quote_in_quoted;
        } else {
            if (bytes[at] != '"') break;
            cell_.has_quotes = true;
            state_ = State::quoted;
        }
    }
    return at;
}

/// Ends the cell at `at_`.
void CodeFile::end_cell() {
    if (state_ == State::cell_begin) cell_ = {at_ - row_, at_ - row_, false};
    if (state_ == State::plain) cell_.end = at_ - row_;
    if (cell_count_ < limits::import_columns) cells_.push_back(cell_);
    ++cell_count_;
    state_ = State::cell_begin;
}

/// Ends the row at `at_`.
void CodeFile::end_row() {
    const std::string_view row = row_text();
    if (format_ == Format::ndjson) {
        if (row.find_first_not_of(" \t") != std::string_view::npos) {
            hand_on(read_json_line(row, line_));
        }
    } else if (!row.empty()) {
        end_cell();
        any_row_ = true;
        if (!columns_.empty() || read_first_row()) hand_on(read_cells());
    }
    begin_next_row(any_quoted_ ? 1 + count_line_ends(row) : 1);
}

/// Goes on behind the line end at `at_`, which is so many lines behind the row's begin.
void CodeFile::begin_next_row(std::int64_t lines) {
    if (at_ < buffer_.size()) after_return_ = buffer_[at_++] == '\r';
    row_ = at_;
    line_ += lines;
    state_ = State::cell_begin;
    any_quoted_ = false;
    cells_.clear();
    cell_count_ = 0;
}

/// Reads no more of the row than the line that it begins on.
void CodeFile::give_up(RowFault fault) {
    any_row_ = true;
    if (format_ == Format::csv && columns_.empty()) {
        const bool too_long = fault == RowFault::too_long;
        fail(too_long ? FileFault::first_row_too_long : FileFault::first_row_malformed);
        return;
    }
    skipping_ = true;
    skip_fault_ = fault;
    at_ = row_;
}

void CodeFile::hand_on(std::variant<ImportedCode, RowFault> read) {
    any_row_ = true;
    if (auto* const code = std::get_if<ImportedCode>(&read)) {
        rows_.row(std::move(*code));
    } else {
        reject(std::get<RowFault>(read), row_text());
    }
}

/// `text`: what the row begins with.
void CodeFile::reject(RowFault fault, std::string_view text) {
    const std::string_view reason = row_texts[static_cast<std::size_t>(fault)].code;
    rows_.rejected({line_, std::string(reason), rejected_text(text)});
}

/// What a cell stands for. Valid until the next call.
std::string_view CodeFile::text_of(const Cell& cell) {
    const std::string_view text = row_text().substr(cell.begin, cell.end - cell.begin);
    if (!cell.has_quotes) return csv_text(text);
    scratch_.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        scratch_ += text[i];
        if (text[i] == '"') ++i;
    }
    return csv_text(scratch_);
}

/// Tells from the first row which columns there are. False where it says nothing of a code, or the
/// file cannot be read.
bool CodeFile::read_first_row() {
    if (!examine_text(row_text())) return fail(FileFault::first_row_not_utf8);
    if (cell_count_ > limits::import_columns) return fail(FileFault::too_many_columns);
    const bool has_names = std::ranges::any_of(
        cells_, [&](const Cell& cell) { return equal_but_for_case(text_of(cell), "code"); });
    if (has_names) {
        for (const Cell& cell : cells_) {
            if (!add_column(text_of(cell))) break;
        }
        return false;
    }
    if (cell_count_ > 1) return fail(FileFault::code_column_missing);
    if (is_separated_otherwise(text_of(cell_))) return fail(FileFault::not_separated_by_commas);
    columns_.push_back({Column::Kind::code});
    return true;
}

bool CodeFile::add_column(std::string_view name) {
    using Known = std::pair<std::string_view, Column::Kind>;
    static constexpr std::array known{Known{"code", Column::Kind::code},
                                      Known{"userId", Column::Kind::user_id},
                                      Known{"expiresAt", Column::Kind::expires_at},
                                      Known{"maxRedemptions", Column::Kind::max_redemptions},
                                      Known{"active", Column::Kind::active},
                                      Known{"status", Column::Kind::status}};
    constexpr std::string_view metadata = "metadata.";
    Column column;
    const auto found = std::ranges::find_if(
        known, [&](const Known& one) { return equal_but_for_case(name, one.first); });
    if (found != known.end()) {
        column.kind = found->second;
    } else if (name.size() >= metadata.size() &&
               equal_but_for_case(name.substr(0, metadata.size()), metadata)) {
        column.kind = Column::Kind::metadata;
        JsonWriter(column.member).string(name.substr(metadata.size())).raw(":");
    } else {
        return fail(FileFault::column_unknown,
                    "The file has a column " + shown(cut_name(name)) +
                        "; known are code, userId, expiresAt, maxRedemptions, active, status and "
                        "metadata.NAME, separated by commas");
    }
    if (std::ranges::find(columns_, column) != columns_.end()) {
        return fail(FileFault::column_repeated,
                    "The file has two columns " + shown(cut_name(name)));
    }
    columns_.push_back(std::move(column));
    return true;
}

std::variant<ImportedCode, RowFault> CodeFile::read_cells() {
    if (!examine_text(row_text())) return RowFault::not_utf8;
    if (cell_count_ != columns_.size()) return RowFault::malformed;
    Draft draft(line_);
    std::string metadata;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        const std::string_view text = text_of(cells_[i]);
        if (text.empty()) continue;
        switch (columns_[i].kind) {
            case Column::Kind::code: draft.code(text); break;
            case Column::Kind::user_id: draft.user_id(text); break;
            case Column::Kind::expires_at: draft.expires_at(text); break;
            case Column::Kind::max_redemptions: draft.max_redemptions(read_digits(text)); break;
            case Column::Kind::active:
                draft.active(equal_but_for_case(text, "true"));
                draft.require(equal_but_for_case(text, "true") || equal_but_for_case(text, "false"),
                              RowFault::active_invalid);
                break;
            case Column::Kind::status: draft.status(text); break;
            case Column::Kind::metadata:
                metadata += metadata.empty() ? '{' : ',';
                JsonWriter(metadata).raw(columns_[i].member).string(text);
                break;
        }
    }
    if (!metadata.empty()) draft.metadata(metadata + '}');
    return draft.finish();
}

}  // namespace coupond::wire
