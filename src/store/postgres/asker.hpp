// Asks a server, and once more where a connection was lost.
#pragma once

#include <chrono>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/failure.hpp"
#include "base/limits.hpp"
#include "store/postgres/health.hpp"
#include "store/postgres/link.hpp"

namespace coupond::postgres {

/// A connection for reading, and the log's word for it.
class Asker {
public:
    Asker(Servers& servers, Servers::Side side, std::string_view name)
        : link_(servers, side), health_(name) {}

    /// What `ask(connection, deadline)` returns of the server, which is asked again on another
    /// connection where the first one was lost.
    template <class Ask>
    auto answer(const Ask& ask) -> Result<decltype(ask(std::declval<Connection&>(), Deadline()))> {
        const Deadline deadline = soon();
        for (int tries = 1;; ++tries) {
            try {
                link_.alive();
                Connection& connection = link_.get(deadline);
                if constexpr (std::is_void_v<decltype(ask(connection, deadline))>) {
                    ask(connection, deadline);
                    health_.worked();
                    return {};
                } else {
                    auto asked = ask(connection, deadline);
                    health_.worked();
                    return asked;
                }
            } catch (const Lost& lost) {
                link_.lost(lost.error);
                if (!lost.late && std::chrono::steady_clock::now() < deadline) continue;
                health_.failed(lost.error);
            } catch (const Rejected& rejected) {
                const bool again = classify(rejected.error) == Failure::conflict;
                link_.drop();  // and with it the transaction
                if (again && tries < most_tries) continue;
                health_.failed(rejected.error);
            } catch (const NoConnection& none) {
                health_.failed(none.error);
            }
            return Failure::unavailable;
        }
    }

    /// The same on the connection that has answered last, and no other: what was begun there goes
    /// on. Where that is gone, or goes now, nothing of it is left.
    template <class Ask>
    auto answer_there(const Ask& ask)
        -> Result<decltype(ask(std::declval<Connection&>(), Deadline()))> {
        if (link_.current() == nullptr) return Failure::unavailable;
        try {
            return ask(*link_.current(), soon());
        } catch (const Lost& lost) {
            link_.lost(lost.error);
            health_.failed(lost.error);
        } catch (const Rejected& rejected) {
            link_.drop();
            health_.failed(rejected.error);
        }
        return Failure::unavailable;
    }

    /// Ends the connection, and with it whatever the server does for it.
    void drop() { link_.drop(); }

private:
    static constexpr int most_tries = 3;

    static Deadline soon() {
        return std::chrono::steady_clock::now() +
               std::chrono::milliseconds(limits::database_wait_ms);
    }

    Link link_;
    Health health_;
};

}  // namespace coupond::postgres
