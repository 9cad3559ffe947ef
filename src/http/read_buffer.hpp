// Bytes that have arrived and are not yet used up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace coupond::http {

/// Begins with a page, for one connection in thousands; grows only where a read filled it.
class ReadBuffer {
public:
    static constexpr std::size_t initial_bytes = 4 * 1024;
    static constexpr std::size_t max_bytes = 64 * 1024;

    std::string_view bytes() const { return {memory_.get() + begin_, end_ - begin_}; }
    bool empty() const { return begin_ == end_; }

    void consume(std::size_t size) {
        begin_ += size;
        if (begin_ == end_) begin_ = end_ = 0;
    }

    /// Makes room for a read; false where there is none because max_bytes are waiting. Moves
    /// bytes().
    bool prepare() {
        if (begin_ > 0) {
            std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        if (capacity_ == 0) {
            resize(initial_bytes);
        } else if (filled_ && capacity_ < max_bytes) {
            resize(capacity_ * 2);
        }
        filled_ = false;
        return end_ < capacity_;
    }

    char* room() { return memory_.get() + end_; }
    std::size_t room_bytes() const { return capacity_ - end_; }
    void commit(std::size_t size) {
        end_ += size;
        filled_ = end_ == capacity_;
    }

    /// Gives back memory that a large request needed. Where empty().
    void shrink() {
        if (capacity_ > initial_bytes) *this = ReadBuffer();
    }

private:
    void resize(std::size_t capacity) {
        std::unique_ptr<char[]> memory(new char[capacity]);
        if (end_ > 0) std::memcpy(memory.get(), memory_.get(), end_);
        memory_ = std::move(memory);
        capacity_ = capacity;
    }

    std::unique_ptr<char[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool filled_ = false;  // by the last read: there may be much more to come
};

}  // namespace coupond::http
