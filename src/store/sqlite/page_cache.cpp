#include "store/sqlite/page_cache.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <new>

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

}  // namespace

void install_page_cache() {
    static const bool installed = [] {
        if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK) return false;
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
