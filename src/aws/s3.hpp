// Objects in a bucket of Amazon S3, or of what speaks like it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "aws/aws.hpp"
#include "base/time.hpp"

namespace coupond::aws {

struct S3Options {
    /// http or https, a host, maybe a port and a path, such as https://minio.internal:9000, where
    /// the bucket is the first part of the path; empty: Amazon's, where the bucket is part of the
    /// host.
    std::string endpoint;
    std::string bucket;
    std::string region;
    Credentials credentials;
    std::string root_certificate;  ///< a PEM file to trust; empty: the system's
    Bounds bounds = {};
};

struct ObjectInfo {
    std::int64_t bytes = 0;
};

class S3 {
public:
    /// Throws std::invalid_argument, with what is wrong of which option, without secrets. `clock`
    /// must agree with the service's to some minutes, and outlive this.
    S3(S3Options options, const Clock& clock);
    ~S3();
    S3(const S3&) = delete;
    S3& operator=(const S3&) = delete;

    /// Stores an object whole, in place of one that is there. `key`: 1 to 1,024 bytes of UTF-8;
    /// parts of it are separated by slashes. `content_type` is visible ASCII. What arrives is
    /// checked by its digest.
    Result<void> put(std::string_view key, std::string_view content_type, std::string_view bytes,
                     const std::stop_token& stop = {});

    /// Nothing where there is no such object, or no such bucket. Who may not list the bucket is
    /// refused instead, by Amazon.
    Result<std::optional<ObjectInfo>> find(std::string_view key, const std::stop_token& stop = {});

    /// Where it is, for messages, such as `S3 bucket coupons at minio.internal:9000`.
    const std::string& name() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coupond::aws
