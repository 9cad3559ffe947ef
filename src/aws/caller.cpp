#include "aws/caller.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/limits.hpp"
#include "base/random.hpp"

namespace coupond::aws {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// Codes of S3 and SQS that come with statuses of those who have asked wrongly, but may pass.
constexpr std::array<std::string_view, 9> passing_codes{
    "RequestThrottled",    "RequestThrottledException",
    "RequestTimeout",      "SlowDown",
    "ThrottledException",  "Throttling",
    "ThrottlingException", "TooManyRequestsException",
    "KmsThrottled"};

/// The pause before the next try, where so many have failed.
milliseconds back_off(int tries, int first_ms) {
    int wait_ms = first_ms;
    while (--tries > 0 && wait_ms < limits::aws_pause_most_ms) wait_ms *= 2;
    wait_ms = std::min(wait_ms, limits::aws_pause_most_ms);
    const auto half = static_cast<std::uint64_t>(wait_ms / 2);
    return milliseconds(half + secure_random_below(half + 1));
}

/// False where `stop` was asked for meanwhile.
bool pause(milliseconds time, const std::stop_token& stop) {
    const auto until = steady_clock::now() + time;
    while (!stop.stop_requested() && steady_clock::now() < until) {
        std::this_thread::sleep_until(
            std::min(until, steady_clock::now() + milliseconds(limits::client_stop_ms)));
    }
    return !stop.stop_requested();
}

void check(const Caller::Options& options) {
    const auto& [id, secret, token] = options.credentials;
    if (id.empty() || !is_visible_ascii(id) || id.find_first_of("/,") != std::string::npos) {
        throw std::invalid_argument("the access key id must be visible ASCII characters");
    }
    if (secret.empty() || !is_visible_ascii(secret)) {
        throw std::invalid_argument("the secret access key must be visible ASCII characters");
    }
    if (!is_visible_ascii(token)) {
        throw std::invalid_argument("the session token must be visible ASCII characters");
    }
    constexpr std::string_view region_characters = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const std::string& region = options.scope.region;
    if (region.empty() || region.find_first_not_of(region_characters) != std::string::npos) {
        throw std::invalid_argument("the region must be a name such as eu-central-1");
    }
}

}  // namespace

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
    throw std::logic_error("unexamined error '" + error.message + "' in " + where.function_name());
}

bool is_visible_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7F'; });
}

Caller::Caller(Options options, const Clock& clock)
    : options_((check(options), std::move(options))),
      clock_(clock),
      client_(options_.origin, options_.root_certificate, options_.bounds.connect_ms,
              limits::aws_answer_bytes) {}

Result<net::HttpResponse> Caller::call(const Call& call, const std::stop_token& stop) {
    using Kind = Error::Kind;
    const Bounds& bounds = options_.bounds;
    const milliseconds wait(call.wait_ms);
    const auto until = steady_clock::now() + milliseconds(bounds.call_ms) + wait;
    for (int tries = 1;; ++tries) {
        std::string reason;
        try {
            const auto answered_by = steady_clock::now() + milliseconds(bounds.answer_ms) + wait;
            net::HttpResponse response =
                client_.exchange(sign(call), {.until = std::min(until, answered_by)}, stop);
            if (!may_pass(response)) return response;
            reason = describe(response);
        } catch (const net::Lost& lost) {
            reason = lost.reason();
        } catch (const net::Stopped&) {
            return Error{Kind::stopped, "cannot " + call.what + ": it was stopped"};
        }
        const milliseconds time = back_off(tries, bounds.pause_first_ms);
        if (tries >= bounds.tries || steady_clock::now() + time >= until) {
            return Error{Kind::unavailable, "cannot " + call.what + ": " + reason};
        }
        if (!pause(time, stop)) {
            return Error{Kind::stopped, "cannot " + call.what + ": " + reason};
        }
    }
}

Error Caller::refused(const Call& call, const net::HttpResponse& response) const {
    return {Error::Kind::refused, "cannot " + call.what + ": " + describe(response)};
}

Error Caller::misunderstood(const Call& call) {
    return {Error::Kind::unavailable, "cannot " + call.what + ": an answer that makes no sense"};
}

net::HttpRequest Caller::sign(const Call& call) const {
    const Timestamp now = clock_.now();
    Signed to_sign{call.method, call.path, {}, call.fields, sha256_hex(call.body)};
    NamesAndValues& fields = to_sign.fields;
    fields.emplace_back("Host", net::host_field(options_.origin));
    fields.emplace_back("X-Amz-Date", amz_date(now));
    fields.emplace_back("X-Amz-Content-Sha256", to_sign.payload_sha256_hex);
    const Credentials& credentials = options_.credentials;
    if (!credentials.session_token.empty()) {
        fields.emplace_back("X-Amz-Security-Token", credentials.session_token);
    }
    net::HttpRequest request{call.method, call.path, fields, call.body};
    request.fields.emplace_back("Authorization",
                                authorization(to_sign, options_.scope, credentials, now));
    request.fields.emplace_back("User-Agent", "coupond");
    return request;
}

bool Caller::may_pass(const net::HttpResponse& response) const {
    if (response.status == 429 || response.status >= 500) return true;
    if (response.status < 400) return false;
    return std::ranges::find(passing_codes, options_.code_of(response)) != passing_codes.end();
}

std::string Caller::describe(const net::HttpResponse& response) const {
    const std::string code = options_.code_of(response);
    return "status " + std::to_string(response.status) + (code.empty() ? "" : ", " + code);
}

}  // namespace coupond::aws
