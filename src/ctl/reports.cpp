// What is going on: couponctl ping, stats, events and user …
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "ctl/commands.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

namespace json = boost::json;
using enum Column::Kind;

// As wide as they mostly are, for those that are followed come one by one.
const Columns event_columns{{"ID", "id", number, 8},    {"AT", "at", time, 19},
                            {"WHAT", "type", text, 14}, {"BOOK", "bookId", number},
                            {"CODE", "code", text, 16}, {"USER", "userId", text, 8}};

const Columns held_columns{{"CODE", "code"},
                           {"BOOK", "bookId", number},
                           {"STATUS", "status"},
                           {"EXPIRES", "expiresAt", time},
                           {"REDEEMED", "redeemedAt", time}};

const Columns redemption_columns{{"ID", "id", number},
                                 {"CODE", "code"},
                                 {"ORDER", "order.id"},
                                 {"DISCOUNT", "discount", money},
                                 {"GIVEN BACK", "givenBack", number},
                                 {"AT", "at", time},
                                 {"ROLLED BACK", "rolledBackAt", time}};

const json::value* member(const json::value& value, std::string_view name) {
    return value.is_object() ? value.as_object().if_contains(name) : nullptr;
}

double number_of(const json::value& value, std::string_view name) {
    const json::value* const found = member(value, name);
    return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
}

[[noreturn]] void not_coupond() {
    throw Quit(exit_status::unreachable, "somebody else than coupond has answered",
               "see which server is meant: --server, COUPOND_URL, couponctl config list");
}

void print_array(Session& session, const Columns& columns, const json::value* array) {
    if (array == nullptr || !array->is_array() || array->as_array().empty()) return;
    session.output().note("");
    session.output().begin(columns);
    session.output().rows(json::serialize(*array));
    session.output().end();
}

void add_ping(Commands& commands) {
    commands.add(commands.root(), "ping", "Ask whether the server is there and can serve", "",
                 [](Session& session) {
                     const auto begun = std::chrono::steady_clock::now();
                     const Answer answer = session.server().ask({.target = "/health/ready"});
                     const std::chrono::duration<double, std::milli> taken =
                         std::chrono::steady_clock::now() - begun;
                     if (!session.output().is_table()) {
                         return session.output().one({{"status", "status"}}, answer.text);
                     }
                     if (!json_of(answer).is_object()) not_coupond();
                     std::array<char, 64> text;
                     std::snprintf(text.data(), text.size(), " is ready, %.1f ms", taken.count());
                     session.output().note(session.server().url() + text.data());
                 });
}

/// How many of all codes came so far: assigned, locked, redeemed, each with a bar.
void draw_funnel(Session& session, const json::value& statistics) {
    const json::value* const funnel = member(statistics, "funnel");
    if (funnel == nullptr || !funnel->is_array()) return;
    constexpr int bar_columns = 40;
    double most = 0;
    for (const json::value& step : funnel->as_array())
        most = std::max(most, number_of(step, "codes"));
    for (const json::value& step : funnel->as_array()) {
        const double codes = number_of(step, "codes");
        const auto length = most > 0 ? static_cast<int>(codes / most * bar_columns + 0.5) : 0;
        std::string bar;
        for (int i = 0; i < length; ++i) bar += "█";
        const json::value* const status = member(step, "status");
        const json::value* const rate = member(step, "rate");
        std::array<char, 160> text;
        const std::string name =
            status != nullptr && status->is_string() ? status->as_string().c_str() : "";
        std::snprintf(text.data(), text.size(), "%-9s %12.0f  ",
                      name == "free" ? "all" : harmless(cut(name, 9)).c_str(), codes);
        std::string line = text.data();
        if (rate != nullptr && rate->is_number()) {
            std::snprintf(text.data(), text.size(), "%5.1f %%  ", rate->to_number<double>() * 100);
            line += text.data();
        } else {
            line += "         ";
        }
        session.output().note(line + bar);
    }
}

