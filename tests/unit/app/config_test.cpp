#include "app/config.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace coupond {
namespace {

constexpr const char* variables[] = {"HOST",
                                     "PORT",
                                     "DATA_DIR",
                                     "LOCK_TTL_SECONDS",
                                     "LOG_LEVEL",
                                     "LOG_FORMAT",
                                     "DATABASE_URL",
                                     "DB_HOST",
                                     "DB_PORT",
                                     "DB_NAME",
                                     "DB_USERNAME",
                                     "DB_PASSWORD",
                                     "DB_SSLMODE",
                                     "DB_SSLROOTCERT",
                                     "DB_READ_HOST",
                                     "REDIS_URL",
                                     "REDIS_HOST",
                                     "REDIS_PORT",
                                     "REDIS_PASSWORD",
                                     "REDIS_TLS",
                                     "REDIS_SSLROOTCERT"};

/// Every test begins in an empty folder and without any setting in the environment.
class ConfigTest : public testing::Test {
protected:
    ConfigTest() : before_(std::filesystem::current_path()) {
        std::filesystem::current_path(folder_.path());
        for (const char* const name : variables) unsetenv(name);
    }
    ~ConfigTest() override {
        for (const char* const name : variables) unsetenv(name);
        std::filesystem::current_path(before_);
    }

    static std::variant<Config, Information> ask(std::vector<std::string> words) {
        words.insert(words.begin(), "coupond");
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        return read_config(static_cast<int>(words.size()), argv.data());
    }

    static Config read(std::vector<std::string> words) {
        return std::get<Config>(ask(std::move(words)));
    }

    /// What is said against a call; empty where it is taken.
    static std::string complaint(std::vector<std::string> words) {
        try {
            ask(std::move(words));
        } catch (const ConfigError& error) {
            return error.what();
        }
        return {};
    }

