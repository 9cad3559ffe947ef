#include "ctl/server.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "base/random.hpp"
#include "ctl/interrupt.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int connect_ms = 5'000;
constexpr seconds silence_most{30};  // the server itself answers with an error before
constexpr seconds upload_silence_most{60};
constexpr seconds answer_most{60};  // for what is short
constexpr std::size_t answer_bytes = 64 * 1024 * 1024;
constexpr std::size_t refusal_bytes = 1024 * 1024;
constexpr int tries_most = 8;             // where the server is busy, or was there before
constexpr int connecting_tries_most = 3;  // where nobody is there, which seldom passes
constexpr seconds tries_end{45};          // since the first one failed: no more then
constexpr int first_pause_ms = 250;       // then twice as long
constexpr int longest_pause_ms = 8'000;
constexpr int longest_asked_s = 30;  // that the server may ask to wait
constexpr std::size_t key_bytes_most = 255;

/// What to do about a refusal, by its code.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> cures{{
    {"coupon_not_locked", "lock it first: couponctl lock CODE --user USER"},
    {"coupon_not_assigned_to_user", "see whose it is: couponctl codes show CODE"},
    {"coupon_assigned_to_another_user", "see whose it is: couponctl codes show CODE"},
    {"coupon_already_redeemed", "see by whom and when: couponctl codes show CODE"},
    {"coupon_already_locked",
     "redeem it, where the lock is the user's own; see until when: couponctl codes show CODE"},
    {"coupon_not_found", "look for it: couponctl codes list BOOK --prefix TEXT"},
    {"coupon_book_not_found", "see which there are: couponctl book list"},
    {"job_not_found", "see which there are: couponctl job list"},
    {"codes_already_exist",
     "leave out those that exist: couponctl codes upload --on-conflict skip"},
    {"no_available_coupons", "make more: couponctl codes generate BOOK COUNT"},
    {"coupon_book_archived", "bring it back: couponctl book restore BOOK"},
    {"redemption_not_found", "look for it: couponctl codes show CODE --output json"},
    {"already_rolled_back", "see what became of it: couponctl codes show CODE --output json"},
    {"lock_key_mismatch", "say the key that it was locked with: --lock-key KEY"},
    {"idempotency_key_reused", "take a key that was not used for anything else"},
    {"route_not_found", "see that it is coupond's address, and its version: couponctl ping"},
    {"file_empty", "see what is in the file"},
    {"unknown_member", "see what the API takes: /api on the server"},
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

/// In seconds, as far as it is said so.
std::optional<int> retry_after(const net::HttpResponse& response) {
    const auto field = response.field("Retry-After");
    std::uint64_t number = 0;
    if (!field) return std::nullopt;
    const auto [end, error] = std::from_chars(field->data(), field->data() + field->size(), number);
    if (error != std::errc() || end != field->data() + field->size()) return std::nullopt;
    return static_cast<int>(std::min<std::uint64_t>(number, 1'000'000));
}

/// `<TARGET>; rel="next"` (RFC 8288), among others.
std::optional<std::string> next_page(const net::HttpResponse& response) {
    std::string_view rest = response.field("Link").value_or("");
    for (std::size_t begin; (begin = rest.find('<')) != std::string_view::npos;) {
        rest.remove_prefix(begin + 1);
        const std::size_t end = rest.find('>');
        if (end == std::string_view::npos) break;
        const std::string_view target = rest.substr(0, end);
        rest.remove_prefix(end + 1);
        if (rest.substr(0, rest.find('<')).find("rel=\"next\"") == std::string_view::npos) continue;
        if (!target.starts_with('/')) throw net::Garbled("a list that leads elsewhere");
        return std::string(target);
    }
    return std::nullopt;
}

struct Refused {
    std::string message;
    std::string code;
};

