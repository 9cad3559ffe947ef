#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/check.hpp"
#include "base/csv.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

using Status = Job::Status;

constexpr std::array<std::pair<Status, std::string_view>, 5> statuses{{
    {Status::queued, "queued"},
    {Status::running, "running"},
    {Status::completed, "completed"},
    {Status::failed, "failed"},
    {Status::cancelled, "cancelled"},
}};

std::string_view name_of(Status status) {
    for (const auto& [known, name] : statuses) {
        if (known == status) return name;
    }
    check_failed("a status is one of those above", __FILE__, __LINE__);
}

/// In ten-thousandths, rounded down: 1 is for what is complete.
std::int64_t progress_of(const Job& job) {
    if (job.status == Status::completed) return 10'000;
    if (job.requested <= 0) return 0;
    const std::int64_t done = job.created + job.rejected();
    return static_cast<std::int64_t>(10'000.0L * static_cast<long double>(done) /
                                     static_cast<long double>(job.requested));
}

/// Codes that were asked for and will not be made, or rows that are not taken in, or codes that
/// have no image.
std::int64_t failed_of(const Job& job) {
    if (job.is_finished()) return job.requested - job.created;
    return job.rejected();
}

void write_warning(JsonWriter& json, const Job& job) {
    if (!(job.guess_probability > likely_guess)) {
        json.null();
        return;
    }
    const auto tries = static_cast<std::int64_t>(std::floor(1 / job.guess_probability));
    json.string("One guess in " + std::to_string(tries) + " hits a code: make the pattern longer");
}

void write_error(JsonWriter& json, const Job& job) {
    if (job.error.empty()) {
        json.null();
        return;
    }
    const auto refusal = refusal_of(job.error);
    json.raw(R"({"code":)").string(refusal ? code_of(*refusal) : std::string_view(job.error));
    json.raw(R"(,"message":)").string(refusal ? message_of(*refusal) : std::string_view());
    json.raw("}");
}

std::string_view type_of(const Job& job) {
    return job.import ? "import" : job.images ? "qr" : "generate";
}

void write_or_null(JsonWriter& json, std::string_view text) {
    text.empty() ? json.null() : json.string(text);
}

void write_wish(JsonWriter& json, const QrImages& images) {
    json.raw(R"(,"format":)").string(images.format == QrImages::Format::svg ? "svg" : "png");
    json.raw(R"(,"size":)").number(images.size_px);
    json.raw(R"(,"margin":)").number(images.margin_modules);
    json.raw(R"(,"errorLevel":)").string(wire::name_of(images.error_level));
    write_or_null(json.raw(R"(,"url":)"), images.url);
}

void write_job(JsonWriter& json, const Job& job) {
    json.raw(R"({"id":)").number(job.id);
    json.raw(R"(,"status":)").string(name_of(job.status));
    json.raw(R"(,"couponBookId":)").number(job.book_id);
    json.raw(R"(,"type":)").string(type_of(job));
    if (job.images) {
        write_wish(json, *job.images);
    } else if (job.import) {
        const bool is_csv = job.import->format == Import::Format::csv;
        json.raw(R"(,"format":)").string(is_csv ? "csv" : "ndjson");
        json.raw(R"(,"onConflict":)").string(job.import->skips ? "skip" : "fail");
    } else {
        json.raw(R"(,"codePattern":)").string(job.code_pattern);
    }
    json.raw(R"(,"progress":)").decimal(progress_of(job), 4);
    json.raw(R"(,"requested":)").number(job.requested);
    json.raw(R"(,"created":)").number(job.created);
    json.raw(R"(,"failed":)").number(failed_of(job));
    if (!job.makes_codes()) {
        json.raw(R"(,"rejected":)").number(job.rejected());
    } else {
        json.raw(R"(,"guessProbability":)").raw(number_text(job.guess_probability));
        write_warning(json.raw(R"(,"warning":)"), job);
        write_or_null(json.raw(R"(,"expiresAt":)"), job.settings.expires_at);
        json.raw(R"(,"metadata":)").raw(job.settings.metadata);
    }
    if (job.images) write_or_null(json.raw(R"(,"location":)"), job.images->location);
    write_error(json.raw(R"(,"error":)"), job);
    json.raw(R"(,"createdAt":)").time(job.created_at);
    write_or_null(json.raw(R"(,"startedAt":)"), job.started_at);
    write_or_null(json.raw(R"(,"finishedAt":)"), job.finished_at);
    json.raw("}");
}

