// Compression as HTTP knows it (RFC 1952).
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace coupond {

/// Compresses a text that comes in pieces. Throws std::bad_alloc.
class Gzip {
public:
    Gzip();
    ~Gzip();
    Gzip(Gzip&&) noexcept;
    Gzip& operator=(Gzip&&) noexcept;

    /// Appends to `out` what `text` becomes, as far as that does not follow from what is to come.
    void add(std::string_view text, std::string& out);
    /// Appends the rest. Nothing can be added after it.
    void end(std::string& out);

private:
    struct Stream;
    std::unique_ptr<Stream> stream_;
};

}  // namespace coupond
