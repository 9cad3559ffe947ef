#include "app/api.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "app/readiness.hpp"
#include "base/digest.hpp"
#include "base/random.hpp"
#include "wire/wire.hpp"

namespace coupond {
namespace {

/// The idempotency key of `request` with all that it says; nothing where it has none.
wire::Decoded<std::optional<Idempotency>> idempotency_of(const http::Request& request) {
    if (!request.idempotency_key) return std::nullopt;
    auto key = wire::decode_idempotency_key(*request.idempotency_key, request.request_id);
    if (auto* const answer = std::get_if<wire::Answer>(&key)) return std::move(*answer);
    return Idempotency{std::get<std::string>(std::move(key)),
                       digest_of({request.method, request.target, request.body})};
}

/// Has `submit(submission, done)` run a command and answers with its outcome, or answers at once
/// where there is nothing to run. `submit` returns whether `done` will be called.
template <class Submit>
void run_by(Api& api, const http::Request& request, const http::Responder& responder,
            Command command, const Submit& submit) {
    auto idempotency = idempotency_of(request);
    if (auto* const answer = std::get_if<wire::Answer>(&idempotency)) {
        return responder.send(std::move(*answer));
    }
    Submission submission{std::move(command), std::string(request.request_id),
                          std::get<std::optional<Idempotency>>(std::move(idempotency))};
    const std::string key = submission.idempotency ? submission.idempotency->key : std::string();
    if (!key.empty() && !api.keys_in_use.insert(key).second) {
        return responder.send(wire::key_in_use(request.request_id));
    }
    const bool queued = submit(std::move(submission), [&api, key, responder, &request](
                                                          Result<Outcome>&& outcome,
                                                          Timestamp decided_at) {
        api.keys_in_use.erase(key);
        responder.send(outcome ? wire::encode(std::move(*outcome), decided_at, request.request_id)
                               : wire::failed(outcome.error(), request.request_id));
    });
    if (queued) return;
    api.keys_in_use.erase(key);
    responder.send(wire::failed(Failure::overloaded, request.request_id));
}

/// Runs a decoded command and answers with its outcome, or answers at once where there is nothing
/// to run.
template <class T>
void run(Api& api, const http::Request& request, const http::Responder& responder,
         wire::Decoded<T> decoded) {
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    run_by(api, request, responder, std::get<T>(std::move(decoded)),
           [&api](Submission submission, Done done) {
               return api.engine.submit(std::move(submission), std::move(done));
           });
}

wire::Request body_of(const http::Request& request) {
    return {request.content_type, request.body, request.request_id};
}

void begin_job(Api& api, const http::Request& request, const http::Responder& responder,
               Command command) {
    run_by(api, request, responder, std::move(command), [&api](Submission submission, Done done) {
        return api.engine.submit(
            std::move(submission),
            [&api, done = std::move(done)](Result<Outcome>&& outcome, Timestamp at) {
                done(std::move(outcome), at);
                api.jobs.wake();
            });
    });
}

/// Codes at once, or a job.
void generate(Api& api, const http::Request& request, const http::Responder& responder) {
    auto decoded = wire::decode_generate(body_of(request), request.path_params[0]);
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    auto& asked = std::get<wire::Generate>(decoded);
    if (asked.wait) {
        return run_by(api, request, responder, AddGenerated{std::move(asked.command)},
                      [&api](Submission submission, Done done) {
                          api.generations.submit(std::move(submission), std::move(done));
                          return true;
                      });
    }
    begin_job(api, request, responder, std::move(asked.command));
}

void draw_images(Api& api, const http::Request& request, const http::Responder& responder) {
    auto decoded = wire::decode_draw_images(body_of(request), request.path_params[0]);
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    begin_job(api, request, responder, std::get<DrawImages>(std::move(decoded)));
}

/// Runs `read` on the reader's thread and answers with what it returns.
template <class Read>
void run_read(const Api& api, const http::Request& request, const http::Responder& responder,
              Read read) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::command_wait_ms);
    const bool queued = api.reader.submit([&api, &request, responder = responder, read,
                                           deadline](ReadStore& store) mutable {
        wire::Answer answer = std::chrono::steady_clock::now() <= deadline
                                  ? read(store)
                                  : wire::failed(Failure::overloaded, request.request_id);
        // Moved, not copied: the last Responder of a connection ends on the network thread.
        api.reader.when_settled([&api, responder = std::move(responder),
                                 answer = std::move(answer)]() mutable {
            boost::asio::post(
                api.io, [responder = std::move(responder), answer = std::move(answer)]() mutable {
                    responder.send(std::move(answer));
                });
        });
    });
    if (!queued) responder.send(wire::failed(Failure::overloaded, request.request_id));
}

