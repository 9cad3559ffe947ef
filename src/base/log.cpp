#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/text.hpp"

namespace coupond::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warn: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
        case Level::off: return spdlog::level::off;
    }
    return spdlog::level::info;
}

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
}

void append_json_string(std::string& out, std::string_view text) {
    const bool utf8 = examine_text(text).has_value();
    out += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (is_control(c)) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            out += escaped;
        } else if (!utf8 && static_cast<unsigned char>(c) >= 0x80) {
            out += "\\ufffd";
        } else {
            out += c;
        }
    }
    out += '"';
}

class Output {
public:
    Output() : logger_("coupond", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
        configure(Level::info, Format::text);
    }

    void configure(Level level, Format format) {
        format_ = format;
        logger_.set_level(to_spdlog(level));
        logger_.flush_on(spdlog::level::trace);
        logger_.set_pattern(format == Format::json
                                ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v",
                            spdlog::pattern_time_type::utc);
    }

    bool enabled(Level level) const { return logger_.should_log(to_spdlog(level)); }

    void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
        std::string line;
        if (format_ == Format::json) {
            line += R"("message":)";
            append_json_string(line, message);
        } else {
            line += message;
        }
        for (const Field& field : fields) append(line, field);
        logger_.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
    }

private:
    void append(std::string& line, const Field& field) const {
        const auto* const text = std::get_if<std::string_view>(&field.value);
        if (text != nullptr && text->empty()) return;
        if (format_ == Format::json) {
            line += ',';
            append_json_string(line, field.name);
            line += ':';
        } else {
            line += ' ';
            line += field.name;
            line += '=';
        }
        if (text == nullptr) {
            line += std::to_string(std::get<std::int64_t>(field.value));
        } else if (format_ == Format::json ||
                   text->find_first_of(" \"=") != std::string_view::npos ||
                   std::any_of(text->begin(), text->end(), is_control)) {
            append_json_string(line, *text);
        } else {
            line += *text;
        }
    }

    spdlog::logger logger_;
    Format format_ = Format::text;
};

Output& output() {
    static Output instance;
    return instance;
}

}  // namespace

void configure(Level level, Format format) {
    output().configure(level, format);
}

bool enabled(Level level) {
    return output().enabled(level);
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (enabled(level)) output().write(level, message, fields);
}

}  // namespace coupond::log
