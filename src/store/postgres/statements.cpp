#include "store/postgres/statements.hpp"

#include "base/limits.hpp"

namespace coupond::postgres {
namespace {

std::string set(const char* setting, const std::string& value) {
    return std::string("set_config('") + setting + "', '" + value + "', true)";
}

std::string set(const char* setting, int value) {
    return set(setting, std::to_string(value));
}

const std::string settings =
    // Each look-up has one right plan, by an index, whatever the statistics of the moment say:
    // those of a table that has just been filled speak of an empty one. So the server plans a
    // statement once, and without the choices that would be right for a handful of rows only.
    set("plan_cache_mode", "force_generic_plan") + ", " + set("enable_seqscan", "off") + ", " +
    set("enable_hashjoin", "off") + ", " + set("enable_mergejoin", "off") + ", " +
    set("jit", "off") + ", " +
    // What a process that was stopped has decided long ago cannot be saved when it goes on.
    set("idle_in_transaction_session_timeout", limits::transaction_idle_ms) + ", " +
    // The rows that a half of a save has locked are free again when its machine is gone. A
    // connection over a Unix socket takes these without a word.
    set("tcp_keepalives_idle", limits::silent_client_seconds) + ", " +
    set("tcp_keepalives_interval", limits::silent_client_seconds) + ", " +
    set("tcp_keepalives_count", limits::silent_client_asked);

const std::string set_up_text = "SELECT " + settings;

}  // namespace

const Statement set_up{set_up_text.c_str()};
const Statement name_transaction{
    "SELECT pg_current_xact_id()::text, pg_backend_pid(), "
    "pg_current_xact_id()::text::bigint + transaction_offset FROM ledger_origin"};

}  // namespace coupond::postgres
