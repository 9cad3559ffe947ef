// One coupond server, as its API answers.
#pragma once

#include <boost/json/value.hpp>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "net/http_client.hpp"

namespace coupond::ctl {

/// What is asked of the server.
struct Request {
    std::string method = "GET";
    std::string target;  ///< from the server's root on, percent-encoded
    std::string body = {};
    std::string content_type = "application/json";
    std::string accept = "application/json";
    /// Under which the server does it once, however often it is sent; empty: the client makes one
    /// up where the method changes something.
    std::string idempotency_key = {};
    /// Instead of `body`: see net::HttpRequest::next_piece. Called for each try, it returns what
    /// gives the pieces from the start on.
    std::function<std::function<void(std::string& to)>()> pieces = {};
    std::function<bool()> can_repeat = {};  ///< whether they can be had again; left out: yes
};

/// What it answered, with a status below 300.
struct Answer {
    int status = 0;
    std::string text;
    std::optional<std::string> next;  ///< the target of the next page, where there is one
    bool replayed = false;            ///< of what was done before, under the same Idempotency-Key
};

/// `text` for one segment of a path, or one value of a query (RFC 3986).
std::string percent_encoded(std::string_view text);

/// A target's query.
class Query {
public:
    Query& add(std::string_view name, std::string_view value);
    Query& add(std::string_view name, const std::optional<std::string>& value);
    std::string on(std::string_view path) const;

private:
    std::string text_;
};

/// Asks again, with longer and longer pauses, where the connection was lost or the server is busy
/// (429, 502, 503, 504), up to eight times, about 20 seconds in all; what changes something carries
/// an Idempotency-Key, so that it is done once. Throws Quit: `refused` with the server's reason and
/// its code, `unreachable` where there is no answer that can be understood.
class Server {
public:
    struct Options {
        std::string url;               ///< http:// or https://
        std::string root_certificate;  ///< a PEM file; empty: the system's
        std::string idempotency_key;   ///< empty: one is made up for each request
    };

    /// `tell` is given a line for people whenever there is a pause. Throws Quit where the options
    /// do not fit.
    Server(const Options& options, std::stop_token stop,
           std::function<void(const std::string&)> tell);

    Answer ask(const Request& request);

    /// The same, with what is answered given to `sink` as it comes, where it is what `accept` says:
    /// a stream is not asked for again once something of it was given away. Throws net::Lost where
    /// it ends too early.
    Answer stream(const Request& request, std::chrono::milliseconds silence,
                  const net::BodySink& sink);

    const std::string& url() const { return url_; }

private:
    net::HttpRequest build(const Request& request) const;
    Answer answer(net::HttpResponse&& response, const Request& request) const;
    [[noreturn]] void lost(const std::string& reason, const Request& request, bool in_doubt) const;

    const std::string url_;
    const std::string idempotency_key_;
    const net::Url at_;
    const std::stop_token stop_;
    const std::function<void(const std::string&)> tell_;
    net::HttpClient client_;
    bool has_answered_ = false;
};

/// What JSON the server has answered. Throws Quit (unreachable) where it is none.
boost::json::value json_of(const Answer& answer);

}  // namespace coupond::ctl