/// What an answer that is not a success says; nothing where it is not one of coupond's.
std::optional<Refused> refused_by(const net::HttpResponse& response) {
    const auto body = parse_json(response.body);
    if (response.status < 400 || !body) return std::nullopt;
    Refused refused{text_at(*body, "message"), text_at(*body, "code")};
    if (const std::string code = text_at(*body, "couponCode"); !code.empty()) {
        refused.message += ": " + code;
    }
    const auto* const messages = member(*body, "message");
    if (messages == nullptr || refused.code.empty()) return std::nullopt;
    if (messages->is_array()) {
        for (const auto& each : messages->as_array()) {
            if (!each.is_string()) return std::nullopt;
            if (!refused.message.empty()) refused.message += "; ";
            refused.message += std::string_view(each.as_string());
        }
    }
    return refused;
}

constexpr const char* in_doubt_told = "; it may have been done all the same";

/// What to do where that is so.
std::string look_first(const Request& request) {
    return "look before it is done again, or say --idempotency-key " + request.idempotency_key +
           " with it: then it is done once";
}

[[noreturn]] void interrupted(const Request& request, bool in_doubt) {
    if (!in_doubt) throw Quit(exit_status::interrupted, "interrupted", "");
    throw Quit(exit_status::interrupted, std::string("interrupted") + in_doubt_told,
               look_first(request));
}

/// Each segment of a path for itself.
std::string encoded_path(std::string_view path) {
    std::string encoded;
    while (!path.empty()) {
        path.remove_prefix(1);  // the slash
        const std::string_view segment = path.substr(0, path.find('/'));
        encoded.append("/").append(percent_encoded(segment));
        path.remove_prefix(segment.size());
    }
    return encoded;
}

/// Whether an answer is of the kind that was asked for.
bool is_wanted(const net::HttpResponse& head, const Request& request) {
    const auto type = head.field("Content-Type");
    return type && type->starts_with(request.accept);
}

milliseconds pause_before(int tries, std::optional<int> asked_s) {
    int wait_ms = first_pause_ms;
    while (--tries > 0 && wait_ms < longest_pause_ms) wait_ms *= 2;
    const auto half = static_cast<std::uint64_t>(std::min(wait_ms, longest_pause_ms) / 2);
    const milliseconds ours(half + secure_random_below(half + 1));
    return std::max(ours, milliseconds(seconds(asked_s.value_or(0))));
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

Server::Server(const Options& options, std::stop_token stop,
               std::function<void(const std::string&)> tell)
    : url_(options.url),
      idempotency_key_(options.idempotency_key),
      at_(parse(options.url)),
      stop_(std::move(stop)),
      tell_(std::move(tell)),
      client_(client_of(at_, options.root_certificate)) {
    const auto fits = [](char c) { return c > ' ' && c < '\x7F'; };
    if (idempotency_key_.size() > key_bytes_most || !std::ranges::all_of(idempotency_key_, fits)) {
        throw wrong_usage("--idempotency-key must be up to 255 visible characters of ASCII",
                          "a UUID does, as of uuidgen");
    }
}

Answer Server::ask(const Request& request) {
    return stream(request, request.pieces ? upload_silence_most : silence_most, {});
}

Answer Server::stream(const Request& asked, milliseconds silence, const net::BodySink& sink) {
    Request request = asked;
    if (changes_something(request)) {
        if (!idempotency_key_.empty()) request.idempotency_key = idempotency_key_;
        if (request.idempotency_key.empty()) {
            request.idempotency_key = "couponctl-" + secure_random_base32(26);
        }
    }
    bool has_given = false;
    net::BodySink given;
    std::string other;  // what is not the body that was asked for
    if (sink) {
        given = [&](const net::HttpResponse& head, std::string_view piece) {
            if (head.status >= 300) {
                other += piece;
                if (other.size() > refusal_bytes) throw net::Garbled("an endless refusal");
                return;
            }
            if (!is_wanted(head, request)) {
                throw net::Garbled("an answer that is no " + request.accept);
            }
            has_given = true;
            sink(head, piece);
        };
    }
    std::optional<steady_clock::time_point> failing;  // since when
    bool was_there = has_answered_;
    bool in_doubt = false;
    const bool changes = changes_something(request);
    for (int tries = 1;; ++tries) {
        std::string why;
        std::optional<int> asked_s;
        std::optional<net::HttpResponse> busy;
        other.clear();
        try {
            net::Patience patience{.silence = silence};
            if (!sink && !request.pieces) patience.until = steady_clock::now() + answer_most;
            net::HttpResponse response = client_.exchange(build(request), patience, stop_, given);
            was_there = has_answered_ = true;
            if (sink && response.status >= 300) response.body = other;
            if (sink && response.status < 300 && !is_wanted(response, request)) {
                throw net::Garbled("an answer that is no " + request.accept);
            }
            const auto refused = refused_by(response);
            const bool in_use = refused && refused->code == "idempotency_key_in_use";
            if (!may_pass(response.status) && !in_use) return answer(std::move(response), request);
            // Of 503 alone it is said that nothing was changed, but for that one.
            in_doubt = in_doubt || (changes && (response.status != 503 || in_use || !refused ||
                                                refused->code == "outcome_unknown"));
            why = refused ? refused->message : "status " + std::to_string(response.status);
            asked_s = retry_after(response);
            busy = std::move(response);
        } catch (const net::Stopped&) {
            interrupted(request, in_doubt || (changes_something(request) && client_.has_sent()));
        } catch (const net::Garbled& error) {
            if (has_given) throw;
            in_doubt = in_doubt || (changes && client_.has_sent());
            throw Quit(exit_status::unreachable,
                       url_ + " answered what coupond does not: " + error.reason() +
                           (in_doubt ? in_doubt_told : ""),
                       in_doubt ? look_first(request)
                                : "see that it is coupond's address: couponctl ping");
        } catch (const net::Lost& error) {
            if (has_given) throw;
            was_there = was_there || client_.has_sent();
            in_doubt = in_doubt || (changes && client_.has_sent());
            why = error.reason();
        }
        if (!failing) failing = steady_clock::now();
        const bool ends = tries >= (was_there ? tries_most : connecting_tries_most) ||
                          asked_s.value_or(0) > longest_asked_s ||
                          steady_clock::now() - *failing > tries_end ||
                          (request.can_repeat && !request.can_repeat());
        if (ends && busy && !in_doubt) return answer(std::move(*busy), request);
        if (ends) lost(why, request, in_doubt);
        tell_(why + "; trying again");
        if (!ctl::pause(pause_before(tries, asked_s), stop_)) interrupted(request, in_doubt);
    }
}

net::HttpRequest Server::build(const Request& request) const {
    net::HttpRequest built{
        request.method, encoded_path(at_.path) + request.target, {}, request.body, {}};
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
    }
    return built;
}

