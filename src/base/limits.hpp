// Every bound that coupond puts on what comes from outside or waits inside, and how they hang
// together.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coupond::limits {

// What a request may be.
inline constexpr std::size_t body_bytes = 8 * 1024 * 1024;  ///< beyond: 413
inline constexpr std::size_t header_bytes = 16 * 1024;  ///< request line and fields; beyond: 431
inline constexpr std::size_t json_depth = 32;           ///< beyond: 400
inline constexpr std::size_t bodies_in_flight_bytes =
    96 * 1024 * 1024;  ///< of all connections, and the long answers; beyond: 503

// What the words in it may be, in Unicode characters.
inline constexpr std::size_t code_characters = 128;
inline constexpr std::size_t name_characters = 255;
inline constexpr std::size_t user_id_characters = 255;
inline constexpr std::size_t lock_key_characters = 128;
inline constexpr std::size_t pattern_characters = 255;
inline constexpr std::size_t description_characters = 2'000;
inline constexpr std::size_t metadata_bytes = 16 * 1024;  ///< as JSON without white space
inline constexpr std::size_t order_id_characters = 255;
inline constexpr std::size_t order_codes = 30;  ///< for one order, at once
inline constexpr std::size_t request_id_bytes = 64;

inline constexpr std::size_t reason_characters = 1'024;  ///< of a roll-back

inline constexpr std::int64_t discount_cents = 99'999'999'99;         ///< 99,999,999.99
inline constexpr std::int64_t order_minor_units = 1'000'000'000'000;  ///< what an order costs
inline constexpr std::int64_t redemptions = 1'000'000'000;            ///< of a limit
inline constexpr std::int64_t lock_ttl_s = 86'400;
inline constexpr std::size_t upload_codes = 100'000;  ///< in one request

// Codes that are generated.
inline constexpr std::int64_t generated_codes = 10'000'000;  ///< by one job
inline constexpr std::int64_t generated_at_once = 10'000;    ///< and waited for
inline constexpr std::size_t generations_waiting = 64;       ///< beyond: 503
inline constexpr std::int64_t round_least = 10'000;          ///< fewer are made one after the other
/// A pattern that has so many codes is never used up: numbers of a round that a cancelled job
/// leaves behind are not missed. Of others none are lost.
inline constexpr std::int64_t codes_without_end = 1'000 * generated_codes;
/// Codes in a row that are there already, before a job gives up.
inline constexpr std::int64_t codes_missed = 1'000'000;
inline constexpr std::int64_t round_codes = 1'000'000;  ///< of a job, made in their order
inline constexpr std::size_t metadata_at_once = 16 * 1024 * 1024;  ///< of codes that are waited for
inline constexpr std::size_t piece_codes_least = 100;  ///< of a job, in one transaction,
inline constexpr std::size_t piece_codes_first = 1'000;
inline constexpr std::size_t piece_codes_most = 20'000;
inline constexpr int piece_ms = 8;         ///< that adding a piece takes about, where others wait,
inline constexpr int piece_alone_ms = 60;  ///< and where nobody does
inline constexpr int job_niceness = 5;     ///< of the thread that works on jobs
inline constexpr int job_claim_ms = 15'000;  ///< a job is its worker's from a piece on
inline constexpr int job_claim_most_ms = 2 * job_claim_ms;  ///< clocks may differ
inline constexpr int job_gap_ms = 20;  ///< from a piece that others were in the way of
inline constexpr std::size_t unfinished_jobs = 1'000;  ///< beyond: 503
inline constexpr int job_poll_ms = 1'000;  ///< until other processes' jobs are looked for again

