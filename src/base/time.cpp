#include "base/time.hpp"

#include <chrono>

#include "base/check.hpp"

namespace coupond {
namespace {

char* put_digits(char* out, unsigned value, int width) {
    for (int i = width - 1; i >= 0; --i) {
        out[i] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
    return out + width;
}

}  // namespace

void append_iso8601(std::string& out, Timestamp at) {
    using namespace std::chrono;
    const sys_time<milliseconds> time{milliseconds{at.ms}};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss<milliseconds> clock{time - day};
    const int year = static_cast<int>(date.year());
    COUPOND_CHECK(year >= 0 && year <= 9999);

    char text[24];
    char* p = put_digits(text, static_cast<unsigned>(year), 4);
    *p++ = '-';
    p = put_digits(p, static_cast<unsigned>(date.month()), 2);
    *p++ = '-';
    p = put_digits(p, static_cast<unsigned>(date.day()), 2);
    *p++ = 'T';
    p = put_digits(p, static_cast<unsigned>(clock.hours().count()), 2);
    *p++ = ':';
    p = put_digits(p, static_cast<unsigned>(clock.minutes().count()), 2);
    *p++ = ':';
    p = put_digits(p, static_cast<unsigned>(clock.seconds().count()), 2);
    *p++ = '.';
    p = put_digits(p, static_cast<unsigned>(clock.subseconds().count()), 3);
    *p = 'Z';
    out.append(text, sizeof text);
}

std::string format_iso8601(Timestamp at) {
    std::string text;
    append_iso8601(text, at);
    return text;
}

Timestamp SystemClock::now() const {
    using namespace std::chrono;
    return {duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count()};
}

}  // namespace coupond
