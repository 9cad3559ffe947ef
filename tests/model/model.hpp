// What coupond should answer, written down from the contract as naively as possible: plain maps,
// one command at a time, nothing of src/ but the types that commands and answers are made of.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "domain/command.hpp"

namespace coupond::test {

class Model {
public:
    struct CodeState {
        std::int64_t id = 0;
        std::int64_t book = 0;
        std::string holder;  ///< empty: free
        std::int64_t locked_until = 0;
        std::int64_t redeemed_at = 0;  ///< 0: not
        std::int64_t created_at = 0;
    };
    struct BookState {
        std::string name;
        std::optional<std::int64_t> limit;
    };

    /// What to answer, as text. `given` is the code that coupond has given to an AssignAny, empty
    /// where it gave none: the model checks that it was free to give.
    std::string apply(const Command& command, std::int64_t now, const std::string& given);

    std::map<std::string, CodeState> codes;
    std::map<std::int64_t, BookState> books;

private:
    std::string create(const CreateBook& command);
    std::string upload(const UploadCodes& command, std::int64_t now);
    std::string assign_any(const AssignAny& command, const std::string& given);
    std::string assign(const AssignCode& command);
    std::string lock(const LockCode& command, std::int64_t now);
    std::string redeem(const RedeemCode& command, std::int64_t now);

    std::int64_t last_code_id_ = 0;
};

/// coupond's answer as the text that the model gives.
std::string describe(const Outcome& outcome);

/// The code that an answer hands out; empty where it is none of that kind.
std::string given_code(const Outcome& outcome);

}  // namespace coupond::test