// Codes that are brought in as a file.
inline constexpr std::int64_t import_bytes = std::int64_t{4} << 30;  ///< beyond: 413
inline constexpr std::size_t import_row_bytes = 64 * 1024;           ///< beyond: row_too_long
inline constexpr std::size_t import_columns = 256;                   ///< beyond: 400
inline constexpr std::size_t rejected_text_bytes = 200;              ///< kept of a rejected row
inline constexpr std::int64_t rejected_rows = 100'000;               ///< kept of a file
inline constexpr std::size_t import_part_bytes = 256 * 1024;         ///< of a file, in a row
inline constexpr std::int64_t parts_removed = 16;                    ///< at once
inline constexpr std::int64_t share_rows = 1'000'000;                ///< about, in memory at once,
inline constexpr std::int64_t share_bytes = 48 * 1024 * 1024;  ///< and what they take there, about
inline constexpr std::int64_t piece_entries = 1'000;  ///< of the ledger, by a piece of an import
inline constexpr std::size_t imports_receiving = 16;  ///< files that come at once; beyond: 503
inline constexpr int receiving_claim_ms = 25'000;     ///< a file that goes on coming is claimed for

// What a list answers.
inline constexpr std::size_t page_books_default = 100;
inline constexpr std::size_t page_books = 1'000;
inline constexpr std::size_t page_entries_default = 100;
inline constexpr std::size_t page_entries = 1'000;
inline constexpr std::size_t page_jobs_default = 100;
inline constexpr std::size_t page_jobs = 1'000;
inline constexpr std::size_t page_listed_codes_default = 100;
inline constexpr std::size_t page_listed_codes = 1'000;
inline constexpr std::size_t page_rejected = 1'000;
inline constexpr std::size_t page_scan = 20'000;  ///< rows looked at for a page, whatever matches
inline constexpr std::size_t statistics_pieces = 1'000;  ///< hours or days of a series
inline constexpr std::size_t page_codes = 10'000;        ///< of all books of an ?include=codes page

// Pictures of codes.
inline constexpr int qr_size_px_default = 400;  ///< of a side
inline constexpr int qr_size_px = 2'000;
inline constexpr int qr_margin_modules_default = 4;  ///< as ISO/IEC 18004 wants it
inline constexpr int qr_margin_modules = 16;
inline constexpr std::size_t qr_url_characters = 1'024;  ///< with `{code}` in it
inline constexpr int qr_modules = 177;                   ///< of a side of the largest QR code

// Images of all codes of a book.
inline constexpr std::size_t images_at_once = 200;  ///< between two notes of how far the job is
inline constexpr int image_puts_at_once = 8;        ///< into a bucket
inline constexpr std::int64_t images_in_folder = 10'000;
inline constexpr std::size_t image_name_bytes = 200;  ///< of the file; of longer codes a digest

// A queue of jobs outside the database.
inline constexpr int queued_job_visible_s = 60;     ///< until another worker is told of it too
inline constexpr int queued_job_again_s = 15 * 60;  ///< until one that waits is sent once more

// Streams of the ledger.
inline constexpr std::size_t event_streams = 256;  ///< open at once; beyond: 503
inline constexpr int event_poll_ms = 250;  ///< until other processes' entries are looked for again
inline constexpr int event_poll_gap_ms = 20;  ///< between two looks, however many batches commit
inline constexpr int event_keep_alive_ms = 15'000;  ///< of silence, then a comment

// Exports of a book's codes.
inline constexpr std::size_t exports_at_once = 4;  ///< of one process; beyond: 503
inline constexpr int export_seconds = 3'600;   ///< then it breaks off: what it sees is kept for it
inline constexpr int export_idle_ms = 60'000;  ///< that its transaction may stand still
inline constexpr std::uint64_t export_log_bytes =
    4ULL * 1024 * 1024 * 1024;  ///< that SQLite's log may grow meanwhile; beyond it breaks off
inline constexpr std::size_t export_page_codes = 1'000;  ///< read at once
/// Pages of SQLite's file that may be read for codes in the order of an index beyond what these
/// codes take; then they are sorted.
inline constexpr std::int64_t export_stray_pages = 1'000;
inline constexpr int export_look_ms = 200;  ///< until it is noticed that nobody waits any more
inline constexpr std::size_t export_piece_bytes = 64 * 1024;
inline constexpr std::size_t export_pieces = 2;     ///< made ahead of the client
inline constexpr std::size_t export_columns = 250;  ///< for metadata, as CSV; beyond: 400

// Moving entries out of the ledger.
inline constexpr std::size_t moved_entries = 1'000;  ///< in one transaction

