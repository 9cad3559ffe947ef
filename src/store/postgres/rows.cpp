#include <endian.h>

#include <bit>
#include <charconv>
#include <cstring>

#include "base/check.hpp"
#include "store/postgres/connection.hpp"
#include "store/postgres/libpq.hpp"

namespace coupond::postgres {

void Rows::Clear::operator()(pg_result* result) const {
    libpq().PQclear(result);
}

int Rows::size() const {
    return libpq().PQntuples(result_.get());
}

bool Rows::is_null(int row, int column) const {
    return libpq().PQgetisnull(result_.get(), row, column) != 0;
}

std::int64_t Rows::integer(int row, int column) const {
    const std::string_view bytes = text(row, column);
    COUPOND_CHECK(bytes.size() == 2 || bytes.size() == 4 || bytes.size() == 8);
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    if (bytes.size() == 2) return static_cast<std::int16_t>(value);
    if (bytes.size() == 4) return static_cast<std::int32_t>(value);
    return static_cast<std::int64_t>(value);
}

double Rows::real(int row, int column) const {
    return std::bit_cast<double>(integer(row, column));
}

bool Rows::boolean(int row, int column) const {
    const std::string_view bytes = text(row, column);
    COUPOND_CHECK(bytes.size() == 1);
    return bytes[0] != 0;
}

std::string_view Rows::text(int row, int column) const {
    const Libpq& pq = libpq();
    return {pq.PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(pq.PQgetlength(result_.get(), row, column))};
}

std::optional<std::int64_t> Rows::optional_integer(int row, int column) const {
    return is_null(row, column) ? std::nullopt : std::optional(integer(row, column));
}

std::optional<std::string> Rows::optional_text(int row, int column) const {
    return is_null(row, column) ? std::nullopt : std::optional<std::string>(text(row, column));
}

std::int64_t Rows::changes() const {
    const std::string_view digits = libpq().PQcmdTuples(result_.get());
    std::int64_t changes = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), changes);
    return changes;
}

std::string_view Rows::command() const {
    return libpq().PQcmdStatus(result_.get());
}

}  // namespace coupond::postgres
