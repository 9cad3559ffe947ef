// What is going on: couponctl ping, stats, events and user …
#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "ctl/commands.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

namespace json = boost::json;
using enum Column::Kind;

// As wide as they mostly are, for those that are followed come one by one.
const Columns event_columns{{"ID", "id", number, 8},         {"AT", "at", time, 19},
                            {"WHAT", "type", text, 14},      {"BOOK", "bookId", number},
                            {"CODE", "code", code, 16},      {"USER", "userId", text, 8},
                            {"CODES", "codes", number},      {"ORDER", "order.id"},
                            {"DISCOUNT", "discount", money}, {"REDEMPTION", "redemptionId", number},
                            {"REQUEST", "requestId"}};

const Columns held_columns{{"CODE", "code", code},
                           {"BOOK", "bookId", number},
                           {"STATUS", "status"},
                           {"EXPIRES", "expiresAt", time},
                           {"REDEEMED", "redeemedAt", time}};

const Columns redemption_columns{{"REDEMPTION", "id", number},
                                 {"CODE", "code"},
                                 {"ORDER", "order.id"},
                                 {"DISCOUNT", "discount", money},
                                 {"GIVEN BACK", "givenBack", number},
                                 {"AT", "at", time},
                                 {"ROLLED BACK", "rolledBackAt", time}};

double number_at(const json::value& value, std::string_view name) {
    const json::value* const found = member(value, name);
    return found != nullptr && found->is_number() ? found->to_number<double>() : 0;
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
                     if (text_at(json_of(answer), "status").empty())
                         throw no_coupond("somebody else than coupond has answered");
                     std::array<char, 64> text;
                     std::snprintf(text.data(), text.size(), " is ready, %.1f ms", taken.count());
                     session.output().note(session.server().url() + text.data());
                 });
}

