#include "ctl/commands.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "ctl/interrupt.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using Kind = Member::Kind;

constexpr std::size_t body_bytes_most = 64 * 1024 * 1024;  // more than the server takes

/// Of a value as it is named in messages and by --clear: `max-redemptions`.
std::string name_of(const Member& member) {
    return std::string(member.flag).substr(2);
}

std::string json_of(const Member& member, const std::string& value) {
    switch (member.kind) {
        case Kind::number: return number_of(member.flag, value);
        case Kind::boolean: return value;  // true or false, by its option's check
        default: return json_string(value);
    }
}

const char* type_of(Kind kind) {
    switch (kind) {
        case Kind::number: return "NUMBER";
        case Kind::boolean: return "";
        case Kind::time: return "TIME";
        default: return "TEXT";
    }
}

std::string read_whole(const std::string& name, const std::stop_token& stop) {
    const File file(name);
    std::string text;
    for (std::size_t before = 1; before != text.size();) {
        before = text.size();
        file.read(stop, text);
        if (text.size() > body_bytes_most) throw wrong_usage(name + " is too long", "");
    }
    return text;
}

/// A value of metadata: JSON where it is that, else text.
std::string metadata_json(const std::string& value) {
    return parse_json(value) ? value : json_string(value);
}

std::string is_id(const std::string& text) {
    const bool fits = !text.empty() && text.size() <= 19 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
    return fits ? "" : "must be an id, a number: '" + text + "' is none";
}

std::string is_not_empty(const std::string& text) {
    return text.empty() ? "must not be empty" : "";
}

std::string is_count(const std::string& text) {
    const bool fits = is_id(text).empty() && text.find_first_not_of('0') != std::string::npos;
    return fits ? "" : "must be a whole number from 1 on";
}

}  // namespace

CLI::App& Commands::group(const char* name, const char* help) {
    CLI::App& command = *root_.add_subcommand(name, help);
    command.footer("");
    command.require_subcommand(1);
    return command;
}

CLI::App& Commands::add(CLI::App& parent, const char* name, const char* help, const char* examples,
                        Run run) {
    CLI::App& command = *parent.add_subcommand(name, help);
    const std::string footer =
        *examples == '\0' ? "" : std::string("Examples:\n") + examples + "\n";
    command.footer(footer + "Options of all commands, as --output and --yes: couponctl --help");
    runs_.emplace(&command, std::move(run));
    return command;
}

std::pair<const CLI::App*, const Run*> Commands::asked_for() const {
    const CLI::App* command = &root_;
    for (;;) {
        const auto below = command->get_subcommands();
        if (below.empty()) break;
        command = below.front();
    }
    const auto found = runs_.find(command);
    return {command, found == runs_.end() ? nullptr : &found->second};
}

void Members::add_to(CLI::App& command, const std::vector<Member>& members, Extras extras) {
    members_ = members;
    for (const Member& member : members_) {
        CLI::Option* const option = command.add_option_function<std::string>(
            member.flag,
            [this, path = std::string(member.path)](const std::string& value) {
                values_[path] = value;
            },
            member.help);
        option->type_name(type_of(member.kind));
        if (member.kind == Kind::boolean) option->check(CLI::IsMember({"true", "false"}));
        if (!member.choices.empty()) option->check(CLI::IsMember(member.choices));
    }
    if (extras.metadata) {
        command
            .add_option("--metadata", metadata_,
                        "All there is to be: a name and its value, maybe JSON; again for more")
            ->type_name("NAME=VALUE")
            ->allow_extra_args(false);
    }
    if (extras.json) {
        command
            .add_option("--json", json_, "The whole body as the API takes it; @FILE, @- for stdin")
            ->type_name("JSON");
    }
    if (extras.clear) {
        command.add_option("--clear", cleared_, "What is not to be set any more; again for more")
            ->type_name("NAME")
            ->allow_extra_args(false);
    }
}

bool Members::empty() const {
    return values_.empty() && metadata_.empty() && cleared_.empty() && json_.empty();
}

std::string Members::path_to_clear(const std::string& name) const {
    // What is changed as a whole.
    if (name == "discount") return "discount";
    if (name == "auto") return "autoGenerate";
    const auto member = std::ranges::find(members_, name, name_of);
    if (member == members_.end()) {
        throw wrong_usage("--clear does not know " + name,
                          "names are those of flags, as ends-at; or discount, auto, metadata");
    }
    const std::string path = member->path;
    if (path.starts_with("discount.") || path.starts_with("autoGenerate.")) {
        throw wrong_usage("--clear cannot take away a part of a discount or of autoGenerate",
                          "--clear discount, --clear auto");
    }
    return path;
}

