#include <array>
#include <cstddef>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "wire/book_order.hpp"
#include "wire/wire.hpp"
#include "wire/write.hpp"

namespace coupond::wire {
namespace {

constexpr int created = 201;

/// About how long a piece of a BodySource is.
constexpr std::size_t piece_bytes = 64 * 1024;

/// An answer with more things in its list than this is made piece by piece.
constexpr std::size_t most_whole = 500;

struct RefusalText {
    int status;
    std::string_view code;
    std::string_view message;
};

RefusalText text_of(Refusal refusal) {
    switch (refusal) {
        case Refusal::book_not_found:
            return {404, "coupon_book_not_found", "Coupon book not found"};
        case Refusal::book_required:
            return {400, "coupon_book_required",
                    "couponBookId is required unless there is exactly one coupon book"};
        case Refusal::codes_already_exist:
            return {409, "codes_already_exist", "Some codes already exist"};
        case Refusal::code_pattern_unusable:
            return {409, "code_pattern_unusable",
                    "The coupon book's code pattern cannot make codes"};
        case Refusal::code_pattern_exhausted:
            return {409, "code_pattern_exhausted", "The code pattern has too few codes left"};
        case Refusal::job_adds_all:
            return {409, "job_adds_all",
                    "The job is adding all of its codes, or none: it cannot be cancelled any more"};
        case Refusal::images_refused:
            return {409, "images_refused",
                    "The images could not be stored where they are to be: the log of coupond says "
                    "why"};
        case Refusal::upload_interrupted:
            return {409, "upload_interrupted", "The file has not come whole"};
        case Refusal::rows_rejected:
            return {409, "rows_rejected",
                    "Some rows were rejected, so none was taken in: mend them, or leave them out "
                    "with onConflict=skip"};
        case Refusal::job_not_found: return {404, "job_not_found", "Job not found"};
        case Refusal::job_finished: return {409, "job_finished", "The job has finished already"};
        case Refusal::no_available_coupons:
            return {404, "no_available_coupons", "No available coupons found"};
        case Refusal::code_not_found: return {404, "coupon_not_found", "Coupon code not found"};
        case Refusal::already_redeemed:
            return {409, "coupon_already_redeemed", "Coupon has already been redeemed"};
        case Refusal::code_redemption_limit_reached:
            return {409, "coupon_redemption_limit_reached",
                    "Coupon has been redeemed as often as it may be"};
        case Refusal::assigned_to_another_user:
            return {409, "coupon_assigned_to_another_user",
                    "Coupon is already assigned to another user"};
        case Refusal::not_assigned_to_user:
            return {409, "coupon_not_assigned_to_user", "Coupon is not assigned to this user"};
        case Refusal::already_locked:
            return {409, "coupon_already_locked", "Coupon is already locked"};
        case Refusal::not_locked:
            return {409, "coupon_not_locked", "Coupon must be locked before redemption"};
        case Refusal::lock_key_mismatch:
            return {409, "lock_key_mismatch",
                    "Coupon is locked with another lockKey than this request has"};
        case Refusal::book_open:
            return {409, "coupon_book_open",
                    "Coupons of this book can be used by anybody and are not assigned"};
        case Refusal::book_archived:
            return {409, "coupon_book_archived", "Coupon book has been archived"};
        case Refusal::book_inactive:
            return {409, "coupon_book_inactive", "Coupon book is not active"};
        case Refusal::book_not_started:
            return {409, "coupon_book_not_started", "Coupon book has not started yet"};
        case Refusal::book_ended: return {409, "coupon_book_ended", "Coupon book has ended"};
        case Refusal::code_disabled: return {409, "coupon_disabled", "Coupon has been disabled"};
        case Refusal::code_expired: return {409, "coupon_expired", "Coupon has expired"};
        case Refusal::not_combinable:
            return {409, "coupon_not_combinable", "Coupon cannot be combined with others"};
        case Refusal::order_required:
            return {409, "order_required", "An order is required to redeem this coupon"};
        case Refusal::order_currency_mismatch:
            return {409, "order_currency_mismatch",
                    "The order is in another currency than the discount"};
        case Refusal::order_below_minimum:
            return {409, "order_below_minimum", "The order is below the minimum of this coupon"};
        case Refusal::redemption_not_found:
            return {404, "redemption_not_found", "Redemption not found"};
        case Refusal::already_rolled_back:
            return {409, "already_rolled_back", "Redemption has already been rolled back"};
        case Refusal::amount_exceeds_discount:
            return {409, "amount_exceeds_discount",
                    "The amount is more than what is left of the discount"};
        case Refusal::user_assignment_limit_reached:
            return {409, "user_assignment_limit_reached",
                    "User has reached the assignment limit of this coupon book"};
        case Refusal::redemption_limit_reached:
            return {409, "redemption_limit_reached",
                    "The redemption limit of this coupon book is reached"};
        case Refusal::budget_exhausted:
            return {409, "budget_exhausted", "The budget of this coupon book is used up"};
        case Refusal::user_redemption_limit_reached:
            return {409, "user_redemption_limit_reached",
                    "User has reached the redemption limit of this coupon book"};
        case Refusal::user_not_found: return {404, "user_not_found", "User not found"};
        case Refusal::idempotency_key_reused:
            return {422, "idempotency_key_reused",
                    "The Idempotency-Key has been used for another request"};
        case Refusal::first_answer_unreadable:
            return {409, "first_answer_unreadable",
                    "The request was answered before, by another version of coupond, whose answer "
                    "this one cannot repeat"};
    }
    check_failed("a refusal is one of those above", __FILE__, __LINE__);
}

/// All `decimals` of them.
std::string fixed_decimal(std::int64_t value, int decimals) {
    std::string digits = std::to_string(value);
    const auto places = static_cast<std::size_t>(decimals);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    if (decimals > 0) digits.insert(digits.size() - places, ".");
    return digits;
}

/// What the shop or its customer can do so that a code is accepted; empty: nothing.
std::string cure_of(Refusal reason, const CodeValidated& validated) {
    switch (reason) {
        case Refusal::code_not_found: return "Check the code for typing errors";
        case Refusal::not_assigned_to_user:
            return validated.is_free ? "Assign the code to the user first" : "";
        case Refusal::book_archived: return "Restore the coupon book";
        case Refusal::book_inactive: return "Activate the coupon book";
        case Refusal::book_not_started:
            return "Try again from " + format_iso8601(validated.starts_at.value()) + " on";
        case Refusal::code_disabled: return "Activate the code";
        case Refusal::order_required: return "Send the order";
        case Refusal::order_currency_mismatch:
            return "Use an order in " + std::string(validated.currency.value().code());
        case Refusal::order_below_minimum: {
            const Money& missing = validated.missing.value();
            return "Add " + fixed_decimal(missing.amount, exponent_of(missing.currency)) +
                   " to the order";
        }
        case Refusal::redemption_limit_reached:
        case Refusal::budget_exhausted:
        case Refusal::user_redemption_limit_reached:
            return validated.again_at
                       ? "Try again from " + format_iso8601(*validated.again_at) + " on"
                       : "";
        default: return "";
    }
}

/// The members of an amount, without braces.
void write_amount(JsonWriter& json, std::int64_t amount, const std::optional<Currency>& currency) {
    json.raw(R"("amount":)").decimal(amount, exponent_of(currency)).raw(R"(,"currency":)");
    currency ? json.string(currency->code()) : json.null();
}

std::string text_of(Fault fault) {
    switch (fault) {
        case Fault::no_such_start: return "startsAt" + std::string(must_be_a_moment);
        case Fault::no_such_end: return "endsAt" + std::string(must_be_a_moment);
        case Fault::no_such_expiry: return "expiresAt" + std::string(must_be_a_moment);
        case Fault::ends_before_start: return "endsAt must be after startsAt";
        case Fault::budget_without_currency: return "budget needs a discount with a currency";
        case Fault::budget_too_fine:
            return "budget must have no more decimals than the currency of the discount";
        case Fault::assignment_fixed:
            return "assignment cannot be changed once the coupon book is made";
        case Fault::case_fixed:
            return "caseSensitive cannot be changed once the coupon book is made";
        case Fault::blank_code:
            return "codes must have more than spaces and dashes, for the coupon book is not case "
                   "sensitive";
        case Fault::code_named_twice: return "codes must not name the same code twice";
        case Fault::amount_too_fine: return "amount must have no more decimals than its currency";
    }
    check_failed("a fault is one of those above", __FILE__, __LINE__);
}

void write_code(JsonWriter& json, const Code& code, Timestamp now) {
    write_open_code(json, code, now);
    json.raw("}");
}

void write_counts(JsonWriter& json, const BookCounts& counts) {
    json.raw(R"(,"counts":{"total":)").number(counts.total);
    json.raw(R"(,"available":)").number(counts.available);
    json.raw(R"(,"assigned":)").number(counts.assigned);
    json.raw(R"(,"locked":)").number(counts.locked);
    json.raw(R"(,"redeemed":)").number(counts.redeemed).raw("}");
}

/// The list of added codes, piece by piece. All of an element but its id and code is the same
/// for all of them, so it is made once.
class UploadSource {
public:
    explicit UploadSource(CodesUploaded uploaded)
        : codes_(std::move(uploaded.codes)), next_id_(uploaded.first_id) {
        JsonWriter json(rest_);
        json.raw(R"(,"isLocked":false,"isRedeemed":false,"assignedTo":null,"redeemedAt":null)");
        write_code_settings(json.raw(","), uploaded.settings);
        json.raw(R"(,"createdAt":)").time(uploaded.created_at);
        json.raw(R"(,"couponBook":)");
        write_open_book(json, uploaded.book);
        json.raw("}}");
    }