/// How many of all codes came so far: assigned, locked, redeemed, each with a bar.
void draw_funnel(Session& session, const json::value& statistics) {
    const json::value* const funnel = member(statistics, "funnel");
    if (funnel == nullptr || !funnel->is_array()) return;
    const int bar_columns = std::clamp(session.output().terminal().width() - 34, 5, 40);
    double most = 0;
    for (const json::value& step : funnel->as_array())
        most = std::max(most, number_at(step, "codes"));
    for (const json::value& step : funnel->as_array()) {
        const double codes = number_at(step, "codes");
        double share = codes > 0 && most > 0 ? codes / most : 0;
        if (!(share <= 1)) share = 1;  // of two that are infinite
        const auto length = static_cast<int>(share * bar_columns + 0.5);
        std::string bar;
        for (int i = 0; i < length; ++i) bar += "█";
        const json::value* const rate = member(step, "rate");
        std::array<char, 160> text;
        const std::string name = text_at(step, "status");
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
    session.output().note("what happened each " + text_at(statistics, "bucket") +
                          ", the last one on the right:");
    for (const char* const name : {"assigned", "locked", "redeemed", "refused"}) {
        std::vector<double> values;
        double sum = 0;
        for (const json::value& each : series->as_array()) {
            values.push_back(number_at(each, name));
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

void draw_refusals(Session& session, const json::value& statistics) {
    const json::value* const refusals = member(statistics, "refusals");
    if (refusals == nullptr || !refusals->is_object() || refusals->as_object().empty()) return;
    session.output().note("");
    for (const auto& [code, times] : refusals->as_object()) {
        session.output().note("refused: " + harmless(std::string_view(code)) + " " +
                              json::serialize(times));
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
            const json::value* const series = member(statistics, "series");
            if (member(statistics, "totals") == nullptr || series == nullptr)
                throw no_coupond("somebody else than coupond has answered");
            if (session.output().format() == Format::csv) {
                session.output().begin({{"", "from"},
                                        {"", "uploaded"},
                                        {"", "generated"},
                                        {"", "assigned"},
                                        {"", "locked"},
                                        {"", "redeemed"},
                                        {"", "rolledBack"},
                                        {"", "refused"},
                                        {"", "discounts"}});
                session.output().rows(json::serialize(*series));
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
            session.output().note("codes that came so far, and how many of those before them:");
            draw_funnel(session, statistics);
            draw_series(session, statistics);
            draw_refusals(session, statistics);
        });
    add_id(command, "BOOK", options->book, "Its id; all books where it is left out")
        .required(false);
    command.add_option("--from", options->from, "From this day or time on")->type_name("TIME");
    command.add_option("--to", options->to, "Until before this one")->type_name("TIME");
    command.add_option("--bucket", options->bucket, "By what")
        ->check(CLI::IsMember({"hour", "day"}));
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
                if (line_.size() + data_.size() > event_bytes_most) {
                    throw net::Garbled("an event without an end");
                }
                continue;
            }
            if (line_.starts_with("data: ")) data_ += line_.substr(6);
            if (line_.starts_with("id: ")) id_ = line_.substr(4);
            if (line_.empty() && !data_.empty()) {
                take(data_);
                data_.clear();
                last_id_ = id_;
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
    static constexpr std::size_t event_bytes_most = 1024 * 1024;

    std::string line_, data_, id_, last_id_;
};

/// The id behind which to go on; empty where that is not known.
std::string last_told(const Events& events, const std::string& after) {
    return events.last_id().empty() ? after : events.last_id();
}

void follow(Session& session, const Query& query, const std::string& after) {
    constexpr auto silence = std::chrono::seconds(60);  // a comment comes every 15
    constexpr auto again_after = std::chrono::seconds(1);
    Output& output = session.output();
    Events events;
    output.begin(event_columns);
    output.heading();
    Output::flush();
    for (std::string broken;;) {
        Query from = query;
        const std::string last = last_told(events, after);
        if (!last.empty()) from.add("after", std::string_view(last));
        Request request{.target = from.on("/coupon/events/stream")};
        request.accept = "text/event-stream";
        try {
            if (!broken.empty()) {
                session.tell(broken + "; following again");
                session.pause(again_after);
            }
            events.begin_again();
            session.server().stream(request, silence,
                                    [&](const net::HttpResponse&, std::string_view piece) {
                                        events.add(piece, [&](const std::string& data) {
                                            output.rows("[" + data + "]");
                                            Output::flush();
                                        });
                                    });
            broken = "the server ended the stream";
        } catch (const net::Garbled&) {
            throw no_coupond("somebody else than coupond has answered");
        } catch (const net::Lost& lost) {
            broken = lost.reason();
        } catch (const Quit& quit) {
            if (quit.status() == exit_status::usage || last_told(events, after).empty()) throw;
            throw Quit(quit.status(), quit.what(),
                       "go on with what comes next: --after " + last_told(events, after));
        }
    }
}

void add_events(Commands& commands) {
    struct Options {
        std::optional<std::string> book, code, type;
        Extent extent{100};
        bool follow = false;
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
                return print_list(session, event_columns, "/coupon/events", query, options->extent);
            }
            if (session.output().format() == Format::json) {
                throw wrong_usage("what has no end cannot be one JSON array", "--output ndjson");
            }
            follow(session, query, options->extent.after.value_or(""));
        });
    command.add_option("--book", options->book, "Only of this book")->type_name("ID");
    command.add_option("--code", options->code, "Only of this code");
    command.add_option("--type", options->type, "Only of this type, as code_redeemed");
    options->extent.add_to(command);
    command.add_flag("--follow", options->follow, "Print each as it is made, until Ctrl-C")
        ->excludes("--limit", "--all");
}

void add_user(Commands& commands) {
    CLI::App& user = commands.group("user", "Look at what a user holds, or forget a user");
    struct Options {
        std::string user;
        std::optional<std::string> limit, after;
    };
    const auto options = std::make_shared<Options>();
    CLI::App& show = commands.add(
        user, "show", "Show what a user holds and has redeemed", "", [options](Session& session) {
            Query query;
            query.add("limit", options->limit).add("after", options->after);
            const Answer answer = session.server().ask(
                {.target = query.on("/coupon/users/" + percent_encoded(options->user))});
            const json::value all = json_of(answer);
            const json::value* const codes = member(all, "codes");
            if (codes == nullptr || !codes->is_array())
                throw no_coupond("somebody else than coupond has answered");
            if (session.output().format() == Format::csv) {
                session.output().begin(held_columns);
                session.output().rows(json::serialize(*codes));
                session.output().end();
            } else {
                session.output().one({{"user", "userId"}}, answer.text);
                print_part(session, held_columns, answer, "codes");
                print_part(session, redemption_columns, answer, "redemptions");
            }
            if (answer.next && !codes->as_array().empty()) {
                const json::value* const last = member(codes->as_array().back(), "id");
                session.tell("there are more than these: --limit 1000, --after " +
                             (last == nullptr ? std::string("ID") : json::serialize(*last)));
            }
        });
    add_text(show, "USER", options->user, "By your own id");
    show.add_option("--limit", options->limit, "How many codes at most (100), up to 1000");
    show.add_option("--after", options->after, "Only codes behind this id")->type_name("ID");
    const auto erased = std::make_shared<std::string>();
    CLI::App& erase = commands.add(
        user, "erase", "Forget a user; what became of codes stays, without whose they were", "",
        [erased](Session& session) {
            session.confirm("Forget user " + *erased + " for ever?");
            const Answer answer = session.server().ask(
                {.method = "DELETE", .target = "/coupon/users/" + percent_encoded(*erased)});
            session.output().one({{"message", "message"}}, answer.text);
        });
    add_text(erase, "USER", *erased, "By your own id");
}

}  // namespace

void add_reports(Commands& commands) {
    add_user(commands);
    add_stats(commands);
    add_events(commands);
    add_ping(commands);
}

}  // namespace coupond::ctl
