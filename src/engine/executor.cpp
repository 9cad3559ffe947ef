#include "engine/executor.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <ranges>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "base/check.hpp"
#include "base/log.hpp"

namespace coupond {
namespace {

/// Whether it takes a lock or gives one back, and does nothing else.
bool changes_locks(const Command& command) {
    return std::holds_alternative<LockCode>(command) ||
           std::holds_alternative<LockCodes>(command) ||
           std::holds_alternative<UnlockCode>(command);
}

/// What a batch changes of locks that are kept outside the store: all but those of uses of codes.
struct LockDelta {
    std::vector<LockChange> acquired, released;

    explicit LockDelta(Delta& delta) {
        delta.locks.clear();
        for (const CodeRow* const row : delta.changed_codes) {
            if (row->code.use_of) continue;
            if (row->first_locked && row->code.lock) delta.first_locks.push_back(row->code.id);
            // The row loses what lock_count has of it; a note of a first lock is not in there.
            if ((row->redeemed || row->unassigned) && row->stored_lock &&
                delta.at < *row->stored_lock) {
                --delta.locks[{row->code.book_id, *row->stored_lock}];
            }
        }
        take(delta.new_codes, delta.at);
        take(delta.changed_codes, delta.at);
        std::erase_if(delta.changed_codes, [](const CodeRow* row) {
            return !row->assigned && !row->redeemed && !row->rewritten && !row->rolled_back &&
                   !row->code.use_of;
        });
        for (LedgerEntry& entry : delta.entries) {
            const bool of_lock = entry.type == LedgerEntry::Type::code_locked ||
                                 entry.type == LedgerEntry::Type::code_unlocked;
            if (of_lock && !entry.use_of) entry.previous.reset();
        }
    }

private:
    void take(std::span<CodeRow* const> rows, Timestamp at) {
        for (CodeRow* const row : rows) {
            Code& code = row->code;
            if (code.use_of) continue;  // its lock is kept in the store
            if (row->lock_ended) code.lock.reset();
            if (row->lock_changed) {
                (code.lock ? acquired : released)
                    .push_back({code.code, code.book_id, code.lock, row->lock_extended});
            }
            code.lock.reset();
            // As a lock that has ended with that, as where locks are kept in the store.
            if (row->rolled_back && !code.redeemed_at && code.assigned_to) {
                code.lock = Lock{*code.assigned_to, at};
            }
            const bool keeps_note = row->rewritten && !row->redeemed && !row->unassigned;
            if (keeps_note && row->stored_lock) {
                code.lock = Lock{code.assigned_to.value_or(""), *row->stored_lock};
            }
        }
    }
};

class Executor {
public:
    Executor(Store& store, Locks* locks, const Clock& clock)
        : store_(store), locks_(locks), clock_(clock) {}

    void run(std::span<const Submission* const> commands, std::span<Executed> results) {
        const Result<void> done = try_as_one(commands, results);
        if (done || commands.size() == 1) return;
        if (lock_failure_ != LockFailure::none) {
            run_what_needs_no(lock_failure_, commands, results);
        } else if (done.error() == Failure::refused || done.error() == Failure::conflict) {
            // One of them carries what the database does not take, or needs what another one of
            // them makes: halve until it stands alone.
            const std::size_t half = commands.size() / 2;
            run(commands.first(half), results.first(half));
            run(commands.subspan(half), results.subspan(half));
        }
    }

private:
    /// What the locks have failed at.
    enum class LockFailure { none, reading, reading_of_users, taking };

    /// Fills `results`; fails where they all hold that failure, or with a conflict that stayed,
    /// where there are several commands. The store keeps nothing open afterwards.
    Result<void> try_as_one(std::span<const Submission* const> commands,
                            std::span<Executed> results) {
        const Result<void> done = try_until_saved(commands, results);
        if (!done) store_.save({});  // of a load that nothing was saved after
        return done;
    }

