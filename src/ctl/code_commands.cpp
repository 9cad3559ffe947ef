// couponctl codes …
#include <cstdio>

#include "ctl/commands.hpp"
#include "ctl/export.hpp"
#include "ctl/jobs.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"
#include "ctl/upload.hpp"
#include "qr/qr.hpp"

namespace coupond::ctl {
namespace {

using enum Column::Kind;
using Kind = Member::Kind;

const Columns listed{{"CODE", "code", code},         {"STATUS", "status"},
                     {"ASSIGNED TO", "assignedTo"},  {"ACTIVE", "active", yes_no},
                     {"EXPIRES", "expiresAt", time}, {"REDEEMED", "redeemedAt", time},
                     {"CREATED", "createdAt", time}};

const Columns shown{{"code", "code"},
                    {"id", "id", number},
                    {"book", "bookId", number},
                    {"status", "status"},
                    {"assigned to", "assignedTo"},
                    {"locked until", "lockedUntil", time},
                    {"active", "active", yes_no},
                    {"expires", "expiresAt", time},
                    {"redemptions", "redemptionCount", number},
                    {"  at most", "maxRedemptions", number},
                    {"redeemed", "redeemedAt", time},
                    {"metadata", "metadata"},
                    {"created", "createdAt", time}};

const Columns history_columns{
    {"AT", "at", time}, {"WHAT", "type"}, {"USER", "userId"}, {"REQUEST", "requestId"}};

const Columns redemption_columns{{"REDEMPTION", "id", number},
                                 {"AT", "at", time},
                                 {"USER", "userId"},
                                 {"ORDER", "order.id"},
                                 {"DISCOUNT", "discount", money},
                                 {"GIVEN BACK", "givenBack", number},
                                 {"ROLLED BACK", "rolledBackAt", time}};

const std::vector<std::string> statuses{"free", "assigned", "locked", "redeemed"};

std::string path_of_code(const std::string& code) {
    return "/coupon/code/" + percent_encoded(code);
}

void add_upload(Commands& commands, CLI::App& codes) {
    const auto upload = std::make_shared<Upload>();
    const auto no_wait = std::make_shared<bool>(false);
    CLI::App& command =
        commands.add(codes, "upload", "Bring in codes made elsewhere, from a file of any length",
                     "  couponctl codes upload 1 partner.csv\n"
                     "  generate-codes | couponctl codes upload 1 -\n",
                     [=](Session& session) {
                         Upload wanted = *upload;
                         wanted.wait = !*no_wait;
                         upload_codes(session, wanted);
                     });
    add_id(command, "BOOK", upload->book, "The book\'s id");
    add_text(command, "FILE", upload->file, "- for standard input");
    command
        .add_option("--format", upload->format,
                    "csv, ndjson, or lines: one code a line; else by the file's name")
        ->check(CLI::IsMember({"csv", "ndjson", "lines"}));
    command
        .add_option("--on-conflict", upload->on_conflict,
                    "fail: all rows or none; skip: without those that exist or do not fit")
        ->check(CLI::IsMember({"fail", "skip"}));
    command.add_flag("--no-wait", *no_wait, "Do not wait for the job that takes the file in");
}

void add_some(Commands& commands, CLI::App& codes) {
    struct Options {
        std::string book;
        std::vector<std::string> codes;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        codes, "add", "Add codes that are named here: all of them or none",
        "  couponctl codes add 1 WELCOME10\n", [options](Session& session) {
            std::string texts;
            for (const std::string& each : options->codes) {
                texts += (texts.empty() ? "" : ",") + json_string(each);
            }
            const Answer answer =
                session.server().ask({.method = "POST",
                                      .target = "/coupon/codes/" + percent_encoded(options->book),
                                      .body = "{\"codes\":[" + texts + "]}"});
            session.output().begin({{"ID", "id", number}, {"CODE", "code", code}});
            session.output().rows(answer.text);
            session.output().end();
        });
    add_id(command, "BOOK", options->book, "The book's id");
    command.add_option("CODE", options->codes, "The codes")->required();
}

void add_generate(Commands& commands, CLI::App& codes) {
    struct Options {
        std::string book, count;
        Members members;
        bool no_wait = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command =
        commands.add(codes, "generate", "Make codes by a book's pattern",
                     "  couponctl codes generate 1 1000000\n", [options](Session& session) {
                         JsonObject body = options->members.object();
                         body.set("count", number_of("COUNT", options->count));
                         const Answer answer = session.server().ask(
                             {.method = "POST",
                              .target = "/coupon/generate/" + percent_encoded(options->book),
                              .body = body.text()});
                         if (!options->no_wait) return follow_job(session, job_id_of(answer));
                         session.output().one(job_columns, answer.text);
                     });
    add_id(command, "BOOK", options->book, "The book\'s id");
    command.add_option("COUNT", options->count, "How many")->required();
    options->members.add_to(command,
                            {{"--expires-at", "expiresAt", Kind::time, "When they no longer work"}},
                            {.json = false});
    command.add_flag("--no-wait", options->no_wait, "Do not wait for the job that makes them");
}

void add_export(Commands& commands, CLI::App& codes) {
    const auto wanted = std::make_shared<Export>();
    CLI::App& command =
        commands.add(codes, "export", "Write a book's codes as CSV or NDJSON, all of one moment",
                     "  couponctl codes export 1 --status free > free.csv\n"
                     "  couponctl codes export 1 --file codes.csv\n",
                     [wanted](Session& session) { export_codes(session, *wanted); });
    add_id(command, "BOOK", wanted->book, "The book\'s id");
    command.add_option("--file", wanted->file, "Where to; FILE.part until it is whole")
        ->check(not_empty());
    command.add_flag("--continue", wanted->go_on, "Go on behind what is in the file already");
    command
        .add_option("--format", wanted->format, "csv or ndjson; else by the file's name, or csv")
        ->check(CLI::IsMember({"csv", "ndjson"}));
    command.add_option("--status", wanted->status, "Only those that are this")
        ->check(CLI::IsMember(statuses));
    command.add_option("--user", wanted->user, "Only this user's")->type_name("ID");
    command.add_option("--prefix", wanted->prefix, "Only those that begin so");
}

void add_list(Commands& commands, CLI::App& codes) {
    struct Options {
        std::string book;
        std::optional<std::string> status, user, prefix;
        Extent extent{100};
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        codes, "list", "List the codes of a book", "  couponctl codes list 1 --status locked\n",
        [options](Session& session) {
            Query query;
            query.add("status", options->status)
                .add("userId", options->user)
                .add("prefix", options->prefix);
            print_list(session, listed, "/coupon/codes/" + percent_encoded(options->book), query,
                       options->extent);
        });
    add_id(command, "BOOK", options->book, "The book\'s id");
    command.add_option("--status", options->status, "Only those that are this")
        ->check(CLI::IsMember(statuses));
    command.add_option("--user", options->user, "Only this user's")->type_name("ID");
    command.add_option("--prefix", options->prefix, "Only those that begin so");
    options->extent.add_to(command);
}

void print_code(Session& session, const Answer& answer) {
    session.output().one(shown, answer.text);
    print_part(session, redemption_columns, answer, "redemptions");
    print_part(session, history_columns, answer, "history");
}

void add_of_one(Commands& commands, CLI::App& codes) {
    const auto add = [&](const char* name, const char* help, const char* body) {
        const auto code = std::make_shared<std::string>();
        CLI::App& command = commands.add(codes, name, help, "", [=](Session& session) {
            Request request{.target = path_of_code(*code)};
            if (*body != '\0') {
                request.method = "PATCH";
                request.body = body;
            }
            print_code(session, session.server().ask(request));
        });
        add_text(command, "CODE", *code, "The code");
    };
    add("show", "Show a code, who holds it and what became of it", "");
    add("disable", "Let a code no longer work", R"({"active":false})");
    add("enable", "Let a code work again", R"({"active":true})");
    const auto members = std::make_shared<Members>();
    const auto code = std::make_shared<std::string>();
    CLI::App& edit = commands.add(
        codes, "edit", "Change a code; what is left out stays as it is",
        "  couponctl codes edit SUMMER-K7P2QX --expires-at 2027-08-31T22:00:00Z\n",
        [=](Session& session) {
            if (members->empty()) {
                throw wrong_usage("nothing to change was given", "couponctl codes edit --help");
            }
            print_code(session, session.server().ask({.method = "PATCH",
                                                      .target = path_of_code(*code),
                                                      .body = members->body(session)}));
        });
    add_text(edit, "CODE", *code, "The code");
    members->add_to(edit,
                    {{"--expires-at", "expiresAt", Kind::time, "When it no longer works"},
                     {"--max-redemptions", "maxRedemptions", Kind::number, "How often it may be"},
                     {"--active", "active", Kind::boolean, "Whether it works"}},
                    {.clear = true});
}

/// Two modules above each other in a character, light on dark, as scanners want it either way.
std::string drawn(const qr::Modules& modules, bool has_colour) {
    constexpr int margin = 2;
    const auto is_dark = [&](int x, int y) {
        return x >= 0 && y >= 0 && x < modules.side && y < modules.side &&
               modules.dark[static_cast<std::size_t>(y * modules.side + x)];
    };
    std::string text;
    for (int y = -margin; y < modules.side + margin; y += 2) {
        if (has_colour) text += "\x1B[30;107m";  // black on white
        for (int x = -margin; x < modules.side + margin; ++x) {
            // Without colours the terminal is taken for a dark one: what is light is drawn.
            const bool above = is_dark(x, y) == has_colour;
            const bool below = is_dark(x, y + 1) == has_colour;
            text += above ? (below ? "█" : "▀") : (below ? "▄" : " ");
        }
        text += has_colour ? "\x1B[0m\n" : "\n";
    }
    return text;
}

qr::ErrorLevel level_of(const std::string& name) {
    if (name == "L") return qr::ErrorLevel::low;
    if (name == "Q") return qr::ErrorLevel::quartile;
    return name == "H" ? qr::ErrorLevel::high : qr::ErrorLevel::medium;
}

void add_qr(Commands& commands, CLI::App& codes) {
    struct Options {
        std::string code, file, level = "M";
        std::optional<std::string> url, size, margin;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        codes, "qr", "Draw a code as a QR code, in the terminal or to a file",
        "  couponctl codes qr SUMMER-K7P2QX\n"
        "  couponctl codes qr SUMMER-K7P2QX --url 'https://shop.example/?c={code}' --file a.svg\n",
        [options](Session& session) {
            if (options->file.empty()) {
                if (options->size || options->margin) {
                    throw wrong_usage("--size and --margin are those of an image",
                                      "name its file: --file code.svg");
                }
                std::string text = options->code;
                if (options->url) {
                    text = *options->url;
                    const std::size_t at = text.find("{code}");
                    if (at == std::string::npos) {
                        throw wrong_usage("--url must have {code} in it", "");
                    }
                    text.replace(at, 6, percent_encoded(options->code));
                }
                const auto modules = qr::modules_of(text, level_of(options->level));
                if (!std::holds_alternative<qr::Modules>(modules)) {
                    throw wrong_usage("no QR code of this error level holds so much", "");
                }
                session.output().print(drawn(std::get<qr::Modules>(modules),
                                             session.output().terminal().has_colour()));
                return;
            }
            const bool png = options->file.ends_with(".png");
            if (!png && !options->file.ends_with(".svg")) {
                throw wrong_usage("--file must end in .svg or .png", "");
            }
            Query query;
            query.add("size", options->size)
                .add("margin", options->margin)
                .add("errorLevel", std::string_view(options->level))
                .add("url", options->url);
            Request request;
            request.target =
                query.on("/coupon/qr/" + percent_encoded(options->code) + (png ? ".png" : ".svg"));
            request.accept = png ? "image/png" : "image/svg+xml";
            const Answer answer = session.server().ask(request);
            std::FILE* const file = std::fopen(options->file.c_str(), "wb");
            const bool written =
                file != nullptr &&
                std::fwrite(answer.text.data(), 1, answer.text.size(), file) == answer.text.size();
            if (file == nullptr || std::fclose(file) != 0 || !written) {
                throw wrong_usage("cannot write " + options->file, "see its folder and the disk");
            }
            session.tell(options->file + " is written");
        });
    add_text(command, "CODE", options->code, "The code");
    command.add_option("--file", options->file, "An image to write, .svg or .png")
        ->check(not_empty());
    command.add_option("--url", options->url, "What it leads to, with {code} in it");
    command.add_option("--error-level", options->level, "How much of it may be lost")
        ->check(CLI::IsMember({"L", "M", "Q", "H"}));
    command.add_option("--size", options->size, "Of the image, in pixels");
    command.add_option("--margin", options->margin, "Around it, in modules");
}

void add_qr_images(Commands& commands, CLI::App& codes) {
    struct Options {
        std::string book;
        Members members;
        bool no_wait = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        codes, "qr-images", "Have the server draw the QR codes of all codes of a book",
        "  couponctl codes qr-images 1 --format png --url 'https://shop.example/?c={code}'\n",
        [options](Session& session) {
            const Answer answer =
                session.server().ask({.method = "POST",
                                      .target = "/coupon/qr/" + percent_encoded(options->book),
                                      .body = options->members.body(session)});
            if (!options->no_wait) return follow_job(session, job_id_of(answer));
            session.output().one(job_columns, answer.text);
        });
    add_id(command, "BOOK", options->book, "The book\'s id");
    options->members.add_to(command,
                            {{"--format", "format", Kind::text, "Of the images", {"svg", "png"}},
                             {"--size", "size", Kind::number, "Of an image, in pixels"},
                             {"--margin", "margin", Kind::number, "Around it, in modules"},
                             {"--error-level",
                              "errorLevel",
                              Kind::text,
                              "How much of one may be lost",
                              {"L", "M", "Q", "H"}},
                             {"--url", "url", Kind::text, "What it leads to, with {code} in it"}},
                            {.metadata = false});
    command.add_flag("--no-wait", options->no_wait, "Do not wait for the job that draws them");
}

}  // namespace

void add_code_commands(Commands& commands) {
    CLI::App& codes = commands.group("codes", "Bring in, make, look at and take out codes");
    add_some(commands, codes);
    add_upload(commands, codes);
    add_generate(commands, codes);
    add_export(commands, codes);
    add_list(commands, codes);
    add_of_one(commands, codes);
    add_qr(commands, codes);
    add_qr_images(commands, codes);
}

}  // namespace coupond::ctl
