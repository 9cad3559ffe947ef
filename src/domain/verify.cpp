#include "domain/verify.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "domain/domain.hpp"
#include "domain/spelling.hpp"
#include "domain/use_text.hpp"

namespace coupond {
namespace {

using Type = LedgerEntry::Type;

constexpr std::int64_t codes_between_progress = 4'096;

Type type_of(const Snapshot::EntryRow& entry) {
    constexpr auto last = static_cast<std::int64_t>(LedgerEntry::last_type);
    return entry.type >= 0 && entry.type <= last ? static_cast<Type>(entry.type) : Type{};
}

// How values are shown to a person. They may be anything.

std::string show(std::string_view text) {
    return std::string(text);
}

std::string show(std::int64_t number) {
    return std::to_string(number);
}

std::string show(Timestamp at) {
    constexpr std::int64_t year_10000_ms = 253'402'300'800'000;
    return at.ms >= 0 && at.ms < year_10000_ms ? format_iso8601(at) : show(at.ms) + " ms";
}

template <class T>
std::string show(const std::optional<T>& value) {
    return value ? show(*value) : "nothing";
}

std::string show(const Snapshot::EntryRow& entry) {
    const std::string id = "ledger " + show(entry.id);
    switch (type_of(entry)) {
        case Type::book_created: return id + " (book_created, book " + show(entry.book_id) + ")";
        case Type::codes_uploaded: return id + " (codes_uploaded)";
        case Type::codes_generated: return id + " (codes_generated)";
        case Type::code_assigned: return id + " (code_assigned, code " + show(entry.code_id) + ")";
        case Type::code_locked: return id + " (code_locked, code " + show(entry.code_id) + ")";
        case Type::code_redeemed: return id + " (code_redeemed, code " + show(entry.code_id) + ")";
        case Type::user_erased: return id + " (user_erased)";
        case Type::book_changed: return id + " (book_changed, book " + show(entry.book_id) + ")";
        case Type::book_archived: return id + " (book_archived, book " + show(entry.book_id) + ")";
        case Type::book_restored: return id + " (book_restored, book " + show(entry.book_id) + ")";
        case Type::code_changed: return id + " (code_changed, code " + show(entry.code_id) + ")";
        case Type::code_unassigned:
            return id + " (code_unassigned, code " + show(entry.code_id) + ")";
        case Type::code_unlocked: return id + " (code_unlocked, code " + show(entry.code_id) + ")";
        case Type::redemption_rolled_back:
            return id + " (redemption_rolled_back, code " + show(entry.code_id) + ")";
        case Type::discount_given_back:
            return id + " (discount_given_back, code " + show(entry.code_id) + ")";
    }
    return id + " (type " + show(entry.type) + ")";
}

std::string show_codes(CodeId first, CodeId last) {
    return first == last ? "code " + show(first) : "codes " + show(first) + " to " + show(last);
}

/// A stream and its row of the moment.
template <class Row>
class Cursor {
public:
    explicit Cursor(std::unique_ptr<RowStream<Row>> stream) : stream_(std::move(stream)) {
        advance();
    }

    bool at_end() const { return at_end_; }
    const Row& operator*() const { return row_; }
    const Row* operator->() const { return &row_; }
    void advance() { at_end_ = at_end_ || !stream_->next(row_); }

private:
    std::unique_ptr<RowStream<Row>> stream_;
    Row row_{};
    bool at_end_ = false;
};

/// Calls `pair(kept, counted)` for each key of either, ascending; null for the one without it.
template <class Row, class Key, class Pair>
void merge(Cursor<Row> kept, Cursor<Row> counted, const Key& key, const Pair& pair) {
    while (!kept.at_end() || !counted.at_end()) {
        const bool left = !kept.at_end() && (counted.at_end() || key(*kept) <= key(*counted));
        const bool right = !counted.at_end() && (kept.at_end() || key(*counted) <= key(*kept));
        pair(left ? &*kept : nullptr, right ? &*counted : nullptr);
        if (left) kept.advance();
        if (right) counted.advance();
    }
}

/// What the entries of a code have made of it.
struct CodeState {
    EntryId last = 0;  ///< of the chain; 0: its upload is not known
    std::optional<std::int64_t> holder;
    std::optional<Timestamp> locked_until, redeemed_at;
    bool lock_known = true;              ///< what made `locked_until` was not moved out
    EntryId lock_entry = 0;              ///< that made `locked_until`
    std::optional<Timestamp> would_end;  ///< what that was, had its holder not been erased
    bool redeemed_before_ledger = false;
    EntryId redemption = 0;          ///< that made `redeemed_at`
    std::int64_t discount_left = 0;  ///< of it, that was not given back
    std::optional<std::string> currency;
    std::optional<Timestamp> first_elsewhere;  ///< when the first lock in Redis was taken
    bool noted_elsewhere = false;              ///< when the row says, a lock in Redis was taken
    std::optional<CodeSettings> settings = CodeSettings();  ///< nothing: not known
};

/// Sums of what may be anything must not overflow.
void add(std::int64_t& sum, std::int64_t value) {
    sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) +
                                    static_cast<std::uint64_t>(value));
}

void subtract(std::int64_t& sum, std::int64_t value) {
    sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(sum) -
                                    static_cast<std::uint64_t>(value));
}

class Verifier {
public:
    Verifier(Snapshot& snapshot, Timestamp now, const VerifyProgress& progress)
        : snapshot_(snapshot), now_(now), progress_(progress) {}

    Verification run() {
        for (const std::string& fault : snapshot_.faults()) differ(fault);
        read_books();
        verify_books();
        read_book_counts();
        read_erasures();
        read_moved();
        read_usages();
        verify_codes();
        verify_book_counts();
        verify_activity();
        verify_discounts();
        verify_lock_counts();
        verify_standing();
        verify_usages();
        verify_counted_locks();
        verify_limits();
        verify_ids();
        return std::move(result_);
    }

private:
    struct Change {
        Timestamp at;
        EntryId id = 0;

        void take(const Change& other) {
            at = std::max(at, other.at);
            id = std::max(id, other.id);
        }
    };

