#include "base/check.hpp"
#include "domain/domain.hpp"

namespace coupond {

CodeRow& World::add(Code code) {
    CodeRow& row = rows_.emplace_back(CodeRow{std::move(code)});
    row.loaded_entry = row.code.last_entry;
    const bool added = by_code_.emplace(row.code.code, &row).second;
    COUPOND_CHECK(added);
    return row;
}

CodeRow* World::find(std::string_view code) {
    const auto found = by_code_.find(code);
    return found == by_code_.end() ? nullptr : found->second;
}

Book* World::find_book(BookId id) {
    const auto found = books.find(id);
    return found == books.end() ? nullptr : &found->second;
}

std::string_view to_string(Refusal refusal) {
    switch (refusal) {
        case Refusal::book_not_found: return "book_not_found";
        case Refusal::book_required: return "book_required";
        case Refusal::codes_already_exist: return "codes_already_exist";
        case Refusal::no_available_coupons: return "no_available_coupons";
        case Refusal::code_not_found: return "code_not_found";
        case Refusal::already_redeemed: return "already_redeemed";
        case Refusal::assigned_to_another_user: return "assigned_to_another_user";
        case Refusal::not_assigned_to_user: return "not_assigned_to_user";
        case Refusal::already_locked: return "already_locked";
        case Refusal::not_locked: return "not_locked";
        case Refusal::user_redemption_limit_reached: return "user_redemption_limit_reached";
    }
    return "unknown";
}

}  // namespace coupond
