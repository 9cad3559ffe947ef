// What coupond should answer, written down from the contract as naively as possible: plain maps,
// one command at a time, nothing of src/ but the types that commands and answers are made of.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "domain/command.hpp"

namespace coupond::test {

/// The places of a book's members, as descriptions have them.
namespace place {
enum : std::size_t {
    name,
    code_pattern,
    max_redemptions_per_user,
    discount,
    description,
    active,
    starts_at,
    ends_at,
    time_zone,
    max_redemptions,
    budget,
    limits,
    max_assignments_per_user,
    max_redemptions_per_code,
    open,
    case_sensitive,
    lock_ttl_s,
    combinable,
    auto_generate,
    metadata
};
}  // namespace place

/// Those that the model knows, whose clocks are never changed.
inline constexpr std::array zones{"UTC", "Asia/Kathmandu", "America/Phoenix"};

/// When the day, week or month of `zone` began that `at` lies in; ever: -1.
std::int64_t begin(const std::string& zone, Per per, std::int64_t at);
/// When the next one does; not for ever.
std::int64_t next(const std::string& zone, Per per, std::int64_t at);

/// What coupond chose in an answer, where the contract leaves it the choice.
struct Given {
    std::string code;     ///< to an AssignAny; empty: none
    std::int64_t id = 0;  ///< to a book, to the first code of an upload, or to a redemption
    std::vector<std::int64_t> ids = {};  ///< to several redemptions
};

class Model {
public:
    struct CodeState {
        std::int64_t id = 0;
        std::int64_t book = 0;
        std::string holder;  ///< empty: free
        std::int64_t locked_until = 0;
        std::int64_t redeemed_at = 0;  ///< 0: not
        std::int64_t created_at = 0;
        bool active = true;
        std::int64_t expires_at = 0;  ///< 0: never
        std::string metadata = "{}";
        std::optional<std::int64_t> most =
            {};                ///< how often it may be redeemed, if it says so itself
        bool counted = false;  ///< has said so
        /// Of what is used of it besides itself: until when users have locked that.
        std::map<std::string, std::int64_t> uses = {};
        /// By which its holder, and those users, have locked; empty: by none.
        std::string lock_key = {};
        std::map<std::string, std::string> use_keys = {};
        bool lock_ended = false;           ///< by the erasure of its holder
        std::int64_t first_locked_at = 0;  ///< 0: never, or it is redeemed
        std::int64_t settled_at = 0;       ///< when its settings or its holder were taken from it

        bool works(std::int64_t at) const { return active && (expires_at == 0 || at < expires_at); }
    };
    struct BookState {
        std::string name, pattern;
        Limits limits_ever;
        std::map<Per, Limits> limits;  ///< of days, weeks and months
        std::optional<Discount> discount;
        std::string description;
        bool active = true;
        std::optional<std::int64_t> starts_at, ends_at;
        std::string zone = "UTC";
        std::optional<std::int64_t> ttl_s;
        bool combinable = true;
        std::optional<std::int64_t> most_held;  ///< by a user
        std::optional<std::int64_t> most_per_code = 1;
        bool open = false;
        bool case_sensitive = true;
        std::string metadata = "{}";
        std::optional<std::int64_t> archived_at;
        std::int64_t counted = 0;  ///< of what it has ever had limits: see counts_for()
        std::int64_t created_at = 0, updated_at = 0;

        Limits limits_per(Per per) const;

        bool operator==(const BookState&) const = default;
    };
    struct RedemptionState {
        std::string code;
        std::int64_t book = 0;
        std::string user;
        std::optional<Order> order;
        std::optional<Money> discount;
        std::int64_t given_back = 0;
        std::int64_t at = 0;
        std::int64_t rolled_back_at = 0;  ///< 0: it stands
        bool by_use = false;              ///< not of the code itself
    };
    /// A lock that counts for the limits of a book.
    struct CountedLock {
        std::int64_t book = 0;
        std::string user;
        std::int64_t until = 0;
        std::optional<Money> worth;
    };
    /// What the ledger should tell of a change.
    struct Change {
        std::string type;
        std::int64_t at = 0;
        std::int64_t book = 0;
        std::int64_t code = 0;   ///< the first one of an upload; 0: none
        std::int64_t codes = 0;  ///< of an upload
        std::string user = {};
        std::int64_t locked_until = 0;   ///< 0: nothing
        std::int64_t extended_from = 0;  ///< until when the lock that was extended was; 0: none was
        std::optional<Money> discount = {};
        std::string request = {};
        std::optional<Order> order = {};
        std::int64_t redemption = 0;  ///< that it is, or takes back of; 0: none
        std::string reason = {};
        std::string before = {}, after = {};  ///< of a book, or of a code's settings

