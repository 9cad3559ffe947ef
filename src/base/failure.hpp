// Failures of the environment. A refusal by a rule is not one: that is an outcome
// (domain/domain.hpp).
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string_view>

namespace coupond {

enum class Failure {
    conflict,  ///< a row was no longer as it was loaded; nothing was changed; load and decide again
    refused,   ///< the database refuses this data, and would again; nothing was changed
    unavailable,    ///< the database cannot be used now; nothing was changed
    indeterminate,  ///< the connection died around the commit; it may or may not have happened
    overloaded,     ///< a queue is full or a deadline has passed; nothing was changed
};

/// The name of the enumerator, for logs.
std::string_view to_string(Failure failure);

/// What `Result::value()` throws; the code base asks `has_value()` first, so only a bug gets here.
[[noreturn]] void throw_exception_from_error(Failure failure, const boost::source_location& where);

template <class T>
using Result = boost::system::result<T, Failure>;

}  // namespace coupond
