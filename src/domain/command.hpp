// What can be asked of coupond, and what the rules answer.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.hpp"
#include "domain/generation.hpp"
#include "domain/settings.hpp"
#include "domain/types.hpp"

namespace coupond {

// Commands. Their texts have passed `wire`, so they are valid UTF-8 within base/limits.hpp.

/// What a client says of a book. A date stands for a moment by the book's time zone.
struct BookWish : BookSettings {
    std::string starts_on = {};  ///< not empty: `starts_at` is when that day begins,
    std::string ends_on = {};    ///< `ends_at` when it ends; both valid for TimeZone::parse()
};

struct CreateBook : BookWish {};

struct EditBook {
    BookId book_id = 0;
    BookWish wish;
    BookMembers wished;  ///< those of its members that count
};

/// Its codes stop working.
struct ArchiveBook {
    BookId book_id = 0;
};

struct RestoreBook {
    BookId book_id = 0;
};

/// Takes in codes made elsewhere, all or none.
struct UploadCodes {
    std::optional<BookId> book_id;  ///< nothing: the only book there is
    std::vector<std::string> codes;
};

/// Begins a job that makes codes by the pattern of a book.
struct GenerateCodes {
    BookId book_id = 0;
    std::int64_t count = 0;       ///< 1 to limits::generated_codes
    CodeSettings wish;            ///< what all of them have
    std::string expires_on = {};  ///< not empty: `wish.expires_at` is when that day ends
    /// Nobody has asked for it: `count` is what BookSettings::auto_generate says, or what is left;
    /// where none are, the job has failed. Not where one is there already.
    bool automatic = false;
};

/// Adds codes that come from what a generator has been up to now: the next piece of a job; or, all
/// or none of them, what was asked for and waited for.
struct AddGenerated {
    /// Who works on a job.
    struct Piece {
        JobId job_id = 0;
        std::string worker;       ///< random: nobody else's
        Timestamp claimed_until;  ///< nobody else works on it before
        /// Another one than the job's begins it: its numbers are the generator's next ones, and the
        /// draft is empty. Else the draft has the codes of the round's next numbers; or, where it
        /// has none left, of the generator's.
        JobRound round = {};
        std::int64_t done = 0;      ///< numbers of the round before those of the draft,
        std::int64_t done_now = 0;  ///< and with them
        /// From 0 up to 1: where in the order in which free codes are given away the round begins.
        double turn = 0;
        bool is_last = false;  ///< there are no more codes, or they are not to be found
    };