        bool operator==(const Change&) const = default;
    };

    /// `ids_may_skip`: whether the next id may be any larger one, not only the next larger.
    explicit Model(bool ids_may_skip) : ids_may_skip_(ids_may_skip) {}

    /// What to answer, as text. The model checks that coupond was free to give what it has given.
    std::string apply(const Submission& submission, std::int64_t now, const Given& given);

    std::map<std::string, CodeState> codes;
    std::map<std::int64_t, BookState> books;
    std::map<std::int64_t, RedemptionState> redemptions;  ///< by id, also those rolled back
    /// By code; and user, where it is of a use beside the code's own.
    std::map<std::pair<std::string, std::string>, CountedLock> counted_locks;
    std::vector<Change> changes;  ///< in the order made
    /// How often limits of each kind have refused a redemption, or have begun anew for one: shows
    /// that they have been tested.
    std::map<std::string, int> met;

    struct Use {
        std::int64_t redeemed = 0;
        std::int64_t amount = 0;  ///< what is left of the discounts in some currency
    };
    /// What stands of the redemptions made in a book since then, by all users or by one.
    Use count_use(std::int64_t book, const std::string& user, std::int64_t since,
                  const std::optional<Currency>& currency) const;
    /// What locks that live at `now` would add to that.
    Use count_locks(std::int64_t book, const std::string& user, std::int64_t now,
                    const std::optional<Currency>& currency) const;

    /// How many redemptions of a code stand; without its own.
    std::int64_t count_uses(const std::string& code) const;

private:
    /// The id that follows `last`; `given`, where it may.
    /// The code that `code` names.
    std::string stored(const std::string& code) const;
    std::int64_t next_id(std::int64_t last, std::int64_t given) const;
    std::string create(const CreateBook& command, std::int64_t now, std::int64_t given_id);
    std::string edit(const EditBook& command, std::int64_t now);
    std::string archive(std::int64_t id, bool archived, std::int64_t now);
    std::string upload(const UploadCodes& command, std::int64_t now, std::int64_t given_id);
    std::string assign_any(const AssignAny& command, std::int64_t now, const std::string& given);
    std::string assign(const AssignCode& command, std::int64_t now);
    std::string lock(const LockCode& command, std::int64_t now);
    std::string lock(const LockCodes& command, std::int64_t now);
    std::string redeem(const RedeemCode& command, std::int64_t now, std::int64_t given_id);
    std::string redeem(const RedeemCodes& command, std::int64_t now,
                       const std::vector<std::int64_t>& given_ids);
    std::string roll_back(const RollBack& command, std::int64_t now);
    std::string edit(const EditCode& command, std::int64_t now);
    std::string unlock(const UnlockCode& command, std::int64_t now);
    std::string unassign(const UnassignCode& command, std::int64_t now);
    std::string erase(const EraseUser& command, std::int64_t now);

