// The port's OpenError for what goes wrong outside of the stores.
#pragma once

#include <string>

#include "store/postgres/error.hpp"
#include "store/store.hpp"

namespace coupond::postgres {

/// What `work` returns; throws OpenError for its failure, which names the database as `name`.
template <class Work>
auto or_open_error(const std::string& name, const Work& work) {
    try {
        return work();
    } catch (const Lost& lost) {
        throw Unreachable("cannot reach " + name + ": " + lost.error.message);
    } catch (const NoConnection& unfit) {
        throw OpenError("cannot use " + name + ": " + unfit.error.message);
    } catch (const Rejected& rejected) {
        // A table or a function of that name is there, or one of ours has other columns.
        const std::string& state = rejected.error.sqlstate;
        if (state == "42P07" || state == "42723" || state == "42703") {
            throw OpenError(name + " holds something of that name that coupond did not make (" +
                            rejected.error.message + "): use another database or schema");
        }
        if (connection_is_of_no_use(rejected.error)) {
            throw Unreachable("cannot use " + name + ": " + rejected.error.message);
        }
        throw OpenError("cannot use " + name + ": " + rejected.error.message);
    }
}

}  // namespace coupond::postgres
