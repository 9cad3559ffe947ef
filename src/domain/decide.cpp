#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/time_zone.hpp"
#include "domain/domain.hpp"
#include "domain/rules.hpp"
#include "domain/spelling.hpp"

namespace coupond {
namespace {

/// Applies commands to a World, one after the other, and keeps what they changed.
class Decider {
public:
    Decider(World& world, Timestamp now) : world_(world), now_(now) {}

    Outcome run(const Submission& submission) {
        Outcome outcome = answer(submission);
        if (const auto* const refusal = std::get_if<Refusal>(&outcome)) {
            count(*refusal, std::visit([this](const auto& command) { return book_of(command); },
                                       submission.command));
        } else if (const auto* const of_code = std::get_if<CodeRefused>(&outcome)) {
            const CodeRow* const row = world_.find(of_code->code);
            count(of_code->refusal, row == nullptr ? all_books : row->code.book_id);
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
            if (auto* const changed = std::get_if<CodeChanged>(&*outcome)) name_holder(*changed);
            auto* const rolled_back = std::get_if<RolledBack>(&*outcome);
            if (rolled_back != nullptr && !complete(*rolled_back)) {
                return Refusal::first_answer_unreadable;
            }
            return Replayed{std::move(*outcome), first.decided_at, first.request_id};
        }
        Outcome outcome = std::visit(*this, submission.command);
        const bool is_done = !std::holds_alternative<DraftOutdated>(outcome) &&
                             !std::holds_alternative<AddingElsewhere>(outcome) &&
                             !std::holds_alternative<TooManyJobs>(outcome);
        if (!is_done) return outcome;
        Remembered remembered{asked.fingerprint, now_, submission.request_id, remember(outcome)};
        world_.remembered.insert_or_assign(asked.key, remembered);
        memories_.push_back({asked.key, std::move(remembered)});
        return outcome;
    }

    Outcome operator()(const CreateBook& command) {
        Book book;
        auto faults = wish(book, command, BookMembers().set());
        if (!faults.empty()) return Contradicted{std::move(faults)};

        book.id = world_.next_book_id++;
        book.created_at = now_;
        book.updated_at = now_;
        LedgerEntry& entry = enter(LedgerEntry::Type::book_created, book.id);
        entry.detail = change_text(nullptr, book);
        book.last_entry = entry.id;
        world_.books.emplace(book.id, book);
        new_books_.push_back(book.id);
        world_.only_book = ++world_.book_count == 1 ? std::optional<BookId>(book.id) : std::nullopt;
        return BookCreated{std::move(book)};
    }

    Outcome operator()(const EditBook& command) {
        Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;
        Book wished = *book;
        auto faults = wish(wished, command.wish, command.wished);
        if (wished.open != book->open) faults.push_back(Fault::assignment_fixed);
        if (wished.case_sensitive != book->case_sensitive) faults.push_back(Fault::case_fixed);
        if (!faults.empty()) return Contradicted{std::move(faults)};

        return change(*book, wished, LedgerEntry::Type::book_changed);
    }

    Outcome operator()(const ArchiveBook& command) {
        Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;

        Book archived = *book;
        if (!archived.archived_at) archived.archived_at = now_;
        return change(*book, archived, LedgerEntry::Type::book_archived);
    }

    Outcome operator()(const RestoreBook& command) {
        Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;

        Book restored = *book;
        restored.archived_at.reset();
        return change(*book, restored, LedgerEntry::Type::book_restored);
    }

    Outcome operator()(const UploadCodes& command) {
        if (!command.book_id && !world_.only_book) return Refusal::book_required;
        const Book* const book =
            world_.find_book(command.book_id.value_or(world_.only_book.value_or(0)));
        if (book == nullptr) return Refusal::book_not_found;
        if (book->archived_at) return Refusal::book_archived;
        if (adds_elsewhere(0)) return AddingElsewhere{};
        std::unordered_set<std::string_view> seen;
        seen.reserve(command.codes.size());
        for (const std::string& code : command.codes) {
            const bool exists = world_.existing_codes.contains(code) || world_.contains(code);
            if (exists || !seen.insert(code).second) return Refusal::codes_already_exist;
        }
        Spellings spellings;  // of `seen`
        if (!book->case_sensitive) {
            std::unordered_set<std::string_view> spelled;
            for (const std::string& code : command.codes) {
                const std::string& spelling = spellings[code] = folded(code);
                if (spelling.empty()) return Contradicted{{Fault::blank_code}};
                const bool exists =
                    world_.existing_spellings.contains(code) || world_.contains_spelling(spelling);
                if (exists || !spelled.insert(spelling).second) return Refusal::codes_already_exist;
            }
        }

        return add_codes(LedgerEntry::Type::codes_uploaded, *book, command.codes, {}, spellings);
    }

    Outcome operator()(const GenerateCodes& command) {
        if (command.automatic) return generate_more(command.book_id);
        const Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;
        if (book->archived_at) return Refusal::book_archived;
        const auto codes = codes_of_pattern(*book);
        if (!codes) return Refusal::code_pattern_unusable;
        auto settings = wish(*book, command);
        if (!settings) return Contradicted{{Fault::no_such_expiry}};
        if (exceeds(command.count, codes->left())) return Refusal::code_pattern_exhausted;
        if (too_many_jobs()) return TooManyJobs{};

        return JobChanged{begin_job(*book, command.count, *codes, std::move(*settings)), true};
    }

    Outcome operator()(const AddGenerated& command) {
        return command.piece ? add_piece(command, *command.piece) : add_at_once(command);
    }

    Outcome operator()(const ReceiveFile& command) {
        if (command.job_id != 0) return receive_more(command);
        const Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;
        if (book->archived_at) return Refusal::book_archived;
        if (too_many_jobs()) return TooManyJobs{};

        Job& job = new_job(*book);
        job.import = Import{command.format, command.skips, book->time_zone};
        job.version = 0;  // what is received makes it one more
        receive(job, command);
        return JobChanged{job, true};
    }

    Outcome operator()(const AddImported& command) {
        Job* const found = find_own_job(command.job_id, command.book_id, command.worker);
        if (found == nullptr || !found->import) return JobTaken{};
        Job& job = *found;
        if (*job.import != command.before) return DraftOutdated{};
        if (command.is_lost) return fail(job, Refusal::upload_interrupted), JobChanged{job};
        const Book* const book = world_.find_book(job.book_id);
        if (book == nullptr) return fail(job, Refusal::book_not_found), JobChanged{job};
        if (book->archived_at && !adds_all(job)) {
            return fail(job, Refusal::book_archived), JobChanged{job};
        }
        const bool adds = command.after.adds_alone() || !command.codes.empty();
        if (adds && adds_elsewhere(job.id)) return AddingElsewhere{};

        claim(job, command.worker, command.claimed_until);
        if (command.rows) job.requested = *command.rows;
        job.import = command.after;
        job.import->rejected = command.before.rejected + command.rejected_count;
        for (const RejectedRow& row : command.rejected) rejections_.push_back({job.id, row});
        add_imported(job, *book, command.codes);
        const bool ends = command.after.stage == Import::Stage::adding &&
                          command.after.share == command.after.shares;
        if (!job.import->skips && job.import->rejected > 0 && (ends || !adds_all(job))) {
            fail(job, Refusal::rows_rejected);
        } else if (ends) {
            finish(job, Job::Status::completed);
        } else {
            ++job.version;
        }
        return JobChanged{job};
    }

    Outcome operator()(const RemoveParts& command) {
        const auto found = world_.jobs.find(command.job_id);
        if (found == world_.jobs.end() || !found->second.job.is_finished()) return JobTaken{};
        parts_to_remove_.push_back(command.job_id);
        return PartsRemoved{};
    }

    Outcome operator()(const DrawImages& command) {
        const Book* const book = world_.find_book(command.book_id);
        if (book == nullptr) return Refusal::book_not_found;
        if (book->archived_at) return Refusal::book_archived;
        if (too_many_jobs()) return TooManyJobs{};

        Job& job = new_job(*book);
        job.images = command.wish;
        return JobChanged{job, true};
    }

    Outcome operator()(const AddImages& command) {
        Job* const found = find_own_job(command.job_id, command.book_id, command.worker);
        if (found == nullptr || !found->images) return JobTaken{};
        Job& job = *found;
        if (*job.images != command.before) return DraftOutdated{};
        const Book* const book = world_.find_book(job.book_id);
        if (book == nullptr || book->archived_at) {
            fail(job, book == nullptr ? Refusal::book_not_found : Refusal::book_archived);
            return JobChanged{job};
        }

        claim(job, command.worker, command.claimed_until);
        job.images = command.after;
        if (command.is_anew) job.created = job.images->rejected = 0;
        for (const RejectedRow& row : command.rejected) {
            if (++job.images->rejected <= limits::rejected_rows) {
                rejections_.push_back({job.id, row});
            }
        }
        job.created += command.drawn;
        // Codes may have come since they were counted.
        const std::int64_t all = job.created + job.images->rejected;
        job.requested = std::max(command.codes.value_or(job.requested), all);
        if (command.is_refused) {
            fail(job, Refusal::images_refused);
        } else if (command.is_last) {
            job.requested = all;
            finish(job, Job::Status::completed);
        } else {
            ++job.version;
        }
        return JobChanged{job};
    }

