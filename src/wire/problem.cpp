#include <utility>

#include "wire/json_writer.hpp"
#include "wire/wire.hpp"

namespace coupond::wire {
namespace {

/// The reason phrase of a status that coupond answers.
std::string_view phrase(int status) {
    switch (status) {
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 408: return "Request Timeout";
        case 409: return "Conflict";
        case 413: return "Payload Too Large";
        case 415: return "Unsupported Media Type";
        case 417: return "Expectation Failed";
        case 422: return "Unprocessable Entity";
        case 431: return "Request Header Fields Too Large";
        case 503: return "Service Unavailable";
        case 505: return "HTTP Version Not Supported";
        default: return "Error";
    }
}

template <class WriteMessage>
Answer make_problem(int status, std::string_view code, std::string_view request_id,
                    WriteMessage write_message, std::string_view coupon_code = {}) {
    std::string body;
    body.reserve(256);
    JsonWriter json(body);
    json.raw(R"({"statusCode":)").number(status);
    json.raw(R"(,"error":)").string(phrase(status));
    json.raw(R"(,"message":)");
    write_message(json);
    json.raw(R"(,"code":)").string(code);
    if (!coupon_code.empty()) json.raw(R"(,"couponCode":)").string(coupon_code);
    json.raw(R"(,"requestId":)").string(request_id).raw("}");

    Answer answer;
    answer.status = status;
    answer.body = std::move(body);
    answer.retry_after = status == 503;
    return answer;
}

}  // namespace

Answer problem(int status, std::string_view code, std::string_view message,
               std::string_view request_id, std::string_view coupon_code) {
    return make_problem(
        status, code, request_id, [&](JsonWriter& json) { json.string(message); }, coupon_code);
}

Answer key_in_use(std::string_view request_id) {
    return problem(409, "idempotency_key_in_use",
                   "A request with this Idempotency-Key is still being processed", request_id);
}

Answer invalid(const std::vector<std::string>& messages, std::string_view request_id) {
    return make_problem(400, "validation_failed", request_id, [&](JsonWriter& json) {
        std::string_view before = "[";
        for (const std::string& message : messages) {
            json.raw(std::exchange(before, ",")).string(message);
        }
        json.raw(messages.empty() ? "[]" : "]");
    });
}

Answer failed(Failure failure, std::string_view request_id) {
    switch (failure) {
        case Failure::refused:
            return problem(422, "database_refused", "The database refuses this data", request_id);
        case Failure::overloaded:
            return problem(503, "overloaded",
                           "The server is at its limit now and has changed nothing; try again",
                           request_id);
        case Failure::indeterminate:
            return problem(503, "outcome_unknown",
                           "The database failed while the change was being saved: "
                           "it may or may not have been made, so look before trying again",
                           request_id);
        case Failure::conflict:
        case Failure::unavailable: break;
    }
    return problem(
        503, "unavailable",
        "A database that this needs cannot be used now and nothing was changed; try again",
        request_id);
}

Answer health(bool ok, std::string_view status) {
    std::string body;
    JsonWriter(body).raw(R"({"status":)").string(status).raw("}");
    Answer answer;
    answer.status = ok ? 200 : 503;
    answer.body = std::move(body);
    answer.retry_after = !ok;
    return answer;
}

}  // namespace coupond::wire