Answer Server::answer(net::HttpResponse&& response, const Request& request) const {
    if (response.status < 300) {
        if (!response.body.empty() && !is_wanted(response, request)) {
            throw net::Garbled("an answer that is no " + request.accept);
        }
        const bool replayed = response.field("Idempotent-Replayed") == "true";
        const auto next = next_page(response);
        return {response.status, std::move(response.body), next, replayed};
    }
    const auto refused = refused_by(response);
    if (!refused) {
        throw no_coupond(url_ + " answered with status " + std::to_string(response.status) +
                         ", but not as coupond does");
    }
    if (may_pass(response.status)) {
        throw Quit(exit_status::unreachable,
                   refused->message + " (" + refused->code + ", " + url_ + ")",
                   "it may pass: try again later");
    }
    const auto cure = std::ranges::find(cures, refused->code,
                                        &std::pair<std::string_view, std::string_view>::first);
    throw Quit(exit_status::refused, refused->message + " (" + refused->code + ")",
               cure == cures.end() ? "" : std::string(cure->second));
}

void Server::lost(const std::string& reason, const Request& request, bool in_doubt) const {
    throw Quit(exit_status::unreachable,
               "cannot reach " + url_ + ": " + reason + (in_doubt ? in_doubt_told : ""),
               in_doubt
                   ? look_first(request)
                   : "is coupond running there? name it by --server, COUPOND_URL or a profile");
}

boost::json::value json_of(const Answer& answer) {
    auto value = parse_json(answer.text);
    if (!value) {
        throw no_coupond("the server answered something that is not JSON");
    }
    return std::move(*value);
}

}  // namespace coupond::ctl
