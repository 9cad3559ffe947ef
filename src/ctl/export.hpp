// Files of codes from the server, of any length in little memory.
#pragma once

#include <optional>
#include <string>

#include "ctl/session.hpp"

namespace coupond::ctl {

struct Export {
    std::string book;
    std::string file;    ///< empty: standard output
    std::string format;  ///< csv, ndjson; empty: by the file's name, else csv
    std::optional<std::string> status, user, prefix;
    bool go_on = false;  ///< behind what is in the file already
};

/// `csv` or `ndjson`, as the end of a file's name tells; nothing where it does not.
std::optional<std::string> format_by_name(const std::string& name);

/// Writes a book's codes, in whole lines always. Where the connection breaks it goes on behind the
/// last code that has come; what it cannot do by itself it says. A file comes under its name when
/// it is whole; until then it is FILE.part. Throws Quit.
void export_codes(Session& session, const Export& wanted);

}  // namespace coupond::ctl