    struct BookState {
        std::array<Limits, all_pers.size()> limits;  ///< places are those of Per
        std::optional<Currency> currency;            ///< of its discount
        std::optional<std::int64_t> max_assignments_per_user;
        std::optional<std::int64_t> max_redemptions_per_code;
        bool case_sensitive = true;
        std::int64_t redemptions = 0;  ///< that stand
        Change last_redeemed;          ///< of its redemptions that stand,
        Change last_worth;             ///< and of those worth something
        Timestamp updated_at;
        EntryId last_entry = 0;
        std::optional<Snapshot::BookCountRow> kept;
        Snapshot::BookCountRow counted;  ///< from its codes and the ledger
    };

    template <class... Parts>
    void differ(const Parts&... parts) {
        ++result_.differences;
        if (result_.lines.size() < limits::verify_lines) {
            result_.lines.push_back((show(parts) + ...));
        }
    }

    template <class T>
    void compare(std::string_view row, std::int64_t id, std::string_view column, const T& is,
                 const T& should, std::string_view source) {
        if (is == should) return;
        differ(row, id, ": ", column, " is ", is, ", by ", source, " it is ", should);
    }

    BookState* find_book(BookId id) {
        const auto found = books_.find(id);
        return found == books_.end() ? nullptr : &found->second;
    }

    /// Of an entry about a book as a whole.
    void verify_book_of(const Snapshot::EntryRow& entry) {
        if (find_book(entry.book_id) == nullptr) {
            differ(entry, ": book ", entry.book_id, " is not there");
        }
        if (entry.user) differ(entry, ": user_number is ", entry.user, ", it concerns no user");
        const Type type = type_of(entry);
        const bool first = type == Type::book_created || LedgerEntry::adds_codes(type);
        if (first && entry.previous) {
            differ(entry, ": previous_id is ", entry.previous, ", nothing comes before it");
        }
        if (!LedgerEntry::adds_codes(type) && entry.code_id != 0) {
            differ(entry, ": it is about no code");
        }
    }

    /// The book that a row is of. Where its text cannot be read, all of that is as by default.
    static std::pair<Book, bool> book_of(const Snapshot::BookRow& row) {
        Book book = row.book;
        if (read_row_text(row.settings, book)) return {std::move(book), true};
        return {row.book, false};
    }

    void read_books() {
        for (Cursor books(snapshot_.books()); !books.at_end(); books.advance()) {
            ++result_.books;
            const auto [book, sound] = book_of(*books);
            last_book_ = book.id;
            BookState& state = books_[book.id];
            for (const Per per : all_pers) state.limits.at(place(per)) = book.limits_per(per);
            if (book.discount) state.currency = book.discount->currency;
            state.max_assignments_per_user = book.max_assignments_per_user;
            state.max_redemptions_per_code = book.max_redemptions_per_code;
            state.case_sensitive = book.case_sensitive;
            state.updated_at = book.updated_at;
            state.last_entry = book.last_entry;
        }
    }

    /// Each has been created once, and is as its last change has left it.
    void verify_books() {
        Cursor books(snapshot_.books());
        Cursor entries(snapshot_.book_entries());
        for (; !books.at_end(); books.advance()) {
            const BookId id = books->book.id;
            for (; !entries.at_end() && entries->book_id < id; entries.advance()) {
                verify_book_of(*entries);
            }
            if (entries.at_end() || entries->book_id != id ||
                type_of(*entries) != Type::book_created) {
                differ("coupon_book ", id, ": no entry in the ledger creates it");
            }
            Snapshot::EntryRow last;
            std::optional<Book> left;  // as the entries have left it
            for (; !entries.at_end() && entries->book_id == id; entries.advance()) {
                verify_book_of(*entries);
                verify_book_entry(*entries, last, books->book, left);
                last = *entries;
            }
            if (last.id != 0) verify_book(*books, last, std::move(left));
        }
        for (; !entries.at_end(); entries.advance()) verify_book_of(*entries);
    }

    /// Makes of `left`, what the entries before have left, what this one leaves.
    void verify_book_entry(const Snapshot::EntryRow& entry, const Snapshot::EntryRow& last,
                           const Book& book, std::optional<Book>& left) {
        if (type_of(entry) == Type::book_created) {
            if (last.id != 0) differ(entry, ": the book has been created before");
            compare("coupon_book ", book.id, "created_at", book.created_at, entry.at, "the ledger");
        } else if (last.id != 0 && entry.previous != last.id) {
            differ(entry, ": previous_id is ", entry.previous, ", the entry before it is ",
                   last.id);
        }
        auto change = read_book_change(entry.detail);
        if (!change) {
            differ(entry, ": detail is not what it should tell");
            left.reset();
            return;
        }
        if (change->before && left && *change->before != *left) {
            differ(entry, ": what it tells of the book before it is not what ", last, " has left");
        }
        left = std::move(change->after);
    }

    void verify_book(const Snapshot::BookRow& row, const Snapshot::EntryRow& last,
                     std::optional<Book> left) {
        auto [book, sound] = book_of(row);
        compare("coupon_book ", book.id, "last_entry_id", book.last_entry, last.id, "the ledger");
        if (!sound) differ("coupon_book ", book.id, ": settings cannot be read");
        if (!sound || !left) return;
        left->id = book.id;
        left->last_entry = book.last_entry;
        left->created_at = book.created_at;
        if (book != *left) differ("coupon_book ", book.id, ": it is not as ", last, " has left it");
    }

    void read_book_counts() {
        for (Cursor counts(snapshot_.book_counts()); !counts.at_end(); counts.advance()) {
            if (counts->book_id == all_books) {
                all_.kept = *counts;
            } else if (BookState* const book = find_book(counts->book_id)) {
                book->kept = *counts;
            } else {
                differ("book_count of book ", counts->book_id, ": the book is not there");
            }
        }
    }

    void read_erasures() {
        for (Cursor entries(snapshot_.erasures()); !entries.at_end(); entries.advance()) {
            if (!entries->user) differ(*entries, ": it erases nobody");
            if (entries->code_id != 0) differ(*entries, ": it is about no code");
            if (entries->user) erasures_[{*entries->user, entries->id}] = entries->at;
        }
    }

