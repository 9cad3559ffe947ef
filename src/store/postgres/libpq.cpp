#include "store/postgres/libpq.hpp"

#include <dlfcn.h>

#include "base/log.hpp"
#include "store/store.hpp"

namespace coupond::postgres {
namespace {

constexpr const char* library = "libpq.so.5";

template <class Function>
void find(void* handle, const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(handle, name));
    if (function == nullptr) {
        throw OpenError(std::string("PostgreSQL needs libpq of version 14 or newer: the ") +
                        library + " of this machine has no " + name);
    }
}

Libpq load() {
    void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        log::debug("cannot load libpq", {{"reason", std::string_view(dlerror())}});
        throw OpenError("PostgreSQL needs libpq: install Debian's libpq5");
    }
    Libpq loaded;
#define COUPOND_LIBPQ_FIND(name) find(handle, #name, loaded.name);
    COUPOND_LIBPQ_FUNCTIONS(COUPOND_LIBPQ_FIND)
#undef COUPOND_LIBPQ_FIND
    if (loaded.PQisthreadsafe() == 0) {
        throw OpenError("PostgreSQL needs a libpq that was built for threads");
    }
    return loaded;
}

}  // namespace

const Libpq& libpq() {
    static const Libpq loaded = load();
    return loaded;
}

}  // namespace coupond::postgres
