#include "ctl/profiles.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

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
    Profiles::change(path_, [](Profiles& profiles) {
        profiles.set("default", "server", "http://127.0.0.1:3000");
        profiles.set("shop", "server", "https://a.example/x");
        profiles.set("shop", "output", "json");
    });
    Profiles::change(path_, [](Profiles& profiles) {
        profiles.set("shop", "root_certificate", "#é \"s\\l'.pem");
        profiles.set("shop", "output", std::nullopt);
    });
    const Profiles read = Profiles::read(path_);
    ASSERT_EQ(read.all().size(), 2u);
    EXPECT_EQ(read.find("default")->server, "http://127.0.0.1:3000");
    EXPECT_EQ(read.find("shop")->server, "https://a.example/x");
    EXPECT_EQ(read.find("shop")->root_certificate, "#é \"s\\l'.pem");
    EXPECT_EQ(read.find("shop")->output, std::nullopt);
    EXPECT_EQ(read.find("other"), nullptr);
}

TEST_F(ProfilesTest, ReadWhatPeopleWrite) {
    write("# mine\n[shop]\nserver = 'http://a:1'   # there\n\n[other]\noutput=\"\\u0063sv\"\n");
    const Profiles read = Profiles::read(path_);
    EXPECT_EQ(read.find("shop")->server, "http://a:1");
    EXPECT_EQ(read.find("other")->output, "csv");
}

TEST_F(ProfilesTest, AreChangedByOneAfterTheOther) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; ++i) {
        threads.emplace_back([&, i] {
            Profiles::change(path_, [&](Profiles& profiles) {
                profiles.set("p" + std::to_string(i), "output", "csv");
            });
        });
    }
    for (std::thread& each : threads) each.join();
    EXPECT_EQ(Profiles::read(path_).all().size(), 20u);
}

TEST_F(ProfilesTest, AreKeptBehindALink) {
    const auto target = path_.parent_path() / "mine.toml";
    std::ofstream(target) << "[shop]\noutput = \"csv\"\n";
    std::filesystem::create_symlink(target, path_);
    Profiles::change(path_, [](Profiles& profiles) { profiles.set("b", "output", "json"); });
    EXPECT_TRUE(std::filesystem::is_symlink(path_));
    EXPECT_EQ(Profiles::read(target).all().size(), 2u);
}

TEST_F(ProfilesTest, RefuseWhatNobodyUnderstands) {
    for (const char* const text :
         {"server = \"http://a\"\n", "[shop]\nsever = \"http://a\"\n", "[shop.a]\nserver = \"x\"\n",
          "[shop]\nserver = [\"a\", \"b\"]\n", "[\"sh op\"]\nserver = \"http://a\"\n",
          "[shop]\nserver\n", "[shop]\nserver = \"a\"\n", "[shop]\noutput = \"xml\"\n",
          "\xFF\xFE"}) {
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
