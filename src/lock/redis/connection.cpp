#include "lock/redis/connection.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>

#include "base/limits.hpp"
#include "lock/redis/scripts.hpp"

namespace coupond::redis {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

}  // namespace

void FreeReply::operator()(redisReply* reply) const {
    freeReplyObject(reply);
}

std::optional<std::string> error_of(const redisReply& reply) {
    if (reply.type != REDIS_REPLY_ERROR) return std::nullopt;
    std::string text(reply.str, reply.len);
    text.resize(std::min({text.size(), text.find(", with args"), std::size_t{200}}));
    return text;
}

void load_scripts(Pipeline& pipeline) {
    for (const Script* const script : {&scripts().load, &scripts().acquire, &scripts().release}) {
        pipeline.command(3).word("SCRIPT").word("LOAD").word(script->text);
    }
}

Connection::Connection(const Options& options, const net::TlsContext* tls, net::Resolver& resolver)
    : options_(options),
      tls_(tls),
      resolver_(resolver),
      deadline_(steady_clock::now() + milliseconds(limits::connect_wait_ms)),
      reader_(redisReaderCreate(), redisReaderFree) {
    if (!reader_) throw std::bad_alloc();
    resolver_.begin();
}

Connection::~Connection() = default;

bool Connection::advance(SteadyTime until) {
    until = std::min(until, std::max(deadline_, steady_clock::now()));
    while (stage_ != Stage::ready) {
        if (advance_stage(until)) continue;
        if (steady_clock::now() >= deadline_) throw Lost("connecting took too long");
        return false;
    }
    return true;
}

/// Whether the next stage is reached.
bool Connection::advance_stage(SteadyTime until) {
    switch (stage_) {
        case Stage::resolving:
            addresses_ = resolver_.wait(until);
            if (addresses_.empty()) return false;
            std::reverse(addresses_.begin(), addresses_.end());
            stage_ = Stage::connecting;
            return true;
        case Stage::connecting:
            if (!connect(until)) return false;
            introduce();
            stage_ = Stage::introducing;
            return true;
        case Stage::introducing: {
            const std::size_t count = replies_.size() + due_;
            while (due_ > 0) {
                if (!stream_->receive(received_, until)) return false;
                read_replies();
            }
            for (std::size_t i = 0; i < count; ++i) {
                if (const auto error = error_of(*replies_[i])) throw Lost("Redis: " + *error);
            }
            replies_.clear();
            stage_ = Stage::ready;
            return true;
        }
        case Stage::ready: break;
    }
    return true;
}

/// Tries one address after the other, each for its share of the time left.
bool Connection::connect(SteadyTime until) {
    for (;;) {
        try {
            if (!stream_) {
                const SteadyTime now = steady_clock::now();
                const auto share = (deadline_ - now) / static_cast<int>(addresses_.size());
                address_deadline_ = now + std::max(share, steady_clock::duration(0));
                const net::Address address = addresses_.back();
                addresses_.pop_back();
                stream_.emplace(address, tls_, options_.host);
            }
            if (stream_->connect(std::min(until, address_deadline_))) return true;
            if (steady_clock::now() < address_deadline_) return false;
            throw Lost("cannot connect: no answer in time");
        } catch (const Lost&) {
            if (addresses_.empty()) throw;
            stream_.reset();
        }
    }
}

void Connection::introduce() {
    Pipeline pipeline;
    if (!options_.username.empty()) {
        pipeline.command(3).word("AUTH").word(options_.username).word(options_.password);
    } else if (!options_.password.empty()) {
        pipeline.command(2).word("AUTH").word(options_.password);
    }
    if (options_.database != 0) {
        pipeline.command(2).word("SELECT").word(std::int64_t{options_.database});
    }
    load_scripts(pipeline);
    send(pipeline);
}

void Connection::check() {
    // Zero time: only what is here already, such as the end of the connection.
    if (stream_->receive(received_, SteadyTime())) read_replies();
}

void Connection::send(const Pipeline& pipeline) {
    due_ += pipeline.commands();
    stream_->send(pipeline.bytes());
}

std::vector<Reply> Connection::receive(std::size_t count, SteadyTime until) {
    while (replies_.size() < count) {
        if (!stream_->receive(received_, until)) throw Lost("no answer in time");
        read_replies();
    }
    std::vector<Reply> replies;
    replies.reserve(count);
    for (; count > 0; --count) {
        replies.push_back(std::move(replies_.front()));
        replies_.pop_front();
    }
    return replies;
}

void Connection::post(const Pipeline& pipeline, SteadyTime until) {
    send(pipeline);
    const bool all = stream_->flush(received_, until);
    read_replies();
    if (!all) throw Lost("cannot send in time");
}

void Connection::read_replies() {
    const int fed = redisReaderFeed(reader_.get(), received_.data(), received_.size());
    received_.clear();
    for (bool more = fed == REDIS_OK; more;) {
        void* reply = nullptr;
        if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) break;
        more = reply != nullptr;
        if (!more) return;
        replies_.emplace_back(static_cast<redisReply*>(reply));
        if (due_ == 0) throw Lost("an answer that nobody asked for");
        --due_;
    }
    throw Lost(std::string("not an answer of Redis': ") + reader_->errstr);
}

}  // namespace coupond::redis
