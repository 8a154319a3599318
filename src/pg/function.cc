// SPDX-License-Identifier: Apache-2.0
#include "pg/function.h"

namespace pgcache::pg {

bool can_call(Oid) { return false; }

MaybeValue call(Oid, std::span<const MaybeValue>, const FunctionContext&) { return {}; }

bool can_cast(Oid from, Oid to) { return from == to; }

MaybeValue cast(Oid from, Oid to, std::int32_t typmod, const MaybeValue& value) {
  return from == to && typmod < 0 ? value : MaybeValue{};
}

}  // namespace pgcache::pg