    Result<void> try_until_saved(std::span<const Submission* const> commands,
                                 std::span<Executed> results) {
        std::size_t pool_factor = 1;
        bool counts_locks = false;
        lock_failure_ = LockFailure::none;
        spellings_.clear();
        for (int reruns = 0; reruns <= limits::batch_reruns && !late(); ++reruns) {
            // Where it meets a conflict, that may be for a code that was expected to be new.
            const bool trusting = reruns == 0;
            Needs needed = needs(commands, clock_.now(), pool_factor, trusting);
            // Where others are alone again and again, so is who meets that.
            const bool disturbed = reruns >= limits::batch_reruns / 2;
            if (!spellings_.empty()) respell(needed);
            needed.counts_locks = counts_locks;
            needed.alone |= locks_ != nullptr && (needed.takes_locks || disturbed);
            std::vector<std::string_view> codes;
            if (locks_ != nullptr) {
                for (const Needs::CodeNeed& need : needed.codes) codes.push_back(need.code);
            }
            // Before the codes: a code that was redeemed in between then shows as redeemed, not as
            // one whose lock is gone. But after them where nobody else takes one from then on.
            Result<std::vector<std::optional<Lock>>> locks = std::vector<std::optional<Lock>>();
            if (!needed.alone) locks = load_locks(commands, codes);
            if (!locks) return fail_locks(LockFailure::reading, results, locks.error());
            Result<World> world = store_.load(needed);
            if (!world && world.error() == Failure::conflict) continue;
            if (!world) return fail(results, world.error());
            if (!world->spellings.empty()) {
                spellings_.merge(world->spellings);
                continue;
            }
            world->spellings = spellings_;
            if (!codes.empty() && !needed.alone && world->others_were_alone) continue;
            if (locks_ != nullptr && !needed.redemptions.empty()) {
                const Result<void> released = release_used(*world, needed);
                if (!released && released.error() == Failure::conflict) continue;
                if (!released) return fail(results, released.error());
            }
            if (needed.alone) locks = load_locks(commands, codes);
            if (!locks) return fail_locks(LockFailure::reading, results, locks.error());
            if (!needed.alone) {
                const Result<bool> still = are_still_held(*world, codes, *locks);
                if (!still) return fail_locks(LockFailure::reading, results, still.error());
                if (!*still) continue;
            }
            left_behind_.clear();
            put_locks(*world, codes, std::move(*locks));
            if (locks_ != nullptr) {
                const Result<void> loaded = load_locks_of_users(*world, codes);
                if (!loaded) {
                    return fail_locks(LockFailure::reading_of_users, results, loaded.error());
                }
            }
            const Timestamp now = clock_.now();
            // Days begin at such moments: what was counted of one is of no use on the next.
            if (activity_period(needed.at) != activity_period(now)) continue;
            Decision decision = decide(*world, commands, now);
            if (decision.shortage) {
                pool_factor *= 4;
                continue;
            }
            if (decision.unforeseen) {
                COUPOND_CHECK(commands.size() > 1);
                return Failure::conflict;
            }
            if (decision.locks_uncounted) {
                counts_locks = true;
                continue;
            }
            const Result<void> saved = save(decision.delta, now);
            if (!saved && saved.error() == Failure::conflict) continue;
            if (!saved) return fail(results, saved.error());
            COUPOND_CHECK(decision.outcomes.size() == results.size());
            for (std::size_t i = 0; i < results.size(); ++i) {
                results[i] = {std::move(decision.outcomes[i]), now};
            }
            return {};
        }
        if (commands.size() > 1 && !late()) return Failure::conflict;
        log::warn("gave up on commands that met conflicts or lost connections each time",
                  {{"commands", static_cast<std::int64_t>(commands.size())}});
        return fail(results, Failure::unavailable);
    }

    /// The code that `code` is a spelling of, as far as that is known; or itself.
    std::string_view stored(std::string_view code) const {
        const auto spelled = spellings_.find(code);
        return spelled == spellings_.end() ? code : std::string_view(spelled->second);
    }

    void respell(Needs& needed) const {
        for (Needs::CodeNeed& need : needed.codes) need.code = stored(need.code);
        for (Needs::OrderNeed& need : needed.orders) need.code = stored(need.code);
        for (Needs::HoldingNeed& need : needed.holdings) need.code = stored(need.code);
    }

