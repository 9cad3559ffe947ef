// JSON ↔ commands, queries and outcomes. The only place with JSON names, HTTP statuses and the
// texts of answers. api/openapi.yaml is the source of all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/failure.hpp"
#include "base/limits.hpp"
#include "base/time_zone.hpp"
#include "domain/domain.hpp"
#include "qr/qr.hpp"
#include "store/store.hpp"
#include "wire/code_file.hpp"

namespace coupond::wire {

/// What of a body is still to come.
enum class Rest {
    none,
    more,    ///< to be asked for once what was appended is written
    later,   ///< where nothing was appended: nothing until a wake (http::Responder); else as `more`
    soon,    ///< as `later`, but a drain does not end it: it comes to an end of its own
    failed,  ///< nothing was appended, and the rest cannot be had: the connection is broken, so
             ///< that nobody takes what has come for all of it
};

/// A body made piece by piece, so that a long answer never stands in memory whole. Each call
/// appends the next piece to `out` (some 64 KiB). Called on the network thread; destroyed as soon
/// as the body has ended or its client is gone.
using BodySource = std::function<Rest(std::string& out)>;

/// What goes back to a client. `body` is JSON unless `content_type` says otherwise.
struct Answer {
    int status = 200;
    std::variant<std::string, BodySource> body;
    std::size_t held_bytes = 0;  ///< what a BodySource keeps in memory until it is sent
    std::string_view content_type = "application/json; charset=utf-8";  ///< static storage
    std::string link;                   ///< the Link header's value; empty: none
    std::string location;               ///< the same of Location
    std::string guess_probability;      ///< the same of Coupond-Guess-Probability
    std::string content_disposition;    ///< the same of Content-Disposition
    std::string_view content_encoding;  ///< the same of Content-Encoding; static storage
    std::string_view vary;              ///< the same of Vary; static storage
    bool replayed = false;              ///< the answer to a request that is repeated
    bool retry_after = false;           ///< with limits::retry_after_seconds
    bool unbuffered = false;            ///< proxies are asked to hand on each piece as it comes
    std::string_view cache_control = "no-store";  ///< static storage
    std::string_view content_security_policy;  ///< that header's value; empty: none; static storage
};

/// An error answer. `code` is the stable reason in snake_case; the body is
/// `{"statusCode", "error", "message", "code", "requestId"}` with "error" the status's standard
/// phrase.
/// Where `coupon_code` is not empty, it says which of several it is about.
Answer problem(int status, std::string_view code, std::string_view message,
               std::string_view request_id, std::string_view coupon_code = {});

/// 400 `validation_failed`, with `message` an array: one sentence a field.
Answer invalid(const std::vector<std::string>& messages, std::string_view request_id);

/// 409 `idempotency_key_in_use`: the first request with the key is not answered yet.
Answer key_in_use(std::string_view request_id);

/// A failure of the environment: 503 with Retry-After, but for data that the database refuses: 422.
/// Never 500.
Answer failed(Failure failure, std::string_view request_id);

/// What a decoder returns: the thing asked for, or the answer that says why it cannot be had.
template <class T>
using Decoded = std::variant<T, Answer>;

/// One `name=value` of a query, percent-decoded.
struct QueryParam {
    std::string name;
    std::string value;
};
using Query = std::vector<QueryParam>;

// Decoders. `body` is the raw request body, `content_type` its header's value ("" where there is
// none). What is not application/json (or absent) answers 415 `unsupported_media_type`; what is not
// JSON, or deeper than limits::json_depth, 400 `malformed_json` with the offset; a body that does
// not fit, 400 `validation_failed` with one message a field, in the order of the description,
// unknown members named. A code or id in the path that cannot be one is a validation error as well.
// They throw nothing but std::bad_alloc and take time linear in the body's length.

struct Request {
    std::string_view content_type;
    std::string_view body;
    std::string_view request_id;
};

Decoded<CreateBook> decode_create_book(const Request& request);
/// `path_id` is the text after /coupon/.
Decoded<EditBook> decode_edit_book(const Request& request, std::string_view path_id);
/// There is no body to read.
Decoded<ArchiveBook> decode_archive_book(std::string_view path_id, const Query& query,
                                         std::string_view request_id);
/// The body may be left out.
Decoded<RestoreBook> decode_restore_book(const Request& request, std::string_view path_id);
/// `path_id` is the text after /coupon/codes/, or nothing where there is none.
Decoded<UploadCodes> decode_upload_codes(const Request& request,
                                         std::optional<std::string_view> path_id);
struct Generate {
    GenerateCodes command;
    bool wait = false;  ///< for the codes; else for a job
};
/// `path_id` is the text after /coupon/generate/.
Decoded<Generate> decode_generate(const Request& request, std::string_view path_id);
/// Whether a body of that Content-Type is a file of codes, whatever its charset.
std::optional<Import::Format> file_format(std::string_view content_type);
/// What its first part begins. `path_id` is the text after /coupon/codes/.
Decoded<ReceiveFile> decode_receive_file(Import::Format format, std::string_view content_type,
                                         std::string_view path_id, const Query& query,
                                         std::string_view request_id);
/// Which rejected rows of a job a list shows.
struct RejectedQuery {
    JobId job_id = 0;
    std::int64_t after = 0;  ///< those of lines behind it
    std::size_t limit = 0;
    bool as_csv = false;
};
/// `path_id` is the text after /coupon/jobs/, `accept` that header's value.
Decoded<RejectedQuery> decode_rejected_rows(std::string_view path_id, const Query& query,
                                            std::string_view accept, std::string_view request_id);
/// `path_id` is the text after /coupon/qr/. The body may be left out.
Decoded<DrawImages> decode_draw_images(const Request& request, std::string_view path_id);
/// `path_id` is the text after /coupon/jobs/. There is no body to read; `query` must be empty.
Decoded<CancelJob> decode_cancel_job(std::string_view path_id, const Query& query,
                                     std::string_view request_id);
Decoded<AssignAny> decode_assign_any(const Request& request);
Decoded<AssignCode> decode_assign_code(const Request& request, std::string_view path_code);
Decoded<LockCode> decode_lock_code(const Request& request, std::string_view path_code,
                                   std::int64_t ttl_ms);
Decoded<RedeemCode> decode_redeem_code(const Request& request, std::string_view path_code);
/// Of several codes for one order.
Decoded<LockCodes> decode_lock_codes(const Request& request, std::int64_t ttl_ms);
Decoded<RedeemCodes> decode_redeem_codes(const Request& request);
Decoded<RollBack> decode_roll_back(const Request& request, std::string_view path_id);

Decoded<EditCode> decode_edit_code(const Request& request, std::string_view path_code);
Decoded<UnlockCode> decode_unlock_code(const Request& request, std::string_view path_code);
Decoded<UnassignCode> decode_unassign_code(const Request& request, std::string_view path_code);

/// Whether a code would be accepted.
Decoded<ValidateCode> decode_validate_code(const Request& request, std::string_view path_code,
                                           const Query& query);

/// `path_user` is the text after /coupon/users/; `erased_id` becomes the command's. There is no
/// body to read; `query` must be empty.
Decoded<EraseUser> decode_erase_user(std::string_view path_user, const Query& query,
                                     std::string_view request_id, std::string erased_id);

/// The key in the value of an Idempotency-Key field: a string of structured fields (RFC 8941) or
/// the same without its quotes, 1 to limits::idempotency_key_characters visible ASCII characters.
/// Else 400 `idempotency_key_malformed`.
Decoded<std::string> decode_idempotency_key(std::string_view field, std::string_view request_id);

/// Unknown members, repeated ones and values that cannot be are refused by name; so is an `after`
/// that is not of the order asked for.
Decoded<BookQuery> decode_list_books(const Query& query, std::string_view request_id);

/// The id or code in the path of what is asked for; `query` must be empty.
Decoded<BookId> decode_book_id(std::string_view path_id, const Query& query,
                               std::string_view request_id);
Decoded<std::string> decode_code(std::string_view path_code, const Query& query,
                                 std::string_view request_id);

/// A code as a picture.
struct ShowQr {
    std::string code;
    QrImages wish;  ///< what is asked for
};
/// `path_file` is the text after /coupon/qr/: a code with `.svg` or `.png` behind it, else the
/// answer is 404 `route_not_found`. What cannot be is refused by name.
Decoded<ShowQr> decode_show_qr(std::string_view path_file, const Query& query,
                               std::string_view request_id);

/// Unknown members, repeated ones and values that cannot be are refused by name.
Decoded<EntryQuery> decode_list_entries(const Query& query, std::string_view request_id);

/// Which entries a stream shows, and from where on.
struct StreamEntries {
    EntryQuery query;
    bool from_now = false;  ///< those that come from now on; else those behind `query.after`
};
/// `last_event_id` is that header's value; it wins over `after`. What cannot be is refused by name.
Decoded<StreamEntries> decode_stream_entries(const Query& query,
                                             std::optional<std::string_view> last_event_id,
                                             std::string_view request_id);

/// Unknown members, repeated ones and values that cannot be are refused by name.
Decoded<JobQuery> decode_list_jobs(const Query& query, std::string_view request_id);

Decoded<CodeQuery> decode_list_codes(std::string_view path_id, const Query& query,
                                     std::string_view request_id);
/// The same of all codes, whose pages are our own.
Decoded<CodeQuery> decode_export_codes(std::string_view path_id, const Query& query,
                                       std::string_view request_id);

struct ShowStatistics {
    StatisticsQuery query;
    CalendarUnit bucket = CalendarUnit::day;
    TimeZone zone;
};
/// `path_id`: the book's, or nothing for all books. Without `from` the series goes back for 30 days
/// or 48 hours, without `to` it goes up to the end of the day or hour that `now` lies in.
Decoded<ShowStatistics> decode_statistics(std::optional<std::string_view> path_id,
                                          const Query& query, Timestamp now,
                                          std::string_view request_id);

/// `path_user` is the text after /coupon/users/. As the one above.
Decoded<UserQuery> decode_show_user(std::string_view path_user, const Query& query,
                                    std::string_view request_id);

// Encoders.

/// The answer to a command: a refusal's 404 or 409, or 201, 202 of a job that has begun, 200 of an
/// erasure or a change of settings, with what was done. Not of one that is to be drafted anew.
/// `now` decides `isLocked`.
Answer encode(Outcome&& outcome, Timestamp now, std::string_view request_id);

/// The answer to GET /coupon; `query` makes the next page's link. `page` is kept until it has been
/// sent: move it in.
Answer encode(BookPage page, const BookQuery& query, Timestamp now, std::string_view request_id);

/// The answer to GET /coupon/:id.
Answer encode(const BookListing& listing);

/// The answer to GET /coupon/code/:code.
Answer encode(const CodeHistory& found, Timestamp now);

/// The image of a code as `wish` asks for it. Takes up to some tens of milliseconds.
qr::Drawn draw_qr(const std::string& code, const QrImages& wish);
std::string_view content_type_of(QrImages::Format format);
/// The name of a file with the image of a code, each code's another one: the code, percent-encoded
/// but for letters, digits and `-._~`, a dot at its beginning too; of a code of which that is
/// longer than limits::image_name_bytes, what it begins with and a digest.
std::string image_name(std::string_view code, QrImages::Format format);

/// The answer to GET /coupon/qr/:code.svg and :code.png; `code` as it is stored. Draws it: takes
/// up to some tens of milliseconds.
Answer encode(const Code& code, const ShowQr& asked, std::string_view request_id);

/// The answer to POST /coupon/validate/:code; `validated` as validate() returns it.
Answer encode(const std::optional<CodeValidated>& validated, const ValidateCode& asked,
              std::string_view request_id);

/// `L` for one of which about 7 % may be lost, to `H`.
std::string_view name_of(QrImages::ErrorLevel level);

/// The answer to GET /coupon/jobs/:id.
Answer encode(const Job& job);

/// 400 to a file that cannot be read at all.
Answer unreadable_file(const CodeFile::Problem& problem, std::string_view request_id);

/// The answer to GET /coupon/jobs/:id/rejected: a list, or a file.
Answer encode(std::span<const RejectedRow> rows, const RejectedQuery& query);

/// The answer to GET /coupon/jobs.
Answer encode(const JobPage& page, const JobQuery& query);

/// The answer to GET /coupon/codes/:id.
Answer encode(const CodePage& page, const CodeQuery& query, Timestamp now,
              std::string_view request_id);

/// The answer to GET /coupon/stats and GET /coupon/:id/stats.
Answer encode(const Statistics& statistics, const ShowStatistics& asked,
              std::string_view request_id);

/// The answer to GET /coupon/users/:userId.
Answer encode(const UserPage& page, const UserQuery& query, Timestamp now);

/// The answer to GET /coupon/events.
Answer encode(const EntryPage& page, const EntryQuery& query);

// GET /coupon/events/stream, in server-sent events (WHATWG HTML).

/// The answer; `body` makes its events.
Answer event_stream(BodySource body);
/// An entry on a line of its own, its JSON as in a list.
void append_entry_line(std::string& out, const EntryListing& listing);
/// How soon to come back, where from: what a stream begins with.
void append_stream_begin(std::string& out, EntryId from);
/// Each entry as an event, its JSON as in a list. Where there is none, but the page leads on, an
/// event without data that moves the client's last event id on.
void append_events(std::string& out, const EntryPage& page);
/// A comment, with the last event id where that has moved on without an event.
void append_keep_alive(std::string& out, std::optional<EntryId> moved_to);

/// `{"status": …}` of the health routes: 200 where `ok`, else 503.
Answer health(bool ok, std::string_view status);

/// The API's description, api/openapi.yaml as JSON.
Answer api_document();

/// A file of Swagger UI by its name below /api/ ("" is its page); nothing where there is none of
/// that name.
std::optional<Answer> api_page(std::string_view name);

}  // namespace coupond::wire
