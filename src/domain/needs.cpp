#include "domain/domain.hpp"

namespace coupond {
namespace {

class Collector {
public:
    Collector(Needs& into, std::size_t factor, bool trusts)
        : needs(into), pool_factor(factor), trusting(trusts) {}

    void operator()(const CreateBook&) const {
        ++needs.book_ids;
        needs.only_book = true;
    }

    void operator()(const EditBook& command) const { change(command.book_id); }
    void operator()(const ArchiveBook& command) const { change(command.book_id); }
    void operator()(const RestoreBook& command) const { change(command.book_id); }

    void operator()(const UploadCodes& command) const {
        if (command.book_id) {
            needs.books.push_back(*command.book_id);
        } else {
            needs.only_book = true;
        }
        needs.new_codes.insert(needs.new_codes.end(), command.codes.begin(), command.codes.end());
        needs.code_ids += command.codes.size();
        needs.adds_codes = true;
    }

    void operator()(const GenerateCodes& command) const {
        needs.books.push_back(command.book_id);
        needs.generators.push_back(command.book_id);
        ++needs.job_ids;
        needs.makers.push_back(command.book_id);
        needs.alone |= command.automatic;
    }

    void operator()(const AddGenerated& command) const {
        needs.books.push_back(command.asked.book_id);
        needs.generators.push_back(command.asked.book_id);
        if (command.piece) {
            needs.jobs.push_back(command.piece->job_id);
        } else {
            needs.makers.push_back(command.asked.book_id);
        }
        needs.code_ids += command.draft.candidates.size();
        needs.adds_codes = true;
        if (trusting && command.expects_new) return;
        for (const CodeDraft::Candidate& candidate : command.draft.candidates) {
            needs.new_codes.push_back(candidate.code);
        }
    }

    void operator()(const ReceiveFile& command) const {
        needs.books.push_back(command.book_id);
        command.job_id == 0 ? void(++needs.job_ids) : needs.jobs.push_back(command.job_id);
    }

    void operator()(const AddImported& command) const {
        needs.books.push_back(command.book_id);
        needs.jobs.push_back(command.job_id);
        needs.adds_codes = true;
        needs.alone |= command.after.adds_alone() && !command.before.adds_alone();
        const bool looks = !trusting || !command.expects_new;
        for (const ImportedCode& code : command.codes) {
            if (looks) needs.new_codes.push_back(code.code);
            if (code.user_id.empty()) continue;
            needs.holdings.push_back({code.user_id, {}, command.book_id});
        }
        needs.code_ids += command.codes.size();
    }

    void operator()(const RemoveParts& command) const { needs.jobs.push_back(command.job_id); }

    void operator()(const DrawImages& command) const {
        needs.books.push_back(command.book_id);
        ++needs.job_ids;
    }

    void operator()(const AddImages& command) const {
        needs.books.push_back(command.book_id);
        needs.jobs.push_back(command.job_id);
    }

    void operator()(const CancelJob& command) const { needs.jobs.push_back(command.job_id); }

    void operator()(const AssignAny& command) const {
        if (command.book_id) needs.books.push_back(*command.book_id);
        needs.pools[command.book_id] += pool_factor;
        needs.holdings.push_back({command.user_id, {}, command.book_id});
    }

    void operator()(const AssignCode& command) const {
        needs.codes.push_back({command.code});
        needs.holdings.push_back({command.user_id, command.code, {}});
    }

    void operator()(const LockCode& command) const {
        needs.codes.push_back({command.code, command.user_id, true});
    }

    void operator()(const RedeemCode& command) const {
        needs.codes.push_back({command.code, command.user_id, true});
        if (command.order) needs.orders.push_back({command.code, *command.order->id});
    }

    void operator()(const LockCodes& command) const {
        for (const std::string& code : command.codes) {
            needs.codes.push_back({code, command.user_id, true});
        }
    }

    void operator()(const RedeemCodes& command) const {
        for (const std::string& code : command.codes) {
            needs.codes.push_back({code, command.user_id, true});
            needs.orders.push_back({code, *command.order.id});
        }
    }

    void operator()(const RollBack& command) const {
        needs.redemptions.push_back(command.redemption_id);
    }

    void operator()(const EditCode& command) const { needs.codes.push_back({command.code}); }
    void operator()(const UnlockCode& command) const { take_lock(command.code, command.user_id); }
    void operator()(const UnassignCode& command) const { take_lock(command.code); }

    void operator()(const EraseUser& command) const { needs.erased.push_back(command.user_id); }

private:
    void take_lock(std::string_view code, std::string_view user = {}) const {
        needs.codes.push_back({code, user, !user.empty()});
        needs.takes_locks = true;
    }

    void change(BookId id) const {
        needs.books.push_back(id);
        needs.alone = true;
    }

    Needs& needs;
    std::size_t pool_factor;
    bool trusting;
};

}  // namespace

Needs needs(std::span<const Submission* const> submissions, Timestamp at, std::size_t pool_factor,
            bool trusting) {
    Needs needs;
    needs.at = at;
    needs.codes.reserve(submissions.size());
    const Collector collector(needs, pool_factor, trusting);
    for (const Submission* const submission : submissions) {
        std::visit(collector, submission->command);
        if (submission->idempotency) needs.keys.push_back(submission->idempotency->key);
    }
    return needs;
}

}  // namespace coupond