/// Reasons that do not show from the row alone.
constexpr std::array<FileReason, 5> other_reasons{{
    {"code_repeated", "An earlier row of the file has this code"},
    {"codes_already_exist", "This code is there already"},
    {"book_open", "The codes of this coupon book are everybody's: none has a userId"},
    {qr_text_too_long, "No QR code of this errorLevel holds this code and url"},
    {qr_size_too_small, "The size has less than a pixel for each module of this code's image"},
}};

std::string_view message_of_row(std::string_view reason) {
    const std::array known{row_reasons(), std::span<const FileReason>(other_reasons)};
    for (const std::span<const FileReason> reasons : known) {
        for (const auto& [code, message] : reasons) {
            if (code == reason) return message;
        }
    }
    return reason;
}

std::string link_before(JobId before, const JobQuery& query) {
    std::string link =
        "</coupon/jobs?limit=" + std::to_string(query.limit) + "&before=" + std::to_string(before);
    if (query.book_id) link += "&couponBookId=" + std::to_string(*query.book_id);
    if (query.status) link.append("&status=").append(name_of(*query.status));
    return link + R"(>; rel="next")";
}

Answer rejected_list(std::span<const RejectedRow> rows) {
    std::string body;
    JsonWriter json(body);
    std::string_view before = "[";
    for (const RejectedRow& row : rows) {
        json.raw(std::exchange(before, ",")).raw(R"({"line":)").number(row.line);
        json.raw(R"(,"reason":)").string(row.reason);
        json.raw(R"(,"message":)").string(message_of_row(row.reason));
        json.raw(R"(,"text":)").string(row.text).raw("}");
    }
    json.raw(rows.empty() ? "[]" : "]");
    Answer answer;
    answer.body = std::move(body);
    return answer;
}

Answer rejected_file(std::span<const RejectedRow> rows, JobId job_id) {
    std::string body = "line,reason,message,text\r\n";
    for (const RejectedRow& row : rows) {
        body += std::to_string(row.line) + ",";
        append_csv_cell(body, row.reason);
        append_csv_cell(body += ',', message_of_row(row.reason));
        append_csv_cell(body += ',', row.text);
        body += "\r\n";
    }
    Answer answer;
    answer.body = std::move(body);
    answer.content_type = "text/csv; charset=utf-8; header=present";
    answer.content_disposition =
        "attachment; filename=\"rejected-rows-" + std::to_string(job_id) + ".csv\"";
    return answer;
}

}  // namespace

std::optional<Status> job_status(std::string_view name) {
    for (const auto& [status, known] : statuses) {
        if (known == name) return status;
    }
    return std::nullopt;
}

std::string number_text(double number) {
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number);
    COUPOND_CHECK(end.ec == std::errc());
    return std::string(text.data(), end.ptr);
}

Answer encode(const Job& job) {
    std::string body;
    JsonWriter json(body);
    write_job(json, job);
    Answer answer;
    answer.body = std::move(body);
    return answer;
}

Answer unreadable_file(const CodeFile::Problem& told, std::string_view request_id) {
    return problem(400, told.code, told.message, request_id);
}

Answer encode(std::span<const RejectedRow> rows, const RejectedQuery& query) {
    Answer answer = query.as_csv ? rejected_file(rows, query.job_id) : rejected_list(rows);
    if (rows.size() == query.limit) {
        answer.link = "</coupon/jobs/" + std::to_string(query.job_id) +
                      "/rejected?limit=" + std::to_string(query.limit) +
                      "&after=" + std::to_string(rows.back().line) + R"(>; rel="next")";
    }
    answer.vary = "Accept";
    return answer;
}

Answer encode(const JobPage& page, const JobQuery& query) {
    std::string body;
    JsonWriter json(body);
    std::string_view before = "[";
    for (const Job& job : page.jobs) write_job(json.raw(std::exchange(before, ",")), job);
    json.raw(page.jobs.empty() ? "[]" : "]");
    Answer answer;
    answer.body = std::move(body);
    if (page.more) answer.link = link_before(page.read_to, query);
    return answer;
}

}  // namespace coupond::wire
