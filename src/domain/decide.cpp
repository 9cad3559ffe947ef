#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "domain/domain.hpp"

namespace coupond {
namespace {

/// Applies commands to a World, one after the other, and keeps what they changed.
class Decider {
public:
    Decider(World& world, Timestamp now) : world_(world), now_(now) {}

    Outcome run(const Submission& submission) {
        Outcome outcome = answer(submission);
        if (const auto* const refusal = std::get_if<Refusal>(&outcome)) {
            const BookId book = std::visit([this](const auto& command) { return book_of(command); },
                                           submission.command);
            ++refusals_[{book, *refusal}];
            if (book != all_books) ++refusals_[{all_books, *refusal}];
        }
        return outcome;
    }

    Outcome answer(const Submission& submission) {
        request_id_ = submission.request_id;
        key_ = {};
        if (!submission.idempotency) return std::visit(*this, submission.command);
        const Idempotency& asked = *submission.idempotency;
        key_ = asked.key;
        const auto known = world_.remembered.find(asked.key);
        if (known != world_.remembered.end() && is_kept(known->second)) {
            const Remembered& first = known->second;
            if (first.fingerprint != asked.fingerprint) return Refusal::idempotency_key_reused;
            auto outcome = recall(first.outcome, submission.command);
            if (!outcome) return Refusal::first_answer_unreadable;
            return Replayed{std::move(*outcome), first.decided_at, first.request_id};
        }
        Outcome outcome = std::visit(*this, submission.command);
        Remembered remembered{asked.fingerprint, now_, submission.request_id, remember(outcome)};
        world_.remembered.insert_or_assign(asked.key, remembered);
        memories_.push_back({asked.key, std::move(remembered)});
        return outcome;
    }

    Outcome operator()(const CreateBook& command) {
        Book book;
        book.id = world_.next_book_id++;
        book.name = command.name;
        book.code_pattern = command.code_pattern;
        book.max_redemptions_per_user = command.max_redemptions_per_user;
        book.discount_cents = command.discount_cents;
        book.created_at = now_;
        book.updated_at = now_;
        world_.books.emplace(book.id, book);
        new_books_.push_back(book.id);
        enter(LedgerEntry::Type::book_created, book.id);
        world_.only_book = ++world_.book_count == 1 ? std::optional<BookId>(book.id) : std::nullopt;
        return BookCreated{std::move(book)};
    }

    Outcome operator()(const UploadCodes& command) {
        if (!command.book_id && !world_.only_book) return Refusal::book_required;
        const Book* const book =
            world_.find_book(command.book_id.value_or(world_.only_book.value_or(0)));
        if (book == nullptr) return Refusal::book_not_found;
        std::unordered_set<std::string_view> seen;
        seen.reserve(command.codes.size());
        for (const std::string& code : command.codes) {
            const bool exists =
                world_.existing_codes.contains(code) || world_.find(code) != nullptr;
            if (exists || !seen.insert(code).second) return Refusal::codes_already_exist;
        }

        CodesUploaded uploaded{*book, world_.next_code_id, command.codes, now_};
        LedgerEntry& entry = enter(LedgerEntry::Type::codes_uploaded, book->id);
        entry.code_id = uploaded.first_id;
        entry.codes = static_cast<std::int64_t>(command.codes.size());
        Digester digester;
        for (const std::string& text : command.codes) {
            digester.add(text);
            Code code;
            code.id = world_.next_code_id++;
            code.book_id = book->id;
            code.code = text;
            code.created_at = now_;
            code.last_entry = entry.id;
            CodeRow& row = world_.add(std::move(code));
            row.is_new = true;
            new_codes_.push_back(&row);
            for (const PoolScope& scope : {PoolScope{book->id}, PoolScope{}}) {
                const auto pool = world_.pools.find(scope);
                if (pool != world_.pools.end()) uploaded_free_[scope].push_back(&row);
            }
        }
        entry.codes_digest = digester.end();
        counts_[book->id].total += entry.codes;
        counts_[book->id].available += entry.codes;
        return uploaded;
    }

    Outcome operator()(const AssignAny& command) {
        if (command.book_id && world_.find_book(*command.book_id) == nullptr) {
            return Refusal::book_not_found;
        }
        CodeRow* const row = take_free(command.book_id);
        if (row == nullptr) return Refusal::no_available_coupons;

        assign(*row, command.user_id);
        return CodeAssigned{row->code};
    }

    Outcome operator()(const AssignCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (row->code.redeemed_at) return Refusal::already_redeemed;
        if (row->code.assigned_to && *row->code.assigned_to != command.user_id) {
            return Refusal::assigned_to_another_user;
        }

        if (!row->code.assigned_to) assign(*row, command.user_id);
        return CodeAssigned{row->code};
    }

