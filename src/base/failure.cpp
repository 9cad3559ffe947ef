#include "base/failure.hpp"

#include <string>

namespace coupond {

std::string_view to_string(Failure failure) {
    switch (failure) {
        case Failure::conflict: return "conflict";
        case Failure::refused: return "refused";
        case Failure::unavailable: return "unavailable";
        case Failure::indeterminate: return "indeterminate";
        case Failure::overloaded: return "overloaded";
    }
    return "unknown";
}

void throw_exception_from_error(Failure failure, const boost::source_location& where) {
    throw std::logic_error("unexamined failure '" + std::string(to_string(failure)) + "' in " +
                           where.function_name());
}

}  // namespace coupond
