// SPDX-License-Identifier: Apache-2.0
// What tests of transaction blocks share: two small tables, and a session that has one row of the
// first in the cache.
#pragma once

#include <memory>
#include <string>

#include "stack.h"

namespace pgcache::testing {

template <typename Suite>
class BlockSuite : public SharedStack<Suite> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.conf = {"max_prepared_transactions = 10"};
    options.schema = R"(
      CREATE TABLE t (id int PRIMARY KEY, v text);
      CREATE TABLE other (id int PRIMARY KEY, v text);
      CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS
        $$UPDATE t SET v = 'function' WHERE id = 1; SELECT 1$$;)";
    return options;
  }

 protected:
  using SharedStack<Suite>::stack;

  void SetUp() override {
    stack().direct().must(
        "TRUNCATE t, other; INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i");
    stack().settle();
    session_ = std::make_unique<Connection>(stack().client());
    stack().load(session(), kRead);
  }
  Connection& session() { return *session_; }
  void run(const std::string& sql) { session().must(sql); }
  std::string read(const std::string& route) {
    return value_of(stack().query(session(), kRead, route));
  }

  static constexpr const char* kRead = "SELECT v FROM t WHERE id = 1";

 private:
  std::unique_ptr<Connection> session_;
};

}  // namespace pgcache::testing
