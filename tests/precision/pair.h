// SPDX-License-Identifier: Apache-2.0
// One line of the table of precision: a query, a change beneath it, and whether the cached answer
// must be dropped or may stay.
//
// The tables are those of schema.cc, each of them twice: with REPLICA IDENTITY FULL and with the
// default one (the primary key). Every change is undone behind it, so pairs do not depend on each
// other; only the rows 31 to 40 with the default identity belong to one pair each, since what
// pgcache has seen of a row cannot be undone.
//
// All pairs are run without copies of small tables, and with them. With them a pair may be kept
// where otherwise nothing tells, and is tried again when it is not, for copies come when they come.
#pragma once

#include <string>
#include <vector>

namespace pgcache::precision {

enum class Outcome {
  kInvalidated,  // the change alters the answer
  kKept,         // it does not, and that can be known
  kCoarse,       // it does not, but what would tell is not known: invalidated
};

enum class Identity { kFull, kDefault };

struct Pair {
  std::string construct;  // what it is an example of
  std::string name;       // unique within the construct
  Outcome expected = Outcome::kKept;
  std::string query;
  std::vector<std::string> parameters;  // as text; none: the simple protocol
  std::string change;
  Identity identity = Identity::kFull;
  // Run while the answer is cached, before the change: shows pgcache the row.
  std::string seen = "";
  bool binary_results = false;
  bool copies = false;  // only copies of small tables tell

  std::string full_name() const {
    return construct + ": " + name + (identity == Identity::kDefault ? " (default)" : "");
  }
};

using Pairs = std::vector<Pair>;

// One query and the changes beneath it.
struct Change {
  std::string name;
  Outcome expected = Outcome::kKept;
  std::string sql;
};
inline void add(Pairs& pairs, const std::string& construct, const std::string& query,
                const std::vector<Change>& changes,
                const std::vector<std::string>& parameters = {}) {
  for (const Change& change : changes) {
    Pair pair;
    pair.construct = construct;
    pair.name = change.name;
    pair.expected = change.expected;
    pair.query = query;
    pair.parameters = parameters;
    pair.change = change.sql;
    pairs.push_back(pair);
  }
}

// The parts of the table.
void add_propagation(Pairs& pairs);
void add_outer_joins(Pairs& pairs);
void add_pushdown(Pairs& pairs);
void add_merging(Pairs& pairs);
void add_needless(Pairs& pairs);
void add_subqueries(Pairs& pairs);
void add_blocks(Pairs& pairs);
void add_hierarchies(Pairs& pairs);
void add_predicates(Pairs& pairs);
void add_types(Pairs& pairs);
void add_columns_and_identities(Pairs& pairs);
void add_shown(Pairs& pairs);
void add_partners(Pairs& pairs);

// The values of the table `typed`, one statement for each type.
std::vector<std::string> typed_values();

// All of it. Throws when two pairs have the same name.
Pairs all_pairs();

}  // namespace pgcache::precision
