#include "app/validations.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "base/limits.hpp"
#include "wire/wire.hpp"

namespace coupond {

void Validations::submit(ValidateCode asked, const http::Request& request,
                         const http::Responder& responder) {
    if (waiting_.size() >= limits::queued_queries) {
        return responder.send(wire::failed(Failure::overloaded, request.request_id));
    }
    waiting_.push_back({std::move(asked), request.request_id, responder});
    look_up();
}

void Validations::look_up() {
    if (looking_up_ || waiting_.empty()) return;
    // Shared, for what the reader is given must be copyable; moved from there, for the last
    // Responder of a connection ends on the network thread.
    auto batch = std::make_shared<std::vector<Pending>>(std::exchange(waiting_, {}));
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::command_wait_ms);
    looking_up_ = reader_.submit([this, batch, deadline](ReadStore& store) mutable {
        std::vector<const ValidateCode*> asked;
        for (const Pending& pending : *batch) asked.push_back(&pending.asked);
        Result<std::vector<std::optional<CodeForUser>>> found = Failure::overloaded;
        const Timestamp now = clock_.now();
        if (std::chrono::steady_clock::now() <= deadline) found = store.find_codes(asked, now);
        std::vector<wire::Answer> answers;
        for (std::size_t i = 0; i < batch->size(); ++i) {
            const Pending& pending = (*batch)[i];
            if (!found) {
                answers.push_back(wire::failed(found.error(), pending.request_id));
                continue;
            }
            const CodeForUser* const code = (*found)[i] ? &*(*found)[i] : nullptr;
            answers.push_back(wire::encode(validate(pending.asked, code, now), pending.asked,
                                           pending.request_id));
        }
        reader_.when_settled(
            [this, batch = std::move(batch), answers = std::move(answers)]() mutable {
                boost::asio::post(
                    io_, [this, batch = std::move(batch), answers = std::move(answers)]() mutable {
                        looking_up_ = false;
                        look_up();
                        for (std::size_t i = 0; i < batch->size(); ++i) {
                            (*batch)[i].responder.send(std::move(answers[i]));
                        }
                    });
            });
    });
    if (looking_up_) return;
    for (const Pending& pending : *batch) {
        pending.responder.send(wire::failed(Failure::overloaded, pending.request_id));
    }
}

}  // namespace coupond