    /// Locks are released after what is saved, and taken before it, so that whatever fails in
    /// between leaves a lock too many rather than one too few. They are taken in batches that save
    /// nothing but their entries in the ledger, what is remembered, locks of uses of codes
    /// (rounds_of) and what counts for limits, so that conflicts are few: what is given back might
    /// have been used by its holder meanwhile.
    Result<void> save(Delta& delta, Timestamp now) {
        if (locks_ == nullptr) return store_.save(delta);
        LockDelta locks(delta);
        locks.released.insert(locks.released.end(), left_behind_.begin(), left_behind_.end());
        if (!locks.acquired.empty()) {
            const Result<void> acquired = locks_->acquire(locks.acquired, now);
            if (!acquired) {
                if (acquired.error() != Failure::conflict) lock_failure_ = LockFailure::taking;
                return acquired;
            }
        }
        const Result<void> saved = store_.save(delta);
        if (saved && !locks.released.empty()) locks_->release(locks.released, now);
        if (!saved && saved.error() != Failure::indeterminate) give_back(locks.acquired, now);
        return saved;
    }

    /// Not those of an idempotency key: the request may have been repeated elsewhere meanwhile,
    /// taken its lock over and been answered. Where it has not been, it will find it again. Nor
    /// those that were there before, and their holder relies on.
    void give_back(std::vector<LockChange>& acquired, Timestamp now) {
        std::erase_if(acquired, [](const LockChange& change) {
            return change.lock && (change.extends || !change.lock->idempotency_key.empty());
        });
        if (!acquired.empty()) locks_->release(acquired, now);
    }

    Result<std::vector<std::optional<Lock>>> load_locks(std::span<const Submission* const> commands,
                                                        std::span<const std::string_view> codes) {
        if (codes.empty()) return std::vector<std::optional<Lock>>();
        auto found = locks_->load(codes);
        if (!found) return found;
        const Result<void> named = name_locks(commands, codes, *found);
        if (!named) return named.error();
        return found;
    }

    /// Whether the locks that were read before the rows are there still, of codes that the rows
    /// show as not redeemed: a code may have been redeemed by its lock in between, and that been
    /// taken back, so that the lock is of no use any more.
    Result<bool> are_still_held(World& world, std::span<const std::string_view> codes,
                                std::span<const std::optional<Lock>> locks) {
        std::vector<std::string_view> asked;
        std::vector<const Lock*> held;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const CodeRow* const row = locks[i] ? world.find(codes[i]) : nullptr;
            if (row == nullptr || row->code.redeemed_at) continue;
            asked.push_back(codes[i]);
            held.push_back(&*locks[i]);
        }
        if (asked.empty()) return true;
        const auto found = locks_->load_more(asked);
        if (!found) return found.error();
        return std::ranges::equal(held, *found, [](const Lock* lock, const auto& now) {
            return now && now->user_id == lock->user_id && now->until == lock->until;
        });
    }

    /// Fills in the keys of locks that commands of their holders' meet with keys of their own.
    Result<void> name_locks(std::span<const Submission* const> commands,
                            std::span<const std::string_view> codes,
                            std::span<std::optional<Lock>> found) {
        std::set<std::pair<std::string_view, std::string_view>> askers;  // codes and users
        for (const Submission* const submission : commands) {
            if (!submission->idempotency) continue;
            if (const auto* const lock = std::get_if<LockCode>(&submission->command)) {
                askers.emplace(stored(lock->code), lock->user_id);
            } else if (const auto* const several = std::get_if<LockCodes>(&submission->command)) {
                for (const std::string& code : several->codes) {
                    askers.emplace(stored(code), several->user_id);
                }
            }
        }
        if (askers.empty()) return {};
        std::vector<std::string_view> asked;
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < codes.size(); ++i) {
            if (!found[i] || !askers.contains({codes[i], found[i]->user_id})) continue;
            asked.push_back(codes[i]);
            places.push_back(i);
        }
        if (asked.empty()) return {};
        Result<std::vector<std::string>> keys = locks_->idempotency_keys(asked);
        if (!keys) return keys.error();
        for (std::size_t i = 0; i < places.size(); ++i) {
            found[places[i]]->idempotency_key = std::move((*keys)[i]);
        }
        return {};
    }