// What a verification says.
inline constexpr std::size_t verify_lines = 100;  ///< beyond: how many more

// Connections.
inline constexpr std::size_t connections = 4'096;  ///< open at once; beyond: 503 and closed
inline constexpr int idle_seconds = 75;            ///< between two requests of a connection
inline constexpr int request_seconds = 20;         ///< from a request's first byte to its last
inline constexpr int response_stall_seconds = 20;  ///< to take the next piece of an answer
inline constexpr int linger_seconds = 2;           ///< reading on after a refused body

// Idempotency keys.
inline constexpr std::size_t idempotency_key_characters = 255;
inline constexpr std::int64_t idempotency_ms = 24 * 3'600'000;  ///< the first answer is kept for

// The engine.
inline constexpr std::size_t queued_commands = 8'192;          ///< waiting; beyond: 503
inline constexpr std::size_t queued_codes = 4 * upload_codes;  ///< of waiting uploads; beyond: 503
inline constexpr std::size_t code_redemptions = 100;           ///< shown with a code
inline constexpr std::size_t batch_commands = 1'024;
inline constexpr std::size_t batch_commands_unwaited = 48;  ///< where none waits for the disk
inline constexpr std::size_t batch_codes = upload_codes;
inline constexpr std::size_t unsettled_answers = 1'024;  ///< then the lane waits for the disk
inline constexpr std::int64_t batch_entries = 4'096;     ///< of the ledger, in one transaction
inline constexpr std::size_t batch_erasures = 64;        ///< of users, in one transaction
inline constexpr std::size_t erased_codes = 1'000;       ///< of an erased user, whose locks end
inline constexpr int command_wait_ms = 5'000;            ///< in the queue; beyond: 503
inline constexpr int batch_reruns = 16;                  ///< on conflict, before 503
inline constexpr int batch_ms = 4'000;                   ///< no rerun begins later; beyond: 503
/// So much longer than a command that has time (Engine::submit_aside) others run before the next.
inline constexpr int lane_share_of_others = 10;
inline constexpr int lane_owed_ms = job_claim_ms / 3;  ///< at most, for the claim to hold
inline constexpr int lane_calm_ms = 4;  ///< without others, after which such a command runs sooner
inline constexpr std::size_t queued_queries = 1'024;  ///< reads waiting; beyond: 503
inline constexpr int drain_seconds = 8;               ///< from SIGTERM to the last answer
inline constexpr int stop_ms = 9'500;                 ///< from SIGTERM to the end, whatever hangs
inline constexpr int retry_after_seconds = 1;         ///< what every 503 asks for

// What is waited for, of the database and the locks, before it counts as unavailable.
inline constexpr int connect_wait_ms = 2'000;   ///< for a connection
inline constexpr int database_wait_ms = 4'000;  ///< for one answer
inline constexpr int locks_wait_ms = 1'000;     ///< for one answer
inline constexpr int transaction_idle_ms =
    5'000;  ///< from a load's last answer to its save; beyond: the server ends the connection
inline constexpr int silent_client_seconds =
    5;  ///< until the server asks whether our machine is still there, and asks again
inline constexpr int silent_client_asked = 3;  ///< in vain; then it ends the connection
inline constexpr int reconnect_first_ms = 20;  ///< until the second try, then twice as long, and so
inline constexpr int reconnect_most_ms = 1'000;  ///< on up to this; always times 0.5 to 1 at random

// S3 and SQS.
inline constexpr std::size_t s3_key_bytes = 1'024;
inline constexpr std::size_t sqs_body_bytes = 256 * 1024;
inline constexpr int sqs_messages = 10;  ///< received at once
inline constexpr int sqs_wait_s = 20;    ///< for a message
inline constexpr int sqs_visible_after_s = 43'200;
inline constexpr std::size_t aws_answer_bytes = 16 * 1024 * 1024;  ///< beyond: unavailable
inline constexpr int aws_connect_ms = 5'000;      ///< to have a connection, with TLS
inline constexpr int aws_answer_ms = 15'000;      ///< for one answer, beside waiting for a message
inline constexpr int aws_call_ms = 60'000;        ///< with all its tries, likewise
inline constexpr int aws_tries = 8;               ///< then it counts as unavailable
inline constexpr int aws_pause_first_ms = 100;    ///< until the second try, then twice as long,
inline constexpr int aws_pause_most_ms = 10'000;  ///< up to this; always times 0.5 to 1 at random
inline constexpr int client_stop_ms = 200;  ///< until it is noticed that nobody waits any more

