#include "aws/s3.hpp"

#include <stdexcept>

#include "aws/caller.hpp"
#include "base/check.hpp"
#include "base/limits.hpp"

namespace coupond::aws {
namespace {

/// Of an answer such as `<Error><Code>AccessDenied</Code>…`.
std::string code_of(const net::HttpResponse& response) {
    constexpr std::string_view begin = "<Code>";
    constexpr std::string_view characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.";
    constexpr std::size_t most = 64;
    const std::size_t at = response.body.find(begin);
    if (at == std::string::npos) return {};
    const std::string_view rest = std::string_view(response.body).substr(at + begin.size());
    const std::size_t end = rest.find_first_not_of(characters);
    return end > most ? std::string() : std::string(rest.substr(0, end));
}

struct Place {
    net::Origin origin;
    std::string path;  ///< of the bucket, percent-encoded
};

Place place_of(const S3Options& options) {
    if (!options.endpoint.empty()) {
        try {
            net::Url url = net::parse_url(options.endpoint);
            return {std::move(url.origin), uri_encode(url.path, true) + "/" + options.bucket};
        } catch (const std::invalid_argument& unfit) {
            throw std::invalid_argument(std::string("the endpoint ") + unfit.what());
        }
    }
    const std::string host = "s3." + options.region + ".amazonaws.com" +
                             (options.region.starts_with("cn-") ? ".cn" : "");
    // Amazon's certificates are for one label before that.
    const bool dotted = options.bucket.find('.') != std::string::npos;
    if (dotted) return {{true, host, 443}, "/" + options.bucket};
    return {{true, options.bucket + "." + host, 443}, ""};
}

void check_bucket(const std::string& bucket) {
    constexpr std::string_view characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    if (bucket.size() < 3 || bucket.size() > 63 || bucket.front() == '.' ||
        bucket.find_first_not_of(characters) != std::string::npos) {
        throw std::invalid_argument(
            "the bucket must be a name of 3 to 63 letters, digits, dots and dashes");
    }
}

}  // namespace

struct S3::Impl {
    Impl(const S3Options& options, const Place& place, const Clock& clock)
        : bucket_path(place.path),
          name("S3 bucket " + options.bucket + " at " + net::host_field(place.origin)),
          caller({place.origin,
                  options.root_certificate,
                  {options.region, "s3"},
                  options.credentials,
                  options.bounds,
                  code_of},
                 clock) {}

    Call call(std::string_view what, std::string_view method, std::string_view key) const {
        COUPOND_CHECK(!key.empty() && key.size() <= limits::s3_key_bytes);
        Call made;
        made.what = std::string(what) + name;
        made.method = method;
        made.path = bucket_path + "/" + uri_encode(key, true);
        return made;
    }

    const std::string bucket_path;
    const std::string name;
    Caller caller;
};

S3::S3(S3Options options, const Clock& clock) {
    check_bucket(options.bucket);
    impl_ = std::make_unique<Impl>(options, place_of(options), clock);
}

S3::~S3() = default;

const std::string& S3::name() const {
    return impl_->name;
}

Result<void> S3::put(std::string_view key, std::string_view content_type, std::string_view bytes,
                     const std::stop_token& stop) {
    Call call = impl_->call("put an object into ", "PUT", key);
    COUPOND_CHECK(!content_type.empty() && is_visible_ascii(content_type));
    call.fields.emplace_back("Content-Type", content_type);
    call.body = bytes;
    const auto response = impl_->caller.call(call, stop);
    if (!response) return response.error();
    if (response->status == 200) return {};
    return impl_->caller.refused(call, *response);
}

Result<std::optional<ObjectInfo>> S3::find(std::string_view key, const std::stop_token& stop) {
    const Call call = impl_->call("look for an object in ", "HEAD", key);
    const auto response = impl_->caller.call(call, stop);
    if (!response) return response.error();
    if (response->status == 404) return std::optional<ObjectInfo>();
    if (response->status != 200) return impl_->caller.refused(call, *response);
    return std::optional<ObjectInfo>(
        ObjectInfo{static_cast<std::int64_t>(response->content_length.value_or(0))});
}

}  // namespace coupond::aws
