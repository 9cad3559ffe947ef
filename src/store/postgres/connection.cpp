#include "store/postgres/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <new>

#include "base/check.hpp"
#include "base/log.hpp"
#include "store/postgres/libpq.hpp"

namespace coupond::postgres {
namespace {

/// FNV-1a.
std::uint64_t hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

/// libpq's messages as one line.
std::string one_line(std::string_view message) {
    std::string line;
    for (const char c : message) {
        if (c == '\t') continue;
        if (c != '\n') {
            line += c;
        } else if (!line.empty()) {
            line += ';';
            line += ' ';
        }
    }
    while (!line.empty() && (line.back() == ' ' || line.back() == ';')) line.pop_back();
    return line;
}

std::string field(const pg_result* result, int code) {
    const char* const text = libpq().PQresultErrorField(result, code);
    return text == nullptr ? std::string() : std::string(text);
}

Error error_of(const pg_result* result) {
    return {field(result, PG_DIAG_SQLSTATE), one_line(field(result, PG_DIAG_MESSAGE_PRIMARY)),
            field(result, PG_DIAG_CONSTRAINT_NAME)};
}

/// Whether the server ends the connection with it.
bool is_fatal(const pg_result* result) {
    const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity == "FATAL" || severity == "PANIC";
}

Lost late() {
    return {{{}, "no answer in time", {}}, true};
}

int milliseconds_until(Deadline deadline) {
    if (deadline == no_deadline) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 1'000'000));
}

}  // namespace

Statement::Statement(const char* text) : sql(text) {
    std::array<char, 32> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "coupond_%016llx",
                  static_cast<unsigned long long>(hash(text)));
    name = buffer.data();
}

Connection::Connection(const Settings& settings, Prepares& prepares, Deadline deadline)
    : prepares_(prepares) {
    const Libpq& pq = libpq();
    std::vector<const char*> keywords, values;
    for (const auto& [keyword, value] : settings) {
        keywords.push_back(keyword.c_str());
        values.push_back(value.c_str());
    }
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    handle_ = pq.PQconnectStartParams(keywords.data(), values.data(), 0);
    if (handle_ == nullptr) throw std::bad_alloc();
    try {
        connect(deadline);
    } catch (...) {
        pq.PQfinish(handle_);
        throw;
    }
}

Connection::~Connection() {
    libpq().PQfinish(handle_);
}

void Connection::connect(Deadline deadline) {
    const Libpq& pq = libpq();
    pq.PQsetNoticeReceiver(handle_, notice, this);
    if (pq.PQstatus(handle_) == CONNECTION_BAD) fail();
    PostgresPollingStatusType next = PGRES_POLLING_WRITING;
    while (next != PGRES_POLLING_OK) {
        wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
        next = pq.PQconnectPoll(handle_);
        if (next == PGRES_POLLING_FAILED) fail();
    }
    if (pq.PQsetnonblocking(handle_, 1) != 0 || pq.PQenterPipelineMode(handle_) == 0) fail();
}

void Connection::execute(const Statement& statement, const Parameters& parameters) {
    const Libpq& pq = libpq();
    const int count = parameters.count();
    if (!prepares_.load(std::memory_order_relaxed)) {
        require(pq.PQsendQueryParams(handle_, statement.sql, count, nullptr, parameters.values(),
                                     parameters.lengths(), parameters.formats(), 1));
    } else {
        if (prepared_.insert(&statement).second) {
            require(pq.PQsendPrepare(handle_, statement.name.c_str(), statement.sql, 0, nullptr));
            sent_.push_back({Sent::prepare, &statement});
        }
        require(pq.PQsendQueryPrepared(handle_, statement.name.c_str(), count, parameters.values(),
                                       parameters.lengths(), parameters.formats(), 1));
    }
    sent_.push_back({Sent::execute});
}

void Connection::execute(const char* sql, const Parameters& parameters) {
    require(libpq().PQsendQueryParams(handle_, sql, parameters.count(), nullptr,
                                      parameters.values(), parameters.lengths(),
                                      parameters.formats(), 1));
    sent_.push_back({Sent::execute});
}

void Connection::sync() {
    require(libpq().PQpipelineSync(handle_));
    sent_.push_back({Sent::sync});
}

bool Connection::answers_by(Deadline until) {
    while (libpq().PQisBusy(handle_) != 0) {
        if (!exchange_bytes(until)) return false;
    }
    return true;
}

Replies Connection::receive(Deadline deadline) {
    COUPOND_CHECK(sent_.empty() || sent_.back().kind == Sent::sync);
    Replies replies;
    while (!sent_.empty()) {
        receive_item(sent_.front(), replies, deadline);
        sent_.pop_front();
    }
    if (replies.error && lost_prepared_statement(*replies.error) && prepares_.exchange(false)) {
        log::info(
            "prepared statements do not stay with connections, as behind a pooler: "
            "sending every statement in full");
    }
    return replies;
}

Replies Connection::receive_all(Deadline deadline) {
    Replies replies = receive(deadline);
    if (replies.error) throw Rejected{std::move(*replies.error)};
    return replies;
}

