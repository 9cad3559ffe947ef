#include "aws/sqs.hpp"

#include <boost/json.hpp>
#include <charconv>
#include <stdexcept>

#include "aws/caller.hpp"
#include "base/check.hpp"
#include "base/limits.hpp"

namespace coupond::aws {
namespace {

namespace json = boost::json;

/// The object that a body is; nothing where it is none.
std::optional<json::object> object_of(const net::HttpResponse& response) {
    boost::system::error_code error;
    json::value value = json::parse(response.body, error);
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
}

/// Empty where there is no such text.
std::string text_at(const json::object& object, std::string_view name) {
    const json::value* const value = object.if_contains(name);
    const json::string* const text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

/// Of an answer such as `{"__type":"com.amazonaws.sqs#QueueDoesNotExist",…}`.
std::string code_of(const net::HttpResponse& response) {
    constexpr std::string_view characters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.";
    constexpr std::size_t most = 64;
    const auto object = object_of(response);
    if (!object) return {};
    std::string code = text_at(*object, "__type");
    code.erase(0, code.rfind('#') + 1);
    const bool fit = code.size() <= most && code.find_first_not_of(characters) == std::string::npos;
    return fit ? code : std::string();
}

/// Nothing where it makes no sense.
std::optional<Message> message_of(const json::value& value) {
    const json::object* const object = value.if_object();
    if (object == nullptr) return std::nullopt;
    Message message{text_at(*object, "MessageId"), text_at(*object, "ReceiptHandle"),
                    text_at(*object, "Body")};
    if (message.receipt.empty()) return std::nullopt;
    const json::value* const attributes = object->if_contains("Attributes");
    if (attributes == nullptr || !attributes->is_object()) return message;
    const std::string count = text_at(attributes->get_object(), "ApproximateReceiveCount");
    std::from_chars(count.data(), count.data() + count.size(), message.receive_count);
    return message;
}

struct Place {
    net::Url url;
    std::string region;
    std::string queue;  ///< its name
};

Place place_of(const SqsOptions& options) {
    Place place;
    try {
        place.url = net::parse_url(options.queue_url);
    } catch (const std::invalid_argument& unfit) {
        throw std::invalid_argument(std::string("the queue's URL ") + unfit.what());
    }
    place.region =
        options.region.empty() ? region_of_queue_host(place.url.origin.host) : options.region;
    if (place.region.empty()) {
        throw std::invalid_argument(
            "the region must be given where it is not part of the queue's URL");
    }
    place.queue = place.url.path.substr(place.url.path.rfind('/') + 1);
    if (place.queue.empty() || !is_visible_ascii(place.queue)) {
        throw std::invalid_argument("the queue's URL must end with the queue's name");
    }
    return place;
}

}  // namespace

std::string region_of_queue_host(std::string_view host) {
    // sqs.<region>.amazonaws.com, <region>.queue.amazonaws.com; China's have .cn behind.
    for (const std::string_view end : {".amazonaws.com", ".amazonaws.com.cn"}) {
        if (!host.ends_with(end)) continue;
        const std::string_view rest = host.substr(0, host.size() - end.size());
        if (rest.starts_with("sqs.")) return std::string(rest.substr(4));
        if (rest.ends_with(".queue")) return std::string(rest.substr(0, rest.size() - 6));
    }
    return {};
}

struct Sqs::Impl {
    Impl(const SqsOptions& options, const Place& place, const Clock& clock)
        : queue_url(options.queue_url),
          name("SQS queue " + place.queue + " at " + net::host_field(place.url.origin)),
          caller({place.url.origin,
                  options.root_certificate,
                  {place.region, "sqs"},
                  options.credentials,
                  options.bounds,
                  code_of},
                 clock) {}

    /// The answer to `action`; `wait_s`: that the service may take before it answers.
    Result<json::object> run(std::string_view what, std::string_view action, json::object members,
                             const std::stop_token& stop, int wait_s = 0) {
        members["QueueUrl"] = queue_url;
        const std::string body = json::serialize(members);
        Call call;
        call.what = std::string(what) + name;
        call.method = "POST";
        call.path = "/";
        call.fields = {{"Content-Type", "application/x-amz-json-1.0"},
                       {"X-Amz-Target", "AmazonSQS." + std::string(action)}};
        call.body = body;
        call.wait_ms = wait_s * 1'000;
        const auto response = caller.call(call, stop);
        if (!response) return response.error();
        if (response->status != 200) return caller.refused(call, *response);
        if (response->body.empty()) return json::object();
        auto object = object_of(*response);
        if (!object) return Caller::misunderstood(call);
        return std::move(*object);
    }

    const std::string queue_url;
    const std::string name;
    Caller caller;
};

Sqs::Sqs(SqsOptions options, const Clock& clock)
    : impl_(std::make_unique<Impl>(options, place_of(options), clock)) {}

Sqs::~Sqs() = default;

const std::string& Sqs::name() const {
    return impl_->name;
}

Result<std::string> Sqs::send(std::string_view body, const std::stop_token& stop) {
    COUPOND_CHECK(!body.empty() && body.size() <= limits::sqs_body_bytes);
    const auto answer = impl_->run("send to ", "SendMessage", {{"MessageBody", body}}, stop);
    if (!answer) return answer.error();
    return text_at(*answer, "MessageId");
}

Result<std::vector<Message>> Sqs::receive(int most, int wait_s, int visible_after_s,
                                          const std::stop_token& stop) {
    COUPOND_CHECK(most >= 1 && most <= limits::sqs_messages);
    COUPOND_CHECK(wait_s >= 0 && wait_s <= limits::sqs_wait_s);
    COUPOND_CHECK(visible_after_s >= 0 && visible_after_s <= limits::sqs_visible_after_s);
    // The older name of what is asked for: it is known to everybody who speaks the protocol.
    json::object asked{{"MaxNumberOfMessages", most},
                       {"WaitTimeSeconds", wait_s},
                       {"VisibilityTimeout", visible_after_s},
                       {"AttributeNames", json::array{"ApproximateReceiveCount"}}};
    const auto answer =
        impl_->run("receive from ", "ReceiveMessage", std::move(asked), stop, wait_s);
    if (!answer) return answer.error();
    std::vector<Message> messages;
    const json::value* const listed = answer->if_contains("Messages");
    if (listed == nullptr || !listed->is_array()) return messages;
    for (const json::value& value : listed->get_array()) {
        if (auto message = message_of(value)) messages.push_back(std::move(*message));
    }
    return messages;
}

Result<void> Sqs::remove(const Message& message, const std::stop_token& stop) {
    const auto answer =
        impl_->run("delete from ", "DeleteMessage", {{"ReceiptHandle", message.receipt}}, stop);
    if (!answer) return answer.error();
    return {};
}

Result<void> Sqs::hide(const Message& message, int visible_after_s, const std::stop_token& stop) {
    COUPOND_CHECK(visible_after_s >= 0 && visible_after_s <= limits::sqs_visible_after_s);
    const auto answer = impl_->run(
        "hide a message of ", "ChangeMessageVisibility",
        {{"ReceiptHandle", message.receipt}, {"VisibilityTimeout", visible_after_s}}, stop);
    if (!answer) return answer.error();
    return {};
}

}  // namespace coupond::aws
