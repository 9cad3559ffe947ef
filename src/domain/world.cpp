#include <array>

#include "base/check.hpp"
#include "domain/domain.hpp"
#include "domain/spelling.hpp"

namespace coupond {

CodeRow& World::add(Code code) {
    CodeRow& row = rows_.emplace_back(CodeRow{std::move(code)});
    row.loaded_entry = row.code.last_entry;
    row.loaded_kept_back = row.code.kept_back && !row.code.assigned_to;
    const bool added = row.code.use_of ? uses_.emplace(row.code.id, &row).second
                                       : by_code_.emplace(row.code.code, &row).second;
    COUPOND_CHECK(added);
    return row;
}

CodeRow* World::find_use(CodeId id) {
    const auto found = uses_.find(id);
    return found == uses_.end() ? nullptr : found->second;
}

CodeRow* World::find(std::string_view code) {
    const auto found = by_code_.find(code);
    if (found != by_code_.end()) return found->second;
    const auto stored = spellings.find(code);
    if (stored != spellings.end()) {
        const auto spelled = by_code_.find(stored->second);
        if (spelled != by_code_.end()) return spelled->second;
    }
    if (new_spellings_.empty()) return nullptr;
    const auto added = new_spellings_.find(folded(code));
    return added == new_spellings_.end() ? nullptr : added->second;
}

void World::add_spellings(CodeRow& row) {
    COUPOND_CHECK(new_spellings_.emplace(row.folded, &row).second);
}

void World::add(Redemption redemption) {
    const EntryId id = redemption.id;
    const CodeId code_id = redemption.use_of.value_or(redemption.code_id);
    if (redemptions_.emplace(id, std::move(redemption)).second) {
        redemptions_of_codes_.emplace(code_id, id);
    }
}

Redemption* World::find_redemption(EntryId id) {
    const auto found = redemptions_.find(id);
    return found == redemptions_.end() ? nullptr : &found->second;
}

const Redemption* World::find_redemption(CodeId code_id, std::string_view order_id,
                                         std::string_view user_id) {
    const auto [begin, end] = redemptions_of_codes_.equal_range(code_id);
    for (auto one = begin; one != end; ++one) {
        const Redemption& redemption = redemptions_.at(one->second);
        if (!redemption.rolled_back_at && redemption.user_id == user_id && redemption.order &&
            redemption.order->id == order_id) {
            return &redemption;
        }
    }
    return nullptr;
}

bool is_of_that_time(const World::UsageRow& usage) {
    return usage.loaded && usage.loaded->since == usage.now.since &&
           usage.loaded->currency == usage.now.currency;
}

bool must_count_locks(const Book& book, const UsageKey& key, const World::UsageRow& usage,
                      bool asked) {
    return asked || !is_of_that_time(usage) || may_be_locked_up(book, key, usage.now);
}

Book* World::find_book(BookId id) {
    const auto found = books.find(id);
    return found == books.end() ? nullptr : &found->second;
}

namespace {

constexpr std::array<std::pair<Refusal, std::string_view>, 41> refusals{{
    {Refusal::book_not_found, "book_not_found"},
    {Refusal::book_required, "book_required"},
    {Refusal::codes_already_exist, "codes_already_exist"},
    {Refusal::code_pattern_unusable, "code_pattern_unusable"},
    {Refusal::code_pattern_exhausted, "code_pattern_exhausted"},
    {Refusal::job_not_found, "job_not_found"},
    {Refusal::job_finished, "job_finished"},
    {Refusal::job_adds_all, "job_adds_all"},
    {Refusal::images_refused, "images_refused"},
    {Refusal::upload_interrupted, "upload_interrupted"},
    {Refusal::rows_rejected, "rows_rejected"},
    {Refusal::no_available_coupons, "no_available_coupons"},
    {Refusal::code_not_found, "code_not_found"},
    {Refusal::already_redeemed, "already_redeemed"},
    {Refusal::code_redemption_limit_reached, "code_redemption_limit_reached"},
    {Refusal::assigned_to_another_user, "assigned_to_another_user"},
    {Refusal::not_assigned_to_user, "not_assigned_to_user"},
    {Refusal::already_locked, "already_locked"},
    {Refusal::not_locked, "not_locked"},
    {Refusal::lock_key_mismatch, "lock_key_mismatch"},
    {Refusal::book_open, "book_open"},
    {Refusal::book_archived, "book_archived"},
    {Refusal::book_inactive, "book_inactive"},
    {Refusal::book_not_started, "book_not_started"},
    {Refusal::book_ended, "book_ended"},
    {Refusal::code_disabled, "code_disabled"},
    {Refusal::code_expired, "code_expired"},
    {Refusal::not_combinable, "not_combinable"},
    {Refusal::order_required, "order_required"},
    {Refusal::order_currency_mismatch, "order_currency_mismatch"},
    {Refusal::order_below_minimum, "order_below_minimum"},
    {Refusal::user_assignment_limit_reached, "user_assignment_limit_reached"},
    {Refusal::redemption_limit_reached, "redemption_limit_reached"},
    {Refusal::budget_exhausted, "budget_exhausted"},
    {Refusal::user_redemption_limit_reached, "user_redemption_limit_reached"},
    {Refusal::redemption_not_found, "redemption_not_found"},
    {Refusal::already_rolled_back, "already_rolled_back"},
    {Refusal::amount_exceeds_discount, "amount_exceeds_discount"},
    {Refusal::user_not_found, "user_not_found"},
    {Refusal::idempotency_key_reused, "idempotency_key_reused"},
    {Refusal::first_answer_unreadable, "first_answer_unreadable"},
}};

}  // namespace

std::string_view to_string(Refusal refusal) {
    for (const auto& [known, name] : refusals) {
        if (known == refusal) return name;
    }
    check_failed("a refusal is one of those above", __FILE__, __LINE__);
}

std::optional<Refusal> refusal_of(std::string_view name) {
    for (const auto& [refusal, known] : refusals) {
        if (known == name) return refusal;
    }
    return std::nullopt;
}

}  // namespace coupond
