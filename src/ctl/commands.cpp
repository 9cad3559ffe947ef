#include "ctl/commands.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cctype>
#include <fstream>
#include <iostream>
#include <iterator>

#include "ctl/json_text.hpp"
#include "ctl/quit.hpp"

namespace coupond::ctl {
namespace {

using Kind = Member::Kind;

/// Of a value as it is named in messages and by --clear: `max-redemptions`.
std::string name_of(const Member& member) {
    return std::string(member.flag).substr(2);
}

std::string json_of(const Member& member, const std::string& value) {
    switch (member.kind) {
        case Kind::number:
            if (!is_json_number(value)) {
                throw wrong_usage(std::string(member.flag) + " must be a number", "");
            }
            return value;
        case Kind::boolean:
            if (value != "true" && value != "false") {
                throw wrong_usage(std::string(member.flag) + " must be true or false", "");
            }
            return value;
        case Kind::no: return "false";
        default: return json_string(value);
    }
}

const char* type_of(Kind kind) {
    switch (kind) {
        case Kind::number: return "NUMBER";
        case Kind::boolean: return "true|false";
        case Kind::time: return "TIME";
        default: return "TEXT";
    }
}

std::string read_whole(const std::string& name) {
    std::ifstream file;
    if (name != "-") {
        file.open(name, std::ios::binary);
        if (!file) throw wrong_usage("cannot read " + name, "");
    }
    std::istream& in = name == "-" ? std::cin : file;
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// A value of metadata: JSON where it is that, else text.
std::string metadata_json(const std::string& value) {
    boost::json::error_code error;
    const boost::json::value parsed = boost::json::parse(value, error);
    return error || parsed.is_string() ? json_string(value) : value;
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
    command.footer(*examples == '\0' ? "" : std::string("Examples:\n") + examples);
    runs_.emplace(&command, std::move(run));
    return command;
}

const Run* Commands::asked_for() const {
    const CLI::App* command = &root_;
    for (;;) {
        const auto below = command->get_subcommands();
        if (below.empty()) break;
        command = below.front();
    }
    const auto found = runs_.find(command);
    return found == runs_.end() ? nullptr : &found->second;
}

void Members::add_to(CLI::App& command, const std::vector<Member>& members, Extras extras) {
    members_ = members;
    for (const Member& member : members_) {
        if (member.kind == Kind::no) {
            command.add_flag_callback(
                member.flag, [this, path = std::string(member.path)] { values_[path] = "false"; },
                member.help);
            continue;
        }
        command
            .add_option_function<std::string>(
                member.flag,
                [this, path = std::string(member.path)](const std::string& value) {
                    values_[path] = value;
                },
                member.help)
            ->type_name(type_of(member.kind));
    }
    if (extras.metadata) {
        command
            .add_option("--metadata", metadata_,
                        "A name and its value, which may be JSON; again for more")
            ->type_name("NAME=VALUE")
            ->allow_extra_args(false);
    }
    command
        .add_option("--json", json_,
                    "The whole body as the API takes it, instead of all these; @FILE, or @- for "
                    "standard input")
        ->type_name("JSON");
    if (extras.clear) {
        command
            .add_option("--clear", cleared_,
                        "What is not to be set any more, by its flag's name; again for more")
            ->type_name("NAME")
            ->allow_extra_args(false);
    }
}

bool Members::empty() const {
    return values_.empty() && metadata_.empty() && cleared_.empty() && json_.empty();
}

std::string Members::body() const {
    if (!json_.empty()) {
        if (!values_.empty() || !metadata_.empty() || !cleared_.empty()) {
            throw wrong_usage("--json is the whole body, other values cannot be given with it", "");
        }
        std::string text = json_.starts_with('@') ? read_whole(json_.substr(1)) : json_;
        boost::json::error_code error;
        if (!boost::json::parse(text, error).is_object() || error) {
            throw wrong_usage("--json must be a JSON object", "");
        }
        return text;
    }
    JsonObject body;
    for (const Member& member : members_) {
        const auto value = values_.find(member.path);
        if (value != values_.end()) body.set(member.path, json_of(member, value->second));
    }
    for (const std::string& name : cleared_) {
        const auto member = std::ranges::find(members_, name, name_of);
        if (member == members_.end()) {
            throw wrong_usage("--clear does not know " + name,
                              "names are those of flags: --clear ends-at");
        }
        body.set(member->path, "null");
    }
    if (!metadata_.empty()) {
        JsonObject metadata;
        for (const std::string& each : metadata_) {
            const std::size_t equals = each.find('=');
            if (equals == std::string::npos || equals == 0) {
                throw wrong_usage("--metadata must be NAME=VALUE", "");
            }
            metadata.set_member(each.substr(0, equals), metadata_json(each.substr(equals + 1)));
        }
        body.set("metadata", metadata.text());
    }
    return body.text();
}

void print_list(Session& session, const Columns& columns, const std::string& path, Query query,
                std::uint64_t most) {
    constexpr std::uint64_t page = 1'000;
    Output& output = session.output();
    const std::uint64_t first = most == 0 ? page : std::min(most, page);
    query.add("limit", std::string_view(std::to_string(first)));
    Request request;
    request.target = query.on(path);
    output.begin(columns);
    std::uint64_t printed = 0;
    for (;;) {
        const Answer answer = session.server().ask(request);
        if (!json_of(answer).is_array()) {
            throw Quit(exit_status::unreachable, "the server answered something that is no list",
                       "see that it is coupond's address: couponctl ping");
        }
        std::vector<std::string_view> elements = json_elements(answer.text);
        const std::uint64_t room = most == 0 ? elements.size() : most - printed;
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
            if (answer.next && session.output().is_table()) {
                session.tell("there are more than these " + std::to_string(printed) +
                             ": see --limit and --all");
            }
            return;
        }
        request.target = *answer.next;
    }
}

}  // namespace coupond::ctl