    /// The lock of who was erased since, before an entry, has ended with that.
    void end_lock_of_erased(CodeState& state, EntryId before) {
        if (!state.locked_until || !state.holder) return;
        const auto erasure = erasures_.lower_bound({*state.holder, state.lock_entry});
        if (erasure == erasures_.end() || erasure->first.first != *state.holder ||
            erasure->first.second >= before || erasure->second >= *state.locked_until) {
            return;
        }
        state.would_end = state.locked_until;
        state.locked_until = erasure->second;
    }

    /// Adds what was moved out of the ledger to what is counted from it.
    void read_moved() {
        for (Cursor moved(snapshot_.moved()); !moved.at_end(); moved.advance()) {
            if (find_book(moved->book_id) == nullptr) {
                differ("ledger_moved of book ", moved->book_id, ": the book is not there");
            }
            EntryId& last = moved_to_[moved->book_id];
            last = std::max(last, moved->last_entry);
            count(moved->book_id, moved->since, moved->activity);
        }
    }

    /// Whether an entry of the book with a greater id than `id` may have been moved out.
    bool moved_beyond(BookId book, EntryId id) const {
        const auto moved_to = moved_to_.find(book);
        return moved_to != moved_to_.end() && id < moved_to->second;
    }

    void verify_codes() {
        Cursor<Snapshot::EntryRow> uploads(snapshot_.uploads());
        Cursor<Snapshot::EntryRow> entries(snapshot_.code_entries());
        Cursor<Snapshot::UsesRow> uses(snapshot_.uses(now_));
        enter_upload(uploads);
        for (Cursor codes(snapshot_.codes()); !codes.at_end(); codes.advance()) {
            const Snapshot::CodeRow& code = *codes;
            const Snapshot::EntryRow* const upload =
                code.use_of ? nullptr : upload_of(code.id, uploads);
            code.use_of ? verify_use(code) : verify_origin(code, upload);
            for (; !entries.at_end() && entries->code_id < code.id; entries.advance()) {
                tell_lost(*entries);
            }
            CodeState state;
            if (code.use_of)
                state.holder = code.assigned_to;  // whose it is from its first entry on
            if (upload != nullptr) {
                state.last = upload->id;
                state.settings = upload_settings_;
                digest(code);
            }
            for (; !entries.at_end() && entries->code_id == code.id; entries.advance()) {
                count(*entries);
                apply(*entries, code, state);
            }
            verify_state(code, state);
            count_standing(code, state);
            if (code.use_of) continue;
            for (; !uses.at_end() && uses->code_id <= code.id; uses.advance()) {
                verify_uses(*uses, code, state);
            }
            count(code);
            last_code_ = code.id;
            if (++result_.codes % codes_between_progress == 0) {
                progress_(result_.codes, all_.kept ? all_.kept->total : 0);
            }
        }
        for (; !uses.at_end(); uses.advance()) verify_uses(*uses, {}, {});
        while (!uploads.at_end()) leave_upload(uploads);
        for (; !entries.at_end(); entries.advance()) tell_lost(*entries);
        tell_orphans();
    }

    /// The one that names the code; null where none does. To be asked by ascending ids: those that
    /// an upload names and that are passed over are missing.
    const Snapshot::EntryRow* upload_of(CodeId id, Cursor<Snapshot::EntryRow>& uploads) {
        while (!uploads.at_end() && uploads->code_id + uploads->codes <= id) leave_upload(uploads);
        if (uploads.at_end() || id < uploads->code_id) return nullptr;
        tell_missing(*uploads, id);
        upload_from_ = id + 1;
        return &*uploads;
    }

    /// `code` is the next one of the upload that it is in.
    void digest(const Snapshot::CodeRow& code) {
        upload_digester_.add(code.code);
        ++upload_digested_;
    }

    /// Where all of them are there: one that is not is told of already.
    void verify_digest(const Snapshot::EntryRow& upload) {
        const Digest is = upload_digester_.end();
        if (!upload.codes_digest || upload_digested_ != upload.codes) return;
        if (*upload.codes_digest == std::string_view(is.data(), is.size())) return;
        differ("coupon_code: ", show_codes(upload.code_id, upload.code_id + upload.codes - 1),
               " are not those that ", upload, " has brought: a code was changed, or the entry");
    }

    void tell_missing(const Snapshot::EntryRow& upload, CodeId to) {
        if (upload_from_ >= to) return;
        differ(upload, ": it uploads ", show_codes(upload_from_, to - 1), ", not there");
    }

    void leave_upload(Cursor<Snapshot::EntryRow>& uploads) {
        const CodeId end = uploads->code_id + uploads->codes;
        tell_missing(*uploads, end);
        verify_digest(*uploads);
        upload_end_ = std::max(upload_end_, end);
        uploads.advance();
        enter_upload(uploads);
    }

    /// Goes on to an upload that can be one.
    void enter_upload(Cursor<Snapshot::EntryRow>& uploads) {
        for (; !uploads.at_end(); uploads.advance()) {
            verify_book_of(*uploads);
            count(*uploads);
            const bool possible =
                uploads->code_id > 0 && uploads->codes > 0 &&
                uploads->codes < std::numeric_limits<CodeId>::max() - uploads->code_id;
            if (possible) break;
            differ(*uploads, ": it uploads ", uploads->codes, " codes from code ", uploads->code_id,
                   " on");
        }
        if (uploads.at_end()) return;
        if (uploads->code_id < upload_end_) {
            differ(*uploads, ": code ", uploads->code_id, " has been uploaded before");
        }
        upload_from_ = std::max(upload_end_, uploads->code_id);
        upload_settings_ = CodeSettings();
        if (!read_row_text(uploads->detail, *upload_settings_)) {
            differ(*uploads, ": detail is not what it should tell");
            upload_settings_.reset();
        }
        upload_digester_ = Digester();
        upload_digested_ = 0;
    }