    static void write_env(const std::string& text) {
        std::ofstream(".env", std::ios::binary) << text;
    }

private:
    test::TemporaryFolder folder_;
    std::filesystem::path before_;
};

struct Setting {
    const char* flag;
    const char* variable;
    const char* values[3];  ///< allowed ones, none of them the default
    std::string (*shown)(const Config&);
};

const Setting settings[] = {
    {"--host", "HOST", {"a", "b", "c"}, [](const Config& config) { return config.host; }},
    {"--port",
     "PORT",
     {"1", "2", "65535"},
     [](const Config& config) { return std::to_string(config.port); }},
    {"--data-dir",
     "DATA_DIR",
     {"a", "b", "c"},
     [](const Config& config) { return config.data_dir.string(); }},
    {"--lock-ttl-seconds",
     "LOCK_TTL_SECONDS",
     {"1", "2", "2592000"},
     [](const Config& config) { return std::to_string(config.lock_ttl_ms / 1000); }},
    {"--log-level",
     "LOG_LEVEL",
     {"debug", "error", "off"},
     [](const Config& config) {
         constexpr const char* names[] = {"debug", "info", "warn", "error", "off"};
         return std::string(names[static_cast<int>(config.log_level)]);
     }},
    {"--log-format",
     "LOG_FORMAT",
     {"json", "json", "json"},
     [](const Config& config) {
         return std::string(config.log_format == log::Format::json ? "json" : "text");
     }},
};

TEST_F(ConfigTest, WithoutAnySettingIsTheDefaults) {
    const Config config = read({"serve"});
    const Config defaults;
    EXPECT_EQ(config.subcommand, Config::Subcommand::serve);
    for (const Setting& setting : settings) {
        EXPECT_EQ(setting.shown(config), setting.shown(defaults)) << setting.flag;
    }
    EXPECT_EQ(config.lock_ttl_ms, 300'000);
    EXPECT_EQ(config.port, 3000);
}

TEST_F(ConfigTest, TakesAFlagBeforeTheEnvironmentBeforeTheEnvFile) {
    for (const Setting& setting : settings) {
        const auto& [by_flag, by_variable, by_file] = setting.values;
        write_env(std::string(setting.variable) + "=" + by_file + "\n");
        EXPECT_EQ(setting.shown(read({"serve"})), by_file) << setting.flag;
        unsetenv(setting.variable);  // reading the file has set it

        setenv(setting.variable, by_variable, 1);
        EXPECT_EQ(setting.shown(read({"serve"})), by_variable) << setting.flag;
        EXPECT_EQ(setting.shown(read({"serve", setting.flag, by_flag})), by_flag) << setting.flag;
        EXPECT_EQ(setting.shown(read({"serve", std::string(setting.flag) + "=" + by_flag})),
                  by_flag);
        unsetenv(setting.variable);
    }
}

TEST_F(ConfigTest, OfMigrateHasTheSamePrecedence) {
    setenv("DATA_DIR", "from-environment", 1);
    EXPECT_EQ(read({"migrate"}).data_dir, "from-environment");
    EXPECT_EQ(read({"verify"}).data_dir, "from-environment");
    EXPECT_EQ(read({"verify"}).subcommand, Config::Subcommand::verify);
    EXPECT_EQ(read({"migrate"}).subcommand, Config::Subcommand::migrate);
    EXPECT_EQ(read({"migrate", "--data-dir", "from-flag"}).data_dir, "from-flag");
}

TEST_F(ConfigTest, OfMigrateDoesNotMindSettingsThatAreNotItsOwn) {
    setenv("PORT", "no number", 1);
    EXPECT_EQ(complaint({"migrate"}), "");
    EXPECT_NE(complaint({"migrate", "--port", "1"}), "");
}

TEST_F(ConfigTest, NamesEveryBadValueAndWhatIsAllowed) {
    struct Bad {
        std::size_t setting;
        std::vector<const char*> values;
        const char* allowed;
    };
    const Bad table[] = {
        {1,
         {"", " ", "-1", "65536", "99999999999999999999", "3000x", "x", "1.5", "+1", "0x10", " 1",
          "1 ", "1e3"},
         "a whole number from 0 to 65535"},
        {3,
         {"", "0", "-1", "2592001", "1.5", "5m", "9223372036854775808", "three"},
         "a whole number of seconds from 1 to 2592000"},
        {4, {"", "loud", "INFO", "info,warn", "warning"}, "debug, info, warn, error or off"},
        {5, {"", "xml", "JSON"}, "text or json"},
        {0, {""}, "an address or a host name"},
        {2, {""}, "the path of a folder"},
    };
    for (const Bad& row : table) {
        const Setting& setting = settings[row.setting];
        for (const char* const value : row.values) {
            const std::string by_flag =
                complaint({"serve", std::string(setting.flag) + "=" + value});
            std::vector<std::string> complaints = {
                complaint({"serve", setting.flag, value}),
            };
            if (*value != '\0') {  // a variable that is empty counts as not set
                setenv(setting.variable, value, 1);
                complaints.push_back(complaint({"serve"}));
                unsetenv(setting.variable);
                complaints.push_back(by_flag);
            }
            for (const std::string& said : complaints) {
                for (const std::string& part :
                     {std::string(setting.flag), std::string(setting.variable),
                      "'" + std::string(value) + "'", std::string(row.allowed)}) {
                    EXPECT_NE(said.find(part), std::string::npos)
                        << setting.flag << " '" << value << "': " << said;
                }
            }
        }
    }
}

TEST_F(ConfigTest, TakesTheValuesAtTheBounds) {
    EXPECT_EQ(read({"serve", "--port", "0"}).port, 0);
    EXPECT_EQ(read({"serve", "--port", "65535"}).port, 65535);
    EXPECT_EQ(read({"serve", "--lock-ttl-seconds", "1"}).lock_ttl_ms, 1000);
    EXPECT_EQ(read({"serve", "--lock-ttl-seconds", "2592000"}).lock_ttl_ms, 2'592'000'000);
}

TEST_F(ConfigTest, KeepsEverythingInSqliteWherePostgresqlIsNotNamed) {
    const Config config = read({"serve"});
    EXPECT_FALSE(config.postgres);
    EXPECT_FALSE(config.redis);
    EXPECT_FALSE(config.migrate_first);
}

TEST_F(ConfigTest, ReadsWhereTheDatabasesAre) {
    write_env(
        "DB_HOST=db\nDB_PORT=6432\nDB_USERNAME=shop\nDB_PASSWORD=p w\nDB_NAME=coupons\n"
        "DB_SSLMODE=verify-full\nDB_SSLROOTCERT=/ca.pem\nDB_READ_HOST=replica\n"
        "REDIS_HOST=cache\nREDIS_PORT=6380\nREDIS_PASSWORD=secret\nREDIS_TLS=true\n"
        "REDIS_SSLROOTCERT=/redis.pem\n");
    const Config config = read({"serve", "--migrate"});
    EXPECT_TRUE(config.migrate_first);
    ASSERT_TRUE(config.postgres);
    EXPECT_EQ(config.postgres->host, "db");
    EXPECT_EQ(config.postgres->port, "6432");
    EXPECT_EQ(config.postgres->username, "shop");
    EXPECT_EQ(config.postgres->password, "p w");
    EXPECT_EQ(config.postgres->name, "coupons");
    EXPECT_EQ(config.postgres->ssl_mode, "verify-full");
    EXPECT_EQ(config.postgres->ssl_root_certificate, "/ca.pem");
    EXPECT_EQ(config.postgres->read_host, "replica");
    ASSERT_TRUE(config.redis);
    EXPECT_EQ(config.redis->host, "cache");
    EXPECT_EQ(config.redis->port, 6380);
    EXPECT_EQ(config.redis->password, "secret");
    EXPECT_TRUE(config.redis->tls);
    EXPECT_EQ(config.redis->root_certificate, "/redis.pem");
}

TEST_F(ConfigTest, ReadsTheUrlsOfTheDatabases) {
    setenv("DATABASE_URL", "postgresql://shop:pw@db/coupons", 1);
    setenv("REDIS_URL", "rediss://:pw@cache:6390/3", 1);
    const Config config = read({"serve"});
    ASSERT_TRUE(config.postgres);
    EXPECT_EQ(config.postgres->url, "postgresql://shop:pw@db/coupons");
    ASSERT_TRUE(config.redis);
    EXPECT_EQ(config.redis->host, "cache");
    EXPECT_EQ(config.redis->port, 6390);
    EXPECT_EQ(config.redis->database, 3);
    EXPECT_TRUE(config.redis->tls);
}

TEST_F(ConfigTest, TakesRedisToBeServesOwnBusiness) {
    setenv("DB_HOST", "db", 1);
    setenv("REDIS_PASSWORD", "without a host", 1);
    EXPECT_TRUE(read({"migrate"}).postgres);
}

TEST_F(ConfigTest, KnowsWhatMigrateIsToDo) {
    EXPECT_EQ(read({"migrate"}).subcommand, Config::Subcommand::migrate);
    EXPECT_EQ(read({"migrate", "--status"}).subcommand, Config::Subcommand::migration_status);
    EXPECT_EQ(read({"migrate", "--dry-run"}).subcommand, Config::Subcommand::migration_dry_run);
    EXPECT_NE(complaint({"migrate", "--status", "--dry-run"}), "");
}

TEST_F(ConfigTest, RefusesDatabasesThatAreHalfConfiguredOrTwice) {
    using Environment = std::vector<std::pair<const char*, const char*>>;
    const std::pair<Environment, std::vector<std::string>> cases[] = {
        {{{"DB_NAME", "n"}}, {"DB_NAME", "DB_HOST"}},
        {{{"DB_PASSWORD", "n"}}, {"DB_PASSWORD", "DB_HOST"}},
        {{{"DB_READ_HOST", "n"}}, {"DB_READ_HOST", "DB_HOST"}},
        {{{"DATABASE_URL", "postgresql://h"}, {"DB_HOST", "h"}}, {"DATABASE_URL", "DB_HOST"}},
        {{{"DATABASE_URL", "postgresql://h"}, {"DB_PORT", "1"}}, {"DATABASE_URL", "DB_PORT"}},
        {{{"DATABASE_URL", "postgresql://h"}, {"DB_PASSWORD", "s3cret"}},
         {"DATABASE_URL", "DB_PASSWORD"}},
        {{{"DB_HOST", "h"}, {"DB_PORT", "x"}}, {"DB_PORT", "1 to 65535"}},
        {{{"DB_HOST", "h"}, {"DB_PORT", "5432,0"}}, {"DB_PORT", "1 to 65535"}},
        {{{"DB_HOST", "h"}, {"DB_SSLMODE", "on"}}, {"DB_SSLMODE", "verify-full"}},
        {{{"REDIS_HOST", "h"}}, {"Redis", "DB_HOST"}},
        {{{"DB_HOST", "h"}, {"REDIS_PORT", "1"}}, {"REDIS_PORT", "REDIS_HOST"}},
        {{{"DB_HOST", "h"}, {"REDIS_PASSWORD", "n"}}, {"REDIS_PASSWORD", "REDIS_HOST"}},
        {{{"DB_HOST", "h"}, {"REDIS_HOST", "h"}, {"REDIS_PORT", "0"}}, {"REDIS_PORT", "65535"}},
        {{{"DB_HOST", "h"}, {"REDIS_HOST", "h"}, {"REDIS_TLS", "yes"}}, {"REDIS_TLS", "true"}},
        {{{"DB_HOST", "h"}, {"REDIS_URL", "http://:s3cret@h"}}, {"REDIS_URL"}},
        {{{"DB_HOST", "h"}, {"REDIS_URL", "redis://h"}, {"REDIS_HOST", "h"}},
         {"REDIS_URL", "REDIS_HOST"}},
        {{{"DB_HOST", "h"}, {"REDIS_URL", "redis://h"}, {"REDIS_PASSWORD", "s3cret"}},
         {"REDIS_URL", "REDIS_PASSWORD"}},
        {{{"DB_HOST", "h"}, {"REDIS_HOST", "h"}, {"REDIS_SSLROOTCERT", "c"}},
         {"REDIS_SSLROOTCERT", "REDIS_TLS=true"}},
        {{{"DB_HOST", "h"}, {"REDIS_URL", "redis://h"}, {"REDIS_SSLROOTCERT", "c"}},
         {"REDIS_SSLROOTCERT", "rediss://"}},
    };
    for (const auto& [environment, words] : cases) {
        for (const auto& [name, value] : environment) setenv(name, value, 1);
        const std::string said = complaint({"serve"});
        for (const std::string& word : words) {
            EXPECT_NE(said.find(word), std::string::npos) << word << " in: " << said;
        }
        EXPECT_EQ(said.find("s3cret"), std::string::npos) << said;
        for (const auto& [name, value] : environment) unsetenv(name);
    }
}

TEST_F(ConfigTest, RefusesACallThatDoesNotFitAndPointsToTheHelp) {
    const std::vector<std::vector<std::string>> calls = {
        {},
        {"explode"},
        {"serve", "--nope"},
        {"serve", "--port"},
        {"serve", "stray"},
        {"migrate", "--host", "x"},
        {"verify", "--port", "1"},
        {"serve", "--port", "1", "--port", "2"},
    };
    for (const auto& words : calls) {
        const std::string said = complaint(words);
        const bool knows = !words.empty() && words.front() != "explode";
        const std::string help = "see coupond " + (knows ? words.front() + ' ' : "") + "--help";
        EXPECT_NE(said.find(help), std::string::npos) << said;
    }
}

TEST_F(ConfigTest, GivesHelpAndVersionInsteadOfSettings) {
    EXPECT_NE(std::get<Information>(ask({"--help"})).text.find("migrate"), std::string::npos);
    const std::string help = std::get<Information>(ask({"serve", "--help"})).text;
    for (const Setting& setting : settings) {
        EXPECT_NE(help.find(setting.flag), std::string::npos) << setting.flag;
        EXPECT_NE(help.find(setting.variable), std::string::npos) << setting.variable;
    }
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"--help"}, {"serve", "--help"}, {"migrate", "-h"}, {"verify", "--help"}}) {
        EXPECT_NE(std::get<Information>(ask(words)).text.find("Exit status: 0"), std::string::npos);
    }
    EXPECT_TRUE(std::get<Information>(ask({"--version"})).text.starts_with("coupond "));
}

