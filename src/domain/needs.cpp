#include "domain/domain.hpp"

namespace coupond {
namespace {

struct Collector {
    Needs& needs;
    std::size_t pool_factor;

    void operator()(const CreateBook&) const {
        ++needs.book_ids;
        needs.only_book = true;
    }

    void operator()(const UploadCodes& command) const {
        if (command.book_id) {
            needs.books.push_back(*command.book_id);
        } else {
            needs.only_book = true;
        }
        needs.new_codes.insert(needs.new_codes.end(), command.codes.begin(), command.codes.end());
        needs.code_ids += command.codes.size();
    }

    void operator()(const AssignAny& command) const {
        if (command.book_id) needs.books.push_back(*command.book_id);
        needs.pools[command.book_id] += pool_factor;
    }

    void operator()(const AssignCode& command) const { needs.codes.push_back({command.code, {}}); }

    void operator()(const LockCode& command) const { needs.codes.push_back({command.code, {}}); }

    void operator()(const RedeemCode& command) const {
        needs.codes.push_back({command.code, command.user_id});
    }

    void operator()(const EraseUser& command) const { needs.erased.push_back(command.user_id); }
};

}  // namespace

Needs needs(std::span<const Submission* const> submissions, std::size_t pool_factor) {
    Needs needs;
    needs.codes.reserve(submissions.size());
    const Collector collector{needs, pool_factor};
    for (const Submission* const submission : submissions) {
        std::visit(collector, submission->command);
        if (submission->idempotency) needs.keys.push_back(submission->idempotency->key);
    }
    return needs;
}

}  // namespace coupond