/// 130 random bits: nobody's id, and not to be guessed.
std::string erased_id() {
    return "erased-" + secure_random_base32(26);
}

/// Adds a route whose requests are commands, which `decode(request)` reads.
template <class Decode>
void add_command(http::Router& router, Api& api, std::string_view method, std::string_view path,
                 Decode decode) {
    router.add(method, path,
               [&api, decode](const http::Request& request, const http::Responder& responder) {
                   run(api, request, responder, decode(request));
               });
}

void add_commands(http::Router& router, Api& api) {
    using http::Request;
    const auto add = [&](std::string_view method, std::string_view path, auto decode) {
        add_command(router, api, method, path, decode);
    };
    add("POST", "/coupon",
        [](const Request& request) { return wire::decode_create_book(body_of(request)); });
    add("PATCH", "/coupon/:id", [](const Request& request) {
        return wire::decode_edit_book(body_of(request), request.path_params[0]);
    });
    add("DELETE", "/coupon/:id", [](const Request& request) {
        return wire::decode_archive_book(request.path_params[0], request.query, request.request_id);
    });
    add("POST", "/coupon/:id/restore", [](const Request& request) {
        return wire::decode_restore_book(body_of(request), request.path_params[0]);
    });
    add("POST", "/coupon/codes", [](const Request& request) {
        return wire::decode_upload_codes(body_of(request), std::nullopt);
    });
    add("POST", "/coupon/codes/:id", [](const Request& request) {
        return wire::decode_upload_codes(body_of(request), request.path_params[0]);
    });
    router.add_stream(
        "POST", "/coupon/codes/:id",
        [&api](const Request& request, const http::Responder& responder) {
            return api.imports.receive(request, responder);
        },
        limits::import_bytes);
    router.add("POST", "/coupon/generate/:id",
               [&api](const Request& request, const http::Responder& responder) {
                   generate(api, request, responder);
               });
    router.add("POST", "/coupon/qr/:id",
               [&api](const Request& request, const http::Responder& responder) {
                   draw_images(api, request, responder);
               });
    add("DELETE", "/coupon/jobs/:id", [](const Request& request) {
        return wire::decode_cancel_job(request.path_params[0], request.query, request.request_id);
    });
    add("POST", "/coupon/assign",
        [](const Request& request) { return wire::decode_assign_any(body_of(request)); });
    add("POST", "/coupon/assign/:code", [](const Request& request) {
        return wire::decode_assign_code(body_of(request), request.path_params[0]);
    });
    add("POST", "/coupon/unassign/:code", [](const Request& request) {
        return wire::decode_unassign_code(body_of(request), request.path_params[0]);
    });
    add("POST", "/coupon/lock/:code", [ttl_ms = api.lock_ttl_ms](const Request& request) {
        return wire::decode_lock_code(body_of(request), request.path_params[0], ttl_ms);
    });
    add("POST", "/coupon/lock", [ttl_ms = api.lock_ttl_ms](const Request& request) {
        return wire::decode_lock_codes(body_of(request), ttl_ms);
    });
    add("POST", "/coupon/redeem",
        [](const Request& request) { return wire::decode_redeem_codes(body_of(request)); });
    add("POST", "/coupon/unlock/:code", [](const Request& request) {
        return wire::decode_unlock_code(body_of(request), request.path_params[0]);
    });
    add("POST", "/coupon/redeem/:code", [](const Request& request) {
        return wire::decode_redeem_code(body_of(request), request.path_params[0]);
    });
    add("POST", "/coupon/rollback/:redemptionId", [](const Request& request) {
        return wire::decode_roll_back(body_of(request), request.path_params[0]);
    });
    add("PATCH", "/coupon/code/:code", [](const Request& request) {
        return wire::decode_edit_code(body_of(request), request.path_params[0]);
    });
    add("DELETE", "/coupon/users/:userId", [](const Request& request) {
        return wire::decode_erase_user(request.path_params[0], request.query, request.request_id,
                                       erased_id());
    });
}

