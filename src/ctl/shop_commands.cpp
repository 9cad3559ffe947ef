// What a shop does with codes: couponctl assign, lock, redeem and the like.
#include "ctl/commands.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using enum Column::Kind;

const Columns code_columns{{"code", "code"},
                           {"id", "id", number},
                           {"assigned to", "assignedTo"},
                           {"active", "active", yes_no},
                           {"expires", "expiresAt", time},
                           {"redemptions", "maxRedemptions", number},
                           {"redeemed", "redeemedAt", time},
                           {"metadata", "metadata"}};

const Columns lock_columns{{"message", "message"}, {"locked until", "lockedUntil", time}};

const Columns redemption_columns{{"message", "message"},
                                 {"redemption", "redemption.id", number},
                                 {"code", "redemption.code"},
                                 {"user", "redemption.userId"},
                                 {"order", "redemption.order.id"},
                                 {"discount", "redemption.discount", money},
                                 {"given back", "redemption.givenBack", number},
                                 {"at", "redemption.at", time},
                                 {"replayed", "replayed", yes_no}};

const Columns several_columns{
    {"message", "message"}, {"discount", "discount", money}, {"replayed", "replayed", yes_no}};

const Columns locks_columns{{"CODE", "code"}, {"LOCKED UNTIL", "lockedUntil", time}};

const Columns redemptions_columns{
    {"REDEMPTION", "id", number}, {"CODE", "code"}, {"DISCOUNT", "discount", money}};

const Columns reasons_columns{{"REASON", "code"}, {"MESSAGE", "message"}, {"CURE", "cure"}};

const Columns validation_columns{{"valid", "valid", yes_no}, {"discount", "discount", money}};

/// What these commands take.
struct Use {
    std::vector<std::string> codes;
    std::optional<std::string> user, book, order, amount, currency, lock_key, as_of;
};

using UsePtr = std::shared_ptr<Use>;

std::string path_of(const char* action, const Use& use) {
    const std::string path = std::string("/coupon/") + action;
    return use.codes.size() == 1 ? path + "/" + percent_encoded(use.codes.front()) : path;
}

std::string body_of(const Use& use) {
    JsonObject body;
    if (use.user) body.set("userId", json_string(*use.user));
    if (use.codes.size() > 1) {
        std::string codes;
        for (const std::string& code : use.codes) {
            codes += (codes.empty() ? "" : ",") + json_string(code);
        }
        body.set("codes", "[" + codes + "]");
    }
    if (use.book) body.set("couponBookId", number_of("--book", *use.book));
    if (use.order) body.set("order.id", json_string(*use.order));
    if (use.amount) body.set("order.amount", number_of("--amount", *use.amount));
    if (use.currency) body.set("order.currency", json_string(*use.currency));
    if (use.lock_key) body.set("lockKey", json_string(*use.lock_key));
    if (use.as_of) body.set("asOf", json_string(*use.as_of));
    return body.text();
}

CLI::Option& add_code(CLI::App& command, const UsePtr& use, const char* help) {
    return *command.add_option_function<std::string>(
        "CODE", [use](const std::string& code) { use->codes = {code}; }, help);
}

void add_user(CLI::App& command, Use& use) {
    command.add_option("--user", use.user, "Whose, by your own id")->required()->type_name("ID");
}

void add_order(CLI::App& command, Use& use) {
    command.add_option("--order", use.order, "The shop's id of the order; with the next two")
        ->type_name("ID");
    command.add_option("--amount", use.amount, "What the order comes to")->type_name("NUMBER");
    command.add_option("--currency", use.currency, "In which currency, as EUR")->type_name("CODE");
}

void add_lock_key(CLI::App& command, Use& use) {
    command
        .add_option("--lock-key", use.lock_key,
                    "Makes a lock one's own: without it, it cannot be used")
        ->type_name("TEXT");
}

/// As one word of a shell; nothing where that does not do.
std::optional<std::string> in_shell(const std::string& text) {
    constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.,:@%+/-";
    if (text.empty() || text.starts_with('-') || text.find('\'') != std::string::npos) return {};
    return text.find_first_not_of(plain) == std::string::npos ? text : "'" + text + "'";
}

/// With the code and the user in what is told to do about a refusal.
Answer post(Session& session, const char* action, const Use& use) {
    try {
        return session.server().ask(
            {.method = "POST", .target = path_of(action, use), .body = body_of(use)});
    } catch (const Quit& quit) {
        if (quit.status() != exit_status::refused) throw;
        std::string next = quit.next();
        const auto put = [&](std::string_view name, const std::string& value) {
            const std::size_t at = next.find(name);
            const auto word = in_shell(value);
            if (at != std::string::npos && word) next.replace(at, name.size(), *word);
        };
        put("BOOK", use.book.value_or(""));
        put("USER", use.user.value_or(""));
        if (use.codes.size() == 1) put("CODE", use.codes.front());
        throw Quit(quit.status(), quit.what(), next);
    }
}

