#include "store/postgres/health.hpp"

#include "base/log.hpp"

namespace coupond::postgres {

void Health::failed(const Error& error) {
    if (!failing_) {
        log::error("the database does not work", {{"side", side_},
                                                  {"reason", std::string_view(error.message)},
                                                  {"code", std::string_view(error.sqlstate)}});
    }
    failing_ = true;
}

void Health::worked() {
    if (failing_) log::info("the database works again", {{"side", side_}});
    failing_ = false;
}

}  // namespace coupond::postgres