JsonObject Members::object() const {
    JsonObject body;
    for (const Member& member : members_) {
        const auto value = values_.find(member.path);
        if (value != values_.end()) body.set(member.path, json_of(member, value->second));
    }
    const auto has = [&](const char* path) { return values_.contains(path); };
    const bool of_discount = std::ranges::any_of(
        values_, [](const auto& each) { return each.first.starts_with("discount."); });
    if (of_discount && !has("discount.type")) {
        throw wrong_usage("a discount is set as a whole: --discount-type must be said too",
                          "--discount-type amount, percent, fixed_price or free_shipping");
    }
    if (has("autoGenerate.below") != has("autoGenerate.count")) {
        throw wrong_usage("--auto-below and --auto-count go together", "say both");
    }
    for (const std::string& name : cleared_) {
        if (name == "metadata") {
            body.set("metadata", "{}");
        } else {
            const std::string path = path_to_clear(name);
            const bool is_set = std::ranges::any_of(values_, [&](const auto& each) {
                return each.first == path || each.first.starts_with(path + ".");
            });
            if (is_set) throw wrong_usage("--clear " + name + ": it is set as well", "say one");
            body.set(path, "null");
        }
    }
    if (!metadata_.empty()) {
        JsonObject metadata;
        for (const std::string& each : metadata_) {
            const std::size_t equals = each.find('=');
            if (equals == std::string::npos || equals == 0) {
                throw wrong_usage("--metadata must be NAME=VALUE", "as in --metadata channel=mail");
            }
            metadata.set_member(each.substr(0, equals), metadata_json(each.substr(equals + 1)));
        }
        body.set("metadata", metadata.text());
    }
    return body;
}

std::string Members::body(const Session& session) const {
    if (json_.empty()) return object().text();
    if (!values_.empty() || !metadata_.empty() || !cleared_.empty()) {
        throw wrong_usage("--json is the whole body, other values cannot be given with it", "");
    }
    std::string text = json_.starts_with('@') ? read_whole(json_.substr(1), session.stop()) : json_;
    const auto body = parse_json(text);
    if (!body || !body->is_object()) {
        throw wrong_usage("--json must be a JSON object", "as in --json '{\"name\": \"Summer\"}'");
    }
    return text;
}

CLI::Option& add_id(CLI::App& command, const char* name, std::string& id, const char* help) {
    return *command.add_option(name, id, help)
                ->required()
                ->check(CLI::Validator(is_id, ""))
                ->type_name("ID");
}

CLI::Option& add_text(CLI::App& command, const char* name, std::string& text, const char* help) {
    return *command.add_option(name, text, help)->required()->check(not_empty());
}

CLI::Validator not_empty() {
    return CLI::Validator(is_not_empty, "");
}

std::string number_of(const char* name, const std::string& text) {
    if (is_json_number(text)) return text;
    throw wrong_usage(std::string(name) + " must be a number, '" + text + "' is none",
                      "as 12 or 12.50");
}

void Extent::add_to(CLI::App& command, const char* from_name) {
    from = from_name;
    command.add_option("--limit", limit, "How many at most (" + std::to_string(limit) + ")")
        ->check(CLI::Validator(is_count, ""))
        ->type_name("COUNT");
    command.add_flag("--all", all, "All of them");
    if (*from == '\0') return;
    command
        .add_option(std::string("--") + from, after,
                    std::string("Only those ") + from + " this one in the list")
        ->check(CLI::Validator(is_id, ""))
        ->type_name("ID");
}

void print_list(Session& session, const Columns& columns, const std::string& path, Query query,
                const Extent& extent) {
    constexpr std::uint64_t page = 1'000;
    const std::uint64_t most = extent.all ? 0 : extent.limit;
    Output& output = session.output();
    if (*extent.from != '\0') query.add(extent.from, extent.after);
    query.add("limit", std::string_view(std::to_string(most == 0 ? page : std::min(most, page))));
    Request request;
    request.target = query.on(path);
    output.begin(columns);
    std::uint64_t printed = 0;
    for (;;) {
        const Answer answer = session.server().ask(request);
        if (!json_of(answer).is_array() || answer.next == request.target) {
            throw no_coupond("the server answered something that is no list");
        }
        std::vector<std::string_view> elements = json_elements(answer.text);
        const std::uint64_t room = most == 0 ? elements.size() : most - printed;
        const bool more = answer.next || elements.size() > room;
        if (elements.size() > room) elements.resize(room);
        std::string array = "[";
        for (const std::string_view element : elements) {
            if (array.size() > 1) array += ',';
            array += element;
        }
        output.rows(array + "]");
        printed += elements.size();
        if (!answer.next || (most > 0 && printed >= most)) {
            output.end();
            if (more && output.is_table()) {
                session.tell("there are more than these " + std::to_string(printed) +
                             ": see --limit and --all");
            }
            return;
        }
        request.target = *answer.next;
    }
}

void print_part(Session& session, const Columns& columns, const Answer& answer, const char* path) {
    Output& output = session.output();
    if (!output.is_table()) return;
    const boost::json::value whole = json_of(answer);
    const auto* const part = member(whole, path);
    if (part == nullptr || !part->is_array() || part->as_array().empty()) return;
    output.note("");
    output.begin(columns);
    output.rows(boost::json::serialize(*part));
    output.end();
}

}  // namespace coupond::ctl
