#include "app/app.hpp"

#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <system_error>

#include "app/config.hpp"
#include "app/serve.hpp"
#include "store/store.hpp"

namespace coupond {
namespace {

int complain(const std::string& message, int status) {
    std::fprintf(stderr, "coupond: %s\n", message.c_str());
    return status;
}

}  // namespace

int run_app(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // whoever reads the log may go; what is asked of us goes on
    umask(0077);                    // codes are money: nobody but this user reads the files
    try {
        const auto asked = read_config(argc, argv);
        if (const auto* const information = std::get_if<Information>(&asked)) {
            std::fputs(information->text.c_str(), stdout);
            return 0;
        }
        const auto& config = std::get<Config>(asked);
        log::configure(config.log_level, config.log_format);
        switch (config.subcommand) {
            case Config::Subcommand::serve: serve(config); break;
            case Config::Subcommand::migrate:
            case Config::Subcommand::migration_status:
            case Config::Subcommand::migration_dry_run: migrate(config); break;
            case Config::Subcommand::verify: return verify(config) ? 0 : 1;
            case Config::Subcommand::export_ledger: export_ledger(config); break;
            case Config::Subcommand::work: work(config); break;
        }
        return 0;
    } catch (const ConfigError& error) {
        return complain(error.what(), 2);
    } catch (const OpenError& error) {
        return complain(error.what(), 1);
    } catch (const std::system_error& error) {
        return complain(error.what(), 1);
    }
}

}  // namespace coupond