    Outcome operator()(const LockCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (row->code.assigned_to != command.user_id) return Refusal::not_assigned_to_user;
        if (row->code.redeemed_at) return Refusal::already_redeemed;
        if (row->code.is_locked(now_)) {
            const Timestamp taken_at = row->code.lock->until + -command.ttl_ms;
            const bool own = !key_.empty() && row->code.lock->key == key_ &&
                             now_ < taken_at + limits::idempotency_ms;
            if (!own) return Refusal::already_locked;
            // This request has taken it before, and nobody knows yet.
            return note_lock(*row);
        }

        if (row->code.lock) --locks_[{row->code.book_id, row->code.lock->until}];  // a dead one
        row->code.lock = Lock{command.user_id, now_ + command.ttl_ms, std::string(key_)};
        ++locks_[{row->code.book_id, row->code.lock->until}];
        row->lock_changed = true;
        return note_lock(*row);
    }

    Outcome operator()(const RedeemCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (row->code.assigned_to != command.user_id) return Refusal::not_assigned_to_user;
        if (row->code.redeemed_at) return Refusal::already_redeemed;
        if (!row->code.is_locked(now_) || row->code.lock->user_id != command.user_id) {
            return Refusal::not_locked;
        }
        const Book* const book = world_.find_book(row->code.book_id);
        COUPOND_CHECK(book != nullptr);
        if (book->max_redemptions_per_user) {
            const auto [used, unloaded] =
                world_.user_redemptions.try_emplace({book->id, command.user_id});
            unforeseen_ |= unloaded;
            if (used->second.now >= *book->max_redemptions_per_user) {
                return Refusal::user_redemption_limit_reached;
            }
            if (used->second.now++ == used->second.loaded) changed_users_.push_back(&*used);
        }

        LedgerEntry& entry = change(*row, LedgerEntry::Type::code_redeemed);
        entry.locked_until = row->code.lock->until;
        entry.discount_cents = book->discount_cents;
        --locks_[{book->id, row->code.lock->until}];
        row->code.lock.reset();
        row->lock_changed = true;
        row->code.redeemed_at = now_;
        row->redeemed = true;
        reach_lock(*row);
        ++counts_[book->id].redeemed;
        counts_[book->id].discount_cents += book->discount_cents.value_or(0);
        return CodeRedeemed{row->code};
    }

    Outcome operator()(const EraseUser& command) {
        const auto found = world_.users.find(command.user_id);
        if (found == world_.users.end()) return Refusal::user_not_found;

        for (CodeRow* const row : found->second) {
            row->code.assigned_to = command.erased_id;
            if (row->code.lock) end_lock(*row);  // a dead one too: it may name them elsewhere
        }
        world_.users.erase(found);
        enter(LedgerEntry::Type::user_erased, 0).user_id = command.erased_id;
        erasures_.push_back({command.user_id, command.erased_id});
        return UserErased{};
    }

    /// What all of it changed. To be called once, at the end.
    Delta take_delta() {
        Delta delta;
        delta.at = now_;
        for (const BookId id : new_books_) delta.new_books.push_back(world_.find_book(id));
        delta.new_codes = std::move(new_codes_);
        delta.changed_codes = std::move(changed_codes_);
        delta.entries = std::move(entries_);
        delta.memories = std::move(memories_);
        delta.erasures = std::move(erasures_);
        for (const auto* user : changed_users_) {
            delta.user_redemptions.push_back({&user->first, user->second.loaded, user->second.now});
        }
        Delta::Counts all;
        for (const auto& [book_id, counts] : counts_) {
            all.total += counts.total;
            all.available += counts.available;
            all.redeemed += counts.redeemed;
            all.ever_locked += counts.ever_locked;
            all.discount_cents += counts.discount_cents;
        }
        if (!counts_.empty()) counts_[all_books] = all;
        delta.counts = std::move(counts_);
        for (const LedgerEntry& entry : delta.entries) {
            if (entry.code_id > 0) delta.activity[entry.book_id] += activity_of(entry);
        }
        Activity all_activity;
        for (const auto& [book_id, activity] : delta.activity) all_activity += activity;
        if (!delta.activity.empty()) delta.activity[all_books] = all_activity;
        delta.refusals = std::move(refusals_);
        std::erase_if(locks_, [](const auto& entry) { return entry.second == 0; });
        delta.locks = std::move(locks_);
        return delta;
    }

    bool shortage() const { return shortage_; }
    bool unforeseen() const { return unforeseen_; }

private:
    bool is_kept(const Remembered& memory) const {
        return now_ < memory.decided_at + limits::idempotency_ms;
    }

    /// The next code of a scope that no command before this one has given away; null where there is
    /// none left.
    CodeRow* take_free(PoolScope scope) {
        Pool& pool = world_.pools[scope];
        while (pool.given < pool.codes.size()) {
            CodeRow* const row = pool.codes[pool.given++];
            if (!row->code.assigned_to) return row;
        }
        shortage_ |= !pool.complete;
        std::deque<CodeRow*>& uploaded = uploaded_free_[scope];
        while (!uploaded.empty()) {
            CodeRow* const row = uploaded.front();
            uploaded.pop_front();
            if (!row->code.assigned_to) return row;
        }
        return nullptr;
    }