void validate_code(Api& api, const http::Request& request, const http::Responder& responder) {
    auto asked =
        wire::decode_validate_code(body_of(request), request.path_params[0], request.query);
    if (auto* const answer = std::get_if<wire::Answer>(&asked)) {
        return responder.send(std::move(*answer));
    }
    api.validations.submit(std::get<ValidateCode>(std::move(asked)), request, responder);
}

/// Runs `read(store, asked)` on the reader's thread for what was asked for, or answers at once
/// where it cannot be had.
template <class T, class Read>
void run_query(const Api& api, const http::Request& request, const http::Responder& responder,
               wire::Decoded<T> decoded, Read read) {
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    run_read(api, request, responder,
             [read, asked = std::get<T>(std::move(decoded))](ReadStore& store) {
                 return read(store, asked);
             });
}

void list_books(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder, wire::decode_list_books(request.query, request.request_id),
              [&api, &request](ReadStore& store, const BookQuery& query) {
                  const Timestamp now = api.clock.now();
                  Result<BookPage> page = store.list_books(query, now);
                  return page ? wire::encode(std::move(*page), query, now, request.request_id)
                              : wire::failed(page.error(), request.request_id);
              });
}

void list_entries(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder, wire::decode_list_entries(request.query, request.request_id),
              [&request](ReadStore& store, const EntryQuery& query) {
                  const Result<EntryPage> page = store.list_entries(query);
                  return page ? wire::encode(*page, query)
                              : wire::failed(page.error(), request.request_id);
              });
}

/// Answers with the stream of what `query` asks for.
void begin_stream(const Api& api, const http::Request& request, const http::Responder& responder,
                  const EntryQuery& query) {
    auto body = api.streams.open(query, [responder] { responder.wake(); });
    responder.send(body ? wire::event_stream(std::move(*body))
                        : wire::failed(Failure::overloaded, request.request_id));
}

void stream_entries(const Api& api, const http::Request& request,
                    const http::Responder& responder) {
    auto decoded =
        wire::decode_stream_entries(request.query, request.last_event_id, request.request_id);
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    const auto& asked = std::get<wire::StreamEntries>(decoded);
    if (!asked.from_now) return begin_stream(api, request, responder, asked.query);
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::command_wait_ms);
    const bool queued =
        api.reader.submit([&api, &request, responder = responder, query = asked.query,
                           deadline](ReadStore& store) mutable {
            const Result<EntryId> last = std::chrono::steady_clock::now() <= deadline
                                             ? store.last_entry()
                                             : Failure::overloaded;
            // Moved, not copied: the last Responder of a connection ends on the network thread.
            api.reader.when_settled([&api, &request, responder = std::move(responder),
                                     query = std::move(query), last]() mutable {
                boost::asio::post(api.io, [&api, &request, responder = std::move(responder),
                                           query = std::move(query), last]() mutable {
                    if (!last) {
                        return responder.send(wire::failed(last.error(), request.request_id));
                    }
                    query.after = *last;
                    begin_stream(api, request, responder, query);
                });
            });
        });
    if (!queued) responder.send(wire::failed(Failure::overloaded, request.request_id));
}

void export_codes(const Api& api, const http::Request& request, const http::Responder& responder,
                  wire::CodeFormat format) {
    auto decoded =
        wire::decode_export_codes(request.path_params[0], request.query, request.request_id);
    if (auto* const answer = std::get_if<wire::Answer>(&decoded)) {
        return responder.send(std::move(*answer));
    }
    api.exports.begin({std::get<CodeQuery>(std::move(decoded)), format,
                       wire::wants_gzip(request.accept_encoding)},
                      request, responder);
}

