#include "model/model.hpp"

#include <algorithm>

namespace coupond::test {
namespace {

std::string text(std::int64_t number) {
    return std::to_string(number);
}

std::string text(const std::optional<std::int64_t>& number) {
    return number ? text(*number) : "none";
}

std::string settings_text(bool active, std::int64_t expires_at, const std::string& metadata) {
    return (active ? "active" : "disabled") + (" expires " + text(expires_at)) + " metadata " +
           metadata;
}

std::string settings_text(const Model::CodeState& state) {
    return settings_text(state.active, state.expires_at, state.metadata);
}

/// Of a lock that is dead nobody is told.
std::string shown(const std::string& code, const Model::CodeState& state, std::int64_t now) {
    const std::int64_t locked_until = now < state.locked_until ? state.locked_until : 0;
    return "code " + text(state.id) + " " + code + " of book " + text(state.book) + " holder " +
           state.holder + " lock until " + text(locked_until) + " redeemed " +
           text(state.redeemed_at) + " created " + text(state.created_at) + " " +
           settings_text(state);
}

std::string shown(const Model::BookState& book) {
    return book.name + " pattern " + book.pattern + " limit " + text(book.limit) + " discount " +
           text(book.discount) + " description " + book.description +
           (book.active ? " active" : " inactive") + " from " + text(book.starts_at) + " to " +
           text(book.ends_at) + " zone " + book.zone + " ttl " + text(book.ttl_s) + " metadata " +
           book.metadata + " archived " + text(book.archived_at) + " counts since " +
           text(book.counts_users_since) + " created " + text(book.created_at) + " updated " +
           text(book.updated_at);
}

std::optional<std::int64_t> ms_of(const std::optional<Timestamp>& at) {
    return at ? std::optional(at->ms) : std::nullopt;
}

std::optional<Timestamp> time_of(const std::optional<std::int64_t>& ms) {
    return ms ? std::optional(Timestamp{*ms}) : std::nullopt;
}

/// Makes of `book` what is wished, of the members at these places of the description.
void take(Model::BookState& book, const BookWish& wish, BookMembers wished) {
    if (wished[0]) book.name = wish.name;
    if (wished[1]) book.pattern = wish.code_pattern;
    if (wished[2]) book.limit = wish.max_redemptions_per_user;
    if (wished[3]) book.discount = wish.discount_cents;
    if (wished[4]) book.description = wish.description;
    if (wished[5]) book.active = wish.active;
    if (wished[6]) book.starts_at = ms_of(wish.starts_at);
    if (wished[7]) book.ends_at = ms_of(wish.ends_at);
    if (wished[8]) book.zone = wish.time_zone;
    if (wished[9]) book.ttl_s = wish.lock_ttl_s;
    if (wished[10]) book.metadata = wish.metadata;
}

const std::string contradicted = "contradicted " + text(static_cast<int>(Fault::ends_before_start));

bool contradicts(const Model::BookState& book) {
    return book.starts_at && book.ends_at && *book.ends_at <= *book.starts_at;
}

}  // namespace

std::string Model::apply(const Submission& submission, std::int64_t now, const Given& given) {
    const Command& command = submission.command;
    request_ = submission.request_id;
    if (const auto* it = std::get_if<CreateBook>(&command)) return create(*it, now, given.id);
    if (const auto* it = std::get_if<EditBook>(&command)) return edit(*it, now);
    if (const auto* it = std::get_if<ArchiveBook>(&command)) return archive(it->book_id, true, now);
    if (const auto* it = std::get_if<RestoreBook>(&command)) {
        return archive(it->book_id, false, now);
    }
    if (const auto* it = std::get_if<UploadCodes>(&command)) return upload(*it, now, given.id);
    if (const auto* it = std::get_if<AssignAny>(&command)) return assign_any(*it, now, given.code);
    if (const auto* it = std::get_if<AssignCode>(&command)) return assign(*it, now);
    if (const auto* it = std::get_if<LockCode>(&command)) return lock(*it, now);
    if (const auto* it = std::get_if<RedeemCode>(&command)) return redeem(*it, now);
    if (const auto* it = std::get_if<EditCode>(&command)) return edit(*it, now);
    if (const auto* it = std::get_if<UnlockCode>(&command)) return unlock(*it, now);
    if (const auto* it = std::get_if<UnassignCode>(&command)) return unassign(*it, now);
    return erase(std::get<EraseUser>(command), now);
}

std::int64_t Model::next_id(std::int64_t last, std::int64_t given) const {
    return ids_may_skip_ && given > last ? given : last + 1;
}

std::string Model::create(const CreateBook& command, std::int64_t now, std::int64_t given_id) {
    BookState book;
    take(book, command, BookMembers().set());
    if (contradicts(book)) return contradicted;
    if (book.limit) book.counts_users_since = now;
    book.created_at = book.updated_at = now;
    const std::int64_t id = next_id(books.empty() ? 0 : books.rbegin()->first, given_id);
    books[id] = book;
    changes.push_back(
        {.type = "book_created", .at = now, .book = id, .request = request_, .after = shown(book)});
    return "book " + text(id) + " " + shown(book);
}

std::string Model::edit(const EditBook& command, std::int64_t now) {
    if (books.count(command.book_id) == 0) return "refused book_not_found";
    BookState wished = books[command.book_id];
    take(wished, command.wish, command.wished);
    if (contradicts(wished)) return contradicted;
    if (wished.limit && !wished.counts_users_since) wished.counts_users_since = now;
    return "changed: " + become(command.book_id, wished, "book_changed", now);
}

std::string Model::archive(std::int64_t id, bool archived, std::int64_t now) {
    if (books.count(id) == 0) return "refused book_not_found";
    BookState wished = books[id];
    if (!archived) {
        wished.archived_at.reset();
    } else if (!wished.archived_at) {
        wished.archived_at = now;
    }
    return (archived ? "changed: " : "restored: ") +
           become(id, wished, archived ? "book_archived" : "book_restored", now);
}

std::string Model::become(std::int64_t id, BookState wished, const std::string& type,
                          std::int64_t now) {
    BookState& book = books[id];
    if (wished != book) {
        wished.updated_at = now;
        changes.push_back({.type = type,
                           .at = now,
                           .book = id,
                           .request = request_,
                           .before = shown(book),
                           .after = shown(wished)});
        book = wished;
    }
    return text(id) + " " + shown(book);
}

std::string Model::closed(std::int64_t id, std::int64_t now) const {
    const BookState& book = books.at(id);
    if (book.archived_at) return "refused book_archived";
    if (!book.active) return "refused book_inactive";
    if (book.ends_at && now >= *book.ends_at) return "refused book_ended";
    return {};
}

std::string Model::useless(const CodeState& code, std::int64_t now) {
    if (!code.active) return "refused code_disabled";
    return code.works(now) ? "" : "refused code_expired";
}

std::string Model::unusable(const CodeState& code, std::int64_t now) const {
    const BookState& book = books.at(code.book);
    const std::string why = closed(code.book, now);
    // Not started comes before ended: a book cannot be both.
    if (!why.empty()) return why;
    if (book.starts_at && now < *book.starts_at) return "refused book_not_started";
    return useless(code, now);
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
    if (books[book].archived_at) return "refused book_archived";
    for (const std::string& code : command.codes) {
        if (codes.count(code) > 0) return "refused codes_already_exist";
        if (std::count(command.codes.begin(), command.codes.end(), code) > 1) {
            return "refused codes_already_exist";
        }
    }
    const std::int64_t first = next_id(last_code_id_, given_id);
    last_code_id_ = first - 1;
    changes.push_back({.type = "codes_uploaded",
                       .at = now,
                       .book = book,
                       .code = first,
                       .codes = static_cast<std::int64_t>(command.codes.size()),
                       .request = request_});
    std::string answer = "uploaded to book " + text(book) + " from id " + text(first);
    for (const std::string& code : command.codes) {
        codes[code] = {.id = ++last_code_id_, .book = book, .holder = {}, .created_at = now};
        answer += " " + code;
    }
    return answer;
}

Model::Change& Model::enter(const std::string& type, const CodeState& code, std::int64_t now) {
    changes.push_back({.type = type,
                       .at = now,
                       .book = code.book,
                       .code = code.id,
                       .user = code.holder,
                       .request = request_});
    return changes.back();
}

std::string Model::assign_any(const AssignAny& command, std::int64_t now,
                              const std::string& given) {
    if (command.book_id) {
        if (books.count(*command.book_id) == 0) return "refused book_not_found";
        const std::string why = closed(*command.book_id, now);
        if (!why.empty()) return why;
    }
    const auto fits = [&](const CodeState& code) {
        return code.holder.empty() && (!command.book_id || code.book == *command.book_id) &&
               closed(code.book, now).empty() && code.works(now);
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
    enter("code_assigned", code, now);
    return shown(given, code, now);
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
        std::string why = closed(code.book, now);
        if (why.empty()) why = useless(code, now);
        if (!why.empty()) return why;
        code.holder = command.user_id;
        enter("code_assigned", code, now);
    }
    return shown(command.code, code, now);
}

std::string Model::lock(const LockCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    const std::string why = unusable(code, now);
    if (!why.empty()) return why;
    if (now < code.locked_until) return "refused already_locked";
    const auto ttl_s = books[code.book].ttl_s;
    code.locked_until = now + (ttl_s ? *ttl_s * 1000 : command.ttl_ms);
    code.lock_ended = false;
    if (code.first_locked_at == 0) code.first_locked_at = now;
    enter("code_locked", code, now).locked_until = code.locked_until;
    return "locked until " + text(code.locked_until);
}

std::string Model::redeem(const RedeemCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    const std::string why = unusable(code, now);
    if (!why.empty()) return why;
    if (now >= code.locked_until) return "refused not_locked";
    const auto redeemed = std::count_if(codes.begin(), codes.end(), [&](const auto& other) {
        return other.second.book == code.book && other.second.holder == command.user_id &&
               other.second.redeemed_at != 0;
    });
    const BookState& book = books[code.book];
    if (book.limit && redeemed >= *book.limit) return "refused user_redemption_limit_reached";
    if (book.counts_users_since) counted_users[{code.book, command.user_id}] = redeemed + 1;
    Change& change = enter("code_redeemed", code, now);
    change.locked_until = code.locked_until;
    change.discount = book.discount;
    code.redeemed_at = now;
    code.locked_until = 0;
    code.first_locked_at = 0;
    return "redeemed: " + shown(command.code, code, now);
}

std::string Model::edit(const EditCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    const std::string before = settings_text(code);
    if (command.wished[0]) code.active = command.wish.active;
    if (command.wished[1]) code.expires_at = ms_of(command.wish.expires_at).value_or(0);
    if (command.wished[2]) code.metadata = command.wish.metadata;
    if (settings_text(code) != before) {
        Change& change = enter("code_changed", code, now);
        change.before = before;
        change.after = settings_text(code);
        code.settled_at = now;
    }
    return "edited: " + shown(command.code, code, now);
}

std::string Model::unlock(const UnlockCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (code.holder != command.user_id) return "refused not_assigned_to_user";
    if (code.redeemed_at != 0) return "refused already_redeemed";
    if (now < code.locked_until) {
        enter("code_unlocked", code, now).locked_until = code.locked_until;
        code.locked_until = now;
    }
    return "unlocked";
}

std::string Model::unassign(const UnassignCode& command, std::int64_t now) {
    const auto found = codes.find(command.code);
    if (found == codes.end()) return "refused code_not_found";
    CodeState& code = found->second;
    if (!code.holder.empty()) {
        if (command.user_id && code.holder != *command.user_id) {
            return "refused not_assigned_to_user";
        }
        if (code.redeemed_at != 0) return "refused already_redeemed";
        if (now < code.locked_until) return "refused already_locked";
        enter("code_unassigned", code, now);
        code.holder.clear();
        code.locked_until = 0;
        code.lock_ended = false;
        code.first_locked_at = 0;
        code.settled_at = now;
    }
    return "freed: " + shown(command.code, code, now);
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
    for (const auto& [id, book] : books) {
        auto counted = counted_users.extract({id, command.user_id});
        if (counted.empty()) continue;
        counted.key().second = command.erased_id;
        counted_users.insert(std::move(counted));
    }
    changes.push_back(
        {.type = "user_erased", .at = now, .user = command.erased_id, .request = request_});
    return "erased";
}

namespace {

std::string shown(const Code& code, std::int64_t now) {
    Model::CodeState state;
    state.id = code.id;
    state.book = code.book_id;
    state.holder = code.assigned_to.value_or("");
    state.locked_until = code.lock ? code.lock->until.ms : 0;
    state.redeemed_at = ms_of(code.redeemed_at).value_or(0);
    state.created_at = code.created_at.ms;
    state.active = code.active;
    state.expires_at = ms_of(code.expires_at).value_or(0);
    state.metadata = code.metadata;
    return shown(code.code, state, now);
}

struct Describer {
    std::int64_t now;

