#include "app/imports.hpp"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <new>
#include <optional>
#include <utility>

#include "base/digest.hpp"
#include "base/limits.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "wire/code_file.hpp"
#include "wire/wire.hpp"

namespace coupond {
namespace {

/// How often those that are slow are looked at.
constexpr std::chrono::seconds keep_every{5};

/// Whether a file can be read at all shows in its first part.
class NoRows final : public wire::CodeFile::Rows {
public:
    void row(ImportedCode&&) override {}
    void rejected(RejectedRow&&) override {}
};

}  // namespace

struct Imports::Timer {
    explicit Timer(boost::asio::io_context& io) : timer(io) {}

    boost::asio::steady_timer timer;
    bool is_waiting = false;
};

/// A file that is coming, or whose last part is being kept. Lives as long as somebody waits for it:
/// the connection, or the lane.
class Imports::Receiving : public std::enable_shared_from_this<Receiving> {
public:
    Receiving(Imports& imports, ReceiveFile asked, const http::Request& request,
              http::Responder responder, std::optional<std::string> key)
        : imports_(imports),
          asked_(std::move(asked)),
          request_id_(request.request_id),
          responder_(std::move(responder)),
          key_(std::move(key)) {
        asked_.worker = secure_random_base32(26);
        digester_.add(request.method);
        digester_.add(request.target);
        digester_.add(request.content_type);
        imports_.receiving_->insert(this);
    }
    ~Receiving() {
        const auto receiving = all_.lock();  // none at the end of the process
        if (!receiving) return;
        receiving->erase(this);
        release_key();
    }

    bool take(std::string_view piece) {
        bytes_ += piece;
        if (bytes_.size() < limits::import_part_bytes) return true;
        if (!is_kept_) keep_part();
        return bytes_.size() < limits::import_part_bytes;
    }

    void end() {
        has_ended_ = true;
        if (!is_kept_) keep_part();
    }

    void lose() {
        is_lost_ = true;
        if (!is_kept_) give_up();
    }

    /// Renews the claim of a file that comes slowly.
    void keep_claim() {
        const bool is_due = std::chrono::steady_clock::now() - kept_at_ >= 2 * keep_every;
        if (is_kept_ || has_ended_ || is_lost_ || is_answered_ || !job_ || !is_due) return;
        submit({}, false);
    }

private:
    /// Hands the next part to the lane.
    void keep_part() {
        std::string part = bytes_.substr(0, limits::import_part_bytes);
        bytes_.erase(0, part.size());
        const bool ends = has_ended_ && bytes_.empty();
        if (!job_) {
            NoRows rows;
            wire::CodeFile file(asked_.format, rows);
            if (!file.read(part) || (ends && !file.end())) {
                return answer(wire::unreadable_file(file.problem(), request_id_));
            }
        }
        // Files of whole parts end with an empty one: take() lets nothing come, not even the end,
        // while a whole part is there. So the digest does not depend on when the end comes.
        digester_.add(part);
        submit(std::move(part), ends);
    }

    void submit(std::string part, bool ends) {
        const bool is_claim = part.empty();
        ReceiveFile command = asked_;
        if (job_) {
            command.job_id = job_->id;
            command.before = job_->import->bytes;
        }
        command.bytes = std::move(part);
        command.ends = ends;
        command.claimed_until = imports_.clock_.now() + limits::receiving_claim_ms;
        Submission submission{std::move(command), request_id_};
        if (ends && key_) submission.idempotency = Idempotency{*key_, digester_.end()};
        kept_at_ = std::chrono::steady_clock::now();
        is_kept_ = imports_.engine_.submit(
            std::move(submission),
            [self = shared_from_this(), ends](Result<Outcome>&& outcome, Timestamp at) {
                self->on_kept(std::move(outcome), at, ends);
            });
        // A claim is renewed a little later then.
        if (!is_kept_ && (ends || !is_claim)) {
            answer(wire::failed(Failure::overloaded, request_id_));
        }
    }

    void on_kept(Result<Outcome>&& outcome, Timestamp at, bool ends) {
        is_kept_ = false;
        const auto* const changed = outcome ? std::get_if<JobChanged>(&*outcome) : nullptr;
        if (changed != nullptr) job_ = changed->job;
        if (changed != nullptr && ends) is_taken_over_ = true;
        if (changed == nullptr || ends) {
            return answer(outcome ? wire::encode(std::move(*outcome), at, request_id_)
                                  : wire::failed(outcome.error(), request_id_));
        }
        if (is_lost_) return give_up();
        if (has_ended_ || bytes_.size() >= limits::import_part_bytes) return keep_part();
        responder_.read_on();
    }

