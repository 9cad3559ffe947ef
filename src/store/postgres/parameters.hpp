// What is sent with a statement, in PostgreSQL's binary form.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace coupond::postgres {

/// Where a version of a row stands in its table: PostgreSQL's ctid.
using Place = std::array<char, 6>;

/// One column of many rows: a bigint[], a text[], a tid[], a bytea[] or a double precision[].
class Array {
public:
    enum class Of { bigint, text, place, bytea, real };

    explicit Array(Of type);

    void add(std::int64_t value);
    void add(double value);
    void add(std::string_view value);
    void add(const Place& place);
    void add(Timestamp at) { add(at.ms); }
    void add_null();
    template <class T>
    void add(const std::optional<T>& value) {
        value ? add(*value) : add_null();
    }
    std::size_t size() const { return size_; }

    /// Its binary form, good until the next add().
    std::string_view encoded();

private:
    void add_bytes(std::int64_t value);

    Of type_;
    std::size_t size_ = 0;
    bool has_null_ = false;
    std::string bytes_;  ///< begins with room for the header
};

struct BigintArray : Array {
    BigintArray() : Array(Of::bigint) {}
};
struct TextArray : Array {
    TextArray() : Array(Of::text) {}
};

struct ByteaArray : Array {
    ByteaArray() : Array(Of::bytea) {}
};
struct RealArray : Array {
    RealArray() : Array(Of::real) {}
};
struct PlaceArray : Array {
    PlaceArray() : Array(Of::place) {}
};

/// The parameters $1, $2, ... of a statement. Arrays and texts must live as long as it.
class Parameters {
public:
    static constexpr std::size_t most = 22;

    template <class... Values>
    explicit Parameters(Values&&... values) {
        static_assert(sizeof...(Values) <= most);
        (add(values), ...);
    }
    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;

    int count() const { return count_; }
    const char* const* values() const { return values_.data(); }
    const int* lengths() const { return lengths_.data(); }
    const int* formats() const;  ///< all binary

private:
    void add(Array& array) { add(array.encoded()); }
    void add(std::int64_t value);
    void add(std::string_view value);
    void add(const std::optional<std::int64_t>& value);
    void add(const std::optional<std::string>& value);
    void add(const std::string& value) { add(std::string_view(value)); }

    int count_ = 0;
    std::array<const char*, most> values_{};
    std::array<int, most> lengths_{};
    std::array<std::int64_t, most> numbers_{};  ///< in network order
};

}  // namespace coupond::postgres
