// Digests of what came from outside.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <string_view>

namespace coupond {

using Digest = std::array<char, 32>;

/// SHA-256 (FIPS 180-4) of parts, each with its length before it: other parts that would be the
/// same one after the other have another digest.
class Digester {
public:
    Digester();
    ~Digester();
    Digester(Digester&&) noexcept;
    Digester& operator=(Digester&&) noexcept;

    void add(std::string_view part);
    /// Of what was added, which ends it.
    Digest end();

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

/// The same of parts that are there together.
Digest digest_of(std::initializer_list<std::string_view> parts);

}  // namespace coupond
