// couponctl book …
#include "ctl/commands.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using enum Column::Kind;
using Kind = Member::Kind;

const Columns listed{{"ID", "id", number},
                     {"NAME", "name"},
                     {"PATTERN", "codePattern"},
                     {"STATE", "active", state},
                     {"TOTAL", "counts.total", number},
                     {"FREE", "counts.available", number},
                     {"ASSIGNED", "counts.assigned", number},
                     {"LOCKED", "counts.locked", number},
                     {"REDEEMED", "counts.redeemed", number},
                     {"CREATED", "createdAt", time}};

const Columns shown{{"id", "id", number},
                    {"name", "name"},
                    {"description", "description"},
                    {"pattern", "codePattern"},
                    {"state", "active", state},
                    {"archived", "archivedAt", time},
                    {"starts", "startsAt", time},
                    {"ends", "endsAt", time},
                    {"time zone", "timeZone"},
                    {"discount", "discount.type"},
                    {"  value", "discount.value", number},
                    {"  currency", "discount.currency"},
                    {"  at most", "discount.maxAmount", number},
                    {"  for orders of", "discount.minOrderAmount", number},
                    {"max redemptions", "maxRedemptions", number},
                    {"max per user", "maxRedemptionsPerUser", number},
                    {"max per code", "maxRedemptionsPerCode", number},
                    {"budget", "budget", number},
                    {"max a day", "limits.day.maxRedemptions", number},
                    {"budget a day", "limits.day.budget", number},
                    {"max a week", "limits.week.maxRedemptions", number},
                    {"budget a week", "limits.week.budget", number},
                    {"max a month", "limits.month.maxRedemptions", number},
                    {"budget a month", "limits.month.budget", number},
                    {"codes a user", "maxAssignmentsPerUser", number},
                    {"assignment", "assignment"},
                    {"case sensitive", "caseSensitive", yes_no},
                    {"combinable", "combinable", yes_no},
                    {"lock seconds", "lockTtlSeconds", number},
                    {"makes codes", "autoGenerate"},
                    {"metadata", "metadata"},
                    {"codes", "counts.total", number},
                    {"  free", "counts.available", number},
                    {"  assigned", "counts.assigned", number},
                    {"  locked", "counts.locked", number},
                    {"  redeemed", "counts.redeemed", number},
                    {"created", "createdAt", time},
                    {"changed", "updatedAt", time}};

const std::vector<Member> members{
    {"--name", "name", Kind::text, "What people call it"},
    {"--pattern", "codePattern", Kind::text, "What its codes look like (couponctl help patterns)"},
    {"--description", "description", Kind::text, "For whom, or what for"},
    {"--active", "active", Kind::boolean, "Whether its codes work"},
    {"--starts-at", "startsAt", Kind::time, "When they begin to: a day, or a day with a time"},
    {"--ends-at", "endsAt", Kind::time, "When they no longer do; a day counts whole"},
    {"--time-zone", "timeZone", Kind::text, "In which days begin, as Europe/Berlin"},
    {"--discount-type",
     "discount.type",
     Kind::text,
     "Of what kind it is",
     {"amount", "percent", "fixed_price", "free_shipping"}},
    {"--discount", "discount.value", Kind::number, "How much, or how many percent"},
    {"--currency", "discount.currency", Kind::text, "Of all its amounts, as EUR"},
    {"--discount-at-most", "discount.maxAmount", Kind::number, "The most that an order is given"},
    {"--min-order", "discount.minOrderAmount", Kind::number, "The least that an order must be"},
    {"--max-redemptions", "maxRedemptions", Kind::number, "By all users together"},
    {"--max-redemptions-per-user", "maxRedemptionsPerUser", Kind::number, "By each user"},
    {"--max-redemptions-per-code", "maxRedemptionsPerCode", Kind::number, "Of each code"},
    {"--max-assignments-per-user", "maxAssignmentsPerUser", Kind::number,
     "How many codes a user may hold"},
    {"--budget", "budget", Kind::number, "The most that all discounts may come to"},
    {"--max-redemptions-a-day", "limits.day.maxRedemptions", Kind::number,
     "Likewise, in a day of its time zone"},
    {"--max-redemptions-a-week", "limits.week.maxRedemptions", Kind::number, "In a week"},
    {"--max-redemptions-a-month", "limits.month.maxRedemptions", Kind::number, "In a month"},
    {"--budget-a-day", "limits.day.budget", Kind::number, "What the discounts of a day may be"},
    {"--budget-a-week", "limits.week.budget", Kind::number, "Of a week"},
    {"--budget-a-month", "limits.month.budget", Kind::number, "Of a month"},
    {"--assignment",
     "assignment",
     Kind::text,
     "open: its codes are everybody's",
     {"required", "open"}},
    {"--case-sensitive", "caseSensitive", Kind::boolean,
     "false: codes are found in any case, with or without - and spaces"},
    {"--combinable", "combinable", Kind::boolean, "Whether other codes may be used beside it"},
    {"--lock-seconds", "lockTtlSeconds", Kind::number, "How long a lock holds"},
    {"--auto-below", "autoGenerate.below", Kind::number, "Make more codes when fewer are free"},
    {"--auto-count", "autoGenerate.count", Kind::number, "So many"},
};