void Connection::receive_item(const Item& item, Replies& replies, Deadline deadline) {
    pg_result* const result = next_result(deadline);
    if (result == nullptr) fail();
    Rows rows(result);
    const ExecStatusType status = libpq().PQresultStatus(result);
    const bool done = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (status == PGRES_FATAL_ERROR) {
        Error error = error_in(result);
        if (!replies.error) replies.error = std::move(error);
    }
    if (item.kind == Sent::sync) {
        if (status != PGRES_PIPELINE_SYNC) fail();  // an error at the end of the transaction
        return;
    }
    if (!done && status != PGRES_FATAL_ERROR && status != PGRES_PIPELINE_ABORTED) fail();
    if (item.kind == Sent::execute) replies.rows.push_back(std::move(rows));
    if (item.kind == Sent::prepare && !done) prepared_.erase(item.statement);
    if (pg_result* const more = next_result(deadline)) {  // a statement's results end with none
        const Rows freed(more);
        fail();
    }
}

/// Throws Lost where it ends the connection.
Error Connection::error_in(const pg_result* result) {
    if (is_fatal(result)) farewell_ = error_of(result);
    if (farewell_ || libpq().PQstatus(handle_) == CONNECTION_BAD) fail();
    return error_of(result);
}

std::optional<Error> Connection::copy(const char* sql,
                                      const std::function<void(std::string&)>& next,
                                      Deadline deadline) {
    const Libpq& pq = libpq();
    COUPOND_CHECK(sent_.empty() && pq.PQexitPipelineMode(handle_) == 1);
    require(pq.PQsendQuery(handle_, sql));
    std::optional<Error> error;
    while (pg_result* const result = next_result(deadline)) {
        const Rows rows(result);
        const ExecStatusType status = pq.PQresultStatus(result);
        if (status == PGRES_COPY_IN) {
            put(next);
        } else if (status == PGRES_FATAL_ERROR) {
            error = error_in(result);
        } else if (status != PGRES_COMMAND_OK) {
            fail();
        }
    }
    require(pq.PQenterPipelineMode(handle_));
    return error;
}

/// What the server is not ready for yet waits in memory, until its answer is waited for.
void Connection::put(const std::function<void(std::string&)>& next) {
    const Libpq& pq = libpq();
    for (std::string bytes;; bytes.clear()) {
        next(bytes);
        if (bytes.empty()) break;
        require(pq.PQputCopyData(handle_, bytes.data(), static_cast<int>(bytes.size())));
    }
    require(pq.PQputCopyEnd(handle_, nullptr));
}

void Connection::script(const char* sql) {
    const Libpq& pq = libpq();
    COUPOND_CHECK(sent_.empty() && pq.PQexitPipelineMode(handle_) == 1);
    require(pq.PQsendQuery(handle_, sql));
    std::optional<Error> error;
    while (pg_result* const result = next_result(no_deadline)) {
        const Rows rows(result);
        if (pq.PQresultStatus(result) == PGRES_FATAL_ERROR && !error) error = error_of(result);
        if (pq.PQstatus(handle_) == CONNECTION_BAD) fail();
    }
    require(pq.PQenterPipelineMode(handle_));
    if (error) throw Rejected{std::move(*error)};
}

void Connection::check() {
    pollfd socket{libpq().PQsocket(handle_), POLLIN, 0};
    if (poll(&socket, 1, 0) <= 0) return;
    const bool open = libpq().PQconsumeInput(handle_) == 1;
    libpq().PQisBusy(handle_);  // reads what has come: a notice, or why the server closes
    if (!open || farewell_) fail();
}

int Connection::announced_pid() const {
    return libpq().PQbackendPID(handle_);
}

/// The next result; null at the end of a statement's.
pg_result* Connection::next_result(Deadline deadline) {
    const Libpq& pq = libpq();
    while (pq.PQisBusy(handle_) != 0) {
        if (!exchange_bytes(deadline)) throw late();
    }
    return pq.PQgetResult(handle_);
}

/// Sends what is still to be sent, and takes in what comes. False where nothing does in time.
bool Connection::exchange_bytes(Deadline deadline) {
    const Libpq& pq = libpq();
    const int unsent = pq.PQflush(handle_);  // where it fails, reading tells why
    if (!ready(static_cast<short>(unsent == 1 ? POLLIN | POLLOUT : POLLIN), deadline)) return false;
    // Of a connection that is closed, what came before that still counts.
    if (pq.PQconsumeInput(handle_) == 0 && pq.PQisBusy(handle_) != 0) fail();
    return true;
}

bool Connection::ready(short events, Deadline deadline) {
    for (;;) {
        pollfd socket{libpq().PQsocket(handle_), events, 0};
        const int ready = poll(&socket, 1, milliseconds_until(deadline));
        if (ready > 0) return true;
        if (ready == 0 && std::chrono::steady_clock::now() >= deadline) return false;
        if (ready < 0 && errno != EINTR) throw Lost{{{}, "poll failed", {}}};
    }
}

void Connection::wait(short events, Deadline deadline) {
    if (!ready(events, deadline)) throw late();
}

/// Where libpq could not take what was to be sent.
void Connection::require(int sent) const {
    if (sent != 1) fail();
}

void Connection::fail() const {
    if (farewell_) throw Lost{*farewell_};
    throw Lost{{{}, one_line(libpq().PQerrorMessage(handle_)), {}}};
}

void Connection::notice(void* self, const pg_result* result) {
    const Error error = error_of(result);
    if (is_fatal(result)) {
        static_cast<Connection*>(self)->farewell_ = error;
    } else if (field(result, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING") {
        log::warn("the database warns", {{"reason", std::string_view(error.message)},
                                         {"code", std::string_view(error.sqlstate)}});
    } else {
        log::debug("the database notes", {{"notice", std::string_view(error.message)}});
    }
}

}  // namespace coupond::postgres
