#include "ctl/server.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <charconv>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/limits.hpp"
#include "base/random.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int connect_ms = 5'000;
constexpr seconds answer_wait{60};  // without a byte; the server itself ends after less
constexpr std::size_t answer_bytes = 64 * 1024 * 1024;
constexpr int tries_most = 8;             // where the server is busy, or was there before
constexpr int connecting_tries_most = 3;  // where nobody is there, which seldom passes
constexpr int first_pause_ms = 250;       // then twice as long
constexpr int longest_pause_ms = 8'000;

/// What to do about a refusal, by its code.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> cures{{
    {"coupon_not_locked", "lock it first: couponctl lock CODE --user USER"},
    {"coupon_not_assigned_to_user", "see whose it is: couponctl codes show CODE"},
    {"coupon_assigned_to_another_user", "see whose it is: couponctl codes show CODE"},
    {"coupon_already_redeemed", "see by whom and when: couponctl codes show CODE"},
    {"coupon_already_locked", "see until when: couponctl codes show CODE"},
    {"coupon_not_found", "look for it: couponctl codes list BOOK --prefix TEXT"},
    {"coupon_book_not_found", "see which there are: couponctl book list"},
    {"job_not_found", "see which there are: couponctl job list"},
    {"codes_already_exist", "leave out those that exist: --on-conflict skip"},
    {"no_available_coupons", "make more: couponctl codes generate BOOK COUNT"},
    {"coupon_book_archived", "bring it back: couponctl book restore BOOK"},
    {"validation_failed", "see --help of this command"},
}};

net::Url parse(const std::string& url) {
    try {
        return net::parse_url(url);
    } catch (const std::invalid_argument& error) {
        throw wrong_usage("the server's address " + std::string(error.what()),
                          "as in --server http://127.0.0.1:3000");
    }
}

net::HttpClient client_of(const net::Url& at, const std::string& root_certificate) {
    try {
        return {at.origin, root_certificate, connect_ms, answer_bytes};
    } catch (const std::invalid_argument& error) {
        throw wrong_usage(std::string("cannot use the root certificate: ") + error.what(),
                          "root_certificate names a PEM file");
    }
}

bool changes_something(const Request& request) {
    return request.method != "GET" && request.method != "HEAD";
}

/// Statuses of those who are busy, or have nobody behind them, for a while.
bool may_pass(int status) {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

std::optional<int> retry_after(const net::HttpResponse& response) {
    const auto field = response.field("Retry-After");
    int number = 0;
    if (!field) return std::nullopt;
    const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), number);
    if (error != std::errc() || end != field->data() + field->size() || number < 0) {
        return std::nullopt;
    }
    return number;
}

/// `<TARGET>; rel="next"` (RFC 8288).
std::optional<std::string> next_page(const net::HttpResponse& response) {
    const auto link = response.field("Link");
    if (!link || !link->starts_with('<') || link->find("rel=\"next\"") == std::string_view::npos) {
        return std::nullopt;
    }
    return std::string(link->substr(1, link->find('>') - 1));
}

struct Refused {
    std::string message;
    std::string code;
};

/// What an answer that is not a success says; nothing where it is not one of coupond's.
std::optional<Refused> refused_by(const net::HttpResponse& response) {
    boost::json::error_code error;
    const boost::json::value body = boost::json::parse(response.body, error);
    if (error || !body.is_object()) return std::nullopt;
    const auto* const message = body.as_object().if_contains("message");
    const auto* const code = body.as_object().if_contains("code");
    if (message == nullptr || code == nullptr || !code->is_string()) return std::nullopt;
    Refused refused{{}, std::string(code->as_string())};
    if (message->is_string()) refused.message = std::string(message->as_string());
    if (message->is_array()) {
        for (const auto& each : message->as_array()) {
            if (!each.is_string()) return std::nullopt;
            if (!refused.message.empty()) refused.message += "; ";
            refused.message += std::string_view(each.as_string());
        }
    }
    return refused;
}

[[noreturn]] void interrupted(const Request& request) {
    if (!changes_something(request)) throw Quit(exit_status::interrupted, "interrupted", "");
    throw Quit(exit_status::interrupted, "interrupted: it may have been done all the same",
               "look before it is done again: couponctl codes show, book show, job list");
}

/// Whether an answer is of the kind that was asked for.
bool is_wanted(const net::HttpResponse& head, const Request& request) {
    const auto type = head.field("Content-Type");
    return type && type->starts_with(request.accept);
}

}  // namespace

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        if (unreserved.find(c) != std::string_view::npos) {
            encoded += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        encoded += {'%', digits[byte >> 4], digits[byte & 15]};
    }
    // As the only thing in a segment these would be taken for steps through the path.
    if (encoded == ".") return "%2E";
    if (encoded == "..") return "%2E%2E";
    return encoded;
}

Query& Query::add(std::string_view name, std::string_view value) {
    text_.append(text_.empty() ? "?" : "&").append(name).append("=").append(percent_encoded(value));
    return *this;
}

Query& Query::add(std::string_view name, const std::optional<std::string>& value) {
    return value ? add(name, std::string_view(*value)) : *this;
}

std::string Query::on(std::string_view path) const {
    return std::string(path) + text_;
}