    /// The book that a command is about, as far as there is one.
    BookId book_of(const CreateBook&) { return all_books; }
    BookId book_of(const EraseUser&) { return all_books; }
    BookId book_of(const UploadCodes& command) {
        const BookId id = command.book_id.value_or(world_.only_book.value_or(all_books));
        return world_.find_book(id) == nullptr ? all_books : id;
    }
    BookId book_of(const AssignAny& command) {
        const BookId id = command.book_id.value_or(all_books);
        return world_.find_book(id) == nullptr ? all_books : id;
    }
    template <class OfCode>
    BookId book_of(const OfCode& command) {
        const CodeRow* const row = world_.find(command.code);
        return row == nullptr ? all_books : row->code.book_id;
    }

    Outcome note_lock(CodeRow& row) {
        row.first_locked |= !row.code.ever_locked;
        reach_lock(row);
        change(row, LedgerEntry::Type::code_locked).locked_until = row.code.lock->until;
        return CodeLocked{row.code.lock->until};
    }

    void reach_lock(CodeRow& row) {
        if (!std::exchange(row.code.ever_locked, true)) ++counts_[row.code.book_id].ever_locked;
    }

    void assign(CodeRow& row, const std::string& user_id) {
        row.code.assigned_to = user_id;
        row.assigned = true;
        --counts_[row.code.book_id].available;
        change(row, LedgerEntry::Type::code_assigned);
    }

    /// That a lock ends is no change with an entry of its own, as its running out is none.
    void end_lock(CodeRow& row) {
        Timestamp& until = row.code.lock->until;
        if (now_ < until) {
            --locks_[{row.code.book_id, until}];
            until = now_;
            ++locks_[{row.code.book_id, until}];
        }
        row.lock_changed = true;
        row.lock_ended = true;
        mark_changed(row);
    }

    /// The ledger's entry for a change of `row`, to be filled in before the next one.
    LedgerEntry& change(CodeRow& row, LedgerEntry::Type type) {
        LedgerEntry& entry = enter(type, row.code.book_id);
        entry.code_id = row.code.id;
        entry.user_id = row.code.assigned_to;
        entry.previous = std::exchange(row.code.last_entry, entry.id);
        mark_changed(row);
        return entry;
    }

    void mark_changed(CodeRow& row) {
        if (row.is_new || row.changed) return;
        row.changed = true;
        changed_codes_.push_back(&row);
    }

    LedgerEntry& enter(LedgerEntry::Type type, BookId book_id) {
        LedgerEntry& entry = entries_.emplace_back();
        entry.id = world_.next_entry_id++;
        entry.at = now_;
        entry.type = type;
        entry.book_id = book_id;
        entry.request_id = request_id_;
        return entry;
    }

    World& world_;
    const Timestamp now_;
    std::string_view request_id_;  ///< of the command that is being decided
    std::string_view key_;         ///< its idempotency key; empty: none
    bool shortage_ = false;
    bool unforeseen_ = false;
    std::map<PoolScope, std::deque<CodeRow*>> uploaded_free_;
    std::vector<BookId> new_books_;
    std::vector<CodeRow*> new_codes_;
    std::vector<CodeRow*> changed_codes_;
    std::vector<LedgerEntry> entries_;
    std::vector<Delta::Memory> memories_;
    std::vector<Delta::Erasure> erasures_;
    std::vector<const std::pair<const World::UserKey, World::UserRedemptions>*> changed_users_;
    std::map<BookId, Delta::Counts> counts_;
    std::map<std::pair<BookId, Refusal>, std::int64_t> refusals_;
    std::map<std::pair<BookId, Timestamp>, std::int64_t> locks_;
};

}  // namespace

Activity activity_of(const LedgerEntry& entry) {
    Activity activity;
    switch (entry.type) {
        case LedgerEntry::Type::book_created:
        case LedgerEntry::Type::user_erased: break;
        case LedgerEntry::Type::codes_uploaded: activity.uploaded = entry.codes; break;
        case LedgerEntry::Type::code_assigned: activity.assigned = 1; break;
        case LedgerEntry::Type::code_locked: activity.locked = 1; break;
        case LedgerEntry::Type::code_redeemed:
            activity.redeemed = 1;
            activity.discount_cents = entry.discount_cents.value_or(0);
            break;
    }
    return activity;
}

Decision decide(World& world, std::span<const Submission* const> submissions, Timestamp now) {
    const auto erasures = std::ranges::count_if(submissions, [](const Submission* submission) {
        return std::holds_alternative<EraseUser>(submission->command);
    });
    COUPOND_CHECK(erasures == 0 || erasures == std::ssize(submissions));
    Decider decider(world, now);
    Decision decision;
    decision.outcomes.reserve(submissions.size());
    for (const Submission* const submission : submissions) {
        decision.outcomes.push_back(decider.run(*submission));
    }
    decision.delta = decider.take_delta();
    decision.shortage = decider.shortage();
    decision.unforeseen = decider.unforeseen();
    return decision;
}

}  // namespace coupond
