// SPDX-License-Identifier: Apache-2.0
// Values of a column's type out of a small range, so that queries and changes meet, in the
// spellings that PostgreSQL takes for the same value.
#pragma once

#include <string>

#include "oracle/random.h"
#include "oracle/schema.h"

namespace pgcache::oracle {

std::string quote(const std::string& text);               // as an SQL literal
std::string value_text(Kind kind, Random& random);        // what the type's input reads
std::string literal(Kind kind, Random& random);           // an SQL expression
std::string literal_for_type(Kind kind, Random& random);  // one that has the column's type

}  // namespace pgcache::oracle
