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

    std::string find(std::string_view method, std::string_view path) {
        Target target;
        wire::Query query;
        EXPECT_TRUE(target.parse(path, query));
        const Router::Route* const route = router_.find(method, target.segments());
        if (route == nullptr) return "none";
        route->handler({}, Responder(nullptr, 0));
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