    Rest operator()(std::string& out) {
        JsonWriter json(out);
        const std::size_t full = out.size() + piece_bytes;
        if (next_ == 0) json.raw("[");
        while (next_ < codes_.size() && out.size() < full) {
            json.raw(next_ == 0 ? R"({"id":)" : R"(,{"id":)").number(next_id_++);
            json.raw(R"(,"code":)").string(codes_[next_++]).raw(rest_);
        }
        if (next_ < codes_.size()) return Rest::more;
        json.raw("]");
        return Rest::none;
    }

private:
    std::vector<std::string> codes_;
    std::string rest_;
    CodeId next_id_;
    std::size_t next_ = 0;
};

/// A page of books, piece by piece.
class PageSource {
public:
    PageSource(BookPage page, bool with_codes, Timestamp now)
        : page_(std::move(page)), with_codes_(with_codes), now_(now) {}

    Rest operator()(std::string& out) {
        JsonWriter json(out);
        const std::size_t full = out.size() + piece_bytes;
        if (!begun_) json.raw("[");
        begun_ = true;
        while (book_ < page_.books.size() && out.size() < full) write_next(json);
        if (book_ < page_.books.size()) return Rest::more;
        json.raw("]");
        return Rest::none;
    }

private:
    /// Writes the head of a book, one code of it, or its end.
    void write_next(JsonWriter& json) {
        const BookListing& listing = page_.books[book_];
        if (!in_book_) {
            if (book_ != 0) json.raw(",");
            write_open_book(json, listing.book);
            write_counts(json, listing.counts);
            if (with_codes_) json.raw(R"(,"codes":[)");
            in_book_ = true;
        } else if (with_codes_ && code_ < listing.codes.size()) {
            if (code_ != 0) json.raw(",");
            write_code(json, listing.codes[code_++], now_);
        } else {
            json.raw(with_codes_ ? "]}" : "}");
            in_book_ = false;
            code_ = 0;
            ++book_;
        }
    }

