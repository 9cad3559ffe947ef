// The store for production: PostgreSQL 15, for any number of coupond processes at once.
#pragma once

#include <memory>
#include <string>

#include "store/store.hpp"

namespace coupond::postgres {

/// How to reach it: a URL or connection string of libpq, or the fields. What is empty is left to
/// libpq's defaults.
struct Options {
    std::string url;   ///< postgresql://… or key=value pairs; the fields below are then unused,
                       ///< but for read_host
    std::string host;  ///< several, with commas between them: the one that takes changes is used
    std::string port;
    std::string username;
    std::string password;
    std::string name;  ///< of the database
    std::string ssl_mode;
    std::string ssl_root_certificate;
    std::string read_host;  ///< a replica for the reading side; empty: the same as for writing
};

/// Loads libpq, but does not connect yet. Throws OpenError where libpq is not installed, and
/// std::invalid_argument where the URL is not understood: with what is wrong, without the URL
/// itself, for it may hold a password.
std::unique_ptr<Database> open(Options options);

}  // namespace coupond::postgres