void draw_series(Session& session, const json::value& statistics) {
    const json::value* const series = member(statistics, "series");
    if (series == nullptr || !series->is_array() || series->as_array().empty()) return;
    session.output().note("");
    for (const char* const name : {"assigned", "locked", "redeemed", "refused"}) {
        std::vector<double> values;
        double sum = 0;
        for (const json::value& each : series->as_array()) {
            values.push_back(number_of(each, name));
            sum += values.back();
        }
        // As many as the terminal has room for, from the end.
        const auto room =
            static_cast<std::size_t>(std::max(10, session.output().terminal().width() - 25));
        if (values.size() > room) {
            values.erase(values.begin(), values.end() - static_cast<std::ptrdiff_t>(room));
        }
        std::array<char, 64> text;
        std::snprintf(text.data(), text.size(), "%-9s %12.0f  ", name, sum);
        session.output().note(text.data() + sparkline(values));
    }
}

void add_stats(Commands& commands) {
    struct Options {
        std::string book;
        std::optional<std::string> from, to, bucket, time_zone;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        commands.root(), "stats", "Show what became of a book's codes, or of all, in figures",
        "  couponctl stats 1 --from 2027-06-01 --to 2027-07-01 --time-zone Europe/Berlin\n",
        [options](Session& session) {
            Query query;
            query.add("from", options->from)
                .add("to", options->to)
                .add("bucket", options->bucket)
                .add("timeZone", options->time_zone);
            const std::string path = options->book.empty()
                                         ? "/coupon/stats"
                                         : "/coupon/" + percent_encoded(options->book) + "/stats";
            const Answer answer = session.server().ask({.target = query.on(path)});
            const json::value statistics = json_of(answer);
            if (session.output().format() == Format::csv) {
                const json::value* const series = member(statistics, "series");
                session.output().begin({{"", "from"},
                                        {"", "uploaded"},
                                        {"", "generated"},
                                        {"", "assigned"},
                                        {"", "locked"},
                                        {"", "redeemed"},
                                        {"", "rolledBack"},
                                        {"", "refused"},
                                        {"", "discounts"}});
                if (series != nullptr) session.output().rows(json::serialize(*series));
                return session.output().end();
            }
            if (!session.output().is_table()) return session.output().one({}, answer.text);
            session.output().one({{"codes", "totals.total"},
                                  {"free", "totals.available"},
                                  {"rolled back", "totals.rolledBack"},
                                  {"discounts", "totals.discounts", money},
                                  {"from", "from", time},
                                  {"to", "to", time}},
                                 answer.text);
            session.output().note("");
            draw_funnel(session, statistics);
            draw_series(session, statistics);
        });
    command.add_option("BOOK", options->book, "Its id; all books where it is left out");
    command.add_option("--from", options->from, "From this day or time on")->type_name("TIME");
    command.add_option("--to", options->to, "Until before this one")->type_name("TIME");
    command.add_option("--bucket", options->bucket, "hour or day");
    command.add_option("--time-zone", options->time_zone, "In which days begin");
}

/// Server-sent events (html.spec.whatwg.org, 9.2): the data of each, as they come.
class Events {
public:
    template <class Take>
    void add(std::string_view piece, const Take& take) {
        for (const char c : piece) {
            if (c != '\n') {
                line_ += c;
                continue;
            }
            if (line_.starts_with("data: ")) data_ += line_.substr(6);
            if (line_.starts_with("id: ")) last_id_ = line_.substr(4);
            if (line_.empty() && !data_.empty()) {
                take(data_);
                data_.clear();
            }
            line_.clear();
        }
    }

    const std::string& last_id() const { return last_id_; }
    void begin_again() {
        line_.clear();
        data_.clear();
    }

private:
    std::string line_, data_, last_id_;
};