    /// Of an entry whose code is not there.
    void tell_lost(const Snapshot::EntryRow& entry) {
        count(entry);
        if (entry.code_id == 0) {
            differ(entry, ": it is about no code");
        } else {
            differ(entry, ": code ", entry.code_id, " is not there");
        }
    }

    void verify_origin(const Snapshot::CodeRow& code, const Snapshot::EntryRow* upload) {
        if (find_book(code.book_id) == nullptr) {
            differ("coupon_code ", code.id, ": book ", code.book_id, " is not there");
        }
        if (upload == nullptr) {
            if (orphans_from_ && orphans_to_ + 1 != code.id) tell_orphans();
            if (!orphans_from_) orphans_from_ = code.id;
            orphans_to_ = code.id;
            return;
        }
        tell_orphans();
        compare("coupon_code ", code.id, "book_id", code.book_id, upload->book_id, "its upload");
        compare("coupon_code ", code.id, "created_at", code.created_at, upload->at, "its upload");
        const BookState* const book = find_book(code.book_id);
        if (book == nullptr) return;
        const auto spelling =
            book->case_sensitive ? std::nullopt : std::optional(folded(code.code));
        if (code.folded != spelling) {
            differ("coupon_code ", code.id, ": folded is ", code.folded,
                   ", by its code and book it is ", spelling);
        }
    }

    /// A use goes back to its code.
    void verify_use(const Snapshot::CodeRow& use) {
        if (use.used.empty()) {
            differ("coupon_code ", use.id, ": use_of is ", use.use_of, ", not there in its book");
        } else if (use.code != use.used + use_mark + show(use.id)) {
            differ("coupon_code ", use.id, ": code is not made of that of code ", use.use_of);
        }
        if (use.folded) differ("coupon_code ", use.id, ": folded is ", use.folded, ", of a use");
        if (use.id <= uses_from) differ("coupon_code ", use.id, ": ids of uses are greater");
    }

    /// Those that no upload names, one after the other.
    void tell_orphans() {
        if (!orphans_from_) return;
        differ("coupon_code: no entry in the ledger uploads ",
               show_codes(*orphans_from_, orphans_to_));
        orphans_from_.reset();
    }

    void apply(const Snapshot::EntryRow& entry, const Snapshot::CodeRow& code, CodeState& state) {
        if (entry.book_id != code.book_id) {
            differ(entry, ": it is of book ", entry.book_id, ", the code of book ", code.book_id);
        }
        if (entry.codes != 0) differ(entry, ": codes is ", entry.codes, ", it uploads none");
        const Type type = type_of(entry);
        end_lock_of_erased(state, entry.id);
        // Locks in Redis change no code: they are in no chain, and may come after a redemption.
        const bool elsewhere =
            (type == Type::code_locked || type == Type::code_unlocked) && !entry.previous;
        const bool behind_moved = elsewhere ? moved_beyond(entry.book_id, state.last)
                                            : entry.previous && state.last < *entry.previous &&
                                                  moved_beyond(entry.book_id, *entry.previous - 1);
        if (behind_moved && type == Type::code_assigned) {
            state.holder.reset();  // whoever had it before
        } else if (behind_moved && (!state.holder || !state.redeemed_at)) {
            state.holder = entry.user;  // who may be another one than before
        }
        const bool lock_known = state.lock_known && !behind_moved;
        if (!elsewhere) {
            if (behind_moved) {
                state.locked_until.reset();
                state.lock_known = false;
                state.would_end.reset();
                state.settings.reset();
            } else if (entry.previous != state.last && state.last != 0) {
                differ(entry, ": previous_id is ", entry.previous, ", the entry before it is ",
                       state.last);
            }
            state.last = entry.id;
            // All others leave a lock as they make it, or none.
            if (type != Type::code_changed) state.lock_known = true;
        }
        switch (type) {
            case Type::code_assigned: return assign(entry, state);
            case Type::code_locked: return lock(entry, code, elsewhere, lock_known, state);
            case Type::code_redeemed: return redeem(entry, state);
            case Type::code_changed: return change(entry, state);
            case Type::code_unassigned: return unassign(entry, state);
            case Type::code_unlocked: return unlock(entry, elsewhere, state);
            case Type::redemption_rolled_back: return roll_back(entry, state);
            case Type::discount_given_back: return give_back(entry, state);
            default: differ(entry, ": there is no such type of an entry about a code");
        }
    }

    void assign(const Snapshot::EntryRow& entry, CodeState& state) {
        if (!entry.user) differ(entry, ": it assigns to nobody");
        if (state.holder) differ(entry, ": the code is user ", state.holder, "'s already");
        state.holder = entry.user;
    }

    void verify_holder(const Snapshot::EntryRow& entry, const CodeState& state) {
        if (entry.user == state.holder && state.holder) return;
        differ(entry, ": by user ", entry.user, ", the code is assigned to ", state.holder);
    }

    void lock(const Snapshot::EntryRow& entry, const Snapshot::CodeRow& code, bool elsewhere,
              bool lock_known, CodeState& state) {
        verify_holder(entry, state);
        if (!entry.locked_until) differ(entry, ": it has no locked_until");
        const auto was_until = read_extension(entry.detail);
        const bool extends = was_until.has_value();
        if (!extends && !entry.detail.empty()) differ(entry, ": detail is not what it should tell");
        if (extends && (entry.at >= *was_until || entry.locked_until < was_until)) {
            differ(entry, ": it extends a lock until ", was_until, " to ", entry.locked_until);
        }
        if (elsewhere) {
            if (!state.first_elsewhere) state.first_elsewhere = entry.at;
            state.noted_elsewhere |= entry.at == code.locked_until;
            return;
        }
        if (state.redeemed_at) differ(entry, ": the code has been redeemed before");
        if (extends && lock_known && was_until != state.locked_until) {
            differ(entry, ": it extends a lock until ", was_until, ", the one before it is until ",
                   state.locked_until);
        }
        if (!extends && state.locked_until && entry.at < *state.locked_until) {
            differ(entry, ": the code is still locked until ", state.locked_until);
        }
        state.locked_until = entry.locked_until;
        state.lock_entry = entry.id;
        state.would_end.reset();
    }

