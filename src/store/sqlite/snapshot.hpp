// What a verification reads, beside whoever has the file.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "store/sqlite/connection.hpp"
#include "store/store.hpp"

namespace coupond::sqlite {

/// Tells of a process that begins to write to a file that nobody had open: who looks at such a file
/// holds no lock that would keep what they read.
class FileWatch {
public:
    /// To be made before this process opens the file.
    explicit FileWatch(const std::string& path);
    bool disturbed() const;

private:
    /// Of the file and of its log; all 0 for one that is not there.
    using Stamps = std::array<std::array<std::int64_t, 4>, 2>;
    static Stamps stamps(const std::string& path);

    std::string path_;
    bool in_use_;  ///< by others: then their locks and ours keep what is read
    Stamps before_;
};

/// Of `path`, by a transaction on `connection`, which nothing else may use meanwhile. Throws Error;
/// its functions and streams throw OpenError.
std::unique_ptr<Snapshot> make_snapshot(const std::string& path, Connection& connection,
                                        const FileWatch& watch);

}  // namespace coupond::sqlite