    Outcome operator()(const CancelJob& command) {
        const auto found = world_.jobs.find(command.job_id);
        if (found == world_.jobs.end()) return Refusal::job_not_found;
        Job& job = found->second.job;
        if (job.status == Job::Status::cancelled) return JobChanged{job};
        if (job.is_finished()) return Refusal::job_finished;
        if (adds_all(job)) return Refusal::job_adds_all;

        finish(job, Job::Status::cancelled);
        return JobChanged{job};
    }

    Outcome operator()(const AssignAny& command) {
        if (command.book_id) {
            const Book* const book = world_.find_book(*command.book_id);
            if (book == nullptr) return Refusal::book_not_found;
            if (const auto refusal = refuse_giving(*book, now_)) return *refusal;
            if (auto held = find_held(*book, command.user_id)) return std::move(*held);
        }
        CodeRow* const row = take_free(command.book_id);
        if (row == nullptr) return Refusal::no_available_coupons;
        if (auto held = find_held(book_of(*row), command.user_id)) return std::move(*held);

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
        if (row->code.assigned_to) return CodeAssigned{row->code};
        if (const auto refusal = refuse_giving(book_of(*row), now_)) return *refusal;
        if (const auto refusal = refuse_giving(row->code, now_)) return *refusal;
        if (holds_most(book_of(*row), command.user_id)) {
            return Refusal::user_assignment_limit_reached;
        }

        assign(*row, command.user_id);
        return CodeAssigned{row->code};
    }

    Outcome operator()(const LockCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (const auto no = refuse_locking(*row, command)) return *no;
        const Book& book = book_of(*row);
        auto worth = worth_of(book, command.order);
        if (counts_redemptions(book)) {
            Taken taken = taken_of(book, command.user_id);
            if (const auto no = refuse_place(*row, command, taken, worth)) return *no;
        }

        return CodeLocked{lock(*row, command, worth)};
    }

    Outcome operator()(const LockCodes& command) {
        std::vector<CodeRow*> rows;
        for (const std::string& code : command.codes) rows.push_back(world_.find(code));
        if (names_twice(rows)) return Contradicted{{Fault::code_named_twice}};
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto refusal = rows[i] == nullptr
                                     ? std::optional(Refusal::code_not_found)
                                     : refuse_locking(*rows[i], command, rows.size());
            if (refusal) return CodeRefused{*refusal, command.codes[i]};
        }

        std::vector<std::optional<Money>> worth(rows.size());
        if (command.order) {
            worth = shares(rows, *command.order);
        } else {
            std::ranges::transform(rows, worth.begin(), [this](const CodeRow* row) {
                return worth_of(book_of(*row), std::nullopt);
            });
        }
        std::map<BookId, Taken> taken;  // with what this command takes
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const Book& book = book_of(*rows[i]);
            if (!counts_redemptions(book)) continue;
            const auto [of_book, first] = taken.try_emplace(book.id);
            if (first) of_book->second = taken_of(book, command.user_id);
            const auto no = refuse_place(*rows[i], command, of_book->second, worth[i]);
            if (no) return CodeRefused{*no, command.codes[i]};
        }

        CodesLocked locked;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            locked.locks.push_back({rows[i]->code.code, lock(*rows[i], command, worth[i])});
        }
        return locked;
    }

    Outcome operator()(const RedeemCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        const Redemption* const same = find_same(*row, command.user_id, command.order);
        if (same != nullptr) return CodeRedeemed{code_of(*same, *row), *same, true};
        if (const auto no = refuse_redeeming(*row, command, command.order)) return *no;
        const Book& book = book_of(*row);
        const auto worth = worth_of(book, command.order);
        if (counts_redemptions(book)) {
            Taken taken = taken_of(book, command.user_id);
            const auto no = refuse_use(*row, command.user_id, command.order, taken, worth);
            if (no) return *no;
        }

        Redemption redemption = redeem(*row, command.user_id, command.order, worth);
        return CodeRedeemed{code_of(redemption, *row), std::move(redemption)};
    }

    Outcome operator()(const RedeemCodes& command) {
        std::vector<CodeRow*> rows;
        for (const std::string& code : command.codes) rows.push_back(world_.find(code));
        const std::optional<Order> order = command.order;
        if (names_twice(rows)) return Contradicted{{Fault::code_named_twice}};
        if (auto same = find_same(rows, command.user_id, order)) return std::move(*same);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            auto no = std::optional(Refusal::code_not_found);
            if (rows[i] != nullptr) {
                // Also one that may be redeemed more often is so once for an order.
                no = find_same(*rows[i], command.user_id, order) != nullptr
                         ? std::optional(Refusal::already_redeemed)
                         : refuse_redeeming(*rows[i], command, order, rows.size());
            }
            if (no) return CodeRefused{*no, command.codes[i]};
        }
        const std::vector<std::optional<Money>> worth = shares(rows, command.order);
        std::map<BookId, Taken> taken;  // with what this command uses
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const Book& book = book_of(*rows[i]);
            if (!counts_redemptions(book)) continue;
            const auto [of_book, first] = taken.try_emplace(book.id);
            if (first) of_book->second = taken_of(book, command.user_id);
            const auto no = refuse_use(*rows[i], command.user_id, order, of_book->second, worth[i]);
            if (no) return CodeRefused{*no, command.codes[i]};
        }

        CodesRedeemed answer;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            answer.redemptions.push_back(redeem(*rows[i], command.user_id, order, worth[i]));
            answer.codes.push_back(code_of(answer.redemptions.back(), *rows[i]));
        }
        return answer;
    }

    Outcome operator()(const RollBack& command) {
        Redemption* const redemption = world_.find_redemption(command.redemption_id);
        if (redemption == nullptr) return Refusal::redemption_not_found;
        if (redemption->rolled_back_at) return Refusal::already_rolled_back;
        std::optional<Money> back = redemption->discount;
        if (back) back->amount -= redemption->given_back;
        if (command.ten_thousandths) {
            const auto amount =
                minor_units(*command.ten_thousandths, back ? back->currency : std::nullopt);
            if (!amount) return Contradicted{{Fault::amount_too_fine}};
            if (!back || *amount > back->amount) return Refusal::amount_exceeds_discount;
            back->amount = *amount;
        }

        const bool whole = !command.ten_thousandths;
        CodeRow* const row = redemption->use_of ? world_.find_use(redemption->code_id)
                                                : world_.find(redemption->code);
        COUPOND_CHECK(row != nullptr);
        LedgerEntry& entry = change(*row, whole ? LedgerEntry::Type::redemption_rolled_back
                                                : LedgerEntry::Type::discount_given_back);
        entry.redemption_id = redemption->id;
        entry.discount = back;
        entry.detail = command.reason;
        row->rolled_back = true;
        if (back) {
            redemption->given_back += back->amount;
            back->amount = -back->amount;
        }
        count_use(book_of(*row), redemption->user_id, redemption->at, whole ? -1 : 0, back);
        if (whole) give_back_use(*row, *redemption);
        return RolledBack{*redemption};
    }

    Outcome operator()(const EditCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;

        CodeSettings wish = command.wish;
        if (!command.expires_on.empty()) {
            wish.expires_at = end_of_day(book_of(*row), command.expires_on);
            if (!wish.expires_at) return Contradicted{{Fault::no_such_expiry}};
        }
        const CodeSettings before = row->code;
        set_members(row->code, wish, command.wished);
        if (before == row->code) return CodeChanged{row->code};
        row->code.counted |= row->code.max_redemptions.has_value();
        pools_outdated_ = true;
        change(*row, LedgerEntry::Type::code_changed).detail = change_text(before, row->code);
        rewrite(*row);
        return CodeChanged{row->code};
    }

    Outcome operator()(const UnlockCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (!book_of(*row).open && row->code.assigned_to != command.user_id) {
            return Refusal::not_assigned_to_user;
        }
        CodeRow* const used = row_of(*row, command.user_id);
        if (used == nullptr) return CodeUnlocked{};
        if (used->code.redeemed_at) return Refusal::already_redeemed;
        if (!used->code.is_locked(now_)) return CodeUnlocked{};
        if (used->code.lock->key != command.lock_key) return Refusal::lock_key_mismatch;

        if (used->code.use_of) uses_of(*row)->changed = true;
        change(*used, LedgerEntry::Type::code_unlocked).locked_until = used->code.lock->until;
        move_lock_end(*used);
        used->lock_changed = true;
        count_for_limits(*used, std::nullopt);
        return CodeUnlocked{};
    }

    Outcome operator()(const UnassignCode& command) {
        CodeRow* const row = world_.find(command.code);
        if (row == nullptr) return Refusal::code_not_found;
        if (!row->code.assigned_to) return CodeUnassigned{row->code};
        if (command.user_id && row->code.assigned_to != command.user_id) {
            return Refusal::not_assigned_to_user;
        }
        if (row->code.redeemed_at || used_of_code(*row).uses > 0) return Refusal::already_redeemed;
        const CodeRow* const use = unredeemed_use(*row, *row->code.assigned_to);
        if (row->code.is_locked(now_) || (use != nullptr && use->code.is_locked(now_))) {
            return Refusal::already_locked;
        }

        change(*row, LedgerEntry::Type::code_unassigned);
        // Which is the first one then, nobody knows.
        world_.holdings.erase({row->code.book_id, *row->code.assigned_to});
        row->code.assigned_to.reset();
        pools_outdated_ = true;
        if (row->code.lock) {  // a dead one
            count_lock(row->code, -1);
            row->code.lock.reset();
            row->lock_changed = true;
        }
        ++counts_[row->code.book_id].available;
        if (std::exchange(row->code.ever_locked, false)) {
            --counts_[row->code.book_id].ever_locked;
        }
        row->assigned = false;
        row->unassigned = true;
        rewrite(*row);
        return CodeUnassigned{row->code};
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
        for (const auto& [id, loaded_entry] : changed_books_) {
            delta.changed_books.push_back({world_.find_book(id), loaded_entry});
        }
        for (const auto& [place, row] : world_.generators) {
            if (!row.changed) continue;
            delta.generators.push_back({place.first, place.second, row.loaded, row.now});
        }
        for (const auto& [id, row] : world_.jobs) {
            if (row.job.version != row.loaded_version) delta.jobs.push_back(&row);
        }
        delta.new_codes = std::move(new_codes_);
        delta.changed_codes = std::move(changed_codes_);
        delta.file_parts = std::move(file_parts_);
        delta.rejections = std::move(rejections_);
        delta.parts_to_remove = std::move(parts_to_remove_);
        delta.entries = std::move(entries_);
        delta.memories = std::move(memories_);
        delta.relied_on = std::move(relied_on_);
        for (const std::string& user_id : holders_) {
            delta.holders.push_back(&*world_.holder_versions.try_emplace(user_id).first);
        }
        delta.erasures = std::move(erasures_);
        for (const auto& [key, row] : world_.usages) {
            if (row.changed)
                delta.usages.push_back({&key, row.loaded, row.loaded_version, row.now});
        }
        delta.counted_locks = std::move(counted_locks_);
        delta.standing = std::move(standing_);
        for (const auto* const codes : {&delta.new_codes, &delta.changed_codes}) {
            for (const CodeRow* const row : *codes) count_kept_back(*row);
        }
        for (const LedgerEntry& entry : delta.entries) {
            const Activity activity = activity_of(entry);
            if (activity != Activity()) delta.activity[entry.book_id] += activity;
        }
        Activity all_activity;
        for (const auto& [book_id, activity] : delta.activity) {
            all_activity += activity;
            if (activity.discount_cents == 0) continue;
            counts_[book_id].discount_cents = activity.discount_cents;
        }
        if (!delta.activity.empty()) delta.activity[all_books] = all_activity;
        Delta::Counts all;
        for (const auto& [book_id, counts] : counts_) {
            all += counts;
        }
        if (!counts_.empty()) counts_[all_books] = all;
        delta.counts = std::move(counts_);
        delta.refusals = std::move(refusals_);
        std::erase_if(locks_, [](const auto& entry) { return entry.second == 0; });
        delta.locks = std::move(locks_);
        return delta;
    }

    bool shortage() const { return shortage_; }
    bool unforeseen() const { return unforeseen_; }
    bool locks_uncounted() const { return locks_uncounted_; }