    void change(const Snapshot::EntryRow& entry, CodeState& state) {
        const auto change = read_code_change(entry.detail);
        if (!change) {
            differ(entry, ": detail is not what it should tell");
            state.settings.reset();
            return;
        }
        if (state.settings && *state.settings != change->before) {
            differ(entry,
                   ": what it tells of the code before it is not what the entries before it "
                   "have left");
        }
        state.settings = change->after;
    }

    void unassign(const Snapshot::EntryRow& entry, CodeState& state) {
        verify_holder(entry, state);
        if (state.redeemed_at) differ(entry, ": the code has been redeemed before");
        if (state.locked_until && entry.at < *state.locked_until) {
            differ(entry, ": the code is still locked until ", state.locked_until);
        }
        state.holder.reset();
        state.locked_until.reset();
        state.would_end.reset();
        state.first_elsewhere.reset();
        state.noted_elsewhere = false;
    }

    void unlock(const Snapshot::EntryRow& entry, bool elsewhere, CodeState& state) {
        verify_holder(entry, state);
        if (elsewhere) return;
        if (state.redeemed_at) differ(entry, ": the code has been redeemed before");
        if (state.locked_until && entry.locked_until != state.locked_until) {
            differ(entry, ": locked_until is ", entry.locked_until,
                   ", the lock before it is until ", state.locked_until);
        }
        state.locked_until = entry.at;
        state.would_end.reset();
    }

    void redeem(const Snapshot::EntryRow& entry, CodeState& state) {
        verify_holder(entry, state);
        if (state.redeemed_at) differ(entry, ": the code has been redeemed before");
        if (!entry.migrated) verify_lock_used(entry, state);
        state.redeemed_at = entry.at;
        state.redeemed_before_ledger = entry.migrated;
        state.redemption = entry.id;
        state.discount_left = entry.discount_cents;
        state.currency = entry.currency;
        state.locked_until.reset();
        state.would_end.reset();
        if (entry.order_amount && !entry.currency) differ(entry, ": its order has no currency");
    }

    void give_back(const Snapshot::EntryRow& entry, CodeState& state) {
        verify_holder(entry, state);
        if (!state.redeemed_at || entry.redemption_id != state.redemption) {
            differ(entry, ": redemption_id is ", entry.redemption_id,
                   ", the redemption that stands is ",
                   state.redeemed_at ? std::optional(state.redemption) : std::nullopt);
        }
        if (entry.discount_cents != 0 && entry.currency != state.currency) {
            differ(entry, ": currency is ", entry.currency, ", the discount's is ", state.currency);
        }
        if (entry.discount_cents < 0 || entry.discount_cents > state.discount_left) {
            differ(entry, ": discount_cents is ", entry.discount_cents, ", of the discount ",
                   state.discount_left, " was left");
        }
        subtract(state.discount_left, entry.discount_cents);
    }

    void roll_back(const Snapshot::EntryRow& entry, CodeState& state) {
        give_back(entry, state);
        if (state.discount_left != 0) {
            differ(entry, ": it leaves ", state.discount_left, " of the discount");
        }
        state.redeemed_at.reset();
        state.redeemed_before_ledger = false;
        state.locked_until = entry.at;
        state.lock_entry = entry.id;
        state.would_end.reset();
    }

    void verify_lock_used(const Snapshot::EntryRow& entry, const CodeState& state) {
        if (!entry.locked_until || entry.at >= *entry.locked_until) {
            differ(entry, ": at ", entry.at, ", under a lock until ", entry.locked_until);
        }
        // A lock in Redis may have been used, whose process ended before it could enter it; but
        // not while the database held another one.
        const bool held = state.locked_until && entry.at < *state.locked_until;
        if (held && !state.first_elsewhere && entry.locked_until != state.locked_until) {
            differ(entry, ": locked_until is ", entry.locked_until,
                   ", the lock before it is until ", state.locked_until);
        }
    }

    void verify_state(const Snapshot::CodeRow& code, CodeState& state) {
        end_lock_of_erased(state, std::numeric_limits<EntryId>::max());
        constexpr std::string_view row = "coupon_code ", source = "the ledger";
        compare(row, code.id, "assigned_to", code.assigned_to, state.holder, source);
        if (code.assigned_to && !code.holder_known) {
            differ(row, code.id, ": assigned_to is ", code.assigned_to, ", no such coupon_user");
        }
        // Of an erased user only so many locks are ended.
        if (state.lock_known && (!state.would_end || code.locked_until != state.would_end)) {
            compare(row, code.id, "locked_until", code.locked_until, locked_until(code, state),
                    source);
        }
        std::optional<Timestamp> redeemed_at = code.redeemed_at;
        // The migration has dated no redemption before the upload.
        if (redeemed_at && state.redeemed_before_ledger) {
            redeemed_at = std::max(*redeemed_at, code.created_at);
        }
        compare(row, code.id, "redeemed_at", redeemed_at, state.redeemed_at, source);
        verify_settings(code, state);
        if (state.last != 0) {
            compare(row, code.id, "last_entry_id", code.last_entry, state.last, source);
        }
    }

    void verify_settings(const Snapshot::CodeRow& code, const CodeState& state) {
        if (code.settings.empty() && state.settings == CodeSettings()) return;
        Code row;
        const CodeSettings& settings = row;
        if (!read_row_text(code.settings, row)) {
            differ("coupon_code ", code.id, ": settings cannot be read");
        } else if (state.settings && settings != *state.settings &&
                   !moved_beyond(code.book_id, state.last)) {
            differ("coupon_code ", code.id, ": settings are not what the ledger has left");
        }
    }

    /// What the row has to say. Where locks are in Redis it notes when the first one was taken,
    /// whichever came first where Redis had lost one.
    static std::optional<Timestamp> locked_until(const Snapshot::CodeRow& code,
                                                 const CodeState& state) {
        if (state.locked_until || state.redeemed_at) return state.locked_until;
        return state.noted_elsewhere ? code.locked_until : state.first_elsewhere;
    }