void list_codes(const Api& api, const http::Request& request, const http::Responder& responder) {
    const wire::CodeFormat format = wire::code_format(request.accept);
    if (format != wire::CodeFormat::json) return export_codes(api, request, responder, format);
    run_query(api, request, responder,
              wire::decode_list_codes(request.path_params[0], request.query, request.request_id),
              [&api, &request](ReadStore& store, const CodeQuery& query) {
                  const Timestamp now = api.clock.now();
                  const Result<CodePage> page = store.list_codes(query, now);
                  return page ? wire::encode(*page, query, now, request.request_id)
                              : wire::failed(page.error(), request.request_id);
              });
}

void list_jobs(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder, wire::decode_list_jobs(request.query, request.request_id),
              [&request](ReadStore& store, const JobQuery& query) {
                  const Result<JobPage> page = store.list_jobs(query);
                  return page ? wire::encode(*page, query)
                              : wire::failed(page.error(), request.request_id);
              });
}

void show_job(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_book_id(request.path_params[0], request.query, request.request_id),
              [&request](ReadStore& store, JobId id) {
                  const Result<std::optional<Job>> found = store.find_job(id);
                  if (!found) return wire::failed(found.error(), request.request_id);
                  return *found ? wire::encode(**found)
                                : wire::encode(Refusal::job_not_found, {}, request.request_id);
              });
}

void list_rejected(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_rejected_rows(request.path_params[0], request.query, request.accept,
                                         request.request_id),
              [&request](ReadStore& store, const wire::RejectedQuery& query) {
                  const Result<std::optional<Job>> job = store.find_job(query.job_id);
                  if (!job) return wire::failed(job.error(), request.request_id);
                  if (!*job) return wire::encode(Refusal::job_not_found, {}, request.request_id);
                  const auto rows = store.rejected_rows(query.job_id, query.after, query.limit);
                  return rows ? wire::encode(*rows, query)
                              : wire::failed(rows.error(), request.request_id);
              });
}

void show_book(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_book_id(request.path_params[0], request.query, request.request_id),
              [&api, &request](ReadStore& store, BookId id) {
                  BookQuery query;
                  query.after = BookPlace{id - 1, {}, {}};
                  query.limit = 1;
                  const Result<BookPage> page = store.list_books(query, api.clock.now());
                  if (!page) return wire::failed(page.error(), request.request_id);
                  const bool found = !page->books.empty() && page->books.front().book.id == id;
                  return found ? wire::encode(page->books.front())
                               : wire::encode(Refusal::book_not_found, {}, request.request_id);
              });
}

void show_code(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_code(request.path_params[0], request.query, request.request_id),
              [&api, &request](ReadStore& store, const std::string& code) {
                  const Result<std::optional<CodeHistory>> found =
                      store.find_code(code, limits::page_entries);
                  if (!found) return wire::failed(found.error(), request.request_id);
                  return *found ? wire::encode(**found, api.clock.now())
                                : wire::encode(Refusal::code_not_found, {}, request.request_id);
              });
}

void show_qr(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_show_qr(request.path_params[0], request.query, request.request_id),
              [&request](ReadStore& store, const wire::ShowQr& asked) {
                  const Result<std::optional<CodeHistory>> found = store.find_code(asked.code, 1);
                  if (!found) return wire::failed(found.error(), request.request_id);
                  return *found ? wire::encode((*found)->code, asked, request.request_id)
                                : wire::encode(Refusal::code_not_found, {}, request.request_id);
              });
}

/// `path_id`: of the book; nothing for all books.
void show_statistics(const Api& api, const http::Request& request, const http::Responder& responder,
                     std::optional<std::string_view> path_id) {
    run_query(api, request, responder,
              wire::decode_statistics(path_id, request.query, api.clock.now(), request.request_id),
              [&api, &request](ReadStore& store, const wire::ShowStatistics& asked) {
                  const Result<Statistics> found =
                      store.load_statistics(asked.query, api.clock.now());
                  return found ? wire::encode(*found, asked, request.request_id)
                               : wire::failed(found.error(), request.request_id);
              });
}

void show_user(const Api& api, const http::Request& request, const http::Responder& responder) {
    run_query(api, request, responder,
              wire::decode_show_user(request.path_params[0], request.query, request.request_id),
              [&api, &request](ReadStore& store, const UserQuery& query) {
                  const Result<UserPage> page = store.find_user(query);
                  return page ? wire::encode(*page, query, api.clock.now())
                              : wire::failed(page.error(), request.request_id);
              });
}