    BookPage page_;
    bool with_codes_;
    Timestamp now_;
    bool begun_ = false;
    bool in_book_ = false;  ///< the head of page_.books[book_] has been written
    std::size_t book_ = 0;
    std::size_t code_ = 0;
};

/// The body that `source` makes: whole where it has few things in its list.
template <class Source>
std::variant<std::string, BodySource> body_of(Source source, std::size_t things) {
    if (things > most_whole) return BodySource(std::move(source));
    std::string body;
    while (source(body) == Rest::more) {
    }
    return body;
}

std::size_t held_bytes(const std::string& text) {
    return sizeof text + text.capacity();
}

std::size_t held_bytes(const BookListing& listing) {
    std::size_t bytes = sizeof listing + listing.book.name.size() +
                        listing.book.code_pattern.size() + listing.book.description.size() +
                        listing.book.metadata.size();
    for (const Code& code : listing.codes) {
        bytes += sizeof code + code.code.size() + code.metadata.size();
        if (code.assigned_to) bytes += code.assigned_to->size();
        if (code.lock) bytes += code.lock->user_id.size();
    }
    return bytes;
}

class OutcomeEncoder {
public:
    OutcomeEncoder(Timestamp now, std::string_view request_id)
        : now_(now), request_id_(request_id) {}

