// The way to the server: finds it, keeps a connection to it, finds it again.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "store/postgres/connection.hpp"
#include "store/postgres/postgres.hpp"

namespace coupond::postgres {

/// A server that a connection led to.
struct Server {
    std::string history;  ///< which cluster, and how often a replica of it has taken over
    int pid = 0;          ///< the process that served the check of the connection
    bool pooled = false;  ///< there is a pooler in between, which chooses one each transaction
};

/// What all connections of a Database have in common.
class Servers {
public:
    /// Throws std::invalid_argument where the URL is not understood.
    explicit Servers(const Options& options);

    enum class Side { write, read };

    /// The servers to try, one after the other: each as settings of its own, so that one that does
    /// not answer cannot use up the time of all.
    const std::vector<Settings>& of(Side side) const;

    /// As a URL without user and secrets.
    const std::string& name() const { return name_; }

    /// Connects to the first one that can be had, beginning at number `first`, and makes `first`
    /// its number. Throws Lost.
    std::unique_ptr<Connection> connect(Side side, std::size_t& first, Deadline deadline);

    /// Throws NoConnection where the server is not fit: its version, its encoding. Warns once where
    /// it may lose what it has committed.
    Server check(Connection& connection, Deadline deadline);

    /// What version the schema has behind `connection`; 0: none yet. Throws Lost, Rejected.
    static int schema_version(Connection& connection, Deadline deadline);

private:
    std::vector<Settings> write_, read_;
    std::string name_;
    Connection::Prepares prepares_ = true;
    std::atomic<bool> warned_ = false;
};

/// One side's connection, made when it is needed.
class Link {
public:
    Link(Servers& servers, Servers::Side side) : servers_(servers), side_(side) {}

    /// A connection to a server with our schema. Where there is none, tries to make one until
    /// `deadline` if there was one until now; else once, and that only when the last try is some
    /// time ago. Throws NoConnection.
    Connection& get(Deadline deadline);
    /// The one that get() returned last; null where it is gone.
    Connection* current() const { return connection_.get(); }
    /// Whether there is one that the server has not closed; lets go of one that it has.
    bool alive();
    /// Where get() led to.
    const Server& server() const { return server_; }
    /// Ends the connection, if there is one.
    void drop() { connection_.reset(); }
    /// The same, and tells the log why.
    void lost(const Error& error);

private:
    void try_connect(Deadline deadline);
    void check_schema(Deadline deadline);
    void place_ledger(Deadline deadline);

    Servers& servers_;
    const Servers::Side side_;
    std::unique_ptr<Connection> connection_;
    Server server_;
    std::size_t target_ = 0;  ///< which server of `servers_` it led to
    bool worked_ = true;      ///< there was a connection when one was last asked for
    Error reason_;            ///< why the last try failed
    Deadline next_try_{};
    std::chrono::milliseconds pause_{};
};

}  // namespace coupond::postgres