void follow(Session& session, Query query, std::string after) {
    constexpr auto silence = std::chrono::seconds(60);  // a comment comes every 15
    constexpr auto again_after = std::chrono::seconds(1);
    Output& output = session.output();
    Events events;
    output.begin(event_columns);
    output.rows("[]");
    std::fflush(stdout);
    for (;;) {
        Query from = query;
        const std::string last = events.last_id().empty() ? after : events.last_id();
        if (!last.empty()) from.add("after", std::string_view(last));
        Request request{.target = from.on("/coupon/events/stream")};
        request.accept = "text/event-stream";
        try {
            session.server().stream(request, silence,
                                    [&](const net::HttpResponse&, std::string_view piece) {
                                        events.add(piece, [&](const std::string& data) {
                                            output.rows("[" + data + "]");
                                            std::fflush(stdout);
                                        });
                                    });
            session.tell("the server ended the stream; following again");
        } catch (const net::Garbled&) {
            not_coupond();
        } catch (const net::Lost& lost) {
            session.tell(lost.reason() + "; following again");
        }
        events.begin_again();
        session.pause(again_after);
    }
}

void add_events(Commands& commands) {
    struct Options {
        std::optional<std::string> after, book, code, type;
        std::uint64_t limit = 100;
        bool all = false, follow = false;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& command = commands.add(
        commands.root(), "events", "List every change that was made, in order, or follow them",
        "  couponctl events --follow --type code_redeemed\n", [options](Session& session) {
            Query query;
            query.add("bookId", options->book)
                .add("code", options->code)
                .add("type", options->type);
            if (!options->follow) {
                query.add("after", options->after);
                return print_list(session, event_columns, "/coupon/events", query,
                                  options->all ? 0 : options->limit);
            }
            if (session.output().format() == Format::json) {
                throw wrong_usage("what has no end cannot be one JSON array", "--output ndjson");
            }
            follow(session, query, options->after.value_or(""));
        });
    command.add_option("--after", options->after, "Only those with greater ids")->type_name("ID");
    command.add_option("--book", options->book, "Only of this book")->type_name("ID");
    command.add_option("--code", options->code, "Only of this code");
    command.add_option("--type", options->type, "Only of this type, as code_redeemed");
    command.add_option("--limit", options->limit, "How many at most")->check(CLI::PositiveNumber);
    command.add_flag("--all", options->all, "All of them");
    command.add_flag("--follow", options->follow, "Print each as it is made, until Ctrl-C");
}

void add_user(Commands& commands) {
    CLI::App& user = commands.group("user", "Look at what a user holds, or forget a user");
    const auto shown = std::make_shared<std::string>();
    CLI::App& show = commands.add(
        user, "show", "Show what a user holds and has redeemed", "", [shown](Session& session) {
            const Answer answer =
                session.server().ask({.target = "/coupon/users/" + percent_encoded(*shown)});
            if (session.output().format() == Format::csv) {
                const json::value all = json_of(answer);
                const json::value* const codes = member(all, "codes");
                session.output().begin(held_columns);
                if (codes != nullptr) session.output().rows(json::serialize(*codes));
                return session.output().end();
            }
            session.output().one({{"user", "userId"}}, answer.text);
            if (!session.output().is_table()) return;
            const json::value all = json_of(answer);
            print_array(session, held_columns, member(all, "codes"));
            print_array(session, redemption_columns, member(all, "redemptions"));
        });
    show.add_option("USER", *shown, "By your own id")->required();
    const auto erased = std::make_shared<std::string>();
    CLI::App& erase = commands.add(
        user, "erase", "Forget a user; what became of codes stays, without whose they were", "",
        [erased](Session& session) {
            session.confirm("Forget user " + *erased + " for ever?");
            const Answer answer = session.server().ask(
                {.method = "DELETE", .target = "/coupon/users/" + percent_encoded(*erased)});
            session.output().one({{"message", "message"}},
                                 answer.text.empty() ? "{}" : answer.text);
        });
    erase.add_option("USER", *erased, "By your own id")->required();
}

}  // namespace

void add_reports(Commands& commands) {
    add_user(commands);
    add_stats(commands);
    add_events(commands);
    add_ping(commands);
}

}  // namespace coupond::ctl