    Answer operator()(Refusal refusal) const {
        const RefusalText text = text_of(refusal);
        return problem(text.status, text.code, text.message, request_id_);
    }

    Answer operator()(const BookCreated& outcome) const { return book(created, outcome.book); }

    Answer operator()(const BookChanged& outcome) const {
        return book(outcome.restored ? created : 200, outcome.book);
    }

    Answer operator()(const Contradicted& outcome) const {
        std::vector<std::string> messages;
        for (const Fault fault : outcome.faults) messages.push_back(text_of(fault));
        return invalid(messages, request_id_);
    }

    Answer operator()(CodesUploaded& outcome) const {
        const std::size_t count = outcome.codes.size();
        Answer result;
        result.status = created;
        for (const std::string& code : outcome.codes) result.held_bytes += held_bytes(code);
        result.body = body_of(UploadSource(std::move(outcome)), count);
        return result;
    }

    Answer operator()(const JobChanged& outcome) const {
        Answer result = encode(outcome.job);
        if (!outcome.is_new) return result;
        result.status = 202;
        result.location = "/coupon/jobs/" + std::to_string(outcome.job.id);
        return result;
    }

    Answer operator()(CodesGenerated& outcome) const {
        Answer result = (*this)(outcome.added);
        result.guess_probability = number_text(outcome.guess_probability);
        return result;
    }

    Answer operator()(const DraftOutdated&) const {
        check_failed("whoever drafts answers with what is done", __FILE__, __LINE__);
    }
    Answer operator()(const JobTaken&) const {
        check_failed("no client works on a job", __FILE__, __LINE__);
    }
    Answer operator()(const PartsRemoved&) const {
        check_failed("no client removes parts of files", __FILE__, __LINE__);
    }
    Answer operator()(const AddingElsewhere&) const {
        return later("codes_being_imported",
                     "A file of codes is being taken in, all of them or none: try again in a "
                     "moment");
    }

    Answer operator()(const TooManyJobs&) const {
        return later("too_many_jobs",
                     "1000 jobs have not ended yet: try again when some have, or cancel some");
    }

    Answer operator()(const CodeAssigned& outcome) const {
        return answer(created, [&](JsonWriter& json) { write_code(json, outcome.code, now_); });
    }

    Answer operator()(const CodeLocked& outcome) const {
        return answer(created, [&](JsonWriter& json) {
            json.raw(R"({"message":"Coupon locked successfully","lockedUntil":)");
            json.time(outcome.until).raw("}");
        });
    }

    Answer operator()(const CodeRedeemed& outcome) const {
        return answer(created, [&](JsonWriter& json) {
            json.raw(R"({"message":"Coupon redeemed successfully","coupon":)");
            write_code(json, outcome.code, now_);
            write_redemption(json.raw(R"(,"redemption":)"), outcome.redemption);
            json.raw(R"(,"replayed":)").boolean(outcome.replayed).raw("}");
        });
    }

    Answer operator()(const CodeRefused& outcome) const {
        const RefusalText text = text_of(outcome.refusal);
        return problem(text.status, text.code, text.message, request_id_, outcome.code);
    }

    Answer operator()(const CodesLocked& outcome) const {
        return answer(created, [&](JsonWriter& json) {
            json.raw(R"({"message":"Coupons locked successfully","locks":[)");
            std::string_view before;
            for (const auto& [code, until] : outcome.locks) {
                json.raw(std::exchange(before, ",")).raw(R"({"code":)").string(code);
                json.raw(R"(,"lockedUntil":)").time(until).raw("}");
            }
            json.raw("]}");
        });
    }

    Answer operator()(const CodesRedeemed& outcome) const {
        return answer(created, [&](JsonWriter& json) {
            json.raw(R"({"message":"Coupons redeemed successfully","coupons":[)");
            std::string_view before;
            for (const Code& code : outcome.codes) {
                write_code(json.raw(std::exchange(before, ",")), code, now_);
            }
            json.raw(R"(],"redemptions":[)");
            before = {};
            Money total{0, outcome.redemptions.front().order.value().currency};
            for (const Redemption& redemption : outcome.redemptions) {
                write_redemption(json.raw(std::exchange(before, ",")), redemption);
                if (redemption.discount) total.amount += redemption.discount->amount;
            }
            write_money(json.raw(R"(],"discount":)"), total);
            json.raw(R"(,"replayed":)").boolean(outcome.replayed).raw("}");
        });
    }

