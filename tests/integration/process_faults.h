// SPDX-License-Identifier: Apache-2.0
// What the tests of faults of the process and of its clients have in common.
#pragma once

#include <string>

#include "stack.h"

namespace pgcache::testing {

inline StackOptions small_table() {
  StackOptions options;
  options.schema =
      "CREATE TABLE t (id int PRIMARY KEY, v text);"
      "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i";
  return options;
}

inline double restarts(Stack& stack) {
  return stack.proxy().metric("pgcache_invalidations_total", {{"cause", "restart"}});
}

// Everything in the table, by hits, as the origin has it.
inline void expect_right_hits(Stack& stack) {
  stack.settle();
  Connection session = stack.client();
  for (int id = 1; id <= 20; ++id) {
    const std::string sql = "SELECT v FROM t WHERE id = " + std::to_string(id);
    EXPECT_EQ(rows_text(stack.query_until(session, sql, "hit").rows),
              rows_text(stack.direct().must(sql).rows));
  }
}

inline long backends(Stack& stack, const std::string& condition) {
  return std::stol(
      stack.direct().must("SELECT count(*) FROM pg_stat_activity WHERE " + condition).value());
}

// Nobody is connected but for `others`, here and at the origin, and the cache is in use.
inline void expect_all_gone(Stack& stack, int others) {
  EXPECT_TRUE(wait_until([&] { return stack.proxy().metric("pgcache_clients") == others; }, 20000))
      << stack.proxy().metric("pgcache_clients");
  const auto gone = [&] {
    return backends(stack,
                    "backend_type = 'client backend' AND application_name NOT LIKE "
                    "'pgcache%' AND pid <> pg_backend_pid()") == others;
  };
  EXPECT_TRUE(wait_until(gone, 20000));
  stack.direct().must("UPDATE t SET v = v || '+' WHERE id = 2");
  expect_right_hits(stack);
  EXPECT_EQ(stack.proxy().metric("pgcache_sessions_failed_total"), 0);
  EXPECT_EQ(restarts(stack), 0);
}

}  // namespace pgcache::testing
