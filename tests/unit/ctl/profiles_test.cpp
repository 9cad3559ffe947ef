#include "ctl/profiles.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "ctl/manual.hpp"
#include "ctl/quit.hpp"
#include "support/temporary_folder.hpp"

namespace coupond::ctl {
namespace {

class ProfilesTest : public testing::Test {
protected:
    void write(const char* text) { std::ofstream(path_) << text; }
    std::string refusal() {
        try {
            Profiles::read(path_);
        } catch (const Quit& quit) {
            EXPECT_EQ(quit.status(), exit_status::usage);
            EXPECT_NE(quit.next(), "");
            return quit.what();
        }
        return "";
    }

    test::TemporaryFolder folder_;
    const std::filesystem::path path_ = std::filesystem::path(folder_.path()) / "config.toml";
};

TEST_F(ProfilesTest, AreNoneWithoutAFile) {
    EXPECT_TRUE(Profiles::read(path_).all().empty());
}

TEST_F(ProfilesTest, AreWhatWasWritten) {
    Profiles profiles;
    profiles.set("default", "server", "http://127.0.0.1:3000");
    profiles.set("shop", "server", "https://a.example/\"x\"\\");
    profiles.set("shop", "output", "json");
    profiles.set("shop", "root_certificate", "/etc/é ssl.pem");
    profiles.set("shop", "output", std::nullopt);
    profiles.write(path_);
    const Profiles read = Profiles::read(path_);
    ASSERT_EQ(read.all().size(), 2u);
    EXPECT_EQ(read.find("default")->server, "http://127.0.0.1:3000");
    EXPECT_EQ(read.find("shop")->server, "https://a.example/\"x\"\\");
    EXPECT_EQ(read.find("shop")->root_certificate, "/etc/é ssl.pem");
    EXPECT_EQ(read.find("shop")->output, std::nullopt);
    EXPECT_EQ(read.find("other"), nullptr);
}

TEST_F(ProfilesTest, ReadWhatPeopleWrite) {
    write("# mine\n[shop]\nserver = 'http://a:1'   # there\n\n[other]\noutput=\"csv\"\n");
    const Profiles read = Profiles::read(path_);
    EXPECT_EQ(read.find("shop")->server, "http://a:1");
    EXPECT_EQ(read.find("other")->output, "csv");
}

TEST_F(ProfilesTest, RefuseWhatNobodyUnderstands) {
    for (const char* const text :
         {"server = \"http://a\"\n", "[shop]\nsever = \"http://a\"\n", "[shop.a]\nserver = \"x\"\n",
          "[shop]\nserver = [\"a\", \"b\"]\n", "[sh op]\nserver = \"a\"\n"}) {
        write(text);
        EXPECT_NE(refusal(), "") << text;
    }
}

TEST(NearestTest, IsMeant) {
    const std::vector<std::string> words{"book", "codes", "redeem", "rollback", "unlock", "lock"};
    EXPECT_EQ(nearest("bok", words), "book");
    EXPECT_EQ(nearest("reedem", words), "redeem");
    EXPECT_EQ(nearest("rolback", words), "rollback");
    EXPECT_EQ(nearest("xyz", words), "");
    EXPECT_EQ(nearest("", words), "");
}

}  // namespace
}  // namespace coupond::ctl
