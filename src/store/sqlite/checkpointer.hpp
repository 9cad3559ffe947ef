// Moves what was committed from the write-ahead log into the database file without stopping the
// writer.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "store/sqlite/connection.hpp"

namespace coupond::sqlite {

/// SQLite starts its log anew only when all of it has been moved, which a thread beside a busy
/// writer never sees. So the thread moves the bulk on a connection of its own, and the writer moves
/// the rest, a little, between two transactions.
class Checkpointer {
public:
    explicit Checkpointer(const std::string& path);
    ~Checkpointer();

    /// To be called by the writer after each commit, outside a transaction. May run the rest of a
    /// checkpoint on `writer`. Throws Error.
    void after_commit(Connection& writer, int log_pages);

private:
    void run();
    void begin_anew();
    void ask(int left);
    static int move_rest(Connection& writer, bool too_long);

    Connection connection_;
    std::mutex mutex_;
    std::condition_variable wake_;
    enum class State { idle, wanted, running, moved } state_ = State::idle;
    bool stopping_ = false;
    bool blocked_ = false;  ///< the last round could not move all that there was
    int log_pages_ = 0;     ///< after the last commit
    int logs_begun_ = 0;    ///< how often the log has begun anew
    int pages_moved_ = 0;   ///< of this log, as far as is known
    int left_before_ = 0;   ///< pages to move, when the thread was last asked
    int next_at_;           ///< where idle: from so many pages on the thread is asked
    int too_long_;          ///< from so many pages on readers are waited for
    std::thread thread_;
};

}  // namespace coupond::sqlite