void add_validate(Commands& commands) {
    const UsePtr use = std::make_shared<Use>();
    CLI::App& command = commands.add(
        commands.root(), "validate",
        "Ask whether a code would be accepted, and what it would take off",
        "  couponctl validate SUMMER-K7P2QX --user ann --order 17 --amount 50 --currency EUR\n",
        [use](Session& session) {
            const Answer answer = post(session, "validate", *use);
            session.output().one(validation_columns, answer.text);
            print_part(session, reasons_columns, answer, "reasons");
        });
    add_code(command, use, "The code").required();
    add_user(command, *use);
    add_order(command, *use);
    command.add_option("--as-of", use->as_of, "At another time than now")->type_name("TIME");
}

void add_for_order(Commands& commands, const char* name, const char* help, const char* examples,
                   const Columns& of_one) {
    const UsePtr use = std::make_shared<Use>();
    CLI::App& command =
        commands.add(commands.root(), name, help, examples, [=, &of_one](Session& session) {
            const Answer answer = post(session, name, *use);
            if (use->codes.size() == 1) return session.output().one(of_one, answer.text);
            session.output().one(several_columns, answer.text);
            print_part(session, locks_columns, answer, "locks");
            print_part(session, redemptions_columns, answer, "redemptions");
        });
    command.add_option("CODE", use->codes, "The code; several for one order: all of them or none")
        ->required();
    add_user(command, *use);
    add_order(command, *use);
    add_lock_key(command, *use);
}

}  // namespace

void add_shop_commands(Commands& commands) {
    CLI::App& root = commands.root();
    {
        const UsePtr use = std::make_shared<Use>();
        CLI::App& command = commands.add(
            root, "assign", "Give a user a code: this one, or any that is free",
            "  couponctl assign --user ann --book 1\n  couponctl assign SUMMER-K7P2QX --user ann\n",
            [use](Session& session) {
                session.output().one(code_columns, post(session, "assign", *use).text);
            });
        add_code(command, use, "The code; any where it is left out");
        add_user(command, *use);
        command.add_option("--book", use->book, "Any of this book")->type_name("ID");
    }
    {
        const UsePtr use = std::make_shared<Use>();
        CLI::App& command = commands.add(
            root, "unassign", "Take a code back from its user", "", [use](Session& session) {
                session.output().one(code_columns, post(session, "unassign", *use).text);
            });
        add_code(command, use, "The code").required();
        command.add_option("--user", use->user, "Only from this one")->type_name("ID");
    }
    add_validate(commands);
    add_for_order(commands, "lock", "Lock a user's code, to redeem it next",
                  "  couponctl lock SUMMER-K7P2QX --user ann\n", lock_columns);
    {
        const UsePtr use = std::make_shared<Use>();
        CLI::App& command = commands.add(
            root, "unlock", "Give a lock back before its time", "", [use](Session& session) {
                session.output().one(lock_columns, post(session, "unlock", *use).text);
            });
        add_code(command, use, "The code").required();
        add_user(command, *use);
        add_lock_key(command, *use);
    }
    add_for_order(
        commands, "redeem", "Redeem a code, for an order or without one",
        "  couponctl redeem SUMMER-K7P2QX --user ann --order 17 --amount 50 --currency EUR\n",
        redemption_columns);
    {
        struct Options {
            std::string redemption;
            std::optional<std::string> reason, amount;
        };
        const auto options = std::make_shared<Options>();
        CLI::App& command = commands.add(
            root, "rollback", "Take a redemption back, or a part of its discount",
            "  couponctl rollback 42 --reason 'returned'\n", [options](Session& session) {
                session.confirm("Take back redemption " + options->redemption + "?");
                JsonObject body;
                if (options->reason) body.set("reason", json_string(*options->reason));
                if (options->amount) body.set("amount", number_of("--amount", *options->amount));
                const Answer answer = session.server().ask(
                    {.method = "POST",
                     .target = "/coupon/rollback/" + percent_encoded(options->redemption),
                     .body = body.text()});
                session.output().one(redemption_columns, answer.text);
            });
        add_id(command, "REDEMPTION", options->redemption, "Its id");
        command.add_option("--reason", options->reason, "Why, for the ledger");
        command.add_option("--amount", options->amount, "Only so much of the discount")
            ->type_name("NUMBER");
    }
}

}  // namespace coupond::ctl