    /// Of codes of users who are to be erased, or may be told of one that they hold, besides those
    /// `asked` for. After the rows, for nobody could name the codes before.
    Result<void> load_locks_of_users(World& world, std::span<const std::string_view> asked) {
        std::vector<std::string_view> codes;
        const std::unordered_set<std::string_view> known(asked.begin(), asked.end());
        for (const auto& [user_id, rows] : world.users) {
            for (const CodeRow* const row : rows) {
                if (!row->code.use_of) codes.push_back(row->code.code);
            }
        }
        for (const auto& [place, holding] : world.holdings) {
            const CodeRow* const first = holding.first;
            if (first == nullptr || first->code.redeemed_at) continue;
            if (!known.contains(first->code.code)) codes.push_back(first->code.code);
        }
        if (codes.empty()) return {};
        auto loaded = asked.empty() ? locks_->load(codes) : locks_->load_more(codes);
        if (!loaded) return loaded.error();
        put_locks(world, codes, std::move(*loaded));
        return {};
    }

    /// Releases the locks by which codes were redeemed whose redemptions are to be rolled back, as
    /// far as they have not been yet: afterwards they would be a lock to redeem by again. Where
    /// there is no reaching them, they end by themselves. Where there are some, loads `world`
    /// again: a redemption that stands then stood when the lock was read, which is nobody else's.
    Result<void> release_used(World& world, const Needs& needed) {
        std::vector<EntryId> standing;
        std::vector<std::string> codes;
        for (const EntryId id : needed.redemptions) {
            const Redemption* const redemption = world.find_redemption(id);
            const bool stands = redemption != nullptr && !redemption->rolled_back_at;
            if (!stands || redemption->use_of) continue;
            standing.push_back(id);
            codes.push_back(redemption->code);
        }
        if (codes.empty()) return {};
        const auto found = locks_->load(std::vector<std::string_view>(codes.begin(), codes.end()));
        const auto is_there = [](const std::optional<Lock>& lock) { return lock.has_value(); };
        if (!found || std::ranges::none_of(*found, is_there)) return {};
        Result<World> again = store_.load(needed);
        if (!again) return again.error();
        world = std::move(*again);
        std::vector<LockChange> used;
        for (std::size_t i = 0; i < standing.size(); ++i) {
            const Redemption* const redemption = world.find_redemption(standing[i]);
            if (!(*found)[i] || redemption == nullptr || redemption->rolled_back_at) continue;
            used.push_back({codes[i], redemption->book_id, std::nullopt});
        }
        if (!used.empty()) locks_->release(used, clock_.now());
        return {};
    }

    void put_locks(World& world, std::span<const std::string_view> codes,
                   std::vector<std::optional<Lock>> found) {
        std::unordered_set<const CodeRow*> met;  // several commands may be about one
        for (std::size_t i = 0; i < codes.size(); ++i) {
            CodeRow* const row = world.find(codes[i]);
            if (row == nullptr || !met.insert(row).second) continue;
            if (row->code.lock) row->stored_lock = row->code.lock->until;
            if (row->code.redeemed_at && found[i]) {
                left_behind_.push_back({row->code.code, row->code.book_id, std::nullopt});
            } else {
                row->code.lock = std::move(found[i]);
            }
        }
    }

    /// Runs again what the failure of the locks does not concern: where they could not be taken,
    /// all but who wants one; where they could not be read, what is about no certain codes.
    void run_what_needs_no(LockFailure failed, std::span<const Submission* const> commands,
                           std::span<Executed> results) {
        std::vector<const Submission*> others;
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < commands.size(); ++i) {
            const Needs needed = needs(commands.subspan(i, 1), {});
            const bool of_users = !needed.erased.empty() || !needed.holdings.empty();
            const bool concerned =
                failed == LockFailure::taking    ? changes_locks(commands[i]->command)
                : failed == LockFailure::reading ? !needed.codes.empty() || !needed.erased.empty()
                                                 : of_users;
            if (concerned) continue;
            others.push_back(commands[i]);
            places.push_back(i);
        }
        if (others.empty()) return;
        COUPOND_CHECK(others.size() < commands.size());
        std::vector<Executed> executed(others.size());
        run(others, executed);
        for (std::size_t i = 0; i < places.size(); ++i) {
            results[places[i]] = std::move(executed[i]);
        }
    }

    Failure fail(std::span<Executed> results, Failure failure) const {
        std::fill(results.begin(), results.end(), Executed{failure, clock_.now()});
        return failure;
    }

    Failure fail_locks(LockFailure at, std::span<Executed> results, Failure failure) {
        lock_failure_ = at;
        return fail(results, failure);
    }

    bool late() const { return std::chrono::steady_clock::now() > deadline_; }

    Store& store_;
    Locks* const locks_;
    const Clock& clock_;
    const std::chrono::steady_clock::time_point deadline_ =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::batch_ms);
    /// Of codes that the commands name and that are not there, those that they are spellings of.
    /// Should one come to be there while they are run, they were before it.
    std::map<std::string, std::string, std::less<>> spellings_;
    LockFailure lock_failure_ = LockFailure::none;  ///< whether it was the locks that failed
    /// Of codes that are redeemed: a process that has ended between its commit and the release of
    /// the lock has left it. Points into the World.
    std::vector<LockChange> left_behind_;
};