    void count(const Snapshot::CodeRow& code) {
        for (BookState* const book : {find_book(code.book_id), &all_}) {
            if (book == nullptr) continue;
            ++book->counted.total;
            if (!code.assigned_to) ++book->counted.available;
            if (code.redeemed_at) ++book->counted.redeemed;
            if (code.redeemed_at || code.locked_until) ++book->counted.ever_locked;
            if (code.kept_back && !code.assigned_to) ++book->counted.kept_back;
        }
    }

    void count(const Snapshot::EntryRow& row) {
        LedgerEntry entry;
        entry.type = type_of(row);
        entry.codes = row.codes;
        if (entry.type == Type::code_locked) entry.detail = row.detail;
        const auto currency = row.currency ? Currency::find(*row.currency) : std::nullopt;
        if (row.currency && !currency) {
            differ(row, ": currency is ", row.currency, ", there is none of that name");
        }
        entry.discount = Money{row.discount_cents, currency};
        count(row.book_id, activity_period(row.at), activity_of(entry));
    }

    void count(BookId of_book, Timestamp since, const Activity& activity) {
        for (const BookId book : {of_book, all_books}) {
            Activity& sum = activity_[{book, since}];
            add(sum.uploaded, activity.uploaded);
            add(sum.generated, activity.generated);
            add(sum.assigned, activity.assigned);
            add(sum.locked, activity.locked);
            add(sum.redeemed, activity.redeemed);
            add(sum.rolled_back, activity.rolled_back);
            add(sum.discount_cents, activity.discount_cents);
            for (const auto& [currency, amount] : activity.discounts) {
                for (const Timestamp in : {since, all_times}) {
                    add(discounts_[{book, in, std::string(currency.code())}], amount);
                }
            }
        }
        for (BookState* const book : {find_book(of_book), &all_}) {
            if (book == nullptr) continue;
            add(book->counted.rolled_back, activity.rolled_back);
            add(book->counted.discount_cents, activity.discount_cents);
        }
    }

    void verify_book_counts() {
        std::vector<BookId> ids;
        for (const auto& [id, book] : books_) ids.push_back(id);
        std::sort(ids.begin(), ids.end());
        verify_counts(all_books, all_);
        for (const BookId id : ids) verify_counts(id, books_.at(id));
    }

    void verify_counts(BookId id, const BookState& book) {
        constexpr std::string_view row = "book_count of book ", source = "its codes";
        const auto& kept = book.kept;
        const auto& counted = book.counted;
        if (!kept) {
            differ(row, id, ": it is not there");
            return;
        }
        compare(row, id, "total", kept->total, counted.total, source);
        compare(row, id, "available", kept->available, counted.available, source);
        compare(row, id, "redeemed", kept->redeemed, counted.redeemed, source);
        compare(row, id, "ever_locked", kept->ever_locked, counted.ever_locked, source);
        compare(row, id, "kept_back", kept->kept_back, counted.kept_back, source);
        compare(row, id, "rolled_back", kept->rolled_back, counted.rolled_back, "the ledger");
        compare(row, id, "discount_cents", kept->discount_cents, counted.discount_cents,
                "the ledger");
    }

    void verify_activity() {
        for (Cursor kept(snapshot_.activity_counts()); !kept.at_end(); kept.advance()) {
            const auto counted = activity_.find({kept->book_id, kept->since});
            verify_period(kept->book_id, kept->since, kept->activity,
                          counted == activity_.end() ? Activity{} : counted->second);
            if (counted != activity_.end()) activity_.erase(counted);
        }
        for (const auto& [place, counted] : activity_) {
            verify_period(place.first, place.second, {}, counted);
        }
    }

    void verify_period(BookId book, Timestamp since, const Activity& is, const Activity& should) {
        const std::string row = "activity_count since " + show(since) + " of book ";
        constexpr std::string_view source = "the ledger";
        compare(row, book, "uploaded", is.uploaded, should.uploaded, source);
        compare(row, book, "generated", is.generated, should.generated, source);
        compare(row, book, "assigned", is.assigned, should.assigned, source);
        compare(row, book, "locked", is.locked, should.locked, source);
        compare(row, book, "redeemed", is.redeemed, should.redeemed, source);
        compare(row, book, "rolled_back", is.rolled_back, should.rolled_back, source);
        compare(row, book, "discount_cents", is.discount_cents, should.discount_cents, source);
    }

    void verify_discounts() {
        for (Cursor kept(snapshot_.discount_counts()); !kept.at_end(); kept.advance()) {
            const auto counted = discounts_.find({kept->book_id, kept->since, kept->currency});
            verify_discount({kept->book_id, kept->since, kept->currency}, kept->amount,
                            counted == discounts_.end() ? 0 : counted->second);
            if (counted != discounts_.end()) discounts_.erase(counted);
        }
        for (const auto& [place, counted] : discounts_) verify_discount(place, 0, counted);
    }

    using DiscountPlace = std::tuple<BookId, Timestamp, std::string>;

    void verify_discount(const DiscountPlace& place, std::int64_t is, std::int64_t should) {
        const auto& [book, since, currency] = place;
        if (is == should) return;
        const std::string when = since == all_times ? "" : " since " + show(since);
        differ("discount_count", when, " of book ", book, " in ", currency, ": amount is ", is,
               ", by the ledger it is ", should);
    }

    void verify_lock_counts() {
        using Row = Snapshot::LockCountRow;
        merge<Row>(
            Cursor(snapshot_.lock_counts(now_)), Cursor(snapshot_.locked_codes(now_)),
            [](const Row& row) { return std::pair(row.book_id, row.locked_until); },
            [this](const Row* kept, const Row* counted) {
                const Row& any = kept != nullptr ? *kept : *counted;
                const std::int64_t is = kept != nullptr ? kept->codes : 0;
                const std::int64_t should = counted != nullptr ? counted->codes : 0;
                if (is == should) return;
                differ("lock_count of book ", any.book_id, " until ", any.locked_until,
                       ": codes is ", is, ", by its codes it is ", should);
            });
    }

    static std::size_t place(Per per) { return static_cast<std::size_t>(per); }

