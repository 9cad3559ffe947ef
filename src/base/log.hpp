// The log: one line an event on stderr, as text or as JSON, with named fields.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace coupond::log {

enum class Level { debug, info, warn, error, off };
enum class Format { text, json };

/// A named value beside the message. Secrets do not belong here: neither codes nor user ids are
/// logged above debug.
struct Field {
    std::string_view name;
    std::variant<std::int64_t, std::string_view> value;
};

/// What the field `side` says of a connection to a database or to Redis: changes go through it, or
/// lists come from it.
inline constexpr std::string_view side_changes = "changes", side_lists = "lists",
                                  side_exports = "exports";

/// To be called once, before threads start. Until then events from `info` up are written as text.
void configure(Level level, Format format);

/// Whether an event of this level is written: ask before building costly fields.
bool enabled(Level level);

/// Writes one event. Thread-safe. `message` is a fixed sentence, what varies goes into `fields`;
/// those that hold an empty text are left out.
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::debug, message, fields);
}
inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::info, message, fields);
}
inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::warn, message, fields);
}
inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(Level::error, message, fields);
}

}  // namespace coupond::log