    /// Whoever is answered may use the key again at once, also while the job is still given up.
    void release_key() {
        if (key_) imports_.keys_in_use_.erase(*key_);
        key_.reset();
    }

    void answer(wire::Answer answer) {
        is_answered_ = true;
        release_key();
        give_up();
        responder_.send(std::move(answer));
    }

    /// Has a job that nobody will take over end.
    void give_up() {
        if (is_taken_over_) return imports_.jobs_.wake();
        if (!job_ || job_->is_finished()) return;
        AddImported lost;
        lost.book_id = job_->book_id;
        lost.job_id = job_->id;
        lost.worker = asked_.worker;
        lost.is_lost = true;
        lost.before = lost.after = *std::exchange(job_, std::nullopt)->import;
        // Where it is not to be had, whoever works on jobs finds it when its claim is over.
        imports_.engine_.submit({std::move(lost), request_id_},
                                [self = shared_from_this()](Result<Outcome>&&, Timestamp) {
                                    self->imports_.jobs_.wake();
                                });
    }

    Imports& imports_;
    const std::weak_ptr<std::set<Receiving*>> all_{imports_.receiving_};
    ReceiveFile asked_;
    const std::string request_id_;
    const http::Responder responder_;
    std::optional<std::string> key_;  ///< until it is answered
    Digester digester_;               ///< of the request
    std::string bytes_;               ///< that are not kept yet
    std::optional<Job> job_;
    std::chrono::steady_clock::time_point kept_at_;
    bool is_kept_ = false;  ///< the lane has a part
    bool has_ended_ = false;
    bool is_lost_ = false;
    bool is_answered_ = false;
    bool is_taken_over_ = false;
};

class Imports::Sink final : public http::BodySink {
public:
    explicit Sink(std::shared_ptr<Receiving> receiving) : receiving_(std::move(receiving)) {}
    bool take(std::string_view piece) override { return receiving_->take(piece); }
    void end() override { receiving_->end(); }
    void lose() noexcept override {
        try {
            receiving_->lose();
        } catch (const std::bad_alloc&) {
            // Its job is found by whoever works on jobs, when its claim is over.
        }
    }

private:
    const std::shared_ptr<Receiving> receiving_;
};

Imports::Imports(boost::asio::io_context& io, Engine& engine, JobRunner& jobs, const Clock& clock,
                 std::unordered_set<std::string>& keys_in_use)
    : engine_(engine),
      jobs_(jobs),
      clock_(clock),
      keys_in_use_(keys_in_use),
      timer_(std::make_unique<Timer>(io)) {}

Imports::~Imports() = default;

std::unique_ptr<http::BodySink> Imports::receive(const http::Request& request,
                                                 const http::Responder& responder) {
    const auto format = wire::file_format(request.content_type);
    if (!format) return nullptr;
    auto asked = wire::decode_receive_file(*format, request.content_type, request.path_params[0],
                                           request.query, request.request_id);
    if (auto* const answer = std::get_if<wire::Answer>(&asked)) {
        responder.send(std::move(*answer));
        return nullptr;
    }
    std::optional<std::string> key;
    if (request.idempotency_key) {
        auto read = wire::decode_idempotency_key(*request.idempotency_key, request.request_id);
        if (auto* const answer = std::get_if<wire::Answer>(&read)) {
            responder.send(std::move(*answer));
            return nullptr;
        }
        key = std::get<std::string>(std::move(read));
    }
    if (receiving_->size() >= limits::imports_receiving) {
        responder.send(wire::failed(Failure::overloaded, request.request_id));
        return nullptr;
    }
    if (key && !keys_in_use_.insert(*key).second) {
        responder.send(wire::key_in_use(request.request_id));
        return nullptr;
    }
    keep_claims();
    return std::make_unique<Sink>(std::make_shared<Receiving>(
        *this, std::get<ReceiveFile>(std::move(asked)), request, responder, std::move(key)));
}

/// Looks at those that are slow, as long as any are there.
void Imports::keep_claims() {
    if (timer_->is_waiting) return;
    timer_->is_waiting = true;
    timer_->timer.expires_after(keep_every);
    timer_->timer.async_wait([this](boost::system::error_code error) {
        timer_->is_waiting = false;
        if (error || receiving_->empty()) return;
        const auto all = *receiving_;  // one that is not kept is answered, which may end it
        for (Receiving* const one : all) {
            if (receiving_->contains(one)) one->keep_claim();
        }
        keep_claims();
    });
}

}  // namespace coupond
