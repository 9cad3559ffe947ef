#include "wire/code_export.hpp"

#include <array>
#include <charconv>
#include <utility>

#include "base/csv.hpp"
#include "base/limits.hpp"
#include "wire/codes.hpp"
#include "wire/json_writer.hpp"
#include "wire/media_type.hpp"
#include "wire/metadata.hpp"

namespace coupond::wire {
namespace {

constexpr std::string_view no_metadata = "{}";

constexpr std::array<std::pair<CodeFormat, std::string_view>, 3> formats{{
    {CodeFormat::json, "application/json"},
    {CodeFormat::csv, "text/csv"},
    {CodeFormat::ndjson, "application/x-ndjson"},
}};

}  // namespace

CodeFormat code_format(std::string_view accept) {
    CodeFormat best = CodeFormat::json;
    int most = 0;
    for (const auto& [format, type] : formats) {
        const int quality = quality_of_type(accept, type);
        if (quality > most) best = format;
        most = std::max(most, quality);
    }
    return best;
}

bool wants_gzip(std::string_view accept_encoding) {
    const int gzip = quality_of_coding(accept_encoding, "gzip");
    return gzip > 0 && gzip >= quality_of_coding(accept_encoding, "identity");
}

bool CodeFileWriter::add_columns(const Code& code) {
    if (code.metadata == no_metadata) return true;
    MetadataReader metadata(code.metadata);
    while (metadata.next()) {
        if (columns_.find(metadata.name()) == columns_.end()) columns_.emplace(metadata.name(), 0);
        if (columns_.size() > limits::export_columns) return false;
    }
    return true;
}

void CodeFileWriter::begin(std::string& out) {
    if (format_ != CodeFormat::csv) return;
    out += "code,status,userId,expiresAt,maxRedemptions,active";
    std::size_t place = 0;
    for (auto& [name, column] : columns_) {
        column = place++;
        out += ',';
        append_csv_cell(out, "metadata." + name);
    }
    out += "\r\n";
    cells_.resize(columns_.size());
}

void CodeFileWriter::add(const Code& code, std::string& out) {
    if (format_ == CodeFormat::csv) return add_row(code, out);
    JsonWriter json(out);
    write_listed_code(json, code, now_);
    json.raw("\n");
}

void CodeFileWriter::add_row(const Code& code, std::string& out) {
    append_csv_cell(out, code.code);
    out += ',';
    out += status_name(status_of(code, now_));
    out += ',';
    if (code.assigned_to) append_csv_cell(out, *code.assigned_to);
    out += ',';
    if (code.expires_at) append_iso8601(out, *code.expires_at);
    out += ',';
    if (code.max_redemptions) out += std::to_string(*code.max_redemptions);
    out += code.active ? ",true" : ",false";
    if (code.metadata == no_metadata) {
        out.append(columns_.size(), ',');
    } else {
        for (std::string& cell : cells_) cell.clear();
        MetadataReader metadata(code.metadata);
        while (metadata.next()) {
            const auto column = columns_.find(metadata.name());
            if (column != columns_.end()) cells_[column->second] = metadata.value();
        }
        for (const std::string& cell : cells_) {
            out += ',';
            append_csv_cell(out, cell);
        }
    }
    out += "\r\n";
}

Answer code_file(BookId book_id, CodeFormat format, bool gzip, BodySource body) {
    const bool csv = format == CodeFormat::csv;
    Answer answer;
    answer.body = std::move(body);
    answer.content_type =
        csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson; charset=utf-8";
    answer.content_disposition = "attachment; filename=\"coupon-book-" + std::to_string(book_id) +
                                 (csv ? ".csv\"" : ".ndjson\"");
    if (gzip) answer.content_encoding = "gzip";
    answer.vary = "Accept, Accept-Encoding";
    return answer;
}

Answer too_many_columns(std::string_view request_id) {
    return problem(400, "too_many_columns",
                   "These codes have more than " + std::to_string(limits::export_columns) +
                       " different names in their metadata: ask for application/x-ndjson",
                   request_id);
}

}  // namespace coupond::wire
