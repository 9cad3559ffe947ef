// Where images of codes go: a folder, or a bucket.
#pragma once

#include <boost/system/result.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "app/config.hpp"
#include "aws/s3.hpp"
#include "base/time.hpp"
#include "domain/domain.hpp"

namespace coupond {

/// What one job draws stands below a place of its own there.
class ImageStore {
public:
    struct Image {
        std::string name;  ///< with slashes between its parts, safe as a path
        std::string_view content_type;
        std::string_view bytes;
    };
    virtual ~ImageStore() = default;

    /// How many images may be put at once, each by another writer.
    virtual int writers() const = 0;

    /// Where the images of `job` are, for people: a path, or s3://bucket/….
    virtual std::string location(const Job& job) const = 0;

    /// Puts an image there, in place of one that is there. `writer`: from 0 on, below writers();
    /// one thread at a time. May block; what it waits for ends soon after `stop`.
    virtual aws::Result<void> put(const Job& job, int writer, const Image& image,
                                  const std::stop_token& stop) = 0;

    /// Returns when what was put is there for good, whatever happens to the machine.
    virtual aws::Result<void> settle() = 0;
};

/// A folder, which is made where it is missing, or a bucket. Throws ConfigError. `clock` must
/// outlive it.
std::unique_ptr<ImageStore> open_images(const Config& config, const Clock& clock);

}  // namespace coupond
