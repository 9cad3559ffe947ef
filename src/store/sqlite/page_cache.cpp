#include "store/sqlite/page_cache.hpp"

#include <sqlite3.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "base/check.hpp"

namespace coupond::sqlite {
namespace {

sqlite3_pcache_methods2 system_cache;

/// What SQLite sees of a cache: SQLite's own behind it.
struct Cache {
    sqlite3_pcache* system;
    unsigned far;           ///< the number of the page that reordering borrows
    unsigned highest = 0;   ///< no page but `far` has a higher number
    bool far_used = false;  ///< some page may have that number
};

Cache& cache_of(sqlite3_pcache* cache) {
    return *reinterpret_cast<Cache*>(cache);
}

void note(Cache& cache, unsigned key) {
    if (key == cache.far) {
        cache.far_used = true;
    } else {
        cache.highest = std::max(cache.highest, key);
    }
}

sqlite3_pcache* create(int page_size, int extra_size, int purgeable) {
    sqlite3_pcache* const system = system_cache.xCreate(page_size, extra_size, purgeable);
    if (system == nullptr) return nullptr;
    constexpr unsigned pending_byte = 0x40000000;
    const unsigned far = pending_byte / static_cast<unsigned>(page_size) + 1;
    auto* const cache = new (std::nothrow) Cache{system, far};
    if (cache == nullptr) system_cache.xDestroy(system);
    return reinterpret_cast<sqlite3_pcache*>(cache);
}

void set_size(sqlite3_pcache* cache, int pages) {
    system_cache.xCachesize(cache_of(cache).system, pages);
}

int page_count(sqlite3_pcache* cache) {
    return system_cache.xPagecount(cache_of(cache).system);
}

sqlite3_pcache_page* fetch(sqlite3_pcache* cache, unsigned key, int create_flag) {
    if (create_flag != 0) note(cache_of(cache), key);
    return system_cache.xFetch(cache_of(cache).system, key, create_flag);
}

void unpin(sqlite3_pcache* cache, sqlite3_pcache_page* page, int discard) {
    system_cache.xUnpin(cache_of(cache).system, page, discard);
}

void rekey(sqlite3_pcache* cache, sqlite3_pcache_page* page, unsigned old_key, unsigned new_key) {
    note(cache_of(cache), new_key);
    if (old_key == cache_of(cache).far) cache_of(cache).far_used = false;
    system_cache.xRekey(cache_of(cache).system, page, old_key, new_key);
}

void truncate(sqlite3_pcache* cache, unsigned limit) {
    Cache& wrapped = cache_of(cache);
    if (limit > wrapped.highest && !wrapped.far_used) return;
    system_cache.xTruncate(wrapped.system, limit);
    wrapped.highest = std::min(wrapped.highest, limit - 1);
    if (limit <= wrapped.far) wrapped.far_used = false;
}

void destroy(sqlite3_pcache* cache) {
    system_cache.xDestroy(cache_of(cache).system);
    delete &cache_of(cache);
}

void shrink(sqlite3_pcache* cache) {
    system_cache.xShrink(cache_of(cache).system);
}

sqlite3_mem_methods system_memory;

/// Memory for pages, side by side, that the system maps in large pieces where it can: pages that
/// lie all over memory cost the processor as much to find as to read.
class PageMemory {
public:
    // A page (page_size_sql) alone, and with all that SQLite 3.40 keeps beside it; whole lines of
    // the processor's cache.
    static constexpr std::size_t least_bytes = 2048;
    static constexpr std::size_t most_bytes = 2368;

    PageMemory() {
        constexpr std::size_t piece = std::size_t(2) << 20;
        void* const mapped = mmap(nullptr, reserved + piece, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED) return;  // then there is none, and SQLite's own is used
        const auto at = reinterpret_cast<std::uintptr_t>(mapped);
        begin_ = next_ = reinterpret_cast<std::byte*>((at + piece - 1) / piece * piece);
        end_ = begin_ + reserved;
        madvise(begin_, reserved, MADV_HUGEPAGE);
    }

    bool holds(const void* memory) const { return memory >= begin_ && memory < end_; }

    /// `most_bytes`; null where there is no more.
    void* take() {
        const std::lock_guard lock(mutex_);
        if (given_back_ != nullptr) return std::exchange(given_back_, given_back_->next);
        if (end_ - next_ < static_cast<std::ptrdiff_t>(most_bytes)) return nullptr;
        return std::exchange(next_, next_ + most_bytes);
    }

    void give_back(void* memory) {
        const std::lock_guard lock(mutex_);
        given_back_ = new (memory) Free{given_back_};
    }

private:
    struct Free {
        Free* next;
    };

    /// Addresses; memory is taken for what is used. Enough for the caches of the writer and of who
    /// answers reads.
    static constexpr std::size_t reserved = std::size_t(256) << 20;

    std::mutex mutex_;
    Free* given_back_ = nullptr;
    std::byte* begin_ = nullptr;
    std::byte* next_ = nullptr;
    std::byte* end_ = nullptr;
};

/// Never destroyed: connections may be closed later.
PageMemory& page_memory() {
    static PageMemory& memory = *new PageMemory;
    return memory;
}

/// As the functions of sqlite3_mem_methods, with page_memory() for what may be a page.
void* allocate(int bytes) {
    const auto size = static_cast<std::size_t>(bytes);
    if (size >= PageMemory::least_bytes && size <= PageMemory::most_bytes) {
        if (void* const memory = page_memory().take()) return memory;
    }
    return system_memory.xMalloc(bytes);
}

void release(void* memory) {
    if (page_memory().holds(memory)) return page_memory().give_back(memory);
    system_memory.xFree(memory);
}

int size_of(void* memory) {
    if (page_memory().holds(memory)) return static_cast<int>(PageMemory::most_bytes);
    return system_memory.xSize(memory);
}

void* reallocate(void* memory, int bytes) {
    if (!page_memory().holds(memory)) return system_memory.xRealloc(memory, bytes);
    void* const larger = system_memory.xMalloc(bytes);
    if (larger == nullptr) return nullptr;
    std::memcpy(larger, memory, std::min(PageMemory::most_bytes, static_cast<std::size_t>(bytes)));
    page_memory().give_back(memory);
    return larger;
}

}  // namespace

void install_page_cache() {
    static const bool installed = [] {
        if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) return false;
        if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory) != SQLITE_OK) return false;
        sqlite3_mem_methods memory = system_memory;
        memory.xMalloc = allocate;
        memory.xFree = release;
        memory.xRealloc = reallocate;
        memory.xSize = size_of;
        if (sqlite3_config(SQLITE_CONFIG_MALLOC, &memory) != SQLITE_OK) return false;
        if (sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &system_cache) != SQLITE_OK) return false;
        static sqlite3_pcache_methods2 methods = {system_cache.iVersion,
                                                  system_cache.pArg,
                                                  system_cache.xInit,
                                                  system_cache.xShutdown,
                                                  create,
                                                  set_size,
                                                  page_count,
                                                  fetch,
                                                  unpin,
                                                  rekey,
                                                  truncate,
                                                  destroy,
                                                  shrink};
        return sqlite3_config(SQLITE_CONFIG_PCACHE2, &methods) == SQLITE_OK;
    }();
    COUPOND_CHECK(installed);
}

}  // namespace coupond::sqlite
