#include "aws/sigv4.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace coupond::aws {
namespace {

// AWS's own test suite for signatures (aws-sig-v4-test-suite; in awslabs/aws-c-auth the folder
// tests/aws-signing-test-suite/v4, the files header-signed-request.txt).

const Credentials suite_credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
const Scope suite_scope{"us-east-1", "service"};
constexpr Timestamp suite_time{1'440'938'160'000};  // 2015-08-30T12:36:00Z

Signed suite_request(std::string method, std::string path = "/", NamesAndValues query = {},
                     NamesAndValues more = {}, std::string_view body = "") {
    more.emplace_back("Host", "example.amazonaws.com");
    more.emplace_back("X-Amz-Date", "20150830T123600Z");
    return {std::move(method), std::move(path), std::move(query), std::move(more),
            sha256_hex(body)};
}

std::string suite_authorization(const Signed& request) {
    return authorization(request, suite_scope, suite_credentials, suite_time);
}

std::string expected(std::string_view names, std::string_view signature) {
    return "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
           "SignedHeaders=" +
           std::string(names) + ", Signature=" + std::string(signature);
}

TEST(SigV4, SignsAsTheSuiteGetVanilla) {
    const Signed request = suite_request("GET");
    EXPECT_EQ(canonical_request(request),
              "GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\n"
              "host;x-amz-date\n"
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(suite_authorization(request),
              expected("host;x-amz-date",
                       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"));
}

TEST(SigV4, SignsAsTheSuitePaths) {
    const std::string unreserved =
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (const auto& [path, signature] : std::vector<std::pair<std::string, std::string>>{
             // get-unreserved, get-utf8, get-space-unnormalized
             {unreserved, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
             {"/ሴ", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
             {"/example space/",
              "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"}}) {
        EXPECT_EQ(suite_authorization(suite_request("GET", uri_encode(path, true))),
                  expected("host;x-amz-date", signature))
            << path;
    }
}

TEST(SigV4, SignsAsTheSuiteQueries) {
    const std::string unreserved =
        "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (const auto& [query, signature] : std::vector<std::pair<NamesAndValues, std::string>>{
             // get-vanilla-query-order-key-case, get-vanilla-query-unreserved,
             // get-vanilla-utf8-query, get-vanilla-query-order-encoded
             {{{"Param2", "value2"}, {"Param1", "value1"}},
              "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
             {{{unreserved, unreserved}},
              "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
             {{{"ሴ", "bar"}}, "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
             {{{"Param-3", "Value3"}, {"Param", "Value2"}, {"ሴ", "Value1"}},
              "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"}}) {
        EXPECT_EQ(suite_authorization(suite_request("GET", "/", query)),
                  expected("host;x-amz-date", signature));
    }
}

TEST(SigV4, SignsAsTheSuiteFields) {
    // get-header-value-trim, post-header-value-case
    EXPECT_EQ(suite_authorization(suite_request(
                  "GET", "/", {}, {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}})),
              expected("host;my-header1;my-header2;x-amz-date",
                       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"));
    EXPECT_EQ(suite_authorization(suite_request("POST", "/", {}, {{"My-Header1", "VALUE1"}})),
              expected("host;my-header1;x-amz-date",
                       "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"));
    // get-header-key-duplicate
    EXPECT_EQ(suite_authorization(suite_request(
                  "GET", "/", {},
                  {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}})),
              expected("host;my-header1;x-amz-date",
                       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"));
}

TEST(SigV4, SignsAsTheSuitePosts) {
    // post-vanilla, post-x-www-form-urlencoded
    EXPECT_EQ(suite_authorization(suite_request("POST")),
              expected("host;x-amz-date",
                       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"));
    EXPECT_EQ(suite_authorization(suite_request(
                  "POST", "/", {},
                  {{"Content-Type", "application/x-www-form-urlencoded"},
                   {"Content-Length", "13"},
                   {"x-amz-content-sha256",
                    "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}},
                  "Param1=value1")),
              expected("content-length;content-type;host;x-amz-content-sha256;x-amz-date",
                       "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"));
}

TEST(SigV4, SignsAsTheSuiteSessionTokens) {
    // get-vanilla-with-session-token, post-sts-header-before
    for (const auto& [method, token, signature] :
         std::vector<std::tuple<std::string, std::string, std::string>>{
             {"GET", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
              "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
             {"POST",
              "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMi"
              "cRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZamp"
              "KsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD"
              "0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLx"
              "BA==",
              "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"}}) {
        EXPECT_EQ(
            suite_authorization(suite_request(method, "/", {}, {{"X-Amz-Security-Token", token}})),
            expected("host;x-amz-date;x-amz-security-token", signature));
    }
}

// The examples of S3's documentation, Signature Calculations for the Authorization Header
// (sig-v4-header-based-auth.html).

struct S3Example {
    std::string method, path;
    NamesAndValues query, fields;
    std::string body, names, signature;
};

TEST(SigV4, SignsAsTheExamplesOfS3) {
    const Credentials credentials{"AKIAIOSFODNN7EXAMPLE",
                                  "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
    constexpr Timestamp at{1'369'353'600'000};  // 2013-05-24T00:00:00Z
    const std::vector<S3Example> examples{
        {"GET",
         "/test.txt",
         {},
         {{"Range", "bytes=0-9"}},
         "",
         "host;range;",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"PUT",
         "/test$file.text",
         {},
         {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
         "Welcome to Amazon S3.",
         "date;host;",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"GET",
         "/",
         {{"lifecycle", ""}},
         {},
         "",
         "host;",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET",
         "/",
         {{"max-keys", "2"}, {"prefix", "J"}},
         {},
         "",
         "host;",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"}};
    for (const S3Example& example : examples) {
        Signed request{example.method, uri_encode(example.path, true), example.query,
                       example.fields, sha256_hex(example.body)};
        request.fields.emplace_back("Host", "examplebucket.s3.amazonaws.com");
        request.fields.emplace_back("x-amz-date", amz_date(at));
        request.fields.emplace_back("x-amz-content-sha256", request.payload_sha256_hex);
        const std::string storage = example.method == "PUT" ? ";x-amz-storage-class" : "";
        EXPECT_EQ(authorization(request, {"us-east-1", "s3"}, credentials, at),
                  "AWS4-HMAC-SHA256 "
                  "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                  "SignedHeaders=" +
                      example.names + "x-amz-content-sha256;x-amz-date" + storage +
                      ", Signature=" + example.signature)
            << example.method << example.path;
    }
}

TEST(SigV4, HasTheStringToSignOfTheExamplesOfS3) {
    constexpr Timestamp at{1'369'353'600'000};
    Signed request{"GET", "/test.txt", {}, {{"Range", "bytes=0-9"}}, sha256_hex("")};
    request.fields.emplace_back("Host", "examplebucket.s3.amazonaws.com");
    request.fields.emplace_back("x-amz-date", "20130524T000000Z");
    request.fields.emplace_back("x-amz-content-sha256", request.payload_sha256_hex);
    EXPECT_EQ(string_to_sign(request, {"us-east-1", "s3"}, at),
              "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
              "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972");
}

TEST(UriEncode, KeepsUnreservedCharactersAndSlashesWhereTheyAreWanted) {
    EXPECT_EQ(uri_encode("aZ09-._~"), "aZ09-._~");
    EXPECT_EQ(uri_encode("a/b c+%é"), "a%2Fb%20c%2B%25%C3%A9");
    EXPECT_EQ(uri_encode("a/b c", true), "a/b%20c");
    EXPECT_EQ(uri_encode(std::string_view("\0\x7F", 2)), "%00%7F");
}

}  // namespace
}  // namespace coupond::aws
