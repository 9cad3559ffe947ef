// Messages of a queue of Amazon SQS, or of what speaks its JSON protocol.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "aws/aws.hpp"
#include "base/time.hpp"

namespace coupond::aws {

struct SqsOptions {
    /// Such as https://sqs.eu-central-1.amazonaws.com/123456789012/jobs: requests go to its host.
    std::string queue_url;
    std::string region;  ///< empty: the one that is part of Amazon's queue_url
    Credentials credentials;
    std::string root_certificate;  ///< a PEM file to trust; empty: the system's
    Bounds bounds = {};
};

struct Message {
    std::string id;
    std::string receipt;  ///< of this time that it was received
    std::string body;
    int receive_count = 1;  ///< how often it was received, this time too
};

class Sqs {
public:
    /// Throws std::invalid_argument, with what is wrong of which option, without secrets. `clock`
    /// must agree with the service's to some minutes, and outlive this.
    Sqs(SqsOptions options, const Clock& clock);
    ~Sqs();
    Sqs(const Sqs&) = delete;
    Sqs& operator=(const Sqs&) = delete;

    /// Its id. `body`: 1 byte to 256 KiB of UTF-8. Where an answer is lost, it may be sent twice.
    Result<std::string> send(std::string_view body, const std::stop_token& stop = {});

    /// Up to `most` (1 to 10) messages, which nobody else receives for `visible_after_s` (0 to
    /// 43,200). Where there are none, waits up to `wait_s` (0 to 20) for one.
    Result<std::vector<Message>> receive(int most, int wait_s, int visible_after_s,
                                         const std::stop_token& stop = {});

    /// Removes a message for good.
    Result<void> remove(const Message& message, const std::stop_token& stop = {});

    /// Lets others receive a message only in `visible_after_s` from now, 0 for at once.
    Result<void> hide(const Message& message, int visible_after_s,
                      const std::stop_token& stop = {});

    /// Where it is, for messages, such as `SQS queue jobs at sqs.eu-central-1.amazonaws.com`.
    const std::string& name() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The region that is part of the host of Amazon's queues; empty where it is none.
std::string region_of_queue_host(std::string_view host);

}  // namespace coupond::aws
