#include "ctl/topics.hpp"

namespace coupond::ctl {

const std::array<Topic, 6> topics{{
    {"patterns", "What codes look like",
     R"(A pattern is text in which braces stand for what is different in each code:

  {6}          6 random characters out of A-Z and 2-9, without I, L and O
  {6:digits}   digits; also letters, alnum and hex
  {6:[ABC23]}  characters of one's own
  {check}      a check character: every single mistyped character, and every two
               that changed places, is refused before the database is asked
  \{           a brace

  couponctl book create --name Summer --pattern 'SUMMER-{6}{check}'

How likely a guess is a code of the book is told with each job that makes some; with
more than one in a million there is a warning: take more random characters.
)"},
    {"limits", "How often codes may be redeemed",
     R"(A book may limit its redemptions: of each code (--max-redemptions-per-code, 1 unless
said otherwise), of each user (--max-redemptions-per-user), of all together
(--max-redemptions), and what all discounts come to (--budget); a day likewise
(--max-redemptions-a-day, --budget-a-day), in the book's --time-zone.

Locks count: what live locks would use up is not there for the next one. A limit that is
lowered below what is used takes effect at once; what was redeemed stays redeemed.

  couponctl book edit 1 --max-redemptions 10000 --budget 50000
)"},
    {"locks", "From a code to a redemption",
     R"(A code belongs to a user (assign), who locks it while paying (lock) and redeems it then
(redeem). A lock ends by itself after some minutes, or by unlock.

  couponctl assign --book 1 --user ann
  couponctl lock SUMMER-K7P2QX --user ann
  couponctl redeem SUMMER-K7P2QX --user ann --order 17 --amount 50 --currency EUR

With --lock-key a lock is one's own: with the same key it can be extended, with another
one it is refused. The same redemption again, for the same order, answers with the first.
Whatever is lost on the way, a command is done once: couponctl tries again under the
same Idempotency-Key.
)"},
    {"times", "Days and times",
     R"(A time is a day, 2027-08-31, or a day with a time and its offset from UTC:
2027-08-31T18:00:00+02:00, 2027-08-31T16:00:00Z.

A day where something begins is from its start on, a day where it ends counts whole: both
in the time zone of the book (--time-zone, UTC unless it says otherwise), also where the
clocks change. Tables show local times, or UTC with --utc; the API answers in UTC.

  couponctl book edit 1 --starts-at 2027-06-01 --ends-at 2027-08-31 --time-zone Europe/Berlin
)"},
    {"files", "Where servers and profiles come from",
     R"(A server is named by --server, by COUPOND_URL, or by a profile; else it is
http://127.0.0.1:3000. A profile is named by --profile or COUPONCTL_PROFILE, else it is
default. Profiles are tables of $XDG_CONFIG_HOME/couponctl/config.toml, which is mostly
~/.config/couponctl/config.toml, and set server, root_certificate and output:

  couponctl config set server https://coupons.example --profile shop

Colours are left out where NO_COLOR is set, and where nobody sees them.
)"},
    {"exit", "What couponctl ends with",
     R"(  0    done
  1    refused by the server: the reason and its code are on stderr
  2    the command does not fit, or a file cannot be read or written
  3    no answer from the server, or none that is coupond's; or it stayed busy
  130  interrupted: what goes on, and how to go on with it, is on stderr
)"},
}};

}  // namespace coupond::ctl
