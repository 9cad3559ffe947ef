// Files of codes to the server, of any length in little memory.
#pragma once

#include <string>

#include "ctl/session.hpp"

namespace coupond::ctl {

struct Upload {
    std::string book;
    std::string file;    ///< - is standard input
    std::string format;  ///< csv, ndjson, lines; empty: by the file's name
    std::string on_conflict = "fail";
    bool wait = true;
};

/// Sends a file and follows the job that takes it in. The same file sent again, to the same book by
/// the same name, goes on with the job that was begun. Throws Quit.
void upload_codes(Session& session, const Upload& upload);

}  // namespace coupond::ctl
