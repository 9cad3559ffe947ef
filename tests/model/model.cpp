#include "model/model.hpp"

#include <algorithm>

namespace coupond::test {
namespace {

std::string text(std::int64_t number) {
    return std::to_string(number);
}

std::string shown(const std::string& code, const Model::CodeState& state) {
    return "code " + text(state.id) + " " + code + " of book " + text(state.book) + " holder " +
           state.holder + " lock until " + text(state.locked_until) + " redeemed " +
           text(state.redeemed_at) + " created " + text(state.created_at);
}

}  // namespace

std::string Model::apply(const Submission& submission, std::int64_t now, const Given& given) {
    const Command& command = submission.command;
    request_ = submission.request_id;
    if (const auto* it = std::get_if<CreateBook>(&command)) return create(*it, now, given.id);
    if (const auto* it = std::get_if<UploadCodes>(&command)) return upload(*it, now, given.id);
    if (const auto* it = std::get_if<AssignAny>(&command)) return assign_any(*it, now, given.code);
    if (const auto* it = std::get_if<AssignCode>(&command)) return assign(*it, now);
    if (const auto* it = std::get_if<LockCode>(&command)) return lock(*it, now);
    if (const auto* it = std::get_if<RedeemCode>(&command)) return redeem(*it, now);
    return erase(std::get<EraseUser>(command), now);
}

std::int64_t Model::next_id(std::int64_t last, std::int64_t given) const {
    return ids_may_skip_ && given > last ? given : last + 1;
}

std::string Model::create(const CreateBook& command, std::int64_t now, std::int64_t given_id) {
    const std::int64_t id = next_id(books.empty() ? 0 : books.rbegin()->first, given_id);
    books[id] = {command.name, command.max_redemptions_per_user, command.discount_cents};
    changes.push_back({"book_created", now, id, 0, 0, "", 0, {}, request_});
    return "book " + text(id) + " " + command.name;
}

std::string Model::upload(const UploadCodes& command, std::int64_t now, std::int64_t given_id) {
    std::int64_t book = 0;
    if (command.book_id) {
        book = *command.book_id;
        if (books.count(book) == 0) return "refused book_not_found";
    } else {
        if (books.size() != 1) return "refused book_required";
        book = books.begin()->first;
    }
    for (const std::string& code : command.codes) {
        if (codes.count(code) > 0) return "refused codes_already_exist";
        if (std::count(command.codes.begin(), command.codes.end(), code) > 1) {
            return "refused codes_already_exist";
        }
    }
    const std::int64_t first = next_id(last_code_id_, given_id);
    last_code_id_ = first - 1;
    const auto count = static_cast<std::int64_t>(command.codes.size());
    changes.push_back({"codes_uploaded", now, book, first, count, "", 0, {}, request_});
    std::string answer = "uploaded to book " + text(book) + " from id " + text(first);
    for (const std::string& code : command.codes) {
        codes[code] = {++last_code_id_, book, "", 0, 0, now};
        answer += " " + code;
    }
    return answer;
}

std::string Model::assign_any(const AssignAny& command, std::int64_t now,
                              const std::string& given) {
    if (command.book_id && books.count(*command.book_id) == 0) return "refused book_not_found";
    const auto fits = [&](const CodeState& code) {
        return code.holder.empty() && (!command.book_id || code.book == *command.book_id);
    };
    if (given.empty()) {
        for (const auto& [code, state] : codes) {
            if (fits(state)) return "one of the free codes, such as " + code;
        }
        return "refused no_available_coupons";
    }
    const auto found = codes.find(given);
    if (found == codes.end() || !fits(found->second)) return "any code but " + given;
    CodeState& code = found->second;
    code.holder = command.user_id;
    changes.push_back({"code_assigned", now, code.book, code.id, 0, code.holder, 0, {}, request_});
    return shown(given, code);
}

std::string Model::assign(const AssignCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (!code.holder.empty() && code.holder != command.user_id) {
        return "refused assigned_to_another_user";
    }
    if (code.holder.empty()) {
        code.holder = command.user_id;
        changes.push_back(
            {"code_assigned", now, code.book, code.id, 0, code.holder, 0, {}, request_});
    }
    return shown(command.code, code);
}

std::string Model::lock(const LockCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (now < code.locked_until) return "refused already_locked";
    code.locked_until = now + command.ttl_ms;
    code.lock_ended = false;
    if (code.first_locked_at == 0) code.first_locked_at = now;
    changes.push_back(
        {"code_locked", now, code.book, code.id, 0, code.holder, code.locked_until, {}, request_});
    return "locked until " + text(code.locked_until);
}

std::string Model::redeem(const RedeemCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (now >= code.locked_until) return "refused not_locked";
    const auto redeemed = std::count_if(codes.begin(), codes.end(), [&](const auto& other) {
        return other.second.book == code.book && other.second.holder == command.user_id &&
               other.second.redeemed_at != 0;
    });
    if (const auto limit = books[code.book].limit; limit && redeemed >= *limit) {
        return "refused user_redemption_limit_reached";
    }
    changes.push_back({"code_redeemed", now, code.book, code.id, 0, code.holder, code.locked_until,
                       books[code.book].discount, request_});
    code.redeemed_at = now;
    code.locked_until = 0;
    code.first_locked_at = 0;
    return "redeemed: " + shown(command.code, code);
}

std::string Model::erase(const EraseUser& command, std::int64_t now) {
    const auto is_theirs = [&](const Change& change) { return change.user == command.user_id; };
    if (std::none_of(changes.begin(), changes.end(), is_theirs)) return "refused user_not_found";
    for (auto& [text, code] : codes) {
        if (code.holder != command.user_id) continue;
        code.holder = command.erased_id;
        code.locked_until = std::min(code.locked_until, now);
        code.lock_ended = true;
    }
    for (Change& change : changes) {
        if (is_theirs(change)) change.user = command.erased_id;
    }
    changes.push_back({"user_erased", now, 0, 0, 0, command.erased_id, 0, {}, request_});
    return "erased";
}

namespace {

std::string shown(const Code& code) {
    return shown(code.code, {code.id, code.book_id, code.assigned_to.value_or(""),
                             code.lock ? code.lock->until.ms : 0,
                             code.redeemed_at ? code.redeemed_at->ms : 0, code.created_at.ms});
}

struct Describer {
    std::string operator()(Refusal refusal) const {
        return "refused " + std::string(to_string(refusal));
    }
    std::string operator()(const BookCreated& it) const {
        return "book " + text(it.book.id) + " " + it.book.name;
    }
    std::string operator()(const CodesUploaded& it) const {
        std::string answer =
            "uploaded to book " + text(it.book.id) + " from id " + text(it.first_id);
        for (const std::string& code : it.codes) answer += " " + code;
        return answer;
    }
    std::string operator()(const CodeAssigned& it) const { return shown(it.code); }
    std::string operator()(const CodeLocked& it) const {
        return "locked until " + text(it.until.ms);
    }
    std::string operator()(const CodeRedeemed& it) const { return "redeemed: " + shown(it.code); }
    std::string operator()(const UserErased&) const { return "erased"; }
    std::string operator()(const Replayed&) const { return "replayed"; }
};

}  // namespace

std::string describe(const Outcome& outcome) {
    return std::visit(Describer{}, outcome);
}

Given given(const Outcome& outcome) {
    if (const auto* const it = std::get_if<BookCreated>(&outcome)) return {{}, it->book.id};
    if (const auto* const it = std::get_if<CodesUploaded>(&outcome)) return {{}, it->first_id};
    if (const auto* const it = std::get_if<CodeAssigned>(&outcome)) return {it->code.code, 0};
    return {};
}

}  // namespace coupond::test
