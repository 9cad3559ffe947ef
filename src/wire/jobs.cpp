#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/check.hpp"
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
    if (job.requested <= 0) return 0;
    return static_cast<std::int64_t>(10'000.0L * static_cast<long double>(job.created) /
                                     static_cast<long double>(job.requested));
}

/// Codes that were asked for and will not be made.
std::int64_t failed_of(const Job& job) {
    const bool ended_early = job.is_finished() && job.status != Status::completed;
    return ended_early ? job.requested - job.created : 0;
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

void write_job(JsonWriter& json, const Job& job) {
    json.raw(R"({"id":)").number(job.id);
    json.raw(R"(,"status":)").string(name_of(job.status));
    json.raw(R"(,"couponBookId":)").number(job.book_id);
    json.raw(R"(,"codePattern":)").string(job.code_pattern);
    json.raw(R"(,"progress":)").decimal(progress_of(job), 4);
    json.raw(R"(,"requested":)").number(job.requested);
    json.raw(R"(,"created":)").number(job.created);
    json.raw(R"(,"failed":)").number(failed_of(job));
    json.raw(R"(,"guessProbability":)").raw(number_text(job.guess_probability));
    write_warning(json.raw(R"(,"warning":)"), job);
    write_or_null(json.raw(R"(,"expiresAt":)"), job.settings.expires_at);
    json.raw(R"(,"metadata":)").raw(job.settings.metadata);
    write_error(json.raw(R"(,"error":)"), job);
    json.raw(R"(,"createdAt":)").time(job.created_at);
    write_or_null(json.raw(R"(,"startedAt":)"), job.started_at);
    write_or_null(json.raw(R"(,"finishedAt":)"), job.finished_at);
    json.raw("}");
}

std::string link_before(JobId before, const JobQuery& query) {
    std::string link =
        "</coupon/jobs?limit=" + std::to_string(query.limit) + "&before=" + std::to_string(before);
    if (query.book_id) link += "&couponBookId=" + std::to_string(*query.book_id);
    if (query.status) link.append("&status=").append(name_of(*query.status));
    return link + R"(>; rel="next")";
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