    Answer operator()(const RolledBack& outcome) const {
        return answer(created, [&](JsonWriter& json) {
            json.raw(R"({"message":"Redemption rolled back","redemption":)");
            write_redemption(json, outcome.redemption);
            json.raw("}");
        });
    }

    Answer operator()(const CodeChanged& outcome) const {
        return answer(200, [&](JsonWriter& json) { write_code(json, outcome.code, now_); });
    }

    Answer operator()(const CodeUnlocked&) const {
        return answer(created, [](JsonWriter& json) {
            json.raw(R"({"message":"Coupon unlocked successfully"})");
        });
    }

    Answer operator()(const CodeUnassigned& outcome) const {
        return answer(created, [&](JsonWriter& json) { write_code(json, outcome.code, now_); });
    }

    Answer operator()(const UserErased&) const {
        return answer(200, [](JsonWriter& json) { json.raw(R"({"message":"User erased"})"); });
    }

    Answer operator()(Replayed& outcome) const {
        Answer result =
            std::visit(OutcomeEncoder(outcome.decided_at, outcome.request_id), outcome.outcome);
        result.replayed = true;
        return result;
    }

private:
    /// Nothing was done, and may be another time.
    Answer later(std::string_view code, std::string_view message) const {
        Answer result = problem(503, code, message, request_id_);
        result.retry_after = true;
        return result;
    }

    static Answer book(int status, const Book& book) {
        return answer(status, [&](JsonWriter& json) {
            write_open_book(json, book);
            json.raw("}");
        });
    }

    template <class Write>
    static Answer answer(int status, Write write) {
        std::string body;
        body.reserve(384);
        JsonWriter json(body);
        write(json);
        Answer result;
        result.status = status;
        result.body = std::move(body);
        return result;
    }

