#include "unit/lock/support.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "base/random.hpp"

namespace coupond::test {
namespace {

std::string text_of(const redisReply& reply) {
    switch (reply.type) {
        case REDIS_REPLY_INTEGER: return std::to_string(reply.integer);
        case REDIS_REPLY_NIL: return "(nil)";
        case REDIS_REPLY_ARRAY: {
            std::string text;
            for (std::size_t i = 0; i < reply.elements; ++i) {
                if (i > 0) text += ' ';
                text += text_of(*reply.element[i]);
            }
            return text;
        }
        default: return {reply.str, reply.len};
    }
}

/// The process becomes another program, which ends with this one.
[[noreturn]] void become(const Words& words, const char* output) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
}

pid_t spawn(const Words& words, const std::string& output) {
    const pid_t process = fork();
    if (process < 0) throw std::runtime_error("cannot fork");
    if (process == 0) become(words, output.c_str());
    return process;
}

}  // namespace

RedisClient::RedisClient(const std::string& host, int port)
    : context_(redisConnectWithTimeout(host.c_str(), port, {5, 0}), redisFree) {
    if (!context_ || context_->err != 0) throw std::runtime_error("cannot connect to Redis");
}

std::string RedisClient::ask(const Words& words) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const std::string& word : words) {
        texts.push_back(word.data());
        sizes.push_back(word.size());
    }
    void* const answer = redisCommandArgv(context_.get(), static_cast<int>(words.size()),
                                          texts.data(), sizes.data());
    if (answer == nullptr) throw std::runtime_error(context_->errstr);
    const std::unique_ptr<redisReply, void (*)(void*)> reply(static_cast<redisReply*>(answer),
                                                             freeReplyObject);
    const std::string text = text_of(*reply);
    if (reply->type == REDIS_REPLY_ERROR) throw std::runtime_error(text);
    return text;
}

RedisServer::RedisServer(Words settings) : settings_(std::move(settings)), port_(free_port()) {
    start();
}

RedisServer::~RedisServer() {
    kill();
}

void RedisServer::start() {
    Words words{"redis-server", "--bind", "127.0.0.1",    "--dir", folder_.path().string(),
                "--save",       "",       "--appendonly", "no"};
    // Where the settings name ports, they name all of them.
    bool ports_named = false;
    for (const std::string& word : settings_) ports_named = ports_named || word == "--port";
    if (!ports_named) words.insert(words.end(), {"--port", std::to_string(port_)});
    for (const std::string& word : settings_) {
        words.push_back(word == "PORT" ? std::to_string(port_) : word);
    }
    process_ = spawn(words, log_file());
    wait_until_ready();
}

void RedisServer::wait_until_ready() const {
    for (int tries = 0; tries < 1000; ++tries) {
        int status = 0;
        if (waitpid(process_, &status, WNOHANG) == process_) break;
        try {
            client();
            return;
        } catch (const std::runtime_error&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    std::stringstream said;
    said << "redis-server (Debian: apt install redis-server) does not start:\n"
         << std::ifstream(log_file()).rdbuf();
    throw std::runtime_error(said.str());
}

void RedisServer::send_signal(int number) const {
    if (::kill(process_, number) != 0) throw std::runtime_error("redis-server is gone");
}

void RedisServer::kill() {
    if (process_ == 0) return;
    ::kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
}

redis::Options RedisServer::options() const {
    redis::Options options;
    options.host = "127.0.0.1";
    options.port = static_cast<std::uint16_t>(port_);
    return options;
}

int free_port() {
    for (int tries = 0; tries < 1000; ++tries) {
        const int port = 20'000 + static_cast<int>(secure_random_below(12'000));
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        const bool is_free =
            bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        close(fd);
        if (is_free) return port;
    }
    throw std::runtime_error("no free port");
}

void run_program(const Words& words) {
    int status = 0;
    waitpid(spawn(words, "/dev/null"), &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw std::runtime_error(words.front() + " failed");
    }
}

std::vector<std::string> loaded(Locks& locks, const std::vector<std::string_view>& codes) {
    const auto found = locks.load(codes);
    if (!found) return {std::string(to_string(found.error()))};
    std::vector<std::string> texts;
    for (const std::optional<Lock>& lock : *found) {
        texts.push_back(lock ? lock->user_id + " " + std::to_string(lock->until.ms) : "-");
    }
    return texts;
}

std::string load_and_acquire(Locks& locks, const std::vector<LockChange>& changes) {
    std::vector<std::string_view> codes;
    for (const LockChange& change : changes) codes.push_back(change.code);
    const auto found = locks.load(codes);
    return found ? text_of(locks.acquire(changes, now())) : text_of(found);
}

}  // namespace coupond::test
