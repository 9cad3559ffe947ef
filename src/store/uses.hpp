// Of uses of codes (Code::use_of), for statements of either adapter.
#pragma once

#include "domain/types.hpp"

/// The id from which on codes are uses: all others have lower ones.
#define COUPOND_USES_FROM "4611686018427387904"

static_assert(coupond::uses_from == 4'611'686'018'427'387'904);
