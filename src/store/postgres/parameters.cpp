#include "store/postgres/parameters.hpp"

#include <endian.h>

#include <bit>
#include <cstring>

#include "base/check.hpp"

namespace coupond::postgres {
namespace {

constexpr std::array<std::uint32_t, 5> oids = {20, 25, 27, 17,
                                               701};  // of the enumerators of Array::Of
constexpr std::size_t header_bytes = 20;
constexpr std::size_t empty_bytes = 12;  // an array without elements has no dimension

void append(std::string& out, std::uint32_t value) {
    const std::uint32_t ordered = htobe32(value);
    out.append(reinterpret_cast<const char*>(&ordered), sizeof ordered);
}

std::int64_t network_order(std::int64_t value) {
    return static_cast<std::int64_t>(htobe64(static_cast<std::uint64_t>(value)));
}

}  // namespace

Array::Array(Of type) : type_(type), bytes_(header_bytes, '\0') {}

void Array::add(std::int64_t value) {
    COUPOND_CHECK(type_ == Of::bigint);
    add_bytes(value);
}

void Array::add(double value) {
    COUPOND_CHECK(type_ == Of::real);
    add_bytes(std::bit_cast<std::int64_t>(value));
}

void Array::add_bytes(std::int64_t value) {
    ++size_;
    append(bytes_, sizeof value);
    const std::int64_t ordered = network_order(value);
    bytes_.append(reinterpret_cast<const char*>(&ordered), sizeof ordered);
}

void Array::add(std::string_view value) {
    COUPOND_CHECK(type_ == Of::text || type_ == Of::bytea);
    ++size_;
    append(bytes_, static_cast<std::uint32_t>(value.size()));
    bytes_.append(value);
}

void Array::add(const Place& place) {
    COUPOND_CHECK(type_ == Of::place);
    ++size_;
    append(bytes_, std::uint32_t{sizeof place});
    bytes_.append(place.data(), place.size());
}

void Array::add_null() {
    ++size_;
    append(bytes_, UINT32_MAX);
    has_null_ = true;
}

std::string_view Array::encoded() {
    // Dimensions, whether there are nulls, the type; of the dimension: its size, its first index.
    std::string header;
    append(header, size_ == 0 ? 0 : 1);
    append(header, has_null_ ? 1 : 0);
    append(header, oids[static_cast<std::size_t>(type_)]);
    append(header, static_cast<std::uint32_t>(size_));
    append(header, 1);
    bytes_.replace(0, header_bytes, header);
    return std::string_view(bytes_).substr(0, size_ == 0 ? empty_bytes : bytes_.size());
}

void Parameters::add(std::int64_t value) {
    std::int64_t& number = numbers_[static_cast<std::size_t>(count_)];
    number = network_order(value);
    add(std::string_view(reinterpret_cast<const char*>(&number), sizeof number));
}

void Parameters::add(const std::optional<std::int64_t>& value) {
    if (value) return add(*value);
    values_[static_cast<std::size_t>(count_++)] = nullptr;
}

void Parameters::add(const std::optional<std::string>& value) {
    if (value) return add(std::string_view(*value));
    values_[static_cast<std::size_t>(count_++)] = nullptr;
}

void Parameters::add(std::string_view value) {
    const auto i = static_cast<std::size_t>(count_++);
    values_[i] = value.data() == nullptr ? "" : value.data();
    lengths_[i] = static_cast<int>(value.size());
}

const int* Parameters::formats() const {
    static const std::array<int, most> binary = [] {
        std::array<int, most> all{};
        all.fill(1);
        return all;
    }();
    return binary.data();
}

}  // namespace coupond::postgres