std::string path_of(const std::string& book, const char* rest = "") {
    return "/coupon/" + percent_encoded(book) + rest;
}

/// A command about one book, which answers with it.
CLI::App& add_of_one(Commands& commands, CLI::App& parent, const char* name, const char* help,
                     const char* method, const char* rest, const char* question) {
    const auto book = std::make_shared<std::string>();
    CLI::App& command = commands.add(parent, name, help, "", [=](Session& session) {
        if (*question != '\0') session.confirm("Book " + *book + ": " + question);
        const Answer answer =
            session.server().ask({.method = method, .target = path_of(*book, rest)});
        session.output().one(shown, answer.text);
    });
    add_id(command, "BOOK", *book, "Its id");
    return command;
}

void add_list(Commands& commands, CLI::App& parent) {
    struct Options {
        std::optional<std::string> name, sort;
        Extent extent{100};
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        parent, "list", "List the coupon books and how their codes are doing",
        "  couponctl book list --name summer --sort=-created\n", [options](Session& session) {
            Query query;
            query.add("name", options->name).add("sort", options->sort);
            print_list(session, listed, "/coupon", query, options->extent);
        });
    command.add_option("--name", options->name, "Only those whose names contain this");
    command.add_option("--sort", options->sort,
                       "By id, name or created; with - the other way round");
    options->extent.add_to(command);
}

}  // namespace

void add_book_commands(Commands& commands) {
    CLI::App& book = commands.group("book", "Create, look at and change coupon books");
    const auto created = std::make_shared<Members>();
    CLI::App& create = commands.add(
        book, "create", "Create a coupon book",
        "  couponctl book create --name Summer --pattern 'SUMMER-{6}' \\\n"
        "      --discount-type percent --discount 20 --currency EUR --min-order 30\n"
        "  couponctl book create --json @book.json\n",
        [created](Session& session) {
            if (created->empty()) {
                throw wrong_usage("a book needs a name and a pattern",
                                  "couponctl book create --name Summer --pattern 'SUMMER-{6}'");
            }
            const Answer answer = session.server().ask(
                {.method = "POST", .target = "/coupon", .body = created->body(session)});
            session.output().one(shown, answer.text);
        });
    created->add_to(create, members, {});
    add_list(commands, book);
    add_of_one(commands, book, "show", "Show a book with its counts", "GET", "", "");
    const auto changed = std::make_shared<Members>();
    const auto which = std::make_shared<std::string>();
    CLI::App& edit = commands.add(
        book, "edit", "Change a book; what is left out stays as it is",
        "  couponctl book edit 1 --ends-at 2027-08-31 --clear max-redemptions\n",
        [changed, which](Session& session) {
            if (changed->empty()) {
                throw wrong_usage("nothing to change was given", "couponctl book edit --help");
            }
            const Answer answer = session.server().ask(
                {.method = "PATCH", .target = path_of(*which), .body = changed->body(session)});
            session.output().one(shown, answer.text);
        });
    add_id(edit, "BOOK", *which, "Its id");
    changed->add_to(edit, members, {.clear = true});
    add_of_one(commands, book, "archive",
               "Archive a book: its codes no longer work, what became of them stays", "DELETE", "",
               "its codes will not work any more until it is restored. Archive it?");
    add_of_one(commands, book, "restore", "Bring an archived book back", "POST", "/restore", "");
}

}  // namespace coupond::ctl
