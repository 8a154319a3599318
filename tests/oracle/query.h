// SPDX-License-Identifier: Apache-2.0
// A query and how it is sent, and the generator of queries. The structure comes from one source of
// randomness and the values from another, so that the same statement is made again with other
// values near the first ones.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <string>
#include <vector>

#include "oracle/random.h"
#include "oracle/schema.h"

namespace pgcache::oracle {

struct Parameter {
  std::optional<std::string> bytes;  // empty: NULL
  Oid type = 0;                      // 0: PostgreSQL infers it
  bool binary = false;
};

struct Query {
  std::string sql;
  std::vector<Parameter> parameters;
  std::vector<const Relation*> relations;  // what stands in it by name
  std::string feature;                     // what it is made of, for the statistics
  Caching caching = Caching::kYes;
  bool ordered = false;  // the order of the rows is determined
  bool usual = false;    // what applications ask for, not a random combination
  enum class Protocol { kSimple, kExtended, kPrepared } protocol = Protocol::kSimple;
  bool binary_results = false;

  std::vector<std::string> constants() const;  // what stands in it as a number or in quotes
  std::string text() const;  // for a person: the statement, its parameters, the protocol
};

// One table and a condition or two.
Query make_plain_query(const Schema& schema, std::uint64_t structure_seed,
                       std::uint64_t value_seed);
// A FULL JOIN and conditions that let pass what has no partner.
Query make_full_join_query(const Schema& schema, std::uint64_t structure_seed,
                           std::uint64_t value_seed);
// A condition on a large value, and another that few rows meet.
Query make_wide_query(const Schema& schema, std::uint64_t structure_seed, std::uint64_t value_seed);
Query make_query(const Schema& schema, std::uint64_t structure_seed, std::uint64_t value_seed);

}  // namespace pgcache::oracle