struct EnvLine {
    const char* text;
    const char* value;  ///< of HOST; null: not set
};

class EnvFile : public ConfigTest, public testing::WithParamInterface<EnvLine> {};

TEST_P(EnvFile, Is) {
    write_env(GetParam().text);
    load_env_file(".env");
    const char* const value = getenv("HOST");
    if (GetParam().value == nullptr) {
        EXPECT_EQ(value, nullptr);
    } else {
        ASSERT_NE(value, nullptr);
        EXPECT_STREQ(value, GetParam().value);
    }
}

INSTANTIATE_TEST_SUITE_P(UnderstoodAsOthersDo, EnvFile,
                         testing::Values(EnvLine{"HOST=a", "a"},                //
                                         EnvLine{"HOST=a\n", "a"},              //
                                         EnvLine{"HOST=a\r\nPORT=1\r\n", "a"},  //
                                         EnvLine{"  HOST = a \t\n", "a"},       //
                                         EnvLine{"\n\n# note\nHOST=a\n", "a"},  //
                                         EnvLine{"#HOST=a\n", nullptr},         //
                                         EnvLine{"  # HOST=a\n", nullptr},      //
                                         EnvLine{"export HOST=a\n", "a"},       //
                                         EnvLine{"export   HOST=a\n", "a"},     //
                                         EnvLine{"HOST=\"a b\"\n", "a b"},      //
                                         EnvLine{"HOST='a b'\n", "a b"},        //
                                         EnvLine{"HOST=\"a # b\"\n", "a # b"},  //
                                         EnvLine{"HOST=\"a\" # note\n", "a"},   //
                                         EnvLine{"HOST='it\"s'\n", "it\"s"},    //
                                         EnvLine{"HOST=\"a\n", "\"a"},          //
                                         EnvLine{"HOST=a # note\n", "a"},       //
                                         EnvLine{"HOST=a#b\n", "a#b"},          //
                                         EnvLine{"HOST= # note\n", ""},         //
                                         EnvLine{"HOST=a=b\n", "a=b"},          //
                                         EnvLine{"HOST=\n", ""},                //
                                         EnvLine{"HOST=\"\"\n", ""},            //
                                         EnvLine{"HOST=a\nHOST=b\n", "a"},      //
                                         EnvLine{"HOST=$PATH\n", "$PATH"},      //
                                         EnvLine{"", nullptr},                  //
                                         EnvLine{"HOSTS=a\n", nullptr}));

TEST_F(ConfigTest, NamesTheLineOfTheEnvFileThatIsNone) {
    const std::pair<const char*, const char*> table[] = {
        {"nonsense\n", "line 1"},
        {"HOST=a\n\n=b\n", "line 3"},
        {"# c\nexport\n", "line 2"},
        {"HOST=a\r\nPORT 3\r\n", "line 2"},
    };
    for (const auto& [text, line] : table) {
        write_env(text);
        const std::string said = complaint({"serve"});
        EXPECT_NE(said.find(std::string(".env, ") + line + ":"), std::string::npos) << said;
        EXPECT_NE(said.find("NAME=value"), std::string::npos) << said;
    }
}

TEST_F(ConfigTest, LeavesAlreadySetVariablesAsTheyAre) {
    setenv("HOST", "outer", 1);
    write_env("HOST=inner\n");
    load_env_file(".env");
    EXPECT_STREQ(getenv("HOST"), "outer");
}

TEST_F(ConfigTest, NeedsNoEnvFile) {
    EXPECT_NO_THROW(load_env_file("nowhere/.env"));
}

}  // namespace
}  // namespace coupond