    GenerateCodes asked;  ///< of a piece: only the book
    std::optional<Piece> piece = {};
    std::string code_pattern = {};  ///< what `draft` was made with: it must still be so
    Generator generator = {};
    CodeDraft draft = {};
    /// Hardly any of the codes can be there already: they are looked for only where it has turned
    /// out that one is. It changes nothing of what comes of it.
    bool expects_new = false;
};

/// Takes in the next part of a file of codes; the first one begins a job.
struct ReceiveFile {
    BookId book_id = 0;
    JobId job_id = 0;  ///< 0: there is none yet
    Import::Format format = Import::Format::csv;
    bool skips = false;
    std::string bytes;        ///< up to limits::import_part_bytes
    std::int64_t before = 0;  ///< bytes that were taken in before these
    bool ends = false;        ///< these are the last ones: the job begins
    std::string worker = {};  ///< as AddGenerated::Piece has it,
    Timestamp claimed_until;  ///< likewise
};

/// The next step of a job that brings in a file.
struct AddImported {
    BookId book_id = 0;
    JobId job_id = 0;
    std::string worker;                      ///< as AddGenerated::Piece has it,
    Timestamp claimed_until;                 ///< likewise
    bool is_lost = false;                    ///< the rest of the file will not come
    Import before;                           ///< what the job must still have,
    Import after;                            ///< and has then, but for the rows that are rejected
    std::optional<std::int64_t> rows = {};   ///< that the file has
    std::vector<ImportedCode> codes = {};    ///< to be added, each text once
    std::vector<RejectedRow> rejected = {};  ///< to be kept, if they are not yet
    std::int64_t rejected_count = 0;         ///< so many more are rejected
    bool expects_new = false;                ///< as AddGenerated has it
};

/// Removes a part of the file of a job that has ended.
struct RemoveParts {
    JobId job_id = 0;
};

/// Begins a job that draws QR codes of all codes of a book.
struct DrawImages {
    BookId book_id = 0;
    QrImages wish;  ///< what is asked for; the rest is left out
};

/// The next step of a job that draws QR codes.
struct AddImages {
    BookId book_id = 0;
    JobId job_id = 0;
    std::string worker;                      ///< as AddGenerated::Piece has it,
    Timestamp claimed_until;                 ///< likewise
    QrImages before;                         ///< what the job must still have,
    QrImages after;                          ///< and has then, but for those that have no image
    std::optional<std::int64_t> codes = {};  ///< so many does the book have
    bool is_anew = false;                    ///< none of its images are there any more
    std::int64_t drawn = 0;                  ///< images that are there since
    std::vector<RejectedRow> rejected = {};  ///< codes that have none; lines count all codes
    bool is_last = false;                    ///< there are no more codes
    bool is_refused = false;                 ///< where they are to be, they will not be taken
};

/// Codes that it has made or taken in so far stay, and images.
struct CancelJob {
    JobId job_id = 0;
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
    std::optional<Order> order = {};
    std::string lock_key = {};  ///< Lock::key; a live lock of the same user and key is extended
};

/// The same user's redemption of the same code for an order of the same id is done once.
struct RedeemCode {
    std::string code;
    std::string user_id;
    std::optional<Order> order = {};  ///< with an id
    std::string lock_key = {};        ///< which the lock must have
};

/// Several codes for one order, each once: all of them or none.
struct LockCodes {
    std::vector<std::string> codes;  ///< one to limits::order_codes
    std::string user_id;
    std::int64_t ttl_ms = 0;  ///< > 0
    std::optional<Order> order = {};
    std::string lock_key = {};  ///< Lock::key; a live lock of the same user and key is extended
};

/// As LockCodes. What each takes off the order is what discounts_on() says.
struct RedeemCodes {
    std::vector<std::string> codes;
    std::string user_id;
    Order order;                ///< with an id
    std::string lock_key = {};  ///< which the locks must have
};

/// Takes a redemption back; or only some of what it was worth.
struct RollBack {
    EntryId redemption_id = 0;
    std::string reason;                                ///< empty: none
    std::optional<std::int64_t> ten_thousandths = {};  ///< so much of the discount, > 0; nothing:
                                                       ///< all of it, and the use
};

struct EditCode {
    std::string code;
    CodeSettings wish;
    std::string expires_on = {};  ///< not empty: `wish.expires_at` is when that day ends
    CodeMembers wished;           ///< those of its members that count
};

/// Gives a lock back before its time.
struct UnlockCode {
    std::string code;
    std::string user_id;
    std::string lock_key = {};  ///< which the lock must have
};

/// Takes a code from whoever holds it.
struct UnassignCode {
    std::string code;
    std::optional<std::string> user_id;  ///< whose it must be; nothing: whoever's
};

/// Forgets a person: what was theirs is somebody's of whom nobody knows more than `erased_id`, and
/// their locks end. Who comes with the same id later is somebody new.
struct EraseUser {
    std::string user_id;
    std::string erased_id;  ///< random: nobody's id yet
};

using Command =
    std::variant<CreateBook, EditBook, ArchiveBook, RestoreBook, UploadCodes, GenerateCodes,
                 AddGenerated, ReceiveFile, AddImported, RemoveParts, DrawImages, AddImages,
                 CancelJob, AssignAny, AssignCode, LockCode, RedeemCode, LockCodes, RedeemCodes,
                 RollBack, EditCode, UnlockCode, UnassignCode, EraseUser>;

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
    code_pattern_unusable,   ///< codes cannot be made by it
    code_pattern_exhausted,  ///< it has not so many codes left
    job_not_found,
    job_finished,        ///< there is nothing to cancel
    job_adds_all,        ///< it is adding all of its codes, or none: it is too late to cancel it
    upload_interrupted,  ///< the file has not come whole
    images_refused,      ///< where they are to be, they are not taken
    rows_rejected,       ///< of a file of which all rows are to be taken in, or none
    no_available_coupons,
    code_not_found,
    already_redeemed,
    code_redemption_limit_reached,  ///< it may be redeemed more than once, and was as often
    assigned_to_another_user,
    not_assigned_to_user,
    already_locked,
    not_locked,
    lock_key_mismatch,  ///< it is locked by another key, or by none
    book_open,          ///< its codes are not assigned
    book_archived,
    book_inactive,
    book_not_started,
    book_ended,
    code_disabled,
    code_expired,
    not_combinable,
    order_required,
    order_currency_mismatch,
    order_below_minimum,
    user_assignment_limit_reached,
    redemption_limit_reached,
    budget_exhausted,
    user_redemption_limit_reached,
    redemption_not_found,
    already_rolled_back,
    amount_exceeds_discount,
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

/// Or archived, or restored; or it was as it should be already.
struct BookChanged {
    Book book;
    bool restored = false;
};

/// What is wrong with what a client wants: it contradicts itself, or what the book has besides.
enum class Fault {
    no_such_start,  ///< the book's time zone has no moment for that date
    no_such_end,
    no_such_expiry,
    ends_before_start,
    amount_too_fine,  ///< it has more decimals than its currency
    budget_without_currency,
    budget_too_fine,
    assignment_fixed,  ///< whether its codes are assigned is settled when the book is made,
    case_fixed,        ///< and how they are looked up
    blank_code,        ///< a code that is to be found however spelled has nothing to spell
    code_named_twice,  ///< of several codes for one order, by two spellings
};
inline constexpr Fault last_fault = Fault::code_named_twice;

struct Contradicted {
    std::vector<Fault> faults;  ///< one or more, each once
};

struct CodesUploaded {
    Book book;
    CodeId first_id = 0;             ///< the codes have this id and the ones after it,
    std::vector<std::string> codes;  ///< in the order sent
    Timestamp created_at;
    CodeSettings settings = {};  ///< of all of them
};

struct JobChanged {
    Job job;
    bool is_new = false;
};

/// All that were asked for.
struct CodesGenerated {
    CodesUploaded added;
    double guess_probability = 0;  ///< as Job has it
};

/// Nothing was done: the codes were drafted by what is no longer so. To be drafted anew.
struct DraftOutdated {
    std::size_t missing = 0;  ///< of its codes so many were there already, where it is that
};

/// Nothing was done: somebody else works on the job.
struct JobTaken {};

/// Nothing was done: a job adds its codes, all or none, and nobody else adds any meanwhile.
struct AddingElsewhere {};

/// Nothing was done: limits::unfinished_jobs wait already.
struct TooManyJobs {};

/// Parts of a file are gone.
struct PartsRemoved {};

struct CodeAssigned {
    Code code;
};

struct CodeLocked {
    Timestamp until;
};

struct CodeRedeemed {
    Code code;
    Redemption redemption;
    bool replayed = false;  ///< it was so already
};

/// Of several codes: the first that is refused, and why.
struct CodeRefused {
    Refusal refusal;
    std::string code;  ///< as it was asked for
};

struct CodesLocked {
    struct Lock {
        std::string code;
        Timestamp until;
    };
    std::vector<Lock> locks;  ///< in the order asked
};

struct CodesRedeemed {
    std::vector<Code> codes;  ///< in the order asked
    std::vector<Redemption> redemptions;
    bool replayed = false;  ///< they were so already
};

struct RolledBack {
    Redemption redemption;
};

struct CodeChanged {
    Code code;
};

struct CodeUnlocked {};

struct CodeUnassigned {
    Code code;
};

struct UserErased {};

using FirstOutcome =
    std::variant<Refusal, BookCreated, BookChanged, Contradicted, CodesUploaded, JobChanged,
                 CodesGenerated, CodeAssigned, CodeLocked, CodeRedeemed, CodeRefused, CodesLocked,
                 CodesRedeemed, RolledBack, CodeChanged, CodeUnlocked, CodeUnassigned, UserErased>;

/// The request was there before: what came of it then.
struct Replayed {
    FirstOutcome outcome;
    Timestamp decided_at;
    std::string request_id;
};

using Outcome = std::variant<Refusal, BookCreated, BookChanged, Contradicted, CodesUploaded,
                             JobChanged, CodesGenerated, DraftOutdated, JobTaken, AddingElsewhere,
                             TooManyJobs, PartsRemoved, CodeAssigned, CodeLocked, CodeRedeemed,
                             CodeRefused, CodesLocked, CodesRedeemed, RolledBack, CodeChanged,
                             CodeUnlocked, CodeUnassigned, UserErased, Replayed>;

}  // namespace coupond