Server::Server(const std::string& url, const std::string& root_certificate, std::stop_token stop,
               std::function<void(const std::string&)> tell)
    : url_(url),
      at_(parse(url)),
      stop_(std::move(stop)),
      tell_(std::move(tell)),
      client_(client_of(at_, root_certificate)) {}

Answer Server::ask(const Request& request) {
    return stream(request, answer_wait, {});
}

Answer Server::stream(const Request& asked, milliseconds silence, const net::BodySink& sink) {
    Request request = asked;
    if (changes_something(request) && request.idempotency_key.empty()) {
        request.idempotency_key = "couponctl-" + secure_random_base32(26);
    }
    bool has_given = false;
    net::BodySink given;
    std::string other;  // what is not the body that was asked for
    if (sink) {
        given = [&](const net::HttpResponse& head, std::string_view piece) {
            if (head.status >= 300) {
                if (other.size() + piece.size() <= answer_bytes) other += piece;
                return;
            }
            if (!is_wanted(head, request)) {
                throw net::Garbled("an answer that is no " + request.accept);
            }
            has_given = true;
            sink(head, piece);
        };
    }
    for (int tries = 1;; ++tries) {
        std::string why;
        std::optional<int> wait_seconds;
        other.clear();
        try {
            net::HttpResponse response =
                client_.exchange(build(request), {.silence = silence}, stop_, given);
            has_answered_ = true;
            if (sink && response.status >= 300) response.body = other;
            const auto refused = response.status < 300 ? std::nullopt : refused_by(response);
            const bool in_use = refused && refused->code == "idempotency_key_in_use";
            if ((!may_pass(response.status) && !in_use) || tries >= tries_most) {
                return answer(std::move(response));
            }
            why = refused ? refused->message : "status " + std::to_string(response.status);
            wait_seconds = retry_after(response);
        } catch (const net::Stopped&) {
            interrupted(request);
        } catch (const net::Garbled& error) {
            if (has_given) throw;
            lost(error.reason(), request);
        } catch (const net::Lost& error) {
            if (has_given) throw;
            const bool again = !request.pieces || request.pieces();
            const bool was_there = has_answered_ || client_.has_sent();
            if (tries >= (was_there ? tries_most : connecting_tries_most) || !again) {
                lost(error.reason(), request);
            }
            why = error.reason();
        }
        pause(tries, why, wait_seconds, request);
    }
}

net::HttpRequest Server::build(const Request& request) const {
    net::HttpRequest built{request.method, at_.path + request.target, {}, request.body, {}};
    built.fields = {{"Host", net::host_field(at_.origin)},
                    {"User-Agent", "couponctl"},
                    {"Accept", request.accept}};
    if (request.pieces || !request.body.empty()) {
        built.fields.emplace_back("Content-Type", request.content_type);
    }
    if (!request.idempotency_key.empty()) {
        built.fields.emplace_back("Idempotency-Key", request.idempotency_key);
    }
    if (request.pieces) {
        built.next_piece = request.pieces();
        if (!built.next_piece) lost("what was sent cannot be read again", request);
    }
    return built;
}

Answer Server::answer(net::HttpResponse&& response) const {
    if (response.status < 300) {
        const auto next = next_page(response);
        return {response.status, std::move(response.body), next};
    }
    const auto refused = refused_by(response);
    if (!refused) {
        throw Quit(exit_status::unreachable,
                   url_ + " answered with status " + std::to_string(response.status) +
                       ", but not as coupond does",
                   "see that it is coupond's address: couponctl ping");
    }
    const auto cure = std::ranges::find(cures, refused->code,
                                        &std::pair<std::string_view, std::string_view>::first);
    if (may_pass(response.status)) {
        throw Quit(exit_status::unreachable,
                   refused->message + " (" + refused->code + ", " + url_ + ")",
                   "it may pass: try again later");
    }
    throw Quit(exit_status::refused, refused->message + " (" + refused->code + ")",
               cure == cures.end() ? "" : std::string(cure->second));
}

void Server::lost(const std::string& reason, const Request& request) const {
    const bool in_doubt = changes_something(request) && client_.has_sent();
    throw Quit(exit_status::unreachable,
               "cannot reach " + url_ + ": " + reason +
                   (in_doubt ? "; it may have been done all the same" : ""),
               "is coupond running there? name it by --server, COUPOND_URL or a profile");
}

void Server::pause(int tries, const std::string& why, std::optional<int> wait_seconds,
                   const Request& request) {
    int wait_ms = first_pause_ms;
    while (--tries > 0 && wait_ms < longest_pause_ms) wait_ms *= 2;
    if (wait_seconds) wait_ms = std::max(wait_ms, *wait_seconds * 1'000);
    wait_ms = std::min(wait_ms, longest_pause_ms);
    const auto half = static_cast<std::uint64_t>(wait_ms / 2);
    const milliseconds time(half + secure_random_below(half + 1));
    tell_(why + "; trying again");
    for (const auto until = steady_clock::now() + time; steady_clock::now() < until;) {
        if (stop_.stop_requested()) interrupted(request);
        std::this_thread::sleep_until(
            std::min(until, steady_clock::now() + milliseconds(limits::client_stop_ms)));
    }
}

boost::json::value json_of(const Answer& answer) {
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(answer.text, error);
    if (error) {
        throw Quit(exit_status::unreachable, "the server answered something that is not JSON",
                   "see that it is coupond's address: couponctl ping");
    }
    return value;
}

}  // namespace coupond::ctl
