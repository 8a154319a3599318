// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's own immutable functions, operators' functions included, and its casts, on canonical
// values. Functions are named by their oids in pg_proc, which are fixed for built-in ones
// (pg_proc.dat). Pure; any thread.
//
// Nothing is guessed: what PostgreSQL would answer with an error, what depends on more than the
// canonical value holds (a numeric's scale, a char(n)'s blanks), and what is not covered is
// "unknown". A strict function of a NULL is NULL, when the other arguments are known (one that is
// not may be an error).
#pragma once

#include <cstdint>
#include <span>

#include "pg/value.h"

namespace pgcache::pg {

// What a result may depend on besides the arguments. The collation is that of the call.
struct FunctionContext {
  // The collation's lower() and upper() treat ASCII letters as in English.
  bool ascii_case = false;
  // The collation compares text bytewise and maps no case but ASCII's (C, POSIX).
  bool c_collation = false;
  // Text that differs bytewise is not equal. Otherwise only equal bytes are judged, and no
  // patterns or searches are.
  bool deterministic = true;
  // The database's encoding is UTF8. Otherwise only text in ASCII is judged.
  bool utf8 = true;
};

// How operands are read that are arguments of such a declared type; null: as everywhere.
ValueTypePtr argument_type(Oid type);

bool can_call(Oid function);
MaybeValue call(Oid function, std::span<const MaybeValue> arguments,
                const FunctionContext& context);

// An explicit cast between built-in types, by whatever way PostgreSQL makes it (a function, I/O
// conversion, relabelling). `typmod` as in pg_attribute.atttypmod; -1 for none.
bool can_cast(Oid from, Oid to);
MaybeValue cast(Oid from, Oid to, std::int32_t typmod, const MaybeValue& value,
                const FunctionContext& context = {});

}  // namespace pgcache::pg
