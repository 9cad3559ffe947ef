#include "store/postgres/error.hpp"

#include <string_view>

namespace coupond::postgres {

Failure classify(const Error& error) {
    const std::string_view state = error.sqlstate;
    const std::string_view kind = state.substr(0, 2);
    // Serialization failure (also coupond_conflict()), deadlock, lock timeout, a row that is there
    // already.
    if (state == "40001" || state == "40P01" || state == "55P03" || state == "23505") {
        return Failure::conflict;
    }
    if (lost_prepared_statement(error) || connection_is_of_no_use(error)) return Failure::conflict;
    if (kind == "22" || kind == "23") return Failure::refused;
    return Failure::unavailable;
}

bool lost_prepared_statement(const Error& error) {
    return error.sqlstate == "26000" || error.sqlstate == "42P05";
}

bool connection_is_of_no_use(const Error& error) {
    const std::string_view state = error.sqlstate;
    return state.starts_with("08") || state.starts_with("57P") || state == "25006" ||
           state == "25P03";
}

}  // namespace coupond::postgres
