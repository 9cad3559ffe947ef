// The bodies of requests, through every decoder. An input is the parameter of the path up to the
// first line feed, and behind it the body.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/text.hpp"
#include "wire/json_reader.hpp"
#include "wire/wire.hpp"

namespace coupond::wire {
namespace {

void check_text(std::string_view text, std::size_t most_characters) {
    const auto shape = examine_text(text);
    COUPOND_CHECK(shape.has_value());
    COUPOND_CHECK(!shape->has_control);
    COUPOND_CHECK(shape->characters >= 1 && shape->characters <= most_characters);
}

/// An object in JSON that is as short as it can be, and has no line break.
void check_metadata(const std::string& json) {
    constexpr std::array specs{MemberSpec{.name = "metadata", .captured = true}};
    COUPOND_CHECK(json.size() <= limits::metadata_bytes && json.find('\n') == std::string::npos);
    const auto body = read_body("{\"metadata\":" + json + "}", specs);
    COUPOND_CHECK(std::get<Body>(body).members[0].text == json);
}

/// A moment, or a date that one stands for, or neither.
void check_moment(const std::optional<Timestamp>& at, const std::string& date) {
    COUPOND_CHECK(!at || has_iso8601(*at));
    COUPOND_CHECK(date.empty() || (!at && date.size() == 10 && TimeZone::find("UTC")->parse(date)));
}

void check_amount(const std::optional<std::int64_t>& amount) {
    COUPOND_CHECK(amount.value_or(0) >= 0 && amount.value_or(0) <= limits::order_minor_units);
}

void check(const std::optional<Discount>& discount) {
    if (!discount) return;
    check_amount(discount->value);
    check_amount(discount->max_amount);
    check_amount(discount->min_order_amount);
    if (discount->type == Discount::Type::percent) COUPOND_CHECK(discount->value <= 100'00);
    if (discount->type == Discount::Type::free_shipping) COUPOND_CHECK(discount->value == 0);
}

void check(const std::optional<Order>& order, bool needs_id) {
    if (!order) return;
    check_amount(order->amount);
    COUPOND_CHECK(order->id || !needs_id);
    if (order->id) check_text(*order->id, limits::order_id_characters);
    if (order->id) COUPOND_CHECK(order->id->find('\n') == std::string::npos);
}

void check(const BookWish& wish, BookMembers given) {
    if (given[0]) check_text(wish.name, limits::name_characters);
    if (given[1]) {
        check_text(wish.code_pattern, limits::pattern_characters);
        const auto pattern = parse_code_pattern(wish.code_pattern);
        COUPOND_CHECK(std::holds_alternative<CodePattern>(pattern));
    }
    COUPOND_CHECK(wish.max_assignments_per_user.value_or(1) >= 1 &&
                  wish.max_assignments_per_user.value_or(1) <= limits::redemptions);
    for (const Per per : all_pers) {
        const Limits most = static_cast<const BookSettings&>(wish).limits_per(per);
        for (const auto& limit : {most.max_redemptions, most.max_redemptions_per_user}) {
            COUPOND_CHECK(limit.value_or(1) >= 1 && limit.value_or(1) <= limits::redemptions);
        }
        COUPOND_CHECK(most.budget.value_or(1) >= 1 &&
                      most.budget.value_or(1) <= limits::order_minor_units * 10'000);
    }
    if (given[3]) check(wish.discount);
    if (!wish.description.empty()) check_text(wish.description, limits::description_characters);
    check_moment(wish.starts_at, wish.starts_on);
    check_moment(wish.ends_at, wish.ends_on);
    COUPOND_CHECK(TimeZone::find(wish.time_zone).has_value());
    COUPOND_CHECK(wish.lock_ttl_s.value_or(1) >= 1 &&
                  wish.lock_ttl_s.value_or(1) <= limits::lock_ttl_s);
    check_metadata(wish.metadata);
    // What can be asked for can be kept.
    Book book;
    static_cast<BookSettings&>(book) = wish;
    const auto change = read_book_change(change_text(&book, book));
    COUPOND_CHECK(change && change->after == book);
}

void check(const CreateBook& command) {
    check(command, BookMembers().set());
}

void check(const EditBook& command) {
    COUPOND_CHECK(command.book_id >= 1 && command.wished.any());
    check(command.wish, command.wished);
}

void check(const RestoreBook& command) {
    COUPOND_CHECK(command.book_id >= 1);
}

void check(const EditCode& command) {
    check_text(command.code, limits::code_characters);
    COUPOND_CHECK(command.wished.any());
    check_moment(command.wish.expires_at, command.expires_on);
    check_metadata(command.wish.metadata);
    CodeSettings again;
    COUPOND_CHECK(read_row_text(row_text(command.wish), again) && again == command.wish);
}

void check(const UnassignCode& command) {
    check_text(command.code, limits::code_characters);
    if (command.user_id) check_text(*command.user_id, limits::user_id_characters);
}

void check(const UploadCodes& command) {
    COUPOND_CHECK(!command.codes.empty() && command.codes.size() <= limits::upload_codes);
    for (const std::string& code : command.codes) check_text(code, limits::code_characters);
    COUPOND_CHECK(command.book_id.value_or(1) >= 1);
}

void check(const AssignAny& command) {
    check_text(command.user_id, limits::user_id_characters);
    COUPOND_CHECK(command.book_id.value_or(1) >= 1);
}

void check(const LockCode& command) {
    check_text(command.code, limits::code_characters);
    check_text(command.user_id, limits::user_id_characters);
    check(command.order, true);
}

void check(const RedeemCode& command) {
    check_text(command.code, limits::code_characters);
    check_text(command.user_id, limits::user_id_characters);
    check(command.order, true);
}

void check(const ValidateCode& asked) {
    check_text(asked.code, limits::code_characters);
    check_text(asked.user_id, limits::user_id_characters);
    check(asked.order, false);
    check_moment(asked.as_of, asked.as_of_date);
}

void check(const DrawImages& command) {
    COUPOND_CHECK(command.book_id >= 1);
    const QrImages& wish = command.wish;
    COUPOND_CHECK(wish.size_px >= 1 && wish.size_px <= limits::qr_size_px);
    COUPOND_CHECK(wish.margin_modules >= 0 && wish.margin_modules <= limits::qr_margin_modules);
    if (!wish.url.empty()) {
        check_text(wish.url, limits::qr_url_characters);
        COUPOND_CHECK(wish.url.find("{code}") == wish.url.rfind("{code}") &&
                      wish.url.find("{code}") != std::string::npos);
    }
    // What can be asked for can be kept.
    QrImages again;
    COUPOND_CHECK(read_row_text(row_text(wish), again) && again == wish);
}

void check(const RollBack& command) {
    COUPOND_CHECK(command.redemption_id >= 1);
    COUPOND_CHECK(command.ten_thousandths.value_or(1) >= 1);
    if (!command.reason.empty()) check_text(command.reason, limits::reason_characters);
}

template <class ForUser>
void check(const ForUser& command) {
    check_text(command.code, limits::code_characters);
    check_text(command.user_id, limits::user_id_characters);
}

template <class T>
void check_decoded(const Decoded<T>& decoded) {
    if (const auto* const answer = std::get_if<Answer>(&decoded)) {
        COUPOND_CHECK(answer->status >= 400 && answer->status < 500);
        const auto* const body = std::get_if<std::string>(&answer->body);
        COUPOND_CHECK(body != nullptr && examine_text(*body).has_value());
        COUPOND_CHECK(body->size() < 64 * 1024);  // whatever came in, the complaint is short
    } else {
        check(std::get<T>(decoded));
    }
}

void run(std::string_view input) {
    const std::size_t end = std::min(input.find('\n'), input.size());
    const std::string_view path = input.substr(0, end);
    const Request request{"application/json", input.substr(std::min(end + 1, input.size())), "id"};
    check_decoded(decode_create_book(request));
    check_decoded(decode_upload_codes(request, std::nullopt));
    check_decoded(decode_upload_codes(request, path));
    check_decoded(decode_assign_any(request));
    check_decoded(decode_assign_code(request, path));
    check_decoded(decode_lock_code(request, path, 1000));
    check_decoded(decode_redeem_code(request, path));
    check_decoded(decode_validate_code(request, path, {}));
    check_decoded(decode_roll_back(request, path));
    check_decoded(decode_roll_back(request, "1"));
    check_decoded(decode_edit_book(request, path));
    check_decoded(decode_edit_book(request, "1"));
    check_decoded(decode_restore_book(request, path));
    check_decoded(decode_edit_code(request, path));
    check_decoded(decode_unlock_code(request, path));
    check_decoded(decode_unassign_code(request, path));
    check_decoded(decode_draw_images(request, path));
    check_decoded(decode_draw_images(request, "1"));
    const Request of_type{path, request.body, "id"};  // whatever Content-Type says
    check_decoded(decode_assign_any(of_type));
}

}  // namespace
}  // namespace coupond::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    coupond::wire::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
