// What becomes of calls whose answers are not what one hopes for.
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>

#include "aws/s3.hpp"
#include "aws/sqs.hpp"
#include "net/origin.hpp"
#include "unit/aws/scripted_server.hpp"

namespace coupond::aws {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Kind = Error::Kind;

/// 2013-05-24T00:00:00Z.
class StandingClock final : public Clock {
public:
    Timestamp now() const override { return {1'369'353'600'000}; }
};
const StandingClock standing_clock;

constexpr const char* secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

S3Options s3_options(std::string endpoint) {
    Bounds bounds;
    bounds.pause_first_ms = 1;
    bounds.tries = 3;
    bounds.answer_ms = 400;
    return {std::move(endpoint),
            "coupons",
            "us-east-1",
            {"AKIAIOSFODNN7EXAMPLE", secret, ""},
            "",
            bounds};
}

SqsOptions sqs_options(const std::string& endpoint) {
    const S3Options s3 = s3_options("");
    return {endpoint + "/1/jobs",
            "us-east-1",
            {"AKIAIOSFODNN7EXAMPLE", secret, "TOKEN"},
            "",
            s3.bounds};
}

std::string answer(std::string_view status, std::string_view body = "",
                   std::string_view fields = "") {
    return "HTTP/1.1 " + std::string(status) + "\r\n" + std::string(fields) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

const std::string ok = answer("200 OK");

bool holds(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

TEST(Calls, SendWhatIsSigned) {
    ScriptedServer server({{ok}});
    S3 s3(s3_options(server.url() + "/base%20path/"), standing_clock);
    EXPECT_TRUE(s3.put("a b/ü.png", "image/png", "bytes"));
    const std::string sent = server.requests().at(0);
    EXPECT_TRUE(sent.starts_with("PUT /base%20path/coupons/a%20b/%C3%BC.png HTTP/1.1\r\n")) << sent;
    EXPECT_TRUE(sent.ends_with("\r\n\r\nbytes")) << sent;
    for (const std::string& field :
         {std::string("Content-Type: image/png"), "Host: " + server.url().substr(7),
          std::string("X-Amz-Date: 20130524T000000Z"), std::string("Content-Length: 5"),
          std::string("X-Amz-Content-Sha256: "
                      "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"),
          std::string("Authorization: AWS4-HMAC-SHA256 "
                      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                      "SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date, ")}) {
        EXPECT_TRUE(holds(sent, "\r\n" + field)) << field << "\n" << sent;
    }
    EXPECT_FALSE(holds(sent, secret));
}

TEST(Calls, KeepTheirConnectionAndMakeItAgain) {
    // The second connection is closed between two requests, the third says so before.
    ScriptedServer server({{ok, ok, ok},
                           {ok},
                           {answer("200 OK", "", "Connection: close\r\n")},
                           {answer("200 OK", "x")}});
    S3 s3(s3_options(server.url()), standing_clock);
    for (int i = 0; i < 6; ++i) {
        const auto put = s3.put("a", "text/plain", "x");
        ASSERT_TRUE(put) << i << ": " << put.error().message;
    }
    EXPECT_EQ(server.requests().size(), 6U);
}

TEST(Calls, AreRepeatedWhereThatMayHelp) {
    const std::string slow_down =
        answer("503 Slow Down", "<Error><Code>SlowDown</Code><Message>x</Message></Error>");
    for (const std::string& first :
         {slow_down, answer("500 Internal Server Error"), answer("429 Too Many Requests"),
          answer("400 Bad Request", "<Error><Code>RequestTimeout</Code></Error>"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"),
          std::string("nonsense\r\n\r\n")}) {
        ScriptedServer server({{first}, {ok}});
        S3 s3(s3_options(server.url()), standing_clock);
        const auto put = s3.put("a", "text/plain", "x");
        EXPECT_TRUE(put) << first << put.error().message;
        EXPECT_EQ(server.requests().size(), 2U) << first;
    }
    ScriptedServer server({{slow_down, slow_down, slow_down, ok}});
    S3 s3(s3_options(server.url()), standing_clock);
    const auto put = s3.put("a", "text/plain", "x");
    ASSERT_FALSE(put);
    EXPECT_EQ(put.error().kind, Kind::unavailable);
    EXPECT_EQ(put.error().message,
              "cannot put an object into " + s3.name() + ": status 503, SlowDown");
    EXPECT_EQ(server.requests().size(), 3U);
}

TEST(Calls, AreNotRepeatedWhereThatDoesNotHelp) {
    for (const std::string& first :
         {answer("403 Forbidden",
                 "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA"
                 "</AWSAccessKeyId></Error>"),
          answer("301 Moved Permanently", "", "Location: http://127.0.0.1:1/\r\n"),
          answer("204 No Content"), answer("404 Not Found", "<Code>a b")}) {
        ScriptedServer server({{first, ok}});
        S3 s3(s3_options(server.url()), standing_clock);
        const auto put = s3.put("a", "text/plain", "x");
        ASSERT_FALSE(put) << first;
        EXPECT_EQ(put.error().kind, Kind::refused);
        EXPECT_EQ(server.requests().size(), 1U);
        EXPECT_FALSE(holds(put.error().message, "AKIA")) << put.error().message;
    }
}

TEST(Calls, TakeAnswersInEveryFraming) {
    const std::string body = R"({"Messages":[]})";
    for (const std::string& whole :
         {answer("200 OK", body), answer("200 OK", "{}"), answer("200 OK"),
          "HTTP/1.1 100 Continue\r\n\r\n" + answer("200 OK", body),
          std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\n{}\r\n0\r\n\r\n"),
          "HTTP/1.0 200 OK\r\n\r\n" + body}) {
        ScriptedServer server({{whole}});
        Sqs sqs(sqs_options(server.url()), standing_clock);
        const auto received = sqs.receive(1, 0, 30);
        ASSERT_TRUE(received) << whole << received.error().message;
        EXPECT_TRUE(received->empty());
    }
    ScriptedServer server({{"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n", ok}});
    S3 s3(s3_options(server.url()), standing_clock);
    EXPECT_EQ(s3.find("a").value()->bytes, 17);
    EXPECT_EQ(s3.find("a").value()->bytes, 0);
}

TEST(Calls, HaveAnEnd) {
    {  // no answer
        ScriptedServer server({{""}, {""}, {""}});
        S3 s3(s3_options(server.url()), standing_clock);
        const auto begin = steady_clock::now();
        const auto put = s3.put("a", "text/plain", "x");
        ASSERT_FALSE(put);
        EXPECT_EQ(put.error().kind, Kind::unavailable);
        EXPECT_TRUE(put.error().message.ends_with(": no answer in time")) << put.error().message;
        EXPECT_LT(steady_clock::now() - begin, milliseconds(5'000));
    }
    {  // too much of it
        ScriptedServer server({{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"}, {ok}});
        S3Options options = s3_options(server.url());
        options.bounds.tries = 1;
        S3 s3(options, standing_clock);
        const auto put = s3.put("a", "text/plain", "x");
        ASSERT_FALSE(put);
        EXPECT_TRUE(put.error().message.ends_with(": an answer that is too long"))
            << put.error().message;
        EXPECT_TRUE(s3.put("a", "text/plain", "x")) << "the next one goes well";
    }
    {  // nobody there
        S3 s3(s3_options("http://127.0.0.1:1"), standing_clock);
        const auto put = s3.put("a", "text/plain", "x");
        ASSERT_FALSE(put);
        EXPECT_EQ(put.error().kind, Kind::unavailable);
    }
    {  // nobody waits any more, not even for the next try
        ScriptedServer server({{answer("503 No")}, {answer("503 No")}, {answer("503 No")}});
        S3Options options = s3_options(server.url());
        options.bounds.pause_first_ms = 30'000;
        S3 s3(options, standing_clock);
        std::stop_source stop;
        const std::jthread stopper([&stop] {
            std::this_thread::sleep_for(milliseconds(100));
            stop.request_stop();
        });
        const auto begin = steady_clock::now();
        const auto put = s3.put("a", "text/plain", "x", stop.get_token());
        ASSERT_FALSE(put);
        EXPECT_EQ(put.error().kind, Kind::stopped);
        EXPECT_LT(steady_clock::now() - begin, milliseconds(3'000));
    }
}

TEST(Sqs, SpeaksTheJsonProtocol) {
    ScriptedServer server(
        {{answer("200 OK", R"({"MessageId":"m-1","MD5OfMessageBody":"x"})"),
          answer("200 OK",
                 R"({"Messages":[{"MessageId":"m-1","ReceiptHandle":"r","Body":"b",)"
                 R"("Attributes":{"ApproximateReceiveCount":"7"}},{"Body":"no receipt"},3]})"),
          answer("400 Bad Request",
                 R"({"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"x"})"),
          answer("200 OK", "[]")}});
    Sqs sqs(sqs_options(server.url()), standing_clock);
    EXPECT_EQ(sqs.send("a\"b").value(), "m-1");
    const auto received = sqs.receive(10, 0, 30);
    ASSERT_TRUE(received);
    ASSERT_EQ(received->size(), 1U);
    EXPECT_EQ(received->front().receipt, "r");
    EXPECT_EQ(received->front().receive_count, 7);
    const auto removed = sqs.remove(received->front());
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().kind, Kind::refused);
    EXPECT_TRUE(holds(removed.error().message, "status 400, ReceiptHandleIsInvalid"));
    const auto hidden = sqs.hide(received->front(), 0);
    ASSERT_FALSE(hidden);
    EXPECT_TRUE(holds(hidden.error().message, "an answer that makes no sense"));
    const std::string sent = server.requests().at(0);
    EXPECT_TRUE(sent.starts_with("POST / HTTP/1.1\r\n")) << sent;
    EXPECT_TRUE(holds(sent, "\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n")) << sent;
    EXPECT_TRUE(holds(sent, "\r\nContent-Type: application/x-amz-json-1.0\r\n")) << sent;
    EXPECT_TRUE(holds(sent, "\r\nX-Amz-Security-Token: TOKEN\r\n")) << sent;
    EXPECT_TRUE(
        sent.ends_with(R"({"MessageBody":"a\"b","QueueUrl":")" + server.url() + R"(/1/jobs"})"))
        << sent;
}

/// What is said against it.
template <class Service, class Options>
std::string complaint(const Options& options) {
    try {
        const Service service(options, standing_clock);
    } catch (const std::invalid_argument& unfit) {
        return unfit.what();
    }
    return "";
}

TEST(Options, AreRefusedWithoutSecrets) {
    const auto s3 = [](auto change) {
        S3Options options = s3_options("https://s3.example");
        change(options);
        return complaint<S3>(options);
    };
    EXPECT_EQ(s3([](S3Options&) {}), "");
    EXPECT_EQ(s3([](S3Options& o) { o.endpoint = "s3.example"; }),
              "the endpoint must be a URL that begins with http:// or https://");
    EXPECT_EQ(s3([](S3Options& o) { o.endpoint = "https://user:pass@s3.example"; }),
              "the endpoint must have no user, no parameters and no fragment");
    EXPECT_TRUE(holds(s3([](S3Options& o) { o.bucket = "a/b"; }), "the bucket must be"));
    EXPECT_TRUE(holds(s3([](S3Options& o) { o.region = ""; }), "the region must be"));
    EXPECT_TRUE(holds(s3([](S3Options& o) { o.credentials.access_key_id = "a\r\nb"; }),
                      "the access key id must be"));
    EXPECT_EQ(s3([](S3Options& o) { o.credentials.secret_access_key = "top secret"; }),
              "the secret access key must be visible ASCII characters");
    EXPECT_TRUE(holds(s3([](S3Options& o) { o.root_certificate = "/none.pem"; }),
                      "cannot read the root certificate /none.pem"));

    SqsOptions sqs = sqs_options("https://sqs.eu-central-1.amazonaws.com");
    sqs.region = "";
    EXPECT_EQ(complaint<Sqs>(sqs), "");
    sqs = sqs_options("https://queues.example");
    sqs.region = "";
    EXPECT_TRUE(holds(complaint<Sqs>(sqs), "the region must be given"));
    sqs.region = "us-east-1";
    sqs.queue_url = "https://queues.example/";
    EXPECT_EQ(complaint<Sqs>(sqs), "the queue's URL must end with the queue's name");
}

TEST(Options, SayWhereItIs) {
    S3Options options = s3_options("");
    EXPECT_EQ(S3(options, standing_clock).name(),
              "S3 bucket coupons at coupons.s3.us-east-1.amazonaws.com");
    options.bucket = "coupons.example";
    EXPECT_EQ(S3(options, standing_clock).name(),
              "S3 bucket coupons.example at s3.us-east-1.amazonaws.com");
    options.region = "cn-north-1";
    EXPECT_EQ(S3(options, standing_clock).name(),
              "S3 bucket coupons.example at s3.cn-north-1.amazonaws.com.cn");
    options.endpoint = "http://[::1]:9000";
    EXPECT_EQ(S3(options, standing_clock).name(), "S3 bucket coupons.example at [::1]:9000");

    EXPECT_EQ(region_of_queue_host("sqs.eu-central-1.amazonaws.com"), "eu-central-1");
    EXPECT_EQ(region_of_queue_host("sqs.cn-north-1.amazonaws.com.cn"), "cn-north-1");
    EXPECT_EQ(region_of_queue_host("eu-west-1.queue.amazonaws.com"), "eu-west-1");
    EXPECT_EQ(region_of_queue_host("localhost"), "");
}

TEST(Origin, IsReadOfAUrl) {
    const net::Url url = net::parse_url("https://minio.internal:9000/a%20b/c//");
    EXPECT_TRUE(url.origin.tls);
    EXPECT_EQ(net::host_field(url.origin), "minio.internal:9000");
    EXPECT_EQ(url.path, "/a b/c");
    EXPECT_EQ(net::host_field(net::parse_url("http://a:80").origin), "a");
    EXPECT_EQ(net::host_field(net::parse_url("https://a:80/").origin), "a:80");
    for (const char* const unfit : {"", "a", "ftp://a", "http://", "http://a:0", "http://a:99999",
                                    "http://a?b", "http://a#b", "http://a b", "http://u@a"}) {
        EXPECT_THROW(net::parse_url(unfit), std::invalid_argument) << unfit;
    }
}

}  // namespace
}  // namespace coupond::aws