static_assert(header_bytes < body_bytes);
static_assert(body_bytes <= bodies_in_flight_bytes);
static_assert(discount_cents <= order_minor_units);
static_assert(discount_cents * 100 <= order_minor_units,
              "in the minor units of any currency, which has 4 decimals at most");
static_assert(order_minor_units * 10'000 <= INT64_MAX, "ten-thousandths of any amount fit");
static_assert(order_minor_units <= INT64_MAX / 9'000'000,
              "sums of that many discounts fit, whatever they are");
static_assert(batch_commands <= queued_commands && batch_commands_unwaited <= batch_commands);
static_assert(batch_erasures <= batch_commands);
static_assert(static_cast<std::int64_t>(order_codes) <= batch_entries,
              "a command makes an entry for each of its codes at most");
static_assert(batch_codes <= queued_codes, "an upload that may be sent must fit into the queue");
static_assert(upload_codes <= batch_codes, "an upload that may be sent must fit into a batch");
static_assert(connections <= queued_commands, "a command a connection can wait without a refusal");
static_assert(event_streams < connections, "streams alone do not keep others out");
static_assert(export_idle_ms > 2 * response_stall_seconds * 1000,
              "a slow client is cut off before its export's transaction");
static_assert(export_look_ms < stop_ms - drain_seconds * 1000, "a stop does not wait for a sort");
static_assert(event_poll_gap_ms < event_poll_ms && event_poll_ms < event_keep_alive_ms);
static_assert(page_books_default <= page_books);
static_assert(page_jobs_default <= page_jobs && page_jobs <= page_scan);
static_assert(generated_at_once <= static_cast<std::int64_t>(upload_codes));
static_assert(piece_codes_least <= piece_codes_first && piece_codes_first <= piece_codes_most &&
              piece_codes_most <= batch_codes);
static_assert(receiving_claim_ms > request_seconds * 1000 &&
              receiving_claim_ms < job_claim_most_ms);
static_assert(piece_entries <= batch_entries);
static_assert(export_columns + 6 <= import_columns, "what is exported can be brought in again");
static_assert(job_claim_ms > batch_ms + database_wait_ms,
              "who is still saving a piece has the job still");
static_assert(page_entries_default <= page_entries && page_entries <= page_scan);
static_assert(page_listed_codes_default <= page_listed_codes && page_listed_codes <= page_scan);
static_assert(command_wait_ms < drain_seconds * 1000,
              "what is queued at SIGTERM can still be answered");
static_assert(drain_seconds * 1000 < stop_ms, "whoever is answered, is before that");
static_assert(stop_ms < 10'000, "the whole stop takes less than ten seconds");
static_assert(database_wait_ms < transaction_idle_ms,
              "an answer that is still waited for does not cost the connection");
static_assert(locks_wait_ms < transaction_idle_ms);
static_assert(aws_connect_ms < aws_answer_ms && aws_answer_ms < aws_call_ms);
static_assert(aws_pause_first_ms <= aws_pause_most_ms && aws_pause_most_ms < aws_call_ms);
static_assert(sqs_messages * sqs_body_bytes * 6 < aws_answer_bytes,
              "messages fit, however they are escaped");
// A code of 128 four-byte characters, percent-encoded, still fits into the request line.
static_assert(code_characters * 4 * 3 + 256 <= header_bytes);
static_assert(user_id_characters * 4 * 3 + 256 <= header_bytes, "and so does a user id");
static_assert(qr_modules + 2 * qr_margin_modules <= qr_size_px_default,
              "a pixel a module, and the usual size is never too small");
static_assert(qr_size_px_default <= qr_size_px);
static_assert((code_characters * 4 + qr_url_characters) * 3 + 256 <= header_bytes,
              "any code and url that may be sent fit into the request line");

}  // namespace coupond::limits