private:
    using Spellings = std::unordered_map<std::string_view, std::string>;

    /// Where in the order in which free codes are given away codes are put, one after the other:
    /// what is beyond 1 begins anew.
    struct Spread {
        double from = 0;
        double step = 0;
    };

    /// Adds codes that are not there yet; `spellings` has those of a book that folds them. Without
    /// `spread` they are anywhere.
    CodesUploaded add_codes(LedgerEntry::Type type, const Book& book,
                            std::vector<std::string> texts, const CodeSettings& settings,
                            Spellings& spellings, const std::optional<Spread>& spread = {}) {
        CodesUploaded added{book, world_.next_code_id, std::move(texts), now_, settings};
        LedgerEntry& entry = enter(type, book.id);
        entry.code_id = added.first_id;
        entry.codes = static_cast<std::int64_t>(added.codes.size());
        entry.detail = row_text(settings);
        const bool is_kept_back = book.open || !settings.works(now_);
        const std::array scopes{PoolScope{book.id}, PoolScope{}};
        Digester digester;
        for (const std::string& text : added.codes) {
            digester.add(text);
            Code code;
            static_cast<CodeSettings&>(code) = settings;
            code.id = world_.next_code_id++;
            code.book_id = book.id;
            code.code = text;
            code.created_at = now_;
            code.last_entry = entry.id;
            code.counted = settings.max_redemptions.has_value();
            CodeRow& row = world_.add(std::move(code));
            row.code.kept_back = is_kept_back;  // which it was not before it was there
            row.is_new = true;
            if (spread) {
                const auto nth = static_cast<double>(row.code.id - added.first_id) + 0.5;
                const double at = spread->from + nth * spread->step;
                row.order = at - std::floor(at);
            }
            if (!book.case_sensitive) {
                row.folded = std::move(spellings.at(text));
                world_.add_spellings(row);
            }
            new_codes_.push_back(&row);
            for (const PoolScope& scope : scopes) {
                const auto pool = world_.pools.find(scope);
                if (pool != world_.pools.end()) added_free_[scope].push_back(&row);
            }
        }
        entry.codes_digest = digester.end();
        counts_[book.id].total += entry.codes;
        counts_[book.id].available += entry.codes;
        return added;
    }

    struct CodesOfPattern {
        CodeSpace::Number all = 0;
        std::int64_t used = 0;  ///< drafted by its generator, or to be made by jobs that there are

        CodeSpace::Number left() const {
            return all - std::min(all, static_cast<CodeSpace::Number>(used));
        }
    };

    /// Nothing where the book has a pattern that makes no codes: it is of an older version.
    std::optional<CodesOfPattern> codes_of_pattern(const Book& book) const {
        const auto parsed = parse_code_pattern(book.code_pattern);
        const auto* const pattern = std::get_if<CodePattern>(&parsed);
        if (pattern == nullptr) return std::nullopt;
        CodesOfPattern codes{CodeSpace(*pattern).codes(), 0};
        const auto drafted = world_.generators.find({book.id, book.code_pattern});
        if (drafted != world_.generators.end()) codes.used += drafted->second.now.drafts;
        const auto being_made = world_.being_made.find({book.id, book.code_pattern});
        if (being_made != world_.being_made.end()) codes.used += being_made->second;
        return codes;
    }

    /// A job has made so many, or will not make them.
    void count_made(const Job& job, std::int64_t count) {
        const auto being_made = world_.being_made.find({job.book_id, job.code_pattern});
        if (being_made != world_.being_made.end()) being_made->second -= count;
    }

    static bool exceeds(std::int64_t count, CodeSpace::Number left) {
        return static_cast<CodeSpace::Number>(count) > left;
    }

    bool too_many_jobs() const { return world_.unfinished_jobs >= limits::unfinished_jobs; }

    Job& new_job(const Book& book) {
        ++world_.unfinished_jobs;
        Job job;
        job.id = world_.next_job_id++;
        job.book_id = book.id;
        job.created_at = now_;
        job.request_id = request_id_;
        job.version = 1;
        const JobId id = job.id;
        return world_.jobs.emplace(id, World::JobRow{std::move(job), 0, true}).first->second.job;
    }

    Job& begin_job(const Book& book, std::int64_t count, const CodesOfPattern& codes,
                   CodeSettings settings) {
        Job& job = new_job(book);
        job.code_pattern = book.code_pattern;
        job.settings = std::move(settings);
        job.requested = count;
        job.guess_probability = guess_probability(codes.used + count, codes.all);
        world_.being_made[{book.id, job.code_pattern}] += count;
        return job;
    }

    /// A job that `worker` may go on with; or null.
    Job* find_own_job(JobId id, BookId book_id, std::string_view worker) {
        const auto found = world_.jobs.find(id);
        if (found == world_.jobs.end()) return nullptr;
        Job& job = found->second.job;
        const bool is_other = job.worker != worker && job.is_claimed(now_);
        // What was read of it before may have been of a server that has lost it since.
        const bool is_free = !job.is_finished() && !is_other && job.book_id == book_id;
        return is_free ? &job : nullptr;
    }

    void claim(Job& job, const std::string& worker, Timestamp until) {
        if (!job.started_at) job.started_at = now_;
        job.status = Job::Status::running;
        job.worker = worker;
        job.claimed_until = until;
    }

    /// A job that nobody asked for, if it is still time for one.
    Outcome generate_more(BookId book_id) {
        const Book* const book = world_.find_book(book_id);
        const bool is_wanted =
            book != nullptr && book->auto_generate && !book->archived_at && !book->open;
        const auto made = world_.being_made.lower_bound({book_id, {}});
        const bool is_made = made != world_.being_made.end() && made->first.first == book_id;
        if (!is_wanted || is_made || too_many_jobs()) return JobTaken{};
        const CodesOfPattern codes = codes_of_pattern(*book).value_or(CodesOfPattern());
        const std::int64_t wanted = book->auto_generate->count;
        const auto count =
            exceeds(wanted, codes.left()) ? static_cast<std::int64_t>(codes.left()) : wanted;
        Job& job = begin_job(*book, count > 0 ? count : wanted, codes, {});
        if (count == 0) fail(job, Refusal::code_pattern_exhausted);
        return JobChanged{job, true};
    }

    /// What codes are to have. Nothing where there is no such day in the book's time zone.
    static std::optional<CodeSettings> wish(const Book& book, const GenerateCodes& asked) {
        CodeSettings settings = asked.wish;
        if (asked.expires_on.empty()) return settings;
        settings.expires_at = end_of_day(book, asked.expires_on);
        return settings.expires_at ? std::optional(settings) : std::nullopt;
    }

    static std::optional<Timestamp> end_of_day(const Book& book, const std::string& date) {
        const auto zone = TimeZone::find(book.time_zone);
        return zone ? zone->parse_end(date) : std::nullopt;
    }

    /// Whether the generator that drafted is as it was then.
    bool is_current(const AddGenerated& command) const {
        const auto found = world_.generators.find({command.asked.book_id, command.code_pattern});
        if (found == world_.generators.end()) return command.generator.next == 0;
        const Generator& now = found->second.now;
        return now.key == command.generator.key && now.next == command.generator.next;
    }

    /// From a draft, up to some number of codes that are not there yet.
    struct Picked {
        std::vector<std::string> codes;
        Spellings spellings;         ///< of a book that folds them; keys are views into the draft
        std::size_t candidates = 0;  ///< that were looked at
    };

    Picked pick(const Book& book, const CodeDraft& draft, std::int64_t most) const {
        Picked picked;
        std::unordered_set<std::string_view> spelled;
        for (const CodeDraft::Candidate& candidate : draft.candidates) {
            if (std::ssize(picked.codes) >= most) break;
            ++picked.candidates;
            if (!is_new(book, candidate.code, picked.spellings, spelled)) continue;
            picked.codes.push_back(candidate.code);
        }
        return picked;
    }

    /// Adds what was picked from a draft.
    CodesUploaded add_picked(const Book& book, Picked picked, const CodeSettings& settings,
                             const std::optional<Spread>& spread = {}) {
        if (picked.codes.empty()) return {};
        return add_codes(LedgerEntry::Type::codes_generated, book, std::move(picked.codes),
                         settings, picked.spellings, spread);
    }

    /// The generator that drafted, as it is from now on.
    Generator& move_generator(const AddGenerated& command) {
        World::GeneratorRow& row =
            world_.generators
                .try_emplace({command.asked.book_id, command.code_pattern},
                             World::GeneratorRow{std::nullopt, command.generator})
                .first->second;
        row.changed = true;
        return row.now;
    }

    /// Those that were looked at are used up.
    void move_behind(const AddGenerated& command, const Picked& picked) {
        Generator& generator = move_generator(command);
        const auto& candidates = command.draft.candidates;
        const bool all = picked.candidates == candidates.size();
        generator.next = all ? command.draft.next : candidates[picked.candidates - 1].next;
        generator.drafts += static_cast<std::int64_t>(picked.candidates);
    }

    Outcome add_at_once(const AddGenerated& command) {
        const GenerateCodes& asked = command.asked;
        const Book* const book = world_.find_book(asked.book_id);
        if (book == nullptr) return Refusal::book_not_found;
        if (book->archived_at) return Refusal::book_archived;
        const auto codes = codes_of_pattern(*book);
        if (!codes) return Refusal::code_pattern_unusable;
        const auto settings = wish(*book, asked);
        if (!settings) return Contradicted{{Fault::no_such_expiry}};
        if (exceeds(asked.count, codes->left())) return Refusal::code_pattern_exhausted;
        if (adds_elsewhere(0)) return AddingElsewhere{};
        if (command.code_pattern != book->code_pattern || !is_current(command)) {
            return DraftOutdated{};
        }
        Picked picked = pick(*book, command.draft, asked.count);
        const std::int64_t missing = asked.count - std::ssize(picked.codes);
        if (missing > 0 && command.draft.exhausted) return Refusal::code_pattern_exhausted;
        if (missing > 0) return DraftOutdated{static_cast<std::size_t>(missing)};

        move_behind(command, picked);
        const double guess = guess_probability(codes->used + asked.count, codes->all);
        return CodesGenerated{add_picked(*book, std::move(picked), *settings), guess};
    }

    Outcome add_piece(const AddGenerated& command, const AddGenerated::Piece& piece) {
        Job* const found = find_own_job(piece.job_id, command.asked.book_id, piece.worker);
        const bool is_same =
            found != nullptr && found->makes_codes() && found->code_pattern == command.code_pattern;
        if (!is_same) return JobTaken{};
        Job& job = *found;
        const Book* const book = world_.find_book(job.book_id);
        if (book == nullptr || book->archived_at) {
            fail(job, book == nullptr ? Refusal::book_not_found : Refusal::book_archived);
            return JobChanged{job};
        }
        if (adds_elsewhere(job.id)) return AddingElsewhere{};
        if (piece.round == job.round) {
            if (piece.done != job.done) return DraftOutdated{};
            const bool is_in_turn = job.done == job.round.size();
            if (is_in_turn && !is_current(command)) return DraftOutdated{};
            add_next(job, *book, command, piece, is_in_turn);
        } else {
            if (job.done < job.round.size() || !is_current(command)) return DraftOutdated{};
            move_generator(command).next = piece.round.end;
            job.round = piece.round;
            job.done = 0;
        }
        claim(job, piece.worker, piece.claimed_until);
        if (job.created == job.requested) {
            finish(job, Job::Status::completed);
        } else if (piece.is_last) {
            fail(job, Refusal::code_pattern_exhausted);
        } else {
            ++job.version;
        }
        return JobChanged{job};
    }

    void add_next(Job& job, const Book& book, const AddGenerated& command,
                  const AddGenerated::Piece& piece, bool is_in_turn) {
        Picked picked = pick(book, command.draft, job.requested - job.created);
        job.created += std::ssize(picked.codes);
        count_made(job, std::ssize(picked.codes));
        std::optional<Spread> spread;
        if (is_in_turn) {
            move_behind(command, picked);
        } else {
            job.done = piece.done_now;
            move_generator(command).drafts += std::ssize(command.draft.candidates);
            const auto size = static_cast<double>(job.round.size());
            spread = Spread{piece.turn + static_cast<double>(piece.done) / size, 1 / size};
        }
        const std::string_view own_request = std::exchange(request_id_, job.request_id);
        add_picked(book, std::move(picked), job.settings, spread);
        request_id_ = own_request;
    }

    /// Whether a job other than `own` adds its codes, all or none.
    bool adds_elsewhere(JobId own) const {
        if (world_.adds_alone && *world_.adds_alone != own) {
            const auto here = world_.jobs.find(*world_.adds_alone);
            if (here == world_.jobs.end() || here->second.job.adds_alone()) return true;
        }
        return std::ranges::any_of(world_.jobs, [own](const auto& job) {
            return job.first != own && job.second.job.adds_alone();
        });
    }

    /// Whether it has begun to add codes of which it is to add all or none.
    static bool adds_all(const Job& job) {
        return job.adds_alone() && job.import->stage == Import::Stage::adding;
    }

    Outcome receive_more(const ReceiveFile& command) {
        const auto found = world_.jobs.find(command.job_id);
        if (found == world_.jobs.end()) return Refusal::job_not_found;
        Job& job = found->second.job;
        const bool is_ours = job.import && job.import->stage == Import::Stage::receiving &&
                             job.worker == command.worker && job.import->bytes == command.before;
        // Who thought that the rest will not come has ended it; or whoever may cancel it has.
        if (job.is_finished() || !is_ours) return Refusal::upload_interrupted;

        receive(job, command);
        return JobChanged{job, command.ends};
    }

    void receive(Job& job, const ReceiveFile& command) {
        Import& import = *job.import;
        if (!command.bytes.empty()) {
            file_parts_.push_back({job.id, import.parts++, command.bytes});
        }
        import.bytes += std::ssize(command.bytes);
        job.worker = command.worker;
        job.claimed_until = command.claimed_until;
        if (command.ends) {
            import.stage = Import::Stage::reading;
            job.claimed_until.reset();
        }
        ++job.version;
    }

    /// A row whose code is there already.
    void reject(Job& job, const ImportedCode& row) {
        if (++job.import->rejected > limits::rejected_rows) return;
        const auto reason = std::string(to_string(Refusal::codes_already_exist));
        rejections_.push_back({job.id, {row.line, reason, row.code}});
    }

    /// Adds those of `codes` that are not there yet, in their order, with an entry for as many of
    /// the same settings as follow each other.
    void add_imported(Job& job, const Book& book, const std::vector<ImportedCode>& codes) {
        std::vector<std::pair<const CodeSettings*, std::vector<const ImportedCode*>>> groups;
        Spellings spellings;
        std::unordered_set<std::string_view> spelled;
        for (const ImportedCode& code : codes) {
            if (!is_new(book, code.code, spellings, spelled)) {
                reject(job, code);
                continue;
            }
            const bool goes_on = !groups.empty() && *groups.back().first == code.settings;
            if (!goes_on) groups.push_back({&code.settings, {}});
            groups.back().second.push_back(&code);
        }
        const std::string_view own_request = std::exchange(request_id_, job.request_id);
        for (const auto& [settings, members] : groups) {
            std::vector<std::string> texts;
            for (const ImportedCode* const code : members) texts.push_back(code->code);
            add_codes(LedgerEntry::Type::codes_uploaded, book, std::move(texts), *settings,
                      spellings);
            job.created += std::ssize(members);
        }
        for (const auto& [settings, members] : groups) {
            for (const ImportedCode* const code : members) {
                CodeRow& row = *world_.find(code->code);
                row.order = code->order;
                if (!code->user_id.empty()) assign(row, code->user_id);
            }
        }
        request_id_ = own_request;
    }

    /// Whether no code is `text`, nor another spelling of it where `book` folds them; then it is in
    /// `spellings` and `spelled` there.
    bool is_new(const Book& book, const std::string& text, Spellings& spellings,
                std::unordered_set<std::string_view>& spelled) const {
        if (world_.existing_codes.contains(text) || world_.contains(text)) return false;
        if (book.case_sensitive) return true;
        std::string spelling = folded(text);
        const bool exists = spelling.empty() || world_.existing_spellings.contains(text) ||
                            world_.contains_spelling(spelling);
        if (exists) return false;
        const auto [place, is_new] = spellings.emplace(text, std::move(spelling));
        return is_new && spelled.insert(place->second).second;
    }

    void fail(Job& job, Refusal refusal) {
        job.error = to_string(refusal);
        finish(job, Job::Status::failed);
    }

    void finish(Job& job, Job::Status status) {
        if (job.makes_codes()) count_made(job, job.requested - job.created);
        job.status = status;
        job.finished_at = now_;
        job.claimed_until.reset();
        ++job.version;
    }

    void count(Refusal refusal, BookId book) {
        ++refusals_[{book, refusal}];
        if (book != all_books) ++refusals_[{all_books, refusal}];
    }

    /// The request does not say who holds the code, so it is not remembered: whoever does now.
    void name_holder(CodeChanged& changed) {
        const CodeRow* const row = world_.find(changed.code.code);
        if (row != nullptr) changed.code.assigned_to = row->code.assigned_to;
    }

    /// Nor does a roll-back say of which redemption, but by its id. False where that is not there.
    bool complete(RolledBack& answer) {
        const Redemption* const redemption = world_.find_redemption(answer.redemption.id);
        if (redemption == nullptr) return false;
        const std::int64_t given_back = answer.redemption.given_back;
        const auto rolled_back_at = answer.redemption.rolled_back_at;
        answer.redemption = *redemption;
        answer.redemption.given_back = given_back;
        answer.redemption.rolled_back_at = rolled_back_at;
        return true;
    }

    bool is_kept(const Remembered& memory) const {
        return now_ < memory.decided_at + limits::idempotency_ms;
    }

    /// The next code of a scope that no command before this one has given away; null where there is
    /// none left.
    CodeRow* take_free(PoolScope scope) {
        Pool& pool = world_.pools[scope];
        for (; pool.given < pool.codes.size(); ++pool.given) {
            CodeRow* const row = pool.codes[pool.given];
            if (can_give(*row)) return row;
        }
        (pools_outdated_ ? unforeseen_ : shortage_) |= !pool.complete;
        std::deque<CodeRow*>& uploaded = added_free_[scope];
        for (; !uploaded.empty(); uploaded.pop_front()) {
            if (can_give(*uploaded.front())) return uploaded.front();
        }
        unforeseen_ |= pools_outdated_;
        return nullptr;
    }

    bool can_give(CodeRow& row) {
        if (row.code.assigned_to) return false;
        if (!row.code.works(now_)) {
            // It need not be met again.
            rewrite(row);
            mark_changed(row);
            return false;
        }
        return gives_codes(book_of(row), now_);
    }

    /// Makes of `book` what is wished, and says what of that cannot be.
    std::vector<Fault> wish(Book& book, const BookWish& wish, BookMembers wished) const {
        set_members(book, wish, wished);
        std::vector<Fault> faults;
        const auto zone = TimeZone::find(book.time_zone);
        if (!wish.starts_on.empty()) {
            book.starts_at = zone ? zone->parse(wish.starts_on) : std::nullopt;
            if (!book.starts_at) faults.push_back(Fault::no_such_start);
        }
        if (!wish.ends_on.empty()) {
            book.ends_at = zone ? zone->parse_end(wish.ends_on) : std::nullopt;
            if (!book.ends_at) faults.push_back(Fault::no_such_end);
        }
        count_what_is_limited(book);
        if (book.starts_at && book.ends_at && *book.ends_at <= *book.starts_at) {
            faults.push_back(Fault::ends_before_start);
        }
        for (const Per per : all_pers) {
            const auto budget = book.limits_per(per).budget;
            if (!budget) continue;
            if (!book.discount || !book.discount->currency) {
                faults.push_back(Fault::budget_without_currency);
                break;
            }
            if (minor_units(*budget, book.discount->currency)) continue;
            faults.push_back(Fault::budget_too_fine);
            break;
        }
        return faults;
    }

    /// Makes `to` of `book`, where that is not what it is.
    Outcome change(Book& book, Book& to, LedgerEntry::Type type) {
        const bool restores = type == LedgerEntry::Type::book_restored;
        if (to == book) return BookChanged{book, restores};
        to.updated_at = now_;
        pools_outdated_ = true;
        LedgerEntry& entry = enter(type, book.id);
        entry.detail = change_text(&book, to);
        entry.previous = book.last_entry;
        const bool is_new = std::ranges::find(new_books_, book.id) != new_books_.end();
        if (!is_new) changed_books_.try_emplace(book.id, book.last_entry);
        to.last_entry = entry.id;
        book = to;
        return BookChanged{book, restores};
    }

    const Book& book_of(const CodeRow& row) {
        const Book* const book = world_.find_book(row.code.book_id);
        COUPOND_CHECK(book != nullptr);
        return *book;
    }

    /// The book that a command is about, as far as there is one.
    BookId book_of(const CreateBook&) { return all_books; }
    template <class OfBook>
    requires requires(const OfBook& command) { BookId(command.book_id); }
    BookId book_of(const OfBook& command) {
        return world_.find_book(command.book_id) == nullptr ? all_books : command.book_id;
    }
    BookId book_of(const EraseUser&) { return all_books; }
    BookId book_of(const AddGenerated& command) { return book_of(command.asked); }
    BookId book_of(const CancelJob&) { return all_books; }
    BookId book_of(const RemoveParts&) { return all_books; }
    BookId book_of(const UploadCodes& command) {
        const BookId id = command.book_id.value_or(world_.only_book.value_or(all_books));
        return world_.find_book(id) == nullptr ? all_books : id;
    }
    BookId book_of(const AssignAny& command) {
        const BookId id = command.book_id.value_or(all_books);
        return world_.find_book(id) == nullptr ? all_books : id;
    }
    template <class OfCode>
    requires requires(const OfCode& command) { std::string_view(command.code); }
    BookId book_of(const OfCode& command) {
        const CodeRow* const row = world_.find(command.code);
        return row == nullptr ? all_books : row->code.book_id;
    }

    /// Of several codes each refusal is of one of them.
    BookId book_of(const LockCodes&) { return all_books; }
    BookId book_of(const RedeemCodes&) { return all_books; }
    BookId book_of(const RollBack& command) {
        const Redemption* const redemption = world_.find_redemption(command.redemption_id);
        return redemption == nullptr ? all_books : redemption->book_id;
    }

    World::UsageRow& usage_of(const UsageNeed& need) {
        const auto [row, unloaded] = world_.usages.try_emplace(need.key);
        // What was loaded is of no use where this batch has changed the book's zone or currency.
        const Usage& now = row->second.now;
        unforeseen_ |= unloaded || now.since != need.since || now.currency != need.currency;
        return row->second;
    }

    /// What is used of a book, by all and by a user.
    Used used_of(const Book& book, const std::string& user_id) {
        Used used;
        for (const UsageNeed& need : usage_needs(book, "", now_)) {
            used.by_all[static_cast<std::size_t>(need.key.per)] = usage_of(need).now;
        }
        for (const UsageNeed& need : usage_needs(book, user_id, now_)) {
            used.by_user[static_cast<std::size_t>(need.key.per)] = usage_of(need).now;
        }
        return used;
    }

    /// What is taken of a book, by all and by a user.
    struct Taken {
        Used used;
        Used locked;  ///< besides
    };

    Taken taken_of(const Book& book, const std::string& user_id) {
        Taken taken{used_of(book, user_id), {}};
        const auto split = [](const auto& used, auto& locked) {
            for (std::size_t per = 0; per < used.size(); ++per) {
                locked[per] = used[per];
                locked[per].redeemed = used[per].locked;
                locked[per].amount = used[per].locked_amount;
            }
        };
        split(taken.used.by_all, taken.locked.by_all);
        split(taken.used.by_user, taken.locked.by_user);
        return taken;
    }

    /// Counts `redemptions` made at `at` and what they are worth; or, where that is less than
    /// nothing, that they are taken back.
    void count_use(const Book& book, const std::string& user_id, Timestamp at,
                   std::int64_t redemptions, const std::optional<Money>& worth) {
        const bool in_currency = worth && worth->currency;
        if (redemptions != 0 || (in_currency && worth->amount != 0)) {
            Delta::Standing& standing = standing_[{book.id, activity_period(at)}];
            standing.redemptions += redemptions;
            if (in_currency) standing.discounts[*worth->currency] += worth->amount;
        }
        for (const std::string& of : {std::string(), user_id}) {
            for (const UsageNeed& need : usage_needs(book, of, now_)) {
                World::UsageRow& row = usage_of(need);
                // Where it concerns an earlier time too: what is counted is of now from now on.
                row.changed = true;
                if (at < need.since) continue;
                row.now.redeemed += redemptions;
                if (in_currency && worth->currency == row.now.currency) {
                    row.now.amount += worth->amount;
                }
            }
        }
    }

    /// The code is its holder's again, as after a lock that has ended now.
    void give_back_use(CodeRow& row, Redemption& redemption) {
        redemption.rolled_back_at = now_;
        row.code.redeemed_at.reset();
        row.code.lock = Lock{redemption.user_id, now_};
        count_lock(row.code, 1);
        // Where others keep the locks, one may have been noted only after it was redeemed.
        row.counted_lock.reset();
        if (counts_redemptions(book_of(row))) note_counted_lock(row);
        ++counts_[redemption.book_id].rolled_back;
        if (!row.code.use_of) {
            --counts_[redemption.book_id].redeemed;
            return;
        }
        World::UsageRow& uses = usage_of(uses_need(row.code.book_id, *row.code.use_of));
        --uses.now.redeemed;
        uses.changed = true;
        const auto use = world_.unredeemed_uses.find({*row.code.use_of, redemption.user_id});
        if (use != world_.unredeemed_uses.end() && use->second == nullptr) use->second = &row;
    }

    /// Of a code: how many uses of it there are; null where there cannot be any.
    World::UsageRow* uses_of(const CodeRow& row) {
        if (!may_have_uses(book_of(row), row.code)) return nullptr;
        return &usage_of(uses_need(row.code.book_id, row.code.id));
    }

    Used used_of_code(const CodeRow& row) {
        Used used;
        const World::UsageRow* const uses = uses_of(row);
        if (uses != nullptr) used.uses = uses->now.redeemed;
        return used;
    }

    /// A user's use of a code that is not redeemed; null where there is none.
    CodeRow* unredeemed_use(const CodeRow& row, const std::string& user_id) {
        if (!may_have_uses(book_of(row), row.code)) return nullptr;
        const auto [use, unloaded] =
            world_.unredeemed_uses.try_emplace(std::pair(row.code.id, user_id), nullptr);
        unforeseen_ |= unloaded;
        return use->second;
    }

    /// By which row a user goes on with a code: that of their use of it, where they have locked
    /// that, or there is no place in its own for another redemption; null where they have none yet.
    CodeRow* row_of(CodeRow& row, const std::string& user_id) {
        const Book& book = book_of(row);
        CodeRow* const use = unredeemed_use(row, user_id);
        const bool by_use = book.open ||
                            (row.code.redeemed_at && most_redemptions(book, row.code) != 1) ||
                            (use != nullptr && use->code.is_locked(now_));
        return by_use ? use : &row;
    }

    /// Gives a user a use of a code, which the next entry must be about.
    CodeRow& add_use(const CodeRow& row, const std::string& user_id) {
        Code use = row.code;
        use.id = uses_from + world_.next_entry_id;
        use.use_of = row.code.id;
        use.assigned_to = user_id;
        use.lock.reset();
        use.redeemed_at.reset();
        use.ever_locked = use.kept_back = use.counted = false;
        CodeRow& added = world_.add(std::move(use));
        added.is_new = true;
        new_codes_.push_back(&added);
        world_.unredeemed_uses[{row.code.id, user_id}] = &added;
        return added;
    }

    /// As it was used for a redemption of it.
    Code code_of(const Redemption& redemption, const CodeRow& row) {
        if (!redemption.use_of) return row.code;
        const CodeRow* const use = world_.find_use(redemption.code_id);
        COUPOND_CHECK(use != nullptr);
        Code code = use->code;
        // Which this batch may have changed since the use was loaded.
        static_cast<CodeSettings&>(code) = row.code;
        return code;
    }

    /// `command`: LockCode or LockCodes, of so many codes.
    template <class Command>
    std::optional<Refusal> refuse_locking(CodeRow& row, const Command& command,
                                          std::size_t codes = 1) {
        const Book& book = book_of(row);
        const Use use{book,          row.code, command.user_id,  now_,
                      command.order, codes,    used_of_code(row)};
        if (const auto refusal = first_refusal(use, Rules::use)) return refusal;
        if (command.order) {
            if (const auto refusal = first_refusal(use, Rules::order)) return refusal;
        }
        const CodeRow* const used = row_of(row, command.user_id);
        const bool is_refused = used != nullptr && used->code.is_locked(now_)
                                    ? !goes_on(row, command)
                                    : is_locked_up(use, row);
        return is_refused ? std::optional(Refusal::already_locked) : std::nullopt;
    }

    /// Whether it has the lock that `command` asks for, and that takes nothing more.
    template <class Command>
    bool goes_on(CodeRow& row, const Command& command) {
        const CodeRow* const used = row_of(row, command.user_id);
        return used != nullptr && used->code.is_locked(now_) &&
               (has_taken(*used, command) || extends(*used, command));
    }

    /// Whether this request has taken the lock that is on `row` before, and nobody knows yet.
    template <class Command>
    bool has_taken(const CodeRow& row, const Command& command) {
        const Lock& lock = *row.code.lock;
        const Timestamp taken_at = lock.until + -ttl_ms(book_of(row), command.ttl_ms);
        return !key_.empty() && lock.idempotency_key == key_ &&
               now_ < taken_at + limits::idempotency_ms;
    }

    /// Whether the lock that is on `row` is the one that `command` may go on with.
    template <class Command>
    static bool extends(const CodeRow& row, const Command& command) {
        const Lock& lock = *row.code.lock;
        return !lock.key.empty() && lock.key == command.lock_key && lock.user_id == command.user_id;
    }

    /// Whether all that is left of a code is locked.
    bool is_locked_up(const Use& use, const CodeRow& row) {
        const auto most = most_redemptions(use.book, row.code);
        const World::UsageRow* const uses = uses_of(row);
        if (!most || uses == nullptr) return false;
        const bool is_taken = row.code.redeemed_at || row.code.is_locked(now_);
        return uses->now.redeemed + uses->now.locked + (is_taken ? 1 : 0) >= *most;
    }

    static std::int64_t ttl_ms(const Book& book, std::int64_t usual_ms) {
        return book.lock_ttl_s ? 1000 * *book.lock_ttl_s : usual_ms;
    }

    /// Until when. `worth`: of the redemption, where that is known.
    template <class Command>
    Timestamp lock(CodeRow& row, const Command& command, const std::optional<Money>& worth) {
        CodeRow* const known = row_of(row, command.user_id);
        CodeRow& used = known != nullptr ? *known : add_use(row, command.user_id);
        const bool is_locked = used.code.is_locked(now_);
        std::string extension;
        if (!is_locked || !has_taken(used, command)) {
            Lock lock{command.user_id, now_ + ttl_ms(book_of(row), command.ttl_ms),
                      command.lock_key, std::string(key_)};
            if (is_locked) {
                lock.until = std::max(lock.until, used.code.lock->until);
                extension = extension_text(used.code.lock->until);
            }
            if (used.code.lock) count_lock(used.code, -1);
            used.code.lock = std::move(lock);
            count_lock(used.code, 1);
            used.lock_extended = is_locked && (used.lock_extended || !used.lock_changed);
            used.lock_changed = true;
        }
        if (used.code.use_of) rely_on(row);
        if (extension.empty()) {  // else who has taken the lock notes that, perhaps right now
            used.first_locked |= !used.code.ever_locked;
            reach_lock(used);
        }
        LedgerEntry& entry = change(used, LedgerEntry::Type::code_locked);
        entry.locked_until = used.code.lock->until;
        entry.detail = std::move(extension);
        if (counts_redemptions(book_of(row))) {
            count_for_limits(used, CountedLock{command.user_id, used.code.lock->until, worth});
        }
        return used.code.lock->until;
    }

    /// Has `lock` be the one of a code that counts for the limits of its book.
    void count_for_limits(CodeRow& row, std::optional<CountedLock> lock) {
        if (row.counted_lock == lock) return;
        count_for_limits(row, -1);
        row.counted_lock = std::move(lock);
        count_for_limits(row, 1);
        note_counted_lock(row);
    }

    void count_for_limits(const CodeRow& row, std::int64_t change) {
        if (!row.counted_lock || now_ >= row.counted_lock->until) return;
        const auto& [user_id, until, worth] = *row.counted_lock;
        for (const std::string& of : {std::string(), user_id}) {
            for (const UsageNeed& need : usage_needs(book_of(row), of, now_)) {
                // One that Redis has lost may be of somebody else, whom nobody has asked for.
                if (change < 0 && !world_.usages.contains(need.key)) continue;
                World::UsageRow& usage = usage_of(need);
                usage.changed = true;
                usage.now.locked = std::max<std::int64_t>(0, usage.now.locked + change);
                if (!worth || !worth->currency || worth->currency != usage.now.currency) continue;
                usage.now.locked_amount =
                    std::max<std::int64_t>(0, usage.now.locked_amount + change * worth->amount);
            }
        }
    }

    void note_counted_lock(CodeRow& row) {
        if (!std::exchange(row.counted_lock_changed, true)) counted_locks_.push_back(&row);
    }

    /// Of a code of which a use is changed: nobody else may have changed it, or uses of it.
    void rely_on(const CodeRow& row) {
        uses_of(row)->changed = true;
        relied_on_.push_back(&row);
    }

    /// Of codes, and of the uses of one, those that are locked.
    void count_lock(const Code& code, std::int64_t change) {
        if (!code.use_of) {
            locks_[{code.book_id, code.lock->until}] += change;
            return;
        }
        const auto uses = world_.usages.find(uses_need(code.book_id, *code.use_of).key);
        if (uses == world_.usages.end() || !code.is_locked(now_)) return;
        std::int64_t& locked = uses->second.now.locked;
        locked = std::max<std::int64_t>(0, locked + change);
    }

    /// Whether two of them are spellings of one code.
    static bool names_twice(std::vector<CodeRow*> rows) {
        std::erase(rows, nullptr);
        std::ranges::sort(rows);
        return std::ranges::adjacent_find(rows) != rows.end();
    }

    /// The redemption that was asked for before; or null.
    const Redemption* find_same(const CodeRow& row, const std::string& user_id,
                                const std::optional<Order>& order) {
        if (!order) return nullptr;
        const Redemption* const same = world_.find_redemption(row.code.id, *order->id, user_id);
        // Where it was made after the row was read, it is no longer as it was.
        return same != nullptr && code_of(*same, row).redeemed_at ? same : nullptr;
    }

    /// Where that is so of each of `rows`.
    std::optional<CodesRedeemed> find_same(const std::vector<CodeRow*>& rows,
                                           const std::string& user_id,
                                           const std::optional<Order>& order) {
        CodesRedeemed answer;
        answer.replayed = true;
        for (const CodeRow* const row : rows) {
            const Redemption* const same =
                row == nullptr ? nullptr : find_same(*row, user_id, order);
            if (same == nullptr) return std::nullopt;
            answer.redemptions.push_back(*same);
            // One by one they may have been redeemed for orders that only have the same id.
            const Redemption& first = answer.redemptions.front();
            if (same->order->currency != first.order->currency) return std::nullopt;
            answer.codes.push_back(code_of(*same, *row));
        }
        return answer;
    }

    /// `command`: RedeemCode or RedeemCodes, of so many codes. All but the limits of its book.
    template <class Command>
    std::optional<Refusal> refuse_redeeming(CodeRow& row, const Command& command,
                                            const std::optional<Order>& order,
                                            std::size_t codes = 1) {
        const std::string& user_id = command.user_id;
        const Use use{book_of(row), row.code, user_id, now_, order, codes, used_of_code(row)};
        if (const auto refusal = first_refusal(use, Rules::use)) return refusal;
        const CodeRow* const used = row_of(row, user_id);
        if (used == nullptr || !used->code.is_locked(now_) || used->code.lock->user_id != user_id) {
            return Refusal::not_locked;
        }
        if (used->code.lock->key != command.lock_key) return Refusal::lock_key_mismatch;
        return first_refusal(use, Rules::order);
    }

    /// What one redemption or lock more takes; or, where `by` is -1, one less.
    static void add(Used& taken, const std::optional<Money>& worth, std::int64_t by = 1) {
        for (auto* const usages : {&taken.by_all, &taken.by_user}) {
            for (Usage& usage : *usages) {
                usage.redeemed = std::max<std::int64_t>(0, usage.redeemed + by);
                if (!worth || worth->currency != usage.currency) continue;
                usage.amount = std::max<std::int64_t>(0, usage.amount + by * worth->amount);
            }
        }
    }

    /// What the lock by which a user goes on with a code holds of the limits of its book.
    std::optional<CountedLock> held(CodeRow& row, const std::string& user_id) {
        const CodeRow* const used = row_of(row, user_id);
        if (used == nullptr || !used->code.is_locked(now_) || !used->counted_lock) return {};
        const CountedLock& lock = *used->counted_lock;
        return lock.user_id == user_id && now_ < lock.until ? std::optional(lock) : std::nullopt;
    }

    /// Whether a lock holds so much of a budget.
    static bool covers(const std::optional<CountedLock>& lock, const std::optional<Money>& worth) {
        if (!lock || !worth) return lock.has_value();
        return lock->worth && lock->worth->currency == worth->currency &&
               lock->worth->amount >= worth->amount;
    }

    /// The limits of its book, which counts_redemptions(), where one is worth so much: what its
    /// lock holds, nobody else has locked. If they do not refuse it, `taken` is with it.
    std::optional<Refusal> refuse_use(CodeRow& row, const std::string& user_id,
                                      const std::optional<Order>& order, Taken& taken,
                                      const std::optional<Money>& worth) {
        const auto lock = held(row, user_id);
        if (lock) add(taken.locked, lock->worth, -1);
        const auto refusal = refuse(row, user_id, order, taken, lock, worth);
        add(taken.used, worth);
        return refusal;
    }

    /// The same for a lock, which `command`, LockCode or LockCodes, asks for. One that goes on
    /// holds what it did where that is as much; and where no order tells otherwise, which is then
    /// what it is worth.
    template <class Command>
    std::optional<Refusal> refuse_place(CodeRow& row, const Command& command, Taken& taken,
                                        std::optional<Money>& worth) {
        const bool on = goes_on(row, command);
        const auto lock = on ? held(row, command.user_id) : std::nullopt;
        if (lock && !command.order) worth = lock->worth;
        if (on && (covers(lock, worth) || has_taken(*row_of(row, command.user_id), command))) {
            return std::nullopt;
        }
        if (lock) add(taken.locked, lock->worth, -1);
        const auto refusal = refuse(row, command.user_id, command.order, taken, lock, worth);
        add(taken.locked, worth);
        return refusal;
    }

    /// The limits of its book, where so much is taken besides what `lock` holds.
    std::optional<Refusal> refuse(const CodeRow& row, const std::string& user_id,
                                  const std::optional<Order>& order, const Taken& taken,
                                  const std::optional<CountedLock>& lock,
                                  const std::optional<Money>& worth) {
        const auto refusal_of = [&](const Used& used) {
            return first_refusal({book_of(row), row.code, user_id, now_, order, 1, used, worth},
                                 Rules::limits);
        };
        Used all = taken.used;
        const auto count_in = [&](auto& usages, const auto& others) {
            for (std::size_t per = 0; per < usages.size(); ++per) {
                if (!lock) usages[per].redeemed += others[per].redeemed;
                if (!covers(lock, worth)) usages[per].amount += others[per].amount;
            }
        };
        count_in(all.by_all, taken.locked.by_all);
        count_in(all.by_user, taken.locked.by_user);
        const auto refusal = refusal_of(all);
        if (!refusal) return std::nullopt;
        relied_on_.push_back(&row);
        if (refusal_of(taken.used) == refusal) return refusal;
        for (const std::string& of : {std::string(), user_id}) {
            for (const UsageNeed& need : usage_needs(book_of(row), of, now_)) {
                const World::UsageRow& usage = usage_of(need);
                locks_uncounted_ |= usage.now.locked > 0 && !usage.locks_counted;
            }
        }
        return refusal;
    }

    /// What each of the codes takes off the order; nothing for those without a discount.
    std::vector<std::optional<Money>> shares(const std::vector<CodeRow*>& rows,
                                             const Order& order) {
        std::vector<Discount> discounts;
        std::vector<std::size_t> places;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto& discount = book_of(*rows[i]).discount;
            if (!discount) continue;
            discounts.push_back(*discount);
            places.push_back(i);
        }
        const auto off = discounts_on(discounts, order.amount, order.currency);
        std::vector<std::optional<Money>> worth(rows.size());
        for (std::size_t i = 0; i < places.size(); ++i) {
            worth[places[i]] = Money{off[i], order.currency};
        }
        return worth;
    }

    /// Of a code that can be redeemed.
    Redemption redeem(CodeRow& row, const std::string& user_id, const std::optional<Order>& order,
                      const std::optional<Money>& worth) {
        const Book& book = book_of(row);
        count_use(book, user_id, now_, 1, worth);
        CodeRow& used = *row_of(row, user_id);
        if (World::UsageRow* const uses = uses_of(row)) {
            rely_on(row);
            if (used.code.use_of) ++uses->now.redeemed;
        }
        LedgerEntry& entry = change(used, LedgerEntry::Type::code_redeemed);
        entry.locked_until = used.code.lock->until;
        entry.order = order;
        entry.discount = worth;
        Redemption redemption{entry.id, used.code.id, used.code.code,  book.id,
                              user_id,  order,        worth,           0,
                              now_,     {},           used.code.use_of};
        if (order) world_.add(redemption);
        count_lock(used.code, -1);
        used.code.lock.reset();
        used.lock_changed = true;
        used.code.redeemed_at = now_;
        used.redeemed = true;
        count_for_limits(used, std::nullopt);
        reach_lock(used);
        if (used.code.use_of) {
            world_.unredeemed_uses[{row.code.id, user_id}] = nullptr;
        } else {
            ++counts_[book.id].redeemed;
        }
        return redemption;
    }

    void reach_lock(CodeRow& row) {
        const bool first = !std::exchange(row.code.ever_locked, true);
        if (first && !row.code.use_of) ++counts_[row.code.book_id].ever_locked;
    }

    /// What a user holds of a book that limits that.
    World::Holding& holding_of(const Book& book, const std::string& user_id) {
        const auto [holding, unloaded] = world_.holdings.try_emplace({book.id, user_id});
        unforeseen_ |= unloaded;
        return holding->second;
    }

    bool holds_most(const Book& book, const std::string& user_id) {
        const auto& most = book.max_assignments_per_user;
        return most && holding_of(book, user_id).codes >= *most;
    }

    /// The answer to a user who may be given no more of `book`: the one code that everybody may
    /// have, if they have it, so that to ask again is to be told again.
    std::optional<Outcome> find_held(const Book& book, const std::string& user_id) {
        if (!holds_most(book, user_id)) return std::nullopt;
        const CodeRow* const first = holding_of(book, user_id).first;
        if (book.max_assignments_per_user != 1 || first == nullptr) {
            return Refusal::user_assignment_limit_reached;
        }
        relied_on_.push_back(first);
        return CodeAssigned{first->code};
    }

    void assign(CodeRow& row, const std::string& user_id) {
        // Where it was loaded, also while there is no limit: this batch may set one.
        const auto held = world_.holdings.find({row.code.book_id, user_id});
        if (held != world_.holdings.end()) {
            World::Holding& holding = held->second;
            ++holding.codes;
            if (holding.first == nullptr || row.code.id < holding.first->code.id) {
                holding.first = &row;
            }
            holders_.insert(user_id);
        }
        row.code.assigned_to = user_id;
        row.assigned = true;
        --counts_[row.code.book_id].available;
        change(row, LedgerEntry::Type::code_assigned);
    }

    /// That a lock ends is no change with an entry of its own, as its running out is none.
    void end_lock(CodeRow& row) {
        if (row.code.is_locked(now_)) move_lock_end(row);
        if (row.code.lock) row.code.lock->key.clear();
        row.lock_changed = true;
        row.lock_ended = true;
        row.counted_lock.reset();
        note_counted_lock(row);
        mark_changed(row);
    }

    /// Has a live lock end now.
    void move_lock_end(CodeRow& row) {
        count_lock(row.code, -1);
        row.code.lock->until = now_;
        count_lock(row.code, 1);
    }

    /// The ledger's entry for a change of `row`, to be filled in before the next one.
    LedgerEntry& change(CodeRow& row, LedgerEntry::Type type) {
        LedgerEntry& entry = enter(type, row.code.book_id);
        entry.code_id = row.code.id;
        entry.use_of = row.code.use_of;
        entry.user_id = row.code.assigned_to;
        entry.previous = std::exchange(row.code.last_entry, entry.id);
        mark_changed(row);
        return entry;
    }

    void count_kept_back(const CodeRow& row) {
        const bool kept_back = row.code.kept_back && !row.code.assigned_to;
        if (kept_back == row.loaded_kept_back) return;
        counts_[row.code.book_id].kept_back += kept_back ? 1 : -1;
    }

    /// That all of it is to be saved.
    void rewrite(CodeRow& row) {
        row.rewritten = true;
        row.code.kept_back = !row.code.works(now_) || book_of(row).open;
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
    bool locks_uncounted_ = false;
    /// Books or codes have been changed in what decides whether they are given away: what the pools
    /// were loaded by.
    bool pools_outdated_ = false;
    std::map<PoolScope, std::deque<CodeRow*>> added_free_;
    std::vector<BookId> new_books_;
    std::map<BookId, EntryId> changed_books_;  ///< with their last entries as they were loaded
    std::vector<CodeRow*> new_codes_;
    std::vector<CodeRow*> changed_codes_;
    std::vector<const CodeRow*> relied_on_;
    std::vector<const CodeRow*> counted_locks_;
    std::vector<LedgerEntry> entries_;
    std::vector<Delta::Memory> memories_;
    std::vector<Delta::FilePart> file_parts_;
    std::vector<Delta::Rejection> rejections_;
    std::vector<JobId> parts_to_remove_;
    std::vector<Delta::Erasure> erasures_;
    std::map<std::pair<BookId, Timestamp>, Delta::Standing> standing_;
    std::set<std::string> holders_;
    std::map<BookId, Delta::Counts> counts_;
    std::map<std::pair<BookId, Refusal>, std::int64_t> refusals_;
    std::map<std::pair<BookId, Timestamp>, std::int64_t> locks_;
};