wire::Answer health_of(Readiness readiness) {
    switch (readiness) {
        case Readiness::ready: return wire::health(true, "ready");
        case Readiness::locks_unavailable: return wire::health(false, "locks unavailable");
        case Readiness::database_unavailable: break;
    }
    return wire::health(false, "database unavailable");
}

void check_ready(const Api& api, const http::Request& request, const http::Responder& responder) {
    // Shared, for what the lane and the reader are given must be copyable.
    auto to = std::make_shared<http::Responder>(responder);
    ask_readiness(api.engine, api.reader, [&api, &request, to](std::optional<Readiness> readiness) {
        // Moved, not copied: the last Responder of a connection ends on the network thread.
        boost::asio::post(api.io, [&request, readiness, to = std::move(*to)] {
            to.send(readiness ? health_of(*readiness)
                              : wire::failed(Failure::overloaded, request.request_id));
        });
    });
}

void add_reads(http::Router& router, Api& api) {
    using http::Request;
    using http::Responder;
    router.add("POST", "/coupon/validate/:code",
               [&api](const Request& request, const Responder& responder) {
                   validate_code(api, request, responder);
               });
    router.add("GET", "/coupon", [&api](const Request& request, const Responder& responder) {
        list_books(api, request, responder);
    });
    router.add("GET", "/coupon/events", [&api](const Request& request, const Responder& responder) {
        list_entries(api, request, responder);
    });
    router.add("GET", "/coupon/events/stream",
               [&api](const Request& request, const Responder& responder) {
                   stream_entries(api, request, responder);
               });
    router.add("GET", "/coupon/codes/:id",
               [&api](const Request& request, const Responder& responder) {
                   list_codes(api, request, responder);
               });
    router.add("GET", "/coupon/jobs", [&api](const Request& request, const Responder& responder) {
        list_jobs(api, request, responder);
    });
    router.add("GET", "/coupon/jobs/:id",
               [&api](const Request& request, const Responder& responder) {
                   show_job(api, request, responder);
               });
    router.add("GET", "/coupon/jobs/:id/rejected",
               [&api](const Request& request, const Responder& responder) {
                   list_rejected(api, request, responder);
               });
    router.add("GET", "/coupon/code/:code",
               [&api](const Request& request, const Responder& responder) {
                   show_code(api, request, responder);
               });
    router.add("GET", "/coupon/qr/:file",
               [&api](const Request& request, const Responder& responder) {
                   show_qr(api, request, responder);
               });
    router.add("GET", "/coupon/stats", [&api](const Request& request, const Responder& responder) {
        show_statistics(api, request, responder, std::nullopt);
    });
    router.add("GET", "/coupon/:id/stats",
               [&api](const Request& request, const Responder& responder) {
                   show_statistics(api, request, responder, request.path_params[0]);
               });
    router.add("GET", "/coupon/users/:userId",
               [&api](const Request& request, const Responder& responder) {
                   show_user(api, request, responder);
               });
    router.add("GET", "/coupon/:id", [&api](const Request& request, const Responder& responder) {
        show_book(api, request, responder);
    });
    router.add("GET", "/health/live", [](const Request&, const Responder& responder) {
        responder.send(wire::health(true, "ok"));
    });
    router.add("GET", "/health/ready", [&api](const Request& request, const Responder& responder) {
        check_ready(api, request, responder);
    });
    router.add("GET", "/api-json", [](const Request&, const Responder& responder) {
        responder.send(wire::api_document());
    });
    router.add("GET", "/api", [](const Request&, const Responder& responder) {
        responder.send(*wire::api_page(""));
    });
    router.add("GET", "/api/:file", [](const Request& request, const Responder& responder) {
        auto page = wire::api_page(request.path_params[0]);
        responder.send(page ? std::move(*page)
                            : wire::problem(404, "route_not_found",
                                            "Cannot GET /api/" + request.path_params[0],
                                            request.request_id));
    });
}

}  // namespace

http::Router make_router(Api& api) {
    http::Router router;
    add_commands(router, api);
    add_reads(router, api);
    return router;
}

}  // namespace coupond
