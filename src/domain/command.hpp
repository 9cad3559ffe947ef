// What can be asked of coupond, and what the rules answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.hpp"
#include "domain/types.hpp"

namespace coupond {

// Commands. Their texts have passed `wire`, so they are valid UTF-8 within base/limits.hpp.

struct CreateBook {
    std::string name;
    std::string code_pattern;
    std::optional<std::int64_t> max_redemptions_per_user;
    std::optional<std::int64_t> discount_cents;
};

/// Takes in codes made elsewhere, all or none.
struct UploadCodes {
    std::optional<BookId> book_id;  ///< nothing: the only book there is
    std::vector<std::string> codes;
};

/// Gives any free code to a user.
struct AssignAny {
    std::string user_id;
    std::optional<BookId> book_id;  ///< nothing: of any book
};

struct AssignCode {
    std::string code;
    std::string user_id;
};

struct LockCode {
    std::string code;
    std::string user_id;
    std::int64_t ttl_ms = 0;  ///< > 0
};

struct RedeemCode {
    std::string code;
    std::string user_id;
};

/// Forgets a person: what was theirs is somebody's of whom nobody knows more than `erased_id`, and
/// their locks end. Who comes with the same id later is somebody new.
struct EraseUser {
    std::string user_id;
    std::string erased_id;  ///< random: nobody's id yet
};

using Command =
    std::variant<CreateBook, UploadCodes, AssignAny, AssignCode, LockCode, RedeemCode, EraseUser>;

/// What tells a request that is repeated from another one
/// (draft-ietf-httpapi-idempotency-key-header).
struct Idempotency {
    std::string key;
    Digest fingerprint{};  ///< of all that the request says
};

/// A command as it came in.
struct Submission {
    Command command;
    std::string request_id;  ///< for the ledger
    std::optional<Idempotency> idempotency = {};
};

/// Why a rule says no. An outcome, not an error.
enum class Refusal {
    book_not_found,
    book_required,  ///< no book named, and there is not exactly one
    codes_already_exist,
    no_available_coupons,
    code_not_found,
    already_redeemed,
    assigned_to_another_user,
    not_assigned_to_user,
    already_locked,
    not_locked,
    user_redemption_limit_reached,
    user_not_found,
    idempotency_key_reused,   ///< for another request
    first_answer_unreadable,  ///< to a repeated request: another version of coupond has kept it
};

/// The name of the enumerator.
std::string_view to_string(Refusal refusal);
/// Nothing where there is none of that name.
std::optional<Refusal> refusal_of(std::string_view name);

struct BookCreated {
    Book book;
};

struct CodesUploaded {
    Book book;
    CodeId first_id = 0;             ///< the codes have this id and the ones after it,
    std::vector<std::string> codes;  ///< in the order sent
    Timestamp created_at;
};

struct CodeAssigned {
    Code code;
};

struct CodeLocked {
    Timestamp until;
};

struct CodeRedeemed {
    Code code;
};

struct UserErased {};

using FirstOutcome = std::variant<Refusal, BookCreated, CodesUploaded, CodeAssigned, CodeLocked,
                                  CodeRedeemed, UserErased>;

/// The request was there before: what came of it then.
struct Replayed {
    FirstOutcome outcome;
    Timestamp decided_at;
    std::string request_id;
};

using Outcome = std::variant<Refusal, BookCreated, CodesUploaded, CodeAssigned, CodeLocked,
                             CodeRedeemed, UserErased, Replayed>;

}  // namespace coupond
