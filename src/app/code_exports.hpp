// Exports of all codes of a book, which take as long as their clients do.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "http/http.hpp"
#include "store/store.hpp"
#include "wire/code_export.hpp"

namespace coupond {

/// What CodeExports put up with. Others than these defaults are for tests.
struct CodeExportBounds {
    std::size_t exports = limits::exports_at_once;
    std::chrono::milliseconds most{std::chrono::seconds(limits::export_seconds)};
};

/// What is asked for.
struct CodeExport {
    CodeQuery query;  ///< `limit`: how many codes are read at once
    wire::CodeFormat format = wire::CodeFormat::csv;
    bool gzip = false;
};

/// Each export has a thread and a snapshot of its own: it reads codes, in the order of their texts,
/// and makes pieces of the file from them, a few ahead of its client, until that has all, or has
/// gone. Where the database fails, or the time is over, the connection breaks. Used on the network
/// thread.
class CodeExports {
public:
    /// Opens a snapshot, on any thread (Database::open_code_snapshot). May throw OpenError.
    using Open = std::function<std::unique_ptr<CodeSnapshot>(Wanted)>;

    /// `io` is the network thread's. `clock` must outlive it.
    CodeExports(boost::asio::io_context& io, Open open, const Clock& clock,
                CodeExportBounds bounds = {});
    /// Stops. Bodies of its answers may outlive it.
    ~CodeExports();
    CodeExports(const CodeExports&) = delete;
    CodeExports& operator=(const CodeExports&) = delete;

    /// Answers with the file; or, where there are as many exports as there may be, 503.
    void begin(CodeExport asked, const http::Request& request, const http::Responder& responder);

    /// Breaks off all exports and takes no more. Returns when none reads any more.
    void stop();

private:
    class Impl;
    const std::unique_ptr<Impl> impl_;
};

}  // namespace coupond