    /// What was redeemed before the limit was set to what it is may be more.
    static bool is_over(std::int64_t used, std::optional<std::int64_t> most, const BookState& book,
                        const Change& last) {
        return most && used > *most && last.at > book.updated_at && last.id > book.last_entry;
    }

    void verify_limits() {
        for (const auto& [id, book] : books_) {
            const auto most = book.limits[place(Per::ever)].max_redemptions;
            if (is_over(book.redemptions, most, book, book.last_redeemed)) {
                differ("coupon_book ", id, ": ", book.redemptions,
                       " of its codes are redeemed, max_redemptions is ", most);
            }
        }
        for (Cursor users(snapshot_.redeemed_codes()); !users.at_end(); users.advance()) {
            const BookState* const book = find_book(users->book_id);
            if (book == nullptr) continue;
            const auto most = book->limits[place(Per::ever)].max_redemptions_per_user;
            if (is_over(users->redeemed, most, *book,
                        {users->last_redeemed_at, users->last_entry})) {
                differ("coupon_book ", users->book_id, ": user ", users->user, " has redeemed ",
                       users->redeemed, " of its codes, max_redemptions_per_user is ", most);
            }
        }
        for (Cursor held(snapshot_.holdings()); !held.at_end(); held.advance()) {
            const BookState* const book = find_book(held->book_id);
            const auto most = book != nullptr ? book->max_assignments_per_user : std::nullopt;
            if (!most || held->codes <= *most) continue;
            if (is_over(held->codes, most, *book, {held->last_at, held->last_entry})) {
                differ("coupon_book ", held->book_id, ": user ", held->user, " holds ", held->codes,
                       " of its codes, max_assignments_per_user is ", most);
            }
        }
    }

    /// Those of whole books; to be called before the codes are read.
    void read_usages() {
        for (Cursor usages(snapshot_.usages(now_)); !usages.at_end(); usages.advance()) {
            if (usages->user == 0) usages_[usages->book_id].push_back({*usages, {}});
        }
    }

    void verify_usages() {
        for (const auto& [id, usages] : usages_) {
            for (const auto& [kept, counted] : usages) {
                verify_usage(kept, counted.redeemed);
                if (kept.amount != counted.amount) {
                    differ(row_of(kept), ": amount is ", kept.amount, ", by the ledger it is ",
                           counted.amount);
                }
                if (const BookState* const book = find_book(id))
                    verify_limits(*book, kept, counted);
            }
        }
        for (Cursor usages(snapshot_.usages(now_)); !usages.at_end(); usages.advance()) {
            if (usages->user == 0) continue;
            verify_usage(*usages, usages->by_codes);
            const BookState* const book = find_book(usages->book_id);
            const Limits* const limits = book == nullptr ? nullptr : limits_of(*book, *usages);
            if (limits != nullptr &&
                is_over(usages->by_codes, limits->max_redemptions_per_user, *book,
                        {usages->last_redeemed_at, usages->last_entry})) {
                differ("coupon_book ", usages->book_id, ": user ", usages->user, " has redeemed ",
                       usages->by_codes, " of its codes since ", usages->since,
                       ", max_redemptions_per_user is ", limits->max_redemptions_per_user);
            }
        }
    }

    /// Those per the day, week or month of `kept`; null for ever, of which verify_limits() tells.
    static const Limits* limits_of(const BookState& book, const Snapshot::UsageRow& kept) {
        const bool known = place(Per::day) <= static_cast<std::size_t>(kept.per) &&
                           static_cast<std::size_t>(kept.per) < all_pers.size();
        return known ? &book.limits.at(static_cast<std::size_t>(kept.per)) : nullptr;
    }

    /// Of all users together: most redemptions in some time, and the budget, of that or of all.
    void verify_limits(const BookState& book, const Snapshot::UsageRow& kept,
                       const Usage& counted) {
        const Limits* limits = limits_of(book, kept);
        if (limits != nullptr &&
            is_over(counted.redeemed, limits->max_redemptions, book, book.last_redeemed)) {
            differ("coupon_book ", kept.book_id, ": ", counted.redeemed,
                   " of its codes were redeemed since ", kept.since, ", max_redemptions is ",
                   limits->max_redemptions);
        }
        if (kept.per == static_cast<std::int64_t>(Per::ever)) limits = &book.limits[0];
        if (limits == nullptr || !limits->budget || !book.currency ||
            kept.currency != book.currency->code()) {
            return;
        }
        const auto most = minor_units(*limits->budget, book.currency);
        if (is_over(counted.amount, most, book, book.last_worth)) {
            differ("coupon_book ", kept.book_id, ": discounts of ", counted.amount, " minor units",
                   kept.per == 0 ? "" : " since " + show(kept.since), ", budget is ", most);
        }
    }

    static std::string row_of(const Snapshot::UsageRow& kept) {
        static constexpr std::array<std::string_view, all_pers.size()> pers{
            "", " per day", " per week", " per month"};
        const auto per = static_cast<std::size_t>(kept.per);
        return "usage_count of book " + show(kept.book_id) +
               (kept.user == 0 ? "" : ", user " + show(kept.user)) +
               (per < pers.size() ? std::string(pers.at(per)) : " per " + show(kept.per));
    }

    void verify_usage(const Snapshot::UsageRow& kept, std::int64_t redeemed) {
        const std::string row = row_of(kept);
        if (find_book(kept.book_id) == nullptr) differ(row, ": the book is not there");
        if (kept.locked < kept.are_locked) {
            differ(row, ": locked is ", kept.locked, ", by counted_lock it is ", kept.are_locked);
        }
        if (kept.locked_amount < kept.are_locked_amount) {
            differ(row, ": locked_amount is ", kept.locked_amount, ", by counted_lock it is ",
                   kept.are_locked_amount);
        }
        if (kept.redeemed == redeemed) return;
        differ(row, ": redeemed is ", kept.redeemed, ", by their codes it is ", redeemed);
    }