    Timestamp now_;
    std::string_view request_id_;
};

}  // namespace

std::string_view code_of(Refusal refusal) {
    return text_of(refusal).code;
}

std::string_view message_of(Refusal refusal) {
    return text_of(refusal).message;
}

void write_or_null(JsonWriter& json, const std::optional<std::int64_t>& number) {
    number ? json.number(*number) : json.null();
}

void write_or_null(JsonWriter& json, const std::optional<Timestamp>& at) {
    at ? json.time(*at) : json.null();
}

std::string_view name_of(Discount::Type type) {
    switch (type) {
        case Discount::Type::amount: return "amount";
        case Discount::Type::percent: return "percent";
        case Discount::Type::fixed_price: return "fixed_price";
        case Discount::Type::free_shipping: return "free_shipping";
    }
    check_failed("a type is one of those above", __FILE__, __LINE__);
}

namespace {

/// An amount of money as a number.
void write_or_null(JsonWriter& json, const std::optional<std::int64_t>& amount,
                   const std::optional<Currency>& currency) {
    amount ? json.decimal(*amount, exponent_of(currency)) : json.null();
}

constexpr std::array<std::pair<Per, std::string_view>, 3> per_names{
    {{Per::day, "day"}, {Per::week, "week"}, {Per::month, "month"}}};

void write_budget(JsonWriter& json, const std::optional<std::int64_t>& ten_thousandths) {
    ten_thousandths ? json.decimal(*ten_thousandths, 4) : json.null();
}

void write_limits(JsonWriter& json, const Limits& limits) {
    using wire::write_or_null;
    write_or_null(json.raw(R"({"maxRedemptions":)"), limits.max_redemptions);
    write_or_null(json.raw(R"(,"maxRedemptionsPerUser":)"), limits.max_redemptions_per_user);
    write_budget(json.raw(R"(,"budget":)"), limits.budget);
    json.raw("}");
}

void write_discount(JsonWriter& json, const std::optional<Discount>& discount) {
    if (!discount) {
        json.null();
        return;
    }
    const auto& currency = discount->currency;
    json.raw(R"({"type":)").string(name_of(discount->type)).raw(R"(,"value":)");
    switch (discount->type) {
        case Discount::Type::amount:
        case Discount::Type::fixed_price:
            json.decimal(discount->value, exponent_of(currency));
            break;
        case Discount::Type::percent: json.hundredths(discount->value); break;
        case Discount::Type::free_shipping: json.null(); break;
    }
    json.raw(R"(,"currency":)");
    currency ? json.string(currency->code()) : json.null();
    write_or_null(json.raw(R"(,"maxAmount":)"), discount->max_amount, currency);
    write_or_null(json.raw(R"(,"minOrderAmount":)"), discount->min_order_amount, currency);
    json.raw("}");
}

}  // namespace

void write_money(JsonWriter& json, const std::optional<Money>& money) {
    if (!money) {
        json.null();
        return;
    }
    write_amount(json.raw("{"), money->amount, money->currency);
    json.raw("}");
}

void write_order(JsonWriter& json, const std::optional<Order>& order) {
    if (!order) {
        json.null();
        return;
    }
    json.raw(R"({"id":)");
    order->id ? json.string(*order->id) : json.null();
    write_amount(json.raw(","), order->amount, order->currency);
    json.raw("}");
}

void write_redemption(JsonWriter& json, const Redemption& redemption) {
    const auto& discount = redemption.discount;
    const auto currency = discount ? discount->currency : std::nullopt;
    json.raw(R"({"id":)").number(redemption.id);
    json.raw(R"(,"code":)").string(redemption.code);
    json.raw(R"(,"bookId":)").number(redemption.book_id);
    json.raw(R"(,"userId":)").string(redemption.user_id);
    write_or_null(json.raw(R"(,"discountAmount":)"),
                  discount ? std::optional(discount->amount) : std::nullopt, currency);
    write_order(json.raw(R"(,"order":)"), redemption.order);
    write_money(json.raw(R"(,"discount":)"), discount);
    json.raw(R"(,"givenBack":)").decimal(redemption.given_back, exponent_of(currency));
    json.raw(R"(,"at":)").time(redemption.at);
    write_or_null(json.raw(R"(,"rolledBackAt":)"), redemption.rolled_back_at);
    json.raw("}");
}

void write_open_book(JsonWriter& json, const Book& book) {
    json.raw(R"({"id":)").number(book.id);
    json.raw(R"(,"name":)").string(book.name);
    json.raw(R"(,"codePattern":)").string(book.code_pattern);
    write_or_null(json.raw(R"(,"maxRedemptionsPerUser":)"), book.max_redemptions_per_user);
    const auto& discount = book.discount;
    const bool is_amount = discount && discount->type == Discount::Type::amount;
    write_or_null(json.raw(R"(,"discountAmount":)"),
                  is_amount ? std::optional(discount->value) : std::nullopt,
                  is_amount ? discount->currency : std::nullopt);
    write_discount(json.raw(R"(,"discount":)"), discount);
    json.raw(R"(,"description":)").string(book.description);
    json.raw(R"(,"active":)").boolean(book.active);
    write_or_null(json.raw(R"(,"startsAt":)"), book.starts_at);
    write_or_null(json.raw(R"(,"endsAt":)"), book.ends_at);
    json.raw(R"(,"timeZone":)").string(book.time_zone);
    write_or_null(json.raw(R"(,"maxRedemptions":)"), book.max_redemptions);
    write_budget(json.raw(R"(,"budget":)"), book.budget);
    json.raw(R"(,"limits":{)");
    std::string_view before;
    for (const auto& [per, name] : per_names) {
        json.raw(std::exchange(before, ",")).string(name).raw(":");
        const auto of_per = book.limits.find(per);
        of_per == book.limits.end() ? void(json.null()) : write_limits(json, of_per->second);
    }
    write_or_null(json.raw(R"(},"maxAssignmentsPerUser":)"), book.max_assignments_per_user);
    write_or_null(json.raw(R"(,"maxRedemptionsPerCode":)"), book.max_redemptions_per_code);
    json.raw(R"(,"assignment":)").string(book.open ? "open" : "required");
    json.raw(R"(,"caseSensitive":)").boolean(book.case_sensitive);
    write_or_null(json.raw(R"(,"lockTtlSeconds":)"), book.lock_ttl_s);
    json.raw(R"(,"combinable":)").boolean(book.combinable);
    json.raw(R"(,"autoGenerate":)");
    if (book.auto_generate) {
        json.raw(R"({"below":)").number(book.auto_generate->below);
        json.raw(R"(,"count":)").number(book.auto_generate->count).raw("}");
    } else {
        json.null();
    }
    json.raw(R"(,"metadata":)").raw(book.metadata);
    write_or_null(json.raw(R"(,"archivedAt":)"), book.archived_at);
    json.raw(R"(,"createdAt":)").time(book.created_at);
    json.raw(R"(,"updatedAt":)").time(book.updated_at);
}

void write_code_settings(JsonWriter& json, const CodeSettings& settings) {
    json.raw(R"("active":)").boolean(settings.active);
    write_or_null(json.raw(R"(,"expiresAt":)"), settings.expires_at);
    write_or_null(json.raw(R"(,"maxRedemptions":)"), settings.max_redemptions);
    json.raw(R"(,"metadata":)").raw(settings.metadata);
}

void write_open_code(JsonWriter& json, const Code& code, Timestamp now) {
    json.raw(R"({"id":)").number(code.shown_id());
    json.raw(R"(,"code":)").string(code.code);
    json.raw(R"(,"isLocked":)").boolean(code.is_locked(now));
    json.raw(R"(,"isRedeemed":)").boolean(code.redeemed_at.has_value());
    json.raw(R"(,"assignedTo":)");
    code.assigned_to ? json.string(*code.assigned_to) : json.null();
    write_or_null(json.raw(R"(,"redeemedAt":)"), code.redeemed_at);
    write_code_settings(json.raw(","), code);
    json.raw(R"(,"createdAt":)").time(code.created_at);
}

Answer encode(Outcome&& outcome, Timestamp now, std::string_view request_id) {
    return std::visit(OutcomeEncoder(now, request_id), outcome);
}

Answer encode(const std::optional<CodeValidated>& found, const ValidateCode& asked,
              std::string_view request_id) {
    if (!found) return invalid({"asOf" + std::string(must_be_a_moment)}, request_id);
    const CodeValidated& validated = *found;
    std::string body;
    body.reserve(256);
    JsonWriter json(body);
    json.raw(R"({"valid":)").boolean(validated.reasons.empty()).raw(R"(,"reasons":[)");
    std::string_view before;
    for (const Refusal reason : validated.reasons) {
        const RefusalText text = text_of(reason);
        json.raw(std::exchange(before, ",")).raw(R"({"code":)").string(text.code);
        json.raw(R"(,"message":)").string(text.message);
        const std::string cure = cure_of(reason, validated);
        if (!cure.empty()) json.raw(R"(,"cure":)").string(cure);
        json.raw("}");
    }
    write_money(json.raw(R"(],"discount":)"), validated.discount);
    if (asked.order) write_order(json.raw(R"(,"order":)"), asked.order);
    json.raw("}");
    Answer answer;
    answer.body = std::move(body);
    return answer;
}

Answer encode(const BookListing& listing) {
    std::string body;
    JsonWriter json(body);
    write_open_book(json, listing.book);
    write_counts(json, listing.counts);
    json.raw("}");
    Answer answer;
    answer.body = std::move(body);
    return answer;
}

Answer encode(BookPage page, const BookQuery& query, Timestamp now, std::string_view request_id) {
    if (query.with_codes && page.too_many_codes) {
        return problem(400, "too_many_codes",
                       "These coupon books hold more than " + std::to_string(limits::page_codes) +
                           " codes together: ask for fewer books with limit",
                       request_id);
    }
    Answer answer;
    if (page.more) {
        answer.link = "</coupon?limit=" + std::to_string(query.limit) +
                      "&after=" + text_of(page.read_to, query) +
                      (query.with_codes ? "&include=codes" : "");
        if (query.name) answer.link += "&name=" + escaped(*query.name);
        const std::string sort = name_of(query);
        if (sort != "id") answer.link += "&sort=" + sort;
        answer.link += R"(>; rel="next")";
    }
    std::size_t things = page.books.size();
    for (const BookListing& listing : page.books) {
        things += listing.codes.size();
        answer.held_bytes += held_bytes(listing);
    }
    answer.body = body_of(PageSource(std::move(page), query.with_codes, now), things);
    return answer;
}

}  // namespace coupond::wire
