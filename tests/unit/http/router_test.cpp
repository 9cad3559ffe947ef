#include "http/router.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/target.hpp"

namespace coupond::http::test {
namespace {

class RouterTest : public testing::Test {
protected:
    void add(std::string_view method, std::string_view path, std::string name) {
        router_.add(method, path, [this, name = std::move(name)](const Request&, const Responder&) {
            found_ = name;
        });
    }

    void add_stream(std::string_view method, std::string_view path, std::uint64_t body_bytes) {
        router_.add_stream(
            method, path, [](const Request&, const Responder&) { return nullptr; }, body_bytes);
    }

    const Router::Route* route(std::string_view method, std::string_view path) {
        Target target;
        wire::Query query;
        EXPECT_TRUE(target.parse(path, query));
        return router_.find(method, target.segments());
    }

    std::string find(std::string_view method, std::string_view path) {
        const Router::Route* const found = route(method, path);
        if (found == nullptr) return "none";
        found->handler({}, Responder(nullptr, 0));
        return found_;
    }

    Router router_;
    std::string found_;
};

TEST_F(RouterTest, PrefersTheLiteral) {
    add("GET", "/a/:x", "parameter");
    add("GET", "/a/b", "literal");
    add("GET", "/:x/b/:y", "later literal");
    add("GET", "/a/:x/c", "earlier literal");
    EXPECT_EQ(find("GET", "/a/b"), "literal");
    EXPECT_EQ(find("GET", "/a/c"), "parameter");
    EXPECT_EQ(find("GET", "/a/b/c"), "earlier literal");
    EXPECT_EQ(find("GET", "/z/b/c"), "later literal");
    EXPECT_EQ(find("GET", "/a/b/d"), "later literal");
    EXPECT_EQ(find("GET", "/a/c/d"), "none");
}

TEST_F(RouterTest, KeepsTheFirstOfEquals) {
    add("GET", "/a/:x", "first");
    add("GET", "/a/:y", "second");
    add("GET", "/b", "first b");
    add("GET", "/b", "second b");
    EXPECT_EQ(find("GET", "/a/1"), "first");
    EXPECT_EQ(find("GET", "/b"), "first b");
}

TEST_F(RouterTest, HasHandlersAndStreamsSideBySide) {
    add("POST", "/a/:x", "handler first");
    add_stream("POST", "/a/:y", 1);
    add_stream("POST", "/a/:z", 2);
    add_stream("POST", "/b", 3);
    add("POST", "/b", "stream first");
    add("PUT", "/b", "handler only");
    add_stream("POST", "/c", 4);
    const Router copy = router_;
    add("POST", "/c", "not in the copy");
    EXPECT_EQ(find("POST", "/a/1"), "handler first");
    EXPECT_TRUE(route("POST", "/a/1")->make_sink);
    EXPECT_EQ(route("POST", "/a/1")->stream_bytes, 1u);
    EXPECT_EQ(find("POST", "/b"), "stream first");
    EXPECT_EQ(route("POST", "/b")->stream_bytes, 3u);
    EXPECT_FALSE(route("PUT", "/b")->make_sink);
    EXPECT_EQ(find("POST", "/c"), "not in the copy");
    const std::string_view c = "c";
    EXPECT_FALSE(copy.find("POST", {&c, 1})->handler);
    EXPECT_EQ(copy.find("POST", {&c, 1})->stream_bytes, 4u);
}

TEST_F(RouterTest, PrefersTheLiteralAmongStreamsToo) {
    add("POST", "/a/b", "literal");
    add_stream("POST", "/a/:x", 1);
    add_stream("POST", "/:x/c", 2);
    EXPECT_FALSE(route("POST", "/a/b")->make_sink);
    EXPECT_EQ(route("POST", "/a/c")->stream_bytes, 1u);
    EXPECT_EQ(route("POST", "/z/c")->stream_bytes, 2u);
}

TEST_F(RouterTest, ServesHeadByGet) {
    add("GET", "/:a", "get");
    add("POST", "/a", "post");
    EXPECT_EQ(find("HEAD", "/a"), "get");
    EXPECT_EQ(find("PUT", "/a"), "none");
    add("HEAD", "/:a", "head");
    EXPECT_EQ(find("HEAD", "/a"), "head");
}

TEST_F(RouterTest, IsExactAboutSlashes) {
    add("GET", "/", "root");
    add("GET", "/a", "a");
    add("GET", "/a/", "a slash");
    add("GET", "/a/:x", "a x");
    EXPECT_EQ(find("GET", "/"), "root");
    EXPECT_EQ(find("GET", "/a"), "a");
    EXPECT_EQ(find("GET", "/a/"), "a slash");
    EXPECT_EQ(find("GET", "/a//"), "none");
    EXPECT_EQ(find("GET", "/a%2Fb"), "none");
    EXPECT_EQ(find("GET", "/a/%2F"), "a x");
    EXPECT_EQ(find("GET", "*"), "none");
}

}  // namespace
}  // namespace coupond::http::test