    void verify_counted_locks() {
        for (Cursor locks(snapshot_.counted_locks(now_)); !locks.at_end(); locks.advance()) {
            if (!locks->may_be) {
                differ("counted_lock of code ", locks->code_id, " until ", locks->until,
                       ": there is no such code in book ", locks->book_id, " that could be locked");
            } else if (locks->locked_until && locks->locked_until != locks->until) {
                differ("counted_lock of code ", locks->code_id, " until ", locks->until,
                       ": the code is locked until ", locks->locked_until);
            }
        }
    }

    /// A code with what its entries have made of it.
    void count_standing(const Snapshot::CodeRow& code, const CodeState& state) {
        if (!state.redeemed_at) return;
        const Timestamp since = activity_period(*state.redeemed_at);
        ++standing_[{code.book_id, since, ""}];
        if (state.currency) {
            add(standing_[{code.book_id, since, *state.currency}], state.discount_left);
        }
        if (BookState* const book = find_book(code.book_id)) {
            ++book->redemptions;
            const Change redeemed{*state.redeemed_at, state.redemption};
            book->last_redeemed.take(redeemed);
            if (state.discount_left > 0) book->last_worth.take(redeemed);
        }
        const auto usages = usages_.find(code.book_id);
        if (usages == usages_.end()) return;
        for (auto& [kept, counted] : usages->second) {
            if (code.redeemed_at.value_or(*state.redeemed_at) < kept.since) continue;
            ++counted.redeemed;
            if (kept.currency && kept.currency == state.currency) {
                add(counted.amount, state.discount_left);
            }
        }
    }

    void verify_standing() {
        std::map<DiscountPlace, std::int64_t> kept;
        for (Cursor rows(snapshot_.standing()); !rows.at_end(); rows.advance()) {
            const DiscountPlace place{rows->book_id, rows->since, rows->currency};
            add(kept[place], rows->standing);
            standing_.try_emplace(place);
        }
        for (const auto& [place, should] : standing_) {
            const std::int64_t is = kept[place];
            if (is == should) continue;
            const auto& [book, since, currency] = place;
            differ(currency.empty() ? "activity_count" : "discount_count", " since ", since,
                   " of book ", book, currency.empty() ? "" : " in " + currency, ": standing is ",
                   is, ", by the ledger it is ", should);
        }
    }

    /// The uses of `code`, if it is that: each is verified for itself.
    void verify_uses(const Snapshot::UsesRow& uses, const Snapshot::CodeRow& code,
                     const CodeState& state) {
        constexpr std::string_view counted = "usage_count of code ", source = "its uses";
        compare(counted, uses.code_id, "redeemed", uses.redeemed, uses.are_redeemed, source);
        if (uses.locked < uses.are_locked) {
            differ(counted, uses.code_id, ": locked is ", uses.locked, ", of its uses ",
                   uses.are_locked, " are");
        }
        if (uses.code_id != code.id) {
            differ(counted, uses.code_id, ": the code is not there");
            return;
        }
        if (uses.book_id != 0) {
            compare(counted, uses.code_id, "book_id", uses.book_id, code.book_id, "the code");
        }
        const BookState* const book = find_book(code.book_id);
        Code row;
        if (book == nullptr || !read_row_text(code.settings, row)) return;
        const auto& own = row.max_redemptions;
        const auto most = own ? own : book->max_redemptions_per_code;
        const std::int64_t redeemed = uses.are_redeemed + (state.redeemed_at ? 1 : 0);
        // Its own limit may have been set by its last entry.
        if (uses.last_entry > code.last_entry &&
            is_over(redeemed, most, *book, {uses.last_redeemed_at, uses.last_entry})) {
            differ("coupon_code ", code.id, ": it is redeemed ", redeemed,
                   " times, max_redemptions is ", most);
        }
    }

    void verify_ids() {
        EntryId last = 0;
        for (Cursor ids(snapshot_.entry_ids()); !ids.at_end(); ids.advance()) {
            ++result_.entries;
            if (*ids <= 0) differ("ledger ", *ids, ": ids are positive");
            if (*ids > 0 && *ids <= last) differ("ledger ", *ids, ": there are several");
            last = *ids;
        }
        const auto sources = snapshot_.id_sources();
        if (!sources) return;
        verify_next("coupon_book", sources->next_book, last_book_);
        verify_next("coupon_code", sources->next_code, last_code_);
        if (sources->ledger_origins != 1) {
            differ("ledger_origin: ", sources->ledger_origins, " rows, there has to be one");
        }
    }

    void verify_next(std::string_view of, std::optional<std::int64_t> next, std::int64_t last) {
        if (next && *next > last) return;
        differ("id_counter of ", of, ": next is ", next, ", the last id that is there is ", last);
    }

    Snapshot& snapshot_;
    const Timestamp now_;
    const VerifyProgress& progress_;
    Verification result_;
    std::map<std::pair<std::int64_t, EntryId>, Timestamp> erasures_;  ///< of users, and when
    std::unordered_map<BookId, EntryId> moved_to_;  ///< the last entry of a book that was moved out
    std::unordered_map<BookId, BookState> books_;
    BookState all_;                                              ///< of all books together
    std::map<std::pair<BookId, Timestamp>, Activity> activity_;  ///< by the ledger
    std::map<DiscountPlace, std::int64_t> discounts_;            ///< the same
    std::map<DiscountPlace, std::int64_t> standing_;             ///< the same; "": redemptions
    struct UsageOfBook {
        Snapshot::UsageRow kept;
        Usage counted;
    };
    std::unordered_map<BookId, std::vector<UsageOfBook>> usages_;
    BookId last_book_ = 0;
    CodeId last_code_ = 0;
    CodeId upload_from_ = 0;  ///< the next one that the upload of the moment names
    Digester upload_digester_;
    std::int64_t upload_digested_ = 0;             ///< codes of it
    std::optional<CodeSettings> upload_settings_;  ///< of its codes; nothing: not known
    CodeId upload_end_ = 0;                        ///< behind all that the uploads before it name
    std::optional<CodeId> orphans_from_;
    CodeId orphans_to_ = 0;
};

}  // namespace

Verification verify(Snapshot& snapshot, Timestamp now, const VerifyProgress& progress) {
    return Verifier(snapshot, now, progress).run();
}

}  // namespace coupond