/// Of what is read from a damaged database, which may be anything.
std::int64_t negative(std::int64_t amount) {
    return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(amount));
}

}  // namespace

Activity activity_of(const LedgerEntry& entry) {
    Activity activity;
    switch (entry.type) {
        case LedgerEntry::Type::book_created:
        case LedgerEntry::Type::book_changed:
        case LedgerEntry::Type::book_archived:
        case LedgerEntry::Type::book_restored:
        case LedgerEntry::Type::code_changed:
        case LedgerEntry::Type::code_unassigned:
        case LedgerEntry::Type::code_unlocked:
        case LedgerEntry::Type::user_erased: break;
        case LedgerEntry::Type::codes_uploaded: activity.uploaded = entry.codes; break;
        case LedgerEntry::Type::codes_generated: activity.generated = entry.codes; break;
        case LedgerEntry::Type::code_assigned: activity.assigned = 1; break;
        case LedgerEntry::Type::code_locked: activity.locked = entry.detail.empty() ? 1 : 0; break;
        case LedgerEntry::Type::code_redeemed:
            activity.redeemed = 1;
            if (entry.discount) activity.add_discount(*entry.discount);
            break;
        case LedgerEntry::Type::redemption_rolled_back: activity.rolled_back = 1; [[fallthrough]];
        case LedgerEntry::Type::discount_given_back:
            if (entry.discount) {
                activity.add_discount({negative(entry.discount->amount), entry.discount->currency});
            }
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
    decision.locks_uncounted = decider.locks_uncounted();
    return decision;
}

}  // namespace coupond