    std::string become(std::int64_t id, BookState wished, const std::string& type,
                       std::int64_t now);
    /// Whether a user may be given no more codes of a book.
    bool holds_most(std::int64_t book, const std::string& user) const;
    /// The answer to who may not: the code that they hold, where they may have but one.
    std::string held(std::int64_t book, const std::string& user, std::int64_t now) const;
    /// The reason why codes of a book are not given away; empty: they are.
    std::string closed(std::int64_t book, std::int64_t now) const;
    /// The reason why a code of no use; empty: it is.
    static std::string useless(const CodeState& code, std::int64_t now);
    /// The reason why a code can be neither locked nor redeemed; empty: it can.
    std::string unusable(const CodeState& code, std::int64_t now) const;
    /// The reason why a code of a book cannot be used for an order, or without one; empty: it can.
    std::string unfit(std::int64_t book, const std::optional<Order>& order) const;
    /// Who asks for a code, alone or among so many.
    struct Asked {
        std::string user;
        std::optional<Order> order;
        std::string lock_key;
        std::size_t codes = 1;
    };
    /// The reason why a code can be neither locked nor redeemed by who asks, whatever they send;
    /// empty: it can.
    std::string unavailable(const std::string& code, const Asked& asked, std::int64_t now) const;
    /// The reason why it cannot be locked, or redeemed, whatever the limits of its book are; empty:
    /// it can.
    std::string unlockable(const std::string& code, const Asked& asked, std::int64_t now);
    std::string unredeemable(const std::string& code, const Asked& asked, std::int64_t now);
    /// Whether it has the lock already that it asks for.
    bool extends(const std::string& code, const Asked& asked, std::int64_t now);
    /// Locks it, and says until when.
    std::int64_t take_lock(const std::string& code, const Asked& asked, std::int64_t ttl_ms,
                           const std::optional<Money>& worth, std::int64_t now);
    /// Redeems it, and shows the redemption.
    std::string take_redemption(const std::string& code, const Asked& asked,
                                const std::optional<Money>& worth, std::int64_t now,
                                std::int64_t given_id);
    /// What was redeemed for the same order before, and stands; 0: nothing was.
    std::int64_t same(const std::string& code, const Asked& asked) const;
    std::vector<std::string> stored(const std::vector<std::string>& codes) const;
    /// The reason why several codes, which are those, cannot be locked or redeemed; empty: they
    /// can. `worth` is of each.
    std::string refuse_all(const std::vector<std::string>& named, const Asked& asked,
                           std::vector<std::optional<Money>>& worth, std::int64_t now, bool locks);
    /// What each of them takes off an order; without one, what it is worth alone.
    std::vector<std::optional<Money>> shares(const std::vector<std::string>& codes,
                                             const std::optional<Order>& order) const;
    /// The lock that counts of those a user has of a code; null: none does.
    const CountedLock* held(const std::string& text, const std::string& user, std::int64_t now);
    /// The reason why the limits of a book do not let a user redeem what is worth that, or lock it,
    /// besides what the same command does in that book; empty: they do. `own`: the lock that they
    /// have on it. `released`: those of the locks that the command ends.
    std::string limited(std::int64_t book, const std::string& user,
                        const std::optional<Money>& worth, std::int64_t now, bool locks,
                        const CountedLock* own, const Use& besides, const Use& released);
    /// The same of a lock, and what it is worth then, by its order, if it has one.
    std::string unplaced(const std::string& text, const Asked& asked, std::optional<Money>& worth,
                         std::int64_t now, const Use& besides, const Use& released);
    /// The place in counted_locks of the lock that a user has, or takes, of a code.
    std::pair<std::string, std::string> place_of(const std::string& text, const CodeState& code,
                                                 const std::string& user, std::int64_t now) const;
    Change& enter(const std::string& type, const CodeState& code, std::int64_t now);
    /// How often a code may be redeemed; nothing: no limit.
    std::optional<std::int64_t> most_of(const CodeState& code) const;
    /// The reason why a code cannot be redeemed once more; empty: it can.
    std::string used_up(const std::string& text, const CodeState& code) const;
    /// Whether a user who locks or redeems a code does so beside the code itself.
    bool by_use(const CodeState& code, const std::string& user, std::int64_t now) const;
    /// By which key.
    std::string& key_of(CodeState& code, const std::string& user, std::int64_t now) const;
    /// Until when a user has locked a code, by itself or beside it.
    std::int64_t locked_until(const CodeState& code, const std::string& user,
                              std::int64_t now) const;

    const bool ids_may_skip_;
    std::int64_t last_code_id_ = 0;
    std::string request_;  ///< of the command that is being applied
};

/// coupond's answer as the text that the model gives.
std::string describe(const Outcome& outcome, std::int64_t now);

/// What coupond says of a book, or of what clients set of a code, as the text of the model.
std::string shown(const Book& book);
std::string shown(const CodeSettings& settings);

/// What coupond says of a redemption, as the text of the model; and what the model does.
std::string shown(const Redemption& redemption);
std::string shown(std::int64_t id, const Model::RedemptionState& state);

/// And the other way round; without its id and its last entry.
Book as_book(const Model::BookState& state);
CodeSettings as_settings(const Model::CodeState& state);

Given given(const Outcome& outcome);

}  // namespace coupond::test
