#include <hiredis/hiredis.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/check.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "lock/redis/health.hpp"
#include "lock/redis/scripts.hpp"
#include "lock/redis/session.hpp"

namespace coupond::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t load_keys = 1'000;                     ///< of one script call
constexpr std::size_t acquire_keys = limits::batch_entries;  ///< of the one script call
static_assert(acquire_keys < 7'000, "Lua's stack has room for as many");

/// How long a released lock leaves its mark, and for how long what was loaded may be acted upon:
/// so a lock that was taken and released in between is always seen.
constexpr std::int64_t tombstone_ms = 10'000;
constexpr std::int64_t seen_ms = 5'000;
static_assert(seen_ms + 2 * limits::locks_wait_ms < tombstone_ms);

/// A lock without an end, which is none of ours, ends with the times that can be written.
constexpr Timestamp last_time{253'402'300'799'999};

/// Beyond this, locks are noticeably shorter or longer than they ought to be.
constexpr std::int64_t clock_difference_ms = 2'000;

/// The image of a key that is not as any script can find it.
constexpr std::string_view unknown = "?";

/// How a key was, as the scripts compare it: its expiry, a space and its value.
std::string image(std::int64_t expiry_ms, std::string_view value) {
    std::string text = std::to_string(expiry_ms);
    text += ' ';
    return text += value;
}

/// The value of a lock's key. No user id has a line break.
std::string value_of(const Lock& lock) {
    return lock.key.empty() ? lock.user_id : lock.user_id + "\n" + lock.key;
}

Lock lock_of(std::string_view value, Timestamp until) {
    const std::size_t end = std::min(value.find('\n'), value.size());
    const std::string_view key = value.substr(std::min(end + 1, value.size()));
    return {std::string(value.substr(0, end)), until, std::string(key)};
}

/// Whether it is that of a lock, neither of a tombstone nor unknown.
bool is_lock(const std::string& image) {
    return image.find(' ') < image.size() - 1;
}

class RedisLocks final : public Locks {
public:
    RedisLocks(const Options& options, std::string_view side)
        : session_(options), health_(name(options), side) {}

    Result<std::vector<std::optional<Lock>>> load(
        std::span<const std::string_view> codes) override {
        return run<std::vector<std::optional<Lock>>>(Purpose::question, [&] {
            forget();
            return load_now(codes);
        });
    }

    Result<std::vector<std::optional<Lock>>> load_more(
        std::span<const std::string_view> codes) override {
        return run<std::vector<std::optional<Lock>>>(Purpose::question,
                                                     [&] { return load_now(codes); });
    }

    Result<void> acquire(std::span<const LockChange> changes, Timestamp now) override {
        const Result<void> acquired =
            run<void>(Purpose::change, [&] { acquire_now(changes, now); });
        if (acquired || acquired.error() != Failure::indeterminate) return acquired;
        const Result<void> found =
            run<void>(Purpose::question, [&] { look_whether_taken(changes); });
        return !found && found.error() == Failure::unavailable ? Failure::indeterminate : found;
    }

    void release(std::span<const LockChange> changes, Timestamp) override;

    Result<std::vector<std::string>> idempotency_keys(
        std::span<const std::string_view> codes) override {
        return run<std::vector<std::string>>(Purpose::question,
                                             [&] { return idempotency_keys_now(codes); });
    }

    Result<std::vector<std::int64_t>> count(std::span<const BookId> books, Timestamp now) override {
        return run<std::vector<std::int64_t>>(Purpose::question,
                                              [&] { return count_now(books, now); });
    }

    Result<void> ping() override {
        return run<void>(Purpose::change, [&] { ping_now(); });
    }

private:
    template <class T, class Call>
    Result<T> run(Purpose purpose, Call call) {
        try {
            if constexpr (std::is_void_v<T>) {
                call();
                health_.worked(purpose);
                return {};
            } else {
                T answer = call();
                health_.worked(purpose);
                return answer;
            }
        } catch (const Failed& failed) {
            if (failed.failure() != Failure::conflict) health_.failed(purpose, failed.reason());
            return failed.failure();
        }
    }

    void forget();
    std::vector<std::optional<Lock>> load_now(std::span<const std::string_view> codes);
    void take_loaded(const redisReply& reply, std::span<const std::string_view> codes,
                     std::span<std::optional<Lock>> locks);
    void acquire_now(std::span<const LockChange> changes, Timestamp now);
    void look_whether_taken(std::span<const LockChange> changes);
    std::vector<std::string> idempotency_keys_now(std::span<const std::string_view> codes);
    std::vector<std::int64_t> count_now(std::span<const BookId> books, Timestamp now);
    void ping_now();
    Pipeline acquire_command(std::span<const LockChange* const> locks, Timestamp now) const;
    void compare_clocks(Timestamp now);

    Session session_;
    Health health_;

    /// The images of the keys that were there, as this object loaded or changed them last, by code.
    std::unordered_map<std::string, std::string> seen_;
    std::uint64_t seen_epoch_ = 0;      // the connection that it was seen on; 0: nothing was
    std::int64_t seen_at_ms_ = 0;       // by Redis' clock, and at the same time
    steady_clock::time_point seen_at_;  // by ours
    bool clocks_compared_ = false;
};

void RedisLocks::forget() {
    seen_.clear();
    seen_epoch_ = 0;
    seen_at_ms_ = 0;
}

/// Besides what was seen since `forget`, which is of use only on the connection it was seen on.
std::vector<std::optional<Lock>> RedisLocks::load_now(std::span<const std::string_view> codes) {
    std::vector<std::optional<Lock>> locks(codes.size());
    if (codes.empty()) return locks;
    Pipeline pipeline;
    for (std::size_t from = 0; from < codes.size(); from += load_keys) {
        const auto chunk = codes.subspan(from, std::min(load_keys, codes.size() - from));
        pipeline.command(3 + chunk.size()).word("EVALSHA").word(scripts().load.sha);
        pipeline.word(chunk.size());
        for (const std::string_view code : chunk) pipeline.word(lock_prefix, code);
    }
    const std::vector<Reply> replies = session_.ask(pipeline);
    if (seen_epoch_ == 0) seen_at_ms_ = INT64_MAX;
    seen_at_ = steady_clock::now();
    for (const std::string_view code : codes) seen_.erase(std::string(code));
    for (std::size_t i = 0; i < replies.size(); ++i) {
        const std::size_t from = i * load_keys;
        const std::size_t size = std::min(load_keys, codes.size() - from);
        take_loaded(*replies[i], codes.subspan(from, size), std::span(locks).subspan(from, size));
    }
    if (seen_epoch_ == 0) seen_epoch_ = session_.epoch();
    return locks;
}

void RedisLocks::take_loaded(const redisReply& reply, std::span<const std::string_view> codes,
                             std::span<std::optional<Lock>> locks) {
    const auto integer = [&](std::size_t i) {
        if (reply.element[i]->type != REDIS_REPLY_INTEGER) session_.misunderstood();
        return static_cast<std::int64_t>(reply.element[i]->integer);
    };
    if (reply.type != REDIS_REPLY_ARRAY || reply.elements % 3 != 1) session_.misunderstood();
    seen_at_ms_ = std::min(seen_at_ms_, integer(0));
    for (std::size_t i = 1; i < reply.elements; i += 3) {
        const std::int64_t index = integer(i);
        const redisReply& text = *reply.element[i + 1];
        if (index < 1 || static_cast<std::size_t>(index) > codes.size() ||
            text.type != REDIS_REPLY_STRING) {
            session_.misunderstood();
        }
        const std::string_view value(text.str, text.len);
        const std::int64_t expiry_ms = integer(i + 2);
        const auto at = static_cast<std::size_t>(index) - 1;
        seen_.insert_or_assign(std::string(codes[at]), image(expiry_ms, value));
        if (value == tombstone) continue;
        const bool ends = expiry_ms >= 0 && expiry_ms < last_time.ms;
        locks[at] = lock_of(value, ends ? Timestamp{expiry_ms} : last_time);
    }
}

void RedisLocks::acquire_now(std::span<const LockChange> changes, Timestamp now) {
    std::vector<const LockChange*> locks;
    for (const LockChange& change : changes) {
        if (change.lock) locks.push_back(&change);
    }
    if (locks.empty()) return;
    COUPOND_CHECK(locks.size() <= acquire_keys);
    std::stable_sort(locks.begin(), locks.end(), [](const LockChange* a, const LockChange* b) {
        return a->book_id < b->book_id;
    });
    if (!clocks_compared_ && seen_epoch_ != 0) compare_clocks(now);
    const auto replies = session_.ask_once(acquire_command(locks, now), seen_epoch_);
    const redisReply& reply = *replies.front();
    if (reply.type != REDIS_REPLY_INTEGER) session_.misunderstood(Failure::indeterminate);
    if (reply.integer == 0) {
        throw Failed(Failure::conflict, "somebody else took or released one of the locks");
    }
    for (const LockChange* const change : locks) {
        const Lock& lock = *change->lock;
        seen_.insert_or_assign(std::string(change->code), image(lock.until.ms, value_of(lock)));
    }
}

/// After the answer to an acquire was lost. All or none were taken, so what is there now tells:
/// where it is not all that was asked for, the batch goes by what is there.
void RedisLocks::look_whether_taken(std::span<const LockChange> changes) {
    std::vector<std::string_view> codes;
    for (const LockChange& change : changes) {
        if (change.lock) codes.push_back(change.code);
    }
    auto others = std::move(seen_);
    forget();
    load_now(codes);
    for (const LockChange& change : changes) {
        if (!change.lock) continue;
        const auto seen = seen_.find(std::string(change.code));
        if (seen == seen_.end() ||
            seen->second != image(change.lock->until.ms, value_of(*change.lock))) {
            throw Failed(Failure::conflict, "the locks were not taken");
        }
    }
    seen_.merge(others);  // those that are to be released
}

/// `locks` by book.
Pipeline RedisLocks::acquire_command(std::span<const LockChange* const> locks,
                                     Timestamp now) const {
    struct Set {
        BookId book_id;
        std::size_t size = 0;
        Timestamp last{};
    };
    std::vector<Set> sets;
    for (const LockChange* const change : locks) {
        COUPOND_CHECK(change->lock->user_id != tombstone && change->lock->until.ms > 0);
        if (sets.empty() || sets.back().book_id != change->book_id) {
            sets.push_back({change->book_id});
        }
        ++sets.back().size;
        sets.back().last = std::max(sets.back().last, change->lock->until);
    }
    const auto named = static_cast<std::size_t>(std::count_if(
        locks.begin(), locks.end(),
        [](const LockChange* change) { return !change->lock->idempotency_key.empty(); }));
    Pipeline pipeline;
    pipeline.command(6 + 5 * locks.size() + 3 * sets.size() + 2 * named);
    pipeline.word("EVALSHA").word(scripts().acquire.sha).word(locks.size() + sets.size());
    for (const LockChange* const change : locks) pipeline.word(lock_prefix, change->code);
    for (const Set& set : sets) {
        pipeline.word(book_prefix, Pipeline::Digits().of(set.book_id));
    }
    pipeline.word(locks.size()).word(now.ms).word(seen_at_ms_ + seen_ms);
    for (const LockChange* const change : locks) {
        const auto seen = seen_.find(std::string(change->code));
        pipeline.word(seen == seen_.end() ? std::string_view() : seen->second);
    }
    for (const LockChange* const change : locks) pipeline.word(value_of(*change->lock));
    for (const LockChange* const change : locks) {
        pipeline.word(change->lock->until.ms).word(change->code);
    }
    for (const Set& set : sets) pipeline.word(set.size).word(set.last.ms);
    for (std::size_t i = 0; i < locks.size(); ++i) {
        const std::string& key = locks[i]->lock->idempotency_key;
        if (!key.empty()) pipeline.word(i + 1).word(key);
    }
    return pipeline;
}

/// Locks end by Redis' clock where that is ahead, by ours where it is not.
void RedisLocks::compare_clocks(Timestamp now) {
    clocks_compared_ = true;
    const auto since = std::chrono::duration_cast<milliseconds>(steady_clock::now() - seen_at_);
    const std::int64_t ahead_ms = seen_at_ms_ + since.count() - now.ms;
    if (std::abs(ahead_ms) < clock_difference_ms) return;
    log::warn("the clocks of Redis and of this machine differ; locks end by the one that is ahead",
              {{"redis_ahead_ms", ahead_ms}});
}

void RedisLocks::release(std::span<const LockChange> changes, Timestamp) {
    struct Released {
        const LockChange* change;
        std::string seen;
        std::size_t set;
    };
    std::vector<Released> released;
    std::vector<BookId> books;
    std::unordered_map<BookId, std::size_t> sets;  // where in `books`
    for (const LockChange& change : changes) {
        const auto seen = seen_.find(std::string(change.code));
        if (seen == seen_.end() || !is_lock(seen->second)) continue;
        const auto [set, is_new] = sets.try_emplace(change.book_id, books.size());
        if (is_new) books.push_back(change.book_id);
        released.push_back({&change, std::exchange(seen->second, unknown), set->second});
    }
    if (released.empty()) return;
    Pipeline pipeline;
    pipeline.command(5 + 4 * released.size() + books.size());
    pipeline.word("EVALSHA").word(scripts().release.sha).word(released.size() + books.size());
    for (const Released& one : released) pipeline.word(lock_prefix, one.change->code);
    for (const BookId book : books) pipeline.word(book_prefix, Pipeline::Digits().of(book));
    pipeline.word(released.size()).word(tombstone_ms);
    for (const Released& one : released) {
        pipeline.word(one.seen).word(one.change->code).word(released.size() + one.set + 1);
    }
    session_.post(std::move(pipeline));
}

std::vector<std::string> RedisLocks::idempotency_keys_now(std::span<const std::string_view> codes) {
    std::vector<std::string> keys;
    if (codes.empty()) return keys;
    Pipeline pipeline;
    pipeline.command(1 + codes.size()).word("MGET");
    for (const std::string_view code : codes) pipeline.word(idempotency_prefix, code);
    const std::vector<Reply> replies = session_.ask(pipeline);
    const redisReply& reply = *replies.front();
    if (reply.type != REDIS_REPLY_ARRAY || reply.elements != codes.size()) session_.misunderstood();
    for (std::size_t i = 0; i < codes.size(); ++i) {
        const redisReply& value = *reply.element[i];
        const std::string_view text = value.type == REDIS_REPLY_STRING
                                          ? std::string_view(value.str, value.len)
                                          : std::string_view();
        // It may be an earlier lock's.
        const auto seen = seen_.find(std::string(codes[i]));
        const std::size_t end = text.find(' ');
        const bool of_lock = end != std::string_view::npos && seen != seen_.end() &&
                             text.substr(0, end) == seen->second.substr(0, seen->second.find(' '));
        keys.emplace_back(of_lock ? text.substr(end + 1) : std::string_view());
    }
    return keys;
}

std::vector<std::int64_t> RedisLocks::count_now(std::span<const BookId> books, Timestamp now) {
    std::vector<std::int64_t> counts;
    if (books.empty()) return counts;
    Pipeline pipeline;
    for (const BookId book : books) {
        pipeline.command(4).word("ZCOUNT").word(book_prefix, Pipeline::Digits().of(book));
        pipeline.word("(", Pipeline::Digits().of(now.ms)).word("+inf");
    }
    for (const Reply& reply : session_.ask(pipeline)) {
        if (reply->type != REDIS_REPLY_INTEGER) session_.misunderstood();
        counts.push_back(reply->integer);
    }
    return counts;
}

/// Takes no locks at all: a server that can take none refuses even that.
void RedisLocks::ping_now() {
    Pipeline pipeline;
    pipeline.command(6).word("EVALSHA").word(scripts().acquire.sha).word(std::size_t{0});
    pipeline.word(std::size_t{0}).word(std::size_t{0}).word(std::size_t{0});
    const std::vector<Reply> replies = session_.ask(pipeline);
    if (replies.front()->type != REDIS_REPLY_INTEGER) session_.misunderstood();
}

}  // namespace

std::unique_ptr<Locks> open(const Options& options, std::string_view side) {
    return std::make_unique<RedisLocks>(options, side);
}

}  // namespace coupond::redis
