// SPDX-License-Identifier: Apache-2.0
// The generator of statements that change rows.
#pragma once

#include <string>
#include <vector>

#include "oracle/random.h"
#include "oracle/schema.h"

namespace pgcache::oracle {

struct Change {
  std::string sql;
  std::string copy_data;  // what follows a COPY ... FROM STDIN
  bool exclusive =
      false;  // takes a lock that readers wait for: never inside a block that stays open
};

Change make_change(const Schema& schema, Random& random);
Change make_change_of(const Schema& schema, const Relation& relation, Random& random);
// Of one row or two, in one column or whole: a change that few queries notice. New values are often
// among the given ones (texts), or beside them.
Change make_small_change(const Relation& relation, const std::vector<std::string>& near,
                         Random& random);
// One row gets another number, by which it may come under a condition that holds one of `near`; all
// else stays as it was.
Change make_move(const Relation& relation, const std::vector<std::string>& near, Random& random);
Change make_insert(const Relation& relation, int rows, Random& random);
Change make_truncate(const Relation& relation, Random& random);

}  // namespace pgcache::oracle