/// In which order commands, none of them an erasure, are run where locks are kept outside the
/// store: as indices, in rounds of which every second one, beginning with the second, holds nothing
/// but commands that change locks, and the others hold none. Commands on a code keep their order;
/// others may change it, for nobody has waited for one to send the other. A round may be empty.
std::vector<std::vector<std::size_t>> rounds_of(std::span<const Submission* const> commands) {
    std::unordered_map<std::string_view, std::size_t> round_of_code;
    std::vector<std::vector<std::size_t>> rounds;
    for (std::size_t i = 0; i < commands.size(); ++i) {
        const bool locks = changes_locks(commands[i]->command);
        const Needs needed = needs(commands.subspan(i, 1), {});
        std::vector<std::string_view> codes = needed.new_codes;
        for (const Needs::CodeNeed& need : needed.codes) codes.push_back(need.code);
        std::size_t round = locks ? 1 : 0;
        for (const std::string_view code : codes) {
            const auto before = round_of_code.find(code);
            if (before == round_of_code.end()) continue;
            const bool same_kind = (before->second % 2 == 1) == locks;
            round = std::max(round, before->second + (same_kind ? 0 : 1));
        }
        for (const std::string_view code : codes) round_of_code[code] = round;
        if (rounds.size() <= round) rounds.resize(round + 1);
        rounds[round].push_back(i);
    }
    return rounds;
}

}  // namespace

std::vector<std::vector<std::size_t>> groups_of(std::span<const Submission* const> commands,
                                                bool with_locks) {
    std::vector<const Submission*> others;
    std::vector<std::size_t> places;  // of `others`
    std::vector<std::size_t> roll_backs;
    std::vector<std::size_t> erasures;
    for (std::size_t i = 0; i < commands.size(); ++i) {
        if (std::holds_alternative<EraseUser>(commands[i]->command)) {
            erasures.push_back(i);
        } else if (with_locks && std::holds_alternative<RollBack>(commands[i]->command)) {
            roll_backs.push_back(i);
        } else {
            others.push_back(commands[i]);
            places.push_back(i);
        }
    }
    std::vector<std::vector<std::size_t>> groups;
    if (with_locks) {
        groups = rounds_of(others);
        for (std::size_t& i : groups | std::views::join) i = places[i];
    } else {
        groups.push_back(std::move(places));
    }
    groups.push_back(std::move(roll_backs));
    for (std::size_t i = 0; i < erasures.size(); ++i) {
        if (i % limits::batch_erasures == 0) groups.emplace_back();
        groups.back().push_back(erasures[i]);
    }
    return groups;
}

std::vector<Executed> execute(Store& store, Locks* locks, const Clock& clock,
                              std::span<const Submission* const> commands) {
    std::vector<Executed> results(commands.size());
    if (commands.empty()) return results;
    Executor executor(store, locks, clock);
    for (const std::vector<std::size_t>& group : groups_of(commands, locks != nullptr)) {
        if (group.empty()) continue;
        std::vector<const Submission*> of_group;
        for (const std::size_t i : group) of_group.push_back(commands[i]);
        std::vector<Executed> executed(group.size());
        executor.run(of_group, executed);
        for (std::size_t i = 0; i < group.size(); ++i) {
            results[group[i]] = std::move(executed[i]);
        }
    }
    return results;
}

}  // namespace coupond
