#include "domain/domain.hpp"

namespace coupond {
namespace {

struct Collector {
    Needs& needs;
    std::size_t pool_factor;

    void operator()(const CreateBook&) const {
        needs.locks_only = false;
        ++needs.book_ids;
        needs.only_book = true;
    }

    void operator()(const UploadCodes& command) const {
        needs.locks_only = false;
        if (command.book_id) {
            needs.books.push_back(*command.book_id);
        } else {
            needs.only_book = true;
        }
        needs.new_codes.insert(needs.new_codes.end(), command.codes.begin(), command.codes.end());
        needs.code_ids += command.codes.size();
    }

    void operator()(const AssignAny& command) const {
        needs.locks_only = false;
        if (command.book_id) needs.books.push_back(*command.book_id);
        needs.pools[command.book_id] += pool_factor;
    }

    void operator()(const AssignCode& command) const {
        needs.locks_only = false;
        needs.codes.push_back({command.code, {}});
    }

    void operator()(const LockCode& command) const { needs.codes.push_back({command.code, {}}); }

    void operator()(const RedeemCode& command) const {
        needs.locks_only = false;
        needs.codes.push_back({command.code, command.user_id});
    }
};

}  // namespace

Needs needs(std::span<const Command* const> commands, std::size_t pool_factor) {
    Needs needs;
    needs.codes.reserve(commands.size());
    const Collector collector{needs, pool_factor};
    for (const Command* const command : commands) std::visit(collector, *command);
    return needs;
}

}  // namespace coupond