    std::string operator()(Refusal refusal) const {
        return "refused " + std::string(to_string(refusal));
    }
    std::string operator()(const BookCreated& it) const {
        return "book " + text(it.book.id) + " " + test::shown(it.book);
    }
    std::string operator()(const BookChanged& it) const {
        return (it.restored ? "restored: " : "changed: ") + text(it.book.id) + " " +
               test::shown(it.book);
    }
    std::string operator()(const Contradicted& it) const {
        std::string answer = "contradicted";
        for (const Fault fault : it.faults) answer += " " + text(static_cast<int>(fault));
        return answer;
    }
    std::string operator()(const CodesUploaded& it) const {
        std::string answer =
            "uploaded to book " + text(it.book.id) + " from id " + text(it.first_id);
        for (const std::string& code : it.codes) answer += " " + code;
        return answer;
    }
    std::string operator()(const CodeAssigned& it) const { return shown(it.code, now); }
    std::string operator()(const CodeLocked& it) const {
        return "locked until " + text(it.until.ms);
    }
    std::string operator()(const CodeRedeemed& it) const {
        return "redeemed: " + shown(it.code, now);
    }
    std::string operator()(const CodeChanged& it) const { return "edited: " + shown(it.code, now); }
    std::string operator()(const CodeUnlocked&) const { return "unlocked"; }
    std::string operator()(const CodeUnassigned& it) const {
        return "freed: " + shown(it.code, now);
    }
    std::string operator()(const UserErased&) const { return "erased"; }
    std::string operator()(const Replayed&) const { return "replayed"; }
};

}  // namespace

std::string describe(const Outcome& outcome, std::int64_t now) {
    return std::visit(Describer{now}, outcome);
}

std::string shown(const Book& book) {
    return shown(Model::BookState{.name = book.name,
                                  .pattern = book.code_pattern,
                                  .limit = book.max_redemptions_per_user,
                                  .discount = book.discount_cents,
                                  .description = book.description,
                                  .active = book.active,
                                  .starts_at = ms_of(book.starts_at),
                                  .ends_at = ms_of(book.ends_at),
                                  .zone = book.time_zone,
                                  .ttl_s = book.lock_ttl_s,
                                  .metadata = book.metadata,
                                  .archived_at = ms_of(book.archived_at),
                                  .counts_users_since = ms_of(book.counts_users_since),
                                  .created_at = book.created_at.ms,
                                  .updated_at = book.updated_at.ms});
}

std::string shown(const CodeSettings& settings) {
    return settings_text(settings.active, ms_of(settings.expires_at).value_or(0),
                         settings.metadata);
}

Book as_book(const Model::BookState& state) {
    Book book;
    book.name = state.name;
    book.code_pattern = state.pattern;
    book.max_redemptions_per_user = state.limit;
    book.discount_cents = state.discount;
    book.description = state.description;
    book.active = state.active;
    book.starts_at = time_of(state.starts_at);
    book.ends_at = time_of(state.ends_at);
    book.time_zone = state.zone;
    book.lock_ttl_s = state.ttl_s;
    book.metadata = state.metadata;
    book.archived_at = time_of(state.archived_at);
    book.counts_users_since = time_of(state.counts_users_since);
    book.created_at = {state.created_at};
    book.updated_at = {state.updated_at};
    return book;
}

CodeSettings as_settings(const Model::CodeState& state) {
    CodeSettings settings;
    settings.active = state.active;
    if (state.expires_at != 0) settings.expires_at = Timestamp{state.expires_at};
    settings.metadata = state.metadata;
    return settings;
}

Given given(const Outcome& outcome) {
    if (const auto* const it = std::get_if<BookCreated>(&outcome)) return {{}, it->book.id};
    if (const auto* const it = std::get_if<CodesUploaded>(&outcome)) return {{}, it->first_id};
    if (const auto* const it = std::get_if<CodeAssigned>(&outcome)) return {it->code.code, 0};
    return {};
}

}  // namespace coupond::test
