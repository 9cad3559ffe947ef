// What makes a row useless: values that none of ours can have been written with, after a disk has
// failed, say. Who reads one answers `unavailable`; `coupond verify` tells more.
#pragma once

#include "base/limits.hpp"
#include "store/store.hpp"

namespace coupond {

inline bool is_amount(std::int64_t amount) {
    return amount >= 0 && amount <= limits::order_minor_units;
}

inline bool is_limit(const std::optional<std::int64_t>& limit, std::int64_t most) {
    return limit.value_or(1) >= 1 && limit.value_or(1) <= most;
}

/// Nothing, or what is wrong.
inline const char* fault_of(const Book& book) {
    if (book.discount) {
        for (const auto& amount : {std::optional(book.discount->value), book.discount->max_amount,
                                   book.discount->min_order_amount}) {
            if (!is_amount(amount.value_or(0))) return "a book with such a discount";
        }
    }
    for (const auto& at : {std::optional(book.created_at), std::optional(book.updated_at),
                           book.starts_at, book.ends_at, book.archived_at}) {
        if (!has_iso8601(at.value_or(Timestamp{}))) return "a book of such a time";
    }
    if (!is_limit(book.lock_ttl_s, limits::lock_ttl_s)) return "a book with such locks";
    const auto& more = book.auto_generate;
    if (more && (!is_limit(more->below, limits::generated_codes) ||
                 !is_limit(more->count, limits::generated_codes))) {
        return "a book of which so many codes are made";
    }
    if (!is_limit(book.max_assignments_per_user, limits::redemptions) ||
        !is_limit(book.max_redemptions_per_code, limits::redemptions)) {
        return "a book with such limits";
    }
    for (const Per per : all_pers) {
        const Limits most = book.limits_per(per);
        if (!is_limit(most.max_redemptions, limits::redemptions) ||
            !is_limit(most.max_redemptions_per_user, limits::redemptions) ||
            !is_limit(most.budget, limits::order_minor_units * 10'000)) {
            return "a book with such limits";
        }
    }
    return nullptr;
}

/// What is added to it must not overflow.
inline const char* fault_of(const Usage& usage) {
    constexpr std::int64_t most = INT64_MAX / 2;
    const bool sound = usage.redeemed >= 0 && usage.redeemed <= most && usage.amount >= -most &&
                       usage.amount <= most && usage.locked >= 0 && usage.locked <= most &&
                       usage.locked_amount >= 0 && usage.locked_amount <= most;
    return sound ? nullptr : "a count of so many";
}

inline const char* fault_of(const CountedLock& lock) {
    const bool sound = !lock.worth || is_amount(lock.worth->amount);
    return sound ? nullptr : "a lock of what is worth so much";
}

inline const char* fault_of(const Code& code) {
    if (!is_limit(code.max_redemptions, limits::redemptions)) return "a code with such limits";
    if (code.use_of && !code.assigned_to) return "a use of nobody's";
    const bool sound = has_iso8601(code.created_at) &&
                       has_iso8601(code.redeemed_at.value_or(Timestamp{})) &&
                       has_iso8601(code.expires_at.value_or(Timestamp{})) &&
                       (!code.lock || has_iso8601(code.lock->until));
    return sound ? nullptr : "a code of such a time";
}

inline const char* fault_of(const EntryListing& listing) {
    const LedgerEntry& entry = listing.entry;
    if (entry.type < LedgerEntry::Type::book_created || entry.type > LedgerEntry::last_type) {
        return "an entry of such a type";
    }
    if (!has_iso8601(entry.at) || !has_iso8601(entry.locked_until.value_or(Timestamp{}))) {
        return "an entry of such a time";
    }
    if (entry.discount && !is_amount(entry.discount->amount)) {
        return "an entry with such a discount";
    }
    if (entry.order && !is_amount(entry.order->amount)) return "an entry with such an order";
    const bool of_book = entry.type == LedgerEntry::Type::book_created ||
                         (entry.type >= LedgerEntry::Type::book_changed &&
                          entry.type <= LedgerEntry::Type::book_restored);
    if (of_book) {
        const auto change = read_book_change(entry.detail);
        if (!change) return "an entry about a book that does not tell of it";
        const char* const before = change->before ? fault_of(*change->before) : nullptr;
        return before != nullptr ? before : fault_of(change->after);
    }
    if (entry.type == LedgerEntry::Type::code_locked && !entry.detail.empty()) {
        const auto was_until = read_extension(entry.detail);
        if (!was_until || !has_iso8601(*was_until)) return "an entry of such a time";
    }
    if (entry.type == LedgerEntry::Type::code_changed) {
        const auto change = read_code_change(entry.detail);
        if (!change) return "an entry about a code that does not tell of it";
        for (const CodeSettings& settings : {change->before, change->after}) {
            if (!has_iso8601(settings.expires_at.value_or(Timestamp{}))) {
                return "an entry of such a time";
            }
        }
    }
    if (entry.type == LedgerEntry::Type::codes_generated) {
        CodeSettings settings;
        if (!read_row_text(entry.detail, settings)) return "an entry of codes of such settings";
        if (!has_iso8601(settings.expires_at.value_or(Timestamp{}))) {
            return "an entry of such a time";
        }
    }
    return nullptr;
}

inline const char* fault_of(const Redemption& redemption) {
    const auto& [discount, order] = std::tie(redemption.discount, redemption.order);
    const bool sound = has_iso8601(redemption.at) &&
                       has_iso8601(redemption.rolled_back_at.value_or(Timestamp{})) &&
                       (!discount || is_amount(discount->amount)) &&
                       (!order || is_amount(order->amount)) && redemption.given_back >= 0;
    return sound ? nullptr : "a redemption of such a time, or such an amount";
}

/// What is added to them must not overflow.
inline const char* fault_of(const Generator& generator) {
    constexpr std::int64_t most = INT64_MAX / 2;
    const bool sound = generator.next >= 0 && generator.next <= most && generator.drafts >= 0 &&
                       generator.drafts <= most;
    return sound ? nullptr : "a generator of so many codes";
}

inline bool is_sound(const Import& import) {
    return import.share <= import.shares && import.shares <= limits::import_bytes &&
           import.done <= limits::import_bytes && import.rejected <= limits::import_bytes &&
           import.bytes <= limits::import_bytes && import.parts <= import.bytes;
}

/// What a number must be to be taken for an int where it is drawn.
inline bool is_sound(const QrImages& images) {
    return images.size_px >= 1 && images.size_px <= limits::qr_size_px &&
           images.margin_modules <= limits::qr_margin_modules && images.rejected <= INT64_MAX / 2;
}

inline const char* fault_of(const Job& job) {
    constexpr std::int64_t most = INT64_MAX / 2;
    if (job.created < 0 || job.created > job.requested || job.requested > most) {
        return "a job of so many codes";
    }
    const bool is_round = job.round.first >= 0 && job.round.first <= job.round.end &&
                          job.round.end <= most && job.round.size() <= limits::round_codes &&
                          job.done >= 0 && job.done <= job.round.size();
    if (!is_round) return "a job of such a round";
    if (!(job.guess_probability >= 0 && job.guess_probability <= 1)) {
        return "a job of such a probability";
    }
    for (const auto& at : {std::optional(job.created_at), job.started_at, job.finished_at,
                           job.claimed_until, job.settings.expires_at}) {
        if (!has_iso8601(at.value_or(Timestamp{}))) return "a job of such a time";
    }
    if (!is_limit(job.settings.max_redemptions, limits::redemptions)) {
        return "a job with such limits";
    }
    if (job.import && !is_sound(*job.import)) return "a job of such a file";
    if (job.images && !is_sound(*job.images)) return "a job of such images";
    const bool takes_shares =
        job.import && job.import->stage >= Import::Stage::checking && !job.is_finished();
    if (takes_shares && job.import->share == job.import->shares) return "a job of such a file";
    const bool has_failed = job.status == Job::Status::failed;
    if (has_failed ? !refusal_of(job.error) : !job.error.empty()) return "a job of such an error";
    return nullptr;
}

/// The status that a number in the database stands for, if it stands for one.
inline std::optional<Job::Status> job_status_of(std::int64_t number) {
    if (number < 0 || number > static_cast<std::int64_t>(last_job_status)) return std::nullopt;
    return static_cast<Job::Status>(number);
}

inline const char* fault_of(const Statistics& statistics) {
    constexpr std::int64_t most = 100'000'000'000'000;
    const BookCounts& counts = statistics.counts;
    for (const std::int64_t count : {counts.total, counts.available, counts.redeemed,
                                     statistics.ever_locked, statistics.discount_cents}) {
        if (count < 0 || count > most) return "a count of so many";
    }
    return nullptr;
}

}  // namespace coupond
