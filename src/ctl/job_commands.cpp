// couponctl job …
#include <algorithm>
#include <boost/json/serialize.hpp>

#include "ctl/commands.hpp"
#include "ctl/jobs.hpp"
#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using enum Column::Kind;

const Columns listed{{"ID", "id", number},
                     {"BOOK", "couponBookId", number},
                     {"TYPE", "type"},
                     {"STATUS", "status"},
                     {"REQUESTED", "requested", number},
                     {"CREATED", "created", number},
                     {"FAILED", "failed", number},
                     {"STARTED", "startedAt", time},
                     {"FINISHED", "finishedAt", time}};

const Columns rejected_columns{{"LINE", "line", number},
                               {"REASON", "reason", code},
                               {"MESSAGE", "message", code},
                               {"TEXT", "text"}};

std::string path_of(const std::string& id) {
    return "/coupon/jobs/" + percent_encoded(id);
}

/// What a job that did not complete says of itself.
[[noreturn]] void not_completed(const json::value& job, const std::string& id) {
    const std::string status = text_at(job, "status");
    const std::string code = text_at(job, "error.code");
    const std::string message = text_at(job, "error.message");
    throw Quit(exit_status::refused,
               "job " + id + (status == "cancelled" ? " was " : " has ") + status +
                   (message.empty() ? "" : ": " + message) +
                   (code.empty() ? "" : " (" + code + ")"),
               count_at(job, "rejected") > 0 ? "see what was rejected: couponctl job rejected " + id
                                             : "see what it says: couponctl job show " + id);
}

void add_of_one(Commands& commands, CLI::App& parent, const char* name, const char* help,
                std::function<void(Session&, const std::string&)> run) {
    const auto id = std::make_shared<std::string>();
    CLI::App& command =
        commands.add(parent, name, help, "", [=](Session& session) { run(session, *id); });
    add_id(command, "JOB", *id, "Its id");
}

}  // namespace

const Columns job_columns{{"job", "id", number},
                          {"book", "couponBookId", number},
                          {"type", "type"},
                          {"status", "status"},
                          {"pattern", "codePattern"},
                          {"requested", "requested", number},
                          {"created", "created", number},
                          {"failed", "failed", number},
                          {"rejected", "rejected", number},
                          {"location", "location"},
                          {"guess hits", "guessProbability", chance},
                          {"warning", "warning"},
                          {"error", "error.code"},
                          {"why", "error.message"},
                          {"asked for", "createdAt", time},
                          {"started", "startedAt", time},
                          {"finished", "finishedAt", time}};

bool is_over(const json::value& job) {
    const std::string status = text_at(job, "status");
    return status != "queued" && status != "running";
}

bool is_completed(const json::value& job) {
    return text_at(job, "status") == "completed";
}

std::string job_id_of(const Answer& answer) {
    const json::value job = json_of(answer);
    const auto* const id = member(job, "id");
    if (id == nullptr || !id->is_number()) {
        throw no_coupond("the server answered something that is no job");
    }
    return json::serialize(*id);
}

void follow_job(Session& session, const std::string& id) {
    Progress progress(session.errors(), "codes");
    const Request request{.target = path_of(id)};
    try {
        for (auto gap = 50ms;; gap = std::min(gap * 2, std::chrono::milliseconds(500))) {
            const Answer answer = session.server().ask(request);
            const json::value job = json_of(answer);
            const std::uint64_t requested = count_at(job, "requested");
            if (is_over(job)) {
                session.errors().clear_bar();
                session.output().one(job_columns, answer.text);
                if (!is_completed(job)) not_completed(job, id);
                if (const std::uint64_t rejected = count_at(job, "rejected"); rejected > 0) {
                    session.tell(std::to_string(rejected) +
                                 " were rejected; see why: couponctl job rejected " + id);
                }
                return;
            }
            progress.show(count_at(job, "created") + count_at(job, "failed"),
                          requested > 0 ? std::optional(requested) : std::nullopt);
            session.pause(gap);
        }
    } catch (const Quit& quit) {
        const std::string next = "couponctl job wait " + id + ", or couponctl job cancel " + id;
        if (quit.status() == exit_status::interrupted) {
            throw Quit(exit_status::interrupted, "interrupted; job " + id + " goes on", next);
        }
        if (quit.status() != exit_status::unreachable) throw;
        throw Quit(exit_status::unreachable, quit.what() + ("; job " + id) + " may go on", next);
    }
}

void add_job_commands(Commands& commands) {
    CLI::App& job = commands.group("job", "Look at long work, wait for it and cancel it");
    struct Options {
        std::optional<std::string> book, status;
        Extent extent{20};
    };
    const auto options = std::make_shared<Options>();
    CLI::App& list = commands.add(
        job, "list", "List the jobs, the last one first", "", [options](Session& session) {
            Query query;
            query.add("couponBookId", options->book).add("status", options->status);
            print_list(session, listed, "/coupon/jobs", query, options->extent);
        });
    list.add_option("--book", options->book, "Only of this book")->type_name("ID");
    list.add_option("--status", options->status, "Only those that are this")
        ->check(CLI::IsMember({"queued", "running", "completed", "failed", "cancelled"}));
    options->extent.add_to(list, "before");
    add_of_one(commands, job, "show", "Show how far a job is",
               [](Session& session, const std::string& id) {
                   const Answer answer = session.server().ask({.target = path_of(id)});
                   session.output().one(job_columns, answer.text);
               });
    add_of_one(commands, job, "wait", "Wait until a job is over; ends with 1 where it has failed",
               follow_job);
    add_of_one(commands, job, "cancel", "Cancel a job; what it has done stays",
               [](Session& session, const std::string& id) {
                   session.confirm("Cancel job " + id + "?");
                   const Answer answer =
                       session.server().ask({.method = "DELETE", .target = path_of(id)});
                   session.output().one(job_columns, answer.text);
               });
    const auto id = std::make_shared<std::string>();
    const auto extent = std::make_shared<Extent>(Extent{1'000});
    CLI::App& rejected = commands.add(
        job, "rejected", "List the rows of a file that were not taken in", "",
        [id, extent](Session& session) {
            print_list(session, rejected_columns, path_of(*id) + "/rejected", {}, *extent);
        });
    add_id(rejected, "JOB", *id, "Its id");
    extent->add_to(rejected);
}

}  // namespace coupond::ctl
