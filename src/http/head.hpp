// A request's bytes: where its head ends, what it says, how its body comes.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coupond::http {

/// Why a request is refused before any handler sees it.
struct Refusal {
    int status;
    std::string_view code;     ///< static storage
    std::string_view message;  ///< static storage
};

inline constexpr Refusal malformed_request = {400, "malformed_request",
                                              "The request is not well-formed HTTP/1.1"};
inline constexpr Refusal payload_too_large = {413, "payload_too_large",
                                              "The request's body is too large"};

/// Finds the end of a request's head while it arrives.
class HeadScanner {
public:
    enum class Found { nothing_yet, end, malformed };

    /// `bytes` is all there is of the request so far: what the last call saw, and more. Malformed
    /// at once where a line ends without CR or begins with white space (the first line, or a folded
    /// field).
    Found scan(std::string_view bytes);

    /// How long the head is, its empty line included. Once the end was found.
    std::size_t size() const { return line_; }

private:
    std::size_t searched_ = 0;
    std::size_t line_ = 0;  // where the current line begins
};

/// What coupond looks at of a head. Made to be used again for the next request, without allocating.
struct Head {
    std::string method;
    std::string target;
    std::string content_type;
    std::string request_id;  ///< the client's, where it is a fit one; else empty
    /// As it was sent; of several fields the values with commas between them.
    std::optional<std::string> idempotency_key;
    std::optional<std::string> last_event_id;  ///< likewise
    std::optional<std::string> accept;
    std::optional<std::string> accept_encoding;
    bool is_http_1_1 = false;
    bool keep_alive = false;
    bool is_chunked = false;
    std::uint64_t content_length = 0;
    bool is_encoded = false;         ///< Content-Encoding is other than identity
    bool expects_continue = false;   ///< Expect: 100-continue
    bool expects_otherwise = false;  ///< any other expectation

    bool has_body() const { return is_chunked || content_length > 0; }
    void clear();
};

/// Parses one request into `head` and `body`, stricter than Beast about what proxies may understand
/// differently.
class RequestParser final : public boost::beast::http::basic_parser<true> {
public:
    RequestParser(Head& head, std::string& body, std::size_t header_bytes);

    /// Parses a head that a HeadScanner found whole. A refusal means that where the request ends is
    /// unknown or not worth waiting for, so its connection has to be closed.
    std::optional<Refusal> parse_head(std::string_view bytes);

    /// Beyond this, a chunked body is refused. Once, between its head and its first byte.
    void bound_body(std::uint64_t bytes) { body_limit(bytes); }

    /// Parses some of the body and returns how many of `bytes` it has taken; the rest is to be
    /// given again with more bytes after it. is_done() tells the body's end.
    std::size_t parse_body(std::string_view bytes, std::optional<Refusal>& refusal);

    /// Likewise, but up to the end of the next piece, which is not put into `body` but stays where
    /// it is in `bytes`. Without a piece, all is taken that can be. Not to be mixed with
    /// parse_body().
    std::size_t parse_piece(std::string_view bytes, std::string_view& piece,
                            std::optional<Refusal>& refusal);

private:
    using Error = boost::beast::error_code;
    using Text = boost::beast::string_view;
    using Field = boost::beast::http::field;

    void on_request_impl(boost::beast::http::verb, Text method, Text target, int version,
                         Error&) override;
    void on_response_impl(int, Text, int, Error&) override {}
    void on_field_impl(Field field, Text name, Text value, Error& error) override;
    void on_header_impl(Error& error) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
    std::size_t on_body_impl(Text bytes, Error&) override;
    void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Error&) override;
    void on_finish_impl(Error&) override {}

    std::size_t parse_some(std::string_view bytes, std::optional<Refusal>& refusal);
    void on_body_bytes(Text bytes);
    void on_framing_field(Field field, std::string_view value, Error& error);
    void on_other_field(Field field, std::string_view name, std::string_view value);

    Head& head_;
    std::string& body_;
    std::string_view piece_;
    int hosts_ = 0;
    int lengths_ = 0;
    int request_ids_ = 0;
    bool host_is_fit_ = true;
    bool in_trailer_ = false;
};

}  // namespace coupond::http
